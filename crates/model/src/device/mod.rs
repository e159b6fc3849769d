//! Running the network's trunk on a device other than the CPU's cores: a GPU.
//!
//! Only the three LSTM layers run there, nine tenths of a step. The heads stay on the CPU: each depends on what was
//! drawn from the one before it, so each would need its own round trip, which costs more than the head does here. A
//! step takes one round trip: inputs and states are sent, new states come back. So the states always live on the CPU,
//! snapshots need no special handling, and a failing device loses nothing.
//!
//! A step is integer arithmetic throughout (`fixed.rs`), so a device gives the same bits as the CPU: where a take runs
//! decides how fast its notes are generated, never which notes. This holds for 4-bit and 8-bit weights; others stay on
//! the CPU.

mod batch;
mod benchmark;
#[cfg(feature = "gpu")]
mod gpu;

use std::fmt;
use std::sync::Arc;

use crate::{
    network::{Network, Scratch, State},
    trunk::TrunkState,
};

pub use batch::Batch;
pub use benchmark::{BenchmarkedDevice, DeviceBenchmark};

/// Why a device cannot be used, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// This build has no GPU support.
    #[error("this build of Antiphon has no GPU support")]
    NotBuilt,
    /// The system has no usable GPU.
    #[error("no GPU was found")]
    Missing,
    /// The device cannot run weights of this precision.
    #[error("these weights run on the CPU only")]
    Weights,
    /// The driver reported an error.
    #[error("the GPU failed: {0}")]
    Failed(String),
    /// The device did not answer in time.
    #[error("the GPU did not answer")]
    Hung,
    /// The device computed other states than the CPU.
    #[error("the GPU's results differ from the CPU's")]
    Differs,
}

/// A device, loaded with a network's trunk.
pub trait TrunkDevice: fmt::Debug + Send {
    /// Display name.
    fn name(&self) -> &str;

    /// Whether it is a software driver, which runs on the CPU's own cores and competes with the host.
    fn is_software(&self) -> bool {
        false
    }

    /// One step of all layers for each take of the batch. After an error, the contents of the batch are meaningless.
    fn step(&mut self, batch: &mut Batch) -> Result<(), DeviceError>;

    /// Another session on the same device, sharing the weights, for up to `takes` takes.
    fn open_session(&self, takes: usize) -> Result<Box<dyn TrunkDevice>, DeviceError>;
}

/// Opens the system's GPU and uploads the network's weights. Loads the driver.
pub fn open(network: &Network) -> Result<Box<dyn TrunkDevice>, DeviceError> {
    #[cfg(feature = "gpu")]
    let open = gpu::open;
    #[cfg(not(feature = "gpu"))]
    let open = |_: &Network| Err(DeviceError::NotBuilt);
    open(network)
}

/// The CPU as a [`TrunkDevice`], to compare other devices with.
#[derive(Debug)]
pub struct CpuDevice {
    network: Arc<Network>,
    states: Vec<State>,
    scratch: Scratch,
}

impl CpuDevice {
    /// The CPU with this network, for one take.
    ///
    /// # Errors
    /// If the network's trunk is not in integers.
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

impl TrunkDevice for CpuDevice {
    fn name(&self) -> &str {
        "CPU"
    }

    fn step(&mut self, batch: &mut Batch) -> Result<(), DeviceError> {
        let Self { network, states, scratch } = self;
        let states = &mut states[..batch.takes()];
        for (take, state) in states.iter_mut().enumerate() {
            let TrunkState::Integers(integers) = &mut state.trunk else { unreachable!("they are integers") };
            batch.take(take, scratch.trunk.integer_input(take), integers);
        }
        network.trunk().step_integers(states, &mut scratch.trunk);
        for (take, state) in states.iter().enumerate() {
            let TrunkState::Integers(integers) = &state.trunk else { unreachable!("they are integers") };
            batch.put(take, integers);
        }
        Ok(())
    }

    fn open_session(&self, takes: usize) -> Result<Box<dyn TrunkDevice>, DeviceError> {
        Ok(Box::new(Self::for_takes(self.network.clone(), takes)?))
    }
}

/// Where a session's trunk runs: on the CPU, or on a device until that fails.
#[derive(Debug, Default)]
pub(crate) struct TrunkRunner {
    device: Option<(Box<dyn TrunkDevice>, Batch)>,
    failure: Option<DeviceError>,
}

impl TrunkRunner {
    /// Runs on this device, or on the CPU, for up to `takes` takes; `width`: of the first layer's input.
    pub fn new(trunk: Option<Box<dyn TrunkDevice>>, takes: usize, width: usize) -> Self {
        Self { device: trunk.map(|trunk| (trunk, Batch::new(takes, width))), failure: None }
    }

    /// Another session on the same device; on the CPU if the device has no room.
    pub fn new_session(&self, takes: usize, width: usize) -> Self {
        let trunk = self.device.as_ref().and_then(|(trunk, _)| trunk.open_session(takes).ok());
        Self::new(trunk, takes, width)
    }

    pub fn name(&self) -> Option<&str> {
        self.device.as_ref().map(|(trunk, _)| trunk.name())
    }

    pub fn take_failure(&mut self) -> Option<DeviceError> {
        self.failure.take()
    }

    /// One LSTM step of several takes, whose inputs are in `scratch`. If the device fails, the CPU takes over for good:
    /// the states are still as they were before the step, so nothing is lost.
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
