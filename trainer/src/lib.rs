//! Trains networks on folders of MIDI files, and measures them.
//!
//! There is one binary, `trainer`; each subcommand is a module with its `Args` and a `run` function. Nothing here runs
//! on an audio thread. Results go to stdout (as JSON with `--json`), progress and messages to stderr; the exit code is
//! 0 for success, 2 for unusable input, and 1 for any other error.

pub mod archive;
pub mod bench;
pub mod card;
pub mod cli;
pub mod critic;
pub mod dataset;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod files;
pub mod folder;
pub mod generate;
pub mod humanize;
pub mod import;
pub mod inspect;
mod manifest;
pub mod measures;
pub mod parallel;
pub mod performance;
pub mod pictures;
pub mod play;
pub mod prepare;
pub mod progress;
pub mod search;
pub mod stats;
pub mod train;
