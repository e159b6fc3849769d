//! How thick the music of a turn is, beside that of the phrase before it: a network that plays on from its own notes
//! thins out little by little, without ever playing an unlikely one.

use notes::Successor;

/// Notes of the phrase's texture that a turn begins with.
const PRIOR: f32 = 24.0;
/// Decay per note of what a turn has been like: about the last hundred notes.
const DECAY: f32 = 0.99;

/// The share of notes inside chords (their first ones not counted) in a turn, and in what came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Texture {
    /// Of the phrase; `None`: there is no turn, or nothing came before it.
    meant: Option<f32>,
    inside: f32,
    all: f32,
}

impl Texture {
    /// A turn begins after music with this share.
    pub fn begin(meant: Option<f32>) -> Self {
        Self { meant, inside: 0.0, all: 0.0 }
    }

    /// Takes in the next note.
    pub fn feed(&mut self, note: &Successor) {
        self.inside = DECAY * self.inside + f32::from(u8::from(note.step == 0.0));
        self.all = DECAY * self.all + 1.0;
    }

    /// By how much the share has fallen behind the phrase's; below 0: is beyond it.
    pub fn missing(&self) -> f32 {
        self.meant.map_or(0.0, |meant| meant - (self.inside + PRIOR * meant) / (self.all + PRIOR))
    }
}
