//! Makes the demo's phrase from its score: `cargo run -p test-host --example phrases`.
//!
//! A score is exact, a performance is not: the tempo fluctuates, the melody is louder, the notes of a chord are a few
//! milliseconds apart, and notes overlap a little. The result is the same each time.

use std::path::Path;

use midi::{Tempo, Track};
use notes::Note;

/// Quarter notes per minute.
const TEMPO: f64 = 70.0;

/// Tchaikovsky, Album for the Young, op. 39 no. 16, bars 1 to 8 with the upbeat, right hand: (onset, length) in quarter
/// notes, MIDI key.
const RIGHT: &[(f64, f64, u8)] = &[
    (0.0, 0.5, 62),
    (0.5, 0.5, 67),
    (1.0, 0.5, 69),
    (1.5, 0.5, 70),
    (2.0, 0.5, 72),
    (2.5, 1.5, 74),
    (4.0, 0.5, 74),
    (4.5, 0.5, 72),
    (5.0, 0.5, 74),
    (5.5, 0.5, 75),
    (6.0, 0.5, 72),
    (6.5, 1.5, 74),
    (8.0, 0.5, 74),
    (8.5, 0.5, 72),
    (9.0, 0.5, 74),
    (9.5, 0.5, 75),
    (10.0, 0.5, 72),
    (10.5, 0.5, 74),
    (11.0, 0.25, 75),
    (11.25, 0.25, 74),
    (11.5, 0.5, 72),
    (12.0, 0.5, 70),
    (12.5, 1.75, 69),
    (14.25, 0.25, 67),
    (14.5, 1.5, 67),
];

/// The left hand, in the same form.
const LEFT: &[(f64, f64, u8)] = &[
    (0.5, 3.0, 55),
    (0.5, 0.5, 58),
    (1.0, 0.5, 60),
    (1.5, 0.5, 62),
    (2.0, 0.5, 60),
    (2.5, 2.0, 58),
    (3.5, 4.0, 55),
    (4.5, 1.0, 63),
    (5.5, 1.0, 60),
    (6.5, 1.0, 58),
    (7.5, 4.0, 55),
    (8.5, 1.0, 63),
    (9.5, 1.0, 60),
    (10.5, 1.0, 58),
    (11.5, 1.0, 55),
    (12.5, 1.0, 54),
    (12.5, 2.0, 60),
    (13.5, 1.0, 50),
    (14.5, 1.0, 55),
    (14.5, 1.0, 58),
    (15.5, 0.5, 43),
];

/// Time in seconds at which the performance reaches a beat: the tempo swells within each half and slows at the end.
fn seconds(beat: f64) -> f64 {
    let arc = (beat * std::f64::consts::TAU / 8.0).cos() * 0.06;
    let close = 0.09 * (beat - 12.5).max(0.0).powi(2) / 3.0;
    beat * 60.0 / TEMPO + arc + close
}

/// A pseudo-random number from -1 to 1 that depends only on the arguments: the imprecision of a hand.
fn hand(beat: f64, key: u8, salt: u32) -> f64 {
    let mut x = ((beat * 64.0) as u32).wrapping_mul(0x9e37_79b9) ^ (u32::from(key) << 8) ^ salt;
    for _ in 0..3 {
        x = (x ^ (x >> 15)).wrapping_mul(0x2c1b_3c6d);
    }
    f64::from(x >> 8) / f64::from(1 << 23) - 1.0
}

fn play(score: &[(f64, f64, u8)], loudness: f64, legato_s: f64, late_s: f64) -> Vec<Note> {
    score
        .iter()
        .map(|&(beat, length, key)| {
            let onset = (seconds(beat) + late_s + 0.007 * hand(beat, key, 1)).max(0.0);
            let end = seconds(beat + length) + legato_s + 0.02 * hand(beat, key, 2);
            // Louder in the middle of the phrase and on the first beat of each bar.
            let swell = 9.0 * (beat * std::f64::consts::TAU / 16.0 - 0.6).sin();
            let accent = if (beat - 0.5) % 2.0 == 0.0 { 4.0 } else { 0.0 };
            let velocity = loudness + swell + accent + 4.0 * hand(beat, key, 3);
            Note { onset, spread: 0.0, duration: (end - onset).max(0.06), pitch: key, velocity: velocity as u8 }
        })
        .collect()
}

fn main() -> std::io::Result<()> {
    let right = play(RIGHT, 68.0, 0.03, 0.0);
    let left = play(LEFT, 50.0, -0.01, 0.009);
    let tracks = [
        Track { name: "right hand", channel: 0, notes: &right },
        Track { name: "left hand", channel: 0, notes: &left },
    ];
    let bytes = midi::write(&tracks, Tempo::bpm(TEMPO));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("phrases/old-french-song.mid");
    std::fs::write(&path, bytes)?;
    println!("wrote {}", path.display());
    Ok(())
}
