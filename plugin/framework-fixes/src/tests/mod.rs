//! A plug-in that remembers what the framework asks of it, and the hosts to try it with.

mod clap;
mod probe;
pub mod vst3;
mod window;

pub use probe::{CLAP, Probe, VST3, seen};
