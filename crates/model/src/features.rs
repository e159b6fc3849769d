//! What each part of the network is told, as sparse features. The same functions serve training,
//! scoring and playing, so what is learned is what is heard.

use notes::Successor;

use crate::{
    activation::ln,
    context::Context,
    encoding::{PITCHES, SPREADS, TIMES, VELOCITIES, spread_bin, time_bin, velocity_level},
    repetition::{LAGS, LENGTHS, LEVELS, Match, ROUNDS},
    rhythm::{PHASES, RATIOS, Reference, SIXTEENTHS, landing, place},
    running::{Averages, RATES},
    told::{Left, Meter, Source},
};

/// Intervals up to two octaves have a class of their own: -24 … 24 semitones.
pub(crate) const REACH: i32 = 24;
/// Number of interval classes.
pub(crate) const INTERVALS: usize = 2 * REACH as usize + 1;
/// Places in a chord that are told apart.
const PLACES: usize = 8;
/// Repetitions of one pitch, or of two in turn, that are told apart.
const RUNS: usize = 24;
/// Notes among which different pitches are counted.
const VARIETY: [u64; 2] = [24, 96];
/// Numbers of different pitches that are told apart.
const PITCH_COUNTS: usize = 40;
/// Levels of the share of loops.
const SHARES: usize = 9;
/// Levels of density and of mean duration.
const PACES: usize = 24;
/// Matches that the pitch head can point at: here, here with another pitch, transposed.
pub(crate) const PITCH_MATCHES: usize = 3;
/// Matches that a head of times can point at, each followed by its neighbouring bins.
pub(crate) const TIME_MATCHES: usize = 3;

/// Times that the step head compares with: the last two intervals, and both together.
const STEP_REFERENCES: usize = 3;
/// Times that the duration head compares with: the interval that led to the note, the last duration.
const DURATION_REFERENCES: usize = 2;
/// Bar lengths that are told apart, in eighths.
const BARS: usize = 17;
/// Levels of the time or the notes that are left of a turn, in octaves.
const LEFTS: usize = 12;
/// Time left is told in octaves above this, in seconds.
const LEAST_LEFT_S: f32 = 0.125;
/// Outputs of the step head beyond classes and echoes.
pub(crate) const STEP_LINKS: usize = STEP_REFERENCES * RATIOS + PHASES + SIXTEENTHS + LEFTS;
/// Outputs of the duration head beyond classes and echoes.
pub(crate) const DURATION_LINKS: usize = DURATION_REFERENCES * RATIOS + PHASES;
/// The first bin that is no chord's: steps below the chord window do not exist.
const FIRST_STEP: usize = 3;

/// What a part of the network is told. A sparse vector: (index, value) pairs, and the width the
/// dense vector would have. And links: outputs of a head beyond its classes that are added to a class.
#[derive(Clone, Debug, Default)]
pub struct Features {
    pairs: Vec<(u32, f32)>,
    width: usize,
    links: Vec<(u32, u32)>,
}

impl Features {
    /// Space for every feature of any part, so that filling never allocates.
    pub fn new() -> Self {
        Self { pairs: Vec::with_capacity(2048), width: 0, links: Vec::with_capacity(1024) }
    }

    /// The non-zero features as (index, value), in ascending order of index.
    pub fn pairs(&self) -> &[(u32, f32)] {
        &self.pairs
    }

    /// Length of the dense vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// (class, output): the score of the output belongs to the class too.
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

    /// A place between classes: shared by the two that are nearest.
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

/// The class of the interval between two pitches; wider ones count as two octaves.
pub(crate) fn interval_class(from: u8, to: u8) -> usize {
    ((i32::from(to) - i32::from(from)).clamp(-REACH, REACH) + REACH) as usize
}

/// For the trunk: the last note heard (`None`: begin-of-sequence) and the context it left.
pub(crate) fn heard(out: &mut Features, note: Option<&Successor>, context: &Context) {
    out.clear();
    out.class(PITCHES + 1, Some(note.map_or(PITCHES, |n| n.pitch.into())));
    out.class(12, note.map(|n| usize::from(n.pitch) % 12));
    out.class(11, note.map(|n| usize::from(n.pitch) / 12));
    out.class(INTERVALS, note.and(context.lately.before).zip(note).map(|(b, n)| interval_class(b, n.pitch)));
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
    let [interval, before, _] = context.lately.rhythm.step_references();
    ratio(out, before, interval);
    let [_, duration] = context.lately.rhythm.duration_references(0.0);
    ratio(out, interval, duration);
    meter(out, context.lately.moment.meter);
    left(out, context.lately.moment.left);
}

/// For the step head: when the sounding notes will end, the density so far, the steps that came
/// next in like places.
pub(crate) fn before_step(out: &mut Features, context: &Context) {
    out.clear();
    ends(out, context, 0.0);
    running(out, context, density);
    let first = context.repetition.same(|_| true);
    let second = first.and_then(|first| context.repetition.same(|matched| matched.step.abs_diff(first.step) > 1));
    let third = context.repetition.rhythm(|_| true);
    runs(out, context);
    times(out, [first, second, third].map(|matched| matched.map(|matched| (matched, matched.step))));
    source(out, context);
    let references = context.lately.rhythm.step_references();
    let [interval, before, _] = references;
    ratio(out, before, interval);
    let moment = context.lately.moment;
    meter(out, moment.meter);
    left(out, moment.left);
    let mut output = TIMES + 2 * TIME_MATCHES;
    for reference in references {
        compare(out, reference, FIRST_STEP, output);
        output += RATIOS;
    }
    if let Some(meter) = moment.meter {
        for bin in FIRST_STEP..TIMES {
            let (phase, sixteenth) = landing(meter, bin);
            out.link(bin, output + phase);
            if let Some(sixteenth) = sixteenth {
                out.link(bin, output + PHASES + sixteenth);
            }
        }
    }
    output += PHASES + SIXTEENTHS;
    if let Some(Left::Seconds(seconds)) = moment.left {
        for bin in FIRST_STEP..TIMES {
            // The lowest level is for what would come after the end.
            let rest = seconds as f32 - crate::decoder::centre(bin) as f32;
            out.link(bin, output + if rest < 0.0 { 0 } else { 1 + octaves(rest).min(LEFTS as f32 - 2.0) as usize });
        }
    }
}

/// For the pitch head: the step, and the harmony that is left at its end.
pub(crate) fn before_pitch(out: &mut Features, context: &Context, step: f64) {
    out.clear();
    out.class(TIMES, Some(time_bin(step)));
    harmony(out, context, step as f32);
    if let Some(last) = context.lately.last {
        let low = (i32::from(last) - REACH).max(0) as u8;
        let high = (i32::from(last) + REACH).min(PITCHES as i32 - 1) as u8;
        for pitch in low..=high {
            out.link(pitch.into(), PITCHES + interval_class(last, pitch));
        }
    }
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
    let moment = context.lately.moment.after(step);
    meter(out, moment.meter);
    left(out, moment.left);
}

/// For the duration head: step, pitch, and when the other notes will end.
pub(crate) fn before_duration(out: &mut Features, context: &Context, step: f64, pitch: u8) {
    out.clear();
    out.class(TIMES, Some(time_bin(step)));
    out.class(PITCHES, Some(pitch.into()));
    out.interval(context.lately.last, pitch);
    ends(out, context, step as f32);
    running(out, context, holding);
    let (first, second) = matches_for(context, step, pitch);
    let third = context.repetition.rhythm(|matched| (matched.step == 0) == (step == 0.0));
    times(out, [first, second, third].map(|matched| matched.map(|matched| (matched, matched.duration))));
    source(out, context);
    let references = context.lately.rhythm.duration_references(step);
    let [interval, duration] = references;
    ratio(out, interval, duration);
    let moment = context.lately.moment.after(step);
    meter(out, moment.meter);
    left(out, moment.left);
    let mut output = TIMES + 2 * TIME_MATCHES;
    for reference in references {
        compare(out, reference, 0, output);
        output += RATIOS;
    }
    if let Some(meter) = moment.meter {
        for bin in 0..TIMES {
            out.link(bin, output + landing(meter, bin).0);
        }
    }
}

/// For the velocity head: step, pitch and duration.
pub(crate) fn before_velocity(out: &mut Features, context: &Context, step: f64, pitch: u8, duration: f64) {
    out.clear();
    out.class(TIMES, Some(time_bin(step)));
    out.class(PITCHES, Some(pitch.into()));
    out.interval(context.lately.last, pitch);
    out.class(TIMES, Some(time_bin(duration)));
    running(out, context, loudness);
    let (matched, _) = matches_for(context, step, pitch);
    agreement(out, matched);
    out.class(VELOCITIES, matched.map(|matched| matched.velocity));
    if let Some(matched) = matched {
        point(out, matched.velocity, VELOCITIES, VELOCITIES);
    }
    source(out, context);
    meter(out, context.lately.moment.after(step).meter);
}

/// For the spread head: inside a chord place and interval, and for all notes pitch and velocity.
pub(crate) fn before_spread(out: &mut Features, context: &Context, step: f64, pitch: u8, velocity: u8) {
    out.clear();
    let lately = &context.lately;
    out.class(PLACES, (step == 0.0).then_some(lately.place.into()));
    out.interval(lately.last.filter(|_| step == 0.0), pitch);
    out.class(PITCHES, Some(pitch.into()));
    out.class(VELOCITIES, Some(velocity_level(velocity)));
    source(out, context);
}

/// Where the notes come from.
fn source(out: &mut Features, context: &Context) {
    out.class(Source::ALL.len(), context.lately.moment.source.map(|source| source as usize));
}

/// The ratio of a time to a reference.
fn ratio(out: &mut Features, reference: Option<Reference>, time: Option<Reference>) {
    out.class(RATIOS, reference.zip(time).map(|(reference, time)| reference.class_of(time)));
}

/// The place in beat and bar, the length of the bar, and the tempo.
fn meter(out: &mut Features, meter: Option<Meter>) {
    let here = meter.map(place);
    out.class(PHASES, here.map(|(phase, _)| phase));
    out.class(SIXTEENTHS, here.and_then(|(_, sixteenth)| sixteenth));
    out.class(BARS, meter.map(|meter| (meter.bar * 2.0 + 0.5) as usize));
    match meter {
        // Seconds a beat, from 0.1 to 3.
        Some(meter) => out.between(PACES, ln(meter.beat_s as f32 / 0.1) * 7.0),
        None => out.skip(PACES),
    }
}

/// What is left of the turn.
fn left(out: &mut Features, left: Option<Left>) {
    let (seconds, notes) = match left {
        Some(Left::Seconds(seconds)) => (Some(octaves(seconds as f32)), None),
        Some(Left::Notes(notes)) => (None, Some(ln(1.0 + notes as f32) / std::f32::consts::LN_2)),
        None => (None, None),
    };
    for level in [seconds, notes] {
        match level {
            Some(level) => out.between(LEFTS, level),
            None => out.skip(LEFTS),
        }
    }
}

/// Seconds as octaves above [`LEAST_LEFT_S`], from 0.
fn octaves(seconds: f32) -> f32 {
    ln(1.0 + seconds.max(0.0) / LEAST_LEFT_S) / std::f32::consts::LN_2
}

/// Links every time bin from `first` on to the output of its ratio to a reference.
fn compare(out: &mut Features, reference: Option<Reference>, first: usize, output: usize) {
    if let Some(reference) = reference {
        for bin in first..TIMES {
            out.link(bin, output + reference.class(bin));
        }
    }
}

/// Profiles as they are, and turned so that the last pitch is the origin: what is a third above
/// the last note is seen at the same place in every key.
fn harmony(out: &mut Features, context: &Context, step: f32) {
    // The factors bring the profiles to about the size of one-hot features.
    let origin = context.lately.last.map(usize::from);
    out.values(context.lately.fast.iter().map(|v| v * 6.0));
    out.values(context.lately.slow.iter().map(|v| v * 6.0));
    for profile in [&context.lately.fast, &context.lately.slow] {
        out.values((0..12).map(|i| origin.map_or(0.0, |o| profile[(o + i) % 12] * 6.0)));
    }
    out.values(context.lately.pitches.iter().map(|v| v * 12.0));
    out.values(around(origin).map(|p| p.map_or(0.0, |p| context.lately.recent[p] * 4.0)));
    out.values((0..PITCHES).map(|p| f32::from(u8::from(context.sounds_on(p, step) > 0.0))));
    out.values(around(origin).map(|p| p.map_or(0.0, |p| f32::from(u8::from(context.sounds_on(p, step) > 0.0)))));
}

/// The profile of the home key, as it is and turned to the last pitch.
fn home(out: &mut Features, context: &Context) {
    let scale = if context.lately.home_weight > 0.0 { 3.0 / context.lately.home_weight } else { 0.0 };
    out.values(context.lately.home.iter().map(|v| v * scale));
    let origin = context.lately.last.map(usize::from);
    out.values((0..12).map(|i| origin.map_or(0.0, |o| context.lately.home[(o + i) % 12] * scale)));
}

/// How much the last notes repeat themselves.
fn runs(out: &mut Features, context: &Context) {
    out.class(RUNS, context.lately.last.map(|_| context.lately.run.into()));
    out.class(RUNS, context.lately.last.map(|_| context.lately.alternation.into()));
    for notes in VARIETY {
        out.class(PITCH_COUNTS, context.lately.last.map(|_| context.repetition.variety(notes)));
    }
    for share in context.lately.loops[0].shares() {
        out.between(SHARES, share * (SHARES - 1) as f32);
    }
}

/// All averages as numbers, then some of them as `told`.
fn running(out: &mut Features, context: &Context, told: impl Fn(&mut Features, Option<&Averages>)) {
    let averages = context.lately.running.averages();
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
        told(out, now);
    }
}

fn loudness(out: &mut Features, now: Option<&Averages>) {
    match now {
        Some(now) => out.between(VELOCITIES, now.velocity / 4.0 - 0.5),
        None => out.skip(VELOCITIES),
    }
}

/// Seconds from note to note, from 20 ms to 2 s.
fn density(out: &mut Features, now: Option<&Averages>) {
    match now {
        Some(now) => out.between(PACES, libm::logf(now.step.max(0.01) / 0.02) * 5.0),
        None => out.skip(PACES),
    }
}

/// Durations from 30 ms to 3 s.
fn holding(out: &mut Features, now: Option<&Averages>) {
    match now {
        Some(now) => out.between(PACES, (now.log_duration + 3.5) * 5.0),
        None => out.skip(PACES),
    }
}

/// How far an echo can be trusted.
fn agreement(out: &mut Features, matched: Option<Match>) {
    out.class(LEVELS, matched.map(|matched| matched.level));
    out.class(LENGTHS, matched.map(|matched| matched.length));
    out.class(LAGS, matched.map(|matched| matched.distance()));
    out.class(ROUNDS, matched.map(|matched| matched.rounds));
}

fn match_interval(context: &Context, matched: Option<Match>) -> Option<usize> {
    context.lately.last.zip(matched).map(|(last, matched)| interval_class(last, matched.pitch))
}

/// Matches of a note of which step and pitch are known: here or else in another key; and another
/// one with another duration.
fn matches_for(context: &Context, step: f64, pitch: u8) -> (Option<Match>, Option<Match>) {
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

/// Matches with the time bin that each foretells.
fn times(out: &mut Features, matches: [Option<(Match, usize)>; TIME_MATCHES]) {
    for (n, matched) in matches.into_iter().enumerate() {
        agreement(out, matched.map(|(matched, _)| matched));
        out.class(TIMES, matched.map(|(_, bin)| bin));
        if let Some((_, bin)) = matched {
            point(out, bin, TIMES, TIMES + 2 * n);
        }
    }
}

/// Links `output` to a class of an ordered scale, the output after it to both neighbours.
fn point(out: &mut Features, class: usize, classes: usize, output: usize) {
    out.link(class, output);
    if class > 0 {
        out.link(class - 1, output + 1);
    }
    if class + 1 < classes {
        out.link(class + 1, output + 1);
    }
}

/// The pitches within reach of `origin`, from below; `None` where the keyboard has ended.
fn around(origin: Option<usize>) -> impl Iterator<Item = Option<usize>> {
    (-REACH..=REACH).map(move |d| {
        let pitch = origin? as i32 + d;
        (0..PITCHES as i32).contains(&pitch).then_some(pitch as usize)
    })
}

/// How many sounding notes end in each time bin after the onset that is `step` seconds away.
fn ends(out: &mut Features, context: &Context, step: f32) {
    let mut counts = [0.0f32; TIMES];
    for pitch in 0..PITCHES {
        let left = context.sounds_on(pitch, step);
        if left > 0.0 {
            counts[time_bin(left.into())] += 1.0;
        }
    }
    out.values(counts);
}
