//! Continuation fit: is what follows a prompt of its kind?
//!
//! From each piece of the split come up to two excerpts of 40 s: 20 s are the prompt, 20 s what came
//! next in truth. The network's continuation of the prompt is compared with the prompt, and so are the
//! true one (the ceiling) and another piece's (the floor).

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

/// The measure's result.
#[derive(Clone, Debug, Serialize)]
pub struct Fit {
    /// How many prompts.
    pub prompts: usize,
    /// The network's continuations.
    pub network: Nearness,
    /// What came next in truth.
    pub ceiling: Nearness,
    /// What came next in another piece.
    pub floor: Nearness,
    /// Where the network stands on the way from the floor (0) to the ceiling (1).
    pub share: Nearness,
}

struct Excerpt {
    prompt: Vec<Note>,
    truth: Vec<Note>,
}

/// Lets the network continue prompts from these pieces. `None` if none is long enough. `begins`: whether the
/// seed hears a begin-of-sequence between prompt and continuation, as in its project; others never do.
pub fn fit(network: &Arc<Network>, pieces: &[&Piece], seed: u64, begins: bool, done: impl Fn() + Sync) -> Option<Fit> {
    let excerpts: Vec<Excerpt> = pieces.iter().flat_map(|piece| excerpts(&piece.notes)).collect();
    if excerpts.len() < 2 {
        return None;
    }
    let controls = network.card().controls;
    let indices: Vec<usize> = (0..excerpts.len()).collect();
    let nearness = parallel::map(
        &indices,
        || Mind::new(network.clone()),
        |mind, &index| {
            let Excerpt { prompt, truth } = &excerpts[index];
            play::listen(mind, prompt);
            if begins {
                mind.hand_over();
            }
            let from = prompt.last().map_or(0.0, |note| note.onset);
            let silence = PART_S - from;
            let length = Length { seconds: silence + PART_S, notes: usize::MAX };
            let take = play::take(mind, &controls, seed.wrapping_add(index as u64), from, silence, length);
            // Half the list away, so that it is not the same piece's second excerpt.
            let other = &excerpts[(index + excerpts.len() / 2) % excerpts.len()].truth;
            [&take, truth, other].map(|next| near(prompt, next))
        },
        done,
    );
    let mean = |which: usize| {
        let mean = |get: fn(&Nearness) -> f64| {
            nearness.iter().map(|three| get(&three[which])).sum::<f64>() / nearness.len() as f64
        };
        Nearness {
            pitch_classes: mean(|n| n.pitch_classes),
            key: mean(|n| n.key),
            density: mean(|n| n.density),
            velocity: mean(|n| n.velocity),
            intervals: mean(|n| n.intervals),
        }
    };
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

/// From the beginning, and from the middle if the piece is long enough for two.
fn excerpts(notes: &[Note]) -> Vec<Excerpt> {
    let length = notes.last().map_or(0.0, |note| note.onset);
    let starts = [Some(0.0), (length >= 4.0 * PART_S).then_some(length / 2.0)];
    let cut = |start: f64| {
        let part = |from: f64| -> Vec<Note> {
            let inside = notes.iter().filter(|note| (from..from + PART_S).contains(&note.onset));
            inside.map(|note| Note { onset: note.onset - start, ..*note }).collect()
        };
        Excerpt { prompt: part(start), truth: part(start + PART_S) }
    };
    starts
        .into_iter()
        .flatten()
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
    fn two_excerpts_of_a_long_piece_none_of_a_short_one() {
        let notes = |seconds: usize| -> Vec<Note> {
            let note = |index| Note { onset: index as f64 / 2.0, spread: 0.0, duration: 0.5, pitch: 60, velocity: 64 };
            (0..seconds * 2).map(note).collect()
        };
        assert_eq!(excerpts(&notes(100)).len(), 2);
        assert_eq!(excerpts(&notes(39)).len(), 0);
        let first = excerpts(&notes(100))[1].truth[0].onset;
        assert!((PART_S..PART_S + 0.5).contains(&first), "{first}");
    }
}
