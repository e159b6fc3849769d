//! `host bench`: how fast the plugin is and what it takes, beside others in the same run.
//!
//! * `step`: a note of the network, in programs of their own: ours, and the peers that are installed
//! * `process`: what a block costs the audio thread
//! * `instances`: many of them in one process: late notes, memory, processor time
//! * `load`: from opening the library to the first block
//!
//! Times of steps and blocks are processor times, so that what else runs on the machine counts little.

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

/// Measure how fast the built plugin is: a note, beside other engines; a block; many instances; loading.
#[derive(Args)]
pub struct Options {
    /// Print JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// Only one part: step, process, instances or load.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// The Python that has PyTorch and ONNX Runtime; else bench/venv, else the one on the path.
    #[arg(long, value_name = "FILE", env = "ANTIPHON_PYTHON")]
    python: Option<PathBuf>,
    /// Where to leave the figures and, beside them, the picture.
    #[arg(long, value_name = "FILE", env = "ANTIPHON_BENCH_JSON", default_value = "target/bench.json")]
    out: PathBuf,
    /// The built example `step` of the package `model`.
    #[arg(long, value_name = "FILE", env = "ANTIPHON_BENCH_STEP", hide = true)]
    step: Option<PathBuf>,
    /// The built example `candle_step` of it.
    #[arg(long, value_name = "FILE", env = "ANTIPHON_BENCH_CANDLE", hide = true)]
    candle: Option<PathBuf>,
    /// The folder `bench` with the peers' scripts.
    #[arg(long, value_name = "DIR", env = "ANTIPHON_BENCH_PEERS", hide = true)]
    peers: Option<PathBuf>,
    /// A measurement that wants a process for itself.
    #[command(subcommand)]
    alone: Option<Alone>,
}

#[derive(clap::Subcommand)]
#[command(hide = true)]
enum Alone {
    /// So many instances.
    Instances { count: usize },
    /// Loads the plugin once.
    Load,
}

/// The parts by name.
const PARTS: [&str; 4] = ["step", "process", "instances", "load"];

/// Measures, prints, and keeps figures and picture.
pub fn run(options: &Options) -> Result<()> {
    match options.alone {
        Some(Alone::Instances { count }) => return say(&instances::measure(count)?),
        Some(Alone::Load) => return say(&load::once()?),
        None => {}
    }
    if let Some(only) = &options.only {
        ensure!(PARTS.contains(&only.as_str()), BadInput(format!("--only knows {}", PARTS.join(", "))));
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
        println!("left in {} and {}", options.out.display(), picture.display());
    }
    Ok(())
}

/// What it is measured on.
fn machine() -> Value {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "processor": name.map_or("unknown", |(_, name)| name),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
    })
}

/// Runs a measurement in a process of its own.
fn alone<T: DeserializeOwned>(args: &[&str]) -> Result<T> {
    let output = Command::new(std::env::current_exe()?).arg("bench").args(args).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`bench {}` failed: {errors}", args.join(" "));
    serde_json::from_slice(&output.stdout).context("the process that measures said nothing that can be read")
}

fn say(figures: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}

/// Median and percentiles of a group of measurements.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spread {
    /// Of half of them, no more.
    pub median_us: f64,
    /// Of 99 in a hundred.
    pub p99_us: f64,
    /// Of 999 in a thousand.
    pub p999_us: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(mut us: Vec<f64>) -> Option<Self> {
        us.sort_by(f64::total_cmp);
        let at = |part: f64| us.get(((us.len() as f64 * part) as usize).min(us.len().saturating_sub(1))).copied();
        Some(Self { median_us: at(0.5)?, p99_us: at(0.99)?, p999_us: at(0.999)? })
    }
}

/// The figures for the reader.
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

/// Three digits are enough.
fn rounded(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
