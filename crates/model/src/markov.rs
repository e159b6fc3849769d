//! A memory of what the player has played in this session and what followed it: a variable-order Markov model, after
//! François Pachet's Continuator ("The Continuator: musical interaction with style", Journal of New Music Research 32,
//! 2003).
//!
//! The note sequence itself is the model. A query finds the places that match the longest suffix of the latest notes
//! and counts what came next there. If every continuation found that way is ruled out, it backs off to shorter
//! suffixes, down to order 0, where every note ever played counts. Two notes match if they have the same pitch and
//! either both or neither continue a chord. A match never extends back across the start of a phrase.

use notes::Successor;

use crate::encoding::{PITCHES, TIMES, time_bin};

/// Longest suffix compared, in notes.
pub const ORDER: usize = 8;
/// Minimum number of notes remembered: an hour of leisurely playing. The oldest are forgotten first.
pub const NOTES: usize = 8192;
/// Steps count as alike if their time bins differ by at most this.
const LIKE: u8 = 2;

/// What is compared when matching notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Symbol {
    pitch: u8,
    in_chord: bool,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    symbol: Symbol,
    /// Time bin of the step.
    step: u8,
    /// First note of a phrase.
    begins: bool,
}

/// The latest notes, whether played or generated. Plain data, so that it rolls back with the take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// Latest first.
    symbols: [Symbol; ORDER],
    count: u8,
}

impl Recent {
    /// Appends a note.
    pub fn push(&mut self, note: &Successor) {
        self.symbols.rotate_right(1);
        self.symbols[0] = Symbol { pitch: note.pitch, in_chord: note.step == 0.0 && self.count > 0 };
        self.count = (self.count + 1).min(ORDER as u8);
    }

    fn symbols(&self) -> &[Symbol] {
        &self.symbols[..self.count.into()]
    }
}

/// The Markov model; see the [module documentation](self). Allocates on construction only.
#[derive(Clone, Debug)]
pub struct Markov {
    /// In playing order.
    notes: Vec<Heard>,
    /// Number of notes learned, including the oldest, which may have been dropped.
    learned: u64,
}

impl Default for Markov {
    fn default() -> Self {
        Self { notes: Vec::with_capacity(2 * NOTES), learned: 0 }
    }
}

impl Markov {
    /// Learns the player's next note. `begins`: it is the first of a phrase.
    pub fn learn(&mut self, note: &Successor, begins: bool) {
        if self.notes.len() == 2 * NOTES {
            self.notes.copy_within(NOTES.., 0);
            self.notes.truncate(NOTES);
        }
        let symbol = Symbol { pitch: note.pitch.min(127), in_chord: note.step == 0.0 && !begins };
        self.notes.push(Heard { symbol, step: time_bin(note.step) as u8, begins });
        self.learned += 1;
    }

    /// Position in the sequence of learned notes; pass it to [`Markov::forget_since`].
    pub fn mark(&self) -> u64 {
        self.learned
    }

    /// Forgets what was learned after `mark` was taken.
    pub fn forget_since(&mut self, mark: u64) {
        let since = self.learned.saturating_sub(mark) as usize;
        self.notes.truncate(self.notes.len().saturating_sub(since));
        self.learned = self.learned.min(mark);
    }

    /// Forgets everything.
    pub fn forget(&mut self) {
        self.notes.clear();
        self.learned = 0;
    }

    /// Writes the distribution of the next step over time bins, restricted to the bins that `allowed` accepts. Returns
    /// `false`, leaving `out` unchanged, if there is no data.
    pub fn steps(&self, recent: &Recent, allowed: impl Fn(usize) -> bool, out: &mut [f32; TIMES]) -> bool {
        self.look_up(recent, out, |next| {
            let step = if next.symbol.in_chord { 0 } else { usize::from(next.step.max(1)) };
            allowed(step).then_some((step, true))
        })
    }

    /// Writes the distribution of the next pitch after a step of `step` seconds, restricted to the bit set `allowed`;
    /// places with a similar step are preferred. Returns `false`, leaving `out` unchanged, if there is no data.
    pub fn pitches(&self, recent: &Recent, step: f64, allowed: u128, out: &mut [f32; PITCHES]) -> bool {
        let (in_chord, bin) = (step == 0.0, time_bin(step) as u8);
        self.look_up(recent, out, |next| {
            let Symbol { pitch, in_chord: other } = next.symbol;
            let fits = other == in_chord && allowed >> pitch & 1 == 1;
            fits.then_some((pitch.into(), next.step.abs_diff(bin) <= LIKE))
        })
    }

    /// Counts what came next. `class` maps a note to its class and whether its step is alike, or to `None` if it is
    /// ruled out. Only the places with the longest match count, and among those only the ones with an alike step if
    /// there are any.
    fn look_up(&self, recent: &Recent, out: &mut [f32; 128], class: impl Fn(&Heard) -> Option<(usize, bool)>) -> bool {
        let recent = recent.symbols();
        let mut best = None;
        for (place, next) in self.notes.iter().enumerate().skip(1).filter(|(_, next)| !next.begins) {
            let order = self.agreement(place, recent);
            // Most places match less than the best so far: skip them before calling `class`.
            if best.is_some_and(|best| (order, true) < best) {
                continue;
            }
            let Some((class, alike)) = class(next) else { continue };
            if best.is_none_or(|best| (order, alike) > best) {
                best = Some((order, alike));
                out.fill(0.0);
            }
            if best == Some((order, alike)) {
                out[class] += 1.0;
            }
        }
        let total: f32 = out.iter().sum();
        if best.is_some() {
            out.iter_mut().for_each(|count| *count /= total);
        }
        best.is_some()
    }

    /// How many notes just before `place` match the latest ones.
    fn agreement(&self, place: usize, recent: &[Symbol]) -> usize {
        let mut order = 0;
        for (heard, symbol) in self.notes[..place].iter().rev().zip(recent) {
            if heard.symbol != *symbol {
                break;
            }
            order += 1;
            if heard.begins {
                break;
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(step: f64, pitch: u8) -> Successor {
        Successor { step, spread: 0.0, duration: 0.2, pitch, velocity: 80 }
    }

    fn learn(markov: &mut Markov, recent: &mut Recent, notes: &[(f64, u8)]) {
        for (index, &(step, pitch)) in notes.iter().enumerate() {
            markov.learn(&note(step, pitch), index == 0);
            recent.push(&note(step, pitch));
        }
    }

    fn pitches(markov: &Markov, recent: &Recent, step: f64, allowed: u128) -> Vec<(usize, f32)> {
        let mut out = [f32::NAN; PITCHES];
        let says = markov.pitches(recent, step, allowed, &mut out);
        out.into_iter().enumerate().filter(|(_, p)| says && *p > 0.0).collect()
    }

    #[test]
    fn the_longest_agreement_speaks_and_shorter_ones_step_in() {
        let (mut markov, mut recent) = (Markov::default(), Recent::default());
        assert_eq!(pitches(&markov, &recent, 0.2, u128::MAX), []);
        let tune = [(0.0, 60), (0.2, 62), (0.2, 64), (0.4, 65), (0.2, 72), (0.2, 64), (0.2, 67), (0.2, 62), (0.2, 64)];
        learn(&mut markov, &mut recent, &tune);
        // 62 64 was followed by 65; 64 alone also by 67; the empty context by anything.
        assert_eq!(pitches(&markov, &recent, 0.4, u128::MAX), [(65, 1.0)]);
        assert_eq!(pitches(&markov, &recent, 0.2, u128::MAX), [(65, 1.0)], "the step is the lesser matter");
        assert_eq!(pitches(&markov, &recent, 0.2, !(1 << 65)), [(67, 1.0)]);
        let rest = pitches(&markov, &recent, 0.2, !(1 << 65 | 1 << 67));
        assert_eq!(rest.iter().map(|c| c.0).collect::<Vec<_>>(), [62, 64, 72]);
        assert_eq!(rest[0].1, 2.0 / 6.0, "by how often");
        assert_eq!(pitches(&markov, &recent, 0.0, u128::MAX), [], "there was no chord");
        let mut steps = [0.0; TIMES];
        assert!(markov.steps(&recent, |_| true, &mut steps));
        assert_eq!(steps[time_bin(0.4)], 1.0);
    }

    #[test]
    fn phrases_are_apart_and_what_is_forgotten_is_gone() {
        let (mut markov, mut recent) = (Markov::default(), Recent::default());
        learn(&mut markov, &mut recent, &[(0.0, 60), (0.2, 64), (0.0, 67)]);
        let mark = markov.mark();
        learn(&mut markov, &mut recent, &[(3.0, 50), (0.2, 52)]);
        let mut recent = Recent::default();
        recent.push(&note(0.0, 60));
        recent.push(&note(0.2, 64));
        recent.push(&note(0.0, 67));
        // Nothing follows the first phrase, so everything that ever followed a note counts.
        assert_eq!(pitches(&markov, &recent, 0.2, u128::MAX), [(52, 0.5), (64, 0.5)]);
        markov.forget_since(mark);
        assert_eq!(pitches(&markov, &recent, 0.2, u128::MAX), [(64, 1.0)]);
        markov.forget();
        assert_eq!(pitches(&markov, &recent, 0.2, u128::MAX), []);
    }

    #[test]
    fn it_stays_within_its_room() {
        let mut markov = Markov::default();
        let room = markov.notes.capacity();
        for index in 0..5 * NOTES {
            markov.learn(&note(0.1, (index % 90) as u8), false);
        }
        assert_eq!(markov.notes.capacity(), room);
        assert!(markov.notes.len() >= NOTES);
        markov.forget_since(0);
        assert!(markov.notes.is_empty());
    }
}
