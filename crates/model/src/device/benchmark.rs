//! Benchmarks a device against the CPU: whether it computes the same bits, and how long a step takes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rand::Rng;

use super::{Batch, DeviceError, TrunkDevice};
use crate::network::{Network, Scratch, State};

/// Steps that are measured, and steps before them for clocks to speed up and caches to fill.
const STEPS: usize = 32;
const WARM_UP: usize = 8;

/// The result of comparing a device with the CPU.
#[derive(Debug)]
pub struct DeviceBenchmark {
    /// The CPU's time for a step, in microseconds; NaN if there was no device to compare with.
    pub cpu_us: f64,
    /// The device, or why it cannot be used.
    pub other: Result<BenchmarkedDevice, DeviceError>,
}

/// A usable device.
#[derive(Debug)]
pub struct BenchmarkedDevice {
    /// Display name.
    pub name: String,
    /// Its time for a step, in microseconds.
    pub us: f64,
    /// Whether it is a software driver, which runs on the CPU's own cores and competes with the host.
    pub software: bool,
    device: Mutex<Box<dyn TrunkDevice>>,
}

impl BenchmarkedDevice {
    /// Opens a session on it, for up to `takes` takes.
    pub fn open_session(&self, takes: usize) -> Result<Box<dyn TrunkDevice>, DeviceError> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner).open_session(takes)
    }
}

impl DeviceBenchmark {
    /// Compares a device, loaded with this network's weights, with the CPU, with `takes` takes per step; an error in
    /// `device` is passed on. Times are the longest of 32 steps, an estimate of the 99th percentile.
    pub fn new(network: &Arc<Network>, takes: usize, device: Result<Box<dyn TrunkDevice>, DeviceError>) -> Self {
        let mut cpu_us = f64::NAN;
        let other = device.and_then(|device| {
            let [cpu, us] = compare(network, takes, &mut *device.open_session(takes)?)?;
            cpu_us = cpu;
            let (name, software) = (device.name().to_owned(), device.is_software());
            Ok(BenchmarkedDevice { name, us, software, device: Mutex::new(device) })
        });
        Self { cpu_us, other }
    }

    /// The device, if it is faster than the CPU and is not a software driver.
    pub fn faster(&self) -> Option<&BenchmarkedDevice> {
        self.other.as_ref().ok().filter(|found| found.us < self.cpu_us && !found.software)
    }
}

/// The longest step on the CPU and on the device, in microseconds. Both run every step in turn, with the same inputs,
/// each from its own states.
fn compare(network: &Network, takes: usize, other: &mut dyn TrunkDevice) -> Result<[f64; 2], DeviceError> {
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
