//! Feeds the notes of a take to the network, one after the other, and rolls back to one of them.

use model::Decoder;
use notes::Note;

use super::super::FedNote;
use super::{Author, CORRECTED, STATES, Step, Take};
use crate::generator::phrasing::{Sampled, as_fed};

impl Take {
    /// Filters and corrects the notes: Antiphon's stay if `kept`, given index and note, returns `true`, and end by
    /// `now` if there is a `cut`; the player's get the duration that they have had by `now`. From the first note that
    /// differs on, the notes are fed to the network again.
    pub(super) fn keep(&mut self, decoder: &mut Decoder, now: f64, cut: bool, kept: impl Fn(u32, &Note) -> bool) {
        let mut index = self.notes.past.own();
        let mut keep = Vec::with_capacity(self.notes.steps.len());
        for step in &self.notes.steps {
            keep.push((!step.is_by_antiphon() || kept(index, &step.note)).then_some(step.note));
            index += u32::from(step.is_by_antiphon());
        }
        let sounded =
            self.notes.steps.iter().zip(&mut keep).rev().filter_map(|(step, note)| Some((step, note.as_mut()?)));
        for (step, note) in sounded.take(CORRECTED) {
            match step.author {
                Author::Player { lasted } => note.duration = lasted.unwrap_or(note.duration.max(now - note.onset)),
                Author::Network { .. } if cut => note.duration = note.duration.min((now - note.onset).max(note.spread)),
                Author::Network { .. } => {}
            }
        }
        let few = self.notes.past.is_empty() && keep.iter().flatten().count() <= CORRECTED;
        let anew = few && self.phrase.held.as_mut().is_some_and(|held| held.feed_again(decoder));
        let same = self.notes.steps.iter().zip(&keep).take_while(|(step, note)| **note == Some(step.note)).count();
        let same = if anew { 0 } else { same };
        let mut again = Vec::new();
        let mut next = self.next;
        for (step, note) in self.notes.steps.iter().zip(keep).skip(same) {
            match (note, step.author) {
                (Some(note), author) => {
                    // A corrected duration is how long the note did sound.
                    let same = note.duration == step.note.duration;
                    let unlimited_s = if same { step.unlimited_s } else { note.duration };
                    again.push((Sampled { note, unlimited_s }, author, step.speed));
                }
                (None, Author::Network { next: after }) => next = next.min(after.saturating_sub(1)),
                (None, Author::Player { .. }) => {}
            }
        }
        self.next = next;
        if anew {
            decoder.snapshot_into(&mut self.notes.origin);
            decoder.hand_over();
            self.drop_steps(0);
        } else {
            self.roll_back(decoder, same);
        }
        for (sampled, author, speed) in again {
            self.feed(decoder, sampled, author, speed);
        }
    }

    /// Feeds a note to the network and adds it as the latest.
    pub(super) fn feed(&mut self, decoder: &mut Decoder, sampled: Sampled, author: Author, speed: f64) {
        let Sampled { note, unlimited_s } = sampled;
        if self.notes.steps.len() >= STATES {
            // Two, since the first one left must have a snapshot.
            self.retire_oldest();
            self.retire_oldest();
        }
        let needed = self.notes.steps.back().is_none_or(|last| last.before.is_none());
        let before = needed.then(|| self.snapshot_pool.snapshot(decoder));
        let trail = self.trail.clone();
        let fed = as_fed(self.latest_onset(), &sampled.unlimited(), speed);
        let by_antiphon = matches!(author, Author::Network { .. });
        let moment = self.conditioning(note.onset, self.index() + u32::from(by_antiphon), decoder.conditioning());
        decoder.feed_at(&fed, moment);
        self.trail.push(&note, &fed, by_antiphon);
        self.notes.steps.push_back(Step { author, note, unlimited_s, fed, moment, speed, before, trail });
    }

    /// Rolls back to before the note at this place, and drops it and all after it.
    pub(super) fn roll_back(&mut self, decoder: &mut Decoder, place: usize) {
        if place >= self.notes.steps.len() {
            return;
        }
        let snapshots = self.notes.steps.iter().enumerate().take(place + 1);
        if let Some((from, before)) = snapshots.rev().find_map(|(n, step)| Some((n, step.before.as_ref()?))) {
            decoder.restore(before);
            self.notes.steps.range(from..place).for_each(|step| decoder.feed_at(&step.fed, step.moment));
        }
        self.drop_steps(place);
    }

    /// Drops the notes from this place on.
    pub(super) fn drop_steps(&mut self, place: usize) {
        if let Some(first) = self.notes.steps.get(place) {
            self.trail = first.trail.clone();
            self.snapshot_pool.0.extend(self.notes.steps.drain(place..).filter_map(|step| step.before));
        }
    }

    /// Moves the first note of `steps`, which is now final, to `past`.
    pub(super) fn retire_oldest(&mut self) {
        if let Some(step) = self.notes.steps.pop_front() {
            let fed =
                FedNote { note: step.fed, by_antiphon: step.is_by_antiphon(), speed: step.speed, moment: step.moment };
            self.notes.past.push(fed, step.sampled());
            self.snapshot_pool.0.extend(step.before);
        }
    }
}
