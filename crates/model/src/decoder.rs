//! The decoder: a network with its state, fed note by note, from which the next note is sampled or scored.

use std::{slice, sync::Arc};

use notes::Successor;
use rand::RngCore;

use crate::{
    conditioning::Conditioning,
    device::{DeviceError, TrunkDevice, TrunkRunner},
    encoding::{PITCHES, cell, cell_mass, spread_bin, time_bin, time_range, velocity_level},
    network::{Network, Scratch, State},
    repetition::Symbol,
    sampler::{NoteConstraints, PLACEHOLDER, Sampler, StepConstraints, Timing, draw_rest},
    sampling::{Controls, softmax},
    shapes::{Attribute, Kind},
    snapshot::{Snapshot, Trace},
};

/// Floor of likelihoods, so that one impossible note does not make a sum infinite.
const LEAST_MASS: f64 = 1e-12;

/// Negative log-likelihood of a note, per attribute, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nats {
    /// On the 10 ms grid.
    pub step: f64,
    /// Given the step.
    pub pitch: f64,
    /// On the 10 ms grid, given step and pitch.
    pub duration: f64,
    /// On 32 levels, given all that. 0 for the seed, which does not model it.
    pub velocity: f64,
    /// On bins of 2 ms, given all that; 0 where it is not modeled.
    pub spread: f64,
}

/// How well the network predicted a note.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// Negative log-likelihoods.
    pub nats: Nats,
    /// The expected step, in seconds: the seed's point estimate, or the mean of the distribution.
    pub step_mean: f64,
    /// The expected duration, likewise.
    pub duration_mean: f64,
}

/// A network, its state, and the buffers to run it. Allocates on construction only, except where noted.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) network: Arc<Network>,
    pub(crate) state: State,
    pub(crate) scratch: Scratch,
    /// Where the trunk runs.
    pub(crate) runner: TrunkRunner,
    trace: Trace,
}

impl Decoder {
    /// A decoder without any input.
    pub fn new(network: Arc<Network>) -> Self {
        let (state, scratch) = (network.zero_state(), Scratch::new(1));
        let mut decoder = Self { state, network, scratch, runner: TrunkRunner::default(), trace: Trace::default() };
        decoder.reset();
        decoder
    }

    /// The network.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Resets to the initial state. `antiphon` is then fed begin-of-sequence. The seed is not: it is fed
    /// begin-of-sequence by [`Decoder::hand_over`], which must also be called at the start if it plays alone.
    pub fn reset(&mut self) {
        let zero = self.network.zero_state();
        self.state.copy_from(&zero);
        self.trace.forget();
        if self.network.kind() == Kind::Antiphon {
            self.step(None, None);
        }
    }

    /// Feeds a note: one step of the network.
    pub fn feed(&mut self, note: &Successor) {
        self.trace.push(Symbol::of(note));
        self.step(Some(note), None);
    }

    /// Like [`Decoder::feed`], with the conditioning inputs at the note's onset. ([`Decoder::feed`] extrapolates them
    /// from the note before: same tempo, same turn.)
    pub fn feed_at(&mut self, note: &Successor, conditioning: Conditioning) {
        self.trace.push(Symbol::of(note));
        self.step(Some(note), Some(conditioning));
    }

    /// Sets the conditioning inputs at the last onset for the next draws: the tempo or the turn may have changed since.
    /// [`Decoder::reset`] clears them.
    pub fn set_conditioning(&mut self, conditioning: Conditioning) {
        self.state.context.recent.conditioning = conditioning;
    }

    /// The conditioning inputs at the last onset.
    pub fn conditioning(&self) -> Conditioning {
        self.state.context.recent.conditioning
    }

    /// One step, on the device if there is one.
    fn step(&mut self, note: Option<&Successor>, conditioning: Option<Conditioning>) {
        let Self { network, state, scratch, runner, .. } = self;
        network.prepare_input(note, conditioning, state, scratch);
        runner.forward(network, slice::from_mut(state), scratch);
    }

    /// Runs the trunk on this device from the next note on; `None`: on the CPU. The device must hold this network's
    /// weights. If it fails, the CPU takes over, starting with the same note.
    pub fn run_on(&mut self, trunk: Option<Box<dyn TrunkDevice>>) {
        self.runner = TrunkRunner::new(trunk, 1, self.network.input_width());
    }

    /// The device's name; `None`: the CPU.
    pub fn device(&self) -> Option<&str> {
        self.runner.name()
    }

    /// Why the device was given up; returned once.
    pub fn take_failure(&mut self) -> Option<DeviceError> {
        self.runner.take_failure()
    }

    /// Feeds a whole phrase: bit-identical to [`Decoder::feed`] for each note, and several times faster. Allocates.
    pub fn feed_all(&mut self, notes: &[Successor]) {
        notes.iter().for_each(|note| self.trace.push(Symbol::of(note)));
        self.network.sequence(notes, |_| None, &mut self.state);
    }

    /// Like [`Decoder::feed_all`], with the conditioning inputs at each note's onset; bit-identical to
    /// [`Decoder::feed_at`].
    ///
    /// # Panics
    /// If the numbers of conditioning inputs and notes differ.
    pub fn feed_all_at(&mut self, notes: &[Successor], conditioning: &[Conditioning]) {
        assert_eq!(notes.len(), conditioning.len(), "a moment for each note");
        notes.iter().for_each(|note| self.trace.push(Symbol::of(note)));
        self.network.sequence(notes, |index| Some(conditioning[index]), &mut self.state);
    }

    /// Starts the turn. The seed is fed begin-of-sequence after the phrase, as in its original project; `antiphon` just
    /// continues.
    pub fn hand_over(&mut self) {
        if self.network.kind() == Kind::Seed {
            self.step(None, None);
        }
        self.state.context.begin_turn();
    }

    /// Ends the turn: until set again, no turn and no position in the bar are known.
    pub fn end_turn(&mut self) {
        let recent = &mut self.state.context.recent;
        recent.turn_drift.end();
        recent.conditioning = Conditioning { source: recent.conditioning.source, ..Conditioning::default() };
    }

    /// The network's state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Saves the state, to be restored by [`Decoder::restore`].
    pub fn snapshot(&mut self) -> Snapshot {
        self.trace.snapshot(&self.state)
    }

    /// Like [`Decoder::snapshot`], overwriting an older one: does not allocate, except about every 32nd note.
    pub fn snapshot_into(&mut self, out: &mut Snapshot) {
        self.trace.snapshot_into(&self.state, out);
    }

    /// Restores a saved state, bit for bit, in a fraction of a step's time.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.trace.restore(snapshot, &mut self.state);
    }

    /// Samples the next note without feeding it. `silence`: seconds already passed since the last onset; the step is
    /// drawn from p(step | step >= silence). The seed answers with its point estimates for timing, and with the recent
    /// average velocity.
    pub fn sample(&mut self, controls: &Controls, silence: f64, rng: &mut impl RngCore) -> Successor {
        let timing = self.sample_step(controls, &StepConstraints::after(silence), rng);
        self.sample_note(controls, timing.step, &NoteConstraints::after(silence), rng)
    }

    /// Samples the next note's step.
    pub fn sample_step<R: RngCore>(
        &mut self,
        controls: &Controls,
        constraints: &StepConstraints,
        rng: &mut R,
    ) -> Timing {
        let mut timing = Timing::AT_ONCE;
        let constraints = slice::from_ref(constraints);
        self.sampler(controls).steps(constraints, slice::from_mut(rng), slice::from_mut(&mut timing));
        timing
    }

    /// Samples the rest of the next note, given its step, without feeding it.
    pub fn sample_note<R: RngCore>(
        &mut self,
        controls: &Controls,
        step: f64,
        constraints: &NoteConstraints,
        rng: &mut R,
    ) -> Successor {
        let mut next = PLACEHOLDER;
        self.sampler(controls).notes(&[(step, *constraints)], slice::from_mut(rng), slice::from_mut(&mut next));
        next
    }

    fn sampler<'a>(&'a mut self, controls: &'a Controls) -> Sampler<'a> {
        let Self { network, state, scratch, .. } = self;
        Sampler { network, states: slice::from_ref(state), scratch, controls }
    }

    /// Samples the total duration, in seconds, of a note that still sounds after `next.duration`: from the network's
    /// own p(duration | duration >= that). The seed answers with its point estimate or the time so far, whichever is
    /// longer.
    pub fn sample_rest(&mut self, next: &Successor, rng: &mut impl RngCore) -> f64 {
        let Self { network, state, scratch, .. } = self;
        let so_far = next.duration.max(0.0);
        if let Some([_, estimate]) = network.point_estimates(state, scratch) {
            return estimate.max(so_far);
        }
        draw_rest(network.logits(Attribute::Duration, next, state, scratch), so_far, rng)
    }

    /// Scores `next` before it is fed.
    pub fn score(&mut self, next: &Successor) -> Scores {
        match self.network.point_estimates(&self.state, &mut self.scratch) {
            Some(timing) => self.score_seed(next, timing),
            None => self.score_antiphon(next),
        }
    }

    fn score_seed(&mut self, next: &Successor, [step_mean, duration_mean]: [f64; 2]) -> Scores {
        let variance = self.network.card().residual_variance.unwrap_or([0.02, 0.11]);
        let p = self.network.logits(Attribute::Pitch, next, &self.state, &mut self.scratch);
        softmax(p);
        let nats = Nats {
            step: nats(gaussian_mass(step_mean, variance[0], next.step)),
            pitch: nats(p[usize::from(next.pitch)].into()),
            duration: nats(gaussian_mass(duration_mean, variance[1], next.duration)),
            ..Nats::default()
        };
        Scores { nats, step_mean, duration_mean }
    }

    fn score_antiphon(&mut self, next: &Successor) -> Scores {
        let Self { network, state, scratch, .. } = self;
        let mut scores = Scores::default();
        let p = network.logits(Attribute::Step, next, state, scratch);
        softmax(p);
        scores.nats.step = nats(cell_mass(p, next.step));
        scores.step_mean = mean_time(p);
        let p = network.logits(Attribute::Pitch, next, state, scratch);
        softmax(p);
        scores.nats.pitch = nats(p[usize::from(next.pitch)].into());
        let p = network.logits(Attribute::Duration, next, state, scratch);
        softmax(p);
        scores.nats.duration = nats(cell_mass(p, next.duration));
        scores.duration_mean = mean_time(p);
        let p = network.logits(Attribute::Velocity, next, state, scratch);
        softmax(p);
        scores.nats.velocity = nats(p[velocity_level(next.velocity)].into());
        if network.has_spread(next, &state.context) {
            let p = network.logits(Attribute::Spread, next, state, scratch);
            softmax(p);
            scores.nats.spread = nats(p[spread_bin(next.spread)].into());
        }
        scores
    }

    /// The training loss of `next` per attribute: nats of its class; for the seed's point estimates, squared error in
    /// seconds squared.
    pub fn costs(&mut self, next: &Successor) -> [f64; 5] {
        let Self { network, state, scratch, .. } = self;
        let timing = network.point_estimates(state, scratch);
        let mut cost = |attribute, class: usize| {
            let p = network.logits(attribute, next, state, scratch);
            softmax(p);
            nats(p[class].into())
        };
        let pitch = cost(Attribute::Pitch, next.pitch.into());
        if let Some([step, duration]) = timing {
            return [square(step - next.step), pitch, square(duration - next.duration), 0.0, 0.0];
        }
        let has_spread = network.has_spread(next, &state.context);
        [
            cost(Attribute::Step, time_bin(next.step)),
            pitch,
            cost(Attribute::Duration, time_bin(next.duration)),
            cost(Attribute::Velocity, velocity_level(next.velocity)),
            if has_spread { cost(Attribute::Spread, spread_bin(next.spread)) } else { 0.0 },
        ]
    }

    /// The distribution of the next note's pitch, given a step of `step` seconds: `[128]`.
    pub fn pitch_distribution(&mut self, step: f64, out: &mut [f32; PITCHES]) {
        let next = Successor { step, spread: 0.0, duration: 0.0, pitch: 0, velocity: 0 };
        let p = self.network.logits(Attribute::Pitch, &next, &self.state, &mut self.scratch);
        out.copy_from_slice(&p[..PITCHES]);
        softmax(out);
    }
}

/// The center of a time bin, in seconds; 0 for the chord bin.
pub(crate) fn center(bin: usize) -> f64 {
    match (bin, time_range(bin)) {
        (0, _) => 0.0,
        (_, (begin, end)) => (begin + end) / 2.0,
    }
}

fn nats(mass: f64) -> f64 {
    -libm::log(mass.max(LEAST_MASS))
}

fn square(x: f64) -> f64 {
    x * x
}

/// Mean of a distribution over time bins, in seconds.
fn mean_time(p: &[f32]) -> f64 {
    p.iter().enumerate().map(|(bin, &p)| f64::from(p) * center(bin)).sum()
}

/// Mass of a Gaussian on the 10 ms cell of `seconds`.
fn gaussian_mass(mean: f64, variance: f64, seconds: f64) -> f64 {
    let (low, high) = cell(seconds);
    let deviation = variance.sqrt().max(1e-6);
    if low == 0.0 {
        // Mass below zero is played at zero, so it belongs to the first cell.
        return upper_tail((mean - high) / deviation);
    }
    let (low, high) = ((low - mean) / deviation, (high - mean) / deviation);
    // Differences of the smaller tails keep precision far from the mean.
    if low > 0.0 { upper_tail(low) - upper_tail(high) } else { upper_tail(-high) - upper_tail(-low) }
}

/// P(Z > z) for a standard Gaussian: Abramowitz & Stegun 26.2.17, absolute error under 7.5e-8, refined
/// by the asymptotic series beyond 4.
fn upper_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - upper_tail(-z);
    }
    let density = libm::exp(-z * z / 2.0) / (2.0 * std::f64::consts::PI).sqrt();
    if z > 4.0 {
        let w = 1.0 / (z * z);
        return density / z * (1.0 - w * (1.0 - 3.0 * w * (1.0 - 5.0 * w * (1.0 - 7.0 * w))));
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = 1.330_274_429;
    let series = series * t - 1.821_255_978;
    let series = series * t + 1.781_477_937;
    let series = series * t - 0.356_563_782;
    let series = series * t + 0.319_381_530;
    density * series * t
}
