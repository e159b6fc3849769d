//! How things stand when the program ends, for when it starts again: what a host would keep in a project.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nice_plug::params::Params;
use serde::{Deserialize, Serialize};

use crate::editor::Handles;
use crate::params::{AntiphonParams, CALLS};
use crate::presets;

/// See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// By parameter id, the text that the parameter shows. All others are at their defaults.
    set: BTreeMap<String, String>,
    /// What is stored beside parameters: weights, learnt controllers, looks.
    fields: BTreeMap<String, String>,
}

impl State {
    /// What was saved last; where nothing was, or nothing readable, a new program's.
    pub fn load() -> Self {
        let text = path().and_then(|path| std::fs::read(path).ok());
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// How things stand.
    pub fn of(params: &Arc<AntiphonParams>) -> Self {
        let handles = Handles::new(params);
        let set = handles.iter().filter(|handle| stays(&handle.id) && handle.value() != handle.default());
        let set = set.map(|handle| (handle.id.clone(), handle.text(handle.value()))).collect();
        Self { set, fields: params.serialize_fields() }
    }

    /// Sets parameters that nobody uses yet to how things stood.
    pub fn put(&self, params: &Arc<AntiphonParams>) {
        let handles = Handles::new(params);
        for (id, text) in self.set.iter().filter(|(id, _)| stays(id)) {
            if let Some(handle) = handles.get(id)
                && let Some(value) = handle.read(text)
            {
                handle.force(value);
            }
        }
        params.deserialize_fields(&self.fields);
    }

    /// Saves it.
    pub fn save(&self) -> Result<(), String> {
        let path = path().ok_or("There is no home folder to remember the settings in.")?;
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        disk::write_whole(&path, (text + "\n").as_bytes())
            .map_err(|error| format!("The settings cannot be remembered in {}: {error}.", path.display()))
    }
}

/// What acts when it changes is of the moment; and a program that starts bypassed would seem broken.
fn stays(id: &str) -> bool {
    id != "bypass" && !CALLS.contains(&id)
}

fn path() -> Option<PathBuf> {
    Some(presets::folder()?.parent()?.join("state.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::looks::Theme;

    #[test]
    fn the_next_program_stands_as_the_last_one_did() {
        let params = || Arc::new(AntiphonParams::new(Default::default()));
        let last = params();
        let handles = Handles::new(&last);
        for handle in handles.iter() {
            handle.force(1.0 - handle.default());
        }
        last.looks.lock().theme = Theme::Light;
        last.weights.choose("/some/file".to_owned());
        let text = serde_json::to_string(&State::of(&last)).unwrap();

        let next = params();
        serde_json::from_str::<State>(&text).unwrap().put(&next);
        for (next, last) in Handles::new(&next).iter().zip(handles.iter()) {
            let wanted = if stays(&last.id) { last.value() } else { last.default() };
            assert_eq!(next.text(next.value()), last.text(wanted), "{}", last.id);
        }
        assert_eq!(next.looks.lock().theme, Theme::Light);
        assert_eq!(next.weights.path(), Some(PathBuf::from("/some/file")));
    }
}
