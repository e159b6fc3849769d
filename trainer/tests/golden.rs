//! `trainer generate` must give the same golden take as the engine without a phrase; see
//! `crates/engine/tests/golden.rs`.

use std::sync::Arc;

use model::{Decoder, Network};
use serde_json::Value;
use trainer::play::{Length, from_scratch};

#[test]
fn from_nothing_the_trainer_plays_what_the_engine_plays() {
    let golden: Value = serde_json::from_str(include_str!("../../crates/engine/golden/takes.json")).unwrap();
    let scene = golden["scenes"].as_array().unwrap().iter().find(|scene| scene["name"] == "alone").unwrap();
    let take = scene["takes"][0].as_array().unwrap();
    let seed = scene["parameters"].as_array().unwrap().iter().find(|parameter| parameter[0] == "seed").unwrap();
    let seed = seed[1].as_str().unwrap().parse().unwrap();

    let network = Arc::new(Network::from_bytes(include_bytes!("../../weights/antiphon.safetensors")).unwrap());
    let controls = network.card().controls;
    let notes = from_scratch(&mut Decoder::new(network), &controls, seed, Length { seconds: 60.0, notes: take.len() });
    let bits = |value: &Value| f64::from_bits(u64::from_str_radix(value.as_str().unwrap(), 16).unwrap());
    assert_eq!(notes.len(), take.len());
    for (index, (note, golden)) in notes.iter().zip(take).enumerate() {
        assert_eq!(
            (u64::from(note.pitch), u64::from(note.velocity)),
            (golden[3].as_u64().unwrap(), golden[4].as_u64().unwrap()),
            "note {index}"
        );
        // Both add up the steps, but in a different order.
        assert!((note.onset - bits(&golden[0])).abs() < 1e-9 && note.spread == bits(&golden[1]), "note {index}");
    }
}
