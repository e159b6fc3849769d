//! What the critic learns from: how music went on in truth, and how the network goes on after the same.

use crate::dataset::Piece;
use crate::measures::two_sample::classify::area_under_curve;
use crate::parallel;
use crate::play::{self, Length};
use crate::train::config::Augment;
use crate::train::stream::played;
use model::critic::{FEWEST_NOTES, MOST_NOTES, Phrase, STATISTICS};
use model::{Controls, Decoder, Network, Source};
use notes::{Note, chords};
use rand::Rng;
use rand_pcg::Pcg32;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Notes after which a continuation is looked at.
pub const COUNTS: [usize; 7] = [4, 8, 16, 32, 64, 128, 256];
/// Seconds of a phrase: at least and at most. Short ones are as frequent as long ones: people play both.
const PHRASE_S: [f64; 2] = [1.5, 30.0];
/// Seconds of a continuation at most.
const LONGEST_S: f64 = 45.0;
/// How often a phrase is looked for before a piece is given up.
const TRIES: usize = 8;

/// One side of a comparison after so many notes.
#[derive(Clone, Debug)]
pub struct Example {
    /// What the critic hears.
    pub statistics: [f32; STATISTICS],
    /// Notes since the hand-over.
    pub count: usize,
    /// How music went on in truth, or how the network did.
    pub real: bool,
    /// Of the piece; `None`: a user's own.
    pub source: Option<Source>,
}

/// How examples are made.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// How the network plays.
    pub controls: &'a Controls,
    /// Phrases to go on after.
    pub phrases: usize,
    /// Of the first; the others follow.
    pub seed: u64,
    /// Pieces are varied as in training, and scores played by someone; else only the latter.
    pub vary: bool,
}

/// Draws phrases from pieces of a split and lets the network go on. Examples of a phrase stand together, the truth before
/// the network. `done` hears of each phrase.
pub fn examples(network: &Arc<Network>, pieces: &[&Piece], plan: &Plan, done: impl Fn() + Sync) -> Vec<Example> {
    let draws = Draws::new(pieces);
    let augment = match plan.vary {
        true => Augment { humanize: 0.95, ..Augment::default() },
        false => Augment {
            transpose: 0,
            tempo: 1.0,
            velocity: 0,
            length: 1.0,
            cut: 0.0,
            stray: 0.0,
            humanize: 0.95,
            touch: 0.5,
            score_tempo: 1.2,
        },
    };
    let numbers: Vec<u64> = (0..plan.phrases as u64).collect();
    let made = parallel::map(
        &numbers,
        || Decoder::new(network.clone()),
        |decoder, &number| {
            let rng = &mut Pcg32::new(plan.seed ^ 0x6372_6974_6963, number);
            let piece = draws.draw(rng);
            let notes = played(piece, &augment, plan.seed, number);
            let Some((phrase, truth, silence)) = cut(&notes, rng) else { return Vec::new() };
            let own = go_on(decoder, plan.controls, &phrase, silence, plan.seed.wrapping_add(number << 20));
            compare(&phrase, [&truth, &own], piece.source)
        },
        done,
    );
    made.into_iter().flatten().collect()
}

/// Which piece comes next: sources as often as the root of their notes, so that none is rare; in a source, a piece as
/// often as the root of its own.
struct Draws<'a> {
    /// Pieces, and the sum of weights up to each.
    pieces: Vec<(&'a Piece, f64)>,
}

impl<'a> Draws<'a> {
    fn new(pieces: &[&'a Piece]) -> Self {
        let root = |piece: &Piece| (piece.notes.len() as f64).sqrt();
        let mut totals: BTreeMap<_, (f64, f64)> = BTreeMap::new();
        for piece in pieces.iter().filter(|piece| !piece.flat) {
            let (notes, roots) = totals.entry(piece.source.map(|source| source as usize)).or_default();
            *notes += piece.notes.len() as f64;
            *roots += root(piece);
        }
        let mut sum = 0.0;
        let weighed = pieces.iter().filter(|piece| !piece.flat).map(|piece| {
            let (notes, roots) = totals[&piece.source.map(|source| source as usize)];
            sum += notes.sqrt() * root(piece) / roots;
            (*piece, sum)
        });
        Self { pieces: weighed.collect() }
    }

    fn draw(&self, rng: &mut Pcg32) -> &'a Piece {
        let all = self.pieces.last().map_or(0.0, |(_, sum)| *sum);
        let mark = rng.random_range(0.0..1.0) * all;
        self.pieces[self.pieces.partition_point(|(_, sum)| *sum <= mark).min(self.pieces.len() - 1)].0
    }
}

/// A phrase, what came next, and how long it was still at the hand-over, which is a moment of the clock and not a note's.
fn cut(notes: &[Note], rng: &mut Pcg32) -> Option<(Vec<Note>, Vec<Note>, f64)> {
    let end = notes.last()?.onset;
    for _ in 0..TRIES {
        let length = PHRASE_S[0] * (PHRASE_S[1] / PHRASE_S[0]).powf(rng.random());
        if end < length + 5.0 {
            continue;
        }
        let begin = rng.random_range(0.0..end - length - 4.0);
        let hand_over = begin + length;
        let at = |time: f64| notes.partition_point(|note| note.onset < time);
        let phrase = &notes[at(begin)..at(hand_over)];
        let truth = &notes[at(hand_over)..at(hand_over + LONGEST_S)];
        if phrase.len() >= FEWEST_NOTES && truth.len() >= COUNTS[0] {
            let silence = hand_over - phrase[phrase.len() - 1].onset;
            return Some((phrase.to_vec(), truth[..truth.len().min(MOST_NOTES)].to_vec(), silence));
        }
    }
    None
}

fn go_on(decoder: &mut Decoder, controls: &Controls, phrase: &[Note], silence: f64, seed: u64) -> Vec<Note> {
    play::listen(decoder, phrase);
    decoder.hand_over();
    let from = phrase.last().map_or(0.0, |note| note.onset);
    let length = Length { seconds: silence + LONGEST_S, notes: MOST_NOTES };
    let mut notes = play::take(decoder, controls, seed, from, silence, length);
    chords::canonicalise(&mut notes);
    notes
}

/// Both sides at all counts that both reach.
fn compare(phrase: &[Note], sides: [&[Note]; 2], source: Option<Source>) -> Vec<Example> {
    let phrase = Phrase::new(phrase);
    let shorter = sides.map(<[Note]>::len).into_iter().min().unwrap_or(0);
    let counts = COUNTS.into_iter().filter(|&count| count <= shorter);
    counts
        .flat_map(|count| [(true, sides[0]), (false, sides[1])].map(|(real, notes)| (count, real, &notes[..count])))
        .map(|(count, real, notes)| Example { statistics: phrase.statistics(notes), count, real, source })
        .collect()
}

/// Areas under the curve of these log odds, by count of notes, then by source.
pub fn areas(examples: &[Example], odds: &[f64]) -> Vec<(String, usize, f64)> {
    let mut parts: BTreeMap<(u8, String), Vec<(f64, bool)>> = BTreeMap::new();
    for (example, odds) in examples.iter().zip(odds) {
        let scored = (*odds, example.real);
        parts.entry((0, format!("{:3} notes", example.count))).or_default().push(scored);
        if example.count >= 64 {
            let source = example.source.map_or("unknown".to_owned(), |source| format!("{source:?}").to_lowercase());
            parts.entry((1, format!("{source}, {} notes", example.count))).or_default().push(scored);
        }
    }
    parts.into_iter().map(|((_, name), scored)| (name, scored.len() / 2, area_under_curve(scored))).collect()
}
