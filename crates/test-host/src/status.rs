//! The plugin's internal figures, which it stores in its state on request.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::plugin::Plugin;

/// Environment variable that makes new instances store their figures.
const VARIABLE: &str = "ANTIPHON_STATUS";

/// The plugin's figures; see "For test hosts" in the plugin's documentation.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Status {
    /// `starting`, `ready`, `no weights` or `broken`.
    pub health: String,
    /// Whether the built-in weights play because the chosen ones cannot be loaded.
    #[serde(default)]
    pub stand_in: bool,
    /// Whether the state loaded last was saved by a later release.
    #[serde(default)]
    pub newer_state: bool,
    /// Time for which the generator thread has not responded, in seconds.
    #[serde(default)]
    pub silence_s: f64,
    /// Whether the model runs on a GPU.
    #[serde(default)]
    pub on_gpu: bool,
    /// Number of times that a GPU failed and the CPU took over.
    #[serde(default)]
    pub gpu_failures: u64,
    /// Number of times that the generator thread failed and was restarted.
    pub restarts: u64,
    /// Number of the player's notes that the model received.
    pub heard: u64,
    /// Number of generated note-ons that this host accepted.
    pub played: u64,
    /// Number of hand-overs.
    pub turns: u64,
    /// Number of generated notes that were late and were shifted.
    pub late: u64,
    /// Number of generated notes that were so late that they were dropped.
    pub dropped: u64,
    /// Number of generated notes given up because this host refused them, or because the player held their key.
    pub given_up: u64,
    /// Number of messages, notes and events that did not fit into one of the plugin's queues.
    pub overflows: u64,
    /// Number of invalid events from the host, which were dropped.
    #[serde(default)]
    pub invalid: u64,
    /// Number of offline renders that waited for the generator thread until they timed out.
    pub timeouts: u64,
    /// Time of the latest hand-over, in seconds since activation.
    pub hand_over_s: Option<f64>,
    /// The model's smoothed time per note, in microseconds.
    pub note_us: Option<f64>,
    /// The model's longest time for a note, in microseconds.
    pub longest_note_us: Option<f64>,
    /// Longest thread time of a rollback to the point where something changed, in microseconds.
    #[serde(default)]
    pub rollback_us: Option<f64>,
    /// Median thread time of a rollback, in microseconds.
    #[serde(default)]
    pub rollback_median_us: Option<f64>,
    /// How far the model is ahead of what sounds, in seconds.
    #[serde(default)]
    pub look_ahead_s: Option<f64>,
}

impl Status {
    /// Makes new instances store their figures from now on. Must be called before any other thread runs.
    pub fn request() {
        // SAFETY: the caller promises that no other thread is reading or writing the environment.
        unsafe { std::env::set_var(VARIABLE, "1") }
    }
}

/// The parts of a stored nice-plug state that are needed here.
#[derive(Deserialize)]
struct State {
    fields: std::collections::BTreeMap<String, String>,
}

impl Plugin {
    /// Handles the plugin's requests until `ready` accepts its figures; an error if that takes longer than `timeout`.
    pub fn wait_until(&mut self, timeout: Duration, ready: impl Fn(&Status) -> bool) -> Result<()> {
        let began = Instant::now();
        loop {
            let status = self.status()?;
            if ready(&status) {
                return Ok(());
            }
            ensure!(began.elapsed() < timeout, "the plugin did not become ready: {}", status.health);
            self.idle(Duration::from_millis(1));
        }
    }

    /// The plugin's current figures; requires a call of [`Status::request`] before the plugin is loaded.
    pub fn status(&mut self) -> Result<Status> {
        let state = self.save_state()?;
        // nice-plug puts the length in front, as 8 bytes.
        let json = state.get(8..).context("the plugin's state is empty")?;
        let state: State = serde_json::from_slice(json).context("the plugin's state is not JSON")?;
        let status = state.fields.get("status").context("the plugin's state has no status")?;
        serde_json::from_str(status).context("the plugin's status cannot be read")
    }

    /// Selects a weights file, in the same way as loading a project that was saved with it.
    pub fn choose_weights(&mut self, path: &Path) -> Result<()> {
        self.edit_state(&[("weights", &serde_json::to_string(path)?)])
    }

    /// Changes fields of the plugin's stored state: (name, JSON).
    pub fn edit_state(&mut self, fields: &[(&str, &str)]) -> Result<()> {
        let state = self.save_state()?;
        // nice-plug puts the length in front, as 8 bytes.
        let json = state.get(8..).context("the plugin's state is empty")?;
        let mut state: serde_json::Value = serde_json::from_slice(json)?;
        let stored = state.get_mut("fields").context("the plugin's state has no fields")?;
        for (field, json) in fields {
            stored[field] = (*json).into();
        }
        let json = serde_json::to_vec(&state)?;
        let length = (json.len() as u64).to_le_bytes();
        self.load_state(&[&length, &json[..]].concat())
    }
}
