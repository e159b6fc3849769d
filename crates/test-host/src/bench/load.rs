//! From opening the library to the first block that comes back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use test_host::{Plugin, Status};

use super::process::{BLOCK, RATE};

/// Loads that the medians are of, each in a process of its own.
const TIMES: usize = 11;
/// The model must be there by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds since the library began to be opened.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Times {
    /// An instance has been made, and its parameters looked at: what a host's scan does.
    scan_ms: f64,
    /// The first block has been processed.
    first_block_ms: f64,
    /// The model listens.
    ready_ms: f64,
}

/// Medians of some loads.
pub fn run() -> Result<Value> {
    eprintln!("load");
    let all = (0..TIMES).map(|_| super::alone(&["load"])).collect::<Result<Vec<Times>>>()?;
    let median = |of: fn(&Times) -> f64| {
        let mut times: Vec<f64> = all.iter().map(of).collect();
        times.sort_by(f64::total_cmp);
        times[TIMES / 2]
    };
    Ok(json!({
        "scan_ms": median(|times| times.scan_ms),
        "first_block_ms": median(|times| times.first_block_ms),
        "ready_ms": median(|times| times.ready_ms),
    }))
}

/// Loads it once, in this process.
pub fn once() -> Result<Times> {
    Status::request();
    let bundle = test_host::find_bundle()?;
    let began = Instant::now();
    let ms = || began.elapsed().as_secs_f64() * 1e3;
    let mut plugin = Plugin::load(&bundle)?;
    ensure!(!plugin.parameters()?.is_empty(), "the plugin has no parameters");
    let scan_ms = ms();
    plugin.activate(RATE, BLOCK)?;
    let first_block_ms = plugin.run(|audio| {
        audio.block(BLOCK, &[], None)?;
        Ok(ms())
    })?;
    plugin.wait_until(PATIENCE, |status| status.health == "ready")?;
    Ok(Times { scan_ms, first_block_ms, ready_ms: ms() })
}
