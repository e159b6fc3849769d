//! Notes with their musical time.

use notes::Note;

/// Notes, and where each is in beats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Performance {
    /// In any order until they are canonical.
    pub notes: Vec<Note>,
    /// The moment at which each note is struck, in quarter notes from any fixed origin: of the beat as it goes on, not of
    /// the score, so that a note struck a little late is a little behind its beat. Empty: unknown.
    pub beats: Vec<f64>,
}

impl Performance {
    /// Makes the notes canonical ([`notes::chords`]). A chord's members share the beat of its first note, as they
    /// share its onset.
    pub fn canonicalise(&mut self) {
        let mut struck: Vec<(f64, f64)> =
            self.notes.iter().zip(&self.beats).map(|(note, &beat)| (note.struck() + 0.0, beat)).collect();
        notes::chords::canonicalise(&mut self.notes);
        if struck.is_empty() {
            return;
        }
        struck.sort_by(|a, b| a.0.total_cmp(&b.0));
        // A chord's onset is that of its first note, bit for bit.
        let mut next = 0;
        self.beats.clear();
        for note in &self.notes {
            while next + 1 < struck.len() && struck[next].0 < note.onset {
                next += 1;
            }
            self.beats.push(struck[next].1);
        }
    }

    /// Lets the first note begin at 0. Beats stay.
    pub fn from_zero(&mut self) {
        let first = self.notes.first().map_or(0.0, |note| note.onset);
        for note in &mut self.notes {
            note.onset -= first;
        }
    }
}

/// Whether beats are musical time: most notes stand on twelfths of a beat. Ticks of a recording to no click are
/// there by chance alone.
pub fn on_grid(beats: &[f64]) -> bool {
    const MOST: f64 = 0.75;
    const NEAR: f64 = 1e-3;
    let near = |beat: &&f64| ((**beat * 12.0).round() / 12.0 - **beat).abs() < NEAR;
    !beats.is_empty() && beats.iter().filter(near).count() as f64 >= MOST * beats.len() as f64
}
