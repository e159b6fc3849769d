//! MIDI files in an archive next to their manifest: a `.tar.zst`, unpacked in memory.

use crate::error::bad_input;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// File name ending of such an archive.
const ENDING: &str = ".tar.zst";
/// Maximum unpacked size of an archive, in bytes; enough for tens of thousands of piano pieces.
const LARGEST: u64 = 1 << 30;
/// Maximum size of a file in it, in bytes; anything larger is not a MIDI file of keyboard music.
const LARGEST_MEMBER: u64 = 16 << 20;

/// The archive in a folder, if it has one; an error if it has several.
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

/// All files in the archive by their paths in it, with slashes; files too large to be a MIDI file are skipped.
pub fn read(path: &Path) -> anyhow::Result<HashMap<String, Vec<u8>>> {
    let broken = |error: &dyn std::fmt::Display| bad_input(path, format!("cannot be unpacked ({error})"));
    let file = BufReader::new(File::open(path).map_err(|error| bad_input(path, error))?);
    let unpacked = ruzstd::decoding::StreamingDecoder::new(file).map_err(|error| broken(&error))?;
    // The limit includes headers and padding, so that an endless sequence of small files ends, too.
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

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        compress_to_vec(&builder.into_inner().unwrap()[..], CompressionLevel::Fastest)
    }

    #[test]
    fn members_are_found_by_path_and_what_is_cut_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path()).unwrap(), None);
        let path = folder.path().join("files.tar.zst");
        let bytes = archive(&[("./a/1.mid", b"one"), ("b.mid", &[7; 3000])]);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(find(folder.path()).unwrap(), Some(path.clone()));
        let members = read(&path).unwrap();
        assert_eq!(members.len(), 2);
        assert_eq!((&members["a/1.mid"][..], members["b.mid"].len()), (&b"one"[..], 3000));
        for len in [0, 3, bytes.len() / 2, bytes.len() - 8] {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let error = read(&path).expect_err("it is cut short").to_string();
            assert!(error.contains("files.tar.zst: cannot be unpacked"), "{len}: {error}");
        }
        std::fs::write(folder.path().join("more.tar.zst"), b"").unwrap();
        assert!(find(folder.path()).unwrap_err().to_string().contains("several archives"));
    }
}
