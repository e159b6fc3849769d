//! Writing then reading gives the same notes; no input makes the reader panic.

use midi::{PPQ, Tempo, Track, read, write};
use notes::Note;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Notes of which no two of the same pitch touch, so that none ends another: sorted by (onset, pitch), times in
/// seconds.
fn playable() -> impl Strategy<Value = Vec<Note>> {
    // Per key: (gap after its previous note, duration, spread as a fraction, velocity).
    let events = prop::collection::vec((0.01..2.0f64, 0.01..3.0f64, 0.0..0.9f64, 1u8..128), 1..12);
    prop::collection::btree_map(0u8..128, events, 1..8).prop_map(|keys| {
        let mut notes = Vec::new();
        for (pitch, events) in keys {
            let mut now = 0.0;
            for (gap, duration, share, velocity) in events {
                let onset = now + gap;
                notes.push(Note { onset, spread: share * duration.min(0.03), duration, pitch, velocity });
                now = onset + duration;
            }
        }
        notes.sort_by(|a, b| a.struck().total_cmp(&b.struck()).then(a.pitch.cmp(&b.pitch)));
        notes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_within_a_tick(
        left in playable(), right in playable(), bpm in 20.0..400.0f64,
    ) {
        let tempo = Tempo::bpm(bpm);
        let tracks = [
            Track { name: "left", channel: 0, notes: &left },
            Track { name: "right", channel: 3, notes: &right },
        ];
        let score = read(&write(&tracks, tempo)).unwrap();
        prop_assert_eq!(score.notes.len(), left.len() + right.len());
        prop_assert_eq!((score.warnings.restruck, score.warnings.orphan_offs, score.warnings.unended), (0, 0, 0));

        // Compare key by key: rounding cannot swap the notes of one key.
        let by_key = |notes: &[Note]| {
            let mut notes = notes.to_vec();
            notes.sort_by(|a, b| (a.pitch, a.velocity).cmp(&(b.pitch, b.velocity)).then(a.struck().total_cmp(&b.struck())));
            notes
        };
        let beats = score.beats.as_ref().unwrap();
        prop_assert_eq!(beats.onsets.len(), score.notes.len());
        for (note, &beat) in score.notes.iter().zip(&beats.onsets) {
            // The file stores its tempo in whole microseconds.
            let meant = note.onset / tempo.tick_s() / f64::from(PPQ);
            prop_assert!((beat - meant).abs() < 1e-6 && (beats.at(note.onset) - beat).abs() < 1e-6, "{note:?} {beat}");
        }

        let meant = by_key(&[left, right].concat());
        for (meant, read) in meant.iter().zip(by_key(&score.notes)) {
            prop_assert_eq!((meant.pitch, meant.velocity), (read.pitch, read.velocity));
            prop_assert!((meant.struck() - read.onset).abs() <= tempo.tick_s(), "struck {meant:?} {read:?}");
            prop_assert!((meant.end() - read.end()).abs() <= tempo.tick_s(), "end {meant:?} {read:?}");
        }
    }

    #[test]
    fn one_key_is_down_once_whatever_is_written(
        notes in prop::collection::vec((0.0..1.0f64, 0.0..1.0f64, 60u8..62, 0u8..=255), 1..40),
    ) {
        let notes: Vec<Note> = notes
            .into_iter()
            .map(|(onset, duration, pitch, velocity)| Note { onset, spread: 0.0, duration, pitch, velocity })
            .collect();
        let score = read(&write(&[Track { name: "", channel: 0, notes: &notes }], Tempo::default())).unwrap();
        prop_assert_eq!((score.warnings.restruck, score.warnings.orphan_offs, score.warnings.zero_durations), (0, 0, 0));
        for note in &notes {
            let tick = Tempo::default().tick_s();
            prop_assert!(
                score.notes.iter().any(|read| read.pitch == note.pitch && (read.onset - note.onset).abs() <= tick),
                "{note:?} is lost"
            );
        }
    }

    #[test]
    fn random_bytes_never_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400), header: bool, division: u16,
    ) {
        if header {
            let division = division.to_be_bytes();
            let length = (bytes.len() as u32).to_be_bytes();
            let mut whole = b"MThd\0\0\0\x06\0\0\0\x01".to_vec();
            whole.extend(division);
            whole.extend(b"MTrk");
            whole.extend(length);
            whole.append(&mut bytes);
            bytes = whole;
        }
        if let Ok(score) = read(&bytes) {
            prop_assert!(score.notes.len() <= bytes.len());
        }
    }

    #[test]
    fn damaged_files_never_panic_and_read_notes_are_sound(
        notes in playable(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = write(&[Track { name: "track", channel: 0, notes: &notes }], Tempo::default());
        for (index, byte) in damage {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok(score) = read(&bytes) {
            prop_assert!(score.notes.windows(2).all(|pair| pair[0].onset <= pair[1].onset));
            for note in &score.notes {
                prop_assert!(note.onset.is_finite() && note.duration >= 0.0 && note.spread == 0.0, "{note:?}");
                prop_assert!(note.pitch < 128 && (1..128).contains(&note.velocity), "{note:?}");
            }
        }
    }
}
