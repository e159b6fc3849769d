//! What the generator remembers: phrases of the player and takes of the model, in turn. Each
//! begins with a copy of what the network knew before it, so that it can be taken back.
//!
//! A *phrase* is what the player plays between two turns of the model. When a take is taken back
//! ([`PhraseHistory::undo`]), or was not to be remembered, its time is taken out too: the next note follows
//! the one before the take after the pause before it and the pause after it, however long the take was, and
//! however little of it is remembered.

mod held;
mod past;
mod plan;
mod script;
mod take;

use std::collections::VecDeque;
use std::sync::Arc;

use model::markov::ORDER;
use model::search::BEGINNING;
use model::{Decoder, Markov, Moment, Snapshot, note_rng};
use notes::{Note, Successor};

use self::held::Held;
#[cfg(test)]
pub use self::plan::{Plan, Start};
pub use self::take::{Manner, Take};
use crate::generator::analysis::PhraseAnalysis;
use crate::link::takes::TakeRecord;
use model::critic::FEWEST_NOTES;

/// Notes that are remembered one by one: what survives a restart, a change of the weights, an undo.
const NOTES: usize = 512;
/// Phrases and takes that can be taken back. A snapshot each: 14 KiB.
const PARTS: usize = 64;
/// Takes of one phrase that the next one shall be unlike, at most.
const OTHERS: usize = 16;
/// How much a note counts in [`PhraseHistory::usual_s`].
const USUAL: f64 = 0.1;
/// The luck with which the network says how long a note lasts that the player holds: the same whatever the take's.
const HELD: u64 = 0x6865_6c64;

/// See the [module](self).
#[derive(Debug)]
pub struct PhraseHistory {
    /// Oldest first. What is older than the oldest is only in the network's state.
    parts: VecDeque<Part>,
    /// The latest onset, in seconds of the stream.
    latest: Option<f64>,
    /// What the player has played since the latest take, in seconds of the stream.
    phrase: VecDeque<Note>,
    /// Those of the phrase's latest notes that the player still held at the hand-over to come, and all after them.
    held: Option<Held>,
    /// How long the player's notes lately are, in seconds: what a note that has just begun counts.
    usual_s: f64,
    /// What the player's notes say, and what they have taught.
    ear: PhraseAnalysis,
    learned: Markov,
    /// What `again` plays.
    record: Option<Arc<TakeRecord>>,
    /// How the takes of this phrase begin that were not wanted, in seconds since the hand-over.
    others: Vec<Vec<Note>>,
    /// What it is to play the next time, though another take may end before.
    chosen: Option<Arc<TakeRecord>>,
    spare: Spare,
}

impl Default for PhraseHistory {
    fn default() -> Self {
        Self {
            parts: VecDeque::new(),
            latest: None,
            phrase: VecDeque::new(),
            held: None,
            usual_s: 0.3,
            ear: PhraseAnalysis::default(),
            learned: Markov::default(),
            record: None,
            others: Vec::new(),
            chosen: None,
            spare: Spare::default(),
        }
    }
}

/// A phrase, or a take.
#[derive(Debug)]
struct Part {
    /// The latest of its notes, in the order in which the network heard them.
    notes: VecDeque<Remembered>,
    /// The steps of those that are no longer in `notes`, in seconds.
    gone_s: f64,
    /// The step of its first note, in seconds.
    lead_s: Option<f64>,
    /// Whether it is a take, and if so, how much time goes with it when it is taken back, in seconds.
    take: Option<f64>,
    /// What the network knew before it.
    before: Snapshot,
    /// The latest onset before it, in seconds of the stream.
    previous: Option<f64>,
    lessons: Lessons,
}

impl Part {
    fn new(take: Option<f64>, before: Snapshot, previous: Option<f64>, lessons: Lessons) -> Self {
        Self { notes: VecDeque::new(), gone_s: 0.0, lead_s: None, take, before, previous, lessons }
    }

    fn push(&mut self, heard: Remembered) {
        self.lead_s.get_or_insert(heard.step_s());
        self.notes.push_back(heard);
    }

    /// Its oldest notes are no longer remembered; the time that they took is.
    fn drop_oldest(&mut self, count: usize) {
        self.gone_s += self.notes.drain(..count).map(|heard| heard.step_s()).sum::<f64>();
    }
}

/// What the player's notes had said and taught before a part began.
#[derive(Clone, Debug)]
struct Lessons {
    ear: PhraseAnalysis,
    mark: u64,
}

/// A note as the network has heard it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Remembered {
    note: Successor,
    /// The model has played it itself.
    mine: bool,
    /// The network's seconds in one of the stream's.
    speed: f64,
    /// What the network was told at its onset.
    moment: Moment,
}

impl Remembered {
    /// A note of the player's, outside of takes.
    fn yours(note: Successor) -> Self {
        Self { note, mine: false, speed: 1.0, moment: Moment::default() }
    }

    /// Its step in seconds of the stream.
    fn step_s(&self) -> f64 {
        self.note.step / self.speed
    }
}

/// Snapshots that are no longer needed, to be used again: a take needs many.
#[derive(Debug, Default)]
struct Spare(Vec<Snapshot>);

impl Spare {
    fn snapshot(&mut self, decoder: &mut Decoder) -> Snapshot {
        match self.0.pop() {
            Some(mut spare) => {
                decoder.snapshot_into(&mut spare);
                spare
            }
            None => decoder.snapshot(),
        }
    }
}

impl PhraseHistory {
    /// Warms a fresh decoder up with what is remembered.
    pub fn recall(&mut self, decoder: &mut Decoder) {
        decoder.reset();
        for part in &mut self.parts {
            part.before = decoder.snapshot();
            let (notes, moments): (Vec<Successor>, Vec<Moment>) =
                part.notes.iter().map(|heard| (heard.note, heard.moment)).unzip();
            decoder.feed_all_at(&notes, &moments);
            decoder.end_turn();
        }
        // The old ones are another network's.
        self.spare.0.clear();
    }

    /// Hears a note of the player, in seconds of the stream.
    pub fn hear(&mut self, decoder: &mut Decoder, note: &Note) {
        self.take_in(decoder, note, false);
    }

    /// Hears a note that the player still holds, and which has lasted so long. The network says how long it will last.
    pub fn hear_held(&mut self, decoder: &mut Decoder, note: &Note) {
        if self.held.is_none() {
            self.held = Some(Held::new(self.spare.snapshot(decoder)));
        }
        self.take_in(decoder, note, true);
    }

    fn take_in(&mut self, decoder: &mut Decoder, note: &Note, held: bool) {
        let next = Successor::after(self.latest, note);
        // A note that began before the latest one (both hands of a handed-over chord) is its neighbour.
        let mut next = Successor { step: next.step.max(0.0), ..next };
        if held {
            next.duration = decoder.sample_rest(&next, &mut note_rng(HELD, self.learned.mark()));
        }
        let begins = self.parts.back().is_none_or(|part| part.take.is_some());
        if begins {
            self.begin_part(decoder, None, self.lessons());
        }
        decoder.feed_at(&next, Moment::default());
        self.keep(Remembered::yours(next));
        self.learn(note.onset, &next, begins);
        self.latest = Some(note.onset);
        self.lasted(next.duration);
        if self.phrase.len() == NOTES {
            self.phrase.pop_front();
        }
        self.phrase.push_back(*note);
        self.held.take_if(|tail| !tail.push(*note, next, held));
    }

    /// What of the phrase was held at the hand-over was played like this.
    fn correct(&mut self, held: &Held) {
        let phrase = self.parts.back_mut().filter(|part| part.take.is_none());
        let remembered = phrase.into_iter().flat_map(|part| part.notes.iter_mut().rev());
        remembered.zip(held.latest_heard()).for_each(|(remembered, heard)| remembered.note = heard);
        self.phrase.iter_mut().rev().zip(held.latest_played()).for_each(|(note, played)| *note = played);
    }

    /// Forgets everything.
    pub fn forget(&mut self, decoder: &mut Decoder) {
        let mut learned = std::mem::take(&mut self.learned);
        learned.forget();
        *self = Self { spare: std::mem::take(&mut self.spare), learned, ..Self::default() };
        decoder.reset();
    }

    /// Forgets the player's latest phrase and what followed it, `at` these seconds of the stream.
    pub fn forget_phrase(&mut self, decoder: &mut Decoder, at: f64) {
        self.phrase.clear();
        let Some(place) = self.parts.iter().rposition(|part| part.take.is_none()) else {
            return;
        };
        self.parts.truncate(place + 1);
        let Some(phrase) = self.parts.pop_back() else {
            return;
        };
        decoder.restore(&phrase.before);
        self.learned.forget_since(phrase.lessons.mark);
        self.ear = phrase.lessons.ear;
        // The next phrase follows after the pause that was before this one.
        let pause = phrase.lead_s.unwrap_or(0.0);
        self.latest = phrase.previous.map(|_| at - pause);
    }

    /// Takes the latest take back, as if it had never been played. What the player has played in it
    /// and since stays.
    pub fn undo(&mut self, decoder: &mut Decoder) {
        let Some(place) = self.parts.iter().rposition(|part| part.take.is_some()) else {
            return;
        };
        let after: Vec<Part> = self.parts.drain(place + 1..).collect();
        let Some(take) = self.parts.pop_back() else {
            return;
        };
        decoder.restore(&take.before);
        let end = self.latest;
        self.latest = take.previous;
        // The steps of what goes are the next note's pause, in seconds of the stream.
        let mut pause = take.gone_s - take.take.unwrap_or(0.0);
        let mut stays = Vec::new();
        for heard in take.notes {
            if heard.mine {
                pause += heard.step_s();
                continue;
            }
            // The take's speed goes with it.
            let step = (heard.step_s() + std::mem::take(&mut pause)).max(0.0);
            let duration = heard.note.duration / heard.speed;
            stays.push(Remembered::yours(Successor { step, duration, ..heard.note }));
        }
        self.hear_part(decoder, stays, None, take.lessons);
        for part in after {
            let mut notes: Vec<Remembered> = part.notes.into();
            if let Some(first) = notes.first_mut() {
                first.note.step = (first.note.step + std::mem::take(&mut pause)).max(0.0);
            }
            self.hear_part(decoder, notes, part.take, part.lessons);
        }
        // Nothing before it, nothing after it: there is no pause to speak of.
        self.latest = if self.parts.is_empty() && self.latest.is_none() { None } else { end.map(|end| end - pause) };
    }

    /// Whether a take is the latest thing that is remembered.
    fn ends_with_take(&self) -> bool {
        self.parts.back().is_some_and(|part| part.take.is_some())
    }

    /// The latest take is not wanted: the next one shall be unlike it.
    fn set_apart(&mut self) {
        if let Some(record) = &self.record {
            if self.others.len() == OTHERS {
                self.others.remove(0);
            }
            self.others.push(record.notes.iter().take(BEGINNING).copied().collect());
        }
    }

    /// What the player has played since the take before; or, if that is next to nothing, before the latest take.
    fn latest_phrase(&self) -> Vec<Note> {
        match &self.record {
            Some(record) if self.phrase.len() < record.phrase.len().min(FEWEST_NOTES) => record.phrase.clone(),
            _ => self.phrase.iter().copied().collect(),
        }
    }

    /// This is the latest take, which `again` plays.
    pub fn keep_take(&mut self, record: Arc<TakeRecord>) {
        self.record = Some(record);
    }

    /// This is the take that `again` plays the next time.
    pub fn choose(&mut self, record: Arc<TakeRecord>) {
        self.chosen = Some(record);
    }

    /// A note of the player's lasted this long, in seconds.
    fn lasted(&mut self, duration: f64) {
        self.usual_s += USUAL * (duration - self.usual_s);
    }

    /// The latest onset, in seconds of the stream.
    #[cfg(test)]
    pub fn latest(&self) -> Option<f64> {
        self.latest
    }

    /// How many of the player's notes it learns from.
    #[cfg(test)]
    pub fn taught(&self) -> u64 {
        self.learned.mark()
    }

    /// The steps of the notes that are remembered, in seconds of the stream.
    #[cfg(test)]
    pub fn steps(&self) -> impl Iterator<Item = f64> {
        self.parts.iter().flat_map(|part| part.notes.iter().map(|heard| heard.step_s()))
    }

    /// The durations of the notes that are remembered, as the network has heard them.
    #[cfg(test)]
    pub fn durations(&self) -> impl Iterator<Item = f64> {
        self.parts.iter().flat_map(|part| part.notes.iter().map(|heard| heard.note.duration))
    }

    /// How many notes are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.notes.len()).sum()
    }

    /// Learns from a note of the player, in seconds of the stream; its step is from the player's own
    /// note before it, if it does not begin.
    fn learn(&mut self, onset: f64, note: &Successor, begins: bool) {
        self.ear.hear(onset, note, begins);
        self.learned.learn(note, begins);
    }

    fn lessons(&self) -> Lessons {
        Lessons { ear: self.ear.clone(), mark: self.learned.mark() }
    }

    /// The latest notes, oldest first, whoever played them.
    fn recent(&self) -> Vec<Successor> {
        let back = self.parts.iter().rev().flat_map(|part| part.notes.iter().rev());
        let mut notes: Vec<Successor> = back.take(ORDER).map(|heard| heard.note).collect();
        notes.reverse();
        notes
    }

    /// Feeds notes that are remembered, as a part of their own; they have been learned from before.
    fn hear_part(&mut self, decoder: &mut Decoder, notes: Vec<Remembered>, take: Option<f64>, lessons: Lessons) {
        if notes.is_empty() {
            return;
        }
        if take.is_some() || self.parts.back().is_none_or(|part| part.take.is_some()) {
            self.begin_part(decoder, take, lessons);
        }
        for heard in notes {
            decoder.feed_at(&heard.note, heard.moment);
            self.keep(heard);
            self.latest = Some(self.latest.unwrap_or(0.0) + heard.step_s());
        }
        decoder.end_turn();
    }

    fn begin_part(&mut self, decoder: &mut Decoder, take: Option<f64>, lessons: Lessons) {
        let before = self.spare.snapshot(decoder);
        self.push_part(Part::new(take, before, self.latest, lessons));
    }

    fn push_part(&mut self, part: Part) {
        if self.parts.len() == PARTS
            && let Some(oldest) = self.parts.pop_front()
        {
            self.spare.0.push(oldest.before);
        }
        self.parts.push_back(part);
    }

    /// Remembers a note as the latest of the latest part.
    fn keep(&mut self, heard: Remembered) {
        if let Some(part) = self.parts.back_mut() {
            part.push(heard);
        }
        let mut beyond = self.parts.iter().map(|part| part.notes.len()).sum::<usize>().saturating_sub(NOTES);
        while beyond > 0
            && let Some(oldest) = self.parts.front_mut()
        {
            let some = beyond.min(oldest.notes.len());
            oldest.drop_oldest(some);
            beyond -= some;
            if oldest.notes.is_empty() && self.parts.len() > 1 {
                self.parts.pop_front();
            }
        }
    }
}
