//! The results of the calls in a pickle, as plain data: tensors, storages and dicts; for any other call, a record.

use super::legacy;
use super::pickle::{Machine, Object, PickleError, Place, Record, Storage, TensorView, Value};
use super::values::Global;
use PickleError::Damaged;

impl<'a> Machine<'a, '_> {
    /// Pushes the result of a call, if it is plain data, or else a record of the arguments.
    pub(super) fn call(&mut self, function: Value<'a>, arguments: Vec<Value<'a>>) -> Result<(), PickleError> {
        let Value::Global(function) = function else {
            return Err(Damaged("a call of something that is not a function"));
        };
        let object = match (function, &arguments[..]) {
            (Global::OrderedDict, []) => Object::Dict(Vec::new()),
            (Global::OrderedDict, &[pairs]) => Object::Dict(self.pairs(pairs)?),
            (Global::RebuildTensor, arguments) => Object::Tensor(self.tensor(arguments)?),
            (Global::RebuildParameter, &[tensor, ..]) => {
                self.stack.push(tensor);
                return Ok(());
            }
            (Global::LoadFromBytes, &[file]) => Object::Storage(self.storage_file(file)?),
            (Global::Encode, &[text, ..]) => {
                let bytes = self.encode(text)?;
                self.stack.push(bytes);
                return Ok(());
            }
            _ => Object::Record(Record { parts: arguments, ..Record::default() }),
        };
        self.object(object);
        Ok(())
    }

    /// Reads a list of pairs, the form in which the oldest dicts are written.
    fn pairs(&self, list: Value<'a>) -> Result<Vec<(Value<'a>, Value<'a>)>, PickleError> {
        let wrong = || Damaged("items for something that is not a dict");
        let Some(Object::Sequence(pairs)) = self.get(list) else { return Err(wrong()) };
        let pair = |&pair: &Value<'a>| match self.get(pair) {
            Some(Object::Sequence(parts)) => match parts[..] {
                [key, value] => Ok((key, value)),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        };
        pairs.iter().map(pair).collect()
    }

    /// Resolves a persistent id: a storage, as `('storage', class, key, device, count)`, in old files followed by view
    /// metadata; or a class with its source code, as `('module', class, file, code)`.
    pub(super) fn persistent(&mut self, id: Value<'a>) -> Result<(), PickleError> {
        let parts = match self.get(id) {
            Some(Object::Sequence(parts)) => &parts[..],
            _ => &[],
        };
        match *parts {
            [Value::Text("module"), class @ Value::Global(_), ..] => self.stack.push(class),
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
                self.object(Object::Storage(Storage { place: Place::Key(key), dtype, numel }));
            }
            _ => return Err(Damaged("an invalid storage")),
        }
        Ok(())
    }

    /// Reads a storage that is a complete file in itself.
    fn storage_file(&mut self, file: Value<'a>) -> Result<Storage<'a>, PickleError> {
        const WRONG: PickleError = Damaged("an invalid storage");
        if !self.budget.files {
            return Err(WRONG);
        }
        self.budget.files = false;
        let bytes = match file {
            Value::Bytes(bytes) => bytes,
            Value::Text(text) => text.as_bytes(),
            Value::Decoded(index) => &self.pickle.decoded[index],
            _ => return Err(WRONG),
        };
        let (dtype, numel, range) = legacy::storage(bytes, self.budget)?;
        self.budget.files = true;
        let place = match file {
            Value::Bytes(bytes) => Place::Bytes(&bytes[range]),
            Value::Text(text) => Place::Bytes(&text.as_bytes()[range]),
            Value::Decoded(index) => Place::Decoded(index, range.start, range.end),
            _ => return Err(WRONG),
        };
        Ok(Storage { place, dtype, numel })
    }

    /// Converts text whose characters stand for bytes.
    fn encode(&mut self, text: Value<'a>) -> Result<Value<'a>, PickleError> {
        const WRONG: PickleError = Damaged("invalid bytes");
        let (bytes, budget) = match text {
            Value::Text(text) => (text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(), text.len()),
            Value::Escaped(line) => (unescape(line), line.len()),
            _ => return Err(WRONG),
        };
        let bytes: Vec<u8> = Option::ok_or(bytes, WRONG)?;
        self.budget.decoded = self.budget.decoded.checked_sub(budget).ok_or(PickleError::TooLong)?;
        self.pickle.decoded.push(bytes);
        Ok(Value::Decoded(self.pickle.decoded.len() - 1))
    }

    /// Builds a tensor view from the arguments: storage, offset, sizes, strides, and others that do not matter here.
    fn tensor(&self, arguments: &[Value<'a>]) -> Result<TensorView<'a>, PickleError> {
        const WRONG: PickleError = Damaged("an invalid tensor");
        let [storage, Value::Int(offset), shape, strides, ..] = *arguments else { return Err(WRONG) };
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
        // The last element must lie inside the storage.
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

/// Decodes Latin-1 text in which some characters are written as `\uXXXX`.
fn unescape(line: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'\\' && after.first() == Some(&b'u') {
            let code = std::str::from_utf8(after.get(1..5)?).ok()?;
            out.push(u8::try_from(u32::from_str_radix(code, 16).ok()?).ok()?);
            rest = &after[5..];
        } else {
            out.push(first);
        }
    }
    Some(out)
}
