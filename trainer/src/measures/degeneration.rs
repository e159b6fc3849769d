//! Degeneration: health of long free runs, and how much they copy.
//!
//! The same figures are computed for real pieces, because real music has repetitions and pauses, too.

use crate::dataset::Piece;
use crate::measures::baselines::mix;
use crate::measures::fit::pitch_classes;
use crate::measures::similarity::{entropy, scale_consistency};
use crate::parallel;
use crate::play::{self, Length};
use model::encoding::time_bin;
use model::key::{correlation, key_profile};
use model::{Controls, Decoder, Network};
use notes::Note;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;

/// Minimum length of a pause that counts as silence, in seconds.
const SILENCE_S: f64 = 3.0;
/// The piano's lowest and highest key.
const PIANO: std::ops::RangeInclusive<u8> = 21..=108;
/// Length of the end of a take that decides whether the music has collapsed, in seconds.
const END_S: f64 = 30.0;

/// Figures of one or more takes; means over takes unless stated otherwise.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Degeneration {
    /// Number of takes.
    pub takes: usize,
    /// Number of takes that collapsed; see [`collapsed`].
    pub collapsed: usize,
    /// Notes per second.
    pub notes_per_second: f64,
    /// Fraction of runs of 3 pitches that occurred before in the take.
    pub repeated_3_grams: f64,
    /// Fraction of runs of 8 pitches that occurred before in the take.
    pub repeated_8_grams: f64,
    /// Pauses of more than 3 s without a sounding note, per minute.
    pub silences_a_minute: f64,
    /// The longest run of the same pitch in any take, in notes.
    pub longest_same_pitch: usize,
    /// Fraction of notes outside the piano's range, 21 to 108.
    pub outside_piano: f64,
    /// Fraction of notes that still sound at the next onset.
    pub overlapping: f64,
    /// Entropy of pitch classes, in nats; 2.48 if all 12 are equally frequent.
    pub pitch_class_entropy: f64,
    /// Fraction of notes in the best-fitting major or minor scale.
    pub scale_consistency: f64,
    /// Correlation between the key profiles of the first and the second half.
    pub key_kept: f64,
}

/// Copies from the training set; lengths in notes. Runs match if their pitch intervals and steps (time bins) are the
/// same.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Copying {
    /// The longest run in any take that occurs in the training set.
    pub longest_in_takes: usize,
    /// Mean over takes of the longest such run.
    pub mean_in_takes: f64,
    /// The longest run in any real piece of the split that occurs in the training set: what different works share
    /// anyway.
    pub longest_in_real_pieces: usize,
    /// Mean over those pieces of the longest such run.
    pub mean_in_real_pieces: f64,
}

/// Generates takes from nothing, one for each of `seeds` consecutive seeds.
pub fn takes(
    network: &Arc<Network>,
    controls: &Controls,
    first_seed: u64,
    seeds: usize,
    length: Length,
    done: impl Fn() + Sync,
) -> Vec<Vec<Note>> {
    let seeds: Vec<u64> = (0..seeds as u64).map(|index| first_seed.wrapping_add(index)).collect();
    parallel::map(
        &seeds,
        || Decoder::new(network.clone()),
        |decoder, &seed| play::from_scratch(decoder, controls, seed, length),
        done,
    )
}

/// Real pieces, cut to the length of takes.
pub fn real(pieces: &[&Piece], seconds: f64) -> Vec<Vec<Note>> {
    let cut = |piece: &&Piece| piece.notes.iter().copied().filter(|note| note.onset <= seconds).collect();
    pieces.iter().map(cut).collect()
}

/// Computes the figures. `seconds` is the intended length of the takes; `None` for real pieces, which may be shorter.
pub fn degeneration(takes: &[Vec<Note>], seconds: Option<f64>) -> Degeneration {
    let mut all = Degeneration { takes: takes.len(), ..Degeneration::default() };
    for notes in takes {
        let length = seconds.unwrap_or_else(|| notes.last().map_or(0.0, |note| note.onset)).max(1.0);
        let share = 1.0 / takes.len() as f64;
        let classes = pitch_classes(notes);
        let halves = [&notes[..notes.len() / 2], &notes[notes.len() / 2..]];
        let [first, second] = halves.map(|half| key_profile(&pitch_classes(half)));
        all.collapsed += usize::from(seconds.is_some_and(|seconds| collapsed(notes, seconds)));
        all.notes_per_second += share * notes.len() as f64 / length;
        all.repeated_3_grams += share * repeated(notes, 3);
        all.repeated_8_grams += share * repeated(notes, 8);
        all.silences_a_minute += share * silences(notes, 0.0, length) as f64 * 60.0 / length;
        all.longest_same_pitch = all.longest_same_pitch.max(longest_same_pitch(notes));
        all.outside_piano += share * share_of(notes, |note| !PIANO.contains(&note.pitch));
        all.overlapping += share * notes.windows(2).filter(|pair| pair[0].end() > pair[1].onset).count() as f64
            / (notes.len().max(2) - 1) as f64;
        all.pitch_class_entropy += share * entropy(&classes);
        all.scale_consistency += share * scale_consistency(notes);
        all.key_kept += share * correlation(&first, &second);
    }
    all
}

/// Whether the last 30 s of a take are no longer music: hardly any notes, hardly any different pitches, one phrase or
/// pitch repeated over and over, or silence for most of the time.
pub fn collapsed(notes: &[Note], seconds: f64) -> bool {
    let from = (seconds - END_S).max(0.0);
    let end: Vec<Note> = notes.iter().copied().filter(|note| note.onset >= from).collect();
    let pitches: HashSet<u8> = end.iter().map(|note| note.pitch).collect();
    end.len() < 8
        || pitches.len() < 4
        || repeated(&end, 8) > 0.9
        || longest_same_pitch(&end) > end.len() / 2
        || longest_pause(&end, from, seconds) > END_S / 2.0
}

/// Fraction of runs of `length` pitches that occurred earlier in the take.
fn repeated(notes: &[Note], length: usize) -> f64 {
    let mut seen = HashSet::new();
    let runs = notes.len().saturating_sub(length - 1);
    let new =
        notes.windows(length).filter(|run| seen.insert(run.iter().map(|note| note.pitch).collect::<Vec<u8>>())).count();
    if runs == 0 { 0.0 } else { (runs - new) as f64 / runs as f64 }
}

/// Lengths of pauses without a sounding note between `from` and `to`, in seconds.
fn pauses(notes: &[Note], from: f64, to: f64) -> impl Iterator<Item = f64> {
    let onsets = notes.iter().map(|note| (note.onset, note.end())).chain([(to, to)]);
    onsets.scan(from, |sounding, (onset, end)| {
        let pause = onset - *sounding;
        *sounding = sounding.max(end);
        Some(pause)
    })
}

fn silences(notes: &[Note], from: f64, to: f64) -> usize {
    pauses(notes, from, to).filter(|&pause| pause > SILENCE_S).count()
}

fn longest_pause(notes: &[Note], from: f64, to: f64) -> f64 {
    pauses(notes, from, to).fold(0.0, f64::max)
}

fn longest_same_pitch(notes: &[Note]) -> usize {
    notes.chunk_by(|a, b| a.pitch == b.pitch).map(<[Note]>::len).max().unwrap_or(0)
}

fn share_of(notes: &[Note], is: impl Fn(&Note) -> bool) -> f64 {
    notes.iter().filter(|note| is(note)).count() as f64 / notes.len().max(1) as f64
}

/// Searches the training set for runs of the takes and of the real pieces.
pub fn copying(takes: &[Vec<Note>], real: &[&Piece], train: &[&Piece]) -> Copying {
    let train: Vec<Vec<u16>> = train.iter().map(|piece| moves(&piece.notes)).collect();
    let takes: Vec<Vec<u16>> = takes.iter().map(|notes| moves(notes)).collect();
    let real: Vec<Vec<u16>> = real.iter().map(|piece| moves(&piece.notes)).collect();
    let (takes, real) = (longest_shared(&takes, &train), longest_shared(&real, &train));
    let mean = |lengths: &[usize]| lengths.iter().sum::<usize>() as f64 / lengths.len().max(1) as f64;
    let longest = |lengths: &[usize]| lengths.iter().copied().max().unwrap_or(0);
    Copying {
        longest_in_takes: longest(&takes),
        mean_in_takes: mean(&takes),
        longest_in_real_pieces: longest(&real),
        mean_in_real_pieces: mean(&real),
    }
}

/// Each transition between notes: interval in semitones and time bin of the step, in one number.
fn moves(notes: &[Note]) -> Vec<u16> {
    let go = |pair: &[Note]| {
        let interval = u16::from(pair[1].pitch) + 128 - u16::from(pair[0].pitch);
        interval * 128 + time_bin(pair[1].onset - pair[0].onset) as u16
    };
    notes.windows(2).map(go).collect()
}

/// For each of `pieces`, the number of notes in the longest run of transitions that occurs anywhere in `train` (a run
/// of n transitions has n + 1 notes). Uses bisection: a piece that shares n transitions shares n - 1.
fn longest_shared(pieces: &[Vec<u16>], train: &[Vec<u16>]) -> Vec<usize> {
    let mut shared = vec![0; pieces.len()];
    // The bisections of all pieces run in parallel over lengths 1, 2, 4, ..., so that runs of each length are hashed
    // only once: first doubling while any piece still shares a run, then halving.
    let longest = pieces.iter().map(Vec::len).max().unwrap_or(0);
    let mut bit = 1;
    while bit <= longest && pieces.iter().any(|piece| shares(piece, &runs(train, bit), bit)) {
        bit *= 2;
    }
    while bit > 0 {
        let mut lengths: Vec<usize> = shared.iter().map(|length| length + bit).collect();
        lengths.sort_unstable();
        lengths.dedup();
        for length in lengths {
            let runs = runs(train, length);
            for (piece, shared) in pieces.iter().zip(&mut shared) {
                if *shared + bit == length && shares(piece, &runs, length) {
                    *shared = length;
                }
            }
        }
        bit /= 2;
    }
    shared.iter().map(|&moves| if moves > 0 { moves + 1 } else { 0 }).collect()
}

fn runs(train: &[Vec<u16>], length: usize) -> HashSet<u64> {
    train.iter().flat_map(|piece| piece.windows(length)).map(run_hash).collect()
}

fn shares(piece: &[u16], runs: &HashSet<u64>, length: usize) -> bool {
    piece.windows(length).any(|run| runs.contains(&run_hash(run)))
}

fn run_hash(run: &[u16]) -> u64 {
    run.iter().fold(0, |hash, &class| mix(hash, class))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn melody(pitches: impl Iterator<Item = u8>, step: f64) -> Vec<Note> {
        let note = |(index, pitch)| Note {
            onset: index as f64 * step,
            spread: 0.0,
            duration: step * 0.9,
            pitch,
            velocity: 64,
        };
        pitches.enumerate().map(note).collect()
    }

    /// Never the same pitch twice in a row, and no repeated runs.
    fn wander(from: u32) -> impl Iterator<Item = u8> {
        (from..).map(|index| 40 + (u64::from(index) * u64::from(index) * 2_654_435_761 % 41) as u8)
    }

    #[test]
    fn dead_takes_are_told_from_living_ones() {
        assert!(!collapsed(&melody(wander(0).take(400), 0.25), 100.0));
        assert!(collapsed(&[], 100.0), "nothing at all");
        assert!(collapsed(&melody(wander(0).take(300), 0.25), 100.0), "stopped after 75 s of 100");
        assert!(collapsed(&melody([60, 62, 64].into_iter().cycle().take(400), 0.25), 100.0), "three pitches");
        assert!(collapsed(&melody((60..66).cycle().take(400), 0.25), 100.0), "one phrase over and over");
    }

    #[test]
    fn the_longest_copy_is_found_in_another_key() {
        let train = melody(wander(0).take(500), 0.25);
        // 30 notes of the training set, transposed up a fourth, after notes with a different rhythm.
        let mut take = melody(wander(5000).take(50), 0.125);
        let copied = train[100..130].iter();
        let from = 50.0;
        take.extend(copied.map(|note| Note { onset: from + note.onset, pitch: note.pitch + 5, ..*note }));
        assert_eq!(longest_shared(&[moves(&take), moves(&train)], &[moves(&train)]), [30, 500]);
    }

    #[test]
    fn pauses_count_where_nothing_sounds() {
        let mut notes = melody([60, 62].into_iter(), 1.0);
        notes[0].duration = 5.0; // sounds through what follows
        assert_eq!(silences(&notes, 0.0, 9.0), 1);
        assert_eq!(silences(&notes, 0.0, 7.0), 0);
    }
}
