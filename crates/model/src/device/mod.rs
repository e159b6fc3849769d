//! The trunk of the network on something else than the CPU's own cores: a GPU.
//!
//! Only the three LSTM layers go there, nine tenths of a step. The heads stay: each waits for what was drawn from the
//! one before it, so on a device each would cost a journey there and back, which is more than its work
//! does here. A step takes one journey: the inputs and the states go over, the new states come back. So the
//! states are always here, a snapshot is a snapshot, and a device that fails takes nothing with it.
//!
//! A step is whole numbers from end to end (`fixed.rs`), so a device gives the CPU's bits: where a take is played decides how
//! fast its notes come, never which. That holds for weights of 4 and 8 bits; others stay on the CPU.

mod batch;
#[cfg(feature = "gpu")]
mod gpu;
mod survey;

use std::fmt;
use std::sync::Arc;

use crate::{
    network::{Network, Scratch, State},
    trunk::Memory,
};

pub use batch::Batch;
pub use survey::{Found, Survey};

/// Why a device cannot be used, or not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The program was built without.
    #[error("this build of Antiphon has no GPU support")]
    NotBuilt,
    /// The system has none that can be used.
    #[error("no GPU was found")]
    Missing,
    /// It has no kernel for such weights.
    #[error("these weights run on the CPU only")]
    Weights,
    /// Its driver says so.
    #[error("the GPU failed: {0}")]
    Failed(String),
    /// It has not answered in time.
    #[error("the GPU did not answer")]
    Hung,
    /// It would have played other notes.
    #[error("the GPU calculates differently from the CPU")]
    Differs,
}

/// Something that runs the trunk.
pub trait Trunk: fmt::Debug + Send {
    /// As a user would call it.
    fn name(&self) -> &str;

    /// Whether it is a program that runs on the CPU's own cores, beside the host.
    fn is_software(&self) -> bool {
        false
    }

    /// One step of all layers, for each take of the batch. After an error what stands in the batch means nothing.
    fn step(&mut self, batch: &mut Batch) -> Result<(), DeviceError>;

    /// Another one on the same device, which shares the weights, for up to so many takes.
    fn twin(&self, takes: usize) -> Result<Box<dyn Trunk>, DeviceError>;
}

/// The system's GPU, with a network's weights. Loads its driver.
pub fn open(network: &Network) -> Result<Box<dyn Trunk>, DeviceError> {
    #[cfg(feature = "gpu")]
    let open = gpu::open;
    #[cfg(not(feature = "gpu"))]
    let open = |_: &Network| Err(DeviceError::NotBuilt);
    open(network)
}

/// The CPU as one device among others: what they are measured by.
#[derive(Debug)]
pub struct Processor {
    network: Arc<Network>,
    states: Vec<State>,
    scratch: Scratch,
}

impl Processor {
    /// With this network, for one take.
    ///
    /// # Errors
    /// If its weights are no integers.
    pub fn new(network: Arc<Network>) -> Result<Self, DeviceError> {
        Self::for_takes(network, 1)
    }

    fn for_takes(network: Arc<Network>, takes: usize) -> Result<Self, DeviceError> {
        if network.trunk().integers().is_none() {
            return Err(DeviceError::Weights);
        }
        Ok(Self { states: vec![network.zero_state(); takes], network, scratch: Scratch::new(takes) })
    }
}

impl Trunk for Processor {
    fn name(&self) -> &str {
        "CPU"
    }

    fn step(&mut self, batch: &mut Batch) -> Result<(), DeviceError> {
        let Self { network, states, scratch } = self;
        let states = &mut states[..batch.takes()];
        for (take, state) in states.iter_mut().enumerate() {
            let Memory::Integers(memory) = &mut state.memory else { unreachable!("they are integers") };
            batch.take(take, scratch.trunk.integer_input(take), memory);
        }
        network.trunk().step_integers(states, &mut scratch.trunk);
        for (take, state) in states.iter().enumerate() {
            let Memory::Integers(memory) = &state.memory else { unreachable!("they are integers") };
            batch.put(take, memory);
        }
        Ok(())
    }

    fn twin(&self, takes: usize) -> Result<Box<dyn Trunk>, DeviceError> {
        Ok(Box::new(Self::for_takes(self.network.clone(), takes)?))
    }
}

/// Where a session's trunk runs: on the CPU, or on a device as long as that works.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    device: Option<(Box<dyn Trunk>, Batch)>,
    failure: Option<DeviceError>,
}

impl Seat {
    /// For so many takes, whose first layer has an input of this width.
    pub fn new(trunk: Option<Box<dyn Trunk>>, takes: usize, width: usize) -> Self {
        Self { device: trunk.map(|trunk| (trunk, Batch::new(takes, width))), failure: None }
    }

    /// On the same device, for so many takes.
    pub fn twin(&self, takes: usize, width: usize) -> Self {
        let trunk = self.device.as_ref().and_then(|(trunk, _)| trunk.twin(takes).ok());
        Self::new(trunk, takes, width)
    }

    pub fn name(&self) -> Option<&str> {
        self.device.as_ref().map(|(trunk, _)| trunk.name())
    }

    pub fn take_failure(&mut self) -> Option<DeviceError> {
        self.failure.take()
    }

    /// The layers' step of several takes, whose inputs stand in `scratch`. Where the device fails the CPU takes over, for
    /// good: the states are as they were before, so nothing is lost.
    pub fn forward(&mut self, network: &Network, states: &mut [State], scratch: &mut Scratch) {
        if let Some((trunk, batch)) = &mut self.device {
            match network.forward_on(&mut **trunk, batch, states, scratch) {
                Ok(()) => return,
                Err(error) => (self.device, self.failure) = (None, Some(error)),
            }
        }
        network.forward(states, scratch);
    }
}
