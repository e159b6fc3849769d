//! Sanitizes the host's events: keys above 127, channels above 16, values that are not numbers. What can be corrected
//! is corrected; other events are dropped.

use nice_plug::midi::{Channel, Key};
use nice_plug::prelude::NoteEvent;

use super::io::HostEvent;

const CHANNELS: u8 = 16;
const KEYS: u8 = 128;
/// The velocity of a note whose velocity is NaN.
const VELOCITY: f32 = 0.5;
/// The greatest gain of a volume expression, and the greatest tuning in semitones.
const LOUDEST: f32 = 4.0;
const FARTHEST: f32 = 120.0;

/// The event with its values in range; `None` if it is to be dropped.
pub fn clean(mut event: HostEvent) -> Option<HostEvent> {
    let within = |value: &mut f32, least: f32, most: f32| {
        *value = value.clamp(least, most);
        !value.is_nan()
    };
    let possible = match &mut event {
        NoteEvent::NoteOn { channel, key, velocity, .. } => {
            mend(velocity);
            channel.number().is_some_and(|channel| channel < CHANNELS) && key.number().is_some_and(|key| key < KEYS)
        }
        NoteEvent::NoteOff { channel, key, velocity, .. } => {
            mend(velocity);
            exist(channel, key)
        }
        // Plugins cannot send chokes to hosts, but the note must end.
        &mut NoteEvent::Choke { timing, voice_id, channel, key } => {
            event = NoteEvent::NoteOff { timing, voice_id, channel, key, velocity: 0.0 };
            exist(&channel, &key)
        }
        NoteEvent::PolyPressure { channel, key, pressure: value, .. }
        | NoteEvent::PolyVibrato { channel, key, vibrato: value, .. }
        | NoteEvent::PolyExpression { channel, key, expression: value, .. }
        | NoteEvent::PolyBrightness { channel, key, brightness: value, .. } => {
            exist(channel, key) && within(value, 0.0, 1.0)
        }
        NoteEvent::PolyVolume { channel, key, gain, .. } => exist(channel, key) && within(gain, 0.0, LOUDEST),
        NoteEvent::PolyPan { channel, key, pan, .. } => exist(channel, key) && within(pan, -1.0, 1.0),
        NoteEvent::PolyTuning { channel, key, tuning, .. } => {
            exist(channel, key) && within(tuning, -FARTHEST, FARTHEST)
        }
        NoteEvent::MidiChannelPressure { channel, pressure: value, .. }
        | NoteEvent::MidiPitchBend { channel, value, .. } => *channel < CHANNELS && within(value, 0.0, 1.0),
        NoteEvent::MidiCC { channel, cc, value, .. } => *channel < CHANNELS && *cc < KEYS && within(value, 0.0, 1.0),
        NoteEvent::MidiProgramChange { channel, program, .. } => *channel < CHANNELS && *program < KEYS,
        // Events that only make sense for a synthesizer's parameters.
        _ => false,
    };
    possible.then_some(event)
}

/// Puts a velocity into its range.
fn mend(velocity: &mut f32) {
    *velocity = if velocity.is_nan() { VELOCITY } else { velocity.clamp(0.0, 1.0) };
}

/// Whether the channel and the key exist; wildcards do.
fn exist(channel: &Channel, key: &Key) -> bool {
    channel.number().is_none_or(|channel| channel < CHANNELS) && key.number().is_none_or(|key| key < KEYS)
}
