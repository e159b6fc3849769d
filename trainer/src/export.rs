//! `trainer export`: converts the weights of a training run to a 16-bit weights file for the plugin, with a model card.

use crate::{
    error::{bad_input, read_input},
    files::write_atomic,
    play::Sampling,
};
use anyhow::Context;
use model::{Card, Weights, WeightsError};
use std::path::{Path, PathBuf};

/// Export weights for the plugin: half the size, with a model card.
///
/// Reads best.safetensors of a training run, or any other weights file, and writes it with 16-bit numbers. Fields of
/// the card that are not given here stay unchanged. Several files are averaged: runs that continued from one another
/// often predict better together than each alone. The card is then that of the first one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: trainer export runs/mine/best.safetensors --out mine.safetensors --name Mine")]
pub struct Args {
    /// Weights file, such as best.safetensors of a training run; or several, to export their mean.
    #[arg(value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
    /// Weights file to write, in 16 bits.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    card: CardEdits,
    #[command(flatten)]
    sampling: Sampling,
    /// Overwrite --out if it exists.
    #[arg(long)]
    force: bool,
}

/// Changes to a model card.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CardEdits {
    /// Name to show.
    #[arg(long)]
    name: Option<String>,
    /// License of the weights: an SPDX expression, or a sentence.
    #[arg(long, alias = "licence")]
    license: Option<String>,
    /// Training data and its attribution.
    #[arg(long)]
    attribution: Option<String>,
    /// How the weights were trained.
    #[arg(long)]
    training: Option<String>,
}

impl CardEdits {
    /// Sets the fields that were given.
    pub fn apply(&self, card: &mut Card) {
        let fields = [
            (&self.name, &mut card.name),
            (&self.license, &mut card.license),
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

/// Fails if the file exists, unless `force` is given.
pub fn new_file(path: &Path, force: bool) -> anyhow::Result<()> {
    match path.exists() && !force {
        true => Err(bad_input(path, "already exists; choose another --out, or overwrite it with --force")),
        false => Ok(()),
    }
}

/// Reads a weights file; the error for a checkpoint says what to export instead.
fn read(file: &Path) -> anyhow::Result<Weights> {
    let bytes = read_input(file)?;
    Weights::from_bytes(&bytes).map_err(|error| match error {
        WeightsError::NoCard if crate::train::is_checkpoint(&bytes) => {
            bad_input(file, "is a checkpoint for `train --resume`; export best.safetensors in the same folder instead")
        }
        error => bad_input(file, error),
    })
}

/// Reads weights files and averages them, tensor by tensor (Wortsman et al., *Model soups*, 2022). One file stays as
/// it is; the mean of several has no critic, because a critic is valid for one network only.
fn read_mean(files: &[PathBuf]) -> anyhow::Result<Weights> {
    let (file, others) = files.split_first().context("no weights file was given")?;
    let first = read(file)?;
    if others.is_empty() {
        return Ok(first);
    }
    let mut tensors = first.tensors().clone();
    for file in others {
        let other = read(file)?;
        if other.card.kind != first.card.kind {
            let (this, that) = (other.card.kind, first.card.kind);
            return Err(bad_input(
                file,
                format!("is a network {this:?}; it cannot be averaged with a network {that:?}"),
            ));
        }
        for (sum, tensor) in tensors.values_mut().zip(other.tensors().values()) {
            sum.data.iter_mut().zip(&tensor.data).for_each(|(sum, value)| *sum += value);
        }
    }
    for value in tensors.values_mut().flat_map(|tensor| &mut tensor.data) {
        *value /= files.len() as f32;
    }
    Ok(Weights::new(first.card, tensors)?)
}

/// Reads the weights, edits their card, writes them and reports.
pub fn run(args: Args) -> anyhow::Result<()> {
    new_file(&args.out, args.force)?;
    let mut weights = read_mean(&args.files)?;
    args.card.apply(&mut weights.card);
    weights.card.controls = args.sampling.change(weights.card.controls);
    let out = weights.to_bytes();
    let rounded = Weights::from_bytes(&out).map_err(|_| {
        bad_input(
            &args.files[0],
            "has values too large for 16 bits, so the training run failed; export the weights of an earlier run",
        )
    })?;
    let rounding = weights
        .tensors()
        .values()
        .zip(rounded.tensors().values())
        .flat_map(|(before, after)| before.data.iter().zip(&after.data))
        .map(|(before, after)| (before - after).abs())
        .fold(0.0, f32::max);
    write_atomic(&args.out, &out)?;
    let Card { name, license, kind, .. } = &weights.card;
    println!(
        "{}: \"{name}\", network {kind:?}, license {}, {:.1} MB; largest rounding {rounding:.1e}",
        args.out.display(),
        if license.is_empty() { "not stated" } else { license },
        out.len() as f64 / 1e6
    );
    Ok(())
}
