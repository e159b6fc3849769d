//! Benchmark of the seed network on candle-nn's own LSTM, one note at a time, in f32 on one thread: a reference for
//! `cargo xtask bench`. Prints CPU times and allocations as JSON.
//!
//!     RAYON_NUM_THREADS=1 cargo run --release -p model --features train --example candle_step

mod common;

use candle_core::{DType, Device, Tensor};
use candle_nn::{
    Linear, Module, RNN, VarBuilder, VarMap, linear, linear_no_bias,
    rnn::{LSTM, LSTMConfig, LSTMState, lstm},
};
use common::{measure, report};

/// Measured steps, and warm-up steps before them.
const STEPS: usize = 400;
const WARM_UP: usize = 50;

struct Seed {
    embedding: Linear,
    layers: Vec<LSTM>,
    pitch: [Linear; 2],
    timing: [Linear; 2],
}

impl Seed {
    fn new(vb: &VarBuilder) -> candle_core::Result<Self> {
        Ok(Self {
            embedding: linear_no_bias(129, 130, vb.pp("embedding"))?,
            layers: (0..3)
                .map(|n| lstm(if n == 0 { 132 } else { 512 }, 512, LSTMConfig::default(), vb.pp(format!("lstm{n}"))))
                .collect::<Result<_, _>>()?,
            pitch: [linear(512, 300, vb.pp("p0"))?, linear(300, 129, vb.pp("p1"))?],
            timing: [linear(512, 1, vb.pp("step"))?, linear(512, 1, vb.pp("duration"))?],
        })
    }

    fn step(&self, pitch: &Tensor, timing: &Tensor, states: &mut [LSTMState]) -> candle_core::Result<[Tensor; 3]> {
        let mut x = Tensor::cat(&[&self.embedding.forward(pitch)?, timing], 1)?;
        for (layer, state) in self.layers.iter().zip(states) {
            *state = layer.step(&x, state)?;
            x = state.h().clone();
        }
        let hidden = self.pitch[0].forward(&x)?.relu()?;
        Ok([self.pitch[1].forward(&hidden)?, self.timing[0].forward(&x)?, self.timing[1].forward(&x)?])
    }
}

fn main() -> candle_core::Result<()> {
    // Plain tensors instead of variables: a state that depends on a variable keeps a growing graph.
    let random = VarMap::new();
    Seed::new(&VarBuilder::from_varmap(&random, DType::F32, &Device::Cpu))?;
    let plain =
        random.data().lock().unwrap().iter().map(|(name, var)| (name.clone(), var.as_detached_tensor())).collect();
    let seed = Seed::new(&VarBuilder::from_tensors(plain, DType::F32, &Device::Cpu))?;

    let mut one_hot = [0.0f32; 129];
    one_hot[60] = 1.0;
    let pitch = Tensor::new(&one_hot, &Device::Cpu)?.unsqueeze(0)?;
    let timing = Tensor::new(&[[0.1f32, 0.3]], &Device::Cpu)?;
    let mut states = seed.layers.iter().map(|layer| layer.zero_state(1)).collect::<Result<Vec<_>, _>>()?;
    let costs = measure(WARM_UP, STEPS, |_| {
        seed.step(&pitch, &timing, &mut states).expect("shapes fit");
    });
    report("candle_lstm_f32", 1, &costs);
    Ok(())
}
