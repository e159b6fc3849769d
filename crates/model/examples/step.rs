//! Benchmarks the shipped network. For each precision: one note (a step of the network, all heads, and sampling), with
//! the repetition memory full. Then warm-up with a whole phrase against note by note, and 1 to 64 takes side by side.
//! Prints CPU times and allocations as lines of JSON, for `cargo xtask bench`. With the feature `gpu`, and if there is
//! an adapter, also takes with their trunk on the GPU, in wall-clock time, since waiting uses no CPU time.
//!
//!     cargo run --release -p model --example step [--features gpu] [-- ENGINE NOTES]
//!
//! With an engine's name, it only plays this many notes with that engine, for `valgrind --tool=callgrind`.

mod common;

use std::sync::Arc;
use std::time::Instant;

use common::{measure, report};
use model::device::open;
use model::{BatchDecoder, Controls, Decoder, Network, Precision, Weights, note_rng};
use notes::Successor;
use serde_json::json;

/// Measured notes (a quarter of this for all but the shipped engine), and warm-up notes before them.
const NOTES: usize = 2000;
const WARM_UP: usize = 50;
/// Notes fed beforehand: they fill the repetition memory.
const HEARD: u64 = 4096;
/// Length of a phrase that is fed as a whole.
const PHRASE: usize = 256;
/// Number of repetitions with that phrase.
const PHRASES: usize = 9;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let weights = Weights::from_bytes(include_bytes!("../../../weights/antiphon.safetensors")).expect("they ship");
    let shipped = Precision::of(&weights);
    let decoder = |precision| Decoder::new(Arc::new(Network::new(&weights, precision)));
    let engines = || [("default", shipped)].into_iter().chain(Precision::ALL.map(|p| (p.name(), p)));
    if let [engine, notes] = &args[..] {
        let precision = engines().find(|(name, _)| name == engine).expect("an engine").1;
        let mut decoder = decoder(precision);
        (0..notes.parse().expect("a number of notes")).for_each(|index| play(&mut decoder, index));
        return;
    }
    let music = music(HEARD);
    for (name, precision) in engines() {
        let mut decoder = decoder(precision);
        decoder.feed_all(&music);
        let notes = if name == "default" { NOTES } else { NOTES / 4 };
        report(name, 1, &measure(WARM_UP, notes, |number| play(&mut decoder, number as u64)));
    }
    let mut decoder = decoder(shipped);
    let phrase = &music[..PHRASE];
    report("warm_up.at_once", PHRASE, &measure(1, PHRASES, |_| decoder.feed_all(phrase)));
    let note_by_note = measure(1, PHRASES, |_| phrase.iter().for_each(|note| decoder.feed(note)));
    report("warm_up.note_by_note", PHRASE, &note_by_note);
    for takes in (1..=8).chain([16, 32, 64]) {
        let mut batch = BatchDecoder::new(&decoder, takes);
        let costs = measure(WARM_UP, NOTES / 4 / takes.div_ceil(8), |number| play_all(&mut batch, takes, number));
        report(&format!("batch.{takes}"), takes, &costs);
    }
    let Ok(gpu) = open(decoder.network()) else { return };
    for takes in [1, 8, 16, 32, 64] {
        let mut batch = BatchDecoder::new(&decoder, takes);
        batch.run_on(Some(gpu.open_session(takes).expect("it has room")));
        let mut us = Vec::new();
        measure(WARM_UP, NOTES / 4 / takes.div_ceil(8), |number| {
            let start = Instant::now();
            play_all(&mut batch, takes, number);
            us.push(start.elapsed().as_secs_f64() * 1e6);
        });
        assert_eq!(batch.take_failure(), None);
        let row = json!({ "name": format!("gpu.{takes}"), "notes": takes, "us": us.split_off(WARM_UP), "adapter": gpu.name() });
        println!("{row}");
    }
}

/// Samples a note for each take and feeds it.
fn play_all(batch: &mut BatchDecoder, takes: usize, number: usize) {
    let mut rngs: [_; 64] = std::array::from_fn(|take| note_rng(take as u64, number as u64));
    batch.play(&Controls::default(), 0.0, &mut rngs[..takes]);
}

/// Samples a note and feeds it.
fn play(decoder: &mut Decoder, index: u64) {
    let note = decoder.sample(&Controls::default(), 0.0, &mut note_rng(1, index));
    decoder.feed(&note);
}

/// Rule-generated music: figures that recur, also transposed.
fn music(notes: u64) -> Vec<Successor> {
    (0..notes)
        .map(|i| {
            let (figure, place) = (i / 16 % 7, i % 16);
            let pitch = 48 + (figure * 5 + place * (3 + figure)) % 31;
            let duration = 0.1 + 0.05 * (place % 4) as f64;
            Successor {
                step: 0.12 + 0.06 * (place % 3) as f64,
                spread: 0.0,
                duration,
                pitch: pitch as u8,
                velocity: 64,
            }
        })
        .collect()
}
