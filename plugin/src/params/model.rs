//! How the model draws its notes, and where it runs.

use engine::settings::TemperatureScales;
use nice_plug::prelude::*;

use super::choices::{DeviceChoice, Search};
use super::{count, factor, share};

/// See the [module](self).
#[derive(Params)]
pub struct ModelParams {
    /// Which of my answers you get. The first answer to a phrase with one seed is always the same; so is the
    /// second, and each is another.
    #[id = "seed"]
    pub seed: IntParam,

    /// How daring the model is: 1 as it was tuned, towards 0 the likeliest note, above 1 stranger.
    /// Multiplies the temperatures that the network ships with.
    #[id = "temp"]
    pub temperature: FloatParam,

    /// How daring the model is with pitches, on top of the temperature of all.
    #[id = "temppitch"]
    pub temperature_pitch: FloatParam,

    /// How daring the model is with the rhythm, on top of the temperature of all.
    #[id = "temprhythm"]
    pub temperature_rhythm: FloatParam,

    /// How daring the model is with the notes' lengths, on top of the temperature of all.
    #[id = "templength"]
    pub temperature_length: FloatParam,

    /// How daring the model is with the dynamics, on top of the temperature of all.
    #[id = "tempdyn"]
    pub temperature_dynamics: FloatParam,

    /// Unlikely choices beyond this share of the probability are never drawn.
    #[id = "top_p"]
    pub top_p: FloatParam,

    /// How much the model plays after what it has heard in this session, instead of what it has
    /// learned before: at 100 %, wherever it can, the steps and pitches that followed when the player played
    /// the same before. It learns from the player alone; `Forget last phrase` and `Forget` are heeded.
    #[id = "learn"]
    pub learn: FloatParam,

    /// So many takes go on side by side, and a critic that knows what music is like plays the one that is most like it. More
    /// takes sound better and ask more of the processor; off: the first one that comes to mind.
    #[id = "search"]
    pub search: EnumParam<Search>,

    /// Where the network runs. The notes are the same.
    #[id = "device"]
    pub device: EnumParam<DeviceChoice>,
}

impl Default for ModelParams {
    fn default() -> Self {
        // 2 is where music ends; 0 would be a loop of one chord.
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
            // Where it runs is the machine's business, and no music: nothing to automate.
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
