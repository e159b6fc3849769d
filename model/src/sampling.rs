//! From logits to a choice: temperature, top-p, masks. Pure functions over slices and a seeded
//! generator; nothing allocates.

use rand::{Rng, RngCore};
use rand_pcg::Pcg32;
use serde::{Deserialize, Serialize};

use crate::activation::exp;

/// Temperatures below this take the likeliest class.
const COLDEST: f32 = 0.01;

/// How adventurous each attribute is drawn: 1 as learnt, lower nearer to the likeliest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// For steps.
    pub step: f32,
    /// For pitches.
    pub pitch: f32,
    /// For durations.
    pub duration: f32,
    /// For velocities and spreads.
    pub velocity: f32,
}

/// What the player asks of the draw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Controls {
    /// Per attribute.
    pub temperature: Temperature,
    /// Draw from the likeliest classes that together have this mass, 0–1.
    pub top_p: f32,
    /// Bit p: pitch p may be played.
    #[serde(skip, default = "every_pitch")]
    pub pitch_mask: u128,
}

fn every_pitch() -> u128 {
    u128::MAX
}

impl Default for Controls {
    fn default() -> Self {
        let temperature = Temperature { step: 1.0, pitch: 1.0, duration: 1.0, velocity: 1.0 };
        Self { temperature, top_p: 1.0, pitch_mask: u128::MAX }
    }
}

/// The random numbers of note `index` of the take with this `seed`. Each note has its own, so that
/// a take that is rolled back and drawn again needs no state of a generator.
pub fn note_rng(seed: u64, index: u64) -> Pcg32 {
    // SplitMix64's finaliser: neighbouring seeds and notes get unlike states.
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let seed = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
    Pcg32::new(mix(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)), seed)
}

/// Turns logits into probabilities in place. `-inf` stays 0; if nothing is left, all become 0.
pub fn softmax(logits: &mut [f32]) {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if top == f32::NEG_INFINITY {
        logits.fill(0.0);
        return;
    }
    let mut sum = 0.0;
    for value in logits.iter_mut() {
        *value = if *value == f32::NEG_INFINITY { 0.0 } else { exp(*value - top) };
        sum += *value;
    }
    for value in logits.iter_mut() {
        *value /= sum;
    }
}

/// Turns logits into the probabilities that are drawn from: masked classes (`-inf`) stay out, then
/// temperature, then top-p.
pub fn probabilities(logits: &mut [f32], temperature: f32, top_p: f32) {
    if temperature < COLDEST {
        let top = argmax(logits);
        let possible = logits[top] > f32::NEG_INFINITY;
        logits.fill(0.0);
        logits[top] = f32::from(u8::from(possible));
        return;
    }
    for value in logits.iter_mut() {
        *value /= temperature;
    }
    softmax(logits);
    if top_p < 1.0 {
        keep_likeliest(logits, top_p.max(0.0));
    }
}

/// Keeps the likeliest classes that together reach `mass`, and scales them to sum to 1.
fn keep_likeliest(p: &mut [f32], mass: f32) {
    // Classes are few: raising the bar class by class needs no sorting buffer.
    let (mut kept, mut bar) = (0.0, f32::INFINITY);
    while kept < mass {
        let next = p.iter().copied().filter(|&v| v < bar && v > 0.0).fold(0.0, f32::max);
        if next == 0.0 {
            break;
        }
        bar = next;
        kept += p.iter().filter(|&&v| v == bar).sum::<f32>();
    }
    if bar == f32::INFINITY {
        bar = p.iter().copied().fold(0.0, f32::max);
        kept = p.iter().filter(|&&v| v == bar).sum();
    }
    for value in p.iter_mut() {
        *value = if *value < bar || kept <= 0.0 { 0.0 } else { *value / kept };
    }
}

/// Draws a class; `None` if no class has any mass.
pub fn draw(p: &[f32], rng: &mut impl RngCore) -> Option<usize> {
    let total: f32 = p.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let mut left = rng.random::<f32>() * total;
    let mut last = None;
    for (class, &mass) in p.iter().enumerate().filter(|&(_, &mass)| mass > 0.0) {
        last = Some(class);
        left -= mass;
        if left < 0.0 {
            break;
        }
    }
    last
}

/// The class with the greatest value, the first of equals.
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, &value) in values.iter().enumerate() {
        if value > values[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn draws_follow_the_probabilities() {
        let p = [0.5, 0.0, 0.2, 0.3];
        let mut counts = [0u32; 4];
        for i in 0..100_000 {
            counts[draw(&p, &mut note_rng(7, i)).unwrap()] += 1;
        }
        for (count, p) in counts.iter().zip(p) {
            assert!((f64::from(*count) / 1e5 - f64::from(p)).abs() < 0.01, "{counts:?}");
        }
    }

    proptest! {
        #[test]
        fn masked_classes_are_never_drawn(
            mut logits in prop::collection::vec(-9.0..9.0f32, 128), mask: u128,
            temperature in 0.0..3.0f32, top_p in 0.0..1.2f32, seed: u64,
        ) {
            for (p, logit) in logits.iter_mut().enumerate() {
                if mask >> p & 1 == 0 { *logit = f32::NEG_INFINITY; }
            }
            probabilities(&mut logits, temperature, top_p);
            let sum: f32 = logits.iter().sum();
            match draw(&logits, &mut note_rng(seed, 0)) {
                Some(class) => {
                    prop_assert!(mask >> class & 1 == 1);
                    prop_assert!((sum - 1.0).abs() < 1e-4);
                }
                None => prop_assert!(mask == 0 && sum == 0.0),
            }
        }

        #[test]
        fn top_p_keeps_the_fewest_classes_that_reach_the_mass(
            logits in prop::collection::vec(-3.0..3.0f32, 16), top_p in 0.05..0.95f32,
        ) {
            let (mut all, mut kept) = (logits.clone(), logits);
            probabilities(&mut all, 1.0, 1.0);
            probabilities(&mut kept, 1.0, top_p);
            let mass: f32 = all.iter().zip(&kept).filter(|(_, k)| **k > 0.0).map(|(a, _)| a).sum();
            let least = all.iter().zip(&kept).filter(|(_, k)| **k > 0.0).map(|(a, _)| *a).fold(1.0, f32::min);
            prop_assert!(mass >= top_p - 1e-4);
            prop_assert!(mass - least < top_p + 1e-4);
        }
    }
}
