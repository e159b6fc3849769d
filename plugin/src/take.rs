//! One continuation as the audio thread sees it: when it began, how its seconds lie on the clock's
//! beats, how long it may be, how much of it has arrived.

use notes::{Planned, Span};

use crate::link::Answer;
use crate::settings::{Length, Settings, Wishes};

/// The shortest that a shifted note sounds, in seconds.
const SHORTEST_S: f64 = 0.030;

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Take {
    /// The hand-over, in beats.
    begin: f64,
    /// Beats per second at that moment: a take keeps its place in the bar when the tempo changes.
    rate: f64,
    /// How it is played now.
    pub wishes: Wishes,
    /// What ends it, beside the player.
    pub length: Length,
    /// A note that comes up to this many seconds too late sounds at once instead; one that comes
    /// later is dropped. Both are counted.
    late_s: f64,
    /// MIDI channel it is played on: that of the player's latest note.
    pub channel: u8,
    /// Every note with an onset before this, in seconds since the hand-over, has arrived.
    pub arrived: f64,
    /// It has come to its length: nothing more begins.
    pub over: bool,
}

/// What becomes of a note that has arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// It is in time.
    InTime(Planned),
    /// It is late, and shifted to now.
    Shifted(Planned),
    /// It is too late.
    TooLate,
    /// It lies beyond the take's length.
    Beyond,
}

impl Take {
    /// A take that begins at a sample of this block.
    pub fn new(offset: u32, span: &Span, settings: &Settings, channel: u8) -> Self {
        Self {
            begin: span.beats_at(offset),
            rate: span.beats_per_second_at(offset),
            wishes: settings.wishes,
            length: settings.length,
            late_s: settings.late_s,
            channel: settings.channel.unwrap_or(channel),
            arrived: f64::NEG_INFINITY,
            over: false,
        }
    }

    /// Seconds since the hand-over in beats.
    pub fn beats(&self, since: f64) -> f64 {
        self.begin + since * self.rate
    }

    /// Beats in seconds since the hand-over.
    pub fn since(&self, beats: f64) -> f64 {
        (beats - self.begin) / self.rate
    }

    /// From when on nothing may begin, in seconds since the hand-over.
    pub fn limit(&self) -> f64 {
        match self.length {
            Length::Seconds(seconds) => seconds,
            Length::Open | Length::Notes(_) | Length::Bars(_) => f64::INFINITY,
        }
    }

    /// How many notes may begin.
    pub fn notes(&self) -> u32 {
        match self.length {
            Length::Notes(notes) => notes,
            Length::Open | Length::Seconds(_) | Length::Bars(_) => u32::MAX,
        }
    }

    /// Places a note of this take on the clock. `now`: beats before which nothing can sound any more.
    pub fn place(&self, answer: &Answer, now: f64) -> Arrival {
        let Answer { epoch, index, note } = *answer;
        if index >= self.notes() || note.struck() >= self.limit() {
            return Arrival::Beyond;
        }
        let planned = Planned {
            onset: self.beats(note.struck()),
            end: self.beats(note.end()),
            epoch: epoch.0,
            index,
            channel: self.channel,
            pitch: note.pitch,
            velocity: note.velocity,
        };
        if planned.onset >= now {
            Arrival::InTime(planned)
        } else if now - planned.onset <= self.late_s * self.rate {
            let end = planned.end.max(now + SHORTEST_S * self.rate);
            Arrival::Shifted(Planned { onset: now, end, ..planned })
        } else {
            Arrival::TooLate
        }
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use notes::{Clock, Note, Transport};

    use super::*;
    use crate::link::Epoch;

    /// At 120 beats per minute a second has two beats.
    #[test]
    fn a_late_note_is_shifted_then_dropped() {
        let span = Clock::new().advance(&Transport::default(), 64, 48_000.0);
        let settings = Settings { length: Length::Seconds(4.0), late_s: 0.05, ..crate::tests::SETTINGS };
        let take = Take::new(0, &span, &settings, 2);
        let answer = |onset, index| {
            let note = Note { onset, spread: 0.01, duration: 0.2, pitch: 60, velocity: 80 };
            Answer { epoch: Epoch(3), index, note }
        };
        let Arrival::InTime(planned) = take.place(&answer(1.0, 0), 2.0) else { panic!() };
        assert_eq!((planned.onset, planned.end, planned.channel), (2.02, 2.4, 2));
        let Arrival::Shifted(planned) = take.place(&answer(1.0, 0), 2.1) else { panic!() };
        assert_eq!((planned.onset, planned.end), (2.1, 2.4));
        let Arrival::Shifted(planned) = take.place(&answer(0.99, 0), 2.09) else { panic!() };
        assert!(planned.end >= planned.onset + 2.0 * SHORTEST_S);
        assert_eq!(take.place(&answer(1.0, 0), 2.13), Arrival::TooLate);
        assert_eq!(take.place(&answer(3.99, 0), 2.0), Arrival::Beyond, "struck at the very end");
        let few = Take { length: Length::Notes(5), ..take };
        assert_eq!(few.place(&answer(1.0, 5), 2.0), Arrival::Beyond);
    }
}
