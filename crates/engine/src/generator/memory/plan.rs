//! Plans: several continuations are generated as a batch, and the one that the critic chooses is played
//! ([`model::search`]).
//!
//! A plan begins at the network's current state and is a number of notes long. The first one after the hand-over or
//! after a change is short, so that its first note arrives in time; each later one is as long as all before it
//! together, up to the search's limit. Its length depends only on the number of notes, never on a clock.

use std::collections::VecDeque;
use std::mem;

use model::critic::{MIN_NOTES, Phrase};
use model::search::{Judge, Search, Takes, take_seed};
use model::{BatchDecoder, Decoder, Markov};
use notes::Note;

use crate::generator::phrasing::{Cue, Phrasing, Sampled, Trail, as_fed};

/// The search for a take and the notes it has chosen; see the [module documentation](self).
#[derive(Debug)]
pub struct Plan {
    search: Search,
    /// What the player has played, in the critic's form; `None`: too little.
    phrase: Option<Phrase>,
    /// Rejected takes of the phrase, in seconds since the hand-over: this one must differ from them.
    rejected: Vec<Vec<Note>>,
    /// The chosen notes that are not played yet, in seconds of the take.
    notes: VecDeque<Sampled>,
    /// Number of notes planned since the hand-over or the latest change.
    planned: usize,
    /// The batch decoder, kept for the next plan.
    batch: Option<BatchDecoder>,
}

/// Where a plan starts.
pub struct PlanStart<'a> {
    /// How the take is phrased.
    pub phrasing: &'a Phrasing,
    /// What the next note needs to know of the notes so far.
    pub trail: &'a Trail,
    /// The Markov model learned from the player.
    pub learned: &'a Markov,
    /// When the next note may come.
    pub cue: Cue,
    /// What was played since the hand-over, in seconds of the take, without the limits on its length.
    pub so_far: Vec<Note>,
    /// Number of notes left in the take.
    pub left: usize,
}

impl Plan {
    /// For a take that follows this phrase, given as notes in canonical order. `rejected`: earlier takes of the phrase,
    /// from which it must differ.
    pub fn new(notes: Vec<Note>, rejected: Vec<Vec<Note>>) -> Self {
        let phrase = (notes.len() >= MIN_NOTES).then(|| Phrase::new(&notes));
        Self { search: Search::OFF, phrase, rejected, notes: VecDeque::new(), planned: 0, batch: None }
    }

    /// Sets the number of takes per batch, from the next plan on.
    pub fn set_takes(&mut self, takes: usize) {
        self.search.takes = takes;
    }

    /// Sets the search, from the next plan on.
    #[cfg(test)]
    pub fn set_search(&mut self, search: Search) {
        self.search = search;
    }

    /// Pretends that this many notes have been planned already.
    #[cfg(test)]
    pub fn set_planned(&mut self, planned: usize) {
        self.planned = planned;
    }

    /// Discards the planned notes, because something has changed.
    pub fn clear(&mut self) {
        self.notes.clear();
        self.planned = 0;
    }

    /// Number of notes that are planned and not played yet.
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// Removes and returns the next planned note.
    pub fn next(&mut self) -> Option<Sampled> {
        self.notes.pop_front()
    }

    /// Plans on from `start`. Without a critic, without a phrase, or with a single take, nothing is planned, and notes
    /// are sampled one by one.
    pub fn extend(&mut self, decoder: &Decoder, start: PlanStart) {
        let (Some(critic), Some(phrase), true) = (decoder.network().critic(), &self.phrase, self.search.takes > 1)
        else {
            return;
        };
        let takes = self.search.takes;
        let mut batch = match self.batch.take().filter(|batch| batch.matches(decoder, takes)) {
            Some(mut batch) => {
                batch.restart(decoder);
                batch
            }
            None => BatchDecoder::new(decoder, takes),
        };
        let notes = self.search.next_plan(self.planned).min(start.left);
        let pace = start.phrasing.pace_factor();
        let at_pace = |notes: &[Note]| notes.iter().map(|note| at_pace(note, pace)).collect::<Vec<_>>();
        let so_far = at_pace(&start.so_far);
        let rejected: Vec<Vec<Note>> = self.rejected.iter().map(|take| at_pace(take)).collect();
        let cues = (0..takes).map(|take| Cue { seed: take_seed(start.cue.seed, take), ..start.cue });
        let mut take_batch = TakeBatch {
            batch: &mut batch,
            phrasing: start.phrasing,
            learned: start.learned,
            cues: cues.collect(),
            trails: vec![start.trail.clone(); takes],
            played: vec![Vec::with_capacity(notes); takes],
            judged: vec![Vec::with_capacity(notes); takes],
        };
        let judge = Judge { critic, phrase, so_far: &so_far, others: &rejected, hand_over: 0.0 };
        let chosen = self.search.plan(&mut take_batch, &judge, notes, (start.cue.seed, start.cue.index.into()));
        self.notes.extend(mem::take(&mut take_batch.played[chosen]));
        self.planned += notes;
        self.batch = Some(batch);
    }
}

/// The takes of one plan, all within the same constraints.
struct TakeBatch<'a> {
    batch: &'a mut BatchDecoder,
    phrasing: &'a Phrasing,
    learned: &'a Markov,
    cues: Vec<Cue>,
    trails: Vec<Trail>,
    /// The notes as they sound, by take.
    played: Vec<Vec<Sampled>>,
    /// The notes at the phrase's pace and without the limits on their length, by take, so that settings do not affect the
    /// critic.
    judged: Vec<Vec<Note>>,
}

impl Takes for TakeBatch<'_> {
    fn play(&mut self) {
        let (speed, pace) = (self.phrasing.speed(), self.phrasing.pace_factor());
        let drawn = self.phrasing.sample_all(self.batch, &self.trails, self.learned, &self.cues);
        let mut all = Vec::with_capacity(drawn.len());
        for (take, sampled) in drawn.into_iter().enumerate() {
            let Sampled { note, .. } = sampled;
            let (cue, trail) = (&mut self.cues[take], &mut self.trails[take]);
            let next = as_fed(cue.previous, &sampled.unlimited(), speed);
            trail.push(&note, &next, true);
            *cue = Cue { index: cue.index + 1, previous: Some(note.onset), pause: 0.0, ..*cue };
            self.played[take].push(sampled);
            self.judged[take].push(at_pace(&sampled.unlimited(), pace));
            all.push(next);
        }
        self.batch.feed(&all);
    }

    fn notes(&self, take: usize) -> &[Note] {
        &self.judged[take]
    }

    fn become_copy(&mut self, take: usize, of: usize) {
        self.batch.become_copy(take, of);
        // It keeps its own random stream.
        self.cues[take] = Cue { seed: self.cues[take].seed, ..self.cues[of] };
        self.trails[take] = self.trails[of].clone();
        self.played[take] = self.played[of].clone();
        self.judged[take] = self.judged[of].clone();
    }
}

/// The note as it would be without the settings that make the take faster or denser than the phrase.
fn at_pace(note: &Note, pace: f64) -> Note {
    Note { onset: note.onset * pace, duration: note.duration * pace, ..*note }
}
