//! The player's events on their way through: what was passed on and still holds, so that whatever was
//! begun is ended, and nothing the model does collides with it.
//!
//! What shapes notes goes where they go: an expression, bend, pressure or brightness passes if the player's notes do, or
//! if one that has passed still sounds there. What was bent or pressed is let go in any case.

use super::Heard;
use super::trigger::{BRIGHTNESS, HELD, PEDALS, RESET_ALL, SOFT, SOSTENUTO, SUSTAIN};

/// See the [module](self). One bit per key or controller, by channel.
#[derive(Clone, Debug, Default)]
pub struct MidiThru {
    keys: Bits,
    controllers: Bits,
    /// Keys that were swallowed, and that no one else must hear coming up.
    swallowed: Bits,
    /// Channels whose pitch wheel is not in the middle, and whose keys are pressed, a bit each.
    bent: u16,
    pressed: u16,
}

/// One bit per number below 128, by channel.
#[derive(Clone, Debug, Default)]
pub struct Bits([u128; 16]);

impl Bits {
    /// Sets or clears a bit; says what it was.
    pub fn set(&mut self, channel: u8, number: u8, to: bool) -> bool {
        let Some(bits) = self.0.get_mut(usize::from(channel)) else {
            return false;
        };
        let bit = 1u128.checked_shl(number.into()).unwrap_or(0);
        let was = *bits & bit != 0;
        *bits = if to { *bits | bit } else { *bits & !bit };
        was
    }

    /// Whether a bit is set.
    pub fn has(&self, channel: u8, number: u8) -> bool {
        let bits = self.0.get(usize::from(channel)).copied().unwrap_or(0);
        bits.checked_shr(number.into()).unwrap_or(0) & 1 == 1
    }

    /// Clears a number on a channel; `None`: on all, or all. Says whether one was set.
    pub fn clear(&mut self, channel: Option<u8>, number: Option<u8>) -> bool {
        let mut any = false;
        for (here, bits) in (0u8..).zip(&mut self.0) {
            if channel.is_none_or(|channel| channel == here) {
                let which = number.map_or(u128::MAX, |number| 1u128.checked_shl(number.into()).unwrap_or(0));
                any |= *bits & which != 0;
                *bits &= !which;
            }
        }
        any
    }

    /// Whether a number on a channel is set; `None`: on any, or any.
    pub fn has_any(&self, channel: Option<u8>, number: Option<u8>) -> bool {
        let which = number.map_or(u128::MAX, |number| 1u128.checked_shl(number.into()).unwrap_or(0));
        let here = |here: u8| channel.is_none_or(|channel| channel == here);
        (0u8..).zip(&self.0).any(|(channel, bits)| here(channel) && *bits & which != 0)
    }

    /// What is set on any channel.
    pub fn any(&self) -> u128 {
        self.0.iter().fold(0, |all, bits| all | bits)
    }

    /// Takes out one that is set.
    pub fn pop(&mut self) -> Option<(u8, u8)> {
        let (channel, bits) = (0u8..).zip(&mut self.0).find(|(_, bits)| **bits != 0)?;
        let number = bits.trailing_zeros() as u8;
        *bits &= *bits - 1;
        Some((channel, number))
    }

    /// Goes through those that are set, and keeps those of which `keeps` says so.
    pub fn retain(&mut self, mut keeps: impl FnMut(u8, u8) -> bool) {
        for (channel, bits) in (0u8..).zip(&mut self.0) {
            let mut left = *bits;
            while left != 0 {
                let number = left.trailing_zeros() as u8;
                left &= left - 1;
                if !keeps(channel, number) {
                    *bits &= !(1 << number);
                }
            }
        }
    }
}

impl MidiThru {
    /// Whether this event may be swallowed: what it ends must not have been passed on.
    pub fn may_swallow(&self, heard: &Heard) -> bool {
        match *heard {
            Heard::On { .. } => true,
            Heard::Off { channel, key } => channel.zip(key).is_none_or(|(channel, key)| !self.keys.has(channel, key)),
            Heard::Controller { channel, controller, value } => {
                value >= HELD || !self.controllers.has(channel, controller)
            }
            _ => false,
        }
    }

    /// The event is swallowed.
    pub fn swallow(&mut self, heard: &Heard) {
        match *heard {
            Heard::On { channel, key, .. } => drop(self.swallowed.set(channel, key, true)),
            Heard::Off { channel, key } => drop(self.swallowed.clear(channel, key)),
            _ => {}
        }
    }

    /// Whether it is the coming up of a key that was swallowed, or what is done on it.
    pub fn was_swallowed(&self, heard: &Heard) -> bool {
        match *heard {
            Heard::Off { channel: Some(channel), key: Some(key) }
            | Heard::Expression { channel: Some(channel), key: Some(key) } => self.swallowed.has(channel, key),
            _ => false,
        }
    }

    /// Whether an event goes on to the output. `open`: the player's notes do.
    pub fn goes(&mut self, heard: &Heard, open: bool) -> bool {
        match *heard {
            Heard::On { channel, key, .. } => {
                self.swallowed.set(channel, key, false);
                if open {
                    self.keys.set(channel, key, true);
                }
                open
            }
            Heard::Off { channel: Some(channel), key: Some(key) } => self.keys.set(channel, key, false) || open,
            Heard::Off { channel, key } => {
                self.keys.clear(channel, key);
                self.swallowed.clear(channel, key);
                true
            }
            Heard::Controller { channel, controller: pedal @ (SUSTAIN | SOSTENUTO | SOFT), value } => {
                let down = value >= HELD;
                if down && !open {
                    return false;
                }
                self.controllers.set(channel, pedal, down) || open
            }
            Heard::Controller { channel, controller: RESET_ALL, .. } => {
                for pedal in PEDALS {
                    self.controllers.set(channel, pedal, false);
                }
                (self.bent, self.pressed) = (self.bent & !bit(channel), self.pressed & !bit(channel));
                true
            }
            Heard::Controller { channel, controller: BRIGHTNESS, .. }
                if !(open || self.keys.has_any(Some(channel), None)) =>
            {
                false
            }
            Heard::Controller { channel, controller, value } => {
                self.controllers.set(channel, controller, value >= HELD);
                true
            }
            Heard::Covered { channel, key } | Heard::Expression { channel, key } => {
                open || self.keys.has_any(channel, key)
            }
            Heard::Bend { channel, rests } => {
                let open = open || self.keys.has_any(Some(channel), None);
                leaves(&mut self.bent, bit(channel), rests, open)
            }
            Heard::Pressure { channel, rests } => {
                let open = open || self.keys.has_any(Some(channel), None);
                leaves(&mut self.pressed, bit(channel), rests, open)
            }
        }
    }

    /// Whether the player's note sounds on this key.
    pub fn has_key(&self, channel: u8, key: u8) -> bool {
        self.keys.has(channel, key)
    }

    /// Whether the player holds this channel's sustain pedal.
    pub fn has_pedal(&self, channel: u8) -> bool {
        self.controllers.has(channel, SUSTAIN)
    }

    /// Takes out a key that sounds, to end it.
    pub fn pop_key(&mut self) -> Option<(u8, u8)> {
        self.keys.pop()
    }

    /// Takes out a pedal that is down, to lift it.
    pub fn pop_pedal(&mut self) -> Option<(u8, u8)> {
        for pedal in PEDALS {
            for channel in 0..16 {
                if self.controllers.set(channel, pedal, false) {
                    return Some((channel, pedal));
                }
            }
        }
        None
    }
}

fn bit(channel: u8) -> u16 {
    1u16.checked_shl(channel.into()).unwrap_or(0)
}

/// Whether what moves on the channel of this bit goes on: `open`, or to rest if it was away from it. `away` is kept.
fn leaves(away: &mut u16, bit: u16, rests: bool, open: bool) -> bool {
    let goes = open || (rests && *away & bit != 0);
    if goes {
        *away = if rests { *away & !bit } else { *away | bit };
    }
    goes
}
