//! The values that a pickle can contain, as plain data.

/// Element types of storages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 16-bit IEEE float (half).
    F16,
    /// bfloat16: the upper half of a 32-bit float.
    Bf16,
    /// Integers or booleans of this many bytes; never used for weights.
    Other(usize),
}

impl Dtype {
    /// Size of an element, in bytes.
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

/// Location of a storage's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Outside the pickle, under this key.
    Key(&'a str),
    /// Inside the pickle.
    Bytes(&'a [u8]),
    /// Inside the pickle, written as text: index in [`Pickle::decoded`], first and end byte.
    Decoded(usize, usize, usize),
}

/// A one-dimensional array of elements, which tensors are views of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage<'a> {
    /// Location of its bytes.
    pub place: Place<'a>,
    /// Element type.
    pub dtype: Dtype,
    /// Number of elements.
    pub numel: usize,
}

/// A tensor as a view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorView<'a> {
    /// The storage with its elements.
    pub storage: Storage<'a>,
    /// Index of the first element.
    pub offset: usize,
    /// Sizes of the dimensions, slowest first.
    pub shape: Vec<usize>,
    /// Distance between neighbors along each dimension, in elements.
    pub strides: Vec<usize>,
}

/// A value on the stack; objects with parts are in [`Pickle::objects`].
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `None`, a boolean, a float, or any other value that does not matter here.
    Plain,
    /// An integer.
    Int(i64),
    /// An integer of more than 64 bits, little-endian.
    Long(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// Text with escapes, as in the oldest pickles.
    Escaped(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Bytes that were written as text: index in [`Pickle::decoded`].
    Decoded(usize),
    /// An object with parts: index in [`Pickle::objects`].
    Object(usize),
    /// A function or class.
    Global(Global),
}

/// The functions and classes that are recognized.
#[derive(Clone, Copy, Debug)]
pub enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2` or its predecessor `_rebuild_tensor`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: a trainable tensor.
    RebuildParameter,
    /// `torch.storage._load_from_bytes`: a storage as a nested file.
    LoadFromBytes,
    /// `_codecs.encode`: bytes written as text.
    Encode,
    /// `torch.FloatStorage` and other storage classes.
    Storage(Dtype),
    /// Any other; calling it makes a [`Record`].
    Unknown,
}

impl Global {
    /// The function or class with this module and name.
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

/// An object with parts.
#[derive(Clone, Debug)]
pub enum Object<'a> {
    /// A tuple or list.
    Sequence(Vec<Value<'a>>),
    /// A dict, in insertion order.
    Dict(Vec<(Value<'a>, Value<'a>)>),
    /// A persistent id: a storage.
    Storage(Storage<'a>),
    /// A tensor.
    Tensor(TensorView<'a>),
    /// The result of an unknown class or function.
    Record(Record<'a>),
}

/// An object of an unknown class: the arguments of its constructor, and its attributes.
#[derive(Clone, Debug, Default)]
pub struct Record<'a> {
    /// Arguments of the class or function, and values appended to the object.
    pub parts: Vec<Value<'a>>,
    /// Items set on the object.
    pub entries: Vec<(Value<'a>, Value<'a>)>,
    /// Its attributes, usually a dict.
    pub state: Option<Value<'a>>,
}

/// The result of reading a pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    /// All objects with parts. They refer to each other by index, possibly in cycles.
    pub objects: Vec<Object<'a>>,
    /// The pickled value.
    pub root: Value<'a>,
    /// Number of bytes read.
    pub length: usize,
    /// Bytes that were written as text.
    pub decoded: Vec<Vec<u8>>,
    /// Some of the names of unknown classes and functions in it.
    pub unknown: Vec<String>,
}
