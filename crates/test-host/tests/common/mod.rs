//! Music and helpers shared by several tests.

use test_host::{Event, Timed};

/// Samples per second.
pub const RATE: f64 = 48_000.0;

/// Converts seconds to samples.
pub fn samples(seconds: f64) -> u64 {
    (seconds * RATE).round() as u64
}

/// A broken chord that starts at `from` seconds and lasts under two seconds.
pub fn phrase(from: f64) -> Vec<Timed> {
    let keys = [60, 64, 67, 72, 67, 64, 62, 65].into_iter().enumerate();
    let notes = keys.flat_map(|(index, key)| {
        let on = from + 0.21 * index as f64 + 0.004 * f64::from(key % 3);
        [
            Timed { at: samples(on), event: Event::note_on(0, key, 60 + key % 20) },
            Timed { at: samples(on + 0.2), event: Event::note_off(0, key) },
        ]
    });
    notes.collect()
}
