//! Continuation fit: is what follows a prompt of its kind?
//!
//! From each piece of the split come up to eight excerpts of 40 s: 20 s are the prompt, 20 s what came
//! next in truth. The network's continuation of the prompt is compared with the prompt, and so are the
//! true one (the ceiling) and what came next in every other piece (the floor, their mean).

use crate::dataset::Piece;
use crate::measures::histogram::jensen_shannon;
use crate::parallel;
use crate::play::{self, Length};
use model::key::{correlation, key_profile};
use model::{Mind, Network};
use notes::Note;
use serde::Serialize;
use std::sync::Arc;

/// Seconds of the prompt, and of what follows.
pub const PART_S: f64 = 20.0;
/// Excerpts of one piece.
const MOST_EXCERPTS: usize = 8;
/// An excerpt's parts have at least this many notes each, or it is not used.
const FEWEST_NOTES: usize = 10;

/// How near a continuation is to its prompt; means over all prompts.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Nearness {
    /// Correlation of pitch-class profiles (counts of notes). Higher is nearer.
    pub pitch_classes: f64,
    /// Correlation of key profiles (how well each of 24 keys fits, Krumhansl and Kessler). Higher is nearer.
    pub key: f64,
    /// |log of the ratio of notes per second|. Lower is nearer.
    pub density: f64,
    /// |difference of mean velocities|. Lower is nearer.
    pub velocity: f64,
    /// Jensen-Shannon divergence of inter-onset intervals. Lower is nearer.
    pub intervals: f64,
}

impl Nearness {
    fn mean(all: impl Iterator<Item = Self>) -> Self {
        let (mut sum, mut count) = (Self::default(), 0.0f64);
        for one in all {
            sum.pitch_classes += one.pitch_classes;
            sum.key += one.key;
            sum.density += one.density;
            sum.velocity += one.velocity;
            sum.intervals += one.intervals;
            count += 1.0;
        }
        let mean = |sum: f64| sum / count.max(1.0);
        Self {
            pitch_classes: mean(sum.pitch_classes),
            key: mean(sum.key),
            density: mean(sum.density),
            velocity: mean(sum.velocity),
            intervals: mean(sum.intervals),
        }
    }
}

/// The measure's result.
#[derive(Clone, Debug, Serialize)]
pub struct Fit {
    /// How many prompts.
    pub prompts: usize,
    /// The network's continuations.
    pub network: Nearness,
    /// What came next in truth.
    pub ceiling: Nearness,
    /// What came next in other pieces.
    pub floor: Nearness,
    /// Where the network stands on the way from the floor (0) to the ceiling (1).
    pub share: Nearness,
}

/// A prompt and what came next.
pub struct Excerpt {
    /// Of which piece.
    piece: usize,
    /// From the excerpt's beginning on.
    pub prompt: Vec<Note>,
    /// After [`PART_S`].
    pub truth: Vec<Note>,
}

/// The excerpts of these pieces.
pub fn excerpts(pieces: &[&Piece]) -> Vec<Excerpt> {
    pieces.iter().enumerate().flat_map(|(index, piece)| cut(index, &piece.notes)).collect()
}

/// Lets the network continue the prompts. `None` if they are not from two pieces at least. `begins`: whether the
/// seed hears a begin-of-sequence between prompt and continuation, as in its project; others never do.
pub fn fit(
    network: &Arc<Network>,
    excerpts: &[Excerpt],
    seed: u64,
    begins: bool,
    done: impl Fn() + Sync,
) -> Option<Fit> {
    if excerpts.first()?.piece == excerpts.last()?.piece {
        return None;
    }
    let controls = network.card().controls;
    let indices: Vec<usize> = (0..excerpts.len()).collect();
    let nearness = parallel::map(
        &indices,
        || Mind::new(network.clone()),
        |mind, &index| {
            let Excerpt { piece, prompt, truth } = &excerpts[index];
            play::listen(mind, prompt);
            if begins {
                mind.hand_over();
            }
            let from = prompt.last().map_or(0.0, |note| note.onset);
            let silence = PART_S - from;
            let length = Length { seconds: silence + PART_S, notes: usize::MAX };
            let take = play::take(mind, &controls, seed.wrapping_add(index as u64), from, silence, length);
            let others = excerpts.iter().filter(|other| other.piece != *piece);
            let floor = Nearness::mean(others.map(|other| near(prompt, &other.truth)));
            [near(prompt, &take), near(prompt, truth), floor]
        },
        done,
    );
    let mean = |which: usize| Nearness::mean(nearness.iter().map(|three| three[which]));
    let (network, ceiling, floor) = (mean(0), mean(1), mean(2));
    let share = |get: fn(&Nearness) -> f64| (get(&network) - get(&floor)) / (get(&ceiling) - get(&floor));
    Some(Fit {
        prompts: excerpts.len(),
        share: Nearness {
            pitch_classes: share(|n| n.pitch_classes),
            key: share(|n| n.key),
            density: share(|n| n.density),
            velocity: share(|n| n.velocity),
            intervals: share(|n| n.intervals),
        },
        network,
        ceiling,
        floor,
    })
}

/// From the beginning on, spread over the piece, none into the next.
fn cut(piece: usize, notes: &[Note]) -> Vec<Excerpt> {
    let length = notes.last().map_or(0.0, |note| note.onset);
    let apart = (length / MOST_EXCERPTS as f64).max(2.0 * PART_S);
    let cut = |start: f64| {
        let part = |from: f64| -> Vec<Note> {
            let inside = notes.iter().filter(|note| (from..from + PART_S).contains(&note.onset));
            inside.map(|note| Note { onset: note.onset - start, ..*note }).collect()
        };
        Excerpt { piece, prompt: part(start), truth: part(start + PART_S) }
    };
    (0..MOST_EXCERPTS)
        .map(|index| index as f64 * apart)
        .filter(|start| start + 2.0 * PART_S <= length)
        .map(cut)
        .filter(|excerpt| excerpt.prompt.len().min(excerpt.truth.len()) >= FEWEST_NOTES)
        .collect()
}

fn near(prompt: &[Note], next: &[Note]) -> Nearness {
    let velocity =
        |notes: &[Note]| notes.iter().map(|note| f64::from(note.velocity)).sum::<f64>() / notes.len().max(1) as f64;
    let [classes, next_classes] = [prompt, next].map(pitch_classes);
    Nearness {
        pitch_classes: correlation(&classes, &next_classes),
        key: correlation(&key_profile(&classes), &key_profile(&next_classes)),
        density: ((next.len() as f64 + 1.0) / (prompt.len() as f64 + 1.0)).ln().abs(),
        velocity: (velocity(next) - velocity(prompt)).abs(),
        intervals: jensen_shannon(&intervals(prompt), &intervals(next)),
    }
}

/// How many notes each pitch class has.
pub fn pitch_classes(notes: &[Note]) -> [f64; 12] {
    let mut counts = [0.0; 12];
    notes.iter().for_each(|note| counts[usize::from(note.pitch % 12)] += 1.0);
    counts
}

/// Inter-onset intervals: chords, then half octaves of time from 30 ms on.
fn intervals(notes: &[Note]) -> Vec<u64> {
    let mut counts = vec![0; 24];
    for pair in notes.windows(2) {
        let step = pair[1].onset - pair[0].onset;
        let bin = if step <= 0.0 { 0.0 } else { 1.0 + (2.0 * (step / 0.030).log2()).max(0.0) };
        counts[(bin as usize).min(23)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_spread_over_the_piece_and_none_reaches_beyond_it() {
        let notes = |seconds: usize| -> Vec<Note> {
            let note = |index| Note { onset: index as f64 / 2.0, spread: 0.0, duration: 0.5, pitch: 60, velocity: 64 };
            (0..=seconds * 2).map(note).collect()
        };
        let counts = [39, 40, 100, 320, 1000].map(|seconds| cut(0, &notes(seconds)).len());
        assert_eq!(counts, [0, 1, 2, 8, 8]);
        let last = &cut(0, &notes(1000))[7];
        assert_eq!((last.prompt[0].onset, last.truth[0].onset), (0.0, PART_S));
    }
}
