//! What the inference thread remembers: the phrase as notes, and the take under way with the
//! network's state before each of its notes, so that it can go back to any of them at once.

use std::collections::VecDeque;

use model::{Controls, Mind, State, note_rng};
use notes::{Note, Successor};

use crate::link::{Epoch, Place};
use crate::settings::Wishes;
use crate::takes::TakeRecord;

/// Notes of the phrase that survive a restart or a change of the weights.
const PHRASE: usize = 512;
/// States kept: the look-ahead and as many notes again, which may still sound. 12 KiB each.
const STATES: usize = 128;

/// The phrase so far: what the player and the model have played, as successors.
#[derive(Debug, Default)]
pub struct Memory {
    notes: VecDeque<Successor>,
    /// The latest onset, in seconds of the stream.
    latest: Option<f64>,
    /// What the player has played since the latest take, in seconds of the stream.
    phrase: VecDeque<Note>,
    spare: Spare,
}

/// States that are no longer needed, to be used again: a take needs one per note.
#[derive(Debug, Default)]
struct Spare(Vec<State>);

impl Spare {
    fn copy(&mut self, state: &State) -> State {
        match self.0.pop() {
            Some(mut spare) => {
                spare.copy_from(state);
                spare
            }
            None => state.clone(),
        }
    }
}

impl Memory {
    /// Warms a fresh mind up with the phrase.
    pub fn recall(&self, mind: &mut Mind) {
        mind.reset();
        for note in &self.notes {
            mind.feed(note);
        }
    }

    /// Hears a note of the player, in seconds of the stream.
    pub fn hear(&mut self, mind: &mut Mind, note: &Note) {
        let next = Successor::after(self.latest, note);
        // A note that began before the latest one (both hands of a handed-over chord) is its neighbour.
        let next = Successor { step: next.step.max(0.0), ..next };
        mind.feed(&next);
        self.keep(next);
        self.latest = Some(note.onset);
        if self.phrase.len() == PHRASE {
            self.phrase.pop_front();
        }
        self.phrase.push_back(*note);
    }

    /// Forgets the phrase.
    pub fn forget(&mut self, mind: &mut Mind) {
        self.notes.clear();
        self.latest = None;
        self.phrase.clear();
        mind.reset();
    }

    /// The latest onset, in seconds of the stream.
    #[cfg(test)]
    pub fn latest(&self) -> Option<f64> {
        self.latest
    }

    /// How many notes are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    fn keep(&mut self, note: Successor) {
        if self.notes.len() == PHRASE {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }
}

/// A generated note and what the network knew before it.
#[derive(Debug)]
struct Step {
    /// Onset in seconds since the hand-over.
    note: Note,
    before: State,
}

/// The take under way. Times are seconds since its hand-over, if not said otherwise.
#[derive(Debug)]
pub struct Take {
    epoch: Epoch,
    seed: u64,
    /// The hand-over, in seconds of the stream.
    at: f64,
    place: Place,
    wishes: Wishes,
    /// Onset of the last note before the take; `None`: nothing was heard.
    previous: Option<f64>,
    /// The latest notes, at most [`STATES`]; those before have become part of the phrase.
    steps: VecDeque<Step>,
    /// How many notes have left `steps` at the front.
    gone: u32,
    /// The onset of the last of them.
    gone_onset: Option<f64>,
    /// The next note must not be struck before this.
    floor: f64,
    /// The state before the take, if nothing of it comes to sound.
    origin: State,
    /// Notes that left `steps`.
    played: Vec<Successor>,
    /// The same as notes.
    record: Vec<Note>,
    /// The memory's, borrowed for the time of the take.
    spare: Spare,
}

impl Take {
    /// Takes the turn `at` these seconds of the stream.
    pub fn begin(
        memory: &mut Memory,
        mind: &mut Mind,
        epoch: Epoch,
        at: f64,
        number: u32,
        place: Place,
        wishes: Wishes,
    ) -> Self {
        let origin = memory.spare.copy(mind.state());
        mind.hand_over();
        Self {
            epoch,
            // Takes of one phrase must not repeat each other's luck.
            seed: wishes.seed ^ u64::from(number) << 32,
            at,
            place,
            wishes,
            previous: memory.latest.map(|latest| latest - at),
            steps: VecDeque::with_capacity(STATES),
            gone: 0,
            gone_onset: None,
            floor: 0.0,
            origin,
            played: Vec::new(),
            record: Vec::new(),
            spare: std::mem::take(&mut memory.spare),
        }
    }

    /// Draws the next note and hears it.
    pub fn next(&mut self, mind: &mut Mind) -> (Epoch, u32, Note) {
        if self.steps.len() == STATES {
            self.retire();
        }
        let before = self.spare.copy(mind.state());
        let index = self.gone + self.steps.len() as u32;
        let controls = self.controls(mind);
        // Without a note before it, the first one may come at once.
        let latest = self.latest_onset().unwrap_or(self.floor);
        let silence = self.floor - latest;
        let successor = mind.sample(&controls, silence, &mut note_rng(self.seed, index.into()));
        let mut note = successor.note(latest);
        note.onset = note.onset.max(self.floor);
        mind.feed(&Successor::after(Some(latest), &note));
        self.steps.push_back(Step { note, before });
        (self.epoch, index, note)
    }

    /// From `since` on, plays otherwise: back to the last note struck before it.
    pub fn change(&mut self, mind: &mut Mind, epoch: Epoch, since: f64, place: Place, wishes: Wishes) {
        self.epoch = epoch;
        self.place = place;
        self.seed ^= self.wishes.seed ^ wishes.seed;
        self.wishes = wishes;
        self.keep(mind, |note| (note.struck() < since).then_some(*note));
        self.floor = self.floor.max(since);
    }

    /// Ends: what was played of it becomes part of the phrase. See [`crate::link::Report::End`].
    pub fn end(
        mut self,
        memory: &mut Memory,
        mind: &mut Mind,
        limit: f64,
        notes: u32,
        since: f64,
        at: f64,
    ) -> Option<TakeRecord> {
        let beyond = notes.saturating_sub(self.gone) as usize;
        while self.steps.len() > beyond {
            self.undo(mind);
        }
        self.keep(mind, |note| {
            let cut = (since - note.onset).max(note.spread);
            (note.struck() < limit).then_some(Note { duration: note.duration.min(cut), ..*note })
        });
        let record = if self.steps.is_empty() && self.gone == 0 {
            mind.restore(&self.origin);
            None
        } else {
            memory.latest = self.latest_onset().map(|onset| at - (since - onset));
            while !self.steps.is_empty() {
                self.retire();
            }
            for note in self.played.drain(..) {
                memory.keep(note);
            }
            let phrase = memory.phrase.drain(..).map(|note| Note { onset: note.onset - self.at, ..note });
            Some(TakeRecord {
                id: 0,
                seed: self.wishes.seed,
                beats_per_second: self.place.beats_per_second,
                phrase: phrase.collect(),
                notes: std::mem::take(&mut self.record),
                lasted_s: since.min(limit),
                kept: false,
            })
        };
        memory.spare = std::mem::take(&mut self.spare);
        memory.spare.0.push(self.origin);
        record
    }

    /// The onset of the latest note; before the first one, minus infinity.
    pub fn last_onset(&self) -> f64 {
        self.steps.back().map_or(f64::NEG_INFINITY, |step| step.note.onset)
    }

    /// How many notes begin at `progress` or later.
    pub fn ahead_of(&self, progress: f64) -> usize {
        self.steps.iter().rev().take_while(|step| step.note.onset >= progress).count()
    }

    /// The onset of the note that the next one follows.
    fn latest_onset(&self) -> Option<f64> {
        self.steps.back().map(|step| step.note.onset).or(self.gone_onset).or(self.previous)
    }

    /// Goes through the notes again: those that `kept` keeps as they are stay; from the first other
    /// one on, the network hears them anew as `kept` says.
    fn keep(&mut self, mind: &mut Mind, kept: impl Fn(&Note) -> Option<Note>) {
        let same = self.steps.iter().take_while(|step| kept(&step.note) == Some(step.note)).count();
        let again: Vec<Note> = self.steps.iter().skip(same).filter_map(|step| kept(&step.note)).collect();
        while self.steps.len() > same {
            self.undo(mind);
        }
        for note in again {
            let before = self.spare.copy(mind.state());
            mind.feed(&Successor::after(self.latest_onset(), &note));
            self.steps.push_back(Step { note, before });
        }
    }

    /// Takes the last note back.
    fn undo(&mut self, mind: &mut Mind) {
        if let Some(step) = self.steps.pop_back() {
            mind.restore(&step.before);
            self.spare.0.push(step.before);
        }
    }

    /// The first note of `steps` is final.
    fn retire(&mut self) {
        if let Some(step) = self.steps.pop_front() {
            self.played.push(Successor::after(self.gone_onset.or(self.previous), &step.note));
            self.record.push(step.note);
            self.gone += 1;
            self.gone_onset = Some(step.note.onset);
            self.spare.0.push(step.before);
        }
    }

    /// The network's own controls under the player's wishes.
    fn controls(&self, mind: &Mind) -> Controls {
        let mut controls = mind.network().card().controls;
        let (temperature, heat) = (&mut controls.temperature, &self.wishes.heat);
        temperature.step *= heat.rhythm;
        temperature.pitch *= heat.pitch;
        temperature.duration *= heat.length;
        temperature.velocity *= heat.dynamics;
        controls.top_p *= self.wishes.top_p;
        controls
    }
}
