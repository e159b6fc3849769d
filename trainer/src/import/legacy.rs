//! The format of `torch.save` without zip: used before PyTorch 1.6, on request, and for each tensor that `pickle.dump`
//! writes.
//!
//! Five pickles (magic number, version, sizes of integer types, the saved object, keys of its storages), then for each
//! key the number of elements and the elements, little-endian.

use super::pickle::{Budget, Dtype, Object, Pickle, PickleError, Place, Storage, Value, read_within};
use PickleError::Damaged;
use std::ops::Range;

/// The magic number, as a little-endian integer.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The version of the format.
const PROTOCOL: i64 = 1001;

/// The saved object, and the byte range of each storage's elements.
pub type Saved<'a> = (Pickle<'a>, Vec<(&'a str, Range<usize>)>);

/// Whether a file's first pickle is the magic number of this format.
pub fn is_mark(first: &Pickle) -> bool {
    matches!(first.root, Value::Long(mark) if mark == MAGIC)
}

/// Reads what follows the magic number, which ends at `at`.
pub fn read<'a>(bytes: &'a [u8], mut at: usize, budget: &mut Budget) -> Result<Saved<'a>, PickleError> {
    let mut next = || -> Result<Pickle<'a>, PickleError> {
        let pickle = read_within(&bytes[at..], budget)?;
        at += pickle.length;
        Ok(pickle)
    };
    match next()?.root {
        Value::Int(PROTOCOL) => {}
        _ => return Err(Damaged("an unknown version")),
    }
    next()?; // Sizes of integer types, and byte order: `torch.save` always writes little-endian.
    let pickle = next()?;
    let keys = next()?;
    let list = match keys.root {
        Value::Object(index) => match &keys.objects[index] {
            Object::Sequence(list) => list,
            _ => return Err(Damaged("the list of storages is missing")),
        },
        _ => return Err(Damaged("the list of storages is missing")),
    };
    let known: Vec<(&str, Dtype)> = pickle
        .objects
        .iter()
        .filter_map(|object| match object {
            Object::Storage(Storage { place: Place::Key(key), dtype, .. }) => Some((*key, *dtype)),
            _ => None,
        })
        .collect();
    let mut numbers = Vec::new();
    for key in list {
        let Value::Text(key) = *key else { return Err(Damaged("a storage without a name")) };
        let Some((_, dtype)) = known.iter().find(|(name, _)| *name == key) else {
            return Err(Damaged("an unused storage"));
        };
        let (count, after) = bytes[at..].split_first_chunk::<8>().ok_or(PickleError::CutOff)?;
        let count = usize::try_from(i64::from_le_bytes(*count)).ok();
        let length = count.and_then(|count| count.checked_mul(dtype.size()));
        let length = length.ok_or(Damaged("a storage with an invalid size"))?;
        if length > after.len() {
            return Err(PickleError::CutOff);
        }
        numbers.push((key, at + 8..at + 8 + length));
        at += 8 + length;
    }
    Ok((pickle, numbers))
}

/// Reads a file that contains only one storage: element type, number of elements, and their byte range.
pub fn storage(bytes: &[u8], budget: &mut Budget) -> Result<(Dtype, usize, Range<usize>), PickleError> {
    const WRONG: PickleError = Damaged("an invalid storage");
    let mark = read_within(bytes, budget)?;
    if !is_mark(&mark) {
        return Err(WRONG);
    }
    let (pickle, numbers) = read(bytes, mark.length, budget)?;
    let Value::Object(root) = pickle.root else { return Err(WRONG) };
    let Object::Storage(Storage { place: Place::Key(key), dtype, numel }) = pickle.objects[root] else {
        return Err(WRONG);
    };
    let range = numbers.into_iter().find(|(name, _)| *name == key).map(|(_, range)| range).ok_or(WRONG)?;
    Ok((dtype, numel, range))
}
