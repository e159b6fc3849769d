//! The networks as the live path runs them: one note at a time, everything packed on loading, no
//! allocation per note. The reference for training is `train::network`, which shares features,
//! shapes and names with this.

use notes::Successor;

use crate::{
    context::Context,
    encoding::PITCHES,
    features::{self, Features, INTERVALS, REACH},
    linear::{Dense, Precision, Quantised, Sparse},
    lstm::{Layer, Memory},
    shapes::{Attribute, EMBEDDING, HEAD, HIDDEN, LAYERS, SEED_EMBEDDING, SEED_HEAD},
    weights::{Card, Kind, Weights, WeightsError},
};

/// A network ready to run: immutable, shared between threads and instances.
#[derive(Debug)]
pub struct Network {
    card: Card,
    body: Body,
    layers: Vec<Layer>,
}

#[derive(Debug)]
enum Body {
    Seed(Box<Seed>),
    Antiphon { input: Sparse, heads: Vec<Head> },
}

/// The seed's parts beside its trunk.
#[derive(Debug)]
struct Seed {
    embedding: Sparse,
    hidden: Dense,
    pitch: Dense,
    step: Dense,
    duration: Dense,
}

/// One of `antiphon`'s heads: relu(S h + F features + b) -> logits.
#[derive(Debug)]
struct Head {
    state: Dense,
    features: Sparse,
    out: Dense,
}

/// All that changes from note to note: hidden and cell state of each layer, and the context.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub(crate) layers: [Memory; LAYERS],
    pub(crate) context: Context,
    /// A begin-of-sequence was fed last.
    pub(crate) begins: bool,
}

impl State {
    fn zero() -> Self {
        Self { layers: [(); LAYERS].map(|()| Memory::zero()), context: Context::default(), begins: true }
    }

    /// Takes over another state without allocating.
    pub fn copy_from(&mut self, other: &Self) {
        for (mine, theirs) in self.layers.iter_mut().zip(&other.layers) {
            mine.copy_from(theirs);
        }
        self.context.clone_from(&other.context);
        self.begins = other.begins;
    }

    /// What was heard so far.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The output of the last layer: `[HIDDEN]`.
    pub(crate) fn output(&self) -> &[f32] {
        &self.layers[LAYERS - 1].h
    }
}

/// Buffers of one pass, made once per thread.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    features: Features,
    /// Input of the first layer.
    input: Vec<f32>,
    gates: Vec<f32>,
    /// Input and recurrent input, one behind the other.
    joined: Vec<f32>,
    quantised: Quantised,
    hidden: Vec<f32>,
    outputs: Vec<f32>,
}

impl Scratch {
    pub fn new() -> Self {
        Self {
            features: Features::new(),
            input: vec![0.0; EMBEDDING.max(SEED_EMBEDDING + 2)],
            gates: vec![0.0; 4 * HIDDEN],
            joined: vec![0.0; 2 * HIDDEN],
            quantised: Quantised::new(),
            hidden: vec![0.0; HEAD.max(SEED_HEAD)],
            outputs: vec![0.0; PITCHES + INTERVALS],
        }
    }
}

impl Network {
    /// Reads, checks and packs a weights file in the precision its network is played in.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        let weights = Weights::from_bytes(bytes)?;
        Ok(Self::new(&weights, Precision::of(weights.card.kind)))
    }

    /// Packs weights for running.
    pub fn new(weights: &Weights, precision: Precision) -> Self {
        let bias = |name: String| weights.get(&name).data.clone();
        let dense =
            |name: &str| Dense::new(weights.get(&format!("{name}.weight")), bias(format!("{name}.bias")), precision);
        let body = match weights.card.kind {
            Kind::Seed => Body::Seed(Box::new(Seed {
                embedding: Sparse::new(weights.get("embedding.weight")),
                hidden: dense("pitch.0"),
                pitch: dense("pitch.2"),
                step: dense("step"),
                duration: dense("duration"),
            })),
            Kind::Antiphon => Body::Antiphon {
                input: Sparse::new(weights.get("input.weight")),
                heads: Attribute::ALL.iter().map(|attribute| Head::new(weights, attribute.name(), precision)).collect(),
            },
        };
        let layers = (0..LAYERS).map(|layer| Layer::new(weights, layer, precision)).collect();
        Self { card: weights.card.clone(), body, layers }
    }

    /// Which network this is.
    pub fn kind(&self) -> Kind {
        self.card.kind
    }

    /// What its file says of itself.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The state before anything was heard: zero.
    pub fn zero_state(&self) -> State {
        State::zero()
    }

    /// One step of the trunk: hears a note, or begin-of-sequence (`None`).
    pub(crate) fn step(&self, note: Option<&Successor>, state: &mut State, scratch: &mut Scratch) {
        if let Some(note) = note {
            state.context.feed(note);
        }
        state.begins = note.is_none();
        let width = self.input(note, &state.context, scratch);
        let mut input = &scratch.input[..width];
        for (layer, memory) in self.layers.iter().zip(&mut state.layers) {
            layer.step(input, memory, &mut scratch.joined, &mut scratch.quantised, &mut scratch.gates);
            input = &memory.h;
        }
    }

    /// Writes the first layer's input into the scratch and tells its width.
    fn input(&self, note: Option<&Successor>, context: &Context, scratch: &mut Scratch) -> usize {
        match &self.body {
            Body::Seed(seed) => {
                let pitch = note.map_or(PITCHES, |n| n.pitch.into());
                scratch.input[..SEED_EMBEDDING].copy_from_slice(seed.embedding.column(pitch));
                scratch.input[SEED_EMBEDDING] = note.map_or(0.0, |n| n.step as f32);
                scratch.input[SEED_EMBEDDING + 1] = note.map_or(0.0, |n| n.duration as f32);
                SEED_EMBEDDING + 2
            }
            Body::Antiphon { input, .. } => {
                features::heard(&mut scratch.features, note, context);
                scratch.input[..EMBEDDING].fill(0.0);
                input.add(&scratch.features, &mut scratch.input[..EMBEDDING]);
                EMBEDDING
            }
        }
    }

    /// The seed's step and duration for the next note, in seconds, as they come out of the heads.
    /// `None` for other networks.
    pub(crate) fn point_estimates(&self, state: &State, scratch: &mut Scratch) -> Option<[f64; 2]> {
        let Body::Seed(seed) = &self.body else { return None };
        let mut out = [0.0; 2];
        seed.step.apply(state.output(), &mut scratch.quantised, &mut out[..1]);
        seed.duration.apply(state.output(), &mut scratch.quantised, &mut out[1..]);
        Some(out.map(f64::from))
    }

    /// Logits of one attribute of the next note, given those drawn before it in `so_far`.
    /// `antiphon`: pitches below the chord's last one are `-inf`. The seed has pitches only, with
    /// begin-of-sequence as a 129th.
    pub(crate) fn logits<'a>(
        &self,
        attribute: Attribute,
        so_far: &Successor,
        state: &State,
        scratch: &'a mut Scratch,
    ) -> &'a mut [f32] {
        match &self.body {
            Body::Seed(seed) => {
                debug_assert_eq!(attribute, Attribute::Pitch);
                seed.hidden.apply(state.output(), &mut scratch.quantised, &mut scratch.hidden[..SEED_HEAD]);
                relu(&mut scratch.hidden[..SEED_HEAD]);
                seed.pitch.apply(
                    &scratch.hidden[..SEED_HEAD],
                    &mut scratch.quantised,
                    &mut scratch.outputs[..=PITCHES],
                );
                &mut scratch.outputs[..=PITCHES]
            }
            Body::Antiphon { heads, .. } => {
                let (context, next) = (&state.context, so_far);
                let out = &mut scratch.features;
                match attribute {
                    Attribute::Step => features::before_step(out, context),
                    Attribute::Pitch => features::before_pitch(out, context, next.step),
                    Attribute::Duration => features::before_duration(out, context, next.step, next.pitch),
                    Attribute::Velocity => {
                        features::before_velocity(out, context, next.step, next.pitch, next.duration)
                    }
                    Attribute::Spread => features::before_spread(out, context, next.pitch, next.velocity),
                }
                let head = &heads[attribute as usize];
                let hidden = &mut scratch.hidden[..HEAD];
                head.state.apply(state.output(), &mut scratch.quantised, hidden);
                head.features.add(&scratch.features, hidden);
                relu(hidden);
                let outputs = &mut scratch.outputs[..attribute.outputs()];
                head.out.apply(hidden, &mut scratch.quantised, outputs);
                if attribute == Attribute::Pitch {
                    merge_intervals(outputs, context, next.step);
                }
                &mut outputs[..attribute.classes()]
            }
        }
    }
}

impl Head {
    fn new(weights: &Weights, name: &str, precision: Precision) -> Self {
        let get = |part: &str| weights.get(&format!("{name}.{part}"));
        Self {
            state: Dense::new(get("state.weight"), get("hidden.bias").data.clone(), precision),
            features: Sparse::new(get("features.weight")),
            out: Dense::new(get("out.weight"), get("out.bias").data.clone(), precision),
        }
    }
}

/// Adds the scores of intervals from the last pitch to those of the pitches they lead to, and rules
/// out what cannot follow inside a chord.
fn merge_intervals(outputs: &mut [f32], context: &Context, step: f64) {
    let (pitches, intervals) = outputs.split_at_mut(PITCHES);
    if let Some(last) = context.last {
        for (interval, score) in (-REACH..=REACH).zip(intervals) {
            let pitch = i32::from(last) + interval;
            if (0..PITCHES as i32).contains(&pitch) {
                pitches[pitch as usize] += *score;
            }
        }
    }
    pitches[..usize::from(context.floor(step))].fill(f32::NEG_INFINITY);
}

fn relu(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}
