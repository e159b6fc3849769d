//! `trainer import`: converts a PyTorch state dict of the seed network to a weights file.

mod calls;
mod legacy;
mod map;
pub mod pickle;
mod torch;
mod values;

use crate::{
    error::{bad_input, read_input},
    export::{CardEdits, new_file},
    files::write_atomic,
};
use map::Pair;
use model::{Card, Kind, Weights, weights};
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use torch::{File, Group, Source, TorchError};

/// Convert a PyTorch state dict of the seed network to a weights file.
///
/// Reads both formats of torch.save, and what pickle.dump writes: a state dict (model.state_dict()), a whole model, or
/// a checkpoint that contains one of them, such as {"model_state_dict": ..., "epoch": 3}. LSTM and linear layers are
/// recognized by name and shape. Prints the mapping; if anything does not fit, the error lists what was expected. Never
/// runs code from the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: trainer import report-weights.pk --out weights/seed.safetensors")]
pub struct Args {
    /// File written by torch.save or pickle.dump.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Weights file to write, in 32 bits.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Key of the state dict to use, if the file has several; join nested keys with dots.
    #[arg(long)]
    key: Option<String>,
    /// Map the file's tensor THEIRS to OURS, if names and shapes are ambiguous; can be repeated.
    #[arg(long, value_name = "OURS=THEIRS", value_parser = pair)]
    map: Vec<(String, String)>,
    #[command(flatten)]
    card: CardEdits,
    /// Overwrite --out if it exists.
    #[arg(long)]
    force: bool,
    /// Print the mapping as JSON.
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (ours, theirs) = text.split_once('=').ok_or("OURS=THEIRS expected, such as step.weight=fc3.weight")?;
    Ok((ours.to_owned(), theirs.to_owned()))
}

/// Reads the file, maps its tensors, writes the weights and prints the mapping.
pub fn run(args: Args) -> anyhow::Result<()> {
    new_file(&args.out, args.force)?;
    let bytes = read_input(&args.file)?;
    let bad = |error: TorchError| bad_input(&args.file, error);
    let source = Source::new(&bytes).map_err(bad)?;
    let mut file = source.open().map_err(bad)?;
    let (group, pairs) = choose(&file, &args)?;

    let mut card = Card::new(Kind::Seed, "seed, imported");
    card.training = format!("imported from {}", args.file.file_name().unwrap_or_default().display());
    args.card.apply(&mut card);
    let weights = Weights::new(card, read_tensors(&mut file, &group, &pairs).map_err(bad)?)?;
    let out = weights.to_bytes_f32();
    // The file may contain NaN.
    Weights::from_bytes(&out).map_err(|error| bad_input(&args.file, error))?;
    write_atomic(&args.out, &out)?;
    tell(&args, &group, &pairs)
}

/// The only state dict in the file that fits.
fn choose<'a>(file: &File<'a>, args: &Args) -> anyhow::Result<(Group<'a>, Vec<Pair>)> {
    let bad = |message: String| bad_input(&args.file, message);
    let mut groups = file.groups();
    if let Some(key) = &args.key {
        let keys: Vec<String> = groups.iter().map(|group| format!("`{}`", group.path)).collect();
        groups.retain(|group| group.path == *key);
        if groups.is_empty() {
            return Err(bad(format!("has no tensors under `{key}`, only under {}", keys.join(", "))));
        }
    }
    let mut fitting: Vec<(Group, Vec<Pair>)> = Vec::new();
    let mut nearest: Option<(String, Vec<String>)> = None;
    for group in groups {
        match map::fit(&group.tensors, &args.map) {
            Ok(pairs) => {
                let views = |group: &Group<'a>, pairs: &[Pair]| -> Vec<_> {
                    pairs.iter().map(|pair| group.tensors[pair.found].view.clone()).collect()
                };
                // A container with nothing but a state dict is the same state dict.
                let same = |(other, others): &(Group<'a>, Vec<Pair>)| views(other, others) == views(&group, &pairs);
                fitting.retain(|other| !same(other));
                fitting.push((group, pairs));
            }
            Err(problems) => {
                if nearest.as_ref().is_none_or(|(_, fewest)| problems.len() < fewest.len()) {
                    nearest = Some((group.path, problems));
                }
            }
        }
    }
    if fitting.len() > 1 {
        let keys: Vec<String> = fitting.iter().map(|(group, _)| format!("`{}`", group.path)).collect();
        return Err(bad(format!("has several matching state dicts; choose one with --key: {}", keys.join(", "))));
    }
    fitting.pop().ok_or_else(|| match nearest {
        None => bad(format!(
            "has no tensors{}; save the weights with torch.save(model.state_dict(), FILE)",
            only_named(file.unknown())
        )),
        Some((path, problems)) => {
            let place = if path.is_empty() { String::new() } else { format!(" under `{path}`") };
            bad(format!("its tensors{place} do not fit the seed network: {}", problems.join("; ")))
        }
    })
}

/// The unknown names in a file without tensors, for the error message.
fn only_named(unknown: &[String]) -> String {
    match unknown {
        [] => String::new(),
        _ => format!(", only objects made by `{}`, and code in a pickle is never run", unknown.join("`, `")),
    }
}

fn read_tensors(
    file: &mut File,
    group: &Group,
    pairs: &[Pair],
) -> Result<BTreeMap<String, weights::Tensor>, TorchError> {
    pairs
        .iter()
        .map(|pair| {
            let data = file.numbers(&group.tensors[pair.found].view)?;
            Ok((pair.name.clone(), weights::Tensor::new(pair.shape.clone(), data)))
        })
        .collect()
}

fn tell(args: &Args, group: &Group, pairs: &[Pair]) -> anyhow::Result<()> {
    let theirs = |pair: &Pair| &group.tensors[pair.found].name;
    if args.json {
        let map: Vec<_> =
            pairs.iter().map(|pair| json!({ "name": pair.name, "from": theirs(pair), "shape": pair.shape })).collect();
        let report = json!({ "network": Kind::Seed, "key": group.path, "tensors": map, "out": args.out });
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    for pair in pairs {
        println!("{:<20} {:<12} <- {}", pair.name, format!("{:?}", pair.shape), theirs(pair));
    }
    let place = if group.path.is_empty() { String::new() } else { format!(" (under `{}`)", group.path) };
    println!("{} tensors of {}{place} written to {}", pairs.len(), args.file.display(), args.out.display());
    Ok(())
}

/// The weights that a file's bytes would be converted to, or the error; for tests.
pub fn try_bytes(bytes: &[u8]) -> Result<Weights, String> {
    let source = Source::new(bytes).map_err(|e| e.to_string())?;
    let mut file = source.open().map_err(|e| e.to_string())?;
    let args = Args {
        file: Path::new("bytes").to_owned(),
        out: PathBuf::new(),
        key: None,
        map: Vec::new(),
        card: CardEdits::default(),
        force: false,
        json: false,
    };
    let (group, pairs) = choose(&file, &args).map_err(|e| e.to_string())?;
    let tensors = read_tensors(&mut file, &group, &pairs).map_err(|e| e.to_string())?;
    Weights::new(Card::new(Kind::Seed, "seed"), tensors).map_err(|e| e.to_string())
}
