//! Similarity of takes to real music: Yang and Lerch's comparison ("On the evaluation of generative models in music",
//! 2018).
//!
//! A few features are computed for each excerpt. The distances between takes and real excerpts are compared with those
//! among real excerpts, by the overlapping area of the two distributions of distances (1: no difference) and their
//! Kullback-Leibler divergence (0: no difference).

use crate::measures::fit::pitch_classes;
use notes::Note;
use serde::Serialize;

/// Number of points at which the smoothed distributions are evaluated.
const POINTS: usize = 1000;
/// Lower bound for densities, so that the divergence stays finite.
const LEAST_DENSITY: f64 = 1e-9;
/// Pitch classes of a major scale, and of its relative minor.
const SCALE: [usize; 7] = [0, 2, 4, 5, 7, 9, 11];

/// Comparison of one feature.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Similarity {
    /// Overlapping area of the distributions of distances, 0 to 1.
    pub overlap: f64,
    /// Kullback-Leibler divergence from the real-to-real to the take-to-real distances, in nats.
    pub divergence: f64,
    /// Mean of the feature over takes.
    pub takes: f64,
    /// Mean of the feature over real excerpts.
    pub real: f64,
}

/// A number that describes an excerpt.
pub type Feature = fn(&[Note]) -> f64;

/// The features, with their names.
pub const FEATURES: [(&str, Feature); 8] = [
    ("pitch_count", |notes| {
        let used = notes.iter().fold(0u128, |used, note| used | 1 << note.pitch);
        f64::from(used.count_ones())
    }),
    ("pitch_range", |notes| {
        let pitches = || notes.iter().map(|note| note.pitch);
        f64::from(pitches().max().unwrap_or(0) - pitches().min().unwrap_or(0))
    }),
    ("mean_interval", |notes| mean(notes.windows(2).map(|pair| f64::from(pair[0].pitch.abs_diff(pair[1].pitch))))),
    ("mean_step", |notes| mean(notes.windows(2).map(|pair| pair[1].onset - pair[0].onset))),
    ("mean_duration", |notes| mean(notes.iter().map(|note| note.duration))),
    ("mean_velocity", |notes| mean(notes.iter().map(|note| f64::from(note.velocity)))),
    ("pitch_class_entropy", |notes| entropy(&pitch_classes(notes))),
    ("scale_consistency", scale_consistency),
];

/// Entropy of counts in nats.
pub fn entropy(counts: &[f64]) -> f64 {
    let total: f64 = counts.iter().sum();
    counts.iter().filter(|&&count| count > 0.0).map(|count| -count / total * (count / total).ln()).sum()
}

/// Fraction of notes in the best-fitting major or minor scale.
pub fn scale_consistency(notes: &[Note]) -> f64 {
    let counts = pitch_classes(notes);
    let inside = |tonic: usize| -> f64 { SCALE.iter().map(|step| counts[(tonic + step) % 12]).sum() };
    (0..12).map(inside).fold(0.0, f64::max) / notes.len().max(1) as f64
}

/// Compares takes with real excerpts of as many notes. `None` if there are fewer than two of either.
pub fn compare(takes: &[Vec<Note>], pieces: &[&[Note]]) -> Option<Vec<(&'static str, Similarity)>> {
    let takes: Vec<&[Note]> = takes.iter().map(Vec::as_slice).filter(|notes| notes.len() > 1).collect();
    let length = takes.iter().map(|notes| notes.len()).max()?;
    let real = excerpts(pieces, length, takes.len());
    if takes.len() < 2 || real.len() < 2 {
        return None;
    }
    let compared = FEATURES.iter().map(|&(name, feature)| {
        let [takes, real] = [&takes, &real].map(|set| set.iter().map(|notes| feature(notes)).collect::<Vec<f64>>());
        let pairs =
            real.iter().enumerate().flat_map(|(index, one)| real[index + 1..].iter().map(move |other| one - other));
        let within: Vec<f64> = pairs.map(f64::abs).collect();
        let between: Vec<f64> =
            takes.iter().flat_map(|take| real.iter().map(move |other| (take - other).abs())).collect();
        let (overlap, divergence) = overlap_and_divergence(&within, &between);
        (name, Similarity { overlap, divergence, takes: mean(takes.into_iter()), real: mean(real.into_iter()) })
    });
    Some(compared.collect())
}

/// Cuts `count` excerpts of `length` notes, evenly spread over all pieces; a shorter piece is used whole.
fn excerpts<'a>(pieces: &[&'a [Note]], length: usize, count: usize) -> Vec<&'a [Note]> {
    let total: usize = pieces.iter().map(|notes| notes.len()).sum();
    let mut excerpts = Vec::with_capacity(count);
    for index in 0..count {
        let mut place = total * (2 * index + 1) / (2 * count);
        for notes in pieces {
            if place < notes.len() {
                let start = place.min(notes.len().saturating_sub(length));
                excerpts.push(&notes[start..notes.len().min(start + length)]);
                break;
            }
            place -= notes.len();
        }
    }
    excerpts.retain(|notes| notes.len() > 1);
    excerpts
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for value in values {
        sum += value;
        count += 1;
    }
    sum / count.max(1) as f64
}

/// Overlapping area and divergence of two samples, smoothed with Gaussian kernels of Scott's bandwidth.
fn overlap_and_divergence(one: &[f64], other: &[f64]) -> (f64, f64) {
    let width = |values: &[f64]| {
        let middle = mean(values.iter().copied());
        let deviation = mean(values.iter().map(|value| (value - middle).powi(2))).sqrt();
        (deviation * (values.len() as f64).powf(-0.2)).max(1e-6)
    };
    let widths = [width(one), width(other)];
    let margin = 3.0 * widths[0].max(widths[1]);
    let all = || one.iter().chain(other).copied();
    let low = all().fold(f64::INFINITY, f64::min) - margin;
    let high = all().fold(f64::NEG_INFINITY, f64::max) + margin;
    let step = (high - low) / POINTS as f64;
    let density = |values: &[f64], width: f64, at: f64| {
        let bells = values.iter().map(|value| (-((at - value) / width).powi(2) / 2.0).exp());
        bells.sum::<f64>() / (values.len() as f64 * width * (2.0 * std::f64::consts::PI).sqrt())
    };
    let (mut overlap, mut divergence) = (0.0, 0.0);
    for point in 0..POINTS {
        let at = low + (point as f64 + 0.5) * step;
        let [p, q] = [density(one, widths[0], at), density(other, widths[1], at)].map(|p| p.max(LEAST_DENSITY));
        overlap += p.min(q) * step;
        divergence += p * (p / q).ln() * step;
    }
    (overlap.min(1.0), divergence.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_overlaps_wholly_and_the_distant_not_at_all() {
        let one: Vec<f64> = (0..200).map(|index| f64::from(index) / 200.0).collect();
        let far: Vec<f64> = one.iter().map(|value| value + 50.0).collect();
        let (overlap, divergence) = overlap_and_divergence(&one, &one);
        assert!((overlap - 1.0).abs() < 0.01 && divergence < 1e-9, "{overlap} {divergence}");
        let (overlap, divergence) = overlap_and_divergence(&one, &far);
        assert!(overlap < 0.01 && divergence > 1.0, "{overlap} {divergence}");
    }

    #[test]
    fn a_scale_is_consistent_whatever_its_tonic_and_all_twelve_keys_are_not() {
        let notes = |pitches: &[u8]| -> Vec<Note> {
            let note = |&pitch| Note { onset: 0.0, spread: 0.0, duration: 1.0, pitch, velocity: 64 };
            pitches.iter().map(note).collect()
        };
        assert_eq!(scale_consistency(&notes(&[61, 63, 65, 66, 68, 70, 72])), 1.0);
        assert!((scale_consistency(&notes(&(60..72).collect::<Vec<u8>>())) - 7.0 / 12.0).abs() < 1e-12);
    }
}
