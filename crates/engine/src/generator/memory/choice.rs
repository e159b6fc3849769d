//! Of several takes that could follow, which one is played: the likeliest.
//!
//! They are thought of side by side, in one pass of the network for a note of each, as far as a choice needs. The
//! one that is chosen then begins anew, by its own luck: it is the very take that this luck alone would have
//! given, in real time and in a bounce.

use model::{Chorus, Markov, Mind};

use crate::generator::phrasing::{Cue, Phrasing, Trail, heard};

/// Notes of each take that are compared: a few bars at most, and some milliseconds of thinking.
const NOTES: u32 = 8;
/// Where a take's number stands in its luck.
const PLACE: u32 = 48;

/// The luck of the likeliest of so many takes that begin at `cue`, whose own luck is the first one's. They are
/// `notes` long at most.
pub fn likeliest(
    takes: usize,
    notes: u32,
    (mind, phrasing, memory): (&Mind, &Phrasing, &Markov),
    trail: &Trail,
    cue: Cue,
) -> u64 {
    if takes <= 1 {
        return cue.seed;
    }
    let mut chorus = Chorus::new(mind, takes);
    let mut trails = vec![trail.clone(); takes];
    let mut cues: Vec<Cue> = (0..takes as u64).map(|take| Cue { seed: cue.seed ^ take << PLACE, ..cue }).collect();
    for _ in 0..NOTES.min(notes) {
        let notes = phrasing.draw_all(&mut chorus, &trails, memory, &cues);
        let each = notes.iter().zip(&mut trails).zip(&mut cues);
        let heard = each.map(|((note, trail), cue)| {
            let heard = heard(cue.previous, note, phrasing.speed());
            trail.hear(note, &heard, true);
            *cue = Cue { index: cue.index + 1, previous: Some(note.onset), pause: 0.0, ..*cue };
            heard
        });
        chorus.feed(&heard.collect::<Vec<_>>());
    }
    let rated = cues.iter().zip(chorus.nats());
    // The first of equals.
    let best = rated.reduce(|best, next| if next.1 < best.1 { next } else { best });
    best.map_or(cue.seed, |(cue, _)| cue.seed)
}
