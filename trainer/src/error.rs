//! Errors and exit codes: 2 for unusable input, 1 for anything else.

use std::path::Path;

/// Unusable input; a single line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// A [`BadInput`] error with the text `path: message`.
pub fn bad_input(path: &Path, message: impl std::fmt::Display) -> anyhow::Error {
    BadInput(format!("{}: {message}", path.display())).into()
}

/// Reads a file given by the user; [`BadInput`] if it cannot be read.
pub fn read_input(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| bad_input(path, format!("cannot be read ({error})")))
}

/// The process's exit code for an error: 2 for unusable input, otherwise 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<BadInput>()) { 2 } else { 1 }
}
