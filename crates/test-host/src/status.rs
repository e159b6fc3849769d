//! What the plugin says about itself: it stores its figures in its state when asked to.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::plugin::Plugin;

/// The environment variable that makes new instances store their figures.
const VARIABLE: &str = "ANTIPHON_STATUS";

/// The plugin's figures; see "For test hosts" in the plugin's documentation.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Status {
    /// `starting`, `ready`, `no weights` or `broken`.
    pub health: String,
    /// The chosen weights cannot be loaded, and the built-in ones play.
    #[serde(default)]
    pub stand_in: bool,
    /// The state loaded last is of a later release.
    #[serde(default)]
    pub newer_state: bool,
    /// For how long the inference thread has not shown a sign of life, in seconds.
    #[serde(default)]
    pub silence_s: f64,
    /// The model runs on a GPU.
    #[serde(default)]
    pub on_gpu: bool,
    /// How often one failed and the CPU took over.
    #[serde(default)]
    pub gpu_failures: u64,
    /// How often the inference thread broke and was started again.
    pub restarts: u64,
    /// The player's notes that the model was told.
    pub heard: u64,
    /// Generated note-ons that this host took.
    pub played: u64,
    /// Hand-overs.
    pub turns: u64,
    /// Generated notes that came too late and were shifted.
    pub late: u64,
    /// Generated notes that came so late that they were dropped.
    pub dropped: u64,
    /// Generated notes given up because this host refused them, or the player held their key.
    pub given_up: u64,
    /// Messages, notes and events for which some queue of the plugin's had no room.
    pub overflows: u64,
    /// Events that no host should send, which were dropped.
    #[serde(default)]
    pub invalid: u64,
    /// Offline renders that waited in vain for the inference thread.
    pub timeouts: u64,
    /// The latest hand-over, in seconds since activation.
    pub hand_over_s: Option<f64>,
    /// The model's time for a note, smoothed, in microseconds.
    pub note_us: Option<f64>,
    /// The model's longest time for a note, in microseconds.
    pub longest_note_us: Option<f64>,
    /// The longest time for which the model's thread worked to go back to where something has changed, in microseconds.
    #[serde(default)]
    pub rollback_us: Option<f64>,
    /// Half of the times it worked no longer than this for that, in microseconds.
    #[serde(default)]
    pub rollback_median_us: Option<f64>,
    /// How far ahead of what sounds the model is, in seconds.
    #[serde(default)]
    pub look_ahead_s: Option<f64>,
}

impl Status {
    /// Makes the plugin store its figures from now on. Call it before any other thread runs.
    pub fn request() {
        // SAFETY: the caller promises that no other thread reads or writes the environment now.
        unsafe { std::env::set_var(VARIABLE, "1") }
    }
}

/// A project's state as nice-plug stores it, as far as it matters here.
#[derive(Deserialize)]
struct State {
    fields: std::collections::BTreeMap<String, String>,
}

impl Plugin {
    /// Serves the plugin until its figures are as `ready` says; an error if that takes longer than `patience`.
    pub fn wait_until(&mut self, patience: Duration, ready: impl Fn(&Status) -> bool) -> Result<()> {
        let began = Instant::now();
        loop {
            let status = self.status()?;
            if ready(&status) {
                return Ok(());
            }
            ensure!(began.elapsed() < patience, "the plugin does not get ready: {}", status.health);
            self.idle(Duration::from_millis(1));
        }
    }

    /// The plugin's figures as of now; [`Status::request`] must have been called before.
    pub fn status(&mut self) -> Result<Status> {
        let state = self.save_state()?;
        // nice-plug puts the length in front, in 8 bytes.
        let json = state.get(8..).context("the plugin's state is empty")?;
        let state: State = serde_json::from_slice(json).context("the plugin's state is no JSON")?;
        let status = state.fields.get("status").context("the plugin's state holds no figures")?;
        serde_json::from_str(status).context("the plugin's figures cannot be read")
    }

    /// Plays with the weights of this file from now on, as a project that was saved with them would.
    pub fn choose_weights(&mut self, path: &Path) -> Result<()> {
        self.edit_state(&[("weights", &serde_json::to_string(path)?)])
    }

    /// Changes fields in the plugin's stored state, as a project would bring them along: name and JSON.
    pub fn edit_state(&mut self, fields: &[(&str, &str)]) -> Result<()> {
        let state = self.save_state()?;
        // nice-plug puts the length in front, in 8 bytes.
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
