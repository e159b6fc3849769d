//! The engine for a page in a browser: it must build where there are no threads and no files.

use std::process::Command;

use anyhow::{Context, Result, ensure};

const TARGET: &str = "wasm32-unknown-unknown";

/// Adds the target to the toolchain, unless it is there.
pub fn target() -> Result<()> {
    let installed = Command::new("rustup").args(["target", "add", TARGET]).status().context("cannot run rustup")?;
    ensure!(installed.success(), "rustup could not add {TARGET}; add it yourself, and run this again");
    Ok(())
}

/// Type-checks the engine for it.
pub fn check() -> Result<()> {
    let status = Command::new("cargo")
        .args(["clippy", "--package", "engine", "--target", TARGET, "--", "-D", "warnings"])
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "see above");
    Ok(())
}
