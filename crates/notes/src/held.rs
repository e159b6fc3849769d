//! The ledger of generated notes that sound. Lives on the audio thread.
//!
//! The ledger itself sends, and learns whether a note-on was taken, so that its books cannot differ from what the host
//! has heard: a note-on that is refused never counts as sounding. A note-off is never refused: whoever sends it keeps it
//! until the host has it. A key sounds once: a re-strike first ends the earlier note.
//!
//! So the note-ons that were accepted equal the note-offs, per channel and key, once [`Held::is_empty`].

use crate::schedule::{Planned, Schedule};

/// Notes that can sound at once: every key of every channel.
const CAPACITY: usize = 16 * 128;

/// A generated event for the host. Times are beats of [`crate::Clock`]'s unrolled axis; events come
/// in order of time within a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A note begins.
    On {
        /// When.
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
        /// When.
        at: f64,
        /// MIDI channel, 0–15.
        channel: u8,
        /// MIDI key, 0–127.
        pitch: u8,
    },
}

impl Event {
    /// When it happens, in beats.
    pub fn at(&self) -> f64 {
        match *self {
            Event::On { at, .. } | Event::Off { at, .. } => at,
        }
    }
}

/// A note that sounds.
#[derive(Clone, Copy, Debug)]
struct Sounding {
    /// Beats.
    end: f64,
    channel: u8,
    pitch: u8,
}

impl Sounding {
    fn is(&self, channel: u8, pitch: u8) -> bool {
        (self.channel, self.pitch) == (channel, pitch)
    }

    fn off(&self, at: f64) -> Event {
        Event::Off { at, channel: self.channel, pitch: self.pitch }
    }
}

/// Generated notes that sound; see the [module](self).
#[derive(Debug)]
pub struct Held {
    /// Sorted by end, the latest first, so that the next to end is popped off the back.
    sounding: Vec<Sounding>,
}

impl Default for Held {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`Held::play`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Notes that began to sound.
    pub struck: u32,
    /// Notes that were given up because they were refused.
    pub refused: u32,
}

impl Held {
    /// An empty ledger. The only function here that allocates.
    pub fn new() -> Self {
        Self { sounding: Vec::with_capacity(CAPACITY) }
    }

    /// Begins a note and remembers its end; true when `send` took it. If the key sounds already,
    /// the earlier note ends first.
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
            // `max` also turns an end that is no number into the onset.
            let end = note.end.max(at);
            let place = self.sounding.partition_point(|later| later.end >= end);
            self.sounding.insert(place, Sounding { end, channel, pitch });
        }
        taken
    }

    /// Ends, in order of time, the notes whose end is before `time`.
    pub fn end_before(&mut self, time: f64, mut off: impl FnMut(Event)) {
        while let Some(note) = self.sounding.pop_if(|note| note.end < time) {
            off(note.off(note.end));
        }
    }

    /// Ends one key at `at`, if it sounds.
    pub fn end_key(&mut self, channel: u8, pitch: u8, at: f64, off: impl FnOnce(Event)) {
        if let Some(place) = self.sounding.iter().position(|note| note.is(channel, pitch)) {
            off(self.sounding.remove(place).off(at));
        }
    }

    /// Ends everything at `at`: the next events of the block are its note-offs.
    pub fn end_all(&mut self, at: f64, mut off: impl FnMut(Event)) {
        while let Some(note) = self.sounding.pop() {
            off(note.off(at));
        }
    }

    /// Plays what is due before `time`, note-ons from the schedule and note-offs from the ledger in
    /// one order of time; at the same time, note-offs first. Call it up to each event that has to
    /// stand between generated ones, and last up to the block's [`crate::Span::end`].
    pub fn play<const N: usize>(
        &mut self,
        schedule: &mut Schedule<N>,
        time: f64,
        mut send: impl FnMut(Event) -> bool,
    ) -> Played {
        let mut played = Played::default();
        // At most what is scheduled now: `send` cannot add to it.
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

    /// When the last of the notes that sound ends.
    pub fn last_end(&self) -> Option<f64> {
        self.sounding.first().map(|note| note.end)
    }

    /// Notes that sound.
    pub fn len(&self) -> usize {
        self.sounding.len()
    }

    /// Whether every note that began has ended.
    pub fn is_empty(&self) -> bool {
        self.sounding.is_empty()
    }
}
