//! The parameters. Ids are permanent, since projects and automation lanes refer to them.
//!
//! The audio thread reads them (atomics); the host writes them, for the editor as well. One file per group in the
//! editor: turn, time, notes, model.

pub mod choices;
pub mod hints;
mod model;
mod notes;
pub mod texts;
mod time;
mod turn;

use std::sync::Arc;

use engine::link::status::Status;
use engine::settings::{GenerationParams, Settings};
use nice_plug::formatters;
use nice_plug::prelude::*;

pub use self::model::ModelParams;
pub use self::notes::NoteParams;
pub use self::time::TimeParams;
pub use self::turn::TurnParams;

use crate::learn::{MidiMap, SoftTakeover};
use crate::state::State;
use crate::ui_state::SharedUiState;
use crate::weights::{WeightsChoice, WeightsDigest};

/// The ids of the eight main parameters: shown on the editor's main tab and on the first page of a controller, and able
/// to learn a MIDI controller.
pub const FRONT: [&str; 8] = ["mode", "silence", "turn", "key", "temp", "density", "strength", "seed"];
/// The ids of the parameters that are pressed rather than set; each has a button in the editor.
pub const ACTIONS: [&str; 8] = ["go", "again", "another", "undo", "freeze", "unheard", "forget", "panic"];
/// The groups of all other parameters, in the order in which they are shown. These are permanent keys, which hosts and
/// projects store.
pub const GROUPS: [&str; 4] = ["Turn", "Time", "Notes", "Model"];

/// The plugin's parameters and what a project stores beside them.
#[derive(Params)]
pub struct AntiphonParams {
    /// On: notes pass through, the model neither listens nor plays. Linked to the host's own bypass switch.
    #[id = "bypass"]
    pub bypass: BoolParam,

    /// When the turn changes hands.
    #[nested(group = "Turn")]
    pub turn: TurnParams,

    /// How the model's time relates to the host's.
    #[nested(group = "Time")]
    pub time: TimeParams,

    /// What the model may play, and how loud.
    #[nested(group = "Notes")]
    pub notes: NoteParams,

    /// How the model samples its notes.
    #[nested(group = "Model")]
    pub model: ModelParams,

    /// The weights file that replaces the built-in weights.
    #[persist = "weights"]
    pub weights: WeightsChoice,

    /// The digest of that file when the project was saved.
    #[persist = "digest"]
    pub digest: WeightsDigest,

    /// The MIDI controllers assigned to parameters.
    #[persist = "learnt"]
    pub learned: MidiMap,

    /// Whether these use soft takeover.
    #[persist = "takeover"]
    pub takeover: SoftTakeover,

    /// The editor's size, zoom, theme and open parts.
    #[persist = "editor"]
    pub ui_state: SharedUiState,

    /// The state's version, and figures for test hosts.
    #[nested]
    pub state: Arc<State>,
}

impl AntiphonParams {
    /// Parameters at their defaults. `status`: what the state reports to test hosts.
    pub fn new(status: Arc<Status>) -> Self {
        let (weights, learned) = (WeightsChoice::default(), MidiMap::default());
        Self {
            bypass: BoolParam::new("Bypass", false)
                .with_value_to_string(formatters::v2s_bool_bypass())
                .with_string_to_value(formatters::s2v_bool_bypass())
                .make_bypass(),
            turn: TurnParams::default(),
            time: TimeParams::default(),
            notes: NoteParams::default(),
            model: ModelParams::default(),
            digest: weights.digest(),
            weights,
            takeover: learned.soft(),
            learned,
            ui_state: SharedUiState::default(),
            state: Arc::new(State::new(status)),
        }
    }

    /// The current values of all parameters. Real-time safe.
    #[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
    #[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
    pub fn settings(&self) -> Settings {
        let (turn, time, notes, model) = (&self.turn, &self.time, &self.notes, &self.model);
        let state = self.state.latest();
        let settings = Settings {
            state,
            bypass: self.bypass.value(),
            turn: turn.settings(),
            freeze: turn.freeze.value(),
            buttons: turn.buttons(),
            follows_chord: notes.follows_chord.value(),
            midi: notes.midi(f64::from(time.late_ms.value()) / 1_000.0),
            generation: GenerationParams {
                seed: model.seed.value() as u64,
                temperature: model.temperature(),
                top_p: model.top_p.value(),
                rhythm: time.rhythm(),
                limits: notes.limits(),
                dynamics: notes.dynamics(),
                learn: model.learn.value(),
                search: model.search.value().takes(),
                bars: None,
            },
        };
        // If a state was being loaded meanwhile, the values may be a mix of old and new.
        let state = state.filter(|_| self.state.latest() == state);
        Settings { state, ..settings }
    }
}

/// An amount of beats, seconds or milliseconds.
fn amount(name: &str, default: f32, min: f32, max: f32, step: f32, unit: &'static str) -> FloatParam {
    // Skewed toward small values: 200 and 300 ms sound different, 9.2 and 9.3 s do not.
    let range = FloatRange::Skewed { min, max, factor: FloatRange::skew_factor(-2.0) };
    FloatParam::new(name, default, range)
        .with_unit(unit)
        .with_step_size(step)
        .with_value_to_string(formatters::v2s_f32_rounded(texts::decimals(step)))
        .with_string_to_value(texts::number(unit))
}

/// A factor or share with even steps.
fn factor(name: &str, default: f32, min: f32, max: f32) -> FloatParam {
    FloatParam::new(name, default, FloatRange::Linear { min, max })
        .with_step_size(0.01)
        .with_value_to_string(formatters::v2s_f32_rounded(2))
        .with_string_to_value(texts::number(""))
}

/// A share, 0–1, shown in percent.
fn share(name: &str, default: f32, min: f32, max: f32) -> FloatParam {
    FloatParam::new(name, default, FloatRange::Linear { min, max })
        .with_unit(" %")
        .with_step_size(0.01)
        .with_value_to_string(formatters::v2s_f32_percentage(0))
        .with_string_to_value(texts::percent())
}

/// On or off.
fn switch(name: &str, default: bool) -> BoolParam {
    BoolParam::new(name, default).with_string_to_value(texts::switch())
}

/// A whole number.
fn count(name: &str, default: i32, min: i32, max: i32) -> IntParam {
    IntParam::new(name, default, IntRange::Linear { min, max })
}

/// A MIDI key, shown as a note name.
fn key(name: &str, default: i32) -> IntParam {
    count(name, default, 0, 127)
        .with_value_to_string(formatters::v2s_i32_key_formatter())
        .with_string_to_value(texts::key())
}

/// A whole number whose greatest value means no limit.
fn limit(name: &str, min: i32, max: i32) -> IntParam {
    count(name, max, min, max)
        .with_value_to_string(Arc::new(move |value| if value == max { "no limit".into() } else { value.to_string() }))
        .with_string_to_value(texts::whole_or("no limit", max))
}

/// The value of a [`limit`] parameter; `None` if there is no limit.
fn limited(param: &IntParam, max: i32) -> Option<u8> {
    Some(param.value()).filter(|value| *value < max).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_begin_as_the_engine_says() {
        assert_eq!(AntiphonParams::new(Arc::default()).settings(), Settings::INITIAL);
    }
}
