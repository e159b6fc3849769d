//! `trainer bench`: measures training speed on this machine.

use crate::dataset::{Piece, Split};
use crate::device;
use crate::error::bad_input;
use crate::files::say;
use crate::prepare;
use crate::train::{learn, stream_speed, with_deep_stack};
use anyhow::Context;
use model::{
    Kind, Weights,
    train::{AdamW, Batch, Lane, MatmulPrecision, Model},
};
use notes::Note;
use rand::Rng;
use rand_pcg::Pcg32;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{path::PathBuf, process::Command, time::Instant};

/// Time for which each part of the stream is measured, in seconds.
const STREAM_S: f64 = 1.0;

/// Measure training speed and memory use on this machine.
///
/// Runs whole training steps (features, forward, backward, clipping, AdamW) on random notes and reports the median
/// after warm-up. crates/test-host/bench/pytorch_training.py measures the same for the seed
/// network in PyTorch.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Network: antiphon or seed [default: both, each in a separate process].
    #[arg(long, value_parser = network)]
    network: Option<Kind>,
    /// Number of sequences per batch.
    #[arg(long, default_value_t = 32)]
    lanes: usize,
    /// Notes per sequence in each step.
    #[arg(long, default_value_t = 256)]
    chunk: usize,
    /// Number of measured steps.
    #[arg(long, default_value_t = 5)]
    steps: usize,
    /// Number of steps before measuring.
    #[arg(long, default_value_t = 2)]
    warmup: usize,
    /// Number of threads [default: one per core].
    #[arg(long)]
    threads: Option<usize>,
    /// Device to compute on: cpu, cuda, cuda:N or auto.
    #[arg(long, default_value_t)]
    device: device::Choice,
    /// Precision of matrix products on the CPU: f32 or bf16 [default: the fastest].
    #[arg(long)]
    precision: Option<MatmulPrecision>,
    /// Measure the training stream of this data set instead: notes per second, with all scores humanized and all
    /// conditioning, before and after conversion to chunks.
    #[arg(long, value_name = "DATA")]
    stream: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn network(name: &str) -> Result<Kind, String> {
    serde_json::from_value(name.into()).map_err(|_| "antiphon or seed expected".to_owned())
}

/// The measurements of a network. Times and counts per second or per step are medians.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    network: Kind,
    lanes: usize,
    chunk: usize,
    threads: usize,
    device: String,
    precision: MatmulPrecision,
    notes_per_second: f64,
    seconds_per_step: f64,
    /// CPU time of the whole process, all threads.
    cpu_seconds_per_step: Option<f64>,
    /// Page faults without disk access: new pages that the system provided.
    page_faults_per_step: Option<f64>,
    peak_memory_mb: Option<f64>,
    steps: usize,
}

/// Measures and prints the results.
pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(path) = &args.stream {
        let data = prepare::open(path)?;
        let pieces: Vec<&Piece> = data.split(Split::Train).collect();
        if pieces.is_empty() {
            return Err(bad_input(path, "has no pieces to train on"));
        }
        // CPU time where available, so that other programs do not count.
        let start = Instant::now();
        let clock = || Usage::now().map_or_else(|| start.elapsed().as_secs_f64(), |usage| usage.cpu_seconds);
        let [heard, chunks] = stream_speed(pieces, args.chunk.max(1), STREAM_S, clock);
        return say(&match args.json {
            true => json!({ "heard_notes_per_second": heard, "chunk_notes_per_second": chunks }).to_string(),
            false => format!("played, varied, told: {heard:.0} notes/s; as chunks: {chunks:.0} notes/s (one thread)"),
        });
    }
    let figures = match args.network {
        Some(kind) => vec![alone(kind, &args)?],
        // Peak memory is per process, so each network gets its own.
        None => {
            [Kind::Seed, Kind::Antiphon].map(|kind| in_a_process(kind, &args)).into_iter().collect::<Result<_, _>>()?
        }
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
        return Ok(());
    }
    for f in figures {
        let optional = |value: Option<f64>, digits| value.map_or("?".to_owned(), |value| format!("{value:.digits$}"));
        println!(
            "{:<9} {:>6.0} notes/s  ({} lanes x {} notes, {}, {}, {} threads: {:.3} s a step, {} CPU-seconds, {} page faults)  peak memory {} MB",
            format!("{:?}", f.network).to_lowercase(),
            f.notes_per_second,
            f.lanes,
            f.chunk,
            f.device,
            f.precision,
            f.threads,
            f.seconds_per_step,
            optional(f.cpu_seconds_per_step, 3),
            optional(f.page_faults_per_step, 0),
            optional(f.peak_memory_mb, 0)
        );
    }
    Ok(())
}

fn in_a_process(kind: Kind, args: &Args) -> anyhow::Result<Figures> {
    let name = serde_json::to_value(kind)?.as_str().unwrap_or_default().to_owned();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "--json", "--network", &name, "--device", &args.device.to_string()]);
    let numbers =
        [("--lanes", args.lanes), ("--chunk", args.chunk), ("--steps", args.steps), ("--warmup", args.warmup)];
    for (option, number) in numbers.into_iter().chain(args.threads.map(|threads| ("--threads", threads))) {
        command.args([option, &number.to_string()]);
    }
    if let Some(precision) = args.precision {
        command.args(["--precision", &precision.to_string()]);
    }
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "the benchmark process for {name} failed");
    let figures: Vec<Figures> = serde_json::from_slice(&output.stdout)?;
    figures.into_iter().next().context("the benchmark process printed nothing")
}

fn alone(kind: Kind, args: &Args) -> anyhow::Result<Figures> {
    let threads = match args.threads {
        Some(threads) => threads.max(1),
        None => std::thread::available_parallelism()?.get(),
    };
    // SAFETY: no other thread that could read the environment has been started yet.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", threads.to_string()) };
    let device = args.device.open()?;
    let (lanes, chunk, steps, warmup) = (args.lanes.max(1), args.chunk.max(1), args.steps.max(1), args.warmup);
    let precision = args.precision.unwrap_or_else(MatmulPrecision::fastest);
    with_deep_stack(move || {
        let model = Model::new(&Weights::random(kind, 1), &device, precision)?;
        let mut optimizer = AdamW::new(0.02);
        let mut carry = model.zero_carry(lanes);
        let mut pieces: Vec<Lane> = (0..lanes).map(|n| Lane::new(&piece(n as u64, chunk * (steps + warmup)))).collect();
        let mut measured = Vec::new();
        for _ in 0..warmup + steps {
            let (before, start) = (Usage::now(), Instant::now());
            let batch = Batch::next(kind, &mut pieces, chunk, |_| None);
            learn(&model, &mut optimizer, batch, &mut carry, None, (1e-3, 1.0))?.context("the loss is not a number")?;
            let (seconds, after) = (start.elapsed().as_secs_f64(), Usage::now());
            let used = before.zip(after).map(|(before, after)| after.since(&before));
            measured.push((seconds, used));
        }
        let measured = &measured[warmup..];
        let seconds = median(measured.iter().map(|(seconds, _)| *seconds));
        let of_usage = |get: fn(&Usage) -> f64| {
            measured.iter().map(|(_, used)| used.as_ref().map(get)).collect::<Option<Vec<_>>>().map(median)
        };
        Ok(Figures {
            network: kind,
            lanes,
            chunk,
            threads,
            device: device::name(&device).to_owned(),
            precision,
            notes_per_second: (lanes * chunk) as f64 / seconds,
            seconds_per_step: seconds,
            cpu_seconds_per_step: of_usage(|used| used.cpu_seconds),
            page_faults_per_step: of_usage(|used| used.page_faults),
            peak_memory_mb: peak_memory_mb(),
            steps,
        })
    })
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// Random notes that resemble music: some chords, and a wandering pitch.
fn piece(seed: u64, notes: usize) -> Vec<Note> {
    let mut rng = Pcg32::new(seed, 1);
    let (mut onset, mut pitch) = (0.0, 60);
    let mut piece: Vec<Note> = (0..notes)
        .map(|_| {
            onset += if rng.random::<f64>() < 0.3 { 0.0 } else { rng.random_range(0.05..0.6) };
            pitch = (pitch + rng.random_range(-7..=7)).clamp(30, 90);
            let velocity = rng.random_range(30..100);
            Note { onset, spread: 0.0, duration: rng.random_range(0.05..2.0), pitch: pitch as u8, velocity }
        })
        .collect();
    notes::chords::canonicalize(&mut piece);
    // Doubled pitches were merged: add notes at the end to make up for them.
    while let Some(last) = piece.last().filter(|_| piece.len() < notes).copied() {
        piece.push(Note { onset: last.onset + 0.3, ..last });
    }
    piece
}

/// Resources used by this process so far, where the system reports them (Linux).
#[derive(Clone, Debug)]
struct Usage {
    cpu_seconds: f64,
    page_faults: f64,
}

impl Usage {
    /// Reads the fields of `/proc/self/stat` after the name, which is in parentheses; times are in hundredths of a
    /// second.
    fn now() -> Option<Self> {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<f64> =
            text.rsplit_once(')')?.1.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
        Some(Self { page_faults: *fields.get(7)?, cpu_seconds: (fields.get(11)? + fields.get(12)?) / 100.0 })
    }

    fn since(&self, before: &Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - before.cpu_seconds, page_faults: self.page_faults - before.page_faults }
    }
}

/// Peak resident memory of this process.
fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1e3)
}
