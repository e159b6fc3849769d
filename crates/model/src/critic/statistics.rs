//! The critic's input: statistics of a stretch of music.
//!
//! An *onset* is a chord or a single note, an *interval* the time from one onset to the next, the *melody* the highest
//! note of each onset, the *bass* its lowest. All statistics are finite whatever the notes, on the order of 1 for
//! music, and the same on every machine: logarithms come from libm.

use std::collections::HashSet;
use std::hash::Hash;

use notes::Note;

use super::MAX_NOTES;
use crate::key::{correlation, key_profile};

/// Number of statistics of a stretch by itself.
const ALONE: usize = 93;
/// Number of statistics that relate a stretch to a phrase, not counting differences.
const RELATED: usize = 13;
/// Number of inputs of the critic: statistics of the stretch, their differences from the phrase's, statistics that
/// relate the two, and two for the length of the stretch.
pub const STATISTICS: usize = 2 * ALONE + RELATED + 2;

/// Shorter times count as this, in seconds.
const SHORTEST_S: f64 = 0.005;
/// Limits between classes of time ratios, in octaves. Ratios within the first are equal to the ear.
const RATIO_LIMITS: [f64; 6] = [0.05, 0.14, 0.4, 0.8, 1.2, 1.8];
/// Limits between interval classes, in seconds: kept away from round grid values, where the class would depend on the
/// host's rounding.
const INTERVAL_LIMITS: [f64; 5] = [0.055_37, 0.114_73, 0.231_31, 0.462_71, 0.924_13];
/// Limits between classes of duration over the following interval, in octaves: kept away from halves and doubles.
const ARTICULATION_LIMITS: [f64; 4] = [-1.2, -0.3, 0.15, 1.2];
/// Limits between classes of melodic moves, in semitones.
const MOVE_LIMITS: [u8; 4] = [1, 3, 5, 13];

/// A stretch of notes with what all statistics derive from it.
#[derive(Clone, Debug)]
pub(super) struct Stretch<'a> {
    notes: &'a [Note],
    /// The notes of each onset, in ascending pitch.
    onsets: Vec<&'a [Note]>,
    /// Log2 of seconds from each onset to the next.
    intervals: Vec<f64>,
    melody: Vec<u8>,
    bass: Vec<u8>,
    /// Number of notes of each pitch class, and the correlation of these counts with each key.
    classes: [f64; 12],
    profile: [f64; 24],
}

impl<'a> Stretch<'a> {
    /// From canonical notes, in order.
    pub fn new(notes: &'a [Note]) -> Self {
        let onsets: Vec<&[Note]> = notes.chunk_by(|a, b| a.onset == b.onset).collect();
        let intervals = onsets.windows(2).map(|pair| log2(pair[1][0].onset - pair[0][0].onset)).collect();
        let melody = onsets.iter().map(|onset| onset[onset.len() - 1].pitch).collect();
        let bass = onsets.iter().map(|onset| onset[0].pitch).collect();
        let mut classes = [0.0; 12];
        notes.iter().for_each(|note| classes[usize::from(note.pitch % 12)] += 1.0);
        Self { notes, onsets, intervals, melody, bass, classes, profile: key_profile(&classes) }
    }

    /// Seconds from the first onset to the last, plus 0.1 so that it is never 0.
    fn seconds(&self) -> f64 {
        let ends = self.notes.first().zip(self.notes.last());
        ends.map_or(0.0, |(first, last)| (last.onset - first.onset).max(0.0)) + 0.1
    }

    fn chords(&self) -> impl Iterator<Item = &'a [Note]> + Clone {
        self.onsets.iter().copied().filter(|onset| onset.len() > 1)
    }

    /// The pitches of each onset, as bit sets.
    fn sets(&self) -> Vec<u128> {
        self.onsets.iter().map(|onset| onset.iter().fold(0, |set, note| set | 1 << (note.pitch & 127))).collect()
    }

    /// Log2 of each duration over the interval that follows it.
    fn articulation(&self) -> impl Iterator<Item = f64> + Clone {
        let pairs = self.onsets.iter().zip(&self.intervals);
        pairs.flat_map(|(onset, interval)| onset.iter().map(move |note| log2(note.duration) - interval))
    }

    /// Pushes the [`ALONE`] statistics.
    fn alone(&self, out: &mut Vec<f64>) {
        self.rhythm(out);
        self.texture(out);
        self.durations(out);
        self.loudness(out);
        self.pitches(out);
        self.repetition(out);
    }

    fn rhythm(&self, out: &mut Vec<f64>) {
        let Self { intervals, .. } = self;
        let ratio = |apart: usize| intervals.iter().skip(apart).zip(intervals).map(|(late, early)| late - early);
        classes(ratio(1).map(f64::abs), RATIO_LIMITS, out);
        for apart in [2, 3, 4] {
            out.push(share(ratio(apart), |octaves| octaves.abs() < RATIO_LIMITS[1]));
        }
        // Share of intervals longer than the one before.
        out.push(share(ratio(1), |octaves| octaves > 0.0));
        out.push(mean(ratio(1).map(f64::abs)));
        classes(intervals.iter().copied(), INTERVAL_LIMITS.map(log2), out);
        out.extend(moments(intervals.iter().copied()));
        out.push(intervals.iter().copied().fold(log2(SHORTEST_S), f64::max));
        let seconds = self.seconds();
        out.push(log2(self.notes.len() as f64 / seconds));
        out.push(log2(self.onsets.len() as f64 / seconds));
        // Whether the music gets denser: log ratio of the note counts in its halves.
        let half = self.notes.first().map_or(0.0, |note| note.onset) + seconds / 2.0;
        let early = self.notes.partition_point(|note| note.onset < half) as f64;
        out.push(log2((self.notes.len() as f64 - early + 1.0) / (early + 1.0)));
    }

    fn texture(&self, out: &mut Vec<f64>) {
        let sizes = || self.onsets.iter().map(|onset| onset.len() as f64);
        classes(sizes(), [1.5, 2.5, 3.5], out);
        out.extend(moments(sizes()));
        out.push(share(self.onsets.windows(2), |pair| pair[0].len() == pair[1].len()));
        let span = |onset: &[Note]| f64::from(onset[onset.len() - 1].pitch - onset[0].pitch) / 12.0;
        out.extend(moments(self.chords().map(span)));
        out.push(mean(self.onsets.iter().map(|onset| span(onset))));
        let gaps = || self.chords().flat_map(|onset| onset.windows(2).map(|pair| pair[1].pitch - pair[0].pitch));
        out.push(share(gaps(), |gap| gap <= 2));
        out.push(share(gaps(), |gap| (3..=5).contains(&gap)));
        out.push(share(gaps(), |gap| gap % 12 == 0));
        out.push(share(gaps(), |gap| gap > 12));
        let spread = |onset: &[Note]| onset.iter().map(|note| note.spread).fold(0.0, f64::max) * 50.0;
        out.push(mean(self.chords().map(spread)));
        out.push(self.notes.iter().map(|note| note.duration.min(10.0)).sum::<f64>() / self.seconds() / 4.0);
    }

    fn durations(&self, out: &mut Vec<f64>) {
        out.extend(moments(self.lengths()));
        classes(self.lengths(), INTERVAL_LIMITS.map(log2), out);
        classes(self.articulation(), ARTICULATION_LIMITS, out);
        out.extend(moments(self.articulation()));
        let change = || self.notes.windows(2).map(|pair| (log2(pair[1].duration) - log2(pair[0].duration)).abs());
        out.push(share(change(), |octaves| octaves < RATIO_LIMITS[0]));
        out.push(share(change(), |octaves| octaves < RATIO_LIMITS[1]));
        out.push(mean(change()));
        let together = |onset: &[Note]| deviation(onset.iter().map(|note| log2(note.duration)));
        out.push(mean(self.chords().map(together)));
    }

    fn loudness(&self, out: &mut Vec<f64>) {
        let velocity = |note: &Note| f64::from(note.velocity) / 16.0;
        out.extend(moments(self.notes.iter().map(velocity)));
        let level = |onset: &[Note]| onset.iter().map(velocity).fold(0.0, f64::max);
        out.push(mean(self.onsets.windows(2).map(|pair| (level(pair[1]) - level(pair[0])).abs())));
        out.push(mean(self.chords().map(|onset| deviation(onset.iter().map(velocity)))));
        let top = |onset: &[Note]| {
            let (last, others) = (onset[onset.len() - 1], &onset[..onset.len() - 1]);
            velocity(&last) - mean(others.iter().map(velocity))
        };
        out.push(mean(self.chords().map(top)));
        let pitches: Vec<f64> = self.notes.iter().map(|note| note.pitch.into()).collect();
        let velocities: Vec<f64> = self.notes.iter().map(velocity).collect();
        out.push(if pitches.is_empty() { 0.0 } else { correlation(&pitches, &velocities) });
    }

    fn pitches(&self, out: &mut Vec<f64>) {
        let pitch = |&pitch: &u8| f64::from(pitch) / 12.0;
        out.extend(moments(self.notes.iter().map(|note| pitch(&note.pitch))));
        for line in [&self.melody, &self.bass] {
            out.push(mean(line.iter().map(pitch)));
            let moves = || line.windows(2).map(|pair| pair[1].abs_diff(pair[0]));
            classes(moves().map(f64::from), MOVE_LIMITS.map(f64::from), out);
            out.push(mean(moves().map(|semitones| pitch(&semitones))));
            let turns = line.windows(3).map(|run| {
                (i16::from(run[1]) - i16::from(run[0])).signum() * (i16::from(run[2]) - i16::from(run[1])).signum()
            });
            out.push(share(turns, |turn| turn < 0));
        }
        let total: f64 = self.classes.iter().sum::<f64>().max(1.0);
        let share = self.classes.iter().map(|count| count / total).filter(|share| *share > 0.0);
        out.push(share.map(|share| -share * libm::log(share)).sum());
        out.push(self.profile.into_iter().fold(0.0, f64::max));
    }

    fn repetition(&self, out: &mut Vec<f64>) {
        out.push(repeated(&self.melody, 3));
        out.push(repeated(&moves(&self.melody), 4));
        out.push(repeated(&self.bass, 3));
        let sets = self.sets();
        out.push(repeated(&sets, 2));
        for apart in [1, 2, 3, 4] {
            out.push(share(sets.iter().skip(apart).zip(&sets), |(late, early)| late == early));
        }
    }

    fn moves(&self) -> [Vec<i16>; 2] {
        [&self.melody, &self.bass].map(|line| moves(line))
    }

    /// The intervals inside each chord, relative to its lowest note.
    fn shapes(&self) -> Vec<u128> {
        self.sets().into_iter().filter(|set| set.count_ones() > 1).map(|set| set >> set.trailing_zeros()).collect()
    }

    /// Log2 of durations in seconds.
    fn lengths(&self) -> impl Iterator<Item = f64> + Clone {
        self.notes.iter().map(|note| log2(note.duration))
    }

    /// Pushes the [`RELATED`] statistics.
    fn related(&self, phrase: &Phrase, out: &mut Vec<f64>) {
        for (melody, bass) in phrase.melody.iter().zip(&phrase.bass) {
            out.push(melody.quoted_in(&self.melody));
            out.push(bass.quoted_in(&self.bass));
        }
        out.extend(phrase.moves.iter().zip(self.moves()).map(|(known, moves)| known.quoted_in(&moves)));
        out.push(phrase.sets.quoted_in(&self.sets()));
        out.push(phrase.shapes.quoted_in(&self.shapes()));
        out.push(correlation(&phrase.profile, &self.profile));
        out.push(correlation(&phrase.classes, &self.classes));
        let foreign = self.notes.iter().map(|note| phrase.classes[usize::from(note.pitch % 12)]);
        out.push(share(foreign, |count| count == 0.0));
        out.push(known_times(&phrase.intervals, self.intervals.iter().copied()));
        out.push(known_times(&phrase.lengths, self.lengths()));
    }
}

/// The n-grams of a phrase; `length` is n.
#[derive(Clone, Debug)]
struct Grams<T> {
    length: usize,
    known: HashSet<Vec<T>>,
}

impl<T: Clone + Eq + Hash> Grams<T> {
    fn new(items: &[T], length: usize) -> Self {
        Self { length, known: items.windows(length).map(<[T]>::to_vec).collect() }
    }

    /// Share of the n-grams of `items` that occur in the phrase.
    fn quoted_in(&self, items: &[T]) -> f64 {
        share(items.windows(self.length), |run| self.known.contains(run))
    }
}

/// Statistics of a phrase, which continuations are compared with.
#[derive(Clone, Debug)]
pub struct Phrase {
    alone: Vec<f64>,
    /// N-grams of two notes and of four.
    melody: [Grams<u8>; 2],
    bass: [Grams<u8>; 2],
    /// N-grams of the melody's and the bass's intervals.
    moves: [Grams<i16>; 2],
    sets: Grams<u128>,
    shapes: Grams<u128>,
    profile: [f64; 24],
    classes: [f64; 12],
    /// Log2 of seconds, ascending.
    intervals: Vec<f64>,
    lengths: Vec<f64>,
}

impl Phrase {
    /// From canonical notes, in order, of which the latest [`MAX_NOTES`] count; may be empty.
    pub fn new(notes: &[Note]) -> Self {
        let stretch = Stretch::new(&notes[notes.len().saturating_sub(MAX_NOTES)..]);
        let mut alone = Vec::with_capacity(ALONE);
        stretch.alone(&mut alone);
        let line = |line: &[u8]| [2, 4].map(|length| Grams::new(line, length));
        Self {
            alone,
            melody: line(&stretch.melody),
            bass: line(&stretch.bass),
            moves: stretch.moves().map(|moves| Grams::new(&moves, 4)),
            sets: Grams::new(&stretch.sets(), 1),
            shapes: Grams::new(&stretch.shapes(), 1),
            profile: stretch.profile,
            classes: stretch.classes,
            intervals: sorted(stretch.intervals.iter().copied()),
            lengths: sorted(stretch.lengths()),
        }
    }

    /// The critic's input for this continuation: canonical notes, in order, with times from any origin.
    pub fn statistics(&self, continuation: &[Note]) -> [f32; STATISTICS] {
        let stretch = Stretch::new(continuation);
        let mut all = Vec::with_capacity(STATISTICS);
        stretch.alone(&mut all);
        for index in 0..ALONE {
            all.push(all[index] - self.alone[index]);
        }
        stretch.related(self, &mut all);
        all.extend([log2(continuation.len() as f64 / 16.0), log2(stretch.seconds())]);
        assert_eq!(all.len(), STATISTICS);
        std::array::from_fn(|index| all[index] as f32)
    }
}

fn log2(value: f64) -> f64 {
    libm::log2(value.max(SHORTEST_S))
}

/// 0 if there are no values.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f64
}

/// Standard deviation; 0 if there are no values.
fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    moments(values)[1]
}

/// Mean and standard deviation.
fn moments(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let middle = mean(values.clone());
    [middle, mean(values.map(|value| (value - middle) * (value - middle))).sqrt()]
}

fn share<T>(items: impl Iterator<Item = T>, mut is: impl FnMut(T) -> bool) -> f64 {
    mean(items.map(|item| f64::from(is(item))))
}

/// Pushes the share of values in each class between these limits.
fn classes<const LIMITS: usize>(values: impl Iterator<Item = f64>, limits: [f64; LIMITS], out: &mut Vec<f64>) {
    let first = out.len();
    out.resize(first + LIMITS + 1, 0.0);
    let mut count = 0.0f64;
    for value in values {
        out[first + limits.iter().filter(|&&limit| value >= limit).count()] += 1.0;
        count += 1.0;
    }
    out[first..].iter_mut().for_each(|share| *share /= count.max(1.0));
}

fn moves(line: &[u8]) -> Vec<i16> {
    line.windows(2).map(|pair| i16::from(pair[1]) - i16::from(pair[0])).collect()
}

/// Share of n-grams of `length` that occurred before.
fn repeated<T: Eq + Hash>(items: &[T], length: usize) -> f64 {
    let mut seen = HashSet::new();
    share(items.windows(length), |run| !seen.insert(run))
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Share of `times` that have an equal among `known`, which is ascending. All are log2.
fn known_times(known: &[f64], times: impl Iterator<Item = f64>) -> f64 {
    share(times, |time| {
        let next = known.partition_point(|known| *known < time - RATIO_LIMITS[0]);
        known.get(next).is_some_and(|known| *known <= time + RATIO_LIMITS[0])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn music() -> impl Strategy<Value = Vec<Note>> {
        let note = (0.0..0.6f64, 0.0..0.02f64, 0.0..9.0f64, 0..128u8, 1..128u8, any::<bool>());
        prop::collection::vec(note, 0..90).prop_map(|list| {
            let mut onset = 0.0;
            let mut notes: Vec<Note> = list
                .into_iter()
                .map(|(step, spread, duration, pitch, velocity, chord)| {
                    onset += if chord { 0.0 } else { step };
                    Note { onset: onset + spread, spread: 0.0, duration, pitch, velocity }
                })
                .collect();
            notes::chords::canonicalize(&mut notes);
            notes
        })
    }

    proptest! {
        #[test]
        fn all_statistics_are_finite_and_as_many_as_said(phrase in music(), next in music()) {
            let mut alone = Vec::new();
            Stretch::new(&phrase).alone(&mut alone);
            prop_assert_eq!(alone.len(), ALONE);
            let mut related = Vec::new();
            Stretch::new(&next).related(&Phrase::new(&phrase), &mut related);
            prop_assert_eq!(related.len(), RELATED);
            let all = Phrase::new(&phrase).statistics(&next);
            prop_assert!(all.iter().all(|value| value.is_finite()), "{all:?}");
        }

        /// Only times between notes count, not their origin.
        #[test]
        fn the_origin_of_time_does_not_matter(phrase in music(), next in music()) {
            let later: Vec<Note> = next.iter().map(|note| Note { onset: note.onset + 64.0, ..*note }).collect();
            let phrase = Phrase::new(&phrase);
            let [a, b] = [&next, &later].map(|notes| phrase.statistics(notes));
            let far = a.iter().zip(&b).filter(|(a, b)| (*a - *b).abs() > 1e-3).count();
            // Values at a limit between classes may change class.
            prop_assert!(far <= 8, "{far}");
        }
    }
}
