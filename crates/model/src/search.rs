//! Several takes side by side, of which one is played: sequential Monte Carlo, twisted by the critic.
//!
//! The network alone draws from p(own). The critic says log p(real) - log p(own) of what a take has become; a take's
//! weight is how much that has grown, so that one drawn by its weight comes from something nearer to p(real)
//! (importance resampling; Naesseth, Lindsten and Schön, *Elements of Sequential Monte Carlo*, 2019). Takes are compared at equal
//! numbers of notes. Where few of them carry all the weight, they are resampled: the others go on as copies of them,
//! each by a random stream of its own.
//!
//! A plan is so many notes of one take. What is chosen is a function of the takes' notes and of the seed alone.

use notes::Note;
use rand::Rng;
use rand_pcg::Pcg32;

use crate::{
    critic::{Critic, MOST_NOTES, Phrase},
    sampling::note_rng,
};

/// Takes are resampled when their weights say that fewer than this part of them count.
const FEWEST: f64 = 0.6;
/// Where the number of a plan's first note stands in the seed of its random choices.
const CHOICE: u64 = 0x0063_686f_6963_6500;

/// Where a take's number stands in its seed.
const TAKE: u32 = 48;

/// The seed of one of the takes that a turn of this seed goes on in side by side; the first one's is the turn's.
pub fn take_seed(turn: u64, take: usize) -> u64 {
    turn ^ (take as u64) << TAKE
}

/// Takes of one phrase that go on side by side. Each is a sequence of notes in seconds of the turn.
pub trait Takes {
    /// Each take plays one note more.
    fn play(&mut self);
    /// The notes that a take has played since planning began, canonical and in order.
    fn notes(&self, take: usize) -> &[Note];
    /// A take becomes what another one is; what it plays from here on is its own.
    fn become_copy(&mut self, take: usize, of: usize);
}

/// How takes are searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Takes side by side; 1: no search.
    pub takes: usize,
    /// How much the critic's word counts: 1 as it says, 0 not at all.
    pub strength: f64,
    /// Notes of a plan, at most.
    pub plan: usize,
    /// Notes between two comparisons; at least 1.
    pub every: usize,
}

/// What the critic knows when it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// Who is asked.
    pub critic: &'a Critic,
    /// What the player has played.
    pub phrase: &'a Phrase,
    /// What was played since the hand-over, before the plan: canonical notes, in order.
    pub so_far: &'a [Note],
    /// Other takes of the same phrase, in seconds since the hand-over: what is played shall be unlike their beginnings.
    pub others: &'a [Vec<Note>],
    /// The hand-over, on the axis of the takes' notes, in seconds.
    pub hand_over: f64,
}

impl Judge<'_> {
    /// What is said for the turn as it would be with these notes: the critic's word, less what is like other takes.
    fn rate(&self, strength: f64, notes: &[Note], buffer: &mut Vec<Note>) -> f64 {
        buffer.clear();
        let before = MOST_NOTES.saturating_sub(notes.len()).min(self.so_far.len());
        buffer.extend_from_slice(&self.so_far[self.so_far.len() - before..]);
        buffer.extend_from_slice(notes);
        let odds = strength * self.critic.log_odds(self.phrase, buffer);
        if self.others.is_empty() || self.so_far.len() >= BEGINNING {
            return odds;
        }
        buffer.iter_mut().for_each(|note| note.onset -= self.hand_over);
        let alike = self.others.iter().map(|other| likeness(buffer, other)).fold(0.0, f64::max);
        odds - APART * alike * buffer.len().min(BEGINNING) as f64
    }
}

/// Notes after the hand-over in which takes are compared with each other.
pub const BEGINNING: usize = 64;
/// Nats that a note costs which another take has, too. Chance and the key make a part of them alike anyway.
const APART: f64 = 0.25;
/// Onsets that are farther apart are not alike, in seconds.
const ALIKE_S: f64 = 0.12;

/// How alike two takes of one phrase are: the share of the first one's notes, [`BEGINNING`] at most, that the other one has, too, at the
/// same time. Onsets in seconds since the hand-over, in order.
pub fn likeness(take: &[Note], other: &[Note]) -> f64 {
    let take = &take[..take.len().min(BEGINNING)];
    let has = |note: &&Note| {
        let first = other.partition_point(|one| one.onset < note.onset - ALIKE_S);
        let near = other[first..].iter().take_while(|one| one.onset <= note.onset + ALIKE_S);
        near.into_iter().any(|one| one.pitch == note.pitch)
    };
    take.iter().filter(has).count() as f64 / take.len().max(1) as f64
}

/// Notes of the first plan after the hand-over or a change: short, so that a note is there soon.
const FIRST_PLAN: usize = 8;

impl Search {
    /// One take, as the network alone would play it.
    pub const OFF: Self = Self { takes: 1, strength: 1.0, plan: 32, every: 16 };
    /// Takes side by side if nobody asks for another number: more bring little.
    pub const USUAL_TAKES: usize = 16;

    /// Notes of the next plan, when so many have been planned since the hand-over or the latest change: each plan as long
    /// as all before it together.
    pub fn next_plan(&self, planned: usize) -> usize {
        planned.clamp(FIRST_PLAN.min(self.plan), self.plan)
    }

    /// Lets the takes play `notes` notes each and says which one is chosen. `seed`: of the turn; `first`: the number of
    /// the plan's first note in it.
    pub fn plan(&self, takes: &mut impl Takes, judge: &Judge, notes: usize, (seed, first): (u64, u64)) -> usize {
        let rng = &mut note_rng(seed ^ CHOICE, first);
        let mut buffer = Vec::with_capacity(MOST_NOTES);
        let mut rated = vec![judge.rate(self.strength, &[], &mut buffer); self.takes];
        let mut weights = vec![0.0; self.takes];
        for played in 1..=notes {
            takes.play();
            if played % self.every != 0 && played != notes {
                continue;
            }
            for (take, (rated, weight)) in rated.iter_mut().zip(&mut weights).enumerate() {
                let now = judge.rate(self.strength, takes.notes(take), &mut buffer);
                *weight += now - *rated;
                *rated = now;
            }
            if played < notes && effective(&weights) < FEWEST * self.takes as f64 {
                for (take, of) in resample(&weights, rng).into_iter().enumerate() {
                    if take != of {
                        takes.become_copy(take, of);
                        rated[take] = rated[of];
                    }
                }
                weights.fill(0.0);
            }
        }
        draw(&weights, rng.random())
    }
}

/// Probabilities from logarithms of weights.
fn normalized(weights: &[f64]) -> Vec<f64> {
    let top = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut all: Vec<f64> = weights.iter().map(|weight| libm::exp(weight - top)).collect();
    let sum: f64 = all.iter().sum();
    all.iter_mut().for_each(|weight| *weight /= sum);
    all
}

/// How many takes the weights let count: one over the sum of the squared weights.
fn effective(weights: &[f64]) -> f64 {
    1.0 / normalized(weights).iter().map(|weight| weight * weight).sum::<f64>()
}

/// The take at which the weights from the first one on reach `point` of their sum.
fn draw(weights: &[f64], point: f64) -> usize {
    let mut left = point;
    let reached = |weight: &f64| {
        left -= weight;
        left < 0.0
    };
    normalized(weights).iter().position(reached).unwrap_or(weights.len() - 1)
}

/// Which take each one goes on from: systematic resampling. Takes that stay keep their places, so that few are copied.
fn resample(weights: &[f64], rng: &mut Pcg32) -> Vec<usize> {
    let count = weights.len();
    let offset: f64 = rng.random();
    let (mut copies, mut sum, mut dealt) = (vec![0usize; count], 0.0, 0);
    for (copies, weight) in copies.iter_mut().zip(normalized(weights)) {
        sum += weight * count as f64;
        while dealt < count && dealt as f64 + offset < sum {
            *copies += 1;
            dealt += 1;
        }
    }
    // What rounding left over.
    copies[draw(weights, offset)] += count - dealt;
    let mut spare = copies.clone();
    let mut of: Vec<usize> = (0..count).collect();
    spare.iter_mut().for_each(|copies| *copies = copies.saturating_sub(1));
    let mut givers = (0..count).flat_map(|take| std::iter::repeat_n(take, spare[take]));
    for take in 0..count {
        if copies[take] == 0 {
            of[take] = givers.next().unwrap_or(take);
        }
    }
    of
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As many takes as before, each about as often as its weight says, and those that stay stay in their places.
        #[test]
        fn takes_are_resampled_by_their_weights(weights in prop::collection::vec(-5.0..5.0f64, 1..33), seed: u64) {
            let of = resample(&weights, &mut Pcg32::new(seed, 1));
            let shares = normalized(&weights);
            for (take, share) in shares.iter().enumerate() {
                let copies = of.iter().filter(|from| **from == take).count() as f64;
                prop_assert!((copies - share * weights.len() as f64).abs() < 1.0 + 1e-9, "{copies} copies of {share}");
                prop_assert!(copies == 0.0 || of[take] == take);
            }
        }

        #[test]
        fn the_effective_number_lies_between_one_and_all(weights in prop::collection::vec(-50.0..50.0f64, 1..33)) {
            let number = effective(&weights);
            prop_assert!((1.0 - 1e-9..=weights.len() as f64 + 1e-9).contains(&number));
        }
    }

    #[test]
    fn takes_are_alike_where_both_strike_the_same_key() {
        let note = |onset, pitch| Note { onset, spread: 0.0, duration: 0.2, pitch, velocity: 64 };
        let take = [note(0.1, 60), note(0.1, 64), note(0.6, 65), note(1.1, 67)];
        assert_eq!(likeness(&take, &take), 1.0);
        assert_eq!(likeness(&take, &[]), 0.0);
        assert_eq!(
            likeness(&take, &[note(0.15, 60), note(0.4, 65), note(1.2, 67)]),
            0.5,
            "late by a moment, or by more"
        );
    }

    #[test]
    fn one_is_drawn_by_its_weight() {
        let weights = [0.5f64.ln(), 0.25f64.ln(), 0.25f64.ln()];
        assert_eq!([0.0, 0.49, 0.51, 0.74, 0.76, 0.999_999].map(|point| draw(&weights, point)), [0, 0, 1, 1, 2, 2]);
    }
}
