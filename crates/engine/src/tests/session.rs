//! A generator session without threads: what it generates and remembers, whatever it is sent and however far ahead it is.

use std::sync::atomic::AtomicBool;

use model::{Decoder, State};
use notes::Note;

use super::*;
use crate::generator::memory::PhraseHistory;
use crate::generator::session::NetworkSession;
use crate::link::messages::{Begin, End, Message, ON_END_S, Revision, Source, TimelinePosition};
use crate::link::queues::{AudioEnd, GeneratorEnd, link};
use crate::link::takes::{TakeLog, Takes, takes};

pub const POSITION: TimelinePosition = TimelinePosition { beats_per_second: 2.0, beat: 0.0, bar: 4.0, running: true };

/// Generation parameters that change everything.
const BUSY: GenerationParams = GenerationParams {
    rhythm: Rhythm {
        strength: 0.7,
        density: 2.0,
        speed: Speed::Double,
        beat_source: BeatSource::Phrase,
        ..GENERATION.rhythm
    },
    limits: Limits {
        key: Key::Phrase,
        lowest: 40,
        polyphony: Some(3),
        longest_s: Some(0.6),
        repeats: Some(2),
        ..GENERATION.limits
    },
    dynamics: Dynamics::Follow,
    learn: 0.5,
    ..GENERATION
};

/// Antiphon takes the turn.
pub fn begin(revision: Revision, at: f64) -> Message {
    begin_with(revision, at, GENERATION)
}

fn begin_with(revision: Revision, at: f64, generation: GenerationParams) -> Message {
    begin_of(revision, at, generation, Length::Open)
}

fn begin_of(revision: Revision, at: f64, generation: GenerationParams, length: Length) -> Message {
    let (source, called) = (Source::Continue, false);
    Message::Begin(Begin { revision, at, number: 0, source, called, position: POSITION, generation, length })
}

/// The player enters, which ends the take.
fn end(since: f64) -> Message {
    Message::End(Revision(2), End { limit: since, since, at: 1.5 + since, ..END })
}

/// The end of a take, without its time.
const END: End =
    End { limit: 0.0, notes: u32::MAX, since: 0.0, at: 0.0, beats_per_second: 2.0, cut: true, remembered: true };

pub fn note(onset: f64, pitch: u8) -> Note {
    Note { onset, spread: 0.0, duration: 0.3, pitch, velocity: 70 }
}

/// Sends messages to a session and collects the notes it generates.
struct SessionHarness {
    audio_end: AudioEnd,
    generator_end: GeneratorEnd,
    memory: PhraseHistory,
    session: NetworkSession,
    log: TakeLog,
    takes: Takes,
    status: Status,
}

impl SessionHarness {
    fn new() -> Self {
        let (mut audio_end, mut generator_end) = link();
        let mut memory = PhraseHistory::default();
        let mut session = NetworkSession::new(network(), &mut memory);
        for (at, pitch) in [(0.0, 48), (0.0, 60), (0.4, 64), (0.8, 67)] {
            audio_end.send_note(Message::Finished(note(at, pitch)));
        }
        let (mut log, takes) = takes();
        session.process_messages(
            &mut generator_end,
            &mut memory,
            &mut log,
            &Status::default(),
            &AtomicBool::new(false),
        );
        Self { audio_end, generator_end, memory, session, log, takes, status: Status::default() }
    }

    fn send(&mut self, message: Message) {
        self.audio_end.send_command(message);
        self.session.process_messages(
            &mut self.generator_end,
            &mut self.memory,
            &mut self.log,
            &self.status,
            &AtomicBool::new(false),
        );
    }

    fn notes(&mut self, count: usize) -> Vec<Note> {
        self.audio_end.set_progress(1e6);
        (0..count)
            .map(|_| {
                assert!(self.session.generate_next(&mut self.generator_end, &self.memory, &self.status));
                self.audio_end.receive_note().unwrap().note.unwrap()
            })
            .collect()
    }

    /// As [`SessionHarness::notes`], but fewer if the turn ends.
    fn notes_until_done(&mut self, count: usize) -> Vec<Note> {
        self.audio_end.set_progress(1e6);
        let mut notes = Vec::new();
        while notes.len() < count && self.session.generate_next(&mut self.generator_end, &self.memory, &self.status) {
            notes.extend(self.audio_end.receive_note().unwrap().note);
        }
        notes
    }

    fn state(&self) -> State {
        self.session.decoder().state().clone()
    }
}

/// Where nobody could foresee the hand-over, the first note is drawn as without a search, so that it does not wait for one;
/// from the second note on, the search chooses.
#[test]
fn the_first_note_after_a_trigger_does_not_wait_for_the_search() {
    let played = |search, called| {
        let mut harness = SessionHarness::new();
        for number in 0..40u8 {
            harness.send(Message::Finished(note(1.2 + 0.3 * f64::from(number), 60 + number % 7)));
        }
        let generation = GenerationParams { search, ..GENERATION };
        let (source, length) = (Source::Continue, Length::Open);
        let (revision, at, position) = (Revision(1), 13.5, POSITION);
        harness.send(Message::Begin(Begin { revision, at, number: 0, source, called, position, generation, length }));
        harness.notes(40)
    };
    let [alone, searched] = [1, 16].map(|search| played(search, true));
    assert_eq!(searched[0], alone[0]);
    assert_ne!(searched[1..], alone[1..], "the search does choose");
    assert_ne!(played(16, false)[0], alone[0], "a hand-over that can be foreseen is searched from the first note on");
}

/// However far ahead notes were generated, a rollback leads to the same notes.
#[test]
fn a_change_does_not_depend_on_the_look_ahead() {
    for (before, after) in
        [(GENERATION, GenerationParams { seed: 6, ..GENERATION }), (GENERATION, BUSY), (BUSY, GENERATION)]
    {
        let mut first = None;
        for ahead in [20, 60, 100] {
            let mut harness = SessionHarness::new();
            harness.send(begin_with(Revision(1), 1.5, before));
            let notes = harness.notes(ahead);
            let since = notes[9].struck() + 0.001;
            harness.send(Message::Change {
                revision: Revision(2),
                since,
                position: POSITION,
                generation: after,
                length: Length::Open,
            });
            let changed = harness.notes(10);
            assert!(changed.iter().all(|note| note.struck() >= since));
            let first = first.get_or_insert_with(|| changed.clone());
            assert_eq!(*first, changed, "{ahead} notes ahead");
        }
    }
}

/// However far ahead notes were generated when a take is frozen, the notes are the same, and so is what the network
/// remembers of them.
#[test]
fn a_freeze_does_not_depend_on_the_look_ahead() {
    for (length, generation) in [
        (Length::Notes(30), GENERATION),
        (Length::Notes(10), GENERATION),
        (Length::Seconds(3.0), GENERATION),
        (Length::Notes(30), GenerationParams { search: 1, ..GENERATION }),
        (Length::Open, GenerationParams { bars: Some(2), ..GENERATION }),
    ] {
        let mut first = None;
        for ahead in [1, 4, 30] {
            let mut harness = SessionHarness::new();
            harness.send(begin_of(Revision(1), 1.5, generation, length));
            let round = 2.0;
            let mut notes = harness.notes_until_done(ahead);
            notes.retain(|note| note.struck() < round);
            harness.send(Message::Freeze { revision: Revision(2), since: round - ON_END_S, round });
            notes.extend(harness.notes(40));
            notes.truncate(40);
            harness.send(end(notes[39].struck() - 0.0005));
            let (notes_before, state) = first.get_or_insert_with(|| (notes.clone(), harness.state()));
            assert_eq!(*notes_before, notes, "{ahead} notes ahead");
            assert!(*state == harness.state(), "{ahead} notes ahead, {length:?}: the network remembers something else");
        }
    }
}

/// A replay that is frozen plays on as recorded until the loop is full and then repeats it, however far ahead notes were
/// generated, and also if a change comes before the loop is full.
#[test]
fn a_frozen_replay_repeats_what_was_recorded() {
    let recorded_s = 6.0;
    for (round, changed) in [(2.0, None), (2.0, Some(1.0)), (5.0, Some(4.0)), (recorded_s + 2.0, None)] {
        for ahead in [1, 4, 60] {
            let mut harness = SessionHarness::new();
            harness.send(begin(Revision(1), 1.5));
            let mut recorded = harness.notes(80);
            recorded.retain(|note| note.struck() < recorded_s);
            harness.send(end(recorded_s));
            harness.send(Message::Begin(Begin {
                revision: Revision(3),
                at: 10.0,
                number: 1,
                source: Source::Replay,
                called: true,
                position: POSITION,
                generation: GENERATION,
                length: Length::Open,
            }));
            let mut notes = harness.notes_until_done(ahead);
            let frozen_at = changed.unwrap_or(round - ON_END_S);
            notes.retain(|note| note.struck() < round);
            harness.send(Message::Freeze { revision: Revision(4), since: round - ON_END_S, round });
            if let Some(since) = changed {
                notes.extend(harness.notes(60));
                notes.retain(|note| note.struck() < frozen_at);
                harness.send(Message::Change {
                    revision: Revision(5),
                    since,
                    position: POSITION,
                    generation: GENERATION,
                    length: Length::Open,
                });
            }
            notes.extend(harness.notes(60));
            let rounds = (0..).map(|n| f64::from(n) * round);
            let looped = recorded.iter().filter(|note| note.struck() < round - ON_END_S);
            let expected = rounds.flat_map(|from| looped.clone().map(move |note| (from + note.onset, note.pitch)));
            for (n, (note, (onset, pitch))) in notes.iter().zip(expected).enumerate() {
                let is_same = note.pitch == pitch && (note.onset - onset).abs() < 1e-9;
                assert!(is_same, "{n}: {note:?} for {pitch} at {onset}; {round} s, {changed:?}, {ahead} notes ahead");
            }
        }
    }
}

/// While the last notes ring out there is time to generate many more; notes that are not played are not remembered.
#[test]
fn no_notes_are_generated_after_the_end_of_a_turn() {
    for (length, seconds) in [(Length::Notes(5), f64::INFINITY), (Length::Seconds(2.0), 2.0)] {
        let mut harness = SessionHarness::new();
        harness.send(begin_of(Revision(1), 1.5, GENERATION, length));
        harness.audio_end.set_progress(1e6);
        let mut notes = Vec::new();
        while harness.session.generate_next(&mut harness.generator_end, &harness.memory, &harness.status) {
            notes.extend(harness.audio_end.receive_note().unwrap().note);
            assert!(notes.len() < 300, "it does not end");
        }
        let beyond = notes.iter().filter(|note| note.onset >= seconds).count();
        // A chord that begins before the end may have notes struck after it.
        let played = notes.iter().filter(|note| note.struck() < seconds).count();
        assert!(beyond <= 1 && played > 1, "{} notes for {played}", notes.len());
        let notes = if let Length::Notes(notes) = length { notes } else { u32::MAX };
        let over =
            End { limit: seconds, notes, since: 20.0, at: 21.5, beats_per_second: 2.0, cut: false, remembered: true };
        harness.send(Message::End(Revision(2), over));
        assert_eq!(harness.memory.len(), 4 + played);
    }
}

/// After a change of limits, no note that they rule out is played.
#[test]
fn a_limit_holds_from_the_next_note_on() {
    let limits = Limits { lowest: 30, highest: 41, polyphony: Some(1), ..GENERATION.limits };
    let mut harness = SessionHarness::new();
    harness.send(begin(Revision(1), 1.5));
    let before = harness.notes(40);
    let since = before[9].struck() + 0.001;
    harness.send(Message::Change {
        revision: Revision(2),
        since,
        position: POSITION,
        generation: GenerationParams { limits, ..GENERATION },
        length: Length::Open,
    });
    let after = harness.notes(20);
    assert!(after.iter().all(|note| (30..42).contains(&note.pitch)), "{after:?}");
    let voices = before[..10].iter().chain(&after);
    for note in &after {
        let sounding = voices.clone().filter(|other| other.onset <= note.onset && other.end() > note.onset);
        assert_eq!(sounding.count(), 1, "alone from its onset on: {note:?}");
    }
}

/// Changes that change nothing, one after another while a note is awaited, as from a knob that hardly moves: the note comes
/// when it would have come. Each draw from what is left of the distribution alone would move it later.
#[test]
fn a_change_moves_no_note_that_it_does_not_concern() {
    let mut harness = SessionHarness::new();
    harness.send(begin(Revision(1), 1.5));
    let before = harness.notes(40);
    let mut compared = 0;
    for (number, note) in (1..).zip(&before[1..30]) {
        let previous = &before[number - 1];
        let awaited = note.onset - previous.struck();
        for change in 1..4 {
            let since = previous.struck() + awaited * f64::from(change) / 4.0;
            if since <= previous.struck() {
                continue;
            }
            harness.send(Message::Change {
                revision: Revision(4 * number as u64 + change as u64),
                since,
                position: POSITION,
                generation: GENERATION,
                length: Length::Open,
            });
            let after = harness.notes(10);
            compared += 1;
            assert_eq!(after, before[number..number + 10]);
        }
    }
    assert!(compared > 30, "{compared} compared");
}

/// It learns only from the player; forgotten phrases are unlearned.
#[test]
fn what_is_forgotten_teaches_no_more() {
    let mut harness = SessionHarness::new();
    assert_eq!(harness.memory.learned_count(), 4);
    harness.send(begin_with(Revision(1), 1.5, BUSY));
    let notes = harness.notes(30);
    harness.send(end(notes[19].struck() + 0.0005));
    assert_eq!(harness.memory.learned_count(), 4, "not from itself");
    harness.send(Message::Finished(note(90.0, 70)));
    harness.send(Message::Finished(note(90.5, 72)));
    harness.send(Message::Undo);
    assert_eq!(harness.memory.learned_count(), 6);
    harness.send(begin(Revision(3), 91.0));
    harness.notes(10);
    harness.send(end(0.5));
    harness.send(Message::ForgetPhrase { at: 95.0 });
    assert!(harness.memory.learned_count() < 6);
    harness.send(Message::Forget { revision: Revision(4) });
    assert_eq!(harness.memory.learned_count(), 0);
}

/// After a take, the network is in exactly the state that feeding the played notes leads to.
#[test]
fn after_a_take_it_remembers_what_was_played() {
    let mut harness = SessionHarness::new();
    let before = harness.state();
    harness.send(begin(Revision(1), 1.5));
    harness.notes(8);
    harness.send(Message::End(Revision(2), End::CANCELED));
    assert_eq!(harness.state(), before, "a hand-over that was called off leaves no trace");

    for (ahead, generation) in [(30, GENERATION), (200, GENERATION), (30, BUSY), (200, BUSY)] {
        let mut harness = SessionHarness::new();
        harness.send(begin_with(Revision(1), 1.5, generation));
        let notes = harness.notes(ahead);
        let since = notes[19].struck() + 0.0005;
        // The player entered here; the generator received it later and had generated further.
        if ahead == 30 {
            harness.send(end(since));
            let played: Vec<Note> = notes.iter().filter(|note| note.struck() < since).copied().collect();
            assert!(harness.memory.latest().unwrap() <= 1.5 + since);
            assert_eq!(harness.memory.len(), 4 + played.len());
            let log = harness.takes.list();
            assert_eq!(log.len(), 1);
            assert_eq!(log[0].phrase.iter().map(|note| note.onset).collect::<Vec<_>>(), [-1.5, -1.5, -1.1, -0.7]);
            assert_eq!(log[0].notes.len(), played.len());
            assert!(log[0].notes.iter().all(|note| note.end() <= since));
        } else {
            let since = notes[180].struck() + 0.0005;
            harness.send(end(since));
        }
        let mut again = Decoder::new(network());
        harness.memory.warm_up(&mut again);
        assert_eq!(harness.state(), *again.state(), "{ahead} notes ahead");
    }
}

/// A note held at the hand-over first has a duration sampled from the network and finally its actual one, whether
/// or not something was changed meanwhile and whether or not the key was released in time.
#[test]
fn a_held_note_counts_as_long_as_it_was() {
    let held = Note { duration: 0.4, ..note(1.1, 36) };
    for (let_go, changes, count) in [
        (Some(1.3), false, 10),
        (Some(1.3), true, 10),
        (Some(0.45), true, 10),
        (None, false, 10),
        (None, true, 10),
        (Some(1.3), true, 40),
    ] {
        let mut harness = SessionHarness::new();
        harness.send(Message::Held(held));
        let drawn = harness.memory.durations().last().unwrap();
        assert!(drawn >= 0.4);
        harness.send(Message::Finished(note(1.2, 72)));
        harness.send(begin_with(Revision(1), 1.5, GENERATION));
        let notes = harness.notes(60);
        if let Some(duration) = let_go {
            harness.send(Message::HeldEnded(Note { duration, ..held }));
        }
        let since = notes[count - 1].struck() + 0.001;
        if changes {
            let generation = GenerationParams { seed: 6, ..GENERATION };
            harness.send(Message::Change {
                revision: Revision(2),
                since,
                position: POSITION,
                generation,
                length: Length::Open,
            });
            harness.notes(20);
        }
        harness.send(end(since));
        let so_far = 1.5 + since - 1.1;
        let lasted = harness.memory.durations().nth(4).unwrap();
        assert_eq!(lasted, let_go.unwrap_or(drawn.max(so_far)), "it was {drawn} s by the network");
        assert_eq!(harness.takes.list()[0].phrase[4].duration, let_go.unwrap_or(so_far));
        // The network was fed this duration and all that came after it, if that was not too much.
        let mut again = Decoder::new(network());
        harness.memory.warm_up(&mut again);
        assert_eq!(harness.state() == *again.state(), count <= 32, "let go {let_go:?}, changes {changes}");
        harness.send(Message::Undo);
        harness.memory.warm_up(&mut again);
        assert_eq!(harness.state(), *again.state(), "{count} notes, which are taken back");
    }
}

/// After an undo, the next note follows the phrase after the pause before the take, whatever the take's length, its
/// speed and the host's tempo during it.
#[test]
fn a_take_that_is_taken_back_takes_its_time_along() {
    let half = GenerationParams { rhythm: Rhythm { speed: Speed::Half, ..GENERATION.rhythm }, ..GENERATION };
    for (count, generation) in [(10, GENERATION), (700, GENERATION), (300, BUSY), (300, half)] {
        for (slowed, remembered) in [(1.0, true), (2.5, true), (1.0, false)] {
            let mut harness = SessionHarness::new();
            let before = harness.state();
            harness.send(begin_with(Revision(1), 1.5, generation));
            let since = harness.notes(count)[count - 1].struck() + 0.01;
            let at = 1.5 + slowed * since;
            let end = End { at, remembered, ..END };
            harness.send(Message::End(Revision(2), End { limit: since, since, ..end }));
            if remembered {
                harness.send(Message::Undo);
            }
            let latest = harness.memory.latest().unwrap();
            assert!((latest - (at - 0.7)).abs() < 1e-6, "{count} notes: {latest} s at {at} s");
            assert_eq!((harness.memory.len(), harness.state() == before), (4, true), "the phrase is still there");
        }
    }
}

/// The same if the player has joined in: the player's notes stay, at their time and at normal speed.
#[test]
fn what_the_player_has_played_in_a_take_that_is_taken_back_stays_at_its_time() {
    let half = GenerationParams { rhythm: Rhythm { speed: Speed::Half, ..GENERATION.rhythm }, ..GENERATION };
    for (count, generation) in [(10, GENERATION), (10, half), (400, GENERATION)] {
        let mut harness = SessionHarness::new();
        harness.send(begin_with(Revision(1), 1.5, generation));
        let mut joined = Vec::new();
        for revision in 2..5 {
            let latest = harness.notes(count / 2)[count / 2 - 1].struck();
            let since = latest + 0.1;
            let note = Message::Join { revision: Revision(revision), since, from: since, pitch: 80, velocity: 60 };
            harness.send(note);
            harness.send(Message::Leave { since: since + 0.25, pitch: None });
            joined.push(since);
        }
        let since = harness.notes(count)[count - 1].struck() + 0.01;
        harness.send(Message::End(Revision(9), End { limit: since, since, at: 1.5 + since, ..END }));
        harness.send(Message::Undo);
        assert!((harness.memory.latest().unwrap() - (1.5 + joined[2])).abs() < 1e-6, "{count} notes");
        let mut fresh = SessionHarness::new();
        for since in joined {
            fresh.send(Message::Finished(Note { duration: 0.25, velocity: 60, ..note(1.5 + since, 80) }));
        }
        assert_eq!(harness.memory.len(), 7);
        for (step, wanted) in harness.memory.steps().zip(fresh.memory.steps()) {
            assert!((step - wanted).abs() < 1e-6, "{step} s for {wanted} s");
        }
    }
}
