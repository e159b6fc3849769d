//! Whether two renders of a scenario are the same music.
//!
//! Every note of one must be in the other, with its key, channel and velocity. Its samples may differ by
//! one, for rounding to samples and of moments to [`ROUNDING_S`], wherever the tempo holds over a block; where
//! it bends inside one, by what [`super::tempo::TempoMap::unknown`] says. What would last longer than that, a
//! take's tempo from a hand-over in the rest of such a block, no scenario has. But a note that may be so much off may
//! change places with a knob that moves, a key or a stop: then another note is generated again, and from there on the two
//! renders are not compared.

use std::collections::BTreeMap;

use test_host::Sounded;

use super::render::Setup;
use super::scenario::{Scenario, TICKS};

/// The model hears of moments in whole microseconds: two roundings of one moment are this far apart, in
/// seconds, and so is what it does then.
const ROUNDING_S: f64 = 1e-6;

/// How much two renders differ.
#[derive(Debug, Default)]
pub struct Difference {
    /// The most, in samples of the coarser rate, that a note's on or off differs where the tempo holds.
    pub samples: f64,
    /// What is not the same: the earliest thing.
    pub what: Option<String>,
}

/// Compares two renders of a scenario.
pub fn compare(scenario: &Scenario, one: (&[Sounded], &Setup), other: (&[Sounded], &Setup)) -> Difference {
    let tempo = scenario.tempo_map();
    let coarser = one.1.rate.min(other.1.rate);
    let mut difference = Difference::default();
    let mut worst: f64 = 0.0;
    // What begins or ends with the last samples may or may not have.
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
    let open = open.fold(f64::INFINITY, f64::min);
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

/// A note in seconds.
#[derive(Clone, Copy, Debug)]
struct Note {
    on: f64,
    off: f64,
    velocity: u8,
}

/// Notes by channel and key, each in order of time.
fn by_key((notes, setup): (&[Sounded], &Setup), limit: f64) -> BTreeMap<(u8, u8), Vec<Note>> {
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
