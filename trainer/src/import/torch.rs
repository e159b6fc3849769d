//! The two files that `torch.save` writes: a zip archive (since PyTorch 1.6), or pickles with the numbers behind
//! them (before, and on request). Numbers are read only for the tensors that are asked for.

use super::pickle::{self, Dtype, Object, Pickle, PickleError, Storage, TensorView, Value};
use std::collections::HashSet;
use std::io::{Cursor, Read};

/// How a zip archive begins.
const ZIP: [u8; 4] = *b"PK\x03\x04";
/// `torch.save`'s mark of the form without zip, as a little-endian integer.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Version of the form without zip.
const PROTOCOL: i64 = 1001;
/// The largest pickle in an archive that is looked at, in bytes; a state dict's has a few thousand.
const MOST_PICKLE: u64 = 16 << 20;
/// The largest storage that is read, in bytes. The seed network's weights are 23 MB.
const MOST_STORAGE: u64 = 512 << 20;
/// Dicts inside dicts are followed this deep.
const DEEPEST: usize = 8;
/// Dicts that are looked at, and tensors in all of them, at most.
const MOST_DICTS: usize = 256;
const MOST_TENSORS: usize = 4096;

/// Why a PyTorch file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// Neither form.
    #[error("this is no file that torch.save writes; save the weights with torch.save(model.state_dict(), FILE)")]
    Neither,
    /// The pickle inside.
    #[error("this PyTorch file cannot be read: {0}")]
    Pickle(#[from] PickleError),
    /// The archive around it.
    #[error("this PyTorch file cannot be read: its archive is damaged ({0}); copy it again")]
    Zip(String),
    /// The numbers.
    #[error("the numbers of storage {0:?} cannot be read: {1}")]
    Storage(String, &'static str),
}

/// A tensor and the names that lead to it, joined by dots.
#[derive(Clone, Debug)]
pub struct Named<'a> {
    /// Its name in its dict.
    pub name: String,
    /// What it is.
    pub view: TensorView<'a>,
}

/// A dict, and the tensors in it and below it.
#[derive(Debug)]
pub struct Group<'a> {
    /// The keys that lead to it, joined by dots; empty for the outermost.
    pub path: String,
    /// In the order of insertion.
    pub tensors: Vec<Named<'a>>,
}

/// Bytes of the file, the pickle unpacked if it was in an archive.
pub struct Source<'a> {
    file: &'a [u8],
    /// From the archive: its folder, and the pickle.
    archive: Option<(String, Vec<u8>)>,
}

/// Where the numbers lie.
enum Numbers<'a> {
    /// In an archive, one entry each, in this folder.
    Zip(Box<zip::ZipArchive<Cursor<&'a [u8]>>>, &'a str),
    /// One after another: each key with its bytes.
    Behind(Vec<(&'a str, &'a [u8])>),
}

/// An opened file.
pub struct File<'a> {
    pickle: Pickle<'a>,
    numbers: Numbers<'a>,
    big_endian: bool,
    /// The storage read last: weights on a GPU often share one.
    last: Option<(String, Vec<u8>)>,
}

fn zip_error(error: impl std::fmt::Display) -> TorchError {
    TorchError::Zip(error.to_string())
}

impl<'a> Source<'a> {
    /// Looks which form it is.
    pub fn new(file: &'a [u8]) -> Result<Self, TorchError> {
        if !file.starts_with(&ZIP) {
            return Ok(Self { file, archive: None });
        }
        let mut archive = zip::ZipArchive::new(Cursor::new(file)).map_err(zip_error)?;
        let pickle = |name: &str| name == "data.pkl" || name.ends_with("/data.pkl");
        let name = archive.file_names().filter_map(Result::ok).find(|name| pickle(name));
        let name = name.ok_or(TorchError::Neither)?.into_owned();
        let pickle = entry(&mut archive, &name, MOST_PICKLE)?;
        let folder = name.strip_suffix("data.pkl").unwrap_or_default().to_owned();
        Ok(Self { file, archive: Some((folder, pickle)) })
    }

    /// Reads what is in it, but for the numbers.
    pub fn open(&self) -> Result<File<'_>, TorchError> {
        let Some((folder, bytes)) = &self.archive else { return self.open_legacy() };
        let mut archive = zip::ZipArchive::new(Cursor::new(self.file)).map_err(zip_error)?;
        let order = format!("{folder}byteorder");
        let big_endian = archive.index_for_name(&order).is_some() && entry(&mut archive, &order, 16)? == b"big";
        let pickle = pickle::read(bytes)?;
        Ok(File { pickle, numbers: Numbers::Zip(Box::new(archive), folder), big_endian, last: None })
    }

    /// Five pickles (mark, version, sizes of the machine, what was saved, keys of its storages),
    /// then for each key the count of its numbers and they themselves.
    fn open_legacy(&self) -> Result<File<'_>, TorchError> {
        let mut rest = self.file;
        let mut next = || -> Result<Pickle<'_>, PickleError> {
            let pickle = pickle::read(rest)?;
            rest = &rest[pickle.length..];
            Ok(pickle)
        };
        match next() {
            Ok(Pickle { root: Value::Long(mark), .. }) if mark == MAGIC => {}
            // `pickle.dump` and old versions have what was saved right here: say what it would call.
            Err(refused @ PickleError::Refused(_)) => return Err(refused.into()),
            _ => return Err(TorchError::Neither),
        }
        match next()?.root {
            Value::Int(PROTOCOL) => {}
            _ => return Err(PickleError::Damaged("an unknown version").into()),
        }
        next()?; // Sizes of numbers, and the order of their bytes: `torch.save` writes it little-endian anyway.
        let pickle = next()?;
        let keys = next()?;
        let Value::Object(keys_at) = keys.root else { return Err(PickleError::Damaged("no list of storages").into()) };
        let Object::Sequence(list) = &keys.objects[keys_at] else {
            return Err(PickleError::Damaged("no list of storages").into());
        };
        let known: Vec<Storage> = pickle
            .objects
            .iter()
            .filter_map(|object| match object {
                Object::Storage(storage) => Some(*storage),
                _ => None,
            })
            .collect();
        let mut behind = Vec::new();
        for key in list {
            let Value::Text(key) = *key else { return Err(PickleError::Damaged("a storage without a name").into()) };
            let Some(storage) = known.iter().find(|storage| storage.key == key) else {
                return Err(PickleError::Damaged("a storage that nothing needs").into());
            };
            let (count, after) = rest.split_first_chunk::<8>().ok_or(PickleError::CutOff)?;
            let count = usize::try_from(i64::from_le_bytes(*count)).ok();
            let length = count.and_then(|count| count.checked_mul(storage.dtype.size()));
            let length = length.ok_or(PickleError::Damaged("a storage of impossible size"))?;
            behind.push((key, after.get(..length).ok_or(PickleError::CutOff)?));
            rest = &after[length..];
        }
        Ok(File { pickle, numbers: Numbers::Behind(behind), big_endian: false, last: None })
    }
}

/// Unpacks an entry of at most `most` bytes, whatever the archive says of it.
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
    /// Every dict that has tensors, the outermost first.
    pub fn groups(&self) -> Vec<Group<'a>> {
        let mut groups = Vec::new();
        let mut seen = HashSet::new();
        let mut waiting = vec![(self.pickle.root, Vec::new())];
        let mut left = MOST_TENSORS;
        while let Some((value, path)) = waiting.pop() {
            let Value::Object(index) = value else { continue };
            if path.len() > DEEPEST || groups.len() >= MOST_DICTS || !seen.insert(index) {
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

    /// All tensors below a value, or the first `most`.
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

    /// The parts of an object that have parts, with their keys or numbers.
    fn children(&self, index: usize) -> Vec<(String, Value<'a>)> {
        let inner = |value: &Value| matches!(value, Value::Object(_));
        match &self.pickle.objects[index] {
            Object::Dict(entries) => {
                let named = entries.iter().filter(|(_, value)| inner(value)).map(|&(key, value)| {
                    let key = match key {
                        Value::Text(text) => text.chars().take(200).collect(),
                        Value::Int(number) => number.to_string(),
                        _ => "?".to_owned(),
                    };
                    (key, value)
                });
                named.collect()
            }
            Object::Sequence(parts) => {
                let numbered = parts.iter().enumerate().filter(|(_, value)| inner(value));
                numbered.map(|(number, &value)| (number.to_string(), value)).collect()
            }
            Object::Storage(_) | Object::Tensor(_) => Vec::new(),
        }
    }

    /// The numbers of a tensor in 32 bits, row-major. Its shape is the caller's to check: it decides
    /// how much memory this takes.
    pub fn numbers(&mut self, view: &TensorView) -> Result<Vec<f32>, TorchError> {
        let Storage { key, dtype, numel } = view.storage;
        let wrong = |what| TorchError::Storage(key.to_owned(), what);
        let length = numel.checked_mul(dtype.size()).ok_or_else(|| wrong("it is too large"))?;
        let big_endian = self.big_endian;
        let bytes = match &mut self.numbers {
            Numbers::Behind(all) => all
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, bytes)| *bytes)
                .ok_or_else(|| wrong("it is missing"))?,
            Numbers::Zip(archive, folder) => {
                if self.last.as_ref().is_none_or(|(name, _)| name != key) {
                    if length as u64 > MOST_STORAGE {
                        return Err(wrong("it is too large"));
                    }
                    self.last = Some((key.to_owned(), entry(archive, &format!("{folder}data/{key}"), length as u64)?));
                }
                self.last.as_ref().map_or(&[][..], |(_, bytes)| bytes)
            }
        };
        if bytes.len() != length {
            return Err(wrong("it has another length than its tensors say"));
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
            return Err(wrong("weights are floating-point numbers, these are integers"));
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
