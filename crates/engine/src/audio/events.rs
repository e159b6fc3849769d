//! Events from the player, and the traits through which events go to the host.

/// A player event as the engine sees it. `None` for a channel or key means all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PlayerEvent {
    /// A key goes down.
    On {
        /// MIDI channel, 0–15.
        channel: u8,
        /// MIDI key, 0–127.
        key: u8,
        /// MIDI velocity, 1–127.
        velocity: u8,
    },
    /// Keys come up.
    Off {
        /// MIDI channel.
        channel: Option<u8>,
        /// MIDI key.
        key: Option<u8>,
    },
    /// A controller or pedal moves.
    Controller {
        /// MIDI channel, 0–15.
        channel: u8,
        /// Its number, 0–127.
        controller: u8,
        /// 0–127; a pedal is down from 64 on.
        value: u8,
    },
    /// A note ends whose key has been struck again since: no key comes up.
    Covered {
        /// MIDI channel.
        channel: Option<u8>,
        /// MIDI key.
        key: Option<u8>,
    },
    /// A per-note expression changes.
    Expression {
        /// MIDI channel.
        channel: Option<u8>,
        /// MIDI key.
        key: Option<u8>,
    },
    /// The pitch wheel moves.
    Bend {
        /// MIDI channel, 0–15.
        channel: u8,
        /// Whether it is back at the center.
        rests: bool,
    },
    /// The pressure on a channel's keys changes.
    Pressure {
        /// MIDI channel, 0–15.
        channel: u8,
        /// Whether the pressure is 0.
        rests: bool,
    },
}

impl PlayerEvent {
    /// Turns a note-off into [`Self::Covered`], for a note whose key has been struck again; other events are unchanged.
    pub fn into_covered(self) -> Self {
        match self {
            Self::Off { channel, key } => Self::Covered { channel, key },
            other => other,
        }
    }
}

/// Sends events of a block to the host. Each method returns whether the host took the event.
pub trait Out {
    /// A note begins.
    fn on(&mut self, offset: u32, channel: u8, key: u8, velocity: u8) -> bool;
    /// A note ends.
    fn off(&mut self, offset: u32, channel: u8, key: u8) -> bool;
    /// A controller moves.
    fn controller(&mut self, offset: u32, channel: u8, controller: u8, value: u8) -> bool;
}

/// Passes the player's own events through to the host. `E`: the host's event type.
pub trait ThruOutput<E>: Out {
    /// Passes an event through. Returns whether the host took it.
    fn pass(&mut self, offset: u32, event: E) -> bool;
}

/// For hosts without their own events: there is nothing to pass through.
impl<T: Out> ThruOutput<()> for T {
    fn pass(&mut self, _: u32, (): ()) -> bool {
        true
    }
}
