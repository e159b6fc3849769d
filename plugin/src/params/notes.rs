//! What the model may play, how loud, and how MIDI goes in and out.

use engine::settings::{Dynamics, Limits, MidiSettings};
use nice_plug::prelude::*;

use super::choices::{DynamicsMode, Key, Scale};
use super::{amount, count, key, limit, limited, switch, texts};

/// The values of these parameters that mean no limit.
const MOST_NOTES: i32 = 32;
const MOST_REPEATS: i32 = 32;
/// The value that means no limit, in seconds.
const LONGEST_S: f32 = 20.0;

/// The parameters of the group *Notes*.
#[derive(Params)]
pub struct NoteParams {
    /// The tonic that the model keeps to, if any; or the key and scale of the phrase.
    ///
    /// This and the limits below rule notes out before sampling. If no note is left, the scale is dropped first, then
    /// the chord; the range always holds.
    #[id = "key"]
    pub key: EnumParam<Key>,

    /// The scale on a fixed tonic.
    #[id = "scale"]
    pub scale: EnumParam<Scale>,

    /// While the player holds keys, the model only plays their pitch classes.
    #[id = "chord"]
    pub follows_chord: BoolParam,

    /// The lowest key that the model plays.
    #[id = "low"]
    pub lowest: IntParam,

    /// The highest key that the model plays.
    #[id = "high"]
    pub highest: IntParam,

    /// How many of the model's notes may sound at once. If no voice is free, the next note waits for one; a note that
    /// takes the last voice is short enough to free it for the next.
    #[id = "poly"]
    pub polyphony: IntParam,

    /// The longest duration of the model's notes, in seconds.
    #[id = "longest"]
    pub longest_s: FloatParam,

    /// How often the model may strike a pitch at consecutive onsets. If no other pitch is allowed, it repeats more
    /// often.
    #[id = "repeats"]
    pub repeats: IntParam,

    /// How loud the model plays: as the network does, with its dynamics centered on the player's recent loudness, or
    /// all at one velocity.
    #[id = "dynamics"]
    pub dynamics: EnumParam<DynamicsMode>,

    /// The velocity for fixed dynamics.
    #[id = "velocity"]
    pub velocity: IntParam,

    /// The sustain pedal lengthens the notes that the model gets as input.
    #[id = "pedin"]
    pub sustain_in: BoolParam,

    /// The model's output includes the sustain pedal, with its phrasing.
    #[id = "pedout"]
    pub sustain_out: BoolParam,

    /// The MIDI channel of the model's notes; 0: the player's channel.
    #[id = "channel"]
    pub channel: IntParam,

    /// The player's own notes are passed through.
    #[id = "pass"]
    pub thru: BoolParam,
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
            sustain_in: switch("Sustain in", false),
            sustain_out: switch("Sustain out", false),
            channel: count("Channel", 0, 0, 16)
                .with_value_to_string(std::sync::Arc::new(|channel| match channel {
                    0 => "as played".to_owned(),
                    channel => channel.to_string(),
                }))
                .with_string_to_value(texts::whole_or("as played", 0)),
            thru: switch("MIDI thru", true),
        }
    }
}

impl NoteParams {
    /// What the model may play, apart from the chord that is held.
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

    /// How MIDI goes in and out. `late_s`: a late note is shifted by at most this many seconds; a later one is dropped.
    pub fn midi(&self, late_s: f64) -> MidiSettings {
        MidiSettings {
            thru: self.thru.value(),
            channel: (self.channel.value() as u8).checked_sub(1),
            sustain_in: self.sustain_in.value(),
            sustain_out: self.sustain_out.value(),
            late_s,
        }
    }
}
