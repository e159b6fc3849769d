//! Writing files so that whoever stops it at any moment, or a full disk, leaves the old one whole: a file is
//! written beside the old one, forced to the disk and renamed. Never on the audio thread.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Replaces what is at `path` by these bytes. Folders on the way are made. What fails leaves nothing behind; what is
/// killed may leave a file beside, whose name begins with `.tmp`.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |beside| File::create(beside)?.write_all(bytes))
}

/// The same, for files that something else writes: `write` gets the path to write to.
pub fn replace<E: From<io::Error>>(path: &Path, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // A link stays a link: what it names is replaced.
    let old = fs::canonicalize(path).ok();
    let path = old.as_deref().unwrap_or(path);
    let beside = beside(path)?;
    let written = write(&beside).and_then(|()| {
        let file = File::options().write(true).open(&beside)?;
        if let (Some(old), false) = (&old, cfg!(windows)) {
            file.set_permissions(fs::metadata(old)?.permissions())?;
        }
        file.sync_all()?;
        drop(file);
        Ok(fs::rename(&beside, path)?)
    });
    if written.is_err() {
        // Without it there is no more to be said than the error says.
        drop(fs::remove_file(&beside));
    }
    written
}

/// A name that no one else writes to now, on the same disk and with the same extension.
fn beside(path: &Path) -> io::Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut name = OsString::from(format!(".tmp-{process}-{number}-"));
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    Ok(path.with_file_name(name))
}
