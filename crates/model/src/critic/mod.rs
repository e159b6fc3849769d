//! The critic: does this sound like music, or like the network?
//!
//! After each note it can be asked how much likelier what was played since the hand-over is as real music after this
//! phrase than as the network's own playing: the logarithm of the odds. It hears statistics, not sound, through a
//! perceptron of two hidden layers, and is trained (`trainer critic`) for one network and its sampling alone: it knows
//! that network's habits.

mod statistics;

use std::collections::BTreeMap;

use notes::Note;
use rand::Rng;

pub use self::statistics::{Phrase, STATISTICS};
use crate::weights::Tensor;

/// Version of the statistics and of the network. Critics of another one are not asked.
pub const VERSION: u32 = 1;
/// Widths of the hidden layers.
pub const HIDDEN: [usize; 2] = [64, 32];
/// A phrase of fewer notes says too little to compare a continuation with.
pub const FEWEST_NOTES: usize = 6;
/// Notes at most that are compared: the latest of a phrase, and of what follows it.
pub const MOST_NOTES: usize = 256;
/// Statistics are not heard as more than so many standard deviations from their mean: what was never met in training
/// shall not outweigh all else.
const FARTHEST: f32 = 4.0;

/// Names and shapes of its tensors, which stand in a weights file or do not, all of them.
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

/// See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Critic {
    /// Of each statistic in training.
    mean: Vec<f32>,
    /// One over its standard deviation.
    scale: Vec<f32>,
    layers: [Layer; 3],
}

/// `[outputs, inputs]`, and a bias.
#[derive(Clone, Debug, PartialEq)]
struct Layer {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    /// Sums in a fixed order: the same bits on every machine.
    fn apply(&self, input: &[f32], out: &mut [f32]) {
        for ((out, row), bias) in out.iter_mut().zip(self.weight.chunks_exact(input.len())).zip(&self.bias) {
            // Sums side by side: a fixed order that a compiler can turn into vectors.
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
    /// From tensors of the names and shapes that [`shapes`] lists; `None`: they are not all there.
    pub fn from_tensors(tensors: &BTreeMap<String, Tensor>) -> Option<Self> {
        let all = shapes().into_iter().map(|(name, shape)| {
            tensors.get(&name).filter(|tensor| tensor.shape == shape).map(|tensor| tensor.data.clone())
        });
        let mut all = all.collect::<Option<Vec<_>>>()?.into_iter();
        let mut next = || all.next().unwrap_or_default();
        let (mean, scale) = (next(), next());
        Some(Self { mean, scale, layers: [(); 3].map(|()| Layer { weight: next(), bias: next() }) })
    }

    /// An untrained one, which says anything. For tests.
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

    /// As a weights file has it.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let layers = self.layers.iter().flat_map(|layer| [&layer.weight, &layer.bias]);
        let data = [&self.mean, &self.scale].into_iter().chain(layers);
        shapes().into_iter().zip(data).map(|((name, shape), data)| (name, Tensor::new(shape, data.clone()))).collect()
    }

    /// log p(real) - log p(the network's own) of what these statistics describe, both as likely before.
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

    /// The same of a continuation: canonical notes since the hand-over, in order, of which the latest [`MOST_NOTES`]
    /// are heard. 0 if there are none: nothing is known.
    pub fn log_odds(&self, phrase: &Phrase, continuation: &[Note]) -> f64 {
        match &continuation[continuation.len().saturating_sub(MOST_NOTES)..] {
            [] => 0.0,
            latest => self.judge(&phrase.statistics(latest)),
        }
    }
}

/// Standard deviations from the mean, within bounds.
pub fn standardize(statistics: &mut [f32], mean: &[f32], scale: &[f32]) {
    for ((value, mean), scale) in statistics.iter_mut().zip(mean).zip(scale) {
        *value = ((*value - mean) * scale).clamp(-FARTHEST, FARTHEST);
    }
}

fn relu(values: &mut [f32]) {
    values.iter_mut().for_each(|value| *value = value.max(0.0));
}
