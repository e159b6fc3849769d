//! Real-world oddities of MIDI files, by kind: which notes are read, and which warnings are given. `cases/README.md`
//! describes the files in `cases/`; the others are built here.

mod common;

use common::{PPQ_100, file, notes};
use midi::{ReadError, read};
use std::path::Path;

type Notes = &'static [(u32, u32, u8, u8)];

/// (onset and duration in milliseconds, pitch, velocity)
const TWO: Notes = &[(0, 500, 60, 80), (500, 500, 64, 80)];
const THREE: Notes = &[(0, 500, 60, 80), (0, 250, 67, 80), (500, 500, 64, 80)];

/// Reads `bytes` and compares; `odd` is [`midi::Warnings`] in words.
fn check(what: &str, bytes: &[u8], expected: Notes, odd: &str) {
    let score = read(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(notes(&score), expected, "{what}");
    assert_eq!(score.warnings.to_string(), odd, "{what}");
}

#[test]
fn files_that_people_meet() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let case = |name: &str| std::fs::read(folder.join(name).with_extension("mid")).unwrap();
    let read_all: [(&str, Notes, &str); 16] = [
        ("128-bytes-before-header", TWO, "bytes before header: 128"),
        ("controller-value-255", TWO, "bad values: 1"),
        ("cut-in-the-last-event", &[(0, 500, 60, 80), (500, 0, 64, 80)], "unended: 1, zero durations: 1, cut off: 1"),
        ("delta-without-event-at-end", TWO, "tracks without end: 1"),
        ("header-announces-more-tracks", TWO, "missing tracks: 4"),
        ("key-signature-without-data", TWO, "bad metas: 1"),
        (
            "re-strike-with-one-off",
            &[(0, 250, 60, 80), (250, 250, 60, 70), (1500, 10, 64, 80)],
            "restruck: 1, ended by restrike: 1",
        ),
        (
            "re-strike-with-one-off-long",
            &[(0, 250, 60, 80), (250, 250, 60, 70), (600_500, 500, 64, 80)],
            "restruck: 1, ended by restrike: 1",
        ),
        ("rmid-list-chunk-first", TWO, ""),
        ("rmid-odd-chunk-first", TWO, ""),
        ("track-length-ffffffff", TWO, "wrong track lengths: 1"),
        ("track-length-too-long-last", TWO, "wrong track lengths: 1"),
        ("track-length-too-long-then-track", THREE, "wrong track lengths: 1"),
        ("track-length-too-short", THREE, "wrong track lengths: 1"),
        ("velocity-200", &[(0, 500, 60, 127), (500, 500, 64, 80)], "bad values: 1"),
        ("vendor-chunk-counted-as-track", &[(0, 500, 60, 80), (0, 250, 67, 80)], "missing tracks: 1"),
    ];
    for (name, expected, odd) in read_all {
        check(name, &case(name), expected, odd);
    }
    assert_eq!(read(&case("division-unknown-frame-rate")), Err(ReadError::Division { division: 0x9928 }));
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), read_all.len() + 2, "and the README");
}

/// 60 from 0 to 500 ms with `middle` inside it, then 64.
fn with(middle: &[u8]) -> Vec<u8> {
    let track = [&[0, 0x90, 60, 80, 50][..], middle, &[50, 0x80, 60, 0, 0, 0x90, 64, 80, 100, 64, 0]].concat();
    file(0, PPQ_100, &[&track])
}

#[test]
fn one_thing_in_the_midst_of_a_track() {
    let strange: [(&str, &[u8], &str); 22] = [
        ("clock", &[0xf8], "system messages: 1"),
        ("start, active sensing", &[0xfa, 0, 0xfe], "system messages: 2"),
        ("undefined", &[0xf9, 0, 0xf4, 0, 0xf5, 0, 0xfd], "system messages: 4"),
        ("song position", &[0xf2, 0x10, 0x20], "system messages: 1"),
        ("time code, song select, tune request", &[0xf1, 0x10, 0, 0xf3, 1, 0, 0xf6], "system messages: 3"),
        ("song position without data", &[0xf2], "system messages: 1"),
        ("clock between a delta time and its event", &[0xf8, 0xb0, 7, 100], "system messages: 1"),
        ("clock in a controller", &[0xb0, 7, 0xf8, 100], "system messages: 1"),
        ("sysex without length", &[0xf0, 0x43, 0x10, 0x4c, 0xf7], "system messages: 1"),
        ("empty sysex", &[0xf0, 0], ""),
        ("sysex in two parts", &[0xf0, 2, 0x43, 0x10, 0, 0xf7, 2, 0x4c, 0xf7], ""),
        ("unknown meta event", &[0xff, 0x60, 2, 1, 2], ""),
        ("empty text, sequencer's own", &[0xff, 0x01, 0, 0, 0xff, 0x7f, 0], ""),
        ("tempo 0", &[0xff, 0x51, 3, 0, 0, 0], "bad metas: 1"),
        ("tempo without data", &[0xff, 0x51, 0], "bad metas: 1"),
        ("tempo of two bytes", &[0xff, 0x51, 2, 7, 0xa1], "bad metas: 1"),
        ("time signature 0/4", &[0xff, 0x58, 4, 0, 2, 24, 8], "bad metas: 1"),
        ("time signature in 2^200ths", &[0xff, 0x58, 4, 4, 200, 24, 8], "bad metas: 1"),
        ("note-on of key 200", &[0x90, 200, 80], "bad values: 1"),
        ("pitch bend", &[0xe0, 0xff, 0xff], "bad values: 1"),
        ("text longer than the track", &[0xff, 0x01, 0x7f, b'a', b'b'], "unknown bytes: 5"),
        ("sysex longer than the track", &[0xf0, 0x7f, 1, 2], "unknown bytes: 4"),
    ];
    for (what, middle, odd) in strange {
        check(what, &with(middle), TWO, odd);
    }
    // The valid tempo applies, not the invalid one.
    let tempo = file(
        0,
        PPQ_100,
        &[&[0, 0xff, 0x51, 3, 0x0f, 0x42, 0x40, 0, 0xff, 0x51, 3, 0, 0, 0, 50, 0x90, 60, 80, 50, 60, 0]],
    );
    check("tempo 0 after 60 bpm", &tempo, &[(500, 500, 60, 80)], "bad metas: 1");
}

/// A good file with one byte changed, at every position: at most the notes around it are lost.
#[test]
fn one_bad_byte_anywhere() {
    let mut track: Vec<u8> = vec![0, 0xff, 0x03, 1, b'x'];
    for key in 40..80 {
        track.extend([0, 0x90, key, 80, 50, 0x80, key, 64]);
    }
    let good = file(0, PPQ_100, &[&track]);
    let whole = notes(&read(&good).unwrap());
    // Except in the division, which nothing else in the file can tell.
    for at in (0..good.len()).filter(|at| !(12..14).contains(at)) {
        for bad in [0, 0x40, 0x7f, 0x80, 0xf0, 0xf8, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = bad;
            let score = read(&bytes).unwrap_or_else(|error| panic!("{bad:#x} at {at}: {error}"));
            let pitches = |pitch: u8| score.notes.iter().any(|note| note.pitch == pitch);
            let lost = whole.iter().filter(|note| !pitches(note.2)).count();
            // A wrong length may cover up to 127 bytes.
            assert!(lost <= 16, "{bad:#x} at {at}: {lost} of {} lost, {}", whole.len(), score.warnings);
        }
    }
}

#[test]
fn frames_that_lie() {
    let one = [0, 0x90, 60, 80, 100, 60, 0, 0, 64, 80, 100, 64, 0];
    let other = [0, 0x90, 67, 80, 50, 67, 0];
    let whole = file(1, PPQ_100, &[&one, &other]);
    let second = whole.len() - other.len() - 4;
    let changed = |at: usize, with: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    };
    let inserted = |at: usize, what: &[u8]| [&whole[..at], what, &whole[at..]].concat();
    let riff = |chunks: &[u8], data: u32| {
        let parts = [b"RIFF\0\0\0\0RMID", chunks, b"data", &data.to_le_bytes(), &whole, b"LIST\x04\0\0\0abcd"];
        parts.concat()
    };
    let real = whole.len() as u32;
    let cases: [(&str, Vec<u8>, &str); 21] = [
        ("header length 0", changed(4, &[0; 4]), ""),
        ("header length huge", changed(4, &[0x7f; 4]), ""),
        ("header of eight bytes", [&whole[..4], &[0, 0, 0, 8], &whole[8..14], &[0, 0], &whole[14..]].concat(), ""),
        ("no tracks counted", changed(10, &[0, 0]), ""),
        ("unknown format", changed(8, &[0, 9]), ""),
        (
            "both lengths 0",
            {
                let mut bytes = changed(18, &[0; 4]);
                bytes[second - 4..second].fill(0);
                bytes
            },
            "wrong track lengths: 2",
        ),
        (
            "first length to the end of the file",
            changed(18, &((whole.len() - 22) as u32).to_be_bytes()),
            "wrong track lengths: 1",
        ),
        (
            "lengths of two gigabytes",
            {
                let mut bytes = changed(18, &[0x7f; 4]);
                bytes[second - 4..second].fill(0x7f);
                bytes
            },
            "wrong track lengths: 2",
        ),
        ("a byte between tracks", inserted(second - 8, &[0]), ""),
        ("a byte before the first track", inserted(14, &[0xff]), ""),
        ("a foreign chunk between tracks", inserted(second - 8, b"XFKM\0\0\0\x03abc"), ""),
        ("a foreign chunk that is longer than the file", inserted(second - 8, b"XFKM\xff\0\0\0abc"), ""),
        ("rubbish at the end", [&whole[..], &[0; 40], b"TAG song"].concat(), ""),
        ("misspelled header", changed(1, b"x"), "misspelled chunks: 1"),
        ("misspelled track", changed(second - 6, &[0xff]), "misspelled chunks: 1"),
        (
            "text and a false header before it",
            [&b"Content-Type: audio/midi MThd MThd\0\0\0\0"[..], &whole].concat(),
            "bytes before header: 38",
        ),
        ("RIFF", riff(b"", real), ""),
        ("RIFF, data of no length", riff(b"", 0), ""),
        ("RIFF, data of all lengths", riff(b"", u32::MAX), ""),
        ("RIFF, an odd chunk without its pad byte", riff(b"DISP\x03\0\0\0abc", real), ""),
        ("RIFF, six thousand bytes before it", riff(&[b"LIST\x70\x17\0\0", &[b'x'; 6000][..]].concat(), real), ""),
    ];
    for (what, bytes, odd) in cases {
        check(what, &bytes, THREE, odd);
    }
    assert_eq!(read(&[&[0; 5000][..], &whole].concat()), Err(ReadError::NotMidi));
    // Cut off between and inside events of the second track: the first is complete.
    for len in second..whole.len() - 1 {
        let score = read(&whole[..len]).unwrap();
        assert_eq!(
            (score.warnings.cut_off, score.notes.iter().filter(|note| note.pitch < 67).count()),
            (1, 2),
            "{len}"
        );
    }
}

#[test]
fn keys_without_note_offs() {
    let cases: [(&str, &[u8], Notes, &str); 9] = [
        (
            "balanced: first in, first out",
            &[0, 0x90, 60, 80, 50, 60, 70, 50, 60, 0, 50, 60, 0],
            &[(0, 500, 60, 80), (250, 500, 60, 70)],
            "restruck: 1, overlaps: 1",
        ),
        (
            "one missing, many strikes later",
            &[0, 0x90, 60, 80, 50, 60, 70, 50, 60, 0, 50, 60, 71, 50, 60, 0, 50, 60, 72, 50, 60, 0],
            &[(0, 250, 60, 80), (250, 250, 60, 70), (750, 250, 60, 71), (1250, 250, 60, 72)],
            "restruck: 3, ended by restrike: 1",
        ),
        (
            "one missing, note-offs behind the strikes at their tick",
            &[0, 0x90, 60, 80, 50, 60, 70, 0, 60, 0, 50, 60, 71, 0, 60, 0, 50, 60, 72, 50, 60, 0],
            &[(0, 250, 60, 80), (250, 250, 60, 70), (500, 250, 60, 71), (750, 250, 60, 72)],
            "restruck: 3, ended by restrike: 1",
        ),
        (
            "none at all",
            &[0, 0x90, 60, 80, 50, 60, 70, 50, 60, 71, 50, 0xb0, 7, 9],
            &[(0, 250, 60, 80), (250, 250, 60, 70), (500, 250, 60, 71)],
            "restruck: 2, ended by restrike: 2, unended: 1",
        ),
        (
            "all notes off",
            &[0, 0x90, 60, 80, 0, 64, 80, 50, 0xb0, 123, 0, 50, 0x80, 60, 0],
            &[(0, 250, 60, 80), (0, 250, 64, 80)],
            "ended by all off: 2, orphan offs: 1",
        ),
        (
            "all sound off",
            &[0, 0x90, 60, 80, 50, 0xb0, 120, 0, 0x8f, 0, 7, 9],
            &[(0, 250, 60, 80)],
            "ended by all off: 1",
        ),
        (
            "all notes off on another channel",
            &[0, 0x90, 60, 80, 50, 0xb1, 123, 0, 50, 0x80, 60, 0],
            &[(0, 500, 60, 80)],
            "",
        ),
        (
            "a key that lies for minutes",
            &[0, 0x90, 60, 80, 50, 62, 80, 50, 62, 0, 0xcf, 0, 64, 80, 50, 64, 0],
            &[(0, 10_000, 60, 80), (250, 250, 62, 80), (51_060, 250, 64, 80)],
            "unended: 1",
        ),
        (
            "a key that is struck again after minutes",
            &[0, 0x90, 60, 80, 0xcf, 0, 60, 70, 50, 60, 0],
            &[(0, 10_000, 60, 80), (50_560, 250, 60, 70)],
            "restruck: 1, ended by restrike: 1",
        ),
    ];
    for (what, track, expected, odd) in cases {
        check(what, &file(0, PPQ_100, &[track]), expected, odd);
    }
    // All notes off also ends notes on another track that have no end of their own, and no others.
    let hands: [&[u8]; 2] = [&[0, 0x90, 60, 80, 0, 64, 80, 100, 64, 0, 100, 0xb0, 7, 9], &[50, 0xb0, 123, 0]];
    let expected: Notes = &[(0, 250, 60, 80), (0, 500, 64, 80)];
    check("all notes off on another track", &file(1, PPQ_100, &hands), expected, "ended by all off: 1");
}

#[test]
fn patterns_come_one_after_another_each_with_its_tempo() {
    let slow = [0, 0xff, 0x51, 3, 0x0f, 0x42, 0x40, 0, 0x90, 60, 80, 100, 60, 0];
    let plain = [0, 0x90, 64, 80, 100, 64, 0, 50, 0xff, 0x51, 3, 0x0f, 0x42, 0x40];
    let meter = [0, 0xff, 0x58, 4, 3, 2, 24, 8, 0, 0x90, 67, 80, 50, 67, 0];
    let bytes = file(2, PPQ_100, &[&slow, &plain, &meter]);
    check("format 2", &bytes, &[(0, 1000, 60, 80), (1000, 500, 64, 80), (1750, 250, 67, 80)], "patterns: 3");
    let beats = read(&bytes).unwrap().beats.unwrap();
    assert_eq!(beats.onsets, [0.0, 1.0, 2.5]);
    let bar = |beat| (beats.meter.at(beat).position, beats.meter.at(beat).length);
    assert_eq!([bar(0.5), bar(1.5), bar(3.0)], [(0.5, 4.0), (0.5, 4.0), (0.5, 3.0)]);
    check("one pattern", &file(2, PPQ_100, &[&slow]), &[(0, 1000, 60, 80)], "");
}

#[test]
fn a_piano_on_the_drums_channel() {
    let name = |name: &[u8]| [&[0, 0xff, 0x03, name.len() as u8], name].concat();
    let notes = |channel: u8, keys: &[u8]| -> Vec<u8> {
        keys.iter().flat_map(|&key| [0, 0x90 | channel, key, 80, 100, key, 0]).collect()
    };
    let program = |program: u8| vec![0, 0xc9, program];
    let (keys, kit) = ([60, 64], [36, 38, 42, 42]);
    let pianos = [
        ("by name", [name(b"Grand Piano"), notes(9, &keys)].concat()),
        ("by name, in the bass", [name(b"PIANO left"), notes(9, &kit)].concat()),
        ("by instrument name", [vec![0, 0xff, 0x04, 7], b"Klavier".to_vec(), notes(9, &keys)].concat()),
        ("by program", [program(0), notes(9, &keys)].concat()),
        ("by program, electric", [program(4), notes(9, &keys)].concat()),
    ];
    for (what, track) in pianos {
        let score = read(&file(1, PPQ_100, &[&track])).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((score.warnings.piano_on_drum_channel, score.warnings.drums), (score.notes.len(), 0), "{what}");
    }
    let drums = [
        ("nothing says so", notes(9, &keys)),
        ("a kit's program", [program(0), notes(9, &kit)].concat()),
        ("another program", [program(24), notes(9, &keys)].concat()),
        ("another name", [name(b"Piano drums"), notes(9, &keys)].concat()),
    ];
    for (what, track) in drums {
        assert_eq!(read(&file(1, PPQ_100, &[&track])), Err(ReadError::DrumsOnly), "{what}");
    }
    let song = [name(b"Piano Man"), notes(0, &keys), notes(9, &kit)].concat();
    let score = read(&file(0, PPQ_100, &[&song])).unwrap();
    assert_eq!((score.notes.len(), score.warnings.drums, score.warnings.restruck), (2, 4, 0));
}
