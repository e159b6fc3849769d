//! What went wrong, told apart by whose turn it is: exit code 2 asks for other input, 1 for the rest.

use std::path::Path;

/// Input that cannot be used. One line, and it says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// `path: message`, as bad input.
pub fn bad_input(path: &Path, message: impl std::fmt::Display) -> anyhow::Error {
    BadInput(format!("{}: {message}", path.display())).into()
}

/// The bytes of a file someone named. That it cannot be read is bad input too.
pub fn read_input(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| bad_input(path, format!("cannot be read ({error})")))
}

/// The process's exit code for an error: 2 when other input would help, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<BadInput>()) { 2 } else { 1 }
}
