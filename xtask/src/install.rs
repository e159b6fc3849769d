//! `cargo xtask install`: the bundle into the user's own plug-in folders.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::bundle;
use crate::workspace::Workspace;

/// Builds the bundle and copies it.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    bundle::build(workspace, &[])?;
    let [clap, vst3] = folders()?;
    for (bundle, folder) in [(workspace.clap(), clap), (workspace.vst3(), vst3)] {
        let target = place(&bundle, &folder).with_context(|| format!("cannot install into {}", folder.display()))?;
        println!("installed {}", target.display());
    }
    println!(
        "Let your host scan its plug-ins again, then look for Antiphon: the CLAP among the note effects, the VST3 among the instruments."
    );
    Ok(ExitCode::SUCCESS)
}

/// The user's folders for CLAP and VST3 plug-ins, as the formats' own pages name them.
fn folders() -> Result<[PathBuf; 2]> {
    let variable = |name: &str| {
        let value = std::env::var_os(name).map(PathBuf::from);
        value.with_context(|| format!("the environment variable {name} is not set"))
    };
    Ok(if cfg!(target_os = "windows") {
        let common = variable("LOCALAPPDATA")?.join("Programs").join("Common");
        [common.join("CLAP"), common.join("VST3")]
    } else if cfg!(target_os = "macos") {
        let plug_ins = variable("HOME")?.join("Library/Audio/Plug-Ins");
        [plug_ins.join("CLAP"), plug_ins.join("VST3")]
    } else {
        let home = variable("HOME")?;
        [home.join(".clap"), home.join(".vst3")]
    })
}

/// Puts a bundle, file or folder, into `folder`: copied beside the old one, then moved over it, so
/// that a host that has the old one loaded keeps it whole.
fn place(bundle: &Path, folder: &Path) -> Result<PathBuf> {
    let name = bundle.file_name().context("a bundle without a name")?;
    let target = folder.join(name);
    let mut fresh = name.to_owned();
    fresh.push(".new");
    let fresh = folder.join(fresh);
    std::fs::create_dir_all(folder)?;
    remove(&fresh)?;
    copy(bundle, &fresh)?;
    if target.is_dir() {
        remove(&target)?;
    }
    std::fs::rename(&fresh, &target)?;
    Ok(target)
}

fn remove(path: &Path) -> Result<()> {
    if path.is_dir() {
        std::fs::remove_dir_all(path)?;
    } else if path.exists() {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else {
        std::fs::copy(from, to)?;
    }
    Ok(())
}
