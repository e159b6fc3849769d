//! A small CLAP host that loads the built bundle and plays to it, as a DAW would.
//!
//! It is the outside view of Antiphon: it knows nothing of the plugin but its CLAP interface. The
//! demo, the tests in `tests/` and every later check (timing, soak, speed) are drivers on top of it.
//!
//! # Threads
//! CLAP has two kinds of thread, and here each has its type:
//! * [`Plugin`] belongs to the main thread: loading, parameters, state, render mode, activation. It
//!   is neither `Send` nor `Sync`.
//! * [`Audio`] belongs to the audio thread: blocks in, events out. [`Plugin::run`] starts that
//!   thread, lends it an [`Audio`] and meanwhile serves the plugin's main-thread callbacks.
//!
//! # Time
//! Everything is counted in samples from the first block after activation; [`Timed::at`] and
//! [`Output::at`] are such absolute positions, whatever the block sizes are.

mod account;
mod audio;
mod bundle;
mod event;
mod gui;
mod handlers;
mod perform;
mod plugin;
#[cfg(target_os = "linux")]
pub mod screen;
mod status;
mod transport;

pub use account::{Account, Sounded};
pub use audio::Audio;
pub use bundle::find as find_bundle;
pub use event::{Event, NoteExpressionType, Output, Timed, Told, What};
pub use perform::{Blocks, Pace, Performer};
pub use plugin::{Page, Parameter, Plugin, param_id};
pub use status::Status;
pub use transport::{Change, Timeline, Untold};
