//! A file in the folder of presets.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(message) = antiphon::fuzzing::preset(bytes) {
        assert!(!message.is_empty());
    }
});
