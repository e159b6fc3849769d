//! What there is to run a network on: whether it gives the CPU's bits, and how long it takes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rand::Rng;

use super::{Batch, DeviceError, Trunk};
use crate::network::{Network, Scratch, State};

/// Steps that count, and steps before them, in which clocks speed up and caches fill.
const STEPS: usize = 32;
const WARM_UP: usize = 8;

/// What there is beside the CPU, and which is faster.
#[derive(Debug)]
pub struct Survey {
    /// The CPU's time for a step, in microseconds; not a number if there was nothing to compare it with.
    pub cpu_us: f64,
    /// What else there is.
    pub other: Result<Found, DeviceError>,
}

/// A device that can be used.
#[derive(Debug)]
pub struct Found {
    /// As a user would call it.
    pub name: String,
    /// Its time for a step, in microseconds.
    pub us: f64,
    /// Whether it runs on the CPU's own cores, beside the host.
    pub software: bool,
    trunk: Mutex<Box<dyn Trunk>>,
}

impl Found {
    /// A place on it for so many takes side by side.
    pub fn place(&self, takes: usize) -> Result<Box<dyn Trunk>, DeviceError> {
        self.trunk.lock().unwrap_or_else(PoisonError::into_inner).twin(takes)
    }
}

impl Survey {
    /// Tries a device with this network's weights and so many takes side by side, or notes why there is none. Times
    /// are the 99th percentile of 32 steps, which is the longest.
    pub fn new(network: &Arc<Network>, takes: usize, trunk: Result<Box<dyn Trunk>, DeviceError>) -> Self {
        let mut cpu_us = f64::NAN;
        let other = trunk.and_then(|trunk| {
            let [cpu, us] = compare(network, takes, &mut *trunk.twin(takes)?)?;
            cpu_us = cpu;
            let (name, software) = (trunk.name().to_owned(), trunk.is_software());
            Ok(Found { name, us, software, trunk: Mutex::new(trunk) })
        });
        Self { cpu_us, other }
    }

    /// The other device, if it is faster than the CPU, and takes nothing from it.
    pub fn faster(&self) -> Option<&Found> {
        self.other.as_ref().ok().filter(|found| found.us < self.cpu_us && !found.software)
    }
}

/// The longest step of the CPU and of another device, in turn, each from where the one before has led.
fn compare(network: &Network, takes: usize, other: &mut dyn Trunk) -> Result<[f64; 2], DeviceError> {
    let mut rng = rand_pcg::Pcg32::new(1, 0);
    let mut batch = Batch::new(takes, network.input_width());
    let mut scratch = Scratch::new(takes);
    let mut longest = [0.0f64; 2];
    let mut states: Vec<State> = vec![network.zero_state(); takes];
    let mut others = states.clone();
    for step in 0..WARM_UP + STEPS {
        scratch.trunk.inputs.iter_mut().for_each(|x| *x = rng.random_range(-1.0..1.0));
        let inputs = scratch.trunk.inputs.clone();
        let start = Instant::now();
        network.forward(&mut states, &mut scratch);
        let cpu = start.elapsed();
        scratch.trunk.inputs.copy_from_slice(&inputs);
        let start = Instant::now();
        network.forward_on(other, &mut batch, &mut others, &mut scratch)?;
        if step >= WARM_UP {
            for (longest, took) in longest.iter_mut().zip([cpu, start.elapsed()]) {
                *longest = longest.max(took.as_secs_f64() * 1e6);
            }
        }
        if states != others {
            return Err(DeviceError::Differs);
        }
    }
    Ok(longest)
}
