//! Several takes side by side, each with its own random stream, in one pass over the weights per note: candidates to
//! choose among, for much less than the cost of one after another.

use std::sync::Arc;

use notes::Successor;
use rand::RngCore;

use crate::{
    context::Context,
    decoder::Decoder,
    device::{DeviceError, TrunkDevice, TrunkRunner},
    network::{Network, Scratch, State},
    sampler::{NoteConstraints, PLACEHOLDER, Sampler, StepConstraints, Timing},
    sampling::Controls,
};

/// Maximum number of takes.
pub(crate) const MAX_TAKES: usize = 64;

/// Several takes of one phrase, generated as a batch, with the steps of [`Decoder`]: sample the step, sample the rest
/// of the note, feed it. Allocates on construction only.
#[derive(Debug)]
pub struct BatchDecoder {
    network: Arc<Network>,
    states: Vec<State>,
    scratch: Scratch,
    /// Where the trunk runs.
    runner: TrunkRunner,
    timings: Vec<Timing>,
    notes: Vec<Successor>,
}

impl BatchDecoder {
    /// A batch of `takes` copies of the decoder's state, on the device it runs on.
    ///
    /// # Panics
    /// If `takes` is not 1 to 64.
    pub fn new(decoder: &Decoder, takes: usize) -> Self {
        assert!((1..=MAX_TAKES).contains(&takes), "1 to {MAX_TAKES} takes, not {takes}");
        Self {
            network: decoder.network.clone(),
            states: vec![decoder.state.clone(); takes],
            scratch: Scratch::new(takes),
            runner: decoder.runner.new_session(takes, decoder.network.input_width()),
            timings: vec![Timing::AT_ONCE; takes],
            notes: vec![PLACEHOLDER; takes],
        }
    }

    /// Sets all takes to the decoder's state, like a new batch, but without allocating.
    ///
    /// # Panics
    /// If the decoder runs another network.
    pub fn restart(&mut self, decoder: &Decoder) {
        assert!(Arc::ptr_eq(&self.network, &decoder.network), "all takes must be of one network");
        self.states.iter_mut().for_each(|state| state.copy_from(&decoder.state));
    }

    /// Makes a take a copy of take `of`.
    pub fn become_copy(&mut self, take: usize, of: usize) {
        if let Ok([state, other]) = self.states.get_disjoint_mut([take, of]) {
            state.copy_from(other);
        }
    }

    /// Whether the batch has this many takes, of the decoder's network and on its device.
    pub fn matches(&self, decoder: &Decoder, takes: usize) -> bool {
        self.states.len() == takes && Arc::ptr_eq(&self.network, &decoder.network) && self.device() == decoder.device()
    }

    /// Statistics of the notes a take was fed so far.
    pub fn context(&self, take: usize) -> &Context {
        &self.states[take].context
    }

    /// The network's state in a take.
    pub fn state(&self, take: usize) -> &State {
        &self.states[take]
    }

    /// Samples each take's next note from its own generator and feeds it: the same notes as from separate decoders.
    /// `silence`: seconds already passed since the last onset.
    ///
    /// # Panics
    /// If the numbers of generators and takes differ.
    pub fn play(&mut self, controls: &Controls, silence: f64, rngs: &mut [impl RngCore]) -> &[Successor] {
        let takes = self.states.len();
        self.sample_steps(controls, &[StepConstraints::after(silence); MAX_TAKES][..takes], rngs);
        let mut constraints = [(0.0, NoteConstraints::after(silence)); MAX_TAKES];
        for ((step, _), timing) in constraints.iter_mut().zip(&self.timings) {
            *step = timing.step;
        }
        self.sample_notes(controls, &constraints[..takes], rngs);
        self.step();
        &self.notes
    }

    /// Samples the step of each take's next note, like [`Decoder::sample_step`].
    ///
    /// # Panics
    /// If the numbers of constraints, generators and takes differ.
    pub fn sample_steps(
        &mut self,
        controls: &Controls,
        constraints: &[StepConstraints],
        rngs: &mut [impl RngCore],
    ) -> &[Timing] {
        let Self { network, states, scratch, timings, .. } = self;
        Sampler { network, states, scratch, controls }.steps(constraints, rngs, timings);
        timings
    }

    /// Samples the rest of each take's next note, like [`Decoder::sample_note`]. `constraints`: each take's step and
    /// constraints.
    ///
    /// # Panics
    /// If the numbers of constraints, generators and takes differ.
    pub fn sample_notes(
        &mut self,
        controls: &Controls,
        constraints: &[(f64, NoteConstraints)],
        rngs: &mut [impl RngCore],
    ) -> &[Successor] {
        let Self { network, states, scratch, notes, .. } = self;
        Sampler { network, states, scratch, controls }.notes(constraints, rngs, notes);
        notes
    }

    /// Feeds each take its note, in one pass over the weights.
    ///
    /// # Panics
    /// If the numbers of notes and takes differ.
    pub fn feed(&mut self, notes: &[Successor]) {
        self.notes.copy_from_slice(notes);
        self.step();
    }

    /// Feeds each take its note in `self.notes`, on the device if there is one.
    fn step(&mut self) {
        let Self { network, states, scratch, runner, notes, .. } = self;
        network.prepare_inputs(notes, states, scratch);
        runner.forward(network, states, scratch);
    }

    /// Like [`Decoder::run_on`]; the device must have room for this many takes.
    pub fn run_on(&mut self, trunk: Option<Box<dyn TrunkDevice>>) {
        self.runner = TrunkRunner::new(trunk, self.states.len(), self.network.input_width());
    }

    /// The device's name; `None`: the CPU.
    pub fn device(&self) -> Option<&str> {
        self.runner.name()
    }

    /// Why the device was given up; returned once.
    pub fn take_failure(&mut self) -> Option<DeviceError> {
        self.runner.take_failure()
    }
}
