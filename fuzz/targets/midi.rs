//! MIDI files, as people have them in their folders.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match midi::read(bytes) {
        Ok(score) => {
            assert!(!score.notes.is_empty() && score.notes.len() <= bytes.len());
            assert!(score.notes.is_sorted_by(|a, b| (a.onset, a.pitch) <= (b.onset, b.pitch)));
            assert!(score.notes.iter().all(|note| note.onset.is_finite() && note.duration >= 0.0 && note.velocity > 0));
            assert!(score.beats.is_none_or(|beats| beats.onsets.len() == score.notes.len()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
