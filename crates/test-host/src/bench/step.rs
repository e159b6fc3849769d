//! The time of a step of the network, for every engine available. Each engine is a program that prints one line of JSON
//! per measurement. The engines run in turn, [`ROUNDS`] times, so that a busy period affects all of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Options, Spread};

/// Number of times that every engine runs.
const ROUNDS: usize = 3;
/// Name of the engine that the plugin uses.
const SHIPPED: &str = "default";
/// Numbers of notes in the two runs whose difference in instructions is counted.
const COUNTED: [u64; 2] = [20, 84];

/// A line of an engine's output.
#[derive(Deserialize)]
struct Line {
    name: String,
    /// CPU time of each measurement, in microseconds.
    us: Vec<f64>,
    /// Number of heap calls in one step.
    allocs: Option<u64>,
    /// Number of notes that each entry of `us` covers; 1 if absent.
    notes: Option<f64>,
    /// The GPU that ran the step; `us` is then wall-clock time.
    adapter: Option<String>,
}

/// All measurements with one name, over all rounds.
#[derive(Default)]
struct Found {
    us: Vec<f64>,
    allocs: Option<u64>,
    notes: f64,
    adapter: Option<String>,
}

/// Measures `step`, `warm_up`, `batch`, `gpu` and `instructions`.
pub fn run(options: &Options) -> Result<Map<String, Value>> {
    let ours = options.step.as_deref().context("--step is missing: use `cargo xtask bench`")?;
    let mut found = BTreeMap::new();
    for round in 0..ROUNDS {
        eprintln!("steps: round {} of {ROUNDS}", round + 1);
        take_in(&mut found, &mut Command::new(ours)).context("our own steps")?;
        for (name, mut peer) in peers(options) {
            if let Err(error) = take_in(&mut found, &mut peer)
                && round == 0
            {
                eprintln!("{name}: not measured ({error:#})");
            }
        }
    }
    let mut figures = Map::new();
    let shipped = found.get(SHIPPED).and_then(|found| Spread::of(found.us.clone()));
    let shipped = shipped.context("our own steps were not measured")?.median_us;
    for (name, Found { us, allocs, notes, adapter }) in found {
        let Some(spread) = Spread::of(us) else { continue };
        let (part, name) = name.split_once('.').unwrap_or(("step", &name));
        let mut row = serde_json::to_value(spread)?;
        row["allocs"] = allocs.into();
        if let Some(adapter) = adapter {
            row["adapter"] = adapter.into();
        }
        match part {
            "step" => row["times_default"] = (spread.median_us / shipped).into(),
            _ => row["us_per_note"] = (spread.median_us / notes).into(),
        }
        let rows = figures.entry(part).or_insert_with(|| json!({}));
        rows[name] = row;
    }
    let per_note = |part: &str, name: &str| figures.get(part)?.get(name)?.get("us_per_note")?.as_f64();
    let warm_up = per_note("warm_up", "note_by_note").zip(per_note("warm_up", "at_once"));
    if let (Some((one, all)), Some(rows)) = (warm_up, figures.get_mut("warm_up")) {
        rows["at_once"]["times_faster"] = (one / all).into();
    }
    match instructions(ours) {
        Ok(count) => _ = figures.insert("instructions".to_owned(), json!({ "step.default": count })),
        Err(error) => eprintln!("instructions: not counted ({error:#})"),
    }
    Ok(figures)
}

/// The commands of the peers, whether or not they are installed.
fn peers(options: &Options) -> Vec<(&'static str, Command)> {
    let mut peers = Vec::new();
    if let Some(candle) = &options.candle {
        let mut command = Command::new(candle);
        // Keeps candle on one core; without this, every matrix product asks for the number of cores.
        command.env("RAYON_NUM_THREADS", "1");
        peers.push(("candle", command));
    }
    if let Some(folder) = &options.peers {
        let venv = folder.join("venv/bin/python");
        let python = match &options.python {
            Some(python) => python.clone(),
            None if venv.exists() => venv,
            None => "python3".into(),
        };
        for (name, script) in [("PyTorch", "pytorch_step.py"), ("ONNX Runtime", "onnxruntime_step.py")] {
            let mut command = Command::new(&python);
            command.arg(folder.join(script));
            peers.push((name, command));
        }
    }
    peers
}

/// Runs an engine and adds its measurements to `found`.
fn take_in(found: &mut BTreeMap<String, Found>, command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    for line in output.stdout.split(|&byte| byte == b'\n') {
        let Ok(Line { name, us, allocs, notes, adapter }) = serde_json::from_slice(line) else { continue };
        let found = found.entry(name).or_default();
        found.us.extend(us);
        found.allocs = found.allocs.max(allocs);
        found.notes = notes.unwrap_or(1.0);
        found.adapter = adapter.or(found.adapter.take());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().last().unwrap_or_default();
    ensure!(output.status.success(), "{last}");
    Ok(())
}

/// CPU instructions per note, which do not depend on the machine's load. Valgrind does not support AVX-512, so these
/// are the instructions of the AVX2 code.
fn instructions(ours: &Path) -> Result<u64> {
    let count = |notes: u64| -> Result<u64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(ours)
            .args([SHIPPED, &notes.to_string()])
            .output()
            .context("cannot start valgrind")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().find_map(|line| line.split_once("Collected : "));
        line.and_then(|(_, count)| count.trim().parse().ok()).context("valgrind reported no count")
    };
    let [few, many] = COUNTED;
    Ok(count(many)?.saturating_sub(count(few)?) / (many - few))
}
