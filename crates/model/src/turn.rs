//! What the music of a turn is like beside that of the phrase before it. A network that plays on from its own notes thins
//! out and loses its pulse little by little, without ever playing an unlikely one; what has gone missing is made up for.

use notes::Successor;

use crate::{activation::ln, rhythm::Rhythm};

/// Notes of the phrase that a turn begins with.
const PRIOR: f32 = 24.0;
/// Decay per note of what was played lately: some sixty notes.
const DECAY: f32 = 0.985;
/// Intervals below this count as this, in seconds.
const SHORTEST_S: f32 = 0.01;
/// Fewer notes (or intervals) than this say nothing of a phrase.
const FEWEST: f32 = 6.0;

/// Of something lately, its sum, and of how many: of ones and zeros, how often it happens.
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

/// The same, and in the turn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    lately: Count,
    /// In the phrase before the turn; `None`: there is no turn, or too little was heard before it.
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

    /// How much rarer it has become; below 0: it is more frequent.
    fn missing(&self) -> f32 {
        self.meant.map_or(0.0, |meant| meant - (self.turn.sum + PRIOR * meant) / (self.turn.all + PRIOR))
    }
}

/// Shares in the turn, and in what came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Turn {
    /// Notes inside chords, their first ones not counted.
    chords: Share,
    /// Intervals as long as one of the last two.
    even: Share,
    /// In each class of durations.
    durations: [Share; DURATIONS],
    /// Natural logarithms of intervals in seconds.
    intervals: Share,
    /// How late the notes of chords are, in hundredths of a second.
    spreads: Share,
    /// How much louder or softer a note is than the one before, in steps of 16 velocities.
    changes: Share,
}

/// Classes of durations.
pub(crate) const DURATIONS: usize = 6;
/// Their limits, in seconds.
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

    /// A turn begins.
    pub fn begin(&mut self) {
        self.shares().for_each(Share::begin_turn);
    }

    /// The turn is over.
    pub fn end(&mut self) {
        self.shares().for_each(Share::end_turn);
    }

    /// Takes in the next note, which `rhythm` has not heard yet, after one of velocity `last` (`None`: it is the first).
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

    /// How much rarer chords are than in the phrase, as a share of notes.
    pub fn missing_chords(&self) -> f32 {
        self.chords.missing()
    }

    /// How much rarer each class of durations is than in the phrase, as a share of notes.
    pub fn missing_durations(&self) -> [f32; DURATIONS] {
        self.durations.map(|share| share.missing())
    }

    /// The share of even intervals in the phrase before the turn; one half if there is no turn, or the phrase says nothing.
    pub fn evenness(&self) -> f32 {
        self.even.meant.unwrap_or(0.5)
    }

    /// How much shorter intervals are than in the phrase, as the natural logarithm of a factor.
    pub fn missing_interval(&self) -> f32 {
        self.intervals.missing()
    }

    /// How much less late notes of chords are than in the phrase, in hundredths of a second.
    pub fn missing_spread(&self) -> f32 {
        self.spreads.missing()
    }

    /// How much less velocities change from note to note than in the phrase, in steps of 16.
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
