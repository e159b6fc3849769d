//! Weights as named tensors with a model card, and their file format: safetensors, with the card as metadata.

use std::collections::BTreeMap;

use half::f16;
use rand::Rng;
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::{
    critic::{self, Critic},
    encoding::VOCABULARY,
    linear::Precision,
    sampling::Controls,
    shapes,
    shapes::Kind,
};

/// Version of the file format. Other versions are refused.
pub const FORMAT: u32 = 1;
/// Longest header accepted, in bytes; ours have some 10,000. Parsing takes several times as much memory as the header.
const MAX_HEADER: usize = 256 << 10;
/// Key of the card in the file's metadata.
const CARD: &str = "antiphon";

/// The model card: what a weights file says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Version of the file format, see [`FORMAT`].
    pub format: u32,
    /// Version of bins and features, see [`VOCABULARY`].
    pub vocabulary: u32,
    /// The network that these weights belong to.
    pub kind: Kind,
    /// Display name.
    pub name: String,
    /// An SPDX license expression, or a sentence.
    #[serde(default, alias = "licence")]
    pub license: String,
    /// What the weights were trained on, with attribution.
    #[serde(default)]
    pub data: String,
    /// How they were trained: notes seen, recipe, validation figures.
    #[serde(default)]
    pub training: String,
    /// Residual variance of step and duration on the training split, in seconds squared, which turns the seed's point
    /// estimates into densities. Unused by `antiphon`.
    #[serde(default)]
    pub residual_variance: Option<[f64; 2]>,
    /// Whether the network models the spread of a chord's first (lowest) note; if not, that note is never late.
    #[serde(default)]
    pub first_spread: bool,
    /// The sampling settings that these weights scored best with.
    #[serde(default)]
    pub controls: Controls,
    /// Version of the critic in the file, see [`critic::VERSION`]; `None`: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critic: Option<u32>,
}

impl Card {
    /// A card for new weights of a network.
    pub fn new(kind: Kind, name: &str) -> Self {
        Self {
            format: FORMAT,
            vocabulary: VOCABULARY,
            kind,
            name: name.to_owned(),
            license: String::new(),
            data: String::new(),
            training: String::new(),
            residual_variance: (kind == Kind::Seed).then_some([0.02, 0.11]),
            first_spread: kind == Kind::Antiphon,
            controls: Controls::default(),
            critic: None,
        }
    }
}

/// Why a weights file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Not a safetensors file, or truncated.
    #[error(
        "this weights file is incomplete or damaged ({0}); copy it again, or export it again with `trainer export`"
    )]
    Unreadable(String),
    /// A safetensors file without a model card.
    #[error(
        "this safetensors file has no Antiphon card; convert PyTorch files of the seed network with `trainer import` first"
    )]
    NoCard,
    /// The card cannot be parsed.
    #[error("the card of this weights file cannot be read ({0}); export the file again with `trainer export`")]
    BadCard(String),
    /// The file has another version than this program supports.
    #[error(
        "this weights file has {what} version {found}, but this program supports {known}; use a matching version of Antiphon, or train again"
    )]
    Version {
        /// Which version differs.
        what: &'static str,
        /// The version in the file.
        found: u32,
        /// The version of this program.
        known: u32,
    },
    /// A tensor of the network is missing.
    #[error("the weights file has no tensor `{name}` {expected:?}; it was not made for this network")]
    Missing {
        /// The tensor's name.
        name: String,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A tensor has the wrong shape.
    #[error(
        "tensor `{name}` has shape {found:?}, but the network needs {expected:?}; it was not made for this network"
    )]
    Shape {
        /// The tensor's name.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A tensor has an unsupported number type.
    #[error("tensor `{name}` holds {found}; expected F32, F16 or BF16")]
    Type {
        /// The tensor's name.
        name: String,
        /// The type in the file.
        found: String,
    },
    /// A tensor, named here, holds NaN or infinity.
    #[error(
        "tensor `{0}` holds a value that is not a number; the training run that wrote it failed; use an earlier checkpoint"
    )]
    NotFinite(String),
    /// Loading was canceled.
    #[error("loading these weights was canceled")]
    Canceled,
}

/// A dense tensor of 32-bit floats, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// The values.
    pub data: Vec<f32>,
    /// The codebook that the values were already rounded to, in 127ths of a row's largest: see [`crate::compact`].
    pub codebook: Option<[i8; 16]>,
}

impl Tensor {
    /// A tensor that was not quantized before.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Self {
        Self { shape, data, codebook: None }
    }
}

/// All tensors of one network, with their card.
#[derive(Clone, Debug)]
pub struct Weights {
    /// The model card.
    pub card: Card,
    tensors: BTreeMap<String, Tensor>,
    /// Tensors of the critic; empty: there is none.
    critic: BTreeMap<String, Tensor>,
}

/// Returns these tensors without any others; an error if one is missing or has another shape.
fn checked(
    shapes: Vec<(String, Vec<usize>)>,
    mut tensors: BTreeMap<String, Tensor>,
) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let take = |(name, expected): (String, Vec<usize>)| match tensors.remove(&name) {
        None => Err(WeightsError::Missing { name, expected }),
        Some(tensor) if tensor.shape != expected => Err(WeightsError::Shape { name, found: tensor.shape, expected }),
        Some(tensor) => Ok((name, tensor)),
    };
    shapes.into_iter().map(take).collect()
}

impl Weights {
    /// Reads and checks a weights file: every tensor of its network must be there, with the right shape and finite
    /// values. In a file with an older vocabulary, the weights of features it does not know are filled with zeros.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        Self::from_bytes_cancelable(bytes, || true)
    }

    /// Like [`Weights::from_bytes`], but checks `keep_going` before each tensor and gives up once it returns false.
    pub(crate) fn from_bytes_cancelable(bytes: &[u8], keep_going: impl Fn() -> bool) -> Result<Self, WeightsError> {
        let unreadable = |e: safetensors::SafeTensorError| WeightsError::Unreadable(e.to_string());
        let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        if header > MAX_HEADER as u64 {
            return Err(WeightsError::Unreadable(format!("its header has {header} bytes")));
        }
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let card = metadata.metadata().as_ref().and_then(|m| m.get(CARD)).ok_or(WeightsError::NoCard)?;
        let card: Card = serde_json::from_str(card).map_err(|e| WeightsError::BadCard(e.to_string()))?;
        let version = |what, found, known| match found == known {
            true => Ok(()),
            false => Err(WeightsError::Version { what, found, known }),
        };
        version("format", card.format, FORMAT)?;
        if !(1..=VOCABULARY).contains(&card.vocabulary) {
            version("vocabulary", card.vocabulary, VOCABULARY)?;
        }
        let older = card.vocabulary < VOCABULARY;
        let read = |name: &str, expected: Vec<usize>| {
            if !keep_going() {
                return Err(WeightsError::Canceled);
            }
            let Ok(view) = file.tensor(name) else {
                return Err(WeightsError::Missing { name: name.to_owned(), expected });
            };
            let grows = older && grown_from(name, view.shape(), &expected);
            if view.shape() != expected && !grows {
                return Err(WeightsError::Shape { name: name.to_owned(), found: view.shape().to_vec(), expected });
            }
            let data = numbers(name, view.dtype(), view.data())?;
            if data.iter().any(|v| !v.is_finite()) {
                return Err(WeightsError::NotFinite(name.to_owned()));
            }
            let data = if grows { grow(&data, view.shape(), &expected) } else { data };
            Ok(Tensor::new(expected, data))
        };
        let read_all = |shapes: Vec<(String, Vec<usize>)>| -> Result<BTreeMap<String, Tensor>, WeightsError> {
            shapes.into_iter().map(|(name, shape)| read(&name, shape).map(|tensor| (name, tensor))).collect()
        };
        let tensors = read_all(shapes::of(card.kind))?;
        // A critic of another version is dropped; the network plays without it.
        let known = card.critic == Some(critic::VERSION);
        let critic = if known { read_all(critic::shapes())? } else { BTreeMap::new() };
        let card = Card { vocabulary: VOCABULARY, critic: card.critic.filter(|_| known), ..card };
        Ok(Self { card, tensors, critic })
    }

    /// Combines tensors and a card. The tensors must be those of the card's network; a critic in the card is dropped.
    pub fn new(card: Card, tensors: BTreeMap<String, Tensor>) -> Result<Self, WeightsError> {
        let tensors = checked(shapes::of(card.kind), tensors)?;
        // A critic is trained for one network only.
        Ok(Self { card: Card { critic: None, ..card }, tensors, critic: BTreeMap::new() })
    }

    /// The same weights with this critic. The tensors must be those that [`critic::shapes`] lists.
    pub fn with_critic(self, tensors: BTreeMap<String, Tensor>) -> Result<Self, WeightsError> {
        let critic = checked(critic::shapes(), tensors)?;
        Ok(Self { card: Card { critic: Some(critic::VERSION), ..self.card }, critic, ..self })
    }

    /// The critic that comes with the weights, if any, packed for a network of this precision.
    pub fn critic(&self, precision: Precision) -> Option<Critic> {
        Critic::new(&self.critic, precision)
    }

    /// Untrained weights, uniform in ±1/sqrt(fan-in) as PyTorch initializes them; `antiphon`'s forget gates have a bias
    /// of 1, so that they start open.
    pub fn random(kind: Kind, seed: u64) -> Self {
        let mut rng = rand_pcg::Pcg32::new(seed, 0);
        let tensors = shapes::of(kind)
            .into_iter()
            .map(|(name, shape)| {
                let fan_in = shapes::fan_in(&name, &shape);
                let bound = 1.0 / (fan_in as f32).sqrt();
                let mut data: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-bound..bound)).collect();
                if kind == Kind::Antiphon && name.starts_with("lstm.bias_hh") {
                    let hidden = shape[0] / 4;
                    data[hidden..2 * hidden].fill(1.0);
                }
                (name, Tensor::new(shape, data))
            })
            .collect();
        Self { card: Card::new(kind, "untrained"), tensors, critic: BTreeMap::new() }
    }

    /// The tensor with this name.
    ///
    /// # Panics
    /// If the network has no such tensor: an error in the program, not in the file.
    pub fn get(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }

    /// All tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// Number of trainable parameters, without the critic's.
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(|t| t.data.len()).sum()
    }

    /// Whether every weight is exactly representable in 16 bits.
    pub fn fit_16_bits(&self) -> bool {
        self.tensors.values().flat_map(|tensor| &tensor.data).all(|&v| f16::from_f32(v).to_f32() == v)
    }

    /// Serializes to a file with 16-bit floats.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.file(Dtype::F16)
    }

    /// Serializes to a file with 32-bit floats.
    pub fn to_bytes_f32(&self) -> Vec<u8> {
        self.file(Dtype::F32)
    }

    fn file(&self, dtype: Dtype) -> Vec<u8> {
        let card = serde_json::to_string(&self.card).expect("a card is plain data");
        let metadata = Some([(CARD.to_owned(), card)].into());
        let all = self.tensors.iter().chain(&self.critic);
        let views = all.map(|(name, tensor)| (name, Encoded::new(tensor, dtype)));
        safetensors::serialize(views, metadata).expect("names and shapes are valid")
    }
}

/// Whether a tensor from an older vocabulary, with fewer features or fewer head outputs, can be extended to the new
/// shape.
fn grown_from(name: &str, old: &[usize], new: &[usize]) -> bool {
    let grows = match name {
        _ if name == "input.weight" || name.ends_with("features.weight") => [false, true],
        _ if name.ends_with("out.weight") || name.ends_with("out.bias") => [true, false],
        _ => return false,
    };
    let fits = |((old, new), grows): ((&usize, &usize), bool)| if grows { old <= new } else { old == new };
    old.len() == new.len() && old.iter().zip(new).zip(grows).all(fits)
}

/// Extends a tensor with rows or columns of zeros.
fn grow(data: &[f32], old: &[usize], new: &[usize]) -> Vec<f32> {
    let (from, to) = (old.get(1).copied().unwrap_or(1), new.get(1).copied().unwrap_or(1));
    let mut grown = vec![0.0; new[0] * to];
    for (row, values) in grown.chunks_exact_mut(to).zip(data.chunks_exact(from)) {
        row[..from].copy_from_slice(values);
    }
    grown
}

/// A tensor as stored in the file.
struct Encoded<'a> {
    shape: &'a [usize],
    dtype: Dtype,
    bytes: Vec<u8>,
}

impl<'a> Encoded<'a> {
    fn new(tensor: &'a Tensor, dtype: Dtype) -> Self {
        let bytes = match dtype {
            Dtype::F16 => tensor.data.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            _ => tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        };
        Self { shape: &tensor.shape, dtype, bytes }
    }
}

impl View for Encoded<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        self.shape
    }
    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        (&self.bytes).into()
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Decodes little-endian numbers of any supported type to 32-bit floats.
fn numbers(name: &str, dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, WeightsError> {
    Ok(match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|&b| half::bf16::from_le_bytes(b).to_f32()).collect(),
        other => return Err(WeightsError::Type { name: name.to_owned(), found: format!("{other:?}") }),
    })
}
