//! MIDI files, as people have them in their folders.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = midi::read(bytes) {
        assert!(!error.to_string().is_empty());
    }
});
