//! Chords against a reference model in whole microseconds, which has no rounding.

mod common;

use notes::Note;
use notes::chords::{WINDOW_S, canonicalize};
use proptest::prelude::*;

/// A raw note in whole microseconds.
#[derive(Clone, Copy, Debug)]
struct Raw {
    onset: i64,
    duration: i64,
    pitch: u8,
    velocity: u8,
}

impl Raw {
    fn note(&self) -> Note {
        Note {
            onset: self.onset as f64 / 1e6,
            spread: 0.0,
            duration: self.duration as f64 / 1e6,
            pitch: self.pitch,
            velocity: self.velocity,
        }
    }
}

/// (onset, spread, end, pitch, velocity), taken literally from the definition.
fn model(mut raw: Vec<Raw>) -> Vec<(i64, i64, i64, u8, u8)> {
    raw.sort_by_key(|note| note.onset);
    let mut out = Vec::new();
    while let Some(first) = raw.first().map(|note| note.onset) {
        let (chord, rest): (Vec<Raw>, Vec<Raw>) = raw.into_iter().partition(|note| note.onset - first <= 30_000);
        for pitch in 0..=127 {
            let same: Vec<&Raw> = chord.iter().filter(|note| note.pitch == pitch).collect();
            if let Some(struck) = same.iter().map(|note| note.onset).min() {
                let end = same.iter().map(|note| note.onset + note.duration).max();
                let velocity = same.iter().map(|note| note.velocity).max();
                let spread = struck - first;
                out.push((first, spread, end.unwrap(), pitch, velocity.unwrap()));
            }
        }
        raw = rest;
    }
    out
}

/// Onsets at, just before and just after each other's window boundaries.
fn playing() -> impl Strategy<Value = Vec<Raw>> {
    let onset = (0..60i64, prop_oneof![Just(0i64), Just(-1), Just(1), -4000..4000i64]);
    let note = (onset, 0..400_000i64, 58..66u8, 1..=127u8);
    (prop::collection::vec(note, 0..60), prop_oneof![Just(0i64), 0..20_000_000_000i64]).prop_map(|(notes, origin)| {
        let raw = |((step, shift), duration, pitch, velocity)| Raw {
            onset: origin + step * 10_000 + shift,
            duration,
            pitch,
            velocity,
        };
        notes.into_iter().map(raw).collect()
    })
}

proptest! {
    #![proptest_config(common::cases(512))]

    #[test]
    fn equals_the_definition(raw in playing()) {
        let mut notes: Vec<Note> = raw.iter().map(Raw::note).collect();
        canonicalize(&mut notes);
        let micro = |seconds: f64| (seconds * 1e6).round() as i64;
        let found: Vec<_> = notes
            .iter()
            .map(|n| (micro(n.onset), micro(n.spread), micro(n.end()), n.pitch, n.velocity))
            .collect();
        prop_assert_eq!(found, model(raw));
    }

    #[test]
    fn does_not_depend_on_the_order_and_does_nothing_twice(
        (raw, shuffled) in playing().prop_flat_map(|raw| (Just(raw.clone()), Just(raw).prop_shuffle())),
    ) {
        let mut notes: Vec<Note> = raw.iter().map(Raw::note).collect();
        canonicalize(&mut notes);
        let mut other: Vec<Note> = shuffled.iter().map(Raw::note).collect();
        canonicalize(&mut other);
        prop_assert_eq!(&notes, &other);
        canonicalize(&mut other);
        prop_assert_eq!(notes, other);
    }

    /// Any input, including inconsistent spreads, gives output that keeps the invariants.
    #[test]
    fn keeps_its_promises_for_any_numbers(
        raw in prop::collection::vec((any::<f64>(), -1.0..1.0f64, -1.0..9.0f64, any::<u8>(), any::<u8>()), 0..40),
        near in any::<bool>(),
    ) {
        let mut notes: Vec<Note> = raw
            .into_iter()
            .map(|(onset, spread, duration, pitch, velocity)| Note {
                onset: if near { (onset % 10.0) / 100.0 } else { onset },
                spread,
                duration,
                pitch,
                velocity,
            })
            .collect();
        canonicalize(&mut notes);
        for note in &notes {
            prop_assert!(note.onset.is_finite());
            prop_assert!((0.0..=WINDOW_S).contains(&note.spread));
            prop_assert!(note.duration >= note.spread);
        }
        for pair in notes.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            prop_assert!(
                a.onset == b.onset && a.pitch < b.pitch || b.onset - a.onset > WINDOW_S,
                "{:?} before {:?}", a, b
            );
        }
    }
}

#[test]
fn a_rolled_chord_ends_where_its_window_ends() {
    let note = |onset, duration, pitch, velocity| Note { onset, spread: 0.0, duration, pitch, velocity };
    // Each follows the previous one by less than the window, but the window counts from the first.
    let mut notes = vec![
        note(1.000, 1.0, 67, 60),
        note(1.020, 0.5, 64, 70),
        note(1.030, 0.5, 60, 80),
        note(1.031, 0.5, 72, 90),
        note(1.010, 2.0, 67, 50),
    ];
    canonicalize(&mut notes);
    let pitches: Vec<u8> = notes.iter().map(|note| note.pitch).collect();
    assert_eq!(pitches, [60, 64, 67, 72]);
    assert_eq!(notes[0].onset, 1.0);
    assert!((notes[0].spread - 0.030).abs() < 1e-12);
    assert!((notes[0].end() - 1.530).abs() < 1e-12);
    // The doubled key: the earlier strike, the later release, the louder velocity.
    assert_eq!((notes[2].spread, notes[2].velocity), (0.0, 60));
    assert!((notes[2].end() - 3.010).abs() < 1e-12);
    assert_eq!((notes[3].onset, notes[3].spread), (1.031, 0.0));
}
