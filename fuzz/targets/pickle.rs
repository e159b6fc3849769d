//! What `torch.save` or `pickle.dump` wrote, or somebody who means no good.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(message) = trainer::import::try_bytes(bytes) {
        assert!(!message.is_empty());
    }
});
