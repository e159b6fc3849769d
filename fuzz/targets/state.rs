//! What a project stores of the plugin.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| antiphon::fuzzing::state(bytes));
