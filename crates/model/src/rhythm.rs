//! Rhythm told from rhythm: the last intervals between onsets as references for the next. As long as the last
//! one, half as long, twice as long: each is the same at every tempo, where bins of seconds are not.

use std::sync::LazyLock;

use notes::Successor;

use crate::{
    activation::{exp, ln},
    decoder::centre,
    encoding::{FINE_BINS, TIMES, time_bin, time_range},
    told::Meter,
};

/// Ratios that are told apart, on either side of 1.
const RATIO_REACH: i32 = 64;
/// Number of ratio classes. Each is as wide as a coarse time bin (4.4 %); from 1/16 to 16.
pub(crate) const RATIOS: usize = 2 * RATIO_REACH as usize + 1;
/// Places in a beat that are told apart.
pub(crate) const PHASES: usize = 24;
/// Sixteenths of a bar that are told apart.
pub(crate) const SIXTEENTHS: usize = 32;
/// Subdivisions of a beat, from the strongest; a wide bin stands for the strongest place in it.
const SUBDIVISIONS: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 6.0, 12.0];
/// Two intervals that differ by less (natural logarithm of their ratio) are meant to be equal.
const EQUAL: f32 = 0.12;
/// Deviations that are kept.
const DEVIATIONS: usize = 24;
/// Durations whose logarithms differ by less are equal: no hand does that on purpose.
const EXACT: f32 = 0.004;
/// Decay per note of how many are.
const EXACT_DECAY: f32 = 0.97;
/// Durations that a new one may be as long as.
const DURATIONS: usize = 4;
/// Intervals that are kept.
const INTERVALS: usize = 4;
/// The largest deviation before anything was heard: that of a steady player.
const DEVIATION: f32 = 0.035;

/// Centers of the time bins as natural logarithms; that of chords is not used.
static LOGARITHMS: LazyLock<[f32; TIMES]> = LazyLock::new(|| std::array::from_fn(|bin| ln(centre(bin.max(1)) as f32)));
/// Width of a ratio class, as a natural logarithm.
static WIDTH: LazyLock<f32> = LazyLock::new(|| {
    let (begin, end) = time_range(FINE_BINS);
    ln((end / begin) as f32)
});

/// Decay per note of how often each time bin was heard.
const USE_DECAY: f32 = 0.985;
/// How often a bin was heard lately, as levels: below these, from the lowest on.
const USES: [f32; USE_LEVELS - 1] = [0.3, 0.9, 2.1, 5.1, 12.1];
/// Number of levels, for bins that were heard at all.
pub(crate) const USE_LEVELS: usize = 6;
/// Less than this is not at all.
const UNUSED: f32 = 0.05;

/// How often each time bin was heard lately: players keep to a few.
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

    /// How much so; `None`: not at all.
    pub fn level(&self, bin: usize) -> Option<usize> {
        let count = *self.0.get(bin)?;
        (count >= UNUSED).then(|| USES.iter().filter(|limit| count >= **limit).count())
    }
}

/// A time that others are compared with, as a natural logarithm of seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reference(f32);

impl Reference {
    /// Below a quarter second a bin is wider than a ratio class: there, times of one bin are equal.
    pub fn of(seconds: f32) -> Self {
        let bin = time_bin(seconds.into());
        Self(if bin < FINE_BINS { LOGARITHMS[bin.max(1)] } else { ln(seconds) })
    }

    /// The class of a time bin's ratio to it.
    pub fn class(self, bin: usize) -> usize {
        Self::ratio(LOGARITHMS[bin] - self.0)
    }

    /// The class of another time's ratio to it.
    pub fn class_of(self, other: Self) -> usize {
        Self::ratio(other.0 - self.0)
    }

    fn ratio(logarithm: f32) -> usize {
        // Rounded half up: `round` may be a call into a library.
        let class = (logarithm / *WIDTH + 0.5).floor() as i32;
        (class.clamp(-RATIO_REACH, RATIO_REACH) + RATIO_REACH) as usize
    }
}

/// The last intervals between onsets (chords count once), and how even they are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rhythm {
    /// Seconds; from the last one back. `None`: not heard yet.
    intervals: [Option<f32>; INTERVALS],
    /// Seconds the last notes were held for, the latest first.
    durations: [Option<f32>; DURATIONS],
    /// The last note's, as a part of the interval that led to it.
    held: Option<f32>,
    /// Of the last durations in the bin of another, or of what their interval asked, how many were exactly as long: 0–1.
    exact: f32,
    /// How far the last intervals were off what they were meant to be, as natural logarithms of ratios, in a ring. Most
    /// are tiny and a few are large, in written music and in people's playing alike: no mean says that.
    deviations: [f32; DEVIATIONS],
    /// The next to be replaced.
    oldest: u8,
    /// Intervals, by their bins.
    pub intervals_used: Used,
    /// Durations, by their bins.
    pub durations_used: Used,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            intervals: [None; INTERVALS],
            durations: [None; DURATIONS],
            held: None,
            exact: 0.0,
            deviations: std::array::from_fn(|n| DEVIATION * (2.0 * n as f32 / (DEVIATIONS - 1) as f32 - 1.0)),
            oldest: 0,
            intervals_used: Used::default(),
            durations_used: Used::default(),
        }
    }
}

impl Rhythm {
    /// Takes in the next note.
    pub fn feed(&mut self, note: &Successor, first: bool) {
        let (step, duration) = (note.step as f32, (note.duration as f32).max(0.01));
        let bin = time_bin(note.duration);
        let mut near = self.durations_meant(note.step).filter(|meant| time_bin(*meant) == bin).peekable();
        if near.peek().is_some() {
            let exact = near.any(|meant| ln(duration / meant as f32).abs() < EXACT);
            self.exact = EXACT_DECAY * self.exact + (1.0 - EXACT_DECAY) * f32::from(u8::from(exact));
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
        if let Some(off) = off.filter(|off| off.abs() < EQUAL) {
            self.deviations[usize::from(self.oldest)] = off;
            self.oldest = (self.oldest + 1) % DEVIATIONS as u8;
        }
        self.intervals.rotate_right(1);
        self.intervals[0] = Some(step);
    }

    /// Whether an interval is as long as one of the last two, within a ratio class. `None`: there is none to compare it with.
    pub fn is_even(&self, step: f64) -> Option<bool> {
        let same = |interval: &Option<f32>| interval.is_some_and(|last| ln(step as f32 / last).abs() < *WIDTH);
        self.intervals[0].map(|_| self.intervals[..2].iter().any(same))
    }

    /// What the next interval is compared with: the last one, the one before, both together.
    pub fn step_references(&self) -> [Option<Reference>; 3] {
        let [last, before, ..] = self.intervals;
        [last, before, last.zip(before).map(|(last, before)| last + before)].map(|time| time.map(Reference::of))
    }

    /// And with the two before those: figures of three and four notes.
    pub fn earlier_references(&self) -> [Option<Reference>; 2] {
        [self.intervals[2], self.intervals[3]].map(|time| time.map(Reference::of))
    }

    /// What the duration of a note after `step` seconds is compared with: the interval that leads to it, and the
    /// last duration.
    pub fn duration_references(&self, step: f64) -> [Option<Reference>; 2] {
        let interval = if step > 0.0 { Some(step as f32) } else { self.intervals[0] };
        [interval, self.durations[0]].map(|time| time.map(Reference::of))
    }

    /// What a note's duration after this step may exactly be: one of the last, as large a part of the interval, all of it.
    fn durations_meant(&self, step: f64) -> impl Iterator<Item = f64> + Clone + use<> {
        let interval = if step > 0.0 { Some(step as f32) } else { self.intervals[0] };
        let part = self.held.zip(interval).map(|(held, interval)| held * interval);
        self.durations.into_iter().chain([part, interval]).flatten().map(f64::from)
    }

    /// The duration in [`begin`, `end`) that is exactly one of those or lasts until one of these `ends`, or the border of the
    /// bin where the first comes close to it. `None`: nothing heard says so; or `chance`, even in 0–1, decides against it:
    /// durations are exact as often as they were.
    pub fn exact_duration(
        &self,
        step: f64,
        ends: impl Iterator<Item = f32> + Clone,
        (begin, end): (f64, f64),
        chance: f32,
    ) -> Option<f64> {
        if chance >= self.exact {
            return None;
        }
        in_bin(self.durations_meant(step).chain(ends.map(f64::from)), begin, end)
    }

    /// What an interval may be as long as: the last one, the one before, both together.
    fn equals(&self) -> impl Iterator<Item = f64> + Clone + use<> {
        let [last, before, ..] = self.intervals.map(|time| time.map(f64::from));
        let both = last.zip(before).map(|(last, before)| last + before);
        [last, before, both].into_iter().flatten()
    }

    /// A time in [`begin`, `end`) as this player would play it: the place in the beat if onsets keep to it, else as long as
    /// an earlier interval, or a simple part or multiple of the last one; and off it as one of the last intervals was, which
    /// one says `chance`, even in 0–1. `None`: nothing heard says so.
    pub fn played(&self, begin: f64, end: f64, meter: Option<Meter>, chance: f64) -> Option<f64> {
        /// Onsets that are off the beat's subdivisions by less (in beats) keep to it.
        const ON_BEAT: f64 = 0.03;
        /// From the simplest.
        const MULTIPLES: [f64; 8] = [2.0, 0.5, 1.5, 2.0 / 3.0, 3.0, 1.0 / 3.0, 4.0, 0.25];
        let off_beat = |position: f64| (position * 12.0 - (position * 12.0).round()).abs() / 12.0;
        let placed = meter.filter(|meter| off_beat(meter.position) < ON_BEAT).and_then(|meter| {
            let position = strongest(meter, begin, end)?;
            Some((position - meter.position) * meter.beat_s)
        });
        let multiples = MULTIPLES.into_iter().filter_map(|by| self.intervals[0].map(|last| by * f64::from(last)));
        let meant = placed.into_iter().chain(self.equals()).chain(multiples);
        meant.clone().find_map(|time| self.off(time, begin, end, chance)).or_else(|| in_bin(meant, begin, end))
    }

    /// A time off this one as one of the last intervals was, among those that land in [`begin`, `end`).
    fn off(&self, time: f64, begin: f64, end: f64, chance: f64) -> Option<f64> {
        let farthest = 1.0 + f64::from(EQUAL) * 1.1;
        if time * farthest < begin || end * farthest < time {
            return None;
        }
        let all = self.deviations.iter().map(|off| time * f64::from(exp(*off)));
        let mut landing = all.filter(|time| begin <= *time && *time < end);
        let count = landing.clone().count();
        landing.nth((chance * count as f64) as usize).map(|time| inside(time, begin, end))
    }
}

/// The first of some times that lies in [`begin`, `end`), or else its border where the first comes close to it: who
/// plays evenly right between two bins is in either.
fn in_bin(times: impl Iterator<Item = f64> + Clone, begin: f64, end: f64) -> Option<f64> {
    /// As a part of the time.
    const CLOSE: f64 = 0.03;
    let near = |time: f64| {
        let nearest = inside(time, begin, end);
        ((time - nearest).abs() <= CLOSE * time).then_some(nearest)
    };
    times.clone().find(|time| begin <= *time && *time < end).or_else(|| times.filter_map(near).next())
}

/// The position (in beats, from the bar of `meter`'s onset) of the strongest subdivision of a beat that is
/// at least `begin` and less than `end` seconds after the onset.
fn strongest(meter: Meter, begin: f64, end: f64) -> Option<f64> {
    let (begin, end) = (meter.position + begin / meter.beat_s, meter.position + end / meter.beat_s);
    SUBDIVISIONS.iter().find_map(|&parts| {
        let place = (begin * parts).ceil() / parts;
        (place < end).then_some(place)
    })
}

/// Where in beat and bar a time bin lands after an onset: (place in the beat, sixteenth of the bar).
pub(crate) fn landing(meter: Meter, bin: usize) -> (usize, Option<usize>) {
    let (begin, end) = time_range(bin);
    // A narrow bin is nearest to one of the places; a wide one has several and stands for the strongest.
    let narrow = (end - begin) * PHASES as f64 <= meter.beat_s;
    let wide = if narrow { None } else { strongest(meter, begin, end) };
    place(Meter { position: wide.unwrap_or(meter.position + centre(bin) / meter.beat_s), ..meter })
}

/// A position's place in the beat, and its sixteenth of the bar if bars are known.
pub(crate) fn place(meter: Meter) -> (usize, Option<usize>) {
    let nearest = |position: f64, parts: f64| (position * parts + 0.5).floor() as usize;
    let phase = nearest(meter.position - meter.position.floor(), PHASES as f64) % PHASES;
    let sixteenths = nearest(meter.bar, 4.0);
    let sixteenth = (sixteenths > 0).then(|| nearest(meter.position, 4.0) % sixteenths);
    (phase, sixteenth.map(|sixteenth| sixteenth.min(SIXTEENTHS - 1)))
}

/// The time in [`begin`, `end`) that is nearest to `seconds`, and never quite at a border: from two onsets, a time comes back
/// off by its last bits, and at a border these would say in which bin it lies.
pub(crate) fn inside(seconds: f64, begin: f64, end: f64) -> f64 {
    const MARGIN_S: f64 = 1e-6;
    let margin = MARGIN_S.min((end - begin) / 2.0);
    seconds.min(end - margin).max(begin + margin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heard(steps: &[f64]) -> Rhythm {
        let mut rhythm = Rhythm::default();
        for (n, &step) in steps.iter().enumerate() {
            rhythm.feed(&Successor { step, spread: 0.0, duration: 0.2, pitch: 60, velocity: 64 }, n == 0);
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
        fn what_is_played_lies_in_the_bin(
            steps in prop::collection::vec(0.04..1.0f64, 3..8), bin in 4..TIMES, beat_s in 0.3..1.0f64, position in 0.0..4.0f64,
            chance in 0.0..1.0f64,
        ) {
            let (begin, end) = time_range(bin);
            for meter in [None, Some(Meter { beat_s, position, bar: 4.0 })] {
                if let Some(time) = heard(&steps).played(begin, end, meter, chance) {
                    prop_assert!(begin < time && time < end, "{time} in {begin}..{end}");
                }
            }
        }
    }

    #[test]
    fn a_player_is_answered_as_evenly_as_he_plays() {
        let answers = |steps: &[f64]| -> Vec<f64> {
            let rhythm = heard(steps);
            let (begin, end) = time_range(time_bin(0.2513));
            (0..20).filter_map(|n| rhythm.played(begin, end, None, f64::from(n) / 20.0)).collect()
        };
        let even = answers(&[0.2513; 40]);
        assert!(even.len() == 20 && even.iter().all(|time| (time - 0.2513).abs() < 1e-6), "{even:?}");
        // Most are exact, one in five is not.
        let steps: Vec<f64> = (0..40).map(|n| if n % 5 == 0 { 0.2529 } else { 0.2513 }).collect();
        let exact = answers(&steps).iter().filter(|time| (*time - 0.2513).abs() < 1e-6).count();
        assert!((12..20).contains(&exact), "{exact} of 20");
    }

    #[test]
    fn places_are_found_in_beat_and_bar() {
        let meter = Meter { beat_s: 0.5, position: 3.5, bar: 4.0 };
        assert_eq!(place(meter), (12, Some(14)));
        // Half a beat later the next bar begins; a wide bin stands for the strongest place in it.
        assert_eq!(landing(meter, time_bin(0.25)), (0, Some(0)));
        assert_eq!(landing(meter, time_bin(2.25)), (0, Some(0)));
        assert_eq!(place(Meter { bar: 0.0, ..meter }), (12, None));
        let later = meter.after(0.75);
        assert!((later.position - 1.0).abs() < 1e-9);
    }
}
