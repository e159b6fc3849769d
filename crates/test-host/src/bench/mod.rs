//! `test-host bench`: speed and resource use of the plugin, next to other engines measured in the same run.
//!
//! * `step`: a step of the network, in separate programs: ours and those of the installed peers
//! * `process`: the audio thread's CPU time for a block
//! * `instances`: many instances in one process: late notes, memory, CPU time
//! * `load`: from opening the library to the first block
//!
//! Times of steps and blocks are CPU times, so that other programs on the machine affect them little.

mod chart;
mod instances;
mod load;
mod process;
mod step;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::BadInput;

/// Measure the speed of the built plugin: steps (next to other engines), blocks, many instances and loading.
#[derive(Args)]
pub struct Options {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Run one part only: step, process, instances or load.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Python interpreter with PyTorch and ONNX Runtime [default: the one in crates/test-host/bench/venv, or else python3].
    #[arg(long, value_name = "FILE", env = "ANTIPHON_PYTHON")]
    python: Option<PathBuf>,
    /// Write the figures to this file, and the picture next to it as .png.
    #[arg(long, value_name = "FILE", env = "ANTIPHON_BENCH_JSON", default_value = "target/bench.json")]
    out: PathBuf,
    /// Built example `step` of the package `model`.
    #[arg(long, value_name = "FILE", env = "ANTIPHON_BENCH_STEP", hide = true)]
    step: Option<PathBuf>,
    /// Built example `candle_step` of the package `model`.
    #[arg(long, value_name = "FILE", env = "ANTIPHON_BENCH_CANDLE", hide = true)]
    candle: Option<PathBuf>,
    /// The folder `bench`, with the peers' scripts.
    #[arg(long, value_name = "DIR", env = "ANTIPHON_BENCH_PEERS", hide = true)]
    peers: Option<PathBuf>,
    /// A measurement to run in this process.
    #[command(subcommand)]
    alone: Option<Alone>,
}

#[derive(clap::Subcommand)]
#[command(hide = true)]
enum Alone {
    /// Measure this number of instances.
    Instances { count: usize },
    /// Load the plugin once.
    Load,
}

/// Names of the parts, for `--only`.
const PARTS: [&str; 4] = ["step", "process", "instances", "load"];

/// Measures, prints the results, and saves figures and picture.
pub fn run(options: &Options) -> Result<()> {
    match options.alone {
        Some(Alone::Instances { count }) => return say(&instances::measure(count)?),
        Some(Alone::Load) => return say(&load::once()?),
        None => {}
    }
    if let Some(only) = &options.only {
        ensure!(PARTS.contains(&only.as_str()), BadInput(format!("--only must be one of {}", PARTS.join(", "))));
    }
    let wanted = |part: &str| options.only.as_ref().is_none_or(|only| only == part);
    let mut figures = Map::new();
    figures.insert("machine".to_owned(), machine());
    if wanted("step") {
        figures.extend(step::run(options)?);
    }
    if wanted("process") {
        figures.insert("process_block".to_owned(), process::run()?);
    }
    if wanted("instances") {
        figures.insert("instances".to_owned(), instances::run()?);
    }
    if wanted("load") {
        figures.insert("load".to_owned(), load::run()?);
    }
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(&figures)?;
    std::fs::write(&options.out, &text).with_context(|| format!("cannot write {}", options.out.display()))?;
    let picture = options.out.with_extension("png");
    chart::save(&figures, &picture)?;
    if options.json {
        println!("{text}");
    } else {
        table(&Value::Object(figures));
        println!("written to {} and {}", options.out.display(), picture.display());
    }
    Ok(())
}

/// The machine that this runs on.
fn machine() -> Value {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "processor": name.map_or("unknown", |(_, name)| name),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
    })
}

/// Runs a measurement in a separate process and reads its result.
fn alone<T: DeserializeOwned>(args: &[&str]) -> Result<T> {
    let output = Command::new(std::env::current_exe()?).arg("bench").args(args).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`bench {}` failed: {errors}", args.join(" "));
    serde_json::from_slice(&output.stdout).context("the benchmark process printed no readable result")
}

fn say(figures: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}

/// Median and percentiles of a group of times, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    /// Median.
    pub median_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// 99.9th percentile.
    pub p999_us: f64,
}

impl Spread {
    /// `None` if there are no measurements.
    pub fn of(mut us: Vec<f64>) -> Option<Self> {
        us.sort_by(f64::total_cmp);
        let at = |part: f64| us.get(((us.len() as f64 * part) as usize).min(us.len().saturating_sub(1))).copied();
        Some(Self { median_us: at(0.5)?, p99_us: at(0.99)?, p999_us: at(0.999)? })
    }
}

/// Prints the figures as a table.
fn table(figures: &Value) {
    let cells = |value: &Value| -> String {
        let Value::Object(fields) = value else { return value.to_string() };
        let field = |(name, value): (&String, &Value)| match value {
            Value::Number(number) => format!("{name} {}", rounded(number.as_f64().unwrap_or(f64::NAN))),
            Value::String(text) => format!("{name} {text}"),
            other => format!("{name} {other}"),
        };
        fields.iter().map(field).collect::<Vec<_>>().join("   ")
    };
    for (part, figures) in figures.as_object().into_iter().flatten() {
        match figures {
            Value::Object(rows) if rows.values().all(Value::is_object) => {
                for (name, row) in rows {
                    println!("{part:14} {name:20} {}", cells(row));
                }
            }
            other => println!("{part:14} {:20} {}", "", cells(other)),
        }
    }
}

/// Formats a number with about three significant digits.
fn rounded(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
