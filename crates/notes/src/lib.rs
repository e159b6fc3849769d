//! Notes and musical time. No dependencies, no `unsafe`, and everything here except constructors and
//! [`chords::canonicalize`] is safe to call on the audio thread: capacities are fixed at
//! construction; after that, nothing allocates, locks, logs, panics or loops without a bound.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`chords`] | which notes form one chord; the same code for files and for live playing |
//! | [`listener`] | note-on, note-off, pedal → finished notes in canonical order |
//! | [`clock`] | samples ↔ seconds ↔ beats; stops, jumps, loops, tempo |
//! | [`bars`] | the host's bar lines |
//! | [`schedule`] | generated notes that have not sounded yet |
//! | [`sounding`] | generated notes that are sounding; the only authority on their note-offs |
#![forbid(unsafe_code)]
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub mod bars;
pub mod chords;
pub mod clock;
pub mod listener;
mod note;
pub mod schedule;
pub mod sounding;
mod span;

pub use bars::Bars;
pub use clock::{Clock, Span, Transport};
pub use listener::Listener;
pub use note::{Note, Successor};
pub use schedule::{Planned, Schedule};
pub use sounding::{Event, SoundingNotes};
