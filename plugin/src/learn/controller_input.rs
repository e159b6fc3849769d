//! The audio thread's side of MIDI learn: controllers move parameters, sample-accurately.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use engine::link::viewer::Viewer;
use nice_plug::params::Params;
use nice_plug::params::internals::ParamPtr;

use super::{LEARNABLE, MODES, MidiMap, NONE};
use crate::params::AntiphonParams;

/// Each press of a pad flips these; releases are ignored.
const STRUCK: [&str; 3] = ["again", "another", "freeze"];
/// Likewise, unless the model plays only while this is held.
const HELD: &str = "go";
/// From this value on, a pad or pedal counts as down.
const DOWN: u8 = 64;
/// A knob and its parameter, both 0–1, are at the same place if they differ by at most this: one step of the knob.
const NEAR: f32 = 1.0 / 127.0;

/// Applies the learned controllers to the parameters.
pub struct ControllerInput {
    learned: MidiMap,
    /// By learnable parameter: its pointer, which `params` owns.
    parameters: [Option<ParamPtr>; LEARNABLE.len()],
    /// Bit n: controller n is down, taken as a pad.
    down: u128,
    /// By parameter: the latest move of its controller.
    knobs: [Knob; LEARNABLE.len()],
    viewer: Viewer,
    params: Arc<AntiphonParams>,
}

/// A controller's latest move, for soft takeover.
#[derive(Clone, Copy, Default)]
struct Knob {
    /// The controller's number.
    controller: u8,
    /// The controller's position, 0–1, and the value that it set the parameter to, if it did.
    at: Option<f32>,
    left: Option<f32>,
}

impl Knob {
    /// Records a controller's move to `at`, with the parameter at `parameter`, both 0–1. `true`: it takes the parameter
    /// over.
    fn takes(&mut self, controller: u8, at: f32, parameter: f32) -> bool {
        if self.controller != controller {
            // A project that was loaded assigns another one.
            *self = Self { controller, ..Self::default() };
        }
        let before = self.at.replace(at);
        // A parameter that is still where the knob left it follows, even if the host has rounded the value.
        let holds = self.left.is_some_and(|left| (left - parameter).abs() <= NEAR);
        let passes = before.is_some_and(|before| (before - parameter) * (at - parameter) <= 0.0);
        holds || passes || (at - parameter).abs() <= NEAR
    }
}

impl ControllerInput {
    /// For these parameters. `viewer` is redrawn when something changes.
    pub fn new(learned: MidiMap, params: Arc<AntiphonParams>, viewer: Viewer) -> Self {
        let map = params.param_map();
        let find = |id: &str| map.iter().find(|(name, ..)| name == id).map(|(_, parameter, _)| *parameter);
        Self { learned, parameters: LEARNABLE.map(find), down: 0, knobs: Default::default(), viewer, params }
    }

    /// Handles a controller's move to a value of 0–127. `true`: it is assigned to a parameter, or has just been, and
    /// must not be passed on.
    pub fn handle(&mut self, controller: u8, value: u8) -> bool {
        if controller >= MODES {
            return false;
        }
        let shared = &self.learned.0;
        let learning = shared.learning.swap(NONE, Relaxed);
        if let Some(assigned) = shared.controllers.get(usize::from(learning)) {
            // A controller moves one parameter only.
            for other in shared.controllers.iter().filter(|other| other.load(Relaxed) == controller) {
                other.store(NONE, Relaxed);
            }
            assigned.store(controller, Relaxed);
            if let Some(knob) = self.knobs.get_mut(usize::from(learning)) {
                *knob = Knob::default();
            }
            self.viewer.repaint();
        }
        let bit = 1_u128 << controller;
        let (was_down, is_down) = (self.down & bit != 0, value >= DOWN);
        self.down = if is_down { self.down | bit } else { self.down & !bit };
        let learnable = LEARNABLE.iter().zip(&shared.controllers).zip(&shared.waiting);
        let learnable = learnable.zip(self.parameters.iter().zip(&mut self.knobs)).enumerate();
        for (place, (((id, assigned), waiting), (parameter, knob))) in learnable {
            let Some(parameter) = parameter.filter(|_| assigned.load(Relaxed) == controller) else {
                continue;
            };
            // SAFETY: `params` keeps it alive.
            let at = unsafe { parameter.unmodulated_normalized_value() };
            let to = match parameter {
                ParamPtr::BoolParam(_) if STRUCK.contains(id) || *id == HELD && !self.params.turn.holds() => {
                    if is_down && !was_down { 1.0 - at.round() } else { at }
                }
                ParamPtr::BoolParam(_) => f32::from(u8::from(is_down)),
                _ => {
                    let to = f32::from(value.min(127)) / 127.0;
                    if !knob.takes(controller, to, at) && shared.soft.load(Relaxed) {
                        knob.left = None;
                        waiting.store(value.min(127), Relaxed);
                        self.viewer.repaint();
                        return true;
                    }
                    waiting.store(NONE, Relaxed);
                    to
                }
            };
            // SAFETY: as above; it stores to atomics, as the host's automation does on this thread.
            if unsafe { parameter._internal_set_normalized_value(to) } {
                shared.moved.fetch_or(1 << place, Relaxed);
                self.viewer.repaint();
            }
            // SAFETY: as above. The value that was set, rounded to the parameter's steps.
            knob.left = Some(unsafe { parameter.unmodulated_normalized_value() });
            return true;
        }
        false
    }
}
