//! What the model may play, how loud, and which way its notes and the player's go.

use engine::settings::{Dynamics, Limits};
use nice_plug::prelude::*;

use super::choices::{DynamicsMode, Key, Scale};
use super::{amount, count, key, limit, limited, switch, texts};

/// Of these parameters, the value that stands for no limit.
const MOST_NOTES: i32 = 32;
const MOST_REPEATS: i32 = 32;
/// The same, in seconds.
const LONGEST_S: f32 = 20.0;

/// See the [module](self).
#[derive(Params)]
pub struct NoteParams {
    /// The tonic that the model keeps to, if any; or the key and scale of what the player has played.
    ///
    /// This and the limits below rule notes out before any is drawn. If they leave none, the scale gives
    /// way first, then the chord; the range never does.
    #[id = "key"]
    pub key: EnumParam<Key>,

    /// The scale upon a fixed tonic.
    #[id = "scale"]
    pub scale: EnumParam<Scale>,

    /// While the player holds keys, the model plays their pitch classes only.
    #[id = "chord"]
    pub follows_chord: BoolParam,

    /// The lowest key that the model plays.
    #[id = "low"]
    pub lowest: IntParam,

    /// The highest key that the model plays.
    #[id = "high"]
    pub highest: IntParam,

    /// How many of the model's notes may sound at once. Where there is no voice left, the next note waits
    /// for one; a note that takes the last one is short enough for the next.
    #[id = "poly"]
    pub polyphony: IntParam,

    /// How long a note of the model's may be.
    #[id = "longest"]
    pub longest_s: FloatParam,

    /// How often the model may strike a pitch in a row, at one onset after another. Where no other pitch is
    /// left, it does so more often.
    #[id = "repeats"]
    pub repeats: IntParam,

    /// How loud the model plays: as the network would, its shape around the player's loudness of late, or
    /// all at one velocity.
    #[id = "dynamics"]
    pub dynamics: EnumParam<DynamicsMode>,

    /// The velocity when it is fixed.
    #[id = "velocity"]
    pub velocity: IntParam,

    /// The sustain pedal lengthens what the model hears.
    #[id = "pedin"]
    pub pedal_lengthens: BoolParam,

    /// The model uses the sustain pedal with its phrasing.
    #[id = "pedout"]
    pub pedal_out: BoolParam,

    /// The channel of the model's notes; 0: that of the player.
    #[id = "channel"]
    pub channel: IntParam,

    /// The player's own notes go on to the output.
    #[id = "pass"]
    pub passes: BoolParam,
}

impl Default for NoteParams {
    fn default() -> Self {
        Self {
            key: EnumParam::new("Key", Key::Free),
            scale: EnumParam::new("Scale", Scale::Major),
            follows_chord: switch("Follow held chord", false),
            lowest: key("Lowest note", 0),
            highest: key("Highest note", 127),
            polyphony: limit("Polyphony", 1, MOST_NOTES),
            longest_s: amount("Longest note", LONGEST_S, 0.05, LONGEST_S, 0.01, " s"),
            repeats: limit("Repeats", 1, MOST_REPEATS),
            dynamics: EnumParam::new("Dynamics", DynamicsMode::Model),
            velocity: count("Fixed velocity", 80, 1, 127),
            pedal_lengthens: switch("Sustain in", false),
            pedal_out: switch("Sustain out", false),
            channel: count("Channel", 0, 0, 16)
                .with_value_to_string(std::sync::Arc::new(|channel| match channel {
                    0 => "as played".to_owned(),
                    channel => channel.to_string(),
                }))
                .with_string_to_value(texts::whole_or("as played", 0)),
            passes: switch("MIDI thru", true),
        }
    }
}

impl NoteParams {
    /// What the model may play, but for the chord that is held.
    pub fn limits(&self) -> Limits {
        Limits {
            key: self.key.value().into(),
            scale: self.scale.value().into(),
            lowest: self.lowest.value() as u8,
            highest: self.highest.value() as u8,
            chord: 0,
            polyphony: limited(&self.polyphony, MOST_NOTES),
            longest_s: Some(self.longest_s.value()).filter(|longest| *longest < LONGEST_S),
            repeats: limited(&self.repeats, MOST_REPEATS),
        }
    }

    /// How loud the model plays.
    pub fn dynamics(&self) -> Dynamics {
        match self.dynamics.value() {
            DynamicsMode::Model => Dynamics::Model,
            DynamicsMode::Follow => Dynamics::Follow,
            DynamicsMode::Fixed => Dynamics::Fixed(self.velocity.value() as u8),
        }
    }

    /// The MIDI channel of the model's notes, 0–15; `None`: that of the player.
    pub fn channel(&self) -> Option<u8> {
        (self.channel.value() as u8).checked_sub(1)
    }
}
