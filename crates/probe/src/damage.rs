//! Damaged files: good ones with bits flipped, numbers changed to extremes, parts cut out, duplicated or moved, or
//! deeply nested. Seeded, so the same files every time.

use std::panic::{RefUnwindSafe, catch_unwind};

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use crate::heap::{self, HeapUse};

/// Numbers that parsers often handle wrongly.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    0x0000_0100_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
];
/// Text that parsers often handle wrongly.
const WORDS: [&str; 16] = [
    "[",
    "{",
    "\"",
    "'",
    "[[",
    "}",
    "\\u0000",
    "\\ud800",
    "null",
    "-0",
    "1e999",
    "NaN",
    "99999999999999999999",
    "true",
    "\n",
    "é",
];
/// Upper bound for how often a word is repeated in a row.
const DEEPEST: usize = 2_000;

/// What a reader did with the damaged files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Number of files that were read anyway.
    pub read: usize,
    /// Number of files that were refused with a message.
    pub refused: usize,
    /// Maximum heap use for any one file.
    pub most: HeapUse,
}

/// Passes `count` damaged files to `read`. Each must be read, or refused with a message of reasonable length, without a
/// panic, and using at most twice its size plus `spare` bytes of heap; where heap use cannot be measured, it is not
/// checked.
///
/// # Panics
/// If one of the files fails this; the message names the seed and the case, from which [`damaged_file`] makes the file
/// again.
pub fn survives(
    good: &[Vec<u8>],
    (seed, count): (u64, usize),
    spare: usize,
    read: impl Fn(&[u8]) -> Result<(), String> + RefUnwindSafe,
) -> Outcome {
    let mut outcome = Outcome::default();
    for case in 0..count {
        let bytes = damaged_file(good, seed, case);
        let name = format!("case {case} of seed {seed}, {} bytes", bytes.len());
        let (result, heap_use) = heap::measured(|| catch_unwind(|| read(&bytes)));
        match result.unwrap_or_else(|_| panic!("{name}: a panic, see above")) {
            Ok(()) => outcome.read += 1,
            Err(message) => {
                assert!(!message.trim().is_empty(), "{name}: refused without a message");
                assert!(message.len() < 2_000, "{name}: {} bytes of message", message.len());
                outcome.refused += 1;
            }
        }
        let most = 2 * bytes.len() + spare;
        assert!(heap_use.peak <= most, "{name}: {heap_use:?}, more than {most}");
        outcome.most.peak = outcome.most.peak.max(heap_use.peak);
        outcome.most.largest = outcome.most.largest.max(heap_use.largest);
    }
    outcome
}

/// Damaged file number `case`, made from one of the files in `good`. The same seed and case give the same file.
pub fn damaged_file(good: &[Vec<u8>], seed: u64, case: usize) -> Vec<u8> {
    let mut rng = Pcg32::seed_from_u64(seed ^ (case as u64) << 32);
    let mut bytes = good[rng.random_range(0..good.len())].clone();
    // Mostly light damage: heavily damaged files are refused at the first fault.
    for _ in 0..1 + rng.random_range(0..8_usize).saturating_sub(4) {
        damage(&mut bytes, good, &mut rng);
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, good: &[Vec<u8>], rng: &mut Pcg32) {
    // Often near the start, where lengths and counts are.
    let reach = if rng.random_bool(0.3) { bytes.len().min(64) } else { bytes.len() };
    let at = rng.random_range(0..=reach);
    let length = |rng: &mut Pcg32, from: usize| rng.random_range(0..=from.min(64));
    match rng.random_range(0..10) {
        0 => flip(bytes, at, 1 << rng.random_range(0..8)),
        1 => flip(bytes, at, rng.random()),
        2 | 3 => {
            let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
            let width = 1 << rng.random_range(0..4_usize);
            let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
            let part = if rng.random() { &little[..width] } else { &big[8 - width..] };
            bytes.iter_mut().skip(at).zip(part).for_each(|(byte, new)| *byte = *new);
        }
        4 => bytes.truncate(at),
        5 => {
            let until = at + length(rng, bytes.len() - at);
            bytes.drain(at..until);
        }
        6 => {
            let until = at + length(rng, bytes.len() - at);
            let part = bytes[at..until].to_vec();
            bytes.splice(at..at, part);
        }
        7 => {
            let other = &good[rng.random_range(0..good.len())];
            let from = rng.random_range(0..=other.len());
            let until = from + length(rng, other.len() - from);
            bytes.splice(at..at, other[from..until].iter().copied());
        }
        8 => {
            let word = WORDS[rng.random_range(0..WORDS.len())];
            let times = if rng.random_bool(0.1) { rng.random_range(1..DEEPEST) } else { 1 };
            bytes.splice(at..at, word.repeat(times).into_bytes());
        }
        _ => number_in_text(bytes, at, rng),
    }
}

fn flip(bytes: &mut [u8], at: usize, mask: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= mask;
    }
}

/// Replaces the next run of digits with another number.
fn number_in_text(bytes: &mut Vec<u8>, at: usize, rng: &mut Pcg32) {
    let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit).map(|place| at + place) else { return };
    let until = bytes[from..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |place| from + place);
    let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
    let text = if rng.random() { number.to_string() } else { format!("-{number}") };
    bytes.splice(from..until, text.into_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_spoil_the_same_way_and_every_way_comes() {
        let good = [b"{\"a\": 12, \"b\": [3, 4]}".to_vec(), vec![0; 300]];
        let all: Vec<Vec<u8>> = (0..500).map(|case| damaged_file(&good, 1, case)).collect();
        assert!(all.iter().enumerate().all(|(case, bytes)| *bytes == damaged_file(&good, 1, case)));
        assert!(all.iter().filter(|bytes| good.contains(bytes)).count() < 100);
        let any = |what: fn(&[u8]) -> bool| all.iter().any(|bytes| what(bytes));
        assert!(any(|bytes| bytes.is_empty()) && any(|bytes| bytes.len() > 1_000));
    }

    #[test]
    #[should_panic(expected = "a panic")]
    fn a_panic_is_found() {
        survives(&[vec![1; 9]], (1, 100), 1 << 20, |bytes| {
            assert!(bytes.len() == 9);
            Ok(())
        });
    }

    #[test]
    #[should_panic(expected = "more than")]
    fn greed_is_found() {
        if !heap::CAN_WATCH {
            panic!("nothing is more than that here");
        }
        survives(&[vec![1; 9]], (1, 100), 1_000, |bytes| {
            std::hint::black_box(vec![0_u8; 100 * bytes.len()]);
            Ok(())
        });
    }
}
