//! The order of pieces: shuffled in each round, with the sets in the proportions of the mixture.

use rand::{Rng, seq::SliceRandom};
use rand_pcg::Pcg32;

/// An endless sequence of pieces. The piece at an index depends only on weights, seed and index.
pub struct Mixture {
    weights: Vec<f64>,
    /// Number of pieces in a round. Each occurs as often as its weight says, randomly rounded up or down.
    length: u64,
    seed: u64,
    /// The round used last: its number and its pieces.
    round: (u64, Vec<usize>),
}

impl Mixture {
    /// A mixture of pieces with these weights, all at least 0 and not all of them 0.
    pub fn new(weights: Vec<f64>, seed: u64) -> Self {
        let length = weights.iter().sum::<f64>().round().max(1.0) as u64;
        Self { weights, length, seed, round: (u64::MAX, Vec::new()) }
    }

    /// The piece at this index of the sequence.
    pub fn piece(&mut self, number: u64) -> usize {
        let round = number / self.length;
        if self.round.0 != round {
            self.round = (round, self.shuffled(round));
        }
        self.round.1[(number % self.length) as usize]
    }

    fn shuffled(&self, round: u64) -> Vec<usize> {
        let rng = &mut Pcg32::new(self.seed, 2 * round);
        let mut order: Vec<usize> = (0..self.weights.len()).collect();
        order.shuffle(rng);
        if self.weights.iter().all(|&weight| weight == 1.0) {
            return order;
        }
        // Systematic sampling: weights laid side by side on a line, with marks on it at equal distances.
        let apart = self.weights.iter().sum::<f64>() / self.length as f64;
        let mut mark = rng.random_range(0.0..1.0) * apart;
        let (mut reached, mut drawn) = (0.0, Vec::with_capacity(self.length as usize));
        for &piece in &order {
            reached += self.weights[piece];
            while mark < reached && drawn.len() < self.length as usize {
                drawn.push(piece);
                mark += apart;
            }
        }
        // Fills up what rounding may have left out at the end.
        while drawn.len() < self.length as usize {
            drawn.extend(drawn.last().copied());
        }
        drawn.shuffle(rng);
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_as_often_as_they_weigh_and_at_any_number_alone() {
        let weights = vec![1.0, 0.25, 3.5, 0.0, 1.0];
        let mut mixture = Mixture::new(weights.clone(), 7);
        let drawn: Vec<usize> = (0..6000).map(|number| mixture.piece(number)).collect();
        for (piece, weight) in weights.iter().enumerate() {
            let share = drawn.iter().filter(|&&one| one == piece).count() as f64 / 6000.0;
            assert!((share - weight / 5.75).abs() < 0.01, "{piece}: {share}");
        }
        let mut other = Mixture::new(weights, 7);
        assert!([5999, 3, 4711].into_iter().all(|number| other.piece(number as u64) == drawn[number]));
        // With equal weights, each piece occurs once in each round.
        let mut even = Mixture::new(vec![1.0; 9], 7);
        let mut round: Vec<usize> = (9..18).map(|number| even.piece(number)).collect();
        round.sort_unstable();
        assert_eq!(round, (0..9).collect::<Vec<_>>());
    }
}
