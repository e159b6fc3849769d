//! A reader for pickles of all protocols from 0 to 5. A pickle is a program for a small stack machine, and some of its
//! instructions call Python functions by name; this reader never runs any. Tensors, storages and dicts become plain
//! data, and any other call becomes an inert record of its arguments. Limits on instructions and objects keep memory
//! use below 100 MB.

pub use super::values::*;

use std::collections::HashMap;

/// Maximum number of instructions executed in a pickle, including nested ones. A state dict has a few thousand; the
/// limit bounds memory use.
const MAX_INSTRUCTIONS: usize = 1 << 20;
/// Maximum number of objects; a state dict has a few hundred.
const MAX_OBJECTS: usize = 1 << 16;
/// Maximum number of names of unknown classes that are kept.
const MAX_NAMES: usize = 4;

/// Why a pickle cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The bytes end too early.
    #[error("it is cut off; copy it again")]
    CutOff,
    /// An invalid instruction, or one that this reader does not support.
    #[error(
        "instruction 0x{0:02x} is not one that torch.save or pickle.dump writes; save it again: torch.save(model.state_dict(), FILE)"
    )]
    Instruction(u8),
    /// Inconsistent instructions.
    #[error("it is damaged ({0}); copy it again")]
    Damaged(&'static str),
    /// More instructions or objects than any state dict needs.
    #[error(
        "it has more than {MAX_INSTRUCTIONS} instructions or {MAX_OBJECTS} objects, far more than any state dict; save the plain weights: torch.save(model.state_dict(), FILE)"
    )]
    TooLong,
}

use PickleError::Damaged;

/// What is left of the limits for a file.
pub struct Budget {
    instructions: usize,
    objects: usize,
    /// Number of bytes that may still be decoded from text.
    pub(super) decoded: usize,
    /// Whether a storage may be a nested file.
    pub(super) files: bool,
}

impl Budget {
    /// The limits for a file of this many bytes.
    pub fn of(bytes: usize) -> Self {
        Self { instructions: MAX_INSTRUCTIONS, objects: MAX_OBJECTS, decoded: bytes, files: true }
    }
}

/// Reads one pickle from the start of `bytes`.
pub fn read(bytes: &[u8]) -> Result<Pickle<'_>, PickleError> {
    read_within(bytes, &mut Budget::of(bytes.len()))
}

/// Reads one of several pickles in a file, within the file's limits.
pub fn read_within<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Pickle<'a>, PickleError> {
    let pickle =
        Pickle { objects: Vec::new(), root: Value::Plain, length: 0, decoded: Vec::new(), unknown: Vec::new() };
    let mut machine =
        Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), pickle, budget };
    while machine.budget.instructions > 0 {
        machine.budget.instructions -= 1;
        if let Some(root) = machine.step()? {
            return Ok(Pickle { root, length: machine.at, ..machine.pickle });
        }
        if machine.pickle.objects.len() > machine.budget.objects {
            break;
        }
    }
    Err(PickleError::TooLong)
}

pub(super) struct Machine<'a, 'b> {
    bytes: &'a [u8],
    at: usize,
    pub(super) stack: Vec<Value<'a>>,
    /// Stack heights at which there is a MARK.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    pub(super) pickle: Pickle<'a>,
    pub(super) budget: &'b mut Budget,
}

impl<'a> Machine<'a, '_> {
    /// Executes an instruction; returns the result if it was the last.
    fn step(&mut self) -> Result<Option<Value<'a>>, PickleError> {
        match self.byte()? {
            // PROTO
            0x80 => {
                self.byte()?;
            }
            // FRAME
            0x95 => {
                self.array::<8>()?;
            }
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            // POP, which removes the mark if that is on top.
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
            }
            b'0' => {
                self.pop()?;
            }
            // POP_MARK, DUP
            b'1' => {
                self.since_mark()?;
            }
            b'2' => {
                let top = self.height(1)?;
                self.stack.push(self.stack[top]);
            }
            instruction @ (b'I' | b'J' | b'K' | b'M' | b'L' | b'F' | b'G' | b'N' | 0x88..=0x8b) => {
                let value = self.number(instruction)?;
                self.stack.push(value);
            }
            instruction @ (b'V' | b'S' | b'X' | b'T' | b'U' | 0x8c | 0x8d) => {
                let value = self.text(instruction)?;
                self.stack.push(value);
            }
            // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
            instruction @ (b'C' | b'B' | 0x8e | 0x96) => {
                let width = match instruction {
                    b'C' => 1,
                    b'B' => 4,
                    _ => 8,
                };
                let bytes = self.sized(width)?;
                self.stack.push(Value::Bytes(bytes));
            }
            // Empty tuple, list and set; empty dict.
            b')' | b']' | 0x8f => self.object(Object::Sequence(Vec::new())),
            b'}' => self.object(Object::Dict(Vec::new())),
            // TUPLE, LIST, FROZENSET; DICT
            b't' | b'l' | 0x91 => {
                let parts = self.since_mark()?;
                self.object(Object::Sequence(parts));
            }
            b'd' => {
                let pairs = self.since_mark()?;
                self.object(Object::Dict(Vec::new()));
                self.insert(&pairs)?;
            }
            count @ 0x85..=0x87 => {
                let parts = self.top_values(usize::from(count) - 0x84)?;
                self.object(Object::Sequence(parts));
            }
            b'a' => {
                let value = self.pop()?;
                self.extend(vec![value])?;
            }
            // APPENDS, ADDITEMS
            b'e' | 0x90 => {
                let values = self.since_mark()?;
                self.extend(values)?;
            }
            b's' => {
                let pair = self.top_values(2)?;
                self.insert(&pair)?;
            }
            b'u' => {
                let pairs = self.since_mark()?;
                self.insert(&pairs)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(text(module)?, text(name)?);
            }
            // STACK_GLOBAL
            0x93 => match self.top_values(2)?[..] {
                [Value::Text(module), Value::Text(name)] => self.global(module, name),
                _ => return Err(Damaged("a name that is not text")),
            },
            // REDUCE, NEWOBJ: calls.
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let Some(Object::Sequence(arguments)) = self.get(arguments) else {
                    return Err(Damaged("a call without arguments"));
                };
                let arguments = arguments.clone();
                self.call(function, arguments)?;
            }
            // NEWOBJ_EX
            0x92 => {
                let parts = self.top_values(3)?;
                self.object(Object::Record(Record { parts, ..Record::default() }));
            }
            // OBJ, INST
            b'o' => {
                let parts = self.since_mark()?;
                self.object(Object::Record(Record { parts, ..Record::default() }));
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let parts = self.since_mark()?;
                self.global(text(module)?, text(name)?);
                self.pop()?;
                self.object(Object::Record(Record { parts, ..Record::default() }));
            }
            // BUILD: attributes. Those of an OrderedDict (`_metadata`) and of a tensor do not affect the values.
            b'b' => {
                let state = self.pop()?;
                match self.top()? {
                    Object::Record(record) => record.state = Some(state),
                    Object::Dict(_) | Object::Tensor(_) => {}
                    _ => return Err(Damaged("attributes of something that has none")),
                }
            }
            // BINPERSID
            b'Q' => {
                let id = self.pop()?;
                self.persistent(id)?;
            }
            b'q' => {
                let index = self.byte()?;
                self.remember(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.remember(index)?;
            }
            // MEMOIZE, PUT
            0x94 => {
                let index = u32::try_from(self.memo.len()).map_err(|_| PickleError::TooLong)?;
                self.remember(index)?;
            }
            b'p' => {
                let index = self.index()?;
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
            // GET
            b'g' => {
                let index = self.index()?;
                self.recall(index)?;
            }
            other => return Err(PickleError::Instruction(other)),
        }
        Ok(None)
    }

    /// Reads a number, `None`, `True` or `False`.
    fn number(&mut self, instruction: u8) -> Result<Value<'a>, PickleError> {
        Ok(match instruction {
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            // INT, LONG: `I01` is `True`, and `L5L` is 5.
            b'I' | b'L' => {
                let line = text(self.line()?)?;
                match line.strip_suffix('L').unwrap_or(line) {
                    "00" | "01" => Value::Plain,
                    digits => digits.parse().map_or(Value::Plain, Value::Int),
                }
            }
            // LONG1, LONG4
            0x8a => long(self.sized(1)?),
            0x8b => long(self.sized(4)?),
            b'G' => {
                self.array::<8>()?;
                Value::Plain
            }
            b'F' => {
                self.line()?;
                Value::Plain
            }
            _ => Value::Plain,
        })
    }

    fn text(&mut self, instruction: u8) -> Result<Value<'a>, PickleError> {
        let bytes = match instruction {
            // UNICODE, STRING: a line with escapes; STRING is in quotes.
            b'V' | b'S' => {
                let line = self.line()?;
                let bare = match line {
                    [b'\'' | b'"', bare @ .., _] if instruction == b'S' => bare,
                    _ => line,
                };
                return Ok(match std::str::from_utf8(bare) {
                    Ok(text) if text.is_ascii() && !text.contains('\\') => Value::Text(text),
                    _ => Value::Escaped(bare),
                });
            }
            b'U' | 0x8c => self.sized(1)?,
            0x8d => self.sized(8)?,
            _ => self.sized(4)?,
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Value::Text(text)),
            // Python 2 did not distinguish bytes from text.
            Err(_) if matches!(instruction, b'T' | b'U') => Ok(Value::Bytes(bytes)),
            Err(_) => Err(Damaged("invalid text")),
        }
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

    /// Reads bytes preceded by their count, which has `width` bytes.
    fn sized(&mut self, width: usize) -> Result<&'a [u8], PickleError> {
        let mut count = [0; 8];
        count[..width].copy_from_slice(self.take(width)?);
        self.take(usize::try_from(u64::from_le_bytes(count)).map_err(|_| PickleError::CutOff)?)
    }

    /// Reads up to the next line feed.
    fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let length = self.bytes[self.at..].iter().position(|&byte| byte == b'\n').ok_or(PickleError::CutOff)?;
        let line = self.take(length)?;
        self.byte()?;
        Ok(line)
    }

    /// Reads a line with a memo index.
    fn index(&mut self) -> Result<u32, PickleError> {
        text(self.line()?)?.parse().map_err(|_| Damaged("an invalid number"))
    }

    pub(super) fn object(&mut self, object: Object<'a>) {
        self.stack.push(Value::Object(self.pickle.objects.len()));
        self.pickle.objects.push(object);
    }

    fn global(&mut self, module: &str, name: &str) {
        let global = Global::of(module, name);
        if matches!(global, Global::Unknown) && self.pickle.unknown.len() < MAX_NAMES {
            // The length of a name is up to whoever wrote the file.
            let name = format!("{module}.{name}").chars().take(100).collect();
            if !self.pickle.unknown.contains(&name) {
                self.pickle.unknown.push(name);
            }
        }
        self.stack.push(Value::Global(global));
    }

    pub(super) fn get(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Object(index) => self.pickle.objects.get(index),
            _ => None,
        }
    }

    /// The stack index of the topmost `count` values, which must be above the last mark.
    fn height(&self, count: usize) -> Result<usize, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack
            .len()
            .checked_sub(count)
            .filter(|&first| first >= floor)
            .ok_or(Damaged("too few values on the stack"))
    }

    fn pop(&mut self) -> Result<Value<'a>, PickleError> {
        self.height(1)?;
        Ok(self.stack.pop().expect("the height was checked"))
    }

    fn top_values(&mut self, count: usize) -> Result<Vec<Value<'a>>, PickleError> {
        let first = self.height(count)?;
        Ok(self.stack.split_off(first))
    }

    fn since_mark(&mut self) -> Result<Vec<Value<'a>>, PickleError> {
        let mark = self.marks.pop().ok_or(Damaged("no mark on the stack"))?;
        Ok(self.stack.split_off(mark))
    }

    /// Appends to the list on top of the stack.
    fn extend(&mut self, values: Vec<Value<'a>>) -> Result<(), PickleError> {
        match self.top()? {
            Object::Sequence(parts) | Object::Record(Record { parts, .. }) => parts.extend(values),
            _ => return Err(Damaged("appending to something that is not a list")),
        }
        Ok(())
    }

    /// Inserts alternating keys and values into the dict on top of the stack.
    fn insert(&mut self, pairs: &[Value<'a>]) -> Result<(), PickleError> {
        let (pairs, rest) = pairs.as_chunks::<2>();
        match self.top()? {
            Object::Dict(entries) | Object::Record(Record { entries, .. }) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            _ => return Err(Damaged("items for something that is not a dict")),
        }
        Ok(())
    }

    fn top(&mut self) -> Result<&mut Object<'a>, PickleError> {
        let last = self.height(1)?;
        match self.stack[last] {
            Value::Object(index) => Ok(&mut self.pickle.objects[index]),
            _ => Err(Damaged("state for something that has none")),
        }
    }

    fn remember(&mut self, index: u32) -> Result<(), PickleError> {
        let top = self.height(1)?;
        self.memo.insert(index, self.stack[top]);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), PickleError> {
        let value = self.memo.get(&index).copied().ok_or(Damaged("a reference to a missing object"))?;
        self.stack.push(value);
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str, PickleError> {
    std::str::from_utf8(bytes).map_err(|_| Damaged("a name that is not text"))
}

/// Parses a little-endian two's complement integer.
fn long(bytes: &[u8]) -> Value<'_> {
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut value = [if negative { 0xff } else { 0 }; 8];
    value[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(value))
}
