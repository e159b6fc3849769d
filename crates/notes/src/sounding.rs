//! The ledger of generated notes that are sounding. Lives on the audio thread.
//!
//! The ledger calls `send` itself and learns whether a note-on was accepted, so it cannot disagree with what the
//! host received: a refused note-on never counts as sounding. A note-off is never refused: `send` must keep it until
//! the host takes it. Each key sounds at most once: a re-strike first ends the earlier note.
//!
//! So once [`SoundingNotes::is_empty`], there are as many note-offs as accepted note-ons, per channel and key.

use crate::schedule::{Planned, Schedule};

/// The most notes that can sound at once: every key of every channel.
const CAPACITY: usize = 16 * 128;

/// A generated event for the host. Times are in beats on [`crate::Clock`]'s unrolled axis; within a block,
/// events come in order of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A note begins.
    On {
        /// Time, in beats.
        at: f64,
        /// MIDI channel, 0–15.
        channel: u8,
        /// MIDI key, 0–127.
        pitch: u8,
        /// MIDI velocity, 1–127.
        velocity: u8,
    },
    /// A note ends.
    Off {
        /// Time, in beats.
        at: f64,
        /// MIDI channel, 0–15.
        channel: u8,
        /// MIDI key, 0–127.
        pitch: u8,
    },
}

impl Event {
    /// The event's time, in beats.
    pub fn at(&self) -> f64 {
        match *self {
            Event::On { at, .. } | Event::Off { at, .. } => at,
        }
    }
}

/// A note that is sounding.
#[derive(Clone, Copy, Debug)]
struct SoundingNote {
    /// When it ends, in beats.
    end: f64,
    channel: u8,
    pitch: u8,
}

impl SoundingNote {
    fn is(&self, channel: u8, pitch: u8) -> bool {
        (self.channel, self.pitch) == (channel, pitch)
    }

    fn off(&self, at: f64) -> Event {
        Event::Off { at, channel: self.channel, pitch: self.pitch }
    }
}

/// The generated notes that are sounding; see the [module documentation](self).
#[derive(Debug)]
pub struct SoundingNotes {
    /// Sorted by end, latest first, so that the next note to end is popped off the back.
    sounding: Vec<SoundingNote>,
}

impl Default for SoundingNotes {
    fn default() -> Self {
        Self::new()
    }
}

/// The counts that [`SoundingNotes::play`] returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayCounts {
    /// Notes that began.
    pub struck: u32,
    /// Notes dropped because `send` refused their note-on, or because their channel or key is invalid.
    pub refused: u32,
}

impl SoundingNotes {
    /// An empty ledger. The only function here that allocates.
    pub fn new() -> Self {
        Self { sounding: Vec::with_capacity(CAPACITY) }
    }

    /// Begins a note and remembers its end; true if `send` accepted it. If the key is already sounding,
    /// the earlier note ends first. A note with an invalid channel or key is not sent.
    pub fn strike(&mut self, note: &Planned, mut send: impl FnMut(Event) -> bool) -> bool {
        let (channel, pitch, at) = (note.channel, note.pitch, note.onset);
        if channel > 15 || pitch > 127 {
            return false;
        }
        self.end_key(channel, pitch, at, |off| {
            send(off);
        });
        let taken = send(Event::On { at, channel, pitch, velocity: note.velocity.clamp(1, 127) });
        if taken {
            // `max` also replaces a NaN end with the onset.
            let end = note.end.max(at);
            let place = self.sounding.partition_point(|later| later.end >= end);
            self.sounding.insert(place, SoundingNote { end, channel, pitch });
        }
        taken
    }

    /// Ends the notes whose end is before `time`, in order of time.
    pub fn end_before(&mut self, time: f64, mut off: impl FnMut(Event)) {
        while let Some(note) = self.sounding.pop_if(|note| note.end < time) {
            off(note.off(note.end));
        }
    }

    /// Ends the note on one key at `at`, if there is one.
    pub fn end_key(&mut self, channel: u8, pitch: u8, at: f64, off: impl FnOnce(Event)) {
        if let Some(place) = self.sounding.iter().position(|note| note.is(channel, pitch)) {
            off(self.sounding.remove(place).off(at));
        }
    }

    /// Ends every note at `at`, with a note-off each.
    pub fn end_all(&mut self, at: f64, mut off: impl FnMut(Event)) {
        while let Some(note) = self.sounding.pop() {
            off(note.off(at));
        }
    }

    /// Plays everything due before `time`: note-ons from the schedule and note-offs from the ledger, merged
    /// in order of time; at equal times, note-offs first. Call it with the time of each event that has to
    /// come between generated ones, and finally with the block's [`crate::Span::end`].
    pub fn play<const N: usize>(
        &mut self,
        schedule: &mut Schedule<N>,
        time: f64,
        mut send: impl FnMut(Event) -> bool,
    ) -> PlayCounts {
        let mut played = PlayCounts::default();
        // Bounded by what is scheduled now: `send` cannot add to it.
        while let Some(note) = schedule.pop_before(time) {
            self.end_before(note.onset.next_up(), |off| {
                send(off);
            });
            if self.strike(&note, &mut send) {
                played.struck += 1;
            } else {
                played.refused += 1;
            }
        }
        self.end_before(time, |off| {
            send(off);
        });
        played
    }

    /// When the last of the sounding notes ends, in beats; `None`: none is sounding.
    pub fn last_end(&self) -> Option<f64> {
        self.sounding.first().map(|note| note.end)
    }

    /// Number of notes that are sounding.
    pub fn len(&self) -> usize {
        self.sounding.len()
    }

    /// Whether every note that began has ended.
    pub fn is_empty(&self) -> bool {
        self.sounding.is_empty()
    }
}
