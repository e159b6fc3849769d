//! Standard MIDI files <-> notes.
//!
//! [`read()`] takes whatever people have in their folders: formats 0 to 2, running status, several
//! tempo changes at one tick, re-struck keys, note-offs without a note, SMPTE time. It refuses only
//! what cannot be understood, with an error that says what to do. [`write()`] makes tidy files that
//! every sequencer opens.
//!
//! No thread of its own and no files: bytes in, notes out. It allocates, so it is not for the audio
//! thread.
#![forbid(unsafe_code)]

mod beats;
mod error;
mod read;
mod tempo;
mod write;

pub use beats::{BarPosition, Beats, Meter, TimeSignature};
pub use error::ReadError;
pub use read::{Dirt, PEDAL_DOWN, Pedal, Score, read};
pub use write::{PPQ, Tempo, Track, write};
