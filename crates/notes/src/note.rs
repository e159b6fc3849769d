//! What a note is, in absolute time and as the step from the note before.

/// One note of the phrase or of a take. Times are seconds from any fixed origin.
///
/// Inside a chord (see [`crate::chords`]) all notes share the chord's `onset`; each keeps its own
/// small delay as `spread`. `duration` runs from `onset` to the key's release, so that the end of
/// a note does not move when its onset is put on the chord.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note {
    /// Seconds; the chord's first onset for every note of a chord.
    pub onset: f64,
    /// Seconds after `onset` at which this note itself was struck; 0 outside chords.
    pub spread: f64,
    /// Seconds from `onset` to the release of the key; at least `spread`.
    pub duration: f64,
    /// MIDI key, 0–127.
    pub pitch: u8,
    /// MIDI velocity, 1–127.
    pub velocity: u8,
}

impl Note {
    /// The moment at which the key went down, in seconds.
    pub fn struck(&self) -> f64 {
        self.onset + self.spread
    }

    /// The moment at which the key was released, in seconds.
    pub fn end(&self) -> f64 {
        self.onset + self.duration
    }
}

/// A note as the network sees it: told from the note before instead of from an origin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Successor {
    /// Seconds from the previous note's onset to this one's; 0 inside a chord, and for a first note.
    pub step: f64,
    /// As in [`Note`].
    pub spread: f64,
    /// As in [`Note`].
    pub duration: f64,
    /// MIDI key, 0–127.
    pub pitch: u8,
    /// MIDI velocity, 1–127.
    pub velocity: u8,
}

impl Successor {
    /// This note, told from a `previous` onset in seconds (`None`: it is the first, its step is 0).
    pub fn after(previous: Option<f64>, note: &Note) -> Self {
        Self {
            step: previous.map_or(0.0, |onset| note.onset - onset),
            spread: note.spread,
            duration: note.duration,
            pitch: note.pitch,
            velocity: note.velocity,
        }
    }

    /// The note in absolute time, when the note before it began at `previous` seconds.
    pub fn note(&self, previous: f64) -> Note {
        Note {
            onset: previous + self.step,
            spread: self.spread,
            duration: self.duration,
            pitch: self.pitch,
            velocity: self.velocity,
        }
    }
}
