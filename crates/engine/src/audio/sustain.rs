//! The model's foot: the sustain pedal with its phrasing, as pianists are taught it. At each bass (a
//! note below all of its own that sound) the pedal comes up, and goes down again a moment later, so
//! that it catches the new harmony and lets go of the old one. It is up before the turn ends.

/// From a bass to the pedal, in seconds.
pub const CATCH_S: f64 = 0.1;

/// See the [module](self). Times are unrolled beats.
#[derive(Clone, Copy, Debug, Default)]
pub struct SustainOutput {
    /// The channel whose pedal is down.
    down: Option<u8>,
    /// When it goes down, and on which channel.
    press: Option<(f64, u8)>,
    /// Pitches of the model that sound.
    sounding: u128,
}

impl SustainOutput {
    /// When the pedal goes down next, and on which channel.
    pub fn due(&self) -> Option<(f64, u8)> {
        self.press
    }

    /// It goes down. `free`: no one else's foot is on it; `send`: whether the host takes it.
    pub fn press(&mut self, free: bool, mut send: impl FnMut(u8) -> bool) {
        if let Some((_, channel)) = self.press.take()
            && free
            && self.down.is_none()
            && send(channel)
        {
            self.down = Some(channel);
        }
    }

    /// A note is about to begin; its foot is to catch it at `catch`.
    pub fn before(&mut self, channel: u8, pitch: u8, catch: f64, lift: impl FnOnce(u8)) {
        let below = 1u128.checked_shl(pitch.into()).unwrap_or(0).wrapping_sub(1);
        if self.sounding & below == 0 {
            self.lift(lift);
            self.press = Some((catch, channel));
        }
        self.sounding |= 1u128.checked_shl(pitch.into()).unwrap_or(0);
    }

    /// A note has ended.
    pub fn after(&mut self, pitch: u8) {
        self.sounding &= !1u128.checked_shl(pitch.into()).unwrap_or(0);
    }

    /// It comes up, and stays up.
    pub fn lift(&mut self, lift: impl FnOnce(u8)) {
        self.press = None;
        if let Some(channel) = self.down.take() {
            lift(channel);
        }
    }
}
