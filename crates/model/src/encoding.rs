//! Encoding of a note's attributes as classes: time bins, velocity levels, spread bins.
//!
//! Time bins follow the 10 ms grid of the likelihood measure: `[0, 5)` ms, then cells of 10 ms centered on multiples of
//! 10 ms up to 255 ms, then bins that grow by a constant ratio up to 20 s. So rhythm is exact where hands are fast, and
//! the growing bins are at most 4.4 % wide.

use std::sync::LazyLock;

/// Version of everything in this file and in `features`; stored in the weights. Additions are appended, so that weights
/// of an older version are read with zeros for them: see `Weights::from_bytes`.
pub const VOCABULARY: u32 = 5;

/// Number of MIDI pitches; used as a class, this value means begin-of-sequence.
pub const PITCHES: usize = 128;
/// Number of time bins, for steps and durations.
pub const TIMES: usize = 128;
/// Number of velocity levels, each four MIDI velocities wide.
pub const VELOCITIES: usize = 32;
/// Number of spread bins, 2 ms each (the first one 1 ms).
pub const SPREADS: usize = 16;

/// Cell width of the grid on which likelihoods are compared, in seconds.
pub const CELL_S: f64 = 0.010;
/// Bins below this (in seconds) are one cell wide.
const FINE_S: f64 = 0.255;
/// Number of bins below [`FINE_S`].
pub(crate) const FINE_BINS: usize = 26;
/// End of the last bin, in seconds. Longer times fall into the last bin.
pub const LONGEST_S: f64 = 20.0;

static EDGES: LazyLock<[f64; TIMES + 1]> = LazyLock::new(|| {
    let mut edges = [0.0; TIMES + 1];
    for (i, edge) in edges.iter_mut().enumerate().skip(1) {
        *edge = if i <= FINE_BINS {
            CELL_S * (i as f64 - 0.5)
        } else {
            let part = (i - FINE_BINS) as f64 / (TIMES - FINE_BINS) as f64;
            FINE_S * libm::pow(LONGEST_S / FINE_S, part)
        };
    }
    edges
});

/// The time bin that contains `seconds`.
pub fn time_bin(seconds: f64) -> usize {
    EDGES.partition_point(|&edge| edge <= seconds).clamp(1, TIMES) - 1
}

/// Start and end of a time bin, in seconds.
pub fn time_range(bin: usize) -> (f64, f64) {
    (EDGES[bin], EDGES[bin + 1])
}

/// The cell of the 10 ms grid that contains `seconds`: `[10k - 5, 10k + 5)` ms, the first one `[0, 5)` ms.
pub fn cell(seconds: f64) -> (f64, f64) {
    let k = (seconds.clamp(0.0, LONGEST_S - CELL_S) / CELL_S + 0.5).floor();
    ((k - 0.5).max(0.0) * CELL_S, (k + 0.5) * CELL_S)
}

/// The probability mass on the cell of `seconds`, given probabilities of time bins; density is uniform inside a bin.
pub fn cell_mass(probabilities: &[f32], seconds: f64) -> f64 {
    let (low, high) = cell(seconds);
    let (first, last) = (time_bin(low), time_bin(high));
    (first..=last)
        .map(|bin| {
            let (begin, end) = time_range(bin);
            let overlap = (high.min(end) - low.max(begin)).max(0.0);
            f64::from(probabilities[bin]) * overlap / (end - begin)
        })
        .sum()
}

/// The level of a MIDI velocity, below [`VELOCITIES`].
pub fn velocity_level(velocity: u8) -> usize {
    usize::from(velocity.min(127)) * VELOCITIES / 128
}

/// The lowest and highest MIDI velocity of a level.
pub fn velocity_range(level: usize) -> (u8, u8) {
    let width = 128 / VELOCITIES;
    ((level * width).max(1) as u8, (level * width + width - 1) as u8)
}

/// The bin of a spread in seconds.
pub fn spread_bin(seconds: f64) -> usize {
    ((seconds.max(0.0) / 0.002 + 0.5) as usize).min(SPREADS - 1)
}

/// Start and end of a spread bin, in seconds.
pub fn spread_range(bin: usize) -> (f64, f64) {
    let center = bin as f64 * 0.002;
    ((center - 0.001).max(0.0), (center + 0.001).min(0.030))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bins_are_cells_below_a_quarter_second_and_a_constant_ratio_above() {
        assert_eq!(time_bin(0.0), 0);
        assert_eq!(time_bin(0.0049), 0);
        assert_eq!(time_bin(0.005), 1);
        assert_eq!(time_bin(0.25), 25);
        assert_eq!(time_bin(1e9), TIMES - 1);
        assert!((time_range(TIMES - 1).1 - LONGEST_S).abs() < 1e-9);
        for bin in FINE_BINS..TIMES {
            let (begin, end) = time_range(bin);
            assert!(end / begin < 1.044, "bin {bin} is too wide");
        }
    }

    proptest! {
        #[test]
        fn a_time_lies_in_its_bin_and_in_its_cell(seconds in 0.0..19.9f64) {
            let (begin, end) = time_range(time_bin(seconds));
            prop_assert!(begin <= seconds && seconds < end);
            let (low, high) = cell(seconds);
            prop_assert!(low <= seconds + 1e-12 && seconds < high + 1e-12);
        }

        #[test]
        fn the_cells_share_out_the_whole_mass(weights in prop::collection::vec(0.01..1.0f32, TIMES)) {
            let sum: f32 = weights.iter().sum();
            let p: Vec<f32> = weights.iter().map(|w| w / sum).collect();
            let total: f64 = (0..2000).map(|k| cell_mass(&p, k as f64 * CELL_S)).sum();
            // The last half cell, before 20 s, is part of no whole cell.
            prop_assert!((total - 1.0).abs() < 2e-3, "total {total}");
        }

        #[test]
        fn velocities_and_spreads_lie_in_their_ranges(velocity in 1u8..128, spread in 0.0..0.030f64) {
            let (first, last) = velocity_range(velocity_level(velocity));
            prop_assert!(first <= velocity && velocity <= last);
            let (begin, end) = spread_range(spread_bin(spread));
            prop_assert!(begin <= spread + 1e-9 && spread <= end + 1e-9);
        }
    }
}
