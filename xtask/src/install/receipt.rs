//! The receipt: what was installed, by path and digest. Only files listed in it are removed, and only if unchanged;
//! only those, or other builds of Antiphon, are replaced.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::places::Content;
use crate::digest;

/// The plugin's id, which every Antiphon binary contains, no matter how it was installed.
const ID: &[u8] = b"dev.antiphon.antiphon";

/// The receipt file, one entry per line: `file DIGEST PATH` or `folder PATH`.
pub struct Receipt {
    path: PathBuf,
    files: BTreeMap<PathBuf, String>,
    /// Folders created by the installation, outermost first.
    folders: Vec<PathBuf>,
}

/// What an uninstall did.
#[derive(Debug, Default)]
pub struct Removed {
    pub gone: Vec<PathBuf>,
    /// Files that stayed because they have changed since they were installed.
    pub kept: Vec<PathBuf>,
}

impl Receipt {
    /// Reads the receipt; if there is no file, it is empty.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let mut receipt = Self { path: path.to_owned(), files: BTreeMap::new(), folders: Vec::new() };
        for line in text.lines() {
            if let Some((digest, path)) = line.strip_prefix("file ").and_then(|line| line.split_once(' ')) {
                receipt.files.insert(path.into(), digest.to_owned());
            } else if let Some(path) = line.strip_prefix("folder ") {
                receipt.folders.push(path.into());
            }
        }
        Ok(receipt)
    }

    /// Whether a file may be installed here: the path is free, or has the file installed before or another build of
    /// Antiphon.
    pub fn may_replace(&self, target: &Path) -> Result<bool> {
        if !target.exists() {
            return Ok(true);
        }
        if !target.is_file() {
            return Ok(false);
        }
        let bytes = fs::read(target).with_context(|| format!("cannot read {}", target.display()))?;
        let listed = self.files.get(target).is_some_and(|digest| *digest == digest::of(&bytes));
        Ok(listed || bytes.windows(ID.len()).any(|window| window == ID))
    }

    /// Installs a file and records it. It is written next to the old one, then renamed over it, so that a host that has
    /// the old one loaded keeps it intact.
    pub fn put(&mut self, content: &Content, target: &Path) -> Result<()> {
        let folder = target.parent().context("a file without a folder")?;
        self.make(folder)?;
        let mut fresh = target.file_name().context("a file without a name")?.to_owned();
        fresh.push(".new");
        let fresh = folder.join(fresh);
        fs::write(&fresh, &content.bytes)?;
        #[cfg(unix)]
        if content.is_program {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
        }
        fs::rename(&fresh, target)?;
        self.files.insert(target.to_owned(), digest::of(&content.bytes));
        // Written after each file, so that what an interrupted run has copied can still be removed.
        self.write()
    }

    /// Creates a folder and its missing parents, and records the new ones.
    fn make(&mut self, folder: &Path) -> Result<()> {
        let missing: Vec<PathBuf> =
            folder.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
        fs::create_dir_all(folder)?;
        self.folders.extend(missing.into_iter().rev());
        Ok(())
    }

    /// Writes the receipt to its file.
    pub fn write(&mut self) -> Result<()> {
        let folder = self.path.parent().context("a list without a folder")?.to_owned();
        self.make(&folder)?;
        let files = self.files.iter().map(|(path, digest)| format!("file {digest} {}\n", path.display()));
        let folders = self.folders.iter().map(|path| format!("folder {}\n", path.display()));
        let text: String = files.chain(folders).collect();
        fs::write(&self.path, text).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Removes the unchanged files, the receipt, and those of the created folders that are empty by then.
    pub fn remove(self) -> Result<Removed> {
        let mut removed = Removed::default();
        for (path, digest) in &self.files {
            match fs::read(path) {
                Ok(bytes) if digest::of(&bytes) == *digest => {
                    fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
                    removed.gone.push(path.clone());
                }
                Ok(_) => removed.kept.push(path.clone()),
                // The file is already gone.
                Err(_) => {}
            }
        }
        if self.path.exists() {
            fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))?;
        }
        for folder in self.folders.iter().rev() {
            // If it is not empty, its contents are not ours, and it stays.
            let _ = fs::remove_dir(folder);
        }
        Ok(removed)
    }
}
