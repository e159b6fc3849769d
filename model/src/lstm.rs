//! One step of one LSTM layer on the live path. The layer for training, with its backward pass, is
//! `train::lstm`.

use crate::{
    activation::{sigmoid, tanh},
    linear::Dense,
    shapes::HIDDEN,
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
    pub fn new(weights: &Weights, layer: usize) -> Self {
        let get = |name: &str| weights.get(&format!("lstm.{name}_l{layer}"));
        let bias = get("bias_ih").data.iter().zip(&get("bias_hh").data).map(|(a, b)| a + b).collect();
        Self { gates: Dense::beside(get("weight_ih"), get("weight_hh"), bias) }
    }

    /// `input`: `[input]`; `joined` and `gates` are scratch: at least `[input + HIDDEN]`, `[4 HIDDEN]`.
    pub fn step(&self, input: &[f32], memory: &mut Memory, joined: &mut [f32], gates: &mut [f32]) {
        let joined = &mut joined[..input.len() + HIDDEN];
        joined[..input.len()].copy_from_slice(input);
        joined[input.len()..].copy_from_slice(&memory.h);
        self.gates.apply(joined, gates);
        let (i, rest) = gates.split_at(HIDDEN);
        let (f, rest) = rest.split_at(HIDDEN);
        let (g, o) = rest.split_at(HIDDEN);
        for n in 0..HIDDEN {
            let c = sigmoid(f[n]) * memory.c[n] + sigmoid(i[n]) * tanh(g[n]);
            memory.c[n] = c;
            memory.h[n] = sigmoid(o[n]) * tanh(c);
        }
    }
}
