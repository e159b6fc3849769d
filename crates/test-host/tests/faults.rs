//! Accidents of the inference thread, seen from outside: `ANTIPHON_FAULT` brings them about. Needs the bundle,
//! as `bundle.rs` does. One test, since the environment is one.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use test_host::{Account, Audio, Blocks, Event, Output, Pace, Performer, Plugin, Status, Timed};

const RATE: f64 = 48_000.0;
const BLOCK: u32 = 480;

/// An instance whose inference thread will meet with this accident.
fn plugin(fault: &str, offline: bool) -> Plugin {
    // SAFETY: no other thread runs that reads or writes the environment: instances before this one are gone,
    // and this program has one test.
    unsafe { std::env::set_var("ANTIPHON_FAULT", fault) };
    Status::request();
    let mut plugin = Plugin::load(&test_host::find_bundle().unwrap()).unwrap();
    plugin.set("silence", "100").unwrap();
    plugin.set_offline(offline).unwrap();
    plugin.activate(RATE, BLOCK).unwrap();
    plugin
}

/// A short phrase from this sample on.
fn phrase(from: u64) -> Vec<Timed> {
    let note = |number: u64| {
        let (key, at) = (60 + (number * 3 % 12) as u8, from + number * 9_600);
        [Timed { at, event: Event::note_on(0, key, 80) }, Timed { at: at + 7_000, event: Event::note_off(0, key) }]
    };
    (0..4).flat_map(note).collect()
}

/// What is played to a plugin and what came of it, until its status says so, in real time.
struct Session {
    input: Vec<Timed>,
    output: Vec<Output>,
}

impl Session {
    /// Plays a phrase every two seconds until `done`.
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
            // The player's entry ends what sounds.
            let last = phrase(audio.now());
            Performer::new(&last, Blocks::Of(BLOCK), Pace::Offline, None).play_until(
                audio,
                audio.now() + 38_400,
                |_| (),
            )?;
            input.extend(last);
            assert_eq!(audio.violations(), [""; 0]);
            // One on the whole thread: while another panics, a lock of the framework's, around a channel that it looks into
            // after each block, asks whether this one does, and glibc makes the library's thread-local storage for the answer.
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
        assert_eq!(Account::of(&self.input, &self.output).faults(), [""; 0], "{what}");
    }
}

/// The notes of a take, rendered offline.
fn render(fault: &str) -> Vec<(u64, u64, u8, u8)> {
    let mut plugin = plugin(fault, true);
    let input = phrase(0);
    let output = plugin.run(|audio| {
        Performer::new(&input, Blocks::Of(BLOCK), Pace::Offline, None).play_until(audio, 240_000, |_| ())?;
        Ok(audio.take_outputs())
    });
    assert_eq!(plugin.status().unwrap().timeouts, 0, "{fault}");
    let notes = Account::of(&input, &output.unwrap()).notes;
    notes.iter().map(|note| (note.on, note.off, note.key, note.velocity)).collect()
}

#[test]
fn accidents_of_the_inference_thread_end_no_music_of_the_player() {
    // It breaks every other note: three fresh starts, then notes only pass.
    for fault in ["panic@2", "end@2"] {
        let mut plugin = plugin(fault, false);
        let session = Session::play(&mut plugin, |status| status.health == "broken");
        session.assert_well(fault);
        let status = plugin.status().unwrap();
        assert_eq!((status.restarts, status.health.as_str()), (4, "broken"), "{fault}");
        assert!(status.heard > 0);
        // An offline render does not wait for it any more.
        plugin.deactivate();
        plugin.set_offline(true).unwrap();
        plugin.activate(RATE, BLOCK).unwrap();
        let events = phrase(0);
        let play = |audio: &mut Audio| {
            Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, None).play_until(audio, 480_000, |_| ())?;
            Ok(audio.take_outputs())
        };
        let outputs = plugin.run(play).unwrap();
        assert_eq!(Account::of(&events, &outputs).passed, events.len());
        assert_eq!(plugin.status().unwrap().timeouts, 0);
    }

    // It freezes in mid-take: that is seen, and when it wakes up it plays on.
    let mut frozen = plugin("freeze=3@4", false);
    let mut silent = false;
    let session = Session::play(&mut frozen, |status| {
        silent |= status.silence_s > 0.3;
        silent && status.silence_s < 0.1 && status.played > 4
    });
    session.assert_well("a freeze");
    assert!(silent);
    drop(frozen);

    // A hundred times too slow for anything but patience: a render has every note all the same.
    let sound = render("");
    assert!(sound.len() > 4, "{} notes", sound.len());
    assert_eq!(render("slow=100@0"), sound);
}
