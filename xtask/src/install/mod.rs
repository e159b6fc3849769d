//! `cargo xtask install` and `uninstall`: the plugins and the standalone app in the user's own folders.

mod places;
mod receipt;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

pub use places::Places;
use receipt::{Receipt, Removed};

use crate::workspace::Workspace;
use crate::{bundle, host, packages};

/// A part that can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    Clap,
    Vst3,
    /// The standalone app.
    App,
}

impl Part {
    pub const ALL: [Self; 3] = [Self::Clap, Self::Vst3, Self::App];
}

/// Builds the requested parts (all of them if `asked` is empty) and installs them.
pub fn run(workspace: &Workspace, asked: &[Part]) -> Result<ExitCode> {
    let mut parts = if asked.is_empty() { Part::ALL.to_vec() } else { asked.to_vec() };
    // The app was not requested by name, so a system that cannot build it still gets the plugins.
    if asked.is_empty() && !packages::standalone_can_be_built() {
        println!("Skipping the standalone app: building it needs {}.", packages::STANDALONE_NEEDS);
        println!("To add it, install these, then run `cargo xtask install app`.");
        parts.retain(|&part| part != Part::App);
    }
    bundle::build(workspace, &[])?;
    if parts.contains(&Part::App) {
        bundle::app(workspace, &[])?;
    }
    let places = Places::of_this_user()?;
    for target in install(&workspace.bundled(), &places, &parts)? {
        println!("installed {}", target.display());
    }
    println!(
        "Rescan plugins in your host, then look for Antiphon: the CLAP among the note effects, the VST3 among the instruments."
    );
    println!("`cargo xtask uninstall` removes it.");
    Ok(ExitCode::SUCCESS)
}

/// Removes what [`run`] has installed.
pub fn undo() -> Result<ExitCode> {
    let removed = uninstall(&Places::of_this_user()?)?;
    for path in &removed.gone {
        println!("removed {}", path.display());
    }
    for path in &removed.kept {
        println!("kept {}: it was changed since it was installed", path.display());
    }
    if removed.gone.is_empty() && removed.kept.is_empty() {
        println!("Nothing to remove: `cargo xtask install` has not installed anything here.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Copies parts from a folder of built bundles to their places. Returns the paths to show to the user.
///
/// # Errors
/// If a file that is not Antiphon's is in the way; then nothing has been changed.
pub fn install(bundled: &Path, places: &Places, parts: &[Part]) -> Result<Vec<PathBuf>> {
    let mut wanted = Vec::new();
    let mut shown = Vec::new();
    for &part in parts {
        for (source, target) in places.of(part, bundled) {
            source.collect(&target, &mut wanted)?;
            shown.push(target);
        }
    }
    let mut receipt = Receipt::read(&places.receipt)?;
    for (_, target) in &wanted {
        ensure!(
            receipt.may_replace(target)?,
            "{} exists and was not installed by this command; move it away first",
            target.display()
        );
    }
    for (content, target) in wanted {
        receipt.put(&content, &target).with_context(|| format!("cannot install {}", target.display()))?;
    }
    receipt.write()?;
    Ok(shown)
}

/// Removes installed files that are unchanged, and the folders that were created for them.
pub fn uninstall(places: &Places) -> Result<Removed> {
    Receipt::read(&places.receipt)?.remove()
}

/// For `cargo xtask test`: installs the built plugins into an empty home folder, checks that the installed CLAP plays
/// in the test host, and checks that the home is empty again after an uninstall.
pub fn check(workspace: &Workspace) -> Result<()> {
    let home = workspace.target.join("home");
    if home.exists() {
        std::fs::remove_dir_all(&home)?;
    }
    std::fs::create_dir(&home)?;
    let places = Places::below(&home);
    install(&workspace.bundled(), &places, &[Part::Clap, Part::Vst3])?;
    // The host as built by the test run, in the debug profile.
    let host = workspace.target.join("debug").join("test-host").with_extension(std::env::consts::EXE_EXTENSION);
    host::plays(workspace, &host, &places.clap.join("Antiphon.clap"))?;
    let removed = uninstall(&places)?;
    ensure!(removed.kept.is_empty(), "an uninstall has kept {:?}", removed.kept);
    std::fs::remove_dir(&home).context("an uninstall left something behind")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Every file and folder below `folder`.
    fn tree(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(tree(&path));
            }
            found.push(path);
        }
        found
    }

    struct Home {
        folder: tempfile::TempDir,
        bundled: PathBuf,
        places: Places,
    }

    /// An empty home, and fake bundles with the layout of the real ones.
    fn home() -> Home {
        let folder = tempfile::tempdir().unwrap();
        let bundled = folder.path().join("bundled");
        let inner = bundled.join("Antiphon.vst3/Contents/x86_64-linux");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("Antiphon.so"), b"a plugin with dev.antiphon.antiphon in it").unwrap();
        fs::write(bundled.join("Antiphon.clap"), b"dev.antiphon.antiphon as well").unwrap();
        fs::write(bundled.join("Antiphon"), b"#!/bin/sh\n# dev.antiphon.antiphon").unwrap();
        let places = Places::below(&folder.path().join("home"));
        Home { folder, bundled, places }
    }

    #[test]
    fn an_empty_home_is_empty_again_afterwards() {
        let Home { folder, bundled, places } = home();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        let shown = install(&bundled, &places, &Part::ALL).unwrap();
        assert!(shown.iter().all(|path| path.exists()), "{shown:?}");
        // A second time, over the first.
        install(&bundled, &places, &Part::ALL).unwrap();
        let removed = uninstall(&places).unwrap();
        assert!(removed.kept.is_empty());
        assert_eq!(tree(&home), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_is_not_ours_stays() {
        let Home { bundled, places, folder: _kept } = home();
        let foreign = places.clap.join("Antiphon.clap");
        fs::create_dir_all(&places.clap).unwrap();
        fs::write(&foreign, b"another plugin").unwrap();
        let error = install(&bundled, &places, &[Part::Vst3, Part::Clap]).unwrap_err();
        assert!(error.to_string().contains("move it away"), "{error}");
        assert!(!places.vst3.exists(), "something was installed all the same");
        assert_eq!(fs::read(&foreign).unwrap(), b"another plugin");

        // Changed files, and files that others put next to ours, survive an uninstall.
        fs::remove_file(&foreign).unwrap();
        install(&bundled, &places, &[Part::Vst3, Part::Clap]).unwrap();
        let beside = places.vst3.join("Antiphon.vst3/Contents/my notes.txt");
        fs::write(&beside, b"mine").unwrap();
        fs::write(&foreign, b"a plugin that somebody built").unwrap();
        let removed = uninstall(&places).unwrap();
        assert_eq!(removed.kept, std::slice::from_ref(&foreign));
        assert!(beside.exists() && foreign.exists());
        assert_eq!(fs::read_dir(places.vst3.join("Antiphon.vst3/Contents")).unwrap().count(), 1);
    }

    #[test]
    fn a_build_of_ours_without_a_receipt_is_replaced() {
        let Home { bundled, places, folder: _kept } = home();
        fs::create_dir_all(&places.clap).unwrap();
        fs::write(places.clap.join("Antiphon.clap"), b"an old dev.antiphon.antiphon out of a zip").unwrap();
        install(&bundled, &places, &[Part::Clap]).unwrap();
        uninstall(&places).unwrap();
        assert_eq!(tree(&places.clap), Vec::<PathBuf>::new());
        assert!(places.clap.exists(), "the folder was there before");
    }
}
