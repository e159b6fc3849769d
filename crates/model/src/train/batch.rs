//! Training batches: the features and targets of a chunk of every lane.

use notes::{Note, Successor};

use super::{loss::Targets, sparse::Sparse};
use crate::{
    conditioning::PieceConditioning,
    context::Context,
    encoding::{PITCHES, spread_bin, time_bin, velocity_level},
    features::{self, Features},
    shapes::{self, Attribute, Kind},
};

/// One lane's piece and position in it: begin-of-sequence first, then note after note.
#[derive(Clone, Debug)]
pub struct Lane {
    notes: Vec<Successor>,
    /// Input notes, if they differ from the target notes.
    inputs: Option<Vec<Successor>>,
    conditioning: PieceConditioning,
    next: usize,
    context: Context,
}

impl Lane {
    /// A lane at the start of a piece of canonical notes.
    pub fn new(notes: &[Note]) -> Self {
        let mut previous = None;
        let notes = notes
            .iter()
            .map(|note| {
                let successor = Successor::after(previous, note);
                previous = Some(note.onset);
                successor
            })
            .collect();
        Self { notes, inputs: None, conditioning: PieceConditioning::default(), next: 0, context: Context::default() }
    }

    /// Replaces the input notes, one for each note of the piece, while the targets stay the same (input-noise
    /// augmentation): the network learns how the piece should continue from a performance with deviations.
    ///
    /// # Panics
    /// If their number differs.
    pub fn with_input_noise(self, inputs: impl FnOnce(&[Successor]) -> Vec<Successor>) -> Self {
        let inputs = inputs(&self.notes);
        assert_eq!(inputs.len(), self.notes.len());
        Self { inputs: Some(inputs), ..self }
    }

    /// Sets the conditioning inputs of the piece.
    ///
    /// # Panics
    /// If `per_note` is not empty and has not one entry per note.
    pub fn with_conditioning(self, conditioning: PieceConditioning) -> Self {
        assert!(
            conditioning.per_note.is_empty() || conditioning.per_note.len() == self.notes.len(),
            "a moment for each note"
        );
        let mut lane = Self { conditioning, ..self };
        lane.context.recent.conditioning = lane.conditioning.start;
        lane
    }

    fn inputs(&self) -> &[Successor] {
        self.inputs.as_ref().unwrap_or(&self.notes)
    }

    /// Number of notes that have been targets.
    pub fn done(&self) -> usize {
        self.next
    }

    /// Advances to where `done` notes have been targets.
    pub fn skip(&mut self, done: usize) {
        let done = done.min(self.notes.len());
        // The latest input note is fed together with the row that follows it.
        for index in self.next.saturating_sub(1)..done.saturating_sub(1) {
            self.feed(index);
        }
        self.next = done;
    }

    /// Adds the input note of this index to the context and sets the conditioning inputs at its onset.
    fn feed(&mut self, index: usize) {
        self.context.feed(&self.inputs.as_ref().unwrap_or(&self.notes)[index]);
        if let Some(at_onset) = self.conditioning.per_note.get(index) {
            self.context.recent.conditioning = *at_onset;
        }
    }

    /// Whether every note has been a target.
    pub fn is_done(&self) -> bool {
        self.next >= self.notes.len()
    }
}

/// A chunk of every lane: `time * lanes` rows, in time order, lanes innermost.
#[derive(Debug)]
pub struct Batch {
    pub(super) time: usize,
    pub(super) lanes: usize,
    /// Where true, a piece begins: the state is zero before this row.
    pub(super) fresh: Vec<bool>,
    /// 1 for rows with a target, 0 where the lane had no notes left.
    pub(super) counts: Vec<f32>,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Seed {
        /// Input pitch; 128: begin-of-sequence.
        pitch: Vec<u32>,
        /// Input step and duration, `[rows, 2]`.
        timing: Vec<f32>,
        next_pitch: Vec<u32>,
        next_timing: Vec<f32>,
    },
    Antiphon {
        /// `[rows, features]`
        inputs: Sparse,
        /// One per attribute.
        heads: Vec<Head>,
    },
}

/// Input features and targets of one head.
#[derive(Debug)]
pub(super) struct Head {
    /// `[rows, features]`
    pub features: Sparse,
    /// A row's weight is 1 if it has a target, the attribute exists (a piece's first note has no spread), and the piece
    /// teaches the attribute. For pitch, `lowest` is the first pitch that can follow inside the chord.
    pub targets: Targets,
}

impl Batch {
    /// Takes the next `time` notes of every lane. When a lane has run out, `refill` is called with its index for a new
    /// piece; `None` leaves the rest of the lane empty.
    pub fn next(kind: Kind, lanes: &mut [Lane], time: usize, mut refill: impl FnMut(usize) -> Option<Lane>) -> Self {
        let rows = time * lanes.len();
        let mut batch = Self {
            time,
            lanes: lanes.len(),
            fresh: vec![false; rows],
            counts: vec![0.0; rows],
            body: match kind {
                Kind::Seed => Body::Seed {
                    pitch: vec![PITCHES as u32; rows],
                    timing: vec![0.0; rows * 2],
                    next_pitch: vec![0; rows],
                    next_timing: vec![0.0; rows * 2],
                },
                Kind::Antiphon => Body::Antiphon {
                    inputs: Sparse::zeros(rows, shapes::input_features()),
                    heads: Attribute::ALL
                        .iter()
                        .map(|a| Head {
                            features: Sparse::zeros(rows, a.features()),
                            targets: Targets::none(rows, a.classes()),
                        })
                        .collect(),
                },
            },
        };
        let (mut scratch, width) = (Features::new(), lanes.len());
        for (n, lane) in lanes.iter_mut().enumerate() {
            for t in 0..time {
                if lane.is_done()
                    && let Some(fresh) = refill(n)
                {
                    *lane = fresh;
                }
                if lane.is_done() {
                    continue;
                }
                batch.row(t * width + n, lane, &mut scratch);
            }
        }
        batch
    }

    /// Number of target notes.
    pub fn notes(&self) -> usize {
        self.counts.iter().filter(|&&c| c > 0.0).count()
    }

    fn row(&mut self, row: usize, lane: &mut Lane, scratch: &mut Features) {
        let heard = lane.next.checked_sub(1).map(|i| lane.inputs()[i]);
        let next = lane.notes[lane.next];
        if heard.is_some() {
            lane.feed(lane.next - 1);
        }
        lane.next += 1;
        let context = &lane.context;
        self.fresh[row] = heard.is_none();
        self.counts[row] = 1.0;
        match &mut self.body {
            Body::Seed { pitch, timing, next_pitch, next_timing } => {
                if let Some(heard) = heard {
                    pitch[row] = heard.pitch.into();
                    timing[row * 2..][..2].copy_from_slice(&[heard.step as f32, heard.duration as f32]);
                }
                next_pitch[row] = next.pitch.into();
                next_timing[row * 2..][..2].copy_from_slice(&[next.step as f32, next.duration as f32]);
            }
            Body::Antiphon { inputs, heads } => {
                features::trunk_features(scratch, heard.as_ref(), context);
                inputs.rows.set(row, scratch.pairs());
                for (attribute, Head { features: head_inputs, targets }) in Attribute::ALL.into_iter().zip(&mut *heads)
                {
                    let class = match attribute {
                        Attribute::Step => {
                            features::step_features(scratch, context);
                            time_bin(next.step)
                        }
                        Attribute::Pitch => {
                            features::pitch_features(scratch, context, next.step);
                            next.pitch.into()
                        }
                        Attribute::Duration => {
                            features::duration_features(scratch, context, next.step, next.pitch);
                            time_bin(next.duration)
                        }
                        Attribute::Velocity => {
                            features::velocity_features(scratch, context, next.step, next.pitch, next.duration);
                            velocity_level(next.velocity)
                        }
                        Attribute::Spread => {
                            features::spread_features(scratch, context, next.step, next.pitch, next.velocity);
                            spread_bin(next.spread)
                        }
                    };
                    head_inputs.rows.set(row, scratch.pairs());
                    targets.links.set(row, scratch.links());
                    targets.class[row] = class as u32;
                    let exists = attribute != Attribute::Spread || heard.is_some();
                    let learned = exists && lane.conditioning.learns[attribute as usize];
                    targets.weights[row] = f32::from(u8::from(learned));
                }
                let lowest = context.floor(next.step).min(next.pitch);
                heads[Attribute::Pitch as usize].targets.lowest[row] = lowest.into();
            }
        }
    }
}
