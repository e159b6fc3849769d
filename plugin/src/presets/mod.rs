//! Presets, by name of situation: which parameters differ from a new instance's, in the words that
//! the parameters show. Some are built in; the user's own are files in the folder [`folder`].
//!
//! A preset says how the music goes, not where it goes: the seed, the search, the device, the channel, whether the
//! player's notes pass, and the switches whose every change acts are none of its business.

mod files;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "fuzzing")]
pub use files::read;
pub use files::{Own, delete, folder, load, path, save};

use crate::params::CALLS;

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preset {
    /// What it is called.
    pub name: String,
    /// What to expect, in a sentence.
    #[serde(default)]
    pub about: String,
    /// By parameter id, the text that the parameter shows. All others are at their defaults.
    pub set: BTreeMap<String, String>,
}

/// The presets that come with the plugin.
pub fn built_in() -> Vec<Preset> {
    BUILT_IN.iter().map(|text| serde_json::from_str(text).expect("tested")).collect()
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
            for (id, text) in &preset.set {
                assert!(concerns(id), "{}: {id}", preset.name);
                let handle = handles.get(id).unwrap_or_else(|| panic!("{}: no parameter {id}", preset.name));
                let value = handle.read(text).unwrap_or_else(|| panic!("{}: {id} is no {text}", preset.name));
                let shown = handle.text(value);
                let number = |text: &str| text.split(' ').next().and_then(|word| word.parse::<f32>().ok());
                let same = shown == *text || number(&shown).is_some() && number(&shown) == number(text);
                assert!(same, "{}: {id} shows {shown} for {text}", preset.name);
            }
        }
        let names: std::collections::BTreeSet<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
        assert_eq!(names.len(), BUILT_IN.len());
        for id in LEFT_ALONE.into_iter().chain(CALLS) {
            assert!(handles.get(id).is_some(), "{id}");
        }
    }
}
