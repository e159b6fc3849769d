//! The standalone app's piano, played by the outgoing events. Lives on the audio thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nice_plug::buffer::Buffer;
use nice_plug::midi::control_change;
use nice_plug::prelude::NoteEvent;
use piano::{Action, Piano};

/// The standalone app's piano.
pub struct Voice {
    /// Whether it is on.
    switch: Arc<AtomicBool>,
    piano: Piano,
}

impl Voice {
    /// A piano with this switch.
    pub fn new(switch: Arc<AtomicBool>) -> Self {
        Self { switch, piano: Piano::default() }
    }

    /// The switch that turns it on and off.
    pub fn switch(&self) -> Arc<AtomicBool> {
        self.switch.clone()
    }

    /// Sets the sample rate.
    pub fn set_rate(&mut self, rate: f32) {
        self.piano.set_rate(rate);
    }

    /// Plays an event of the current block; events must come in order.
    pub fn handle(&mut self, event: &NoteEvent<()>) {
        let action = match *event {
            NoteEvent::NoteOn { channel, key, velocity, .. } => match (channel.number(), key.number()) {
                (Some(channel), Some(key)) => Action::Strike { channel, key, velocity },
                _ => return,
            },
            NoteEvent::NoteOff { channel, key, .. } | NoteEvent::Choke { channel, key, .. } => {
                Action::Release { channel: channel.number(), key: key.number() }
            }
            NoteEvent::MidiCC { cc: control_change::DAMPER_PEDAL, value, .. } => Action::Pedal(value >= 0.5),
            NoteEvent::MidiCC {
                channel, cc: control_change::ALL_NOTES_OFF | control_change::ALL_SOUND_OFF, ..
            } => Action::Release { channel: Some(channel), key: None },
            _ => return,
        };
        self.piano.at(event.timing(), action);
    }

    /// Adds the block's sound to `audio`, if the piano is on.
    pub fn play(&mut self, audio: &mut Buffer) {
        let heard = self.switch.load(Ordering::Relaxed);
        let frames = audio.samples();
        let channels = audio.as_slice();
        self.piano.play(frames, |sample, sounds| {
            if heard {
                for (channel, sound) in channels.iter_mut().zip(sounds) {
                    if let Some(out) = channel.get_mut(sample) {
                        *out += sound;
                    }
                }
            }
        });
    }
}
