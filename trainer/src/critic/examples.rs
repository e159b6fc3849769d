//! Training examples for the critic: true continuations of phrases, and the network's continuations of the same
//! phrases.

use crate::dataset::Piece;
use crate::measures::two_sample::classify::area_under_curve;
use crate::parallel;
use crate::play::{self, Length};
use crate::train::config::Augment;
use crate::train::stream::augmented_notes;
use model::critic::{MAX_NOTES, MIN_NOTES, Phrase, STATISTICS};
use model::{Controls, Decoder, Network, Source};
use notes::{Note, chords};
use rand::Rng;
use rand_pcg::Pcg32;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Numbers of notes after which a continuation becomes an example.
pub const COUNTS: [usize; 7] = [4, 8, 16, 32, 64, 128, 256];
/// Shortest and longest phrase, in seconds. Lengths are drawn log-uniformly, because people play short and long ones.
const PHRASE_S: [f64; 2] = [1.5, 30.0];
/// Maximum length of a continuation, in seconds.
const LONGEST_S: f64 = 45.0;
/// Number of attempts to find a phrase in a piece before it is skipped.
const TRIES: usize = 8;

/// The first `count` notes of a true or generated continuation.
#[derive(Clone, Debug)]
pub struct Example {
    /// The critic's input.
    pub statistics: [f32; STATISTICS],
    /// Notes since the hand-over.
    pub count: usize,
    /// Whether this is the true continuation rather than the network's.
    pub real: bool,
    /// Kind of source of the piece; `None` if unknown.
    pub source: Option<Source>,
}

/// Settings for making examples.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The network's sampling settings.
    pub controls: &'a Controls,
    /// Number of phrases.
    pub phrases: usize,
    /// Seed of the first phrase; the others derive from it.
    pub seed: u64,
    /// Whether pieces are augmented as in training. If not, they only get what is needed to make scores sound played.
    pub vary: bool,
}

/// Draws phrases from the pieces and lets the network continue them. The examples of a phrase are adjacent, for each
/// count first the true one, then the network's. Calls `done` after each phrase.
pub fn examples(network: &Arc<Network>, pieces: &[&Piece], plan: &Plan, done: impl Fn() + Sync) -> Vec<Example> {
    let sampler = PieceSampler::new(pieces);
    let augment = match plan.vary {
        true => Augment { humanize: 0.95, ..Augment::default() },
        false => Augment {
            transpose: 0,
            tempo: 1.0,
            velocity: 0,
            length: 1.0,
            cut: 0.0,
            input_noise: 0.0,
            humanize: 0.95,
            articulation: 0.5,
            score_tempo: 1.2,
        },
    };
    let numbers: Vec<u64> = (0..plan.phrases as u64).collect();
    let made = parallel::map(
        &numbers,
        || Decoder::new(network.clone()),
        |decoder, &number| {
            let rng = &mut Pcg32::new(plan.seed ^ 0x6372_6974_6963, number);
            let piece = sampler.draw(rng);
            let notes = augmented_notes(piece, &augment, plan.seed, number);
            let Some((phrase, truth, silence)) = cut(&notes, rng) else { return Vec::new() };
            let own =
                generate_continuation(decoder, plan.controls, &phrase, silence, plan.seed.wrapping_add(number << 20));
            compare(&phrase, [&truth, &own], piece.source)
        },
        done,
    );
    made.into_iter().flatten().collect()
}

/// Draws pieces at random. A source's probability is proportional to the fourth root of its notes, so that none is rare;
/// within a source, a piece's is proportional to the square root of its notes.
struct PieceSampler<'a> {
    /// Pieces, each with the cumulative sum of the weights up to it.
    pieces: Vec<(&'a Piece, f64)>,
}

impl<'a> PieceSampler<'a> {
    fn new(pieces: &[&'a Piece]) -> Self {
        let root = |piece: &Piece| (piece.notes.len() as f64).sqrt();
        let mut totals: BTreeMap<_, (f64, f64)> = BTreeMap::new();
        for piece in pieces.iter().filter(|piece| !piece.flat) {
            let (notes, roots) = totals.entry(piece.source.map(|source| source as usize)).or_default();
            *notes += piece.notes.len() as f64;
            *roots += root(piece);
        }
        let mut sum = 0.0;
        let weighted = pieces.iter().filter(|piece| !piece.flat).map(|piece| {
            let (notes, roots) = totals[&piece.source.map(|source| source as usize)];
            sum += notes.sqrt().sqrt() * root(piece) / roots;
            (*piece, sum)
        });
        Self { pieces: weighted.collect() }
    }

    fn draw(&self, rng: &mut Pcg32) -> &'a Piece {
        let all = self.pieces.last().map_or(0.0, |(_, sum)| *sum);
        let mark = rng.random_range(0.0..1.0) * all;
        self.pieces[self.pieces.partition_point(|(_, sum)| *sum <= mark).min(self.pieces.len() - 1)].0
    }
}

/// Cuts a phrase and its true continuation at a random time, not at a note. Also returns the time from the phrase's
/// last onset to that hand-over, in seconds. `None` if none was found.
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
        if phrase.len() >= MIN_NOTES && truth.len() >= COUNTS[0] {
            let silence = hand_over - phrase[phrase.len() - 1].onset;
            return Some((phrase.to_vec(), truth[..truth.len().min(MAX_NOTES)].to_vec(), silence));
        }
    }
    None
}

fn generate_continuation(
    decoder: &mut Decoder,
    controls: &Controls,
    phrase: &[Note],
    silence: f64,
    seed: u64,
) -> Vec<Note> {
    play::feed_phrase(decoder, phrase);
    decoder.hand_over();
    let from = phrase.last().map_or(0.0, |note| note.onset);
    let length = Length { seconds: silence + LONGEST_S, notes: MAX_NOTES };
    let mut notes = play::take(decoder, controls, seed, from, silence, length);
    chords::canonicalize(&mut notes);
    notes
}

/// Examples of both sides, for every count that both reach.
fn compare(phrase: &[Note], sides: [&[Note]; 2], source: Option<Source>) -> Vec<Example> {
    let phrase = Phrase::new(phrase);
    let shorter = sides.map(<[Note]>::len).into_iter().min().unwrap_or(0);
    let counts = COUNTS.into_iter().filter(|&count| count <= shorter);
    counts
        .flat_map(|count| [(true, sides[0]), (false, sides[1])].map(|(real, notes)| (count, real, &notes[..count])))
        .map(|(count, real, notes)| Example { statistics: phrase.statistics(notes), count, real, source })
        .collect()
}

/// Area under the ROC curve of these log odds: by number of notes, then by source; (name, number of phrases, area).
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
