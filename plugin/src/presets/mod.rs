//! Presets for playing situations: the values of the parameters that differ from the defaults, as [`crate::stored`]
//! keeps them. Some are built in; the user's are files in [`folder`].
//!
//! A preset is about the music, not the set-up: it leaves out the seed, the search, the device, late notes, the
//! channel, MIDI thru, and the parameters that act on every change.

mod files;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(feature = "fuzzing")]
pub use files::read;
pub use files::{UserPreset, delete, folder, load, path, save};

use crate::params::ACTIONS;
use crate::stored::{self, FORMAT, Values};

/// Ids of the parameters that no preset sets, besides [`ACTIONS`].
const LEFT_ALONE: [&str; 7] = ["bypass", "seed", "search", "device", "late", "channel", "pass"];

/// Whether presets set this parameter.
pub fn concerns(id: &str) -> bool {
    !ACTIONS.contains(&id) && !LEFT_ALONE.contains(&id)
}

const BUILT_IN: [&str; 13] = [
    include_str!("answer-me.json"),
    include_str!("go-on.json"),
    include_str!("trade-fours.json"),
    include_str!("call-and-response.json"),
    include_str!("ghost-duet.json"),
    include_str!("lullaby.json"),
    include_str!("arpeggio-engine.json"),
    include_str!("bass-below.json"),
    include_str!("music-box.json"),
    include_str!("under-the-pedal.json"),
    include_str!("blues-chorus.json"),
    include_str!("in-the-grid.json"),
    include_str!("out-of-bounds.json"),
];

/// A preset.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// What to expect, in one sentence.
    pub about: String,
    /// The values that differ from the defaults.
    pub set: Values,
}

/// A preset file, of any version.
#[derive(Serialize, Deserialize)]
struct File {
    /// The file's version; `None` in the first version.
    format: Option<u32>,
    name: String,
    #[serde(default)]
    about: String,
    set: BTreeMap<String, Value>,
}

impl Preset {
    /// The preset in a file, and a message for each value that cannot be read.
    fn of(file: File) -> (Self, Vec<String>) {
        let (mut set, unread) = stored::read(file.format, file.set);
        set.retain(|id, _| concerns(id));
        (Self { name: file.name, about: file.about, set }, unread)
    }

    /// The preset as a file of the latest version.
    fn to_file(&self) -> File {
        let set = self.set.iter().map(|(id, stored)| (id.clone(), serde_json::json!(stored)));
        File { format: Some(FORMAT), name: self.name.clone(), about: self.about.clone(), set: set.collect() }
    }
}

/// The presets that come with the plugin.
pub fn built_in() -> Vec<Preset> {
    BUILT_IN.iter().map(|text| Preset::of(serde_json::from_str(text).expect("tested")).0).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::editor::Handles;
    use crate::params::AntiphonParams;

    #[test]
    fn every_built_in_preset_says_what_parameters_understand() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let handles = Handles::new(&params);
        let presets = built_in();
        for preset in &presets {
            assert!(preset.set.contains_key("mode") && preset.about.ends_with('.'), "{}", preset.name);
            for (id, stored) in &preset.set {
                assert!(concerns(id), "{}: {id}", preset.name);
                let handle = handles.get(id).unwrap_or_else(|| panic!("{}: no parameter {id}", preset.name));
                let value = handle.of_stored(stored);
                let value = value.unwrap_or_else(|| panic!("{}: {id} cannot be {stored:?}", preset.name));
                assert_eq!(handle.stored(value), *stored, "{}: {id}", preset.name);
            }
        }
        let names: std::collections::BTreeSet<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
        assert_eq!(names.len(), BUILT_IN.len());
        for id in LEFT_ALONE.into_iter().chain(ACTIONS) {
            assert!(handles.get(id).is_some(), "{id}");
        }
    }

    /// Presets in the files of version 1.
    #[test]
    fn presets_of_version_1_are_what_they_were() {
        for (text, now) in [
            (include_str!("version-1/trade-fours.json"), include_str!("trade-fours.json")),
            (include_str!("version-1/blues-chorus.json"), include_str!("blues-chorus.json")),
            (include_str!("version-1/in-the-grid.json"), include_str!("in-the-grid.json")),
        ] {
            let read = |text: &str| Preset::of(serde_json::from_str(text).unwrap());
            let (preset, unread) = read(text);
            let now = read(now).0;
            assert_eq!((&preset.name, &preset.set, unread), (&now.name, &now.set, vec![]));
            assert_eq!(Preset::of(preset.to_file()), (preset, vec![]), "it is saved as it was");
        }
    }
}
