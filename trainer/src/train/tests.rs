//! Tests that a run that is stopped and resumed gives the same result as an uninterrupted one, bit for bit.

use super::*;
use crate::dataset::Piece;
use std::path::Path;

fn piece(name: &str, split: Split, notes: usize, lowest: u8) -> Piece {
    let note = |n: usize| Note {
        onset: (n - n % 3) as f64 * 0.2,
        spread: 0.005 * (n % 3) as f64,
        duration: 0.3 + 0.1 * (n % 4) as f64,
        pitch: lowest + (n % 3 * 4 + n / 3 % 5) as u8,
        velocity: 60 + (n % 20) as u8,
    };
    Piece {
        name: name.into(),
        set: "set".into(),
        split,
        work: name.into(),
        notes: (0..notes).map(note).collect(),
        ..Piece::default()
    }
}

/// Pieces end inside chunks and between them, and lanes go over the data twice. Two are scores in 3/4; the last is long
/// enough to be a prompt.
fn data() -> Dataset {
    let mut train = [("a", 19), ("b", 8), ("c", 37)].map(|(name, notes)| piece(name, Split::Train, notes, 50));
    for score in &mut train[1..] {
        score.set = "scores".into();
        score.source = Some(model::Source::Score);
        score.beats = score.notes.iter().map(|note| note.onset / 0.6).collect();
        score.bars = vec![(0.0, 3.0)];
    }
    Dataset { pieces: train.into_iter().chain([piece("d", Split::Validation, 210, 55)]).collect() }
}

fn args(folder: &Path, out: &str, resume: bool) -> Args {
    Args {
        config: Some(folder.join("run.toml")),
        data: Vec::new(),
        out: folder.join(out),
        from: None,
        resume,
        minutes: None,
        epochs: None,
        notes: None,
        allow_non_commercial: false,
        threads: None,
        device: device::Choice::Cpu,
        precision: None,
    }
}

/// Trains until `stop` steps have been taken, or to the end.
fn train(args: Args, stop: Option<u64>) {
    with_deep_stack(move || Run::new(args)?.train(|steps| Some(steps) == stop)).unwrap();
}

/// Everything that a run writes, without times.
fn result(out: &Path) -> (BTreeMap<String, Vec<u32>>, Progress, Weights) {
    let Checkpoint { weights, optimizer, average, carry, mut progress } =
        checkpoint::load(&out.join("checkpoint.safetensors")).unwrap();
    let mut numbers = BTreeMap::new();
    let mut add = |name: String, values: &[f32]| numbers.insert(name, values.iter().map(|v| v.to_bits()).collect());
    for (name, tensor) in weights.tensors() {
        add(name.clone(), &tensor.data);
    }
    for (name, [mean, square]) in &optimizer.moments {
        add(format!("{name} mean"), mean);
        add(format!("{name} square"), square);
    }
    for (name, values) in &average.tensors {
        add(format!("{name} average"), values);
    }
    for (layer, carry) in carry.iter().enumerate() {
        add(format!("h {layer}"), &carry.h);
        add(format!("c {layer}"), &carry.c);
    }
    progress.seconds = 0.0;
    progress.log.iter_mut().for_each(|line| line.seconds = 0.0);
    let best = std::fs::read(out.join("best.safetensors")).unwrap();
    (numbers, progress, Weights::from_bytes(&best).unwrap())
}

#[test]
fn a_run_that_stops_and_goes_on_is_the_run_that_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    data().save(&folder.path().join("music.safetensors")).unwrap();
    let told = "[told]\nmeter = 0.8\nleft = 0.8\n[augment]\nhumanize = 0.8\n[mixture]\nscores = 1.5";
    let runs = [
        ("antiphon", "antiphon", "bf16", 0.9, ""),
        ("told", "antiphon", "f32", 0.0, told),
        ("seed", "seed", "f32", 0.0, ""),
    ];
    for (name, network, precision, average, more) in runs {
        let toml = format!(
            "data = ['music.safetensors']\nnetwork = '{network}'\nprecision = '{precision}'\nlanes = 2\nchunk = 8\nepochs = 1.6\nwarmup = 2\nvalidate_every = 3\nweight_dropout = 0.1\naverage = {average}\n{more}"
        );
        std::fs::write(folder.path().join("run.toml"), toml).unwrap();
        let (whole, parts) = (format!("{name} whole"), format!("{name} parts"));
        train(args(folder.path(), &whole, false), None);
        // First between two validations, then right at one.
        train(args(folder.path(), &parts, false), Some(2));
        train(args(folder.path(), &parts, true), Some(6));
        train(args(folder.path(), &parts, true), None);
        let (whole, parts) = (result(&folder.path().join(whole)), result(&folder.path().join(parts)));
        assert_eq!(whole.1.steps, 7);
        assert_eq!(whole.1.log.iter().map(|line| line.step).collect::<Vec<_>>(), [3, 6, 7]);
        assert_eq!(whole.1.free_running.iter().map(|line| line.step).collect::<Vec<_>>(), [3, 6, 7]);
        assert_eq!(format!("{:?}", parts.1), format!("{:?}", whole.1), "{name}");
        assert!(parts.0 == whole.0, "{name}: weights, moments or states differ");
        assert!(parts.2.tensors() == whole.2.tensors(), "{name}: the best weights differ");
    }
    let csv = std::fs::read_to_string(folder.path().join("antiphon parts/free_running.csv")).unwrap();
    assert_eq!(csv.lines().map(|line| line.split(',').next().unwrap()).collect::<Vec<_>>(), ["step", "3", "6", "7"]);
    assert!(folder.path().join("antiphon parts/free_running.png").exists());
    // A run cannot be resumed with different data.
    let mut other = data();
    other.pieces[0].notes[0].velocity += 1;
    other.save(&folder.path().join("music.safetensors")).unwrap();
    let refused = Run::new(args(folder.path(), "seed whole", true)).err().expect("the data has changed");
    assert!(refused.to_string().contains("different data"), "{refused}");
}

#[test]
fn fine_tuned_weights_keep_their_card_and_are_never_worse_than_what_they_start_from() {
    let folder = tempfile::tempdir().unwrap();
    data().save(&folder.path().join("music.safetensors")).unwrap();
    let mut start = Weights::random(Kind::Antiphon, 3);
    start.card.name = "first".into();
    start.card.license = "CC-BY-SA-4.0".into();
    start.card.data = "old music".into();
    start.card.controls.top_p = 0.625;
    let from = folder.path().join("first.safetensors");
    std::fs::write(&from, start.to_bytes_f32()).unwrap();
    // A learning rate that ruins the weights.
    let toml = "data = ['music.safetensors']\nname = 'mine'\nattribution = 'my music'\nlanes = 1\nchunk = 8\nepochs = 0.3\nwarmup = 1\nrate = 3.0\nclip = 100.0";
    std::fs::write(folder.path().join("run.toml"), toml).unwrap();
    train(Args { from: Some(from), ..args(folder.path(), "tuned", false) }, None);
    let best = Weights::from_bytes(&std::fs::read(folder.path().join("tuned/best.safetensors")).unwrap()).unwrap();
    assert_eq!(best.tensors(), start.tensors());
    assert_eq!((&best.card.name[..], &best.card.license[..]), ("mine", "CC-BY-SA-4.0"));
    assert_eq!(best.card.data, "old music; my music");
    assert!(best.card.training.starts_with("fine-tuned from \"first\"; 0 notes"), "{}", best.card.training);
    assert_eq!(best.card.controls, start.card.controls);
}
