//! Several takes that go on side by side, each with a random stream of its own, in one pass over the weights per note:
//! to choose among, at well under the price of one after the other.

use std::sync::Arc;

use notes::Successor;
use rand::RngCore;

use crate::{
    context::Context,
    decoder::Decoder,
    device::{DeviceError, Seat, Trunk},
    drawing::{Drawing, NOTHING, Timing, What, When},
    network::{Network, Scratch, State},
    sampling::Controls,
};

/// Takes side by side at most.
pub(crate) const MOST: usize = 64;

/// Several takes of one phrase, generated side by side. A note is drawn in the steps of [`Decoder`]'s: when it comes, what
/// it is, and then it is heard. Allocates on construction only.
#[derive(Debug)]
pub struct BatchDecoder {
    network: Arc<Network>,
    states: Vec<State>,
    scratch: Scratch,
    /// Where the trunk runs.
    seat: Seat,
    timings: Vec<Timing>,
    notes: Vec<Successor>,
}

impl BatchDecoder {
    /// So many takes that go on from what this decoder remembers, on the device that it runs on.
    ///
    /// # Panics
    /// If they are none, or more than 64.
    pub fn new(decoder: &Decoder, takes: usize) -> Self {
        assert!((1..=MOST).contains(&takes), "1 to {MOST} takes, not {takes}");
        Self {
            network: decoder.network.clone(),
            states: vec![decoder.state.clone(); takes],
            scratch: Scratch::new(takes),
            seat: decoder.seat.twin(takes, decoder.network.input_width()),
            timings: vec![Timing::AT_ONCE; takes],
            notes: vec![NOTHING; takes],
        }
    }

    /// All takes go on from what this decoder remembers, as new ones would; nothing is allocated.
    ///
    /// # Panics
    /// If the decoder runs another network.
    pub fn restart(&mut self, decoder: &Decoder) {
        assert!(Arc::ptr_eq(&self.network, &decoder.network), "takes are of one network");
        self.states.iter_mut().for_each(|state| state.copy_from(&decoder.state));
    }

    /// A take goes on from where another one is.
    pub fn become_copy(&mut self, take: usize, of: usize) {
        if let Ok([state, other]) = self.states.get_disjoint_mut([take, of]) {
            state.copy_from(other);
        }
    }

    /// Whether these are so many takes of this decoder's network, on its device.
    pub fn goes_on(&self, decoder: &Decoder, takes: usize) -> bool {
        self.states.len() == takes && Arc::ptr_eq(&self.network, &decoder.network) && self.device() == decoder.device()
    }

    /// What a take has heard so far.
    pub fn context(&self, take: usize) -> &Context {
        &self.states[take].context
    }

    /// What a take remembers.
    pub fn state(&self, take: usize) -> &State {
        &self.states[take]
    }

    /// Draws each take's next note, from its own generator, and hears it: the very notes that as many decoders
    /// would have played one after the other. `silence`: seconds that have passed since the last onset already.
    ///
    /// # Panics
    /// If there are not as many generators as takes.
    pub fn play(&mut self, controls: &Controls, silence: f64, rngs: &mut [impl RngCore]) -> &[Successor] {
        let takes = self.states.len();
        self.sample_steps(controls, &[When::after(silence); MOST][..takes], rngs);
        let mut what = [(0.0, What::after(silence)); MOST];
        for ((step, _), timing) in what.iter_mut().zip(&self.timings) {
            *step = timing.step;
        }
        self.sample_notes(controls, &what[..takes], rngs);
        self.step();
        &self.notes
    }

    /// Draws the step of each take's next note, as [`Decoder::sample_step`].
    ///
    /// # Panics
    /// If there are not as many limits and generators as takes.
    pub fn sample_steps(&mut self, controls: &Controls, when: &[When], rngs: &mut [impl RngCore]) -> &[Timing] {
        let Self { network, states, scratch, timings, .. } = self;
        Drawing { network, states, scratch, controls }.steps(when, rngs, timings);
        timings
    }

    /// Draws all but the step of each take's next note, as [`Decoder::sample_note`]. `what`: the step, and limits.
    ///
    /// # Panics
    /// If there are not as many limits and generators as takes.
    pub fn sample_notes(
        &mut self,
        controls: &Controls,
        what: &[(f64, What)],
        rngs: &mut [impl RngCore],
    ) -> &[Successor] {
        let Self { network, states, scratch, notes, .. } = self;
        Drawing { network, states, scratch, controls }.notes(what, rngs, notes);
        notes
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
        seat.forward(network, states, scratch);
    }

    /// As [`Decoder::run_on`], with a place for as many takes.
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
}
