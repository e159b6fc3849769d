//! From folders of MIDI files to weights, and everything that measures them.
//!
//! One binary, `trainer`; each subcommand is a module with its `Args` and its `run`. Nothing here runs
//! on an audio thread. Results go to stdout (as JSON with `--json`), progress and complaints to stderr;
//! the exit code is 0, 2 for input that cannot be used, 1 for everything else.

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
