//! Histograms of pitch, step and duration, and their divergence.

use model::encoding::{PITCHES, TIMES, time_bin};
use notes::Note;
use serde::Serialize;

/// Description of the bins, for reports.
pub const BINS: &str = "pitch: 128 keys; step and duration: 128 bins, [0, 5) ms, then 10 ms wide up to 255 ms, \
                        then growing by 4.4 % up to 20 s; a piece's first note has no step";

/// Histograms over one or more pieces.
#[derive(Clone, Debug)]
pub struct Histograms {
    /// Per key.
    pub pitch: Vec<u64>,
    /// Per time bin.
    pub step: Vec<u64>,
    /// Per time bin.
    pub duration: Vec<u64>,
}

/// Jensen-Shannon divergences, base 2: 0 for identical distributions, 1 for distributions with nothing in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Divergence {
    /// Of pitches.
    pub pitch: f64,
    /// Of steps.
    pub step: f64,
    /// Of durations.
    pub duration: f64,
}

impl Histograms {
    /// Counts pieces whose notes are sorted by onset.
    pub fn of<'a>(pieces: impl Iterator<Item = &'a [Note]>) -> Self {
        let mut counts = Self { pitch: vec![0; PITCHES], step: vec![0; TIMES], duration: vec![0; TIMES] };
        for notes in pieces {
            for note in notes {
                counts.pitch[usize::from(note.pitch)] += 1;
                counts.duration[time_bin(note.duration)] += 1;
            }
            for pair in notes.windows(2) {
                counts.step[time_bin(pair[1].onset - pair[0].onset)] += 1;
            }
        }
        counts
    }

    /// Divergence from other histograms.
    pub fn divergence(&self, other: &Self) -> Divergence {
        Divergence {
            pitch: jensen_shannon(&self.pitch, &other.pitch),
            step: jensen_shannon(&self.step, &other.step),
            duration: jensen_shannon(&self.duration, &other.duration),
        }
    }
}

/// Jensen-Shannon divergence of two histograms over the same bins, base 2; 1 if exactly one is empty.
pub fn jensen_shannon(a: &[u64], b: &[u64]) -> f64 {
    let totals = [a, b].map(|counts| counts.iter().sum::<u64>() as f64);
    match totals.map(|total| total > 0.0) {
        [true, true] => {}
        [false, false] => return 0.0,
        _ => return 1.0,
    }
    let bins = a.iter().zip(b).map(|(&a, &b)| [a as f64 / totals[0], b as f64 / totals[1]]);
    let sum: f64 = bins
        .flat_map(|[p, q]| {
            let middle = (p + q) / 2.0;
            [p, q].map(|p| if p > 0.0 { p * (p / middle).log2() } else { 0.0 })
        })
        .sum();
    (sum / 2.0).clamp(0.0, 1.0)
}

/// The divergence to expect from chance: between two random halves of the pieces, mean over `draws` halvings.
pub fn split_halves(pieces: &[&[Note]], draws: u64) -> Option<Divergence> {
    if pieces.len() < 2 {
        return None;
    }
    let mut mean = Divergence::default();
    for draw in 0..draws {
        let mut order: Vec<usize> = (0..pieces.len()).collect();
        let mut rng = model::note_rng(draw, 0);
        for last in (1..order.len()).rev() {
            order.swap(last, rand::Rng::random_range(&mut rng, 0..=last));
        }
        let (one, other) = order.split_at(order.len() / 2);
        let half = |indices: &[usize]| Histograms::of(indices.iter().map(|&index| pieces[index]));
        let divergence = half(one).divergence(&half(other));
        mean.pitch += divergence.pitch / draws as f64;
        mean.step += divergence.step / draws as f64;
        mean.duration += divergence.duration / draws as f64;
    }
    Some(mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_0_for_the_same_shape_1_for_nothing_in_common() {
        assert!(jensen_shannon(&[1, 2, 3], &[10, 20, 30]).abs() < 1e-12);
        assert!((jensen_shannon(&[5, 0], &[0, 7]) - 1.0).abs() < 1e-12);
        // By hand: p = (1/2, 1/2), q = (1, 0), m = (3/4, 1/4):
        // (1/2 log2(2/3) + 1/2 log2 2 + log2(4/3)) / 2 = 0.311278...
        assert!((jensen_shannon(&[1, 1], &[1, 0]) - 0.311_278_124_459_132_8).abs() < 1e-12);
    }
}
