//! The networks as the live path runs them: one note at a time, everything packed on loading, no
//! allocation per note. Several takes may run side by side, and a phrase of many notes may be heard at
//! once, at less than the price of one by one and with the same bits. The reference for training is
//! `train::network`, which shares features, shapes and names with this.

use std::slice;

use notes::Successor;

use crate::{
    context::Context,
    critic::Critic,
    encoding::PITCHES,
    features::{self, Features},
    linear::{self, Dense, Precision, Sparse},
    lstm::{Layer, Memory, cell},
    shapes::{Attribute, EMBEDDING, HEAD, HIDDEN, Kind, LAYERS, SEED_EMBEDDING, SEED_HEAD},
    told::Moment,
    weights::{Card, Weights, WeightsError},
};

/// A network ready to run: immutable, shared between threads and instances.
#[derive(Debug)]
pub struct Network {
    card: Card,
    precision: Precision,
    body: Body,
    layers: Vec<Layer>,
    critic: Option<Critic>,
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

/// Notes of a phrase that are heard at once: their inputs share one pass over the weights, and the weights
/// of a layer stay in the cache meanwhile.
const BLOCK: usize = 32;
/// Width of the first layer's input, at most.
const WIDEST_INPUT: usize = if EMBEDDING > SEED_EMBEDDING + 2 { EMBEDDING } else { SEED_EMBEDDING + 2 };
/// Width of any layer's input, at most.
const WIDEST: usize = if WIDEST_INPUT > HIDDEN { WIDEST_INPUT } else { HIDDEN };
/// Width of a head's hidden layer, at most.
const WIDEST_HEAD: usize = if HEAD > SEED_HEAD { HEAD } else { SEED_HEAD };

/// Buffers of one pass over so many takes, made once per thread.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    /// Of each take.
    features: Vec<Features>,
    /// Inputs of a layer: `[takes, width]`.
    inputs: Vec<f32>,
    /// `[takes, 4 HIDDEN]`
    gates: Vec<f32>,
    /// One layer's hidden state: `[takes, HIDDEN]`.
    states: Vec<f32>,
    products: linear::Scratch,
    /// Hidden layer of a head: `[takes, width]`.
    hidden: Vec<f32>,
    /// Of a head: `[takes, outputs]`.
    outputs: Vec<f32>,
}

impl Scratch {
    /// For up to `takes` side by side.
    pub fn new(takes: usize) -> Self {
        Self {
            features: (0..takes).map(|_| Features::new()).collect(),
            inputs: vec![0.0; takes * WIDEST],
            gates: vec![0.0; takes * 4 * HIDDEN],
            states: vec![0.0; takes * HIDDEN],
            products: linear::Scratch::new(takes),
            hidden: vec![0.0; takes * WIDEST_HEAD],
            outputs: vec![0.0; takes * Attribute::ALL.map(Attribute::outputs).into_iter().max().unwrap_or(0)],
        }
    }

    /// The first layer's input of the first take.
    pub fn input_mut(&mut self, width: usize) -> &mut [f32] {
        &mut self.inputs[..width]
    }

    /// The output of the last layer of each take: `[takes, HIDDEN]`.
    fn gather(&mut self, states: &[State]) {
        for (out, state) in self.states.chunks_exact_mut(HIDDEN).zip(states) {
            out.copy_from_slice(state.output());
        }
    }
}

impl Network {
    /// Reads, checks and packs a weights file in the precision its network is played in.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        Self::from_bytes_while(bytes, || true)
    }

    /// The same in small pieces, as long as it is `wanted`: a thread that loads can be asked to stop.
    pub fn from_bytes_while(bytes: &[u8], wanted: impl Fn() -> bool) -> Result<Self, WeightsError> {
        let weights = Weights::from_bytes_while(bytes, &wanted)?;
        Self::pack(&weights, Precision::of(&weights), wanted).ok_or(WeightsError::GivenUp)
    }

    /// Packs weights for running.
    pub fn new(weights: &Weights, precision: Precision) -> Self {
        Self::pack(weights, precision, || true).expect("it is wanted")
    }

    /// `None`: it was not `wanted` any more.
    fn pack(weights: &Weights, precision: Precision, wanted: impl Fn() -> bool) -> Option<Self> {
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
                    .map(|a| wanted().then(|| Head::new(weights, a.name(), precision.heads())))
                    .collect::<Option<_>>()?,
            },
        };
        let layer = |layer| wanted().then(|| Layer::new(weights, layer, precision));
        let layers = (0..LAYERS).map(layer).collect::<Option<_>>()?;
        Some(Self { card: weights.card.clone(), precision, body, layers, critic: weights.critic() })
    }

    /// Which network this is.
    pub fn kind(&self) -> Kind {
        self.card.kind
    }

    /// What its file says of itself.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// What tells its playing from music, if that came with its weights.
    pub fn critic(&self) -> Option<&Critic> {
        self.critic.as_ref()
    }

    /// The state before anything was heard: zero.
    pub fn zero_state(&self) -> State {
        State::zero()
    }

    /// What its weights are held in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes of weights in memory.
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
        body + self.layers.iter().map(Layer::bytes).sum::<usize>()
    }

    /// One step of the trunk: hears a note, or begin-of-sequence (`None`), and is told what is known at its
    /// onset; `None`: what follows from the note before.
    pub(crate) fn step(
        &self,
        note: Option<&Successor>,
        moment: Option<Moment>,
        state: &mut State,
        scratch: &mut Scratch,
    ) {
        self.listen(note, moment, state, scratch);
        self.think(slice::from_mut(state), scratch);
    }

    /// One step of each of several takes, in one pass over the weights.
    pub(crate) fn step_all<'a>(
        &self,
        notes: impl IntoIterator<Item = Option<&'a Successor>>,
        states: &mut [State],
        scratch: &mut Scratch,
    ) {
        let Scratch { features, inputs, .. } = scratch;
        let inputs = inputs.chunks_exact_mut(self.input_width());
        for ((note, state), input) in notes.into_iter().zip(&mut *states).zip(inputs) {
            self.hear(note, None, state, &mut features[0], input);
        }
        self.think(states, scratch);
    }

    /// Takes a note into the context and hands out the first layer's input: what [`Network::think`] goes on from.
    pub(crate) fn listen<'a>(
        &self,
        note: Option<&Successor>,
        moment: Option<Moment>,
        state: &mut State,
        scratch: &'a mut Scratch,
    ) -> &'a [f32] {
        let input = &mut scratch.inputs[..self.input_width()];
        self.hear(note, moment, state, &mut scratch.features[0], input);
        input
    }

    /// The layers' step of several takes, whose inputs stand in `scratch`.
    pub(crate) fn think(&self, states: &mut [State], scratch: &mut Scratch) {
        let Scratch { inputs, gates, states: hidden, products, .. } = scratch;
        let takes = states.len();
        let mut width = self.input_width();
        let (gates, hidden) = (&mut gates[..takes * 4 * HIDDEN], &mut hidden[..takes * HIDDEN]);
        for (n, layer) in self.layers.iter().enumerate() {
            layer.listen(&inputs[..takes * width], products, gates);
            for (hidden, state) in hidden.chunks_exact_mut(HIDDEN).zip(&*states) {
                hidden.copy_from_slice(&state.layers[n].h);
            }
            layer.remember(hidden, products, gates);
            width = HIDDEN;
            let takes = gates.chunks_exact_mut(4 * HIDDEN).zip(&mut *states).zip(inputs.chunks_exact_mut(width));
            for ((gates, state), input) in takes {
                let Memory { c, h } = &mut state.layers[n];
                cell(gates, c, h);
                input.copy_from_slice(h);
            }
        }
    }

    /// Hears many notes: the same as so many steps, to the bit. Allocates.
    pub(crate) fn sequence(&self, notes: &[Successor], moment: impl Fn(usize) -> Option<Moment>, state: &mut State) {
        let Scratch { mut features, mut inputs, mut gates, mut products, .. } = Scratch::new(notes.len().min(BLOCK));
        for (block, notes) in notes.chunks(BLOCK).enumerate() {
            let mut width = self.input_width();
            for (index, (note, input)) in notes.iter().zip(inputs.chunks_exact_mut(width)).enumerate() {
                self.hear(Some(note), moment(block * BLOCK + index), state, &mut features[0], input);
            }
            let gates = &mut gates[..notes.len() * 4 * HIDDEN];
            for (layer, Memory { c, h }) in self.layers.iter().zip(&mut state.layers) {
                layer.listen(&inputs[..notes.len() * width], &mut products, gates);
                width = HIDDEN;
                for (gates, output) in gates.chunks_exact_mut(4 * HIDDEN).zip(inputs.chunks_exact_mut(width)) {
                    layer.remember(h, &mut products, gates);
                    cell(gates, c, h);
                    output.copy_from_slice(h);
                }
            }
        }
    }

    /// The trunk.
    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Width of the first layer's input.
    pub fn input_width(&self) -> usize {
        match &self.body {
            Body::Seed(_) => SEED_EMBEDDING + 2,
            Body::Antiphon { .. } => EMBEDDING,
        }
    }

    /// Takes a note into the context and writes the first layer's input.
    fn hear(
        &self,
        note: Option<&Successor>,
        moment: Option<Moment>,
        state: &mut State,
        features: &mut Features,
        input: &mut [f32],
    ) {
        if let Some(note) = note {
            state.context.feed(note);
        }
        if let Some(moment) = moment {
            state.context.lately.moment = moment;
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
                features::heard(features, note, &state.context);
                embedding.add(features.pairs(), input);
            }
        }
    }

    /// The seed's step and duration for the next note, in seconds, as they come out of the heads.
    /// `None` for other networks.
    pub(crate) fn point_estimates(&self, state: &State, scratch: &mut Scratch) -> Option<[f64; 2]> {
        let Body::Seed(seed) = &self.body else { return None };
        let mut out = [0.0; 2];
        seed.step.apply(state.output(), &mut scratch.products, &mut out[..1]);
        seed.duration.apply(state.output(), &mut scratch.products, &mut out[1..]);
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
        scratch.gather(states);
        let Scratch { features, states: last, products, hidden, outputs, .. } = scratch;
        let takes = states.len();
        let last = &last[..takes * HIDDEN];
        match &self.body {
            Body::Seed(seed) => {
                debug_assert_eq!(attribute, Attribute::Pitch);
                let hidden = &mut hidden[..takes * SEED_HEAD];
                seed.hidden.apply(last, products, hidden);
                relu(hidden);
                let outputs = &mut outputs[..takes * (PITCHES + 1)];
                seed.pitch.apply(hidden, products, outputs);
                outputs
            }
            Body::Antiphon { heads, .. } => {
                let head = &heads[attribute as usize];
                let hidden = &mut hidden[..takes * HEAD];
                head.state.apply(last, products, hidden);
                let each = so_far.iter().zip(states).zip(&mut *features);
                for (((next, state), features), hidden) in each.zip(hidden.chunks_exact_mut(HEAD)) {
                    before(attribute, features, &state.context, next);
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
                        // Inside a chord pitches ascend.
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

/// What the head of an attribute is told.
fn before(attribute: Attribute, out: &mut Features, context: &Context, next: &Successor) {
    match attribute {
        Attribute::Step => features::before_step(out, context),
        Attribute::Pitch => features::before_pitch(out, context, next.step),
        Attribute::Duration => features::before_duration(out, context, next.step, next.pitch),
        Attribute::Velocity => features::before_velocity(out, context, next.step, next.pitch, next.duration),
        Attribute::Spread => features::before_spread(out, context, next.pitch, next.velocity),
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
