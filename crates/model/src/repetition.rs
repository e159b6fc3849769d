//! Repetition memory: finds earlier places that match what was played just now, and what came next there. Real music
//! repeats itself, from bar to bar and after minutes; a hidden state forgets.
//!
//! For every lag it keeps a score of how well the latest notes match the notes `lag` before them. The lag stays the
//! same for as long as a repetition lasts, one wrong note in it costs little, and a new note takes a single pass over
//! all lags.

use notes::Successor;

use crate::encoding::{time_bin, velocity_level};

/// Notes remembered: some eight minutes of busy playing.
pub(crate) const REMEMBERED: usize = 4096;
/// Number of classes of agreement score.
pub(crate) const LEVELS: usize = 16;
/// Number of classes of exact-match length, from 0.
pub(crate) const LENGTHS: usize = 13;
/// Number of lag classes, two per octave.
pub(crate) const LAGS: usize = 25;
/// Number of classes of how often a loop has gone around.
pub(crate) const ROUNDS: usize = ROUNDS_UP_TO.len() + 1;
/// Limits between these classes, in quarters of a round.
const ROUNDS_UP_TO: [usize; 11] = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128];
/// Added to a score by each matching note, after the score has decayed by an eighth.
const GAIN: u8 = 32;
/// Lags are scanned in groups of this size, so that groups without a better score are skipped.
const GROUP: usize = 64;
/// A repetition at some lag lasts for as long as its score is at least this.
const HOLDS: u8 = 64;
/// Value of [`RepetitionMemory::interval`] for "no interval".
const NONE: u8 = 0;

/// How well the latest notes match the notes `lag` before them; index `lag - 1`.
#[derive(Clone, Debug, PartialEq)]
struct Agreement {
    /// Decaying scores, recent notes weighing most.
    scores: [u8; REMEMBERED],
    /// For how many notes in a row the score has been at least [`HOLDS`]; saturates.
    kept: [u8; REMEMBERED],
}

/// The latest notes and the score of every lag. Plain data of fixed size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RepetitionMemory {
    /// Ring buffers: note `i` since the start is at `i % REMEMBERED`.
    pitch: [u8; REMEMBERED],
    /// 128 plus the interval in semitones from the note before; [`NONE`] for the first note.
    interval: [u8; REMEMBERED],
    step: [u8; REMEMBERED],
    duration: [u8; REMEMBERED],
    velocity: [u8; REMEMBERED],
    /// Matches by pitch.
    same: Agreement,
    /// Matches by interval, that is, transposed.
    transposed: Agreement,
    /// Matches by step.
    rhythm: Agreement,
    /// Number of notes since the start.
    count: u64,
}

/// The attributes of a note that are remembered, as classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Symbol {
    pitch: u8,
    /// Time bin.
    step: u8,
    /// Time bin.
    duration: u8,
    /// Velocity level.
    velocity: u8,
}

impl Symbol {
    pub fn of(note: &Successor) -> Self {
        Self {
            pitch: note.pitch.min(127),
            step: time_bin(note.step) as u8,
            duration: time_bin(note.duration) as u8,
            velocity: velocity_level(note.velocity) as u8,
        }
    }
}

/// A continuation found at an earlier place that matches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    /// MIDI key, transposed if the match is.
    pub pitch: u8,
    /// Time bin of the step; 0: continues the chord.
    pub step: usize,
    /// Time bin of the duration.
    pub duration: usize,
    /// Velocity level.
    pub velocity: usize,
    /// Agreement score, as a class below [`LEVELS`].
    pub level: usize,
    /// How many of the latest notes match exactly, without a gap; below [`LENGTHS`].
    pub length: usize,
    /// Distance in notes.
    pub lag: usize,
    /// How often this lag has gone around since it began to match, as a class below [`ROUNDS`]. Music that loops for
    /// too long is stuck.
    pub rounds: usize,
}

impl Default for RepetitionMemory {
    fn default() -> Self {
        Self {
            pitch: [u8::MAX; REMEMBERED],
            interval: [NONE; REMEMBERED],
            step: [u8::MAX; REMEMBERED],
            duration: [0; REMEMBERED],
            velocity: [0; REMEMBERED],
            same: Agreement::new(),
            transposed: Agreement::new(),
            rhythm: Agreement::new(),
            count: 0,
        }
    }
}

impl RepetitionMemory {
    /// Appends a note and updates all scores.
    pub fn feed(&mut self, symbol: Symbol) {
        let Symbol { pitch, step, duration, velocity } = symbol;
        let at = slot(self.count);
        let interval = match self.count {
            0 => NONE,
            _ => 128 + pitch - self.pitch[slot(self.count - 1)],
        };
        if self.count > 0 {
            self.same.feed(&self.pitch, at, |other| other == pitch);
            self.transposed.feed(&self.interval, at, |other| other == interval);
            self.rhythm.feed(&self.step, at, |other| other.abs_diff(step) <= u8::from(step > 1));
        }
        self.pitch[at] = pitch;
        self.interval[at] = interval;
        self.step[at] = step;
        self.duration[at] = duration;
        self.velocity[at] = velocity;
        self.count += 1;
    }

    /// The continuation with the best match by pitch among those that `accept` allows; the latest of equals.
    pub fn same(&self, accept: impl Fn(&Match) -> bool) -> Option<Match> {
        self.best(&self.same, REMEMBERED, |slot| Some(self.pitch[slot]), |a, b| self.pitch[a] == self.pitch[b], accept)
    }

    /// Like [`RepetitionMemory::same()`], by interval: the pitch is transposed to follow the last note.
    pub fn transposed(&self, accept: impl Fn(&Match) -> bool) -> Option<Match> {
        let last = i32::from(self.pitch[slot(self.count.wrapping_sub(1))]);
        let here = |slot: usize| {
            let pitch = last + i32::from(self.interval[slot]) - 128;
            (self.interval[slot] != NONE && (0..128).contains(&pitch)).then_some(pitch as u8)
        };
        self.best(&self.transposed, REMEMBERED, here, |a, b| self.interval[a] == self.interval[b], accept)
    }

    /// Like [`RepetitionMemory::same()`], by rhythm, whatever the pitches.
    pub fn rhythm(&self, accept: impl Fn(&Match) -> bool) -> Option<Match> {
        self.best(&self.rhythm, REMEMBERED, |slot| Some(self.pitch[slot]), |a, b| self.step[a] == self.step[b], accept)
    }

    /// Like [`RepetitionMemory::same()`], for lags of at most `notes`: what a loop would play next.
    pub fn in_a_loop(&self, notes: usize) -> Option<Match> {
        let here = |slot: usize| Some(self.pitch[slot]);
        self.best(&self.same, notes, here, |a, b| self.pitch[a] == self.pitch[b], |_| true)
    }

    /// Number of distinct pitches among the last `notes` notes.
    pub fn variety(&self, notes: u64) -> usize {
        let pitches =
            (1..=notes.min(self.count)).fold(0u128, |set, back| set | 1 << (self.pitch[slot(self.count - back)] & 127));
        pitches.count_ones() as usize
    }

    fn best(
        &self,
        agreement: &Agreement,
        farthest: usize,
        pitch: impl Fn(usize) -> Option<u8>,
        equal: impl Fn(usize, usize) -> bool,
        accept: impl Fn(&Match) -> bool,
    ) -> Option<Match> {
        let lags = farthest.min(self.count.min(REMEMBERED as u64) as usize);
        // A place where not even one recent note matches does not count.
        let (mut most, mut best) = (GAIN - 1, None);
        for (group, scores) in agreement.scores[..lags].chunks(GROUP).enumerate() {
            if scores.iter().fold(0, |most, &score| u8::max(most, score)) <= most {
                continue;
            }
            for (place, &score) in scores.iter().enumerate() {
                if score <= most {
                    continue;
                }
                let lag = group * GROUP + place + 1;
                let slot = slot(self.count - lag as u64);
                let Some(pitch) = pitch(slot) else { continue };
                let quarters = 4 * usize::from(agreement.kept[lag - 1]) / lag;
                let matched = Match {
                    pitch,
                    step: self.step[slot].into(),
                    duration: self.duration[slot].into(),
                    velocity: self.velocity[slot].into(),
                    level: usize::from(score) * LEVELS / 256,
                    length: 0,
                    lag,
                    rounds: ROUNDS_UP_TO.partition_point(|&most| most <= quarters),
                };
                if accept(&matched) {
                    (most, best) = (score, Some(matched));
                }
            }
        }
        best.map(|matched| Match { length: self.length(matched.lag, equal), ..matched })
    }

    /// How many of the latest notes equal the notes `lag` before them, without a gap; below [`LENGTHS`].
    fn length(&self, lag: usize, equal: impl Fn(usize, usize) -> bool) -> usize {
        let known = self.count.min(REMEMBERED as u64) as usize - lag;
        let agrees = |back: &usize| {
            let here = self.count - 1 - *back as u64;
            equal(slot(here), slot(here - lag as u64))
        };
        (0..known.min(LENGTHS - 1)).take_while(agrees).count()
    }
}

/// A distance in notes, 1 or more, in half octaves.
pub(crate) fn half_octaves(lag: usize) -> usize {
    let octave = lag.ilog2();
    2 * octave as usize + usize::from(octave > 0 && lag >= 3 << (octave - 1))
}

impl Match {
    /// Lag class, below [`LAGS`].
    pub fn distance(&self) -> usize {
        half_octaves(self.lag).min(LAGS - 1)
    }
}

impl Agreement {
    fn new() -> Self {
        Self { scores: [0; REMEMBERED], kept: [0; REMEMBERED] }
    }

    /// Adds one note, about to be stored at `at` in the ring: all scores decay, and those of lags whose note matches
    /// rise.
    fn feed(&mut self, ring: &[u8; REMEMBERED], at: usize, agrees: impl Fn(u8) -> bool) {
        // Lag 1 is the slot before this one; before slot 0 the ring continues from its end.
        let (near, far) = self.scores.split_at_mut(at);
        let (near_kept, far_kept) = self.kept.split_at_mut(at);
        for (scores, kept, notes) in [(near, near_kept, &ring[..at]), (far, far_kept, &ring[at..])] {
            for ((score, kept), &note) in scores.iter_mut().zip(kept).zip(notes.iter().rev()) {
                let gain = if agrees(note) { GAIN } else { 0 };
                *score = (*score - *score / 8).saturating_add(gain);
                *kept = if *score >= HOLDS { kept.saturating_add(1) } else { 0 };
            }
        }
    }
}

fn slot(index: u64) -> usize {
    index as usize % REMEMBERED
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rand_pcg::Pcg32;

    fn hear(repetition: &mut RepetitionMemory, pitches: impl IntoIterator<Item = u8>) {
        for pitch in pitches {
            let step = f64::from(pitch) * 0.01;
            repetition.feed(Symbol::of(&Successor { pitch, step, duration: 0.3, velocity: pitch, spread: 0.0 }));
        }
    }

    /// Random pitches, which hardly ever match by chance.
    fn wander(from: u32, notes: usize) -> impl Iterator<Item = u8> {
        let mut rng = Pcg32::new(from.into(), 0);
        (0..notes).map(move |_| rng.random_range(30..95))
    }

    #[test]
    fn a_motif_is_known_again_here_and_in_another_key() {
        let theme = [60, 64, 67, 65, 62, 71, 72];
        for (distance, shift) in [(0, 0), (200, 0), (3900, 0), (200, 5), (3900, -7)] {
            let mut repetition = RepetitionMemory::default();
            hear(&mut repetition, wander(0, 300));
            hear(&mut repetition, theme);
            hear(&mut repetition, wander(1000, distance));
            hear(&mut repetition, theme[..5].iter().map(|p| (i32::from(*p) + shift) as u8));
            let matched = match shift {
                0 => repetition.same(|_| true),
                _ => repetition.transposed(|_| true),
            };
            let matched = matched.expect("it was played");
            assert_eq!(i32::from(matched.pitch), 71 + shift, "after {distance} notes, {shift} semitones away");
            assert_eq!(matched.step, time_bin(0.71));
            assert_eq!(matched.velocity, velocity_level(71));
            // The interval into the theme's first note differs.
            assert_eq!(matched.length, if shift == 0 { 5 } else { 4 });
        }
    }

    #[test]
    fn a_wrong_note_does_not_end_a_repetition() {
        let theme: Vec<u8> = wander(7, 20).collect();
        let mut repetition = RepetitionMemory::default();
        hear(&mut repetition, theme.iter().copied());
        hear(&mut repetition, wander(500, 40));
        hear(&mut repetition, theme[..12].iter().copied().chain([100]));
        let matched = repetition.same(|_| true).expect("it was played");
        assert_eq!((matched.pitch, matched.length), (theme[13], 0));
    }

    #[test]
    fn what_is_too_long_ago_is_forgotten() {
        let mut repetition = RepetitionMemory::default();
        assert_eq!(repetition.same(|_| true), None);
        hear(&mut repetition, [1, 2, 3, 4]);
        hear(&mut repetition, wander(0, REMEMBERED - 4));
        hear(&mut repetition, [1]);
        // Among so many notes, some match by chance; but only here is the next note a 2.
        assert_eq!(repetition.same(|matched| matched.pitch == 2).map(|matched| matched.lag), Some(REMEMBERED));
        hear(&mut repetition, [5; 3]);
        hear(&mut repetition, [1]);
        assert_eq!(repetition.same(|matched| matched.pitch == 2), None);
    }
}
