//! The critic: a classifier that tells real music from the network's own playing.
//!
//! It can be asked after each note. It estimates log odds: how much likelier what was played since the hand-over is as
//! real music after this phrase than as the network's own output. Its input is statistics of the notes, through an MLP
//! with two hidden layers. It is trained (`trainer critic`) for one network with one set of sampling settings, whose
//! habits it learns.

mod statistics;

use std::collections::BTreeMap;

use notes::Note;
use rand::Rng;

pub use self::statistics::{Phrase, STATISTICS};
use crate::weights::Tensor;

/// Version of the statistics and the network. Critics of another version are ignored.
pub const VERSION: u32 = 1;
/// Widths of the hidden layers.
pub const HIDDEN: [usize; 2] = [64, 32];
/// With fewer notes than this, a phrase is too short to compare a continuation with.
pub const MIN_NOTES: usize = 6;
/// Maximum number of notes compared: the latest ones of a phrase, and of its continuation.
pub const MAX_NOTES: usize = 256;
/// Standardized statistics are clamped to ± this, so that values never met in training do not outweigh everything else.
const FARTHEST: f32 = 4.0;

/// Names and shapes of the critic's tensors; a weights file holds all of them or none.
pub fn shapes() -> Vec<(String, Vec<usize>)> {
    let [first, second] = HIDDEN;
    let named = |name: &str, shape: &[usize]| (format!("critic.{name}"), shape.to_vec());
    vec![
        named("mean", &[STATISTICS]),
        named("scale", &[STATISTICS]),
        named("0.weight", &[first, STATISTICS]),
        named("0.bias", &[first]),
        named("1.weight", &[second, first]),
        named("1.bias", &[second]),
        named("2.weight", &[1, second]),
        named("2.bias", &[1]),
    ]
}

/// The critic; see the [module documentation](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Critic {
    /// Mean of each statistic in training.
    mean: Vec<f32>,
    /// Reciprocal of each statistic's standard deviation in training.
    scale: Vec<f32>,
    layers: [Layer; 3],
}

/// A linear layer: weight `[outputs, inputs]` and bias `[outputs]`.
#[derive(Clone, Debug, PartialEq)]
struct Layer {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    /// `out = W input + bias`, summed in a fixed order: the same bits on every machine.
    fn apply(&self, input: &[f32], out: &mut [f32]) {
        for ((out, row), bias) in out.iter_mut().zip(self.weight.chunks_exact(input.len())).zip(&self.bias) {
            // Eight partial sums: a fixed order that the compiler can vectorize.
            let mut sums = [0.0; 8];
            let (blocks, rest) = row.as_chunks::<8>();
            let (inputs, others) = input.as_chunks::<8>();
            for (block, input) in blocks.iter().zip(inputs) {
                for lane in 0..8 {
                    sums[lane] += block[lane] * input[lane];
                }
            }
            let rest: f32 = rest.iter().zip(others).map(|(a, b)| a * b).sum();
            let [a, b, c, d, e, f, g, h] = sums;
            *out = bias + ((a + e) + (b + f)) + ((c + g) + (d + h)) + rest;
        }
    }
}

impl Critic {
    /// Builds a critic from the tensors that [`shapes`] lists; `None` if any is missing or has the wrong shape.
    pub fn from_tensors(tensors: &BTreeMap<String, Tensor>) -> Option<Self> {
        let all = shapes().into_iter().map(|(name, shape)| {
            tensors.get(&name).filter(|tensor| tensor.shape == shape).map(|tensor| tensor.data.clone())
        });
        let mut all = all.collect::<Option<Vec<_>>>()?.into_iter();
        let mut next = || all.next().unwrap_or_default();
        let (mean, scale) = (next(), next());
        Some(Self { mean, scale, layers: [(); 3].map(|()| Layer { weight: next(), bias: next() }) })
    }

    /// An untrained critic with random weights. For tests.
    pub fn random(seed: u64) -> Self {
        let rng = &mut rand_pcg::Pcg32::new(seed, 1);
        let mut random = |count: usize, by: f32| (0..count).map(|_| rng.random_range(-by..by)).collect();
        let widths = [STATISTICS, HIDDEN[0], HIDDEN[1], 1];
        let layers = [0, 1, 2].map(|layer| Layer {
            weight: random(widths[layer] * widths[layer + 1], 2.0 / (widths[layer] as f32).sqrt()),
            bias: random(widths[layer + 1], 0.1),
        });
        Self { mean: vec![0.0; STATISTICS], scale: vec![1.0; STATISTICS], layers }
    }

    /// Its tensors, as stored in a weights file.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let layers = self.layers.iter().flat_map(|layer| [&layer.weight, &layer.bias]);
        let data = [&self.mean, &self.scale].into_iter().chain(layers);
        shapes().into_iter().zip(data).map(|((name, shape), data)| (name, Tensor::new(shape, data.clone()))).collect()
    }

    /// log p(real) - log p(own) for these statistics, given equal priors, in nats.
    pub fn judge(&self, statistics: &[f32; STATISTICS]) -> f64 {
        let mut input = *statistics;
        standardize(&mut input, &self.mean, &self.scale);
        let [first, second, last] = &self.layers;
        let (mut a, mut b, mut odds) = ([0.0; HIDDEN[0]], [0.0; HIDDEN[1]], [0.0]);
        first.apply(&input, &mut a);
        relu(&mut a);
        second.apply(&a, &mut b);
        relu(&mut b);
        last.apply(&b, &mut odds);
        odds[0].into()
    }

    /// [`Critic::judge`] for a continuation: canonical notes since the hand-over, in order, of which the latest
    /// [`MAX_NOTES`] are used. 0 for an empty one.
    pub fn log_odds(&self, phrase: &Phrase, continuation: &[Note]) -> f64 {
        match &continuation[continuation.len().saturating_sub(MAX_NOTES)..] {
            [] => 0.0,
            latest => self.judge(&phrase.statistics(latest)),
        }
    }
}

/// Standardizes statistics in place and clamps them to ±4 standard deviations.
pub fn standardize(statistics: &mut [f32], mean: &[f32], scale: &[f32]) {
    for ((value, mean), scale) in statistics.iter_mut().zip(mean).zip(scale) {
        *value = ((*value - mean) * scale).clamp(-FARTHEST, FARTHEST);
    }
}

fn relu(values: &mut [f32]) {
    values.iter_mut().for_each(|value| *value = value.max(0.0));
}
