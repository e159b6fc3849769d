//! The app's settings between sessions: what a host would store in a project.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nice_plug::params::Params;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::editor::Handles;
use crate::params::{ACTIONS, AntiphonParams};
use crate::presets;
use crate::stored::{self, FORMAT};

/// The app's stored settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The file's version; `None` in the first version.
    format: Option<u32>,
    /// By parameter id, as [`stored`] keeps them; all others are at their defaults.
    set: BTreeMap<String, Value>,
    /// What is stored besides parameters: weights, learned controllers, UI state.
    fields: BTreeMap<String, String>,
}

impl State {
    /// The settings saved last; the defaults if there are none. An unreadable file is renamed, with a message on the
    /// terminal.
    pub fn load() -> Self {
        let Some(path) = path() else { return Self::default() };
        let Ok(text) = std::fs::read(&path) else { return Self::default() };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            let aside = path.with_extension("unreadable.json");
            let kept =
                std::fs::rename(&path, &aside).map_or_else(|error| error.to_string(), |()| aside.display().to_string());
            eprintln!("The settings in {} cannot be read ({error}). They are kept in {kept}.", path.display());
            Self::default()
        })
    }

    /// The current settings.
    pub fn of(params: &Arc<AntiphonParams>) -> Self {
        let handles = Handles::new(params);
        let set = handles.iter().filter(|handle| stays(&handle.id) && handle.value() != handle.default());
        let set = set.map(|handle| (handle.id.clone(), serde_json::json!(handle.stored(handle.value())))).collect();
        Self { format: Some(FORMAT), set, fields: params.serialize_fields() }
    }

    /// Applies the settings to parameters that are not in use yet. Returns a message for each value that cannot be
    /// read.
    pub fn apply(&self, params: &Arc<AntiphonParams>) -> Vec<String> {
        let handles = Handles::new(params);
        let (values, mut unread) = stored::read(self.format, self.set.clone());
        for (id, stored) in values.iter().filter(|(id, _)| stays(id)) {
            match handles.get(id).and_then(|handle| Some((handle, handle.of_stored(stored)?))) {
                Some((handle, value)) => handle.set_directly(value),
                None => unread.push(stored::complaint(id, &serde_json::json!(stored).to_string())),
            }
        }
        params.deserialize_fields(&self.fields);
        unread
    }

    /// Saves the settings.
    pub fn save(&self) -> Result<(), String> {
        let path = path().ok_or("The settings cannot be saved: there is no home folder.")?;
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        disk::write_atomic(&path, (text + "\n").as_bytes())
            .map_err(|error| format!("The settings cannot be saved in {}: {error}.", path.display()))
    }
}

/// Whether a parameter is stored: not those that act on every change, nor bypass, since an app that starts bypassed
/// would seem broken.
fn stays(id: &str) -> bool {
    id != "bypass" && !ACTIONS.contains(&id)
}

fn path() -> Option<PathBuf> {
    Some(presets::folder()?.parent()?.join("state.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui_state::Theme;

    #[test]
    fn the_next_program_stands_as_the_last_one_did() {
        let params = || Arc::new(AntiphonParams::new(Default::default()));
        let last = params();
        let handles = Handles::new(&last);
        for handle in handles.iter() {
            handle.set_directly(1.0 - handle.default());
        }
        last.ui_state.lock().theme = Theme::Light;
        last.weights.choose("/some/file".to_owned());
        let text = serde_json::to_string(&State::of(&last)).unwrap();

        let next = params();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap().apply(&next), Vec::<String>::new());
        for (next, last) in Handles::new(&next).iter().zip(handles.iter()) {
            let wanted = if stays(&last.id) { last.value() } else { last.default() };
            assert_eq!(next.text(next.value()), last.text(wanted), "{}", last.id);
        }
        assert_eq!(next.ui_state.lock().theme, Theme::Light);
        assert_eq!(next.weights.path(), Some(PathBuf::from("/some/file")));
    }

    /// A file of version 1.
    #[test]
    fn the_state_of_version_1_is_what_it_was() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let state: State = serde_json::from_str(include_str!("state-1.json")).unwrap();
        assert_eq!(state.apply(&params), ["`mode` cannot be \"dance\""], "all but unknown settings");
        let settings = params.settings();
        assert_eq!((settings.turn.antiphon_bars, settings.turn.length), (2, engine::settings::Length::Notes(40)));
        // The fourth channel is number 3 in the engine.
        assert_eq!((settings.midi.channel, settings.generation.limits.polyphony), (Some(3), Some(3)));
        assert_eq!((settings.generation.limits.lowest, settings.generation.rhythm.strength), (36, 0.75));
        assert!(settings.turn.rings_out && !settings.midi.thru);
        assert_eq!(params.ui_state.lock().group.as_deref(), Some("Time"));
    }
}
