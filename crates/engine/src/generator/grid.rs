//! Quantizes onsets to a grid of lines in beats.
//!
//! An onset moves toward the nearest line, as far as the strength determines; or toward the next one, if
//! that line has passed or the onset would run into the previous one. So onsets stay in order, a chord
//! stays a chord, and at full strength a run that is faster than the grid becomes one note per line.

use notes::chords::WINDOW_S;

use crate::settings::Rhythm;

/// The shortest distance between onsets, in seconds; closer ones would form a chord.
const APART_S: f64 = WINDOW_S + 0.001;
/// A line that lies less than this before a time, in beats, has not passed, since hosts round positions.
const SAME_BEAT: f64 = 1e-5;

/// Maps seconds of a take to beats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beats {
    /// Beats per second.
    pub per_second: f64,
    /// The position of second 0 in beats, counted from a bar line or any other beat.
    pub at_zero: f64,
}

/// A grid for onsets, in seconds of a take; see the [module documentation](self).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// 0: onsets stay where they are; 1: they move onto the lines.
    strength: f64,
    /// Distance between two lines, in beats, before swing.
    gap: f64,
    /// Where every second line lies between its neighbors: 0.5 is the middle.
    swing: f64,
    beats: Beats,
}

impl Grid {
    /// The grid for these settings, on these beats.
    pub fn new(rhythm: &Rhythm, beats: Beats) -> Self {
        let strength = f64::from(rhythm.strength).clamp(0.0, 1.0);
        Self { strength, gap: rhythm.grid.beats(), swing: f64::from(rhythm.swing).clamp(0.5, 0.75), beats }
    }

    /// How much of their spread chords keep, from 0 (at full strength) to 1.
    pub fn looseness(&self) -> f64 {
        1.0 - self.strength
    }

    /// Where an onset at `onset` lands: not before `floor`, and after the `previous` one.
    pub fn quantize(&self, onset: f64, previous: Option<f64>, floor: f64) -> f64 {
        let free = onset.max(floor);
        if self.strength == 0.0 {
            return free;
        }
        let soonest = previous.map_or(floor, |previous| floor.max(previous + APART_S));
        let towards = |line: f64| {
            let target = (self.line(line) - self.beats.at_zero) / self.beats.per_second;
            if self.strength == 1.0 { target } else { onset + self.strength * (target - onset) }
        };
        let landed = towards(self.nearest(self.beat(onset)));
        if self.reaches(landed, soonest) {
            return landed.max(floor);
        }
        let passed = self.beat(soonest) - SAME_BEAT;
        let nearest = self.nearest(passed);
        let next = if self.line(nearest) < passed { nearest + 1.0 } else { nearest };
        towards(next).max(if self.strength == 1.0 { floor } else { soonest.min(free) })
    }

    /// Whether an onset lies at `floor` or later, up to the rounding of hosts' positions.
    pub fn reaches(&self, onset: f64, floor: f64) -> bool {
        onset >= floor - SAME_BEAT / self.beats.per_second
    }

    fn beat(&self, seconds: f64) -> f64 {
        self.beats.at_zero + seconds * self.beats.per_second
    }

    /// The position of a line in beats; lines are numbered from beat 0.
    fn line(&self, index: f64) -> f64 {
        let odd = index.rem_euclid(2.0);
        (index - odd + odd * 2.0 * self.swing) * self.gap
    }

    /// The number of the line nearest to a position in beats.
    fn nearest(&self, beat: f64) -> f64 {
        let pair = (beat / (2.0 * self.gap)).floor() * 2.0;
        let distance = |line: &f64| (self.line(*line) - beat).abs();
        let lines = [pair, pair + 1.0, pair + 2.0];
        lines.into_iter().fold(pair, |best, line| if distance(&line) < distance(&best) { line } else { best })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::Grid as Lines;
    use crate::tests::GENERATION;

    const ALL: [Lines; 10] = [
        Lines::Quarter,
        Lines::QuarterDotted,
        Lines::QuarterTriplet,
        Lines::Eighth,
        Lines::EighthDotted,
        Lines::EighthTriplet,
        Lines::Sixteenth,
        Lines::SixteenthDotted,
        Lines::SixteenthTriplet,
        Lines::ThirtySecond,
    ];

    fn grid(strength: f32, lines: Lines, swing: f32, beats: Beats) -> Grid {
        Grid::new(&Rhythm { strength, grid: lines, swing, ..GENERATION.rhythm }, beats)
    }

    #[test]
    fn swing_moves_every_second_line() {
        let beats = Beats { per_second: 2.0, at_zero: 3.0 };
        let swung = grid(1.0, Lines::Eighth, 0.75, beats);
        // Lines at beats 3, 3.75, 4, 4.75; the hand-over is at 3.
        let landed = [0.0, 0.05, 0.3, 0.48, 0.9].map(|onset| swung.quantize(onset, None, 0.0));
        assert_eq!(landed, [0.0, 0.0, 0.375, 0.5, 0.875]);
        assert_eq!(swung.quantize(0.02, Some(0.0), 0.0), 0.375, "not the line of the onset before");
        assert_eq!(swung.quantize(0.1, None, 0.1), 0.375, "not a line that has passed");
    }

    proptest! {
        #[test]
        fn onsets_stay_in_order_and_land_on_lines(
            steps in prop::collection::vec(0.031..1.5f64, 1..30), strength in prop_oneof![Just(1.0f32), 0.0..1.0f32],
            lines in prop::sample::select(&ALL[..]), swing in 0.5..0.75f32,
            per_second in 0.3..5.0f64, at_zero in -9.0..9.0f64, floor in 0.0..0.2f64,
        ) {
            let grid = grid(strength, lines, swing, Beats { per_second, at_zero });
            let mut previous = None;
            let mut from = floor;
            for step in steps {
                let onset = grid.quantize(from + step, previous, floor);
                prop_assert!(onset >= floor - 2e-5 / per_second);
                prop_assert!(previous.is_none_or(|previous| onset > previous + WINDOW_S));
                // Moved by at most two lines, plus the room for the shortest distance.
                let moved = (onset - from - step) * per_second / lines.beats();
                let slack = 2.0 * (1.0 + APART_S * per_second / lines.beats());
                prop_assert!(moved.abs() <= slack * f64::from(strength) + 1e-9, "moved by {moved} lines");
                if strength == 1.0 {
                    let beat = (at_zero + onset * per_second) / (2.0 * lines.beats());
                    let place = beat - beat.floor();
                    let off = [place, 1.0 - place, (place - f64::from(swing)).abs()];
                    prop_assert!(off.into_iter().fold(1.0, f64::min) < 1e-9, "at {beat}");
                }
                (previous, from) = (Some(onset), onset);
            }
        }
    }
}
