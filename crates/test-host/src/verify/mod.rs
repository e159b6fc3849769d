//! `test-host verify`: checks on the built `.clap` what is promised about time and turns.
//!
//! Each check is a separate module and yields one or more rows: the number of cases, how many failed, and the worst
//! value. `docs/time.md` states what is promised.

mod accuracy;
mod at_once;
mod bounce;
mod compare;
mod first_note;
mod giving_way;
mod late;
mod limits;
mod render;
mod scenario;
mod tempo;
mod trade;
mod transport;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Serialize;
use test_host::{Plugin, Status};

use crate::BadInput;
use scenario::Knob;

/// Maximum number of failures printed per row.
const TOLD: usize = 5;

/// Check the built plugin's timing and turn-taking and print a table. Exits with 1 if a check fails.
#[derive(Args)]
pub struct Options {
    /// Seed of all random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run only the checks whose names begin with NAME: bounce, accuracy, at once, first note, giving way, trade, late,
    /// limits, transport.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Run a small version that takes a few seconds and does not depend on the machine's speed.
    #[arg(long)]
    quick: bool,
    /// Run only this case of each check, to investigate a failure; some checks then print details.
    #[arg(long, value_name = "NUMBER")]
    case: Option<u64>,
    /// Write the table to this file, as JSON.
    #[arg(long, value_name = "FILE", env = "ANTIPHON_VERIFY_JSON", default_value = "target/verify.json")]
    out: PathBuf,
}

/// Options and resources shared by all checks.
pub struct Context {
    seed: u64,
    quick: bool,
    case: Option<u64>,
    bundle: PathBuf,
    knobs: Vec<Knob>,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    cases: u64,
    failed: u64,
    /// The worst value, in `unit`.
    worst: f64,
    unit: &'static str,
    /// Descriptions of the failed cases.
    #[serde(skip)]
    failures: Vec<String>,
}

impl Row {
    fn new(name: &str, unit: &'static str) -> Self {
        Self { name: name.to_owned(), cases: 0, failed: 0, worst: 0.0, unit, failures: Vec::new() }
    }

    /// Adds a case: its worst value, and a description of the failure if it failed.
    fn case(&mut self, worst: f64, failure: Option<String>) {
        self.cases += 1;
        self.worst = self.worst.max(worst);
        if let Some(failure) = failure {
            self.failed += 1;
            self.failures.push(failure);
        }
    }
}

/// A check. It returns its rows; the plugin is for looking up parameters.
type Check = fn(&Context, &mut Plugin) -> Result<Vec<Row>>;

/// All checks, by the first words of their rows' names.
const CHECKS: [(&str, Check); 9] = [
    ("bounce", bounce::run),
    ("accuracy", accuracy::run),
    ("at once", at_once::run),
    ("first note", first_note::run),
    ("giving way", giving_way::run),
    ("trade", trade::run),
    ("late", late::run),
    ("limits", limits::run),
    ("transport", transport::run),
];

/// Runs the checks and prints their table.
pub fn run(options: &Options) -> Result<()> {
    Status::request();
    let bundle = test_host::find_bundle()?;
    // Stays active: while one instance lives, the others do not have to load the network again.
    let mut keeper = Plugin::load(&bundle)?;
    keeper.activate(48_000.0, 64)?;
    let knobs = scenario::knobs(&mut keeper)?;
    let context = Context { seed: options.seed, quick: options.quick, case: options.case, bundle, knobs };

    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.starts_with(only.as_str()));
    if !CHECKS.iter().any(|(name, _)| wanted(name)) {
        let names: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
        bail!(BadInput(format!("--only must be one of {}", names.join(", "))));
    }
    let mut rows = Vec::new();
    println!("{:56} {:>8} {:>8}  {:>12}  {:>8}", "", "cases", "failed", "worst", "s");
    for (name, check) in CHECKS.into_iter().filter(|(name, _)| wanted(name)) {
        let start = Instant::now();
        let found = check(&context, &mut keeper).with_context(|| format!("the check `{name}` was aborted"))?;
        for row in &found {
            let worst = format!("{} {}", figure(row.worst), row.unit);
            let seconds = start.elapsed().as_secs_f64();
            println!("{:56} {:8} {:8}  {worst:>12}  {seconds:8.1}", row.name, row.cases, row.failed);
            for failure in row.failures.iter().take(TOLD) {
                println!("    {failure}");
            }
        }
        rows.extend(found);
    }
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&options.out, serde_json::to_string_pretty(&rows)?)
        .with_context(|| format!("cannot write {}", options.out.display()))?;
    let failed: Vec<&str> = rows.iter().filter(|row| row.failed > 0).map(|row| row.name.as_str()).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Formats a number with about three significant digits.
fn figure(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value.abs() < 0.1 => format!("{value:.1e}"),
        value if value.abs() < 100.0 => format!("{value:.2}"),
        value => format!("{value:.0}"),
    }
}

impl Context {
    /// Runs `case` for each number below `count`, on all cores; returns the results in order.
    fn each<T: Send>(&self, count: u64, case: impl Fn(u64) -> Result<T> + Sync) -> Result<Vec<T>> {
        let numbers: Vec<u64> = (0..count).filter(|number| self.case.is_none_or(|only| only == *number)).collect();
        let next = AtomicUsize::new(0);
        let outcomes = Mutex::new(Vec::new());
        let workers = thread::available_parallelism().map_or(1, usize::from).min(numbers.len().max(1));
        let work = || {
            while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let outcome = case(*number).with_context(|| format!("in case {number}"));
                outcomes.lock().expect("no case panics with the lock").push((*number, outcome));
            }
        };
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(work);
            }
        });
        let mut outcomes = outcomes.into_inner().expect("no case panics with the lock");
        outcomes.sort_by_key(|outcome| outcome.0);
        outcomes.into_iter().map(|outcome| outcome.1).collect()
    }
}
