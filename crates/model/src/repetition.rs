//! A memory of repetition memory: which earlier place is like what was played just now, and what came next
//! there. Real music repeats itself, bar after bar and after minutes; a hidden state forgets.
//!
//! For every lag it is kept how well the last few notes agree with those `lag` notes before them.
//! A lag stays the same for as long as a repetition lasts, one wrong note in it costs little, and a
//! new note is taken in by one pass over all lags.

use notes::Successor;

use crate::encoding::{time_bin, velocity_level};

/// Notes that are remembered, some eight minutes of busy playing.
pub(crate) const REMEMBERED: usize = 4096;
/// Levels of agreement that are told apart.
pub(crate) const LEVELS: usize = 16;
/// Lengths of exact agreement that are told apart, from 0.
pub(crate) const LENGTHS: usize = 13;
/// Lags that are told apart: two in each octave.
pub(crate) const LAGS: usize = 25;
/// Numbers of times round a loop that are told apart.
pub(crate) const ROUNDS: usize = ROUNDS_UP_TO.len() + 1;
/// In quarters.
const ROUNDS_UP_TO: [usize; 11] = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128];
/// What one note in agreement adds; each note takes an eighth of what there was.
const GAIN: u8 = 32;
/// Lags are looked through in groups of this many.
const GROUP: usize = 64;
/// A lag holds for as long as its agreement stays at least this.
const HOLDS: u8 = 64;
/// Stands for "no interval".
const NONE: u8 = 0;

/// How the notes heard last agree with those `lag` notes before them, at `lag - 1`.
#[derive(Clone, Debug, PartialEq)]
struct Agreement {
    /// Recent notes count most.
    scores: [u8; REMEMBERED],
    /// For how many notes it has held.
    kept: [u8; REMEMBERED],
}

/// The notes heard last, and how well each lag agrees. Plain data of fixed size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RepetitionMemory {
    /// Rings: the note of index `i` since the beginning stands at `i % REMEMBERED`.
    pitch: [u8; REMEMBERED],
    /// 128 plus the interval in semitones that led to the note.
    interval: [u8; REMEMBERED],
    step: [u8; REMEMBERED],
    duration: [u8; REMEMBERED],
    velocity: [u8; REMEMBERED],
    /// Of pitches.
    same: Agreement,
    /// Of intervals.
    transposed: Agreement,
    /// Of steps.
    rhythm: Agreement,
    /// Notes heard since the beginning.
    count: u64,
}

/// What is remembered of a note.
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

/// A note that may come next because it did so before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    /// MIDI key, transposed if the place is.
    pub pitch: u8,
    /// Time bin; 0: inside the chord.
    pub step: usize,
    /// Time bin.
    pub duration: usize,
    /// Velocity level.
    pub velocity: usize,
    /// How well the place agrees, below [`LEVELS`].
    pub level: usize,
    /// How many of the last notes agree without exception, below [`LENGTHS`].
    pub length: usize,
    /// How long ago, in notes.
    pub lag: usize,
    /// How often the lag has gone round since it agrees, below [`ROUNDS`]: music that goes round too
    /// often is stuck.
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
    /// Takes in the next note.
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

    /// What came next at the place that agrees best, the latest of equals, among those whose next
    /// note is accepted.
    pub fn same(&self, accept: impl Fn(&Match) -> bool) -> Option<Match> {
        self.best(&self.same, REMEMBERED, |slot| Some(self.pitch[slot]), |a, b| self.pitch[a] == self.pitch[b], accept)
    }

    /// The same for places that agree in their intervals: the next note is transposed to here.
    pub fn transposed(&self, accept: impl Fn(&Match) -> bool) -> Option<Match> {
        let last = i32::from(self.pitch[slot(self.count.wrapping_sub(1))]);
        let here = |slot: usize| {
            let pitch = last + i32::from(self.interval[slot]) - 128;
            (self.interval[slot] != NONE && (0..128).contains(&pitch)).then_some(pitch as u8)
        };
        self.best(&self.transposed, REMEMBERED, here, |a, b| self.interval[a] == self.interval[b], accept)
    }

    /// The same for places that agree in their rhythm, whatever their pitches.
    pub fn rhythm(&self, accept: impl Fn(&Match) -> bool) -> Option<Match> {
        self.best(&self.rhythm, REMEMBERED, |slot| Some(self.pitch[slot]), |a, b| self.step[a] == self.step[b], accept)
    }

    /// The same as [`RepetitionMemory::same`] for places at most `notes` ago: what a loop would play.
    pub fn in_a_loop(&self, notes: usize) -> Option<Match> {
        let here = |slot: usize| Some(self.pitch[slot]);
        self.best(&self.same, notes, here, |a, b| self.pitch[a] == self.pitch[b], |_| true)
    }

    /// How many different pitches the last `notes` notes have.
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
        // A place where not even one of the last notes agrees is none.
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

    /// How many of the last notes agree with those `lag` notes before them, without exception.
    fn length(&self, lag: usize, equal: impl Fn(usize, usize) -> bool) -> usize {
        let known = self.count.min(REMEMBERED as u64) as usize - lag;
        let agrees = |back: &usize| {
            let here = self.count - 1 - *back as u64;
            equal(slot(here), slot(here - lag as u64))
        };
        (0..known.min(LENGTHS - 1)).take_while(agrees).count()
    }
}

/// How many notes ago something was, 1 or more, in half octaves.
pub(crate) fn half_octaves(lag: usize) -> usize {
    let octave = lag.ilog2();
    2 * octave as usize + usize::from(octave > 0 && lag >= 3 << (octave - 1))
}

impl Match {
    /// The class of its lag, below [`LAGS`].
    pub fn distance(&self) -> usize {
        half_octaves(self.lag).min(LAGS - 1)
    }
}

impl Agreement {
    fn new() -> Self {
        Self { scores: [0; REMEMBERED], kept: [0; REMEMBERED] }
    }

    /// One more note, which will stand at `at` of the ring: all scores fade, those of lags whose note
    /// agrees rise.
    fn feed(&mut self, ring: &[u8; REMEMBERED], at: usize, agrees: impl Fn(u8) -> bool) {
        // Lag 1 is the slot before this one; behind the first slot the ring goes on from its end.
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

    /// Pitches that hardly ever agree by chance.
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
            // The first interval of the theme led from another note.
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
        // Elsewhere some of so many notes agree by chance; nowhere else is there a 2.
        assert_eq!(repetition.same(|matched| matched.pitch == 2).map(|matched| matched.lag), Some(REMEMBERED));
        hear(&mut repetition, [5; 3]);
        hear(&mut repetition, [1]);
        assert_eq!(repetition.same(|matched| matched.pitch == 2), None);
    }
}
