//! The contents of an archive: files and their names in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One file of an archive.
pub struct Item {
    /// Path in the archive: slashes between folders, none at either end.
    pub name: String,
    pub bytes: Vec<u8>,
    pub is_program: bool,
}

impl Item {
    /// A file that is not executable.
    pub fn text(name: &str, text: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), bytes: text.into(), is_program: false }
    }
}

/// All files of a built bundle, or one built executable.
pub fn built(bundled: &Path, name: &str) -> Result<Vec<Item>> {
    let path = bundled.join(name);
    if path.is_dir() {
        let mut items = folder(&path, name)?;
        for item in &mut items {
            item.is_program = true;
        }
        return Ok(items);
    }
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(vec![Item { name: name.to_owned(), bytes, is_program: true }])
}

/// All files below a folder, renamed to `name/…`, in a fixed order.
pub fn folder(path: &Path, name: &str) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    entries.sort();
    for entry in entries {
        let name = format!("{name}/{}", entry.file_name().context("a file without a name")?.to_string_lossy());
        if entry.is_dir() {
            items.extend(folder(&entry, &name)?);
        } else {
            items.push(Item::text(&name, std::fs::read(&entry)?));
        }
    }
    Ok(items)
}

/// Moves items into a folder of the archive.
pub fn below(folder: &str, items: Vec<Item>) -> Vec<Item> {
    items.into_iter().map(|item| Item { name: format!("{folder}/{}", item.name), ..item }).collect()
}

/// Writes items to a folder on disk.
pub fn write(items: &[Item], folder: &Path) -> Result<()> {
    for item in items {
        let path = folder.join(&item.name);
        std::fs::create_dir_all(path.parent().context("a file without a folder")?)?;
        std::fs::write(&path, &item.bytes)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = if item.is_program { 0o755 } else { 0o644 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}
