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
use model::search::COMPARED_NOTES;
use model::{Conditioning, Decoder, Markov, Snapshot, note_rng};
use notes::{Note, Successor};

use self::held::HeldNotes;
#[cfg(test)]
pub use self::plan::{Plan, PlanStart};
pub use self::take::{Take, TakeSettings};
use crate::generator::analysis::PhraseAnalysis;
use crate::link::takes::TakeRecord;
use model::critic::MIN_NOTES;

/// The most notes remembered individually: these survive a restart, a change of weights and an undo.
const NOTES: usize = 512;
/// The most phrases and takes that can be undone. Each has a snapshot of 14 KiB.
const PARTS: usize = 64;
/// The most takes of one phrase from which the next one must differ.
const MOST_REJECTED: usize = 16;
/// Weight of a new note in the running mean [`PhraseHistory::mean_duration_s`].
const MEAN_DURATION_WEIGHT: f64 = 0.1;
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
    held: Option<HeldNotes>,
    /// Running mean of the durations of the player's notes, in seconds; assumed for a note that has just begun.
    mean_duration_s: f64,
    /// Statistics of the player's notes, and the Markov model learned from them.
    analysis: PhraseAnalysis,
    learned: Markov,
    /// The take that a replay plays.
    record: Option<Arc<TakeRecord>>,
    /// The beginnings of this phrase's rejected takes, in seconds since the hand-over.
    rejected: Vec<Vec<Note>>,
    /// The take chosen for the next replay, even if another take ends before it.
    chosen: Option<Arc<TakeRecord>>,
    snapshot_pool: SnapshotPool,
}

impl Default for PhraseHistory {
    fn default() -> Self {
        Self {
            parts: VecDeque::new(),
            latest: None,
            phrase: VecDeque::new(),
            held: None,
            mean_duration_s: 0.3,
            analysis: PhraseAnalysis::default(),
            learned: Markov::default(),
            record: None,
            rejected: Vec::new(),
            chosen: None,
            snapshot_pool: SnapshotPool::default(),
        }
    }
}

/// A phrase or a take.
#[derive(Debug)]
struct Part {
    /// Its latest notes, in the order in which they were fed to the network.
    notes: VecDeque<FedNote>,
    /// Sum of the steps of notes that are no longer in `notes`, in seconds.
    dropped_s: f64,
    /// The step of its first note, in seconds.
    lead_s: Option<f64>,
    /// For a take, the time that is removed with it when it is undone, in seconds; `None`: a phrase.
    take: Option<f64>,
    /// The network's state before it.
    before: Snapshot,
    /// The latest onset before it, in stream seconds.
    previous: Option<f64>,
    learned_state: LearnedState,
}

impl Part {
    fn new(take: Option<f64>, before: Snapshot, previous: Option<f64>, learned_state: LearnedState) -> Self {
        Self { notes: VecDeque::new(), dropped_s: 0.0, lead_s: None, take, before, previous, learned_state }
    }

    fn push(&mut self, fed: FedNote) {
        self.lead_s.get_or_insert(fed.step_s());
        self.notes.push_back(fed);
    }

    /// Forgets its `count` oldest notes, but not the time that they took.
    fn drop_oldest(&mut self, count: usize) {
        self.dropped_s += self.notes.drain(..count).map(|fed| fed.step_s()).sum::<f64>();
    }
}

/// The statistics and the position in the Markov model before a part began.
#[derive(Clone, Debug)]
struct LearnedState {
    analysis: PhraseAnalysis,
    mark: u64,
}

/// A note as it was fed to the network.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FedNote {
    note: Successor,
    /// Whether Antiphon played it.
    by_antiphon: bool,
    /// The network's seconds per stream second.
    speed: f64,
    /// The network's other inputs at its onset.
    moment: Conditioning,
}

impl FedNote {
    /// A note of the player outside of takes.
    fn by_player(note: Successor) -> Self {
        Self { note, by_antiphon: false, speed: 1.0, moment: Conditioning::default() }
    }

    /// Its step in stream seconds.
    fn step_s(&self) -> f64 {
        self.note.step / self.speed
    }
}

/// A pool of unused snapshots: a take needs many.
#[derive(Debug, Default)]
struct SnapshotPool(Vec<Snapshot>);

impl SnapshotPool {
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
    pub fn warm_up(&mut self, decoder: &mut Decoder) {
        decoder.reset();
        for part in &mut self.parts {
            part.before = decoder.snapshot();
            let (notes, moments): (Vec<Successor>, Vec<Conditioning>) =
                part.notes.iter().map(|fed| (fed.note, fed.moment)).unzip();
            decoder.feed_all_at(&notes, &moments);
            decoder.end_turn();
        }
        // The old snapshots belong to another network.
        self.snapshot_pool.0.clear();
    }

    /// Adds a note of the player, in stream seconds, and feeds it to the decoder.
    pub fn feed(&mut self, decoder: &mut Decoder, note: &Note) {
        self.feed_player_note(decoder, note, false);
    }

    /// Adds a note that the player still holds, with its duration so far; its full duration is sampled.
    pub fn feed_held(&mut self, decoder: &mut Decoder, note: &Note) {
        if self.held.is_none() {
            self.held = Some(HeldNotes::new(self.snapshot_pool.snapshot(decoder)));
        }
        self.feed_player_note(decoder, note, true);
    }

    fn feed_player_note(&mut self, decoder: &mut Decoder, note: &Note, held: bool) {
        let next = Successor::after(self.latest, note);
        // A note that began before the latest one (both hands of a chord at the hand-over) gets a step of 0.
        let mut next = Successor { step: next.step.max(0.0), ..next };
        if held {
            next.duration = decoder.sample_rest(&next, &mut note_rng(HELD, self.learned.mark()));
        }
        let begins = self.parts.back().is_none_or(|part| part.take.is_some());
        if begins {
            self.begin_part(decoder, None, self.learned_state());
        }
        decoder.feed_at(&next, Conditioning::default());
        self.keep(FedNote::by_player(next));
        self.learn(note.onset, &next, begins);
        self.latest = Some(note.onset);
        self.track_duration(next.duration);
        if self.phrase.len() == NOTES {
            self.phrase.pop_front();
        }
        self.phrase.push_back(*note);
        self.held.take_if(|tail| !tail.push(*note, next, held));
    }

    /// Replaces the phrase's notes from the first one held at the hand-over on by what was finally played.
    fn correct(&mut self, held: &HeldNotes) {
        let phrase = self.parts.back_mut().filter(|part| part.take.is_none());
        let remembered = phrase.into_iter().flat_map(|part| part.notes.iter_mut().rev());
        remembered.zip(held.latest_fed()).for_each(|(remembered, fed)| remembered.note = fed);
        self.phrase.iter_mut().rev().zip(held.latest_played()).for_each(|(note, played)| *note = played);
    }

    /// Forgets everything.
    pub fn forget(&mut self, decoder: &mut Decoder) {
        let mut learned = std::mem::take(&mut self.learned);
        learned.forget();
        *self = Self { snapshot_pool: std::mem::take(&mut self.snapshot_pool), learned, ..Self::default() };
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
        self.learned.forget_since(phrase.learned_state.mark);
        self.analysis = phrase.learned_state.analysis;
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
        let mut pause = take.dropped_s - take.take.unwrap_or(0.0);
        let mut stays = Vec::new();
        for fed in take.notes {
            if fed.by_antiphon {
                pause += fed.step_s();
                continue;
            }
            // The remaining notes are at normal speed.
            let step = (fed.step_s() + std::mem::take(&mut pause)).max(0.0);
            let duration = fed.note.duration / fed.speed;
            stays.push(FedNote::by_player(Successor { step, duration, ..fed.note }));
        }
        self.feed_part(decoder, stays, None, take.learned_state);
        for part in after {
            let mut notes: Vec<FedNote> = part.notes.into();
            if let Some(first) = notes.first_mut() {
                first.note.step = (first.note.step + std::mem::take(&mut pause)).max(0.0);
            }
            self.feed_part(decoder, notes, part.take, part.learned_state);
        }
        // With nothing before and nothing after it, there is no pause.
        self.latest = if self.parts.is_empty() && self.latest.is_none() { None } else { end.map(|end| end - pause) };
    }

    /// Whether the latest part is a take.
    fn ends_with_take(&self) -> bool {
        self.parts.back().is_some_and(|part| part.take.is_some())
    }

    /// Marks the latest take as rejected: the next one must differ from it.
    fn mark_rejected(&mut self) {
        if let Some(record) = &self.record {
            if self.rejected.len() == MOST_REJECTED {
                self.rejected.remove(0);
            }
            self.rejected.push(record.notes.iter().take(COMPARED_NOTES).copied().collect());
        }
    }

    /// What the player has played since the latest take or, if that is too little, before it.
    fn latest_phrase(&self) -> Vec<Note> {
        match &self.record {
            Some(record) if self.phrase.len() < record.phrase.len().min(MIN_NOTES) => record.phrase.clone(),
            _ => self.phrase.iter().copied().collect(),
        }
    }

    /// Stores the latest take, for a replay.
    pub fn keep_take(&mut self, record: Arc<TakeRecord>) {
        self.record = Some(record);
    }

    /// Chooses the take for the next replay.
    pub fn choose_replay(&mut self, record: Arc<TakeRecord>) {
        self.chosen = Some(record);
    }

    /// Adds the duration of a player's note, in seconds, to the running mean.
    fn track_duration(&mut self, duration: f64) {
        self.mean_duration_s += MEAN_DURATION_WEIGHT * (duration - self.mean_duration_s);
    }

    /// The latest onset, in stream seconds.
    #[cfg(test)]
    pub fn latest(&self) -> Option<f64> {
        self.latest
    }

    /// How many of the player's notes it has learned from.
    #[cfg(test)]
    pub fn learned_count(&self) -> u64 {
        self.learned.mark()
    }

    /// The steps of the notes that are remembered, in stream seconds.
    #[cfg(test)]
    pub fn steps(&self) -> impl Iterator<Item = f64> {
        self.parts.iter().flat_map(|part| part.notes.iter().map(|fed| fed.step_s()))
    }

    /// The durations of the notes that are remembered, as they were fed to the network.
    #[cfg(test)]
    pub fn durations(&self) -> impl Iterator<Item = f64> {
        self.parts.iter().flat_map(|part| part.notes.iter().map(|fed| fed.note.duration))
    }

    /// How many notes are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.notes.len()).sum()
    }

    /// Learns from a note of the player, with its onset in stream seconds. Its step counts from the player's own
    /// previous note, unless it `begins`.
    fn learn(&mut self, onset: f64, note: &Successor, begins: bool) {
        self.analysis.push(onset, note, begins);
        self.learned.learn(note, begins);
    }

    fn learned_state(&self) -> LearnedState {
        LearnedState { analysis: self.analysis.clone(), mark: self.learned.mark() }
    }

    /// The latest notes, oldest first, whoever played them.
    fn recent(&self) -> Vec<Successor> {
        let back = self.parts.iter().rev().flat_map(|part| part.notes.iter().rev());
        let mut notes: Vec<Successor> = back.take(ORDER).map(|fed| fed.note).collect();
        notes.reverse();
        notes
    }

    /// Feeds remembered notes to the decoder again as a new part, or as more of the current phrase; does not learn from
    /// them again.
    fn feed_part(
        &mut self,
        decoder: &mut Decoder,
        notes: Vec<FedNote>,
        take: Option<f64>,
        learned_state: LearnedState,
    ) {
        if notes.is_empty() {
            return;
        }
        if take.is_some() || self.parts.back().is_none_or(|part| part.take.is_some()) {
            self.begin_part(decoder, take, learned_state);
        }
        for fed in notes {
            decoder.feed_at(&fed.note, fed.moment);
            self.keep(fed);
            self.latest = Some(self.latest.unwrap_or(0.0) + fed.step_s());
        }
        decoder.end_turn();
    }

    fn begin_part(&mut self, decoder: &mut Decoder, take: Option<f64>, learned_state: LearnedState) {
        let before = self.snapshot_pool.snapshot(decoder);
        self.push_part(Part::new(take, before, self.latest, learned_state));
    }

    fn push_part(&mut self, part: Part) {
        if self.parts.len() == PARTS
            && let Some(oldest) = self.parts.pop_front()
        {
            self.snapshot_pool.0.push(oldest.before);
        }
        self.parts.push_back(part);
    }

    /// Adds a note to the latest part.
    fn keep(&mut self, fed: FedNote) {
        if let Some(part) = self.parts.back_mut() {
            part.push(fed);
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
