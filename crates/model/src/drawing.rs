//! How the next note is drawn: attribute by attribute, each given those before it, within the limits
//! and wishes of the moment. The caller knows what these are; here they are put on the distributions.

use std::sync::LazyLock;

use notes::Successor;
use rand::{Rng, RngCore};

use crate::{
    activation::{exp, ln},
    batch_decoder::MOST,
    context::Context,
    decoder::centre,
    encoding::{LONGEST_S, PITCHES, TIMES, VELOCITIES, spread_range, time_bin, time_range, velocity_range},
    markov::{Markov, Recent},
    network::{Network, Scratch, State},
    rhythm::inside,
    sampling::{Controls, apply_temperature, apply_top_p, draw, mix, tilt},
    shapes::{Attribute, Kind},
    turn::duration_class,
};

/// The shortest note that is played, in seconds after it is struck.
const SHORTEST_S: f64 = 0.010;
/// What is played when nothing is known of it.
pub(crate) const NOTHING: Successor = Successor { step: 0.0, spread: 0.0, duration: 0.0, pitch: 0, velocity: 0 };
/// No part of a bin is smaller than this: a logarithm must be finite.
const LEAST_PART: f64 = 1e-6;
/// A density is reached by a tilt that changes the odds of two steps, one twice as long as the other, by
/// a factor of 2^8 at most.
const STEEPEST: f32 = 8.0;
/// A level is reached by a tilt of at most this per unit of velocity.
const STEEPEST_LEVEL: f32 = 0.5;
/// What the player's own notes have taught, and how much it counts.
#[derive(Clone, Copy, Debug)]
pub struct Learned<'a> {
    /// What is remembered.
    pub memory: &'a Markov,
    /// The notes before the one that is drawn.
    pub recent: &'a Recent,
    /// Its share in the distributions of step and pitch, where it has something to say: 0–1.
    pub share: f32,
}

/// Limits and wishes for the next step.
#[derive(Clone, Copy, Debug)]
pub struct When<'a> {
    /// No onset sooner than this after the last one, in seconds.
    pub earliest: f64,
    /// The note may join the chord that was struck last: its pitch has room there.
    pub in_chord: bool,
    /// Onsets are to be this many times as many.
    pub density: f32,
    /// To be mixed in.
    pub learned: Option<Learned<'a>>,
}

impl When<'_> {
    /// No sooner than `earliest`, and no limit else.
    pub fn after(earliest: f64) -> Self {
        Self { earliest, in_chord: true, density: 1.0, learned: None }
    }
}

/// When the next note comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Seconds after the last onset; 0: in its chord.
    pub step: f64,
    /// The median of what else could have been drawn, chords apart, in seconds.
    pub usual: f64,
}

impl Timing {
    /// What is said before anything is drawn.
    pub(crate) const AT_ONCE: Self = Self { step: 0.0, usual: 0.0 };
}

/// How loud the next note is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loudness {
    /// As the network says.
    Free,
    /// The network's shape around this velocity instead of around that of the notes heard lately.
    Around(f32),
    /// At this velocity.
    Fixed(u8),
}

/// Limits and wishes for the next note, when its step is known.
#[derive(Clone, Copy, Debug)]
pub struct What<'a> {
    /// Bit p: pitch p may be played. In a chord, one of them at least is above its last pitch.
    pub pitches: u128,
    /// The longest duration, in seconds.
    pub longest: f64,
    /// How loud.
    pub loudness: Loudness,
    /// Factor on the spread of chords: 0 has them struck at once.
    pub spread: f64,
    /// To be mixed in.
    pub learned: Option<Learned<'a>>,
}

impl What<'_> {
    /// No limits, no wishes.
    pub const FREE: Self =
        Self { pitches: u128::MAX, longest: LONGEST_S, loudness: Loudness::Free, spread: 1.0, learned: None };

    /// The longest duration that can be, in seconds.
    fn longest_s(&self) -> f64 {
        self.longest.clamp(SHORTEST_S, LONGEST_S)
    }

    /// No limits; but an entry after a silence, in seconds, is never late in its chord.
    pub fn after(silence: f64) -> Self {
        Self { spread: if silence > 0.0 { 0.0 } else { 1.0 }, ..Self::FREE }
    }
}

impl Default for What<'_> {
    fn default() -> Self {
        Self::FREE
    }
}

/// Takes of one network whose next notes are drawn side by side; often a single one. Nothing is fed, nothing allocated.
pub(crate) struct Drawing<'a> {
    pub network: &'a Network,
    pub states: &'a [State],
    pub scratch: &'a mut Scratch,
    pub controls: &'a Controls,
}

impl Drawing<'_> {
    /// Draws each take's step. Its distribution: the network's; what is ruled out taken out; what was learned mixed in;
    /// temperature; tilted to the density; top-p. The seed answers with its point estimate.
    pub fn steps<R: RngCore>(&mut self, when: &[When], rngs: &mut [R], timings: &mut [Timing]) {
        let Self { network, states, scratch, controls } = self;
        assert_eq!([when.len(), rngs.len(), timings.len()], [states.len(); 3], "limits and a generator for each take");
        let each = states.iter().zip(when).zip(rngs).zip(timings);
        if network.kind() == Kind::Seed {
            for (((state, when), rng), timing) in each {
                let [estimate, _] = network.point_estimates(state, scratch).unwrap_or_default();
                *timing = Onset::new(&state.context, when).around(estimate, rng);
            }
            return;
        }
        let logits = network.logits_all(Attribute::Step, &[NOTHING; MOST][..states.len()], states, scratch);
        let logits = logits.chunks_exact_mut(TIMES);
        for ((((state, when), rng), timing), logits) in each.zip(logits) {
            *timing = Onset::new(&state.context, when).draw(logits, controls, rng);
        }
    }

    /// Draws all but the step of each take's next note. `what`: the step, and limits.
    pub fn notes<R: RngCore>(&mut self, what: &[(f64, What)], rngs: &mut [R], notes: &mut [Successor]) {
        assert_eq!(
            [what.len(), rngs.len(), notes.len()],
            [self.states.len(); 3],
            "limits and a generator for each take"
        );
        for (note, (step, _)) in notes.iter_mut().zip(what) {
            *note = Successor { step: *step, ..NOTHING };
        }
        self.attribute(Attribute::Pitch, what, rngs, notes);
        if self.network.kind() == Kind::Seed {
            let Self { network, states, scratch, controls } = self;
            for ((state, (_, what)), next) in states.iter().zip(what).zip(notes) {
                let [_, duration] = network.point_estimates(state, scratch).unwrap_or_default();
                Drawn { controls, what, context: &state.context, network }.rest_of_the_seed(duration, next);
            }
            return;
        }
        self.attribute(Attribute::Duration, what, rngs, notes);
        self.attribute(Attribute::Velocity, what, rngs, notes);
        let Self { network, states, controls, .. } = self;
        let mut each = states.iter().zip(what).zip(&*notes);
        let may_be_late = |((state, (_, what)), next): ((&State, &(f64, What)), &Successor)| {
            Drawn { controls, what, context: &state.context, network }.may_be_late(next)
        };
        if each.any(may_be_late) {
            self.attribute(Attribute::Spread, what, rngs, notes);
        }
        // A note sounds for a moment at least; rounding must not make that longer than it may be.
        for (next, (_, what)) in notes.iter_mut().zip(what) {
            next.duration = next.duration.max((next.spread + SHORTEST_S).min(what.longest_s()));
        }
    }

    /// Draws one attribute of all takes.
    fn attribute<R: RngCore>(
        &mut self,
        attribute: Attribute,
        what: &[(f64, What)],
        rngs: &mut [R],
        notes: &mut [Successor],
    ) {
        let Self { network, states, scratch, controls } = self;
        let logits = network.logits_all(attribute, notes, states, scratch);
        let logits = logits.chunks_exact_mut(logits.len() / states.len());
        let each = states.iter().zip(what).zip(notes).zip(logits).zip(rngs);
        for ((((state, (_, what)), next), logits), rng) in each {
            let drawn = Drawn { controls, what, context: &state.context, network };
            match attribute {
                Attribute::Step => unreachable!("steps are drawn first, by `Onset`"),
                Attribute::Pitch => drawn.pitch(logits, next, rng),
                Attribute::Duration => drawn.duration(logits, next, rng),
                Attribute::Velocity => drawn.velocity(logits, next, rng),
                Attribute::Spread => drawn.spread(logits, next, rng),
            }
        }
    }
}

/// A duration of at least `so_far` seconds, from the logits of all.
pub(crate) fn draw_rest(logits: &mut [f32], so_far: f64, rng: &mut impl RngCore) -> f64 {
    let first = time_bin(so_far);
    logits[..first].fill(f32::NEG_INFINITY);
    logits[first] += part_of(first, so_far, f64::INFINITY);
    apply_temperature(logits, 1.0);
    let (begin, end) = time_range(draw(logits, rng).unwrap_or(first));
    let begin = begin.max(so_far);
    begin + (end - begin).max(0.0) * rng.random::<f64>()
}

/// When the next onset may be, and what was learned of it.
pub(crate) struct Onset<'a> {
    when: &'a When<'a>,
    earliest: f64,
    /// The bin of `earliest`, and the first one that is no chord's.
    first: usize,
    next: usize,
    /// It may join the last chord.
    chords: bool,
    learned: Option<(f32, [f32; TIMES])>,
    context: &'a Context,
}

/// Steps shorter than the chord window do not exist.
const SHORTEST_STEP_S: f64 = notes::chords::WINDOW_S + 1e-3;

impl<'a> Onset<'a> {
    pub fn new(context: &'a Context, when: &'a When) -> Self {
        let earliest = when.earliest.max(0.0);
        let chords = earliest == 0.0 && when.in_chord && usize::from(context.floor(0.0)) < PITCHES;
        let first = time_bin(earliest);
        let next = first.max(time_bin(SHORTEST_STEP_S));
        let mut onset = Self { when, earliest, first, next, chords, learned: None, context };
        let mut learned = [0.0; TIMES];
        onset.learned = when
            .learned
            .filter(|own| own.memory.steps(own.recent, |bin| onset.possible(bin), &mut learned))
            .map(|own| (own.share, learned));
        onset
    }

    fn possible(&self, bin: usize) -> bool {
        if bin == 0 { self.chords } else { bin >= self.next }
    }

    /// A time in this bin: where a note ends, or else as this player would play it, or else any.
    fn moment(&self, bin: usize, rng: &mut impl RngCore) -> f64 {
        if bin == 0 {
            return 0.0;
        }
        let (begin, end) = time_range(bin);
        let begin = begin.max(self.earliest.max(SHORTEST_STEP_S));
        let lately = &self.context.lately;
        let chance = rng.random();
        let time = match lately.sounding.end_in(begin, end, lately.last(), rng.random()) {
            Some(end) => end,
            None => {
                let played = lately.rhythm.played(begin, end, lately.moment.meter, chance);
                played.unwrap_or(begin + (end - begin).max(0.0) * chance)
            }
        };
        inside(lately.sounding.after_ends(time), begin, end)
    }

    /// All the network's mass is on its estimate, in seconds.
    pub fn around(&self, estimate: f64, rng: &mut impl RngCore) -> Timing {
        let usual = (estimate / f64::from(self.when.density)).max(self.earliest);
        let step = match self.learned {
            Some((share, p)) if rng.random::<f32>() < share => self.moment(draw(&p, rng).unwrap_or(self.first), rng),
            _ if usual > 0.0 || self.chords => usual,
            _ => SHORTEST_STEP_S,
        };
        Timing { step, usual }
    }

    /// From the network's distribution.
    pub fn draw(&self, logits: &mut [f32], controls: &Controls, rng: &mut impl RngCore) -> Timing {
        for (bin, logit) in logits.iter_mut().enumerate() {
            *logit = if self.possible(bin) { *logit } else { f32::NEG_INFINITY };
        }
        if self.first > 0 {
            logits[self.first] += part_of(self.first, self.earliest, f64::INFINITY);
        }
        let turn = &self.context.lately.turn;
        logits[0] += controls.texture * turn.missing_chords();
        let slower = controls.density * turn.missing_interval();
        // Who asks for another density does not get the phrase's.
        if slower != 0.0 && self.when.density == 1.0 {
            logits[1..].iter_mut().zip(&LENGTHS[1..]).for_each(|(logit, length)| *logit += slower * length);
        }
        if let Some((share, p)) = self.learned {
            mix(logits, &p, share);
        }
        apply_temperature(logits, controls.temperature.step * exp(-controls.evenness * turn.missing_evenness()));
        let p = logits;
        if self.when.density != 1.0 {
            // Chords stay as thick as they are: what changes is how soon the next onset comes.
            crowd(&mut p[1..], self.when.density);
        }
        controls.keep(p);
        let usual = centre(median(&p[1..]) + 1).max(self.earliest);
        let bin = draw(p, rng).unwrap_or(self.first);
        Timing { step: self.moment(bin, rng), usual }
    }
}

/// How a note is drawn once its step is known, attribute by attribute, each into the note.
struct Drawn<'a> {
    controls: &'a Controls,
    what: &'a What<'a>,
    context: &'a Context,
    network: &'a Network,
}

impl Drawn<'_> {
    fn pitch(&self, logits: &mut [f32], next: &mut Successor, rng: &mut impl RngCore) {
        let Self { controls, what, context, .. } = self;
        let logits = &mut logits[..PITCHES];
        // Where the rhythm is even it comes back by itself, and the pitches with it.
        let more = controls.repeats * (1.0 - context.lately.turn.evenness());
        if more > 0.0
            && let Some(pitch) = context.repeated()
        {
            logits[usize::from(pitch)] += more;
        }
        for (pitch, loss) in context.repetition_penalty() {
            logits[usize::from(pitch)] -= loss;
        }
        for (pitch, logit) in logits.iter_mut().enumerate() {
            *logit = if what.pitches >> pitch & 1 == 1 { *logit } else { f32::NEG_INFINITY };
        }
        if let Some(Learned { memory, recent, share }) = what.learned {
            let possible = (0..PITCHES).filter(|&pitch| logits[pitch] > f32::NEG_INFINITY);
            let possible = possible.fold(0, |set, pitch| set | 1 << pitch);
            let mut learned = [0.0; PITCHES];
            if memory.pitches(recent, next.step, possible, &mut learned) {
                mix(logits, &learned, share);
            }
        }
        controls.probabilities(logits, controls.temperature.pitch);
        let lowest = what.pitches.trailing_zeros() as usize;
        next.pitch = draw(logits, rng).unwrap_or(lowest).min(PITCHES - 1) as u8;
    }

    /// The seed's duration is its estimate, and it knows no loudness but what it has heard.
    fn rest_of_the_seed(&self, duration: f64, next: &mut Successor) {
        next.duration = duration.clamp(SHORTEST_S, self.what.longest_s());
        let velocity = match self.what.loudness {
            Loudness::Free => self.context.lately.velocity,
            Loudness::Around(velocity) => velocity,
            Loudness::Fixed(velocity) => velocity.into(),
        };
        next.velocity = velocity.round().clamp(1.0, 127.0) as u8;
    }

    fn duration(&self, logits: &mut [f32], next: &mut Successor, rng: &mut impl RngCore) {
        let longest = self.what.longest_s();
        if longest < LONGEST_S {
            let last = time_bin(longest);
            logits[last + 1..].fill(f32::NEG_INFINITY);
            logits[last] += part_of(last, 0.0, longest);
        }
        if self.controls.durations != 0.0 {
            let missing = self.context.lately.turn.missing_durations();
            for (bin, logit) in logits.iter_mut().enumerate() {
                *logit += self.controls.durations * missing[duration_class(centre(bin))];
            }
        }
        // Rare durations are what people play: they are not slips, as rare pitches are.
        apply_temperature(logits, self.controls.temperature.duration);
        apply_top_p(logits, self.controls.top_p);
        let (begin, end) = time_range(draw(logits, rng).unwrap_or(0));
        let end = end.min(longest);
        let anywhere = begin + (end - begin).max(0.0) * rng.random::<f64>();
        let lately = &self.context.lately;
        let ends = lately.sounding.ends(next.step as f32);
        let exact = lately.rhythm.exact_duration(next.step, ends, (begin, end), rng.random());
        next.duration = exact.unwrap_or(anywhere);
    }

    fn velocity(&self, p: &mut [f32], next: &mut Successor, rng: &mut impl RngCore) {
        if let Loudness::Fixed(velocity) = self.what.loudness {
            next.velocity = velocity.clamp(1, 127);
            return;
        }
        let more = exp(self.controls.dynamics * self.context.lately.turn.missing_change());
        apply_temperature(p, self.controls.temperature.velocity * more);
        if let Loudness::Around(level) = self.what.loudness {
            turn_to(p, level - self.context.lately.velocity);
        }
        self.controls.keep(p);
        let (low, high) = velocity_range(draw(p, rng).unwrap_or(16));
        next.velocity = rng.random_range(low..=high);
    }

    /// Whether the note may be late in its chord.
    fn may_be_late(&self, next: &Successor) -> bool {
        self.what.spread > 0.0 && self.network.has_spread(next, self.context)
    }

    fn spread(&self, logits: &mut [f32], next: &mut Successor, rng: &mut impl RngCore) {
        if !self.may_be_late(next) {
            return;
        }
        let turn = &self.context.lately.turn;
        if next.step > 0.0 {
            // A first note that is late calls for others: chords begin here.
            let chords = self.controls.texture * turn.missing_chords();
            logits[1..].iter_mut().for_each(|logit| *logit += chords);
        }
        let wider = self.controls.spread * turn.missing_spread();
        if wider != 0.0 {
            for (bin, logit) in logits.iter_mut().enumerate() {
                let (begin, end) = spread_range(bin);
                *logit += wider * (50.0 * (begin + end)) as f32;
            }
        }
        apply_temperature(logits, 1.0);
        apply_top_p(logits, self.controls.top_p);
        let bin = draw(logits, rng).unwrap_or(0);
        if bin > 0 {
            let (begin, end) = spread_range(bin);
            let spread = begin + (end - begin) * rng.random::<f64>();
            next.spread = (spread * self.what.spread).min(self.what.longest_s() - SHORTEST_S);
        }
    }
}

/// The logarithm of the part of a bin that lies between these bounds.
fn part_of(bin: usize, earliest: f64, latest: f64) -> f32 {
    let (begin, end) = time_range(bin);
    let part = (end.min(latest) - begin.max(earliest)) / (end - begin);
    libm::log(part.max(LEAST_PART)) as f32
}

/// The class that halves the mass.
fn median(p: &[f32]) -> usize {
    let half = 0.5 * p.iter().sum::<f32>();
    let mut sum = 0.0;
    let reaches_half = |p: &f32| {
        sum += p;
        sum >= half
    };
    p.iter().position(reaches_half).unwrap_or(p.len() - 1)
}

/// Natural logarithms of the bins' times, in seconds.
static LENGTHS: LazyLock<[f32; TIMES]> =
    LazyLock::new(|| std::array::from_fn(|bin| libm::log(centre(bin).max(SHORTEST_S)) as f32));

/// The middles of the velocity levels, in MIDI units.
static LEVELS: LazyLock<[f32; VELOCITIES]> = LazyLock::new(|| {
    std::array::from_fn(|level| {
        let (low, high) = velocity_range(level);
        0.5 * (f32::from(low) + f32::from(high))
    })
});

/// Tilts a distribution of steps, without the chords' bin, so that they are shorter by this factor in
/// the mean of their logarithms: their shape stays, and with it the notes' values that the music has.
fn crowd(p: &mut [f32], density: f32) {
    static LOGARITHMS: LazyLock<[f32; TIMES - 1]> =
        LazyLock::new(|| std::array::from_fn(|bin| libm::log(centre(bin + 1)) as f32));
    let target = mean(p, &*LOGARITHMS) - ln(density);
    tilt(p, &*LOGARITHMS, target, STEEPEST);
}

/// Tilts a distribution of velocity levels, so that its mean moves by `difference`, in MIDI units.
fn turn_to(p: &mut [f32], difference: f32) {
    let target = (mean(p, &*LEVELS) + difference).clamp(LEVELS[0], LEVELS[VELOCITIES - 1]);
    tilt(p, &*LEVELS, target, STEEPEST_LEVEL);
}

fn mean(p: &[f32], values: &[f32]) -> f32 {
    let sum: f32 = p.iter().sum();
    if sum > 0.0 { p.iter().zip(values).map(|(p, value)| p * value).sum::<f32>() / sum } else { 0.0 }
}
