//! Starts of processing, told from resets.
//!
//! nice-plug 0.4.2 calls `Plugin::reset` whenever processing starts: for CLAP in `start_processing`
//! (`wrapper/clap/wrapper.rs`, line 1852), for VST3 in `setProcessing` (`wrapper/vst3/wrapper.rs`, line 1050). To both
//! formats a pause of processing is no reset, and hosts pause and go on as often as around every block. CLAP's own
//! `reset` arrives by the same call (line 1904); VST3 has nothing of the kind.
//!
//! What tells them apart is `Plugin::stop_processing`, which nice-plug calls for CLAP only, and before such a start. The
//! first start after an activation cannot be told from a reset, and need not be.
//!
//! Gone when `upstream_starting_processing_resets` fails: then `Plugin::reset` means what it says.

/// Tells what nice-plug's calls of `Plugin::reset` mean.
#[derive(Clone, Copy, Debug, Default)]
pub struct Restart {
    paused: bool,
}

impl Restart {
    /// To be called by `Plugin::stop_processing`.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// To be called by `Plugin::reset` of a CLAP: whether the host has asked for a reset, rather than that processing
    /// goes on after a pause. A VST3 host never asks for one.
    pub fn is_reset(&mut self) -> bool {
        !std::mem::take(&mut self.paused)
    }
}
