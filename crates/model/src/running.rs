//! Running statistics of the music so far (loudness, density, note length, share of chords) over a short, a medium and
//! a long window; and the share of loops.

use notes::Successor;

use crate::decaying_mean::DecayingMean;

/// Decay per note of the averages, one per window.
const DECAYS: [f32; 3] = [0.94, 0.985, 0.9995];
/// Number of windows.
pub(crate) const RATES: usize = DECAYS.len();
/// Steps count as at most this many seconds: a rest is not a tempo.
const LONGEST_STEP_S: f64 = 5.0;

/// Running averages over the notes fed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunningStatistics {
    sums: [[f32; 4]; RATES],
    weights: [f32; RATES],
}

/// The averages over one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Averages {
    /// MIDI velocity.
    pub velocity: f32,
    /// Seconds from note to note, chord notes included: the inverse of notes per second.
    pub step: f32,
    /// Mean natural logarithm of durations in seconds.
    pub log_duration: f32,
    /// Share of notes that continue a chord (all but a chord's first note).
    pub chords: f32,
}

impl RunningStatistics {
    /// Adds a note.
    pub fn feed(&mut self, note: &Successor) {
        let now = [
            f32::from(note.velocity),
            note.step.min(LONGEST_STEP_S) as f32,
            libm::log(note.duration.max(0.01)) as f32,
            f32::from(u8::from(note.step == 0.0)),
        ];
        for ((sums, weight), decay) in self.sums.iter_mut().zip(&mut self.weights).zip(DECAYS) {
            for (sum, value) in sums.iter_mut().zip(now) {
                *sum = decay * *sum + value;
            }
            *weight = decay * *weight + 1.0;
        }
    }

    /// From the shortest window to the longest; `None` before the first note.
    pub fn averages(&self) -> Option<[Averages; RATES]> {
        (self.weights[0] > 0.0).then(|| {
            std::array::from_fn(|rate| {
                let [velocity, step, log_duration, chords] = self.sums[rate].map(|sum| sum / self.weights[rate]);
                Averages { velocity, step, log_duration, chords }
            })
        })
    }
}

/// Decay per note of the shares of loops, one per window.
const LOOP_DECAYS: [f32; 3] = [0.97, 0.99, 0.998];
/// The two kinds of loop: they repeat what was played at most this many notes before.
pub(crate) const LOOPS: [usize; 2] = [64, 256];
/// Per kind and window, the share of loops that 999 of 1,000 places of real music stay below (120 pieces of the train
/// split).
const LOOP_SHARE_LIMITS: [[f32; LOOP_DECAYS.len()]; 2] = [[0.95, 0.81, 0.62], [1.0, 0.98, 0.87]];
/// Penalty in nats per unit of share beyond [`LOOP_SHARE_LIMITS`].
const LOOP_PENALTY: f32 = 40.0;

/// How much of the recent music repeats in loops: a network fed with its own output must notice when it is stuck.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Loops([DecayingMean; LOOP_DECAYS.len()]);

impl Loops {
    /// Records whether the latest note was the one a loop predicted.
    pub fn feed(&mut self, predicted: bool) {
        for (share, decay) in self.0.iter_mut().zip(LOOP_DECAYS) {
            share.feed(f32::from(u8::from(predicted)), decay);
        }
    }

    /// Penalty in nats for the next note of a loop of this kind: 0 in real music, growing while the music is stuck.
    pub fn repetition_penalty(&self, kind: usize) -> f32 {
        let beyond = self.shares().into_iter().zip(LOOP_SHARE_LIMITS[kind]).map(|(share, limit)| share - limit);
        LOOP_PENALTY * beyond.fold(0.0, f32::max)
    }

    /// The share of predicted notes, from the shortest window to the longest; 0 before the first note.
    pub fn shares(&self) -> [f32; LOOP_DECAYS.len()] {
        self.0.map(|share| share.mean())
    }
}
