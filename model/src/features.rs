//! What each part of the network is told, as sparse features. The same functions serve training,
//! scoring and playing, so what is learnt is what is heard.

use notes::Successor;

use crate::{
    context::Context,
    encoding::{PITCHES, SPREADS, TIMES, VELOCITIES, spread_bin, time_bin, velocity_level},
};

/// Intervals up to two octaves have a class of their own: -24 … 24 semitones.
pub(crate) const REACH: i32 = 24;
/// Number of interval classes.
pub(crate) const INTERVALS: usize = 2 * REACH as usize + 1;
/// Places in a chord that are told apart.
const PLACES: usize = 8;

/// Sparse feature vector: (index, value) pairs, and the width the dense vector would have.
#[derive(Clone, Debug, Default)]
pub struct Features {
    pairs: Vec<(u32, f32)>,
    width: usize,
}

impl Features {
    /// Space for every feature of any part, so that filling never allocates.
    pub fn new() -> Self {
        Self { pairs: Vec::with_capacity(1024), width: 0 }
    }

    /// The non-zero features as (index, value), in ascending order of index.
    pub fn pairs(&self) -> &[(u32, f32)] {
        &self.pairs
    }

    /// Length of the dense vector.
    pub fn width(&self) -> usize {
        self.width
    }

    fn clear(&mut self) {
        self.pairs.clear();
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
    out.class(INTERVALS, note.and(context.before).zip(note).map(|(b, n)| interval_class(b, n.pitch)));
    out.class(TIMES, note.map(|n| time_bin(n.step)));
    out.class(TIMES, note.map(|n| time_bin(n.duration)));
    out.class(VELOCITIES, note.map(|n| velocity_level(n.velocity)));
    out.class(SPREADS, note.map(|n| spread_bin(n.spread)));
    out.values(note.map_or([0.0; 6], |n| {
        let (step, duration) = (n.step.min(20.0) as f32, n.duration.min(20.0) as f32);
        [
            step,
            ((step + 0.01) / 0.1).ln(),
            duration,
            ((duration + 0.01) / 0.1).ln(),
            f32::from(n.velocity) / 64.0 - 1.0,
            n.spread as f32 / 0.030,
        ]
    }));
    harmony(out, context, 0.0);
}

/// For the step head: when the sounding notes will end.
pub(crate) fn before_step(out: &mut Features, context: &Context) {
    out.clear();
    ends(out, context, 0.0);
}

/// For the pitch head: the step, and the harmony that is left at its end.
pub(crate) fn before_pitch(out: &mut Features, context: &Context, step: f64) {
    out.clear();
    out.class(TIMES, Some(time_bin(step)));
    harmony(out, context, step as f32);
}

/// For the duration head: step, pitch, and when the other notes will end.
pub(crate) fn before_duration(out: &mut Features, context: &Context, step: f64, pitch: u8) {
    out.clear();
    out.class(TIMES, Some(time_bin(step)));
    out.class(PITCHES, Some(pitch.into()));
    out.interval(context.last, pitch);
    ends(out, context, step as f32);
}

/// For the velocity head: step, pitch and duration.
pub(crate) fn before_velocity(out: &mut Features, context: &Context, step: f64, pitch: u8, duration: f64) {
    out.clear();
    out.class(TIMES, Some(time_bin(step)));
    out.class(PITCHES, Some(pitch.into()));
    out.interval(context.last, pitch);
    out.class(TIMES, Some(time_bin(duration)));
}

/// For the spread head, which only notes inside a chord need: place, interval, pitch, velocity.
pub(crate) fn before_spread(out: &mut Features, context: &Context, pitch: u8, velocity: u8) {
    out.clear();
    out.class(PLACES, Some(context.place.into()));
    out.interval(context.last, pitch);
    out.class(PITCHES, Some(pitch.into()));
    out.class(VELOCITIES, Some(velocity_level(velocity)));
}

/// Profiles as they are, and turned so that the last pitch is the origin: what is a third above
/// the last note is seen at the same place in every key.
fn harmony(out: &mut Features, context: &Context, step: f32) {
    // The factors bring the profiles to about the size of one-hot features.
    let origin = context.last.map(usize::from);
    out.values(context.fast.iter().map(|v| v * 6.0));
    out.values(context.slow.iter().map(|v| v * 6.0));
    for profile in [&context.fast, &context.slow] {
        out.values((0..12).map(|i| origin.map_or(0.0, |o| profile[(o + i) % 12] * 6.0)));
    }
    out.values(context.pitches.iter().map(|v| v * 12.0));
    out.values(around(origin).map(|p| p.map_or(0.0, |p| context.recent[p] * 4.0)));
    out.values((0..PITCHES).map(|p| f32::from(u8::from(context.sounds_on(p, step) > 0.0))));
    out.values(around(origin).map(|p| p.map_or(0.0, |p| f32::from(u8::from(context.sounds_on(p, step) > 0.0)))));
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
