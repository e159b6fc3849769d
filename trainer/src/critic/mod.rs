//! `trainer critic`: trains the critic, which tells generated continuations from real ones, so that search can choose
//! among takes.

pub mod examples;
pub mod fit;

use self::examples::{Example, Plan, areas};
use self::fit::Fit;
use crate::dataset::Split;
use crate::error::{BadInput, bad_input, read_input};
use crate::export::new_file;
use crate::files::write_atomic;
use crate::play::Sampling;
use crate::{prepare, progress};
use anyhow::Context;
use model::{Kind, Network, Weights};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Train the critic that `--search` uses to choose among takes.
///
/// Draws phrases from the train split, lets the network continue each, and trains a small network to tell the true
/// continuations from the generated ones; scores are rendered with human-like deviations. Writes the weights with the
/// critic added, and reports how well it tells the two apart on phrases of the validation split (area under the curve;
/// 0.5 is chance). A critic is valid for one network and its sampling settings: train it again if either changes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: trainer critic --weights runs/mine/last.safetensors --data music.dataset --out mine.safetensors"
)]
pub struct Args {
    /// Weights of the network.
    #[arg(long, short, value_name = "FILE")]
    weights: PathBuf,
    /// Data set files from `prepare`, or folders of MIDI files.
    #[arg(long, short, required = true, num_args = 1.., value_name = "FILE|FOLDER")]
    data: Vec<PathBuf>,
    /// Write the weights with the critic to this file, in 16 bits.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Number of phrases to train on.
    #[arg(long, default_value_t = 12_000, value_name = "N")]
    phrases: usize,
    /// Number of phrases of the validation split to measure on.
    #[arg(long, default_value_t = 1200, value_name = "N")]
    validation: usize,
    /// Number of passes over the examples.
    #[arg(long, default_value_t = 30, value_name = "N")]
    epochs: usize,
    #[command(flatten)]
    sampling: Sampling,
    /// Seed of all random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Overwrite --out if it exists.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Makes examples, trains the critic, measures it and writes the weights.
pub fn run(args: Args) -> anyhow::Result<()> {
    new_file(&args.out, args.force)?;
    let bytes = read_input(&args.weights)?;
    let weights = Weights::from_bytes(&bytes).map_err(|error| bad_input(&args.weights, error))?;
    if weights.card.kind == Kind::Seed {
        return Err(bad_input(
            &args.weights,
            "is a seed network, which does not support search; use an Antiphon network",
        ));
    }
    let network = Arc::new(Network::from_bytes(&bytes).map_err(|error| bad_input(&args.weights, error))?);
    let controls = args.sampling.controls(&network);
    let data = prepare::open_all(&args.data)?;
    let made = |split, phrases, seed| {
        let pieces: Vec<_> = data.split(split).collect();
        if pieces.iter().all(|piece| piece.flat) {
            return Err(BadInput(format!("the data has no pieces with dynamics in its {} split", split.name())));
        }
        let bar = progress::bar(phrases as u64, "playing");
        let plan = Plan { controls: &controls, phrases, seed, vary: split == Split::Train };
        let examples = examples::examples(&network, &pieces, &plan, || bar.inc(1));
        bar.finish_and_clear();
        match examples.is_empty() {
            true => Err(BadInput(format!(
                "no piece of the {} split is long enough for a phrase and its continuation",
                split.name()
            ))),
            false => Ok(examples),
        }
    };
    let train = made(Split::Train, args.phrases, args.seed)?;
    let validation = made(Split::Validation, args.validation, args.seed.wrapping_add(1))?;
    let how = Fit { epochs: args.epochs, batch: 256, rate: 1e-3, weight_decay: 0.05, dropout: 0.2, seed: args.seed };
    let tensors = fit::fit(&train, &how, |epoch, loss| {
        if (epoch + 1) % 5 == 0 {
            eprintln!("epoch {:3}  loss {loss:.4}", epoch + 1);
        }
    })?;
    let weights = weights.with_critic(tensors)?;
    let critic = weights.critic(network.precision()).context("the critic is incomplete")?;
    let judge = |examples: &[Example]| -> Vec<f64> {
        examples.iter().map(|example| critic.judge(&example.statistics)).collect()
    };
    let odds = judge(&validation);
    let loss = validation.iter().zip(&odds).map(|(example, odds)| {
        let margin = if example.real { *odds } else { -odds };
        (-margin).exp().ln_1p()
    });
    let loss = loss.sum::<f64>() / validation.len() as f64;
    let areas = areas(&validation, &odds);
    write_atomic(&args.out, &weights.to_bytes())?;
    if args.json {
        let areas: Vec<_> =
            areas.iter().map(|(of, phrases, area)| json!({ "of": of, "phrases": phrases, "area": area })).collect();
        println!("{}", json!({ "examples": train.len(), "validation_loss": loss, "areas": areas }));
    } else {
        println!("{} examples; on validation: loss {loss:.4} nats (chance: {:.4})", train.len(), 2f64.ln());
        for (of, phrases, area) in areas {
            println!("  {of:26} {phrases:6} phrases  {area:.3}");
        }
        println!("-> {}", args.out.display());
    }
    Ok(())
}
