//! Sampling of the next note, attribute by attribute, each given those before it, under constraints and requests of the
//! caller: here they are applied to the distributions.

mod step;

use std::sync::LazyLock;

use notes::Successor;
use rand::{Rng, RngCore};

use crate::{
    activation::exp,
    batch_decoder::MAX_TAKES,
    context::Context,
    decoder::center,
    encoding::{LONGEST_S, PITCHES, TIMES, VELOCITIES, spread_range, time_bin, time_range, velocity_range},
    markov::{Markov, Recent},
    network::{Network, Scratch, State},
    rhythm::off_border,
    sampling::{Controls, apply_temperature, apply_top_p, draw, mix, tilt},
    shapes::{Attribute, Kind},
    turn_drift::{duration_class, is_as_long},
};
use step::StepSampler;

/// The shortest audible duration of a note, in seconds after it is struck.
const SHORTEST_S: f64 = 0.010;
/// Placeholder for attributes that are not drawn yet.
pub(crate) const PLACEHOLDER: Successor = Successor { step: 0.0, spread: 0.0, duration: 0.0, pitch: 0, velocity: 0 };
/// Smallest fraction of a bin: keeps its logarithm finite.
const LEAST_PART: f64 = 1e-6;
/// Limit of the tilt that reaches a velocity, per MIDI unit.
const STEEPEST_LEVEL: f32 = 0.5;

/// What was learned from the player's notes, and its weight.
#[derive(Clone, Copy, Debug)]
pub struct MarkovMix<'a> {
    /// The Markov model.
    pub memory: &'a Markov,
    /// The notes before the one to be drawn.
    pub recent: &'a Recent,
    /// Its share in the distributions of step and pitch where it has data: 0–1.
    pub share: f32,
}

/// Constraints and requests for the next step.
#[derive(Clone, Copy)]
pub struct StepConstraints<'a> {
    /// Earliest onset, in seconds after the last one.
    pub earliest: f64,
    /// If the note is drawn again because something has changed: how it was first drawn.
    pub first_draw: Option<FirstDraw<'a>>,
    /// Whether the note may join the last chord: some allowed pitch is above the chord's highest.
    pub in_chord: bool,
    /// Factor on the density of onsets; 1: as the network plays.
    pub density: f32,
    /// Distribution to mix in.
    pub learned: Option<MarkovMix<'a>>,
}

/// How a note was drawn before something changed. If the distribution is still the same, the note stays where it was.
#[derive(Clone, Copy)]
pub struct FirstDraw<'a> {
    /// The earliest onset then, in seconds after the last one; at most the present one.
    pub earliest: f64,
    /// Whether a note with this step, in seconds, can still be played: the time at which the caller would play it has not
    /// passed.
    pub can_stay: &'a dyn Fn(f64) -> bool,
}

impl StepConstraints<'_> {
    /// No constraint but the earliest onset, in seconds after the last one.
    pub fn after(earliest: f64) -> Self {
        Self { earliest, first_draw: None, in_chord: true, density: 1.0, learned: None }
    }
}

/// The timing of the next note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Seconds after the last onset; 0: joins its chord.
    pub step: f64,
    /// Median of the distribution the step was drawn from, chords excluded, in seconds.
    pub median: f64,
}

impl Timing {
    /// Value before anything is drawn.
    pub(crate) const AT_ONCE: Self = Self { step: 0.0, median: 0.0 };
}

/// The velocity of the next note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loudness {
    /// As the network predicts.
    Free,
    /// The network's distribution, shifted from the recent average velocity to this one, in MIDI units.
    Around(f32),
    /// Always this MIDI velocity.
    Fixed(u8),
}

/// Constraints and requests for the next note, once its step is known.
#[derive(Clone, Copy, Debug)]
pub struct NoteConstraints<'a> {
    /// Allowed pitches, as bits. Inside a chord at least one of them must be above its last pitch.
    pub pitches: u128,
    /// Velocity.
    pub loudness: Loudness,
    /// Factor on the spread of chords; 0: all notes are struck at once.
    pub spread: f64,
    /// Distribution to mix in.
    pub learned: Option<MarkovMix<'a>>,
}

impl NoteConstraints<'_> {
    /// No constraints, no requests.
    pub const FREE: Self = Self { pitches: u128::MAX, loudness: Loudness::Free, spread: 1.0, learned: None };

    /// No constraints, but no spread if `silence`, the seconds passed since the last onset, is above 0: an entry is
    /// never late.
    pub fn after(silence: f64) -> Self {
        Self { spread: if silence > 0.0 { 0.0 } else { 1.0 }, ..Self::FREE }
    }
}

impl Default for NoteConstraints<'_> {
    fn default() -> Self {
        Self::FREE
    }
}

/// Takes of one network, often a single one, whose next notes are sampled as one batch. Feeds nothing, allocates
/// nothing.
pub(crate) struct Sampler<'a> {
    pub network: &'a Network,
    pub states: &'a [State],
    pub scratch: &'a mut Scratch,
    pub controls: &'a Controls,
}

impl Sampler<'_> {
    /// Draws each take's step. The network's distribution goes through these stages: mask, corrections towards the
    /// phrase, learned mixture, temperature, density tilt, top-p and min-p. The seed answers with its point estimate.
    pub fn steps<R: RngCore>(&mut self, constraints: &[StepConstraints], rngs: &mut [R], timings: &mut [Timing]) {
        let Self { network, states, scratch, controls } = self;
        assert_eq!(
            [constraints.len(), rngs.len(), timings.len()],
            [states.len(); 3],
            "limits and a generator for each take"
        );
        let each = states.iter().zip(constraints).zip(rngs).zip(timings);
        if network.kind() == Kind::Seed {
            for (((state, constraints), rng), timing) in each {
                let [estimate, _] = network.point_estimates(state, scratch).unwrap_or_default();
                *timing = StepSampler::new(&state.context, constraints, constraints.earliest).around(estimate, rng);
            }
            return;
        }
        let logits = network.logits_all(Attribute::Step, &[PLACEHOLDER; MAX_TAKES][..states.len()], states, scratch);
        let logits = logits.chunks_exact_mut(TIMES);
        for ((((state, constraints), rng), timing), logits) in each.zip(logits) {
            *timing = step::draw_step(&state.context, constraints, logits, controls, rng);
        }
    }

    /// Draws everything but the step of each take's next note. `constraints`: the step and the constraints of each
    /// take.
    pub fn notes<R: RngCore>(
        &mut self,
        constraints: &[(f64, NoteConstraints)],
        rngs: &mut [R],
        notes: &mut [Successor],
    ) {
        assert_eq!(
            [constraints.len(), rngs.len(), notes.len()],
            [self.states.len(); 3],
            "limits and a generator for each take"
        );
        for (note, (step, _)) in notes.iter_mut().zip(constraints) {
            *note = Successor { step: *step, ..PLACEHOLDER };
        }
        self.attribute(Attribute::Pitch, constraints, rngs, notes);
        if self.network.kind() == Kind::Seed {
            let Self { network, states, scratch, controls } = self;
            for ((state, (_, constraints)), next) in states.iter().zip(constraints).zip(notes) {
                let [_, duration] = network.point_estimates(state, scratch).unwrap_or_default();
                AttributeSampler { controls, constraints, context: &state.context, network }
                    .complete_seed_note(duration, next);
            }
            return;
        }
        self.attribute(Attribute::Duration, constraints, rngs, notes);
        self.attribute(Attribute::Velocity, constraints, rngs, notes);
        let Self { network, states, controls, .. } = self;
        let mut each = states.iter().zip(constraints).zip(&*notes);
        let may_have_spread = |((state, (_, constraints)), next): ((&State, &(f64, NoteConstraints)), &Successor)| {
            AttributeSampler { controls, constraints, context: &state.context, network }.may_have_spread(next)
        };
        if each.any(may_have_spread) {
            self.attribute(Attribute::Spread, constraints, rngs, notes);
        }
        // A note sounds for a moment at least.
        for next in notes {
            next.duration = next.duration.max(next.spread + SHORTEST_S);
        }
    }

    /// Draws one attribute for all takes.
    fn attribute<R: RngCore>(
        &mut self,
        attribute: Attribute,
        constraints: &[(f64, NoteConstraints)],
        rngs: &mut [R],
        notes: &mut [Successor],
    ) {
        let Self { network, states, scratch, controls } = self;
        let logits = network.logits_all(attribute, notes, states, scratch);
        let logits = logits.chunks_exact_mut(logits.len() / states.len());
        let each = states.iter().zip(constraints).zip(notes).zip(logits).zip(rngs);
        for ((((state, (_, constraints)), next), logits), rng) in each {
            let sampler = AttributeSampler { controls, constraints, context: &state.context, network };
            match attribute {
                Attribute::Step => unreachable!("steps are drawn first, by `Onset`"),
                Attribute::Pitch => sampler.pitch(logits, next, rng),
                Attribute::Duration => sampler.duration(logits, next, rng),
                Attribute::Velocity => sampler.velocity(logits, next, rng),
                Attribute::Spread => sampler.spread(logits, next, rng),
            }
        }
    }
}

/// Draws a duration of at least `so_far` seconds from the logits of all durations.
pub(crate) fn draw_rest(logits: &mut [f32], so_far: f64, rng: &mut impl RngCore) -> f64 {
    let first = time_bin(so_far);
    logits[..first].fill(f32::NEG_INFINITY);
    logits[first] += part_of(first, so_far, f64::INFINITY);
    apply_temperature(logits, 1.0);
    let (begin, end) = time_range(draw(logits, rng).unwrap_or(first));
    let begin = begin.max(so_far);
    begin + (end - begin).max(0.0) * rng.random::<f64>()
}

/// Draws the remaining attributes of one take's note, once its step is known. Each method writes one into the note.
struct AttributeSampler<'a> {
    controls: &'a Controls,
    constraints: &'a NoteConstraints<'a>,
    context: &'a Context,
    network: &'a Network,
}

impl AttributeSampler<'_> {
    fn pitch(&self, logits: &mut [f32], next: &mut Successor, rng: &mut impl RngCore) {
        let Self { controls, constraints, context, .. } = self;
        let logits = &mut logits[..PITCHES];
        // Where the rhythm is even, repetition comes by itself, in the pitches too.
        let more = controls.repeats * (1.0 - context.recent.turn_drift.evenness());
        if more > 0.0
            && let Some(pitch) = context.repeated()
        {
            logits[usize::from(pitch)] += more;
        }
        if let Some((pitch, shortfall)) = context.recent.turn_drift.repeated_onset().filter(|_| next.step > 0.0) {
            logits[usize::from(pitch)] += controls.repeated_onsets * shortfall;
        }
        for (pitch, loss) in context.repetition_penalty() {
            logits[usize::from(pitch)] -= loss;
        }
        let higher = controls.register * context.recent.turn_drift.pitch_shortfall() / 12.0;
        if higher != 0.0 {
            logits.iter_mut().enumerate().for_each(|(pitch, logit)| *logit += higher * pitch as f32);
        }
        if controls.range != 0.0 {
            let outside = |pitch: usize| context.recent.turn_drift.pitch_outside(pitch as f32);
            logits.iter_mut().enumerate().for_each(|(pitch, logit)| *logit -= controls.range * outside(pitch));
        }
        for (pitch, logit) in logits.iter_mut().enumerate() {
            *logit = if constraints.pitches >> pitch & 1 == 1 { *logit } else { f32::NEG_INFINITY };
        }
        if let Some(MarkovMix { memory, recent, share }) = constraints.learned {
            let possible = (0..PITCHES).filter(|&pitch| logits[pitch] > f32::NEG_INFINITY);
            let possible = possible.fold(0, |set, pitch| set | 1 << pitch);
            let mut learned = [0.0; PITCHES];
            if memory.pitches(recent, next.step, possible, &mut learned) {
                mix(logits, &learned, share);
            }
        }
        controls.probabilities(logits, controls.temperature.pitch);
        let lowest = constraints.pitches.trailing_zeros() as usize;
        next.pitch = draw(logits, rng).unwrap_or(lowest).min(PITCHES - 1) as u8;
    }

    /// Completes the seed's note: the estimated duration, and the recent average velocity, since the seed predicts
    /// none.
    fn complete_seed_note(&self, duration: f64, next: &mut Successor) {
        next.duration = duration.clamp(SHORTEST_S, LONGEST_S);
        let velocity = match self.constraints.loudness {
            Loudness::Free => self.context.recent.velocity,
            Loudness::Around(velocity) => velocity,
            Loudness::Fixed(velocity) => velocity.into(),
        };
        next.velocity = velocity.round().clamp(1.0, 127.0) as u8;
    }

    fn duration(&self, logits: &mut [f32], next: &mut Successor, rng: &mut impl RngCore) {
        if self.controls.durations != 0.0 {
            let shortfalls = self.context.recent.turn_drift.duration_shortfalls();
            for (bin, logit) in logits.iter_mut().enumerate() {
                *logit += self.controls.durations * shortfalls[duration_class(center(bin))];
            }
        }
        if self.controls.chord_durations != 0.0
            && next.step == 0.0
            && let Some(below) = self.context.recent.voices.last().map(|last| last.duration.into())
        {
            let bonus = self.controls.chord_durations * self.context.recent.turn_drift.chord_duration_shortfall();
            let equal = |bin: &usize| is_as_long(center(*bin), below) || *bin == time_bin(below);
            (0..TIMES).filter(equal).for_each(|bin| logits[bin] += bonus);
        }
        // No min-p: rare durations are musical, not slips as rare pitches are.
        apply_temperature(logits, self.controls.temperature.duration);
        apply_top_p(logits, self.controls.top_p);
        let (begin, end) = time_range(draw(logits, rng).unwrap_or(0));
        let anywhere = begin + (end - begin).max(0.0) * rng.random::<f64>();
        let recent = &self.context.recent;
        let ends = recent.sounding.ends(next.step as f32);
        let exact = recent.rhythm.exact_duration(next.step, ends, anywhere, rng.random());
        next.duration = exact.map(off_border).unwrap_or(anywhere);
    }

    fn velocity(&self, p: &mut [f32], next: &mut Successor, rng: &mut impl RngCore) {
        if let Loudness::Fixed(velocity) = self.constraints.loudness {
            next.velocity = velocity.clamp(1, 127);
            return;
        }
        let drift = &self.context.recent.turn_drift;
        let more = exp(self.controls.dynamics * drift.velocity_change_shortfall());
        if self.controls.range != 0.0 && self.constraints.loudness == Loudness::Free {
            let outside = |level: f32| drift.velocity_outside(level) / 4.0;
            p.iter_mut().zip(&*LEVELS).for_each(|(logit, &level)| *logit -= self.controls.range * outside(level));
        }
        apply_temperature(p, self.controls.temperature.velocity * more);
        if let Loudness::Around(level) = self.constraints.loudness {
            tilt_velocity(p, level - self.context.recent.velocity);
        }
        self.controls.keep(p);
        let (low, high) = velocity_range(draw(p, rng).unwrap_or(16));
        let anywhere = rng.random_range(low..=high);
        let repeated = self.context.recent.voices.repeated_velocity(next.pitch, next.step, anywhere, rng.random());
        next.velocity = repeated.unwrap_or(anywhere);
    }

    /// Whether the note may have a spread.
    fn may_have_spread(&self, next: &Successor) -> bool {
        self.constraints.spread > 0.0 && self.network.has_spread(next, self.context)
    }

    fn spread(&self, logits: &mut [f32], next: &mut Successor, rng: &mut impl RngCore) {
        if !self.may_have_spread(next) {
            return;
        }
        let drift = &self.context.recent.turn_drift;
        if next.step > 0.0 {
            // A late first note implies others: a chord begins here.
            let chords = self.controls.texture * drift.chord_shortfall();
            logits[1..].iter_mut().for_each(|logit| *logit += chords);
        }
        let wider = self.controls.spread * drift.spread_shortfall();
        if wider != 0.0 {
            for (bin, logit) in logits.iter_mut().enumerate() {
                let (begin, end) = spread_range(bin);
                *logit += wider * (50.0 * (begin + end)) as f32;
            }
        }
        apply_temperature(logits, 1.0);
        apply_top_p(logits, self.controls.top_p);
        let bin = draw(logits, rng).unwrap_or(0);
        // Who plays exact chords, or no chords but exact rhythms, is answered in exact chords.
        let exact = match drift.phrase_spread() {
            Some(spread) => spread == 0.0,
            None => drift.is_measured() && self.context.recent.rhythm.is_exact(rng.random()),
        };
        if bin > 0 && !exact {
            let (begin, end) = spread_range(bin);
            let spread = begin + (end - begin) * rng.random::<f64>();
            next.spread = spread * self.constraints.spread;
        }
    }
}

/// Logarithm of the fraction of a bin that lies within these bounds, in seconds.
fn part_of(bin: usize, earliest: f64, latest: f64) -> f32 {
    let (begin, end) = time_range(bin);
    let part = (end.min(latest) - begin.max(earliest)) / (end - begin);
    libm::log(part.max(LEAST_PART)) as f32
}

/// Centers of the velocity levels, in MIDI units.
static LEVELS: LazyLock<[f32; VELOCITIES]> = LazyLock::new(|| {
    std::array::from_fn(|level| {
        let (low, high) = velocity_range(level);
        0.5 * (f32::from(low) + f32::from(high))
    })
});

/// Tilts a distribution of velocity levels so that its mean moves by `difference`, in MIDI units.
fn tilt_velocity(p: &mut [f32], difference: f32) {
    let target = (mean(p, &*LEVELS) + difference).clamp(LEVELS[0], LEVELS[VELOCITIES - 1]);
    tilt(p, &*LEVELS, target, STEEPEST_LEVEL);
}

fn mean(p: &[f32], values: &[f32]) -> f32 {
    let sum: f32 = p.iter().sum();
    if sum > 0.0 { p.iter().zip(values).map(|(p, value)| p * value).sum::<f32>() / sum } else { 0.0 }
}
