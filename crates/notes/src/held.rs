//! The ledger of generated notes that sound, and the only authority on their note-offs. Lives on
//! the audio thread.
//!
//! The ledger itself sends to the host and learns whether the host took the event, so that its
//! books cannot differ from what the host has heard:
//!
//! * a note-on that the host refuses never counts as sounding;
//! * a note-off that it refuses is *owed*, and sent first of all in the next block;
//! * a key sounds once: a re-strike first ends the earlier note, and where that note-off is
//!   refused the new note is given up.
//!
//! So the note-ons that the host accepted equal the note-offs, per channel and key, once
//! [`Held::is_empty`].

use crate::schedule::{Planned, Schedule};

/// Notes that can sound at once: every key of every channel.
const CAPACITY: usize = 16 * 128;

/// A generated event for the host. Times are beats of [`crate::Clock`]'s unrolled axis; events come
/// in order of time within a block, except that owed note-offs may lie in the past: the clock puts
/// those at sample 0.
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

/// Generated notes that sound; see the [module](self). `send` is always the way to the host: it
/// says whether the host took the event.
#[derive(Debug)]
pub struct Held {
    /// Sorted by end, the latest first, so that the next to end is popped off the back.
    sounding: Vec<Sounding>,
    /// Note-offs that the host refused, oldest first; `end` is when they were to be sent.
    owed: Vec<Sounding>,
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
    /// Notes that were given up because the host refused an event.
    pub refused: u32,
}

impl Held {
    /// An empty ledger. The only function here that allocates.
    pub fn new() -> Self {
        Self { sounding: Vec::with_capacity(CAPACITY), owed: Vec::with_capacity(CAPACITY) }
    }

    /// Sends the note-offs that the host refused earlier. Call it first in every block.
    pub fn retry(&mut self, mut send: impl FnMut(Event) -> bool) {
        self.owed.retain(|owed| !send(owed.off(owed.end)));
    }

    /// Begins a note and remembers its end; true when the host took it. If the key sounds already,
    /// the earlier note ends first.
    pub fn strike(&mut self, note: &Planned, mut send: impl FnMut(Event) -> bool) -> bool {
        let (channel, pitch, at) = (note.channel, note.pitch, note.onset);
        if channel > 15 || pitch > 127 || !self.end_key(channel, pitch, at, &mut send) {
            return false;
        }
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
    pub fn end_before(&mut self, time: f64, mut send: impl FnMut(Event) -> bool) {
        while let Some(note) = self.sounding.pop_if(|note| note.end < time) {
            self.send_off(note, note.end, &mut send);
        }
    }

    /// Ends one key at `at`, if it sounds. False only when the host refuses the note-off.
    pub fn end_key(&mut self, channel: u8, pitch: u8, at: f64, mut send: impl FnMut(Event) -> bool) -> bool {
        if let Some(place) = self.sounding.iter().position(|note| note.is(channel, pitch)) {
            let note = self.sounding.remove(place);
            return self.send_off(note, at, &mut send);
        }
        if let Some(place) = self.owed.iter().position(|note| note.is(channel, pitch)) {
            let note = self.owed.remove(place);
            return self.send_off(note, at, &mut send);
        }
        true
    }

    /// Ends everything at `at`: the next events of the block are its note-offs.
    pub fn end_all(&mut self, at: f64, mut send: impl FnMut(Event) -> bool) {
        while let Some(note) = self.sounding.pop() {
            self.send_off(note, at, &mut send);
        }
    }

    /// Shortens the notes that would end after `time`, so that they end then.
    pub fn end_by(&mut self, time: f64) {
        for note in &mut self.sounding {
            note.end = note.end.min(time);
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
            self.end_before(note.onset.next_up(), &mut send);
            if self.strike(&note, &mut send) {
                played.struck += 1;
            } else {
                played.refused += 1;
            }
        }
        self.end_before(time, &mut send);
        played
    }

    /// When the next note ends.
    pub fn next_end(&self) -> Option<f64> {
        self.sounding.last().map(|note| note.end)
    }

    /// Whether this key sounds, an owed note-off included.
    pub fn is_sounding(&self, channel: u8, pitch: u8) -> bool {
        let mut all = self.sounding.iter().chain(&self.owed);
        all.any(|note| note.is(channel, pitch))
    }

    /// When the last of the notes that sound ends.
    pub fn last_end(&self) -> Option<f64> {
        self.sounding.first().map(|note| note.end)
    }

    /// Notes whose note-off the host has not taken yet.
    pub fn len(&self) -> usize {
        self.sounding.len() + self.owed.len()
    }

    /// Whether every note that began has ended and the host knows it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Note-offs that the host refused and that wait for [`Self::retry`].
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    fn send_off(&mut self, note: Sounding, at: f64, send: &mut impl FnMut(Event) -> bool) -> bool {
        let taken = send(note.off(at));
        if !taken {
            self.owed.push(Sounding { end: at, ..note });
        }
        taken
    }
}
