//! Chords: notes struck together, told apart from notes struck one after another.
//!
//! Every note within [`WINDOW_S`] of a chord's *first* onset belongs to the chord, a note exactly
//! at the boundary included. It takes the chord's onset, keeps its own small delay as `spread`, and
//! keeps its end. Inside a chord pitches ascend and stand once: a doubled pitch (two voices, two
//! channels, a re-strike within the window) is merged to the later end and the louder velocity.
//!
//! A file goes through [`canonicalise`], a live player through [`crate::Listener`]; both use
//! [`Chord`] and [`merge`], so that the network hears one language.

use crate::Note;

/// The longest time from a chord's first onset to the onset of its last note, in seconds.
///
/// Human chords spread over 5–25 ms; a trill or a fast run is seldom faster than 50 ms per note.
pub const WINDOW_S: f64 = 0.030;

/// What rounding may add to a time difference, in seconds. Without it, chance would decide about
/// notes exactly at the boundary, differently at each sample rate.
const ROUNDING_S: f64 = 1e-9;

/// A chord, known by its first onset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chord {
    onset: f64,
}

impl Chord {
    /// The chord that `note` opens.
    pub fn opened_by(note: &Note) -> Self {
        // Adding zero turns -0 into 0, so that equal onsets are equal bit for bit.
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
    /// gives back its spread exactly, which is what makes [`canonicalise`] idempotent.
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

/// Puts raw notes, in any order, into canonical order: by (onset, pitch), chords made.
///
/// Canonical notes come out unchanged, so applying it twice does no harm. Notes with a time that is
/// no finite number are left out. Off the audio thread only: it sorts, which may allocate.
pub fn canonicalise(notes: &mut Vec<Note>) {
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
