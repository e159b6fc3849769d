//! Presets, by name of situation: which parameters differ from a new instance's, as [`crate::stored`] keeps them. Some
//! are built in; the user's own are files in the folder [`folder`].
//!
//! A preset says how the music goes, not where it goes: the seed, the search, the device, the channel, whether the
//! player's notes pass, and the switches whose every change acts are none of its business.

mod files;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(feature = "fuzzing")]
pub use files::read;
pub use files::{Own, delete, folder, load, path, save};

use crate::params::CALLS;
use crate::stored::{self, FORMAT, Values};

/// Ids of parameters that no preset touches, beside those that are called for with a press.
const LEFT_ALONE: [&str; 7] = ["bypass", "seed", "search", "device", "late", "channel", "pass"];

/// Whether this parameter is a preset's business.
pub fn concerns(id: &str) -> bool {
    !CALLS.contains(&id) && !LEFT_ALONE.contains(&id)
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

/// See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// What it is called.
    pub name: String,
    /// What to expect, in a sentence.
    pub about: String,
    /// All other parameters are at their defaults.
    pub set: Values,
}

/// A preset's file, of any version.
#[derive(Serialize, Deserialize)]
struct File {
    /// Its version; the first did not say it.
    format: Option<u32>,
    name: String,
    #[serde(default)]
    about: String,
    set: BTreeMap<String, Value>,
}

impl Preset {
    /// What a file says, and of what in it cannot be read, why not.
    fn of(file: File) -> (Self, Vec<String>) {
        let (mut set, unread) = stored::read(file.format, file.set);
        set.retain(|id, _| concerns(id));
        (Self { name: file.name, about: file.about, set }, unread)
    }

    /// As a file of the latest version says it.
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
                let value = value.unwrap_or_else(|| panic!("{}: {id} is no {stored:?}", preset.name));
                assert_eq!(handle.stored(value), *stored, "{}: {id}", preset.name);
            }
        }
        let names: std::collections::BTreeSet<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
        assert_eq!(names.len(), BUILT_IN.len());
        for id in LEFT_ALONE.into_iter().chain(CALLS) {
            assert!(handles.get(id).is_some(), "{id}");
        }
    }

    /// The presets as the version before wrote them.
    #[test]
    fn presets_of_version_1_are_what_they_were() {
        for (text, now) in [
            (include_str!("version-1/trade-fours.json"), include_str!("trade-fours.json")),
            (include_str!("version-1/blues-chorus.json"), include_str!("blues-chorus.json")),
            (include_str!("version-1/in-the-grid.json"), include_str!("in-the-grid.json")),
        ] {
            let read = |text: &str| Preset::of(serde_json::from_str(text).unwrap());
            let (preset, unread) = read(text);
            assert_eq!((&preset, unread), (&read(now).0, vec![]));
            assert_eq!(Preset::of(preset.to_file()), (preset, vec![]), "it is saved as it was");
        }
    }
}
