//! How the model samples its notes, and where it runs.

use engine::settings::TemperatureScales;
use nice_plug::prelude::*;

use super::choices::{DeviceChoice, Search};
use super::{count, factor, share};

/// The parameters of the group *Model*.
#[derive(Params)]
pub struct ModelParams {
    /// Seeds the takes: the first take on a phrase with the same seed is always the same; so is the second, which
    /// differs from the first.
    #[id = "seed"]
    pub seed: IntParam,

    /// Scales the temperatures that the network ships with: 1 as tuned, lower is safer, higher is wilder.
    #[id = "temp"]
    pub temperature: FloatParam,

    /// Temperature of pitches, multiplied by the overall temperature.
    #[id = "temppitch"]
    pub temperature_pitch: FloatParam,

    /// Temperature of the rhythm, multiplied by the overall temperature.
    #[id = "temprhythm"]
    pub temperature_rhythm: FloatParam,

    /// Temperature of note lengths, multiplied by the overall temperature.
    #[id = "templength"]
    pub temperature_length: FloatParam,

    /// Temperature of dynamics, multiplied by the overall temperature.
    #[id = "tempdyn"]
    pub temperature_dynamics: FloatParam,

    /// Top-p (nucleus) sampling: choices outside of this share of the probability mass are never sampled.
    #[id = "top_p"]
    pub top_p: FloatParam,

    /// How much the model imitates what was played in this session, instead of the network: at 100 %, wherever it can,
    /// it uses the steps and pitches that followed when the player played the same before. It learns only from the
    /// player; `Forget last phrase` and `Forget` apply to it as well.
    #[id = "learn"]
    pub learn: FloatParam,

    /// How many takes are generated in parallel; a critic, trained to tell real music from the model's, picks the best
    /// one. More takes sound better but need more CPU. Off: the first take is played.
    #[id = "search"]
    pub search: EnumParam<Search>,

    /// Where the network runs; does not affect the notes.
    #[id = "device"]
    pub device: EnumParam<DeviceChoice>,
}

impl Default for ModelParams {
    fn default() -> Self {
        // At 2 the music falls apart; at 0 it would loop on one chord.
        let scale = |name| factor(name, 1.0, 0.1, 2.0);
        Self {
            seed: count("Seed", 1, 0, 9_999),
            temperature: scale("Temperature"),
            temperature_pitch: scale("Pitch temperature"),
            temperature_rhythm: scale("Rhythm temperature"),
            temperature_length: scale("Length temperature"),
            temperature_dynamics: scale("Dynamics temperature"),
            top_p: factor("Top-p", 1.0, 0.1, 1.0),
            learn: share("Learn from you", 0.0, 0.0, 1.0),
            search: EnumParam::new("Search", Search::default()),
            // It depends on the machine and does not affect the music: nothing to automate.
            device: EnumParam::new("Device", DeviceChoice::Cpu).non_automatable(),
        }
    }
}

impl ModelParams {
    /// Factors on the network's own temperatures.
    pub fn temperature(&self) -> TemperatureScales {
        let all = self.temperature.value();
        TemperatureScales {
            pitch: all * self.temperature_pitch.value(),
            rhythm: all * self.temperature_rhythm.value(),
            length: all * self.temperature_length.value(),
            dynamics: all * self.temperature_dynamics.value(),
        }
    }
}
