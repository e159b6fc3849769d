//! `cargo xtask bundle`: the plugin in the shape that hosts load.

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::packages;
use crate::workspace::Workspace;

/// The package that holds the plugin; its display name stands in bundler.toml.
pub const PLUGIN: &str = "antiphon";

/// Builds and bundles with cargo's own options; release unless they name a profile.
pub fn run(workspace: &Workspace, options: &[String]) -> Result<ExitCode> {
    build(workspace, options)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds for both kinds of Mac, and bundles the two as one; on macOS, with both of rustup's targets.
pub fn universal(workspace: &Workspace) -> Result<ExitCode> {
    ensure!(cfg!(target_os = "macos"), "one bundle for both kinds of Mac is made on a Mac");
    let release = "--release".to_owned();
    for target in ["x86_64-apple-darwin", "aarch64-apple-darwin"] {
        nice_plug_xtask::build(&[PLUGIN.to_owned()], &[release.clone(), format!("--target={target}")])?;
    }
    nice_plug_xtask::bundle(&workspace.target, PLUGIN, &[release], true)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds and bundles the plugin. It always has a run of cargo for itself: beside another package its
/// dependencies would get that one's features too, and all of it would be built a second time.
pub fn build(workspace: &Workspace, options: &[String]) -> Result<()> {
    if options.iter().any(|option| option.contains("standalone")) {
        packages::ensure_standalone()?;
    }
    let mut options = options.to_vec();
    if !options.iter().any(|option| option.starts_with("--profile")) {
        options.retain(|option| option != "--release");
        options.push("--release".to_owned());
    }
    nice_plug_xtask::build(&[PLUGIN.to_owned()], &options)?;
    nice_plug_xtask::bundle(&workspace.target, PLUGIN, &options, false)
}
