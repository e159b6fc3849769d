//! The user's choice of ports, which is remembered between sessions. The audio system is not: JACK may not be running
//! the next time.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::presets;

/// The audio and MIDI system to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SystemChoice {
    /// JACK if it is running, otherwise the native system.
    #[default]
    Auto,
    /// JACK.
    Jack,
    /// ALSA, CoreAudio/CoreMIDI or WASAPI/WinMM.
    #[value(alias = "own")]
    Native,
    /// No audio, no MIDI: only the window.
    None,
}

/// The chosen ports: a name stands for a port, `None` for the first one, an empty name for none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// The MIDI input port.
    pub midi_in: Option<String>,
    /// The MIDI output port.
    pub midi_out: Option<String>,
    /// The audio device for the piano.
    pub audio_out: Option<String>,
    /// Whether the built-in piano is on.
    pub piano: bool,
}

impl Default for Choice {
    fn default() -> Self {
        // A port that nobody has chosen could be a synthesizer in the next room.
        let midi_out = Some(String::new());
        Self { midi_in: None, midi_out, audio_out: None, piano: true }
    }
}

impl Choice {
    /// The choice saved last; the default if there is none or it is unreadable.
    pub fn load() -> Self {
        let text = path().and_then(|path| std::fs::read(path).ok());
        let choice: Self = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        // Earlier versions stored an empty name for no device, but used the default device anyway.
        Self { audio_out: choice.audio_out.filter(|name| !name.is_empty()), ..choice }
    }

    /// Saves it for the next session.
    pub fn save(&self) -> Result<(), String> {
        let path = path().ok_or("The choice of ports cannot be saved: there is no home folder.")?;
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        disk::write_atomic(&path, (text + "\n").as_bytes())
            .map_err(|error| format!("The choice of ports cannot be saved in {}: {error}.", path.display()))
    }
}

fn path() -> Option<PathBuf> {
    Some(presets::folder()?.parent()?.join("ports.json"))
}
