//! Input features of each part of the network, as sparse vectors. The same functions serve training, scoring and
//! playing, so that all three see the same features.

mod parts;

use notes::Successor;

use self::parts::*;
use crate::{
    conditioning::{Remaining, Source},
    context::{Context, RecentContext},
    encoding::{PITCHES, SPREADS, TIMES, VELOCITIES, spread_bin, time_bin, velocity_level},
    profiles::{self, RECENCIES},
    repetition::Match,
    rhythm::{PHASES, RATIOS, Reference, SIXTEENTHS, USE_LEVELS, landing},
};

/// Intervals of up to two octaves have a class each: -24 … 24 semitones.
pub(crate) const REACH: i32 = 24;
/// Number of interval classes.
pub(crate) const INTERVALS: usize = 2 * REACH as usize + 1;
/// Number of classes for a note's index in its chord.
const PLACES: usize = 8;
/// Number of classes for repetitions of one pitch, or of two in alternation.
const RUNS: usize = 24;
/// Window lengths, in notes, over which distinct pitches are counted.
const VARIETY: [u64; 2] = [24, 96];
/// Number of classes for the count of distinct pitches.
const PITCH_COUNTS: usize = 40;
/// Levels for the share of loops.
const SHARES: usize = 9;
/// Levels for density, mean duration and tempo.
const PACES: usize = 24;
/// Matches that the pitch head can point at: by pitch, by pitch with another continuation, transposed.
pub(crate) const PITCH_MATCHES: usize = 3;
/// Matches that a head of times can point at; each has a second output for its neighboring bins.
pub(crate) const TIME_MATCHES: usize = 3;

/// Reference times of the step head: the last two intervals, and their sum.
const STEP_REFERENCES: usize = 3;
/// Reference times of the duration head: the interval that led to the note, the last duration.
const DURATION_REFERENCES: usize = 2;
/// Number of bar-length classes, in eighths.
const BARS: usize = 17;
/// Levels for the time or the number of notes left of a turn, in octaves.
const LEFTS: usize = 12;
/// Unit of the logarithmic scale for the time left, in seconds.
const LEAST_LEFT_S: f32 = 0.125;
/// More reference times of the step head: the two intervals before those, the last duration, the next note end.
const MORE_STEP_REFERENCES: usize = 4;
/// More reference times of the duration head, from the note's own voice: its last duration, its last interval.
const MORE_DURATION_REFERENCES: usize = 2;
/// Outputs for the bins in which sounding notes end, and for their neighbors.
const ENDS: usize = 2;
/// Previous pitches that the pitch head compares with, the last one included.
const LAST_PITCHES: usize = 8;
/// Outputs of the step head besides classes and matches.
pub(crate) const STEP_LINKS: usize =
    (STEP_REFERENCES + MORE_STEP_REFERENCES) * RATIOS + PHASES + SIXTEENTHS + LEFTS + ENDS + 2 * USE_LEVELS;
/// Outputs of the pitch head besides classes, intervals from the last pitch, and matches.
pub(crate) const PITCH_LINKS: usize = (LAST_PITCHES - 1) * INTERVALS + RECENCIES + 3 * profiles::LEVELS + 1;
/// Outputs of the duration head besides classes and matches.
pub(crate) const DURATION_LINKS: usize =
    (DURATION_REFERENCES + MORE_DURATION_REFERENCES) * RATIOS + PHASES + ENDS + 2 * USE_LEVELS;
/// Reference velocities of the velocity head: the last note's, the last one of the note's voice, the recent mean.
const VELOCITY_REFERENCES: usize = 3;
/// Number of differences between velocity levels.
const VELOCITY_DIFFERENCES: usize = 2 * VELOCITIES - 1;
/// Outputs of the velocity head besides classes and matches.
pub(crate) const VELOCITY_LINKS: usize = VELOCITY_REFERENCES * VELOCITY_DIFFERENCES;
/// Largest gap, positive or negative, between the nearest note end and an onset, in hundredths of a second.
const GAP_REACH: i32 = 6;
/// The first time bin of steps outside chords: shorter steps fall into the chord window.
const FIRST_STEP: usize = 3;

/// Input features of one part of the network: a sparse vector, as (index, value) pairs with the width of the dense
/// vector; and links, which add outputs of a head beyond its classes to the scores of classes.
#[derive(Clone, Debug, Default)]
pub struct Features {
    pairs: Vec<(u32, f32)>,
    width: usize,
    links: Vec<(u32, u32)>,
}

impl Features {
    /// Room for the features of any part, so that filling never allocates.
    pub fn new() -> Self {
        Self { pairs: Vec::with_capacity(2048), width: 0, links: Vec::with_capacity(4096) }
    }

    /// The non-zero features as (index, value), in ascending order of index.
    pub fn pairs(&self) -> &[(u32, f32)] {
        &self.pairs
    }

    /// Width of the dense vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// (class, output) pairs: the output's score is added to the class's.
    pub fn links(&self) -> &[(u32, u32)] {
        &self.links
    }

    fn clear(&mut self) {
        self.pairs.clear();
        self.links.clear();
        self.width = 0;
    }

    fn class(&mut self, classes: usize, class: Option<usize>) {
        if let Some(class) = class {
            self.pairs.push(((self.width + class.min(classes - 1)) as u32, 1.0));
        }
        self.width += classes;
    }

    fn values(&mut self, values: impl IntoIterator<Item = f32>) {
        for value in values {
            if value != 0.0 {
                self.pairs.push((self.width as u32, value));
            }
            self.width += 1;
        }
    }

    /// A value between classes, split between the two nearest.
    fn between(&mut self, classes: usize, place: f32) {
        let place = place.clamp(0.0, classes as f32 - 1.0);
        let low = (place as usize).min(classes - 2);
        let high = place - low as f32;
        for (class, value) in [(low, 1.0 - high), (low + 1, high)] {
            if value > 0.0 {
                self.pairs.push(((self.width + class) as u32, value));
            }
        }
        self.width += classes;
    }

    fn skip(&mut self, classes: usize) {
        self.width += classes;
    }

    fn link(&mut self, class: usize, output: usize) {
        self.links.push((class as u32, output as u32));
    }

    fn interval(&mut self, from: Option<u8>, to: u8) {
        self.class(INTERVALS, from.map(|from| interval_class(from, to)));
    }
}

/// The class of the interval between two pitches; wider ones are clamped to two octaves.
pub(crate) fn interval_class(from: u8, to: u8) -> usize {
    ((i32::from(to) - i32::from(from)).clamp(-REACH, REACH) + REACH) as usize
}

/// Features of the trunk: the latest note (`None`: begin-of-sequence), and the context after it.
pub(crate) fn trunk_features(out: &mut Features, note: Option<&Successor>, context: &Context) {
    out.clear();
    out.class(PITCHES + 1, Some(note.map_or(PITCHES, |n| n.pitch.into())));
    out.class(12, note.map(|n| usize::from(n.pitch) % 12));
    out.class(11, note.map(|n| usize::from(n.pitch) / 12));
    out.class(INTERVALS, note.and(context.recent.before()).zip(note).map(|(b, n)| interval_class(b, n.pitch)));
    out.class(TIMES, note.map(|n| time_bin(n.step)));
    out.class(TIMES, note.map(|n| time_bin(n.duration)));
    out.class(VELOCITIES, note.map(|n| velocity_level(n.velocity)));
    out.class(SPREADS, note.map(|n| spread_bin(n.spread)));
    out.values(note.map_or([0.0; 6], |n| {
        let (step, duration) = (n.step.min(20.0) as f32, n.duration.min(20.0) as f32);
        [
            step,
            libm::logf((step + 0.01) / 0.1),
            duration,
            libm::logf((duration + 0.01) / 0.1),
            f32::from(n.velocity) / 64.0 - 1.0,
            n.spread as f32 / 0.030,
        ]
    }));
    harmony(out, context, 0.0);
    home(out, context);
    runs(out, context);
    running(out, context, |out, now| {
        loudness(out, now);
        density(out, now);
        holding(out, now);
    });
    let matched = context.repetition.same(|_| true);
    agreement(out, matched);
    out.class(INTERVALS, match_interval(context, matched));
    out.class(TIMES, matched.map(|matched| matched.step));
    source(out, context);
    let [interval, before, _] = context.recent.rhythm.step_references();
    ratio(out, before, interval);
    let [_, duration] = context.recent.rhythm.duration_references(0.0);
    ratio(out, interval, duration);
    meter(out, context.recent.conditioning.meter);
    remaining(out, context.recent.conditioning.remaining);
    gap(out, context);
    let before = note.and_then(|note| context.recent.voices.before(note.pitch, 0.0));
    out.class(INTERVALS, before.zip(note).map(|(before, note)| interval_class(before.pitch, note.pitch)));
    ratio(out, before.map(|before| Reference::of(before.duration)), duration);
    ratio(out, before.map(|before| Reference::of(before.age)), interval);
}

/// Features of the step head: when the sounding notes will end, the density so far, the steps that followed similar
/// places.
pub(crate) fn step_features(out: &mut Features, context: &Context) {
    out.clear();
    let ending = ends(out, context, 0.0);
    running(out, context, density);
    let first = context.repetition.same(|_| true);
    let second = first.and_then(|first| context.repetition.same(|matched| matched.step.abs_diff(first.step) > 1));
    let third = context.repetition.rhythm(|_| true);
    runs(out, context);
    times(out, [first, second, third].map(|matched| matched.map(|matched| (matched, matched.step))));
    source(out, context);
    let references = context.recent.rhythm.step_references();
    let [interval, before, _] = references;
    ratio(out, before, interval);
    let conditioning = context.recent.conditioning;
    meter(out, conditioning.meter);
    remaining(out, conditioning.remaining);
    let mut output = TIMES + 2 * TIME_MATCHES;
    for reference in references {
        compare(out, reference, FIRST_STEP, output);
        output += RATIOS;
    }
    if let Some(meter) = conditioning.meter {
        for bin in FIRST_STEP..TIMES {
            let (phase, sixteenth) = landing(meter, bin);
            out.link(bin, output + phase);
            if let Some(sixteenth) = sixteenth {
                out.link(bin, output + PHASES + sixteenth);
            }
        }
    }
    output += PHASES + SIXTEENTHS;
    if let Some(Remaining::Seconds(seconds)) = conditioning.remaining {
        for bin in FIRST_STEP..TIMES {
            // The lowest level is for steps that land beyond the turn's end.
            let rest = seconds as f32 - crate::decoder::center(bin) as f32;
            out.link(bin, output + if rest < 0.0 { 0 } else { 1 + octaves(rest).min(LEFTS as f32 - 2.0) as usize });
        }
    }
    output += LEFTS;
    let RecentContext { rhythm, sounding, .. } = &context.recent;
    let [_, duration] = rhythm.duration_references(0.0);
    let next_end = sounding.next_end().map(Reference::of);
    ratio(out, interval, duration);
    ratio(out, interval, next_end);
    gap(out, context);
    let [third, fourth] = rhythm.earlier_references();
    for reference in [third, fourth, duration, next_end] {
        compare(out, reference, FIRST_STEP, output);
        output += RATIOS;
    }
    link_ends(out, &ending, FIRST_STEP, output);
    link_used(out, &rhythm.intervals_used, FIRST_STEP, output + ENDS);
}

/// Features of the pitch head: the step, and the harmony that still sounds after it.
pub(crate) fn pitch_features(out: &mut Features, context: &Context, step: f64) {
    out.clear();
    out.class(TIMES, Some(time_bin(step)));
    harmony(out, context, step as f32);
    link_intervals(out, context.recent.last(), PITCHES);
    home(out, context);
    runs(out, context);
    let (bin, floor) = (time_bin(step), context.floor(step));
    let fits = |matched: &Match| (matched.step == 0) == (bin == 0) && matched.pitch >= floor;
    let first = context.repetition.same(fits);
    let is = |matched: &Match, other: Option<Match>| other.is_some_and(|other| other.pitch == matched.pitch);
    let second = first.and_then(|_| context.repetition.same(|matched| fits(matched) && !is(matched, first)));
    let third = context.repetition.transposed(|matched| fits(matched) && !is(matched, first) && !is(matched, second));
    for (n, matched) in [first, second, third].into_iter().enumerate() {
        agreement(out, matched);
        out.class(INTERVALS, match_interval(context, matched));
        out.class(2, matched.map(|matched| usize::from(matched.step.abs_diff(bin) <= 1)));
        if let Some(matched) = matched {
            out.link(matched.pitch.into(), PITCHES + INTERVALS + n);
        }
    }
    source(out, context);
    let conditioning = context.recent.conditioning.after(step);
    meter(out, conditioning.meter);
    remaining(out, conditioning.remaining);
    let mut output = PITCHES + INTERVALS + PITCH_MATCHES;
    for lag in 2..=LAST_PITCHES {
        let pitch = context.recent.voices.pitch(lag);
        out.class(INTERVALS, context.recent.last().zip(pitch).map(|(last, pitch)| interval_class(pitch, last)));
        link_intervals(out, pitch, output);
        output += INTERVALS;
    }
    let RecentContext { profiles, sounding, .. } = &context.recent;
    let levels: [_; 12] = std::array::from_fn(|class| profiles.levels(class));
    for pitch in 0..PITCHES {
        if let Some(recency) = profiles.recency(pitch) {
            out.link(pitch, output + recency);
        }
        for (n, level) in levels[pitch % 12].into_iter().enumerate() {
            out.link(pitch, output + RECENCIES + n * profiles::LEVELS + level);
        }
        if sounding.left(pitch, step as f32) > 0.0 {
            out.link(pitch, output + RECENCIES + 3 * profiles::LEVELS);
        }
    }
}

/// Features of the duration head: step, pitch, and when the other notes will end.
pub(crate) fn duration_features(out: &mut Features, context: &Context, step: f64, pitch: u8) {
    out.clear();
    out.class(TIMES, Some(time_bin(step)));
    out.class(PITCHES, Some(pitch.into()));
    out.interval(context.recent.last(), pitch);
    let ending = ends(out, context, step as f32);
    running(out, context, holding);
    let (first, second) = matches_for(context, step, pitch);
    let third = context.repetition.rhythm(|matched| (matched.step == 0) == (step == 0.0));
    times(out, [first, second, third].map(|matched| matched.map(|matched| (matched, matched.duration))));
    source(out, context);
    let references = context.recent.rhythm.duration_references(step);
    let [interval, duration] = references;
    ratio(out, interval, duration);
    let conditioning = context.recent.conditioning.after(step);
    meter(out, conditioning.meter);
    remaining(out, conditioning.remaining);
    let mut output = TIMES + 2 * TIME_MATCHES;
    for reference in references {
        compare(out, reference, 0, output);
        output += RATIOS;
    }
    if let Some(meter) = conditioning.meter {
        for bin in 0..TIMES {
            out.link(bin, output + landing(meter, bin).0);
        }
    }
    output += PHASES;
    let before = context.recent.voices.before(pitch, step);
    out.interval(before.map(|before| before.pitch), pitch);
    let own = [before.map(|before| before.duration), before.map(|before| before.age + step as f32)];
    for reference in own.map(|time| time.map(Reference::of)) {
        ratio(out, interval, reference);
        compare(out, reference, 0, output);
        output += RATIOS;
    }
    link_ends(out, &ending, 0, output);
    link_used(out, &context.recent.rhythm.durations_used, 0, output + ENDS);
}

/// Features of the velocity head: step, pitch and duration.
pub(crate) fn velocity_features(out: &mut Features, context: &Context, step: f64, pitch: u8, duration: f64) {
    out.clear();
    out.class(TIMES, Some(time_bin(step)));
    out.class(PITCHES, Some(pitch.into()));
    out.interval(context.recent.last(), pitch);
    out.class(TIMES, Some(time_bin(duration)));
    running(out, context, loudness);
    let (matched, _) = matches_for(context, step, pitch);
    agreement(out, matched);
    out.class(VELOCITIES, matched.map(|matched| matched.velocity));
    if let Some(matched) = matched {
        point(out, matched.velocity, VELOCITIES, VELOCITIES);
    }
    source(out, context);
    meter(out, context.recent.conditioning.after(step).meter);
    let voices = &context.recent.voices;
    let before = voices.before(pitch, step);
    out.interval(before.map(|before| before.pitch), pitch);
    let last = voices.last().map(|last| f32::from(last.velocity));
    let own = before.map(|before| f32::from(before.velocity));
    let mean = context.recent.running.averages().map(|averages| averages[0].velocity);
    let mut output = VELOCITIES + 2;
    for reference in [last, own, mean] {
        out.class(VELOCITIES, reference.map(|velocity| velocity_level(velocity as u8)));
        compare_velocity(out, reference, output);
        output += VELOCITY_DIFFERENCES;
    }
}

/// Features of the spread head: inside a chord, index and interval; for all notes, pitch and velocity.
pub(crate) fn spread_features(out: &mut Features, context: &Context, step: f64, pitch: u8, velocity: u8) {
    out.clear();
    let recent = &context.recent;
    out.class(PLACES, (step == 0.0).then_some(recent.place.into()));
    out.interval(recent.last().filter(|_| step == 0.0), pitch);
    out.class(PITCHES, Some(pitch.into()));
    out.class(VELOCITIES, Some(velocity_level(velocity)));
    source(out, context);
    let last = recent.voices.last().filter(|_| step == 0.0);
    let level = velocity_level(velocity);
    out.class(VELOCITY_DIFFERENCES, last.map(|last| velocity_difference(velocity_level(last.velocity), level)));
    out.class(SPREADS, last.map(|last| spread_bin(last.spread.into())));
}
