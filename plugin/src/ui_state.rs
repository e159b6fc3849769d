//! The editor's state, as the project stores it: size, zoom, theme, what is open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nice_plug::params::persist::PersistentField;
use serde::{Deserialize, Serialize};

use crate::params::GROUPS;

/// The zooms offered, in percent. Below 100 the smallest text would be too small to read.
pub const ZOOMS: [u16; 5] = [100, 125, 150, 200, 300];
/// The smallest window in which everything is readable, in points.
pub const SMALLEST: [f32; 2] = [640.0, 420.0];
/// Range of the past that the piano roll shows, in seconds.
pub const PASTS: std::ops::RangeInclusive<f32> = 3.0..=60.0;

/// The color theme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// Light on dark.
    #[default]
    Dark,
    /// Dark on light.
    Light,
}

/// The editor's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UiState {
    /// The window's width and height in points, before the zoom.
    pub size: [f32; 2],
    /// The zoom in percent.
    pub zoom: u16,
    /// The color theme.
    pub theme: Theme,
    /// How much of the past the piano roll shows, in seconds.
    pub past_s: f32,
    /// Whether the list of takes is open.
    pub takes: bool,
    /// The key of the open group of controls: see [`crate::params::GROUPS`].
    pub group: Option<String>,
}

impl Default for UiState {
    fn default() -> Self {
        Self { size: [900.0, 600.0], zoom: 100, theme: Theme::Dark, past_s: 12.0, takes: false, group: None }
    }
}

impl UiState {
    /// The state with everything in its range, since project files can be edited.
    pub fn clamped(self) -> Self {
        let side = |side: f32, least: f32| if side.is_finite() { side.clamp(least, 4_000.0) } else { least };
        Self {
            size: [side(self.size[0], SMALLEST[0]), side(self.size[1], SMALLEST[1])],
            zoom: self.zoom.clamp(ZOOMS[0], ZOOMS[ZOOMS.len() - 1]),
            past_s: if self.past_s.is_finite() { self.past_s.clamp(*PASTS.start(), *PASTS.end()) } else { 12.0 },
            group: self.group.filter(|group| GROUPS.contains(&group.as_str())),
            ..self
        }
    }

    /// The zoom as a factor.
    pub fn factor(&self) -> f32 {
        f32::from(self.zoom) / 100.0
    }
}

/// The state, as the editor and the project share it. Clones share the same state.
#[derive(Clone, Debug, Default)]
pub struct SharedUiState(Arc<Mutex<UiState>>);

impl SharedUiState {
    /// Access for reading and writing. Never use it on the audio thread.
    pub fn lock(&self) -> MutexGuard<'_, UiState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PersistentField<'_, UiState> for SharedUiState {
    fn set(&self, ui_state: UiState) {
        *self.lock() = ui_state.clamped();
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&UiState) -> R,
    {
        f(&self.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ui_state_from_a_project_is_clamped() {
        let ui_state: UiState =
            serde_json::from_str(r#"{"size":[10,1e9],"zoom":9,"theme":"light","later":1,"group":"Gone"}"#).unwrap();
        let ui_state = ui_state.clamped();
        assert_eq!((ui_state.size, ui_state.zoom, ui_state.theme), ([SMALLEST[0], 4_000.0], ZOOMS[0], Theme::Light));
        assert_eq!((ui_state.past_s, ui_state.group), (UiState::default().past_s, None), "what it does not say");
    }
}
