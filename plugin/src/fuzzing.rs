//! Entry points for `fuzz/`: the code that parses data from outside the plugin.

use std::sync::Arc;

use nice_plug::prelude::{Params, PluginState};

use crate::params::AntiphonParams;
use crate::{presets, state};

/// Reads a state as the framework does, and restores a new instance's own fields from it.
pub fn state(bytes: &[u8]) {
    let Ok(mut state) = serde_json::from_slice::<PluginState>(bytes) else { return };
    state::check(&mut state);
    let params = AntiphonParams::new(Arc::default());
    params.deserialize_fields(&state.fields);
    let ui_state = params.ui_state.lock().clone();
    assert_eq!(ui_state.clone().clamped(), ui_state);
    params.settings();
}

/// Reads a preset file.
pub fn preset(bytes: &[u8]) -> Result<(), String> {
    presets::read(bytes).map(drop)
}
