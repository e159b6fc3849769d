//! What a pickle can hold, as plain data.

/// Number types of storages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// IEEE half.
    F16,
    /// The upper half of a 32-bit float.
    Bf16,
    /// Integers and booleans of so many bytes: never weights.
    Other(usize),
}

impl Dtype {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other(size) => size,
        }
    }

    fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "FloatStorage" => Self::F32,
            "DoubleStorage" => Self::F64,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            "LongStorage" => Self::Other(8),
            "IntStorage" => Self::Other(4),
            "ShortStorage" => Self::Other(2),
            "CharStorage" | "ByteStorage" | "BoolStorage" => Self::Other(1),
            _ => return None,
        })
    }
}

/// Where the bytes of a storage are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Outside the pickle, under this name.
    Key(&'a str),
    /// In the pickle.
    Bytes(&'a [u8]),
    /// In the pickle, written as text: in [`Pickle::decoded`], from one byte to another.
    Decoded(usize, usize, usize),
}

/// A flat run of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage<'a> {
    /// Where they are.
    pub place: Place<'a>,
    /// Its numbers' type.
    pub dtype: Dtype,
    /// How many there are.
    pub numel: usize,
}

/// A view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorView<'a> {
    /// Where its numbers lie.
    pub storage: Storage<'a>,
    /// Index of the first.
    pub offset: usize,
    /// Sizes, slowest first.
    pub shape: Vec<usize>,
    /// Distance of neighbours along each.
    pub strides: Vec<usize>,
}

/// A value; what has parts lies in [`Pickle::objects`].
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `None`, a float, or a number that does not matter here.
    Plain,
    /// An integer.
    Int(i64),
    /// An integer too long for that, little-endian.
    Long(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// Text with escapes, as the oldest pickles have it.
    Escaped(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Bytes that were written as text, in [`Pickle::decoded`].
    Decoded(usize),
    /// Something with parts.
    Object(usize),
    /// A function or class, one of those that are known.
    Global(Global),
}

/// Functions and classes by what they stand for.
#[derive(Clone, Copy, Debug)]
pub enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2` and the one before it.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: a tensor that learns.
    RebuildParameter,
    /// `torch.storage._load_from_bytes`: a storage with its numbers, in a file of its own.
    LoadFromBytes,
    /// `_codecs.encode`: bytes written as text.
    Encode,
    /// `torch.FloatStorage` and its like.
    Storage(Dtype),
    /// Any other. What it would make is a [`Record`].
    Unknown,
}

impl Global {
    /// By module and name.
    pub fn of(module: &str, name: &str) -> Self {
        match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Self::RebuildParameter,
            ("torch.storage", "_load_from_bytes") => Self::LoadFromBytes,
            ("_codecs", "encode") => Self::Encode,
            ("torch" | "torch.cuda", class) => Dtype::of_storage(class).map_or(Self::Unknown, Self::Storage),
            _ => Self::Unknown,
        }
    }
}

/// Something with parts.
#[derive(Clone, Debug)]
pub enum Object<'a> {
    /// A tuple or list.
    Sequence(Vec<Value<'a>>),
    /// A dict, in the order of insertion.
    Dict(Vec<(Value<'a>, Value<'a>)>),
    /// A persistent id: a storage.
    Storage(Storage<'a>),
    /// A tensor.
    Tensor(TensorView<'a>),
    /// What an unknown class or function would have made.
    Record(Record<'a>),
}

/// An object of an unknown class: what it was to be made from, and nothing made of it.
#[derive(Clone, Debug, Default)]
pub struct Record<'a> {
    /// What its class or function would have been called with, and what was appended to it.
    pub parts: Vec<Value<'a>>,
    /// What was put into it under keys.
    pub entries: Vec<(Value<'a>, Value<'a>)>,
    /// Its attributes: a dict, as a rule.
    pub state: Option<Value<'a>>,
}

/// What a pickle built.
#[derive(Debug)]
pub struct Pickle<'a> {
    /// Everything with parts. They name each other by index, perhaps in circles.
    pub objects: Vec<Object<'a>>,
    /// What was pickled.
    pub root: Value<'a>,
    /// Bytes read.
    pub length: usize,
    /// Bytes that were written as text.
    pub decoded: Vec<Vec<u8>>,
    /// The unknown classes and functions that it names, some of them.
    pub unknown: Vec<String>,
}
