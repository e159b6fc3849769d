//! Tests `train` and `export` as a user runs them: Ctrl-C, resuming, and what is refused.

use midi::{Tempo, Track};
use notes::Note;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn trainer(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.current_dir(folder).args(args);
    command
}

fn output(folder: &Path, args: &[&str]) -> Output {
    trainer(folder, args).output().expect("the binary starts")
}

#[cfg(unix)]
fn succeeds(folder: &Path, args: &[&str]) {
    let output = output(folder, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Asserts the exit code, and a single error line that contains all of `parts`.
fn fails(folder: &Path, args: &[&str], code: i32, parts: &[&str]) {
    let output = output(folder, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    let complaints: Vec<&str> = errors.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(complaints.len(), 1, "{args:?}: {errors}");
    assert!(errors.ends_with(&format!("{}\n", complaints[0])), "{args:?}: {errors}");
    assert!(parts.iter().all(|part| complaints[0].contains(part)), "{args:?}: {errors}");
}

/// A folder with `music`, twelve small pieces, and `run.toml`, with small steps.
fn folder(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("music")).unwrap();
    for index in 0..12u8 {
        let note = |n: u8| Note {
            onset: f64::from(n) * 0.3,
            spread: 0.0,
            duration: 0.25,
            pitch: 48 + index + n % 7,
            velocity: 70,
        };
        let notes: Vec<Note> = (0..20).map(note).collect();
        let bytes = midi::write(&[Track { name: "piano", channel: 0, notes: &notes }], Tempo::default());
        fs::write(folder.path().join(format!("music/{index}.mid")), bytes).unwrap();
    }
    let toml = format!("data = ['music']\nlanes = 2\nchunk = 8\nwarmup = 1\nvalidate_every = 1\n{more}");
    fs::write(folder.path().join("run.toml"), toml).unwrap();
    folder
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_what_was_trained_goes_on_and_goes_into_the_plugin() {
    use model::{Kind, Weights};
    use std::io::{BufRead, BufReader};
    let folder = folder("epochs = 1e6");
    let at = |name: &str| folder.path().join(name);
    let mut run = trainer(folder.path(), &["train", "run.toml", "--out", "run"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(run.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.starts_with("step ")), "it trains");
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    assert!(lines.any(|line| line.contains("--resume")), "it says how to go on");
    assert!(run.wait().unwrap().success());

    let export = ["export", "run/checkpoint.safetensors", "--out", "mine.safetensors"];
    fails(folder.path(), &export, 2, &["run/checkpoint.safetensors", "best.safetensors"]);
    fails(folder.path(), &["train", "run.toml", "--out", "run"], 2, &["--resume"]);
    succeeds(folder.path(), &["train", "run.toml", "--out", "run", "--resume", "--epochs", "0.001"]);

    let export =
        ["export", "run/best.safetensors", "--out", "mine.safetensors", "--name", "Mine", "--license", "CC0-1.0"];
    succeeds(folder.path(), &export);
    let [whole, half] = ["run/best.safetensors", "mine.safetensors"].map(|name| fs::read(at(name)).unwrap());
    assert!(half.len() * 100 < whole.len() * 51);
    let [whole, half] = [whole, half].map(|bytes| Weights::from_bytes(&bytes).unwrap());
    assert_eq!((half.card.kind, &half.card.name[..], &half.card.license[..]), (Kind::Antiphon, "Mine", "CC0-1.0"));
    assert_eq!(half.card.training, whole.card.training);
    assert!(half.card.training.contains("validation loss"));
    fails(folder.path(), &export, 2, &["mine.safetensors", "--force"]);
    succeeds(folder.path(), &[&export[..], &["--force"]].concat());
}

#[test]
fn several_weights_are_exported_as_their_mean() {
    use model::{Kind, Weights};
    let folder = tempfile::tempdir().unwrap();
    let all =
        [(Kind::Antiphon, 1), (Kind::Antiphon, 2), (Kind::Seed, 3)].map(|(kind, seed)| Weights::random(kind, seed));
    for (name, weights) in ["a", "b", "seed"].iter().zip(&all) {
        fs::write(folder.path().join(name), weights.to_bytes_f32()).unwrap();
    }
    succeeds(folder.path(), &["export", "a", "b", "--out", "mean"]);
    let mean = Weights::from_bytes(&fs::read(folder.path().join("mean")).unwrap()).unwrap();
    for (name, tensor) in mean.tensors() {
        for ((mean, a), b) in tensor.data.iter().zip(&all[0].get(name).data).zip(&all[1].get(name).data) {
            assert!((mean - (a + b) / 2.0).abs() <= mean.abs() / 1024.0 + 1e-6, "{name}: {mean} of {a} and {b}");
        }
    }
    fails(folder.path(), &["export", "a", "seed", "--out", "both"], 2, &["seed", "Antiphon"]);
    fails(folder.path(), &["export", "a", "nowhere", "--out", "both"], 2, &["nowhere", "cannot be read"]);
    assert!(!folder.path().join("both").exists());
}

#[test]
fn what_cannot_be_trained_is_refused_in_one_line() {
    let folder = folder("epochs = 0.1");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("typo.toml", "data = ['music']\nlane = 3\n");
    write("type.toml", "data = ['music']\n\nlanes = 'many'\n");
    write("zero.toml", "data = ['music']\nlanes = 0\nepochs = 1.0\n");
    write("long.toml", "data = ['music']\n");
    write("away.toml", "data = ['elsewhere']\nepochs = 1.0\n");
    write("text.safetensors", "dear diary");
    for (args, parts) in [
        (&["nowhere.toml"][..], &["nowhere.toml", "cannot be read"][..]),
        (&["typo.toml"], &["typo.toml", "line 2", "lane"]),
        (&["type.toml"], &["type.toml", "line 3"]),
        (&["zero.toml"], &["zero.toml", "`lanes`"]),
        (&["long.toml"], &["long.toml", "--epochs", "--minutes"]),
        (&["away.toml"], &["elsewhere"]),
        (&["--minutes", "1"], &["no data", "--data"]),
        (&["run.toml", "--data", "nowhere"], &["nowhere"]),
        (&["run.toml", "--resume"], &["checkpoint.safetensors", "cannot be read"]),
        (&["run.toml", "--from", "text.safetensors"], &["text.safetensors", "complete"]),
        (&["--data", "music", "--from", "nowhere.safetensors"], &["nowhere.safetensors", "cannot be read"]),
    ] {
        fails(folder.path(), &[&["train"], args].concat(), 2, parts);
        assert!(!folder.path().join("runs").exists(), "{args:?} leaves nothing");
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_names_the_batch() {
    let folder = folder("epochs = 9.0\nrate = 1e30");
    fails(folder.path(), &["train", "run.toml", "--out", "run"], 1, &["not a number at step 1", ".mid", "`rate`"]);
    let best = fs::read(folder.path().join("run/best.safetensors"));
    assert!(best.is_err(), "weights that are ruined are not the best");
}
