//! Several takes that go on side by side, each with luck of its own, in one pass over the weights per note:
//! to choose among, at well under the price of one after the other.

use std::sync::Arc;

use notes::Successor;
use rand::RngCore;

use crate::{
    context::Context,
    device::{DeviceError, Seat, Trunk},
    drawing::{Drawn, Loudness, NOTHING, Onset, Timing, What, When},
    mind::Mind,
    network::{Network, Scratch, State},
    sampling::Controls,
    shapes::{Attribute, Kind},
};

/// Takes side by side at most.
pub(crate) const MOST: usize = 64;

/// Several takes of one phrase, thought of side by side. A note is drawn in the steps of [`Mind`]'s: when it comes, what
/// it is, and then it is heard. Allocates on construction only.
#[derive(Debug)]
pub struct Chorus {
    network: Arc<Network>,
    states: Vec<State>,
    scratch: Scratch,
    /// Where the trunk runs.
    seat: Seat,
    timings: Vec<Timing>,
    notes: Vec<Successor>,
    nats: Vec<f64>,
}

impl Chorus {
    /// So many takes that go on from what this mind remembers, on the device that it runs on.
    ///
    /// # Panics
    /// If they are none, or more than 64.
    pub fn new(mind: &Mind, takes: usize) -> Self {
        assert!((1..=MOST).contains(&takes), "1 to {MOST} takes, not {takes}");
        Self {
            network: mind.network.clone(),
            states: vec![mind.state.clone(); takes],
            scratch: Scratch::new(takes),
            seat: mind.seat.twin(takes, mind.network.input_width()),
            timings: vec![Timing { step: 0.0, usual: 0.0 }; takes],
            notes: vec![NOTHING; takes],
            nats: vec![0.0; takes],
        }
    }

    /// All takes go on from what this mind remembers, as new ones would; nothing is allocated.
    ///
    /// # Panics
    /// If the mind runs another network.
    pub fn restart(&mut self, mind: &Mind) {
        assert!(Arc::ptr_eq(&self.network, &mind.network), "takes are of one network");
        self.states.iter_mut().for_each(|state| state.copy_from(&mind.state));
        self.nats.fill(0.0);
    }

    /// A take goes on from where another one is.
    pub fn become_copy(&mut self, take: usize, of: usize) {
        if let Ok([state, other]) = self.states.get_disjoint_mut([take, of]) {
            state.copy_from(other);
            self.nats[take] = self.nats[of];
        }
    }

    /// Whether these are so many takes of this mind's network, on its device.
    pub fn goes_on(&self, mind: &Mind, takes: usize) -> bool {
        self.states.len() == takes && Arc::ptr_eq(&self.network, &mind.network) && self.device() == mind.device()
    }

    /// What a take has heard so far.
    pub fn context(&self, take: usize) -> &Context {
        &self.states[take].context
    }

    /// What a take remembers.
    pub fn state(&self, take: usize) -> &State {
        &self.states[take]
    }

    /// What each take has cost so far, in nats: the likeliest has the least.
    pub fn nats(&self) -> &[f64] {
        &self.nats
    }

    /// Draws each take's next note, from its own generator, and hears it: the very notes that as many minds
    /// would have played one after the other. `silence`: seconds that have passed since the last onset already.
    ///
    /// # Panics
    /// If there are not as many generators as takes.
    pub fn play(&mut self, controls: &Controls, silence: f64, rngs: &mut [impl RngCore]) -> &[Successor] {
        let takes = self.states.len();
        self.sample_steps(controls, &[When::after(silence); MOST][..takes], rngs);
        let mut what = [(0.0, What::FREE); MOST];
        for ((step, _), timing) in what.iter_mut().zip(&self.timings) {
            *step = timing.step;
        }
        self.sample_notes(controls, &what[..takes], rngs);
        self.step();
        &self.notes
    }

    /// Draws the step of each take's next note, as [`Mind::sample_step`].
    ///
    /// # Panics
    /// If there are not as many limits and generators as takes.
    pub fn sample_steps(&mut self, controls: &Controls, when: &[When], rngs: &mut [impl RngCore]) -> &[Timing] {
        let Self { network, states, scratch, timings, notes, nats, .. } = self;
        assert_eq!([when.len(), rngs.len()], [states.len(); 2], "limits and a generator for each take");
        let each = states.iter().zip(when).zip(rngs).zip(&mut *timings);
        if network.kind() == Kind::Seed {
            for (((state, when), rng), timing) in each {
                let [estimate, _] = network.point_estimates(state, scratch).unwrap_or_default();
                *timing = Onset::new(&state.context, when).around(estimate, rng);
            }
        } else {
            notes.fill(NOTHING);
            let logits = network.logits_all(Attribute::Step, notes, states, scratch);
            let logits = logits.chunks_exact_mut(logits.len() / states.len());
            for (((((state, when), rng), timing), logits), nats) in each.zip(logits).zip(nats) {
                *timing = Onset::new(&state.context, when).draw(logits, controls, rng, nats);
            }
        }
        timings
    }

    /// Draws all but the step of each take's next note, as [`Mind::sample_note`]. `what`: the step, and limits.
    ///
    /// # Panics
    /// If there are not as many limits and generators as takes.
    pub fn sample_notes(
        &mut self,
        controls: &Controls,
        what: &[(f64, What)],
        rngs: &mut [impl RngCore],
    ) -> &[Successor] {
        assert_eq!([what.len(), rngs.len()], [self.states.len(); 2], "limits and a generator for each take");
        for (note, (step, _)) in self.notes.iter_mut().zip(what) {
            *note = Successor { step: *step, ..NOTHING };
        }
        self.draw(Attribute::Pitch, controls, what, rngs, |drawn, logits, next, rng| drawn.pitch(logits, next, rng));
        if self.network.kind() == Kind::Seed {
            let Self { network, states, scratch, .. } = self;
            let mut durations = [0.0; MOST];
            for (duration, state) in durations.iter_mut().zip(states) {
                [_, *duration] = network.point_estimates(state, scratch).unwrap_or_default();
            }
            self.each(controls, what).zip(durations).for_each(|((drawn, next), d)| drawn.rest_of_the_seed(d, next));
            return &self.notes;
        }
        self.draw(Attribute::Duration, controls, what, rngs, |drawn, logits, next, rng| {
            drawn.duration(logits, next, rng);
        });
        self.draw(Attribute::Velocity, controls, what, rngs, |drawn, logits, next, rng| match drawn.what.loudness {
            Loudness::Fixed(velocity) => next.velocity = velocity.clamp(1, 127),
            _ => drawn.velocity(logits, next, rng),
        });
        if self.each(controls, what).any(|(drawn, next)| drawn.has_spread(next)) {
            self.draw(Attribute::Spread, controls, what, rngs, |drawn, logits, next, rng| {
                if drawn.has_spread(next) {
                    drawn.spread(logits, next, rng);
                }
            });
        }
        self.each(controls, what).for_each(|(drawn, next)| drawn.finish(next));
        &self.notes
    }

    /// Each take hears a note, in one pass over the weights.
    ///
    /// # Panics
    /// If there are not as many notes as takes.
    pub fn feed(&mut self, notes: &[Successor]) {
        self.notes.copy_from_slice(notes);
        self.step();
    }

    /// Each take hears its note, on the device if there is one.
    fn step(&mut self) {
        let Self { network, states, scratch, seat, notes, .. } = self;
        network.listen_all(notes, states, scratch);
        seat.think(network, states, scratch);
    }

    /// As [`Mind::run_on`], with a place for as many takes.
    pub fn run_on(&mut self, trunk: Option<Box<dyn Trunk>>) {
        self.seat = Seat::new(trunk, self.states.len(), self.network.input_width());
    }

    /// The device's name, if it is not the CPU.
    pub fn device(&self) -> Option<&str> {
        self.seat.name()
    }

    /// Why the device was given up, once.
    pub fn take_failure(&mut self) -> Option<DeviceError> {
        self.seat.take_failure()
    }

    /// Draws one attribute of all takes.
    fn draw<R: RngCore>(
        &mut self,
        attribute: Attribute,
        controls: &Controls,
        what: &[(f64, What)],
        rngs: &mut [R],
        draw: impl Fn(&mut Drawn, &mut [f32], &mut Successor, &mut R),
    ) {
        let Self { network, states, scratch, notes, nats, .. } = self;
        let logits = network.logits_all(attribute, notes, states, scratch);
        let logits = logits.chunks_exact_mut(logits.len() / states.len());
        let each = each(states, notes, nats, controls, what);
        for (((mut drawn, next), logits), rng) in each.zip(logits).zip(rngs) {
            draw(&mut drawn, logits, next, rng);
        }
    }

    fn each<'a>(
        &'a mut self,
        controls: &'a Controls,
        what: &'a [(f64, What<'a>)],
    ) -> impl Iterator<Item = (Drawn<'a>, &'a mut Successor)> {
        each(&self.states, &mut self.notes, &mut self.nats, controls, what)
    }
}

/// Each take while its next note is drawn.
fn each<'a>(
    states: &'a [State],
    notes: &'a mut [Successor],
    nats: &'a mut [f64],
    controls: &'a Controls,
    what: &'a [(f64, What<'a>)],
) -> impl Iterator<Item = (Drawn<'a>, &'a mut Successor)> {
    states
        .iter()
        .zip(notes)
        .zip(nats)
        .zip(what)
        .map(move |(((state, next), nats), (_, what))| (Drawn { controls, what, context: &state.context, nats }, next))
}
