//! A reader of the pickles that `torch.save` writes (protocol 2). A pickle is a program for a small
//! stack machine, and some of its instructions call Python functions by name; here they build plain data
//! or are refused by name, and nothing is ever run. Limits on what is followed and built keep the memory below 100 MB.

use std::collections::HashMap;

/// Instructions that are followed at most. A state dict has a few thousand; the limit bounds memory.
const MOST_INSTRUCTIONS: usize = 1 << 20;
/// Objects that are built at most; a state dict has a few hundred.
const MOST_OBJECTS: usize = 1 << 16;

/// Why a pickle cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The bytes end early.
    #[error("it is cut off; copy it again")]
    CutOff,
    /// It wants something called that is not plain tensors and dicts.
    #[error(
        "it would call `{0}`, and nothing in a pickle is ever run; save the plain weights: torch.save(model.state_dict(), FILE)"
    )]
    Refused(String),
    /// An instruction that `torch.save` does not use.
    #[error(
        "instruction 0x{0:02x} is not one that torch.save uses; save it anew: torch.save(model.state_dict(), FILE)"
    )]
    Instruction(u8),
    /// Instructions that make no sense.
    #[error("it is damaged ({0}); copy it again")]
    Damaged(&'static str),
    /// More than any state dict needs.
    #[error(
        "it has more than {MOST_INSTRUCTIONS} instructions or {MOST_OBJECTS} objects, far more than any state dict; save the plain weights: torch.save(model.state_dict(), FILE)"
    )]
    TooLong,
}

use PickleError::Damaged;

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

/// A flat run of numbers that lies elsewhere in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage<'a> {
    /// Its name in the file.
    pub key: &'a str,
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
    /// Something with parts.
    Object(usize),
    /// A function or class, one of those that are known.
    Global(Global),
}

/// The only functions and classes that may be named.
#[derive(Clone, Copy, Debug)]
pub enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch.FloatStorage` and its like.
    Storage(Dtype),
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
}

/// Reads one pickle from the beginning of `bytes`.
pub fn read(bytes: &[u8]) -> Result<Pickle<'_>, PickleError> {
    let mut machine =
        Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), objects: Vec::new() };
    for _ in 0..MOST_INSTRUCTIONS {
        if let Some(root) = machine.step()? {
            return Ok(Pickle { objects: machine.objects, root, length: machine.at });
        }
        if machine.objects.len() > MOST_OBJECTS {
            break;
        }
    }
    Err(PickleError::TooLong)
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at which a MARK lies.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    /// One instruction; the result, if it was the last.
    fn step(&mut self) -> Result<Option<Value<'a>>, PickleError> {
        match self.byte()? {
            // PROTO
            0x80 => {
                self.byte()?;
            }
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            // None, True, False
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Plain),
            b'G' => {
                self.array::<8>()?;
                self.stack.push(Value::Plain);
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(value.into()));
            }
            b'K' => {
                let value = self.byte()?;
                self.stack.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(value.into()));
            }
            // LONG1
            0x8a => {
                let length = self.byte()?;
                let bytes = self.take(length.into())?;
                self.stack.push(long(bytes));
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                let bytes = self.take(length as usize)?;
                let text = std::str::from_utf8(bytes).map_err(|_| Damaged("text that is no text"))?;
                self.stack.push(Value::Text(text));
            }
            b')' => self.object(Object::Sequence(Vec::new())),
            b']' => self.object(Object::Sequence(Vec::new())),
            b'}' => self.object(Object::Dict(Vec::new())),
            b't' => {
                let parts = self.since_mark()?;
                self.object(Object::Sequence(parts));
            }
            count @ 0x85..=0x87 => {
                let first = self.height(usize::from(count) - 0x84)?;
                let parts = self.stack.split_off(first);
                self.object(Object::Sequence(parts));
            }
            b'a' => {
                let value = self.pop()?;
                self.extend(vec![value])?;
            }
            b'e' => {
                let values = self.since_mark()?;
                self.extend(values)?;
            }
            b's' => {
                let first = self.height(2)?;
                let pair = self.stack.split_off(first);
                self.insert(&pair)?;
            }
            b'u' => {
                let pairs = self.since_mark()?;
                self.insert(&pairs)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let global = match (module, name) {
                    ("collections", "OrderedDict") => Global::OrderedDict,
                    ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
                    ("torch", class) if Dtype::of_storage(class).is_some() => {
                        Global::Storage(Dtype::of_storage(class).expect("just asked"))
                    }
                    // A name is as long as whoever wrote it liked.
                    _ => return Err(PickleError::Refused(format!("{module}.{name}").chars().take(100).collect())),
                };
                self.stack.push(Value::Global(global));
            }
            // REDUCE: what would be a call.
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let Some(Object::Sequence(arguments)) = self.get(arguments) else {
                    return Err(Damaged("a call without arguments"));
                };
                let made = match function {
                    Value::Global(Global::OrderedDict) if arguments.is_empty() => Object::Dict(Vec::new()),
                    Value::Global(Global::RebuildTensor) => Object::Tensor(self.tensor(arguments)?),
                    _ => return Err(Damaged("a call of what is no function")),
                };
                self.object(made);
            }
            // BUILD: attributes of an OrderedDict (`_metadata`), which say nothing of the tensors.
            b'b' => {
                self.pop()?;
                let Some(Object::Dict(_)) = self.stack.last().and_then(|&value| self.get(value)) else {
                    return Err(Damaged("attributes of what has none"));
                };
            }
            // BINPERSID
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.object(Object::Storage(storage));
            }
            b'q' => {
                let index = self.byte()?;
                self.remember(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.remember(index)?;
            }
            b'h' => {
                let index = self.byte()?;
                self.recall(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index)?;
            }
            other => return Err(PickleError::Instruction(other)),
        }
        Ok(None)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or(PickleError::CutOff)?;
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        Ok(self.take(N)?.try_into().expect("N bytes were taken"))
    }

    /// Up to the next line feed.
    fn line(&mut self) -> Result<&'a str, PickleError> {
        let length = self.bytes[self.at..].iter().position(|&byte| byte == b'\n').ok_or(PickleError::CutOff)?;
        let line = self.take(length)?;
        self.byte()?;
        std::str::from_utf8(line).map_err(|_| Damaged("a name that is no text"))
    }

    fn object(&mut self, object: Object<'a>) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn get(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Object(index) => self.objects.get(index),
            _ => None,
        }
    }

    /// Where the topmost `count` values begin. They must lie above the last mark.
    fn height(&self, count: usize) -> Result<usize, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.len().checked_sub(count).filter(|&first| first >= floor).ok_or(Damaged("too little on its stack"))
    }

    fn pop(&mut self) -> Result<Value<'a>, PickleError> {
        self.height(1)?;
        Ok(self.stack.pop().expect("the height was checked"))
    }

    fn since_mark(&mut self) -> Result<Vec<Value<'a>>, PickleError> {
        let mark = self.marks.pop().ok_or(Damaged("no mark on its stack"))?;
        Ok(self.stack.split_off(mark))
    }

    /// Appends to the list on top.
    fn extend(&mut self, values: Vec<Value<'a>>) -> Result<(), PickleError> {
        match self.top()? {
            Object::Sequence(parts) => parts.extend(values),
            _ => return Err(Damaged("appending to what is no list")),
        }
        Ok(())
    }

    /// Puts keys and values, in turn, into the dict on top.
    fn insert(&mut self, pairs: &[Value<'a>]) -> Result<(), PickleError> {
        let (pairs, rest) = pairs.as_chunks::<2>();
        match self.top()? {
            Object::Dict(entries) if rest.is_empty() => entries.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => return Err(Damaged("items for what is no dict")),
        }
        Ok(())
    }

    fn top(&mut self) -> Result<&mut Object<'a>, PickleError> {
        let last = self.height(1)?;
        match self.stack[last] {
            Value::Object(index) => Ok(&mut self.objects[index]),
            _ => Err(Damaged("parts for what has none")),
        }
    }

    fn remember(&mut self, index: u32) -> Result<(), PickleError> {
        let top = self.height(1)?;
        self.memo.insert(index, self.stack[top]);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), PickleError> {
        let value = self.memo.get(&index).copied().ok_or(Damaged("it recalls what was never there"))?;
        self.stack.push(value);
        Ok(())
    }

    /// `('storage', class, key, device, count)`, in old files with the place of a view behind it.
    fn storage(&self, id: Value<'a>) -> Result<Storage<'a>, PickleError> {
        let parts = match self.get(id) {
            Some(Object::Sequence(parts)) => &parts[..],
            _ => &[],
        };
        match *parts {
            [
                Value::Text("storage"),
                Value::Global(Global::Storage(dtype)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(n),
            ]
            | [
                Value::Text("storage"),
                Value::Global(Global::Storage(dtype)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(n),
                Value::Plain,
            ] => {
                let numel = usize::try_from(n).map_err(|_| Damaged("a storage of negative size"))?;
                Ok(Storage { key, dtype, numel })
            }
            _ => Err(Damaged("a storage that is none")),
        }
    }

    /// Arguments: storage, offset, sizes, strides, and what does not matter here.
    fn tensor(&self, arguments: &[Value<'a>]) -> Result<TensorView<'a>, PickleError> {
        const WRONG: PickleError = Damaged("a tensor that is none");
        let [storage, Value::Int(offset), shape, strides, _, _, ..] = *arguments else { return Err(WRONG) };
        let Some(&Object::Storage(storage)) = self.get(storage) else { return Err(WRONG) };
        let sizes = |value| match self.get(value) {
            Some(Object::Sequence(parts)) if parts.len() <= 8 => parts
                .iter()
                .map(|part| match part {
                    Value::Int(size) => usize::try_from(*size).map_err(|_| WRONG),
                    _ => Err(WRONG),
                })
                .collect::<Result<Vec<_>, _>>(),
            _ => Err(WRONG),
        };
        let (shape, strides) = (sizes(shape)?, sizes(strides)?);
        let offset = usize::try_from(offset).map_err(|_| WRONG)?;
        if shape.len() != strides.len() {
            return Err(WRONG);
        }
        let view = TensorView { storage, offset, shape, strides };
        // The last number it reaches must lie in its storage.
        let reach = || {
            let mut steps = view.shape.iter().zip(&view.strides);
            steps.try_fold(offset, |sum, (size, stride)| sum.checked_add((size - 1).checked_mul(*stride)?))
        };
        match view.shape.contains(&0) || reach().is_some_and(|last| last < view.storage.numel) {
            true => Ok(view),
            false => Err(Damaged("a tensor reaches beyond its storage")),
        }
    }
}

/// A little-endian two's complement integer.
fn long(bytes: &[u8]) -> Value<'_> {
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut value = [if negative { 0xff } else { 0 }; 8];
    value[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(value))
}
