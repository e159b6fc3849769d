//! Failures of the generator thread, seen from outside; `ANTIPHON_FAULT` simulates them. Needs a bundle that can: run by
//! `cargo xtask test`, or after `cargo xtask bundle --features=fault-injection`. A single test, because it sets an
//! environment variable.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use test_host::{Audio, Blocks, Event, Output, Pace, Performer, Plugin, SortedOutput, Status, Timed};

const RATE: f64 = 48_000.0;
const BLOCK: u32 = 480;

/// An instance whose generator thread will fail in this way.
fn plugin(fault: &str, offline: bool) -> Plugin {
    // SAFETY: no other thread reads or writes the environment: earlier instances are gone, and this program has only
    // one test.
    unsafe { std::env::set_var("ANTIPHON_FAULT", fault) };
    Status::request();
    let mut plugin = Plugin::load(&test_host::find_bundle().unwrap()).unwrap();
    plugin.set("silence", "100").unwrap();
    plugin.set_offline(offline).unwrap();
    plugin.activate(RATE, BLOCK).unwrap();
    plugin
}

/// A short phrase that starts at this sample.
fn phrase(from: u64) -> Vec<Timed> {
    let note = |number: u64| {
        let (key, at) = (60 + (number * 3 % 12) as u8, from + number * 9_600);
        [Timed { at, event: Event::note_on(0, key, 80) }, Timed { at: at + 7_000, event: Event::note_off(0, key) }]
    };
    (0..4).flat_map(note).collect()
}

/// The input and output of a plugin that is played to in real time until its status meets a condition.
struct Session {
    input: Vec<Timed>,
    output: Vec<Output>,
}

impl Session {
    /// Plays a phrase every two seconds until `done` returns `true`.
    fn play(plugin: &mut Plugin, mut done: impl FnMut(&Status) -> bool) -> Self {
        let over = std::sync::atomic::AtomicBool::new(false);
        let began = Instant::now();
        let play = |audio: &mut Audio| {
            let mut input = Vec::new();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let events = phrase(audio.now());
                let mut performer = Performer::new(&events, Blocks::Of(BLOCK), Pace::RealTime, None);
                performer.play_until(audio, audio.now() + 96_000, |_| ())?;
                input.extend(events);
            }
            // Entering ends the notes that are still sounding.
            let last = phrase(audio.now());
            Performer::new(&last, Blocks::Of(BLOCK), Pace::Offline, None).play_until(
                audio,
                audio.now() + 38_400,
                |_| (),
            )?;
            input.extend(last);
            assert_eq!(audio.violations(), [""; 0]);
            // One heap call on this thread is expected: when another thread panics, a lock in a channel that the
            // framework checks after each block asks whether this thread is panicking, and glibc then allocates the
            // library's thread-local storage.
            assert!(audio.heap_calls() <= 1, "{} calls to the heap", audio.heap_calls());
            Ok(Self { input, output: audio.take_outputs() })
        };
        let watch = |plugin: &mut Plugin| -> Result<()> {
            ensure!(began.elapsed() < Duration::from_secs(120), "it never happens: {:?}", plugin.status()?);
            if done(&plugin.status()?) {
                over.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            Ok(())
        };
        plugin.run_beside(play, watch).unwrap()
    }

    fn assert_well(&self, what: &str) {
        assert_eq!(SortedOutput::of(&self.input, &self.output).faults(), [""; 0], "{what}");
    }
}

/// The notes of a take rendered offline.
fn render(fault: &str) -> Vec<(u64, u64, u8, u8)> {
    let mut plugin = plugin(fault, true);
    let input = phrase(0);
    let output = plugin.run(|audio| {
        Performer::new(&input, Blocks::Of(BLOCK), Pace::Offline, None).play_until(audio, 240_000, |_| ())?;
        Ok(audio.take_outputs())
    });
    assert_eq!(plugin.status().unwrap().timeouts, 0, "{fault}");
    let notes = SortedOutput::of(&input, &output.unwrap()).notes;
    notes.iter().map(|note| (note.on, note.off, note.key, note.velocity)).collect()
}

#[test]
fn accidents_of_the_generator_thread_end_no_music_of_the_player() {
    // It fails every other note: after three restarts, the plugin only passes notes through.
    for fault in ["panic@2", "end@2"] {
        let mut plugin = plugin(fault, false);
        let session = Session::play(&mut plugin, |status| status.health == "broken");
        session.assert_well(fault);
        let status = plugin.status().unwrap();
        assert_eq!((status.restarts, status.health.as_str()), (4, "broken"), "{fault}");
        assert!(status.heard > 0);
        // An offline render no longer waits for it.
        plugin.deactivate();
        plugin.set_offline(true).unwrap();
        plugin.activate(RATE, BLOCK).unwrap();
        let events = phrase(0);
        let play = |audio: &mut Audio| {
            Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, None).play_until(audio, 480_000, |_| ())?;
            Ok(audio.take_outputs())
        };
        let outputs = plugin.run(play).unwrap();
        assert_eq!(SortedOutput::of(&events, &outputs).passed, events.len());
        assert_eq!(plugin.status().unwrap().timeouts, 0);
    }

    // It freezes in the middle of a take: the plugin notices, and continues when it recovers.
    let mut frozen = plugin("freeze=3@4", false);
    let mut silent = false;
    let session = Session::play(&mut frozen, |status| {
        silent |= status.silence_s > 0.3;
        silent && status.silence_s < 0.1 && status.played > 4
    });
    session.assert_well("a freeze");
    assert!(silent);
    drop(frozen);

    // A hundred times slower, which only an offline render waits for: it must still have every note.
    let sound = render("");
    assert!(sound.len() > 4, "{} notes", sound.len());
    assert_eq!(render("slow=100@0"), sound);
}
