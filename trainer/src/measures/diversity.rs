//! Diversity: are takes of one prompt with different seeds different ideas?
//!
//! Each prompt is continued with several seeds, and the takes are compared with one another in pairs. For comparison,
//! so are real continuations in the same style: the true continuations of all prompts of a piece. The more a pair has in
//! common, the less different its ideas; see [`similarity`] for what is compared. Where a phrase leaves no doubt how it
//! goes on, takes are alike because they all play what comes next in the piece; so the takes are compared with that, too.

use crate::measures::excerpts::{self, Excerpt, PART_S};
use crate::parallel;
use crate::play::Style;
use model::search::similarity;
use model::{Decoder, Network};
use notes::Note;
use serde::Serialize;
use std::sync::Arc;

/// Number of takes of each prompt.
pub const SEEDS: usize = 4;

/// Similarity of pairs of continuations, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pairs {
    /// Number of pairs.
    pub pairs: usize,
    /// Their mean similarity.
    pub mean: f64,
    /// The similarity that 95 % of the pairs do not exceed.
    pub high: f64,
    /// That of the most similar pair.
    pub highest: f64,
}

/// The results of this measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Diversity {
    /// Number of prompts.
    pub prompts: usize,
    /// Pairs of takes of one prompt.
    pub takes: Pairs,
    /// Pairs of a take and what came next in the piece.
    pub truth: Pairs,
    /// Pairs of true continuations from one piece.
    pub real: Pairs,
    /// Share of the pairs of takes that are more similar than any pair of true continuations.
    pub beyond: f64,
}

/// Lets the network continue these prompts with [`SEEDS`] seeds each, and compares their takes with the true continuations
/// of `excerpts`. `None` if no piece has two of them. Calls `done` after each take.
pub fn diversity(
    network: &Arc<Network>,
    style: &Style,
    prompts: &[Excerpt],
    excerpts: &[Excerpt],
    seed: u64,
    done: impl Fn() + Sync,
) -> Option<Diversity> {
    let jobs: Vec<(usize, u64)> =
        (0..prompts.len()).flat_map(|index| (0..SEEDS as u64).map(move |take| (index, take))).collect();
    let takes = parallel::map(
        &jobs,
        || Decoder::new(network.clone()),
        |decoder, &(index, take)| {
            let prompt = &prompts[index].prompt;
            since_hand_over(&excerpts::continuation(decoder, style, prompt, seed.wrapping_add(take), true))
        },
        done,
    );
    compare(prompts, excerpts, &takes)
}

/// Compares [`SEEDS`] takes of each prompt with one another and with what came next, and the true continuations in each
/// piece.
fn compare(prompts: &[Excerpt], excerpts: &[Excerpt], takes: &[Vec<Note>]) -> Option<Diversity> {
    let truth = takes.chunks_exact(SEEDS).zip(prompts).flat_map(|(takes, prompt)| {
        let truth = since_hand_over(&prompt.truth);
        takes.iter().map(move |take| common(take, &truth))
    });
    let (truth, _) = Pairs::of(truth.collect())?;
    let takes: Vec<f64> = takes.chunks_exact(SEEDS).flat_map(in_pairs).collect();
    let real = excerpts.chunk_by(|a, b| a.piece == b.piece).flat_map(|of_a_piece| {
        let truths: Vec<Vec<Note>> = of_a_piece.iter().map(|excerpt| since_hand_over(&excerpt.truth)).collect();
        in_pairs(&truths)
    });
    let (takes, real) = (Pairs::of(takes)?, Pairs::of(real.collect())?);
    let beyond = takes.1.iter().filter(|similar| **similar > real.0.highest).count();
    Some(Diversity {
        prompts: prompts.len(),
        takes: takes.0,
        truth,
        real: real.0,
        beyond: beyond as f64 / takes.0.pairs as f64,
    })
}

impl Pairs {
    /// The summary and the sorted similarities; `None` if there are no pairs.
    fn of(mut all: Vec<f64>) -> Option<(Self, Vec<f64>)> {
        all.sort_by(f64::total_cmp);
        let (pairs, highest) = (all.len(), *all.last()?);
        let high = all[(pairs - 1) * 95 / 100];
        Some((Self { pairs, mean: all.iter().sum::<f64>() / pairs as f64, high, highest }, all))
    }
}

/// The similarity of every pair, in both directions on average.
fn in_pairs(takes: &[Vec<Note>]) -> Vec<f64> {
    let pairs = takes.iter().enumerate().flat_map(|(index, a)| takes[..index].iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| common(a, b)).collect()
}

/// The similarity of two continuations, in both directions on average.
fn common(a: &[Note], b: &[Note]) -> f64 {
    0.5 * (similarity(a, b) + similarity(b, a))
}

/// Times in seconds since the hand-over.
fn since_hand_over(notes: &[Note]) -> Vec<Note> {
    notes.iter().map(|note| Note { onset: note.onset - PART_S, ..*note }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_takes_are_beyond_what_pieces_repeat() {
        let notes = |first: u8| -> Vec<Note> {
            let note = |n: u8| Note {
                onset: PART_S + f64::from(n) / 4.0,
                spread: 0.0,
                duration: 0.2,
                pitch: first + n,
                velocity: 64,
            };
            (0..20).map(note).collect()
        };
        let excerpt = |piece, first| Excerpt { piece, work: "work", prompt: Vec::new(), truth: notes(first) };
        // In the second piece, half of the notes are the same.
        let mut half = excerpt(1, 60);
        half.truth[10..].iter_mut().for_each(|note| note.pitch += 1);
        let excerpts = [excerpt(0, 60), excerpt(0, 61), excerpt(1, 60), half];
        let different: Vec<Vec<Note>> = (0..16).map(|take| since_hand_over(&notes(20 + take))).collect();
        let found = compare(&excerpts, &excerpts, &different).unwrap();
        assert_eq!((found.prompts, found.takes.pairs, found.real.pairs), (4, 24, 2));
        assert_eq!((found.real.mean, found.real.highest), (0.25, 0.5));
        assert_eq!((found.takes.highest, found.beyond), (0.0, 0.0));

        let mut same = different;
        same[1] = same[0].clone();
        same[4] = since_hand_over(&excerpts[1].truth);
        let found = compare(&excerpts, &excerpts, &same).unwrap();
        assert_eq!((found.takes.highest, found.beyond), (1.0, 1.0 / 24.0));
        assert_eq!((found.truth.pairs, found.truth.highest), (16, 1.0));
        assert!(compare(&excerpts[..2], &excerpts[1..3], &same[..8]).is_none(), "no piece with two excerpts");
    }
}
