//! Small files, byte by byte, with the notes that must be read from them.

mod common;

use common::{PPQ_100, file, notes};
use midi::{Pedal, ReadError, read};

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
    assert_eq!((score.warnings.overlaps, score.warnings.restruck, score.warnings.note_tracks), (1, 0, 2));
}

#[test]
fn a_key_struck_again_is_released_first_in_first_out() {
    let track = [0, 0x90, 60, 64, 10, 60, 80, 10, 60, 0, 10, 60, 0, 10, 60, 0];
    let score = read(&file(0, PPQ_100, &[&track])).unwrap();
    assert_eq!(notes(&score), [(0, 100, 60, 64), (50, 100, 60, 80)]);
    assert_eq!((score.warnings.restruck, score.warnings.orphan_offs), (1, 1));
}

#[test]
fn notes_without_length_or_end() {
    let track = [0, 0x90, 60, 64, 0, 60, 0, 0, 62, 64, 10, 0xb0, 7, 100];
    let score = read(&file(0, PPQ_100, &[&track])).unwrap();
    assert_eq!(notes(&score), [(0, 0, 60, 64), (0, 50, 62, 64)]);
    assert_eq!((score.warnings.zero_durations, score.warnings.unended), (1, 1));
}

#[test]
fn the_tempo_map_is_global_and_the_last_of_two_at_a_tick_wins() {
    // 60 bpm is 0f 42 40 microseconds; 30 bpm is 1e 84 80. The first tempo change is after tick 0.
    let tempo = [
        10, 0xff, 0x51, 3, 0x0f, 0x42, 0x40, // 10 ms per tick, overridden at once
        0, 0xff, 0x51, 3, 0x1e, 0x84, 0x80, // 20 ms per tick
        10, 0xff, 0x51, 3, 0x07, 0xa1, 0x20, // 5 ms per tick again
    ];
    let score = read(&file(1, PPQ_100, &[&[5, 0x90, 60, 64, 20, 60, 0], &tempo])).unwrap();
    assert_eq!(notes(&score), [(25, 25 + 200 + 25, 60, 64)]);
    assert_eq!((score.warnings.tempo_events, score.warnings.tempo_overridden), (3, 1));
}

#[test]
fn smpte_time_knows_no_tempo() {
    // 25 frames per second, 40 ticks per frame: 1 ms per tick.
    let tempo_then_note = [0, 0xff, 0x51, 3, 0x1e, 0x84, 0x80, 100, 0x90, 60, 64, 50, 60, 0];
    let score = read(&file(0, [(-25i8) as u8, 40], &[&tempo_then_note])).unwrap();
    assert_eq!(notes(&score), [(100, 50, 60, 64)]);
}

#[test]
fn musical_time_has_the_bars_that_the_file_writes() {
    // An upbeat of 1/4, two bars of 3/4, an invalid signature (0/4), then 6/8; the tempo is halved at beat 1.
    let conductor = [
        0, 0xff, 0x58, 4, 1, 2, 24, 8, // beat 0: 1/4
        100, 0xff, 0x58, 4, 3, 2, 24, 8, 0, 0xff, 0x51, 3, 0x0f, 0x42, 0x40, // beat 1: 3/4, 60 bpm
        100, 0xff, 0x58, 4, 0, 2, 24, 8, // beat 2: 0/4, invalid
        0x83, 0x74, 0xff, 0x58, 4, 5, 3, 24, 8, 0, 0xff, 0x58, 4, 6, 3, 24, 8, // beat 7: 5/8, overridden by 6/8
    ];
    // A note on every half beat: 50 ticks from note to note.
    let mut played = vec![0, 0x90, 60, 64, 25, 60, 0];
    for _ in 0..23 {
        played.extend([25, 60, 64, 25, 60, 0]);
    }
    let score = read(&file(1, PPQ_100, &[&conductor, &played])).unwrap();
    let beats = score.beats.as_ref().unwrap();
    let halves: Vec<f64> = (0..24).map(|half: u8| f64::from(half) / 2.0).collect();
    assert_eq!(beats.onsets, halves);
    let signatures: Vec<_> =
        beats.meter.signatures().iter().map(|sign| (sign.beat, sign.numerator, sign.denominator)).collect();
    assert_eq!(signatures, [(0.0, 1, 4), (1.0, 3, 4), (7.0, 6, 8)]);
    let positions: Vec<(f64, f64)> = halves
        .iter()
        .map(|&beat| {
            let place = beats.meter.at(beat);
            (place.position, place.length)
        })
        .collect();
    let bar = |length: f64| (0..(length * 2.0) as u8).map(move |half| (f64::from(half) / 2.0, length));
    let bars = [bar(1.0), bar(3.0), bar(3.0), bar(3.0), bar(3.0)];
    assert_eq!(positions, bars.into_iter().flatten().take(24).collect::<Vec<_>>());
    for (note, beat) in score.notes.iter().zip(&halves) {
        assert!((beats.at(note.onset) - beat).abs() < 1e-9, "{note:?}");
    }
    assert_eq!(beats.at(-0.5), -1.0);

    let plain = read(&file(0, PPQ_100, &[&[0x87, 0x68, 0x90, 60, 64, 20, 60, 0]])).unwrap().beats.unwrap();
    assert_eq!((plain.onsets[0], plain.meter.at(10.0).position, plain.meter.at(10.0).length), (10.0, 2.0, 4.0));
    // A tick of 1/480 is not a binary fraction, but this must still be a bar line.
    assert_eq!(plain.meter.at(4.0 - 1e-9).position, 0.0);
    let smpte = read(&file(0, [(-25i8) as u8, 40], &[&[0, 0x90, 60, 64, 50, 60, 0]])).unwrap();
    assert_eq!(smpte.beats, None);
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
    assert_eq!(score.warnings.drums, 1);
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
    // Nothing can be read if the file ends before its first note; after that, everything before the cut is read.
    for len in 1..26 {
        assert_eq!(read(&whole[..len]), Err(ReadError::Truncated { bytes: len }));
    }
    for len in 26..whole.len() {
        let score = read(&whole[..len]).unwrap();
        assert_eq!(score.notes.len(), 1 + usize::from(len >= 45), "{len}");
        assert!(
            score.warnings.cut_off + score.warnings.missing_tracks > 0 || len + 1 == whole.len(),
            "{len}: {}",
            score.warnings
        );
    }
    assert_eq!(read(&file(0, PPQ_100, &[&[0, 0xb0, 64, 127]])), Err(ReadError::NoNotes));
    assert_eq!(read(&file(0, [0, 0], &[&[]])), Err(ReadError::Division { division: 0 }));
    assert_eq!(read(&file(0, [0x80, 1], &[&[]])), Err(ReadError::Division { division: 0x8001 }));
    // A data byte where a status byte must be: the track's fifth byte, after 22 bytes of headers.
    let damaged = [0, 0xff, 0x01, 0x00, 0, 60, 64];
    assert_eq!(read(&file(0, PPQ_100, &[&damaged])), Err(ReadError::Damaged { byte: 26 }));
}
