//! Writing files so that whoever stops it at any moment, or a full disk, leaves the old one whole: a file is
//! written beside the old one, forced to the disk and renamed. Never on the audio thread.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::{Builder, TempPath};

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
    write(&beside)?;
    let file = File::options().write(true).open(&beside)?;
    if let (Some(old), false) = (&old, cfg!(windows)) {
        file.set_permissions(fs::metadata(old)?.permissions())?;
    }
    file.sync_all()?;
    drop(file);
    Ok(beside.persist(path).map_err(|error| error.error)?)
}

/// A file that no one else writes to, on the same disk and with the same extension; removed if it is dropped.
fn beside(path: &Path) -> io::Result<TempPath> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut suffix = OsString::from("-");
    suffix.push(name);
    let mut builder = Builder::new();
    builder.prefix(".tmp-").suffix(&suffix);
    // As a new file is anywhere: what the user's mask lets others do.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(builder.tempfile_in(folder)?.into_temp_path())
}
