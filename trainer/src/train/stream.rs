//! The endless stream of training pieces: mixed, rendered, augmented, and cut into lanes. The order of pieces, and the
//! rendering, augmentation and conditioning of each, depend only on the seed and the piece's index in the stream, so a
//! run continues from a checkpoint as if it had never stopped.

use super::articulation::Articulation;
use super::conditioning::Plan;
use super::config::{Augment, ConditioningRates, Config};
use super::humanize::humanize;
use super::mixture::Mixture;
use crate::dataset::Piece;
use crate::performance::Performance;
use model::{
    Kind, PieceConditioning, Source,
    train::{Batch, Lane},
};
use notes::{Note, Successor};
use rand::Rng;
use rand_pcg::Pcg32;
use serde::{Deserialize, Serialize};

/// A position in the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamPosition {
    /// For each lane: index of its piece in the stream, and the number of that piece's notes that have been targets.
    pub lanes: Vec<(u64, usize)>,
    /// Index of the next piece in the stream.
    pub next: u64,
    /// Number of notes that have been targets, over all lanes.
    pub notes: u64,
}

/// Combined with the seed: the performer and the conditioning of a piece have their own random streams, separate from
/// that of its augmentation, so that none affects the others.
const PERFORMER: u64 = 0x7065_7266_6f72_6d65;
const CONDITIONING: u64 = 0x746f_6c64;

/// The training split as an endless stream.
pub struct Stream<'a> {
    pieces: Vec<&'a Piece>,
    mixture: Mixture,
    kind: Kind,
    seed: u64,
    augment: Augment,
    rates: Option<ConditioningRates>,
    lanes: Vec<Lane>,
    position: StreamPosition,
}

impl<'a> Stream<'a> {
    /// Starts the stream, or continues it from a position. At least one piece must have a weight above 0.
    pub fn new(pieces: Vec<&'a Piece>, config: &Config, position: Option<StreamPosition>) -> Self {
        let lanes = config.lanes as u64;
        let fresh = position.is_none();
        let position = position.unwrap_or_else(|| StreamPosition {
            lanes: (0..lanes).map(|n| (n, 0)).collect(),
            next: lanes,
            notes: 0,
        });
        let mut stream = Self {
            mixture: Mixture::new(pieces.iter().map(|piece| config.weight(&piece.set)).collect(), config.seed),
            pieces,
            kind: config.network,
            seed: config.seed,
            augment: config.augment.clone(),
            rates: config.conditioning.clone(),
            lanes: Vec::new(),
            position,
        };
        for n in 0..config.lanes {
            let (number, done) = stream.position.lanes[n];
            let mut lane = stream.piece(number);
            if !fresh {
                lane.skip(done);
            }
            stream.lanes.push(lane);
        }
        stream
    }

    /// The current position.
    pub fn position(&self) -> StreamPosition {
        self.position.clone()
    }

    /// The next chunk of every lane.
    pub fn next(&mut self, chunk: usize) -> Batch {
        let mut lanes = std::mem::take(&mut self.lanes);
        let batch = Batch::next(self.kind, &mut lanes, chunk, |n| {
            let number = self.position.next;
            self.position.next += 1;
            self.position.lanes[n].0 = number;
            Some(self.piece(number))
        });
        for (position, lane) in self.position.lanes.iter_mut().zip(&lanes) {
            position.1 = lane.done();
        }
        self.position.notes += batch.notes() as u64;
        self.lanes = lanes;
        batch
    }

    /// Index of the piece that each lane is in.
    pub fn playing(&mut self) -> Vec<usize> {
        (0..self.lanes.len()).map(|n| self.mixture.piece(self.position.lanes[n].0)).collect()
    }

    /// The piece at this index in the stream, rendered and augmented.
    fn piece(&mut self, number: u64) -> Lane {
        let piece = self.pieces[self.mixture.piece(number)];
        let rng = &mut Pcg32::new(self.seed, 2 * number + 1);
        let (performance, conditioning) =
            render_pass(piece, &self.augment, self.rates.as_ref(), rng, self.seed, number);
        let lane = Lane::new(&performance.notes).with_conditioning(conditioning);
        match rng.random::<f64>() < self.augment.input_noise {
            true => lane.with_input_noise(|notes| add_input_noise(notes, rng)),
            false => lane,
        }
    }
}

/// Speed of the stream of these pieces, in notes per second, with everything switched on: rendering, augmentation and
/// conditioning alone, and including conversion to training batches. Each is measured for `seconds`, with a clock that
/// returns seconds.
pub fn speed(pieces: Vec<&Piece>, chunk: usize, seconds: f64, clock: impl Fn() -> f64) -> [f64; 2] {
    let mut config = Config { conditioning: Some(ConditioningRates::default()), ..Config::default() };
    config.augment.humanize = 1.0;
    let mut stream = Stream::new(pieces, &config, None);
    let per_second = |next: &mut dyn FnMut() -> usize| {
        let (start, mut notes) = (clock(), 0);
        while clock() - start < seconds {
            notes += next();
        }
        notes as f64 / (clock() - start)
    };
    let mut number = 0;
    let rendered = per_second(&mut || {
        number += 1;
        let piece = stream.pieces[stream.mixture.piece(number)];
        let rng = &mut Pcg32::new(config.seed, 2 * number + 1);
        render_pass(piece, &config.augment, config.conditioning.as_ref(), rng, config.seed, number).0.notes.len()
    });
    [rendered, per_second(&mut || stream.next(chunk).notes())]
}

/// The notes of one pass over a piece: rendered by a performer if it is a score, and augmented. Each number gives a
/// different version.
pub fn augmented_notes(piece: &Piece, augment: &Augment, seed: u64, number: u64) -> Vec<Note> {
    render_pass(piece, augment, None, &mut Pcg32::new(seed, 2 * number + 1), seed, number).0.notes
}

/// One pass over a piece: rendered by a performer if it is a score, augmented, and with its conditioning inputs.
fn render_pass(
    piece: &Piece,
    augment: &Augment,
    rates: Option<&ConditioningRates>,
    rng: &mut Pcg32,
    seed: u64,
    number: u64,
) -> (Performance, PieceConditioning) {
    let plan = rates.map_or(Plan::NONE, |rates| Plan::draw(rates, &mut Pcg32::new(seed ^ CONDITIONING, number)));
    let performer = &mut Pcg32::new(seed ^ PERFORMER, number);
    let humanized = piece.source == Some(Source::Score) && performer.random::<f64>() < augment.humanize;
    let performance = match humanized {
        true => humanize(piece, augment.score_tempo, performer),
        false => Performance { notes: piece.notes.clone(), beats: piece.beats.clone() },
    };
    let articulated = piece.source != Some(Source::Sequenced) && performer.random::<f64>() < augment.articulation;
    let articulation = articulated.then(|| Articulation::draw(performer));
    let performance = vary(&performance, augment, articulation, plan.ending, rng);
    let conditioning = plan.conditioning(piece, &performance, humanized);
    (performance, conditioning)
}

/// All pieces once, unchanged; the last batches are only partly filled. Stops after `most` notes.
pub fn once<'a>(
    kind: Kind,
    pieces: &'a [&'a [Note]],
    lanes: usize,
    chunk: usize,
    most: usize,
) -> impl Iterator<Item = Batch> + 'a {
    let mut rest = pieces.iter();
    let mut lanes: Vec<Lane> = (0..lanes).map(|_| Lane::new(rest.next().copied().unwrap_or(&[]))).collect();
    let mut seen = 0;
    std::iter::from_fn(move || {
        if seen >= most {
            return None;
        }
        let batch = Batch::next(kind, &mut lanes, chunk, |_| rest.next().map(|notes| Lane::new(notes)));
        seen += batch.notes();
        (batch.notes() > 0).then_some(batch)
    })
}

/// Augments a performance: transposes it, changes its tempo, velocities and durations, and may start in its middle or
/// in its last third.
fn vary(
    performance: &Performance,
    augment: &Augment,
    articulation: Option<Articulation>,
    ending: bool,
    rng: &mut Pcg32,
) -> Performance {
    let Performance { notes, beats } = performance;
    let factor = |rng: &mut Pcg32, most: f64| {
        let width = most.ln();
        if width > 0.0 { rng.random_range(-width..width).exp() } else { 1.0 }
    };
    let shift = |rng: &mut Pcg32, most: u8| rng.random_range(-i32::from(most)..=i32::from(most));
    // A range of ±6 semitones covers all keys; -6 is +6 an octave lower.
    let transpose = shift(rng, augment.transpose);
    let tempo = factor(rng, augment.tempo);
    let length = factor(rng, augment.length);
    let louder = shift(rng, augment.velocity);
    let cut = rng.random::<f64>() < augment.cut && notes.len() > 64;
    let mut first = if cut { rng.random_range(0..notes.len() / 2) } else { 0 };
    if ending && notes.len() > 64 {
        first = rng.random_range(notes.len() * 2 / 3..notes.len() - 16);
    }
    let (notes, beats) = (&notes[first..], if beats.is_empty() { Vec::new() } else { beats[first..].to_vec() });
    let lowest = notes.iter().map(|n| i32::from(n.pitch)).min().unwrap_or(60);
    let highest = notes.iter().map(|n| i32::from(n.pitch)).max().unwrap_or(60);
    let transpose = if lowest + transpose < 0 || highest + transpose > 127 { 0 } else { transpose };
    let origin = notes.first().map_or(0.0, |n| n.onset);
    let mut varied: Vec<Note> = notes
        .iter()
        .map(|note| {
            let struck = (note.onset - origin) * tempo + note.spread;
            let sounding = (note.duration - note.spread).max(0.005) * tempo * length;
            Note {
                onset: struck,
                spread: 0.0,
                duration: sounding,
                pitch: (i32::from(note.pitch) + transpose) as u8,
                velocity: (i32::from(note.velocity) + louder).clamp(1, 127) as u8,
            }
        })
        .collect();
    if let Some(articulation) = articulation {
        articulation.apply(&mut varied, rng);
    }
    // At a faster tempo, separate onsets may fall into one chord.
    let mut varied = Performance { notes: varied, beats };
    varied.canonicalize();
    varied
}

/// Correlation length of the deviations, in notes.
const NOISE_CORRELATION_NOTES: f64 = 50.0;
/// Standard deviations: of the velocity, and of the logarithm of the step.
const NOISE_DEVIATIONS: [f64; 2] = [8.0, 0.1];

/// Adds slowly varying deviations in loudness and tempo, each an Ornstein-Uhlenbeck process. Durations do not change:
/// if they did, the network would rely less on what repetitions predict about them, which costs a tenth of a nat.
fn add_input_noise(notes: &[Successor], rng: &mut Pcg32) -> Vec<Successor> {
    let kept = (-1.0 / NOISE_CORRELATION_NOTES).exp();
    // Uniform random numbers of variance 1: summed over this many notes, they are approximately normal.
    let mut even = || rng.random_range(-1.0..1.0f64) * 3f64.sqrt();
    let mut off = NOISE_DEVIATIONS.map(|by| by * even());
    let mut next = || {
        for (off, by) in off.iter_mut().zip(NOISE_DEVIATIONS) {
            *off = kept * *off + (1.0 - kept * kept).sqrt() * by * even();
        }
        off
    };
    let noisy = |note: &Successor| {
        let [louder, slower] = next();
        // Separate onsets do not become chords.
        let step = if note.step > 0.0 { (note.step * slower.exp()).max(notes::chords::WINDOW_S + 1e-3) } else { 0.0 };
        Successor { step, velocity: (f64::from(note.velocity) + louder).round().clamp(1.0, 127.0) as u8, ..*note }
    };
    notes.iter().map(noisy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_performance_strays_slowly_and_keeps_its_chords() {
        let note = |n: usize| Successor {
            step: 0.25 * f64::from(u8::from(n.is_multiple_of(3))),
            spread: 0.0,
            duration: 0.5,
            pitch: 60,
            velocity: 64,
        };
        let notes: Vec<Successor> = (0..30_000).map(note).collect();
        let noisy = add_input_noise(&notes, &mut Pcg32::new(1, 1));
        assert!(noisy.iter().zip(&notes).all(|(a, b)| (a.step == 0.0) == (b.step == 0.0) && a.pitch == b.pitch));
        let velocity: Vec<f64> = noisy.iter().map(|note| f64::from(note.velocity) - 64.0).collect();
        let step: Vec<f64> = noisy.iter().step_by(3).map(|note| (note.step / 0.25).ln()).collect();
        for ((values, by), every) in [velocity, step].iter().zip(NOISE_DEVIATIONS).zip([1, 3]) {
            let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / (30_000 / every) as f64;
            let (level, power) = (mean(&mut values.iter().copied()), mean(&mut values.iter().map(|v| v * v)));
            assert!(level.abs() < 0.15 * by && (power.sqrt() / by - 1.0).abs() < 0.15, "{level} {power}");
            // Changes from note to note are small.
            let next = mean(&mut values.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)));
            assert!(next < 0.2 * power, "{next} of {power}");
        }
    }
}
