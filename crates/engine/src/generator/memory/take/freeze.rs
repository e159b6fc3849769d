//! Freeze: a take that loops. Until the loop is full, notes come from where they did before.

use model::Decoder;
use notes::Note;

use super::super::script::Script;
use super::{Author, NoteSource, Take};
use crate::link::messages::{ON_END_S, Revision};

/// Places in a loop count from here on, so that they differ from those in the script that a take was played from.
pub(super) const LOOP: u64 = 1 << 63;

/// The loop of a frozen take.
#[derive(Debug)]
pub(super) struct Freeze {
    /// When the first round begins to repeat, in seconds.
    end: f64,
    /// The loop, and the place of the first note in the take's own script that is not in it; `None`: it is not full yet.
    full: Option<(Script, u64)>,
}

impl Freeze {
    /// The loop, once it is full.
    pub fn script(&self) -> Option<&Script> {
        self.full.as_ref().map(|(script, _)| script)
    }
}

impl Take {
    /// Loops what is played until `since`, which is the end of a loop of `round` seconds.
    pub fn freeze(&mut self, decoder: &mut Decoder, revision: Revision, since: f64, round: f64) {
        self.freeze = Some(Freeze { end: round, full: None });
        if self.notes.steps.iter().any(|step| step.note.struck() >= since) {
            // Everything before `since` is complete: a new plan might add notes to a chord that has sounded.
            self.resume(decoder, revision, since);
        } else {
            // Until then it plays as planned.
            (self.begin.revision, self.done) = (revision, false);
        }
    }

    /// Ends the loop at `since`: the network continues from there.
    pub fn thaw(&mut self, decoder: &mut Decoder, revision: Revision, since: f64) {
        (self.note_source, self.freeze) = (NoteSource::Network, None);
        self.resume(decoder, revision, since);
        self.update_inputs(decoder);
    }

    /// Whether the notes to come are those of a loop.
    pub(super) fn is_looping(&self) -> bool {
        self.freeze.as_ref().is_some_and(|freeze| freeze.full.is_some())
    }

    /// Whether the take is frozen and its loop is full when `next` comes (`None`: there are no more notes).
    pub(super) fn fills_loop(&self, next: Option<Note>) -> bool {
        let beyond = |end: f64| next.is_none_or(|note| note.struck().max(note.onset) >= end - ON_END_S);
        self.freeze.as_ref().is_some_and(|freeze| freeze.full.is_none() && beyond(freeze.end))
    }

    /// Closes the loop, which is full, and returns its first note. `read`: whether a note beyond it was read from the
    /// take's own source; it does not count as read.
    pub(super) fn close_loop(&mut self, read: bool) -> Option<Note> {
        let end = self.freeze.as_ref()?.end;
        // The loop that begins there: everything before it, or as many of the latest bars as are still known.
        let from = self.notes.past.replayable_from(self.bar()).filter(|from| *from < end);
        let script = Script::round(self.own_notes(from), end, end - from.unwrap_or(0.0));
        // Places in an earlier loop are no longer valid.
        for step in &mut self.notes.steps {
            if let Author::Network { next } = &mut step.author
                && *next >= LOOP
            {
                *next = 0;
            }
        }
        self.freeze = Some(Freeze { end, full: Some((script, self.next.saturating_sub(read.into()))) });
        self.next = LOOP;
        self.next_scripted()
    }

    /// If a change applies from before the loop's end on, the loop is not full yet.
    pub(super) fn reopen_loop(&mut self, since: f64) {
        if let Some(freeze) = self.freeze.as_mut().filter(|freeze| since < freeze.end)
            && let Some((_, place)) = freeze.full.take()
        {
            self.next = place;
        }
    }
}
