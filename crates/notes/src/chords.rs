//! Chords: tells notes struck together from notes struck one after another.
//!
//! Every note within [`WINDOW_S`] of a chord's *first* onset belongs to the chord, including a note
//! exactly at the boundary. It takes the chord's onset, keeps its own small delay as `spread`, and
//! keeps its end. In a chord, pitches ascend and are unique: a doubled pitch (two voices, two
//! channels, a re-strike within the window) is merged, with the later end and the louder velocity.
//!
//! Files go through [`canonicalize`], live playing through [`crate::Listener`]; both use
//! [`Chord`] and [`merge`], so that the network gets the same representation from both.

use crate::Note;

/// The longest time from a chord's first onset to the onset of its last note, in seconds.
///
/// Chords played by hand spread over 5–25 ms; trills and fast runs are rarely faster than 50 ms per note.
pub const WINDOW_S: f64 = 0.030;

/// Rounding error allowed in a time difference, in seconds. Without it, whether a note exactly at the
/// boundary joins would be arbitrary, and differ between sample rates.
const ROUNDING_S: f64 = 1e-9;

/// A chord, identified by its first onset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chord {
    onset: f64,
}

impl Chord {
    /// The chord that `note` opens.
    pub fn opened_by(note: &Note) -> Self {
        // Adding zero turns -0 into 0, so that equal onsets are bitwise equal.
        Self { onset: note.struck() + 0.0 }
    }

    /// The chord whose first onset is at `onset` seconds.
    pub(crate) fn at(onset: f64) -> Self {
        Self { onset }
    }

    /// The chord's first onset, in seconds.
    pub fn onset(&self) -> f64 {
        self.onset
    }

    /// Whether `note`, struck at or after the chord's onset, belongs to the chord.
    pub fn takes(&self, note: &Note) -> bool {
        self.delay(note) <= WINDOW_S + ROUNDING_S
    }

    /// Whether a note struck at `now` seconds or later can no longer belong to the chord.
    pub fn is_closed(&self, now: f64) -> bool {
        now - self.onset > WINDOW_S + ROUNDING_S
    }

    /// The note as a member of this chord: same key, same end, the chord's onset.
    pub fn place(&self, note: &Note) -> Note {
        let spread = self.delay(note).clamp(0.0, WINDOW_S);
        Note { onset: self.onset, spread, duration: ((note.onset - self.onset) + note.duration).max(spread), ..*note }
    }

    /// Seconds from the chord's onset to the note's own. In this order of operations a placed note
    /// yields exactly its spread, which makes [`canonicalize`] idempotent.
    fn delay(&self, note: &Note) -> f64 {
        (note.onset - self.onset) + note.spread
    }
}

/// Merges `other` into `kept`, a note of the same chord and pitch: earliest strike, latest end,
/// loudest velocity.
pub fn merge(kept: &mut Note, other: &Note) {
    kept.spread = kept.spread.min(other.spread);
    kept.duration = kept.duration.max(other.duration);
    kept.velocity = kept.velocity.max(other.velocity);
}

/// Groups raw notes, in any order, into chords and sorts them by (onset, pitch).
///
/// Idempotent: notes already in canonical order are unchanged. Notes with a non-finite time are dropped.
/// Not for the audio thread: sorting may allocate.
pub fn canonicalize(notes: &mut Vec<Note>) {
    notes.retain(|note| note.onset.is_finite() && note.spread.is_finite() && note.duration.is_finite());
    notes.sort_by(|a, b| a.struck().total_cmp(&b.struck()));
    let mut chord: Option<Chord> = None;
    for note in notes.iter_mut() {
        let joined = match chord {
            Some(open) if open.takes(note) => open,
            _ => Chord::opened_by(note),
        };
        *note = joined.place(note);
        chord = Some(joined);
    }
    notes.sort_by(|a, b| a.onset.total_cmp(&b.onset).then(a.pitch.cmp(&b.pitch)));
    notes.dedup_by(|later, kept| {
        let doubled = later.onset == kept.onset && later.pitch == kept.pitch;
        if doubled {
            merge(kept, later);
        }
        doubled
    });
}
