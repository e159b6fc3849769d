//! The workspace's folders and version.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folders that the commands work with.
pub struct Workspace {
    /// The folder that the user called from; paths on the command line are relative to it.
    pub called_from: PathBuf,
    /// Cargo's target folder, wherever the user's settings put it.
    pub target: PathBuf,
}

impl Workspace {
    /// Finds the folders and makes the workspace's root the current directory.
    pub fn enter() -> Result<Self> {
        let called_from = std::env::current_dir()?;
        // `cargo run` sets it; without cargo, the value from build time is used.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = PathBuf::from(manifest).parent().context("xtask is not in a workspace")?.to_owned();
        std::env::set_current_dir(&root).with_context(|| format!("cannot enter {}", root.display()))?;
        let target = cargo_metadata::MetadataCommand::new().no_deps().exec()?.target_directory.into_std_path_buf();
        Ok(Self { called_from, target })
    }

    /// The plugin's version, which is the project's.
    pub fn version(&self) -> Result<String> {
        let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec()?;
        let package = metadata.packages.iter().find(|package| package.name.as_str() == crate::bundle::PLUGIN);
        Ok(package.context("there is no plugin in the workspace")?.version.to_string())
    }

    /// The folder that `cargo xtask bundle` writes to.
    pub fn bundled(&self) -> PathBuf {
        self.target.join("bundled")
    }

    /// The built CLAP plugin.
    pub fn clap(&self) -> PathBuf {
        self.bundled().join("Antiphon.clap")
    }
}
