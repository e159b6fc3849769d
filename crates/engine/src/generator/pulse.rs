//! Estimates the pulse of a phrase: the beat that a listener would tap.
//!
//! Each candidate period is rated by how well the phrase's onsets align with it and with its halves, thirds
//! and quarters: the Fourier transform of the onsets at those frequencies (a tempogram, as in Grosche and
//! Müller, "Extracting predominant local pulse information from music recordings", 2011), weighted by how
//! readily listeners tap at that tempo (Parncutt, "A perceptual model of pulse salience and metrical accent in
//! musical rhythms", 1994). Pure and deterministic: it uses `libm`, which gives the same results on every system.

use std::f64::consts::TAU;

/// Range of periods that can be a pulse, in seconds: 150 to 45 bpm.
const PERIODS_S: [f64; 2] = [0.4, 1.333];
/// The period that listeners prefer, in seconds, and the standard deviation around it, in octaves.
const PREFERRED_S: f64 = 0.6;
const OCTAVES: f64 = 1.0;
/// Weights of the pulse itself, its halves, thirds and quarters.
const SHARES: [f64; 4] = [1.0, 0.7, 0.35, 0.5];
/// Ratio of two neighboring candidate periods.
const RATIO: f64 = 1.004;
/// Number of finer steps on each side of the best candidate.
const FINER: i32 = 16;
/// The most onsets considered, the latest ones; fewer than `FEWEST` have no pulse.
pub const ONSETS: usize = 48;
const FEWEST: usize = 4;
/// An onset this many seconds before the last one weighs half as much.
const HALF_LIFE_S: f64 = 6.0;
/// The least alignment of the onsets with a pulse (1: exact); below it, there is none.
const LEAST: f64 = 0.4;

/// A series of equidistant beats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pulse {
    /// Seconds from beat to beat.
    pub period: f64,
    /// The time of one of the beats, on the onsets' axis.
    pub beat: f64,
}

/// The pulse of `onsets`: times in seconds, in ascending order, each with a weight (from its number of notes
/// and their velocities). `None`: they have none.
pub fn pulse(onsets: &[(f64, f64)]) -> Option<Pulse> {
    let onsets = &onsets[onsets.len().saturating_sub(ONSETS)..];
    if onsets.len() < FEWEST {
        return None;
    }
    let last = onsets.last()?.0;
    // Times relative to the last onset are small numbers, wherever the axis begins.
    let onsets: Vec<(f64, f64)> =
        onsets.iter().map(|&(at, weight)| (at - last, weight * libm::exp2((at - last) / HALF_LIFE_S))).collect();
    let whole: f64 = onsets.iter().map(|onset| onset.1).sum();

    let count = (libm::log(PERIODS_S[1] / PERIODS_S[0]) / libm::log(RATIO)) as i32;
    let coarse = (0..=count).map(|i| PERIODS_S[0] * libm::pow(RATIO, i.into()));
    let period = best(&onsets, coarse)?;
    let finer = (-FINER..=FINER).map(|i| period * libm::pow(RATIO, f64::from(i) / f64::from(FINER)));
    let period = best(&onsets, finer)?;
    let in_step = (1..=SHARES.len()).map(|part| fourier(&onsets, period / part as f64).0).fold(0.0, f64::max);
    (in_step >= LEAST * whole).then(|| {
        // Whole microseconds: results must not depend on a machine's rounding of the last digit.
        let micro = |seconds: f64| (seconds * 1e6).round() / 1e6;
        Pulse { period: micro(period), beat: micro(last + beat(&onsets, period)) }
    })
}

/// Whether `onsets` (see [`pulse`]) were played to these beats, or to halves, thirds or quarters of them, rather than
/// freely: chance alone aligns so well only once in some fifty phrases.
pub fn keeps_to(onsets: &[(f64, f64)], beats: &Pulse) -> bool {
    /// The least alignment of onsets played to a beat, and that of a single onset, from which more of them need less, as
    /// one over the root of their number: 2.5 standard deviations of unrelated ones (Rayleigh's test).
    const LEAST: [f64; 2] = [0.5, 1.8];
    let Some(last) = onsets.last() else { return false };
    let weighted =
        onsets.iter().map(|&(at, weight)| (at - beats.beat, weight * libm::exp2((at - last.0) / HALF_LIFE_S)));
    let (sum, squares) = weighted.clone().fold((0.0, 0.0), |(sum, squares), (_, w)| (sum + w, squares + w * w));
    let alignment = |part: usize| -> f64 {
        let period = beats.period / part as f64;
        weighted.clone().map(|(at, weight)| weight * libm::cos(TAU * at / period)).sum::<f64>() / sum
    };
    let count = sum * sum / squares;
    let best = (1..=SHARES.len()).map(alignment).fold(-1.0, f64::max);
    best >= LEAST[0].max(LEAST[1] / libm::sqrt(count))
}

/// The period of greatest salience; the first one if several are equal.
fn best(onsets: &[(f64, f64)], periods: impl Iterator<Item = f64>) -> Option<f64> {
    let rated = periods.map(|period| (salience(onsets, period), period));
    rated.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|best| best.1)
}

fn salience(onsets: &[(f64, f64)], period: f64) -> f64 {
    let octaves = libm::log2(period / PREFERRED_S) / OCTAVES;
    let in_step: f64 =
        SHARES.iter().enumerate().map(|(part, share)| share * fourier(onsets, period / (part + 1) as f64).0).sum();
    in_step * libm::exp(-0.5 * octaves * octaves)
}

/// How well the onsets align with a period: the magnitude, and the time around which they cluster.
fn fourier(onsets: &[(f64, f64)], period: f64) -> (f64, f64) {
    let (mut re, mut im) = (0.0, 0.0);
    for &(at, weight) in onsets {
        let (sin, cos) = libm::sincos(TAU * at / period);
        re += weight * cos;
        im += weight * sin;
    }
    (libm::hypot(re, im), libm::atan2(im, re) / TAU * period)
}

/// The time of a beat: of the places in the period given by the best-aligned division, the one with the most weight.
fn beat(onsets: &[(f64, f64)], period: f64) -> f64 {
    let fits = |part: usize| fourier(onsets, period / part as f64);
    let parts = (1..=SHARES.len()).reduce(|best, part| if fits(part).0 > 1.05 * fits(best).0 { part } else { best });
    let parts = parts.unwrap_or(1);
    let (_, gather) = fits(parts);
    let near = 0.25 * period / parts as f64;
    let weight = |at: f64| -> f64 {
        let distance = |onset: f64| (onset - at - ((onset - at) / period).round() * period).abs();
        onsets.iter().filter(|onset| distance(onset.0) < near).map(|onset| onset.1).sum()
    };
    let places = (0..parts).map(|i| gather + i as f64 * period / parts as f64);
    let rated = places.map(|at| (weight(at), at));
    rated.reduce(|best, next| if next.0 > best.0 { next } else { best }).map_or(gather, |best| best.1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The position of a time relative to the nearest beat, from -0.5 to 0.5 beats.
    fn phase(pulse: &Pulse, at: f64) -> f64 {
        let beats = (at - pulse.beat) / pulse.period;
        beats - beats.round()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// Rhythms from sixteenths to halves, with human timing and accents on the beat: finds tempo and beat.
        #[test]
        fn a_played_rhythm_has_its_pulse(
            period in 0.42..1.0f64, start in -50.0..50.0f64,
            rhythm in prop::sample::select(vec![
                vec![1.0], vec![0.5, 0.5, 1.0], vec![1.0, 0.5, 0.5, 2.0], vec![1.5, 0.5, 1.0], vec![0.5; 4],
                vec![0.25, 0.25, 0.5, 1.0],
            ]),
            jitter in prop::collection::vec(-0.012..0.012f64, 32),
        ) {
            let mut beats = 0.0;
            let mut onsets = vec![];
            for (step, jitter) in rhythm.iter().cycle().zip(&jitter) {
                let accent = if beats % 1.0 == 0.0 { 2.0 } else { 1.0 };
                onsets.push((start + beats * period + jitter, accent));
                beats += step;
            }
            let found = pulse(&onsets).expect("it has one");
            // A listener may tap twice as fast or half as fast.
            let ratio = [0.5, 1.0, 2.0].map(|octave| (found.period / period / octave - 1.0).abs());
            prop_assert!(ratio.into_iter().fold(1.0, f64::min) < 0.01, "{} for {period}", found.period);
            let last = start + ((onsets.last().unwrap().0 - start) / period).round() * period;
            let off = phase(&Pulse { period: found.period.min(period), ..found }, last) * found.period.min(period);
            prop_assert!(off.abs() < 0.04, "{off} s off the beat, {found:?} for {period}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// Played to the beats, with human timing, or to beats of another tempo.
        #[test]
        fn who_plays_to_a_beat_is_known_and_who_does_not(
            period in 0.42..1.0f64, start in -50.0..50.0f64, other in 0.06..0.4f64, faster in any::<bool>(),
            rhythm in prop::sample::select(vec![
                vec![1.0], vec![0.5, 0.5, 1.0], vec![1.0, 0.5, 0.5, 2.0], vec![1.5, 0.5, 1.0], vec![0.5; 4],
            ]),
            jitter in prop::collection::vec(-0.02..0.02f64, 32),
        ) {
            let played = rhythm.iter().cycle().scan(0.0, |beats, step| {
                *beats += step;
                Some(*beats)
            });
            let onsets: Vec<_> =
                played.zip(&jitter).map(|(beats, jitter)| (start + beats * period + jitter, 1.0)).collect();
            let kept = |period: f64| keeps_to(&onsets, &Pulse { period, beat: start });
            prop_assert!(kept(period));
            let beats = Pulse { period, beat: start };
            prop_assert!(!keeps_to(&onsets[..2], &beats), "two notes are too few");
            // Ratios near those of note values, which are beats too, are left out.
            let ratio = if faster { 1.0 + other } else { 1.0 / (1.0 + other) };
            let simple = [0.5, 2.0 / 3.0, 0.75, 1.0, 4.0 / 3.0, 1.5, 2.0];
            prop_assume!(simple.iter().all(|simple: &f64| (ratio / simple - 1.0).abs() > 0.05));
            prop_assert!(!kept(period * ratio));
        }
    }

    #[test]
    fn chance_seldom_keeps_to_a_beat() {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        for count in [4, 12, 40] {
            let keeps = (0..1000).filter(|_| {
                let mut onsets: Vec<(f64, f64)> = (0..count).map(|_| (10.0 * uniform(), 1.0)).collect();
                onsets.sort_by(|a, b| a.0.total_cmp(&b.0));
                keeps_to(&onsets, &Pulse { period: 0.5, beat: 0.0 })
            });
            let keeps = keeps.count();
            assert!(keeps < 40, "{keeps} of 1000 with {count} onsets");
        }
    }

    #[test]
    fn chance_and_silence_have_none() {
        assert_eq!(pulse(&[]), None);
        assert_eq!(pulse(&[(0.0, 1.0), (0.5, 1.0), (1.0, 1.0)]), None);
        let scattered: Vec<(f64, f64)> = (0..200u64)
            .scan(0.0, |at, i| {
                *at += 0.031 + (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as f64 * 0.0013;
                Some((*at, 1.0))
            })
            .collect();
        assert_eq!(pulse(&scattered), None);
    }
}
