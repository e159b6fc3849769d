//! Inference: runs the networks one note at a time, with all weights packed at load time and no allocation per note.
//! Several takes can run as one batch, and a phrase of many notes can be fed in one call, for less than the cost of one
//! note after another and with the same bits. The training counterpart is `train::network`, which shares features,
//! shapes and names with this module.

use std::slice;

use notes::Successor;

use crate::{
    conditioning::Conditioning,
    context::Context,
    critic::Critic,
    device::{self, Batch, DeviceError},
    encoding::PITCHES,
    features::{self, Features},
    linear::{self, Dense, Precision, Sparse},
    shapes::{Attribute, EMBEDDING, HEAD, Kind, SEED_EMBEDDING, SEED_HEAD},
    trunk::{self, Trunk, TrunkState, integers},
    weights::{Card, Weights, WeightsError},
};

/// A network ready to run: immutable, shared by threads and instances.
#[derive(Debug)]
pub struct Network {
    card: Card,
    precision: Precision,
    body: Body,
    trunk: Trunk,
    critic: Option<Critic>,
}

#[derive(Debug)]
enum Body {
    Seed(Box<Seed>),
    Antiphon { input: Sparse, heads: Vec<Head> },
}

/// Parts of the seed network other than its trunk.
#[derive(Debug)]
struct Seed {
    embedding: Sparse,
    hidden: Dense,
    pitch: Dense,
    step: Dense,
    duration: Dense,
}

/// One of `antiphon`'s heads: `out(relu(state h + features f + bias))` are its outputs.
#[derive(Debug)]
struct Head {
    state: Dense,
    features: Sparse,
    out: Dense,
}

/// All that changes from note to note: hidden and cell states of every layer, and the context.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub(crate) trunk: TrunkState,
    pub(crate) context: Context,
    /// The last input was begin-of-sequence.
    pub(crate) begins: bool,
}

impl State {
    /// Copies another state of the same network without allocating.
    pub fn copy_from(&mut self, other: &Self) {
        self.trunk.copy_from(&other.trunk);
        self.context.clone_from(&other.context);
        self.begins = other.begins;
    }

    /// Statistics of the notes fed so far.
    pub fn context(&self) -> &Context {
        &self.context
    }
}

/// Notes of a phrase that are fed as one block: their inputs share one pass over the weights, and a layer's weights
/// stay in the cache meanwhile.
const BLOCK: usize = 32;
/// Largest width of the first layer's input.
const WIDEST_INPUT: usize = if EMBEDDING > SEED_EMBEDDING + 2 { EMBEDDING } else { SEED_EMBEDDING + 2 };
/// Largest width of a head's hidden layer.
const WIDEST_HEAD: usize = if HEAD > SEED_HEAD { HEAD } else { SEED_HEAD };

/// Buffers for a batch of takes, allocated once.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    /// One per take.
    features: Vec<Features>,
    pub(crate) trunk: trunk::Scratch,
    products: linear::Scratch,
    /// Hidden layer of a head: `[takes, width]`.
    hidden: Vec<f32>,
    /// Outputs of a head: `[takes, outputs]`.
    outputs: Vec<f32>,
}

impl Scratch {
    /// Buffers for batches of up to `takes`.
    pub fn new(takes: usize) -> Self {
        Self {
            features: (0..takes).map(|_| Features::new()).collect(),
            trunk: trunk::Scratch::new(takes, WIDEST_INPUT),
            products: linear::Scratch::new(takes),
            hidden: vec![0.0; takes * WIDEST_HEAD],
            outputs: vec![0.0; takes * Attribute::ALL.map(Attribute::outputs).into_iter().max().unwrap_or(0)],
        }
    }
}

impl Network {
    /// Reads, checks and packs a weights file, in the default precision for its network.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        Self::from_bytes_cancelable(bytes, || true)
    }

    /// Like [`Network::from_bytes`], but checks `keep_going` between small pieces of work, so that a loading thread can
    /// be stopped.
    pub fn from_bytes_cancelable(bytes: &[u8], keep_going: impl Fn() -> bool) -> Result<Self, WeightsError> {
        let weights = Weights::from_bytes_cancelable(bytes, &keep_going)?;
        Self::pack(&weights, Precision::of(&weights), keep_going).ok_or(WeightsError::Canceled)
    }

    /// Packs weights in the given precision.
    pub fn new(weights: &Weights, precision: Precision) -> Self {
        Self::pack(weights, precision, || true).expect("it is wanted")
    }

    /// Packs weights; `None`: `keep_going` returned false.
    fn pack(weights: &Weights, precision: Precision, keep_going: impl Fn() -> bool) -> Option<Self> {
        let bias = |name: String| weights.get(&name).data.clone();
        let dense = |name: &str| {
            Dense::new(weights.get(&format!("{name}.weight")), bias(format!("{name}.bias")), precision.heads())
        };
        let body = match weights.card.kind {
            Kind::Seed => Body::Seed(Box::new(Seed {
                embedding: Sparse::new(weights.get("embedding.weight"), precision),
                hidden: dense("pitch.0"),
                pitch: dense("pitch.2"),
                step: dense("step"),
                duration: dense("duration"),
            })),
            Kind::Antiphon => Body::Antiphon {
                input: Sparse::new(weights.get("input.weight"), precision),
                heads: Attribute::ALL
                    .iter()
                    .map(|a| keep_going().then(|| Head::new(weights, a.name(), precision.heads())))
                    .collect::<Option<_>>()?,
            },
        };
        let trunk = Trunk::new(weights, precision, keep_going)?;
        Some(Self { card: weights.card.clone(), precision, body, trunk, critic: weights.critic(precision) })
    }

    /// The kind of network.
    pub fn kind(&self) -> Kind {
        self.card.kind
    }

    /// Whether the network models the spread of `next`. A chord's first note is its lowest, not its earliest, so it may
    /// have a spread too.
    pub(crate) fn has_spread(&self, next: &Successor, context: &Context) -> bool {
        context.recent.last().is_some() && (next.step == 0.0 || self.card.first_spread)
    }

    /// The model card.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The critic that came with the weights, if any.
    pub fn critic(&self) -> Option<&Critic> {
        self.critic.as_ref()
    }

    /// The initial state: all zeros, nothing fed.
    pub fn zero_state(&self) -> State {
        State { trunk: self.trunk.zero(), context: Context::default(), begins: true }
    }

    /// The precision of the packed weights.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Size of the packed weights in bytes.
    pub fn bytes(&self) -> usize {
        let body = match &self.body {
            Body::Seed(seed) => {
                seed.embedding.bytes()
                    + [&seed.hidden, &seed.pitch, &seed.step, &seed.duration].map(Dense::bytes).iter().sum::<usize>()
            }
            Body::Antiphon { input, heads } => {
                let head = |head: &Head| head.state.bytes() + head.features.bytes() + head.out.bytes();
                input.bytes() + heads.iter().map(head).sum::<usize>()
            }
        };
        body + self.trunk.bytes()
    }

    /// Adds each take's note to its context and writes its first-layer input; see [`Network::prepare_input`].
    pub(crate) fn prepare_inputs(&self, notes: &[Successor], states: &mut [State], scratch: &mut Scratch) {
        let Scratch { features, trunk, .. } = scratch;
        let inputs = trunk.inputs.chunks_exact_mut(self.input_width());
        for ((note, state), input) in notes.iter().zip(states).zip(inputs) {
            self.write_input(Some(note), None, state, &mut features[0], input);
        }
    }

    /// Adds a note to the context (`None`: begin-of-sequence), sets the conditioning inputs at its onset (`None`:
    /// extrapolated from the note before) and writes the first layer's input to `scratch`, from which
    /// [`Network::forward`] continues.
    pub(crate) fn prepare_input(
        &self,
        note: Option<&Successor>,
        conditioning: Option<Conditioning>,
        state: &mut State,
        scratch: &mut Scratch,
    ) {
        let input = &mut scratch.trunk.inputs[..self.input_width()];
        self.write_input(note, conditioning, state, &mut scratch.features[0], input);
    }

    /// One LSTM step of several takes, whose inputs are in `scratch`.
    pub(crate) fn forward(&self, states: &mut [State], scratch: &mut Scratch) {
        self.trunk.step(self.input_width(), states, &mut scratch.trunk);
    }

    /// [`Network::forward`] on a device. On error the states are unchanged.
    pub(crate) fn forward_on(
        &self,
        device: &mut dyn device::TrunkDevice,
        batch: &mut Batch,
        states: &mut [State],
        scratch: &mut Scratch,
    ) -> Result<(), DeviceError> {
        if self.trunk.integers().is_none() {
            return Err(DeviceError::Weights);
        }
        let inputs = self.trunk.round_inputs(self.input_width(), states.len(), &mut scratch.trunk);
        batch.fill(inputs.iter().zip(states.iter_mut().map(|state| &*integers(state))));
        device.step(batch)?;
        for (take, state) in states.iter_mut().enumerate() {
            batch.get(take, integers(state));
        }
        Ok(())
    }

    /// The LSTM layers.
    pub(crate) fn trunk(&self) -> &Trunk {
        &self.trunk
    }

    /// Feeds many notes, bit-identical to one step per note. Allocates.
    pub(crate) fn sequence(
        &self,
        notes: &[Successor],
        conditioning: impl Fn(usize) -> Option<Conditioning>,
        state: &mut State,
    ) {
        let Scratch { mut features, mut trunk, .. } = Scratch::new(notes.len().min(BLOCK));
        let width = self.input_width();
        for (block, notes) in notes.chunks(BLOCK).enumerate() {
            for (index, (note, input)) in notes.iter().zip(trunk.inputs.chunks_exact_mut(width)).enumerate() {
                self.write_input(Some(note), conditioning(block * BLOCK + index), state, &mut features[0], input);
            }
            self.trunk.sequence(width, notes.len(), state, &mut trunk);
        }
    }

    /// Width of the first layer's input.
    pub fn input_width(&self) -> usize {
        match &self.body {
            Body::Seed(_) => SEED_EMBEDDING + 2,
            Body::Antiphon { .. } => EMBEDDING,
        }
    }

    /// Adds a note to the context and writes the first layer's input.
    fn write_input(
        &self,
        note: Option<&Successor>,
        conditioning: Option<Conditioning>,
        state: &mut State,
        features: &mut Features,
        input: &mut [f32],
    ) {
        if let Some(note) = note {
            state.context.feed(note);
        }
        if let Some(conditioning) = conditioning {
            state.context.recent.conditioning = conditioning;
        }
        state.begins = note.is_none();
        input.fill(0.0);
        match &self.body {
            Body::Seed(seed) => {
                let pitch = note.map_or(PITCHES, |n| n.pitch.into());
                seed.embedding.add(&[(pitch as u32, 1.0)], &mut input[..SEED_EMBEDDING]);
                input[SEED_EMBEDDING] = note.map_or(0.0, |n| n.step as f32);
                input[SEED_EMBEDDING + 1] = note.map_or(0.0, |n| n.duration as f32);
            }
            Body::Antiphon { input: embedding, .. } => {
                features::trunk_features(features, note, &state.context);
                embedding.add(features.pairs(), input);
            }
        }
    }

    /// The seed's point estimates of the next step and duration, in seconds, as the heads output them. `None` for other
    /// networks.
    pub(crate) fn point_estimates(&self, state: &State, scratch: &mut Scratch) -> Option<[f64; 2]> {
        let Body::Seed(seed) = &self.body else { return None };
        let Scratch { trunk, products, .. } = scratch;
        let last = self.trunk.outputs(slice::from_ref(state), trunk);
        let mut out = [0.0; 2];
        seed.step.apply_to(last, products, &mut out[..1]);
        seed.duration.apply_to(last, products, &mut out[1..]);
        Some(out.map(f64::from))
    }

    /// Logits of one attribute of the next note, given the attributes already drawn in `so_far`. `antiphon`: pitches
    /// not above the chord's last one are `-inf`. The seed only has pitches, with begin-of-sequence as class 128.
    pub(crate) fn logits<'a>(
        &self,
        attribute: Attribute,
        so_far: &Successor,
        state: &State,
        scratch: &'a mut Scratch,
    ) -> &'a mut [f32] {
        self.logits_all(attribute, slice::from_ref(so_far), slice::from_ref(state), scratch)
    }

    /// [`Network::logits`] of several takes in one pass over the weights: `[takes, classes]`.
    pub(crate) fn logits_all<'a>(
        &self,
        attribute: Attribute,
        so_far: &[Successor],
        states: &[State],
        scratch: &'a mut Scratch,
    ) -> &'a mut [f32] {
        let Scratch { features, trunk, products, hidden, outputs } = scratch;
        let takes = states.len();
        let last = self.trunk.outputs(states, trunk);
        match &self.body {
            Body::Seed(seed) => {
                debug_assert_eq!(attribute, Attribute::Pitch);
                let hidden = &mut hidden[..takes * SEED_HEAD];
                seed.hidden.apply_to(last, products, hidden);
                relu(hidden);
                let outputs = &mut outputs[..takes * (PITCHES + 1)];
                seed.pitch.apply(hidden, products, outputs);
                outputs
            }
            Body::Antiphon { heads, .. } => {
                let head = &heads[attribute as usize];
                let hidden = &mut hidden[..takes * HEAD];
                head.state.apply_to(last, products, hidden);
                let each = so_far.iter().zip(states).zip(&mut *features);
                for (((next, state), features), hidden) in each.zip(hidden.chunks_exact_mut(HEAD)) {
                    head_features(attribute, features, &state.context, next);
                    head.features.add(features.pairs(), hidden);
                }
                relu(hidden);
                let (all, classes) = (attribute.outputs(), attribute.classes());
                let outputs = &mut outputs[..takes * all];
                head.out.apply(hidden, products, outputs);
                let each = so_far.iter().zip(states).zip(&*features);
                for (((next, state), features), outputs) in each.zip(outputs.chunks_exact_mut(all)) {
                    for &(class, output) in features.links() {
                        outputs[class as usize] += outputs[output as usize];
                    }
                    if attribute == Attribute::Pitch {
                        // Pitches inside a chord ascend.
                        outputs[..usize::from(state.context.floor(next.step))].fill(f32::NEG_INFINITY);
                    }
                }
                for take in 1..takes {
                    outputs.copy_within(take * all..take * all + classes, take * classes);
                }
                &mut outputs[..takes * classes]
            }
        }
    }
}

/// Builds the input features of an attribute's head.
fn head_features(attribute: Attribute, out: &mut Features, context: &Context, next: &Successor) {
    match attribute {
        Attribute::Step => features::step_features(out, context),
        Attribute::Pitch => features::pitch_features(out, context, next.step),
        Attribute::Duration => features::duration_features(out, context, next.step, next.pitch),
        Attribute::Velocity => features::velocity_features(out, context, next.step, next.pitch, next.duration),
        Attribute::Spread => features::spread_features(out, context, next.step, next.pitch, next.velocity),
    }
}

impl Head {
    fn new(weights: &Weights, name: &str, precision: Precision) -> Self {
        let get = |part: &str| weights.get(&format!("{name}.{part}"));
        Self {
            state: Dense::new(get("state.weight"), get("hidden.bias").data.clone(), precision),
            features: Sparse::new(get("features.weight"), precision),
            out: Dense::new(get("out.weight"), get("out.bias").data.clone(), precision),
        }
    }
}

fn relu(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}
