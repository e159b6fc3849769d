//! The file formats of PyTorch weights: what `torch.save` writes, which is a zip archive (since PyTorch 1.6) or pickles
//! followed by the tensor data (before that, and on request), and what `pickle.dump` writes, a pickle that contains the
//! data. Tensor data is read only for the tensors that are requested.

use super::legacy;
use super::pickle::{self, Budget, Dtype, Object, Pickle, PickleError, Place, Record, Storage, TensorView, Value};
use std::collections::HashSet;
use std::io::{Cursor, Read};

/// The first bytes of a zip archive.
const ZIP: [u8; 4] = *b"PK\x03\x04";
/// Maximum size of the pickle in an archive, in bytes; a state dict has a few thousand.
const MAX_PICKLE: u64 = 16 << 20;
/// Maximum size of a storage, in bytes. The seed network's weights are 23 MB.
const MAX_STORAGE: u64 = 512 << 20;
/// Maximum depth of nested dicts.
const DEEPEST: usize = 8;
/// Maximum number of dicts, and of tensors in all of them.
const MAX_DICTS: usize = 256;
const MAX_TENSORS: usize = 4096;

/// Why a PyTorch file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// Not a PyTorch file.
    #[error(
        "this file was not written by torch.save or pickle.dump; save the weights with torch.save(model.state_dict(), FILE)"
    )]
    Neither,
    /// The pickle inside cannot be read.
    #[error("this PyTorch file cannot be read: {0}")]
    Pickle(#[from] PickleError),
    /// The archive is damaged.
    #[error("this PyTorch file cannot be read: its archive is damaged ({0}); copy it again")]
    Zip(String),
    /// The data of a storage cannot be read.
    #[error("storage {0:?} cannot be read: {1}")]
    Storage(String, &'static str),
}

/// A tensor and its name: keys joined by dots.
#[derive(Clone, Debug)]
pub struct Named<'a> {
    /// Its name, relative to the dict of its group.
    pub name: String,
    /// Its view of a storage.
    pub view: TensorView<'a>,
}

/// A dict, with the tensors in it and below it.
#[derive(Debug)]
pub struct Group<'a> {
    /// The keys that lead to it, joined by dots; empty for the outermost dict.
    pub path: String,
    /// Its tensors, in insertion order.
    pub tensors: Vec<Named<'a>>,
}

/// The bytes of a file, with the pickle unpacked if the file is an archive.
pub struct Source<'a> {
    file: &'a [u8],
    /// For an archive: the path prefix of its entries, and the pickle.
    archive: Option<(String, Vec<u8>)>,
}

/// Where tensor data outside the pickle is stored.
enum Numbers<'a> {
    /// In an archive, one entry per storage, with this path prefix.
    Zip(Box<zip::ZipArchive<Cursor<&'a [u8]>>>, &'a str),
    /// In the file: each key with its bytes.
    Known(Vec<(&'a str, &'a [u8])>),
}

/// An opened file.
pub struct File<'a> {
    pickle: Pickle<'a>,
    numbers: Numbers<'a>,
    big_endian: bool,
    /// The storage read last, cached because weights on a GPU often share one.
    last: Option<(String, Vec<u8>)>,
}

fn zip_error(error: impl std::fmt::Display) -> TorchError {
    TorchError::Zip(error.to_string())
}

impl<'a> Source<'a> {
    /// Determines the format of a file.
    pub fn new(file: &'a [u8]) -> Result<Self, TorchError> {
        if !file.starts_with(&ZIP) {
            return Ok(Self { file, archive: None });
        }
        let mut archive = zip::ZipArchive::new(Cursor::new(file)).map_err(zip_error)?;
        let pickle = |name: &str| name == "data.pkl" || name.ends_with("/data.pkl");
        let name = archive.file_names().filter_map(Result::ok).find(|name| pickle(name));
        let name = name.ok_or(TorchError::Neither)?.into_owned();
        let pickle = entry(&mut archive, &name, MAX_PICKLE)?;
        let folder = name.strip_suffix("data.pkl").unwrap_or_default().to_owned();
        Ok(Self { file, archive: Some((folder, pickle)) })
    }

    /// Reads the structure of the file, without the tensor data.
    pub fn open(&self) -> Result<File<'_>, TorchError> {
        let Some((folder, bytes)) = &self.archive else { return self.open_pickles() };
        let mut archive = zip::ZipArchive::new(Cursor::new(self.file)).map_err(zip_error)?;
        let order = format!("{folder}byteorder");
        let big_endian = archive.index_for_name(&order).is_some() && entry(&mut archive, &order, 16)? == b"big";
        let pickle = pickle::read(bytes)?;
        Ok(File { pickle, numbers: Numbers::Zip(Box::new(archive), folder), big_endian, last: None })
    }

    fn open_pickles(&self) -> Result<File<'_>, TorchError> {
        let mut budget = Budget::of(self.file.len());
        let first = match pickle::read_within(self.file, &mut budget) {
            Ok(first) => first,
            // Every protocol except the oldest starts with this byte.
            Err(error) if self.file.first() == Some(&0x80) => return Err(error.into()),
            Err(_) => return Err(TorchError::Neither),
        };
        let (pickle, numbers) = match legacy::is_mark(&first) {
            true => legacy::read(self.file, first.length, &mut budget)?,
            false => (first, Vec::new()),
        };
        let numbers = numbers.into_iter().map(|(key, range)| (key, &self.file[range])).collect();
        Ok(File { pickle, numbers: Numbers::Known(numbers), big_endian: false, last: None })
    }
}

/// Unpacks an entry; fails if it has more than `most` bytes, whatever size the archive declares.
fn entry(archive: &mut zip::ZipArchive<Cursor<&[u8]>>, name: &str, most: u64) -> Result<Vec<u8>, TorchError> {
    let file = archive.by_name(name).map_err(zip_error)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(zip_error)?;
    if bytes.len() as u64 > most {
        return Err(zip_error(format!("{name} is larger than any that torch.save writes for this network")));
    }
    Ok(bytes)
}

impl<'a> File<'a> {
    /// Some of the names of unknown classes and functions in the file.
    pub fn unknown(&self) -> &[String] {
        &self.pickle.unknown
    }

    /// Every dict that contains tensors, the outermost first.
    pub fn groups(&self) -> Vec<Group<'a>> {
        let mut groups = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting = vec![(self.pickle.root, Vec::new())];
        let mut left = MAX_TENSORS;
        while let Some((value, path)) = waiting.pop() {
            let Value::Object(index) = value else { continue };
            if path.len() > DEEPEST || groups.len() >= MAX_DICTS || !seen.insert(index) {
                continue;
            }
            let mut tensors = Vec::new();
            self.below(value, &mut Vec::new(), &mut HashSet::new(), left, &mut tensors);
            if tensors.is_empty() {
                continue;
            }
            left -= tensors.len();
            groups.push(Group { path: path.join("."), tensors });
            for (key, child) in self.children(index).into_iter().rev() {
                let mut path = path.clone();
                path.push(key);
                waiting.push((child, path));
            }
        }
        groups
    }

    /// Collects the tensors below a value, at most `most`.
    fn below(
        &self,
        value: Value<'a>,
        path: &mut Vec<String>,
        seen: &mut HashSet<usize>,
        most: usize,
        out: &mut Vec<Named<'a>>,
    ) {
        let Value::Object(index) = value else { return };
        if path.len() > DEEPEST || out.len() >= most {
            return;
        }
        if let Object::Tensor(view) = &self.pickle.objects[index] {
            out.push(Named { name: path.join("."), view: view.clone() });
        } else if seen.insert(index) {
            for (key, child) in self.children(index) {
                path.push(key);
                self.below(child, path, seen, most, out);
                path.pop();
            }
        }
    }

    /// The children of an object that are objects themselves, with their keys or indices.
    fn children(&self, index: usize) -> Vec<(String, Value<'a>)> {
        match &self.pickle.objects[index] {
            Object::Dict(entries) => named(entries),
            Object::Sequence(parts) => numbered(parts),
            Object::Record(record) => self.children_of_record(record),
            Object::Storage(_) | Object::Tensor(_) => Vec::new(),
        }
    }

    /// For a module, the entries of its state dict; for any other object, all of its children.
    fn children_of_record(&self, record: &Record<'a>) -> Vec<(String, Value<'a>)> {
        let Some(Value::Object(state)) = record.state else { return self.parts_of_record(record) };
        if let Object::Dict(attributes) = &self.pickle.objects[state] {
            let of_module = ["_parameters", "_buffers", "_modules"].map(|name| {
                attributes
                    .iter()
                    .find(|(key, _)| matches!(key, Value::Text(key) if *key == name))
                    .map(|(_, value)| *value)
            });
            if let [Some(parameters), buffers, Some(modules)] = of_module {
                let dicts = [Some(parameters), buffers, Some(modules)].into_iter().flatten();
                let inside = dicts.filter_map(|value| match value {
                    Value::Object(index) => Some(&self.pickle.objects[index]),
                    _ => None,
                });
                return inside
                    .filter_map(|object| match object {
                        Object::Dict(entries) => Some(named(entries)),
                        _ => None,
                    })
                    .flatten()
                    .collect();
            }
        }
        [self.children(state), self.parts_of_record(record)].concat()
    }

    fn parts_of_record(&self, record: &Record<'a>) -> Vec<(String, Value<'a>)> {
        [named(&record.entries), numbered(&record.parts)].concat()
    }

    /// The elements of a tensor as 32-bit floats, row-major. The caller has to check its shape, which determines the
    /// memory used.
    pub fn numbers(&mut self, view: &TensorView) -> Result<Vec<f32>, TorchError> {
        let Storage { place, dtype, numel } = view.storage;
        let name = match place {
            Place::Key(key) => key,
            _ => "in the pickle",
        };
        let wrong = |what| TorchError::Storage(name.to_owned(), what);
        let length = numel.checked_mul(dtype.size()).ok_or_else(|| wrong("it is too large"))?;
        let big_endian = self.big_endian;
        let bytes = match (place, &mut self.numbers) {
            (Place::Bytes(bytes), _) => bytes,
            (Place::Decoded(index, from, to), _) => &self.pickle.decoded[index][from..to],
            (Place::Key(key), Numbers::Known(all)) => all
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, bytes)| *bytes)
                .ok_or_else(|| wrong("it is missing"))?,
            (Place::Key(key), Numbers::Zip(archive, folder)) => {
                if self.last.as_ref().is_none_or(|(name, _)| name != key) {
                    if length as u64 > MAX_STORAGE {
                        return Err(wrong("it is too large"));
                    }
                    self.last = Some((key.to_owned(), entry(archive, &format!("{folder}data/{key}"), length as u64)?));
                }
                self.last.as_ref().map_or(&[][..], |(_, bytes)| bytes)
            }
        };
        if bytes.len() != length {
            return Err(wrong("its length does not match its tensors"));
        }
        let number = |index: usize| -> f32 {
            let size = dtype.size();
            let mut raw = [0; 8];
            raw[..size].copy_from_slice(&bytes[index * size..][..size]);
            if big_endian {
                raw[..size].reverse();
            }
            let [a, b, c, d, ..] = raw;
            match dtype {
                Dtype::F64 => f64::from_le_bytes(raw) as f32,
                Dtype::Bf16 => f32::from_bits(u32::from(u16::from_le_bytes([a, b])) << 16),
                Dtype::F16 => half::f16::from_le_bytes([a, b]).to_f32(),
                _ => f32::from_le_bytes([a, b, c, d]),
            }
        };
        if matches!(dtype, Dtype::Other(_)) {
            return Err(wrong("it holds integers, but weights are floating-point numbers"));
        }
        let count = view.shape.iter().product();
        let mut out = Vec::with_capacity(count);
        let mut place = vec![0; view.shape.len()];
        for _ in 0..count {
            let index: usize = place.iter().zip(&view.strides).map(|(at, stride)| at * stride).sum();
            out.push(number(view.offset + index));
            for (at, size) in place.iter_mut().zip(&view.shape).rev() {
                *at += 1;
                if *at < *size {
                    break;
                }
                *at = 0;
            }
        }
        Ok(out)
    }
}

/// The values of a dict that are objects, with their keys.
fn named<'a>(entries: &[(Value<'a>, Value<'a>)]) -> Vec<(String, Value<'a>)> {
    let inner = entries.iter().filter(|(_, value)| matches!(value, Value::Object(_)));
    inner
        .map(|&(key, value)| {
            let key = match key {
                Value::Text(text) => text.chars().take(200).collect(),
                Value::Int(number) => number.to_string(),
                _ => "?".to_owned(),
            };
            (key, value)
        })
        .collect()
}

/// The values of a list that are objects, with their indices.
fn numbered<'a>(parts: &[Value<'a>]) -> Vec<(String, Value<'a>)> {
    let inner = parts.iter().enumerate().filter(|(_, value)| matches!(value, Value::Object(_)));
    inner.map(|(number, &value)| (number.to_string(), value)).collect()
}
