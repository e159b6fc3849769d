//! Sounding notes: how much longer each key stays down, and whether onsets coincide with note ends. In written music a
//! note ends exactly where another begins; people leave a gap, or hold the note a little longer.

use notes::Successor;

use crate::encoding::PITCHES;

/// A note that ends less than this after an onset (in seconds) does not count as sounding through it.
const OVERLAP_S: f32 = 0.010;
/// An end and an onset nearer than this are related: seconds, or a fraction of the step if that is longer.
const NEAR: (f32, f32) = (0.012, 0.03);
/// An end and an onset nearer than this (in seconds) coincide.
const ONE_S: f32 = 0.0015;
/// An onset that coincides with an end is placed this much after it, in seconds: their order must not depend on
/// rounding.
const AFTER_S: f64 = 20e-6;
/// Decay of [`Sounding::joined`] per onset that is related to an end.
const DECAY: f32 = 0.95;

/// Key durations as of the last onset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sounding {
    /// Seconds for which each pitch sounds on after the last onset; 0: silent.
    left: [f32; PITCHES],
    /// Share of recent onsets related to an end that coincided with it: 0–1.
    joined: f32,
    /// Seconds from the nearest end to the last onset; negative: that note sounded on. `None`: nothing was sounding.
    gap: Option<f32>,
}

impl Default for Sounding {
    fn default() -> Self {
        Self { left: [0.0; PITCHES], joined: 0.0, gap: None }
    }
}

impl Sounding {
    /// Adds a note.
    pub fn feed(&mut self, note: &Successor) {
        let step = note.step as f32;
        if step > 0.0 {
            let gaps = self.left.iter().filter(|left| **left > 0.0).map(|left| step - left);
            self.gap = gaps.min_by(|a, b| a.abs().total_cmp(&b.abs()));
            let near = NEAR.0.max(NEAR.1 * step);
            if let Some(gap) = self.gap.filter(|gap| gap.abs() < near) {
                self.joined = DECAY * self.joined + (1.0 - DECAY) * f32::from(u8::from(gap.abs() < ONE_S));
            }
            self.left.iter_mut().for_each(|left| *left = (*left - step).max(0.0));
        }
        let left = &mut self.left[usize::from(note.pitch.min(127))];
        *left = left.max(note.duration as f32);
    }

    /// Seconds for which `pitch` sounds on after an onset `step` seconds from the last one; 0: silent.
    pub fn left(&self, pitch: usize, step: f32) -> f32 {
        let left = self.left[pitch] - step;
        if left > OVERLAP_S { left } else { 0.0 }
    }

    /// [`Sounding::left()`] of every note that sounds on, from the lowest pitch.
    pub fn ends(&self, step: f32) -> impl Iterator<Item = f32> + Clone {
        (0..PITCHES).map(move |pitch| self.left(pitch, step)).filter(|left| *left > 0.0)
    }

    /// Seconds from the last onset to the next end.
    pub fn next_end(&self) -> Option<f32> {
        self.ends(0.0).min_by(f32::total_cmp)
    }

    /// Seconds from the nearest end to the last onset; negative: that note sounded on. `None`: nothing was sounding.
    pub fn gap(&self) -> Option<f32> {
        self.gap
    }

    /// `time`, or a moment later if a note ends just then, so that rounding never makes consecutive notes overlap.
    pub fn after_ends(&self, time: f64) -> f64 {
        let same = |end: &f64| (end - time).abs() < AFTER_S;
        self.ends(0.0).map(f64::from).filter(same).fold(time, |time, end| time.max(end + AFTER_S))
    }

    /// The note end in [`begin`, `end`), in seconds after the last onset, at which an onset should be placed: that of
    /// the pitch `last` if possible. `None`: no note ends there, or `chance`, uniform in 0–1, decides against it, so
    /// that onsets coincide with ends as often as they did before.
    pub fn end_in(&self, begin: f64, end: f64, last: Option<u8>, chance: f32) -> Option<f64> {
        if chance >= self.joined {
            return None;
        }
        let last = last.map(|last| self.left(last.into(), 0.0));
        last.into_iter().chain(self.ends(0.0)).map(f64::from).find(|time| begin <= *time && *time < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(notes: impl IntoIterator<Item = (f64, f64)>) -> Sounding {
        let mut sounding = Sounding::default();
        for (n, (step, duration)) in notes.into_iter().enumerate() {
            sounding.feed(&Successor { step, spread: 0.0, duration, pitch: 60 + n as u8 % 24, velocity: 64 });
        }
        sounding
    }

    #[test]
    fn who_waits_for_ends_is_known() {
        let exact = heard((0..60).map(|_| (0.31, 0.31)));
        let loose = heard((0..60).map(|n| (0.31, if n % 2 == 0 { 0.317 } else { 0.304 })));
        assert_eq!(exact.end_in(0.3, 0.32, Some(59), 0.9).map(|end| (end * 1000.0).round()), Some(310.0));
        assert_eq!(loose.end_in(0.3, 0.32, Some(59), 0.1), None);
        assert!(exact.gap().is_some_and(|gap| gap.abs() < 1e-5));
        assert!(loose.gap().is_some_and(|gap| (gap.abs() - 0.0065).abs() < 0.001));
        assert_eq!(exact.end_in(0.32, 0.34, Some(59), 0.0), None, "nothing ends there");
    }
}
