//! Searches for a weights file that is not where the project says, because the project was moved to another machine or
//! the file to another folder. The file is recognized by its digest.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use model::fnv::{BASIS, fnv1a};

use super::{LARGEST, PIECE};
use crate::presets;

/// The most entries examined per folder.
const FILES: usize = 1_000;
/// Extension of weights files.
const EXTENSION: &str = "safetensors";

/// Identifies a file's contents: a hash (FNV-1a) and the length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    hash: u64,
    /// `None` for digests stored by the first releases.
    bytes: Option<u64>,
}

impl Digest {
    /// The digest of these contents.
    pub fn of(contents: &[u8]) -> Self {
        Self { hash: fnv1a(BASIS, contents.iter().copied()), bytes: Some(contents.len() as u64) }
    }

    /// Parses what [`Display`](std::fmt::Display) writes.
    pub fn read(text: &str) -> Option<Self> {
        let (hash, bytes) = match text.split_once('-') {
            Some((hash, bytes)) => (hash, Some(bytes.parse().ok()?)),
            None => (text, None),
        };
        Some(Self { hash: u64::from_str_radix(hash, 16).ok()?, bytes })
    }

    /// Whether both have the same contents.
    pub fn matches(&self, other: &Self) -> bool {
        self.hash == other.hash && self.bytes.zip(other.bytes).is_none_or(|(one, other)| one == other)
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.hash)?;
        self.bytes.map_or(Ok(()), |bytes| write!(f, "-{bytes}"))
    }
}

/// The folders to search for a file that was saved as `path`: the path's own, Antiphon's folder for weights, and those
/// in which files usually arrive.
pub fn folders(path: &Path) -> Vec<PathBuf> {
    let beside = path.parent().filter(|folder| folder.is_absolute()).map(Path::to_owned);
    let own = presets::folder().and_then(|presets| Some(presets.parent()?.join("weights")));
    let below = |folder: Option<PathBuf>| folder.map(|folder| folder.join("Antiphon"));
    let arrive = [dirs::download_dir(), below(dirs::document_dir()), below(dirs::audio_dir())].into_iter().flatten();
    beside.into_iter().chain(own).chain(arrive).collect()
}

/// The file with this digest in one of the folders; those named as in `path` are tried first. Gives up when it is no
/// longer `wanted`.
pub fn find(digest: &Digest, path: &Path, folders: &[PathBuf], wanted: &dyn Fn() -> bool) -> Option<PathBuf> {
    let name = name(path);
    let mut files: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path()).take(FILES))
        .filter(|file| file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(EXTENSION)))
        .filter(|file| {
            let about = fs::metadata(file).ok().filter(|about| about.is_file() && about.len() <= LARGEST);
            // Reading is slow, so only files of the right length are read; if the length is unknown, only those of the
            // right name.
            about.is_some_and(|about| digest.bytes.map_or(self::name(file) == name, |bytes| about.len() == bytes))
        })
        .collect();
    files.sort_by_key(|file| self::name(file) != name);
    files.into_iter().find(|file| of_file(file, wanted).is_some_and(|found| found.matches(digest)))
}

/// The file name in a path of any operating system.
fn name(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

/// The digest of a file, read in pieces; `None` if it cannot be read or is no longer `wanted`.
fn of_file(file: &Path, wanted: &dyn Fn() -> bool) -> Option<Digest> {
    let mut file = File::open(file).ok()?;
    let mut piece = vec![0; PIECE];
    let (mut hash, mut bytes) = (BASIS, 0);
    while wanted() {
        match file.read(&mut piece).ok()? {
            0 => return Some(Digest { hash, bytes: Some(bytes) }),
            read => {
                hash = fnv1a(hash, piece[..read].iter().copied());
                bytes += read as u64;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_its_contents_whatever_it_is_called() {
        let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let folders = [here.path().join("none"), here.path().to_owned(), there.path().to_owned()];
        let write = |folder: &tempfile::TempDir, name: &str, contents: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, contents).unwrap();
            path
        };
        write(&here, "mine.safetensors", b"other");
        write(&here, "same length.safetensors", b"nighT");
        write(&here, "mine.txt", b"night");
        fs::create_dir(here.path().join("folder.safetensors")).unwrap();
        let digest = Digest::of(b"night");
        let find = |digest: &Digest, path: &str| super::find(digest, Path::new(path), &folders, &|| true);
        assert_eq!(find(&digest, "/gone/mine.safetensors"), None);

        let renamed = write(&there, "私の重み.SafeTensors", b"night");
        assert_eq!(find(&digest, "/gone/mine.safetensors"), Some(renamed.clone()));
        assert_eq!(super::find(&digest, &renamed, &folders, &|| false), None, "nobody wants it");
        let named = write(&there, "mine.safetensors", b"night");
        assert_eq!(find(&digest, "C:\\nets\\mine.safetensors"), Some(named.clone()), "from another system");

        // Digests of the first releases have no length: only files of the same name are read.
        let old = Digest::read(&digest.to_string()[..16]).unwrap();
        assert_eq!(find(&old, "/gone/mine.safetensors"), Some(named));
        assert_eq!(find(&old, "/gone/yours.safetensors"), None);
        assert!(old.matches(&digest) && !digest.matches(&Digest::of(b"day")));
        assert_eq!(Digest::read(&digest.to_string()), Some(digest));
        assert_eq!((Digest::read(""), Digest::read("é-1"), Digest::read("12-x")), (None, None, None));
    }
}
