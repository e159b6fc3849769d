//! The host's event queues for one block: the player's events in, and what the engine sends out. Lives on the audio
//! thread. What a full queue refuses is the engine's business: see `engine::audio`.
//!
//! A wrapper that cuts a block where a parameter changes hands over what lies on the cut before the change or
//! after it, as the host has sorted them; and at a block's first sample always after it. So that no block
//! size makes a difference, what lies on a cut waits for the rest of the block.
//!
//! A host may also send what is no event (see [`super::clean`]), and name a note by its id ([`super::note_ids`]): both
//! are put right as an event comes in.

use std::collections::VecDeque;

use engine::audio::{Heard, Out, Through};
use engine::link::status::Status;
use engine::link::touches::Touch;
use nice_plug::context::process::SendEventError;
use nice_plug::midi::{Channel, Key, VoiceID, control_change};
use nice_plug::prelude::*;

use super::clean::clean;
use super::note_ids::{Ends, NoteIds};
use crate::voice::Voice;

/// Events that can lie on one cut.
const ON_CUT: usize = 1024;
/// How often an event is offered before it counts as refused: what took one and not the next may take it
/// yet, and one that is full says so soon.
const OFFERS: usize = 4;
/// A pitch bend, or a pressure, this near to its middle, or to none, is at rest: half of MIDI's finest step.
const AT_REST: f32 = 0.5 / 16_383.0;

/// An event of the host's: no system-exclusive messages.
pub type HostEvent = NoteEvent<()>;

/// The player's events that came with a block too early, and what the host means by the ids that it gives to notes.
pub struct Incoming {
    /// At the first sample of the next block.
    early: VecDeque<HostEvent>,
    ids: NoteIds,
}

impl Default for Incoming {
    fn default() -> Self {
        Self { early: VecDeque::with_capacity(ON_CUT), ids: NoteIds::default() }
    }
}

impl Incoming {
    /// Forgets what lies on a cut whose block does not go on. The ids of notes stay: a key may be down all the while.
    pub fn activate(&mut self) {
        self.early.clear();
    }
}

/// See the [module](self).
pub struct HostIo<'a, P, C> {
    context: &'a mut C,
    incoming: &'a mut Incoming,
    status: &'a Status,
    /// Hears what the host takes.
    voice: Option<&'a mut Voice>,
    /// Samples of the block.
    frames: u32,
    /// Of the events that came too early, those that are for this block.
    early: usize,
    plugin: std::marker::PhantomData<P>,
}

impl<'a, P, C> HostIo<'a, P, C>
where
    P: Plugin<SysExMessage = ()>,
    C: ProcessContext<P>,
{
    /// Opens the queues of a block of so many samples.
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

    /// The player's next event, and what it means to the model, if anything.
    pub fn next_event(&mut self) -> Option<(HostEvent, Option<Heard>)> {
        loop {
            let mut event = self.next_clean()?;
            return match self.incoming.ids.follow(&mut event) {
                Ends::Keys => Some((event, heard(&event))),
                Ends::Covered => Some((event, heard(&event).map(Heard::covered))),
                Ends::Nothing => {
                    self.status.invalid.add(1);
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
                self.status.invalid.add(1);
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

    /// Whether the host took the event, or never will.
    fn send(&mut self, event: HostEvent) -> bool {
        if let Some(voice) = &mut self.voice {
            voice.hear(&event);
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

impl<P, C> Through<HostEvent> for HostIo<'_, P, C>
where
    P: Plugin<SysExMessage = ()>,
    C: ProcessContext<P>,
{
    fn pass(&mut self, offset: u32, mut event: HostEvent) -> bool {
        // Later than it came, but for its distance: what waited goes out with a block's first sample.
        event.subtract_timing(event.timing().saturating_sub(offset));
        self.send(event)
    }
}

/// The editor's keyboard is a keyboard like any other, on channel 1, at the block's first sample.
pub fn touch(touch: Touch) -> HostEvent {
    let (channel, key) = (Channel::Number(0), Key::Number(touch.key));
    if touch.velocity == 0 {
        return NoteEvent::NoteOff { timing: 0, voice_id: VoiceID::Wildcard, channel, key, velocity: 0.0 };
    }
    let velocity = f32::from(touch.velocity) / 127.0;
    NoteEvent::NoteOn { timing: 0, voice_id: VoiceID::Wildcard, channel, key, velocity }
}

/// What an event of the player's means to the model, if anything.
pub fn heard(event: &HostEvent) -> Option<Heard> {
    match *event {
        NoteEvent::NoteOn { channel: Channel::Number(channel), key: Key::Number(key), velocity, .. } => {
            // A saturating cast: what is no number becomes 0.
            let velocity = (velocity * 127.0).round() as u8;
            Some(Heard::On { channel, key, velocity: velocity.clamp(1, 127) })
        }
        NoteEvent::NoteOff { channel, key, .. } => Some(Heard::Off { channel: channel.number(), key: key.number() }),
        NoteEvent::MidiCC { channel, cc: control_change::ALL_NOTES_OFF | control_change::ALL_SOUND_OFF, .. } => {
            Some(Heard::Off { channel: Some(channel), key: None })
        }
        NoteEvent::MidiCC { channel, cc, value, .. } => {
            Some(Heard::Controller { channel, controller: cc, value: (value * 127.0).round() as u8 })
        }
        NoteEvent::MidiPitchBend { channel, value, .. } => {
            Some(Heard::Bend { channel, rests: (value - 0.5).abs() <= AT_REST })
        }
        NoteEvent::MidiChannelPressure { channel, pressure, .. } => {
            Some(Heard::Pressure { channel, rests: pressure <= AT_REST })
        }
        NoteEvent::PolyPressure { channel, key, .. }
        | NoteEvent::PolyVolume { channel, key, .. }
        | NoteEvent::PolyPan { channel, key, .. }
        | NoteEvent::PolyTuning { channel, key, .. }
        | NoteEvent::PolyVibrato { channel, key, .. }
        | NoteEvent::PolyExpression { channel, key, .. }
        | NoteEvent::PolyBrightness { channel, key, .. } => {
            Some(Heard::Expression { channel: channel.number(), key: key.number() })
        }
        _ => None,
    }
}

/// The host's transport in the clock's words.
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
