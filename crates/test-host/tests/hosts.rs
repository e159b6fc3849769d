//! What hosts do around and inside blocks, tested on the built `.clap`: they pause processing, and send transport
//! events in the middle of a block. Needs the bundle, like `bundle.rs`; offline, so nothing depends on the machine's
//! speed. `vst3.rs` has similar tests for the VST3.

use test_host::{Audio, Blocks, Change, Output, Pace, Performer, PlayedNote, Plugin, SortedOutput, Timed, Timeline};

mod common;
use common::{RATE, phrase, samples};

/// A new active instance with these settings, offline.
fn plugin(settings: &[(&str, &str)]) -> Plugin {
    let mut plugin = Plugin::load(&test_host::find_bundle().unwrap()).unwrap();
    for (id, text) in [("silence", "300")].iter().chain(settings) {
        plugin.set(id, text).unwrap();
    }
    plugin.set_offline(true).unwrap();
    plugin.activate(RATE, 2_048).unwrap();
    plugin
}

/// Plays `events` to a new instance with `perform`, until `end` in seconds; returns its output.
fn play(
    settings: &[(&str, &str)],
    events: &[Timed],
    end: f64,
    perform: impl FnOnce(Performer, &mut Audio, u64) -> anyhow::Result<()> + Send,
) -> Vec<Output> {
    let outputs = plugin(settings).run(|audio| {
        let performer = Performer::new(events, Blocks::Of(512), Pace::Offline, Some(Timeline::rolling(120.0)));
        perform(performer, audio, samples(end))?;
        assert_eq!((audio.violations(), audio.heap_calls()), (&[][..], 0));
        Ok(audio.take_outputs())
    });
    outputs.unwrap()
}

/// The plugin's own notes that have ended: times, key and velocity.
fn music(events: &[Timed], outputs: &[Output]) -> Vec<(u64, u64, u8, u8)> {
    let of = |note: &PlayedNote| (note.on, note.off, note.key, note.velocity);
    SortedOutput::of(events, outputs).notes.iter().map(of).collect()
}

#[test]
fn pauses_of_processing_change_nothing() {
    // The second phrase is played across pauses, and answered.
    let events = [phrase(0.1), phrase(6.0)].concat();
    for settings in [&[][..], &[("mode", "duet")], &[("strength", "100"), ("turn", "notes"), ("notes", "12")]] {
        let played = |every: Option<u64>| {
            play(settings, &events, 16.0, |mut performer, audio, end| {
                while audio.now() < end {
                    if every.is_some_and(|every| audio.block_number() % every == 0) {
                        audio.restart()?;
                    }
                    performer.play_until(audio, audio.now() + 512, |_| ())?;
                }
                Ok(())
            })
        };
        let whole = played(None);
        assert!(music(&events, &whole).len() > 15, "{settings:?}");
        for every in [1, 50] {
            assert_eq!(played(Some(every)), whole, "paused every {every} blocks, {settings:?}");
        }
    }
}

/// A pause during which the host stops its transport counts as a stop, and one during which it jumps as a jump:
/// sounding notes end at the first sample after it, and only after a jump does the take continue. After a reset,
/// everything ends and is forgotten.
#[test]
fn what_must_end_ends_at_the_first_sample_after_a_pause() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Meanwhile {
        Stop,
        Jump,
        Reset,
    }
    let events = phrase(0.1);
    for meanwhile in [Meanwhile::Stop, Meanwhile::Jump, Meanwhile::Reset] {
        let outputs = play(&[], &events, 12.0, |mut performer, audio, end| {
            performer.play_until(audio, samples(3.0), |_| ())?;
            while SortedOutput::of(&events, audio.outputs()).hanging.is_empty() {
                assert!(audio.now() < end, "nothing sounds");
                performer.play_until(audio, audio.now() + 512, |_| ())?;
            }
            let pause = audio.now();
            let sounding = SortedOutput::of(&events, audio.outputs()).hanging.len();
            let timeline = performer.timeline.as_mut().unwrap();
            match meanwhile {
                Meanwhile::Stop => timeline.playing = false,
                Meanwhile::Jump => timeline.change(Change::Jump(77.0)),
                Meanwhile::Reset => audio.reset(),
            }
            audio.restart()?;
            performer.play_until(audio, end, |_| ())?;
            let account = SortedOutput::of(&events, audio.outputs());
            assert_eq!(account.notes.iter().filter(|note| note.on < pause && note.off >= pause).count(), sounding);
            assert!(account.notes.iter().all(|note| note.on >= pause || note.off <= pause), "{meanwhile:?}");
            let after = account.notes.iter().filter(|note| note.on >= pause).count();
            assert_eq!(after > 3, meanwhile == Meanwhile::Jump, "{meanwhile:?}: {after} notes after it");
            Ok(())
        });
        assert!(!outputs.is_empty());
    }
}

/// Transport changes without effect, at these offsets in every block of 2,048 samples.
fn tempo_again(samples: &[u64], end: u64) -> Vec<(u64, Change)> {
    let blocks = (0..end).step_by(2_048);
    blocks.flat_map(|block| samples.iter().map(move |at| (block + at, Change::Tempo(120.0)))).collect()
}

#[test]
fn a_transport_told_of_in_the_middle_of_a_block_is_no_jump() {
    // Two phrases, up to the bar line at which the plugin's turn begins in *trade*.
    let events = [phrase(0.1), phrase(2.1)].concat();
    let (grid, trade) = (("strength", "100"), [("mode", "trade"), ("yours", "2"), ("mine", "2"), ("seed", "3")]);
    for settings in [&[][..], &[grid], &trade] {
        let end = 14.0;
        let played = |places: &[u64]| {
            let changes = tempo_again(places, samples(end));
            let outputs = plugin(settings).run(|audio| {
                let rolling = Some(Timeline::rolling(120.0));
                let performer = Performer::new(&events, Blocks::Of(2_048), Pace::Offline, rolling);
                performer.with_changes(&changes, false).with_transport_events().play_until(
                    audio,
                    samples(end),
                    |_| (),
                )?;
                assert_eq!((audio.violations(), audio.heap_calls()), (&[][..], 0));
                Ok(audio.take_outputs())
            });
            music(&events, &outputs.unwrap())
        };
        let untold = played(&[]);
        assert!(untold.len() > 10, "{settings:?}: {} notes", untold.len());
        for places in [&[1_024][..], &[1, 500, 1_024, 1_025, 2_047]] {
            assert_eq!(played(places), untold, "told of at {places:?}, {settings:?}");
        }
    }
}

/// A host that sends changes as events at their samples and one that splits its blocks there must give the same music.
#[test]
fn changes_told_of_in_the_middle_of_a_block_happen_at_their_own_sample() {
    let events = phrase(0.1);
    let at = |seconds: f64, samples: u64| (common::samples(seconds) / 2_048 * 2_048) + samples;
    let changes = [
        (at(3.0, 700), Change::Tempo(90.0)),
        (at(4.5, 1_500), Change::Tempo(150.0)),
        (at(6.0, 300), Change::Jump(40.25)),
        (at(6.0, 900), Change::Jump(41.0)),
        (at(8.0, 2_000), Change::Stop),
        (at(9.0, 1_000), Change::Start),
    ];
    for settings in [&[][..], &[("strength", "100")], &[("mode", "alone")]] {
        let played = |tells: bool| {
            let outputs = plugin(settings).run(|audio| {
                let rolling = Some(Timeline::rolling(120.0));
                let performer = Performer::new(&events, Blocks::Of(2_048), Pace::Offline, rolling);
                let performer = performer.with_changes(&changes, true);
                let mut performer = if tells { performer.with_transport_events() } else { performer };
                performer.play_until(audio, samples(12.0), |_| ())?;
                assert_eq!(audio.violations(), [""; 0]);
                Ok(audio.take_outputs())
            });
            music(&events, &outputs.unwrap())
        };
        let cut = played(false);
        assert!(cut.len() > 10, "{settings:?}: {} notes", cut.len());
        assert_eq!(played(true), cut, "{settings:?}");
    }
}
