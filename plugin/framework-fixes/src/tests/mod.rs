//! A plugin that records what the framework asks of it, and hosts to test it with.

mod clap;
mod probe;
pub mod vst3;
mod window;

pub use probe::{CLAP, Probe, VST3, seen};
