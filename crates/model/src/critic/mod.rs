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
use crate::{
    linear::{Dense, Precision, Scratch},
    weights::Tensor,
};

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

/// The critic, ready to run; see the [module documentation](self).
#[derive(Clone, Debug)]
pub struct Critic {
    /// Mean of each statistic in training.
    mean: Vec<f32>,
    /// Reciprocal of each statistic's standard deviation in training.
    scale: Vec<f32>,
    layers: [Dense; 3],
}

impl Critic {
    /// Packs the tensors that [`shapes`] lists, in the precision of the network's heads; `None` if any is missing.
    pub(crate) fn new(tensors: &BTreeMap<String, Tensor>, precision: Precision) -> Option<Self> {
        let get = |name: &str| tensors.get(&format!("critic.{name}"));
        let vector = |name: &str| get(name).map(|tensor| tensor.data.clone());
        let layer = |number: usize| {
            let (weight, bias) = (get(&format!("{number}.weight"))?, vector(&format!("{number}.bias"))?);
            Some(Dense::new(weight, bias, precision.heads()))
        };
        Some(Self { mean: vector("mean")?, scale: vector("scale")?, layers: [layer(0)?, layer(1)?, layer(2)?] })
    }

    /// log p(real) - log p(own) for these statistics, given equal priors, in nats.
    pub fn judge(&self, statistics: &[f32; STATISTICS]) -> f64 {
        let mut input = *statistics;
        standardize(&mut input, &self.mean, &self.scale);
        let [first, second, last] = &self.layers;
        let (mut a, mut b, mut odds) = ([0.0; HIDDEN[0]], [0.0; HIDDEN[1]], [0.0]);
        let scratch = &mut Scratch::new(1);
        first.apply(&input, scratch, &mut a);
        relu(&mut a);
        second.apply(&a, scratch, &mut b);
        relu(&mut b);
        last.apply(&b, scratch, &mut odds);
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

/// Tensors of an untrained critic, with random weights. For tests.
pub fn random(seed: u64) -> BTreeMap<String, Tensor> {
    let rng = &mut rand_pcg::Pcg32::new(seed, 1);
    let mut tensor = |name: String, shape: Vec<usize>| {
        let by = match shape[..] {
            [_, inputs] => 2.0 / (inputs as f32).sqrt(),
            _ => 0.1,
        };
        let data = match name.as_str() {
            "critic.mean" => vec![0.0; STATISTICS],
            "critic.scale" => vec![1.0; STATISTICS],
            _ => (0..shape.iter().product()).map(|_| rng.random_range(-by..by)).collect(),
        };
        (name, Tensor::new(shape, data))
    };
    shapes().into_iter().map(|(name, shape)| tensor(name, shape)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight bits judge as floats do, to within what no choice among takes depends on.
    #[test]
    fn eight_bits_judge_as_floats_do() {
        let tensors = random(5);
        let [floats, integers] =
            [Precision::F32, Precision::Int4].map(|precision| Critic::new(&tensors, precision).unwrap());
        let rng = &mut rand_pcg::Pcg32::new(6, 1);
        for _ in 0..50 {
            let statistics = [(); STATISTICS].map(|()| rng.random_range(-3.0..3.0));
            let (exact, rounded) = (floats.judge(&statistics), integers.judge(&statistics));
            assert!((exact - rounded).abs() < 0.02 * exact.abs() + 0.05, "{exact} became {rounded}");
        }
    }

    #[test]
    fn needs_all_its_tensors() {
        let mut tensors = random(5);
        assert!(Critic::new(&tensors, Precision::Int8).is_some());
        tensors.remove("critic.1.bias");
        assert!(Critic::new(&tensors, Precision::Int8).is_none());
    }
}
