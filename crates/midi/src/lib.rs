//! Standard MIDI files <-> notes.
//!
//! [`read()`] accepts whatever people have in their folders: formats 0 to 2, running status, several tempo changes at
//! one tick, re-struck keys, note-offs without a note, SMPTE time, and files that are damaged, cut off or not quite
//! MIDI files. It refuses only files from which it gets no notes, or far too many, with an error that says what to do,
//! and counts what is odd. [`write()`] makes tidy files that every sequencer opens.
//!
//! No threads and no files: bytes in, notes out. It allocates, so it is not for the audio thread.
#![forbid(unsafe_code)]

mod beats;
mod chunks;
mod error;
mod events;
mod keys;
mod read;
mod repair;
mod tempo;
mod warnings;
mod write;

pub use beats::{BarPosition, Beats, Meter, TimeSignature};
pub use error::ReadError;
pub use read::{PEDAL_DOWN, Pedal, Score, read};
pub use warnings::Warnings;
pub use write::{PPQ, Tempo, Track, write};
