//! Player input: notes for the generator, the keys and pedals that are down, and since when there has been silence.

use notes::Listener;

use super::PlayerEvent;
use super::midi_thru::ChannelBits;
use super::trigger::{HELD, SUSTAIN};
use crate::link::keyboard::KeyboardReceiver;

/// The state of the player's input.
pub struct Input {
    /// Turns events into finished notes.
    pub listener: Listener,
    down: ChannelBits,
    pedals: ChannelBits,
    /// MIDI channel of the latest note, 0–15.
    pub channel: u8,
    /// Whether something was played since Antiphon's last turn.
    pub has_unanswered: bool,
    /// When a key last went down or came up, in unrolled beats.
    key_beats: f64,
    /// When a sustain pedal last came up, in unrolled beats.
    pedal_beats: f64,
    /// Whether the trigger is down.
    pub trigger_held: bool,
    /// The on-screen keyboard.
    pub keyboard: KeyboardReceiver,
    /// [`Listener::dropped`] at the last call of [`Self::newly_dropped`].
    dropped_before: u64,
}

impl Input {
    /// No input yet. Allocates everything it will ever need.
    pub fn new(keyboard_receiver: KeyboardReceiver) -> Self {
        Self {
            listener: Listener::new(),
            down: ChannelBits::default(),
            pedals: ChannelBits::default(),
            channel: 0,
            has_unanswered: false,
            key_beats: 0.0,
            pedal_beats: 0.0,
            trigger_held: false,
            keyboard: keyboard_receiver,
            dropped_before: 0,
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.listener.reset();
        self.down = ChannelBits::default();
        self.pedals = ChannelBits::default();
        self.has_unanswered = false;
        (self.key_beats, self.pedal_beats) = (0.0, 0.0);
    }

    /// A key goes down, at this time in stream seconds and in unrolled beats.
    pub fn on(&mut self, (time, beats): (f64, f64), channel: u8, key: u8, velocity: u8) {
        self.listener.note_on(time, channel, key, velocity);
        self.down.set(channel, key, true);
        self.channel = channel.min(15);
        self.has_unanswered = true;
        self.key_beats = beats;
    }

    /// Keys come up; `None`: any channel or any key.
    pub fn off(&mut self, (time, beats): (f64, f64), channel: Option<u8>, key: Option<u8>) {
        match (channel, key) {
            (Some(channel), Some(key)) => self.listener.note_off(time, channel, key),
            _ => self.listener.notes_off(time, channel, key),
        }
        if self.down.clear(channel, key) {
            self.key_beats = beats;
        }
    }

    /// Whether this event ends a key or sustain pedal that is down.
    pub fn is_ended_by(&self, input: &PlayerEvent) -> bool {
        match *input {
            PlayerEvent::Off { channel, key } => self.down.has_any(channel, key),
            PlayerEvent::Controller { channel, controller: SUSTAIN, value } => {
                value < HELD && self.pedals.has(channel, SUSTAIN)
            }
            _ => false,
        }
    }

    /// A channel's sustain pedal moves.
    pub fn pedal(&mut self, (time, beats): (f64, f64), channel: u8, down: bool) {
        self.listener.pedal(time, channel, down);
        if self.pedals.set(channel, SUSTAIN, down) && !down {
            self.pedal_beats = beats;
        }
    }

    /// When the current silence began, in stream seconds and in unrolled beats; `None`: no silence.
    /// `pedal_holds`: a sustain pedal that is down counts as a held key.
    pub fn silent_since(&self, pedal_holds: bool) -> Option<(f64, f64)> {
        if pedal_holds {
            Some((self.listener.quiet_since()?, self.key_beats.max(self.pedal_beats)))
        } else {
            Some((self.listener.silent_since()?, self.key_beats))
        }
    }

    /// How many notes were dropped for lack of room since the last call.
    pub fn newly_dropped(&mut self) -> u64 {
        let dropped_before = self.listener.dropped();
        dropped_before - std::mem::replace(&mut self.dropped_before, dropped_before)
    }

    /// The keys that are held, as pitches: bit p is pitch p.
    pub fn chord(&self) -> u128 {
        self.down.any()
    }
}
