//! MIDI learn: assigns MIDI controllers to parameters, for hosts that cannot do it, and for the standalone app. The
//! assignments are stored with the project.
//!
//! Three threads share them through atomics. The editor selects the parameter that is to learn; the audio thread
//! assigns the next controller that moves to it, and from then on sets the parameter at the controller's own sample;
//! the editor, while it is open, reports the changes to the host.
//!
//! With soft takeover, a setting of the project, a knob whose position differs from its parameter has no effect until
//! it passes the parameter's value: nothing jumps on the first touch, or after automation or the mouse has moved the
//! parameter.

#[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
#[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
mod controller_input;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};

use nice_plug::params::persist::PersistentField;

use crate::params::FRONT;

pub use controller_input::ControllerInput;

/// Parameters that support MIDI learn, in addition to [`FRONT`].
const MORE: [&str; 5] = ["go", "again", "another", "freeze", "learn"];
/// The permanent ids of all parameters that support MIDI learn.
const LEARNABLE: [&str; FRONT.len() + MORE.len()] = {
    let mut learnable = [""; FRONT.len() + MORE.len()];
    let (front, more) = learnable.split_at_mut(FRONT.len());
    front.copy_from_slice(&FRONT);
    more.copy_from_slice(&MORE);
    learnable
};
/// Stands for no controller, or no parameter.
const NONE: u8 = u8::MAX;
/// From this number on, controllers are channel mode messages such as all notes off.
const MODES: u8 = 120;

/// The MIDI controllers assigned to parameters. Clones share the assignments.
#[derive(Clone, Debug)]
pub struct MidiMap(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// By parameter: the number of its controller.
    controllers: [AtomicU8; LEARNABLE.len()],
    /// The parameter that gets the next controller that moves.
    learning: AtomicU8,
    /// Bit n: parameter n has moved, and the host has not been told.
    moved: AtomicU32,
    /// By parameter: the position (0–127) of a controller that has yet to reach its parameter's value; otherwise
    /// [`NONE`].
    waiting: [AtomicU8; LEARNABLE.len()],
    /// Whether soft takeover is on.
    soft: AtomicBool,
}

impl Default for MidiMap {
    fn default() -> Self {
        Self(Arc::new(Shared {
            controllers: std::array::from_fn(|_| AtomicU8::new(NONE)),
            learning: AtomicU8::new(NONE),
            moved: AtomicU32::new(0),
            waiting: std::array::from_fn(|_| AtomicU8::new(NONE)),
            soft: AtomicBool::new(true),
        }))
    }
}

impl MidiMap {
    /// The controller of this parameter. An outer `None`: the parameter does not support MIDI learn.
    pub fn controller(&self, id: &str) -> Option<Option<u8>> {
        let place = place(id)?;
        Some(Some(self.0.controllers[place].load(Relaxed)).filter(|controller| *controller != NONE))
    }

    /// Assigns the next controller that moves to this parameter; `None` cancels.
    pub fn learn(&self, id: Option<&str>) {
        self.0.learning.store(id.and_then(place).map_or(NONE, |place| place as u8), Relaxed);
    }

    /// Whether this parameter waits for a controller.
    pub fn is_learning(&self, id: &str) -> bool {
        place(id).is_some_and(|place| self.0.learning.load(Relaxed) == place as u8)
    }

    /// Removes the parameter's controller.
    pub fn forget(&self, id: &str) {
        if let Some(place) = place(id) {
            self.0.controllers[place].store(NONE, Relaxed);
            self.0.waiting[place].store(NONE, Relaxed);
        }
    }

    /// Whether soft takeover is on: a controller has no effect until it passes the parameter's value.
    pub fn is_soft(&self) -> bool {
        self.0.soft.load(Relaxed)
    }

    /// Turns soft takeover on or off.
    pub fn set_soft(&self, soft: bool) {
        self.0.soft.store(soft, Relaxed);
        if !soft {
            self.0.waiting.iter().for_each(|waiting| waiting.store(NONE, Relaxed));
        }
    }

    /// The position (0–1) of a controller that has yet to reach this parameter's value.
    pub fn waiting(&self, id: &str) -> Option<f32> {
        let value = self.0.waiting[place(id)?].load(Relaxed);
        (value != NONE).then(|| f32::from(value) / 127.0)
    }

    /// The soft takeover setting, for the project to store.
    pub fn soft(&self) -> SoftTakeover {
        SoftTakeover(self.clone())
    }

    /// The ids of the parameters that controllers have moved since the last call, to be reported to the host.
    pub fn moved(&self) -> impl Iterator<Item = &'static str> {
        let moved = self.0.moved.swap(0, Relaxed);
        LEARNABLE.into_iter().enumerate().filter(move |(place, _)| moved & 1 << place != 0).map(|(_, id)| id)
    }
}

fn place(id: &str) -> Option<usize> {
    LEARNABLE.iter().position(|learnable| *learnable == id)
}

impl PersistentField<'_, BTreeMap<String, u8>> for MidiMap {
    fn set(&self, stored: BTreeMap<String, u8>) {
        for (id, controller) in LEARNABLE.iter().zip(&self.0.controllers) {
            let number = stored.get(*id).copied().filter(|number| *number < MODES);
            controller.store(number.unwrap_or(NONE), Relaxed);
        }
        self.0.waiting.iter().for_each(|waiting| waiting.store(NONE, Relaxed));
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&BTreeMap<String, u8>) -> R,
    {
        let assigned = |id: &&str| Some((id.to_string(), self.controller(id)??));
        f(&LEARNABLE.iter().filter_map(assigned).collect())
    }
}

/// The soft takeover setting, as the project stores it.
#[derive(Clone, Debug)]
pub struct SoftTakeover(MidiMap);

impl PersistentField<'_, bool> for SoftTakeover {
    fn set(&self, soft: bool) {
        self.0.set_soft(soft);
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&bool) -> R,
    {
        f(&self.0.is_soft())
    }
}

#[cfg(test)]
mod tests {
    use nice_plug::params::Params;

    use super::*;
    use crate::editor::Handles;
    use crate::params::AntiphonParams;
    use engine::link::viewer::Viewer;

    #[test]
    fn a_controller_moves_what_it_was_learnt_for_and_is_stored() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let learned = params.learned.clone();
        learned.set_soft(false);
        let mut controller_input = ControllerInput::new(learned.clone(), params.clone(), Viewer::default());
        assert!(!controller_input.handle(21, 127), "nobody has learned it");
        assert_eq!((params.model.temperature.value(), learned.controller("temp")), (1.0, Some(None)));

        learned.learn(Some("temp"));
        assert!(learned.is_learning("temp") && controller_input.handle(21, 127) && !learned.is_learning("temp"));
        assert_eq!((params.model.temperature.value(), learned.controller("temp")), (2.0, Some(Some(21))));
        assert_eq!(learned.moved().collect::<Vec<_>>(), ["temp"]);
        assert_eq!(learned.moved().count(), 0);
        assert!(controller_input.handle(21, 0) && params.model.temperature.value() == 0.1);

        // A pad: each press flips the parameter, except in the mode in which the model plays while the pad is held.
        let presses = [(127, true), (0, true), (100, false), (0, false)];
        for (pad, id) in [(36, "another"), (37, "freeze"), (38, "go")] {
            learned.learn(Some(id));
            for (value, on) in presses {
                assert!(controller_input.handle(pad, value));
                let handle = &Handles::new(&params)[id];
                assert_eq!(handle.is_on(), on, "{id}: {value}");
            }
        }
        let mode = &Handles::new(&params)["mode"];
        mode.set_directly(mode.read("trigger").unwrap());
        for (value, on) in [(127, true), (0, false)] {
            assert!(controller_input.handle(38, value));
            assert_eq!(params.turn.go.value(), on);
        }

        let later = MidiMap::default();
        later.set(learned.map(BTreeMap::clone));
        assert_eq!(later.controller("another"), Some(Some(36)));
        learned.learn(Some("density"));
        assert!(controller_input.handle(21, 64));
        assert_eq!(learned.controller("temp"), Some(None), "each moves one");
        learned.forget("density");
        assert!(!controller_input.handle(21, 64));
        assert_eq!(learned.controller("velocity"), None, "not one of the main ones");
    }

    /// A knob may be anywhere: its parameter follows once the knob has passed it, and waits again after something else
    /// has moved it.
    #[test]
    fn a_controller_takes_over_where_it_passes_the_parameter() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let learned = params.learned.clone();
        let mut controller_input = ControllerInput::new(learned.clone(), params.clone(), Viewer::default());
        let handles = Handles::new(&params);
        // From the middle, with fine steps, with five choices, and from the lower end.
        for (id, start) in [("temp", 0.5), ("seed", 0.5), ("mode", 0.5), ("density", 0.0)] {
            let handle = &handles[id];
            handle.set_directly(start);
            let start = handle.value();
            learned.learn(Some(id));
            for value in [127, 110, 90] {
                assert!(controller_input.handle(21, value), "it is spoken for all the same");
                assert_eq!(handle.value(), start, "{id} jumps at {value}");
                assert_eq!(learned.waiting(id), Some(f32::from(value) / 127.0));
            }
            // A fast turn skips values.
            let passing = if start == 0.0 { 0 } else { 40 };
            assert!(controller_input.handle(21, passing));
            assert_eq!(learned.waiting(id), None);
            let mut last = handle.value();
            assert!(last <= start, "{id}");
            for value in [60, 80, 127] {
                controller_input.handle(21, value);
                assert!(handle.value() >= last, "{id} follows");
                last = handle.value();
            }
            assert_eq!(last, 1.0, "{id}");

            handle.set_directly(start);
            controller_input.handle(21, 126);
            assert_eq!(handle.value(), start, "{id}: a mouse has moved it, and the knob stands elsewhere");
            learned.set_soft(false);
            controller_input.handle(21, 127);
            assert_eq!(handle.value(), 1.0, "{id}");
            learned.set_soft(true);
        }

        // A knob at the parameter's own position takes over at once, however coarse the parameter's steps are.
        handles["temp"].set_directly(0.5);
        learned.learn(Some("temp"));
        controller_input.handle(22, 64);
        assert_eq!(learned.waiting("temp"), None);
        controller_input.handle(22, 70);
        assert!(handles["temp"].value() > 0.5);

        // A loaded project assigns another knob, which has not moved yet: where the last one stood says nothing about it.
        controller_input.handle(22, 127);
        handles["temp"].set_directly(0.5);
        let before = handles["temp"].value();
        learned.set(BTreeMap::from([("temp".to_owned(), 23)]));
        controller_input.handle(23, 20);
        assert_eq!(handles["temp"].value(), before);

        let later = MidiMap::default();
        learned.set_soft(false);
        later.soft().set(learned.soft().map(|soft| *soft));
        assert!(!later.is_soft());
    }

    #[test]
    fn what_can_learn_is_a_parameter() {
        let params = AntiphonParams::new(Default::default());
        let ids: Vec<String> = params.param_map().into_iter().map(|(id, ..)| id).collect();
        assert!(LEARNABLE.iter().all(|learnable| ids.iter().any(|id| id == learnable)));
    }
}
