//! Feature groups shared by several parts of the network.

use super::*;
use crate::{
    activation::ln,
    conditioning::Meter,
    repetition::{LAGS, LENGTHS, LEVELS, ROUNDS},
    rhythm::{Used, place},
    running::{Averages, RATES},
};

/// The kind of source.
pub(super) fn source(out: &mut Features, context: &Context) {
    out.class(Source::ALL.len(), context.recent.conditioning.source.map(|source| source as usize));
}

/// The ratio of a time to a reference, as a class.
pub(super) fn ratio(out: &mut Features, reference: Option<Reference>, time: Option<Reference>) {
    out.class(RATIOS, reference.zip(time).map(|(reference, time)| reference.class_of(time)));
}

/// Position in the beat and bar, bar length, and tempo.
pub(super) fn meter(out: &mut Features, meter: Option<Meter>) {
    let here = meter.map(place);
    out.class(PHASES, here.map(|(phase, _)| phase));
    out.class(SIXTEENTHS, here.and_then(|(_, sixteenth)| sixteenth));
    out.class(BARS, meter.map(|meter| (meter.bar * 2.0 + 0.5) as usize));
    match meter {
        // Seconds per beat, from 0.1 to 3.
        Some(meter) => out.between(PACES, ln(meter.beat_s as f32 / 0.1) * 7.0),
        None => out.skip(PACES),
    }
}

/// What is left of the turn.
pub(super) fn remaining(out: &mut Features, remaining: Option<Remaining>) {
    let (seconds, notes) = match remaining {
        Some(Remaining::Seconds(seconds)) => (Some(octaves(seconds as f32)), None),
        Some(Remaining::Notes(notes)) => (None, Some(ln(1.0 + notes as f32) / std::f32::consts::LN_2)),
        None => (None, None),
    };
    for level in [seconds, notes] {
        match level {
            Some(level) => out.between(LEFTS, level),
            None => out.skip(LEFTS),
        }
    }
}

/// Seconds in octaves, from 0: log2(1 + seconds / [`LEAST_LEFT_S`]).
pub(super) fn octaves(seconds: f32) -> f32 {
    ln(1.0 + seconds.max(0.0) / LEAST_LEFT_S) / std::f32::consts::LN_2
}

/// Links every time bin from `first` on to the output for its ratio to the reference.
pub(super) fn compare(out: &mut Features, reference: Option<Reference>, first: usize, output: usize) {
    if let Some(reference) = reference {
        for bin in first..TIMES {
            out.link(bin, output + reference.class(bin));
        }
    }
}

/// Pitch and pitch-class profiles, absolute and relative to the last pitch, so that a third above the last note is the
/// same feature in every key.
pub(super) fn harmony(out: &mut Features, context: &Context, step: f32) {
    // The factors scale the profiles to about the size of one-hot features.
    let origin = context.recent.last().map(usize::from);
    out.values(context.recent.profiles.fast.iter().map(|v| v * 6.0));
    out.values(context.recent.profiles.slow.iter().map(|v| v * 6.0));
    for profile in [&context.recent.profiles.fast, &context.recent.profiles.slow] {
        out.values((0..12).map(|i| origin.map_or(0.0, |o| profile[(o + i) % 12] * 6.0)));
    }
    out.values(context.recent.profiles.pitches.iter().map(|v| v * 12.0));
    out.values(around(origin).map(|p| p.map_or(0.0, |p| context.recent.profiles.recent[p] * 4.0)));
    out.values((0..PITCHES).map(|p| f32::from(u8::from(context.recent.sounding.left(p, step) > 0.0))));
    out.values(
        around(origin).map(|p| p.map_or(0.0, |p| f32::from(u8::from(context.recent.sounding.left(p, step) > 0.0)))),
    );
}

/// The profile of the home key, absolute and relative to the last pitch.
pub(super) fn home(out: &mut Features, context: &Context) {
    let scale = if context.recent.profiles.home_weight > 0.0 { 3.0 / context.recent.profiles.home_weight } else { 0.0 };
    out.values(context.recent.profiles.home.iter().map(|v| v * scale));
    let origin = context.recent.last().map(usize::from);
    out.values((0..12).map(|i| origin.map_or(0.0, |o| context.recent.profiles.home[(o + i) % 12] * scale)));
}

/// How much the latest notes repeat themselves.
pub(super) fn runs(out: &mut Features, context: &Context) {
    out.class(RUNS, context.recent.last().map(|_| context.recent.run.into()));
    out.class(RUNS, context.recent.last().map(|_| context.recent.alternation.into()));
    for notes in VARIETY {
        out.class(PITCH_COUNTS, context.recent.last().map(|_| context.repetition.variety(notes)));
    }
    for share in context.recent.loops[0].shares() {
        out.between(SHARES, share * (SHARES - 1) as f32);
    }
}

/// All running averages as numbers, each window followed by the features that `add` adds.
pub(super) fn running(out: &mut Features, context: &Context, add: impl Fn(&mut Features, Option<&Averages>)) {
    let averages = context.recent.running.averages();
    for rate in 0..RATES {
        let now = averages.as_ref().map(|all| &all[rate]);
        out.values(now.map_or([0.0; 4], |now| {
            [
                now.velocity / 32.0 - 2.0,
                libm::logf((now.step + 0.01) / 0.12),
                now.log_duration + 1.0,
                now.chords * 2.0 - 1.0,
            ]
        }));
        add(out, now);
    }
}

pub(super) fn loudness(out: &mut Features, now: Option<&Averages>) {
    match now {
        Some(now) => out.between(VELOCITIES, now.velocity / 4.0 - 0.5),
        None => out.skip(VELOCITIES),
    }
}

/// Mean time from note to note, from 20 ms to 2 s.
pub(super) fn density(out: &mut Features, now: Option<&Averages>) {
    match now {
        Some(now) => out.between(PACES, libm::logf(now.step.max(0.01) / 0.02) * 5.0),
        None => out.skip(PACES),
    }
}

/// Mean duration, from 30 ms to 3 s.
pub(super) fn holding(out: &mut Features, now: Option<&Averages>) {
    match now {
        Some(now) => out.between(PACES, (now.log_duration + 3.5) * 5.0),
        None => out.skip(PACES),
    }
}

/// How far a match can be trusted.
pub(super) fn agreement(out: &mut Features, matched: Option<Match>) {
    out.class(LEVELS, matched.map(|matched| matched.level));
    out.class(LENGTHS, matched.map(|matched| matched.length));
    out.class(LAGS, matched.map(|matched| matched.distance()));
    out.class(ROUNDS, matched.map(|matched| matched.rounds));
}

pub(super) fn match_interval(context: &Context, matched: Option<Match>) -> Option<usize> {
    context.recent.last().zip(matched).map(|(last, matched)| interval_class(last, matched.pitch))
}

/// Matches for a note whose step and pitch are known: the best one, by pitch or else transposed, and another one with a
/// different duration.
pub(super) fn matches_for(context: &Context, step: f64, pitch: u8) -> (Option<Match>, Option<Match>) {
    let fits = |matched: &Match| matched.pitch == pitch && (matched.step == 0) == (step == 0.0);
    let first = context.repetition.same(fits);
    let other =
        |matched: &Match| fits(matched) && first.is_none_or(|first| first.duration.abs_diff(matched.duration) > 1);
    let transposed = context.repetition.transposed(other);
    match first {
        None => (transposed, None),
        Some(_) => (first, transposed.or_else(|| context.repetition.same(other))),
    }
}

/// Matches, each with the time bin it predicts.
pub(super) fn times(out: &mut Features, matches: [Option<(Match, usize)>; TIME_MATCHES]) {
    for (n, matched) in matches.into_iter().enumerate() {
        agreement(out, matched.map(|(matched, _)| matched));
        out.class(TIMES, matched.map(|(_, bin)| bin));
        if let Some((_, bin)) = matched {
            point(out, bin, TIMES, TIMES + 2 * n);
        }
    }
}

/// Links `output` to a class of an ordered scale, and `output + 1` to both of its neighbors.
pub(super) fn point(out: &mut Features, class: usize, classes: usize, output: usize) {
    out.link(class, output);
    if class > 0 {
        out.link(class - 1, output + 1);
    }
    if class + 1 < classes {
        out.link(class + 1, output + 1);
    }
}

/// The pitches within reach of `origin`, from below; `None` beyond the MIDI range.
pub(super) fn around(origin: Option<usize>) -> impl Iterator<Item = Option<usize>> {
    (-REACH..=REACH).map(move |d| {
        let pitch = origin? as i32 + d;
        (0..PITCHES as i32).contains(&pitch).then_some(pitch as usize)
    })
}

/// Time from the nearest note end to the last onset, in hundredths of a second.
pub(super) fn gap(out: &mut Features, context: &Context) {
    let hundredths = context.recent.sounding.gap().map(|gap| (gap * 100.0 + 0.5).floor() as i32);
    let class = hundredths.filter(|gap| gap.abs() <= GAP_REACH).map(|gap| (gap + GAP_REACH) as usize);
    out.class(2 * GAP_REACH as usize + 1, class);
}

/// Links every pitch within reach to the output for its interval from `from`.
pub(super) fn link_intervals(out: &mut Features, from: Option<u8>, output: usize) {
    if let Some(from) = from {
        let low = (i32::from(from) - REACH).max(0) as u8;
        let high = (i32::from(from) + REACH).min(PITCHES as i32 - 1) as u8;
        for pitch in low..=high {
            out.link(pitch.into(), output + interval_class(from, pitch));
        }
    }
}

/// How many sounding notes end in each time bin after the onset that is `step` seconds away; also returns these counts.
pub(super) fn ends(out: &mut Features, context: &Context, step: f32) -> [f32; TIMES] {
    let mut counts = [0.0f32; TIMES];
    for left in context.recent.sounding.ends(step) {
        counts[time_bin(left.into())] += 1.0;
    }
    out.values(counts);
    counts
}

/// Links the time bins in which sounding notes end (see [`ends`]), from `first` on, to `output`, and their neighbors to
/// `output + 1`.
pub(super) fn link_ends(out: &mut Features, ending: &[f32; TIMES], first: usize, output: usize) {
    for bin in first..TIMES {
        if ending[bin] > 0.0 {
            out.link(bin, output);
        } else if bin > 0 && ending[bin - 1] > 0.0 || ending.get(bin + 1).is_some_and(|count| *count > 0.0) {
            out.link(bin, output + 1);
        }
    }
}

/// Links every time bin from `first` on to the output for how often it was used recently, and to that for its
/// neighbors' use.
pub(super) fn link_used(out: &mut Features, used: &Used, first: usize, output: usize) {
    for bin in first..TIMES {
        if let Some(level) = used.level(bin) {
            out.link(bin, output + level);
        }
        let below = bin.checked_sub(1).and_then(|below| used.level(below));
        if let Some(level) = below.max(used.level(bin + 1)) {
            out.link(bin, output + USE_LEVELS + level);
        }
    }
}

/// The class of a difference between two velocity levels.
pub(super) fn velocity_difference(from: usize, to: usize) -> usize {
    to + VELOCITIES - 1 - from
}

/// Links every velocity level to the output for its difference from a velocity.
pub(super) fn compare_velocity(out: &mut Features, velocity: Option<f32>, output: usize) {
    if let Some(velocity) = velocity {
        let reference = velocity_level(velocity as u8);
        for level in 0..VELOCITIES {
            out.link(level, output + velocity_difference(reference, level));
        }
    }
}
