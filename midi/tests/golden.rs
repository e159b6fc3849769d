//! Small files, byte by byte, with what a reader has to make of them.

use midi::{Pedal, ReadError, Score, read};

/// A file of one format with these tracks' events; each track gets its length and end.
fn file(format: u8, division: [u8; 2], tracks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06".to_vec();
    bytes.extend([0, format, 0, tracks.len() as u8, division[0], division[1]]);
    for track in tracks {
        let end = [0x00, 0xff, 0x2f, 0x00];
        bytes.extend(b"MTrk");
        bytes.extend(((track.len() + end.len()) as u32).to_be_bytes());
        bytes.extend(*track);
        bytes.extend(end);
    }
    bytes
}

/// 100 ticks a quarter, so that a tick is 5 ms at 120 beats per minute.
const PPQ_100: [u8; 2] = [0, 100];

/// (onset, duration, pitch, velocity), times in milliseconds.
fn notes(score: &Score) -> Vec<(u32, u32, u8, u8)> {
    let ms = |seconds: f64| (seconds * 1000.0).round() as u32;
    score.notes.iter().map(|note| (ms(note.onset), ms(note.duration), note.pitch, note.velocity)).collect()
}

#[test]
fn one_note_after_leading_silence() {
    let score = read(&file(0, PPQ_100, &[&[100, 0x90, 60, 64, 20, 0x80, 60, 0]])).unwrap();
    assert_eq!(notes(&score), [(500, 100, 60, 64)]);
    assert_eq!(score.notes[0].spread, 0.0);
}

#[test]
fn running_status_velocity_0_and_chords_as_they_were_played() {
    let track = [0, 0x90, 67, 1, 0, 60, 127, 1, 64, 64, 9, 67, 0, 0, 60, 0, 0, 64, 0];
    let score = read(&file(0, PPQ_100, &[&track])).unwrap();
    assert_eq!(notes(&score), [(0, 50, 60, 127), (0, 50, 67, 1), (5, 45, 64, 64)]);
}

#[test]
fn running_status_goes_on_behind_a_meta_event() {
    let score = read(&file(0, PPQ_100, &[&[0, 0x90, 60, 64, 5, 0xff, 0x01, 0x01, b'x', 5, 60, 0]])).unwrap();
    assert_eq!(notes(&score), [(0, 50, 60, 64)]);
}

#[test]
fn two_tracks_on_one_channel_do_not_end_each_others_notes() {
    let (one, other) = ([0, 0x90, 60, 64, 100, 0x80, 60, 0], [50, 0x90, 60, 80, 10, 0x80, 60, 0]);
    let score = read(&file(1, PPQ_100, &[&one, &other])).unwrap();
    assert_eq!(notes(&score), [(0, 500, 60, 64), (250, 50, 60, 80)]);
    assert_eq!((score.dirt.overlaps, score.dirt.restruck, score.dirt.note_tracks), (1, 0, 2));
}

#[test]
fn a_key_struck_again_is_released_first_in_first_out() {
    let track = [0, 0x90, 60, 64, 10, 60, 80, 10, 60, 0, 10, 60, 0, 10, 60, 0];
    let score = read(&file(0, PPQ_100, &[&track])).unwrap();
    assert_eq!(notes(&score), [(0, 100, 60, 64), (50, 100, 60, 80)]);
    assert_eq!((score.dirt.restruck, score.dirt.orphan_offs), (1, 1));
}

#[test]
fn notes_without_length_or_end() {
    let track = [0, 0x90, 60, 64, 0, 60, 0, 0, 62, 64, 10, 0xb0, 7, 100];
    let score = read(&file(0, PPQ_100, &[&track])).unwrap();
    assert_eq!(notes(&score), [(0, 0, 60, 64), (0, 50, 62, 64)]);
    assert_eq!((score.dirt.zero_durations, score.dirt.unended), (1, 1));
}

#[test]
fn the_tempo_map_is_global_and_the_last_of_two_at_a_tick_wins() {
    // 60 bpm is 0f 42 40 microseconds; 30 bpm 1e 84 80. First tempo after tick 0.
    let tempo = [
        10, 0xff, 0x51, 3, 0x0f, 0x42, 0x40, // 10 ms a tick, overridden at once
        0, 0xff, 0x51, 3, 0x1e, 0x84, 0x80, // 20 ms a tick
        10, 0xff, 0x51, 3, 0x07, 0xa1, 0x20, // 5 ms a tick again
    ];
    let score = read(&file(1, PPQ_100, &[&[5, 0x90, 60, 64, 20, 60, 0], &tempo])).unwrap();
    assert_eq!(notes(&score), [(25, 25 + 200 + 25, 60, 64)]);
    assert_eq!((score.dirt.tempo_events, score.dirt.tempo_overridden), (3, 1));
}

#[test]
fn smpte_time_knows_no_tempo() {
    // -25 frames a second, 40 ticks a frame: 1 ms a tick.
    let tempo_then_note = [0, 0xff, 0x51, 3, 0x1e, 0x84, 0x80, 100, 0x90, 60, 64, 50, 60, 0];
    let score = read(&file(0, [(-25i8) as u8, 40], &[&tempo_then_note])).unwrap();
    assert_eq!(notes(&score), [(100, 50, 60, 64)]);
}

#[test]
fn the_pedal_is_told_by_its_changes() {
    let track = [0, 0xb0, 64, 63, 10, 64, 64, 10, 64, 127, 10, 64, 0, 0, 0x90, 60, 64, 10, 60, 0];
    let score = read(&file(0, PPQ_100, &[&track])).unwrap();
    let pedal = |time, down| Pedal { time, channel: 0, down };
    assert_eq!(score.pedal, [pedal(0.05, true), pedal(0.15, false)]);
}

#[test]
fn drums_are_left_out() {
    let score = read(&file(0, PPQ_100, &[&[0, 0x99, 36, 64, 0, 0x90, 60, 64, 10, 60, 0, 0, 0x99, 36, 0]])).unwrap();
    assert_eq!(notes(&score), [(0, 50, 60, 64)]);
    assert_eq!(score.dirt.drums, 1);
    assert_eq!(read(&file(0, PPQ_100, &[&[0, 0x99, 36, 64, 9, 36, 0]])), Err(ReadError::DrumsOnly));
}

#[test]
fn sysex_text_in_no_encoding_unknown_chunks_and_rubbish_at_the_end_are_passed_over() {
    let track = [0, 0xf0, 3, 1, 2, 0xf7, 0, 0xff, 3, 2, 0xfe, 0xc3, 0, 0x90, 60, 64, 10, 60, 0];
    let mut bytes = file(0, PPQ_100, &[&track]);
    let chunk = b"XFIH\0\0\0\x02ab";
    bytes.splice(14..14, *chunk);
    bytes.extend(b"\0\0\0");
    assert_eq!(notes(&read(&bytes).unwrap()), [(0, 50, 60, 64)]);
}

#[test]
fn what_is_refused_and_why() {
    let whole = file(1, PPQ_100, &[&[0, 0x90, 60, 64, 10, 60, 0], &[0, 0x90, 62, 64, 10, 62, 0]]);
    assert_eq!(read(b""), Err(ReadError::Empty));
    assert_eq!(read(b"RIFF....WAVEfmt "), Err(ReadError::NotMidi));
    for len in 1..whole.len() {
        assert_eq!(read(&whole[..len]), Err(ReadError::Truncated { bytes: len }));
    }
    assert_eq!(read(&file(0, PPQ_100, &[&[0, 0xb0, 64, 127]])), Err(ReadError::NoNotes));
    assert_eq!(read(&file(0, [0, 0], &[&[]])), Err(ReadError::Division { division: 0 }));
    assert_eq!(read(&file(0, [0x80, 1], &[&[]])), Err(ReadError::Division { division: 0x8001 }));
    // A data byte where a status has to be: the track's fifth byte, 22 bytes into the file.
    let damaged = [0, 0xff, 0x01, 0x00, 0, 60, 64];
    assert_eq!(read(&file(0, PPQ_100, &[&damaged])), Err(ReadError::Damaged { byte: 26 }));
}
