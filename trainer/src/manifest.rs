//! A folder's `manifest.csv`.
//!
//!  column | meaning |
//! | --- | --- |
//!  `path` | path in the folder, or in its archive |
//! | `split` | train, validation or test; pieces of any other split are not used |
//!  `work`, `composer` | the work that it is a performance of, and its composer |
//! | `same_notes_as` | `set/path` of a piece that has the same notes |
//! | `kind` | sequenced, score, transcription, roll, or performance |
//!  `beats` | 1: ticks are musical time and bars are correct; 0: they are not |
//!  `dynamics` | 0: velocities are meaningless |
//!
//! All columns except `path` and `split` may be missing.

use crate::archive;
use crate::dataset::Split;
use crate::error::bad_input;
use crate::folder::{FoundFile, set_name};
use model::Source;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Sources of sets whose manifests do not state them: (start of the set's name, source).
const SOURCES: [(&str, Source); 5] = [
    ("piano-midi", Source::Sequenced),
    ("giantmidi", Source::Transcription),
    ("nc-asap", Source::Transcription),
    ("mutopia", Source::Score),
    ("rolls", Source::Roll),
];

/// Sets without dynamics whose manifests do not state it: their velocities only mark the meter, as set by a program.
const FLAT: [&str; 1] = ["hymnal"];

/// The source of a piece, from its `kind`, or else from the name of its set.
fn source(set: &str, kind: Option<&str>) -> Option<Source> {
    Source::ALL
        .into_iter()
        .find(|source| kind == Some(source.name()))
        .or_else(|| SOURCES.iter().find(|(name, _)| set.starts_with(name)).map(|&(_, source)| source))
}

/// Reads a manifest; pieces of unknown splits are only counted, in `unused`.
pub(crate) fn read(
    folder: &Path,
    manifest: &Path,
    unused: &mut BTreeMap<(String, String), usize>,
) -> anyhow::Result<Vec<FoundFile>> {
    let mut reader = csv::Reader::from_path(manifest).map_err(|error| bad_input(manifest, error))?;
    let headers = reader.headers().map_err(|error| bad_input(manifest, error))?.clone();
    let column = |name: &str| headers.iter().position(|header| header == name);
    let (Some(path), Some(split)) = (column("path"), column("split")) else {
        return Err(bad_input(manifest, "needs the columns \"path\" and \"split\""));
    };
    let (work, composer, same_notes_as) = (column("work"), column("composer"), column("same_notes_as"));
    let (kind, beats, dynamics) = (column("kind"), column("beats"), column("dynamics"));

    let set = set_name(folder);
    let mut members = match archive::find(folder)? {
        Some(path) => archive::read(&path)?,
        None => HashMap::new(),
    };
    let mut found_files = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| bad_input(manifest, error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let get = |column: Option<usize>| {
            column.and_then(|column| record.get(column)).filter(|field| !field.is_empty()).map(str::to_owned)
        };
        let flag = |column: Option<usize>, name: &str| match get(column).as_deref() {
            None => Ok(None),
            Some("0") => Ok(Some(false)),
            Some("1") => Ok(Some(true)),
            Some(_) => Err(bad_input(manifest, format!("line {line}: {name} must be 0 or 1"))),
        };
        let missing = |what: &str| bad_input(manifest, format!("line {line} has no {what}"));
        let name = get(Some(path)).ok_or_else(|| missing("path"))?;
        let split = get(Some(split)).ok_or_else(|| missing("split"))?;
        let (beats, dynamics) = (flag(beats, "beats")?, flag(dynamics, "dynamics")?);
        let Ok(split) = split.parse::<Split>() else {
            *unused.entry((set.clone(), split)).or_default() += 1;
            continue;
        };
        found_files.push(FoundFile {
            set: set.clone(),
            file: folder.join(&name),
            bytes: members.remove(&name),
            name,
            split,
            work: get(work),
            composer: get(composer),
            same_notes_as: get(same_notes_as),
            source: source(&set, get(kind).as_deref()),
            dynamics: dynamics.or_else(|| FLAT.contains(&&set[..]).then_some(false)),
            beats,
        });
    }
    Ok(found_files)
}
