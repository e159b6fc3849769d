//! Weights files, as a project may name them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = model::Weights::from_bytes(bytes) {
        assert!(!error.to_string().is_empty());
    }
});
