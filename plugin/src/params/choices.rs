//! The choices that parameters offer, with their ids and shown names. Ids are permanent: projects and presets store
//! them.

use engine::settings;
use nice_plug::prelude::Enum;

use super::turn::{SilenceUnit, TurnEnd};

/// The ids of a parameter's choices, in order; `None` if it is not a choice.
pub fn ids(parameter: &str) -> Option<&'static [&'static str]> {
    match parameter {
        "mode" => Mode::ids(),
        "silunit" => SilenceUnit::ids(),
        "trigby" => TriggerBy::ids(),
        "turn" => TurnEnd::ids(),
        "grid" => Grid::ids(),
        "pulse" => BeatSource::ids(),
        "speed" => Speed::ids(),
        "key" => Key::ids(),
        "scale" => Scale::ids(),
        "dynamics" => DynamicsMode::ids(),
        "search" => Search::ids(),
        "device" => DeviceChoice::ids(),
        _ => None,
    }
}

/// Defines a parameter's choices, each with its id and its shown name, and the conversion to the engine's type.
macro_rules! choice {
    ($(#[$about:meta])* $name:ident { $($(#[$default:ident])? $variant:ident = $id:tt $shown:tt,)* }) => {
        $(#[$about])*
        #[derive(Enum, Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[allow(missing_docs)] // documented in the engine
        pub enum $name {
            $($(#[$default])? #[id = $id] #[name = $shown] $variant,)*
        }

        impl From<$name> for settings::$name {
            fn from(choice: $name) -> Self {
                match choice {
                    $($name::$variant => Self::$variant,)*
                }
            }
        }
    };
}

choice! {
    /// When the turn changes hands.
    Mode {
        #[default] Auto = "auto" "auto",
        Trigger = "trigger" "trigger",
        Trade = "trade" "trade",
        Duet = "duet" "duet",
        Alone = "alone" "alone",
    }
}

choice! {
    /// What triggers the model, besides the button and its parameter.
    TriggerBy {
        #[default] Button = "button" "button",
        Key = "key" "key",
        Controller = "cc" "controller",
        Sustain = "sustain" "sustain pedal",
        Sostenuto = "sostenuto" "sostenuto pedal",
        Soft = "soft" "soft pedal",
    }
}

choice! {
    /// The grid that onsets are quantized to.
    Grid {
        Quarter = "1_4" "1/4",
        QuarterDotted = "1_4d" "1/4 dotted",
        QuarterTriplet = "1_4t" "1/4 triplet",
        Eighth = "1_8" "1/8",
        EighthDotted = "1_8d" "1/8 dotted",
        EighthTriplet = "1_8t" "1/8 triplet",
        #[default] Sixteenth = "1_16" "1/16",
        SixteenthDotted = "1_16d" "1/16 dotted",
        SixteenthTriplet = "1_16t" "1/16 triplet",
        ThirtySecond = "1_32" "1/32",
    }
}

choice! {
    /// Whether the grid follows the host's beat or the phrase's.
    BeatSource {
        #[default] Host = "host" "host",
        Phrase = "phrase" "phrase",
    }
}

choice! {
    /// How fast the model's music is played.
    Speed {
        Half = "half" "half",
        #[default] Normal = "normal" "normal",
        Double = "double" "double",
    }
}

choice! {
    /// The tonic of the model's notes.
    Key {
        #[default] Free = "free" "free",
        Phrase = "phrase" "as the phrase",
        C = "c" "C",
        Db = "db" "C#/Db",
        D = "d" "D",
        Eb = "eb" "D#/Eb",
        E = "e" "E",
        F = "f" "F",
        Gb = "gb" "F#/Gb",
        G = "g" "G",
        Ab = "ab" "G#/Ab",
        A = "a" "A",
        Bb = "bb" "A#/Bb",
        B = "b" "B",
    }
}

choice! {
    /// The scale of the model's notes.
    Scale {
        #[default] Major = "major" "major",
        Minor = "minor" "natural minor",
        HarmonicMinor = "harmonic" "harmonic minor",
        MelodicMinor = "melodic" "melodic minor",
        Dorian = "dorian" "dorian",
        Phrygian = "phrygian" "phrygian",
        Lydian = "lydian" "lydian",
        Mixolydian = "mixolydian" "mixolydian",
        Pentatonic = "pentatonic" "pentatonic",
        MinorPentatonic = "minor_pentatonic" "minor pentatonic",
        Blues = "blues" "blues",
        WholeTone = "whole_tone" "whole tone",
    }
}

choice! {
    /// Where the network runs.
    DeviceChoice {
        Auto = "auto" "auto",
        #[default] Cpu = "cpu" "CPU",
        Gpu = "gpu" "GPU",
    }
}

/// How many takes are generated in parallel; one of them is played.
#[derive(Enum, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // self-explanatory
pub enum Search {
    #[id = "off"]
    #[name = "off"]
    Off,
    #[id = "4"]
    #[name = "4"]
    Four,
    #[id = "8"]
    #[name = "8"]
    Eight,
    #[default]
    #[id = "16"]
    #[name = "16"]
    Sixteen,
    #[id = "32"]
    #[name = "32"]
    ThirtyTwo,
}

impl Search {
    /// The number of takes in parallel.
    pub fn takes(self) -> u8 {
        match self {
            Self::Off => 1,
            Self::Four => 4,
            Self::Eight => 8,
            Self::Sixteen => 16,
            Self::ThirtyTwo => 32,
        }
    }
}

/// How loud the model plays: see [`settings::Dynamics`].
#[derive(Enum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DynamicsMode {
    /// See [`settings::Dynamics::Model`].
    #[default]
    #[id = "model"]
    #[name = "the model's"]
    Model,
    /// See [`settings::Dynamics::Follow`].
    #[id = "follow"]
    #[name = "as the player"]
    Follow,
    /// See [`settings::Dynamics::Fixed`].
    #[id = "fixed"]
    #[name = "fixed"]
    Fixed,
}
