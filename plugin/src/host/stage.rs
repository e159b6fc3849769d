//! The host's event queues for one block: the player's events in and, in order, out again; the
//! model's out between them. Lives on the audio thread.
//!
//! A host's queue may be full. What the player sent and the host refused waits in the [`Backlog`],
//! and everything behind it too, so that the order stays; it goes out first in the next block. Nor does it
//! pass while the end of a generated note is owed to the host: what the player strikes on that key must
//! not be ended by it. Generated notes do not overtake what waits; they are given up. When even the backlog is full,
//! note-offs are still remembered, by key, and pedals that come up; the rest is dropped and counted, until all that
//! waits has gone out.
//!
//! A wrapper that cuts a block where a parameter changes hands over what lies on the cut before the change or
//! after it, as the host has sorted them; and at a block's first sample always after it. So that no block
//! size makes a difference, what lies on a cut waits for the rest of the block.
//!
//! A host may also send what is no event (see [`super::clean`]), and name a note by its id ([`super::note_ids`]): both
//! are put right as an event comes in.

use std::collections::VecDeque;

use engine::audio::{Bits, HELD, Heard, Out, SOFT, SOSTENUTO, SUSTAIN};
use engine::link::status::Status;
use engine::link::touches::Touch;
use nice_plug::context::process::SendEventError;
use nice_plug::midi::{Channel, Key, VoiceID, control_change};
use nice_plug::prelude::*;

use super::clean::clean;
use super::note_ids::{Ends, NoteIds};
use crate::voice::Voice;

/// Events that can wait for the host.
const BACKLOG: usize = 1024;
/// Events that can lie on one cut.
const ON_CUT: usize = 1024;
/// How often an event is offered before it counts as refused: what took one and not the next may take it
/// yet, and one that is full says so soon.
const OFFERS: usize = 4;
/// A pitch bend, or a pressure, this near to its middle, or to none, is at rest: half of MIDI's finest step.
const AT_REST: f32 = 0.5 / 16_383.0;

/// An event of the host's: no system-exclusive messages.
pub type HostEvent = NoteEvent<()>;

/// The player's events that the host has refused so far, and those that came with a block too early.
pub struct Backlog {
    events: VecDeque<HostEvent>,
    /// At the first sample of the next block.
    early: VecDeque<HostEvent>,
    /// Keys whose note-off found no room in `events`.
    keys: Bits,
    /// Controllers whose end found none.
    controllers: Bits,
    /// What the host means by the ids that it gives to notes.
    ids: NoteIds,
}

impl Default for Backlog {
    fn default() -> Self {
        let (events, early) = (VecDeque::with_capacity(BACKLOG), VecDeque::with_capacity(ON_CUT));
        Self { events, early, keys: Bits::default(), controllers: Bits::default(), ids: NoteIds::default() }
    }
}

impl Backlog {
    /// Forgets what lies on a cut whose block does not go on. The ids of notes stay: a key may be down all the while.
    pub fn activate(&mut self) {
        self.early.clear();
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.overflowed()
    }

    /// What comes now must not go out before what had no room in `events`.
    fn overflowed(&self) -> bool {
        self.keys.any() | self.controllers.any() != 0
    }

    /// Keeps an event; `false`: it is dropped.
    fn keep(&mut self, mut event: HostEvent) -> bool {
        if self.events.len() < BACKLOG && !self.overflowed() {
            event.subtract_timing(event.timing());
            self.events.push_back(event);
            return true;
        }
        match event {
            NoteEvent::NoteOff { channel, key: Key::Number(key), .. } => set(&mut self.keys, channel, key),
            NoteEvent::NoteOff { channel, key: Key::Wildcard, .. } => {
                set(&mut self.controllers, channel, control_change::ALL_NOTES_OFF);
            }
            NoteEvent::MidiCC { channel, cc, value, .. } if ends(cc, value) => {
                self.controllers.set(channel, cc, true);
            }
            _ => return false,
        }
        true
    }
}

/// Sets a number on a channel, or on all.
fn set(bits: &mut Bits, channel: Channel, number: u8) {
    let all = channel.number().map_or(0..=15, |channel| channel..=channel);
    all.for_each(|channel| {
        bits.set(channel, number, true);
    });
}

/// Whether a controller ends what sounds: a pedal comes up, or all notes are to end.
fn ends(controller: u8, value: f32) -> bool {
    match controller {
        control_change::ALL_NOTES_OFF | control_change::ALL_SOUND_OFF => true,
        SUSTAIN | SOSTENUTO | SOFT => value * 127.0 < f32::from(HELD),
        _ => false,
    }
}

/// See the [module](self).
pub struct Stage<'a, P, C> {
    context: &'a mut C,
    backlog: &'a mut Backlog,
    status: &'a Status,
    /// Hears what the host takes.
    voice: Option<&'a mut Voice>,
    /// Samples of the block.
    frames: u32,
    /// Of the events that came too early, those that are for this block.
    early: usize,
    plugin: std::marker::PhantomData<P>,
}

impl<'a, P, C> Stage<'a, P, C>
where
    P: Plugin<SysExMessage = ()>,
    C: ProcessContext<P>,
{
    /// Opens the queues of a block of so many samples.
    pub fn open(
        context: &'a mut C,
        frames: u32,
        backlog: &'a mut Backlog,
        status: &'a Status,
        voice: Option<&'a mut Voice>,
    ) -> Self {
        let early = backlog.early.len();
        Self { context, backlog, status, voice, frames, early, plugin: std::marker::PhantomData }
    }

    /// Sends what waits, unless ends of generated notes are owed. Call it before any event of the block.
    pub fn catch_up(&mut self, owes: bool) {
        if !owes {
            self.retry();
        }
    }

    /// The player's next event, and what it means to the model, if anything.
    pub fn next_event(&mut self) -> Option<(HostEvent, Option<Heard>)> {
        loop {
            let mut event = self.next_clean()?;
            return match self.backlog.ids.follow(&mut event) {
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
            return self.backlog.early.pop_front();
        }
        loop {
            let Some(mut event) = clean(self.context.next_event()?) else {
                self.status.invalid.add(1);
                continue;
            };
            let on_cut = self.frames > 0 && event.timing() == self.frames;
            if !on_cut || self.backlog.early.len() >= ON_CUT {
                return Some(event);
            }
            event.subtract_timing(self.frames);
            self.backlog.early.push_back(event);
        }
    }

    /// Passes an event of the player's on; it waits while ends of generated notes are owed.
    pub fn pass(&mut self, event: HostEvent, owes: bool) {
        if owes || !self.backlog.is_empty() || !self.send(event) {
            let kept = self.backlog.keep(event);
            self.status.overflows.add(u64::from(!kept));
        }
    }

    fn retry(&mut self) {
        while let Some(&event) = self.backlog.events.front() {
            if !self.send(event) {
                return;
            }
            self.backlog.events.pop_front();
        }
        while let Some((channel, key)) = self.backlog.keys.pop() {
            if !self.off(0, channel, key) {
                self.backlog.keys.set(channel, key, true);
                return;
            }
        }
        while let Some((channel, controller)) = self.backlog.controllers.pop() {
            if !self.controller(0, channel, controller, 0) {
                self.backlog.controllers.set(channel, controller, true);
                return;
            }
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

impl<P, C> Out for Stage<'_, P, C>
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
        self.backlog.is_empty() && self.send(note)
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
