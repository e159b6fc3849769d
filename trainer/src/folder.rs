//! Reads folders of MIDI files into a [`Dataset`].
//!
//! A folder with a `manifest.csv` is read according to it (see `manifest.rs`), including its splits; its files are in
//! the folder or in one archive next to the manifest. A folder without one is a user's own music: every MIDI file
//! (`.mid`, `.midi`, `.rmi`, `.kar`) below it is used, nine in ten for training and one for validation, chosen by file
//! name and seed, so that the same folder is always split in the same way.

use crate::dataset::{Dataset, Piece, Split};
use crate::error::bad_input;
use crate::manifest;
use crate::parallel;
use crate::performance::{Performance, on_grid};
use model::Source;
use model::fnv::{BASIS, fnv1a};
use notes::Note;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// In a folder without a manifest, one file in this many is for validation.
const VALIDATION_ONE_IN: usize = 10;
/// Maximum depth of subfolders; enough for any collection, and a limit for link loops.
const DEEPEST: usize = 16;

/// The result of [`gather`]: the data set, and what was left out and why.
#[derive(Debug, Default)]
pub struct GatherResult {
    /// All pieces that could be read and are used.
    pub dataset: Dataset,
    /// Files that could not be read: (path, reason).
    pub skipped: Vec<(String, String)>,
    /// Pieces left out because the same notes are in the data already: (this piece, the earlier one).
    pub repeated: Vec<(String, String)>,
    /// Pieces moved to the split that already contains their work.
    pub moved: Vec<(String, Split)>,
    /// Numbers of unused pieces in unknown splits, by (set, split).
    pub unused: BTreeMap<(String, String), usize>,
}

/// A file found in a folder, before it is read.
#[derive(Debug, Default)]
pub(crate) struct FoundFile {
    pub set: String,
    /// Path in the folder, with slashes.
    pub name: String,
    pub file: PathBuf,
    /// The file's contents, if it came from an archive.
    pub bytes: Option<Vec<u8>>,
    pub split: Split,
    pub work: Option<String>,
    pub composer: Option<String>,
    pub same_notes_as: Option<String>,
    pub source: Option<Source>,
    /// Whether velocities are meaningful, if known.
    pub dynamics: Option<bool>,
    /// Whether ticks are musical time and bars are correct, if known.
    pub beats: Option<bool>,
}

impl FoundFile {
    fn id(&self) -> String {
        format!("{}/{}", self.set, self.name)
    }

    /// The piece, once its notes are read. If the work is unknown, all pieces of a composer or of a folder count as one
    /// work: too wide a group does no harm, too narrow a one could test a work on itself.
    fn piece(self, content: Content) -> Piece {
        let Self { set, name, split, work, composer, source, dynamics, .. } = self;
        let Content { performance: Performance { notes, beats }, bars } = content;
        let work = work.or(composer).unwrap_or_else(|| name.split('/').next().unwrap_or(&name).to_owned());
        let flat = dynamics == Some(false) || levels(&notes) < MIN_LEVELS;
        Piece { name, set, split, work, source, flat, notes, beats, bars }
    }
}

/// A file with fewer different velocities than this is flat: its loudness is just a setting of the program that wrote
/// it.
const MIN_LEVELS: u32 = 3;

fn levels(notes: &[Note]) -> u32 {
    notes.iter().fold(0u128, |seen, note| seen | 1 << note.velocity).count_ones()
}

/// Reads folders into one data set. Unreadable files are skipped and listed; it is an error if a folder is not one, or
/// if nothing at all could be used. Calls `progress` with (files done, files in total).
pub fn gather(
    folders: &[PathBuf],
    split_seed: u64,
    progress: impl Fn(usize, usize) + Sync,
) -> anyhow::Result<GatherResult> {
    let mut gathered = GatherResult::default();
    let mut found_files = Vec::new();
    for folder in folders {
        let manifest = folder.join("manifest.csv");
        let more = if manifest.is_file() {
            manifest::read(folder, &manifest, &mut gathered.unused)?
        } else {
            by_name(folder, split_seed)?
        };
        if more.is_empty() {
            return Err(bad_input(folder, "no MIDI files (.mid, .midi, .rmi, .kar) in this folder or its subfolders"));
        }
        found_files.extend(more);
    }

    let (done, total) = (AtomicUsize::new(0), found_files.len());
    let report = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
    let contents = parallel::map(&found_files, || (), |(), found| read(found), report);

    let mut deduplicator = Deduplicator::default();
    for (mut found, content) in found_files.into_iter().zip(contents) {
        if let Some(earlier) = deduplicator.by_reference(&found) {
            gathered.repeated.push((found.id(), earlier));
            continue;
        }
        match content {
            Err(reason) => gathered.skipped.push((found.id(), reason)),
            Ok(content) => match deduplicator.by_content(&found, &content.performance.notes) {
                Some(earlier) => gathered.repeated.push((found.id(), earlier)),
                None => {
                    if let Some(split) = deduplicator.work(&found) {
                        found.split = split;
                        gathered.moved.push((found.id(), split));
                    }
                    gathered.dataset.pieces.push(found.piece(content));
                }
            },
        }
    }
    if gathered.dataset.pieces.is_empty() {
        let (name, reason) = gathered.skipped.first().cloned().unwrap_or_default();
        return Err(bad_input(&folders[0], format!("none of {total} files could be used (first: {name}: {reason})")));
    }
    Ok(gathered)
}

/// A file's contents in the form that the networks learn from: canonical, with the silence before the first note
/// removed.
struct Content {
    performance: Performance,
    bars: Vec<(f64, f64)>,
}

fn read(found: &FoundFile) -> Result<Content, String> {
    let score = match &found.bytes {
        Some(bytes) => midi::read(bytes),
        None => midi::read(&std::fs::read(&found.file).map_err(|error| format!("cannot be read ({error})"))?),
    };
    let score = score.map_err(|error| error.to_string())?;
    let beats = score.beats.filter(|beats| found.beats.unwrap_or_else(|| on_grid(&beats.onsets)));
    let (beats, bars) = beats.map_or_else(Default::default, |beats| {
        let bars = beats.meter.signatures().iter().map(|signature| (signature.beat, signature.bar_length()));
        let bars = bars.collect();
        (beats.onsets, bars)
    });
    let mut performance = Performance { notes: score.notes, beats };
    performance.canonicalize();
    performance.from_zero();
    Ok(Content { performance, bars })
}

/// Makes notes canonical and shifts them so that the first onset is 0.
pub fn canonical_from_zero(notes: &mut Vec<Note>) {
    let mut performance = Performance { notes: std::mem::take(notes), beats: Vec::new() };
    performance.canonicalize();
    performance.from_zero();
    *notes = performance.notes;
}

/// What has been added to the data set so far.
#[derive(Default)]
struct Deduplicator {
    /// Ids of added pieces, and ids given in `same_notes_as` -> id of the added piece.
    ids: HashMap<String, String>,
    /// Hash of the notes -> id of the added piece.
    contents: HashMap<u64, String>,
    works: HashMap<String, Split>,
}

impl Deduplicator {
    /// The piece with the same notes according to a manifest, regardless of the order of folders.
    fn by_reference(&self, found: &FoundFile) -> Option<String> {
        let names = [Some(found.id()), found.same_notes_as.clone()];
        names.into_iter().flatten().find_map(|name| self.ids.get(&name).cloned())
    }

    /// The earlier piece with exactly the same notes; if there is none, records this one.
    fn by_content(&mut self, found: &FoundFile, notes: &[Note]) -> Option<String> {
        let mut hasher = DefaultHasher::new();
        for note in notes {
            let times = [note.onset, note.spread, note.duration].map(f64::to_bits);
            (times, note.pitch, note.velocity).hash(&mut hasher);
        }
        let hash = hasher.finish();
        if let Some(earlier) = self.contents.get(&hash) {
            return Some(earlier.clone());
        }
        let id = found.id();
        self.contents.insert(hash, id.clone());
        // `work:...` refers to other performances of a work, not to the same notes.
        if let Some(same) = found.same_notes_as.as_ref().filter(|same| same.contains('/')) {
            self.ids.insert(same.clone(), id.clone());
        }
        self.ids.insert(id.clone(), id);
        None
    }

    /// The split that contains this file's work already, if it is a different one.
    fn work(&mut self, found: &FoundFile) -> Option<Split> {
        let work = found.work.clone()?;
        let split = *self.works.entry(work).or_insert(found.split);
        (split != found.split).then_some(split)
    }
}

/// The name of a folder.
pub(crate) fn set_name(folder: &Path) -> String {
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    absolute.file_name().map_or_else(|| "folder".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn by_name(folder: &Path, seed: u64) -> anyhow::Result<Vec<FoundFile>> {
    let mut files = Vec::new();
    find_midi(folder, 0, &mut files)
        .map_err(|error| bad_input(folder, format!("cannot be read as a folder ({error})")))?;
    files.sort();

    let set = set_name(folder);
    let mut found_files: Vec<FoundFile> = files
        .into_iter()
        .map(|file| {
            let inside = file.strip_prefix(folder).unwrap_or(&file);
            let name = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
            FoundFile { set: set.clone(), name, file, ..FoundFile::default() }
        })
        .collect();
    let mut drawn: Vec<usize> = (0..found_files.len()).collect();
    drawn.sort_by_key(|&index| name_hash(seed, &found_files[index].name));
    let validation = if found_files.len() < 2 { 0 } else { found_files.len().div_ceil(VALIDATION_ONE_IN) };
    for &index in &drawn[..validation] {
        found_files[index].split = Split::Validation;
    }
    Ok(found_files)
}

/// FNV-1a, followed by a final mix.
fn name_hash(seed: u64, name: &str) -> u64 {
    let hash = fnv1a(BASIS ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), name.bytes());
    (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// Collects all MIDI files below a folder, in the order in which the system lists them.
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

/// Whether a file name has the extension of a MIDI file, including RIFF MIDI and karaoke files.
pub fn is_named_midi(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| ["mid", "midi", "rmi", "kar"].iter().any(|name| extension == *name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use midi::{Tempo, Track};

    #[test]
    fn a_piece_belongs_to_its_work_else_to_its_composer_else_to_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, pitch| {
            let note = Note { onset: 0.0, spread: 0.0, duration: 0.5, pitch, velocity: 64 };
            let bytes = midi::write(&[Track { name: "piano", channel: 0, notes: &[note] }], Tempo::default());
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        for (index, path) in
            ["told/a/1.mid", "told/a/2.mid", "told/b/3.mid", "mine/x/y/4.mid", "mine/5.mid"].iter().enumerate()
        {
            put(path, 60 + index as u8);
        }
        let manifest = "path,composer,split,work\na/1.mid,Chopin,test,op10-1\na/2.mid,Chopin,test,\nb/3.mid,,test,\n";
        std::fs::write(root.path().join("told/manifest.csv"), manifest).unwrap();
        let folders = ["told", "mine"].map(|name| root.path().join(name));
        let works: Vec<String> =
            gather(&folders, 0, |_, _| {}).unwrap().dataset.pieces.into_iter().map(|piece| piece.work).collect();
        assert_eq!(works, ["op10-1", "Chopin", "b", "5.mid", "x"]);
    }
}
