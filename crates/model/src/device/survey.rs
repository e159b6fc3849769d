//! What there is to run a network on: whether it gives the CPU's bits, and how long it takes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rand::Rng;

use super::{DeviceError, Processor, STATE, Trunk};
use crate::network::Network;

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
    trunk: Mutex<Box<dyn Trunk>>,
}

impl Found {
    /// A place on it for one mind.
    pub fn place(&self) -> Result<Box<dyn Trunk>, DeviceError> {
        self.trunk.lock().unwrap_or_else(PoisonError::into_inner).twin()
    }
}

impl Survey {
    /// Tries a device with this network's weights, or notes why there is none. Times are the 99th percentile of 32
    /// steps, which is the longest.
    pub fn new(network: &Arc<Network>, trunk: Result<Box<dyn Trunk>, DeviceError>) -> Self {
        let mut cpu_us = f64::NAN;
        let other = trunk.and_then(|mut trunk| {
            let [cpu, us] = compare(network, &mut *trunk)?;
            cpu_us = cpu;
            Ok(Found { name: trunk.name().to_owned(), us, trunk: Mutex::new(trunk) })
        });
        Self { cpu_us, other }
    }

    /// The other device, if it is faster than the CPU.
    pub fn faster(&self) -> Option<&Found> {
        self.other.as_ref().ok().filter(|found| found.us < self.cpu_us)
    }
}

/// The longest step of the CPU and of another device, in turn, each from where the one before has led.
fn compare(network: &Arc<Network>, other: &mut dyn Trunk) -> Result<[f64; 2], DeviceError> {
    let mut rng = rand_pcg::Pcg32::new(1, 0);
    let mut cpu = Processor::new(network.clone());
    let mut longest = [0.0f64; 2];
    let mut before = vec![0.0; STATE];
    let [mut here, mut there] = [(); 2].map(|()| vec![0.0; STATE]);
    for step in 0..WARM_UP + STEPS {
        let input: Vec<f32> = (0..network.input_width()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let trunks: [(&mut dyn Trunk, _); 2] = [(&mut cpu, &mut here), (&mut *other, &mut there)];
        for ((trunk, after), longest) in trunks.into_iter().zip(&mut longest) {
            let start = Instant::now();
            trunk.step(&input, &before, after)?;
            if step >= WARM_UP {
                *longest = longest.max(start.elapsed().as_secs_f64() * 1e6);
            }
        }
        if here.iter().zip(&there).any(|(here, there)| here.to_bits() != there.to_bits()) {
            return Err(DeviceError::Differs);
        }
        before.copy_from_slice(&here);
    }
    Ok(longest)
}
