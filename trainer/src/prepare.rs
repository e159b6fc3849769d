//! `trainer prepare`: folders of MIDI files -> a data set file.

use crate::dataset::{Dataset, Split};
use crate::files::say;
use crate::folder::{Gathered, gather};
use crate::progress;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Sets that hold the same pieces note for note: taking both is almost surely a mistake.
const SAME_PIECES: [&str; 2] = ["piano-midi", "piano-midi-2021"];
/// How many files of each kind are listed one by one.
const LISTED: usize = 20;

/// Read folders of MIDI files into one data set file.
///
/// A folder with a manifest.csv (columns path, split; work and same_notes_as if known) is read by it.
/// A folder without one is your own music: every MIDI file in it and below, one file in ten for
/// validation, the others for training, drawn by file name and --seed. Chords are made canonical,
/// silence before the first note is cut, pieces that are there already are taken once, and files that
/// cannot be read are skipped, listed and counted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: trainer prepare data/piano-midi-2021 data/mutopia --out music.safetensors")]
pub struct Args {
    /// Folders of MIDI files.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// The data set file to write.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Draws the validation files of folders that have no manifest.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
}

/// Reads, complains, writes, reports.
pub fn run(args: Args) -> anyhow::Result<()> {
    let gathered = gather_with_bar(&args.folders, args.seed)?;
    complain(&gathered);
    gathered.dataset.save(&args.out)?;
    say(&if args.json {
        serde_json::to_string_pretty(&report(&gathered))?
    } else {
        let (skipped, repeated) = (gathered.skipped.len(), gathered.repeated.len());
        let table = table(&gathered.dataset);
        format!("{table}{skipped} files skipped, {repeated} repeated; written to {}", args.out.display())
    })
}

/// [`Dataset::load`] for a file; for a folder, what `prepare` would make of it. For every command
/// with `--data`.
pub fn open(path: &Path) -> anyhow::Result<Dataset> {
    if !path.is_dir() {
        return Dataset::load(path);
    }
    let gathered = gather_with_bar(&[path.to_owned()], 0)?;
    complain(&gathered);
    Ok(gathered.dataset)
}

/// [`open`] for several: folders are read together, so that no piece is there twice and no work
/// stands in two splits.
pub fn open_all(paths: &[PathBuf]) -> anyhow::Result<Dataset> {
    let (folders, files): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(|path| path.is_dir());
    let mut dataset = Dataset::default();
    if !folders.is_empty() {
        let gathered = gather_with_bar(&folders, 0)?;
        complain(&gathered);
        dataset = gathered.dataset;
    }
    for file in files {
        dataset.pieces.extend(Dataset::load(&file)?.pieces);
    }
    Ok(dataset)
}

fn gather_with_bar(folders: &[PathBuf], seed: u64) -> anyhow::Result<Gathered> {
    let bar = progress::bar(0, "reading");
    let gathered = gather(folders, seed, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    gathered
}

fn complain(gathered: &Gathered) {
    let list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            eprintln!("{title}: {}", lines.len());
            lines.iter().take(LISTED).for_each(|line| eprintln!("  {line}"));
            if lines.len() > LISTED {
                eprintln!("  ... and {} more", lines.len() - LISTED);
            }
        }
    };
    list(
        "files skipped because they cannot be used",
        gathered.skipped.iter().map(|(file, reason)| format!("{file}: {reason}")).collect(),
    );
    let from = |set: &str| gathered.dataset.pieces.iter().any(|piece| piece.set == set);
    let repeats = |set: &str| gathered.repeated.iter().any(|(piece, _)| piece.starts_with(&format!("{set}/")));
    if SAME_PIECES.iter().all(|set| from(set) || repeats(set)) {
        eprintln!("warning: {} hold the same pieces; each was taken once", SAME_PIECES.join(" and "));
    }
    list(
        "pieces left out because the same notes are there already",
        gathered.repeated.iter().map(|(piece, earlier)| format!("{piece} = {earlier}")).collect(),
    );
    list(
        "pieces moved to the split that has their work already",
        gathered.moved.iter().map(|(piece, split)| format!("{piece} -> {}", split.name())).collect(),
    );
}

/// Figures of one set's split.
struct Row {
    set: String,
    split: Split,
    pieces: usize,
    notes: usize,
    hours: f64,
}

fn rows(data: &Dataset) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for piece in &data.pieces {
        let position = rows.iter().position(|row| row.set == piece.set && row.split == piece.split);
        let index = position.unwrap_or_else(|| {
            rows.push(Row { set: piece.set.clone(), split: piece.split, pieces: 0, notes: 0, hours: 0.0 });
            rows.len() - 1
        });
        let row = &mut rows[index];
        row.pieces += 1;
        row.notes += piece.notes.len();
        row.hours += piece.notes.iter().map(notes::Note::end).fold(0.0, f64::max) / 3600.0;
    }
    rows.sort_by(|a, b| (&a.set, a.split).cmp(&(&b.set, b.split)));
    rows
}

/// The data set as a table, a line per set and split.
fn table(data: &Dataset) -> String {
    let head = format!("{:<24} {:<10} {:>6} {:>9} {:>7}\n", "set", "split", "pieces", "notes", "hours");
    let line = |row: Row| {
        format!("{:<24} {:<10} {:>6} {:>9} {:>7.2}\n", row.set, row.split.name(), row.pieces, row.notes, row.hours)
    };
    head + &rows(data).into_iter().map(line).collect::<String>()
}

/// The same table as JSON.
fn table_json(data: &Dataset) -> serde_json::Value {
    rows(data)
        .iter()
        .map(|row| {
            json!({
                "set": row.set, "split": row.split.name(), "pieces": row.pieces,
                "notes": row.notes, "hours": row.hours,
            })
        })
        .collect()
}

fn report(gathered: &Gathered) -> serde_json::Value {
    let pairs = |pairs: &[(String, String)], second: &str| -> serde_json::Value {
        pairs.iter().map(|(file, other)| json!({ "file": file, second: other })).collect()
    };
    json!({
        "sets": table_json(&gathered.dataset),
        "skipped": pairs(&gathered.skipped, "reason"),
        "repeated": pairs(&gathered.repeated, "same_as"),
        "moved": gathered.moved.iter()
            .map(|(piece, split)| json!({ "file": piece, "split": split.name() }))
            .collect::<serde_json::Value>(),
    })
}
