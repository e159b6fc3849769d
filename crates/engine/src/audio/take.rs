//! A take on the audio thread: when it began, how its seconds map to the clock's beats, how long it may be,
//! how much of it has arrived.

use notes::{Note, Planned};

use crate::link::messages::{REACTION_S, Revision, Source, TimelinePosition};
use crate::settings::{GenerationParams, Length, Settings};

/// The shortest duration of a shifted note, in seconds.
const SHORTEST_S: f64 = 0.030;

/// The current take on the audio thread; see the [module documentation](self).
#[derive(Clone, Copy, Debug)]
pub struct TakePlayback {
    /// The hand-over, in unrolled beats.
    begin: f64,
    /// Its place on the host's timeline. Its beats per second stay those of the hand-over: a take keeps
    /// its beats when the tempo changes.
    pub position: TimelinePosition,
    /// Its current generation parameters.
    pub generation: GenerationParams,
    /// What ends it, besides the player.
    pub length: Length,
    /// A note that arrives up to this many seconds late is played at once; a later one is dropped. Both are
    /// counted.
    pub late_s: f64,
    /// MIDI channel it is played on, 0–15: the one that is set, or that of the player's latest note.
    pub channel: u8,
    /// Every note with an onset before this, in seconds since the hand-over, has arrived.
    pub arrived: f64,
    /// The bar line at which it ends, in beats, if known: notes sounding then are cut off.
    pub end: Option<f64>,
    /// Bar lines passed since it began.
    pub bars: u32,
    /// Whether it loops; then the turn length does not end it.
    pub frozen: bool,
    /// The time from which on it repeats itself, in seconds since the hand-over.
    repeats: f64,
    /// Whether it is a replay or a loop, to which the turn length does not apply.
    known: bool,
    /// Whether any of its notes has sounded.
    pub sounded: bool,
}

/// What happens to a note that has arrived.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrival {
    /// It is in time.
    InTime(Planned),
    /// It is late and shifted to now.
    Shifted(Planned),
    /// It is too late.
    TooLate,
    /// It lies beyond the take's length.
    Beyond,
}

impl TakePlayback {
    /// A take that begins at `begin`, in unrolled beats. `channel`: the player's MIDI channel.
    pub fn new(
        begin: f64,
        position: TimelinePosition,
        source: Source,
        settings: &Settings,
        generation: GenerationParams,
        channel: u8,
    ) -> Self {
        let frozen = matches!(source, Source::Frozen { .. });
        Self {
            begin,
            position,
            generation,
            length: settings.turn.length,
            late_s: settings.midi.late_s,
            channel: settings.midi.channel.unwrap_or(channel),
            arrived: f64::NEG_INFINITY,
            end: None,
            bars: 0,
            frozen,
            repeats: if frozen { f64::NEG_INFINITY } else { f64::INFINITY },
            known: frozen || source == Source::Replay,
            sounded: false,
        }
    }

    /// The hand-over, in unrolled beats.
    pub fn begin(&self) -> f64 {
        self.begin
    }

    /// Notes after `from`, in seconds since the hand-over, are generated again. Earlier notes still count as arrived if
    /// they had: the generator may be so far ahead that it sends nothing for a long time.
    pub fn invalidate_from(&mut self, from: f64) {
        self.arrived = self.arrived.min(from);
    }

    /// Starts looping, with the first round up to `round`, in seconds since the hand-over; or, if not `frozen`, stops
    /// looping at that time.
    pub fn freeze(&mut self, frozen: bool, round: f64) {
        self.frozen = frozen;
        self.repeats = if frozen { round } else { f64::INFINITY };
        self.known = frozen;
        self.invalidate_from(round);
        self.end = None;
    }

    /// The time from which on notes are void if a key joins at `since`; both in seconds since the hand-over. A loop's
    /// notes do not depend on the player, so its next notes stay and cause no wait.
    pub fn joined(&self, since: f64) -> f64 {
        if since < self.repeats { since } else { since + REACTION_S }
    }

    /// Converts seconds since the hand-over to unrolled beats.
    pub fn beats(&self, since: f64) -> f64 {
        self.begin + since * self.position.beats_per_second
    }

    /// Converts unrolled beats to seconds since the hand-over.
    pub fn since(&self, beats: f64) -> f64 {
        (beats - self.begin) / self.position.beats_per_second
    }

    /// The time from which on no note may begin, in seconds since the hand-over; infinite without a limit.
    pub fn limit(&self) -> f64 {
        match self.length {
            Length::Seconds(seconds) if !self.known => seconds,
            Length::Seconds(_) | Length::Open | Length::Notes(_) | Length::Bars(_) => f64::INFINITY,
        }
    }

    /// The most notes it may have; `u32::MAX` without a limit.
    pub fn notes(&self) -> u32 {
        match self.length {
            Length::Notes(notes) if !self.known => notes,
            Length::Notes(_) | Length::Open | Length::Seconds(_) | Length::Bars(_) => u32::MAX,
        }
    }

    /// Places a note of this take on the clock. `now`: the earliest time at which a note can still begin, in
    /// unrolled beats.
    pub fn place_note(&self, revision: Revision, index: u32, note: &Note, now: f64) -> Arrival {
        let rate = self.position.beats_per_second;
        if index >= self.notes() || note.struck() >= self.limit() {
            return Arrival::Beyond;
        }
        let planned = Planned {
            onset: self.beats(note.struck()),
            end: self.beats(note.end()),
            revision: revision.0,
            index,
            channel: self.channel,
            pitch: note.pitch,
            velocity: note.velocity,
        };
        if planned.onset >= now {
            Arrival::InTime(planned)
        } else if now - planned.onset <= self.late_s * rate {
            let end = planned.end.max(now + SHORTEST_S * rate);
            Arrival::Shifted(Planned { onset: now, end, ..planned })
        } else {
            Arrival::TooLate
        }
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    /// At 120 bpm, one second is two beats.
    #[test]
    fn a_late_note_is_shifted_then_dropped() {
        let settings = crate::tests::settings(|settings| {
            (settings.turn.length, settings.midi.late_s) = (Length::Seconds(4.0), 0.05);
        });
        let position = TimelinePosition { beats_per_second: 2.0, beat: 0.0, bar: 4.0, running: true };
        let take = TakePlayback::new(0.0, position, Source::Continue, &settings, settings.generation, 2);
        let note = |onset| Note { onset, spread: 0.01, duration: 0.2, pitch: 60, velocity: 80 };
        let arrive = |onset, now| take.place_note(Revision(3), 0, &note(onset), now);
        let Arrival::InTime(planned) = arrive(1.0, 2.0) else { panic!() };
        assert_eq!((planned.onset, planned.end, planned.channel), (2.02, 2.4, 2));
        let Arrival::Shifted(planned) = arrive(1.0, 2.1) else { panic!() };
        assert_eq!((planned.onset, planned.end), (2.1, 2.4));
        let Arrival::Shifted(planned) = arrive(0.99, 2.09) else { panic!() };
        assert!(planned.end >= planned.onset + 2.0 * SHORTEST_S);
        assert_eq!(arrive(1.0, 2.13), Arrival::TooLate);
        assert_eq!(arrive(3.99, 2.0), Arrival::Beyond, "struck at the very end");
        let few = TakePlayback { length: Length::Notes(5), ..take };
        assert_eq!(few.place_note(Revision(3), 5, &note(1.0), 2.0), Arrival::Beyond);
        let replay = TakePlayback::new(0.0, position, Source::Replay, &settings, settings.generation, 2);
        assert!(matches!(replay.place_note(Revision(3), 5, &note(5.0), 2.0), Arrival::InTime(_)), "as long as it was");
    }

    /// A bar may last longer than the look-ahead: an offline render does not wait for notes that have already arrived.
    #[test]
    fn notes_that_are_not_regenerated_have_arrived() {
        let position = TimelinePosition { beats_per_second: 1.0, beat: 0.0, bar: 4.0, running: true };
        let settings = crate::tests::SETTINGS;
        let mut take = TakePlayback::new(0.0, position, Source::Continue, &settings, settings.generation, 2);
        take.arrived = 3.0;
        take.freeze(true, 240.0);
        assert_eq!((take.arrived, take.joined(5.0)), (3.0, 5.0));
        take.arrived = f64::INFINITY;
        take.invalidate_from(2.0);
        assert_eq!(take.arrived, 2.0);
        take.freeze(true, 1.0);
        assert_eq!((take.arrived, take.joined(5.0)), (1.0, 5.0 + REACTION_S));
    }
}
