//! The host's event queues for one block: the player's events in, the engine's events out. Lives on the audio thread.
//! The engine handles events that a full queue refuses: see `engine::audio`.
//!
//! With sample-accurate automation, nice-plug splits a block where a parameter changes. Events on the split sample come
//! before or after the change, in the host's order; at a block's first sample, always after it. To make the result
//! independent of the block size, events on a split sample are held back for the next part.
//!
//! A host may also send invalid events (see [`super::clean`]), or refer to a note by its id ([`super::note_ids`]): both
//! are resolved as an event comes in.

use std::collections::VecDeque;

use engine::audio::{Out, PlayerEvent, ThruOutput};
use engine::link::keyboard::KeyboardEvent;
use engine::link::status::Status;
use nice_plug::context::process::SendEventError;
use nice_plug::midi::{Channel, Key, VoiceID, control_change};
use nice_plug::prelude::*;

use super::clean::clean;
use super::note_ids::{NoteIds, NoteOffTarget};
use crate::voice::Voice;

/// The most events held back at one split.
const ON_CUT: usize = 1024;
/// Attempts to send an event before it counts as refused: a queue that has refused an event may still take it on the
/// next attempt, and a full queue answers quickly.
const OFFERS: usize = 4;
/// A pitch bend this close to its center, or a pressure this close to 0, is at rest: half of MIDI's finest step.
const AT_REST: f32 = 0.5 / 16_383.0;

/// A host's event, without system-exclusive messages.
pub type HostEvent = NoteEvent<()>;

/// Input state that outlives a block: events held back for the next one, and the ids of sounding notes.
pub struct Incoming {
    /// For the next block, at its first sample.
    early: VecDeque<HostEvent>,
    ids: NoteIds,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { early: VecDeque::with_capacity(ON_CUT), ids: NoteIds::default() }
    }
}

impl Incoming {
    /// Drops events that were held back for a block that never came. Note ids stay: their keys may still be down.
    pub fn activate(&mut self) {
        self.early.clear();
    }
}

/// The host's event queues for one block.
pub struct HostIo<'a, P, C> {
    context: &'a mut C,
    incoming: &'a mut Incoming,
    status: &'a Status,
    /// The standalone app's piano, which gets every outgoing event.
    voice: Option<&'a mut Voice>,
    /// Samples in the block.
    frames: u32,
    /// How many of the held-back events belong to this block.
    early: usize,
    plugin: std::marker::PhantomData<P>,
}

impl<'a, P, C> HostIo<'a, P, C>
where
    P: Plugin<SysExMessage = ()>,
    C: ProcessContext<P>,
{
    /// Opens the queues for a block of `frames` samples.
    pub fn open(
        context: &'a mut C,
        frames: u32,
        incoming: &'a mut Incoming,
        status: &'a Status,
        voice: Option<&'a mut Voice>,
    ) -> Self {
        let early = incoming.early.len();
        Self { context, incoming, status, voice, frames, early, plugin: std::marker::PhantomData }
    }

    /// The player's next event, and its meaning for the engine, if any.
    pub fn next_event(&mut self) -> Option<(HostEvent, Option<PlayerEvent>)> {
        loop {
            let mut event = self.next_clean()?;
            return match self.incoming.ids.follow(&mut event) {
                NoteOffTarget::Keys => Some((event, player_event(&event))),
                NoteOffTarget::Covered => Some((event, player_event(&event).map(PlayerEvent::into_covered))),
                NoteOffTarget::Nothing => {
                    self.status.counts.invalid.add(1);
                    continue;
                }
            };
        }
    }

    fn next_clean(&mut self) -> Option<HostEvent> {
        if let Some(early) = self.early.checked_sub(1) {
            self.early = early;
            return self.incoming.early.pop_front();
        }
        loop {
            let Some(mut event) = clean(self.context.next_event()?) else {
                self.status.counts.invalid.add(1);
                continue;
            };
            let on_cut = self.frames > 0 && event.timing() == self.frames;
            if !on_cut || self.incoming.early.len() >= ON_CUT {
                return Some(event);
            }
            event.subtract_timing(self.frames);
            self.incoming.early.push_back(event);
        }
    }

    /// Sends an event. `true` if the host took it or will never take it; `false` if it may take it later.
    fn send(&mut self, event: HostEvent) -> bool {
        if let Some(voice) = &mut self.voice {
            voice.handle(&event);
        }
        (0..OFFERS).any(|_| match self.context.try_send_event(event) {
            Ok(()) | Err((_, SendEventError::InvalidEvent { .. })) => true,
            Err((_, SendEventError::HostBufferFull | SendEventError::NoOutputBuffer)) => false,
        })
    }
}

impl<P, C> Out for HostIo<'_, P, C>
where
    P: Plugin<SysExMessage = ()>,
    C: ProcessContext<P>,
{
    fn on(&mut self, offset: u32, channel: u8, key: u8, velocity: u8) -> bool {
        let note = NoteEvent::NoteOn {
            timing: offset,
            voice_id: VoiceID::Wildcard,
            channel: Channel::Number(channel),
            key: Key::Number(key),
            velocity: f32::from(velocity) / 127.0,
        };
        self.send(note)
    }

    fn off(&mut self, offset: u32, channel: u8, key: u8) -> bool {
        self.send(NoteEvent::NoteOff {
            timing: offset,
            voice_id: VoiceID::Wildcard,
            channel: Channel::Number(channel),
            key: Key::Number(key),
            velocity: 0.0,
        })
    }

    fn controller(&mut self, offset: u32, channel: u8, controller: u8, value: u8) -> bool {
        let value = f32::from(value) / 127.0;
        self.send(NoteEvent::MidiCC { timing: offset, channel, cc: controller, value })
    }
}

impl<P, C> ThruOutput<HostEvent> for HostIo<'_, P, C>
where
    P: Plugin<SysExMessage = ()>,
    C: ProcessContext<P>,
{
    fn pass(&mut self, offset: u32, mut event: HostEvent) -> bool {
        // An event that had to wait may still have a later time in its own block: it goes out at `offset`.
        event.subtract_timing(event.timing().saturating_sub(offset));
        self.send(event)
    }
}

/// An event of the on-screen keyboard, as a note on channel 1 at the block's first sample.
pub fn keyboard_event(event: KeyboardEvent) -> HostEvent {
    let (channel, key) = (Channel::Number(0), Key::Number(event.key));
    if event.velocity == 0 {
        return NoteEvent::NoteOff { timing: 0, voice_id: VoiceID::Wildcard, channel, key, velocity: 0.0 };
    }
    let velocity = f32::from(event.velocity) / 127.0;
    NoteEvent::NoteOn { timing: 0, voice_id: VoiceID::Wildcard, channel, key, velocity }
}

/// The meaning of a player's event for the engine, if any.
pub fn player_event(event: &HostEvent) -> Option<PlayerEvent> {
    match *event {
        NoteEvent::NoteOn { channel: Channel::Number(channel), key: Key::Number(key), velocity, .. } => {
            // The cast saturates: NaN becomes 0.
            let velocity = (velocity * 127.0).round() as u8;
            Some(PlayerEvent::On { channel, key, velocity: velocity.clamp(1, 127) })
        }
        NoteEvent::NoteOff { channel, key, .. } => {
            Some(PlayerEvent::Off { channel: channel.number(), key: key.number() })
        }
        NoteEvent::MidiCC { channel, cc: control_change::ALL_NOTES_OFF | control_change::ALL_SOUND_OFF, .. } => {
            Some(PlayerEvent::Off { channel: Some(channel), key: None })
        }
        NoteEvent::MidiCC { channel, cc, value, .. } => {
            Some(PlayerEvent::Controller { channel, controller: cc, value: (value * 127.0).round() as u8 })
        }
        NoteEvent::MidiPitchBend { channel, value, .. } => {
            Some(PlayerEvent::Bend { channel, rests: (value - 0.5).abs() <= AT_REST })
        }
        NoteEvent::MidiChannelPressure { channel, pressure, .. } => {
            Some(PlayerEvent::Pressure { channel, rests: pressure <= AT_REST })
        }
        NoteEvent::PolyPressure { channel, key, .. }
        | NoteEvent::PolyVolume { channel, key, .. }
        | NoteEvent::PolyPan { channel, key, .. }
        | NoteEvent::PolyTuning { channel, key, .. }
        | NoteEvent::PolyVibrato { channel, key, .. }
        | NoteEvent::PolyExpression { channel, key, .. }
        | NoteEvent::PolyBrightness { channel, key, .. } => {
            Some(PlayerEvent::Expression { channel: channel.number(), key: key.number() })
        }
        _ => None,
    }
}

/// The host's transport, as the clock reads it.
pub fn transport(host: &Transport) -> notes::Transport {
    notes::Transport {
        playing: host.playing,
        tempo: host.tempo,
        pos_beats: host.pos_beats(),
        loop_beats: host.loop_range_beats(),
        time_signature: host.time_sig_numerator.zip(host.time_sig_denominator),
        bar_start_beats: host.bar_start_pos_beats(),
    }
}
