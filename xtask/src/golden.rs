//! `cargo xtask golden`: writes the golden takes, or compares them.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// With `--check`, says whether the takes are what they were; else writes them.
pub fn run(options: &[String]) -> Result<ExitCode> {
    let only_check = match options {
        [] => false,
        [option] if option == "--check" => true,
        _ => anyhow::bail!("`cargo xtask golden` has one option: --check"),
    };
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--package", "engine", "--test", "golden"]);
    if !only_check {
        cargo.env("ANTIPHON_WRITE_GOLDEN", "1");
    }
    let status = cargo.status().context("cannot run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
