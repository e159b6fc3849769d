//! `cargo xtask bundle`: builds the plugin as the bundles that hosts load.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::packages;
use crate::workspace::Workspace;

/// The package that contains the plugin; its display name is in bundler.toml.
pub const PLUGIN: &str = "antiphon";

/// Cargo's option for a generator that fails on request.
pub const TO_FAIL: &str = "--features=fault-injection";

/// Builds and bundles with cargo's options; a release build unless they name a profile.
pub fn run(workspace: &Workspace, options: &[String]) -> Result<ExitCode> {
    build(workspace, options)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the plugins and the app for Intel and Apple silicon and bundles them as universal binaries. Needs macOS and
/// both rustup targets.
pub fn universal(workspace: &Workspace) -> Result<()> {
    ensure!(cfg!(target_os = "macos"), "universal bundles can only be built on macOS");
    let release = "--release".to_owned();
    for features in [&[][..], &["--features=standalone".to_owned(), "--bin=antiphon".to_owned()]] {
        for target in ["x86_64-apple-darwin", "aarch64-apple-darwin"] {
            let options = [&[release.clone(), format!("--target={target}")], features].concat();
            nice_plug_xtask::build(&[PLUGIN.to_owned()], &options)?;
            let library = release_folder(&workspace.target, Some(target)).join("libantiphon.dylib");
            if !features.is_empty() && library.exists() {
                // This library was built for the app; the plugin's is bundled already.
                std::fs::remove_file(library)?;
            }
        }
        nice_plug_xtask::bundle(&workspace.target, PLUGIN, std::slice::from_ref(&release), true)?;
    }
    Ok(())
}

/// Builds and bundles the plugin with a generator that fails on request, for the tests of what happens then.
pub fn build_to_fail(workspace: &Workspace) -> Result<()> {
    build(workspace, &[TO_FAIL.to_owned()])
}

/// Builds and bundles the plugin, always in its own cargo invocation: built along with another package, its
/// dependencies would also get that package's features, and all of them would be built a second time.
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

/// Builds the standalone app next to the bundles: `Antiphon`, `Antiphon.exe` or `Antiphon.app`. The bundles are not
/// touched: the plugin in them is built without the dependencies that only the app needs.
pub fn app(workspace: &Workspace, options: &[String]) -> Result<()> {
    packages::ensure_standalone()?;
    app_for(&workspace.target, options)
}

/// Same as [`app`], but into any target folder and possibly for another system; checks for no packages.
pub fn app_for(target: &Path, options: &[String]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--package", PLUGIN, "--features", "standalone", "--bin", PLUGIN]).args(options);
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "the standalone app could not be built; see above");
    collect_app(target, options)
}

/// Bundles the app that cargo built below `target`, next to the plugin bundles.
pub fn collect_app(target: &Path, options: &[String]) -> Result<()> {
    let triple = options.iter().find_map(|option| option.strip_prefix("--target="));
    // The bundler bundles every artifact it finds, and the library that is there now was built for the app.
    for library in ["libantiphon.so", "libantiphon.dylib", "antiphon.dll"] {
        let library = release_folder(target, triple).join(library);
        if library.exists() {
            std::fs::remove_file(&library).with_context(|| format!("cannot remove {}", library.display()))?;
        }
    }
    let options = [&["--release".to_owned()], options].concat();
    nice_plug_xtask::bundle(target, PLUGIN, &options, false)
}

/// The folder where cargo puts a release build, for the host's own target or for `triple`.
pub fn release_folder(target: &Path, triple: Option<&str>) -> PathBuf {
    triple.map_or(target.to_owned(), |triple| target.join(triple)).join("release")
}
