//! The configuration of a training run.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(message) = trainer::train::Config::parse(bytes).and_then(|config| config.problem().map_or(Ok(()), Err)) {
        assert!(!message.is_empty());
    }
});
