//! `cargo xtask golden`: writes the golden takes, or compares them.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Writes them, or only checks whether the takes are what they were.
pub fn run(only_check: bool) -> Result<ExitCode> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--package", "engine", "--test", "golden"]);
    if !only_check {
        cargo.env("ANTIPHON_WRITE_GOLDEN", "1");
    }
    let status = cargo.status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
