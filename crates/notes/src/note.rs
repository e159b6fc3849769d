//! A note, in absolute time and relative to the note before it.

/// One note of the phrase or of a take. Times are in seconds from any fixed origin.
///
/// All notes of a chord (see [`crate::chords`]) share the chord's `onset`; each keeps its own
/// small delay as `spread`. `duration` runs from `onset` to the key's release, so that the end of
/// a note does not move when its onset is aligned with the chord.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note {
    /// Seconds; in a chord, the chord's first onset.
    pub onset: f64,
    /// Seconds from `onset` until this note itself was struck; 0 outside chords.
    pub spread: f64,
    /// Seconds from `onset` to the release of the key; at least `spread`.
    pub duration: f64,
    /// MIDI key, 0–127.
    pub pitch: u8,
    /// MIDI velocity, 1–127.
    pub velocity: u8,
}

impl Note {
    /// When the key went down, in seconds.
    pub fn struck(&self) -> f64 {
        self.onset + self.spread
    }

    /// When the key was released, in seconds.
    pub fn end(&self) -> f64 {
        self.onset + self.duration
    }
}

/// A note in the network's form: timed from the previous note instead of from an origin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Successor {
    /// Seconds from the previous note's onset to this one's; 0 inside a chord and for the first note.
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
    /// `note` relative to the `previous` onset in seconds (`None`: it is the first, its step is 0).
    pub fn after(previous: Option<f64>, note: &Note) -> Self {
        Self {
            step: previous.map_or(0.0, |onset| note.onset - onset),
            spread: note.spread,
            duration: note.duration,
            pitch: note.pitch,
            velocity: note.velocity,
        }
    }

    /// The note in absolute time, given the previous note's onset in seconds.
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
