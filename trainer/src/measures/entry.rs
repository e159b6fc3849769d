//! The entry over held notes: what a hand-over in the midst of sounding notes does to what comes after it.
//!
//! A piece is cut after 20 s, as for [`super::fit`], where notes sound. They may count as long as they have sounded
//! by then; as long as the network says, given that; or as long as they were, which no partner knows. Then the next notes
//! of the piece are scored, and the network's own are compared with them in how many sound together.

use crate::measures::excerpts::{Excerpt, PART_S};
use crate::parallel;
use crate::play::{self, Length};
use model::{Decoder, Network, note_rng};
use notes::{Note, Successor};
use serde::Serialize;
use std::sync::Arc;

/// Notes after the hand-over.
const NOTES: usize = 20;
/// Seconds after it in which what sounds together is counted.
const TEXTURE_S: f64 = 2.0;

/// How held notes count.
#[derive(Clone, Copy)]
enum Count {
    SoFar,
    Drawn,
    Truth,
}

/// Means over all hand-overs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Counted {
    /// Nats of the next 20 notes of the piece, all attributes, per note.
    pub nats_per_note: f64,
    /// Notes that sound together in the two seconds after the hand-over: the network's, and those that are held, as long
    /// as they really are.
    pub texture: f64,
    /// By how much a take's texture differs from that of the piece, in notes, on average.
    pub texture_error: f64,
}

/// The measure's result.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Hand-overs with notes that sounded, and how many these were.
    pub hand_overs: usize,
    /// See above.
    pub held_notes: usize,
    /// Notes of the piece that sound together there.
    pub texture: f64,
    /// They count as long as they have sounded.
    pub so_far: Counted,
    /// As long as the network says.
    pub drawn: Counted,
    /// As long as they were.
    pub truth: Counted,
}

/// Lets the network enter over the held notes of these excerpts; `None`: there are none.
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
            let counts = [Count::SoFar, Count::Drawn, Count::Truth].map(|count| {
                listen(decoder, prompt, count, seed);
                decoder.hand_over();
                let from = prompt.last().map_or(0.0, |note| note.onset);
                let after = decoder.snapshot();
                let nats = nats(decoder, truth, from);
                decoder.restore(&after);
                let length = Length { seconds: PART_S, notes: usize::MAX };
                let controls = network.card().controls;
                let take = play::take(decoder, &controls, seed, from, PART_S - from, length);
                let own = texture(held.iter().chain(&take));
                Counted { nats_per_note: nats, texture: own, texture_error: (own - real).abs() }
            });
            (counts, held.len(), real)
        },
        done,
    );
    let many = measured.len() as f64;
    let mean = |which: usize| {
        let of = |get: fn(&Counted) -> f64| measured.iter().map(|(counts, ..)| get(&counts[which])).sum::<f64>() / many;
        Counted {
            nats_per_note: of(|counted| counted.nats_per_note),
            texture: of(|counted| counted.texture),
            texture_error: of(|counted| counted.texture_error),
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

/// Listens to a phrase until the hand-over, at which some of its notes sound.
fn listen(decoder: &mut Decoder, phrase: &[Note], count: Count, seed: u64) {
    decoder.reset();
    let mut previous = None;
    for (index, note) in (0..).zip(phrase) {
        let mut next = Successor::after(previous, note);
        if note.end() > PART_S {
            let so_far = PART_S - note.onset;
            next.duration = match count {
                Count::SoFar => so_far,
                Count::Drawn => {
                    decoder.sample_rest(&Successor { duration: so_far, ..next }, &mut note_rng(seed ^ 1 << 63, index))
                }
                Count::Truth => note.duration,
            };
        }
        decoder.feed(&next);
        previous = Some(note.onset);
    }
}

/// Nats of the first of these notes, per note; the last onset before them was there.
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

/// How many of these notes sound together in the seconds after the hand-over, on average.
fn texture<'a>(notes: impl IntoIterator<Item = &'a Note>) -> f64 {
    let within = |note: &Note| (note.end().min(PART_S + TEXTURE_S) - note.struck().max(PART_S)).max(0.0);
    notes.into_iter().map(within).sum::<f64>() / TEXTURE_S
}
