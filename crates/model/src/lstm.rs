//! One step of one LSTM layer on the live path. The layer for training, with its backward pass, is
//! `train::lstm`.

use crate::{
    activation::{sigmoid, tanh},
    linear::{Dense, Precision, Scratch},
    simd::widest,
    weights::Weights,
};

/// Weights of one layer. Pre-activations are `W_ih x + (b_ih + b_hh)`, then `+ W_hh h`: in this order, so that
/// the first part can be worked out for many notes beforehand and gives the same bits.
#[derive(Debug)]
pub(crate) struct Layer {
    /// `[4 HIDDEN, input]`, with the sum of PyTorch's two biases.
    pub input: Dense,
    /// `[4 HIDDEN, HIDDEN]`
    pub recurrent: Dense,
}

impl Layer {
    pub fn new(weights: &Weights, layer: usize, precision: Precision) -> Self {
        let get = |name: &str| weights.get(&format!("lstm.{name}_l{layer}"));
        let bias = get("bias_ih").data.iter().zip(&get("bias_hh").data).map(|(a, b)| a + b).collect();
        Self {
            input: Dense::new(get("weight_ih"), bias, precision),
            recurrent: Dense::new(get("weight_hh"), Vec::new(), precision),
        }
    }

    /// What the inputs of some notes or takes make of the pre-activations. `inputs`: `[n, input]`, `gates`:
    /// `[n, 4 HIDDEN]`.
    pub fn listen(&self, inputs: &[f32], scratch: &mut Scratch, gates: &mut [f32]) {
        self.input.apply(inputs, scratch, gates);
    }

    /// Adds what the states of some takes add to their pre-activations; [`cell`] does the rest. `states`:
    /// `[n, HIDDEN]`, `gates`: `[n, 4 HIDDEN]`.
    pub fn remember(&self, states: &[f32], scratch: &mut Scratch, gates: &mut [f32]) {
        self.recurrent.add(states, scratch, gates);
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.input.bytes() + self.recurrent.bytes()
    }
}

widest! {
    /// The cell of one step, live and in training. `gates`: pre-activations of i, f, g, o, replaced by their activations;
    /// `c`, `h`: `[hidden]`, replaced by the new state.
    pub(crate) fn cell(gates: &mut [f32], c: &mut [f32], h: &mut [f32]) {
        let hidden = c.len();
        let (i, rest) = gates.split_at_mut(hidden);
        let (f, rest) = rest.split_at_mut(hidden);
        let (g, o) = rest.split_at_mut(hidden);
        for ((((i, f), g), o), (c, h)) in i.iter_mut().zip(f).zip(g).zip(o).zip(c.iter_mut().zip(h)) {
            *i = sigmoid(*i);
            *f = sigmoid(*f);
            *g = tanh(*g);
            *o = sigmoid(*o);
            *c = *f * *c + *i * *g;
            *h = *o * tanh(*c);
        }
    }
}
