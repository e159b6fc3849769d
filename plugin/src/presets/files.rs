//! The user's presets: one JSON file each, in a folder of the user's own.

use std::fs;
use std::path::{Path, PathBuf};

use super::Preset;
use crate::files::write_whole;

/// No preset is larger, in bytes: a wrong file must not fill the memory.
const LARGEST: u64 = 64 << 10;

/// The user's folder for presets, as each system wants it. `None`: the system tells no home.
pub fn folder() -> Option<PathBuf> {
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = if cfg!(target_os = "windows") {
        home("APPDATA")
    } else if cfg!(target_os = "macos") {
        home("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        home("XDG_CONFIG_HOME").or_else(|| home("HOME").map(|home| home.join(".config")))
    };
    base.map(|base| base.join("antiphon").join("presets"))
}

/// The presets in this folder, by name. Files that are no presets are left out.
pub fn load(folder: &Path) -> Vec<Preset> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut presets: Vec<Preset> = entries
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"))
        .filter(|entry| entry.metadata().is_ok_and(|about| about.len() <= LARGEST))
        .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
        .collect();
    presets.sort_by_key(|preset| preset.name.to_lowercase());
    presets
}

/// Saves a preset under its name; one of the same name is replaced. The file is whole at every moment.
pub fn save(folder: &Path, preset: &Preset) -> Result<PathBuf, String> {
    let path = path(folder, &preset.name)?;
    let text = serde_json::to_string_pretty(preset).map_err(|error| error.to_string())?;
    write_whole(&path, (text + "\n").as_bytes())
        .map_err(|error| format!("Cannot save the preset in {}: {error}.", folder.display()))?;
    Ok(path)
}

/// Deletes the preset of this name.
pub fn delete(folder: &Path, name: &str) -> Result<(), String> {
    let path = path(folder, name)?;
    fs::remove_file(&path).map_err(|error| format!("Cannot delete {}: {error}.", path.display()))
}

/// Where a preset of this name lies: its letters and digits, whatever the language.
fn path(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let stem: String = name.trim().to_lowercase().chars().map(plain).take(60).collect();
    if !stem.contains(char::is_alphanumeric) {
        return Err("A preset needs a name.".to_owned());
    }
    Ok(folder.join(stem).with_extension("json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_saved_found_replaced_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("not/yet/there");
        assert_eq!(load(&folder), []);
        let mut mine = super::super::built_in().remove(0);
        mine.name = "Für Élise / 2".to_owned();
        let path = save(&folder, &mine).unwrap();
        assert_eq!(path.parent(), Some(folder.as_path()), "a name is no path");
        mine.about = "Otherwise.".to_owned();
        save(&folder, &mine).unwrap();
        fs::write(folder.join("broken.json"), "{").unwrap();
        assert_eq!(load(&folder), [mine.clone()]);
        delete(&folder, &mine.name).unwrap();
        assert_eq!(load(&folder), []);
        assert!(save(&folder, &Preset { name: " / ".to_owned(), ..mine }).is_err());
    }
}
