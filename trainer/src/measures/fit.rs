//! Continuation fit: does a continuation resemble its prompt?
//!
//! Up to eight excerpts of 40 s are cut from each piece of the split: a prompt of 20 s, and the 20 s that follow it.
//! The network's continuation is compared with the prompt, and so are the true continuation (the ceiling) and the
//! continuations in all other pieces (the floor; their mean).

use crate::dataset::Piece;
use crate::measures::excerpts::{self, Excerpt, MIN_NOTES, PART_S};
use crate::measures::histogram::jensen_shannon;
use crate::parallel;
use crate::play::Style;
use model::key::{correlation, key_profile};
use model::{Decoder, Network};
use notes::Note;
use serde::Serialize;
use std::sync::Arc;

/// Maximum number of excerpts from one piece.
const MAX_EXCERPTS: usize = 8;

/// Similarity of a continuation to its prompt; means over all prompts.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PromptSimilarity {
    /// Correlation of pitch-class profiles (numbers of notes). Higher is nearer.
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

impl PromptSimilarity {
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

/// The results of this measure.
#[derive(Clone, Debug, Serialize)]
pub struct Fit {
    /// Number of prompts.
    pub prompts: usize,
    /// The network's continuations.
    pub network: PromptSimilarity,
    /// The true continuations.
    pub ceiling: PromptSimilarity,
    /// Continuations in other pieces.
    pub floor: PromptSimilarity,
    /// Position of the network between the floor (0) and the ceiling (1).
    pub share: PromptSimilarity,
}

/// The excerpts of these pieces whose true continuations have at least as many notes as a prompt must have.
pub fn excerpts<'a>(pieces: &[&'a Piece]) -> Vec<Excerpt<'a>> {
    let mut excerpts = excerpts::excerpts(pieces, MAX_EXCERPTS, 2.0 * PART_S);
    excerpts.retain(|excerpt| excerpt.truth.len() >= MIN_NOTES);
    excerpts
}

/// Lets the network continue the prompts. `None` if they are from fewer than two pieces. `begins`: whether a network of
/// kind seed is fed a begin-of-sequence after the prompt, as in the original project; other kinds never are.
pub fn fit(
    network: &Arc<Network>,
    style: &Style,
    excerpts: &[Excerpt],
    seed: u64,
    begins: bool,
    done: impl Fn() + Sync,
) -> Option<Fit> {
    if excerpts.first()?.piece == excerpts.last()?.piece {
        return None;
    }
    let indices: Vec<usize> = (0..excerpts.len()).collect();
    let similarities = parallel::map(
        &indices,
        || Decoder::new(network.clone()),
        |decoder, &index| {
            let Excerpt { piece, prompt, truth, .. } = &excerpts[index];
            let take = excerpts::continuation(decoder, style, prompt, seed.wrapping_add(index as u64), begins);
            let others = excerpts.iter().filter(|other| other.piece != *piece);
            let floor = PromptSimilarity::mean(others.map(|other| compare_to_prompt(prompt, &other.truth)));
            [compare_to_prompt(prompt, &take), compare_to_prompt(prompt, truth), floor]
        },
        done,
    );
    let mean = |which: usize| PromptSimilarity::mean(similarities.iter().map(|three| three[which]));
    let (network, ceiling, floor) = (mean(0), mean(1), mean(2));
    let share = |get: fn(&PromptSimilarity) -> f64| (get(&network) - get(&floor)) / (get(&ceiling) - get(&floor));
    Some(Fit {
        prompts: excerpts.len(),
        share: PromptSimilarity {
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

fn compare_to_prompt(prompt: &[Note], next: &[Note]) -> PromptSimilarity {
    let velocity =
        |notes: &[Note]| notes.iter().map(|note| f64::from(note.velocity)).sum::<f64>() / notes.len().max(1) as f64;
    let [classes, next_classes] = [prompt, next].map(pitch_classes);
    PromptSimilarity {
        pitch_classes: correlation(&classes, &next_classes),
        key: correlation(&key_profile(&classes), &key_profile(&next_classes)),
        density: ((next.len() as f64 + 1.0) / (prompt.len() as f64 + 1.0)).ln().abs(),
        velocity: (velocity(next) - velocity(prompt)).abs(),
        intervals: jensen_shannon(&intervals(prompt), &intervals(next)),
    }
}

/// Number of notes in each pitch class.
pub fn pitch_classes(notes: &[Note]) -> [f64; 12] {
    let mut counts = [0.0; 12];
    notes.iter().for_each(|note| counts[usize::from(note.pitch % 12)] += 1.0);
    counts
}

/// Histogram of inter-onset intervals: chords, then half octaves of time from 30 ms up.
fn intervals(notes: &[Note]) -> Vec<u64> {
    let mut counts = vec![0; 24];
    for pair in notes.windows(2) {
        let step = pair[1].onset - pair[0].onset;
        let bin = if step <= 0.0 { 0.0 } else { 1.0 + (2.0 * (step / 0.030).log2()).max(0.0) };
        counts[(bin as usize).min(23)] += 1;
    }
    counts
}
