//! Buttons, loaded states and resets at awkward moments.

use super::modes::{OFF, ON, Session};
use super::*;
use crate::link::takes::TakeRecord;

/// Buttons changed by a loaded state do not count as pressed, even while the state is being loaded.
#[test]
fn a_loaded_state_presses_nothing() {
    let mut session = Session::new(settings(|s| s.turn.silence = Silence::Seconds(1.0)), None);
    session.play_phrase();
    session.settings.state = None;
    (session.settings.buttons.forget, session.settings.buttons.go) = (true, true);
    session.wait(160);
    session.settings.state = Some(1);
    session.settings.buttons.panic = true;
    session.wait(160);
    assert_eq!(session.offline.status.counts.turns.get(), 0, "without a call");
    session.wait(16_000);
    assert!(!session.notes(0).is_empty(), "and it has forgotten nothing");
    session.settings.buttons.go = false;
    let now = session.now;
    session.wait(8_000);
    assert!(session.notes(now + 1).is_empty(), "a press is one, still");
}

/// Notes that joined a take need no answer: after a stop there is silence.
#[test]
fn in_a_duet_stop_means_stop() {
    let mut session = Session::new(settings(|s| s.turn.mode = Mode::Duet), None);
    session.play_phrase();
    session.wait(8_000);
    let now = session.now;
    session.until(now + 8_000, &[(now + 10, ON), (now + 900, OFF)]);
    session.settings.buttons.go ^= true;
    let stopped = session.now;
    session.wait(24_000);
    assert!(session.notes(0).len() > 2);
    assert_eq!(session.notes(stopped), vec![]);
    session.play_phrase();
    session.wait(8_000);
    assert!(!session.notes(stopped).is_empty(), "until something new is played");
}

/// Forget and continue pressed at the same moment, long after the beginning: the time restarts correctly.
#[test]
fn what_follows_a_forget_is_in_its_time() {
    let mut session = Session::new(SETTINGS, None);
    session.play_phrase();
    session.wait(60_000);
    (session.settings.buttons.forget, session.settings.buttons.go) = (true, true);
    session.wait(8_000);
    session.settings.buttons.go = false;
    session.wait(160);
    let before = session.offline.status.counts.turns.get();
    session.play_phrase();
    session.wait(4_000);
    assert!(session.offline.status.counts.turns.get() > before, "its ears are not years ahead");
}

/// Turning off sustain output lifts the pedal, even in the middle of a turn.
#[test]
fn sustain_out_acts_at_once() {
    let mut session = Session::new(settings(|s| s.midi.sustain_out = true), None);
    session.play_phrase();
    session.wait(16_000);
    let down = |session: &Session| session.host.moved.last().map(|moved| moved.3);
    while down(&session) != Some(127) {
        session.wait(80);
    }
    session.settings.midi.sustain_out = false;
    session.wait(160);
    assert_eq!(down(&session), Some(0));
    session.wait(16_000);
    assert_eq!(down(&session), Some(0));
}

/// "Reset all controllers" lifts the pedal, and the silence begins.
#[test]
fn a_reset_of_all_controllers_lifts_the_pedal() {
    let controller = |controller, value| PlayerEvent::Controller { channel: 3, controller, value };
    let mut session = Session::new(settings(|s| s.turn.sustain_holds = true), None);
    let now = session.now;
    session.until(now + 16_000, &[(now + 10, controller(64, 127)), (now + 20, ON), (now + 900, OFF)]);
    assert_eq!(session.notes(0), vec![], "the pedal holds the turn");
    let now = session.now;
    session.until(now + 16_000, &[(now + 10, controller(121, 0))]);
    assert!(!session.notes(0).is_empty());
}

/// Plays `count` blocks, the first one with `events`; `notes`: the most notes generated per block.
fn blocks(
    paced: &mut Paced,
    host: &mut Host,
    settings: Settings,
    count: u64,
    events: &[(u32, PlayerEvent)],
    notes: usize,
) {
    for number in 0..count {
        let events = if number == 0 { events } else { &[] };
        let base = host.base + u64::from(host.frames);
        block(&mut paced.audio, &Transport::default(), (base, 160), settings, events, host);
        paced.generate(notes);
    }
}

/// A recorded take with these pitches, one every `step` seconds, each of this duration in seconds.
fn known(pitches: impl Iterator<Item = u8>, step: f64, duration: f64) -> TakeRecord {
    let note =
        |(n, pitch)| notes::Note { onset: 0.1 + step * f64::from(n), spread: 0.0, duration, pitch, velocity: 70 };
    let notes: Vec<_> = (1u32..).zip(pitches).map(note).collect();
    let lasted_s = notes.last().map_or(0.0, |note| note.onset + note.duration);
    TakeRecord { id: 0, seed: 1, number: 1, beats_per_second: 2.0, phrase: vec![], notes, lasted_s, kept: false }
}

/// An older take is chosen while another one plays, whose end is reported after the choice.
#[test]
fn the_take_that_was_chosen_is_heard_again() {
    let (mut paced, mut host) = (Paced::new(), Host::default());
    blocks(&mut paced, &mut host, SETTINGS, 100, &[(10, ON), (150, OFF)], 1000);
    paced.generator.side.memory.choose_replay(paced.generator.side.log.add(known([31, 35, 38].into_iter(), 0.2, 0.1)));
    paced.generator.side.generator_end.request_replay();
    let now = host.base + u64::from(host.frames);
    blocks(&mut paced, &mut host, SETTINGS, 60, &[], 1000);
    let heard: Vec<u8> = host.ons().filter(|sent| sent.0 > now + 160).map(|sent| sent.3).collect();
    assert_eq!(heard, [31, 35, 38]);
}

/// What is remembered of a take that was cut does not depend on how far ahead notes were generated: here with ninety
/// notes per second that all overlap.
#[test]
fn a_take_is_remembered_as_it_was_cut_however_far_ahead_the_thread_was() {
    let play = |notes| {
        let (mut paced, mut host) = (Paced::new(), Host::default());
        blocks(&mut paced, &mut host, SETTINGS, 1, &[], notes);
        paced.generator.side.memory.choose_replay(paced.generator.side.log.add(known(
            (0..400).map(|n| 20 + (n % 90) as u8),
            0.011,
            5.0,
        )));
        paced.generator.side.generator_end.request_replay();
        blocks(&mut paced, &mut host, SETTINGS, 90, &[], notes);
        blocks(&mut paced, &mut host, SETTINGS, 100, &[(10, ON), (150, OFF)], notes);
        assert_eq!(paced.status.counts.late.get() + paced.status.counts.dropped.get(), 0);
        host.sent
    };
    let far = play(1000);
    assert!(far.iter().filter(|sent| sent.0 > 92 * 160).count() > 4, "it continues what it remembers");
    assert_eq!(far, play(2));
}

/// Playing live over a frozen take makes none of its notes late.
#[test]
fn a_frozen_take_waits_for_nobody() {
    let on = PlayerEvent::On { channel: 3, key: 0, velocity: 90 };
    let off = PlayerEvent::Off { channel: Some(3), key: Some(0) };
    let play = |plays: bool| {
        let (mut paced, mut host) = (Paced::new(), Host::default());
        blocks(&mut paced, &mut host, SETTINGS, 1, &[], 1000);
        paced.generator.side.memory.choose_replay(paced.generator.side.log.add(known(
            (0..40).map(|n| 20 + (n * 7 % 90) as u8),
            0.013,
            0.05,
        )));
        paced.generator.side.generator_end.request_replay();
        blocks(&mut paced, &mut host, SETTINGS, 20, &[], 1000);
        let frozen = settings(|s| s.freeze = true);
        blocks(&mut paced, &mut host, frozen, 60, &[], 1000);
        for offset in [0, 31, 77, 110, 159] {
            let events = [(offset, on), (159, off)];
            blocks(&mut paced, &mut host, frozen, 7, if plays { &events } else { &[] }, 1000);
        }
        assert_eq!(paced.status.counts.late.get() + paced.status.counts.dropped.get(), 0);
        host.sent
    };
    let alone = play(false);
    assert!(alone.iter().filter(|sent| sent.0 > 81 * 160).count() > 40);
    assert_eq!(alone, play(true));
}

/// Freeze, thaw and freeze again: everything played up to then repeats, including the rounds of the first freeze.
#[test]
fn a_take_can_be_frozen_again() {
    let (mut paced, mut host) = (Paced::new(), Host::default());
    blocks(&mut paced, &mut host, SETTINGS, 60, &[(10, ON), (150, OFF)], 1000);
    for freeze in [true, false] {
        blocks(&mut paced, &mut host, settings(|s| s.freeze = freeze), 60, &[], 1000);
    }
    let begin = (paced.status.hand_over_s.get() * RATE) as u64;
    let round = host.base + 160 - begin;
    blocks(&mut paced, &mut host, settings(|s| s.freeze = true), 2 * round.div_ceil(160), &[], 1000);
    let keys = |from: u64| -> Vec<u8> {
        host.ons().filter(|sent| (from..from + round).contains(&sent.0)).map(|sent| sent.3).collect()
    };
    assert!(keys(begin).len() > 10);
    assert_eq!(keys(begin + round), keys(begin));
}
