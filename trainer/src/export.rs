//! `trainer export`: weights of a training run -> 16-bit weights for the plugin, with their card.

use crate::{
    error::{bad_input, read_input},
    files::write_whole,
    play::Sampling,
};
use model::{Card, Weights, WeightsError};
use std::path::{Path, PathBuf};

/// Make weights for the plugin: half the size, and with a card that says what they are.
///
/// Takes best.safetensors of a training run, or any weights file, and writes it with 16-bit numbers. What is not said
/// here stays as the card has it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: trainer export runs/mine/best.safetensors --out mine.safetensors --name Mine")]
pub struct Args {
    /// Weights, such as best.safetensors of a run.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The weights file to write, in 16 bits.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    card: CardEdits,
    #[command(flatten)]
    sampling: Sampling,
    /// Overwrite --out if it is there.
    #[arg(long)]
    force: bool,
}

/// What a weights file shall say of itself.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CardEdits {
    /// Name to show.
    #[arg(long)]
    name: Option<String>,
    /// Licence of the weights: an SPDX expression, or a sentence.
    #[arg(long)]
    licence: Option<String>,
    /// What they were trained on, and whom to attribute it to.
    #[arg(long)]
    attribution: Option<String>,
    /// How they were made.
    #[arg(long)]
    training: Option<String>,
}

impl CardEdits {
    /// Changes what was given.
    pub fn apply(&self, card: &mut Card) {
        let fields = [
            (&self.name, &mut card.name),
            (&self.licence, &mut card.licence),
            (&self.attribution, &mut card.data),
            (&self.training, &mut card.training),
        ];
        for (given, field) in fields {
            if let Some(text) = given {
                field.clone_from(text);
            }
        }
    }
}

/// Refuses to overwrite what is there, unless told to.
pub fn new_file(path: &Path, force: bool) -> anyhow::Result<()> {
    match path.exists() && !force {
        true => Err(bad_input(path, "is there already; choose another --out, or overwrite it with --force")),
        false => Ok(()),
    }
}

/// Reads, edits, writes, tells.
pub fn run(args: Args) -> anyhow::Result<()> {
    new_file(&args.out, args.force)?;
    let bytes = read_input(&args.file)?;
    let mut weights = Weights::from_bytes(&bytes).map_err(|error| match error {
        WeightsError::NoCard if crate::train::is_checkpoint(&bytes) => bad_input(
            &args.file,
            "is a checkpoint, for `train --resume`; its weights stand beside it in best.safetensors",
        ),
        error => bad_input(&args.file, error),
    })?;
    args.card.apply(&mut weights.card);
    weights.card.controls = args.sampling.change(weights.card.controls);
    let out = weights.to_bytes();
    let rounded = Weights::from_bytes(&out).map_err(|_| {
        bad_input(
            &args.file,
            "has values too large for 16 bits; such weights come from a run that failed: take an earlier one",
        )
    })?;
    let rounding = weights
        .tensors()
        .values()
        .zip(rounded.tensors().values())
        .flat_map(|(before, after)| before.data.iter().zip(&after.data))
        .map(|(before, after)| (before - after).abs())
        .fold(0.0, f32::max);
    write_whole(&args.out, &out)?;
    let Card { name, licence, kind, .. } = &weights.card;
    println!(
        "{}: \"{name}\", network {kind:?}, licence {}, {:.1} MB; largest rounding {rounding:.1e}",
        args.out.display(),
        if licence.is_empty() { "not said" } else { licence },
        out.len() as f64 / 1e6
    );
    Ok(())
}
