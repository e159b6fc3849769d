//! The phrase history: the player's phrases and Antiphon's takes, in turn. Each stores a snapshot of the
//! network's state before it, so that it can be undone.
//!
//! A *phrase* is what the player plays between two of Antiphon's turns. When a take is undone
//! ([`PhraseHistory::undo`]), or is not to be remembered, its time is removed too: the next note follows the
//! last one before the take, with the pause before the take plus the pause after it as its step, however long
//! the take was and however little of it is remembered.

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

/// The most notes remembered individually: these survive a restart, a change of weights and an undo.
const NOTES: usize = 512;
/// The most phrases and takes that can be undone. Each has a snapshot of 14 KiB.
const PARTS: usize = 64;
/// The most takes of one phrase from which the next one must differ.
const OTHERS: usize = 16;
/// Weight of a new note in the running mean [`PhraseHistory::usual_s`].
const USUAL: f64 = 0.1;
/// Seed for sampling the duration of a note that the player still holds; independent of the take's seed.
const HELD: u64 = 0x6865_6c64;

/// The phrase history; see the [module documentation](self).
#[derive(Debug)]
pub struct PhraseHistory {
    /// The phrases and takes, oldest first. Anything older is only in the network's state.
    parts: VecDeque<Part>,
    /// The latest onset, in stream seconds.
    latest: Option<f64>,
    /// What the player has played since the latest take, in stream seconds.
    phrase: VecDeque<Note>,
    /// The first of the phrase's notes that the player still holds at the coming hand-over, and all after it.
    held: Option<Held>,
    /// Running mean of the durations of the player's notes, in seconds; assumed for a note that has just begun.
    usual_s: f64,
    /// Statistics of the player's notes, and the Markov model learned from them.
    analysis: PhraseAnalysis,
    learned: Markov,
    /// The take that a replay plays.
    record: Option<Arc<TakeRecord>>,
    /// The beginnings of this phrase's rejected takes, in seconds since the hand-over.
    others: Vec<Vec<Note>>,
    /// The take chosen for the next replay, even if another take ends before it.
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
            analysis: PhraseAnalysis::default(),
            learned: Markov::default(),
            record: None,
            others: Vec::new(),
            chosen: None,
            spare: Spare::default(),
        }
    }
}

/// A phrase or a take.
#[derive(Debug)]
struct Part {
    /// Its latest notes, in the order in which they were fed to the network.
    notes: VecDeque<Remembered>,
    /// Sum of the steps of notes that are no longer in `notes`, in seconds.
    gone_s: f64,
    /// The step of its first note, in seconds.
    lead_s: Option<f64>,
    /// For a take, the time that is removed with it when it is undone, in seconds; `None`: a phrase.
    take: Option<f64>,
    /// The network's state before it.
    before: Snapshot,
    /// The latest onset before it, in stream seconds.
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

    /// Forgets its `count` oldest notes, but not the time that they took.
    fn drop_oldest(&mut self, count: usize) {
        self.gone_s += self.notes.drain(..count).map(|heard| heard.step_s()).sum::<f64>();
    }
}

/// The statistics and the position in the Markov model before a part began.
#[derive(Clone, Debug)]
struct Lessons {
    analysis: PhraseAnalysis,
    mark: u64,
}

/// A note as it was fed to the network.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Remembered {
    note: Successor,
    /// Whether Antiphon played it.
    mine: bool,
    /// The network's seconds per stream second.
    speed: f64,
    /// The network's other inputs at its onset.
    moment: Moment,
}

impl Remembered {
    /// A note of the player outside of takes.
    fn yours(note: Successor) -> Self {
        Self { note, mine: false, speed: 1.0, moment: Moment::default() }
    }

    /// Its step in stream seconds.
    fn step_s(&self) -> f64 {
        self.note.step / self.speed
    }
}

/// A pool of unused snapshots: a take needs many.
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
    /// Warms up a fresh decoder with the notes that are remembered.
    pub fn recall(&mut self, decoder: &mut Decoder) {
        decoder.reset();
        for part in &mut self.parts {
            part.before = decoder.snapshot();
            let (notes, moments): (Vec<Successor>, Vec<Moment>) =
                part.notes.iter().map(|heard| (heard.note, heard.moment)).unzip();
            decoder.feed_all_at(&notes, &moments);
            decoder.end_turn();
        }
        // The old snapshots belong to another network.
        self.spare.0.clear();
    }

    /// Adds a note of the player, in stream seconds, and feeds it to the decoder.
    pub fn hear(&mut self, decoder: &mut Decoder, note: &Note) {
        self.take_in(decoder, note, false);
    }

    /// Adds a note that the player still holds, with its duration so far; its full duration is sampled.
    pub fn hear_held(&mut self, decoder: &mut Decoder, note: &Note) {
        if self.held.is_none() {
            self.held = Some(Held::new(self.spare.snapshot(decoder)));
        }
        self.take_in(decoder, note, true);
    }

    fn take_in(&mut self, decoder: &mut Decoder, note: &Note, held: bool) {
        let next = Successor::after(self.latest, note);
        // A note that began before the latest one (both hands of a chord at the hand-over) gets a step of 0.
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

    /// Replaces the phrase's notes from the first one held at the hand-over on by what was finally played.
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

    /// Forgets the player's latest phrase and what followed it; `at` is the current time in stream seconds.
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
        self.analysis = phrase.lessons.analysis;
        // The next phrase follows after the same pause as this one did.
        let pause = phrase.lead_s.unwrap_or(0.0);
        self.latest = phrase.previous.map(|_| at - pause);
    }

    /// Undoes the latest take, as if it had never been played. What the player has played during it and since
    /// stays.
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
        // The steps of removed notes are added to the next note's step, in stream seconds.
        let mut pause = take.gone_s - take.take.unwrap_or(0.0);
        let mut stays = Vec::new();
        for heard in take.notes {
            if heard.mine {
                pause += heard.step_s();
                continue;
            }
            // The remaining notes are at normal speed.
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
        // With nothing before and nothing after it, there is no pause.
        self.latest = if self.parts.is_empty() && self.latest.is_none() { None } else { end.map(|end| end - pause) };
    }

    /// Whether the latest part is a take.
    fn ends_with_take(&self) -> bool {
        self.parts.back().is_some_and(|part| part.take.is_some())
    }

    /// Marks the latest take as rejected: the next one must differ from it.
    fn set_apart(&mut self) {
        if let Some(record) = &self.record {
            if self.others.len() == OTHERS {
                self.others.remove(0);
            }
            self.others.push(record.notes.iter().take(BEGINNING).copied().collect());
        }
    }

    /// What the player has played since the latest take or, if that is too little, before it.
    fn latest_phrase(&self) -> Vec<Note> {
        match &self.record {
            Some(record) if self.phrase.len() < record.phrase.len().min(FEWEST_NOTES) => record.phrase.clone(),
            _ => self.phrase.iter().copied().collect(),
        }
    }

    /// Stores the latest take, for a replay.
    pub fn keep_take(&mut self, record: Arc<TakeRecord>) {
        self.record = Some(record);
    }

    /// Chooses the take for the next replay.
    pub fn choose(&mut self, record: Arc<TakeRecord>) {
        self.chosen = Some(record);
    }

    /// Adds the duration of a player's note, in seconds, to the running mean.
    fn lasted(&mut self, duration: f64) {
        self.usual_s += USUAL * (duration - self.usual_s);
    }

    /// The latest onset, in stream seconds.
    #[cfg(test)]
    pub fn latest(&self) -> Option<f64> {
        self.latest
    }

    /// How many of the player's notes it has learned from.
    #[cfg(test)]
    pub fn taught(&self) -> u64 {
        self.learned.mark()
    }

    /// The steps of the notes that are remembered, in stream seconds.
    #[cfg(test)]
    pub fn steps(&self) -> impl Iterator<Item = f64> {
        self.parts.iter().flat_map(|part| part.notes.iter().map(|heard| heard.step_s()))
    }

    /// The durations of the notes that are remembered, as they were fed to the network.
    #[cfg(test)]
    pub fn durations(&self) -> impl Iterator<Item = f64> {
        self.parts.iter().flat_map(|part| part.notes.iter().map(|heard| heard.note.duration))
    }

    /// How many notes are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.notes.len()).sum()
    }

    /// Learns from a note of the player, with its onset in stream seconds. Its step counts from the player's own
    /// previous note, unless it `begins`.
    fn learn(&mut self, onset: f64, note: &Successor, begins: bool) {
        self.analysis.hear(onset, note, begins);
        self.learned.learn(note, begins);
    }

    fn lessons(&self) -> Lessons {
        Lessons { analysis: self.analysis.clone(), mark: self.learned.mark() }
    }

    /// The latest notes, oldest first, whoever played them.
    fn recent(&self) -> Vec<Successor> {
        let back = self.parts.iter().rev().flat_map(|part| part.notes.iter().rev());
        let mut notes: Vec<Successor> = back.take(ORDER).map(|heard| heard.note).collect();
        notes.reverse();
        notes
    }

    /// Feeds remembered notes to the decoder again as a new part, or as more of the current phrase; does not learn from
    /// them again.
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

    /// Adds a note to the latest part.
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
