//! Load times: from opening the library to the first processed block and to a loaded model.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use test_host::{Plugin, Status};

use super::process::{BLOCK, RATE};

/// Number of loads, each in a separate process; medians are reported.
const TIMES: usize = 11;
/// Maximum time for the model to load.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Milliseconds since the start of opening the library.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Times {
    /// When an instance has been created and its parameters read, as in a host's scan.
    scan_ms: f64,
    /// When the first block has been processed.
    first_block_ms: f64,
    /// When the model is ready.
    ready_ms: f64,
}

/// Medians of [`TIMES`] loads.
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

/// Loads the plugin once, in this process.
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
    plugin.wait_until(TIMEOUT, |status| status.health == "ready")?;
    Ok(Times { scan_ms, first_block_ms, ready_ms: ms() })
}
