//! `cargo xtask bundle`: the plugin in the shape that hosts load.

use std::process::ExitCode;

use anyhow::Result;

use crate::packages;
use crate::workspace::Workspace;

/// The package that holds the plugin; its display name stands in bundler.toml.
pub const PLUGIN: &str = "antiphon";

/// Builds and bundles with cargo's own options; release unless they name a profile.
pub fn run(workspace: &Workspace, options: &[String]) -> Result<ExitCode> {
    build(workspace, options)?;
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
