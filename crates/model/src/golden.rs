//! Checks inference against golden values from an independent implementation in 64-bit floats (`golden/golden.py`),
//! layer by layer over 64 steps.

use std::collections::BTreeMap;

use notes::Successor;

use crate::{
    conditioning::{Conditioning, Meter, Remaining, Source},
    linear::Precision,
    network::{Network, Scratch, State},
    shapes::{self, Attribute, HIDDEN, Kind},
    trunk::{States, TrunkState},
    weights::{Card, Tensor, Weights},
};

/// Per tensor: its projection on cos(0.37 i), and its middle value.
type Step = Vec<[f64; 2]>;

#[test]
fn every_layer_agrees_over_64_steps() {
    let golden: BTreeMap<String, Vec<Step>> = serde_json::from_str(include_str!("../golden/golden.json")).unwrap();
    for (kind, steps) in [(Kind::Seed, &golden["seed"]), (Kind::Antiphon, &golden["antiphon"])] {
        // `antiphon` adds up hundreds of features in 32 bits before its heads, and a dozen linked scores per class
        // after them.
        let tolerance = if kind == Kind::Seed { 1e-5 } else { 3e-5 };
        let network = Network::new(&weights(kind), Precision::F32);
        let (mut state, mut scratch) = (network.zero_state(), Scratch::new(1));
        let phrase = phrase();
        state.context.recent.conditioning.source = Some(Source::Score);
        assert_eq!(steps.len(), phrase.len());
        for (t, (expected, next)) in steps.iter().zip(&phrase).enumerate() {
            let heard = t.checked_sub(1);
            network.prepare_input(heard.map(|t| &phrase[t]), heard.map(conditioning), &mut state, &mut scratch);
            network.forward(std::slice::from_mut(&mut state), &mut scratch);
            let found = trace(&network, &state, next, &mut scratch);
            assert_eq!(found.len(), expected.len());
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                for (found, expected) in found.iter().zip(expected) {
                    assert!(
                        (found - expected).abs() < tolerance,
                        "{kind:?} step {t} tensor {i}: {found}, not {expected}"
                    );
                }
            }
        }
    }
}

/// h and c of each layer, then the logits of each head.
fn trace(network: &Network, state: &State, next: &Successor, scratch: &mut Scratch) -> Step {
    let TrunkState::Floats(States { h, c }) = &state.trunk else { unreachable!("it is played in floats") };
    let layers = h.chunks_exact(HIDDEN).zip(c.chunks_exact(HIDDEN));
    let mut all: Step = layers.flat_map(|(h, c)| [short(h), short(c)]).collect();
    match network.point_estimates(state, scratch) {
        Some(timing) => {
            all.push(short(network.logits(Attribute::Pitch, next, state, scratch)));
            all.extend(timing.map(|value| [value, value]));
        }
        None => {
            for attribute in Attribute::ALL {
                let logits = network.logits(attribute, next, state, scratch);
                // Skips masked classes; only pitches inside a chord have any.
                all.push(short(&logits[logits.iter().take_while(|v| !v.is_finite()).count()..]));
            }
        }
    }
    all
}

fn short(values: &[f32]) -> [f64; 2] {
    let projection = values.iter().enumerate().map(|(i, &v)| f64::from(v) * (0.37 * i as f64).cos()).sum();
    [projection, values[values.len() / 2].into()]
}

fn weights(kind: Kind) -> Weights {
    let tensors = shapes::of(kind)
        .into_iter()
        .map(|(name, shape)| {
            let fan_in = match name.as_str() {
                "input.weight" => 24,
                n if n.ends_with("features.weight") => 24,
                n if n.starts_with("lstm.") || n == "pitch.0.bias" || n == "step.bias" || n == "duration.bias" => {
                    HIDDEN
                }
                "pitch.2.bias" => 300,
                _ if shape.len() == 1 => 256,
                _ => shape[1],
            };
            let scale = 1.5 / (fan_in as f64).sqrt();
            let phase = f64::from(crc32(name.as_bytes()) % 1000);
            let data =
                (0..shape.iter().product()).map(|i: usize| ((0.7 * i as f64 + phase).sin() * scale) as f32).collect();
            (name, Tensor::new(shape, data))
        })
        .collect();
    Weights::new(Card::new(kind, "golden"), tensors).unwrap()
}

/// CRC-32 as in zip files: gives each name a number that other languages can compute, too.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// The conditioning inputs at a note's onset.
fn conditioning(note: usize) -> Conditioning {
    let meter = Meter { beat_s: 0.48 + 0.001 * note as f64, position: 0.371 * note as f64 % 3.0, bar: 3.0 };
    let remaining =
        if note < 40 { Remaining::Seconds(40.3 - 0.5 * note as f64) } else { Remaining::Notes(64 - note as u32) };
    let known = note >= 16;
    Conditioning { source: Some(Source::Score), meter: known.then_some(meter), remaining: known.then_some(remaining) }
}

fn phrase() -> Vec<Successor> {
    let mut last = 0;
    (0..64u32)
        .map(|i| {
            let chord = i % 3 == 2;
            let pitch = if chord { last + 4 } else { (40 + (i * 17) % 48) as u8 };
            last = pitch;
            Successor {
                step: if chord || i == 0 { 0.0 } else { 0.07 + 0.05 * f64::from(i * 7 % 11) },
                pitch,
                duration: 0.09 + 0.13 * f64::from(i * 5 % 9),
                velocity: (30 + (i * 13) % 90) as u8,
                spread: if chord { 0.012 } else { 0.0 },
            }
        })
        .collect()
}
