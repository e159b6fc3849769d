//! How the music is played at large: loud or soft, dense or thin, held or short, chords or single
//! notes; of late, for a while, and as far back as memory goes.

use notes::Successor;

/// Decay per note of the averages.
const DECAYS: [f32; 3] = [0.94, 0.985, 0.9995];
/// Number of averages of each kind.
pub(crate) const RATES: usize = DECAYS.len();
/// A rest counts as this many seconds at most: it is no tempo.
const LONGEST_STEP_S: f64 = 5.0;

/// Running averages over the notes heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunningStatistics {
    sums: [[f32; 4]; RATES],
    weights: [f32; RATES],
}

/// One average of each kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Averages {
    /// MIDI velocity.
    pub velocity: f32,
    /// Seconds from onset to onset, the notes of a chord counted one by one: one over notes per second.
    pub step: f32,
    /// Natural logarithm of seconds.
    pub log_duration: f32,
    /// Share of notes inside chords, their first ones not counted.
    pub chords: f32,
}

impl RunningStatistics {
    /// Takes in the next note.
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

    /// From the shortest memory to the longest; `None` before the first note.
    pub fn averages(&self) -> Option<[Averages; RATES]> {
        (self.weights[0] > 0.0).then(|| {
            std::array::from_fn(|rate| {
                let [velocity, step, log_duration, chords] = self.sums[rate].map(|sum| sum / self.weights[rate]);
                Averages { velocity, step, log_duration, chords }
            })
        })
    }
}

/// Decay per note of the shares of loops.
const PATIENCE: [f32; 3] = [0.97, 0.99, 0.998];
/// A loop repeats what was played at most this many notes before; the shorter kind, and the longer.
pub(crate) const LOOPS: [usize; 2] = [64, 256];
/// In 999 of 1,000 places of real music (120 pieces of the train split) the shares of loops are below these.
const MOST: [[f32; PATIENCE.len()]; 2] = [[0.95, 0.81, 0.62], [1.0, 0.98, 0.87]];
/// Nats that the next note of a loop loses for each unit of share beyond that.
const WEARINESS: f32 = 40.0;

/// How much of the music lately went round in loops: a network that plays on from its own notes
/// has to notice that it is stuck.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Loops {
    sums: [f32; PATIENCE.len()],
    weights: [f32; PATIENCE.len()],
}

impl Loops {
    /// Takes in whether the next note was one that a loop foretold.
    pub fn feed(&mut self, foretold: bool) {
        for ((sum, weight), decay) in self.sums.iter_mut().zip(&mut self.weights).zip(PATIENCE) {
            *sum = decay * *sum + f32::from(u8::from(foretold));
            *weight = decay * *weight + 1.0;
        }
    }

    /// What the next note of a loop of this kind loses, in nats: nothing in real music, more and more in
    /// music that is stuck.
    pub fn repetition_penalty(&self, kind: usize) -> f32 {
        let beyond = self.shares().into_iter().zip(MOST[kind]).map(|(share, most)| share - most);
        WEARINESS * beyond.fold(0.0, f32::max)
    }

    /// The share of such notes, from the shortest memory to the longest; 0 before the first note.
    pub fn shares(&self) -> [f32; PATIENCE.len()] {
        std::array::from_fn(|rate| self.sums[rate] / self.weights[rate].max(1.0))
    }
}
