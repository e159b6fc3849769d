//! Checks training against finite differences and against inference.
#![cfg(feature = "train")]

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use model::{
    Decoder, Kind, Network, Precision, Weights,
    train::{Batch, Carry, Lane, Lstm, MatmulPrecision, Model},
};
use notes::{Note, Successor};
use rand::Rng;
use rand_pcg::Pcg32;

/// Random canonical notes: chords of up to three notes, overlapping, some with spread.
fn phrase(count: usize, seed: u64) -> Vec<Note> {
    let mut rng = Pcg32::new(seed, 0);
    let mut onset = 0.0;
    let mut notes = Vec::new();
    while notes.len() < 2 * count {
        for _ in 0..rng.random_range(1..4) {
            notes.push(Note {
                onset: onset + rng.random_range(0.0..0.02),
                spread: 0.0,
                duration: rng.random_range(0.1..1.5),
                pitch: rng.random_range(30..100),
                velocity: rng.random_range(20..120),
            });
        }
        onset += rng.random_range(0.05..0.6);
    }
    notes::chords::canonicalize(&mut notes);
    notes.truncate(count);
    notes
}

/// Compares the gradients of the hand-written backward pass with central differences of the loss. In 32 bits, the
/// differences themselves are accurate to about 1e-3 of the largest gradient; an error in a formula shows as an error
/// of order 1.
#[test]
fn lstm_gradients_agree_with_finite_differences() {
    let (time, lanes, input, hidden) = (7, 3, 5, 4);
    let mut rng = Pcg32::new(11, 0);
    let mut values = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-0.8..0.8)).collect() };
    let mut params = [values(time * lanes * input), values(4 * hidden * (input + hidden)), values(4 * hidden)];
    let shapes: [&[usize]; 3] = [&[time, lanes, input], &[4 * hidden, input + hidden], &[4 * hidden]];
    let start = Carry { h: values(lanes * hidden), c: values(lanes * hidden) };
    let target = values(time * lanes * hidden);
    let mut fresh = vec![false; time * lanes];
    fresh[3 * lanes + 1] = true;
    let layer = Lstm::new(MatmulPrecision::F32);
    let loss = |params: &[Vec<f32>; 3]| {
        let vars: Vec<Var> =
            params.iter().zip(shapes).map(|(p, s)| Var::from_slice(p, s, &Device::Cpu).unwrap()).collect();
        let mut carry = start.clone();
        let out = layer.sequence(&vars[0], &vars[1], &vars[2], &mut carry, &fresh).unwrap();
        let target = Tensor::from_slice(&target, (time, lanes, hidden), &Device::Cpu).unwrap();
        ((out * target).unwrap().sum_all().unwrap(), vars)
    };
    let (value, vars) = loss(&params);
    let grads = value.backward().unwrap();
    let grads: Vec<Vec<f32>> =
        vars.iter().map(|v| grads.get(v).unwrap().flatten_all().unwrap().to_vec1().unwrap()).collect();
    let step = 4e-3;
    for which in 0..3 {
        for i in 0..params[which].len() {
            let here = params[which][i];
            let mut at = |x: f32| {
                params[which][i] = x;
                f64::from(loss(&params).0.to_scalar::<f32>().unwrap())
            };
            let difference = (at(here + step) - at(here - step)) / f64::from(2.0 * step);
            at(here);
            let grad = f64::from(grads[which][i]);
            assert!((grad - difference).abs() < 2e-3, "parameter {which}[{i}]: {grad} is not {difference}");
        }
    }
}

/// The chunked, batched network and the note-by-note network give the same losses for the same notes.
#[test]
fn sequence_and_step_agree() {
    for kind in [Kind::Seed, Kind::Antiphon] {
        let weights = Weights::random(kind, 5);
        let notes = phrase(96, 3);
        let model = Model::new(&weights, &Device::Cpu, MatmulPrecision::F32).unwrap();
        let mut carry = model.zero_carry(1);
        let mut lanes = [Lane::new(&notes)];
        let mut sums = [0.0f64; 5];
        // Two chunks of different lengths: the state is carried over.
        for chunk in [40, 56] {
            let batch = Batch::next(kind, &mut lanes, chunk, |_| None);
            assert_eq!(batch.notes(), chunk);
            let losses = model.losses(batch, &mut carry, None).unwrap();
            for (sum, part) in sums.iter_mut().zip(losses.parts) {
                *sum += part * chunk as f64;
            }
        }

        let mut decoder = Decoder::new(Arc::new(Network::new(&weights, Precision::F32)));
        if kind == Kind::Seed {
            decoder.hand_over(); // begin-of-sequence
        }
        let (mut expected, mut previous) = ([0.0f64; 5], None);
        for note in &notes {
            let next = Successor::after(previous, note);
            previous = Some(note.onset);
            let costs = decoder.costs(&next);
            for (sum, cost) in expected.iter_mut().zip(costs) {
                *sum += cost;
            }
            decoder.feed(&next);
        }
        for (attribute, (a, b)) in sums.iter().zip(expected).enumerate() {
            assert!((a - b).abs() / 96.0 < 1e-5, "{kind:?}, attribute {attribute}: {a} is not {b}");
        }
    }
}

/// Rounding the factors of products to bf16 changes the loss by less than a thousandth and hardly changes the
/// gradient's direction.
#[test]
fn bf16_changes_little() {
    for kind in [Kind::Seed, Kind::Antiphon] {
        let weights = Weights::random(kind, 5);
        let run = |precision| {
            let model = Model::new(&weights, &Device::Cpu, precision).unwrap();
            let mut lanes: Vec<Lane> = (0..4).map(|n| Lane::new(&phrase(64, n))).collect();
            let batch = Batch::next(kind, &mut lanes, 64, |_| None);
            let losses = model.losses(batch, &mut model.zero_carry(4), None).unwrap();
            let gradients = losses.total.backward().unwrap();
            let gradients: Vec<Vec<f32>> = model
                .vars()
                .values()
                .map(|var| gradients.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap())
                .collect();
            (f64::from(losses.total.to_scalar::<f32>().unwrap()), gradients)
        };
        let ((exact, gradients), (rounded, turned)) = (run(MatmulPrecision::F32), run(MatmulPrecision::Bf16));
        assert!(exact != rounded && (exact - rounded).abs() < 1e-3 * exact, "{kind:?}: {rounded} is not {exact}");
        for (gradient, turned) in gradients.iter().zip(&turned) {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let cosine = dot(gradient, turned) / (dot(gradient, gradient) * dot(turned, turned)).sqrt();
            assert!(cosine > 0.999, "{kind:?}: {cosine}");
        }
    }
}
