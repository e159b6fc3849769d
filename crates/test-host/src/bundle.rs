//! Finds the built plugin.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Environment variable with the path of the bundle, set by `cargo xtask` for tests and tools.
const ENV: &str = "ANTIPHON_CLAP";

/// The `.clap` to load: the one named by the environment variable `ANTIPHON_CLAP`, or else the one that `cargo xtask
/// bundle` put in the target folder of this program.
pub fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(ENV) {
        let path = PathBuf::from(path);
        if !path.exists() {
            bail!("{ENV} names {}, which does not exist", path.display());
        }
        return Ok(path);
    }
    let program = std::env::current_exe()?;
    for folder in program.ancestors() {
        if let Some(found) = clap_in(&folder.join("bundled")) {
            return Ok(found);
        }
    }
    bail!("there is no bundle yet: run `cargo xtask bundle` first")
}

fn clap_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.filter_map(|entry| Some(entry.ok()?.path())).find(|path| path.extension().is_some_and(|e| e == "clap"))
}
