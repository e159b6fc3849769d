//! Baselines that a network must beat: models that only count.
//!
//! Both are trained on the train split of the same data and assign probabilities to the same cells of the 10 ms grid as
//! the networks do.

use crate::dataset::Piece;
use crate::measures::NatsPerNote;
use model::encoding::{CELL_S, LONGEST_S, PITCHES, TIMES, VELOCITIES, cell, time_bin, velocity_level};
use notes::Note;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Number of grid cells, up to 20 s.
const CELLS: usize = (LONGEST_S / CELL_S) as usize;
/// Maximum length of a context, in notes.
pub const ORDER: usize = 5;
/// Candidates for the strength of a [`Chain`]; without validation pieces, the first is used.
const STRENGTHS: [f64; 6] = [4.0, 1.0, 2.0, 8.0, 16.0, 32.0];

/// Index of the grid cell that a time falls in, from 0.
fn cell_index(seconds: f64) -> usize {
    let (_, end) = cell(seconds);
    ((end / CELL_S - 0.5).round() as usize).min(CELLS - 1)
}

/// The time bin of a grid cell: the one that contains its center.
fn bin_of_cell(index: usize) -> usize {
    time_bin(index as f64 * CELL_S)
}

/// Notes with their steps in seconds; the first note of a piece is left out, because it has no step.
fn steps(notes: &[Note]) -> impl Iterator<Item = (f64, &Note)> {
    notes.windows(2).map(|pair| (pair[1].onset - pair[0].onset, &pair[1]))
}

/// Probabilities of time cells: counts, smoothed by Witten and Bell's rule with the distribution over the wider time
/// bins, which in turn is smoothed with the uniform distribution.
struct Cells {
    mass: Vec<f64>,
    /// Total probability of the cells of each time bin.
    bin: Vec<f64>,
}

impl Cells {
    fn of(times: impl Iterator<Item = f64>) -> Self {
        let mut counts = vec![0u64; CELLS];
        times.for_each(|time| counts[cell_index(time)] += 1);
        let (mut in_bin, mut width) = (vec![0u64; TIMES], vec![0u64; TIMES]);
        for (index, &count) in counts.iter().enumerate() {
            in_bin[bin_of_cell(index)] += count;
            width[bin_of_cell(index)] += 1;
        }
        let total: u64 = counts.iter().sum();
        let bins = witten_bell(&in_bin, total, |_| 1.0 / TIMES as f64);
        let mass = witten_bell(&counts, total, |index| bins[bin_of_cell(index)] / width[bin_of_cell(index)] as f64);
        let mut bin = vec![0.0; TIMES];
        mass.iter().enumerate().for_each(|(index, &mass)| bin[bin_of_cell(index)] += mass);
        Self { mass, bin }
    }

    /// -log of the probability of this time's cell.
    fn nats(&self, seconds: f64) -> f64 {
        -self.mass[cell_index(seconds)].ln()
    }

    /// -log of the probability of this time's cell, given its time bin.
    fn nats_in_bin(&self, seconds: f64) -> f64 {
        let index = cell_index(seconds);
        -(self.mass[index] / self.bin[bin_of_cell(index)]).ln()
    }
}

/// Smoothed probabilities from counts (Witten and Bell): `fallback` is weighted by the number of different classes
/// seen.
fn witten_bell(counts: &[u64], total: u64, fallback: impl Fn(usize) -> f64) -> Vec<f64> {
    let seen = counts.iter().filter(|&&count| count > 0).count() as f64;
    if total == 0 {
        return (0..counts.len()).map(fallback).collect();
    }
    let total = total as f64 + seen;
    counts.iter().enumerate().map(|(class, &count)| (count as f64 + seen * fallback(class)) / total).collect()
}

/// Each attribute independently, by its frequency.
pub struct Unigram {
    pitch: Vec<f64>,
    velocity: Vec<f64>,
    step: Cells,
    duration: Cells,
}

impl Unigram {
    /// Trains on these pieces.
    pub fn train(pieces: &[&Piece]) -> Self {
        let notes = || pieces.iter().flat_map(|piece| steps(&piece.notes));
        let shares = |classes: usize, class: fn(&Note) -> usize| {
            let mut counts = vec![0u64; classes];
            notes().for_each(|(_, note)| counts[class(note)] += 1);
            let total = counts.iter().sum();
            witten_bell(&counts, total, |_| 1.0 / classes as f64)
        };
        Self {
            pitch: shares(PITCHES, |note| note.pitch.into()),
            velocity: shares(VELOCITIES, |note| velocity_level(note.velocity)),
            step: Cells::of(notes().map(|(step, _)| step)),
            duration: Cells::of(notes().map(|(_, note)| note.duration)),
        }
    }

    /// Nats per note of these pieces.
    pub fn score(&self, pieces: &[&Piece]) -> NatsPerNote {
        mean(pieces, |notes, add| {
            for (step, note) in steps(notes) {
                add([
                    -self.pitch[usize::from(note.pitch)].ln(),
                    self.step.nats(step),
                    self.duration.nats(note.duration),
                    -self.velocity[velocity_level(note.velocity)].ln(),
                ]);
            }
        })
    }
}

/// Means of [pitch, step, duration, velocity] over all notes except each piece's first.
fn mean(pieces: &[&Piece], mut score: impl FnMut(&[Note], &mut dyn FnMut([f64; 4]))) -> NatsPerNote {
    let (mut sums, mut count) = ([0.0; 4], 0usize);
    for piece in pieces {
        score(&piece.notes, &mut |nats| {
            sums.iter_mut().zip(nats).for_each(|(sum, nats)| *sum += nats);
            count += 1;
        });
    }
    let [pitch, step, duration, velocity] = sums.map(|sum| sum / count.max(1) as f64);
    NatsPerNote { pitch, step, duration, velocity: Some(velocity), spread: None, timed: pitch + step + duration }
}

/// Each attribute given the same attribute of up to [`ORDER`] previous notes; all orders are interpolated. Pitch,
/// duration and velocity also depend on whether the note belongs to the same chord as the previous one.
pub struct Markov {
    unigram: Unigram,
    pitch: Chain,
    step: Chain,
    duration: Chain,
    velocity: Chain,
}

impl Markov {
    /// Trains on these pieces; `unigram` must be trained on the same. The strengths are chosen on the `validation`
    /// pieces.
    pub fn train(pieces: &[&Piece], validation: &[&Piece], unigram: Unigram) -> Self {
        let mut chains = [PITCHES, TIMES, TIMES, VELOCITIES].map(Chain::new);
        for piece in pieces {
            for (chain, stream) in chains.iter_mut().zip(streams(&piece.notes)) {
                chain.train(&stream);
            }
        }
        let validation: Vec<[Stream; 4]> = validation.iter().map(|piece| streams(&piece.notes)).collect();
        for (which, chain) in chains.iter_mut().enumerate() {
            chain.choose_strength(validation.iter().map(|streams| &streams[which]));
        }
        let [pitch, step, duration, velocity] = chains;
        Self { unigram, pitch, step, duration, velocity }
    }

    /// Nats per note of these pieces.
    pub fn score(&self, pieces: &[&Piece]) -> NatsPerNote {
        mean(pieces, |notes, add| {
            let [pitch, step, duration, velocity] = streams(notes);
            for (index, (seconds, note)) in steps(notes).enumerate() {
                let at = index + 1;
                add([
                    self.pitch.nats(&pitch, at),
                    self.step.nats(&step, at) + self.unigram.step.nats_in_bin(seconds),
                    self.duration.nats(&duration, at) + self.unigram.duration.nats_in_bin(note.duration),
                    self.velocity.nats(&velocity, at),
                ]);
            }
        })
    }
}

/// One attribute of a piece: for each note its class, and additional context, which is known before the class.
type Stream = Vec<(u16, u16)>;

/// The streams of pitch, step, duration and velocity.
fn streams(notes: &[Note]) -> [Stream; 4] {
    let step = |index: usize| if index == 0 { 0.0 } else { notes[index].onset - notes[index - 1].onset };
    let stream = |class: &dyn Fn(usize) -> usize, told: bool| -> Stream {
        (0..notes.len())
            .map(|index| (class(index) as u16, u16::from(told && index > 0 && step(index) == 0.0)))
            .collect()
    };
    let bin = |seconds| bin_of_cell(cell_index(seconds));
    [
        stream(&|index| notes[index].pitch.into(), true),
        stream(&|index| bin(step(index)), false),
        stream(&|index| bin(notes[index].duration), true),
        stream(&|index| velocity_level(notes[index].velocity), true),
    ]
}

/// Interpolated counts over one attribute's stream: Witten and Bell's rule at every order, with the weight of the
/// shorter context multiplied by `strength`. Pieces repeat themselves but not each other, so the plain rule (strength
/// 1) trusts long contexts too much.
struct Chain {
    classes: usize,
    strength: f64,
    /// For each context: the number of occurrences, and of different classes that followed.
    contexts: HashMap<u64, (u32, u32), BuildHasherDefault<AsIs>>,
    /// For each context and following class: the number of occurrences.
    followed: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
}

impl Chain {
    fn new(classes: usize) -> Self {
        Self { classes, strength: STRENGTHS[0], contexts: HashMap::default(), followed: HashMap::default() }
    }

    fn train(&mut self, stream: &Stream) {
        for at in 1..stream.len() {
            for context in contexts(stream, at) {
                let followed = self.followed.entry(mix(context, stream[at].0)).or_default();
                *followed += 1;
                let entry = self.contexts.entry(context).or_default();
                entry.0 += 1;
                entry.1 += u32::from(*followed == 1);
            }
        }
    }

    fn choose_strength<'a>(&mut self, streams: impl Iterator<Item = &'a Stream> + Clone) {
        let cost = |chain: &Self| -> f64 {
            streams.clone().map(|stream| (1..stream.len()).map(|at| chain.nats(stream, at)).sum::<f64>()).sum()
        };
        let mut best = (f64::INFINITY, self.strength);
        for strength in STRENGTHS {
            self.strength = strength;
            let cost = cost(self);
            if cost < best.0 {
                best = (cost, strength);
            }
        }
        self.strength = best.1;
    }

    fn nats(&self, stream: &Stream, at: usize) -> f64 {
        let mut p = 1.0 / self.classes as f64;
        for context in contexts(stream, at) {
            let Some(&(count, different)) = self.contexts.get(&context) else { break };
            let followed = self.followed.get(&mix(context, stream[at].0)).copied().unwrap_or(0);
            let shorter = self.strength * f64::from(different);
            p = (f64::from(followed) + shorter * p) / (f64::from(count) + shorter);
        }
        -p.ln()
    }
}

/// Hashes of the contexts of the note at `at`, from order 0 to [`ORDER`].
fn contexts(stream: &Stream, at: usize) -> impl Iterator<Item = u64> {
    let told = mix(0x243f_6a88_85a3_08d3, stream[at].1);
    (0..=ORDER.min(at)).scan(told, move |hash, order| {
        if order > 0 {
            *hash = mix(*hash, stream[at - order].0);
        }
        Some(*hash)
    })
}

/// Adds a class to a hash, with SplitMix64's finalizer, so that the hash needs no further mixing.
pub(crate) fn mix(hash: u64, class: u16) -> u64 {
    let z = (hash ^ (u64::from(class) + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}

/// A hasher for keys that are good hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Split;

    fn piece(pitches: &[u8], step: f64) -> Piece {
        let note = |(index, &pitch): (usize, &u8)| Note {
            onset: index as f64 * step,
            spread: 0.0,
            duration: 0.3,
            pitch,
            velocity: 64,
        };
        let notes = pitches.iter().enumerate().map(note).collect();
        Piece { name: "a".into(), set: "s".into(), split: Split::Train, work: "w".into(), notes, ..Piece::default() }
    }

    #[test]
    fn shares_of_all_cells_sum_to_1() {
        let cells = Cells::of([0.0, 0.0, 0.101, 0.3, 0.31, 7.0, 99.0].into_iter());
        let sum: f64 = (0..CELLS).map(|index| (-cells.nats(index as f64 * CELL_S)).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn shares_of_all_classes_sum_to_1_in_every_context() {
        let mut chain = Chain::new(16);
        let stream: Stream = (0..500u32).map(|i| (((i * i + i / 7) % 16) as u16, (i % 2) as u16)).collect();
        chain.train(&stream);
        for at in [1, 3, 77, 499] {
            let sum: f64 = (0..16)
                .map(|class| {
                    let mut asked = stream.clone();
                    asked[at].0 = class;
                    (-chain.nats(&asked, at)).exp()
                })
                .sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum} at {at}");
        }
    }

    #[test]
    fn what_only_order_tells_costs_the_unigram_a_bit_and_the_chain_hardly_anything() {
        let melody: Vec<u8> = (0..4000).map(|index| if index % 4 < 2 { 60 } else { 67 }).collect();
        let piece = piece(&melody, 0.25);
        let unigram = Unigram::train(&[&piece]);
        assert!((unigram.score(&[&piece]).pitch - 2f64.ln()).abs() < 0.01);
        let chain = Markov::train(&[&piece], &[], unigram).score(&[&piece]);
        assert!(chain.pitch < 0.01 && chain.step < 0.01, "{chain:?}");
    }
}
