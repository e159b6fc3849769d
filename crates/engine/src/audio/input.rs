//! What the player does: notes for the generator, keys that are down, and since when there has been silence.

use notes::Listener;

use super::midi_thru::Bits;
use super::trigger::SUSTAIN;
use crate::link::touches::KeyboardReceiver;

/// See the [module](self).
pub struct Input {
    /// Makes notes of it.
    pub listener: Listener,
    down: Bits,
    pedals: Bits,
    /// Channel of the latest note.
    pub channel: u8,
    /// Something was played since the model's last turn.
    pub fresh: bool,
    /// When the latest key came up or went down, in unrolled beats.
    key_beats: f64,
    /// When the latest sustain pedal came up.
    pedal_beats: f64,
    /// The trigger is down.
    pub trigger_held: bool,
    /// The keyboard on the screen.
    pub touched: KeyboardReceiver,
    /// What [`Listener::dropped`] was last.
    unheard: u64,
}

impl Input {
    /// Nothing has been heard. Allocates all that it will ever need.
    pub fn new(touched: KeyboardReceiver) -> Self {
        Self {
            listener: Listener::new(),
            down: Bits::default(),
            pedals: Bits::default(),
            channel: 0,
            fresh: false,
            key_beats: 0.0,
            pedal_beats: 0.0,
            trigger_held: false,
            touched,
            unheard: 0,
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.listener.reset();
        self.down = Bits::default();
        self.pedals = Bits::default();
        self.fresh = false;
        (self.key_beats, self.pedal_beats) = (0.0, 0.0);
    }

    /// A key goes down, at these seconds of the stream and these beats.
    pub fn on(&mut self, (time, beats): (f64, f64), channel: u8, key: u8, velocity: u8) {
        self.listener.note_on(time, channel, key, velocity);
        self.down.set(channel, key, true);
        self.channel = channel.min(15);
        self.fresh = true;
        self.key_beats = beats;
    }

    /// Keys come up; `None`: all of them.
    pub fn off(&mut self, (time, beats): (f64, f64), channel: Option<u8>, key: Option<u8>) {
        match (channel, key) {
            (Some(channel), Some(key)) => self.listener.note_off(time, channel, key),
            _ => self.listener.notes_off(time, channel, key),
        }
        if self.down.clear(channel, key) {
            self.key_beats = beats;
        }
    }

    /// The sustain pedal moves.
    pub fn pedal(&mut self, (time, beats): (f64, f64), channel: u8, down: bool) {
        self.listener.pedal(time, channel, down);
        if self.pedals.set(channel, SUSTAIN, down) && !down {
            self.pedal_beats = beats;
        }
    }

    /// Since when there is silence, in seconds of the stream and in beats; `None`: there is none.
    /// `pedal_holds`: there is none while the sustain pedal is down.
    pub fn silent_since(&self, pedal_holds: bool) -> Option<(f64, f64)> {
        if pedal_holds {
            Some((self.listener.quiet_since()?, self.key_beats.max(self.pedal_beats)))
        } else {
            Some((self.listener.silent_since()?, self.key_beats))
        }
    }

    /// How many notes have found no room since the last call.
    pub fn lost(&mut self) -> u64 {
        let unheard = self.listener.dropped();
        unheard - std::mem::replace(&mut self.unheard, unheard)
    }

    /// The keys that are held, as pitches: bit p is pitch p.
    pub fn chord(&self) -> u128 {
        self.down.any()
    }
}
