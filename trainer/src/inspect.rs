//! `trainer inspect`: shows the contents of a file.

use crate::dataset::{self, Dataset, Split};
use crate::error::{bad_input, read_input};
use crate::files::say;
use crate::folder::{canonical_from_zero, find_midi, is_named_midi};
use crate::progress;
use crate::stats::Summary;
use midi::{Score, Warnings};
use model::Weights;
use notes::Note;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Show the contents of a MIDI file, a folder of them, a data set file or a weights file.
///
/// MIDI: number of notes, duration, problems of the file (re-struck keys, note-offs without a note, damage, ...), and
/// statistics of the notes, as they are and with canonical chords. Data set: the same statistics per set and split.
/// Weights: model card, architecture and all tensors.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File, or folder of MIDI files.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Recognizes the file by its contents and prints the report.
pub fn run(args: Args) -> anyhow::Result<()> {
    let path = args.file.as_path();
    let report = if path.is_dir() {
        inspect_folder(path)?
    } else {
        let bytes = read_input(path)?;
        match kind(path, &bytes) {
            Kind::Midi => inspect_midi(&midi::read(&bytes).map_err(|error| bad_input(path, error))?),
            Kind::Dataset => inspect_dataset(&Dataset::from_bytes(&bytes).map_err(|error| bad_input(path, error))?),
            Kind::Weights => inspect_weights(&Weights::from_bytes(&bytes).map_err(|error| bad_input(path, error))?),
        }
    };
    say(&if args.json { serde_json::to_string_pretty(&report)? } else { tree(&report, 0) })
}

enum Kind {
    Midi,
    Dataset,
    Weights,
}

/// Files that cannot be recognized by their first bytes are recognized by name, so that the right parser reports the
/// error.
fn kind(path: &Path, bytes: &[u8]) -> Kind {
    if is_named_midi(path) || bytes.is_empty() || bytes.starts_with(b"MThd") || bytes.starts_with(b"RIFF") {
        return Kind::Midi;
    }
    let is_dataset = SafeTensors::read_metadata(bytes).is_ok_and(|(_, header)| {
        header.metadata().as_ref().is_some_and(|metadata| metadata.contains_key(dataset::KEY))
    });
    if is_dataset { Kind::Dataset } else { Kind::Weights }
}

fn inspect_midi(score: &Score) -> Value {
    let mut canonical = score.notes.clone();
    canonical_from_zero(&mut canonical);
    json!({
        "kind": "midi",
        "lead_silence_s": score.notes.first().map_or(0.0, |note| note.onset),
        "pedal_changes": score.pedal.len(),
        "dirt": warnings_json(&score.warnings),
        "as_played": Summary::of(std::iter::once(score.notes.as_slice())),
        "canonical": Summary::of(std::iter::once(canonical.as_slice())),
    })
}

fn inspect_folder(folder: &Path) -> anyhow::Result<Value> {
    let mut files = Vec::new();
    find_midi(folder, 0, &mut files).map_err(|error| bad_input(folder, error))?;
    files.sort();
    let bar = progress::bar(files.len() as u64, "reading");
    let (mut pieces, mut refused): (Vec<Vec<Note>>, Vec<Value>) = Default::default();
    let mut warnings: Vec<Warnings> = Vec::new();
    for file in &files {
        match midi::read(&read_input(file)?) {
            Ok(score) => {
                pieces.push(score.notes);
                warnings.push(score.warnings);
            }
            Err(error) => refused.push(json!({ "file": file.display().to_string(), "reason": error.to_string() })),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if pieces.is_empty() {
        return Err(bad_input(
            folder,
            "no readable MIDI files (.mid, .midi, .rmi, .kar) in this folder or its subfolders",
        ));
    }
    let as_played = Summary::of(pieces.iter().map(Vec::as_slice));
    pieces.iter_mut().for_each(canonical_from_zero);
    let counts = warnings.iter().map(Warnings::counts).collect::<Vec<_>>();
    let per_kind: serde_json::Map<String, Value> = (0..counts[0].len())
        .map(|index| {
            let sum: usize = counts.iter().map(|file| file[index].1).sum();
            let files = counts.iter().filter(|file| file[index].1 > 0).count();
            (counts[0][index].0.to_owned(), json!({ "count": sum, "files": files }))
        })
        .collect();
    Ok(json!({
        "kind": "folder",
        "files": files.len(),
        "refused": refused,
        "dirt": per_kind,
        "as_played": as_played,
        "canonical": Summary::of(pieces.iter().map(Vec::as_slice)),
    }))
}

fn warnings_json(warnings: &Warnings) -> Value {
    Value::Object(warnings.counts().iter().map(|&(name, count)| (name.to_owned(), json!(count))).collect())
}

fn inspect_dataset(data: &Dataset) -> Value {
    let mut sets: Vec<(&str, Split)> = data.pieces.iter().map(|piece| (piece.set.as_str(), piece.split)).collect();
    sets.sort_unstable();
    sets.dedup();
    let summaries: Vec<Value> = sets
        .into_iter()
        .map(|(set, split)| {
            let pieces = data.split(split).filter(|piece| piece.set == set);
            json!({
                "set": set,
                "split": split.name(),
                "pieces": pieces.clone().count(),
                "canonical": Summary::of(pieces.map(|piece| piece.notes.as_slice())),
            })
        })
        .collect();
    json!({ "kind": "dataset", "pieces": data.pieces.len(), "sets": summaries })
}

fn inspect_weights(weights: &Weights) -> Value {
    let tensors: Vec<Value> = weights
        .tensors()
        .iter()
        .map(|(name, tensor)| {
            let count = tensor.data.len().max(1) as f64;
            let squares: f64 = tensor.data.iter().map(|&value| f64::from(value).powi(2)).sum();
            json!({ "name": name, "shape": tensor.shape, "rms": (squares / count).sqrt() })
        })
        .collect();
    json!({
        "kind": "weights",
        "parameters": weights.parameters(),
        "card": serde_json::to_value(&weights.card).unwrap_or_default(),
        "tensors": tensors,
    })
}

/// Formats JSON for reading: one line per value, short lists on one line.
fn tree(value: &Value, depth: usize) -> String {
    let Value::Object(fields) = value else { return format!("{}\n", line(value)) };
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    let margin = "  ".repeat(depth);
    let mut out = String::new();
    for (name, value) in fields {
        out += &match value {
            Value::Object(_) => format!("{margin}{name}\n{}", tree(value, depth + 1)),
            Value::Array(items) if items.iter().any(|item| item["canonical"].is_object()) => {
                items.iter().map(|item| format!("{margin}{:-<40}\n{}", "", tree(item, depth + 1))).collect()
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                let items = items.iter().map(|item| format!("{margin}  {}\n", line(item)));
                format!("{margin}{name}\n{}", items.collect::<String>())
            }
            _ => format!("{margin}{name:<width$}  {}\n", line(value)),
        };
    }
    out
}

fn line(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => {
            let rounded = format!("{:.4}", number.as_f64().unwrap_or(0.0));
            rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(line).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => fields.values().map(line).collect::<Vec<_>>().join("  "),
        other => other.to_string(),
    }
}
