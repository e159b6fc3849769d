//! Every queue gets ten times its capacity: nothing waits, and whole notes are dropped and counted.
//! The schedule, the ledger and the listener alone are tested in `notes`; the host's queue in
//! `crates/test-host/tests/refusing.rs`.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::generator::memory::PhraseHistory;
use crate::generator::session::NetworkSession;
use crate::link::keyboard::{KeyboardEvent, keyboard_link};
use crate::link::messages::{Begin, Generated, Message, Revision, Source, TimelinePosition};
use crate::link::queues::link;
use crate::link::takes::{Request, TAKES, TakeRecord, takes};
use notes::Note;

/// Ten times as many notes and turn changes as the queue holds, while nothing reads it: nothing waits, every
/// note is sent whole or dropped and counted, and afterwards both sides agree again.
#[test]
fn ten_times_too_much_is_dropped_whole_and_counted() {
    const NOTES: u64 = 10 * 2_048;
    let mut paced = Paced::new();
    let mut host = Host::default();
    let on = |key| PlayerEvent::On { channel: 0, key, velocity: 90 };
    let off = |key| PlayerEvent::Off { channel: Some(0), key: Some(key) };
    let mut settings = SETTINGS;
    let mut base = 0;
    for number in 0..NOTES {
        let key = 40 + (number % 40) as u8;
        // Every change of this button swaps the turns.
        settings.buttons.go = number % 2 == 0;
        block(
            &mut paced.audio,
            &Transport::default(),
            (base, 400),
            settings,
            &[(0, on(key)), (300, off(key))],
            &mut host,
        );
        base += 400;
    }
    block(&mut paced.audio, &Transport::default(), (base, 400), settings, &[], &mut host);
    base += 400;
    let (heard, dropped) = (paced.status.counts.heard.get(), paced.status.counts.overflows.get());
    assert_eq!(heard + dropped, NOTES);
    assert!(dropped > NOTES / 2, "{dropped} dropped");

    paced.generate(64);
    assert!(paced.generator.side.memory.len() as u64 <= heard.min(512), "the memory has room for so many");
    let before = host.ons().count();
    for number in 0..200 {
        let events: &[(u32, PlayerEvent)] = if number == 0 { &[(0, on(60)), (300, off(60))] } else { &[] };
        block(&mut paced.audio, &Transport::default(), (base, 400), settings, events, &mut host);
        base += 400;
        paced.generate(64);
    }
    assert!(host.ons().count() > before, "it plays again");
    assert_eq!(paced.status.counts.overflows.get(), dropped, "nothing more is dropped");
}

/// Above a held bass note, ten times as many notes as may wait for its end: some are dropped and counted.
#[test]
fn what_the_listener_has_no_room_for_is_counted() {
    const NOTES: u64 = 10 * notes::listener::CAPACITY as u64;
    let mut paced = Paced::new();
    let mut host = Host::default();
    let on = |key| PlayerEvent::On { channel: 0, key, velocity: 90 };
    let off = |key| PlayerEvent::Off { channel: Some(0), key: Some(key) };
    let mut play = |paced: &mut Paced, number: u64, events: &[(u32, PlayerEvent)]| {
        block(&mut paced.audio, &Transport::default(), (number * 6, 6), SETTINGS, events, &mut host);
        paced.generate(0);
    };
    play(&mut paced, 0, &[(0, on(30))]);
    for number in 1..=NOTES {
        // No key twice in a chord: those would be one note.
        let key = 40 + (number % 60) as u8;
        play(&mut paced, number, &[(0, on(key)), (3, off(key))]);
    }
    play(&mut paced, NOTES + 1, &[(0, off(30))]);
    (NOTES + 2..NOTES + 100).for_each(|number| play(&mut paced, number, &[]));
    let (heard, dropped) = (paced.status.counts.heard.get(), paced.status.counts.overflows.get());
    assert_eq!(heard + dropped, NOTES + 1);
    assert!(dropped > NOTES / 2 && heard >= notes::listener::CAPACITY as u64, "{dropped} dropped, {heard} heard");
}

/// Nothing reads the generated notes: generation stops, and no note is lost.
#[test]
fn generated_notes_wait_for_room() {
    let (mut audio_end, mut generator_end) = link();
    let (mut memory, status) = (PhraseHistory::default(), Status::default());
    let mut session = NetworkSession::new(network(), &mut memory);
    let position = TimelinePosition { beats_per_second: 2.0, beat: 0.0, bar: 4.0, running: true };
    let (revision, source, called) = (Revision(1), Source::Continue, false);
    audio_end.send_command(Message::Begin(Begin {
        revision,
        at: 1.0,
        number: 0,
        source,
        called,
        position,
        length: Length::Open,
        generation: GENERATION,
    }));
    session.process_messages(&mut generator_end, &mut memory, &mut takes().0, &status, &AtomicBool::new(false));
    // Progress far ahead, so that the look-ahead is no limit, however slow the music.
    audio_end.set_progress(1e6);
    let mut indices = Vec::new();
    for _ in 0..10 {
        let generated = (0..2_560).filter(|_| session.generate_next(&mut generator_end, &memory, &status)).count();
        assert_eq!(generated, 256);
        indices.extend(std::iter::from_fn(|| audio_end.receive_note()).map(|note| note.index));
    }
    assert!(indices.into_iter().eq(0..2_560));
}

/// A faulty generator sends ten times as many notes as the look-ahead holds.
#[test]
fn a_look_ahead_without_room_is_counted_and_what_sounds_ends() {
    const NOTES: u32 = 5_120;
    let mut paced = Paced::new();
    let mut host = Host::default();
    let on = PlayerEvent::On { channel: 0, key: 60, velocity: 90 };
    let off = PlayerEvent::Off { channel: Some(0), key: Some(60) };
    block(&mut paced.audio, &Transport::default(), (0, 400), SETTINGS, &[(0, on), (300, off)], &mut host);
    let mut base = 400;
    let mut revision = Revision(0);
    while paced.status.counts.turns.get() == 0 {
        block(&mut paced.audio, &Transport::default(), (base, 80), SETTINGS, &[], &mut host);
        base += 80;
        while let Some(message) = paced.generator.side.generator_end.next_message() {
            if let Message::Begin(begin) = message {
                revision = begin.revision;
            }
        }
    }
    for index in 0..NOTES {
        let onset = 5.0 + f64::from(index) * 1e-3;
        let note = Note { onset, spread: 0.0, duration: 0.5, pitch: (index % 128) as u8, velocity: 80 };
        assert!(paced.generator.side.generator_end.send_note(Generated { revision, index, note: Some(note) }));
        if index % 64 == 63 {
            block(&mut paced.audio, &Transport::default(), (base, 8), SETTINGS, &[], &mut host);
            base += 8;
        }
    }
    let dropped = paced.status.counts.overflows.get();
    assert_eq!(dropped, u64::from(NOTES) - 512);
    for _ in 0..200 {
        block(&mut paced.audio, &Transport::default(), (base, 400), SETTINGS, &[], &mut host);
        base += 400;
    }
    assert_eq!((host.ons().count(), host.sounding()), (512, vec![]));
}

/// The on-screen keyboard while no audio is running: keys that went down can come up.
#[test]
fn a_full_keyboard_queue_leaves_no_key_down() {
    let (mut sender, mut receiver) = keyboard_link();
    let mut down = Vec::new();
    for key in (0..128).cycle().take(640) {
        if sender.send(KeyboardEvent { key, velocity: 80 }) {
            down.push(key);
        }
    }
    assert_eq!(down.len(), 32);
    assert!(down.iter().all(|&key| sender.send(KeyboardEvent { key, velocity: 0 })));
    assert!(!sender.send(KeyboardEvent { key: 0, velocity: 0 }));
    let ups = std::iter::from_fn(|| receiver.pop()).filter(|event| event.velocity == 0);
    assert_eq!(ups.map(|event| event.key).collect::<Vec<_>>(), down);
}

/// More takes than the log holds, and more requests than can wait.
#[test]
fn takes_make_room_and_clicks_are_refused() {
    let (mut log, takes) = takes();
    let phrase = vec![Note { onset: -1.0, spread: 0.0, duration: 0.3, pitch: 60, velocity: 70 }];
    let record = TakeRecord {
        id: 0,
        seed: 1,
        number: 1,
        beats_per_second: 2.0,
        phrase,
        notes: vec![],
        lasted_s: 1.0,
        kept: false,
    };
    for _ in 0..10 * TAKES {
        log.add(record.clone());
    }
    let list = takes.list();
    assert_eq!((list.len(), list[0].id), (TAKES, 9 * TAKES as u64 + 1));
    assert!(list.iter().all(|take| take.phrase == record.phrase), "each is whole");
    let last = Request::Replay(10 * TAKES as u64);
    assert_eq!((0..640).filter(|_| takes.request(last)).count(), 64);
    assert!(log.handle_requests().is_some());
    assert!(takes.request(last), "there is room again");
}

/// More changes than the queue to the generator holds, in a duet, where nothing but the take's end gives the turn back: the
/// generator abandons the take, so it is over, and the next phrase is answered.
#[test]
fn a_take_that_the_generator_abandoned_is_over() {
    let duet = settings(|s| s.turn.mode = Mode::Duet);
    let mut paced = Paced::new();
    let mut host = Host::default();
    let on = PlayerEvent::On { channel: 0, key: 60, velocity: 90 };
    let off = PlayerEvent::Off { channel: Some(0), key: Some(60) };
    let mut base = 0;
    let mut play = |paced: &mut Paced, settings, events: &[(u32, PlayerEvent)]| {
        block(&mut paced.audio, &Transport::default(), (base, 400), settings, events, &mut host);
        base += 400;
    };
    for turns in 1..=2 {
        play(&mut paced, duet, &[(0, on), (300, off)]);
        for _ in 0..100 {
            play(&mut paced, duet, &[]);
            paced.generate(64);
        }
        assert_eq!(paced.status.counts.turns.get(), turns);
        for change in 0..3_000 {
            let mut changed = duet;
            changed.generation.top_p = if change % 2 == 0 { 0.9 } else { 1.0 };
            play(&mut paced, changed, &[]);
        }
        paced.generate(64);
    }
}
