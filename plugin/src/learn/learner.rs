//! The audio thread's end: what a controller moves, at its own sample.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use engine::link::viewer::Viewer;
use nice_plug::params::Params;
use nice_plug::params::internals::ParamPtr;

use super::{LEARNERS, MODES, MidiMap, NONE};
use crate::params::AntiphonParams;

/// Of these every press of a pad acts, and no release.
const STRUCK: [&str; 3] = ["again", "another", "freeze"];
/// Of this, too, unless the model plays while it is held.
const HELD: &str = "go";
/// A pad or pedal is down from here on.
const DOWN: u8 = 64;
/// Nearer than this, a knob and its parameter stand at the same place: a step of the knob.
const NEAR: f32 = 1.0 / 127.0;

/// See the [module](self).
pub struct Learner {
    learned: MidiMap,
    /// By learner, the parameter. `params` owns it.
    parameters: [Option<ParamPtr>; LEARNERS.len()],
    /// Controllers that are down, as pads: bit n, controller n.
    down: u128,
    /// By learner, what the latest move of its controller was.
    knobs: [Knob; LEARNERS.len()],
    viewer: Viewer,
    params: Arc<AntiphonParams>,
}

/// A controller's latest move, for soft takeover.
#[derive(Clone, Copy, Default)]
struct Knob {
    /// Where it stood, 0-1, and the parameter then, if it moves the parameter.
    at: Option<f32>,
    left: Option<f32>,
}

impl Knob {
    /// Moves; `true`: the parameter, which stands at `parameter`, is to follow.
    fn takes(&mut self, at: f32, parameter: f32) -> bool {
        let before = self.at.replace(at);
        // What is still where the knob has left it follows, though the host may have rounded it.
        let holds = self.left.is_some_and(|left| (left - parameter).abs() <= NEAR);
        let passes = before.is_some_and(|before| (before - parameter) * (at - parameter) <= 0.0);
        holds || passes || (at - parameter).abs() <= NEAR
    }
}

impl Learner {
    /// Controllers that move these parameters.
    pub fn new(learned: MidiMap, params: Arc<AntiphonParams>, viewer: Viewer) -> Self {
        let map = params.param_map();
        let find = |id: &str| map.iter().find(|(name, ..)| name == id).map(|(_, parameter, _)| *parameter);
        Self { learned, parameters: LEARNERS.map(find), down: 0, knobs: Default::default(), viewer, params }
    }

    /// A controller moves, to 0–127. `true`: it has moved a parameter, or is to from now on, and goes no further.
    pub fn hear(&mut self, controller: u8, value: u8) -> bool {
        if controller >= MODES {
            return false;
        }
        let shared = &self.learned.0;
        let learning = shared.learning.swap(NONE, Relaxed);
        if let Some(mine) = shared.controllers.get(usize::from(learning)) {
            // Each moves one parameter.
            for other in shared.controllers.iter().filter(|other| other.load(Relaxed) == controller) {
                other.store(NONE, Relaxed);
            }
            mine.store(controller, Relaxed);
            if let Some(knob) = self.knobs.get_mut(usize::from(learning)) {
                *knob = Knob::default();
            }
            self.viewer.repaint();
        }
        let bit = 1_u128 << controller;
        let (was_down, is_down) = (self.down & bit != 0, value >= DOWN);
        self.down = if is_down { self.down | bit } else { self.down & !bit };
        let learners = LEARNERS.iter().zip(&shared.controllers).zip(&shared.waiting);
        let learners = learners.zip(self.parameters.iter().zip(&mut self.knobs)).enumerate();
        for (place, (((id, mine), waiting), (parameter, knob))) in learners {
            let Some(parameter) = parameter.filter(|_| mine.load(Relaxed) == controller) else {
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
                    if !knob.takes(to, at) && shared.soft.load(Relaxed) {
                        knob.left = None;
                        waiting.store(value.min(127), Relaxed);
                        self.viewer.repaint();
                        return true;
                    }
                    waiting.store(NONE, Relaxed);
                    to
                }
            };
            // SAFETY: as above; it stores into atomics, as the host's own automation does on this thread.
            if unsafe { parameter._internal_set_normalized_value(to) } {
                shared.moved.fetch_or(1 << place, Relaxed);
                self.viewer.repaint();
            }
            // SAFETY: as above. What it was set to, as its steps have rounded it.
            knob.left = Some(unsafe { parameter.unmodulated_normalized_value() });
            return true;
        }
        false
    }
}
