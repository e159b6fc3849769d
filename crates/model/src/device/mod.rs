//! The trunk of the network on something else than the processor's own cores: a graphics processor.
//!
//! Only the three LSTM layers go there, nine tenths of a step. The heads stay: each waits for what was drawn from the
//! one before it, so on a device each would cost a journey there and back, which is more than its work
//! does here. A step takes one journey: the input and the state go over, the new state comes back. So the
//! state is always here, a snapshot is a snapshot, and a device that fails takes nothing with it.
//!
//! A device gives the CPU's bits (`lstm.cu` says how), so where a take is played decides how fast its notes
//! come, never which. That holds for weights of 4 and 8 bits; others stay on the CPU.

#[cfg(feature = "device-cuda")]
mod cuda;
#[cfg(all(feature = "device-metal", target_os = "macos"))]
mod metal;
mod survey;

use std::fmt;
use std::sync::Arc;

use crate::{
    fnv::{BASIS, fnv1a},
    lstm::Memory,
    network::{Network, Scratch, State},
    shapes::{HIDDEN, LAYERS},
};

pub use survey::{Found, Survey};

/// The kernel: CUDA, Metal and C in one.
pub const SOURCE: &str = include_str!("lstm.cu");
/// Groups of threads in one launch of the kernel, and threads in a group.
pub const LAUNCH: [usize; 2] = [HIDDEN / 4, 256];
/// Length of the hidden and cell states of all layers: `[LAYERS, 2, HIDDEN]`.
pub const STATE: usize = LAYERS * 2 * HIDDEN;

/// What compiled code bears of its source (ends of lines as on Unix).
pub fn fingerprint(text: &str) -> u64 {
    fnv1a(BASIS, text.bytes().filter(|byte| *byte != b'\r'))
}

/// Why a device cannot be used, or not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without.
    #[error("this build of Antiphon knows no graphics processor")]
    NotBuilt,
    /// The system has none that can be used.
    #[error("no graphics processor was found")]
    Missing,
    /// It has no kernel for such weights.
    #[error("these weights run on the CPU only")]
    Weights,
    /// Its driver says so.
    #[error("the graphics processor failed: {0}")]
    Failed(String),
    /// It would have played other notes.
    #[error("the graphics processor calculates otherwise than the CPU")]
    Differs,
}

/// Something that runs the trunk.
pub trait Trunk: fmt::Debug + Send {
    /// As a user would call it.
    fn name(&self) -> &str;

    /// One step of all layers. `input`: of the first layer; `before`, `after`: [`STATE`].
    fn step(&mut self, input: &[f32], before: &[f32], after: &mut [f32]) -> Result<(), DeviceError>;

    /// Another one on the same device, which shares the weights.
    fn twin(&self) -> Result<Box<dyn Trunk>, DeviceError>;
}

/// The graphics processor that this build can use, with a network's weights.
pub fn open(network: &Network) -> Result<Box<dyn Trunk>, DeviceError> {
    #[cfg(feature = "device-cuda")]
    let open = cuda::open;
    #[cfg(all(feature = "device-metal", target_os = "macos", not(feature = "device-cuda")))]
    let open = metal::open;
    #[cfg(not(any(feature = "device-cuda", all(feature = "device-metal", target_os = "macos"))))]
    let open = |_: &Network| Err(DeviceError::NotBuilt);
    open(network)
}

/// The CPU as one device among others: what they are measured by.
#[derive(Debug)]
pub struct Processor {
    network: Arc<Network>,
    state: State,
    scratch: Scratch,
}

impl Processor {
    /// With this network.
    pub fn new(network: Arc<Network>) -> Self {
        Self { state: network.zero_state(), network, scratch: Scratch::new(1) }
    }
}

impl Trunk for Processor {
    fn name(&self) -> &str {
        "CPU"
    }

    fn step(&mut self, input: &[f32], before: &[f32], after: &mut [f32]) -> Result<(), DeviceError> {
        put(before, &mut self.state.layers);
        self.scratch.input_mut(input.len()).copy_from_slice(input);
        self.network.think(std::slice::from_mut(&mut self.state), &mut self.scratch);
        take(&self.state.layers, after);
        Ok(())
    }

    fn twin(&self) -> Result<Box<dyn Trunk>, DeviceError> {
        Ok(Box::new(Self::new(self.network.clone())))
    }
}

/// One layer's weights as the kernel reads them.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Length of its input.
    pub columns: usize,
    /// Four to a word, the first in the lowest byte: `[4 HIDDEN, columns]` for the input, then `[4 HIDDEN, HIDDEN]` for
    /// the hidden state.
    pub words: Vec<i32>,
    /// `[3, 4 HIDDEN]`: biases, what one stands for in each row of the input's weights, and of the state's.
    pub numbers: Vec<f32>,
}

impl Layer {
    /// All layers of a network. An error if its weights are no integers.
    pub fn of(network: &Network) -> Result<Vec<Self>, DeviceError> {
        network.layers().iter().map(Self::new).collect::<Option<_>>().ok_or(DeviceError::Weights)
    }

    fn new(layer: &crate::lstm::Layer) -> Option<Self> {
        let [input, state] = [layer.input.integers()?, layer.recurrent.integers()?];
        let words = |values: &[i8]| {
            let words = values.as_chunks::<4>().0.iter().map(|four| i32::from_le_bytes(four.map(|w| w as u8)));
            words.collect::<Vec<_>>()
        };
        Some(Self {
            columns: input.values.len() / (4 * HIDDEN),
            words: [words(&input.values), words(&state.values)].concat(),
            numbers: [layer.input.bias(), &input.scales, &state.scales].concat(),
        })
    }
}

/// A mind's device, with the space for a journey.
#[derive(Debug)]
pub(crate) struct Device {
    trunk: Box<dyn Trunk>,
    before: Vec<f32>,
    after: Vec<f32>,
}

impl Device {
    pub fn new(trunk: Box<dyn Trunk>) -> Self {
        Self { trunk, before: vec![0.0; STATE], after: vec![0.0; STATE] }
    }

    pub fn name(&self) -> &str {
        self.trunk.name()
    }

    /// One step of all layers. After an error they are as they were.
    pub fn step(&mut self, input: &[f32], layers: &mut [Memory; LAYERS]) -> Result<(), DeviceError> {
        take(layers, &mut self.before);
        self.trunk.step(input, &self.before, &mut self.after)?;
        put(&self.after, layers);
        Ok(())
    }
}

/// Writes the layers' states one after another.
fn take(layers: &[Memory; LAYERS], out: &mut [f32]) {
    for (Memory { h, c }, out) in layers.iter().zip(out.chunks_exact_mut(2 * HIDDEN)) {
        out[..HIDDEN].copy_from_slice(h);
        out[HIDDEN..].copy_from_slice(c);
    }
}

/// The way back.
fn put(state: &[f32], layers: &mut [Memory; LAYERS]) {
    for (Memory { h, c }, state) in layers.iter_mut().zip(state.chunks_exact(2 * HIDDEN)) {
        h.copy_from_slice(&state[..HIDDEN]);
        c.copy_from_slice(&state[HIDDEN..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NVIDIA's code is that of the source as it stands; what is launched is what it was written for; and no float
    /// is rounded otherwise than on the CPU.
    #[test]
    fn compiled_code_is_up_to_date_and_rounds_every_operation() {
        let code = include_str!("lstm.ptx");
        let stamp = format!("// lstm.cu {:016x}", fingerprint(SOURCE));
        assert!(code.starts_with(&stamp), "{stamp}: run examples/ptx.rs");
        let [groups, threads] = LAUNCH;
        assert!(SOURCE.contains(&format!("#define HIDDEN {HIDDEN}\n#define UNITS {}\n", HIDDEN / groups)));
        assert!(code.contains(&format!(".maxntid {threads}, 1, 1")));
        let floats = code.split_whitespace().filter(|word| word.contains(".f32") && word.contains('.'));
        for operation in ["add", "sub", "mul", "div"] {
            let of = floats.clone().filter(|word| word.starts_with(&format!("{operation}.")));
            assert!(of.clone().count() > 0 && of.clone().all(|word| word == format!("{operation}.rn.f32")));
        }
        for other in ["fma.", "mad.f", "mad.rn.f", "ftz", "approx"] {
            assert!(!code.contains(other), "{other}");
        }
    }
}
