//! The input of judge B: n-grams of intervals, rhythms and chords, and nothing else.

use crate::measures::baselines::mix;
use notes::Note;

/// Number of columns, into which n-grams are hashed.
pub const COLUMNS: usize = 2048;
/// Maximum length of n-grams of moves and rhythms.
const LONGEST: usize = 4;
/// Larger moves are clamped to this many semitones.
const WIDEST: i32 = 24;

/// Square roots of n-gram counts, scaled to unit length. N-grams are made of semitones between successive notes
/// (ordered by onset and pitch), of semitones between melody notes, of ratios of successive inter-onset intervals in
/// thirds of an octave, of melody moves with these ratios, and of chords relative to their lowest note.
pub fn grams(notes: &[Note]) -> Vec<f64> {
    let onsets: Vec<&[Note]> = notes.chunk_by(|a, b| a.onset == b.onset).collect();
    let intervals: Vec<f64> = onsets.windows(2).map(|pair| (pair[1][0].onset - pair[0][0].onset).max(0.005)).collect();
    let step = |from: u8, to: u8| (i32::from(to) - i32::from(from)).clamp(-WIDEST, WIDEST) + WIDEST;
    let top = |onset: &[Note]| onset[onset.len() - 1].pitch;

    let moves: Vec<u16> = notes.windows(2).map(|pair| step(pair[0].pitch, pair[1].pitch) as u16).collect();
    let melody: Vec<u16> = onsets.windows(2).map(|pair| step(top(pair[0]), top(pair[1])) as u16).collect();
    let rhythm: Vec<u16> = intervals
        .windows(2)
        .map(|pair| ((pair[1] / pair[0]).log2() * 3.0).round().clamp(-9.0, 9.0) as i32 + 9)
        .map(|class| class as u16)
        .collect();
    let both: Vec<u16> = melody.iter().skip(1).zip(&rhythm).map(|(step, ratio)| step * 32 + ratio).collect();
    let chords: Vec<u16> = onsets
        .iter()
        .map(|onset| onset.iter().fold(0u16, |set, note| set | 1 << ((note.pitch - onset[0].pitch) % 12)))
        .collect();

    let mut counts = vec![0.0f64; COLUMNS];
    for (stream, (symbols, longest)) in
        [(&moves, LONGEST), (&melody, LONGEST), (&rhythm, LONGEST), (&both, 2), (&chords, 2)].into_iter().enumerate()
    {
        for length in 1..=longest {
            for gram in symbols.windows(length) {
                let start = mix(stream as u64, length as u16);
                let hash = gram.iter().fold(start, |hash, &symbol| mix(hash, symbol));
                counts[(hash % COLUMNS as u64) as usize] += 1.0;
            }
        }
    }
    let length = counts.iter().sum::<f64>().max(1.0).sqrt();
    counts.into_iter().map(|count| count.sqrt() / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_and_tempo_have_the_same_grams_and_another_rhythm_has_not() {
        let notes = |tempo: f64, up: u8, long: f64| -> Vec<Note> {
            let note = |(index, pitch): (usize, &u8)| Note {
                onset: (index as f64 + if index > 3 { long } else { 0.0 }) * tempo,
                spread: 0.0,
                duration: 0.1,
                pitch: pitch + up,
                velocity: 64,
            };
            [60, 64, 67, 72, 71, 67, 62].iter().enumerate().map(note).collect()
        };
        let one = grams(&notes(0.25, 0, 0.0));
        assert!((one.iter().map(|value| value * value).sum::<f64>() - 1.0).abs() < 1e-9);
        let other = grams(&notes(0.5, 5, 0.0));
        assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-9));
        assert_ne!(one, grams(&notes(0.25, 0, 1.0)));
        assert!(grams(&[]).iter().all(|&value| value == 0.0));
    }
}
