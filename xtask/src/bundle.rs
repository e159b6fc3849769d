//! `cargo xtask bundle`: the plugin in the shape that hosts load.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::packages;
use crate::workspace::Workspace;

/// The package that holds the plugin; its display name stands in bundler.toml.
pub const PLUGIN: &str = "antiphon";

/// Builds and bundles with cargo's own options; release unless they name a profile.
pub fn run(workspace: &Workspace, options: &[String]) -> Result<ExitCode> {
    build(workspace, options)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds plugins and app for both kinds of Mac, and bundles the two as one; on macOS, with both of rustup's targets.
pub fn universal(workspace: &Workspace) -> Result<()> {
    ensure!(cfg!(target_os = "macos"), "one bundle for both kinds of Mac is made on a Mac");
    let release = "--release".to_owned();
    for features in [&[][..], &["--features=standalone".to_owned(), "--bin=antiphon".to_owned()]] {
        for target in ["x86_64-apple-darwin", "aarch64-apple-darwin"] {
            let options = [&[release.clone(), format!("--target={target}")], features].concat();
            nice_plug_xtask::build(&[PLUGIN.to_owned()], &options)?;
            let library = release_folder(&workspace.target, Some(target)).join("libantiphon.dylib");
            if !features.is_empty() && library.exists() {
                // The app's; that of the plugin is bundled already.
                std::fs::remove_file(library)?;
            }
        }
        nice_plug_xtask::bundle(&workspace.target, PLUGIN, std::slice::from_ref(&release), true)?;
    }
    Ok(())
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

/// Builds the standalone app beside the bundles: `Antiphon`, `Antiphon.exe` or `Antiphon.app`. The bundles stay as
/// they are: the plugin in them is built without what only the app needs.
pub fn app(workspace: &Workspace, options: &[String]) -> Result<()> {
    packages::ensure_standalone()?;
    app_for(&workspace.target, options)
}

/// The same below another target folder, maybe for another system.
pub fn app_for(target: &Path, options: &[String]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--package", PLUGIN, "--features", "standalone", "--bin", PLUGIN]).args(options);
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "the standalone app could not be built; see above");
    collect_app(target, options)
}

/// Puts the app that cargo has built below `target` beside the bundles.
pub fn collect_app(target: &Path, options: &[String]) -> Result<()> {
    let triple = options.iter().find_map(|option| option.strip_prefix("--target="));
    // Bundled is whatever lies there, and the library that lies there now is the app's.
    for library in ["libantiphon.so", "libantiphon.dylib", "antiphon.dll"] {
        let library = release_folder(target, triple).join(library);
        if library.exists() {
            std::fs::remove_file(&library).with_context(|| format!("cannot remove {}", library.display()))?;
        }
    }
    let options = [&["--release".to_owned()], options].concat();
    nice_plug_xtask::bundle(target, PLUGIN, &options, false)
}

/// Where cargo leaves a release build.
pub fn release_folder(target: &Path, triple: Option<&str>) -> PathBuf {
    triple.map_or(target.to_owned(), |triple| target.join(triple)).join("release")
}
