//! MIDI files in one archive beside their manifest: a `.tar.zst`, read where it lies, in memory.

use crate::error::bad_input;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The ending of such an archive's name.
const ENDING: &str = ".tar.zst";
/// An archive may unpack to this many bytes: tens of thousands of piano pieces.
const LARGEST: u64 = 1 << 30;
/// A larger member, in bytes, is no MIDI file for a keyboard.
const LARGEST_MEMBER: u64 = 16 << 20;

/// The archive in a folder, if it has one. An error if it has several.
pub fn find(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| bad_input(folder, error))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING)))
        .collect();
    found.sort();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(bad_input(folder, format!("has several archives (*{ENDING}); leave one"))),
    }
}

/// Every file in the archive by its path inside it, with slashes; those too large to be a MIDI file are left out.
pub fn read(path: &Path) -> anyhow::Result<HashMap<String, Vec<u8>>> {
    let broken = |error: &dyn std::fmt::Display| bad_input(path, format!("cannot be unpacked ({error})"));
    let file = BufReader::new(File::open(path).map_err(|error| bad_input(path, error))?);
    let unpacked = ruzstd::decoding::StreamingDecoder::new(file).map_err(|error| broken(&error))?;
    // Headers and padding count too, so that endless small members end as well.
    let mut archive = tar::Archive::new(unpacked.take(LARGEST));
    let mut members = HashMap::new();
    let mut size = 0;
    for member in archive.entries().map_err(|error| broken(&error))? {
        let mut member = member.map_err(|error| broken(&error))?;
        size += member.size();
        if size > LARGEST {
            return Err(bad_input(path, format!("unpacks to more than {} MiB; split it", LARGEST >> 20)));
        }
        if !member.header().entry_type().is_file() || member.size() > LARGEST_MEMBER {
            continue;
        }
        let name = String::from_utf8_lossy(&member.path_bytes()).trim_start_matches("./").to_owned();
        let mut bytes = Vec::with_capacity(member.size() as usize);
        member.read_to_end(&mut bytes).map_err(|error| broken(&error))?;
        members.insert(name, bytes);
    }
    Ok(members)
}
