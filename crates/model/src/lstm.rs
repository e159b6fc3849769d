//! One float LSTM layer, one step at a time, for inference. The layer for training, with its backward pass, is
//! `train::lstm`.

use crate::{
    activation::{sigmoid, tanh},
    linear::{Dense, Precision, Scratch},
    simd::widest,
    weights::Weights,
};

/// Weights of one layer. Pre-activations are `W_ih x + (b_ih + b_hh)`, then `+ W_hh h`: in this order, so that the
/// first part can be computed for many notes beforehand with the same bits.
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

    /// Input projection, with bias, of several notes or takes. `inputs`: `[n, input]`, `gates`: `[n, 4 HIDDEN]`.
    pub fn project_input(&self, inputs: &[f32], scratch: &mut Scratch, gates: &mut [f32]) {
        self.input.apply(inputs, scratch, gates);
    }

    /// Adds the recurrent projection of several takes; [`cell`] does the rest. `states`: `[n, HIDDEN]`, `gates`:
    /// `[n, 4 HIDDEN]`.
    pub fn project_recurrent(&self, states: &[f32], scratch: &mut Scratch, gates: &mut [f32]) {
        self.recurrent.add(states, scratch, gates);
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.input.bytes() + self.recurrent.bytes()
    }
}

widest! {
    /// The cell update of one step, in inference and training. `gates`: pre-activations of i, f, g, o, replaced by
    /// their activations; `c`, `h`: `[hidden]`, replaced by the new state.
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
