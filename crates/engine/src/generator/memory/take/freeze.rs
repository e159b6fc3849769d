//! Freeze: a take that loops.

use model::Decoder;

use super::super::script::Script;
use super::{NoteSource, Take};
use crate::link::messages::Revision;

impl Take {
    /// Loops what is played until `since`, which is the end of a loop of `round` seconds.
    pub fn freeze(&mut self, decoder: &mut Decoder, revision: Revision, since: f64, round: f64) {
        self.note_source = NoteSource::UntilLoop(round);
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
        self.note_source = NoteSource::Network;
        self.resume(decoder, revision, since);
        self.update_inputs(decoder);
    }

    /// The loop that begins at `round`: everything before it, or as many of the latest bars as are still known.
    pub(super) fn loop_until(&self, round: f64) -> Script {
        let from = self.notes.past.replayable_from(self.bar()).filter(|from| *from < round);
        Script::round(self.own_notes(from), round, round - from.unwrap_or(0.0))
    }
}
