//! Takes side by side, and the plan that the search chooses among them.

use model::critic::Phrase as CriticsPhrase;
use model::search::{Judge, Search, Takes, similarity, take_seed};

use super::*;
use crate::generator::memory::{Plan, PlanStart};

/// Takes generated as a batch are exactly those that each seed gives alone.
#[test]
fn takes_side_by_side_are_the_takes_alone() {
    let strategy = random_generation();
    let mut runner = TestRunner::deterministic();
    for _ in 0..8 {
        let generation = strategy.new_tree(&mut runner).unwrap().current();
        let seeds = [0, 1, 2].map(|take| take_seed(generation.seed, take));
        let takes = Session::new(&TUNE, 70, 0.5).play_all(&generation, &seeds, 8);
        for (&seed, take) in seeds.iter().zip(&takes) {
            assert_eq!(
                &Session::new(&TUNE, 70, 0.5).play(&GenerationParams { seed, ..generation }, 8),
                take,
                "{generation:?}"
            );
        }
    }
}

/// The search with one decoder per take, as the reference for the batched search.
struct OneByOne<'a> {
    phrasing: &'a Phrasing,
    learned: &'a Markov,
    takes: Vec<Alone>,
}

/// One of the takes.
struct Alone {
    decoder: Decoder,
    trail: Trail,
    cue: Cue,
    notes: Vec<Note>,
    judged: Vec<Note>,
}

impl Takes for OneByOne<'_> {
    fn play(&mut self) {
        let (speed, pace) = (self.phrasing.speed(), self.phrasing.pace_factor());
        for Alone { decoder, trail, cue, notes, judged } in &mut self.takes {
            let sampled = self.phrasing.sample(decoder, trail, self.learned, cue);
            let (note, unlimited) = (sampled.note, sampled.unlimited());
            let next = as_fed(cue.previous, &unlimited, speed);
            decoder.feed(&next);
            trail.push(&note, &next, true);
            *cue = Cue { index: cue.index + 1, previous: Some(note.onset), pause: 0.0, ..*cue };
            notes.push(note);
            judged.push(Note { onset: note.onset * pace, duration: unlimited.duration * pace, ..note });
        }
    }

    fn notes(&self, take: usize) -> &[Note] {
        &self.takes[take].judged
    }

    fn become_copy(&mut self, take: usize, of: usize) {
        let snapshot = self.takes[of].decoder.snapshot();
        let Alone { trail, cue, notes, judged, .. } = &self.takes[of];
        let (trail, cue, notes, judged) = (trail.clone(), *cue, notes.clone(), judged.clone());
        let own = &mut self.takes[take];
        own.decoder.restore(&snapshot);
        *own = Alone {
            decoder: std::mem::replace(&mut own.decoder, Decoder::new(network())),
            trail,
            cue: Cue { seed: own.cue.seed, ..cue },
            notes,
            judged,
        };
    }
}

/// The plan equals the choice of the search among independently generated takes, within all limits, and it is often
/// not the take that would be played without a search.
#[test]
fn a_plan_is_the_take_that_the_search_chooses() {
    let strategy = random_generation();
    let mut runner = TestRunner::deterministic();
    let mut others = 0;
    for number in 0..6 {
        let generation = strategy.new_tree(&mut runner).unwrap().current();
        let phrase: Vec<(f64, u8)> = TUNE.iter().cycle().take(24).copied().collect();
        let (session, count) = (Session::new(&phrase, 70, 0.5), [8, 40][number % 2]);
        let (phrasing, trail) = (session.phrasing(&generation), session.trail());
        let previous = session.phrase.last().map(|note| note.onset);
        let cue = Cue { seed: generation.seed, index: 0, previous, floor: 0.0, pause: 0.0 };
        let (network, phrase) = (network(), CriticsPhrase::new(&session.phrase));
        let search = Search { takes: 4, plan: count, ..Search::OFF };

        let alone = |take| {
            let cue = Cue { seed: take_seed(cue.seed, take), ..cue };
            let decoder = Session::new(&session.phrase_as_steps(), 70, 0.5).decoder;
            Alone { decoder, trail: trail.clone(), cue, notes: vec![], judged: vec![] }
        };
        let mut takes = OneByOne { phrasing: &phrasing, learned: &session.memory, takes: (0..4).map(alone).collect() };
        let judge =
            Judge { critic: network.critic().unwrap(), phrase: &phrase, so_far: &[], others: &[], hand_over: 0.0 };
        let chosen = search.plan(&mut takes, &judge, count, (generation.seed, 0));

        let mut plan = Plan::new(session.phrase.clone(), vec![]);
        plan.set_search(search);
        let (phrasing, trail, learned) = (&phrasing, &trail, &session.memory);
        // A single plan as long as the reference.
        plan.set_planned(count);
        plan.extend(&session.decoder, PlanStart { phrasing, trail, learned, cue, so_far: vec![], left: usize::MAX });
        let planned: Vec<Note> = std::iter::from_fn(|| plan.next()).map(|sampled| sampled.note).collect();
        assert_eq!(planned, takes.takes[chosen].notes, "{generation:?}");
        others +=
            usize::from(planned != Session::new(&session.phrase_as_steps(), 70, 0.5).play(&generation, count as u32));
    }
    assert!(others >= 3, "the search never chose another take");
}

/// A new take differs from the rejected ones.
#[test]
fn new_takes_are_unlike_the_ones_before() {
    let phrase: Vec<(f64, u8)> = TUNE.iter().cycle().take(24).copied().collect();
    let session = Session::new(&phrase, 70, 0.5);
    let previous = session.phrase.last().map(|note| note.onset);
    // With few pitches, takes have much in common by chance.
    let generation = GenerationParams { limits: Limits { lowest: 60, highest: 64, ..GENERATION.limits }, ..GENERATION };
    let (phrasing, trail, learned) = (&session.phrasing(&generation), &session.trail(), &session.memory);
    let take = |seed: u64, others: Vec<Vec<Note>>| -> Vec<Note> {
        let mut plan = Plan::new(session.phrase.clone(), others);
        plan.set_search(Search { takes: 8, plan: 32, ..Search::OFF });
        plan.set_planned(32);
        let cue = Cue { seed, index: 0, previous, floor: 0.0, pause: 0.0 };
        plan.extend(&session.decoder, PlanStart { phrasing, trail, learned, cue, so_far: vec![], left: usize::MAX });
        std::iter::from_fn(|| plan.next()).map(|sampled| sampled.note).collect()
    };
    let (mut free, mut apart) = (0.0, 0.0);
    for seed in 0..12 {
        let unwanted: Vec<Vec<Note>> = (0..3).map(|number| take(100 * seed + number, vec![])).collect();
        let alike = |take: Vec<Note>| unwanted.iter().map(|other| similarity(&take, other)).fold(0.0, f64::max);
        free += alike(take(100 * seed + 50, vec![]));
        apart += alike(take(100 * seed + 50, unwanted.clone()));
    }
    assert!(apart < 0.85 * free, "{apart} of {free}");
}
