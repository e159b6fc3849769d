//! Compares two renders of a scenario.
//!
//! Every note of one must be in the other, with the same key, channel and velocity. Where the tempo is constant over a
//! block, note-ons and note-offs may differ by one sample, plus [`ROUNDING_S`] for the rounding of times; where it
//! changes within a block, also by [`super::tempo::TempoMap::unknown`]. A hand-over in the rest of such a block would
//! set the take's tempo and have a lasting effect, but no scenario has one. With that tolerance, a note may fall on
//! either side of a parameter change, a key or a stop, and other notes are generated from there on: the comparison ends
//! at the first such note.

use std::collections::BTreeMap;

use test_host::PlayedNote;

use super::render::Setup;
use super::scenario::{Scenario, TICKS};

/// Times reach the model in whole microseconds: two roundings of the same time can differ by this much, in seconds, and
/// so can the notes generated from it.
const ROUNDING_S: f64 = 1e-6;

/// The differences between two renders.
#[derive(Debug, Default)]
pub struct Difference {
    /// Maximum difference of a note-on or note-off, in samples of the lower sample rate, where the tempo is constant.
    pub samples: f64,
    /// The earliest mismatch; `None` if the renders agree.
    pub what: Option<String>,
}

/// Compares two renders of a scenario, each given by its notes and its setup.
pub fn compare(scenario: &Scenario, one: (&[PlayedNote], &Setup), other: (&[PlayedNote], &Setup)) -> Difference {
    let tempo = scenario.tempo_map();
    let coarser = one.1.rate.min(other.1.rate);
    let mut difference = Difference::default();
    let mut worst: f64 = 0.0;
    // Notes that begin in the last moments may be missing in one of the renders.
    let limit = scenario.end as f64 / TICKS as f64 - 0.01;
    let (ours, theirs) = (by_key(one, limit), by_key(other, limit));
    let blocks = [one.1.longest_s(), other.1.longest_s()];
    let excuse = |at: f64| blocks.iter().map(|block| tempo.unknown(at, *block)).sum::<f64>();
    let causes = scenario.causes();
    let ons = [&ours, &theirs].into_iter().flat_map(|notes| notes.values().flatten()).map(|note| note.on);
    let open = ons.filter_map(|on| {
        let excuse = excuse(on);
        let near = |cause: &f64| (cause - on).abs() <= excuse;
        (excuse > 0.0 && causes.iter().any(near)).then_some(on - excuse)
    });
    // A note within a sample of the limit may be on either side of it.
    let open = open.fold(limit - 1.0 / coarser - ROUNDING_S, f64::min);
    let mut first = f64::INFINITY;
    let mut fault = |at: f64, what: String| {
        if at < first && at < open {
            first = at;
            difference.what = Some(format!("at {at:.4} s {what}"));
        }
    };
    let keys = ours.keys().chain(theirs.keys());
    for key in keys {
        let none = Vec::new();
        let (ours, theirs) = (ours.get(key).unwrap_or(&none), theirs.get(key).unwrap_or(&none));
        for index in 0..ours.len().max(theirs.len()) {
            let (Some(a), Some(b)) = (ours.get(index), theirs.get(index)) else {
                let (more, name) = if ours.len() > index { (&ours[index], "less") } else { (&theirs[index], "more") };
                fault(more.on, format!("one note {name}, key {}", key.1));
                break;
            };
            if a.velocity != b.velocity {
                fault(a.on.min(b.on), format!("key {} at velocity {} for {}", key.1, b.velocity, a.velocity));
            }
            for (what, a, b) in [("on", a.on, b.on), ("off", a.off, b.off)] {
                let off_by = (a - b).abs() * coarser;
                let excuse = excuse(a.min(b));
                if excuse == 0.0 && a.min(b) < open {
                    worst = worst.max(off_by);
                }
                if off_by > 1.0 + (excuse + ROUNDING_S) * coarser {
                    fault(a.min(b), format!("key {} {what} by {off_by:.1} samples", key.1));
                }
            }
        }
    }
    difference.samples = worst;
    difference
}

/// A note; times in seconds.
#[derive(Clone, Copy, Debug)]
struct Note {
    on: f64,
    off: f64,
    velocity: u8,
}

/// Notes grouped by (channel, key), each group in order of time.
fn by_key((notes, setup): (&[PlayedNote], &Setup), limit: f64) -> BTreeMap<(u8, u8), Vec<Note>> {
    let mut keys: BTreeMap<_, Vec<Note>> = BTreeMap::new();
    for note in notes {
        let (on, off) = (note.on as f64 / setup.rate, note.off as f64 / setup.rate);
        if on < limit {
            let of_key = keys.entry((note.channel, note.key)).or_default();
            of_key.push(Note { on, off: off.min(limit), velocity: note.velocity });
        }
    }
    keys
}
