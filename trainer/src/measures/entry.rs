//! Entry over held notes: the effect of a hand-over while notes are sounding on what comes after it.
//!
//! A piece is cut after 20 s, as for [`super::fit`], where notes are sounding. The durations of these notes can be set
//! in three ways: how long they have sounded so far; as drawn by the network, given that; or as they really were, which
//! no player could know. Then the next notes of the piece are scored, and the network's own continuation is compared
//! with them in how many notes sound together.

use crate::measures::excerpts::{Excerpt, PART_S};
use crate::parallel;
use crate::play::{self, Length};
use model::{Decoder, Network, note_rng};
use notes::{Note, Successor};
use serde::Serialize;
use std::sync::Arc;

/// Number of notes after the hand-over that are scored.
const NOTES: usize = 20;
/// Time after the hand-over in which sounding notes are counted, in seconds.
const TEXTURE_S: f64 = 2.0;

/// How the durations of held notes are set.
#[derive(Clone, Copy)]
enum HeldDuration {
    SoFar,
    Drawn,
    Truth,
}

/// Results for one way to set the durations; means over all hand-overs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EntryResult {
    /// Nats per note of the next 20 notes of the piece, all attributes together.
    pub nats_per_note: f64,
    /// Mean number of notes that sound together in the 2 s after the hand-over: the network's, and the held ones with
    /// their true durations.
    pub texture: f64,
    /// Mean absolute difference between the textures of the take and of the piece, in notes.
    pub texture_error: f64,
}

/// The results of this measure.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Number of hand-overs with held notes.
    pub hand_overs: usize,
    /// Number of held notes at these hand-overs.
    pub held_notes: usize,
    /// Mean number of the piece's own notes that sound together in the same 2 s.
    pub texture: f64,
    /// Durations set to how long the notes have sounded.
    pub so_far: EntryResult,
    /// Durations drawn by the network.
    pub drawn: EntryResult,
    /// True durations.
    pub truth: EntryResult,
}

/// Lets the network enter over the held notes of these excerpts; `None` if none has any.
pub fn entry(network: &Arc<Network>, excerpts: &[Excerpt], seed: u64, done: impl Fn() + Sync) -> Option<Entry> {
    let held = |excerpt: &&Excerpt| excerpt.prompt.iter().any(|note| note.end() > PART_S);
    let excerpts: Vec<&Excerpt> = excerpts.iter().filter(held).collect();
    let indices: Vec<usize> = (0..excerpts.len()).collect();
    let measured = parallel::map(
        &indices,
        || Decoder::new(network.clone()),
        |decoder, &index| {
            let Excerpt { prompt, truth, .. } = excerpts[index];
            let held: Vec<Note> = prompt.iter().filter(|note| note.end() > PART_S).copied().collect();
            let real = texture(held.iter().chain(truth));
            let seed = seed.wrapping_add(index as u64);
            let counts = [HeldDuration::SoFar, HeldDuration::Drawn, HeldDuration::Truth].map(|held_duration| {
                feed_phrase(decoder, prompt, held_duration, seed);
                decoder.hand_over();
                let from = prompt.last().map_or(0.0, |note| note.onset);
                let after = decoder.snapshot();
                let nats = nats(decoder, truth, from);
                decoder.restore(&after);
                let length = Length { seconds: PART_S, notes: usize::MAX };
                let controls = network.card().controls;
                let take = play::take(decoder, &controls, seed, from, PART_S - from, length);
                let own = texture(held.iter().chain(&take));
                EntryResult { nats_per_note: nats, texture: own, texture_error: (own - real).abs() }
            });
            (counts, held.len(), real)
        },
        done,
    );
    let many = measured.len() as f64;
    let mean = |which: usize| {
        let of =
            |get: fn(&EntryResult) -> f64| measured.iter().map(|(counts, ..)| get(&counts[which])).sum::<f64>() / many;
        EntryResult {
            nats_per_note: of(|result| result.nats_per_note),
            texture: of(|result| result.texture),
            texture_error: of(|result| result.texture_error),
        }
    };
    (!measured.is_empty()).then(|| Entry {
        hand_overs: measured.len(),
        held_notes: measured.iter().map(|(_, held, _)| held).sum(),
        texture: measured.iter().map(|(.., real)| real).sum::<f64>() / many,
        so_far: mean(0),
        drawn: mean(1),
        truth: mean(2),
    })
}

/// Feeds a phrase up to the hand-over, at which some of its notes are held.
fn feed_phrase(decoder: &mut Decoder, phrase: &[Note], held_duration: HeldDuration, seed: u64) {
    decoder.reset();
    let mut previous = None;
    for (index, note) in (0..).zip(phrase) {
        let mut next = Successor::after(previous, note);
        if note.end() > PART_S {
            let so_far = PART_S - note.onset;
            next.duration = match held_duration {
                HeldDuration::SoFar => so_far,
                HeldDuration::Drawn => {
                    decoder.sample_rest(&Successor { duration: so_far, ..next }, &mut note_rng(seed ^ 1 << 63, index))
                }
                HeldDuration::Truth => note.duration,
            };
        }
        decoder.feed(&next);
        previous = Some(note.onset);
    }
}

/// Mean nats per note of the first [`NOTES`] notes; `from` is the last onset before them.
fn nats(decoder: &mut Decoder, notes: &[Note], from: f64) -> f64 {
    let (mut sum, mut previous) = (0.0, from);
    let notes = &notes[..NOTES.min(notes.len())];
    for note in notes {
        let next = Successor::after(Some(previous), note);
        let nats = decoder.score(&next).nats;
        sum += nats.step + nats.pitch + nats.duration + nats.velocity + nats.spread;
        decoder.feed(&next);
        previous = note.onset;
    }
    sum / notes.len() as f64
}

/// Mean number of these notes that sound together within [`TEXTURE_S`] after the hand-over.
fn texture<'a>(notes: impl IntoIterator<Item = &'a Note>) -> f64 {
    let within = |note: &Note| (note.end().min(PART_S + TEXTURE_S) - note.struck().max(PART_S)).max(0.0);
    notes.into_iter().map(within).sum::<f64>() / TEXTURE_S
}
