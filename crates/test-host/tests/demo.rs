//! Tests of the demo as a program: the files that it writes, and its response to bad input. Needs the bundle, like
//! `bundle.rs`.

use std::path::Path;
use std::process::{Command, Output};

/// Runs `test-host demo` offline; results go to `out`.
fn demo(out: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_test-host"))
        .args(["demo", "--offline", "--seconds", "4", "--out"])
        .arg(out)
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn leaves_music_sound_and_picture() {
    let out = tempfile::tempdir().unwrap();
    let result = demo(out.path(), &[]);
    assert!(result.status.success(), "{result:?}");
    let table = String::from_utf8(result.stdout).unwrap();
    for row in [
        "warnings             none",
        "notes heard",
        "notes played",
        "hand-over",
        "first note after",
        "late notes",
        "model time",
    ] {
        assert!(table.contains(row), "no `{row}` in:\n{table}");
    }
    let read = |name: &str| std::fs::read(out.path().join(name)).unwrap();
    assert!(midi::read(&read("played.mid")).unwrap().notes.len() > 46);
    assert_eq!(&read("played.wav")[..4], b"RIFF");
    assert_eq!(&read("played.png")[1..4], b"PNG");
}

#[test]
fn a_damaged_phrase_is_played_and_the_table_says_what_is_odd() {
    let out = tempfile::tempdir().unwrap();
    let phrase = include_bytes!("../phrases/old-french-song.mid");
    let path = out.path().join("half.mid");
    std::fs::write(&path, &phrase[..phrase.len() / 2]).unwrap();
    let result = demo(out.path(), &[path.to_str().unwrap()]);
    assert!(result.status.success(), "{result:?}");
    let table = String::from_utf8(result.stdout).unwrap();
    assert!(table.contains("cut off: 1"), "{table}");
}

#[test]
fn bad_input_gets_one_line_and_exit_code_2() {
    let out = tempfile::tempdir().unwrap();
    let phrase = include_bytes!("../phrases/old-french-song.mid");
    // A header and an empty track: a valid MIDI file without notes.
    let silent = b"MThd\0\0\0\x06\0\x01\0\x01\x03\xc0MTrk\0\0\0\x04\0\xff\x2f\0";
    let files: [(&str, &[u8]); 4] = [
        ("empty.mid", b""),
        ("prose.mid", b"Play a phrase; when you stop, it goes on."),
        ("cut.mid", &phrase[..30]), // before its first note
        ("silent.mid", silent),
    ];
    let path = |name: &str| out.path().join(name).display().to_string();
    let mut cases = vec![vec![path("missing.mid")], vec!["--seed".to_owned(), "123456".to_owned()]];
    for (name, bytes) in files {
        std::fs::write(path(name), bytes).unwrap();
        cases.push(vec![path(name)]);
        cases.push(vec!["--weights".to_owned(), path(name)]);
    }
    for args in cases {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let result = demo(out.path(), &args);
        let message = String::from_utf8(result.stderr).unwrap();
        assert_eq!(result.status.code(), Some(2), "{args:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{args:?}: {message}");
    }
}
