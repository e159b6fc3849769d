//! Corrupted MIDI files are read, or refused with a message, within a memory limit.

use midi::{ReadError, Tempo, Track, read, write};
use notes::Note;
use probe::{damage, heap};

/// Memory allowed beyond twice the file's size: 64 KiB for the key states, and the notes of a small file, which take
/// some thirty times as much memory as in the file.
const SPARE: usize = 320 << 10;

/// Two files from our writer, and one like other software writes: running status, a pedal, two tempo events, SMPTE
/// time.
fn good() -> Vec<Vec<u8>> {
    let notes: Vec<Note> = (0..40)
        .map(|number: u8| Note {
            onset: f64::from(number) * 0.21,
            spread: 0.0,
            duration: 0.3,
            pitch: 40 + number,
            velocity: 60 + number,
        })
        .collect();
    let track = |name, channel| Track { name, channel, notes: &notes };
    let other: [&[u8]; 3] = [
        b"MThd\0\0\0\x06\0\x01\0\x02\xe7\x28",
        b"MTrk\0\0\0\x13\0\xff\x51\x03\x07\xa1\x20\x10\xff\x51\x03\x0f\xff\xff\0\xff\x2f\0\0",
        b"MTrk\0\0\0\x1b\0\x90\x3c\x40\x10\x40\x40\x10\x3c\0\0\xb0\x40\x7f\x20\x40\0\x10\x80\x40\x40\0\xf0\x02\x01\xf7\0\xff\x2f\0",
    ];
    vec![
        write(&[track("one", 0)], Tempo::bpm(97.0)),
        write(&[track("left", 0), track("right", 1)], Tempo::default()),
        other.concat(),
    ]
}

#[test]
fn damaged_files_are_read_or_refused() {
    let good = good();
    let outcome = damage::survives(&good, (1, 3_000), SPARE, |bytes| {
        let score = read(bytes).map_err(|error| error.to_string())?;
        assert!(score.notes.iter().all(|note| note.onset.is_finite() && note.duration >= 0.0 && note.velocity > 0));
        Ok(())
    });
    assert!(outcome.read > 300 && outcome.refused > 300, "{outcome:?}");
}

/// However many events a file contains, the reader's memory is limited.
#[test]
fn a_file_of_nothing_but_notes_is_refused_in_time() {
    let crowd = |events: &[u8], size: usize| {
        let body: Vec<u8> = events.iter().cycle().take(size).copied().collect();
        let length = (body.len() as u32).to_be_bytes();
        [b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk".as_slice(), &length, &[0, 0x90, 60, 64], &body].concat()
    };
    let (note, tempo, all_off) = ([0, 60, 64], [0, 0xff, 0x51, 3, 1, 0, 0], [0, 0xb0, 123, 0]);
    for (what, size) in [(&note[..], 8 << 20), (&tempo, 8 << 20), (&all_off, 6 << 20)] {
        let bytes = crowd(what, size);
        let (result, taken) = heap::measured(|| read(&bytes));
        assert_eq!(result, Err(ReadError::TooMuch));
        assert!(taken.peak < 100 << 20, "{what:?}: {taken:?}");
    }
    // Just few enough events, with no note-offs.
    let bytes = crowd(&note, 3_100_000);
    let (result, taken) = heap::measured(|| read(&bytes));
    assert_eq!(result.unwrap().warnings.ended_by_restrike, 1_033_333);
    assert!(taken.peak < 100 << 20, "{taken:?}");
}

/// A file full of damage takes no longer to read than one full of notes.
#[test]
fn a_file_of_nothing_but_damage_comes_to_an_end() {
    for garbage in [&[0xff, 0xff, 0x90, 0x3c][..], &[0xf0, 0x7f, 0xc0], &[0xf8], b"MTrk\0\0\xff\xff", b"MTrk\x7f"] {
        let body = garbage.repeat((1 << 20) / garbage.len());
        let bytes = [&good()[0], &body[..]].concat();
        assert_eq!(read(&bytes).unwrap().notes.len(), 40);
    }
}
