//! The end of a take: the notes that were played go into the phrase history and the log of takes.

use model::Decoder;
use notes::Note;

use super::super::held::HeldNotes;
use super::super::{Part, PhraseHistory};
use super::{Take, relative_to};
use crate::generator::phrasing::as_fed;
use crate::link::messages::{End, Source};
use crate::link::takes::TakeRecord;

impl Take {
    /// Ends the take: adds the notes that were played to the history, and returns the record for the log; `None`: no
    /// note of Antiphon sounded.
    pub fn end(mut self, memory: &mut PhraseHistory, decoder: &mut Decoder, end: End) -> Option<TakeRecord> {
        let End { limit, notes, since, at, beats_per_second, cut, remembered } = end;
        self.begin.position.beats_per_second = beats_per_second;
        if let Some(held) = &mut self.phrase.held {
            held.last_until(at);
            memory.correct(held);
        }
        self.keep(decoder, since, cut, |index, note| index < notes && note.struck() < limit);
        if let Some(held) = &mut self.phrase.held {
            // After an undo of the take, the held notes have their actual durations.
            let now = self.snapshot_pool.snapshot(decoder);
            if held.feed_again(decoder) {
                decoder.snapshot_into(&mut self.notes.origin);
                decoder.restore(&now);
            }
            self.snapshot_pool.0.push(now);
        }
        decoder.end_turn();
        let latest = self.latest_onset();
        while !self.notes.steps.is_empty() {
            self.retire_oldest();
        }
        let sounded = self.notes.past.own() > 0;
        if self.notes.past.is_empty() {
            decoder.restore(&self.notes.origin);
        } else {
            self.remember(memory, decoder, latest.map(|onset| at - (since - onset)), since, remembered);
        }
        let record = sounded.then(|| self.record(memory, since.min(limit)));
        memory.snapshot_pool = std::mem::take(&mut self.snapshot_pool);
        memory.snapshot_pool.0.push(self.notes.origin);
        memory.snapshot_pool.0.extend(self.phrase.held.map(HeldNotes::into_snapshot));
        record
    }

    /// Adds the notes that were played to the history. `latest`: the latest onset, in stream seconds; `lasted`: the
    /// take's length, in seconds; `own`: whether Antiphon's notes are remembered.
    fn remember(
        &mut self,
        memory: &mut PhraseHistory,
        decoder: &mut Decoder,
        latest: Option<f64>,
        lasted: f64,
        own: bool,
    ) {
        let now = self.snapshot_pool.snapshot(decoder);
        let alone = own && self.begin.source == Source::FromNothing;
        if alone {
            // The take began from nothing, so an undo returns to nothing.
            memory.parts.clear();
            memory.latest = None;
            decoder.reset();
            decoder.snapshot_into(&mut self.notes.origin);
            decoder.restore(&now);
        }
        let before = std::mem::replace(&mut self.notes.origin, now);
        // An undo also removes its time, unless the player joined in.
        let take = Some(if self.notes.past.joined() { 0.0 } else { lasted });
        let mut part = Part::new(take, before, memory.latest, memory.learned_state());
        let (latest_fed, dropped_s) = self.notes.past.take_fed();
        part.dropped_s = dropped_s;
        memory.push_part(part);
        latest_fed.for_each(|fed| memory.keep(fed));
        // Learns from the player's notes only.
        let mut before = None;
        for note in self.notes.past.played(false) {
            memory.learn(self.begin.at + note.onset, &as_fed(before, &note, 1.0), before.is_none());
            before = Some(note.onset);
        }
        memory.latest = latest;
        if !own {
            memory.undo(decoder);
        }
    }

    /// The record of the take until `lasted`, in seconds. If the take is too long to be kept completely, it has only
    /// the latest bars, without the phrase.
    fn record(&mut self, memory: &mut PhraseHistory, lasted: f64) -> TakeRecord {
        let from = self.notes.past.replayable_from(self.bar());
        let phrase = memory.phrase.drain(..).map(|note| Note { onset: note.onset - self.begin.at, ..note });
        TakeRecord {
            id: 0,
            seed: self.settings.generation.seed,
            number: self.begin.number + 1,
            beats_per_second: self.begin.position.beats_per_second,
            phrase: phrase.chain(self.notes.past.played(false)).filter_map(|note| relative_to(from, note)).collect(),
            notes: self.own_notes(from),
            lasted_s: (lasted - from.unwrap_or(0.0)).max(0.0),
            kept: false,
        }
    }
}
