//! What sounds: for how long each key will still be down, and whether onsets wait for ends. In written music a note ends
//! where another begins, to the tick; people leave a gap, or hold the note a little longer.

use notes::Successor;

use crate::encoding::PITCHES;

/// A note that ends less than this after an onset (seconds) does not sound on through it.
const OVERLAP_S: f32 = 0.010;
/// An end and an onset that are nearer to each other belong together: seconds, and a part of the step.
const NEAR: (f32, f32) = (0.012, 0.03);
/// An end and an onset that are nearer to each other are one moment, in seconds.
const ONE_S: f32 = 0.0015;
/// An onset at an end comes so much after it, in seconds: which of them is first must not depend on rounding.
const AFTER_S: f64 = 20e-6;
/// Decay per onset that belongs to an end of how many are one moment with it.
const DECAY: f32 = 0.95;

/// The keys that are down at the last onset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sounding {
    /// Seconds each pitch sounds on after the last onset; 0: silent.
    left: [f32; PITCHES],
    /// Of the last onsets that belonged to an end, how many were one moment with it: 0–1.
    joined: f32,
    /// Seconds from the nearest end to the last onset; below 0: that note sounded on. `None`: nothing ended.
    gap: Option<f32>,
}

impl Default for Sounding {
    fn default() -> Self {
        Self { left: [0.0; PITCHES], joined: 0.0, gap: None }
    }
}

impl Sounding {
    /// Takes in the next note.
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

    /// Seconds that `pitch` sounds on at the onset `step` seconds after the last one; 0: it does not.
    pub fn left(&self, pitch: usize, step: f32) -> f32 {
        let left = self.left[pitch] - step;
        if left > OVERLAP_S { left } else { 0.0 }
    }

    /// The same of every note that sounds on, from the lowest.
    pub fn ends(&self, step: f32) -> impl Iterator<Item = f32> + Clone {
        (0..PITCHES).map(move |pitch| self.left(pitch, step)).filter(|left| *left > 0.0)
    }

    /// Seconds from the last onset to the next end.
    pub fn next_end(&self) -> Option<f32> {
        self.ends(0.0).min_by(f32::total_cmp)
    }

    /// Seconds from the nearest end to the last onset; below 0: that note sounded on. `None`: nothing ended.
    pub fn gap(&self) -> Option<f32> {
        self.gap
    }

    /// The time of an onset, or a moment later if a note ends just then: two notes in a row do not overlap by a rounding.
    pub fn after_ends(&self, time: f64) -> f64 {
        let same = |end: &f64| (end - time).abs() < AFTER_S;
        self.ends(0.0).map(f64::from).filter(same).fold(time, |time, end| time.max(end + AFTER_S))
    }

    /// The end in [`begin`, `end`) seconds after the last onset that an onset there waits for; that of `last`, the last
    /// pitch, before others. `None`: there is none; or `chance`, even in 0–1, decides against it: onsets wait for ends
    /// as often as they did.
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
