//! Exports what was played as MIDI files: a take with or without its phrase, or the last minute. Used by the editor; it
//! allocates, so never use it on the audio thread.
//!
//! The files have the project's tempo, so intervals in beats are the same as in the song. The player is on channel 1
//! and the model on channel 2, each on its own track.

use engine::link::roll::{DrawnNote, Roll, Whose};
use engine::link::takes::TakeRecord;
use midi::{Tempo, Track, write};
use notes::Note;

/// The length of "the last minute", in seconds.
pub const RECENT_S: f64 = 60.0;

/// A take as a MIDI file. It starts at the hand-over, or with its phrase at the phrase's first note.
pub fn take(record: &TakeRecord, with_phrase: bool) -> Vec<u8> {
    let first = record.phrase.iter().map(Note::struck).fold(0.0, f64::min);
    let origin = if with_phrase { first } else { 0.0 };
    let played = from(&record.notes, origin);
    let phrase = if with_phrase { from(&record.phrase, origin) } else { Vec::new() };
    file(&phrase, &played, record.beats_per_second)
}

/// The notes of the last minute as a MIDI file, starting at the first of them; `None` if there are none. Sounding notes
/// end now.
pub fn recent(roll: &Roll) -> Option<Vec<u8>> {
    let recent = |note: &&DrawnNote| note.start >= roll.now - RECENT_S && note.start <= roll.now;
    let origin = roll.notes().filter(recent).map(|note| note.start).min_by(f64::total_cmp)?;
    let of = |whose: Whose| -> Vec<Note> {
        let notes = roll.notes().filter(recent).filter(|note| note.whose == whose);
        notes
            .map(|note| Note {
                onset: note.start - origin,
                spread: 0.0,
                duration: note.end.min(roll.now) - note.start,
                pitch: note.key,
                velocity: note.velocity,
            })
            .collect()
    };
    Some(file(&of(Whose::Player), &of(Whose::Antiphon), roll.beats_per_second))
}

/// A file name for a take, without a folder.
pub fn name(record: &TakeRecord, with_phrase: bool) -> String {
    let phrase = if with_phrase { " with phrase" } else { "" };
    format!("Antiphon take {} seed {} no {}{phrase}.mid", record.id, record.seed, record.number)
}

fn from(notes: &[Note], origin: f64) -> Vec<Note> {
    notes.iter().map(|note| Note { onset: note.onset - origin, ..*note }).collect()
}

/// Leaves out empty tracks, which the user would only have to delete in the host.
fn file(phrase: &[Note], played: &[Note], beats_per_second: f64) -> Vec<u8> {
    let tracks =
        [Track { name: "Phrase", channel: 0, notes: phrase }, Track { name: "Antiphon", channel: 1, notes: played }];
    let tracks: Vec<Track> = tracks.into_iter().filter(|track| !track.notes.is_empty()).collect();
    write(&tracks, Tempo::bpm(beats_per_second * 60.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;

    use super::*;
    use engine::link::roll::roll;
    use engine::link::viewer::Viewer;

    /// Notes as on an instrument: no two on the same key overlap.
    fn notes() -> impl Strategy<Value = Vec<Note>> {
        let note = (0.0..30.0, 0.0..0.03, 0.05..2.0, 0..128_u8, 1..128_u8);
        proptest::collection::vec(note, 1..40).prop_map(|all| {
            let mut notes: Vec<Note> = all
                .into_iter()
                .map(|(onset, spread, rest, pitch, velocity)| Note {
                    onset,
                    spread,
                    duration: spread + rest,
                    pitch,
                    velocity,
                })
                .collect();
            notes.sort_by(|a, b| (a.pitch, a.struck()).partial_cmp(&(b.pitch, b.struck())).unwrap());
            notes.dedup_by(|b, a| a.pitch == b.pitch && b.struck() < a.end() + 0.01);
            notes.sort_by(|a, b| (a.struck(), a.pitch).partial_cmp(&(b.struck(), b.pitch)).unwrap());
            notes
        })
    }

    fn record(phrase: Vec<Note>, notes: Vec<Note>, beats_per_second: f64) -> TakeRecord {
        TakeRecord { id: 3, seed: 17, number: 2, beats_per_second, phrase, notes, lasted_s: 40.0, kept: false }
    }

    proptest! {
        /// Pitch and velocity are exact, onset and duration within a tick.
        #[test]
        fn what_was_played_is_what_is_read(notes in notes(), bpm in 30.0..240.0_f64) {
            let bytes = take(&record(vec![], notes.clone(), bpm / 60.0), false);
            let tick = Tempo::bpm(bpm).tick_s();
            let read = midi::read(&bytes).unwrap().notes;
            prop_assert_eq!(read.len(), notes.len());
            let mut wanted = notes;
            wanted.sort_by_key(|note| ((note.struck() / tick).round() as u64, note.pitch));
            for (read, note) in read.iter().zip(&wanted) {
                prop_assert_eq!((read.pitch, read.velocity), (note.pitch, note.velocity));
                prop_assert!((read.onset - note.struck()).abs() <= tick);
                prop_assert!((read.duration - (note.end() - note.struck())).abs() <= tick);
            }
        }
    }

    /// An independent MIDI reader from PyPI: prints pitch, velocity, onset and length in ticks.
    const MIDO: &str = "
import mido, sys
file = mido.MidiFile(sys.argv[1])
assert file.ticks_per_beat == 960
for track in file.tracks:
    now, held = 0, {}
    for message in track:
        now += message.time
        if message.type == 'note_on' and message.velocity:
            held.setdefault(message.note, []).append((now, message.velocity))
        elif message.type in ('note_on', 'note_off'):
            on, velocity = held[message.note].pop(0)
            print(message.note, velocity, on, now - on)
";

    /// Skipped if Python has no mido (`pip install mido`); `ANTIPHON_PYTHON` names another Python.
    #[test]
    fn a_reader_of_others_reads_the_same() {
        let python = std::env::var("ANTIPHON_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let run = |args: &[&str]| std::process::Command::new(&python).args(args).output();
        if !run(&["-c", "import mido"]).is_ok_and(|output| output.status.success()) {
            return eprintln!("skipped: {python} has no mido");
        }
        let folder = tempfile::tempdir().unwrap();
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for case in 0..8 {
            let notes = notes().new_tree(&mut runner).unwrap().current();
            let bpm = 60.0 + 17.3 * f64::from(case);
            let path = folder.path().join("take.mid");
            std::fs::write(&path, take(&record(vec![], notes.clone(), bpm / 60.0), false)).unwrap();
            let output = run(&["-c", MIDO, path.to_str().unwrap()]).unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).unwrap();
            let mut read: Vec<Vec<i64>> =
                text.lines().map(|line| line.split(' ').map(|word| word.parse().unwrap()).collect()).collect();
            let tick = Tempo::bpm(bpm).tick_s();
            let ticks = |seconds: f64| (seconds / tick).round() as i64;
            let mut wanted: Vec<[i64; 4]> = notes
                .iter()
                .map(|note| {
                    let length = ticks(note.end() - note.struck());
                    [note.pitch.into(), note.velocity.into(), ticks(note.struck()), length]
                })
                .collect();
            read.sort_by_key(|note| (note[0], note[2]));
            wanted.sort_by_key(|note| (note[0], note[2]));
            assert_eq!(read.len(), wanted.len());
            for (read, wanted) in read.iter().zip(&wanted) {
                assert_eq!(read[..2], wanted[..2]);
                assert!((read[2] - wanted[2]).abs() <= 1 && (read[3] - wanted[3]).abs() <= 1, "{read:?} {wanted:?}");
            }
        }
    }

    #[test]
    fn the_phrase_comes_first_if_it_is_wanted() {
        let note = |onset, pitch| Note { onset, spread: 0.0, duration: 0.5, pitch, velocity: 80 };
        let record = record(vec![note(-3.0, 60), note(-2.0, 62)], vec![note(0.25, 64)], 2.0);
        let alone = midi::read(&take(&record, false)).unwrap();
        assert_eq!(alone.notes.iter().map(|note| (note.onset, note.pitch)).collect::<Vec<_>>(), [(0.25, 64)]);
        let both = midi::read(&take(&record, true)).unwrap();
        let both: Vec<_> = both.notes.iter().map(|note| (note.onset, note.pitch)).collect();
        assert_eq!(both, [(0.0, 60), (1.0, 62), (3.25, 64)]);
        assert_eq!(name(&record, true), "Antiphon take 3 seed 17 no 2 with phrase.mid");
    }

    #[test]
    fn the_last_minute_can_be_had_after_the_fact_though_a_phrase_was_forgotten() {
        let (mut writer, _) = roll(Viewer::default());
        assert!(recent(&writer.roll()).is_none());
        writer.on(Whose::Player, 0, 60, 80, 1.0);
        writer.off(Whose::Player, Some(0), Some(60), 1.5);
        writer.on(Whose::Player, 0, 62, 80, 50.0);
        writer.off(Whose::Player, Some(0), Some(62), 50.5);
        writer.clear();
        writer.on(Whose::Antiphon, 0, 64, 70, 20.0);
        writer.off(Whose::Antiphon, None, None, 20.25);
        let read = midi::read(&recent(&writer.roll()).unwrap()).unwrap();
        let read: Vec<_> = read.notes.iter().map(|note| (note.onset, note.duration, note.pitch)).collect();
        assert_eq!(read, [(0.0, 0.5, 62), (20.5, 0.25, 64)], "the first is over a minute old");
    }
}
