//! How often something was exact lately: two times or velocities that are near each other are sometimes meant to be equal,
//! and a player to whom that happens often is answered the same way.

/// Weight of the assumption that nothing is exact, in notes: what a phrase of ten notes shows is believed.
const PRIOR: f32 = 1.0;

/// The share of recent cases that were exact: a decaying mean, which says the same of a short phrase as of a long one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ExactShare {
    exact: f32,
    all: f32,
    decay: f32,
    /// How often an unrelated case is exact by chance. Such cases count too, so without this the share would grow with
    /// every note.
    by_chance: f32,
}

impl ExactShare {
    /// No case yet; each one weighs `decay` times as much as the next.
    pub const fn new(decay: f32, by_chance: f32) -> Self {
        Self { exact: 0.0, all: PRIOR, decay, by_chance }
    }

    /// Adds a case.
    pub fn feed(&mut self, exact: bool) {
        self.exact = self.decay * self.exact + f32::from(u8::from(exact));
        self.all = self.decay * self.all + 1.0;
    }

    /// Whether the next case should be exact, so that this happens as often as before; `chance` is uniform in 0–1.
    pub fn applies(&self, chance: f32) -> bool {
        chance * (1.0 - self.by_chance) < self.exact / self.all - self.by_chance
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
        assert_eq!(share(0, |_| true), 0);
        assert!(share(9, |_| true) > 850 && share(200, |_| true) > 990);
        // Half of them: 0.5, less what chance accounts for, is 0.44.
        assert!((350..450).contains(&share(10, |case| case % 2 == 0)));
        assert!((400..450).contains(&share(200, |case| case % 2 == 0)));
        assert!(share(200, |case| case % 10 == 0) < 30);
    }
}
