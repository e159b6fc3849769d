//! A host whose output queue refuses half of all events. Needs the bundle, like `bundle.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use test_host::{Audio, Blocks, Event, Output, Pace, Performer, Plugin, SortedOutput, Status, Timed, Timeline};

const RATE: f64 = 48_000.0;
const BLOCK: u32 = 256;

/// Events that the queue was offered, in order: block, event, whether it was refused.
type Offers = Vec<(u64, Event, bool)>;

/// A player who repeatedly enters: three notes each time, then silence in which the plugin plays.
fn entries() -> Vec<Timed> {
    let mut events = Vec::new();
    for entry in 0..20_u64 {
        for finger in 0..3_u64 {
            let (key, at) = (50 + (entry * 5 + finger * 4) as u8 % 30, entry * 60_000 + finger * 2_000);
            events.push(Timed { at, event: Event::note_on(0, key, 80) });
            events.push(Timed { at: at + 5_000, event: Event::note_off(0, key) });
        }
    }
    events.sort_by_key(|timed| timed.at);
    events
}

/// Plays to a queue that refuses events according to `refuse`; then the queue accepts everything, and the transport
/// stops.
fn play(mut refuse: impl FnMut(&Output) -> bool + Send + 'static) -> (Offers, Vec<Output>) {
    let mut plugin = Plugin::load(&test_host::find_bundle().unwrap()).unwrap();
    plugin.set("silence", "150").unwrap();
    plugin.set_offline(true).unwrap();
    plugin.activate(RATE, BLOCK).unwrap();
    let offers = Arc::new(Mutex::new(Offers::new()));
    let log = offers.clone();
    let outputs = plugin
        .run(|audio| {
            audio.refuse_when(move |output| {
                let refused = refuse(output);
                log.lock().unwrap().push((output.block, output.event, refused));
                refused
            });
            let events = entries();
            let mut performer =
                Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, Some(Timeline::rolling(120.0)));
            performer.play_until(audio, 1_250_000, |_| ())?;
            audio.refuse_nothing();
            performer.timeline.as_mut().unwrap().playing = false;
            performer.play_until(audio, audio.now() + 2 * u64::from(BLOCK), |_| ())?;
            assert_eq!(audio.violations(), [""; 0]);
            assert_eq!(audio.heap_calls(), 0);
            Ok(audio.take_outputs())
        })
        .unwrap();
    drop(plugin);
    (Arc::into_inner(offers).unwrap().into_inner().unwrap(), outputs)
}

/// Asserts that every refused note-off is accepted within two blocks of the next event that the queue accepts.
fn assert_soon(offers: &Offers) {
    // By (channel, key): the block of the first accepted event since the refusal.
    let mut owed: BTreeMap<(u8, u8), Option<u64>> = BTreeMap::new();
    for &(block, event, refused) in offers {
        let note = event.note();
        if refused {
            if let Some((false, place)) = note {
                owed.entry(place).or_default();
            }
            continue;
        }
        for first in owed.values_mut() {
            first.get_or_insert(block);
        }
        if let Some((false, place)) = note {
            owed.remove(&place);
        }
        for (place, first) in &owed {
            assert!(first.is_none_or(|first| block <= first + 2), "{place:?} has no end in block {block}: {first:?}");
        }
    }
}

/// Whether the host refuses an event.
type Refuse = Box<dyn FnMut(&Output) -> bool + Send>;

#[test]
fn note_offs_come_soon_and_refused_notes_never_sound() {
    let mut luck = 3_u64;
    let mut other = 0_u64;
    let refusals: [(&str, Refuse); 3] = [
        (
            "every second event",
            Box::new(move |_| {
                other += 1;
                other.is_multiple_of(2)
            }),
        ),
        (
            "half of them, at random",
            Box::new(move |_| {
                luck = luck.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                luck >> 63 == 1
            }),
        ),
        ("three blocks of six", Box::new(|output| output.block % 6 < 3)),
    ];
    for (name, refuse) in refusals {
        let (offers, outputs) = play(refuse);
        let refused = offers.iter().filter(|offer| offer.2).count();
        assert!(refused > 100, "{name}: only {refused} refusals");
        assert_soon(&offers);
        // The player's notes may be late, so they cannot be told apart from the plugin's; but each must have one
        // note-off.
        let account = SortedOutput::of(&[], &outputs);
        assert_eq!(account.faults(), [""; 0], "{name}");
        assert!(account.notes.len() > 100, "{name}: only {} notes", account.notes.len());
    }
}

/// The queue refuses everything while ten times as many events arrive as can be buffered: nothing blocks, dropped
/// events are counted, the rest arrives in order, and released keys and pedals end up released.
#[test]
fn ten_times_more_than_can_wait_leaves_nothing_sounding() {
    const WAITING: u64 = 1_024;
    Status::request();
    let mut plugin = Plugin::load(&test_host::find_bundle().unwrap()).unwrap();
    plugin.set_offline(true).unwrap();
    plugin.activate(RATE, BLOCK).unwrap();
    let (outputs, input) = plugin
        .run(|audio| {
            let mut input = 0;
            let mut play = |audio: &mut Audio, events: &[Event]| {
                let at = audio.now();
                let timed: Vec<Timed> = (at..).zip(events).map(|(at, event)| Timed { at, event: *event }).collect();
                input += events.len() as u64;
                audio.block(BLOCK, &timed, None).map(drop)
            };
            audio.refuse_when(|_| true);
            for round in 0..2 * WAITING {
                let key = 30 + (round % 60) as u8;
                let down = [Event::note_on(0, key, 80), Event::Midi([0xb0, 64, 127]), Event::Midi([0xe0, 0, key])];
                let up = [Event::note_off(0, key), Event::Midi([0xb0, 64, 0])];
                play(audio, &[&down[..], &up].concat())?;
            }
            // The queue accepts one event per block, then everything; meanwhile, the player continues.
            let mut block = 0;
            audio.refuse_when(move |output| std::mem::replace(&mut block, output.block) == output.block);
            for round in 0..20 {
                play(audio, &[Event::note_on(0, 100 + round, 80), Event::note_off(0, 100 + round)])?;
            }
            audio.refuse_nothing();
            for round in 0..4 {
                play(audio, &[Event::note_on(0, 121 + round, 80), Event::note_off(0, 121 + round)])?;
            }
            assert_eq!(audio.violations(), [""; 0]);
            assert_eq!(audio.heap_calls(), 0);
            Ok((audio.take_outputs(), input))
        })
        .unwrap();
    let dropped = plugin.status().unwrap().overflows;
    assert!(dropped > input / 3 && dropped < input, "{dropped} of {input} dropped");
    let mut down = BTreeMap::new();
    let mut pedal = 0;
    for output in &outputs {
        match output.event {
            Event::Midi([0xb0, 64, value]) => pedal = value,
            event => {
                if let Some((begins, place)) = event.note() {
                    down.insert(place, begins);
                }
            }
        }
    }
    assert!(outputs.len() as u64 > WAITING && (outputs.len() as u64) < input);
    assert!(down.len() > 60 && down.values().all(|down| !down), "{down:?}");
    assert_eq!(pedal, 0, "the pedal stays down");
    // The latest notes arrived complete and in time.
    let last: Vec<(u64, Event)> =
        outputs[outputs.len() - 6..].iter().map(|output| (output.block, output.event)).collect();
    assert!(last.iter().all(|(_, event)| event.note().is_some_and(|(_, (_, key))| key > 121)), "{last:?}");
}
