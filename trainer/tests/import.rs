//! Imports PyTorch files of the seed network, as written by `torch.save` and `pickle.dump`, and checks what is refused.
//! The fixtures come from `fixtures/make.py`; in each, a tensor contains a single number, its index in the network in
//! hundredths.

use model::{Kind, Weights, shapes};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use trainer::import;

const FITTING: [&str; 13] = [
    "flat.zip.pt",
    "flat.legacy.pk",
    "nested.zip.pt",
    "nested.legacy.pk",
    "foreign.legacy.pk",
    "half.zip.pt",
    "flat0.pickle.pk",
    "flat2.pickle.pk",
    "flat4.pickle.pk",
    "nested.pickle.pk",
    "model.zip.pt",
    "model.legacy.pk",
    "model.pickle.pk",
];

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

/// Checks that every tensor contains its index in the network.
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
fn every_form_that_torch_and_pickle_write_becomes_the_same_weights() {
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

/// A pickle of these instructions, in the format without zip.
fn legacy(instructions: &[u8]) -> Vec<u8> {
    let whole = bytes("flat.legacy.pk");
    // Magic number, version and sizes stay the same; each pickle ends with a period.
    let start =
        whole.windows(8).position(|window| window == b"ccollect").expect("the state dict begins with its class") - 2;
    [&whole[..start], b"\x80\x02", instructions].concat()
}

/// An empty list of storages.
const NONE_BEHIND: &[u8] = b"\x80\x02].";

#[test]
fn nothing_in_a_pickle_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("flag");
    let command = format!("touch {}", flag.display());
    let length = u32::try_from(command.len()).unwrap().to_le_bytes();
    let call = |end: &[u8]| [b"cos\nsystem\nX", &length[..], command.as_bytes(), end].concat();
    for (instructions, name) in [
        (&call(b"\x85R.")[..], "os.system"),
        (&call(b"\x85\x81."), "os.system"),
        (b"cbuiltins\neval\nX\x01\0\0\x001\x85R.", "builtins.eval"),
        (b"(X\x01\0\0\x001ibuiltins\neval\n.", "builtins.eval"),
        (b"\x8c\x08builtins\x8c\x04eval\x93)R.", "builtins.eval"),
        (b"ctorch\nload\n)R.", "torch.load"),
        (b"ccollections\nCounter\n)R.", "collections.Counter"),
    ] {
        let plain = [b"\x80\x02", instructions].concat();
        for bytes in [[&legacy(instructions), NONE_BEHIND].concat(), plain] {
            let error = import::try_bytes(&bytes).unwrap_err();
            assert!(error.contains(&format!("`{name}`")) && error.contains("no tensors"), "{error}");
        }
    }
    // Next to a state dict, a call does no harm: this pickle is a dict with both.
    let state = bytes("flat4.pickle.pk");
    let body = state[11..].strip_suffix(b".").unwrap(); // after PROTO and FRAME
    let pair = [b"\x80\x04}(X\x05\0\0\0model", body, b"X\x04\0\0\0hook", &call(b"\x85Ru.")].concat();
    let weights = import::try_bytes(&pair).unwrap();
    assert_eq!(weights.get("pitch.2.bias").data[0], 0.16);
    assert!(!flag.exists());
}

#[test]
fn memory_and_time_stay_bounded_whatever_a_pickle_says() {
    // A dict that contains itself; forty nested dicts that each contain the previous one twice; sixty thousand nested
    // lists.
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
    let deep = [vec![b']'; 60_000], vec![b'a'; 59_999], vec![b'.']].concat();
    for instructions in [circle, doubling, deep] {
        for file in [[&legacy(&instructions), NONE_BEHIND].concat(), [b"\x80\x02", &instructions[..]].concat()] {
            assert!(import::try_bytes(&file).unwrap_err().contains("no tensors"));
        }
    }
    // A text of 60 kB decoded sixty thousand times; a file nested in itself several times.
    let text = [b"X\x60\xea\0\0", &[b'a'; 60_000][..], b"q\0"].concat();
    let again = b"c_codecs\nencode\nh\0\x85R0".repeat(60_000);
    let error = import::try_bytes(&[b"\x80\x02", &text[..], &again].concat()).unwrap_err();
    assert!(error.contains("more than"), "{error}");
    let mut file = bytes("flat4.pickle.pk");
    for _ in 0..3 {
        let length = u32::try_from(file.len()).unwrap().to_le_bytes();
        file = [b"\x80\x04ctorch.storage\n_load_from_bytes\nB", &length[..], &file, b"\x85R."].concat();
        let error = import::try_bytes(&file).unwrap_err();
        assert!(error.contains("an invalid storage"), "{error}");
    }
    for name in ["flat.legacy.pk", "flat0.pickle.pk", "model.pickle.pk"] {
        let whole = bytes(name);
        for cut in (0..whole.len()).step_by(7) {
            assert!(import::try_bytes(&whole[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
}

/// Output files are replaced atomically: the old file stays intact if the disk is full, or if the program is killed at
/// any moment.
#[cfg(unix)]
#[test]
fn a_full_disk_and_kills_leave_the_old_weights() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("seed.safetensors");
    assert!(import(folder.path(), "flat.zip.pt", &["--name", "old"]).status.success());
    let old = std::fs::read(&out).unwrap();

    // A limit on file size simulates a full disk.
    let limited = "trap '' XFSZ; ulimit -f 1000; exec \"$@\"";
    let mut command = Command::new("sh");
    command.current_dir(folder.path()).args(["-c", limited, "sh", env!("CARGO_BIN_EXE_trainer"), "import"]);
    let output = command.arg(fixture("flat.zip.pt")).args(["--out", "seed.safetensors", "--force"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(errors.contains("seed.safetensors: cannot be written"), "{errors}");
    assert!(std::fs::read(&out).unwrap() == old);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");

    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.current_dir(folder.path()).arg("import").arg(fixture("flat.zip.pt"));
    command.args(["--out", "seed.safetensors", "--force", "--name", "new"]).stdout(std::process::Stdio::null());
    for number in 0..12 {
        let mut child = command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(13 * number));
        child.kill().unwrap();
        child.wait().unwrap();
        let weights = Weights::from_bytes(&std::fs::read(&out).unwrap()).unwrap();
        assert!(["old", "new"].contains(&&*weights.card.name));
    }
}
