//! How well a network predicts real music: nats per note, and the seed project's loss.

use crate::dataset::Piece;
use crate::measures::NatsPerNote;
use crate::parallel;
use model::{Decoder, Kind, Network};
use notes::Successor;
use serde::Serialize;
use std::sync::Arc;

/// The seed project's loss: cross-entropy + mean squared error + mean squared error, per note.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Loss {
    /// Cross-entropy, in nats.
    pub pitch: f64,
    /// Mean squared error of the expected step, seconds squared.
    pub step: f64,
    /// Mean squared error of the expected duration, seconds squared.
    pub duration: f64,
    /// The sum of the three.
    pub total: f64,
}

/// The scores of pieces.
#[derive(Clone, Copy, Debug)]
pub struct Likelihood {
    /// Number of notes scored: all but each piece's first, which has no step.
    pub notes: usize,
    /// Means per note.
    pub nats: NatsPerNote,
    /// Means per note.
    pub loss: Loss,
}

/// Sums over the notes of a piece: five attributes in nats, two squared errors.
type Sums = [f64; 7];

/// Scores pieces, each from the initial state, with all previous notes fed (teacher forcing).
pub fn score(network: &Arc<Network>, pieces: &[&Piece], done: impl Fn(usize) + Sync) -> Likelihood {
    let per_piece = parallel::map(
        pieces,
        || Decoder::new(network.clone()),
        |decoder, piece| {
            let sums = score_piece(decoder, piece);
            done(piece.notes.len());
            sums
        },
        || {},
    );
    let notes: usize = pieces.iter().map(|piece| piece.notes.len() - 1).sum();
    let mut mean: Sums = Default::default();
    for sums in per_piece {
        mean.iter_mut().zip(sums).for_each(|(mean, sum)| *mean += sum / notes.max(1) as f64);
    }
    let [step, pitch, duration, velocity, spread, step_error, duration_error] = mean;
    let has_more = network.kind() != Kind::Seed;
    Likelihood {
        notes,
        nats: NatsPerNote {
            pitch,
            step,
            duration,
            velocity: has_more.then_some(velocity),
            spread: has_more.then_some(spread),
            timed: pitch + step + duration,
        },
        loss: Loss { pitch, step: step_error, duration: duration_error, total: pitch + step_error + duration_error },
    }
}

fn score_piece(decoder: &mut Decoder, piece: &Piece) -> Sums {
    decoder.reset();
    decoder.hand_over(); // the seed network starts with a begin-of-sequence, too
    let mut previous = None;
    let mut sums: Sums = Default::default();
    for note in &piece.notes {
        let next = Successor::after(previous, note);
        if previous.is_some() {
            let scores = decoder.score(&next);
            let nats = scores.nats;
            let add = [
                nats.step,
                nats.pitch,
                nats.duration,
                nats.velocity,
                nats.spread,
                (scores.step_mean - next.step).powi(2),
                (scores.duration_mean - next.duration).powi(2),
            ];
            sums.iter_mut().zip(add).for_each(|(sum, add)| *sum += add);
        }
        decoder.feed(&next);
        previous = Some(note.onset);
    }
    sums
}
