//! Player input: note-on, note-off and pedal events go in; finished notes come out in canonical order
//! (see [`crate::chords`]), exactly as [`crate::chords::canonicalize`] would produce them.
//! Lives on the audio thread.
//!
//! * A note is finished when its key comes up. [`Listener::pop`] returns it once its chord's window is
//!   closed and every note before it is finished: a melody waits behind a held bass note.
//!   [`Listener::hand_over`] ends the wait: [`Listener::pop_held`] returns held notes with their duration
//!   so far; after they end, [`Listener::pop_late`] returns them with their final duration.
//! * Durations are limited to [`LONGEST_S`], so no note waits longer than that, however long a key is held.
//! * Striking a key that is already sounding ends the earlier note.
//! * A note-off without a note is ignored.
//! * When [`CAPACITY`] notes are waiting, a new one is dropped completely and counted.
//!
//! Times are stream seconds from 0 upwards and must not run backwards: a time that is earlier than the
//! latest one, or not finite, counts as the latest.

use std::collections::VecDeque;

use crate::Note;
use crate::chords::{Chord, merge};

/// Notes that can wait at once: enough for the busiest playing above a note held for [`LONGEST_S`].
pub const CAPACITY: usize = 1024;

/// The longest duration of a note, and so the longest that others wait for its end, in seconds.
/// In piano music, fewer than one note in a thousand is longer.
pub const LONGEST_S: f64 = 10.0;

const CHANNELS: usize = 16;
const KEYS: usize = 128;
/// Capacity of [`Listener`]'s `late` queue, in notes.
const LATE: usize = 128;

/// A key's note that has not ended yet.
#[derive(Clone, Copy, Debug)]
struct Strike {
    /// When the key was struck, in seconds.
    at: f64,
    /// Number of the chord it belongs to.
    chord: u64,
    /// The note as it was handed over, if that happened before it ended.
    handed: Option<Note>,
}

/// One key of one channel.
#[derive(Clone, Copy, Debug, Default)]
struct Key {
    /// Whether the key is held.
    down: bool,
    /// The note that has not ended: the key is down, or the pedal is lengthening the note.
    sounding: Option<Strike>,
}

/// A note that has not been popped yet.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    chord: u64,
    note: Note,
    /// One bit per channel on which the note is still sounding; 0: it is finished.
    channels: u16,
    /// Whether it was handed over before it was finished.
    held: bool,
}

/// Turns live playing into finished notes; see the [module documentation](self).
#[derive(Debug)]
pub struct Listener {
    /// Sorted by (chord, pitch).
    waiting: VecDeque<Waiting>,
    /// Notes that were handed over before they ended and have ended since.
    late: VecDeque<Note>,
    /// Indexed by channel, then pitch.
    keys: Box<[Key]>,
    /// The chord of the latest note, until it is handed over.
    chord: Option<Chord>,
    /// The latest chord's number; chords are numbered so that order never depends on comparing times.
    chord_number: u64,
    now: f64,
    keys_down: usize,
    /// When a key last went down or came up, in seconds; `None` before the first one.
    last_up: Option<f64>,
    /// One bit per channel whose sustain pedal is down.
    pedals: u16,
    last_pedal_up: f64,
    pedal_lengthens: bool,
    dropped: u64,
}

impl Default for Listener {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener {
    /// An empty listener. The only function here that allocates.
    pub fn new() -> Self {
        Self {
            waiting: VecDeque::with_capacity(CAPACITY),
            late: VecDeque::with_capacity(LATE),
            keys: vec![Key::default(); CHANNELS * KEYS].into_boxed_slice(),
            chord: None,
            chord_number: 0,
            now: 0.0,
            keys_down: 0,
            last_up: None,
            pedals: 0,
            last_pedal_up: 0.0,
            pedal_lengthens: false,
            dropped: 0,
        }
    }

    /// Clears everything except the settings and the count of dropped notes. Time restarts at 0.
    pub fn reset(&mut self) {
        self.waiting.clear();
        self.late.clear();
        self.keys.fill(Key::default());
        self.chord = None;
        self.now = 0.0;
        self.keys_down = 0;
        self.last_up = None;
        self.pedals = 0;
        self.last_pedal_up = 0.0;
    }

    /// Whether a note whose key comes up while its channel's sustain pedal is down lasts until the
    /// pedal comes up (or the key is struck again). Off by default.
    pub fn set_pedal_lengthens(&mut self, lengthens: bool) {
        self.pedal_lengthens = lengthens;
    }

    /// A key goes down at `time` seconds. Velocity 0 is a note-off, as in MIDI; a channel above 15
    /// or a key above 127 is ignored.
    pub fn note_on(&mut self, time: f64, channel: u8, pitch: u8, velocity: u8) {
        if velocity == 0 {
            return self.note_off(time, channel, pitch);
        }
        let time = self.moment(time);
        let Some(index) = index_of(channel, pitch) else {
            return;
        };
        self.end_note(index, time);
        let raw = Note { onset: time, spread: 0.0, duration: 0.0, pitch, velocity: velocity.min(127) };
        let chord = match self.chord {
            Some(open) if open.takes(&raw) => open,
            _ => {
                self.chord_number += 1;
                Chord::opened_by(&raw)
            }
        };
        self.chord = Some(chord);
        let remembered = self.remember(chord.place(&raw), channel);
        let strike = Strike { at: time, chord: self.chord_number, handed: None };
        let Some(key) = self.keys.get_mut(index) else {
            return;
        };
        key.sounding = remembered.then_some(strike);
        if !key.down {
            key.down = true;
            self.keys_down += 1;
        }
        self.last_up = Some(time);
    }

    /// A key comes up at `time` seconds.
    pub fn note_off(&mut self, time: f64, channel: u8, pitch: u8) {
        let time = self.moment(time);
        if let Some(index) = index_of(channel, pitch) {
            self.key_up(index, time);
        }
    }

    /// All keys that match come up at `time` seconds; `None` matches any channel or any pitch.
    /// For all-notes-off messages and wildcard note-offs.
    pub fn notes_off(&mut self, time: f64, channel: Option<u8>, pitch: Option<u8>) {
        let time = self.moment(time);
        for index in 0..self.keys.len() {
            let here = (index / KEYS, index % KEYS);
            if channel.is_none_or(|channel| usize::from(channel) == here.0)
                && pitch.is_none_or(|pitch| usize::from(pitch) == here.1)
            {
                self.key_up(index, time);
            }
        }
    }

    /// The sustain pedal of a channel goes down or comes up at `time` seconds.
    pub fn pedal(&mut self, time: f64, channel: u8, down: bool) {
        let time = self.moment(time);
        if usize::from(channel) >= CHANNELS {
            return;
        }
        let was_down = self.pedals & bit(channel) != 0;
        if down {
            self.pedals |= bit(channel);
        } else if was_down {
            self.pedals &= !bit(channel);
            self.last_pedal_up = time;
            let first = usize::from(channel) * KEYS;
            for index in first..first + KEYS {
                if self.keys.get(index).is_some_and(|key| !key.down) {
                    self.end_note(index, time);
                }
            }
        }
    }

    /// Advances the time to `time` seconds, up to which every event must have been passed in. Call it at
    /// the end of each block, before [`Self::pop`].
    pub fn advance(&mut self, time: f64) {
        self.moment(time);
    }

    /// Removes and returns the next note in canonical order, if both it and its position are final.
    pub fn pop(&mut self) -> Option<Note> {
        let head = *self.waiting.front()?;
        let open = self.chord.is_some_and(|chord| head.chord == self.chord_number && !chord.is_closed(self.now));
        if open {
            return None;
        }
        for channel in 0..16 {
            if head.channels & bit(channel) != 0 {
                self.end_if_too_long(channel, head.note.pitch);
            }
        }
        if self.waiting.front()?.channels != 0 {
            return None;
        }
        self.waiting.pop_front().map(|waiting| waiting.note)
    }

    /// As [`Self::pop`], but only if the next note was handed over before it ended; its duration is the time it had
    /// sounded by then.
    pub fn pop_held(&mut self) -> Option<Note> {
        self.waiting.front().filter(|waiting| waiting.held)?;
        self.pop()
    }

    /// A note that was handed over before it ended and has ended since, with its full duration. A note held on two
    /// channels may be returned twice.
    pub fn pop_late(&mut self) -> Option<Note> {
        self.late.pop_front()
    }

    /// Makes everything played until `time` seconds available to [`Self::pop`] and [`Self::pop_held`]. Keys
    /// stay tracked: a key still held is not silence, and its later note-off is recognized.
    pub fn hand_over(&mut self, time: f64) {
        let time = self.moment(time);
        for index in 0..self.keys.len() {
            let Some(strike) =
                self.keys.get(index).and_then(|key| key.sounding).filter(|strike| strike.handed.is_none())
            else {
                continue;
            };
            self.end_note(index, time);
            let pitch = (index % KEYS) as u8;
            let Ok(place) = self.find(strike.chord, pitch) else {
                continue;
            };
            if let Some(waiting) = self.waiting.get_mut(place)
                && let Some(key) = self.keys.get_mut(index)
            {
                waiting.held = true;
                key.sounding = Some(Strike { handed: Some(waiting.note), ..strike });
            }
        }
        self.chord = None;
    }

    /// When the last held key came up, in seconds. `None`: a key is held, or nothing was played yet.
    pub fn silent_since(&self) -> Option<f64> {
        self.last_up.filter(|_| self.keys_down == 0)
    }

    /// When the last held key or sustain pedal came up, in seconds. `None`: a key or a pedal is down, or
    /// nothing was played yet.
    pub fn quiet_since(&self) -> Option<f64> {
        self.silent_since().filter(|_| self.pedals == 0).map(|since| since.max(self.last_pedal_up))
    }

    /// Number of keys held now, on all channels.
    pub fn keys_down(&self) -> usize {
        self.keys_down
    }

    /// Number of notes that have begun and have not been popped.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Number of notes dropped so far because [`CAPACITY`] others were waiting.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Advances `now` to `time` if that is finite and later; returns `now`.
    fn moment(&mut self, time: f64) -> f64 {
        if time.is_finite() && time > self.now {
            self.now = time;
        }
        self.now
    }

    /// Inserts a placed note of the current chord in order, or merges it with one of the same pitch; false if
    /// there is no room.
    fn remember(&mut self, note: Note, channel: u8) -> bool {
        match self.find(self.chord_number, note.pitch) {
            Ok(place) => {
                if let Some(waiting) = self.waiting.get_mut(place) {
                    merge(&mut waiting.note, &note);
                    waiting.channels |= bit(channel);
                }
                true
            }
            Err(_) if self.waiting.len() >= CAPACITY => {
                self.dropped += 1;
                false
            }
            Err(place) => {
                self.waiting
                    .insert(place, Waiting { chord: self.chord_number, note, channels: bit(channel), held: false });
                true
            }
        }
    }

    fn find(&self, chord: u64, pitch: u8) -> Result<usize, usize> {
        self.waiting.binary_search_by(|waiting| (waiting.chord, waiting.note.pitch).cmp(&(chord, pitch)))
    }

    fn key_up(&mut self, index: usize, time: f64) {
        let Some(key) = self.keys.get_mut(index).filter(|key| key.down) else {
            return;
        };
        key.down = false;
        self.keys_down = self.keys_down.saturating_sub(1);
        self.last_up = Some(time);
        let sustained = self.pedal_lengthens && self.pedals >> (index / KEYS) & 1 == 1;
        if !sustained {
            self.end_note(index, time);
        }
    }

    /// Ends the note on a key, if there is one.
    fn end_note(&mut self, index: usize, time: f64) {
        let Some(strike) = self.keys.get_mut(index).and_then(|key| key.sounding.take()) else {
            return;
        };
        let duration = (time - strike.at).min(LONGEST_S);
        let placed =
            |note: Note| Chord::at(note.onset).place(&Note { onset: strike.at, spread: 0.0, duration, ..note });
        if let Some(note) = strike.handed {
            // If there is no room, the note keeps the duration with which it was handed over.
            if self.late.len() < LATE {
                self.late.push_back(placed(note));
            }
            return;
        }
        let pitch = (index % KEYS) as u8;
        let Ok(place) = self.find(strike.chord, pitch) else {
            return;
        };
        let Some(waiting) = self.waiting.get_mut(place) else {
            return;
        };
        let placed = placed(waiting.note);
        merge(&mut waiting.note, &placed);
        waiting.channels &= !bit((index / KEYS) as u8);
    }

    fn end_if_too_long(&mut self, channel: u8, pitch: u8) {
        let Some(index) = index_of(channel, pitch) else {
            return;
        };
        let struck = self.keys.get(index).and_then(|key| key.sounding);
        if struck.is_some_and(|strike| self.now - strike.at >= LONGEST_S) {
            self.end_note(index, self.now);
        }
    }
}

fn index_of(channel: u8, pitch: u8) -> Option<usize> {
    let (channel, pitch) = (usize::from(channel), usize::from(pitch));
    (channel < CHANNELS && pitch < KEYS).then_some(channel * KEYS + pitch)
}

fn bit(channel: u8) -> u16 {
    1u16.checked_shl(channel.into()).unwrap_or(0)
}
