//! What a musician can set. Every field says what it does; the ids are permanent, since projects
//! and automation lanes refer to them.
//!
//! Read by the audio thread (atomics), written by the host and, through it, by the editor.

use std::sync::Arc;

use nice_plug::formatters;
use nice_plug::prelude::*;

use crate::partner::{Length, Settings};
use crate::status::Status;
use crate::weights::WeightsChoice;

/// The plugin's parameters and what a project stores beside them.
#[derive(Params)]
pub struct AntiphonParams {
    /// Off: notes pass through, nothing is heard or played. The host's own bypass switch.
    #[id = "bypass"]
    pub bypass: BoolParam,

    /// How long no key may be down before the model takes the turn.
    #[id = "silence"]
    pub silence_ms: FloatParam,

    /// How daring the model is: 1 as it was tuned, towards 0 the likeliest note, above 1 stranger.
    /// Multiplies the temperatures that the network ships with.
    #[id = "temp"]
    pub temperature: FloatParam,

    /// Unlikely choices beyond this share of the probability are never drawn.
    #[id = "top_p"]
    pub top_p: FloatParam,

    /// Which of its continuations the model plays: the same seed after the same phrase is the
    /// same continuation.
    #[id = "seed"]
    pub seed: IntParam,

    /// What ends the model's turn.
    #[id = "turn"]
    pub turn: EnumParam<Turn>,

    /// The length of a turn measured in seconds.
    #[id = "secs"]
    pub length_s: FloatParam,

    /// The length of a turn measured in notes.
    #[id = "notes"]
    pub length_notes: IntParam,

    /// Every change of it swaps the turns: the model begins at once, or gives back. So a switch
    /// toggles, and a key that is held plays until it is released.
    #[id = "go"]
    pub go: BoolParam,

    /// Every change of it makes the model forget the phrase.
    #[id = "forget"]
    pub forget: BoolParam,

    /// A weights file in place of the built-in ones.
    #[persist = "weights"]
    pub weights: WeightsChoice,

    /// Figures for test hosts; stored only when asked for (see the crate's documentation).
    #[nested]
    pub status: Arc<Status>,
}

/// What ends the model's turn, beside the player.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Only the player does.
    #[id = "open"]
    #[name = "until I play"]
    Open,
    /// So many seconds after the hand-over.
    #[id = "seconds"]
    #[name = "seconds"]
    Seconds,
    /// So many notes.
    #[id = "notes"]
    #[name = "notes"]
    Notes,
}

impl AntiphonParams {
    /// Parameters at their defaults, sharing `status` with the other threads.
    pub fn new(status: Arc<Status>) -> Self {
        Self {
            bypass: BoolParam::new("Bypass", false)
                .with_value_to_string(formatters::v2s_bool_bypass())
                .with_string_to_value(formatters::s2v_bool_bypass())
                .make_bypass(),
            silence_ms: FloatParam::new(
                "Silence",
                800.0,
                // Skewed: the difference between 200 and 300 ms is felt, between 9.2 and 9.3 s not.
                FloatRange::Skewed { min: 50.0, max: 10_000.0, factor: FloatRange::skew_factor(-2.0) },
            )
            .with_unit(" ms")
            .with_step_size(1.0)
            .with_value_to_string(formatters::v2s_f32_rounded(0)),
            temperature: FloatParam::new(
                "Temperature",
                1.0,
                // 2 is where music ends; 0 would be a loop of one chord.
                FloatRange::Linear { min: 0.1, max: 2.0 },
            )
            .with_step_size(0.01)
            .with_value_to_string(formatters::v2s_f32_rounded(2)),
            top_p: FloatParam::new("Top-p", 1.0, FloatRange::Linear { min: 0.1, max: 1.0 })
                .with_step_size(0.01)
                .with_value_to_string(formatters::v2s_f32_rounded(2)),
            seed: IntParam::new("Seed", 1, IntRange::Linear { min: 0, max: 9_999 }),
            turn: EnumParam::new("Turn ends", Turn::Open),
            length_s: FloatParam::new(
                "Turn seconds",
                16.0,
                FloatRange::Skewed { min: 0.5, max: 600.0, factor: FloatRange::skew_factor(-2.0) },
            )
            .with_unit(" s")
            .with_step_size(0.1)
            .with_value_to_string(formatters::v2s_f32_rounded(1)),
            length_notes: IntParam::new("Turn notes", 64, IntRange::Linear { min: 1, max: 1_000 }),
            go: BoolParam::new("Go on / give back", false),
            forget: BoolParam::new("Forget", false),
            weights: WeightsChoice::default(),
            status,
        }
    }

    /// The parameters as the audio side takes them: plain values of this moment.
    pub fn settings(&self) -> Settings {
        Settings {
            bypass: self.bypass.value(),
            silence_s: f64::from(self.silence_ms.value()) / 1_000.0,
            temperature: self.temperature.value(),
            top_p: self.top_p.value(),
            seed: self.seed.value() as u64,
            length: match self.turn.value() {
                Turn::Open => Length::Open,
                Turn::Seconds => Length::Seconds(f64::from(self.length_s.value())),
                Turn::Notes => Length::Notes(self.length_notes.value() as u32),
            },
            go: self.go.value(),
            forget: self.forget.value(),
        }
    }
}
