//! The audio thread's end: what a controller moves, at its own sample.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use nice_plug::params::Params;
use nice_plug::params::internals::ParamPtr;

use super::{LEARNERS, Learnt, MODES, NONE};
use crate::bridge::viewer::Viewer;
use crate::params::AntiphonParams;

/// Of these every press of a pad acts, and no release.
const STRUCK: [&str; 3] = ["again", "another", "freeze"];
/// Of this, too, unless the model plays while it is held.
const HELD: &str = "go";
/// A pad or pedal is down from here on.
const DOWN: u8 = 64;

/// See the [module](self).
pub struct Learner {
    learnt: Learnt,
    /// By learner, the parameter. `params` owns it.
    parameters: [Option<ParamPtr>; LEARNERS.len()],
    /// Controllers that are down, as pads: bit n, controller n.
    down: u128,
    viewer: Viewer,
    params: Arc<AntiphonParams>,
}

impl Learner {
    /// Controllers that move these parameters.
    pub fn new(learnt: Learnt, params: Arc<AntiphonParams>, viewer: Viewer) -> Self {
        let map = params.param_map();
        let find = |id: &str| map.iter().find(|(name, ..)| name == id).map(|(_, parameter, _)| *parameter);
        Self { learnt, parameters: LEARNERS.map(find), down: 0, viewer, params }
    }

    /// A controller moves, to 0–127. `true`: it has moved a parameter, or is to from now on, and goes no further.
    pub fn hear(&mut self, controller: u8, value: u8) -> bool {
        if controller >= MODES {
            return false;
        }
        let shared = &self.learnt.0;
        let learning = shared.learning.swap(NONE, Relaxed);
        if let Some(mine) = shared.controllers.get(usize::from(learning)) {
            // Each moves one parameter.
            for other in shared.controllers.iter().filter(|other| other.load(Relaxed) == controller) {
                other.store(NONE, Relaxed);
            }
            mine.store(controller, Relaxed);
            self.viewer.repaint();
        }
        let bit = 1_u128 << controller;
        let (was_down, is_down) = (self.down & bit != 0, value >= DOWN);
        self.down = if is_down { self.down | bit } else { self.down & !bit };
        let learners = LEARNERS.iter().zip(&shared.controllers).zip(&self.parameters).enumerate();
        for (place, ((id, mine), parameter)) in learners {
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
                _ => f32::from(value.min(127)) / 127.0,
            };
            // SAFETY: as above; it stores into atomics, as the host's own automation does on this thread.
            if unsafe { parameter._internal_set_normalized_value(to) } {
                shared.moved.fetch_or(1 << place, Relaxed);
                self.viewer.repaint();
            }
            return true;
        }
        false
    }
}
