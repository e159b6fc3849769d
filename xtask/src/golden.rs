//! `cargo xtask golden`: rewrites the golden takes, or compares against them.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Rewrites the golden takes; with `only_check`, compares what is generated now with the stored ones.
pub fn run(only_check: bool) -> Result<ExitCode> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--package", "engine", "--test", "golden"]);
    if !only_check {
        cargo.env("ANTIPHON_WRITE_GOLDEN", "1");
    }
    let status = cargo.status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
