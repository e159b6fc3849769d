//! Sustain output: Antiphon plays the sustain pedal with its notes, as pianists are taught to. At each bass
//! note (one below all of its sounding notes) the pedal comes up and goes down again [`PEDAL_DELAY_S`] later, so
//! that it holds the new harmony and releases the old one. It is up before the turn ends.

/// Delay from a bass note to the pedal going down, in seconds.
pub const PEDAL_DELAY_S: f64 = 0.1;

/// The state of the generated sustain pedal. Times are in unrolled beats.
#[derive(Clone, Copy, Debug, Default)]
pub struct SustainOutput {
    /// The channel on which the generated pedal is down, if it is.
    down: Option<u8>,
    /// When the pedal goes down next, and on which channel.
    press: Option<(f64, u8)>,
    /// Antiphon's sounding pitches, one bit each.
    sounding: u128,
}

impl SustainOutput {
    /// When the pedal goes down next, and on which channel.
    pub fn due(&self) -> Option<(f64, u8)> {
        self.press
    }

    /// Presses the pedal. `free`: the player is not holding it; `send`: sends it and returns whether the host took it.
    pub fn press(&mut self, free: bool, mut send: impl FnMut(u8) -> bool) {
        if let Some((_, channel)) = self.press.take()
            && free
            && self.down.is_none()
            && send(channel)
        {
            self.down = Some(channel);
        }
    }

    /// A note is about to begin. If it is a bass note, lifts the pedal and schedules the next press at `press_at`.
    pub fn note_on(&mut self, channel: u8, pitch: u8, press_at: f64, lift: impl FnOnce(u8)) {
        let below = 1u128.checked_shl(pitch.into()).unwrap_or(0).wrapping_sub(1);
        if self.sounding & below == 0 {
            self.lift(lift);
            self.press = Some((press_at, channel));
        }
        self.sounding |= 1u128.checked_shl(pitch.into()).unwrap_or(0);
    }

    /// A note has ended.
    pub fn note_off(&mut self, pitch: u8) {
        self.sounding &= !1u128.checked_shl(pitch.into()).unwrap_or(0);
    }

    /// Lifts the pedal and cancels the scheduled press.
    pub fn lift(&mut self, lift: impl FnOnce(u8)) {
        self.press = None;
        if let Some(channel) = self.down.take() {
            lift(channel);
        }
    }
}
