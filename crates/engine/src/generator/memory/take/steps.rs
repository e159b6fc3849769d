//! Feeds the notes of a take to the network, one after the other, and rolls back to one of them.

use model::Decoder;
use notes::Note;

use super::super::Remembered;
use super::{Author, CORRECTED, STATES, Step, Take};
use crate::generator::phrasing::heard;

impl Take {
    /// Filters and corrects the notes: Antiphon's stay if `kept`, given index and note, returns `true`, and end by
    /// `now` if there is a `cut`; the player's get the duration that they have had by `now`. From the first note that
    /// differs on, the notes are fed to the network again.
    pub(super) fn keep(&mut self, decoder: &mut Decoder, now: f64, cut: bool, kept: impl Fn(u32, &Note) -> bool) {
        let mut index = self.played.past.own();
        let mut keep = Vec::with_capacity(self.played.steps.len());
        for step in &self.played.steps {
            keep.push((!step.is_mine() || kept(index, &step.note)).then_some(step.note));
            index += u32::from(step.is_mine());
        }
        let sounded =
            self.played.steps.iter().zip(&mut keep).rev().filter_map(|(step, note)| Some((step, note.as_mut()?)));
        for (step, note) in sounded.take(CORRECTED) {
            match step.author {
                Author::Player { lasted } => note.duration = lasted.unwrap_or(note.duration.max(now - note.onset)),
                Author::Network { .. } if cut => note.duration = note.duration.min((now - note.onset).max(note.spread)),
                Author::Network { .. } => {}
            }
        }
        let few = self.played.past.is_empty() && keep.iter().flatten().count() <= CORRECTED;
        let anew = few && self.phrase.held.as_mut().is_some_and(|held| held.feed_again(decoder));
        let same = self.played.steps.iter().zip(&keep).take_while(|(step, note)| **note == Some(step.note)).count();
        let same = if anew { 0 } else { same };
        let mut again = Vec::new();
        let mut next = self.next;
        for (step, note) in self.played.steps.iter().zip(keep).skip(same) {
            match (note, step.author) {
                (Some(note), author) => again.push((note, author, step.speed)),
                (None, Author::Network { next: after }) => next = next.min(after.saturating_sub(1)),
                (None, Author::Player { .. }) => {}
            }
        }
        self.next = next;
        if anew {
            decoder.snapshot_into(&mut self.played.origin);
            decoder.hand_over();
            self.drop_steps(0);
        } else {
            self.go_back(decoder, same);
        }
        for (note, author, speed) in again {
            self.hear(decoder, note, author, speed);
        }
    }

    /// Feeds a note to the network and adds it as the latest.
    pub(super) fn hear(&mut self, decoder: &mut Decoder, note: Note, author: Author, speed: f64) {
        if self.played.steps.len() >= STATES {
            // Two, since the first one left must have a snapshot.
            self.retire();
            self.retire();
        }
        let needed = self.played.steps.back().is_none_or(|last| last.before.is_none());
        let before = needed.then(|| self.spare.snapshot(decoder));
        let trail = self.trail.clone();
        let heard = heard(self.latest_onset(), &note, speed);
        let mine = matches!(author, Author::Network { .. });
        let moment = self.moment(note.onset, self.index() + u32::from(mine), decoder.moment());
        decoder.feed_at(&heard, moment);
        self.trail.hear(&note, &heard, mine);
        self.played.steps.push_back(Step { author, note, heard, moment, speed, before, trail });
    }

    /// Rolls back to before the note at this place, and drops it and all after it.
    pub(super) fn go_back(&mut self, decoder: &mut Decoder, place: usize) {
        if place >= self.played.steps.len() {
            return;
        }
        let snapshots = self.played.steps.iter().enumerate().take(place + 1);
        if let Some((from, before)) = snapshots.rev().find_map(|(n, step)| Some((n, step.before.as_ref()?))) {
            decoder.restore(before);
            self.played.steps.range(from..place).for_each(|step| decoder.feed_at(&step.heard, step.moment));
        }
        self.drop_steps(place);
    }

    /// Drops the notes from this place on.
    pub(super) fn drop_steps(&mut self, place: usize) {
        if let Some(first) = self.played.steps.get(place) {
            self.trail = first.trail.clone();
            self.spare.0.extend(self.played.steps.drain(place..).filter_map(|step| step.before));
        }
    }

    /// Moves the first note of `steps`, which is now final, to `past`.
    pub(super) fn retire(&mut self) {
        if let Some(step) = self.played.steps.pop_front() {
            let heard = Remembered { note: step.heard, mine: step.is_mine(), speed: step.speed, moment: step.moment };
            self.played.past.push(heard, step.note);
            self.spare.0.extend(step.before);
        }
    }
}
