//! A compact form of the weights for download, with no more bits than inference uses: less than half the size of a
//! weights file. Packing it gives the same integers as packing the file, bit for bit; for any other use it is too
//! coarse.
//!
//! The format is safetensors with the model card. Each matrix multiplied in a step is stored as integers (`NAME`) and
//! the largest weight of each row (`NAME.largest`). Matrices in 4 bits store two indices into `NAME.book` per byte, the
//! even column in the low nibble. All other tensors are 16-bit floats with all high bytes before all low bytes, which
//! compresses better.

use std::collections::BTreeMap;

use half::f16;
use safetensors::{Dtype, SafeTensors};

use crate::{
    encoding::VOCABULARY,
    quantize::{CODEBOOK_SIZE, Rounded, eight_bits, four_bits},
    shapes::{self, Kind},
    weights::{Card, FORMAT, Tensor, Weights, WeightsError},
};

/// Key of the card in the file's metadata; it differs from that of a weights file, so that the two cannot be mistaken.
const CARD: &str = "antiphon-compact";

/// How a tensor is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    FourBits,
    EightBits,
    Floats,
}

/// The storage of a tensor, as in [`crate::linear::Precision::Int4`].
fn held(name: &str) -> Held {
    match name {
        _ if name.starts_with("lstm.weight") => Held::FourBits,
        _ if name.ends_with("state.weight") || name.ends_with("out.weight") => Held::EightBits,
        _ => Held::Floats,
    }
}

/// Converts `antiphon` weights to the compact form.
///
/// # Panics
/// For the seed, which runs in floats.
pub fn to_bytes(weights: &Weights) -> Vec<u8> {
    assert_eq!(weights.card.kind, Kind::Antiphon, "the seed has no compact form");
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for (name, tensor) in weights.tensors() {
        if held(name) == Held::Floats {
            parts.insert(name.clone(), Part::floats(tensor));
            continue;
        }
        let (rows, columns) = (tensor.shape[0], tensor.shape[1]);
        let largest = tensor.data.chunks_exact(columns).map(largest);
        let largest: Vec<u8> = largest.flat_map(f32::to_le_bytes).collect();
        parts.insert(format!("{name}.largest"), Part { dtype: Dtype::F32, shape: vec![rows], bytes: largest });
        let integers = if held(name) == Held::FourBits {
            let (Rounded { values, .. }, codebook) = four_bits(tensor);
            let codebook = codebook.iter().map(|&value| value as u8).collect();
            parts
                .insert(format!("{name}.book"), Part { dtype: Dtype::I8, shape: vec![CODEBOOK_SIZE], bytes: codebook });
            let pairs = values.as_chunks::<2>().0.iter();
            let bytes = pairs.map(|&[even, odd]| even as u8 | (odd as u8) << 4).collect();
            Part { dtype: Dtype::U8, shape: vec![rows, columns / 2], bytes }
        } else {
            let bytes = eight_bits(&tensor.data, columns).values.iter().map(|&value| value as u8).collect();
            Part { dtype: Dtype::I8, shape: vec![rows, columns], bytes }
        };
        parts.insert(name.clone(), integers);
    }
    let card = serde_json::to_string(&weights.card).expect("a card is plain data");
    safetensors::serialize(parts, Some([(CARD.to_owned(), card)].into())).expect("names and shapes are valid")
}

/// Reads and checks the compact form.
///
/// # Errors
/// If the file is damaged, or was made by another version of this program.
pub fn from_bytes(bytes: &[u8]) -> Result<Weights, WeightsError> {
    let unreadable = |e: safetensors::SafeTensorError| WeightsError::Unreadable(e.to_string());
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let card = metadata.metadata().as_ref().and_then(|m| m.get(CARD)).ok_or(WeightsError::NoCard)?;
    let card: Card = serde_json::from_str(card).map_err(|e| WeightsError::BadCard(e.to_string()))?;
    let known = (FORMAT, VOCABULARY);
    if (card.format, card.vocabulary) != known || card.kind != Kind::Antiphon {
        return Err(WeightsError::BadCard("it was made by another version of Antiphon".to_owned()));
    }
    let part = |name: String, dtype: Dtype, shape: Vec<usize>| -> Result<Vec<u8>, WeightsError> {
        let Ok(view) = file.tensor(&name) else { return Err(WeightsError::Missing { name, expected: shape }) };
        if view.shape() != shape {
            return Err(WeightsError::Shape { name, found: view.shape().to_vec(), expected: shape });
        }
        if view.dtype() != dtype {
            return Err(WeightsError::Type { name, found: format!("{:?}", view.dtype()) });
        }
        Ok(view.data().to_vec())
    };
    let mut tensors = BTreeMap::new();
    for (name, shape) in shapes::of(card.kind) {
        let held = held(&name);
        if held == Held::Floats {
            let planes = part(name.clone(), Dtype::U8, [&[2], &shape[..]].concat())?;
            let (high, low) = planes.split_at(planes.len() / 2);
            let floats = high.iter().zip(low).map(|(&high, &low)| f16::from_le_bytes([low, high]).to_f32());
            tensors.insert(name, Tensor { data: floats.collect(), shape, codebook: None });
            continue;
        }
        let (rows, columns) = (shape[0], shape[1]);
        let largest = part(format!("{name}.largest"), Dtype::F32, vec![rows])?;
        let largest: Vec<f32> = largest.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let (values, codebook) = if held == Held::FourBits {
            let codebook = part(format!("{name}.book"), Dtype::I8, vec![CODEBOOK_SIZE])?;
            let codebook: [i8; CODEBOOK_SIZE] = std::array::from_fn(|index| codebook[index] as i8);
            let pairs = part(name.clone(), Dtype::U8, vec![rows, columns / 2])?;
            let values = pairs.iter().flat_map(|&pair| [pair & 15, pair >> 4]).map(|code| codebook[usize::from(code)]);
            (values.collect::<Vec<i8>>(), Some(codebook))
        } else {
            let values = part(name.clone(), Dtype::I8, shape.clone())?;
            (values.into_iter().map(|value| value as i8).collect(), None)
        };
        let ends = codebook.map_or([-127, 127], |codebook| {
            [codebook.into_iter().min(), codebook.into_iter().max()].map(Option::unwrap_or_default)
        });
        let mut data = Vec::with_capacity(values.len());
        for (values, &largest) in values.chunks_exact(columns).zip(&largest) {
            spread(values, ends, largest, &mut data);
        }
        tensors.insert(name, Tensor { shape, data, codebook });
    }
    let finite = |tensor: &Tensor| tensor.data.iter().all(|value| value.is_finite());
    if let Some((name, _)) = tensors.iter().find(|(_, tensor)| !finite(tensor)) {
        return Err(WeightsError::NotFinite(name.clone()));
    }
    Weights::new(card, tensors)
}

/// Appends a row of floats that quantize back to these integers. The row's scale derives from its largest weight, which
/// was quantized to the largest or the smallest integer in use; one value at either end is set to that weight exactly.
/// Which one does not matter.
fn spread(values: &[i8], [least, greatest]: [i8; 2], largest: f32, out: &mut Vec<f32>) {
    let scale = largest / 127.0;
    let first = out.len();
    out.extend(values.iter().map(|&value| f32::from(value) * scale));
    let place = |end: i8| values.iter().position(|&value| value == end);
    if let Some(index) = place(greatest) {
        out[first + index] = largest;
    } else if let Some(index) = place(least) {
        out[first + index] = -largest;
    }
}

fn largest(row: &[f32]) -> f32 {
    row.iter().fold(0.0f32, |largest, w| largest.max(w.abs()))
}

/// A tensor as stored in the file.
struct Part {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Part {
    fn floats(tensor: &Tensor) -> Self {
        let halves = || tensor.data.iter().map(|&value| f16::from_f32(value).to_le_bytes());
        let bytes = halves().map(|[_, high]| high).chain(halves().map(|[low, _]| low)).collect();
        Self { dtype: Dtype::U8, shape: [&[2], &tensor.shape[..]].concat(), bytes }
    }
}

impl safetensors::View for Part {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        (&self.bytes).into()
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_played_is_the_same_to_the_bit() {
        let file = include_bytes!("../../../weights/antiphon.safetensors");
        let weights = Weights::from_bytes(file).unwrap();
        let bytes = to_bytes(&weights);
        assert!(2 * bytes.len() < file.len(), "{} bytes", bytes.len());
        let back = from_bytes(&bytes).unwrap();
        for (name, tensor) in weights.tensors() {
            let other = back.get(name);
            match held(name) {
                Held::Floats => assert_eq!(tensor, other, "{name}"),
                Held::EightBits => {
                    let columns = tensor.shape[1];
                    assert!(eight_bits(&tensor.data, columns) == eight_bits(&other.data, columns), "{name}");
                }
                Held::FourBits => {
                    let ((a, codebook), (b, other)) = (four_bits(tensor), four_bits(other));
                    assert_eq!(codebook, other, "{name}");
                    let values = |rounded: &Rounded| -> Vec<i8> {
                        rounded.values.iter().map(|&code| codebook[code as usize]).collect()
                    };
                    assert!(a.scales == b.scales && values(&a) == values(&b), "{name}");
                }
            }
        }
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let bytes = to_bytes(&Weights::random(Kind::Antiphon, 1));
        assert!(from_bytes(&bytes).is_ok());
        assert!(matches!(from_bytes(&bytes[..bytes.len() / 2]), Err(WeightsError::Unreadable(_))));
        let file = Weights::random(Kind::Antiphon, 1).to_bytes();
        assert!(matches!(from_bytes(&file), Err(WeightsError::NoCard)));
        assert!(matches!(Weights::from_bytes(&bytes), Err(WeightsError::NoCard)));
    }
}
