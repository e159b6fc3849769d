//! Corrupted weights files are read, or refused with a message, within a memory limit.

use model::{Kind, Weights};
use probe::{damage, heap};

/// Memory that a corrupted header may take beyond twice the file's size.
const SPARE: usize = 256 << 10;

/// A file's header, including its length field, and the numbers after it.
fn halves(file: &[u8]) -> (Vec<u8>, &[u8]) {
    let (length, _) = file.split_first_chunk().expect("a length");
    let (header, numbers) = file.split_at(8 + u64::from_le_bytes(*length) as usize);
    (header.to_vec(), numbers)
}

/// Without the numbers after it, no header is valid: the reader must find out before it trusts any of it.
#[test]
fn damaged_headers_are_refused() {
    let headers = [Kind::Seed, Kind::Antiphon].map(|kind| halves(&Weights::random(kind, 1).to_bytes()).0);
    let outcome = damage::survives(&headers, (2, 1_400), SPARE, |bytes| {
        Weights::from_bytes(bytes).map(drop).map_err(|error| error.to_string())
    });
    assert_eq!(outcome.read, 0);
}

/// With as many bytes as before, some are still valid; then all values must be finite.
#[test]
fn damaged_files_are_read_or_refused() {
    let file = Weights::random(Kind::Antiphon, 1).to_bytes();
    let (header, numbers) = halves(&file);
    let parts = [(0, header.len()), (header.len(), 64), (header.len() + numbers.len() - 64, 64)];
    let (mut read, mut refused) = (0, 0);
    let mut bytes = file.clone();
    for case in 0..60 {
        let (from, length) = parts[case % parts.len()];
        let part = from..from + length;
        let mut damaged = damage::damaged_file(&[file[part.clone()].to_vec()], 3, case);
        damaged.resize(length, 0x20);
        bytes[part.clone()].copy_from_slice(&damaged);
        let (result, taken) = heap::measured(|| Weights::from_bytes(&bytes));
        match result {
            Ok(weights) => {
                assert!(weights.tensors().values().flat_map(|tensor| &tensor.data).all(|value| value.is_finite()));
                read += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
        assert!(taken.peak <= 2 * bytes.len() + SPARE, "case {case}: {taken:?}");
        bytes[part.clone()].copy_from_slice(&file[part]);
    }
    assert!(read > 10 && refused > 10, "{read} read, {refused} refused");
}

/// The format allows a header of any length; ours are short.
#[test]
fn a_long_header_is_refused_before_it_is_read() {
    let header = format!("{{{}", "\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,0]},".repeat(100_000));
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let (result, taken) = heap::measured(|| Weights::from_bytes(&bytes).map(drop));
    assert!(result.unwrap_err().to_string().contains("header"));
    assert!(taken.peak < SPARE, "{taken:?}");
}
