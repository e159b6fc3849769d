//! Search over several takes side by side, of which one is played: sequential Monte Carlo, twisted by the critic.
//!
//! The network alone draws from p(own). The critic estimates log p(real) - log p(own) of each take so far; a take's log
//! weight is the growth of that estimate, so that drawing takes by weight approximates p(real) (importance resampling;
//! Naesseth, Lindsten and Schön, *Elements of Sequential Monte Carlo*, 2019). Takes are compared at equal numbers of
//! notes. When few of them carry most of the weight, they are resampled: the others become copies of them and continue
//! with their own random streams.
//!
//! A plan is a number of notes of one take. The choice is a function of the takes' notes and the seed alone.

use notes::Note;
use rand::Rng;
use rand_pcg::Pcg32;

use crate::{
    critic::{Critic, MAX_NOTES, Phrase},
    sampling::note_rng,
};

/// Takes are resampled when the effective sample size falls below this fraction of them.
const MIN_EFFECTIVE_SHARE: f64 = 0.6;
/// Combined with the turn's seed for the random choices of a plan.
const CHOICE: u64 = 0x0063_686f_6963_6500;

/// Bit position of the take number in a take's seed.
const TAKE: u32 = 48;

/// The seed of take number `take` in a turn with the seed `turn`; take 0 uses the turn's seed.
pub fn take_seed(turn: u64, take: usize) -> u64 {
    turn ^ (take as u64) << TAKE
}

/// Takes that continue one phrase side by side, each a sequence of notes. Times are in seconds of the turn.
pub trait Takes {
    /// Generates one more note in each take.
    fn play(&mut self);
    /// The notes that a take has generated since planning began, canonical and in order.
    fn notes(&self, take: usize) -> &[Note];
    /// Turns a take into a copy of take `of`; from here on it continues with its own random stream.
    fn become_copy(&mut self, take: usize, of: usize);
}

/// Search settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Number of takes; 1: no search.
    pub takes: usize,
    /// Factor on the critic's log odds: 1 as they are, 0 to ignore them.
    pub strength: f64,
    /// Maximum number of notes in a plan.
    pub plan: usize,
    /// Notes between two comparisons; at least 1.
    pub every: usize,
}

/// What takes are rated against.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// The critic.
    pub critic: &'a Critic,
    /// What the player has played.
    pub phrase: &'a Phrase,
    /// Notes played since the hand-over, before the plan: canonical, in order.
    pub so_far: &'a [Note],
    /// Other takes of the same phrase, in seconds since the hand-over; the new take should differ from their
    /// beginnings.
    pub others: &'a [Vec<Note>],
    /// The hand-over, on the time axis of the takes' notes, in seconds.
    pub hand_over: f64,
}

impl Judge<'_> {
    /// Score of the turn continued by `notes`, in nats: the critic's log odds, minus a penalty for similarity to other
    /// takes.
    fn rate(&self, strength: f64, notes: &[Note], buffer: &mut Vec<Note>) -> f64 {
        buffer.clear();
        let before = MAX_NOTES.saturating_sub(notes.len()).min(self.so_far.len());
        buffer.extend_from_slice(&self.so_far[self.so_far.len() - before..]);
        buffer.extend_from_slice(notes);
        let odds = strength * self.critic.log_odds(self.phrase, buffer);
        if self.others.is_empty() || self.so_far.len() >= COMPARED_NOTES {
            return odds;
        }
        buffer.iter_mut().for_each(|note| note.onset -= self.hand_over);
        let alike = self.others.iter().map(|other| similarity(buffer, other)).fold(0.0, f64::max);
        odds - APART * alike * buffer.len().min(COMPARED_NOTES) as f64
    }
}

/// Number of notes after the hand-over in which takes are compared with one another.
pub const COMPARED_NOTES: usize = 64;
/// Penalty in nats for each note that another take has, too. Chance and the key make some of them alike anyway.
const APART: f64 = 0.25;
/// Onsets farther apart than this are not alike, in seconds.
const ALIKE_S: f64 = 0.12;

/// Similarity of two takes of one phrase: the share of the notes of `take`, [`COMPARED_NOTES`] at most, that `other`
/// has at the same pitch and within 0.12 s. Onsets in seconds since the hand-over, in order.
pub fn similarity(take: &[Note], other: &[Note]) -> f64 {
    let take = &take[..take.len().min(COMPARED_NOTES)];
    let has = |note: &&Note| {
        let first = other.partition_point(|one| one.onset < note.onset - ALIKE_S);
        let near = other[first..].iter().take_while(|one| one.onset <= note.onset + ALIKE_S);
        near.into_iter().any(|one| one.pitch == note.pitch)
    };
    take.iter().filter(has).count() as f64 / take.len().max(1) as f64
}

/// Length of the first plan after the hand-over or a change, in notes: short, so that a note is ready soon.
const FIRST_PLAN: usize = 4;

impl Search {
    /// One take, as the network alone would play it.
    pub const OFF: Self = Self { takes: 1, strength: 1.0, plan: 32, every: 16 };
    /// The default number of takes when searching; more bring little.
    pub const DEFAULT_TAKES: usize = 16;

    /// Number of notes of the next plan, when `planned` notes have been planned since the hand-over or the latest
    /// change: each plan is as long as all before it together, within limits.
    pub fn next_plan(&self, planned: usize) -> usize {
        planned.clamp(FIRST_PLAN.min(self.plan), self.plan)
    }

    /// Generates `notes` notes in every take and returns the index of the chosen one. The last argument is the turn's
    /// seed and the index of the plan's first note in the turn.
    pub fn plan(&self, takes: &mut impl Takes, judge: &Judge, notes: usize, (seed, first): (u64, u64)) -> usize {
        let rng = &mut note_rng(seed ^ CHOICE, first);
        let mut buffer = Vec::with_capacity(MAX_NOTES);
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
            if played < notes && effective(&weights) < MIN_EFFECTIVE_SHARE * self.takes as f64 {
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

/// Normalized probabilities from log weights.
fn normalized(weights: &[f64]) -> Vec<f64> {
    let top = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut all: Vec<f64> = weights.iter().map(|weight| libm::exp(weight - top)).collect();
    let sum: f64 = all.iter().sum();
    all.iter_mut().for_each(|weight| *weight /= sum);
    all
}

/// Effective sample size: one over the sum of squared normalized weights.
fn effective(weights: &[f64]) -> f64 {
    1.0 / normalized(weights).iter().map(|weight| weight * weight).sum::<f64>()
}

/// The first take at which the cumulative normalized weight exceeds `point`, which is in 0–1.
fn draw(weights: &[f64], point: f64) -> usize {
    let mut left = point;
    let reached = |weight: &f64| {
        left -= weight;
        left < 0.0
    };
    normalized(weights).iter().position(reached).unwrap_or(weights.len() - 1)
}

/// Systematic resampling: the take that each one continues from. Surviving takes keep their places, so that few are
/// copied.
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
    // The remainder due to rounding.
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
        /// The count stays the same, each take occurs about as often as its weight says, and survivors keep their
        /// places.
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
        assert_eq!(similarity(&take, &take), 1.0);
        assert_eq!(similarity(&take, &[]), 0.0);
        assert_eq!(
            similarity(&take, &[note(0.15, 60), note(0.4, 65), note(1.2, 67)]),
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
