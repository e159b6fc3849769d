//! Several takes that go on side by side, each with luck of its own, in one pass over the weights per note:
//! to choose among, at well under the price of one after the other.

use std::sync::Arc;

use notes::Successor;
use rand::RngCore;

use crate::{
    drawing::{Drawn, NOTHING, Onset, What, When},
    mind::Mind,
    network::{Network, Scratch, State},
    sampling::Controls,
    shapes::{Attribute, Kind},
};

/// Takes side by side at most.
pub(crate) const MOST: usize = 16;

/// Several takes of one phrase, thought of side by side. Allocates on construction only.
#[derive(Debug)]
pub struct Chorus {
    network: Arc<Network>,
    states: Vec<State>,
    scratch: Scratch,
    notes: Vec<Successor>,
    nats: Vec<f64>,
}

impl Chorus {
    /// So many takes that go on from what this mind remembers.
    ///
    /// # Panics
    /// If they are none, or more than 16.
    pub fn new(mind: &Mind, takes: usize) -> Self {
        assert!((1..=MOST).contains(&takes), "1 to {MOST} takes, not {takes}");
        Self {
            network: mind.network.clone(),
            states: vec![mind.state.clone(); takes],
            scratch: Scratch::new(takes),
            notes: vec![NOTHING; takes],
            nats: vec![0.0; takes],
        }
    }

    /// Draws each take's next note, from its own generator, and hears it: the very notes that as many minds
    /// would have played one after the other. `silence`: seconds that have passed since the last onset already.
    ///
    /// # Panics
    /// If there are not as many generators as takes.
    pub fn play(&mut self, controls: &Controls, silence: f64, rngs: &mut [impl RngCore]) -> &[Successor] {
        assert_eq!(rngs.len(), self.states.len(), "a generator for each take");
        self.notes.fill(NOTHING);
        let when = When::after(silence);
        if self.network.kind() == Kind::Seed {
            self.play_seed(controls, &when, rngs);
        } else {
            let onset = |take: Take, logits: &mut [f32], rng: &mut _| {
                take.next.step =
                    Onset::new(take.drawn.context, &when).draw(logits, controls, rng, take.drawn.nats).step;
            };
            self.draw(Attribute::Step, controls, rngs, onset);
            self.draw(Attribute::Pitch, controls, rngs, |mut take, logits, rng| {
                take.drawn.pitch(logits, take.next, rng)
            });
            self.draw(Attribute::Duration, controls, rngs, |mut take, logits, rng| {
                take.drawn.duration(logits, take.next, rng);
            });
            self.draw(Attribute::Velocity, controls, rngs, |mut take, logits, rng| {
                take.drawn.velocity(logits, take.next, rng);
            });
            if self.takes(controls).any(|take| take.drawn.has_spread(take.next)) {
                self.draw(Attribute::Spread, controls, rngs, |mut take, logits, rng| {
                    if take.drawn.has_spread(take.next) {
                        take.drawn.spread(logits, take.next, rng);
                    }
                });
            }
            self.takes(controls).for_each(|take| take.drawn.finish(take.next));
        }
        let Self { network, states, scratch, notes, .. } = self;
        network.step_all(notes.iter().map(Some), states, scratch);
        notes
    }

    /// What each take has cost so far, in nats: the likeliest has the least.
    pub fn nats(&self) -> &[f64] {
        &self.nats
    }

    fn play_seed(&mut self, controls: &Controls, when: &When, rngs: &mut [impl RngCore]) {
        let Self { network, states, scratch, notes, .. } = self;
        let mut durations = [0.0; MOST];
        for (((state, next), rng), duration) in states.iter().zip(notes).zip(&mut *rngs).zip(&mut durations) {
            let [step, estimate] = network.point_estimates(state, scratch).unwrap_or_default();
            next.step = Onset::new(&state.context, when).around(step, rng).step;
            *duration = estimate;
        }
        self.draw(Attribute::Pitch, controls, rngs, |mut take, logits, rng| take.drawn.pitch(logits, take.next, rng));
        for (take, duration) in self.takes(controls).zip(durations) {
            take.drawn.rest_of_the_seed(duration, take.next);
        }
    }

    /// Draws one attribute of all takes.
    fn draw<R: RngCore>(
        &mut self,
        attribute: Attribute,
        controls: &Controls,
        rngs: &mut [R],
        mut draw: impl FnMut(Take, &mut [f32], &mut R),
    ) {
        let Self { network, states, scratch, notes, nats } = self;
        let logits = network.logits_all(attribute, notes, states, scratch);
        let classes = logits.len() / states.len();
        let takes = takes(states, notes, nats, controls);
        for ((take, logits), rng) in takes.zip(logits.chunks_exact_mut(classes)).zip(rngs) {
            draw(take, logits, rng);
        }
    }

    fn takes<'a>(&'a mut self, controls: &'a Controls) -> impl Iterator<Item = Take<'a>> {
        takes(&self.states, &mut self.notes, &mut self.nats, controls)
    }
}

/// One of the takes while its next note is drawn.
struct Take<'a> {
    drawn: Drawn<'a>,
    next: &'a mut Successor,
}

fn takes<'a>(
    states: &'a [State],
    notes: &'a mut [Successor],
    nats: &'a mut [f64],
    controls: &'a Controls,
) -> impl Iterator<Item = Take<'a>> {
    static FREE: What = What::FREE;
    states.iter().zip(notes).zip(nats).map(move |((state, next), nats)| Take {
        drawn: Drawn { controls, what: &FREE, context: &state.context, nats },
        next,
    })
}
