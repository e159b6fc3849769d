//! Notes with their positions in musical time.

use notes::Note;

/// Notes, and the position of each in beats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Performance {
    /// In any order until they are made canonical.
    pub notes: Vec<Note>,
    /// Position of each note in quarter notes from an arbitrary origin. Played time, not score time: a note struck a
    /// little late is a little after its beat. Empty if unknown.
    pub beats: Vec<f64>,
}

impl Performance {
    /// Makes the notes canonical ([`notes::chords`]). The notes of a chord get the beat of its first note, as they get
    /// its onset.
    pub fn canonicalize(&mut self) {
        let mut struck: Vec<(f64, f64)> =
            self.notes.iter().zip(&self.beats).map(|(note, &beat)| (note.struck() + 0.0, beat)).collect();
        notes::chords::canonicalize(&mut self.notes);
        if struck.is_empty() {
            return;
        }
        struck.sort_by(|a, b| a.0.total_cmp(&b.0));
        // A chord's onset is exactly that of its first note.
        let mut next = 0;
        self.beats.clear();
        for note in &self.notes {
            while next + 1 < struck.len() && struck[next].0 < note.onset {
                next += 1;
            }
            self.beats.push(struck[next].1);
        }
    }

    /// Shifts the notes so that the first onset is 0. Beats do not change.
    pub fn from_zero(&mut self) {
        let first = self.notes.first().map_or(0.0, |note| note.onset);
        for note in &mut self.notes {
            note.onset -= first;
        }
    }
}

/// Whether the beats are musical time: most notes are on twelfths of a beat. In a recording without a click, ticks are
/// there only by chance.
pub fn on_grid(beats: &[f64]) -> bool {
    const MOST: f64 = 0.75;
    const NEAR: f64 = 1e-3;
    let near = |beat: &&f64| ((**beat * 12.0).round() / 12.0 - **beat).abs() < NEAR;
    !beats.is_empty() && beats.iter().filter(near).count() as f64 >= MOST * beats.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chord_has_the_beat_of_its_first_note() {
        let note = |onset, pitch| Note { onset, spread: 0.0, duration: 0.5, pitch, velocity: 64 };
        let mut performance = Performance {
            notes: vec![note(2.0, 50), note(1.01, 40), note(1.0, 70), note(1.02, 70), note(2.5, 60)],
            beats: vec![4.0, 2.02, 2.0, 2.04, 5.0],
        };
        performance.canonicalize();
        performance.from_zero();
        let heard: Vec<(f64, u8, f64)> = performance
            .notes
            .iter()
            .zip(&performance.beats)
            .map(|(note, &beat)| (note.onset, note.pitch, beat))
            .collect();
        assert_eq!(heard, [(0.0, 40, 2.0), (0.0, 70, 2.0), (1.0, 50, 4.0), (1.5, 60, 5.0)]);
        let again = performance.clone();
        performance.canonicalize();
        assert_eq!(performance, again);
    }

    #[test]
    fn ticks_on_twelfths_of_a_beat_are_musical_time() {
        assert!(on_grid(&[0.0, 0.25, 1.0 / 3.0, 7.5, 8.01]));
        assert!(!on_grid(&[0.0, 0.27, 0.45, 7.5, 8.01]));
        assert!(!on_grid(&[]));
    }
}
