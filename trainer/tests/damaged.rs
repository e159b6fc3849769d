//! Damaged PyTorch files and configurations must be read, or refused with a message, without excessive use of memory.

use std::path::Path;

use model::{Kind, shapes};
use probe::{damage, heap};
use trainer::import::{self, pickle};
use trainer::train::Config;

/// Allowed memory beyond twice the size of a text or pickle, in bytes.
const SPARE: usize = 256 << 10;

/// All fixtures whose names end with `end`.
fn fixtures(end: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let ends = |path: &&std::path::PathBuf| path.to_string_lossy().ends_with(end);
    paths.iter().filter(ends).map(|path| std::fs::read(path).unwrap()).collect()
}

/// Tests the whole importer. The fixtures' tensors are views of single numbers, so the imported weights have the full
/// size of the network, however small the file is.
#[test]
fn damaged_pytorch_files_are_imported_or_refused() {
    let network: usize = shapes::of(Kind::Seed).iter().map(|(_, shape)| 4 * shape.iter().product::<usize>()).sum();
    for (seed, end, count) in [(4, ".zip.pt", 400), (5, ".legacy.pk", 400), (8, ".pickle.pk", 400)] {
        let outcome = damage::survives(&fixtures(end), (seed, count), SPARE + network, |bytes| {
            import::try_bytes(bytes).map(drop)
        });
        assert!(outcome.read > 10 && outcome.refused > 100, "{end}: {outcome:?}");
    }
}

/// Tests the pickle reader alone, the part that a malicious file would target.
#[test]
fn damaged_pickles_are_read_or_refused() {
    let outcome = damage::survives(&fixtures(".legacy.pk"), (6, 1_600), SPARE, |bytes| {
        let mut rest = bytes;
        for _ in 0..5 {
            rest = &rest[pickle::read(rest).map_err(|error| error.to_string())?.length..];
        }
        Ok(())
    });
    assert!(outcome.read > 50 && outcome.refused > 300, "{outcome:?}");
}

/// A single byte can create an object of a hundred bytes, so there must be a limit.
#[test]
fn a_pickle_that_only_builds_is_stopped() {
    for instructions in [&b")"[..], b"N", b"(", b"K\x01", b")q\x01", b"}h\x01", b"]N\x85"] {
        let bytes = [b"\x80\x02}q\x01", &instructions.repeat(3 << 20)[..]].concat();
        let (result, taken) = heap::measured(|| pickle::read(&bytes).map(drop));
        assert!(result.is_err());
        assert!(taken.peak < 100 << 20, "{taken:?}");
    }
}

#[test]
fn damaged_configurations_are_read_or_refused() {
    let default = toml::to_string(&Config::default()).unwrap();
    let own = "# mine\ndata = ['music', \"more\\u00e9\"]\nname = '''m'''\nepochs = 0.3\nnetwork = \"seed\"\nseed = 0x1f\n[augment]\ntempo = 1.1\n";
    let outcome = damage::survives(&[default.into_bytes(), own.into()], (7, 1_600), SPARE, |bytes| {
        let config = Config::parse(bytes)?;
        config.problem().map_or(Ok(()), Err)
    });
    assert!(outcome.read > 50 && outcome.refused > 300, "{outcome:?}");
    // Deeply nested brackets.
    for text in ["[".repeat(60_000), format!("data = {}", "[".repeat(60_000)), "a.".repeat(30_000) + "b = 1"] {
        let (result, taken) = heap::measured(|| Config::parse(text.as_bytes()).map(drop));
        assert!(result.is_err());
        assert!(taken.peak < 32 << 20, "{taken:?}");
    }
    assert!(Config::parse(&vec![b' '; 65 << 10]).is_err());
}
