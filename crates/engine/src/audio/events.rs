//! What comes in from the player, and the host's end of what goes out.

/// What the player does, as far as it concerns the model. `None`: all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Heard {
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
    /// A note ends on whose key another one has been struck since: no key comes up.
    Covered {
        /// MIDI channel.
        channel: Option<u8>,
        /// MIDI key.
        key: Option<u8>,
    },
    /// Notes change while they sound.
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
        /// It is back in the middle.
        rests: bool,
    },
    /// The pressure on a channel's keys changes.
    Pressure {
        /// MIDI channel, 0–15.
        channel: u8,
        /// There is none.
        rests: bool,
    },
}

impl Heard {
    /// The end of a note whose key another one has by now.
    pub fn covered(self) -> Self {
        match self {
            Self::Off { channel, key } => Self::Covered { channel, key },
            other => other,
        }
    }
}

/// The host's end of a block. Each function says whether the host took the event.
pub trait Out {
    /// A note begins.
    fn on(&mut self, offset: u32, channel: u8, key: u8, velocity: u8) -> bool;
    /// A note ends.
    fn off(&mut self, offset: u32, channel: u8, key: u8) -> bool;
    /// A controller moves.
    fn controller(&mut self, offset: u32, channel: u8, controller: u8, value: u8) -> bool;
}

/// Where the player's own events go through, `E` as the host knows them.
pub trait Through<E>: Out {
    /// An event goes through. Says whether the host took it.
    fn pass(&mut self, offset: u32, event: E) -> bool;
}

/// Where there is no such way, none is missed.
impl<T: Out> Through<()> for T {
    fn pass(&mut self, _: u32, (): ()) -> bool {
        true
    }
}
