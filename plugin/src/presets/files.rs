//! The user's presets: one JSON file each, in the user's own folder.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use disk::write_atomic;

use super::{File as Written, Preset};

/// The most bytes read from a preset: a wrong file must not fill the memory.
const LARGEST: u64 = 64 << 10;
/// The most characters shown of the parser's message, which may quote the file.
const LONGEST_MESSAGE: usize = 200;

/// One of the user's presets and its file; the path need not match the name, since files can be renamed.
#[derive(Clone, Debug, PartialEq)]
pub struct UserPreset {
    /// The file.
    pub path: PathBuf,
    /// The preset in it.
    pub preset: Preset,
}

/// The user's preset folder in the system's configuration folder. `None` if the system names none.
pub fn folder() -> Option<PathBuf> {
    dirs::config_dir().map(|base| base.join("antiphon").join("presets"))
}

/// The presets in this folder, sorted by name, and a sentence for each file that is not fully readable.
pub fn load(folder: &Path) -> (Vec<UserPreset>, Vec<String>) {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let paths = entries.map(|entry| entry.path());
    let mut presets = Vec::new();
    let mut complaints = Vec::new();
    for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        match open(&path) {
            Ok((preset, unread)) => {
                if !unread.is_empty() {
                    complaints.push(format!("Ignored in {}: {}.", path.display(), unread.join(", ")));
                }
                presets.push(UserPreset { path, preset });
            }
            Err(why) => complaints.push(format!("{} is not a preset: {why}.", path.display())),
        }
    }
    presets.sort_by_key(|user: &UserPreset| user.preset.name.to_lowercase());
    (presets, complaints)
}

fn open(path: &Path) -> Result<(Preset, Vec<String>), String> {
    let unreadable = |error: std::io::Error| format!("it cannot be read ({error})");
    let about = fs::metadata(path).map_err(unreadable)?;
    // Reading from a pipe might never end, or never begin.
    if !about.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    read(&bytes)
}

/// Parses a preset file. Returns the preset and a message for each value that cannot be read; an error if there is no
/// preset at all.
pub fn read(bytes: &[u8]) -> Result<(Preset, Vec<String>), String> {
    if bytes.len() as u64 > LARGEST {
        return Err("it is too large".to_owned());
    }
    let file: Written = serde_json::from_slice(bytes)
        .map_err(|error| error.to_string().chars().take(LONGEST_MESSAGE).collect::<String>())?;
    stem(&file.name)?;
    Ok(Preset::of(file))
}

/// Saves a preset at the [`path`] for its name, replacing what is there. The file is replaced atomically.
pub fn save(folder: &Path, preset: &Preset) -> Result<PathBuf, String> {
    let path = path(folder, &preset.name)?;
    let text = serde_json::to_string_pretty(&preset.to_file()).map_err(|error| error.to_string())?;
    write_atomic(&path, (text + "\n").as_bytes())
        .map_err(|error| format!("Cannot save the preset in {}: {error}.", folder.display()))?;
    Ok(path)
}

/// Deletes a preset's file.
pub fn delete(path: &Path) -> Result<(), String> {
    fs::remove_file(path).map_err(|error| format!("Cannot delete {}: {error}.", path.display()))
}

/// The path for a preset of this name; characters other than letters and digits, of any script, become hyphens.
pub fn path(folder: &Path, name: &str) -> Result<PathBuf, String> {
    Ok(folder.join(stem(name)?).with_extension("json"))
}

/// The file name, without extension, for a preset's name. An error if the name has no letter or digit.
fn stem(name: &str) -> Result<String, String> {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let stem: String = name.trim().to_lowercase().chars().map(plain).take(60).collect();
    if !stem.contains(char::is_alphanumeric) {
        return Err("A preset needs a name.".to_owned());
    }
    Ok(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_saved_found_replaced_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("not/yet/there");
        assert_eq!(load(&folder), (vec![], vec![]));
        let mut mine = super::super::built_in().remove(0);
        mine.name = "Für Élise / 2".to_owned();
        let path = save(&folder, &mine).unwrap();
        assert_eq!(path.parent(), Some(folder.as_path()), "a name is not a path");
        mine.about = "Otherwise.".to_owned();
        save(&folder, &mine).unwrap();
        fs::write(folder.join("broken.json"), "{").unwrap();
        fs::create_dir(folder.join("folder.json")).unwrap();
        fs::write(folder.join("large.json"), [b' '; 1 + LARGEST as usize]).unwrap();
        let (presets, complaints) = load(&folder);
        assert_eq!(presets, [UserPreset { path: path.clone(), preset: mine.clone() }]);
        for name in ["broken.json", "folder.json", "large.json"] {
            assert_eq!(complaints.iter().filter(|complaint| complaint.contains(name)).count(), 1, "{complaints:?}");
        }
        // The file is deleted even if it was renamed outside of the app.
        let renamed = folder.join("renamed.json");
        fs::rename(path, &renamed).unwrap();
        delete(&load(&folder).0[0].path).unwrap();
        assert!(!renamed.exists() && load(&folder).0.is_empty());
        assert!(save(&folder, &Preset { name: " / ".to_owned(), ..mine }).is_err());
    }

    /// A damaged file is read, or refused with a message, in bounded memory.
    #[test]
    fn damaged_presets_are_read_or_refused() {
        let good: Vec<Vec<u8>> = super::super::BUILT_IN.iter().map(|text| text.as_bytes().to_vec()).collect();
        let outcome = probe::damage::survives(&good, (8, 1_500), 16 << 10, |bytes| read(bytes).map(drop));
        assert!(outcome.read > 100 && outcome.refused > 300, "{outcome:?}");
    }
}
