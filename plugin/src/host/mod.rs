//! The host's events, on the audio thread: everything in here runs in `process`, and never allocates, locks or waits.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]

mod clean;
pub mod io;
mod note_ids;
