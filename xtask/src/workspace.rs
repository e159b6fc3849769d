//! Where things are.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folders that the commands work with.
pub struct Workspace {
    /// Where the user called from; paths on the command line are relative to it.
    pub called_from: PathBuf,
    /// Cargo's target folder, wherever the user has put it.
    pub target: PathBuf,
}

impl Workspace {
    /// Finds the folders and makes the workspace's root the current one.
    pub fn enter() -> Result<Self> {
        let called_from = std::env::current_dir()?;
        // Set by `cargo run`; the value from the build serves when the program is started by hand.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = PathBuf::from(manifest).parent().context("xtask lies in no workspace")?.to_owned();
        std::env::set_current_dir(&root).with_context(|| format!("no {}", root.display()))?;
        let target = cargo_metadata::MetadataCommand::new().no_deps().exec()?.target_directory.into_std_path_buf();
        Ok(Self { called_from, target })
    }

    /// The project's version.
    pub fn version(&self) -> Result<String> {
        let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec()?;
        let package = metadata.packages.iter().find(|package| package.name.as_str() == crate::bundle::PLUGIN);
        Ok(package.context("there is no plugin in the workspace")?.version.to_string())
    }

    /// Where `cargo xtask bundle` puts the plugin.
    pub fn bundled(&self) -> PathBuf {
        self.target.join("bundled")
    }

    /// The built CLAP plugin.
    pub fn clap(&self) -> PathBuf {
        self.bundled().join("Antiphon.clap")
    }
}
