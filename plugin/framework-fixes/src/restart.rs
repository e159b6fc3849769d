//! Distinguishes a restart of processing from a reset.
//!
//! nice-plug 0.4.2 calls `Plugin::reset` whenever processing starts: for CLAP in `start_processing`
//! (`wrapper/clap/wrapper.rs`, line 1852), for VST3 in `setProcessing` (`wrapper/vst3/wrapper.rs`, line 1050). In both
//! formats a pause of processing is not a reset, and some hosts pause around every block. CLAP's own `reset` arrives
//! through the same call (line 1904); VST3 has no reset.
//!
//! `Plugin::stop_processing` makes the difference: nice-plug calls it for CLAP only, before such a restart. The first
//! start after an activation cannot be distinguished from a reset, and need not be.
//!
//! Remove this when `upstream_starting_processing_resets` fails: then `Plugin::reset` means a reset.

/// Tells whether a call of `Plugin::reset` means a reset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Restart {
    paused: bool,
}

impl Restart {
    /// Call this from `Plugin::stop_processing`.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Call this from a CLAP plugin's `Plugin::reset`. `true`: the host has asked for a reset; `false`: processing
    /// resumes after a pause. (A VST3 host never asks for a reset.)
    pub fn is_reset(&mut self) -> bool {
        !std::mem::take(&mut self.paused)
    }
}
