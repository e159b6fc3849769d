//! Events sent to the plugin and received from it, as plain values without CLAP's pointers.

pub use clack_host::events::event_types::NoteExpressionType;
use clack_host::events::event_types::{
    MidiEvent, NoteChokeEvent, NoteEndEvent, NoteExpressionEvent, NoteOffEvent, NoteOnEvent, ParamValueEvent,
    TransportEvent, TransportFlags,
};
use clack_host::events::io::EventBuffer;
use clack_host::events::spaces::CoreEventSpace;
use clack_host::events::{EventFlags, EventHeader, Pckn, UnknownEvent};
use clack_host::utils::ClapId;

/// CLAP's value for a note without an id.
const NO_ID: i32 = -1;

/// An event; `channel` and `key` may be -1, CLAP's wildcard for "all".
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A note-on.
    NoteOn {
        /// MIDI channel, 0–15.
        channel: i16,
        /// MIDI key, 0–127.
        key: i16,
        /// 0–1; MIDI's 1–127 divided by 127.
        velocity: f64,
    },
    /// A note-off.
    NoteOff {
        /// MIDI channel, 0–15.
        channel: i16,
        /// MIDI key, 0–127.
        key: i16,
        /// Release velocity, 0–1.
        velocity: f64,
    },
    /// Ends a note immediately.
    Choke {
        /// MIDI channel, 0–15.
        channel: i16,
        /// MIDI key, 0–127.
        key: i16,
    },
    /// The plugin reports that a note has ended (output only).
    End {
        /// MIDI channel, 0–15.
        channel: i16,
        /// MIDI key, 0–127.
        key: i16,
    },
    /// Three raw MIDI bytes.
    Midi([u8; 3]),
    /// Changes a sounding note's pitch, brightness or the like.
    Expression {
        /// The kind of note expression.
        kind: NoteExpressionType,
        /// MIDI channel, 0–15.
        channel: i16,
        /// MIDI key, 0–127.
        key: i16,
        /// In CLAP's own range for this kind.
        value: f64,
    },
    /// An event for a note with an id; `channel` and `key` are -1 if the note is addressed by its id alone.
    Named {
        /// The note's id.
        id: i32,
        /// MIDI channel, 0–15.
        channel: i16,
        /// MIDI key, 0–127.
        key: i16,
        /// What happens.
        kind: NoteEventKind,
    },
    /// Sets a parameter; the value is CLAP's own, see [`crate::Plugin::value_of`].
    Param {
        /// The parameter's CLAP id, see [`crate::param_id`].
        id: u32,
        /// In CLAP's own range, between the parameter's `min` and `max`.
        value: f64,
    },
    /// The state of the transport from this sample on; made by [`crate::Timeline::transport_event`].
    Transport(TransportUpdate),
    /// Anything else, by its CLAP type number (output only).
    Other(u16),
}

/// A CLAP transport event, which a host sends in the middle of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransportUpdate(pub(crate) TransportEvent);

impl TransportUpdate {
    /// Whether the transport is rolling.
    pub fn is_playing(&self) -> bool {
        self.0.flags.contains(TransportFlags::IS_PLAYING)
    }
}

/// The kind of event for one note; see [`Event::Named`]. Also used for notes without ids.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoteEventKind {
    /// Note-on, with velocity 0–1.
    On(f64),
    /// Note-off, with release velocity 0–1.
    Off(f64),
    /// Ends the note immediately.
    Choke,
    /// Note expression: its kind, and its value in CLAP's own range.
    Expression(NoteExpressionType, f64),
}

/// An event for the plugin, at an absolute position in samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// Samples since the first block after activation.
    pub at: u64,
    /// The event.
    pub event: Event,
}

/// An event from the plugin, as received by the host's output queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Output {
    /// Samples since the first block after activation.
    pub at: u64,
    /// Number of the block that sent it, from 0.
    pub block: u64,
    /// The event.
    pub event: Event,
}

impl Event {
    /// A note-on with a MIDI velocity, 1–127.
    pub fn note_on(channel: u8, key: u8, velocity: u8) -> Self {
        Self::NoteOn { channel: channel.into(), key: key.into(), velocity: f64::from(velocity) / 127.0 }
    }

    /// A note-off without release velocity.
    pub fn note_off(channel: u8, key: u8) -> Self {
        Self::NoteOff { channel: channel.into(), key: key.into(), velocity: 0.0 }
    }

    /// For a note event of a single key: whether it begins (`true`) or ends a note, and its (channel, key). A raw MIDI
    /// note-on with velocity 0 ends a note.
    pub fn note(&self) -> Option<(bool, (u8, u8))> {
        let place = |channel: i16, key: i16| {
            let number = |number: i16, end: u8| u8::try_from(number).ok().filter(|number| *number < end);
            Some((number(channel, 16)?, number(key, 128)?))
        };
        match *self {
            Self::NoteOn { channel, key, .. } => Some((true, place(channel, key)?)),
            Self::NoteOff { channel, key, .. } | Self::Choke { channel, key } => Some((false, place(channel, key)?)),
            Self::Named { channel, key, kind: NoteEventKind::On(_), .. } => Some((true, place(channel, key)?)),
            Self::Named { channel, key, kind: NoteEventKind::Off(_) | NoteEventKind::Choke, .. } => {
                Some((false, place(channel, key)?))
            }
            Self::Midi([status, key, velocity]) if key < 128 => match status & 0xf0 {
                0x90 => Some((velocity > 0, (status & 0x0f, key))),
                0x80 => Some((false, (status & 0x0f, key))),
                _ => None,
            },
            Self::Named { .. } | Self::Midi(_) | Self::End { .. } | Self::Expression { .. } => None,
            Self::Param { .. } | Self::Transport(_) | Self::Other(_) => None,
        }
    }

    /// Whether two events are the same note event, regardless of dialect (CLAP or raw MIDI).
    pub fn is_same_note(&self, other: &Self) -> bool {
        let velocity = |event: &Self| match *event {
            Self::NoteOn { velocity, .. } | Self::Named { kind: NoteEventKind::On(velocity), .. } => {
                (velocity * 127.0).round() as u8
            }
            Self::Midi([status, _, velocity]) if status & 0xf0 == 0x90 => velocity,
            _ => 0,
        };
        self.note() == other.note() && velocity(self) == velocity(other)
    }

    /// Appends this event to a CLAP input queue, `offset` samples into the block. [`Event::Other`] cannot be sent and
    /// is skipped.
    pub(crate) fn push_to(self, queue: &mut EventBuffer, offset: u32) {
        // Port 0 and no note id, as from a host that passes on a MIDI keyboard.
        let pckn = |channel, key| Pckn::from_raw(0, channel, key, NO_ID);
        match self {
            Self::NoteOn { channel, key, velocity } => {
                queue.push(&NoteOnEvent::new(offset, pckn(channel, key), velocity))
            }
            Self::NoteOff { channel, key, velocity } => {
                queue.push(&NoteOffEvent::new(offset, pckn(channel, key), velocity))
            }
            Self::Choke { channel, key } => {
                queue.push(&NoteChokeEvent::new(offset, pckn(channel, key)));
            }
            Self::End { channel, key } => {
                queue.push(&NoteEndEvent::new(offset, pckn(channel, key)));
            }
            Self::Named { id, channel, key, kind } => {
                let pckn = Pckn::from_raw(0, channel, key, id);
                match kind {
                    NoteEventKind::On(velocity) => queue.push(&NoteOnEvent::new(offset, pckn, velocity)),
                    NoteEventKind::Off(velocity) => queue.push(&NoteOffEvent::new(offset, pckn, velocity)),
                    NoteEventKind::Choke => queue.push(&NoteChokeEvent::new(offset, pckn)),
                    NoteEventKind::Expression(kind, value) => {
                        queue.push(&NoteExpressionEvent::new(offset, pckn, kind, value))
                    }
                }
            }
            Self::Midi(data) => queue.push(&MidiEvent::new(offset, 0, data)),
            Self::Expression { kind, channel, key, value } => {
                queue.push(&NoteExpressionEvent::new(offset, pckn(channel, key), kind, value))
            }
            Self::Param { id, value } => {
                if let Some(id) = ClapId::from_raw(id) {
                    queue.push(&ParamValueEvent::new(offset, id, Pckn::match_all(), value));
                }
            }
            Self::Transport(TransportUpdate(event)) => {
                queue.push(&TransportEvent { header: EventHeader::new_core(offset, EventFlags::empty()), ..event })
            }
            Self::Other(_) => {}
        }
    }

    /// The event for a note: [`Event::Named`] if it has an id.
    fn of(pckn: Pckn, kind: NoteEventKind) -> Self {
        let (id, channel, key) = (pckn.raw_note_id(), pckn.raw_channel(), pckn.raw_key());
        match kind {
            _ if id != NO_ID => Self::Named { id, channel, key, kind },
            NoteEventKind::On(velocity) => Self::NoteOn { channel, key, velocity },
            NoteEventKind::Off(velocity) => Self::NoteOff { channel, key, velocity },
            NoteEventKind::Choke => Self::Choke { channel, key },
            NoteEventKind::Expression(kind, value) => Self::Expression { kind, channel, key, value },
        }
    }

    /// Reads an event that the plugin sent.
    pub(crate) fn read(raw: &UnknownEvent) -> Self {
        match raw.as_core_event() {
            Some(CoreEventSpace::NoteOn(e)) => Self::of(e.pckn(), NoteEventKind::On(e.velocity())),
            Some(CoreEventSpace::NoteOff(e)) => Self::of(e.pckn(), NoteEventKind::Off(e.velocity())),
            Some(CoreEventSpace::NoteChoke(e)) => Self::of(e.pckn(), NoteEventKind::Choke),
            Some(CoreEventSpace::NoteEnd(e)) => Self::End { channel: e.pckn().raw_channel(), key: e.pckn().raw_key() },
            Some(CoreEventSpace::Midi(e)) => Self::Midi(e.data()),
            Some(CoreEventSpace::NoteExpression(e)) => {
                // The only expression type that clack does not recognize.
                let kind = e.expression_type().unwrap_or(NoteExpressionType::Expression);
                Self::of(e.pckn(), NoteEventKind::Expression(kind, e.value()))
            }
            Some(CoreEventSpace::ParamValue(e)) => {
                Self::Param { id: ClapId::optional_to_raw(e.param_id()), value: e.value() }
            }
            _ => Self::Other(raw.header().type_id()),
        }
    }
}
