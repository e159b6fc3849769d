//! Names and shapes of each network's tensors. LSTM tensors are named as in PyTorch, with its gate order: input,
//! forget, cell, output.

use serde::{Deserialize, Serialize};

use crate::{
    context::Context,
    encoding::{PITCHES, SPREADS, TIMES, VELOCITIES},
    features::{
        self, DURATION_LINKS, Features, INTERVALS, PITCH_LINKS, PITCH_MATCHES, STEP_LINKS, TIME_MATCHES, VELOCITY_LINKS,
    },
};

/// The kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The student project's network: pitch as classes, step and duration as point estimates.
    Seed,
    /// Conditional distributions for step, pitch, duration, velocity and spread.
    Antiphon,
}

/// Size of the hidden state of each layer.
pub const HIDDEN: usize = 512;
/// Number of LSTM layers.
pub const LAYERS: usize = 3;

/// Width of `antiphon`'s first-layer input.
pub const EMBEDDING: usize = 256;
/// Width of the hidden layer of each of `antiphon`'s heads.
pub const HEAD: usize = 256;

/// Width of the seed's pitch embedding; step and duration are appended to it.
pub const SEED_EMBEDDING: usize = 130;
/// Width of the hidden layer of the seed's pitch head.
pub const SEED_HEAD: usize = 300;

/// The attributes of a note, each with its own head, in the order in which they are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Seconds from the previous onset.
    Step,
    /// MIDI key.
    Pitch,
    /// Seconds from onset to release.
    Duration,
    /// MIDI velocity.
    Velocity,
    /// Delay inside a chord, in seconds.
    Spread,
}

impl Attribute {
    /// All attributes, in the order in which they are drawn.
    pub const ALL: [Self; 5] = [Self::Step, Self::Pitch, Self::Duration, Self::Velocity, Self::Spread];

    /// The name used for tensors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Pitch => "pitch",
            Self::Duration => "duration",
            Self::Velocity => "velocity",
            Self::Spread => "spread",
        }
    }

    /// Number of classes.
    pub fn classes(self) -> usize {
        match self {
            Self::Step | Self::Duration => TIMES,
            Self::Pitch => PITCHES,
            Self::Velocity => VELOCITIES,
            Self::Spread => SPREADS,
        }
    }

    /// Number of outputs of the head. Beyond the classes, they score (linked to classes, see [`Features::links`]):
    /// matches in the repetition memory for all heads but spread; for pitch, intervals from the last pitches; for
    /// velocity, differences from other velocities; for step and duration, ratios to other times, note ends, and
    /// positions in the beat and bar.
    pub fn outputs(self) -> usize {
        let more = match self {
            Self::Pitch => INTERVALS + PITCH_MATCHES + PITCH_LINKS,
            Self::Step => 2 * TIME_MATCHES + STEP_LINKS,
            Self::Duration => 2 * TIME_MATCHES + DURATION_LINKS,
            Self::Velocity => 2 + VELOCITY_LINKS,
            Self::Spread => 0,
        };
        self.classes() + more
    }

    /// Number of input features of the head, besides the hidden state.
    pub fn features(self) -> usize {
        let (mut out, context) = (Features::default(), Context::default());
        match self {
            Self::Step => features::step_features(&mut out, &context),
            Self::Pitch => features::pitch_features(&mut out, &context, 0.0),
            Self::Duration => features::duration_features(&mut out, &context, 0.0, 0),
            Self::Velocity => features::velocity_features(&mut out, &context, 0.0, 0, 0.0),
            Self::Spread => features::spread_features(&mut out, &context, 0.0, 0, 0),
        }
        out.width()
    }
}

/// Number of input features of the trunk.
pub fn input_features() -> usize {
    let mut out = Features::default();
    features::trunk_features(&mut out, None, &Context::default());
    out.width()
}

/// Names and shapes of all tensors of a network, in the order of the forward pass.
pub fn of(kind: Kind) -> Vec<(String, Vec<usize>)> {
    let mut all: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
    let input = match kind {
        Kind::Seed => {
            add("embedding.weight".into(), &[SEED_EMBEDDING, PITCHES + 1]);
            SEED_EMBEDDING + 2
        }
        Kind::Antiphon => {
            add("input.weight".into(), &[EMBEDDING, input_features()]);
            EMBEDDING
        }
    };
    for layer in 0..LAYERS {
        let input = if layer == 0 { input } else { HIDDEN };
        add(format!("lstm.weight_ih_l{layer}"), &[4 * HIDDEN, input]);
        add(format!("lstm.weight_hh_l{layer}"), &[4 * HIDDEN, HIDDEN]);
        add(format!("lstm.bias_ih_l{layer}"), &[4 * HIDDEN]);
        add(format!("lstm.bias_hh_l{layer}"), &[4 * HIDDEN]);
    }
    match kind {
        Kind::Seed => {
            add("pitch.0.weight".into(), &[SEED_HEAD, HIDDEN]);
            add("pitch.0.bias".into(), &[SEED_HEAD]);
            add("pitch.2.weight".into(), &[PITCHES + 1, SEED_HEAD]);
            add("pitch.2.bias".into(), &[PITCHES + 1]);
            for head in ["step", "duration"] {
                add(format!("{head}.weight"), &[1, HIDDEN]);
                add(format!("{head}.bias"), &[1]);
            }
        }
        Kind::Antiphon => {
            for attribute in Attribute::ALL {
                let name = attribute.name();
                add(format!("{name}.state.weight"), &[HEAD, HIDDEN]);
                add(format!("{name}.features.weight"), &[HEAD, attribute.features()]);
                add(format!("{name}.hidden.bias"), &[HEAD]);
                add(format!("{name}.out.weight"), &[attribute.outputs(), HEAD]);
                add(format!("{name}.out.bias"), &[attribute.outputs()]);
            }
        }
    }
    all
}

/// The fan-in that determines the range of a tensor's initial values, as in PyTorch.
pub(crate) fn fan_in(name: &str, shape: &[usize]) -> usize {
    match name {
        _ if name.starts_with("lstm.") => HIDDEN,
        // Features are sparse: an estimate of how many matter at once, not their number.
        "input.weight" => 24,
        _ if name.ends_with("features.weight") => 24,
        "pitch.0.bias" | "step.bias" | "duration.bias" => HIDDEN,
        "pitch.2.bias" => SEED_HEAD,
        _ if name.ends_with("bias") => HEAD,
        _ => shape[1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_has_as_many_parameters_as_the_student_projects_network() {
        let count: usize = of(Kind::Seed).iter().map(|(_, s)| s.iter().product::<usize>()).sum();
        assert_eq!(count, 5_736_029);
    }
}
