//! `trainer train`: trains a network on a data set.
//!
//! Whole pieces are processed in parallel, in consecutive chunks with the recurrent state carried over; each step is
//! forward, backward, gradient clipping, AdamW. A run writes to its folder: `checkpoint.safetensors` (`--resume`
//! continues from it, bit for bit), `best.safetensors` (the weights with the lowest validation loss),
//! `last.safetensors` (the weights validated last: the loss does not show what a network plays when it continues from
//! its own notes), `losses.csv` and `losses.png`, and for what it plays then, `free_running.csv` and
//! `free_running.png`.

mod articulation;
mod average;
mod checkpoint;
mod conditioning;
pub mod config;
mod free_running_log;
pub mod humanize;
mod mixture;
mod report;
pub mod stream;

use crate::{
    dataset::{Dataset, Piece, Split},
    device,
    error::{BadInput, bad_input, read_input},
    files::write_atomic,
    measures::free_running::Prompts,
    prepare,
};
use anyhow::Context;
use average::Average;
pub use checkpoint::is_checkpoint;
use checkpoint::{Checkpoint, Progress};
pub use config::Config;
use indicatif::{ProgressBar, ProgressStyle};
use model::{
    Card, Kind, Network, Precision, Weights,
    train::{AdamW, Batch, Carry, MatmulPrecision, Model, Noise, clip},
};
use notes::Note;
use rand_pcg::Pcg32;
use report::Line;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use stream::Stream;
pub use stream::speed as stream_speed;

/// Train a network on MIDI files.
///
/// Configured by a TOML file, or by options for a folder of your own music. Ctrl-C saves a checkpoint and stops
/// (pressed twice: stops immediately). Run the same command with --resume to continue as if it had never stopped; the
/// result is the same bit for bit with the same number of threads, if the length is given in epochs or notes. The
/// plugin can load best.safetensors.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example: trainer train --data MY_FOLDER --from weights/antiphon.safetensors --minutes 15 --out runs/mine"
)]
pub struct Args {
    /// Recipe: a configuration file (TOML) [default: built-in settings].
    config: Option<PathBuf>,
    /// Folders of MIDI files or data set files, instead of those in the configuration. With --resume: where the same
    /// data is now.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Folder for the checkpoint, weights and losses.
    #[arg(long, default_value = "runs/train")]
    out: PathBuf,
    /// Fine-tune these weights instead of training from scratch; without a configuration, with a lower learning rate
    /// and for 15 minutes.
    #[arg(long, conflicts_with = "resume")]
    from: Option<PathBuf>,
    /// Continue from the checkpoint in --out, with its configuration.
    #[arg(long)]
    resume: bool,
    /// Length of the run, in minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Length of the run, in passes over the training data.
    #[arg(long)]
    epochs: Option<f64>,
    /// Length of the run, in notes.
    #[arg(long)]
    notes: Option<u64>,
    /// Also train on sets whose names begin with "nc-"; the weights must then not be used commercially.
    #[arg(long)]
    allow_non_commercial: bool,
    /// Number of threads [default: one per core].
    #[arg(long)]
    threads: Option<usize>,
    /// Device to compute on: cpu, cuda, cuda:N, or auto (the first GPU if built with CUDA, otherwise the CPU).
    #[arg(long, default_value_t)]
    device: device::Choice,
    /// Precision of matrix products on the CPU, instead of the configuration's: f32, or bf16 (fast on CPUs with
    /// AVX512_BF16, faster with AMX). With --resume: from here on.
    #[arg(long)]
    precision: Option<MatmulPrecision>,
}

/// Stack size in bytes for the backward pass, which is recursive.
const STACK: usize = 256 << 20;

/// Set by Ctrl-C: the current step is finished, then everything is saved.
static STOP: AtomicBool = AtomicBool::new(false);

/// Runs the training.
pub fn run(args: Args) -> anyhow::Result<()> {
    let threads = match args.threads {
        Some(n) => n.max(1),
        None => std::thread::available_parallelism()?.get(),
    };
    // SAFETY: no other thread has been started yet that could read the environment.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", threads.to_string()) };
    let interrupted = || {
        // Files are replaced atomically, so stopping at any time is safe.
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    ctrlc::set_handler(interrupted).context("cannot handle Ctrl-C")?;
    with_deep_stack(move || Run::new(args)?.train(|_| STOP.load(Ordering::Relaxed)))
}

/// Runs `work`, which does backward passes, on a thread with a large enough stack.
pub(crate) fn with_deep_stack<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work)?;
    thread.join().map_err(|_| anyhow::anyhow!("the training thread panicked; the last checkpoint is intact"))?
}

/// One training step: forward, backward, clip, update. Returns the losses; `None` if the loss or its gradient is not
/// finite, in which case only the carry has changed.
pub(crate) fn learn(
    model: &Model,
    optimizer: &mut AdamW,
    batch: Batch,
    carry: &mut [Carry],
    noise: Option<Noise>,
    (rate, most): (f64, f64),
) -> anyhow::Result<Option<[f64; 5]>> {
    let losses = model.losses(batch, carry, noise)?;
    if losses.parts.iter().any(|part| !part.is_finite()) {
        return Ok(None);
    }
    let gradients = losses.total.backward()?;
    let gradients: BTreeMap<String, _> =
        model.vars().iter().filter_map(|(name, var)| Some((name.clone(), gradients.get(var)?.clone()))).collect();
    let (norm, scale) = clip(&gradients, most)?;
    if !norm.is_finite() {
        return Ok(None);
    }
    optimizer.step(model.vars(), &gradients, scale, rate)?;
    Ok(Some(losses.parts))
}

/// The data for validation: sequences for the losses, prompts for free running.
struct Watched<'a> {
    validation: Vec<&'a [Note]>,
    prompts: Prompts<'a>,
}

/// A training run.
struct Run {
    out: PathBuf,
    data: Dataset,
    card: Card,
    model: Model,
    optimizer: AdamW,
    /// The averaged weights; empty if averaging is off.
    average: Average,
    carry: Vec<Carry>,
    progress: Progress,
    /// Whether the run has just been started from existing weights.
    tuned: bool,
}

impl Run {
    fn new(args: Args) -> anyhow::Result<Self> {
        let path = args.out.join("checkpoint.safetensors");
        let (weights, optimizer, average, carry, mut progress) = if args.resume {
            let Checkpoint { weights, optimizer, average, carry, progress } = checkpoint::load(&path)?;
            (weights, optimizer, average, Some(carry), progress)
        } else {
            if path.exists() {
                return Err(bad_input(
                    &path,
                    "this folder already holds a run; continue it with --resume, or choose another --out",
                ));
            }
            let config = match (&args.config, &args.from) {
                (Some(path), _) => Config::load(path)?,
                (None, Some(_)) => Config::fine_tuning(),
                (None, None) => Config::default(),
            };
            let weights = match &args.from {
                Some(path) => Weights::from_bytes(&read_input(path)?).map_err(|e| bad_input(path, e))?,
                None => Weights::random(config.network, config.seed),
            };
            let optimizer = AdamW::new(config.weight_decay);
            (weights, optimizer, Average::default(), None, Progress::new(config))
        };
        let config = &mut progress.config;
        if !args.data.is_empty() {
            config.data = args.data;
        }
        if args.epochs.is_some() || args.notes.is_some() || args.minutes.is_some() {
            (config.epochs, config.notes, config.minutes) = (args.epochs, args.notes, args.minutes);
        }
        config.network = weights.card.kind;
        if let Some(problem) = config.problem() {
            return Err(match &args.config {
                Some(path) if !args.resume => bad_input(path, problem),
                _ => BadInput(problem).into(),
            });
        }
        let data = prepare::open_all(&config.data)?;
        if data.notes(Split::Train) == 0 {
            return Err(BadInput("the data has no notes to train on; see `trainer inspect`".into()).into());
        }
        usable(&data, config, args.allow_non_commercial)?;
        let fingerprint = data.fingerprint();
        if *progress.data.get_or_insert(fingerprint) != fingerprint {
            return Err(bad_input(
                &path,
                "this run was trained on different data; restore that data, or start over with another --out",
            ));
        }
        let card = match (args.resume, &args.from) {
            (true, _) => weights.card.clone(),
            (false, None) => new_card(Card::new(config.network, ""), config),
            (false, Some(_)) => tuned_card(&weights.card, config),
        };
        let device = args.device.open()?;
        // Runs started before this option existed used 32 bits.
        let default = if args.resume { MatmulPrecision::F32 } else { MatmulPrecision::fastest() };
        let precision = args.precision.or(config.precision).unwrap_or(default);
        config.precision = Some(precision);
        let model = Model::new(&weights, &device, precision)?;
        let carry = carry.unwrap_or_else(|| model.zero_carry(config.lanes));
        Ok(Self { out: args.out, data, card, model, optimizer, average, carry, progress, tuned: args.from.is_some() })
    }

    /// Trains until the run is complete, or until `stop`, called with the number of steps, returns `true`.
    fn train(mut self, stop: impl Fn(u64) -> bool) -> anyhow::Result<()> {
        let data = std::mem::take(&mut self.data);
        let pieces: Vec<&Piece> = data.split(Split::Train).collect();
        let validation = interleaved(data.split(Split::Validation));
        let names: Vec<&str> = data.split(Split::Train).map(|piece| &piece.name[..]).collect();
        let epoch = data.notes(Split::Train) as f64;
        let config = self.progress.config.clone();
        eprintln!(
            "{:?}: {} parameters; {} pieces, {epoch} notes for training, {} for validation",
            config.network,
            self.model.vars().values().map(|v| v.elem_count()).sum::<usize>(),
            pieces.len(),
            data.notes(Split::Validation)
        );
        if validation.is_empty() {
            eprintln!("no validation pieces: the latest weights count as the best");
        }
        let watched = Watched { validation, prompts: Prompts::new(data.split(Split::Validation), config.free_prompts) };
        let mut stream = Stream::new(pieces, &config, self.progress.position.clone());
        if self.tuned {
            // Validates the initial weights, so that weights that only get worse are not saved as the best.
            self.check(&stream, epoch, 0.0, &watched)?;
        }
        let (start, before) = (Instant::now(), self.progress.seconds);
        let mut saved = Instant::now();
        let bar = bar();
        loop {
            self.progress.seconds = before + start.elapsed().as_secs_f64();
            let done = self.done(stream.position().notes, epoch);
            if done >= 1.0 {
                break;
            }
            if stop(self.progress.steps) {
                bar.finish_and_clear();
                self.save(&stream)?;
                eprintln!("stopped after {} steps; continue with --resume", self.progress.steps);
                return Ok(());
            }
            let rate = rate(&config, self.progress.steps, done);
            let parts = self.step(&mut stream, rate, &names)?;
            for (sum, part) in self.progress.sums.iter_mut().zip(parts) {
                *sum += part;
            }
            self.progress.summed += 1;
            bar.set_position((done * 1000.0) as u64);
            bar.set_message(format!(
                "loss {:.3}, {:.0} notes/s",
                parts.iter().sum::<f64>(),
                stream.position().notes as f64 / self.progress.seconds.max(1e-9)
            ));
            if self.progress.steps.is_multiple_of(config.validate_every) {
                bar.suspend(|| self.check(&stream, epoch, rate, &watched))?;
            }
            if saved.elapsed().as_secs_f64() > 60.0 * config.checkpoint_minutes {
                self.save(&stream)?;
                saved = Instant::now();
            }
        }
        bar.finish_and_clear();
        if self.progress.log.last().is_none_or(|line| line.step != self.progress.steps) {
            self.check(&stream, epoch, 0.0, &watched)?;
        }
        self.save(&stream)?;
        eprintln!("best weights: {}", self.out.join("best.safetensors").display());
        Ok(())
    }

    /// Validates, prints and logs the results, and saves the weights.
    fn check(&mut self, stream: &Stream, epoch: f64, rate: f64, watched: &Watched) -> anyhow::Result<()> {
        let notes = stream.position().notes;
        let losses = self.validate(&watched.validation)?;
        let line = Line {
            step: self.progress.steps,
            notes,
            epoch: notes as f64 / epoch,
            seconds: self.progress.seconds,
            rate,
            train: self.progress.sums.map(|sum| sum / f64::from(self.progress.summed.max(1))),
            validation: losses.unwrap_or_default(),
        };
        (self.progress.sums, self.progress.summed) = ([0.0; 5], 0);
        eprintln!("{}", report::describe(&line));
        self.watch(&line, &watched.prompts)?;
        self.keep(line, losses.map(|losses| losses.iter().sum()))
    }

    /// Lets the network continue the prompts; prints and logs the results.
    fn watch(&mut self, line: &Line, prompts: &Prompts) -> anyhow::Result<()> {
        if prompts.is_empty() {
            return Ok(());
        }
        let weights = self.average.weights(&self.model, self.card.clone())?;
        // Int8, whose quantization does not search for the 16 best values per matrix, which would take longer than
        // playing.
        let network = Arc::new(Network::new(&weights, Precision::Int8));
        let sets = prompts.measure(&network, &self.card.controls, self.progress.config.seed);
        let line = free_running_log::Line { step: line.step, notes: line.notes, epoch: line.epoch, sets };
        eprintln!("{}", free_running_log::describe(&line));
        self.progress.free_running.push(line);
        free_running_log::write(&self.out, &self.progress.free_running)
    }

    /// Fraction of the run that is complete, 0 to 1.
    fn done(&self, notes: u64, epoch: f64) -> f64 {
        let config = &self.progress.config;
        let by_epochs = config.epochs.map_or(0.0, |all| notes as f64 / epoch / all);
        let by_notes = config.notes.map_or(0.0, |all| notes as f64 / all as f64);
        let by_minutes = config.minutes.map_or(0.0, |all| self.progress.seconds / (60.0 * all));
        by_epochs.max(by_notes).max(by_minutes)
    }

    /// Trains on the next chunk.
    fn step(&mut self, stream: &mut Stream, rate: f64, names: &[&str]) -> anyhow::Result<[f64; 5]> {
        let config = &self.progress.config;
        let steps = self.progress.steps;
        let mut rng = Pcg32::new(config.seed ^ 0x006e_6f69_7365, steps);
        let noise = Noise { dropout: config.dropout, weight_dropout: config.weight_dropout, rng: &mut rng };
        let from: Vec<usize> = stream.playing();
        let batch = stream.next(config.chunk);
        let limits = (rate, config.clip);
        match learn(&self.model, &mut self.optimizer, batch, &mut self.carry, Some(noise), limits)? {
            Some(parts) => {
                self.progress.steps += 1;
                self.average.follow(&self.model, config.average)?;
                Ok(parts)
            }
            None => {
                let mut pieces: Vec<&str> =
                    from.into_iter().chain(stream.playing()).map(|piece| names[piece]).collect();
                pieces.sort_unstable();
                pieces.dedup();
                anyhow::bail!(
                    "the loss is not a number at step {steps}, in a batch from {}; lower `rate` or `clip` and start over (the best weights so far and the last checkpoint are intact)",
                    pieces.join(", ")
                )
            }
        }
    }

    /// Losses over the validation split, without dropout; `None` if it is empty.
    fn validate(&self, pieces: &[&[Note]]) -> anyhow::Result<Option<[f64; 5]>> {
        let config = &self.progress.config;
        // Lanes without a piece would cost as much as the others.
        let lanes = config.lanes.min(pieces.len());
        let (mut sums, mut notes) = ([0.0; 5], 0.0);
        let model = self.average.model(&self.model, &self.card)?;
        let model = model.as_ref().unwrap_or(&self.model);
        let mut carry = model.zero_carry(lanes);
        for batch in stream::once(config.network, pieces, lanes, config.chunk, config.validate_notes) {
            let count = batch.notes() as f64;
            let losses = model.losses(batch, &mut carry, None)?;
            for (sum, part) in sums.iter_mut().zip(losses.parts) {
                *sum += part * count;
            }
            notes += count;
        }
        Ok((notes > 0.0).then(|| sums.map(|sum| sum / notes)))
    }

    /// Logs a validation. Saves the weights as the last, and as the best if they are the best so far; without
    /// validation data, they always are.
    fn keep(&mut self, line: Line, loss: Option<f64>) -> anyhow::Result<()> {
        /// Weights with a larger loss are ruined and not saved; in nats, or seconds squared.
        const RUINED: f64 = 1e6;
        if loss.is_none_or(|loss| loss < RUINED) {
            let mut card = self.card.clone();
            let made = format!(
                "{} notes ({:.1} epochs, {:.0} minutes); validation loss {}",
                line.notes,
                line.epoch,
                line.seconds / 60.0,
                loss.map_or("not measured".to_owned(), |loss| format!(
                    "{loss:.3} ({})",
                    report::parts(&line.validation)
                ))
            );
            card.training = match card.training.is_empty() {
                true => made,
                false => format!("{}; {made}", card.training),
            };
            if card.kind == Kind::Seed && line.step > 0 {
                // The mean squared errors on the training split, with dropout: an upper bound for the residual
                // variance.
                card.residual_variance = Some([line.train[0].max(1e-6), line.train[2].max(1e-6)]);
            }
            let weights = self.average.weights(&self.model, card)?.to_bytes_f32();
            write_atomic(&self.out.join("last.safetensors"), &weights)?;
            if loss.is_none_or(|loss| self.progress.best.is_none_or(|best| loss <= best)) {
                self.progress.best = loss;
                write_atomic(&self.out.join("best.safetensors"), &weights)?;
            }
        }
        self.progress.log.push(line);
        report::write(&self.out, &self.progress.log)
    }

    fn save(&mut self, stream: &Stream) -> anyhow::Result<()> {
        self.progress.position = Some(stream.position());
        let path = self.out.join("checkpoint.safetensors");
        checkpoint::save(&path, &self.model, &self.optimizer, &self.average, &self.carry, &self.card, &self.progress)
    }
}

/// Fails if this data cannot be used with this configuration.
fn usable(data: &Dataset, config: &Config, non_commercial: bool) -> anyhow::Result<()> {
    let learned = |piece: &&Piece| config.weight(&piece.set) > 0.0;
    let sets: BTreeSet<&str> = data.split(Split::Train).filter(learned).map(|piece| &piece.set[..]).collect();
    let known: BTreeSet<&str> = data.pieces.iter().map(|piece| &piece.set[..]).collect();
    let problem = if let Some(set) = config.mixture.keys().find(|set| !known.contains(&set[..])) {
        let known: Vec<&str> = known.into_iter().collect();
        format!("`mixture` names {set:?}, but the data has only {}", known.join(", "))
    } else if sets.is_empty() {
        "`mixture` excludes all training data; give a set a weight above 0".to_owned()
    } else if let Some(set) = sets.iter().find(|set| set.starts_with("nc-")).filter(|_| !non_commercial) {
        format!(
            "{set:?} is not for commercial use and must not be trained on; leave it out, or pass --allow-non-commercial if the weights will never be used commercially"
        )
    } else {
        return Ok(());
    };
    Err(BadInput(problem).into())
}

/// The pieces of all sets in alternation, so that the first notes include some of each set.
fn interleaved<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Vec<&'a [Note]> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pieces: Vec<(usize, &[Note])> = pieces
        .map(|piece| {
            let turn = seen.entry(&piece.set).or_default();
            *turn += 1;
            (*turn, &piece.notes[..])
        })
        .collect();
    pieces.sort_by_key(|&(turn, _)| turn);
    pieces.into_iter().map(|(_, notes)| notes).collect()
}

/// The card of weights trained from scratch.
fn new_card(mut card: Card, config: &Config) -> Card {
    card.name.clone_from(&config.name);
    card.license.clone_from(&config.license);
    card.data.clone_from(&config.attribution);
    card
}

/// The card of fine-tuned weights, which keeps what the original card says about its data.
fn tuned_card(from: &Card, config: &Config) -> Card {
    let training = format!("fine-tuned from \"{}\"", from.name);
    let mut card = Card { training, first_spread: from.kind == Kind::Antiphon, ..from.clone() };
    card.name.clone_from(&config.name);
    if !config.license.is_empty() {
        card.license.clone_from(&config.license);
    }
    let (before, new) = (from.data.trim(), config.attribution.trim());
    card.data = match (before, new) {
        ("", _) => new.to_owned(),
        _ if before.contains(new) => before.to_owned(),
        _ => format!("{before}; {new}"),
    };
    card
}

/// The learning rate: linear warm-up, constant, then half a cosine down to a hundredth.
fn rate(config: &Config, steps: u64, done: f64) -> f64 {
    let warm = ((steps + 1) as f64 / config.warmup.max(1) as f64).min(1.0);
    let falling = ((done - (1.0 - config.fall)) / config.fall).clamp(0.0, 1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * falling).cos());
    config.rate * warm * (0.01 + 0.99 * cosine)
}

fn bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("[{bar:30}] {percent}%  {msg}, {eta} left").expect("the template is constant");
    ProgressBar::new(1000).with_style(style.progress_chars("=> "))
}

#[cfg(test)]
mod tests;
