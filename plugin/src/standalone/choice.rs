//! The ports that the player has chosen, remembered from one evening to the next. The way into the system is not:
//! JACK may run today and not tomorrow.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::presets;

/// The ways into the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// JACK where it runs, else the system's own.
    #[default]
    Auto,
    /// JACK.
    Jack,
    /// ALSA, CoreAudio or WASAPI.
    Own,
    /// No audio, no MIDI: only the window.
    None,
}

/// See the [module](self). A name stands for a port; nothing, for the first one there is; an empty
/// name, for none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// The MIDI port to hear.
    pub midi_in: Option<String>,
    /// The MIDI port to play to.
    pub midi_out: Option<String>,
    /// The audio device for the piano.
    pub audio_out: Option<String>,
    /// Whether the built-in piano is heard.
    pub piano: bool,
}

impl Default for Choice {
    fn default() -> Self {
        // To play to a port that nobody has chosen could wake up a synthesiser in the next room.
        let midi_out = Some(String::new());
        Self { midi_in: None, midi_out, audio_out: None, piano: true }
    }
}

impl Choice {
    /// What was chosen last; where nothing was, or nothing readable, the default.
    pub fn load() -> Self {
        let text = path().and_then(|path| std::fs::read(path).ok());
        let choice: Self = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        // None was a choice once, and played on the default device all the same.
        Self { audio_out: choice.audio_out.filter(|name| !name.is_empty()), ..choice }
    }

    /// Remembers it.
    pub fn save(&self) -> Result<(), String> {
        let path = path().ok_or("There is no home folder to remember the ports in.")?;
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        disk::write_whole(&path, (text + "\n").as_bytes())
            .map_err(|error| format!("The ports cannot be remembered in {}: {error}.", path.display()))
    }
}

fn path() -> Option<PathBuf> {
    Some(presets::folder()?.parent()?.join("ports.json"))
}
