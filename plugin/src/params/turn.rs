//! When the turn changes hands, and what happens to a take.

use engine::settings::{Buttons, Length, Silence, Trigger, TurnSettings};
use nice_plug::prelude::*;

use super::choices::{Mode, TriggerBy};
use super::{amount, count, key, switch};

/// The parameters of the group *Turn*.
#[derive(Params)]
pub struct TurnParams {
    /// When the turn changes hands. Auto: the model continues when the player stops. Trigger: it plays while the
    /// trigger is held. Trade: some bars each. Duet: as auto, but it plays on while the player plays. Alone: it starts
    /// from nothing.
    #[id = "mode"]
    pub mode: EnumParam<Mode>,

    /// How long no key is down before the model continues. Not used in mode trigger; in mode trade only while the
    /// transport is stopped.
    #[id = "silence"]
    pub silence_ms: FloatParam,

    /// The same silence in beats (quarter notes).
    #[id = "silbeats"]
    pub silence_beats: FloatParam,

    /// Whether the silence is measured in milliseconds or in beats.
    #[id = "silunit"]
    pub silence_unit: EnumParam<SilenceUnit>,

    /// The sustain pedal counts as a held key: while it is down, there is no silence.
    #[id = "pedhold"]
    pub sustain_holds: BoolParam,

    /// What triggers the model in mode `trigger`, besides the button.
    #[id = "trigby"]
    pub trigger_by: EnumParam<TriggerBy>,

    /// The key that acts as the trigger. It makes no sound.
    #[id = "trigkey"]
    pub trigger_key: IntParam,

    /// The controller that acts as the trigger: on from 64 upward.
    #[id = "trigcc"]
    pub trigger_controller: IntParam,

    /// On: each press of the trigger swaps the turns. Off: the model plays while the trigger is held.
    #[id = "trigtog"]
    pub trigger_toggles: BoolParam,

    /// The player's bars in mode `trade`.
    #[id = "yours"]
    pub your_bars: IntParam,

    /// The model's bars in mode `trade`.
    #[id = "mine"]
    pub antiphon_bars: IntParam,

    /// What ends the model's turn, besides the player.
    #[id = "turn"]
    pub turn_end: EnumParam<TurnEnd>,

    /// The length of the model's turn in seconds.
    #[id = "secs"]
    pub length_s: FloatParam,

    /// The length of the model's turn in notes.
    #[id = "notes"]
    pub length_notes: IntParam,

    /// The length of the model's turn in bars.
    #[id = "bars"]
    pub length_bars: IntParam,

    /// When the player comes in, the model's sounding notes keep their length; otherwise they end at once.
    #[id = "ring"]
    pub rings_out: BoolParam,

    /// The model's own notes stay in its memory; otherwise only the player's do.
    #[id = "own"]
    pub remembers_own: BoolParam,

    /// Loops the latest take while this is on.
    #[id = "freeze"]
    pub freeze: BoolParam,

    /// Every change swaps the turns: the model starts at once, or stops. In mode `trigger`, unless the trigger toggles,
    /// the model plays while this is on.
    #[id = "go"]
    pub go: BoolParam,

    /// Every change plays the latest take again, note for note.
    #[id = "again"]
    pub replay: BoolParam,

    /// Every change plays a new take on the same phrase.
    #[id = "another"]
    pub new_take: BoolParam,

    /// Every change undoes the latest take, as if it had never been played.
    #[id = "undo"]
    pub undo: BoolParam,

    /// Every change removes the player's latest phrase from the model's memory.
    #[id = "unheard"]
    pub forget_phrase: BoolParam,

    /// Every change clears the model's memory.
    #[id = "forget"]
    pub forget: BoolParam,

    /// Every change ends all notes at once.
    #[id = "panic"]
    pub panic: BoolParam,
}

/// The unit of the silence.
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

/// What ends the model's turn, besides the player.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnEnd {
    /// Nothing else.
    #[id = "open"]
    #[name = "until you play"]
    Open,
    /// A number of seconds after the hand-over.
    #[id = "seconds"]
    #[name = "seconds"]
    Seconds,
    /// A number of notes.
    #[id = "notes"]
    #[name = "notes"]
    Notes,
    /// A number of bars, up to the host's bar line.
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
            sustain_holds: switch("Pedal holds turn", false),
            trigger_by: EnumParam::new("Trigger", TriggerBy::Button),
            trigger_key: key("Trigger key", 24),
            trigger_controller: count("Trigger CC", 80, 0, 127),
            trigger_toggles: switch("Trigger toggles", false),
            your_bars: count("Bars: player", 4, 1, 32),
            antiphon_bars: count("Bars: Antiphon", 4, 1, 32),
            turn_end: EnumParam::new("Turn length", TurnEnd::Open),
            length_s: amount("Turn seconds", 16.0, 0.5, 600.0, 0.1, " s"),
            length_notes: count("Turn notes", 64, 1, 1_000),
            length_bars: count("Turn bars", 4, 1, 64),
            rings_out: switch("Ring out", false),
            remembers_own: switch("Remember own notes", true),
            freeze: switch("Freeze", false),
            go: switch("Continue / Stop", false),
            replay: switch("Replay", false),
            new_take: switch("New take", false),
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

    /// What triggers the model, besides the button.
    pub fn trigger(&self) -> Trigger {
        Trigger {
            by: self.trigger_by.value().into(),
            key: self.trigger_key.value() as u8,
            controller: self.trigger_controller.value() as u8,
            toggles: self.trigger_toggles.value(),
        }
    }

    /// See [`TurnSettings::holds`].
    pub fn holds(&self) -> bool {
        self.settings().holds()
    }

    /// When Antiphon plays, and for how long.
    pub fn settings(&self) -> TurnSettings {
        TurnSettings {
            mode: self.mode.value().into(),
            silence: self.silence(),
            sustain_holds: self.sustain_holds.value(),
            trigger: self.trigger(),
            your_bars: self.your_bars.value() as u32,
            antiphon_bars: self.antiphon_bars.value() as u32,
            length: self.length(),
            rings_out: self.rings_out.value(),
            remembers_own: self.remembers_own.value(),
        }
    }

    /// What ends the model's turn, besides the player.
    pub fn length(&self) -> Length {
        match self.turn_end.value() {
            TurnEnd::Open => Length::Open,
            TurnEnd::Seconds => Length::Seconds(self.length_s.value().into()),
            TurnEnd::Notes => Length::Notes(self.length_notes.value() as u32),
            TurnEnd::Bars => Length::Bars(self.length_bars.value() as u32),
        }
    }

    /// The switches that act on every change.
    pub fn buttons(&self) -> Buttons {
        Buttons {
            go: self.go.value(),
            replay: self.replay.value(),
            new_take: self.new_take.value(),
            undo: self.undo.value(),
            forget_phrase: self.forget_phrase.value(),
            forget: self.forget.value(),
            panic: self.panic.value(),
        }
    }
}
