//! `trainer prepare`: reads folders of MIDI files into a data set file.

use crate::dataset::{Dataset, Split};
use crate::files::say;
use crate::folder::{GatherResult, gather};
use crate::progress;
use model::Source;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Sets that contain exactly the same pieces: using both is almost certainly a mistake.
const SAME_PIECES: [&str; 2] = ["piano-midi", "piano-midi-2021"];
/// Maximum number of files listed for each kind of problem.
const LISTED: usize = 20;

/// Read folders of MIDI files into a data set file.
///
/// A folder with a manifest.csv is read according to it. Columns: path and split; optionally work, composer,
/// same_notes_as, kind (score, sequenced, transcription, roll), beats (1: ticks are musical time) and dynamics (0:
/// velocities are meaningless). Its files are in the folder, or in a single archive (*.tar.zst) next to the manifest,
/// which does not have to be unpacked. Pieces of splits other than train, validation and test are not used.
///
/// A folder without a manifest is your own music: all MIDI files in it and its subfolders, one in ten for validation
/// and the others for training, chosen by file name and --seed.
///
/// Chords are made canonical, silence before the first note is removed, repeated pieces are used only once, and files
/// that cannot be read are skipped and listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: trainer prepare data/piano-midi-2021 data/mutopia --out music.dataset")]
pub struct Args {
    /// Folders of MIDI files.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Data set file to write.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Seed for choosing the validation files in folders without a manifest.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Reads the folders, prints warnings, writes the data set and prints a table.
pub fn run(args: Args) -> anyhow::Result<()> {
    let gathered = gather_with_bar(&args.folders, args.seed)?;
    print_warnings(&gathered);
    gathered.dataset.save(&args.out)?;
    say(&if args.json {
        serde_json::to_string_pretty(&report(&gathered))?
    } else {
        let (skipped, repeated) = (gathered.skipped.len(), gathered.repeated.len());
        let table = table(&gathered.dataset);
        format!("{table}{skipped} files skipped, {repeated} repeated; written to {}", args.out.display())
    })
}

/// Loads a data set file, or reads a folder in the same way as `prepare`. For every command with `--data`.
pub fn open(path: &Path) -> anyhow::Result<Dataset> {
    if !path.is_dir() {
        return Dataset::load(path);
    }
    let gathered = gather_with_bar(&[path.to_owned()], 0)?;
    print_warnings(&gathered);
    Ok(gathered.dataset)
}

/// Same as [`open`], for several paths: folders are read together, so that no piece is used twice and no work is in two
/// splits.
pub fn open_all(paths: &[PathBuf]) -> anyhow::Result<Dataset> {
    let (folders, files): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(|path| path.is_dir());
    let mut dataset = Dataset::default();
    if !folders.is_empty() {
        let gathered = gather_with_bar(&folders, 0)?;
        print_warnings(&gathered);
        dataset = gathered.dataset;
    }
    for file in files {
        dataset.pieces.extend(Dataset::load(&file)?.pieces);
    }
    Ok(dataset)
}

fn gather_with_bar(folders: &[PathBuf], seed: u64) -> anyhow::Result<GatherResult> {
    let bar = progress::bar(0, "reading");
    let gathered = gather(folders, seed, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    gathered
}

fn print_warnings(gathered: &GatherResult) {
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
        eprintln!("warning: {} contain the same pieces; each piece is used once", SAME_PIECES.join(" and "));
    }
    list(
        "pieces left out because another piece has the same notes",
        gathered.repeated.iter().map(|(piece, earlier)| format!("{piece} = {earlier}")).collect(),
    );
    for ((set, split), count) in &gathered.unused {
        eprintln!("pieces of {set} left out because their split is {split:?}: {count}");
    }
    list(
        "pieces moved to the split that already has their work",
        gathered.moved.iter().map(|(piece, split)| format!("{piece} -> {}", split.name())).collect(),
    );
}

/// Figures of one split of a set.
struct Row {
    set: String,
    split: Split,
    /// `None` if unknown or mixed.
    source: Option<Source>,
    pieces: usize,
    notes: usize,
    hours: f64,
    /// Number of notes with known beats.
    beats: usize,
    /// Number of notes with meaningless velocities.
    flat: usize,
}

fn rows(data: &Dataset) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for piece in &data.pieces {
        let position = rows.iter().position(|row| row.set == piece.set && row.split == piece.split);
        let index = position.unwrap_or_else(|| {
            let (set, split, source) = (piece.set.clone(), piece.split, piece.source);
            rows.push(Row { set, split, source, pieces: 0, notes: 0, hours: 0.0, beats: 0, flat: 0 });
            rows.len() - 1
        });
        let row = &mut rows[index];
        row.source = row.source.filter(|_| row.source == piece.source);
        row.pieces += 1;
        row.notes += piece.notes.len();
        row.hours += piece.notes.iter().map(notes::Note::end).fold(0.0, f64::max) / 3600.0;
        row.beats += piece.beats.len();
        row.flat += if piece.flat { piece.notes.len() } else { 0 };
    }
    rows.sort_by(|a, b| (&a.set, a.split).cmp(&(&b.set, b.split)));
    rows
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The data set as a table, with a line per set and split; `beats` and `flat` in percent of the notes.
fn table(data: &Dataset) -> String {
    let mut text = format!(
        "{:<20} {:<10} {:<13} {:>6} {:>9} {:>7} {:>6} {:>6}\n",
        "set", "split", "source", "pieces", "notes", "hours", "beats", "flat"
    );
    for row in rows(data) {
        let Row { set, split, source, pieces, notes, hours, beats, flat } = row;
        let source = source.map_or("", Source::name);
        let (split, beats, flat) = (split.name(), percent(beats, notes), percent(flat, notes));
        text += &format!(
            "{set:<20} {split:<10} {source:<13} {pieces:>6} {notes:>9} {hours:>7.2} {beats:>5.0}% {flat:>5.0}%\n"
        );
    }
    text
}

/// The table as JSON.
fn table_json(data: &Dataset) -> serde_json::Value {
    rows(data)
        .iter()
        .map(|row| {
            json!({
                "set": row.set, "split": row.split.name(), "source": row.source, "pieces": row.pieces,
                "notes": row.notes, "hours": row.hours, "notes_with_beats": row.beats,
                "notes_with_flat_velocity": row.flat,
            })
        })
        .collect()
}

fn report(gathered: &GatherResult) -> serde_json::Value {
    let pairs = |pairs: &[(String, String)], second: &str| -> serde_json::Value {
        pairs.iter().map(|(file, other)| json!({ "file": file, second: other })).collect()
    };
    json!({
        "sets": table_json(&gathered.dataset),
        "skipped": pairs(&gathered.skipped, "reason"),
        "repeated": pairs(&gathered.repeated, "same_as"),
        "unused": gathered.unused.iter()
            .map(|((set, split), count)| json!({ "set": set, "split": split, "pieces": count }))
            .collect::<serde_json::Value>(),
        "moved": gathered.moved.iter()
            .map(|(piece, split)| json!({ "file": piece, "split": split.name() }))
            .collect::<serde_json::Value>(),
    })
}
