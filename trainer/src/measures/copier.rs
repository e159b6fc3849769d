//! A player that only copies: an order-4 Markov chain of whole notes.
//!
//! The next note is drawn from those that followed the same four notes in the training pieces (or three, two, one or
//! none, if the longer context never occurred), with its pitch, step, duration and velocity together. Notes are the
//! same if they agree in pitch, and in whether they belong to the same chord as the previous note.

use crate::dataset::Piece;
use crate::measures::excerpts::{MAX_NOTES, PART_S, within};
use model::note_rng;
use notes::{Note, Successor};
use rand::Rng;

/// Maximum length of a context, in notes.
const ORDER: usize = 4;

/// The copying player; see the [module](self).
pub struct Copier {
    /// All training notes except each piece's first, relative to the previous note.
    notes: Vec<Successor>,
    /// For each of them, its context (the latest note in the highest bits) and its index; sorted.
    places: Vec<(u64, u32)>,
}

/// Adds a note to a context. The latest note is in the highest 16 bits, so that a shorter context is a prefix.
fn with(context: u64, note: &Successor) -> u64 {
    let symbol = 1 << 15 | u64::from(note.step == 0.0) << 7 | u64::from(note.pitch);
    context >> 16 | symbol << 48
}

/// Each note relative to the previous one.
fn successors(notes: &[Note]) -> impl Iterator<Item = Successor> {
    notes.iter().scan(None, |previous, note| {
        let next = Successor::after(*previous, note);
        *previous = Some(note.onset);
        Some(next)
    })
}

impl Copier {
    /// Stores the training pieces. `None` if no note in them follows another.
    pub fn train(pieces: &[&Piece]) -> Option<Self> {
        let (mut notes, mut places) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut context = 0;
            for (index, next) in successors(&piece.notes).enumerate() {
                if index > 0 {
                    places.push((context, u32::try_from(notes.len()).expect("far fewer notes")));
                    notes.push(next);
                }
                context = with(context, &next);
            }
        }
        places.sort_unstable();
        (!notes.is_empty()).then_some(Self { notes, places })
    }

    /// Continues a prompt, with the same interface as [`crate::measures::excerpts::continuation`].
    pub fn continuation(&self, prompt: &[Note], seed: u64) -> Vec<Note> {
        let mut context = successors(prompt).fold(0, |context, note| with(context, &note));
        let mut onset = prompt.last().map_or(0.0, |note| note.onset);
        let mut take = Vec::new();
        for index in 0..MAX_NOTES {
            let rng = &mut note_rng(seed, index as u64);
            let next = self.next(context, (PART_S - onset).max(0.0), rng);
            let note = next.note(onset);
            if note.onset >= 2.0 * PART_S {
                break;
            }
            take.push(note);
            (context, onset) = (with(context, &next), note.onset);
        }
        within(take)
    }

    /// Draws a note that followed the longest context that occurs in training, among those not earlier than `silence`
    /// seconds.
    fn next(&self, context: u64, silence: f64, rng: &mut impl Rng) -> Successor {
        for order in (0..=ORDER).rev() {
            let rest = if order == 0 { u64::MAX } else { (1u64 << (64 - 16 * order)) - 1 };
            let (low, high) = (context & !rest, context | rest);
            let begin = self.places.partition_point(|(known, _)| *known < low);
            let end = self.places.partition_point(|(known, _)| *known <= high);
            let places = &self.places[begin..end];
            let drawn = if places.is_empty() { 0 } else { rng.random_range(0..places.len()) };
            let from_there_on = places[drawn..].iter().chain(&places[..drawn]);
            let mut notes = from_there_on.map(|(_, number)| self.notes[*number as usize]);
            if let Some(next) = notes.find(|next| next.step >= silence) {
                return next;
            }
        }
        // No training note has such a long step.
        let longest = &self.notes[rng.random_range(0..self.notes.len())];
        Successor { step: silence, ..*longest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Split;

    #[test]
    fn it_goes_on_as_the_piece_that_it_knows_and_from_the_prompts_end_on() {
        // A melody in which four notes always determine the next one, and a single note never does.
        let tune = [60, 62, 64, 60, 65, 64, 62, 65];
        let melody = |first: usize, count: usize| -> Vec<Note> {
            let note = |index: usize| Note {
                onset: (index - first) as f64 * 0.5,
                spread: 0.0,
                duration: 0.4,
                pitch: tune[index % tune.len()],
                velocity: 60 + (index % tune.len()) as u8,
            };
            (first..first + count).map(note).collect()
        };
        let piece = |notes| Piece {
            name: "a".into(),
            set: "s".into(),
            split: Split::Train,
            work: "w".into(),
            notes,
            ..Piece::default()
        };
        let train = piece(melody(0, 400));
        let copier = Copier::train(&[&train]).unwrap();
        // The prompt's last onset is at 19.5 s, the next one of the piece at 20 s.
        let prompt = melody(3, 40);
        let take = copier.continuation(&prompt, 5);
        let truth: Vec<Note> = melody(3, 80)[40..].to_vec();
        assert_eq!(take.len(), truth.len());
        for (note, expected) in take.iter().zip(&truth) {
            assert!((note.onset - expected.onset).abs() < 1e-9);
            assert_eq!((note.pitch, note.velocity), (expected.pitch, expected.velocity));
        }
        // A silence longer than any in training.
        assert!(copier.continuation(&melody(3, 11), 5)[0].onset >= PART_S);
        assert!(Copier::train(&[&piece(melody(0, 1))]).is_none());
    }
}
