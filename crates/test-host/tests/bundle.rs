//! Tests of the built `.clap` from outside: what a musician and a DAW must be able to rely on.
//!
//! Needs the bundle: run by `cargo xtask test`, or after `cargo xtask bundle`. Everything is played offline unless a
//! test says otherwise, so nothing depends on the machine's speed.

use anyhow::Result;
use test_host::{Audio, Blocks, Event, Output, Pace, Performer, PlayedNote, Plugin, SortedOutput, Timed, Timeline};

const RATE: f64 = 48_000.0;
/// The longest block that the tests use, in samples.
const MAX_BLOCK: u32 = 4096;
/// The silence before a hand-over that the tests set.
const SILENCE_MS: u32 = 300;
/// Length of a continuation that is long enough to be meaningful, in seconds.
const LONG_S: f64 = 20.0;

fn samples(seconds: f64) -> u64 {
    (seconds * RATE).round() as u64
}

/// A broken chord up and down and a cadence, slightly uneven: two seconds of music.
fn phrase() -> Vec<Timed> {
    let mut events = Vec::new();
    let mut play = |on: f64, off: f64, key: u8, velocity: u8| {
        events.push(Timed { at: samples(on), event: Event::note_on(0, key, velocity) });
        events.push(Timed { at: samples(off), event: Event::note_off(0, key) });
    };
    for (index, key) in [60, 64, 67, 72, 67, 64, 62, 65].into_iter().enumerate() {
        let on = 0.1 + 0.17 * index as f64 + 0.004 * f64::from(key % 3);
        play(on, on + 0.21, key, 60 + key % 20);
    }
    for (index, key) in [48, 55, 59, 65].into_iter().enumerate() {
        play(1.55 + 0.006 * index as f64, 2.0, key, 70);
    }
    events.sort_by_key(|timed| timed.at);
    events
}

/// Sample at which the plugin takes the turn after [`phrase`].
fn hand_over() -> u64 {
    let end = phrase().last().map_or(0, |timed| timed.at);
    end + samples(f64::from(SILENCE_MS) / 1000.0)
}

/// An instance with its parameters set, not active.
fn plugin(seed: u32) -> Plugin {
    let set_up = || -> Result<Plugin> {
        let mut plugin = Plugin::load(&test_host::find_bundle()?)?;
        plugin.set("seed", &seed.to_string())?;
        plugin.set("silence", &SILENCE_MS.to_string())?;
        plugin.set_offline(true)?;
        Ok(plugin)
    };
    set_up().expect("the bundle must load and be set up")
}

/// Activates an instance and plays `events` to it until `end`, with a rolling transport; returns its output.
fn perform(plugin: &mut Plugin, events: &[Timed], blocks: Blocks, end: u64) -> Vec<Output> {
    let play = |audio: &mut Audio| {
        let mut performer = Performer::new(events, blocks, Pace::Offline, Some(Timeline::rolling(120.0)));
        performer.play_until(audio, end, |_| ())?;
        assert_eq!(audio.violations(), [""; 0]);
        Ok(audio.take_outputs())
    };
    plugin.activate(RATE, MAX_BLOCK).expect("the plugin must activate");
    plugin.run(play).expect("the plugin must process")
}

/// The continuation of `events` by a new instance: its notes, without those still sounding at the end.
fn continuation(seed: u32, events: &[Timed], blocks: Blocks) -> Vec<PlayedNote> {
    let end = hand_over() + samples(LONG_S);
    let account = SortedOutput::of(events, &perform(&mut plugin(seed), events, blocks, end));
    assert_eq!(account.lost, []);
    assert_eq!(account.stray, []);
    account.notes
}

/// Times, key and velocity of notes, without the number of the block that sent each.
fn music(notes: &[PlayedNote]) -> Vec<(u64, u64, u8, u8)> {
    notes.iter().map(|note| (note.on, note.off, note.key, note.velocity)).collect()
}

#[test]
fn a_phrase_passes_and_goes_on() {
    let notes = continuation(1, &phrase(), Blocks::Of(512));
    assert!(notes.len() >= 5, "only {} notes in {LONG_S} s", notes.len());
    let first = notes[0].on;
    assert!(first >= hand_over(), "it plays at {first}, before its turn at {}", hand_over());
    assert!(notes.iter().all(|note| note.off > note.on && note.velocity > 0 && note.key < 128));
}

#[test]
fn block_sizes_do_not_matter_but_seeds_do() {
    let reference = music(&continuation(1, &phrase(), Blocks::Of(512)));
    let sizes = [1, 17, 64, 480, 1024, MAX_BLOCK].map(Blocks::Of);
    for blocks in sizes.into_iter().chain([Blocks::Cycle(vec![3, 700, 1, 64, 2027])]) {
        let notes = music(&continuation(1, &phrase(), blocks.clone()));
        // A note that ends within the last samples may not be complete in every render.
        let common = notes.len().min(reference.len());
        assert!(common + 1 >= notes.len().max(reference.len()), "{blocks:?}: {} notes", notes.len());
        for (one, other) in notes.iter().zip(&reference) {
            let near = one.0.abs_diff(other.0) <= 1 && one.1.abs_diff(other.1) <= 1;
            assert!(near && one.2 == other.2 && one.3 == other.3, "{blocks:?}: {one:?} for {other:?}");
        }
    }
    assert_ne!(music(&continuation(2, &phrase(), Blocks::Of(512))), reference);
}

#[test]
fn gives_way_within_the_block_and_comes_back() {
    // The player repeatedly enters in the middle of the continuation, at irregular times.
    let mut events = phrase();
    let mut entries = Vec::new();
    let mut at = hand_over();
    for step in 0..12_u64 {
        at += samples(0.4) + step * 7_919;
        let key = 50 + step as u8;
        let off = at + samples(0.15);
        events.push(Timed { at, event: Event::note_on(0, key, 80) });
        events.push(Timed { at: off, event: Event::note_off(0, key) });
        entries.push((at, off + samples(f64::from(SILENCE_MS) / 1000.0)));
        at = off + samples(f64::from(SILENCE_MS) / 1000.0);
    }
    let mut instance = plugin(3);
    let outputs = perform(&mut instance, &events, Blocks::Of(480), at + samples(1.0));
    let account = SortedOutput::of(&events, &outputs);
    assert_eq!(account.lost, []);
    assert_eq!(account.stray, []);
    for (entry, turn) in entries {
        for note in &account.notes {
            let sounds = note.on < turn && note.off > entry;
            assert!(!sounds, "{note:?} sounds in the player's turn from {entry} to {turn}");
        }
    }
    assert!(!account.notes.is_empty());
}

/// Plays the phrase, lets the plugin continue until a note is sounding, calls `interrupt`, which must process two more
/// blocks, and asserts that no note sounds any more.
fn ends_everything(interrupt: impl FnOnce(&mut Performer, &mut Audio) -> Result<()> + Send) {
    const BLOCK: u32 = 256;
    let events = phrase();
    let mut instance = plugin(1);
    instance.activate(RATE, MAX_BLOCK).unwrap();
    let play = |audio: &mut Audio| {
        let rolling = Some(Timeline::rolling(120.0));
        let mut performer = Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, rolling);
        let latest = hand_over() + samples(60.0);
        let mut end = hand_over();
        loop {
            performer.play_until(audio, end, |_| ())?;
            if !SortedOutput::of(&events, audio.outputs()).hanging.is_empty() {
                break;
            }
            assert!(end < latest, "in a whole minute nothing sounds");
            end += u64::from(BLOCK);
        }
        interrupt(&mut performer, audio)?;
        let account = SortedOutput::of(&events, audio.outputs());
        assert_eq!(account.hanging, []);
        assert_eq!(account.stray, []);
        Ok(())
    };
    instance.run(play).unwrap();
}

/// Processes two blocks of 256 samples.
fn two_blocks(performer: &mut Performer, audio: &mut Audio) -> Result<()> {
    performer.play_until(audio, audio.now() + 512, |_| ())
}

#[test]
fn nothing_hangs_when_the_transport_stops() {
    ends_everything(|performer, audio| {
        performer.timeline.as_mut().unwrap().playing = false;
        two_blocks(performer, audio)
    });
}

#[test]
fn nothing_hangs_after_a_reset() {
    ends_everything(|performer, audio| {
        audio.reset();
        two_blocks(performer, audio)
    });
}

#[test]
fn nothing_hangs_when_it_is_bypassed() {
    let on = plugin(1).param_event("bypass", "Bypassed").unwrap();
    ends_everything(move |_, audio| {
        let now = audio.now();
        audio.block(256, &[Timed { at: now, event: on }], Some(&Timeline::rolling(120.0)))?;
        audio.block(256, &[], Some(&Timeline::rolling(120.0)))?;
        Ok(())
    });
}

#[test]
fn nothing_hangs_when_the_hosts_queue_is_full_for_a_while() {
    ends_everything(|performer, audio| {
        audio.refuse_when(|_| true);
        performer.timeline.as_mut().unwrap().playing = false;
        performer.play_until(audio, audio.now() + 1024, |_| ())?;
        assert!(audio.refused() > 0);
        audio.refuse_nothing();
        two_blocks(performer, audio)
    });
}

#[test]
fn what_sounded_before_a_deactivation_ends_in_the_first_block_after_it() {
    let events = phrase();
    let mut instance = plugin(1);
    let mut end = hand_over() + samples(2.0);
    let before = loop {
        let outputs = perform(&mut instance, &events, Blocks::Of(256), end);
        let hanging = SortedOutput::of(&events, &outputs).hanging;
        instance.deactivate();
        if !hanging.is_empty() {
            break hanging;
        }
        end += samples(0.5);
    };
    let after = perform(&mut instance, &[], Blocks::Of(256), 256);
    let mut ended: Vec<Event> = after.iter().map(|output| output.event).collect();
    for output in before {
        let Event::NoteOn { channel, key, .. } = output.event else { panic!("{output:?}") };
        let off =
            |event: &Event| matches!(event, Event::NoteOff { channel: c, key: k, .. } if (*c, *k) == (channel, key));
        let index = ended.iter().position(off).unwrap_or_else(|| panic!("{output:?} hangs: {ended:?}"));
        ended.remove(index);
    }
    assert_eq!(ended, []);
}

#[test]
fn a_saved_state_brings_everything_back() {
    let mut first = plugin(77);
    first.set("temp", "0.8").unwrap();
    let state = first.save_state().unwrap();
    let mut second = plugin(1);
    second.load_state(&state).unwrap();
    for parameter in ["seed", "silence", "temp", "bypass", "turn"] {
        assert_eq!(first.text(parameter).unwrap(), second.text(parameter).unwrap());
    }
    assert_eq!(second.save_state().unwrap(), state);
    let end = hand_over() + samples(LONG_S);
    let of = |plugin: &mut Plugin| perform(plugin, &phrase(), Blocks::Of(512), end);
    assert_eq!(of(&mut first), of(&mut second));
}

#[test]
fn real_time_faster_than_any_machine_leaves_nothing_hanging() {
    // In real time the plugin never waits for its model: no matter what is late, each note-on must have its note-off.
    let events = phrase();
    let mut instance = plugin(1);
    instance.set_offline(false).unwrap();
    instance.activate(RATE, MAX_BLOCK).unwrap();
    let end = hand_over() + samples(60.0);
    let outputs = instance.run(|audio| {
        let rolling = Some(Timeline::rolling(120.0));
        let mut performer = Performer::new(&events, Blocks::Of(64), Pace::Offline, rolling);
        performer.play_until(audio, end, |_| ())?;
        performer.timeline.as_mut().unwrap().playing = false;
        two_blocks(&mut performer, audio)?;
        assert_eq!(audio.violations(), [""; 0]);
        Ok(audio.take_outputs())
    });
    let account = SortedOutput::of(&events, &outputs.unwrap());
    assert_eq!(account.faults(), [""; 0]);
}
