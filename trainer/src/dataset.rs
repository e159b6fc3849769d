//! Pieces of music with their splits, and their file format.
//!
//! The file is a safetensors container: six columns, each over the notes of all pieces, and a single JSON entry in the
//! metadata that describes the pieces (name, set, split, work, source, number of notes, ...). A single entry, because
//! the container writes several in random order, and the same folders should give the same bytes.

use crate::error::{bad_input, read_input};
use crate::files::write_atomic;
use model::Source;
use model::fnv::{BASIS, fnv1a};
use notes::Note;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Key of the metadata entry.
pub const KEY: &str = "antiphon-dataset";
/// Version of the format; raised when columns or entry change.
pub const VERSION: u32 = 3;

/// What a piece is used for. All pieces of a work are in the same split.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    #[default]
    Train,
    /// For validation during training; all choices are based on it.
    Validation,
    /// For the published results only.
    Test,
}

impl Split {
    /// All three, in this order.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name used in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl std::str::FromStr for Split {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|split| split.name() == name).ok_or(())
    }
}

/// One piece of music.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// Path in its folder.
    pub name: String,
    /// Name of its folder, which names the set.
    pub set: String,
    /// Split that it belongs to.
    pub split: Split,
    /// The work that it is a performance of; never empty. Pieces of the same work are in the same split, and on the
    /// same side in cross-validation.
    pub work: String,
    /// Kind of source; `None` if unknown, as for a user's own music.
    pub source: Option<Source>,
    /// Whether velocities are meaningless: all the same, or made up.
    pub flat: bool,
    /// The notes, canonical ([`notes::chords`]); at least one, and the first onset is 0.
    pub notes: Vec<Note>,
    /// Onset of each note in quarter notes, as in [`crate::performance::Performance`]; empty if unknown.
    pub beats: Vec<f64>,
    /// Sections with bars of equal length, in order: (beat of the section's first bar line, quarter notes per bar).
    /// Empty if unknown.
    pub bars: Vec<(f64, f64)>,
}

/// Pieces, in the order in which they were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// The pieces of all splits.
    pub pieces: Vec<Piece>,
}

/// The metadata entry.
#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    pieces: Vec<Entry>,
}

/// A piece in the metadata entry.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    set: String,
    split: Split,
    work: String,
    source: Option<Source>,
    flat: bool,
    /// Whether the piece's values in the column `beat` are valid.
    beats: bool,
    bars: Vec<(f64, f64)>,
    notes: usize,
}

impl Dataset {
    /// The pieces of one split, in order.
    pub fn split(&self, split: Split) -> impl Iterator<Item = &Piece> + Clone {
        self.pieces.iter().filter(move |piece| piece.split == split)
    }

    /// Number of notes in a split.
    pub fn notes(&self, split: Split) -> usize {
        self.split(split).map(|piece| piece.notes.len()).sum()
    }

    /// A 64-bit fingerprint of the data (FNV-1a over notes, splits and metadata that affect training).
    pub fn fingerprint(&self) -> u64 {
        let of = |note: &Note| {
            let key = u64::from(note.pitch) << 8 | u64::from(note.velocity);
            [note.onset.to_bits(), note.spread.to_bits(), note.duration.to_bits(), key]
        };
        self.pieces.iter().fold(BASIS, |hash, piece| {
            let about = [piece.split as u64, piece.source.map_or(0, |source| 1 + source as u64), piece.flat.into()];
            let hash = fnv1a(fnv1a(hash, about), piece.notes.iter().flat_map(of));
            let bars = piece.bars.iter().flat_map(|&(start, length)| [start, length]);
            fnv1a(hash, piece.beats.iter().copied().chain(bars).map(f64::to_bits))
        })
    }

    /// Writes the data set file atomically.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        write_atomic(path, &self.to_bytes()?)
    }

    /// Reads a file written by [`Dataset::save`].
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        Self::from_bytes(&read_input(path)?).map_err(|message| bad_input(path, message))
    }

    fn to_bytes(&self) -> anyhow::Result<Vec<u8>> {
        let all = || self.pieces.iter().flat_map(|piece| &piece.notes);
        let count = all().count();
        let f64s = |get: fn(&Note) -> f64| -> Vec<u8> { all().flat_map(|note| get(note).to_le_bytes()).collect() };
        let beats = |piece: &Piece| -> Vec<f64> {
            if piece.beats.is_empty() { vec![0.0; piece.notes.len()] } else { piece.beats.clone() }
        };
        let columns = [
            ("onset", Dtype::F64, f64s(|note| note.onset)),
            ("spread", Dtype::F64, f64s(|note| note.spread)),
            ("duration", Dtype::F64, f64s(|note| note.duration)),
            ("pitch", Dtype::U8, all().map(|note| note.pitch).collect()),
            ("velocity", Dtype::U8, all().map(|note| note.velocity).collect()),
            ("beat", Dtype::F64, self.pieces.iter().flat_map(beats).flat_map(f64::to_le_bytes).collect()),
        ];
        let views = columns
            .iter()
            .map(|(name, dtype, bytes)| Ok((*name, TensorView::new(*dtype, vec![count], bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
        let entries: Vec<Entry> = self
            .pieces
            .iter()
            .map(|piece| Entry {
                name: piece.name.clone(),
                set: piece.set.clone(),
                split: piece.split,
                work: piece.work.clone(),
                source: piece.source,
                flat: piece.flat,
                beats: !piece.beats.is_empty(),
                bars: piece.bars.clone(),
                notes: piece.notes.len(),
            })
            .collect();
        let contents = Contents { version: VERSION, pieces: entries };
        let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(&contents)?)]);
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    /// Parses a data set file. Everything is validated here, because the file may come from anyone.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        const AGAIN: &str = "create it again with `trainer prepare`";
        let not_ours = || format!("not a data set file, or truncated; {AGAIN}");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|_| not_ours())?;
        let contents = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or_else(not_ours)?;
        let contents: serde_json::Value = serde_json::from_str(contents).map_err(|_| not_ours())?;
        if contents["version"] != VERSION {
            return Err(format!(
                "this data set has version {}, but this program reads {VERSION}; {AGAIN}",
                contents["version"]
            ));
        }
        let Contents { pieces: entries, .. } = serde_json::from_value(contents).map_err(|_| not_ours())?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|_| not_ours())?;
        let count = entries.iter().try_fold(0usize, |sum, entry| sum.checked_add(entry.notes)).ok_or_else(not_ours)?;

        let column = |name: &str, dtype: Dtype| match tensors.tensor(name) {
            Ok(view) if view.dtype() == dtype && view.shape() == [count] => Ok(view.data()),
            _ => Err(format!("column {name:?} is missing or has the wrong length; {AGAIN}")),
        };
        let f64_at =
            |data: &[u8], index: usize| f64::from_le_bytes(data[index * 8..index * 8 + 8].try_into().expect("8 bytes"));
        let (onset, spread, duration) =
            (column("onset", Dtype::F64)?, column("spread", Dtype::F64)?, column("duration", Dtype::F64)?);
        let (pitch, velocity) = (column("pitch", Dtype::U8)?, column("velocity", Dtype::U8)?);
        let beat = column("beat", Dtype::F64)?;

        let mut next = 0;
        let mut pieces = Vec::with_capacity(entries.len());
        for entry in entries {
            let range = next..next + entry.notes;
            next = range.end;
            let beats: Vec<f64> =
                if entry.beats { range.clone().map(|index| f64_at(beat, index)).collect() } else { Vec::new() };
            let notes: Vec<Note> = range
                .map(|index| Note {
                    onset: f64_at(onset, index),
                    spread: f64_at(spread, index),
                    duration: f64_at(duration, index),
                    pitch: pitch[index],
                    velocity: velocity[index],
                })
                .collect();
            let sound = |note: &Note| {
                note.onset.is_finite()
                    && note.spread >= 0.0
                    && note.duration >= note.spread
                    && note.duration.is_finite()
                    && note.pitch < 128
                    && (1..128).contains(&note.velocity)
            };
            let ordered = notes.windows(2).all(|pair| pair[0].onset <= pair[1].onset);
            if notes.is_empty() || !ordered || !notes.iter().all(sound) {
                return Err(format!("piece {:?} has invalid notes; {AGAIN}", entry.name));
            }
            let true_bar = |&(start, length): &(f64, f64)| start.is_finite() && length.is_finite() && length > 0.0;
            if !beats.iter().all(|beat| beat.is_finite()) || !entry.bars.iter().all(true_bar) {
                return Err(format!("piece {:?} has invalid beats; {AGAIN}", entry.name));
            }
            let Entry { name, set, split, work, source, flat, bars, .. } = entry;
            pieces.push(Piece { name, set, split, work, source, flat, notes, beats, bars });
        }
        Ok(Self { pieces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_pieces() -> Dataset {
        let note = |onset: f64, pitch| Note { onset, spread: 0.007, duration: 0.1 + onset / 3.0, pitch, velocity: 64 };
        let piece = |name: &str, split, notes| Piece {
            name: name.into(),
            set: "set".into(),
            split,
            work: format!("work of {name}"),
            notes,
            ..Piece::default()
        };
        let known = Piece {
            source: Some(Source::Score),
            flat: true,
            beats: vec![-0.5, 1.0 / 3.0],
            bars: vec![(-1.0, 1.0), (0.0, 3.0)],
            ..piece("a.mid", Split::Train, vec![note(0.0, 60), note(0.1, 127)])
        };
        Dataset { pieces: vec![known, piece("b, \"c\".mid", Split::Test, vec![note(0.0, 0)])] }
    }

    #[test]
    fn what_is_saved_is_loaded_bit_for_bit() {
        let data = two_pieces();
        assert_eq!(Dataset::from_bytes(&data.to_bytes().unwrap()).unwrap(), data);
    }

    #[test]
    fn any_cut_is_refused() {
        let bytes = two_pieces().to_bytes().unwrap();
        for len in 0..bytes.len() {
            assert!(Dataset::from_bytes(&bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
        }
    }

    #[test]
    fn impossible_notes_are_refused() {
        for spoil in [
            |note: &mut Note| note.onset = f64::NAN,
            |note: &mut Note| note.onset = 2.0,    // the next one would come before
            |note: &mut Note| note.duration = 0.0, // ends before it is struck
            |note: &mut Note| note.pitch = 128,
            |note: &mut Note| note.velocity = 0,
        ] {
            let mut data = two_pieces();
            spoil(&mut data.pieces[0].notes[0]);
            assert!(Dataset::from_bytes(&data.to_bytes().unwrap()).unwrap_err().contains("a.mid"));
        }
        for spoil in [|piece: &mut Piece| piece.beats[1] = f64::NAN, |piece: &mut Piece| piece.bars[1].1 = 0.0] {
            let mut data = two_pieces();
            spoil(&mut data.pieces[0]);
            assert!(Dataset::from_bytes(&data.to_bytes().unwrap()).unwrap_err().contains("invalid beats"));
        }
    }

    #[test]
    fn what_is_known_of_a_piece_makes_other_data() {
        let fingerprint = two_pieces().fingerprint();
        for change in [
            |piece: &mut Piece| piece.source = None,
            |piece: &mut Piece| piece.flat = false,
            |piece: &mut Piece| piece.beats[1] = 2.0,
            |piece: &mut Piece| piece.bars[1].1 = 4.0,
        ] {
            let mut data = two_pieces();
            change(&mut data.pieces[0]);
            assert_ne!(data.fingerprint(), fingerprint);
        }
    }
}
