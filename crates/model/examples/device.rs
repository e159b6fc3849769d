//! The trunk on the graphics processor beside the CPU: whether it gives the same bits, and how long a step takes. To be run
//! on a machine that has one; prints JSON.
//!
//!     cargo run --release -p model --features device-cuda --example device [WEIGHTS]
//!
//! (On a Mac with `device-metal`.)

use std::sync::Arc;
use std::time::Instant;

use model::device::{Processor, STATE, Survey, Trunk, open};
use model::{Kind, Network, Precision, Weights};

/// Steps that count.
const STEPS: usize = 2_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let weights = match std::env::args().nth(1) {
        Some(path) => Weights::from_bytes(&std::fs::read(path)?)?,
        None => Weights::random(Kind::Antiphon, 1),
    };
    let network = Arc::new(Network::new(&weights, Precision::of(&weights)));
    let survey = Survey::new(&network, open(&network));
    let found = survey.other?;
    println!(
        "{}",
        serde_json::json!({ "device": found.name, "same_bits": true, "p99_of_32_us": [survey.cpu_us, found.us] })
    );
    let (mut cpu, mut gpu) = (Processor::new(network.clone()), found.place()?);
    for (name, trunk) in [("cpu", &mut cpu as &mut dyn Trunk), ("gpu", &mut *gpu)] {
        let input = vec![0.1; network.input_width()];
        let (mut before, mut after) = (vec![0.0; STATE], vec![0.0; STATE]);
        let mut times = Vec::with_capacity(STEPS);
        for _ in 0..STEPS {
            let start = Instant::now();
            trunk.step(&input, &before, &mut after)?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
            before.copy_from_slice(&after);
        }
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[(part * (STEPS - 1) as f64) as usize];
        println!(
            "{}",
            serde_json::json!({ "name": name, "median_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999) })
        );
    }
    Ok(())
}
