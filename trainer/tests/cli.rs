//! Tests the real binary on small MIDI files: what it accepts, writes and refuses.

use midi::{Tempo, Track};
use model::{Kind, Weights};
use notes::Note;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn trainer(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer")).current_dir(folder).args(args).output().expect("the binary starts")
}

fn succeeds(folder: &Path, args: &[&str]) -> String {
    let output = trainer(folder, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).expect("stdout is text")
}

fn json(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&succeeds(folder, args)).expect("--json prints JSON")
}

/// Asserts exit code 2, nothing on stdout, and a single line that names the file and contains `why`.
fn refuses(folder: &Path, args: &[&str], file: &str, why: &str) {
    let output = trainer(folder, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
    assert!(output.stdout.is_empty(), "{args:?}");
    let last = errors.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && last.contains(file) && last.contains(why), "{args:?}: {errors}");
    assert_eq!(errors.lines().filter(|line| line.starts_with("error")).count(), 1, "{args:?}: {errors}");
}

/// A broken-chord melody in C with a chord on every fourth note; `shift` makes pieces differ.
fn piece(shift: u8, notes: usize) -> Vec<Note> {
    let mut piece = Vec::new();
    for index in 0..notes {
        let onset = 0.5 + index as f64 * 0.25;
        let pitch = 60 + shift + [0, 4, 7, 12, 7, 4][index % 6];
        let note = |pitch| Note { onset, spread: 0.0, duration: 0.2, pitch, velocity: 50 + (index % 40) as u8 };
        piece.push(note(pitch));
        if index % 4 == 0 {
            piece.push(note(36 + shift));
        }
    }
    piece
}

fn midi_bytes(notes: &[Note]) -> Vec<u8> {
    midi::write(&[Track { name: "piano", channel: 0, notes }], Tempo::default())
}

/// A folder with `good.mid` and several unusable files.
fn midi_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let good = midi_bytes(&piece(0, 40));
    for (name, bytes) in [
        ("good.mid", good.as_slice()),
        ("empty.mid", b""),
        ("cut.mid", &good[..30]), // before its first note
        ("silent.mid", &midi_bytes(&[])),
        ("text.mid", b"dear diary, today I practised"),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// Unusable files in a folder of [`midi_folder`], and part of the message for each.
const BAD_MIDI: [(&str, &str); 5] = [
    ("empty.mid", "empty"),
    ("cut.mid", "cut off"),
    ("silent.mid", "no notes"),
    ("text.mid", "not a MIDI file"),
    ("nowhere.mid", "cannot be read"),
];

/// Writes untrained weights to `weights.safetensors`, scaled up so that the prompt makes a difference.
fn weights(folder: &Path, kind: Kind) {
    let random = Weights::random(kind, 1);
    let mut tensors = random.tensors().clone();
    tensors.values_mut().flat_map(|tensor| &mut tensor.data).for_each(|value| *value *= 4.0);
    let strong = Weights::new(random.card, tensors).unwrap();
    fs::write(folder.join("weights.safetensors"), strong.to_bytes()).unwrap();
}

#[test]
fn inspect_counts_what_is_odd_about_a_file() {
    let folder = midi_folder();
    let good = midi_bytes(&piece(0, 40));
    fs::write(folder.path().join("half.rmi"), &good[..good.len() / 2]).unwrap();
    let report = json(folder.path(), &["inspect", "half.rmi", "--json"]);
    assert_eq!((&report["dirt"]["cut_off"], &report["dirt"]["bad_values"]), (&1.into(), &0.into()), "{report}");
    assert!(report["as_played"]["notes"].as_u64().unwrap() > 10, "{report}");
    let report = json(folder.path(), &["inspect", ".", "--json"]);
    assert_eq!((&report["files"], &report["dirt"]["cut_off"]["files"]), (&6.into(), &1.into()), "{report}");
}

#[test]
fn every_command_that_reads_midi_refuses_bad_files_in_one_line() {
    let folder = midi_folder();
    weights(folder.path(), Kind::Seed);
    for (file, why) in BAD_MIDI {
        refuses(folder.path(), &["inspect", file], file, why);
        let args = ["continue", file, "--weights", "weights.safetensors", "--out", "out.mid"];
        refuses(folder.path(), &args, file, why);
        assert!(!folder.path().join("out.mid").exists());
    }
    for (file, _) in BAD_MIDI.iter().take(4) {
        let alone = folder.path().join("alone");
        fs::create_dir_all(&alone).unwrap();
        fs::copy(folder.path().join(file), alone.join(file)).unwrap();
        refuses(folder.path(), &["prepare", "alone", "--out", "out.safetensors"], "alone", file);
        fs::remove_dir_all(&alone).unwrap();
    }
    refuses(folder.path(), &["prepare", "nowhere", "--out", "out.safetensors"], "nowhere", "folder");
}

#[test]
fn every_command_that_reads_weights_refuses_bad_ones_in_one_line() {
    let folder = midi_folder();
    let good = Weights::random(Kind::Antiphon, 1);
    let bytes = good.to_bytes();
    let mut newer = good.clone();
    newer.card.format += 1;
    // The card of one kind of network with the tensors of another.
    let mut other = good.clone();
    other.card.kind = Kind::Seed;
    succeeds(folder.path(), &["prepare", ".", "--out", "music.safetensors"]);
    for (file, bytes, why) in [
        ("cut.safetensors", &bytes[..bytes.len() - 1], "complete"),
        ("empty.safetensors", &[], "empty"),
        ("newer.safetensors", &newer.to_bytes(), "version"),
        ("other.safetensors", &other.to_bytes(), "tensor"),
        ("text.safetensors", b"not weights", "complete"),
    ] {
        fs::write(folder.path().join(file), bytes).unwrap();
        let evaluate = ["evaluate", "--weights", file, "--data", "music.safetensors", "--split", "train"];
        for args in [
            vec!["inspect", file],
            vec!["generate", "--weights", file, "--out", "out.mid"],
            vec!["continue", "good.mid", "--weights", file, "--out", "out.mid"],
            evaluate.to_vec(),
        ] {
            // `inspect` cannot know what kind of file an empty one was meant to be.
            let why = if bytes.is_empty() && args[0] != "inspect" { "complete" } else { why };
            refuses(folder.path(), &args, file, why);
        }
    }
}

#[test]
fn prepare_takes_pieces_once_keeps_splits_and_counts_what_it_skips() {
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, bytes: &[u8]| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    put("one/a, b.mid", &midi_bytes(&piece(0, 30)));
    put("one/c.mid", &midi_bytes(&piece(1, 30)));
    put("one/broken.mid", b"MThd");
    put(
        "one/manifest.csv",
        b"path,split,work,same_notes_as\n\"a, b.mid\",train,w1,\nc.mid,test,w2,\nbroken.mid,train,w3,\n",
    );
    // d states that it is the same as one/c; e has the same content as one/a under another name; f is of the same work
    // as one/c.
    put("two/d.mid", &midi_bytes(&piece(2, 30)));
    put("two/e.mid", &midi_bytes(&piece(0, 30)));
    put("two/f.mid", &midi_bytes(&piece(3, 30)));
    put(
        "two/manifest.csv",
        b"path,split,work,same_notes_as\nd.mid,test,w2,one/c.mid\ne.mid,train,w9,\nf.mid,train,w2,\n",
    );
    for index in 0..12 {
        put(&format!("mine/{index}.MID"), &midi_bytes(&piece(10 + index, 20)));
    }
    let report = json(root.path(), &["prepare", "one", "two", "mine", "--out", "x/all.safetensors", "--json"]);
    let names = |field: &str| -> Vec<&str> {
        report[field].as_array().unwrap().iter().map(|entry| entry["file"].as_str().unwrap()).collect()
    };
    assert_eq!(names("skipped"), ["one/broken.mid"]);
    assert_eq!(names("repeated"), ["two/d.mid", "two/e.mid"]);
    assert_eq!(report["moved"], serde_json::json!([{ "file": "two/f.mid", "split": "test" }]));
    let pieces: Vec<(&str, &str, u64)> = report["sets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["set"].as_str().unwrap(), row["split"].as_str().unwrap(), row["pieces"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        pieces,
        [("mine", "train", 10), ("mine", "validation", 2), ("one", "train", 1), ("one", "test", 1), ("two", "test", 1)]
    );

    let first = fs::read(root.path().join("x/all.safetensors")).unwrap();
    succeeds(root.path(), &["prepare", "one", "two", "mine", "--out", "again.safetensors"]);
    assert!(first == fs::read(root.path().join("again.safetensors")).unwrap(), "the same folders, the same file");
    let inspected = json(root.path(), &["inspect", "again.safetensors", "--json"]);
    assert_eq!(inspected["pieces"], 15);
    // Half a second of silence before the first note is removed.
    let one = &inspected["sets"][2]["canonical"];
    assert_eq!((one["notes"].as_u64(), one["seconds"].as_f64().map(|s| (s * 100.0).round())), (Some(38), Some(745.0)));
}

#[test]
fn continue_keeps_the_phrase_and_the_same_seed_gives_the_same_notes() {
    let folder = midi_folder();
    // Untrained, the seed network may play a hundred notes per second.
    for (kind, seconds) in [(Kind::Antiphon, "20"), (Kind::Seed, "1.6")] {
        weights(folder.path(), kind);
        let go_on = |out: &str, seed: &str| {
            let args = ["continue", "good.mid", "--weights", "weights.safetensors", "--out", out];
            let more = ["--seconds", seconds, "--silence", "1.5", "--seed", seed, "--json"];
            let report = json(folder.path(), &[&args[..], &more].concat());
            assert_eq!(report["notes_heard"], 50);
            (fs::read(folder.path().join(out)).unwrap(), report["notes_played"].as_u64().unwrap())
        };
        let (first, played) = go_on("1.mid", "1");
        assert!(played > 0);
        assert!(first == go_on("again.mid", "1").0, "{kind:?}: the same seed");
        assert!(first != go_on("2.mid", "2").0, "{kind:?}: another seed");

        let score = midi::read(&first).unwrap();
        assert_eq!(score.warnings.note_tracks, 2);
        let phrase = midi::read(&fs::read(folder.path().join("good.mid")).unwrap()).unwrap().notes;
        let last = phrase.last().unwrap().onset;
        let (heard, take) = score.notes.split_at(phrase.len());
        assert_eq!(heard, phrase);
        // Notes on the same key within a tick are written as one.
        assert!(!take.is_empty() && take.len() as u64 <= played);
        assert!(
            take[0].onset >= last + 1.5 - 1e-3
                && take.last().unwrap().onset <= last + seconds.parse::<f64>().unwrap() + 1e-3
        );
    }
    let with_and_without: Vec<Vec<u8>> = [&["--seconds=1"][..], &["--seconds=1", "--no-begin-of-sequence"]]
        .into_iter()
        .map(|more| {
            let args = ["continue", "good.mid", "--weights", "weights.safetensors", "--out", "bos.mid"];
            succeeds(folder.path(), &[&args[..], more].concat());
            fs::read(folder.path().join("bos.mid")).unwrap()
        })
        .collect();
    assert!(with_and_without[0] != with_and_without[1], "begin-of-sequence after the phrase is heard");
}

#[test]
fn generate_stops_after_so_many_notes() {
    let folder = tempfile::tempdir().unwrap();
    weights(folder.path(), Kind::Antiphon);
    let args = ["generate", "--weights", "weights.safetensors", "--out", "a.mid", "--notes", "12", "--seconds", "9000"];
    succeeds(folder.path(), &args);
    assert_eq!(midi::read(&fs::read(folder.path().join("a.mid")).unwrap()).unwrap().notes.len(), 12);
}

#[test]
fn evaluate_reports_what_its_help_promises() {
    let root = tempfile::tempdir().unwrap();
    weights(root.path(), Kind::Antiphon);
    fs::create_dir(root.path().join("music")).unwrap();
    let mut manifest = "path,split\n".to_owned();
    for (index, split) in
        ["train", "train", "train", "validation", "test", "test", "test", "test", "test", "test"].iter().enumerate()
    {
        fs::write(root.path().join(format!("music/{index}.mid")), midi_bytes(&piece(index as u8, 170))).unwrap();
        manifest += &format!("{index}.mid,{split}\n");
    }
    fs::write(root.path().join("music/manifest.csv"), manifest).unwrap();
    let common = ["evaluate", "--weights", "weights.safetensors", "--data", "music", "--split", "test", "--json"];
    let small = [
        "--samples",
        "2",
        "--sample-notes",
        "20",
        "--runs",
        "1",
        "--max-pieces",
        "5",
        "--judge-runs",
        "1",
        "--out",
        "report",
    ];
    let args = [&common[..], &small].concat();
    let report = json(root.path(), &args);

    let at = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path}: {report}"));
    for path in ["/nats_per_note", "/floors/unigram/nats_per_note", "/floors/markov/nats_per_note"] {
        let [pitch, step, duration, timed] =
            ["pitch", "step", "duration", "timed"].map(|name| at(&format!("{path}/{name}")));
        assert!((pitch + step + duration - timed).abs() < 1e-9);
        assert!(at(&format!("{path}/velocity")) > 0.0);
    }
    let loss = |name: &str| at(&format!("/loss/{name}"));
    assert!((loss("pitch") + loss("step") + loss("duration") - loss("total")).abs() < 1e-9);
    for name in ["pitch", "step", "duration"] {
        assert!((0.0..=1.0).contains(&at(&format!("/jsd/{name}"))));
        assert!((0.0..=1.0).contains(&at(&format!("/floors/split_halves/jsd/{name}"))));
    }
    // Untrained weights predict worse than counting, and this music consists only of patterns.
    assert!(at("/nats_per_note/timed") > at("/floors/unigram/nats_per_note/timed"));
    assert!(at("/floors/markov/nats_per_note/timed") < at("/floors/unigram/nats_per_note/timed"));
    assert_eq!(at("/fit/prompts"), 5.0);
    assert!(at("/fit/ceiling/pitch_classes") > 0.99, "the pieces repeat one pattern");
    assert_eq!(at("/health/run_600_s/takes"), 1.0);
    assert!(at("/health/copying/longest_in_real_pieces") > 100.0, "all pieces are one, transposed");

    assert_eq!([at("/judge/music/prompts"), at("/judge/music/works")], [5.0, 5.0]);
    assert!(at("/judge/music/network/median/logistic") > 0.9, "untrained weights play nothing like these pieces");
    // With only five prompts, the classifiers may tell both from the truth every time.
    assert!(at("/judge/music/copier/median/logistic") <= at("/judge/music/network/median/logistic"));
    assert!(report["judge"]["music"]["telltales"].as_array().unwrap().len() > 50);

    for file in ["report.json", "card.md", "pitch.png", "step.png", "duration.png", "take.png"] {
        assert!(fs::metadata(root.path().join("report").join(file)).unwrap().len() > 0, "{file}");
    }
    let written: Value = serde_json::from_slice(&fs::read(root.path().join("report/report.json")).unwrap()).unwrap();
    assert_eq!(written, report);
    assert_eq!(json(root.path(), &args), report, "the same command, the same figures");
    fs::write(root.path().join("music/manifest.csv"), "path,split\n0.mid,train\n").unwrap();
    refuses(root.path(), &common, "music", "no test pieces");
}
