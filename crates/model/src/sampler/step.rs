//! When the next onset comes: the learned distribution of steps under the caller's constraints, and the exact moment in the
//! bin that was drawn.

use std::sync::LazyLock;

use rand::{Rng, RngCore};

use super::{SHORTEST_S, StepConstraints, Timing, mean, part_of};
use crate::{
    activation::{exp, ln},
    context::Context,
    decoder::center,
    encoding::{PITCHES, TIMES, time_bin, time_range},
    rhythm::off_border,
    sampling::{Controls, apply_temperature, draw, mix, tilt},
};

/// Limit of the tilt that reaches a density, as its slope over the natural logarithm of the step: doubling a step
/// changes its odds by a factor of 2^8 at most.
const STEEPEST: f32 = 8.0;

/// Natural logarithms of the bin centers in seconds.
static LENGTHS: LazyLock<[f32; TIMES]> =
    LazyLock::new(|| std::array::from_fn(|bin| libm::log(center(bin).max(SHORTEST_S)) as f32));

/// When the next onset may be, and the learned distribution.
pub(crate) struct StepSampler<'a> {
    constraints: &'a StepConstraints<'a>,
    earliest: f64,
    /// The time bin of `earliest`, and the first possible bin outside a chord.
    first: usize,
    next: usize,
    /// Whether the note may join the last chord.
    chords: bool,
    learned: Option<(f32, [f32; TIMES])>,
    context: &'a Context,
}

/// How often a step is drawn as it was first drawn before it is drawn with the present bound.
const ATTEMPTS: usize = 8;

/// Draws the timing of the next note from the network's distribution. A note that is drawn again is drawn by rejection:
/// it stays where it was, unless its time has passed. A draw from what is left of the distribution alone would move a note
/// later each time it is drawn again, and while a knob turns, hardly any note would ever come.
pub(crate) fn draw_step(
    context: &Context,
    constraints: &StepConstraints,
    logits: &mut [f32],
    controls: &Controls,
    rng: &mut impl RngCore,
) -> Timing {
    if let Some(first) = constraints.first_draw {
        let mut logits: [f32; TIMES] = std::array::from_fn(|bin| logits[bin]);
        let sampler = StepSampler::new(context, constraints, first.earliest);
        let median = sampler.distribution(&mut logits, controls).max(constraints.earliest);
        for _ in 0..ATTEMPTS {
            let step = sampler.draw(&logits, rng);
            if (first.can_stay)(step) {
                return Timing { step, median };
            }
        }
    }
    let sampler = StepSampler::new(context, constraints, constraints.earliest);
    let median = sampler.distribution(logits, controls);
    Timing { step: sampler.draw(logits, rng), median }
}

/// The shortest step outside a chord, in seconds: shorter ones fall into the chord window.
const SHORTEST_STEP_S: f64 = notes::chords::WINDOW_S + 1e-3;

impl<'a> StepSampler<'a> {
    /// `earliest`: the bound to draw with, in seconds.
    pub fn new(context: &'a Context, constraints: &'a StepConstraints, earliest: f64) -> Self {
        let earliest = earliest.max(0.0);
        let chords = earliest == 0.0 && constraints.in_chord && usize::from(context.floor(0.0)) < PITCHES;
        let first = time_bin(earliest);
        let next = first.max(time_bin(SHORTEST_STEP_S));
        let mut sampler = Self { constraints, earliest, first, next, chords, learned: None, context };
        let mut learned = [0.0; TIMES];
        sampler.learned = constraints
            .learned
            .filter(|own| own.memory.steps(own.recent, |bin| sampler.possible(bin), &mut learned))
            .map(|own| (own.share, learned));
        sampler
    }

    fn possible(&self, bin: usize) -> bool {
        if bin == 0 { self.chords } else { bin >= self.next }
    }

    /// Picks a time in this bin, as the player would time it or else uniformly; but where a note ends nearby, that
    /// moment.
    fn time_in(&self, bin: usize, rng: &mut impl RngCore) -> f64 {
        if bin == 0 {
            return 0.0;
        }
        let (begin, end) = time_range(bin);
        let earliest = self.earliest.max(SHORTEST_STEP_S);
        let begin = begin.max(earliest);
        let recent = &self.context.recent;
        let drawn = begin + (end - begin).max(0.0) * rng.random::<f64>();
        let played = recent.rhythm.played(drawn, recent.conditioning.meter, rng.random());
        let time = played.filter(|time| *time >= earliest).unwrap_or(drawn);
        let at_end = recent.sounding.end_near(time, recent.last(), rng.random()).filter(|end| *end >= earliest);
        off_border(recent.sounding.after_ends(at_end.unwrap_or(time)))
    }

    /// The timing when the network gives a point estimate, in seconds.
    pub fn around(&self, estimate: f64, rng: &mut impl RngCore) -> Timing {
        let median = (estimate / f64::from(self.constraints.density)).max(self.earliest);
        let step = match self.learned {
            Some((share, p)) if rng.random::<f32>() < share => self.time_in(draw(&p, rng).unwrap_or(self.first), rng),
            _ if median > 0.0 || self.chords => median,
            _ => SHORTEST_STEP_S,
        };
        Timing { step, median }
    }

    /// Turns the network's logits into the distribution of steps. Returns its median without chords, in seconds.
    fn distribution(&self, logits: &mut [f32], controls: &Controls) -> f64 {
        for (bin, logit) in logits.iter_mut().enumerate() {
            *logit = if self.possible(bin) { *logit } else { f32::NEG_INFINITY };
        }
        if self.first > 0 {
            logits[self.first] += part_of(self.first, self.earliest, f64::INFINITY);
        }
        let drift = &self.context.recent.turn_drift;
        logits[0] += controls.texture * drift.chord_shortfall();
        let slower = controls.density * drift.interval_shortfall();
        // If the caller asks for another density, the phrase's does not apply.
        if slower != 0.0 && self.constraints.density == 1.0 {
            logits[1..].iter_mut().zip(&LENGTHS[1..]).for_each(|(logit, length)| *logit += slower * length);
        }
        if let Some((share, p)) = self.learned {
            mix(logits, &p, share);
        }
        apply_temperature(logits, controls.temperature.step * exp(-controls.evenness * drift.evenness_shortfall()));
        let p = logits;
        if self.constraints.density != 1.0 {
            // Chords keep their share: what changes is how soon the next onset comes.
            tilt_density(&mut p[1..], self.constraints.density);
        }
        controls.keep(p);
        center(median(&p[1..]) + 1).max(self.earliest)
    }

    /// Draws a step from [`StepSampler::distribution`], in seconds.
    fn draw(&self, p: &[f32], rng: &mut impl RngCore) -> f64 {
        let bin = draw(p, rng).unwrap_or(self.first);
        self.time_in(bin, rng)
    }
}

/// The class at which the cumulative mass reaches half.
fn median(p: &[f32]) -> usize {
    let half = 0.5 * p.iter().sum::<f32>();
    let mut sum = 0.0;
    let reaches_half = |p: &f32| {
        sum += p;
        sum >= half
    };
    p.iter().position(reaches_half).unwrap_or(p.len() - 1)
}

/// Tilts a distribution of steps, without the chord bin, so that their geometric mean is divided by `density`. The tilt
/// keeps the distribution's shape, and with it the note values of the music.
fn tilt_density(p: &mut [f32], density: f32) {
    static LOGARITHMS: LazyLock<[f32; TIMES - 1]> =
        LazyLock::new(|| std::array::from_fn(|bin| libm::log(center(bin + 1)) as f32));
    let target = mean(p, &*LOGARITHMS) - ln(density);
    tilt(p, &*LOGARITHMS, target, STEEPEST);
}
