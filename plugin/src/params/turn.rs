//! When the turn changes hands, and what becomes of a take.

use engine::settings::{Buttons, Length, Silence, Trigger};
use nice_plug::prelude::*;

use super::choices::{Mode, TriggerBy};
use super::{amount, count, key, switch};

/// See the [module](self).
#[derive(Params)]
pub struct TurnParams {
    /// When the turn changes hands. Auto: I go on when you fall silent. Trigger: I play while you hold the
    /// trigger. Trade: some bars you, some bars I. Duet: as auto, but I play on while you play. Alone: I begin
    /// from nothing.
    #[id = "mode"]
    pub mode: EnumParam<Mode>,

    /// How long you let go of all keys before I go on. With mode trigger it does nothing, with trade only while
    /// the transport stands.
    #[id = "silence"]
    pub silence_ms: FloatParam,

    /// The same in beats: how long you let go of all keys before I go on.
    #[id = "silbeats"]
    pub silence_beats: FloatParam,

    /// Whether the silence is measured in milliseconds or in beats.
    #[id = "silunit"]
    pub silence_unit: EnumParam<SilenceUnit>,

    /// The sustain pedal counts as a held key: while it is down, there is no silence.
    #[id = "pedhold"]
    pub pedal_holds: BoolParam,

    /// What works as the trigger beside the button, in mode `trigger`.
    #[id = "trigby"]
    pub trigger_by: EnumParam<TriggerBy>,

    /// The key that is the trigger. It makes no sound.
    #[id = "trigkey"]
    pub trigger_key: IntParam,

    /// The controller that is the trigger: held from 64 upwards.
    #[id = "trigcc"]
    pub trigger_controller: IntParam,

    /// Each touch of the trigger swaps the turns; else the model plays while it is held.
    #[id = "trigtog"]
    pub trigger_toggles: BoolParam,

    /// Bars that the player has, in mode `trade`.
    #[id = "yours"]
    pub your_bars: IntParam,

    /// Bars that the model has, in mode `trade`.
    #[id = "mine"]
    pub my_bars: IntParam,

    /// What ends the model's turn, beside the player.
    #[id = "turn"]
    pub ends: EnumParam<Ends>,

    /// The length of a turn measured in seconds.
    #[id = "secs"]
    pub length_s: FloatParam,

    /// The length of a turn measured in notes.
    #[id = "notes"]
    pub length_notes: IntParam,

    /// The length of a turn measured in bars.
    #[id = "bars"]
    pub length_bars: IntParam,

    /// When the player enters, what the model plays rings out at its length; else it ends at once.
    #[id = "ring"]
    pub rings_out: BoolParam,

    /// The model remembers what it has played itself; else only what the player has.
    #[id = "own"]
    pub remembers_own: BoolParam,

    /// The latest take goes round and round, until this is off again.
    #[id = "freeze"]
    pub freeze: BoolParam,

    /// Every change of it swaps the turns: the model begins at once, or gives back. In mode `trigger`,
    /// where each touch does not do so, the model plays while this is on.
    #[id = "go"]
    pub go: BoolParam,

    /// Every change of it plays the latest take again, note for note.
    #[id = "again"]
    pub again: BoolParam,

    /// Every change of it plays another take from the same phrase.
    #[id = "another"]
    pub another: BoolParam,

    /// Every change of it takes the latest take back, as if it had never been played.
    #[id = "undo"]
    pub undo: BoolParam,

    /// Every change of it makes the model forget the player's latest phrase.
    #[id = "unheard"]
    pub forget_phrase: BoolParam,

    /// Every change of it makes the model forget everything.
    #[id = "forget"]
    pub forget: BoolParam,

    /// Every change of it ends every note at once.
    #[id = "panic"]
    pub panic: BoolParam,
}

/// What a silence is measured in.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilenceUnit {
    /// Milliseconds.
    #[id = "ms"]
    #[name = "ms"]
    Milliseconds,
    /// Beats (quarter notes).
    #[id = "beats"]
    #[name = "beats"]
    Beats,
}

/// What ends the model's turn, beside the player.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Only the player does.
    #[id = "open"]
    #[name = "until you play"]
    Open,
    /// So many seconds after the hand-over.
    #[id = "seconds"]
    #[name = "seconds"]
    Seconds,
    /// So many notes.
    #[id = "notes"]
    #[name = "notes"]
    Notes,
    /// So many bars, to the host's bar line.
    #[id = "bars"]
    #[name = "bars"]
    Bars,
}

impl Default for TurnParams {
    fn default() -> Self {
        Self {
            mode: EnumParam::new("Mode", Mode::Auto),
            silence_ms: amount("Silence", 800.0, 50.0, 10_000.0, 1.0, " ms"),
            silence_beats: amount("Silence in beats", 2.0, 0.25, 16.0, 0.25, " beats"),
            silence_unit: EnumParam::new("Silence unit", SilenceUnit::Milliseconds),
            pedal_holds: switch("Pedal holds turn", false),
            trigger_by: EnumParam::new("Trigger", TriggerBy::Button),
            trigger_key: key("Trigger key", 24),
            trigger_controller: count("Trigger CC", 80, 0, 127),
            trigger_toggles: switch("Trigger toggles", false),
            your_bars: count("Bars: player", 4, 1, 32),
            my_bars: count("Bars: Antiphon", 4, 1, 32),
            ends: EnumParam::new("Turn length", Ends::Open),
            length_s: amount("Turn seconds", 16.0, 0.5, 600.0, 0.1, " s"),
            length_notes: count("Turn notes", 64, 1, 1_000),
            length_bars: count("Turn bars", 4, 1, 64),
            rings_out: switch("Ring out", false),
            remembers_own: switch("Remember own notes", true),
            freeze: switch("Freeze", false),
            go: switch("Continue / Stop", false),
            again: switch("Replay", false),
            another: switch("New take", false),
            undo: switch("Undo take", false),
            forget_phrase: switch("Forget last phrase", false),
            forget: switch("Forget", false),
            panic: switch("Panic", false),
        }
    }
}

impl TurnParams {
    /// The silence after which the model takes the turn.
    pub fn silence(&self) -> Silence {
        match self.silence_unit.value() {
            SilenceUnit::Milliseconds => Silence::Seconds(f64::from(self.silence_ms.value()) / 1_000.0),
            SilenceUnit::Beats => Silence::Beats(self.silence_beats.value().into()),
        }
    }

    /// What works as the trigger.
    pub fn trigger(&self) -> Trigger {
        Trigger {
            by: self.trigger_by.value().into(),
            key: self.trigger_key.value() as u8,
            controller: self.trigger_controller.value() as u8,
            toggles: self.trigger_toggles.value(),
        }
    }

    /// See [`engine::settings::Mode::holds`].
    pub fn holds(&self) -> bool {
        engine::settings::Mode::from(self.mode.value()).holds(&self.trigger())
    }

    /// What ends a turn of the model.
    pub fn length(&self) -> Length {
        match self.ends.value() {
            Ends::Open => Length::Open,
            Ends::Seconds => Length::Seconds(self.length_s.value().into()),
            Ends::Notes => Length::Notes(self.length_notes.value() as u32),
            Ends::Bars => Length::Bars(self.length_bars.value() as u32),
        }
    }

    /// The switches whose every change acts.
    pub fn buttons(&self) -> Buttons {
        Buttons {
            go: self.go.value(),
            again: self.again.value(),
            another: self.another.value(),
            undo: self.undo.value(),
            forget_phrase: self.forget_phrase.value(),
            forget: self.forget.value(),
            panic: self.panic.value(),
        }
    }
}
