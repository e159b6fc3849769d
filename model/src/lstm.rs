//! One step of one LSTM layer on the live path. The layer for training, with its backward pass, is
//! `train::lstm`.

use crate::{
    activation::{sigmoid, tanh},
    linear::{Dense, Precision, Quantised},
    shapes::HIDDEN,
    simd::widest,
    weights::Weights,
};

/// Hidden and cell state of one layer: `[HIDDEN]` each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Memory {
    pub h: Vec<f32>,
    pub c: Vec<f32>,
}

impl Memory {
    pub fn zero() -> Self {
        Self { h: vec![0.0; HIDDEN], c: vec![0.0; HIDDEN] }
    }

    pub fn copy_from(&mut self, other: &Self) {
        self.h.copy_from_slice(&other.h);
        self.c.copy_from_slice(&other.c);
    }
}

/// Weights of one layer: `[4 HIDDEN, input + HIDDEN]`, the two biases of PyTorch's added up.
#[derive(Debug)]
pub(crate) struct Layer {
    gates: Dense,
}

impl Layer {
    pub fn new(weights: &Weights, layer: usize, precision: Precision) -> Self {
        let get = |name: &str| weights.get(&format!("lstm.{name}_l{layer}"));
        let bias = get("bias_ih").data.iter().zip(&get("bias_hh").data).map(|(a, b)| a + b).collect();
        Self { gates: Dense::beside(&[get("weight_ih"), get("weight_hh")], bias, precision) }
    }

    /// `input`: `[input]`; `joined`, `quantised` and `gates` are scratch: at least `[input + HIDDEN]`, `[4 HIDDEN]`.
    pub fn step(
        &self,
        input: &[f32],
        memory: &mut Memory,
        joined: &mut [f32],
        quantised: &mut Quantised,
        gates: &mut [f32],
    ) {
        let joined = &mut joined[..input.len() + HIDDEN];
        joined[..input.len()].copy_from_slice(input);
        joined[input.len()..].copy_from_slice(&memory.h);
        self.gates.apply(joined, quantised, gates);
        cell(gates, &mut memory.c, &mut memory.h);
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
