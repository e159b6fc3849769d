//! Atomic file writes, and output to stdout.

use anyhow::Context;
use std::io::Write;
use std::path::Path;

/// Replaces a file atomically; see [`disk::write_atomic`].
pub fn write_atomic(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    disk::write_atomic(path, bytes).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Replaces a file atomically; `write` writes to the path that it is given. See [`disk::replace`].
pub fn replace(path: &Path, write: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    disk::replace(path, write).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Prints a report. It is not an error if the reader closes the pipe (`trainer inspect FILE | head`).
pub fn say(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("stdout cannot be written"),
    }
}
