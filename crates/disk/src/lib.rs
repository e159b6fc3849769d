//! Atomic file replacement: a crash at any moment, or a full disk, leaves the old file intact. The new file is written
//! next to the old one, flushed to disk and renamed. Not for the audio thread.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::{Builder, TempPath};

/// Replaces the file at `path` with these bytes, creating missing folders. On an error nothing is left behind; a killed
/// process may leave a temporary file in the folder, with a name that begins with `.tmp`.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |beside| File::create(beside)?.write_all(bytes))
}

/// Like [`write_atomic`], for code that writes a file itself: `write` is called with the path to write to.
pub fn replace<E: From<io::Error>>(path: &Path, write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // A symbolic link stays a link: its target is replaced.
    let old = fs::canonicalize(path).ok();
    let path = old.as_deref().unwrap_or(path);
    let beside = beside(path)?;
    write(&beside)?;
    let file = File::options().write(true).open(&beside)?;
    if let (Some(old), false) = (&old, cfg!(windows)) {
        file.set_permissions(fs::metadata(old)?.permissions())?;
    }
    file.sync_all()?;
    drop(file);
    Ok(beside.persist(path).map_err(|error| error.error)?)
}

/// A temporary file that no one else writes to, on the same disk and with the same extension; deleted on drop.
fn beside(path: &Path) -> io::Result<TempPath> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut suffix = OsString::from("-");
    suffix.push(name);
    let mut builder = Builder::new();
    builder.prefix(".tmp-").suffix(&suffix);
    // The permissions of any new file: as the user's umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(builder.tempfile_in(folder)?.into_temp_path())
}
