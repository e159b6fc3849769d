//! Folders of MIDI files -> a [`Dataset`].
//!
//! A folder with a `manifest.csv` (columns `path` and `split`; `work` and `same_notes_as` where
//! known) is read by it, and its splits hold. A folder without one is someone's own music: every
//! MIDI file (`.mid`, `.midi`, `.rmi`, `.kar`) below it, nine in ten for training and one for validation, drawn by file name
//! and seed, so that the same folder is always split the same way.

use crate::dataset::{Dataset, Piece, Split};
use crate::error::bad_input;
use model::fnv::{BASIS, fnv1a};
use notes::Note;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Of a folder without a manifest, one file in this many is for validation.
const VALIDATION_ONE_IN: usize = 10;
/// Folders below folders are followed this deep; enough for any collection, and an end to link loops.
const DEEPEST: usize = 16;

/// What [`gather`] found, and what it left out and why.
#[derive(Debug, Default)]
pub struct Gathered {
    /// All pieces that could be read.
    pub dataset: Dataset,
    /// Files that could not be: path and one line.
    pub skipped: Vec<(String, String)>,
    /// Pieces left out because the same notes are there already: this one, that one.
    pub repeated: Vec<(String, String)>,
    /// Pieces moved to the split in which an earlier folder has their work.
    pub moved: Vec<(String, Split)>,
}

/// A file that a folder offers, before it is read.
struct Offer {
    set: String,
    /// Path inside the folder, with slashes.
    name: String,
    file: PathBuf,
    split: Split,
    work: Option<String>,
    same_notes_as: Option<String>,
}

impl Offer {
    fn id(&self) -> String {
        format!("{}/{}", self.set, self.name)
    }
}

/// Reads folders into one data set. Broken files are skipped and listed; a folder that is none, or
/// that yields nothing at all, is an error. `progress` hears (files done, files in all).
pub fn gather(
    folders: &[PathBuf],
    split_seed: u64,
    mut progress: impl FnMut(usize, usize),
) -> anyhow::Result<Gathered> {
    let mut offers = Vec::new();
    for folder in folders {
        let manifest = folder.join("manifest.csv");
        let more = if manifest.is_file() { by_manifest(folder, &manifest)? } else { by_name(folder, split_seed)? };
        if more.is_empty() {
            return Err(bad_input(folder, "no MIDI files (.mid, .midi, .rmi, .kar) in this folder or below it"));
        }
        offers.extend(more);
    }

    let mut gathered = Gathered::default();
    let mut seen = Seen::default();
    let total = offers.len();
    for (index, mut offer) in offers.into_iter().enumerate() {
        if let Some(earlier) = seen.by_reference(&offer) {
            gathered.repeated.push((offer.id(), earlier));
        } else {
            match read_notes(&offer.file) {
                Err(reason) => gathered.skipped.push((offer.id(), reason)),
                Ok(notes) => match seen.by_content(&offer, &notes) {
                    Some(earlier) => gathered.repeated.push((offer.id(), earlier)),
                    None => {
                        if let Some(split) = seen.work(&offer) {
                            offer.split = split;
                            gathered.moved.push((offer.id(), split));
                        }
                        let Offer { set, name, split, .. } = offer;
                        gathered.dataset.pieces.push(Piece { name, set, split, notes });
                    }
                },
            }
        }
        progress(index + 1, total);
    }
    if gathered.dataset.pieces.is_empty() {
        let (name, reason) = gathered.skipped.first().cloned().unwrap_or_default();
        return Err(bad_input(&folders[0], format!("none of {total} files could be used (first: {name}: {reason})")));
    }
    Ok(gathered)
}

/// One file's notes as the network learns them: canonical, silence before the first one cut.
fn read_notes(file: &Path) -> Result<Vec<Note>, String> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot be read ({error})"))?;
    let mut notes = midi::read(&bytes).map_err(|error| error.to_string())?.notes;
    canonical_from_zero(&mut notes);
    Ok(notes)
}

/// Makes notes canonical and lets the first one begin at 0.
pub fn canonical_from_zero(notes: &mut Vec<Note>) {
    notes::chords::canonicalise(notes);
    let first = notes.first().map_or(0.0, |note| note.onset);
    for note in notes {
        note.onset -= first;
    }
}

/// What has been taken already.
#[derive(Default)]
struct Seen {
    /// Ids of pieces taken, and of pieces that those name as having the same notes -> the one taken.
    ids: HashMap<String, String>,
    /// Hash of the notes -> the one taken.
    contents: HashMap<u64, String>,
    works: HashMap<String, Split>,
}

impl Seen {
    /// Whether a manifest says that these notes are there already, in whatever order the folders came.
    fn by_reference(&self, offer: &Offer) -> Option<String> {
        let names = [Some(offer.id()), offer.same_notes_as.clone()];
        names.into_iter().flatten().find_map(|name| self.ids.get(&name).cloned())
    }

    /// Whether the very same notes are there already; if not, they are from now on.
    fn by_content(&mut self, offer: &Offer, notes: &[Note]) -> Option<String> {
        let mut hasher = DefaultHasher::new();
        for note in notes {
            let times = [note.onset, note.spread, note.duration].map(f64::to_bits);
            (times, note.pitch, note.velocity).hash(&mut hasher);
        }
        let hash = hasher.finish();
        if let Some(earlier) = self.contents.get(&hash) {
            return Some(earlier.clone());
        }
        let id = offer.id();
        self.contents.insert(hash, id.clone());
        // `work:...` names a work that other performances share, not the same notes.
        if let Some(same) = offer.same_notes_as.as_ref().filter(|same| same.contains('/')) {
            self.ids.insert(same.clone(), id.clone());
        }
        self.ids.insert(id.clone(), id);
        None
    }

    /// The split this offer's work already stands in, if that is another one.
    fn work(&mut self, offer: &Offer) -> Option<Split> {
        let work = offer.work.clone()?;
        let split = *self.works.entry(work).or_insert(offer.split);
        (split != offer.split).then_some(split)
    }
}

fn set_name(folder: &Path) -> String {
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    absolute.file_name().map_or_else(|| "folder".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn by_manifest(folder: &Path, manifest: &Path) -> anyhow::Result<Vec<Offer>> {
    let mut reader = csv::Reader::from_path(manifest).map_err(|error| bad_input(manifest, error))?;
    let headers = reader.headers().map_err(|error| bad_input(manifest, error))?.clone();
    let column = |name: &str| headers.iter().position(|header| header == name);
    let (Some(path), Some(split)) = (column("path"), column("split")) else {
        return Err(bad_input(manifest, "needs the columns \"path\" and \"split\""));
    };
    let (work, same_notes_as) = (column("work"), column("same_notes_as"));

    let set = set_name(folder);
    let mut offers = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| bad_input(manifest, error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let get = |column: Option<usize>| {
            column.and_then(|column| record.get(column)).filter(|field| !field.is_empty()).map(str::to_owned)
        };
        let name = get(Some(path)).ok_or_else(|| bad_input(manifest, format!("line {line} has no path")))?;
        let split = get(Some(split))
            .unwrap_or_default()
            .parse()
            .map_err(|()| bad_input(manifest, format!("line {line}: the split must be train, validation or test")))?;
        offers.push(Offer {
            set: set.clone(),
            file: folder.join(&name),
            name,
            split,
            work: get(work),
            same_notes_as: get(same_notes_as),
        });
    }
    Ok(offers)
}

fn by_name(folder: &Path, seed: u64) -> anyhow::Result<Vec<Offer>> {
    let mut files = Vec::new();
    find_midi(folder, 0, &mut files)
        .map_err(|error| bad_input(folder, format!("cannot be read as a folder ({error})")))?;
    files.sort();

    let set = set_name(folder);
    let mut offers: Vec<Offer> = files
        .into_iter()
        .map(|file| {
            let inside = file.strip_prefix(folder).unwrap_or(&file);
            let name = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
            Offer { set: set.clone(), name, file, split: Split::Train, work: None, same_notes_as: None }
        })
        .collect();
    let mut drawn: Vec<usize> = (0..offers.len()).collect();
    drawn.sort_by_key(|&index| name_hash(seed, &offers[index].name));
    let validation = if offers.len() < 2 { 0 } else { offers.len().div_ceil(VALIDATION_ONE_IN) };
    for &index in &drawn[..validation] {
        offers[index].split = Split::Validation;
    }
    Ok(offers)
}

/// FNV-1a, then mixed.
fn name_hash(seed: u64, name: &str) -> u64 {
    let hash = fnv1a(BASIS ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), name.bytes());
    (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// All MIDI files below a folder, in whatever order the system lists them.
pub fn find_midi(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if depth < DEEPEST {
                find_midi(&path, depth + 1, files)?;
            }
        } else if is_named_midi(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file's name says that it is a MIDI file: by itself, in RIFF, or with a song's words.
pub fn is_named_midi(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| ["mid", "midi", "rmi", "kar"].iter().any(|name| extension == *name))
}
