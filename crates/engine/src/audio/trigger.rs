//! What works as the trigger. What is the trigger is nothing else: its events are neither heard nor passed on.

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
/// Number of the controller that ends all notes.
pub const ALL_NOTES_OFF: u8 = 123;

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
