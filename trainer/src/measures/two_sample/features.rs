//! Features of a section of music: on its own, and relative to the prompt that it follows.
//!
//! All are finite for any notes, and computed in linear time. Notes are canonical: an *onset* is a chord or a single
//! note, an *interval* the time from one onset to the next, the *melody* the highest note of each onset.

use crate::measures::excerpts::PART_S;
use crate::measures::fit::pitch_classes;
use crate::measures::similarity::{entropy, scale_consistency};
use model::key::{correlation, key_profile};
use notes::Note;
use std::collections::HashSet;
use std::hash::Hash;

/// Maximum ratio of two intervals or durations that count as equal.
const EQUAL: f64 = 1.1;
/// Lower bound for times before taking the logarithm, in seconds.
const SHORTEST_S: f64 = 0.005;
/// Limits between classes of the ratio of an interval to the previous one, as |log2|: equal to the ear, equal, slightly
/// uneven, about 3:2, double, triple, more.
const RATIO_LIMITS: [f64; 6] = [0.05, 0.14, 0.4, 0.8, 1.2, 1.8];

/// The notes of a section, with what is derived from them for all features.
pub struct Stretch<'a> {
    notes: &'a [Note],
    /// Start in seconds; the section is [`PART_S`] long.
    begin: f64,
    /// The notes of each onset, by ascending pitch.
    onsets: Vec<&'a [Note]>,
    /// Seconds from each onset to the next.
    intervals: Vec<f64>,
    /// log2| of the ratio of each interval to the previous one.
    ratios: Vec<f64>,
    melody: Vec<u8>,
    bass: Vec<u8>,
}

impl<'a> Stretch<'a> {
    /// A section from canonical notes with onsets in `begin`..`begin` + [`PART_S`].
    pub fn new(notes: &'a [Note], begin: f64) -> Self {
        let onsets: Vec<&[Note]> = notes.chunk_by(|a, b| a.onset == b.onset).collect();
        let intervals: Vec<f64> = onsets.windows(2).map(|pair| pair[1][0].onset - pair[0][0].onset).collect();
        let ratios =
            intervals.windows(2).map(|pair| (pair[1].max(SHORTEST_S) / pair[0].max(SHORTEST_S)).log2().abs()).collect();
        let melody = onsets.iter().map(|onset| onset[onset.len() - 1].pitch).collect();
        let bass = onsets.iter().map(|onset| onset[0].pitch).collect();
        Self { notes, begin, onsets, intervals, ratios, melody, bass }
    }

    /// Mean over all onsets.
    fn onset_mean(&self, number: impl Fn(&[Note]) -> f64) -> f64 {
        mean(self.onsets.iter().map(|onset| number(onset)))
    }

    /// Mean over all chords.
    fn chord_mean(&self, number: impl Fn(&[Note]) -> f64) -> f64 {
        mean(self.onsets.iter().filter(|onset| onset.len() > 1).map(|onset| number(onset)))
    }

    /// Fraction of ratios in a class, as delimited by [`RATIO_LIMITS`].
    fn ratio_class(&self, class: usize) -> f64 {
        let of = |ratio: f64| RATIO_LIMITS.iter().filter(|&&limit| ratio >= limit).count();
        share(&self.ratios, |&ratio| of(ratio) == class)
    }

    /// Natural logarithms of the ratio of durations to the interval that follows.
    fn articulation(&self) -> impl Iterator<Item = f64> + Clone {
        let pairs = self.onsets.iter().zip(&self.intervals);
        pairs.flat_map(|(onset, interval)| onset.iter().map(|note| ln(note.duration) - ln(*interval)))
    }

    /// Velocity of each onset's loudest note.
    fn levels(&self) -> impl Iterator<Item = f64> + Clone {
        self.onsets.iter().map(|onset| onset.iter().map(velocity).fold(0.0, f64::max))
    }

    /// Semitones from each melody note to the next one.
    fn moves(&self) -> Vec<i32> {
        self.melody.windows(2).map(|pair| i32::from(pair[1]) - i32::from(pair[0])).collect()
    }

    /// Numbers of notes in the four quarters of the section.
    fn quarters(&self) -> [f64; 4] {
        let mut counts = [0.0; 4];
        for note in self.notes {
            let quarter = (note.onset - self.begin) / PART_S * 4.0;
            counts[(quarter.max(0.0) as usize).min(3)] += 1.0;
        }
        counts
    }

    fn chords(&self) -> impl Iterator<Item = Vec<u8>> {
        let chords = self.onsets.iter().filter(|onset| onset.len() > 1);
        chords.map(|onset| onset.iter().map(|note| note.pitch).collect())
    }
}

/// A feature of a section.
pub type Feature = fn(&Stretch) -> f64;

/// Features of a section on its own.
pub const ALONE: [(&str, Feature); 44] = [
    // Rhythm.
    ("equal intervals", |s| share(&s.ratios, |&ratio| ratio <= EQUAL.log2())),
    ("ratios of 2", |s| s.ratio_class(4)),
    ("ratios of 3", |s| s.ratio_class(5)),
    ("mean change of interval, octaves", |s| mean(s.ratios.iter().copied())),
    ("intervals under 60 ms", |s| share(&s.intervals, |&interval| interval < 0.060)),
    ("spread of intervals (log)", |s| deviation(s.intervals.iter().map(|&interval| ln(interval)))),
    ("mean interval (log)", |s| mean(s.intervals.iter().map(|&interval| ln(interval)))),
    ("longest interval (log)", |s| ln(s.intervals.iter().copied().fold(SHORTEST_S, f64::max))),
    ("first onset, seconds", |s| s.notes.first().map_or(PART_S, |note| note.onset - s.begin)),
    // Texture.
    ("single onsets", |s| share(&s.onsets, |onset| onset.len() == 1)),
    ("notes per onset", |s| s.onset_mean(|onset| onset.len() as f64)),
    ("onsets of 4 notes and more", |s| share(&s.onsets, |onset| onset.len() >= 4)),
    ("chord span", |s| s.onset_mean(span)),
    ("span of chords alone", |s| s.chord_mean(span)),
    ("spread of chords, ms", |s| s.chord_mean(|onset| onset.iter().map(|note| note.spread).fold(0.0, f64::max) * 1e3)),
    ("notes sounding", |s| s.notes.iter().map(|note| note.duration).sum::<f64>() / PART_S),
    // Durations.
    ("spread of durations (log)", |s| deviation(s.notes.iter().map(|note| ln(note.duration)))),
    ("mean duration (log)", |s| mean(s.notes.iter().map(|note| ln(note.duration)))),
    ("durations under 60 ms", |s| share(s.notes, |note| note.duration < 0.060)),
    ("duration over interval (log)", |s| mean(s.articulation())),
    // Density.
    ("notes per second", |s| s.notes.len() as f64 / PART_S),
    ("onsets per second", |s| s.onsets.len() as f64 / PART_S),
    ("change of density", |s| deviation(s.quarters().into_iter().map(|count| (count + 1.0).ln()))),
    ("trend of density", |s| {
        let [a, b, c, d] = s.quarters();
        ((c + d + 1.0) / (a + b + 1.0)).ln()
    }),
    // Repetition.
    ("repeated 3-grams", |s| repeated(&s.melody, 3)),
    ("repeated 3-grams of moves", |s| repeated(&s.moves(), 3)),
    ("repeated 3-grams in the bass", |s| repeated(&s.bass, 3)),
    ("onset as the one before", |s| {
        let pairs: Vec<&[&[Note]]> = s.onsets.windows(2).collect();
        share(&pairs, |pair| pair[0].iter().map(|note| note.pitch).eq(pair[1].iter().map(|note| note.pitch)))
    }),
    ("repeated chords", |s| {
        let mut seen = HashSet::new();
        share_of(s.chords().collect::<Vec<_>>().into_iter().map(|chord| f64::from(!seen.insert(chord))), |old| {
            old > 0.0
        })
    }),
    // Pitch.
    ("key clarity", |s| key_profile(&pitch_classes(s.notes)).into_iter().fold(0.0, f64::max)),
    ("notes in the best scale", |s| scale_consistency(s.notes)),
    ("entropy of pitch classes", |s| if s.notes.is_empty() { 0.0 } else { entropy(&pitch_classes(s.notes)) }),
    ("mean pitch", |s| mean(s.notes.iter().map(pitch))),
    ("spread of pitch", |s| deviation(s.notes.iter().map(pitch))),
    ("range of pitch", |s| {
        let ends = |least: f64, most: fn(f64, f64) -> f64| s.notes.iter().map(pitch).fold(least, most);
        if s.notes.is_empty() { 0.0 } else { ends(0.0, f64::max) - ends(127.0, f64::min) }
    }),
    ("mean move of the melody", |s| mean(s.moves().into_iter().map(|semitones| f64::from(semitones.abs())))),
    ("moves of 1 or 2 semitones", |s| share(&s.moves(), |semitones| (1..=2).contains(&semitones.abs()))),
    ("leaps over an octave", |s| share(&s.moves(), |semitones| semitones.abs() > 12)),
    ("turns of the melody", |s| {
        let moves = s.moves();
        share(&moves.windows(2).collect::<Vec<_>>(), |pair| pair[0].signum() * pair[1].signum() < 0)
    }),
    // Velocity.
    ("velocity", |s| mean(s.notes.iter().map(velocity))),
    ("spread of velocity", |s| deviation(s.notes.iter().map(velocity))),
    ("change of velocity", |s| {
        let levels: Vec<f64> = s.levels().collect();
        mean(levels.windows(2).map(|pair| (pair[1] - pair[0]).abs()))
    }),
    ("spread of velocity in chords", |s| s.chord_mean(|onset| deviation(onset.iter().map(velocity)))),
    ("velocity with pitch", |s| {
        let [pitches, velocities] = [pitch, velocity].map(|get| s.notes.iter().map(get).collect::<Vec<f64>>());
        if s.notes.is_empty() { 0.0 } else { correlation(&pitches, &velocities) }
    }),
];

/// Features of exact timing on its own, for the strict judge only: listeners notice deviations only where they are
/// large, but they reveal quantized times at once.
pub const FINE: [(&str, Feature); 8] = [
    ("ratios under 1.04", |s| s.ratio_class(0)),
    ("ratios of 1.04 to 1.1", |s| s.ratio_class(1)),
    ("ratios of 1.1 to 1.3", |s| s.ratio_class(2)),
    ("ratios of 3:2", |s| s.ratio_class(3)),
    ("ratios over 3.5", |s| s.ratio_class(6)),
    ("sounding at the next onset", |s| share_of(s.articulation(), |longer| longer > 0.0)),
    ("spread of duration over interval", |s| deviation(s.articulation())),
    ("equal durations", |s| {
        share(&s.notes.windows(2).collect::<Vec<_>>(), |pair| {
            (ln(pair[1].duration) - ln(pair[0].duration)).abs() <= EQUAL.ln()
        })
    }),
];

/// A feature of how a section relates to its prompt: (prompt, section).
pub type Relation = fn(&Stretch, &Stretch) -> f64;

/// Features of how a section relates to its prompt, in addition to the differences in each feature.
pub const RELATED: [(&str, Relation); 6] = [
    ("quoted 4-grams", |prompt, s| quoted(&prompt.melody, &s.melody, 4)),
    ("quoted 4-grams of moves", |prompt, s| quoted(&prompt.moves(), &s.moves(), 4)),
    ("quoted 4-grams in the bass", |prompt, s| quoted(&prompt.bass, &s.bass, 4)),
    ("quoted chords", |prompt, s| {
        let known: HashSet<Vec<u8>> = prompt.chords().collect();
        share(&s.chords().collect::<Vec<_>>(), |chord| known.contains(chord))
    }),
    ("key, fit to the prompt's", |prompt, s| {
        let [a, b] = [prompt, s].map(|stretch| key_profile(&pitch_classes(stretch.notes)));
        correlation(&a, &b)
    }),
    ("pitch classes, fit to the prompt's", |prompt, s| {
        correlation(&pitch_classes(prompt.notes), &pitch_classes(s.notes))
    }),
];

/// Features of how exact timing relates to the prompt; see [`FINE`].
pub const FINE_RELATED: [(&str, Relation); 2] = [
    ("intervals as in the prompt", |prompt, s| known_times(&prompt.intervals, &s.intervals)),
    ("durations as in the prompt", |prompt, s| {
        let [a, b] = [prompt, s].map(|stretch| stretch.notes.iter().map(|note| note.duration).collect::<Vec<f64>>());
        known_times(&a, &b)
    }),
];

/// Names of all features, in the order of [`features`].
pub fn names() -> Vec<String> {
    let part = |alone: &[(&str, Feature)], related: &[(&str, Relation)]| -> Vec<String> {
        let names = || alone.iter().map(|(name, _)| *name);
        let relative = names().map(|name| format!("{name}, less the prompt's"));
        names().map(str::to_owned).chain(relative).chain(related.iter().map(|(name, _)| (*name).to_owned())).collect()
    };
    [part(&ALONE, &RELATED), part(&FINE, &FINE_RELATED)].concat()
}

/// Number of leading features that are not about exact timing.
pub const COARSE: usize = 2 * ALONE.len() + RELATED.len();

/// All features of a continuation: on its own, minus those of the prompt, and in relation to the prompt.
pub fn features(prompt: &[Note], next: &[Note]) -> Vec<f64> {
    let (prompt, next) = (Stretch::new(prompt, 0.0), Stretch::new(next, PART_S));
    let part = |alone: &[(&str, Feature)], related: &[(&str, Relation)]| -> Vec<f64> {
        let values: Vec<f64> = alone.iter().map(|(_, feature)| feature(&next)).collect();
        let relative = alone.iter().zip(&values).map(|((_, feature), value)| value - feature(&prompt));
        let related = related.iter().map(|(_, relation)| relation(&prompt, &next));
        values.iter().copied().chain(relative).chain(related).collect()
    };
    [part(&ALONE, &RELATED), part(&FINE, &FINE_RELATED)].concat()
}

fn ln(seconds: f64) -> f64 {
    seconds.max(SHORTEST_S).ln()
}

fn pitch(note: &Note) -> f64 {
    note.pitch.into()
}

fn velocity(note: &Note) -> f64 {
    note.velocity.into()
}

/// Distance from the lowest to the highest note, in semitones.
fn span(onset: &[Note]) -> f64 {
    f64::from(onset[onset.len() - 1].pitch - onset[0].pitch)
}

/// Mean; 0 if there are no values.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f64
}

/// Standard deviation; 0 if there are no values.
fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let middle = mean(values.clone());
    mean(values.map(|value| (value - middle).powi(2))).sqrt()
}

fn share<T>(items: &[T], is: impl Fn(&T) -> bool) -> f64 {
    items.iter().filter(|item| is(item)).count() as f64 / items.len().max(1) as f64
}

fn share_of(values: impl Iterator<Item = f64>, is: impl Fn(f64) -> bool) -> f64 {
    mean(values.map(|value| f64::from(is(value))))
}

/// Fraction of runs of `length` items that occurred before.
fn repeated<T: Eq + Hash>(items: &[T], length: usize) -> f64 {
    let mut seen = HashSet::new();
    mean(items.windows(length).map(|run| f64::from(!seen.insert(run))))
}

/// Fraction of runs of `length` items that occur in the prompt.
fn quoted<T: Eq + Hash>(prompt: &[T], items: &[T], length: usize) -> f64 {
    let known: HashSet<&[T]> = prompt.windows(length).collect();
    mean(items.windows(length).map(|run| f64::from(known.contains(run))))
}

/// Fraction of times that equal one in the prompt.
fn known_times(prompt: &[f64], times: &[f64]) -> f64 {
    let mut known = prompt.to_vec();
    known.sort_by(f64::total_cmp);
    mean(times.iter().map(|time| {
        let next = known.partition_point(|known| *known < time / EQUAL);
        f64::from(known.get(next).is_some_and(|known| *known <= time * EQUAL))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, prompt: &[Note], next: &[Note]) -> f64 {
        let index = names().iter().position(|known| known == name).unwrap_or_else(|| panic!("no feature {name}"));
        features(prompt, next)[index]
    }

    /// Notes from (onset, pitch).
    fn notes(list: &[(f64, u8)]) -> Vec<Note> {
        let note = |&(onset, pitch)| Note { onset, spread: 0.0, duration: 0.2, pitch, velocity: 64 };
        list.iter().map(note).collect()
    }

    #[test]
    fn whatever_the_notes_all_features_are_finite() {
        let one = notes(&[(20.0, 60)]);
        let chord = notes(&[(39.9, 0), (39.9, 127)]);
        let still: Vec<Note> =
            notes(&[(20.0, 60), (20.0 + 1e-9, 61)]).into_iter().map(|n| Note { duration: 0.0, ..n }).collect();
        for next in [&[][..], &one, &chord, &still] {
            for prompt in [&[][..], &one] {
                let values = features(prompt, next);
                assert_eq!(values.len(), names().len());
                for (name, value) in names().iter().zip(values) {
                    assert!(value.is_finite(), "{name}: {value}");
                }
            }
        }
    }

    #[test]
    fn rhythm_texture_and_quotes_are_what_they_are_called() {
        let prompt = notes(&[(0.0, 60), (0.5, 62), (1.0, 64), (1.5, 65), (2.0, 67)]);
        // The same melody, with an octave below from the third note on, and slower at the end.
        let next = notes(&[(20.0, 60), (20.5, 62), (21.0, 52), (21.0, 64), (21.52, 53), (21.52, 65), (22.6, 67)]);
        for (name, expected) in [
            ("equal intervals", 2.0 / 3.0), // 0.5, 0.5, 0.52, 1.08
            ("ratios of 2", 1.0 / 3.0),
            ("single onsets", 3.0 / 5.0),
            ("single onsets, less the prompt's", -2.0 / 5.0),
            ("chord span", 24.0 / 5.0),
            ("span of chords alone", 12.0),
            ("quoted 4-grams", 1.0),
            ("quoted 4-grams in the bass", 0.0),
            ("repeated 3-grams", 0.0),
            ("notes per second", 7.0 / 20.0),
            ("intervals as in the prompt", 3.0 / 4.0),
            ("key, fit to the prompt's", 1.0),
        ] {
            let value = value(name, &prompt, &next);
            let tolerance = if name.starts_with("key") { 0.05 } else { 1e-9 };
            assert!((value - expected).abs() < tolerance, "{name}: {value}, not {expected}");
        }
        let again = notes(&[(20.0, 60), (20.5, 62), (21.0, 64), (21.5, 60), (22.0, 62), (22.5, 64)]);
        assert_eq!(value("repeated 3-grams", &prompt, &again), 1.0 / 4.0);
    }
}
