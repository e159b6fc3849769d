//! `trainer train`: a data set -> weights.
//!
//! Whole pieces stream side by side through consecutive chunks with their state carried; every
//! step is forward, backward, clip, AdamW. A run leaves in its folder: `checkpoint.safetensors` (goes on
//! with `--resume`, bit for bit), `best.safetensors` (weights with the lowest validation loss), `losses.csv`, `losses.png`.

mod checkpoint;
mod config;
mod report;
mod stream;

use crate::{
    dataset::{Dataset, Split},
    error::{BadInput, bad_input, read_input},
    files::write_whole,
    prepare,
};
use anyhow::Context;
use checkpoint::Progress;
pub use config::Config;
use indicatif::{ProgressBar, ProgressStyle};
use model::{
    Card, Kind, Weights,
    train::{AdamW, Carry, Model, Noise, clip},
};
use notes::Note;
use rand_pcg::Pcg32;
use report::Line;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};
use stream::Stream;

/// Train a network on MIDI files.
///
/// From a TOML file, or straight from a folder of your own music:
///   trainer train --data MY_FOLDER --from weights/antiphon.safetensors --minutes 20 --out runs/mine
/// Ctrl-C saves a checkpoint; the same command with --resume goes on as if never stopped. What it writes as
/// best.safetensors loads in the plugin.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration (TOML); every key has a default.
    config: Option<PathBuf>,
    /// Folders of MIDI files or data set files, instead of those in the configuration.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Folder for checkpoint, best weights and losses.
    #[arg(long, default_value = "runs/train")]
    out: PathBuf,
    /// Start from these weights instead of from zero (fine-tuning).
    #[arg(long, conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// Go on from the checkpoint in --out, with its configuration.
    #[arg(long)]
    resume: bool,
    /// Train for this many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Train for this many passes over the data.
    #[arg(long)]
    epochs: Option<f64>,
    /// Threads; all cores if not given. Set before anything runs.
    #[arg(long)]
    threads: Option<usize>,
}

/// The backward pass walks the graph recursively: bytes of stack for it.
const STACK: usize = 256 << 20;

/// Set by Ctrl-C: the step in hand is finished, then everything is saved.
static STOP: AtomicBool = AtomicBool::new(false);

/// Trains as asked.
pub fn run(args: Args) -> anyhow::Result<()> {
    let threads = match args.threads {
        Some(n) => n.max(1),
        None => std::thread::available_parallelism()?.get(),
    };
    // SAFETY: no other thread has been started yet that could read the environment.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", threads.to_string()) };
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("Ctrl-C cannot be caught")?;
    std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || Run::new(args)?.train())?
        .join()
        .map_err(|_| anyhow::anyhow!("the training thread panicked; the last checkpoint is whole"))?
}

/// A training run.
struct Run {
    out: PathBuf,
    data: Dataset,
    card: Card,
    model: Model,
    optimiser: AdamW,
    carry: Vec<Carry>,
    progress: Progress,
}

impl Run {
    fn new(args: Args) -> anyhow::Result<Self> {
        let path = args.out.join("checkpoint.safetensors");
        let (weights, optimiser, carry, mut progress) = if args.resume {
            let checkpoint = checkpoint::load(&path)?;
            (checkpoint.weights, checkpoint.optimiser, Some(checkpoint.carry), checkpoint.progress)
        } else {
            if path.exists() {
                return Err(bad_input(&path, "a run lives here already; go on with --resume, or choose another --out"));
            }
            let mut config = match &args.config {
                Some(path) => Config::load(path)?,
                None => Config::default(),
            };
            if !args.data.is_empty() {
                config.data = args.data;
            }
            (config.epochs, config.minutes) = match (args.epochs, args.minutes) {
                (None, None) => (config.epochs, config.minutes),
                given => given,
            };
            let weights = match &args.from {
                Some(path) => Weights::from_bytes(&read_input(path)?).map_err(|e| bad_input(path, e))?,
                None => Weights::random(config.network, config.seed),
            };
            config.network = weights.card.kind;
            let optimiser = AdamW::new(config.weight_decay);
            let progress = Progress { config, place: None, seconds: 0.0, steps: 0, best: None, log: Vec::new() };
            (weights, optimiser, None, progress)
        };
        if args.resume && (args.epochs.is_some() || args.minutes.is_some()) {
            (progress.config.epochs, progress.config.minutes) = (args.epochs, args.minutes);
        }
        if let Some(problem) = progress.config.problem() {
            return Err(BadInput(problem).into());
        }
        let mut data = Dataset::default();
        for path in &progress.config.data {
            data.pieces.extend(prepare::open(path)?.pieces);
        }
        if data.notes(Split::Train) == 0 {
            return Err(BadInput("the data has no notes to train on; see `trainer inspect`".into()).into());
        }
        let config = &progress.config;
        let mut card = Card::new(config.network, &config.name);
        card.licence.clone_from(&config.licence);
        card.data.clone_from(&config.attribution);
        let model = Model::new(&weights)?;
        let carry = carry.unwrap_or_else(|| model.zero_carry(config.lanes));
        Ok(Self { out: args.out, data, card, model, optimiser, carry, progress })
    }

    fn train(mut self) -> anyhow::Result<()> {
        let data = std::mem::take(&mut self.data);
        let of = |split| -> Vec<&[Note]> { data.split(split).map(|piece| &piece.notes[..]).collect() };
        let (pieces, validation) = (of(Split::Train), of(Split::Validation));
        let epoch = data.notes(Split::Train) as f64;
        let config = self.progress.config.clone();
        eprintln!(
            "{:?}: {} parameters; {} pieces, {epoch} notes to learn from, {} to validate with",
            config.network,
            self.model.vars().values().map(|v| v.elem_count()).sum::<usize>(),
            pieces.len(),
            data.notes(Split::Validation)
        );
        let mut stream = Stream::new(pieces, &config, self.progress.place.clone());
        let (start, before) = (Instant::now(), self.progress.seconds);
        let mut saved = Instant::now();
        let (mut sums, mut count) = ([0.0; 5], 0.0);
        let bar = bar();
        loop {
            self.progress.seconds = before + start.elapsed().as_secs_f64();
            let done = self.done(stream.place().notes as f64 / epoch);
            let rate = rate(&config, self.progress.steps, done);
            if done >= 1.0 || STOP.load(Ordering::Relaxed) {
                break;
            }
            let parts = self.step(&mut stream, rate)?;
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum += part;
            }
            count += 1.0;
            let notes = stream.place().notes;
            bar.set_position((done * 1000.0) as u64);
            bar.set_message(format!(
                "loss {:.3}, {:.0} notes/s",
                parts.iter().sum::<f64>(),
                notes as f64 / self.progress.seconds.max(1e-9)
            ));
            if self.progress.steps.is_multiple_of(config.validate_every) {
                let line = Line {
                    step: self.progress.steps,
                    notes,
                    epoch: notes as f64 / epoch,
                    seconds: self.progress.seconds,
                    rate,
                    train: sums.map(|s| s / count),
                    validation: self.validate(&validation)?,
                };
                (sums, count) = ([0.0; 5], 0.0);
                bar.suspend(|| eprintln!("{}", report::describe(&line)));
                self.keep(line)?;
            }
            if saved.elapsed().as_secs_f64() > 60.0 * config.checkpoint_minutes {
                self.save(&stream)?;
                saved = Instant::now();
            }
        }
        bar.finish_and_clear();
        self.save(&stream)?;
        let line = Line {
            step: self.progress.steps,
            notes: stream.place().notes,
            epoch: stream.place().notes as f64 / epoch,
            seconds: self.progress.seconds,
            rate: 0.0,
            train: sums.map(|s| s / f64::max(count, 1.0)),
            validation: self.validate(&validation)?,
        };
        eprintln!("{}", report::describe(&line));
        self.keep(line)?;
        eprintln!("best weights: {}", self.out.join("best.safetensors").display());
        Ok(())
    }

    /// How much of the run is done, 0–1.
    fn done(&self, epochs: f64) -> f64 {
        let config = &self.progress.config;
        let by_epochs = config.epochs.map_or(0.0, |all| epochs / all);
        let by_minutes = config.minutes.map_or(0.0, |all| self.progress.seconds / (60.0 * all));
        f64::max(by_epochs, by_minutes)
    }

    /// Forward, backward, clip, update.
    fn step(&mut self, stream: &mut Stream, rate: f64) -> anyhow::Result<[f64; 5]> {
        let config = &self.progress.config;
        let steps = self.progress.steps;
        let mut rng = Pcg32::new(config.seed ^ 0x6e6f_6973_65, steps);
        let noise = Noise { dropout: config.dropout, weight_dropout: config.weight_dropout, rng: &mut rng };
        let batch = stream.next(config.chunk);
        let losses = self.model.losses(batch, &mut self.carry, Some(noise))?;
        if losses.parts.iter().any(|part| !part.is_finite()) {
            let pieces: Vec<u64> = stream.place().lanes.iter().map(|lane| lane.0).collect();
            anyhow::bail!(
                "the loss is not a number at step {steps} (pieces {pieces:?} of the stream); lower `rate` or `clip` and go on from the last checkpoint with --resume"
            );
        }
        let gradients = losses.total.backward()?;
        let mut gradients: BTreeMap<String, _> = self
            .model
            .vars()
            .iter()
            .filter_map(|(name, var)| Some((name.clone(), gradients.get(var)?.clone())))
            .collect();
        clip(&mut gradients, config.clip)?;
        self.optimiser.step(self.model.vars(), &gradients, rate)?;
        self.progress.steps += 1;
        Ok(losses.parts)
    }

    /// Losses over the validation split, without noise.
    fn validate(&self, pieces: &[&[Note]]) -> anyhow::Result<[f64; 5]> {
        let config = &self.progress.config;
        let (mut sums, mut notes) = ([0.0; 5], 0.0);
        let mut carry = self.model.zero_carry(config.lanes);
        for batch in stream::once(config.network, pieces, config.lanes, config.chunk, config.validate_notes) {
            let count = batch.notes() as f64;
            let losses = self.model.losses(batch, &mut carry, None)?;
            for (sum, part) in sums.iter_mut().zip(losses.parts) {
                *sum += part * count;
            }
            notes += count;
        }
        Ok(sums.map(|sum| sum / f64::max(notes, 1.0)))
    }

    /// Logs a validation; keeps the weights if they are the best so far. Without validation data the latest are.
    fn keep(&mut self, line: Line) -> anyhow::Result<()> {
        let loss: f64 = line.validation.iter().sum();
        if loss == 0.0 || self.progress.best.is_none_or(|best| loss <= best) {
            self.progress.best = Some(loss);
            self.card.training = format!(
                "{} notes ({:.1} epochs) in {:.0} minutes; validation: {}",
                line.notes,
                line.epoch,
                line.seconds / 60.0,
                report::describe(&line)
            );
            if self.card.kind == Kind::Seed {
                // The mean squared errors on the training split, with dropout: an upper bound of the residual variance.
                self.card.residual_variance = Some([line.train[0].max(1e-6), line.train[2].max(1e-6)]);
            }
            let weights = self.model.weights(self.card.clone())??;
            write_whole(&self.out.join("best.safetensors"), &weights.to_bytes_f32())?;
        }
        self.progress.log.push(line);
        report::write(&self.out, &self.progress.log)
    }

    fn save(&mut self, stream: &Stream) -> anyhow::Result<()> {
        self.progress.place = Some(stream.place());
        let path = self.out.join("checkpoint.safetensors");
        checkpoint::save(&path, &self.model, &self.optimiser, &self.carry, &self.card, &self.progress)
    }
}

/// Warm-up, then half a cosine down to a hundredth.
fn rate(config: &Config, steps: u64, done: f64) -> f64 {
    let warm = ((steps + 1) as f64 / config.warmup.max(1) as f64).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
    config.rate * warm * (0.01 + 0.99 * cosine)
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:30}] {percent}%  {msg}, {eta} left").expect("the template is constant");
    ProgressBar::new(1000).with_style(style.progress_chars("=> "))
}
