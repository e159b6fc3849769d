//! The three LSTM layers for inference and their state: in integers, which is how the shipped weights run, or in
//! floats.

use crate::{
    fixed, linear,
    linear::Precision,
    lstm,
    network::State,
    quantize::Quantized,
    shapes::{HIDDEN, LAYERS},
    weights::Weights,
};

/// Hidden and cell states of all layers: `[LAYERS, HIDDEN]` each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct States<H, C> {
    pub h: Vec<H>,
    pub c: Vec<C>,
}

impl<H: Copy + Default, C: Copy + Default> States<H, C> {
    fn zero() -> Self {
        Self { h: vec![H::default(); LAYERS * HIDDEN], c: vec![C::default(); LAYERS * HIDDEN] }
    }

    fn copy_from(&mut self, other: &Self) {
        self.h.copy_from_slice(&other.h);
        self.c.copy_from_slice(&other.c);
    }

    /// A layer's cell state and hidden state.
    fn layer(&mut self, layer: usize) -> (&mut [C], &mut [H]) {
        let place = layer * HIDDEN..(layer + 1) * HIDDEN;
        (&mut self.c[place.clone()], &mut self.h[place])
    }

    /// The last layer's hidden state.
    fn output(&self) -> &[H] {
        &self.h[(LAYERS - 1) * HIDDEN..]
    }
}

/// Hidden and cell states of a trunk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TrunkState {
    Floats(States<f32, f32>),
    /// Fixed-point, see `fixed`.
    Integers(States<i16, i32>),
}

impl TrunkState {
    /// Copies the states of the same network without allocating.
    pub fn copy_from(&mut self, other: &Self) {
        match (self, other) {
            (Self::Floats(mine), Self::Floats(theirs)) => mine.copy_from(theirs),
            (Self::Integers(mine), Self::Integers(theirs)) => mine.copy_from(theirs),
            (mine, theirs) => *mine = theirs.clone(),
        }
    }
}

/// The LSTM layers.
#[derive(Debug)]
pub(crate) enum Trunk {
    Floats(Vec<lstm::Layer>),
    Integers(Vec<fixed::Layer>),
}

/// Buffers for a batch of takes, or for a block of notes of one take.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    /// Inputs of a layer: `[takes, width]`.
    pub inputs: Vec<f32>,
    /// Outputs of the last layer, for the heads: `[takes, HIDDEN]`.
    outputs: Vec<f32>,
    gates: Vec<f32>,
    products: linear::Scratch,
    /// The integer counterparts of the above.
    integer_inputs: Vec<Quantized>,
    integer_states: Vec<Quantized>,
    integer_gates: Vec<i32>,
}

impl Scratch {
    /// Buffers for up to `takes`; `width`: of the widest input.
    pub fn new(takes: usize, width: usize) -> Self {
        let integers = || vec![Quantized::new(); takes];
        Self {
            inputs: vec![0.0; takes * width.max(HIDDEN)],
            outputs: vec![0.0; takes * HIDDEN],
            gates: vec![0.0; takes * 4 * HIDDEN],
            products: linear::Scratch::new(takes),
            integer_inputs: integers(),
            integer_states: integers(),
            integer_gates: vec![0; takes * 4 * HIDDEN],
        }
    }

    /// The buffer for a take's quantized input.
    pub fn integer_input(&mut self, take: usize) -> &mut Quantized {
        &mut self.integer_inputs[take]
    }
}

/// Hidden states of the last layer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outputs<'a> {
    /// `[takes, HIDDEN]`
    Floats(&'a [f32]),
    /// One per take.
    Integers(&'a [Quantized]),
}

impl Trunk {
    /// Packs the layers; `None`: `keep_going` returned false.
    pub fn new(weights: &Weights, precision: Precision, keep_going: impl Fn() -> bool) -> Option<Self> {
        let layers = (0..LAYERS).map(|layer| keep_going().then_some(layer));
        match precision {
            Precision::F32 | Precision::F16 => layers
                .map(|layer| Some(lstm::Layer::new(weights, layer?, precision)))
                .collect::<Option<_>>()
                .map(Self::Floats),
            Precision::Int8 | Precision::Int4 => layers
                .map(|layer| Some(fixed::Layer::new(weights, layer?, precision == Precision::Int4)))
                .collect::<Option<_>>()
                .map(Self::Integers),
        }
    }

    /// The initial state: zeros.
    pub fn zero(&self) -> TrunkState {
        match self {
            Self::Floats(_) => TrunkState::Floats(States::zero()),
            Self::Integers(_) => TrunkState::Integers(States::zero()),
        }
    }

    /// The layers, if they are integer layers.
    pub fn integers(&self) -> Option<&[fixed::Layer]> {
        let Self::Integers(layers) = self else { return None };
        Some(layers)
    }

    /// Size of the weights in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Floats(layers) => layers.iter().map(lstm::Layer::bytes).sum(),
            Self::Integers(layers) => layers.iter().map(fixed::Layer::bytes).sum(),
        }
    }

    /// One step of several takes, whose inputs, `width` each, are in `scratch`.
    pub fn step(&self, width: usize, states: &mut [State], scratch: &mut Scratch) {
        let takes = states.len();
        let mut width = width;
        match self {
            Self::Floats(layers) => {
                let Scratch { inputs, outputs, gates, products, .. } = scratch;
                let (gates, hidden) = (&mut gates[..takes * 4 * HIDDEN], &mut outputs[..takes * HIDDEN]);
                for (n, layer) in layers.iter().enumerate() {
                    layer.project_input(&inputs[..takes * width], products, gates);
                    for (hidden, state) in hidden.chunks_exact_mut(HIDDEN).zip(&mut *states) {
                        hidden.copy_from_slice(floats(state).layer(n).1);
                    }
                    layer.project_recurrent(hidden, products, gates);
                    width = HIDDEN;
                    let takes =
                        gates.chunks_exact_mut(4 * HIDDEN).zip(&mut *states).zip(inputs.chunks_exact_mut(width));
                    for ((gates, state), input) in takes {
                        let (c, h) = floats(state).layer(n);
                        lstm::cell(gates, c, h);
                        input.copy_from_slice(h);
                    }
                }
            }
            Self::Integers(_) => {
                self.round_inputs(width, takes, scratch);
                self.step_integers(states, scratch);
            }
        }
    }

    /// Quantizes the first layer's inputs of `takes` takes, for a trunk in integers, and returns them.
    pub fn round_inputs<'a>(&self, width: usize, takes: usize, scratch: &'a mut Scratch) -> &'a [Quantized] {
        let Self::Integers(layers) = self else { unreachable!("a trunk of floats") };
        let xs = &mut scratch.integer_inputs[..takes];
        for (x, input) in xs.iter_mut().zip(scratch.inputs.chunks_exact(width)) {
            x.set_input(input, layers[0].exponent);
        }
        xs
    }

    /// One step of several takes, whose quantized inputs are in `scratch`.
    pub fn step_integers(&self, states: &mut [State], scratch: &mut Scratch) {
        let Self::Integers(layers) = self else { unreachable!("a trunk of floats") };
        let Scratch { integer_inputs, integer_states, integer_gates, .. } = scratch;
        let takes = states.len();
        let gates = &mut integer_gates[..takes * 4 * HIDDEN];
        let (xs, hs) = (&mut integer_inputs[..takes], &mut integer_states[..takes]);
        for (n, layer) in layers.iter().enumerate() {
            layer.project_input(xs, gates);
            for (h, state) in hs.iter_mut().zip(&mut *states) {
                h.set_state(integers(state).layer(n).1);
            }
            layer.project_recurrent(hs, gates);
            for ((gates, state), x) in gates.chunks_exact(4 * HIDDEN).zip(&mut *states).zip(&mut *xs) {
                let (c, h) = integers(state).layer(n);
                fixed::cell(gates, c, h);
                x.set_state(h);
            }
        }
    }

    /// Many steps of one take, bit-identical to one step at a time, in one pass over the input weights.
    pub fn sequence(&self, width: usize, notes: usize, state: &mut State, scratch: &mut Scratch) {
        let mut width = width;
        match self {
            Self::Floats(layers) => {
                let Scratch { inputs, gates, products, .. } = scratch;
                let gates = &mut gates[..notes * 4 * HIDDEN];
                for (n, layer) in layers.iter().enumerate() {
                    layer.project_input(&inputs[..notes * width], products, gates);
                    width = HIDDEN;
                    for (gates, output) in gates.chunks_exact_mut(4 * HIDDEN).zip(inputs.chunks_exact_mut(width)) {
                        let (c, h) = floats(state).layer(n);
                        layer.project_recurrent(h, products, gates);
                        lstm::cell(gates, c, h);
                        output.copy_from_slice(h);
                    }
                }
            }
            Self::Integers(layers) => {
                self.round_inputs(width, notes, scratch);
                let Scratch { integer_inputs, integer_states, integer_gates, .. } = scratch;
                let (gates, xs) = (&mut integer_gates[..notes * 4 * HIDDEN], &mut integer_inputs[..notes]);
                for (n, layer) in layers.iter().enumerate() {
                    layer.project_input(xs, gates);
                    for (gates, x) in gates.chunks_exact_mut(4 * HIDDEN).zip(&mut *xs) {
                        let (c, h) = integers(state).layer(n);
                        integer_states[0].set_state(h);
                        layer.project_recurrent(&integer_states[..1], gates);
                        fixed::cell(gates, c, h);
                        x.set_state(h);
                    }
                }
            }
        }
    }

    /// The last layer's hidden states of each take.
    pub fn outputs<'a>(&self, states: &[State], scratch: &'a mut Scratch) -> Outputs<'a> {
        let Scratch { outputs, integer_states, .. } = scratch;
        for (n, state) in states.iter().enumerate() {
            match &state.trunk {
                TrunkState::Floats(states) => outputs[n * HIDDEN..][..HIDDEN].copy_from_slice(states.output()),
                TrunkState::Integers(states) => integer_states[n].set_state(states.output()),
            }
        }
        match self {
            Self::Floats(_) => Outputs::Floats(&outputs[..states.len() * HIDDEN]),
            Self::Integers(_) => Outputs::Integers(&integer_states[..states.len()]),
        }
    }
}

fn floats(state: &mut State) -> &mut States<f32, f32> {
    let TrunkState::Floats(states) = &mut state.trunk else { unreachable!("a state of another network") };
    states
}

/// A take's integer states.
pub(crate) fn integers(state: &mut State) -> &mut States<i16, i32> {
    let TrunkState::Integers(states) = &mut state.trunk else { unreachable!("a state of another network") };
    states
}
