//! Sampling from logits: mixtures, temperature, tilts, top-p, min-p. Pure functions over slices and a seeded generator;
//! nothing allocates. A masked class is `-inf` in logits and 0 in probabilities, and stays masked throughout.

use rand::{Rng, RngCore};
use rand_pcg::Pcg32;
use serde::{Deserialize, Serialize};

use crate::activation::{exp, ln};

/// Below this temperature, sampling is greedy.
const COLDEST: f32 = 0.01;
/// Bisection steps when solving for a tilt: more than a float resolves.
const HALVINGS: usize = 24;

/// Sampling temperature per attribute: 1 is the learned distribution, lower is closer to greedy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// For steps.
    pub step: f32,
    /// For pitches.
    pub pitch: f32,
    /// For durations.
    pub duration: f32,
    /// For velocities.
    pub velocity: f32,
}

/// Sampling settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Controls {
    /// Temperature of each attribute.
    pub temperature: Temperature,
    /// Top-p: draw from the likeliest classes that together have this mass, 0–1.
    pub top_p: f32,
    /// Min-p: leave out classes less likely than this fraction of the likeliest, 0–1. Not applied to durations.
    #[serde(default)]
    pub min_p: f32,
    /// How strongly chords are kept as frequent as in the phrase: nats added to chords per unit by which their share of
    /// notes falls short. 0: off.
    #[serde(default)]
    pub texture: f32,
    /// How strongly intervals are kept as even as in the phrase: decrease of the log temperature of steps per unit by
    /// which the share of even intervals falls short. 0: off.
    #[serde(default)]
    pub evenness: f32,
    /// How strongly short and long notes are kept as frequent as in the phrase: nats added to a duration class per unit
    /// by which its share of notes falls short. 0: off.
    #[serde(default)]
    pub durations: f32,
    /// How strongly a chord's notes are kept as equally long as in the phrase: nats added to the last note's duration per
    /// unit by which the share of such notes falls short. 0: off.
    #[serde(default)]
    pub chord_durations: f32,
    /// How strongly the density of onsets is kept as in the phrase: nats that a step gains over one e times shorter,
    /// per unit by which the mean log interval falls short. 0: off.
    #[serde(default)]
    pub density: f32,
    /// How strongly chords are kept as spread as in the phrase: nats per hundredth of a second of spread, per hundredth
    /// of a second by which the mean spread falls short. 0: off.
    #[serde(default)]
    pub spread: f32,
    /// How strongly velocities are kept as varied as in the phrase: increase of their log temperature per 16 MIDI units
    /// by which the mean change from note to note falls short. 0: off.
    #[serde(default)]
    pub dynamics: f32,
    /// How strongly the mean pitch is kept as in the phrase: nats that a pitch gains over one an octave lower, per octave
    /// by which the mean falls short. 0: off.
    #[serde(default)]
    pub register: f32,
    /// How strongly pitches and velocities are kept within the phrase's range: nats per semitone, and per four MIDI units
    /// of velocity, by which they are outside it. 0: off.
    #[serde(default)]
    pub range: f32,
    /// How strongly onsets are kept from beginning with the same pitch as the last one, unless they did in the phrase:
    /// nats added to that pitch per unit by which the share of such onsets falls short. 0: off.
    #[serde(default)]
    pub repeated_onsets: f32,
    /// Nats added to the pitch that repeats an earlier continuation of the last two intervals or more, scaled by the
    /// share of uneven intervals in the phrase: a network that is fed its own slips repeats itself less than music
    /// does. 0: off.
    #[serde(default)]
    pub repeats: f32,
}

impl Controls {
    /// Applies [`Controls::top_p`], then [`Controls::min_p`].
    pub(crate) fn keep(&self, p: &mut [f32]) {
        apply_top_p(p, self.top_p);
        apply_min_p(p, self.min_p);
    }

    /// Turns logits into the probabilities to draw from: temperature, then top-p and min-p.
    pub(crate) fn probabilities(&self, logits: &mut [f32], temperature: f32) {
        apply_temperature(logits, temperature);
        self.keep(logits);
    }
}

impl Default for Controls {
    fn default() -> Self {
        let temperature = Temperature { step: 1.0, pitch: 1.0, duration: 1.0, velocity: 1.0 };
        Self {
            temperature,
            top_p: 1.0,
            min_p: 0.0,
            texture: 0.0,
            evenness: 0.0,
            durations: 0.0,
            chord_durations: 0.0,
            density: 0.0,
            spread: 0.0,
            dynamics: 0.0,
            register: 0.0,
            range: 0.0,
            repeated_onsets: 0.0,
            repeats: 0.0,
        }
    }
}

/// The random generator of note `index` in the take with this `seed`. Each note has its own, so that rolling back a
/// take needs no saved generator state.
pub fn note_rng(seed: u64, index: u64) -> Pcg32 {
    // SplitMix64's finalizer: neighboring seeds and notes get unrelated states.
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let seed = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
    Pcg32::new(mix(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)), seed)
}

/// Turns logits into probabilities in place. `-inf` becomes 0; if every logit is `-inf`, all become 0.
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

/// Mixes in another distribution: p = (1 - share) p + share * other, again as logits. `other` must be 0 where the
/// logits are `-inf`.
pub fn mix(logits: &mut [f32], other: &[f32], share: f32) {
    softmax(logits);
    for (value, &other) in logits.iter_mut().zip(other) {
        *value = ln((1.0 - share) * *value + share * other);
    }
}

/// Turns logits into probabilities at this temperature.
pub fn apply_temperature(logits: &mut [f32], temperature: f32) {
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
}

/// Tilts a distribution to p * e^(a value), choosing `a` within ±`steepest` so that the mean of `values` comes as close
/// to `target` as possible. The total mass stays the same. Of all distributions with that mean, this one is closest to
/// the original (in relative entropy).
pub fn tilt(p: &mut [f32], values: &[f32], target: f32, steepest: f32) {
    // Relative to the target, so that exponents stay small.
    let mean_above = |a: f32| -> f32 {
        let weighted = |(&p, &value): (&f32, &f32)| {
            let above = value - target;
            p * exp(a * above) * above
        };
        p.iter().zip(values).map(weighted).sum()
    };
    let (mut low, mut high) = (-steepest, steepest);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if mean_above(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let before: f32 = p.iter().sum();
    let mut after = 0.0;
    for (p, &value) in p.iter_mut().zip(values) {
        *p *= exp(0.5 * (low + high) * (value - target));
        after += *p;
    }
    if after > 0.0 {
        p.iter_mut().for_each(|p| *p *= before / after);
    }
}

/// Top-p: keeps the likeliest classes that together reach `mass` and rescales them to sum to 1. At 1 and above it does
/// nothing.
pub fn apply_top_p(p: &mut [f32], mass: f32) {
    if mass >= 1.0 {
        return;
    }
    let mass = mass.max(0.0);
    // There are few classes: lowering the threshold class by class needs no sorting buffer.
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

/// Min-p: drops classes less likely than `part` times the likeliest and rescales the rest to sum to 1. At 0 it does
/// nothing.
pub fn apply_min_p(p: &mut [f32], part: f32) {
    if part <= 0.0 {
        return;
    }
    let bar = part.min(1.0) * p.iter().copied().fold(0.0, f32::max);
    let kept: f32 = p.iter().filter(|&&v| v >= bar).sum();
    for value in p.iter_mut() {
        *value = if *value < bar || kept <= 0.0 { 0.0 } else { *value / kept };
    }
}

/// Draws a class; `None` if all probabilities are 0.
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

/// The index of the greatest value; the first of equals.
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

    #[test]
    fn a_mixture_has_its_shares() {
        let mut logits = [0.0, f32::NEG_INFINITY, 0.0, 0.0];
        mix(&mut logits, &[0.0, 0.0, 0.25, 0.75], 0.4);
        apply_temperature(&mut logits, 1.0);
        for (p, expected) in logits.into_iter().zip([0.2, 0.0, 0.3, 0.5]) {
            assert!((p - expected).abs() < 1e-6, "{logits:?}");
        }
        let mut logits = [3.0, 1.0, f32::NEG_INFINITY];
        mix(&mut logits, &[0.0, 1.0, 0.0], 1.0);
        assert_eq!(logits, [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY]);
    }

    proptest! {
        #[test]
        fn a_tilt_reaches_its_mean_and_keeps_the_total(
            logits in prop::collection::vec(-3.0..3.0f32, 12), part in 0.1..0.9f32, share in 0.1..1.0f32,
        ) {
            let mut p = logits;
            apply_temperature(&mut p, 1.0);
            p.iter_mut().for_each(|p| *p *= share);
            p[4] = 0.0;
            let total: f32 = p.iter().sum();
            let values: Vec<f32> = (0..12).map(|i| (i * i) as f32 / 20.0).collect();
            let target = values[0] + part * (values[11] - values[0]);
            tilt(&mut p, &values, target, 50.0);
            let sum: f32 = p.iter().sum();
            let mean: f32 = p.iter().zip(&values).map(|(p, v)| p * v).sum::<f32>() / sum;
            prop_assert!((sum - total).abs() < 1e-4 && p[4] == 0.0, "{p:?}");
            prop_assert!((mean - target).abs() < 1e-2, "{mean} for {target}");
        }

        #[test]
        fn masked_classes_are_never_drawn(
            mut logits in prop::collection::vec(-9.0..9.0f32, 128), mask: u128,
            temperature in 0.0..3.0f32, top_p in 0.0..1.2f32, min_p in 0.0..1.0f32, seed: u64,
        ) {
            for (p, logit) in logits.iter_mut().enumerate() {
                if mask >> p & 1 == 0 { *logit = f32::NEG_INFINITY; }
            }
            Controls { top_p, min_p, ..Controls::default() }.probabilities(&mut logits, temperature);
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
            Controls::default().probabilities(&mut all, 1.0);
            Controls { top_p, ..Controls::default() }.probabilities(&mut kept, 1.0);
            let mass: f32 = all.iter().zip(&kept).filter(|(_, k)| **k > 0.0).map(|(a, _)| a).sum();
            let least = all.iter().zip(&kept).filter(|(_, k)| **k > 0.0).map(|(a, _)| *a).fold(1.0, f32::min);
            prop_assert!(mass >= top_p - 1e-4);
            prop_assert!(mass - least < top_p + 1e-4);
        }
    }
}
