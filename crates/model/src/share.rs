//! How often something was exact lately: two times or velocities that are near each other are sometimes meant to be equal,
//! and a player to whom that happens often is answered the same way.

use crate::decaying_mean::DecayingMean;

/// Fewer cases than this show nothing.
const FEWEST: f32 = 3.0;

/// The share of recent cases that were exact: a decaying mean, which says the same of a short phrase as of a long one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ExactShare {
    cases: DecayingMean,
    decay: f32,
    /// How often an unrelated case is exact by chance. Such cases count too, so without this the share would grow with
    /// every note.
    by_chance: f32,
}

impl ExactShare {
    /// No case yet; each one weighs `decay` times as much as the next.
    pub const fn new(decay: f32, by_chance: f32) -> Self {
        Self { cases: DecayingMean { sum: 0.0, weight: 0.0 }, decay, by_chance }
    }

    /// Adds a case.
    pub fn feed(&mut self, exact: bool) {
        self.cases.feed(f32::from(u8::from(exact)), self.decay);
    }

    /// Whether the next case should be exact, so that this happens as often as before; `chance` is uniform in 0–1. Who is
    /// always exact is answered without a slip: one would be repeated by all that follows.
    pub fn applies(&self, chance: f32) -> bool {
        self.is_known() && chance * (1.0 - self.by_chance) < self.cases.mean() - self.by_chance
    }

    fn is_known(&self) -> bool {
        self.cases.weight > FEWEST * self.decay * self.decay
    }
}

/// An [`ExactShare`] for the first notes of onsets and one for the other notes of chords, which are exact far more often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ExactShares {
    first: ExactShare,
    in_chord: ExactShare,
}

impl ExactShares {
    /// See [`ExactShare::new`].
    pub const fn new(decay: f32, by_chance: f32) -> Self {
        Self { first: ExactShare::new(decay, by_chance), in_chord: ExactShare::new(decay, by_chance) }
    }

    /// Adds a note `step` seconds after the last one.
    pub fn feed(&mut self, step: f64, exact: bool) {
        let share = if step == 0.0 { &mut self.in_chord } else { &mut self.first };
        share.feed(exact);
    }

    /// [`ExactShare::applies`] for a note `step` seconds after the last one; without such notes, the others tell.
    pub fn applies(&self, step: f64, chance: f32) -> bool {
        let Self { first, in_chord } = self;
        let [share, other] = if step == 0.0 { [in_chord, first] } else { [first, in_chord] };
        if share.is_known() { share.applies(chance) } else { other.applies(chance) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_phrase_counts_as_much_as_a_long_one_and_chance_does_not() {
        let share = |cases: usize, exact: fn(usize) -> bool| {
            let mut share = ExactShare::new(0.97, 0.1);
            (0..cases).for_each(|case| share.feed(exact(case)));
            (0..1000).filter(|chance| share.applies(*chance as f32 / 1000.0)).count()
        };
        assert_eq!([0, 2, 3, 9, 200].map(|cases| share(cases, |_| true)), [0, 0, 1000, 1000, 1000]);
        // Half of them: 0.5, less what chance accounts for, is 0.44.
        assert!((400..500).contains(&share(10, |case| case % 2 == 0)));
        assert!((400..500).contains(&share(200, |case| case % 2 == 0)));
        assert!(share(200, |case| case % 10 == 0) < 30);
    }

    #[test]
    fn chords_are_as_exact_as_other_chords_or_else_as_single_notes() {
        let mut shares = ExactShares::new(0.97, 0.1);
        (0..8).for_each(|_| shares.feed(0.5, true));
        assert!(shares.applies(0.5, 0.9) && shares.applies(0.0, 0.9));
        (0..8).for_each(|_| shares.feed(0.0, false));
        assert!(shares.applies(0.5, 0.9) && !shares.applies(0.0, 0.1));
    }
}
