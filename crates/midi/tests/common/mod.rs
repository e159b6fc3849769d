//! Small files, byte by byte.

use midi::Score;

/// A file with these tracks' events; each track gets its header and its end.
pub fn file(format: u8, division: [u8; 2], tracks: &[&[u8]]) -> Vec<u8> {
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

/// 100 ticks per quarter note, so that a tick is 5 ms at 120 beats per minute.
pub const PPQ_100: [u8; 2] = [0, 100];

/// (onset, duration, pitch, velocity), times in milliseconds.
pub fn notes(score: &Score) -> Vec<(u32, u32, u8, u8)> {
    let ms = |seconds: f64| (seconds * 1000.0).round() as u32;
    score.notes.iter().map(|note| (ms(note.onset), ms(note.duration), note.pitch, note.velocity)).collect()
}
