//! A small CLAP host that loads the built bundle and plays to it, as a DAW would.
//!
//! It sees Antiphon from the outside: only through its CLAP interface. The demo, the tests in `tests/` and other checks
//! (timing, soak, speed) are built on top of it.
//!
//! # Threads
//! CLAP has two kinds of threads, and each has a type here:
//! * [`Plugin`] belongs to the main thread: loading, parameters, state, render mode, activation. It is neither `Send`
//!   nor `Sync`.
//! * [`Audio`] belongs to the audio thread: blocks in, events out. [`Plugin::run`] starts that thread, lends it an
//!   [`Audio`], and handles the plugin's main-thread callbacks in the meantime.
//!
//! # Time
//! All times are in samples since the first block after activation; [`Timed::at`] and [`Output::at`] are absolute
//! positions, regardless of block sizes.

mod audio;
mod bundle;
mod event;
mod gui;
mod handlers;
mod perform;
mod plugin;
#[cfg(target_os = "linux")]
pub mod screen;
mod sorted_output;
mod status;
mod transport;

pub use audio::Audio;
pub use bundle::find as find_bundle;
pub use event::{Event, NoteEventKind, NoteExpressionType, Output, Timed, TransportUpdate};
pub use perform::{Blocks, Pace, Performer};
pub use plugin::{Page, Parameter, Plugin, param_id};
pub use sorted_output::{PlayedNote, SortedOutput};
pub use status::Status;
pub use transport::{Change, OmittedFields, Timeline};
