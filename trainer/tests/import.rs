//! PyTorch files of the seed network, as `torch.save` writes them: what they become, and what is refused. The fixtures
//! come from `fixtures/make.py`; each of their tensors holds one number, its place in the network in hundredths.

use model::{Kind, Weights, shapes};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use trainer::import;

const FITTING: [&str; 6] =
    ["flat.zip.pt", "flat.legacy.pk", "nested.zip.pt", "nested.legacy.pk", "foreign.legacy.pk", "half.zip.pt"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn import(folder: &Path, name: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.current_dir(folder).arg("import").arg(fixture(name)).args(["--out", "seed.safetensors"]).args(more);
    command.output().expect("the binary starts")
}

/// Every tensor holds its place in the network.
fn check(weights: &Weights, exactness: f32) {
    assert_eq!(weights.card.kind, Kind::Seed);
    for (place, (name, shape)) in shapes::of(Kind::Seed).into_iter().enumerate() {
        let tensor = weights.get(&name);
        assert_eq!(tensor.shape, shape);
        let expected = place as f32 / 100.0;
        assert!(tensor.data.iter().all(|value| (value - expected).abs() <= exactness * expected), "{name}");
    }
}

#[test]
fn every_form_that_torch_writes_becomes_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    for name in FITTING {
        let output = import(folder.path(), name, &["--json", "--force", "--name", "theirs"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["tensors"].as_array().unwrap().len(), shapes::of(Kind::Seed).len());
        let nested = name.starts_with("nested");
        assert_eq!(report["key"], if nested { "model_state_dict" } else { "" }, "{name}");
        if name.starts_with("foreign") {
            let head = report["tensors"].as_array().unwrap().iter().find(|pair| pair["name"] == "duration.bias");
            assert_eq!(head.unwrap()["from"], "module.fc_dur.bias");
        }
        let weights = Weights::from_bytes(&std::fs::read(folder.path().join("seed.safetensors")).unwrap()).unwrap();
        check(&weights, if name.starts_with("half") { 0.004 } else { 0.0 });
        assert_eq!(weights.card.name, "theirs");
    }
}

#[test]
fn what_does_not_fit_is_refused_in_one_line_that_says_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    for (name, why) in [
        ("two.zip.pt", &["--key", "`model`", "`average`"][..]),
        ("heads.legacy.pk", &["step.weight [1, 512] expected", "fc3.weight", "fc4.weight", "--map"]),
        ("shape.zip.pt", &["pitch.2.weight [129, 300] expected"]),
        ("list.zip.pt", &["no tensors"]),
        ("whole.legacy.pk", &["__main__.Network", "model.state_dict()"]),
        ("make.py", &["torch.save"]),
        ("nowhere.pk", &["cannot be read"]),
    ] {
        let output = import(folder.path(), name, &[]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{name}: {errors}");
        assert!(errors.contains(name) && why.iter().all(|part| errors.contains(part)), "{name}: {errors}");
        assert!(!folder.path().join("seed.safetensors").exists());
    }
    let chosen = [
        ("two.zip.pt", &["--key", "average"][..]),
        ("heads.legacy.pk", &["--force", "--map", "step.weight=fc3.weight"]),
    ];
    for (name, more) in chosen {
        assert!(import(folder.path(), name, more).status.success(), "{name} {more:?}");
        check(&Weights::from_bytes(&std::fs::read(folder.path().join("seed.safetensors")).unwrap()).unwrap(), 0.0);
    }
    let output = import(folder.path(), "flat.zip.pt", &[]);
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("--force"));
}

/// A pickle of these instructions, in the form without zip.
fn legacy(instructions: &[u8]) -> Vec<u8> {
    let whole = bytes("flat.legacy.pk");
    // Mark, version and sizes stay; each pickle ends with a full stop.
    let start =
        whole.windows(8).position(|window| window == b"ccollect").expect("the state dict begins with its class") - 2;
    [&whole[..start], b"\x80\x02", instructions].concat()
}

#[test]
fn nothing_in_a_pickle_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("flag");
    let command = format!("touch {}", flag.display());
    let length = u32::try_from(command.len()).unwrap().to_le_bytes();
    let call = [b"cos\nsystem\nX", &length[..], command.as_bytes(), b"\x85R."].concat();
    for (instructions, name) in [
        (&call[..], "os.system"),
        (b"cbuiltins\neval\nX\x01\0\0\x001\x85R.", "builtins.eval"),
        (b"ctorch\nload\n)R.", "torch.load"),
        (b"ctorch.storage\n_load_from_bytes\n)R.", "torch.storage._load_from_bytes"),
        (b"ccollections\nCounter\n)R.", "collections.Counter"),
    ] {
        let error = import::try_bytes(&legacy(instructions)).unwrap_err();
        assert!(error.contains(&format!("`{name}`")), "{error}");
    }
    assert!(!flag.exists());
}

#[test]
fn memory_and_time_stay_bounded_whatever_a_pickle_says() {
    // A dict in itself; dicts that name the one before twice, forty deep; a thousand nested lists.
    let circle = b"}q\0X\x01\0\0\0ah\0s.".to_vec();
    let mut doubling = b"}q\0".to_vec();
    for level in 1..40u8 {
        doubling.extend(b"}X\x01\0\0\0ah");
        doubling.push(level - 1);
        doubling.extend(b"sX\x01\0\0\0bh");
        doubling.push(level - 1);
        doubling.extend([b's', b'q', level]);
    }
    doubling.push(b'.');
    let deep = [vec![b']'; 100_000], vec![b'a'; 99_999], vec![b'.']].concat();
    for instructions in [circle, doubling, deep] {
        // Behind it: no storages.
        let file = [legacy(&instructions), b"\x80\x02].".to_vec()].concat();
        assert!(import::try_bytes(&file).unwrap_err().contains("no tensors"));
    }
    let whole = bytes("flat.legacy.pk");
    for cut in (0..whole.len()).step_by(7) {
        assert!(import::try_bytes(&whole[..cut]).is_err(), "cut at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// Any answer will do, but it comes, and without a panic.
    #[test]
    fn damaged_files_are_answered(
        name in prop::sample::select(&["flat.zip.pt", "flat.legacy.pk", "nested.legacy.pk", "two.zip.pt"][..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut bytes = bytes(name);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        drop(import::try_bytes(&bytes));
    }
}
