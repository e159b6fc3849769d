//! Compares statistics of the turn with those of the phrase before it. A network fed with its own output thins out and
//! loses its pulse little by little, without ever playing an unlikely note; the sampler makes up for the measured
//! drift.

use notes::Successor;

use crate::{activation::ln, rhythm::Rhythm};

/// Weight of the phrase's mean in the turn's running mean, in notes.
const PRIOR: f32 = 24.0;
/// Decay per note of the recent mean: an average over some sixty notes.
const DECAY: f32 = 0.985;
/// Shorter intervals count as this, in seconds.
const SHORTEST_S: f32 = 0.01;
/// With fewer notes (or intervals) than this, a phrase has no usable statistics.
const FEWEST: f32 = 6.0;

/// A decaying mean: sum and weight. Over zeros and ones it is a frequency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    sum: f32,
    all: f32,
}

impl Count {
    fn feed(&mut self, value: f32) {
        self.sum = DECAY * self.sum + value;
        self.all = DECAY * self.all + 1.0;
    }
}

/// One statistic, over the recent notes and over the turn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    lately: Count,
    /// Mean over the phrase before the turn; `None`: there is no turn, or too few notes came before it.
    meant: Option<f32>,
    turn: Count,
}

impl Share {
    fn begin_turn(&mut self) {
        let Count { sum, all } = self.lately;
        (self.meant, self.turn) = ((all >= FEWEST).then(|| sum / all), Count::default());
    }

    fn end_turn(&mut self) {
        (self.meant, self.turn) = (None, Count::default());
    }

    fn feed(&mut self, value: f32) {
        self.lately.feed(value);
        if self.meant.is_some() {
            self.turn.feed(value);
        }
    }

    /// How far the turn's mean has fallen below the phrase's; negative if it has risen.
    fn missing(&self) -> f32 {
        self.meant.map_or(0.0, |meant| meant - (self.turn.sum + PRIOR * meant) / (self.turn.all + PRIOR))
    }
}

/// The statistics of the turn and of what came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Turn {
    /// Share of notes that continue a chord (all but a chord's first note).
    chords: Share,
    /// Share of intervals as long as one of the two before.
    even: Share,
    /// Share of notes in each duration class.
    durations: [Share; DURATIONS],
    /// Natural logarithm of intervals in seconds.
    intervals: Share,
    /// Spread of chord notes, in hundredths of a second.
    spreads: Share,
    /// Velocity change from note to note, as a magnitude in units of 16.
    changes: Share,
}

/// Number of duration classes.
pub(crate) const DURATIONS: usize = 6;
/// Limits between duration classes, in seconds.
const DURATION_LIMITS: [f64; DURATIONS - 1] = [0.06, 0.12, 0.24, 0.48, 0.96];

/// The class of a duration.
pub(crate) fn duration_class(seconds: f64) -> usize {
    DURATION_LIMITS.iter().filter(|&&limit| seconds >= limit).count()
}

impl Turn {
    fn shares(&mut self) -> impl Iterator<Item = &mut Share> {
        let Self { chords, even, durations, intervals, spreads, changes } = self;
        [chords, even, intervals, spreads, changes].into_iter().chain(durations)
    }

    /// Starts a turn.
    pub fn begin(&mut self) {
        self.shares().for_each(Share::begin_turn);
    }

    /// Ends the turn.
    pub fn end(&mut self) {
        self.shares().for_each(Share::end_turn);
    }

    /// Adds a note, before `rhythm` is fed the same note. `last`: velocity of the note before; `None` for the first
    /// note.
    pub fn feed(&mut self, note: &Successor, rhythm: &Rhythm, last: Option<u8>) {
        let class = duration_class(note.duration);
        self.durations.iter_mut().enumerate().for_each(|(n, share)| share.feed(f32::from(u8::from(n == class))));
        let Some(last) = last else { return };
        self.changes.feed(f32::from(note.velocity.abs_diff(last)) / 16.0);
        if note.step == 0.0 || note.spread > 0.0 {
            self.spreads.feed(100.0 * note.spread as f32);
        }
        self.chords.feed(f32::from(u8::from(note.step == 0.0)));
        if note.step == 0.0 {
            return;
        }
        self.intervals.feed(ln((note.step as f32).max(SHORTEST_S)));
        if let Some(even) = rhythm.is_even(note.step) {
            self.even.feed(f32::from(u8::from(even)));
        }
    }

    /// How much rarer chord notes are in the turn than in the phrase, as a share of notes.
    pub fn missing_chords(&self) -> f32 {
        self.chords.missing()
    }

    /// How much rarer each duration class is than in the phrase, as a share of notes.
    pub fn missing_durations(&self) -> [f32; DURATIONS] {
        self.durations.map(|share| share.missing())
    }

    /// The share of even intervals in the phrase before the turn; 0.5 if there is no turn or the phrase is too short.
    pub fn evenness(&self) -> f32 {
        self.even.meant.unwrap_or(0.5)
    }

    /// How much shorter intervals are than in the phrase, as the natural logarithm of a ratio.
    pub fn missing_interval(&self) -> f32 {
        self.intervals.missing()
    }

    /// How much smaller the spread of chord notes is than in the phrase, in hundredths of a second.
    pub fn missing_spread(&self) -> f32 {
        self.spreads.missing()
    }

    /// How much smaller velocity changes are than in the phrase, in units of 16.
    pub fn missing_change(&self) -> f32 {
        self.changes.missing()
    }

    /// How much rarer even intervals are than in the phrase, as a share of intervals.
    pub fn missing_evenness(&self) -> f32 {
        self.even.missing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_missing_in_a_turn_is_known() {
        let note = |step: f64| Successor { step, spread: 0.0, duration: 0.2, pitch: 60, velocity: 64 };
        let (mut turn, mut rhythm) = (Turn::default(), Rhythm::default());
        let mut hear = |turn: &mut Turn, step: f64| {
            turn.feed(&note(step), &rhythm, Some(64));
            rhythm.feed(&note(step), false);
        };
        // Two notes at a time, evenly.
        (0..60).for_each(|i| hear(&mut turn, if i % 2 == 0 { 0.25 } else { 0.0 }));
        assert_eq!((turn.missing_chords(), turn.missing_evenness()), (0.0, 0.0), "there is no turn yet");
        turn.begin();
        assert_eq!((turn.missing_chords(), turn.missing_evenness()), (0.0, 0.0));
        // One at a time, unevenly.
        (0..60).for_each(|i| hear(&mut turn, [0.21, 0.3, 0.4][i % 3]));
        assert!(turn.missing_chords() > 0.25, "{}", turn.missing_chords());
        assert!(turn.missing_evenness() > 0.4, "{}", turn.missing_evenness());
    }
}
