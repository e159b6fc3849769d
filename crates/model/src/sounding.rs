//! Sounding notes: how much longer each key stays down, and whether onsets coincide with note ends. In written music a
//! note ends exactly where another begins; people leave a gap, or hold the note a little longer.

use notes::Successor;

use crate::encoding::PITCHES;
use crate::rhythm::{NEAR_DURATION, near_duration};
use crate::share::ExactShare;

/// A note that ends less than this after an onset (in seconds) does not count as sounding through it.
const OVERLAP_S: f32 = 0.010;
/// An end and an onset nearer than this (in seconds) coincide.
const ONE_S: f32 = 0.0015;
/// How often an onset near an unrelated end coincides with it, by chance.
const ONE_BY_CHANCE: f32 = ONE_S / NEAR_DURATION.0 as f32;
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
    /// Share of recent onsets related to an end that coincided with it.
    joined: ExactShare,
    /// Seconds from the nearest end to the last onset; negative: that note sounded on. `None`: nothing was sounding.
    gap: Option<f32>,
}

impl Default for Sounding {
    fn default() -> Self {
        Self { left: [0.0; PITCHES], joined: ExactShare::new(DECAY, ONE_BY_CHANCE), gap: None }
    }
}

impl Sounding {
    /// Adds a note. `habit`: it shows how exact the player is.
    pub fn feed(&mut self, note: &Successor, habit: bool) {
        let step = note.step as f32;
        if step > 0.0 {
            let gaps = self.left.iter().filter(|left| **left > 0.0).map(|left| step - left);
            self.gap = gaps.min_by(|a, b| a.abs().total_cmp(&b.abs()));
            if let Some(gap) = self.gap.filter(|gap| habit && f64::from(gap.abs()) < near_duration(note.step)) {
                self.joined.feed(gap.abs() < ONE_S);
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

    /// The note end, in seconds after the last onset, at which an onset near `time` should be placed: that of the pitch
    /// `last` if it is near, else the nearest. `None`: no note ends near, or `chance`, uniform in 0–1, decides against
    /// it, so that onsets coincide with ends as often as they did before.
    pub fn end_near(&self, time: f64, last: Option<u8>, chance: f32) -> Option<f64> {
        if !self.joined.applies(chance) {
            return None;
        }
        let near = near_duration(time);
        let off = |end: &f64| (end - time).abs();
        let is_near = |end: &f64| *end > 0.0 && off(end) < near;
        let last = last.map(|last| f64::from(self.left(last.into(), 0.0))).filter(is_near);
        last.or_else(|| self.ends(0.0).map(f64::from).filter(is_near).min_by(|a, b| off(a).total_cmp(&off(b))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(notes: impl IntoIterator<Item = (f64, f64)>) -> Sounding {
        let mut sounding = Sounding::default();
        for (n, (step, duration)) in notes.into_iter().enumerate() {
            let pitch = 60 + n as u8 % 24;
            sounding.feed(&Successor { step, spread: 0.0, duration, pitch, velocity: 64 }, true);
        }
        sounding
    }

    #[test]
    fn who_waits_for_ends_is_known() {
        let exact = heard((0..60).map(|_| (0.31, 0.31)));
        let loose = heard((0..60).map(|n| (0.31, if n % 2 == 0 { 0.317 } else { 0.304 })));
        let millis = |end: f64| (end * 1000.0).round();
        assert_eq!([0.29, 0.312, 0.33].map(|time| exact.end_near(time, Some(59), 0.8).map(millis)), [Some(310.0); 3]);
        assert_eq!(loose.end_near(0.31, Some(59), 0.1), None);
        assert!(exact.gap().is_some_and(|gap| gap.abs() < 1e-5));
        assert!(loose.gap().is_some_and(|gap| (gap.abs() - 0.0065).abs() < 0.001));
        assert_eq!(exact.end_near(0.35, Some(59), 0.0), None, "nothing ends there");
    }
}
