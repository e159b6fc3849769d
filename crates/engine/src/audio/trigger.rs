//! The key, controller or pedal used as the trigger. It serves no other purpose: its events neither count as playing
//! nor are passed on.

use super::PlayerEvent;
use crate::settings::{Trigger, TriggerBy};

/// A controller or pedal counts as held from this value on.
pub const HELD: u8 = 64;
/// Controller number of the sustain pedal.
pub const SUSTAIN: u8 = 64;
/// Controller number of the sostenuto pedal.
pub const SOSTENUTO: u8 = 66;
/// Controller number of the soft pedal.
pub const SOFT: u8 = 67;
pub const PEDALS: [u8; 3] = [SUSTAIN, SOSTENUTO, SOFT];
/// Controller number of brightness, with which MPE keyboards shape their notes.
pub const BRIGHTNESS: u8 = 74;
/// Controller number of "reset all controllers", which lifts the pedals and resets bend and pressure.
pub const RESET_ALL: u8 = 121;
/// Controller number of "all notes off".
pub const ALL_NOTES_OFF: u8 = 123;

/// Whether an event moves the trigger: `Some(true)`, down; `Some(false)`, up; `None`: it does not.
pub fn moves_trigger(trigger: &Trigger, input: &PlayerEvent) -> Option<bool> {
    let controller = match trigger.by {
        TriggerBy::Button => return None,
        TriggerBy::Key => {
            return match *input {
                PlayerEvent::On { key, .. } => (key == trigger.key).then_some(true),
                PlayerEvent::Off { key, .. } => (key == Some(trigger.key)).then_some(false),
                _ => None,
            };
        }
        TriggerBy::Controller => trigger.controller,
        TriggerBy::Sustain => SUSTAIN,
        TriggerBy::Sostenuto => SOSTENUTO,
        TriggerBy::Soft => SOFT,
    };
    match *input {
        PlayerEvent::Controller { controller: moved, value, .. } => (moved == controller).then_some(value >= HELD),
        _ => None,
    }
}

/// Whether an event that is for everything on its channel releases the trigger, too: "all notes off" a key, "reset all
/// controllers" a pedal or controller.
pub fn releases_trigger(trigger: &Trigger, input: &PlayerEvent) -> bool {
    match trigger.by {
        TriggerBy::Button => false,
        TriggerBy::Key => matches!(input, PlayerEvent::Off { key: None, .. }),
        TriggerBy::Controller | TriggerBy::Sustain | TriggerBy::Sostenuto | TriggerBy::Soft => {
            matches!(input, PlayerEvent::Controller { controller: RESET_ALL, .. })
        }
    }
}
