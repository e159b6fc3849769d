//! Rhythm relative to itself: recent intervals between onsets serve as references for the next. Ratios such as equal,
//! half or double are the same at every tempo; bins of seconds are not.

use std::sync::LazyLock;

use notes::Successor;

use crate::{
    activation::{exp, ln},
    conditioning::Meter,
    decoder::center,
    encoding::{FINE_BINS, TIMES, time_bin, time_range},
    share::ExactShares,
};

/// Number of ratio classes on either side of 1.
const RATIO_REACH: i32 = 64;
/// Number of ratio classes, from 1/16 to 16. Each is as wide as a coarse time bin (4.4 %).
pub(crate) const RATIOS: usize = 2 * RATIO_REACH as usize + 1;
/// Number of phase classes: positions within a beat.
pub(crate) const PHASES: usize = 24;
/// Number of sixteenth-note positions in a bar.
pub(crate) const SIXTEENTHS: usize = 32;
/// Subdivisions of a beat, from the strongest; a wide bin stands for the strongest position in it.
const SUBDIVISIONS: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 6.0, 12.0];
/// Two intervals are meant to be equal if the natural logarithms of their lengths differ by less than this.
const EQUAL: f32 = 0.12;
/// Number of deviations kept.
const DEVIATIONS: usize = 24;
/// Number of deviations assumed before any input.
const ASSUMED: usize = 3;
/// Durations whose natural logarithms differ by less than this are equal: no hand does that on purpose.
const EXACT: f32 = 0.004;
/// A time and another that it may be meant to equal differ by less than this: seconds, or a fraction of the time if that is
/// longer. The network is off by a bin or two, more for durations than for intervals.
const NEAR_INTERVAL: (f64, f64) = (0.015, 0.06);
/// The same for durations.
pub(crate) const NEAR_DURATION: (f64, f64) = (0.025, 0.09);
/// Decay of [`Rhythm::exact`] per note.
const EXACT_DECAY: f32 = 0.97;
/// How often an unrelated duration equals an expected one that is near, by chance.
const EXACT_BY_CHANCE: f32 = 0.05;
/// Number of recent durations that a new one may equal.
const DURATIONS: usize = 4;
/// Number of recent intervals kept.
const INTERVALS: usize = 4;
/// Largest deviation assumed before any input: that of a steady player.
const DEVIATION: f32 = 0.035;

/// Natural logarithms of the time bins' centers in seconds; the chord bin's is not used.
static LOGARITHMS: LazyLock<[f32; TIMES]> = LazyLock::new(|| std::array::from_fn(|bin| ln(center(bin.max(1)) as f32)));
/// Width of a ratio class, as a natural logarithm.
static WIDTH: LazyLock<f32> = LazyLock::new(|| {
    let (begin, end) = time_range(FINE_BINS);
    ln((end / begin) as f32)
});

/// Decay of the usage counts per note.
const USE_DECAY: f32 = 0.985;
/// Limits between the levels of use, from the lowest.
const USES: [f32; USE_LEVELS - 1] = [0.3, 0.9, 2.1, 5.1, 12.1];
/// Number of levels for bins that were used at all.
pub(crate) const USE_LEVELS: usize = 6;
/// A lower count means unused.
const UNUSED: f32 = 0.05;

/// Decaying counts of how often each time bin occurred: players keep to a few.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Used([f32; TIMES]);

impl Default for Used {
    fn default() -> Self {
        Self([0.0; TIMES])
    }
}

impl Used {
    fn feed(&mut self, seconds: f64) {
        self.0.iter_mut().for_each(|count| *count *= USE_DECAY);
        self.0[time_bin(seconds)] += 1.0;
    }

    /// The level of use of a bin; `None`: unused.
    pub fn level(&self, bin: usize) -> Option<usize> {
        let count = *self.0.get(bin)?;
        (count >= UNUSED).then(|| USES.iter().filter(|limit| count >= **limit).count())
    }
}

/// A time that others are compared with, stored as the natural logarithm of seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reference(f32);

impl Reference {
    /// A reference of so many seconds. Below a quarter second, where bins are wider than ratio classes, it is rounded
    /// to its bin.
    pub fn of(seconds: f32) -> Self {
        let bin = time_bin(seconds.into());
        Self(if bin < FINE_BINS { LOGARITHMS[bin.max(1)] } else { ln(seconds) })
    }

    /// The class of the ratio of a time bin to this reference.
    pub fn class(self, bin: usize) -> usize {
        Self::ratio(LOGARITHMS[bin] - self.0)
    }

    /// The class of the ratio of another time to this reference.
    pub fn class_of(self, other: Self) -> usize {
        Self::ratio(other.0 - self.0)
    }

    fn ratio(logarithm: f32) -> usize {
        // Rounds half up; `round` may be a library call.
        let class = (logarithm / *WIDTH + 0.5).floor() as i32;
        (class.clamp(-RATIO_REACH, RATIO_REACH) + RATIO_REACH) as usize
    }
}

/// The latest intervals between onsets (a chord is one onset) and durations, and how regular they are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rhythm {
    /// In seconds, latest first. `None`: not available yet.
    intervals: [Option<f32>; INTERVALS],
    /// In seconds, latest first.
    durations: [Option<f32>; DURATIONS],
    /// Duration of the last note as a fraction of the interval that led to it.
    held: Option<f32>,
    /// How often a duration near an expected one equaled it exactly.
    exact: ExactShares,
    /// Ring buffer of recent deviations from the intended interval, as natural logarithms of ratios. Most are tiny and
    /// a few are large, in written music and in people's playing alike, so a mean would not describe them.
    deviations: [f32; DEVIATIONS],
    /// How many of them there are: those assumed, which the first ones replace, then as many as were seen.
    deviation_count: u8,
    /// Index of the next one to be replaced.
    oldest: u8,
    /// Usage of time bins by intervals.
    pub intervals_used: Used,
    /// Usage of time bins by durations.
    pub durations_used: Used,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            intervals: [None; INTERVALS],
            durations: [None; DURATIONS],
            held: None,
            exact: ExactShares::new(EXACT_DECAY, EXACT_BY_CHANCE),
            deviations: std::array::from_fn(|n| if n < ASSUMED { DEVIATION * (n as f32 - 1.0) } else { 0.0 }),
            deviation_count: ASSUMED as u8,
            oldest: 0,
            intervals_used: Used::default(),
            durations_used: Used::default(),
        }
    }
}

impl Rhythm {
    /// Adds a note; `first`: it is the first one, which no interval leads to. `habit`: it shows how exact the player is.
    pub fn feed(&mut self, note: &Successor, first: bool, habit: bool) {
        let (step, duration) = (note.step as f32, (note.duration as f32).max(0.01));
        let close = near_duration(note.duration);
        let mut meant =
            self.durations_meant(note.step).filter(|meant| (meant - note.duration).abs() < close).peekable();
        if habit && meant.peek().is_some() {
            let exact = meant.any(|meant| ln(duration / meant as f32).abs() < EXACT);
            self.exact.feed(note.step, exact);
        }
        self.durations_used.feed(note.duration);
        self.durations.rotate_right(1);
        self.durations[0] = Some(duration);
        self.held = if step > 0.0 { Some(duration / step) } else { self.intervals[0].map(|last| duration / last) };
        if first || step <= 0.0 {
            return;
        }
        self.intervals_used.feed(note.step);
        let off = self.equals().map(|meant| ln(step / meant as f32)).min_by(|a, b| a.abs().total_cmp(&b.abs()));
        if let Some(off) = off.filter(|off| habit && off.abs() < EQUAL) {
            self.deviations[usize::from(self.oldest)] = off;
            self.deviation_count = self.deviation_count.max(self.oldest + 1);
            self.oldest = (self.oldest + 1) % DEVIATIONS as u8;
        }
        self.intervals.rotate_right(1);
        self.intervals[0] = Some(step);
    }

    /// Whether an interval is as long as one of the last two, within a ratio class. `None`: there is none to compare
    /// with.
    pub fn is_even(&self, step: f64) -> Option<bool> {
        let same = |interval: &Option<f32>| interval.is_some_and(|last| ln(step as f32 / last).abs() < *WIDTH);
        self.intervals[0].map(|_| self.intervals[..2].iter().any(same))
    }

    /// References for the next interval: the last one, the one before it, and their sum.
    pub fn step_references(&self) -> [Option<Reference>; 3] {
        let [last, before, ..] = self.intervals;
        [last, before, last.zip(before).map(|(last, before)| last + before)].map(|time| time.map(Reference::of))
    }

    /// More references: the two intervals before those, for figures of three and four notes.
    pub fn earlier_references(&self) -> [Option<Reference>; 2] {
        [self.intervals[2], self.intervals[3]].map(|time| time.map(Reference::of))
    }

    /// References for the duration of a note after `step` seconds: the interval that leads to it, and the last
    /// duration.
    pub fn duration_references(&self, step: f64) -> [Option<Reference>; 2] {
        let interval = if step > 0.0 { Some(step as f32) } else { self.intervals[0] };
        [interval, self.durations[0]].map(|time| time.map(Reference::of))
    }

    /// Candidates for the exact duration of a note after `step` seconds: the recent durations, the last note's fraction
    /// of the interval, the whole interval, and its simple multiples and fractions.
    fn durations_meant(&self, step: f64) -> impl Iterator<Item = f64> + Clone + use<> {
        let interval = if step > 0.0 { Some(step as f32) } else { self.intervals[0] };
        let part = self.held.zip(interval).map(|(held, interval)| held * interval);
        self.durations.into_iter().chain([part, interval]).flatten().map(f64::from).chain(multiples(interval))
    }

    /// The duration for one drawn as `time`: one that exactly equals a recent one or fits the interval (see
    /// `durations_meant`) or lasts until one of the `ends`; in the same bin as `time` if possible, else near it.
    /// `None`: there is none, or `chance`, uniform in 0–1, decides against it, so that durations are exact as often as
    /// they were before.
    pub fn exact_duration(
        &self,
        step: f64,
        ends: impl Iterator<Item = f32> + Clone,
        time: f64,
        chance: f32,
    ) -> Option<f64> {
        if !self.exact.applies(step, chance) {
            return None;
        }
        let (begin, end) = time_range(time_bin(time));
        let meant = self.durations_meant(step).chain(ends.map(f64::from));
        let in_bin = meant.clone().find(|meant| begin <= *meant && *meant < end);
        in_bin.or_else(|| nearest(meant, time).filter(|meant| (meant - time).abs() < near_duration(time)))
    }

    /// Lengths that an interval may repeat, in seconds: the last interval, the one before it, and their sum.
    fn equals(&self) -> impl Iterator<Item = f64> + Clone + use<> {
        let [last, before, ..] = self.intervals.map(|time| time.map(f64::from));
        let both = last.zip(before).map(|(last, before)| last + before);
        [last, before, both].into_iter().flatten()
    }

    /// The interval for one drawn as `time`, as this player would time it. The intended time is a position in the beat if
    /// onsets keep to the beat, else an earlier interval, or a simple multiple or fraction of the last one; it is varied
    /// by one of the recent deviations, which `chance`, uniform in 0–1, selects. `None`: nothing fits.
    ///
    /// An exact player's interval is never just off: if nothing in the same bin as `time` fits, one near it does, as
    /// often as the player is exact.
    pub fn played(&self, time: f64, meter: Option<Meter>, chance: f64) -> Option<f64> {
        /// Onsets keep to the beat if they are off its subdivisions by less than this, in beats.
        const ON_BEAT: f64 = 0.03;
        let off_beat = |position: f64| (position * 12.0 - (position * 12.0).round()).abs() / 12.0;
        let (begin, end) = time_range(time_bin(time));
        let placed = meter.filter(|meter| off_beat(meter.position) < ON_BEAT).and_then(|meter| {
            let position = strongest(meter, begin, end)?;
            Some((position - meter.position) * meter.beat_s)
        });
        let meant = placed.into_iter().chain(self.equals()).chain(multiples(self.intervals[0]));
        let in_bin = meant.clone().find_map(|meant| self.off(meant, begin, end, chance));
        in_bin.or_else(|| {
            let near = near_interval(time);
            let meant = nearest(meant, time).filter(|meant| (meant - time).abs() < near)?;
            self.is_exact(chance).then_some(meant)
        })
    }

    /// Whether an interval should be exact, so that intervals are as often as before; `chance` is uniform in 0–1.
    pub fn is_exact(&self, chance: f64) -> bool {
        let exact = self.deviations().iter().filter(|off| off.abs() < EXACT).count();
        chance * (self.deviations().len() as f64) < exact as f64
    }

    fn deviations(&self) -> &[f32] {
        &self.deviations[..usize::from(self.deviation_count)]
    }

    /// `time` varied by one of the recent deviations, among those that land in [`begin`, `end`).
    fn off(&self, time: f64, begin: f64, end: f64, chance: f64) -> Option<f64> {
        let farthest = 1.0 + f64::from(EQUAL) * 1.1;
        if time * farthest < begin || end * farthest < time {
            return None;
        }
        let all = self.deviations().iter().map(|off| time * f64::from(exp(*off)));
        let mut landing = all.filter(|time| begin <= *time && *time < end);
        let count = landing.clone().count();
        landing.nth((chance * count as f64) as usize)
    }
}

/// Simple multiples and fractions of an interval, simplest first.
fn multiples(interval: Option<f32>) -> impl Iterator<Item = f64> + Clone {
    const FACTORS: [f64; 8] = [2.0, 0.5, 1.5, 2.0 / 3.0, 3.0, 1.0 / 3.0, 4.0, 0.25];
    FACTORS.into_iter().filter_map(move |by| interval.map(|interval| by * f64::from(interval)))
}

/// How near to an interval another one must be that it may be meant to equal, in seconds.
fn near_interval(time: f64) -> f64 {
    NEAR_INTERVAL.0.max(NEAR_INTERVAL.1 * time)
}

/// How near to a duration another one must be that it may be meant to equal, and to a note's end an onset that may be
/// meant to coincide with it, in seconds.
pub(crate) fn near_duration(time: f64) -> f64 {
    NEAR_DURATION.0.max(NEAR_DURATION.1 * time)
}

/// The nearest of the times.
fn nearest(times: impl Iterator<Item = f64>, time: f64) -> Option<f64> {
    times.min_by(|a, b| (a - time).abs().total_cmp(&(b - time).abs()))
}

/// The strongest subdivision of a beat at least `begin` and less than `end` seconds after the onset of `meter`, as a
/// position in beats on its bar's scale.
fn strongest(meter: Meter, begin: f64, end: f64) -> Option<f64> {
    let (begin, end) = (meter.position + begin / meter.beat_s, meter.position + end / meter.beat_s);
    SUBDIVISIONS.iter().find_map(|&parts| {
        let place = (begin * parts).ceil() / parts;
        (place < end).then_some(place)
    })
}

/// Where a time bin after an onset lands: position in the beat, and sixteenth of the bar.
pub(crate) fn landing(meter: Meter, bin: usize) -> (usize, Option<usize>) {
    let (begin, end) = time_range(bin);
    // A narrow bin is nearest to one position; a wide one contains several and stands for the strongest.
    let narrow = (end - begin) * PHASES as f64 <= meter.beat_s;
    let wide = if narrow { None } else { strongest(meter, begin, end) };
    place(Meter { position: wide.unwrap_or(meter.position + center(bin) / meter.beat_s), ..meter })
}

/// The position in the beat, and the sixteenth of the bar if bars are known.
pub(crate) fn place(meter: Meter) -> (usize, Option<usize>) {
    let nearest = |position: f64, parts: f64| (position * parts + 0.5).floor() as usize;
    let phase = nearest(meter.position - meter.position.floor(), PHASES as f64) % PHASES;
    let sixteenths = nearest(meter.bar, 4.0);
    let sixteenth = (sixteenths > 0).then(|| nearest(meter.position, 4.0) % sixteenths);
    (phase, sixteenth.map(|sixteenth| sixteenth.min(SIXTEENTHS - 1)))
}

/// `seconds`, kept off the borders of its bin by a margin: recomputed as a difference of onsets, a time is off in its last
/// bits, which at a border would decide its bin.
pub(crate) fn off_border(seconds: f64) -> f64 {
    const MARGIN_S: f64 = 1e-6;
    let (begin, end) = time_range(time_bin(seconds));
    seconds.min(end - MARGIN_S).max(begin + MARGIN_S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heard(steps: &[f64]) -> Rhythm {
        let mut rhythm = Rhythm::default();
        for (n, &step) in steps.iter().enumerate() {
            rhythm.feed(&Successor { step, spread: 0.0, duration: 0.2, pitch: 60, velocity: 64 }, n == 0, true);
        }
        rhythm
    }

    proptest! {
        #[test]
        fn a_ratio_has_the_same_class_at_every_tempo(step in 0.3..2.0f64, tempo in 1.0..2.0f64) {
            let class = |step: f64| {
                Reference::of(step as f32).class_of(Reference::of(2.0 * step as f32))
            };
            prop_assert!(class(step).abs_diff(class(step * tempo)) <= 1);
        }

        #[test]
        fn as_long_as_the_last_is_the_middle_class(step in 0.035..9.0f64) {
            let middle = RATIO_REACH as usize;
            let [last, before, both] = heard(&[0.0, step, step]).step_references();
            prop_assert!(last.unwrap().class(time_bin(step)).abs_diff(middle) <= 1);
            prop_assert_eq!(last, before);
            if step > 0.26 {
                prop_assert!(both.unwrap().class(time_bin(2.0 * step)).abs_diff(middle) <= 1);
            }
        }

        #[test]
        fn what_is_played_is_near_what_was_drawn(
            steps in prop::collection::vec(0.04..1.0f64, 3..8), drawn in 0.036..15.0f64, beat_s in 0.3..1.0f64, position in 0.0..4.0f64,
            chance in 0.0..1.0f64,
        ) {
            let (begin, end) = time_range(time_bin(drawn));
            let near = near_interval(drawn);
            for meter in [None, Some(Meter { beat_s, position, bar: 4.0 })] {
                if let Some(time) = heard(&steps).played(drawn, meter, chance) {
                    let is_near = begin <= time && time < end || (time - drawn).abs() < near;
                    prop_assert!(is_near, "{time} for {drawn}");
                }
            }
        }
    }

    #[test]
    fn a_player_is_answered_as_evenly_as_he_plays() {
        let answers = |steps: &[f64], drawn: f64| -> Vec<f64> {
            let rhythm = heard(steps);
            (0..20).filter_map(|n| rhythm.played(drawn, None, f64::from(n) / 20.0)).collect()
        };
        // Also where the network is off by a bin.
        for drawn in [0.252, 0.246, 0.262] {
            let even = answers(&[0.2513; 40], drawn);
            assert!(even.len() == 20 && even.iter().all(|time| (time - 0.2513).abs() < 1e-6), "{even:?}");
        }
        // A few notes are enough.
        let short = answers(&[0.2513; 5], 0.246);
        assert!(short.len() == 20 && short.iter().all(|time| (time - 0.2513).abs() < 1e-6), "{short:?}");
        // Four in five are exact.
        let steps: Vec<f64> = (0..40).map(|n| if n % 5 == 0 { 0.2529 } else { 0.2513 }).collect();
        let exact = answers(&steps, 0.252).iter().filter(|time| (*time - 0.2513).abs() < 1e-6).count();
        assert!((12..20).contains(&exact), "{exact} of 20");
    }

    #[test]
    fn places_are_found_in_beat_and_bar() {
        let meter = Meter { beat_s: 0.5, position: 3.5, bar: 4.0 };
        assert_eq!(place(meter), (12, Some(14)));
        // The next bar begins half a beat later; a wide bin stands for the strongest position in it.
        assert_eq!(landing(meter, time_bin(0.25)), (0, Some(0)));
        assert_eq!(landing(meter, time_bin(2.25)), (0, Some(0)));
        assert_eq!(place(Meter { bar: 0.0, ..meter }), (12, None));
        let later = meter.after(0.75);
        assert!((later.position - 1.0).abs() < 1e-9);
    }
}
