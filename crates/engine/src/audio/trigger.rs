//! What works as the trigger, and what a touch of it does. What is the trigger is nothing else: its
//! events are neither heard nor passed on.

use super::Heard;
use crate::settings::{Trigger, TriggerBy};

/// From this value on, a controller or pedal is held.
pub const HELD: u8 = 64;
/// Controller number of the sustain pedal.
pub const SUSTAIN: u8 = 64;
/// Controller number of the sostenuto pedal.
pub const SOSTENUTO: u8 = 66;
/// Controller number of the soft pedal.
pub const SOFT: u8 = 67;
pub const PEDALS: [u8; 3] = [SUSTAIN, SOSTENUTO, SOFT];
/// Number of the controller that MPE keyboards shape their notes with.
pub const BRIGHTNESS: u8 = 74;
/// Number of the controller that lifts the pedals, and puts back what shapes notes.
pub const RESET_ALL: u8 = 121;

/// What a touch asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The model is to take the turn.
    Play,
    /// It is to give it back.
    GiveBack,
}

/// A trigger that is held, or not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Switch {
    held: bool,
}

impl Switch {
    /// Forgets that it is held.
    pub fn reset(&mut self) {
        self.held = false;
    }

    /// It is touched: goes `down`, or up. `playing`: it is the model's turn.
    pub fn touch(&mut self, toggles: bool, down: bool, playing: bool) -> Option<Call> {
        if std::mem::replace(&mut self.held, down) == down {
            return None; // a controller sends many values on its way
        }
        match (toggles, down) {
            (true, true) if playing => Some(Call::GiveBack),
            (_, true) => (!playing).then_some(Call::Play),
            (false, false) => playing.then_some(Call::GiveBack),
            (true, false) => None,
        }
    }
}

/// Whether an event is one of the trigger's: `Some(true)`, it goes down; `Some(false)`, up.
pub fn touched(trigger: &Trigger, heard: &Heard) -> Option<bool> {
    let controller = match trigger.by {
        TriggerBy::Button => return None,
        TriggerBy::Key => {
            return match *heard {
                Heard::On { key, .. } => (key == trigger.key).then_some(true),
                Heard::Off { key, .. } => (key == Some(trigger.key)).then_some(false),
                _ => None,
            };
        }
        TriggerBy::Controller => trigger.controller,
        TriggerBy::Sustain => SUSTAIN,
        TriggerBy::Sostenuto => SOSTENUTO,
        TriggerBy::Soft => SOFT,
    };
    match *heard {
        Heard::Controller { controller: moved, value, .. } => (moved == controller).then_some(value >= HELD),
        _ => None,
    }
}
