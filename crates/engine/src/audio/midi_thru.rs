//! MIDI thru: tracks which of the player's notes and controllers were passed on and are still active, so that
//! whatever began also ends and no generated event collides with it.
//!
//! Events that shape notes follow the notes: an expression, bend, pressure or brightness passes if the player's notes
//! do, or if a note that was passed on is still sounding there. A bend or pressure that was passed on may always return
//! to rest.

use super::PlayerEvent;
use super::trigger::{BRIGHTNESS, HELD, PEDALS, RESET_ALL, SOFT, SOSTENUTO, SUSTAIN};

/// What was passed on and is still active: one bit per key or controller, by channel.
#[derive(Clone, Debug, Default)]
pub struct MidiThru {
    keys: ChannelBits,
    controllers: ChannelBits,
    /// Keys that were swallowed, so that their note-offs must not be passed on.
    swallowed: ChannelBits,
    /// Channels whose pitch wheel is off center (`bent`) or whose pressure is not 0 (`pressed`), one bit each.
    bent: u16,
    pressed: u16,
}

/// One bit per number below 128, by channel.
#[derive(Clone, Debug, Default)]
pub struct ChannelBits([u128; 16]);

impl ChannelBits {
    /// Sets or clears a bit; returns its previous value.
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

    /// Clears a number on a channel; `None`: any number or any channel. Returns whether one was set.
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

    /// Whether a number on a channel is set; `None`: any number or any channel.
    pub fn has_any(&self, channel: Option<u8>, number: Option<u8>) -> bool {
        let which = number.map_or(u128::MAX, |number| 1u128.checked_shl(number.into()).unwrap_or(0));
        let here = |here: u8| channel.is_none_or(|channel| channel == here);
        (0u8..).zip(&self.0).any(|(channel, bits)| here(channel) && *bits & which != 0)
    }

    /// The numbers that are set on any channel, one bit each.
    pub fn any(&self) -> u128 {
        self.0.iter().fold(0, |all, bits| all | bits)
    }

    /// Clears one bit that is set, and returns its channel and number.
    pub fn pop(&mut self) -> Option<(u8, u8)> {
        let (channel, bits) = (0u8..).zip(&mut self.0).find(|(_, bits)| **bits != 0)?;
        let number = bits.trailing_zeros() as u8;
        *bits &= *bits - 1;
        Some((channel, number))
    }

    /// Clears the bits for which `keeps`, given channel and number, returns `false`.
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
    /// Whether this event may be swallowed: not if it ends a note or pedal that was passed on.
    pub fn may_swallow(&self, input: &PlayerEvent) -> bool {
        match *input {
            PlayerEvent::On { .. } => true,
            PlayerEvent::Off { channel, key } => {
                channel.zip(key).is_none_or(|(channel, key)| !self.keys.has(channel, key))
            }
            PlayerEvent::Controller { channel, controller, value } => {
                value >= HELD || !self.controllers.has(channel, controller)
            }
            _ => false,
        }
    }

    /// Records that the event is swallowed.
    pub fn swallow(&mut self, input: &PlayerEvent) {
        match *input {
            PlayerEvent::On { channel, key, .. } => drop(self.swallowed.set(channel, key, true)),
            PlayerEvent::Off { channel, key } => drop(self.swallowed.clear(channel, key)),
            _ => {}
        }
    }

    /// Whether this is the note-off or an expression of a key that was swallowed.
    pub fn was_swallowed(&self, input: &PlayerEvent) -> bool {
        match *input {
            PlayerEvent::Off { channel: Some(channel), key: Some(key) }
            | PlayerEvent::Expression { channel: Some(channel), key: Some(key) } => self.swallowed.has(channel, key),
            _ => false,
        }
    }

    /// Whether an event is passed on to the output; records it if so. `open`: whether the player's notes are passed on.
    pub fn let_through(&mut self, input: &PlayerEvent, open: bool) -> bool {
        match *input {
            PlayerEvent::On { channel, key, .. } => {
                self.swallowed.set(channel, key, false);
                if open {
                    self.keys.set(channel, key, true);
                }
                open
            }
            PlayerEvent::Off { channel: Some(channel), key: Some(key) } => self.keys.set(channel, key, false) || open,
            PlayerEvent::Off { channel, key } => {
                self.keys.clear(channel, key);
                self.swallowed.clear(channel, key);
                true
            }
            PlayerEvent::Controller { channel, controller: pedal @ (SUSTAIN | SOSTENUTO | SOFT), value } => {
                let down = value >= HELD;
                if down && !open {
                    return false;
                }
                self.controllers.set(channel, pedal, down) || open
            }
            PlayerEvent::Controller { channel, controller: RESET_ALL, .. } => {
                for pedal in PEDALS {
                    self.controllers.set(channel, pedal, false);
                }
                (self.bent, self.pressed) = (self.bent & !bit(channel), self.pressed & !bit(channel));
                true
            }
            PlayerEvent::Controller { channel, controller: BRIGHTNESS, .. }
                if !(open || self.keys.has_any(Some(channel), None)) =>
            {
                false
            }
            PlayerEvent::Controller { channel, controller, value } => {
                self.controllers.set(channel, controller, value >= HELD);
                true
            }
            PlayerEvent::Covered { channel, key } | PlayerEvent::Expression { channel, key } => {
                open || self.keys.has_any(channel, key)
            }
            PlayerEvent::Bend { channel, rests } => {
                let open = open || self.keys.has_any(Some(channel), None);
                leaves(&mut self.bent, bit(channel), rests, open)
            }
            PlayerEvent::Pressure { channel, rests } => {
                let open = open || self.keys.has_any(Some(channel), None);
                leaves(&mut self.pressed, bit(channel), rests, open)
            }
        }
    }

    /// Whether a note of the player that was passed on is sounding on this key.
    pub fn has_key(&self, channel: u8, key: u8) -> bool {
        self.keys.has(channel, key)
    }

    /// Whether a sustain pedal of the player that was passed on is down on this channel.
    pub fn has_pedal(&self, channel: u8) -> bool {
        self.controllers.has(channel, SUSTAIN)
    }

    /// Removes and returns the channel and key of a sounding note, to end it.
    pub fn pop_key(&mut self) -> Option<(u8, u8)> {
        self.keys.pop()
    }

    /// Removes and returns the channel and number of a pedal that is down, to lift it.
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

/// Whether a bend or pressure on the channel of this bit is passed on: if `open`, or if it returns to rest from a value
/// that was passed on. Updates `away`.
fn leaves(away: &mut u16, bit: u16, rests: bool, open: bool) -> bool {
    let passes = open || (rests && *away & bit != 0);
    if passes {
        *away = if rests { *away & !bit } else { *away | bit };
    }
    passes
}
