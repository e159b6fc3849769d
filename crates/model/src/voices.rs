//! The latest notes, one by one. In music of several voices a note continues its own voice, whose last note is seldom
//! the latest of all: usually it is the nearest in pitch.

use notes::Successor;

/// Notes kept: two or three chords.
const KEPT: usize = 12;

/// A recent note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Earlier {
    pub pitch: u8,
    pub velocity: u8,
    /// Seconds, at least 0.01.
    pub duration: f32,
    /// Its delay inside its chord, in seconds.
    pub spread: f32,
    /// Seconds from its onset to the latest onset.
    pub age: f32,
}

/// The latest notes, most recent first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Voices {
    notes: [Option<Earlier>; KEPT],
}

impl Voices {
    /// Appends a note.
    pub fn feed(&mut self, note: &Successor) {
        for earlier in self.notes.iter_mut().flatten() {
            earlier.age += note.step as f32;
        }
        self.notes.rotate_right(1);
        self.notes[0] = Some(Earlier {
            pitch: note.pitch.min(127),
            velocity: note.velocity,
            duration: (note.duration as f32).max(0.01),
            spread: note.spread as f32,
            age: 0.0,
        });
    }

    /// The latest note.
    pub fn last(&self) -> Option<&Earlier> {
        self.notes[0].as_ref()
    }

    /// The pitch `lag` notes back; 1 is the latest note.
    pub fn pitch(&self, lag: usize) -> Option<u8> {
        self.notes[lag - 1].map(|note| note.pitch)
    }

    /// The note that one of this pitch, `step` seconds after the last onset, most likely continues: the nearest in
    /// pitch among those with an earlier onset; of two equally near, the later.
    pub fn before(&self, pitch: u8, step: f64) -> Option<&Earlier> {
        let struck_before = |note: &&Earlier| step > 0.0 || note.age > 0.0;
        self.notes.iter().flatten().filter(struck_before).min_by_key(|note| note.pitch.abs_diff(pitch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_goes_on_from_the_nearest_that_was_struck_before_it() {
        let mut voices = Voices::default();
        for (step, pitch) in [(0.0, 40), (0.0, 64), (0.5, 41), (0.0, 67)] {
            voices.feed(&Successor { step, spread: 0.0, duration: 0.4, pitch, velocity: 64 });
        }
        let before = |voices: &Voices, pitch, step| voices.before(pitch, step).map(|note| (note.pitch, note.age));
        assert_eq!(before(&voices, 42, 0.5), Some((41, 0.0)));
        assert_eq!(before(&voices, 66, 0.5), Some((67, 0.0)));
        // Notes of the chord being struck do not continue one another.
        assert_eq!(before(&voices, 72, 0.0), Some((64, 0.5)));
        // Equally near above and below: the later one.
        voices.feed(&Successor { step: 0.5, spread: 0.0, duration: 0.4, pitch: 69, velocity: 64 });
        assert_eq!(before(&voices, 68, 0.0), Some((67, 0.5)));
        assert_eq!(before(&voices, 68, 0.1), Some((69, 0.0)));
        assert_eq!(voices.pitch(2), Some(67));
    }
}
