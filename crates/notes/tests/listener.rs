//! The listener against the same playing recorded as raw notes and put into canonical order afterwards.

mod common;

use notes::chords::canonicalize;
use notes::listener::{CAPACITY, LONGEST_S};
use notes::{Listener, Note};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Act {
    On(u8, u8, u8),
    Off(u8, u8),
    Pedal(u8, bool),
    /// End of a block: final notes are popped.
    Block,
    HandOver,
    AllOff(Option<u8>, Option<u8>),
}

/// Acts, each with the seconds since the previous one.
fn playing() -> impl Strategy<Value = Vec<(f64, Act)>> {
    let wait = prop_oneof![
        4 => Just(0.0),
        4 => prop_oneof![Just(0.010), Just(0.030), Just(0.015), Just(0.031)],
        4 => 0.0..0.1f64,
        2 => 0.0..1.0f64,
        1 => 0.0..15.0f64,
    ];
    let channel = || 0..2u8;
    let pitch = || 60..64u8;
    let act = prop_oneof![
        8 => (channel(), pitch(), 1..=127u8).prop_map(|(c, p, v)| Act::On(c, p, v)),
        8 => (channel(), pitch()).prop_map(|(c, p)| Act::Off(c, p)),
        2 => (channel(), any::<bool>()).prop_map(|(c, down)| Act::Pedal(c, down)),
        6 => Just(Act::Block),
        1 => Just(Act::HandOver),
        1 => (prop::option::of(channel()), prop::option::of(pitch()))
            .prop_map(|(c, p)| Act::AllOff(c, p)),
    ];
    prop::collection::vec((wait, act), 0..160)
}

/// Records the playing as raw notes, independently of the listener.
#[derive(Default)]
struct Scribe {
    /// (channel, the note so far, whether the key is down)
    open: Vec<(u8, Note, bool)>,
    /// Keys down, including those whose note was handed over.
    down: Vec<(u8, u8)>,
    pedals: [bool; 16],
    raw: Vec<Note>,
    heard: Vec<Note>,
    last_up: Option<f64>,
    pedal_up: f64,
}

impl Scribe {
    fn end(&mut self, now: f64, which: impl Fn(&(u8, Note, bool)) -> bool) {
        for (_, note, _) in self.open.extract_if(.., |open| which(open)) {
            let duration = (now - note.onset).min(LONGEST_S);
            self.raw.push(Note { duration, ..note });
        }
    }

    fn off(&mut self, now: f64, lengthen: bool, channel: u8, pitch: u8) {
        if !self.down.contains(&(channel, pitch)) {
            return;
        }
        self.down.retain(|key| *key != (channel, pitch));
        self.last_up = Some(now);
        for open in &mut self.open {
            open.2 &= (open.0, open.1.pitch) != (channel, pitch);
        }
        let held = lengthen && self.pedals[usize::from(channel)];
        self.end(now, |(c, note, _)| !held && (*c, note.pitch) == (channel, pitch));
    }

    fn act(&mut self, now: f64, lengthen: bool, act: Act) {
        match act {
            Act::On(channel, pitch, velocity) => {
                self.end(now, |(c, note, _)| (*c, note.pitch) == (channel, pitch));
                self.down.retain(|key| *key != (channel, pitch));
                self.down.push((channel, pitch));
                self.last_up = Some(now);
                let (onset, spread, duration) = (now, 0.0, 0.0);
                let note = Note { onset, spread, duration, pitch, velocity };
                self.open.push((channel, note, true));
            }
            Act::Off(channel, pitch) => self.off(now, lengthen, channel, pitch),
            Act::Pedal(channel, down) => {
                let was = std::mem::replace(&mut self.pedals[usize::from(channel)], down);
                if was && !down {
                    self.pedal_up = now;
                    self.end(now, |open| open.0 == channel && !open.2);
                }
            }
            Act::Block => {}
            Act::HandOver => {
                self.end(now, |_| true);
                let mut turn = std::mem::take(&mut self.raw);
                canonicalize(&mut turn);
                self.heard.extend(turn);
            }
            Act::AllOff(channel, pitch) => {
                for (c, p) in self.down.clone() {
                    if channel.is_none_or(|it| it == c) && pitch.is_none_or(|it| it == p) {
                        self.off(now, lengthen, c, p);
                    }
                }
            }
        }
    }
}

fn tell(listener: &mut Listener, now: f64, act: Act) {
    match act {
        Act::On(channel, pitch, velocity) => listener.note_on(now, channel, pitch, velocity),
        Act::Off(channel, pitch) => listener.note_off(now, channel, pitch),
        Act::Pedal(channel, down) => listener.pedal(now, channel, down),
        Act::Block => listener.advance(now),
        Act::HandOver => listener.hand_over(now),
        Act::AllOff(channel, pitch) => listener.notes_off(now, channel, pitch),
    }
}

proptest! {
    #![proptest_config(common::cases(500))]

    #[test]
    fn hears_live_what_is_read_offline(acts in playing(), lengthen in any::<bool>()) {
        let mut listener = Listener::new();
        listener.set_pedal_lengthens(lengthen);
        let mut scribe = Scribe::default();
        let mut heard = Vec::new();
        let mut now = 0.0;
        for (wait, act) in acts.into_iter().chain([(0.0, Act::HandOver)]) {
            now += wait;
            tell(&mut listener, now, act);
            scribe.act(now, lengthen, act);
            if matches!(act, Act::Block | Act::HandOver) {
                heard.extend(std::iter::from_fn(|| listener.pop()));
            }
            let silent = scribe.last_up.filter(|_| scribe.down.is_empty());
            prop_assert_eq!(listener.silent_since(), silent);
            prop_assert_eq!(listener.keys_down(), scribe.down.len());
            let quiet = silent.filter(|_| !scribe.pedals.contains(&true));
            prop_assert_eq!(listener.quiet_since(), quiet.map(|it| it.max(scribe.pedal_up)));
            if matches!(act, Act::HandOver) {
                prop_assert_eq!(&heard, &scribe.heard);
            }
        }
        prop_assert_eq!(listener.dropped(), 0);
        prop_assert_eq!(listener.waiting(), 0);
    }

    /// Any numbers from any host: no panic, values within range, onsets in order.
    #[test]
    fn survives_malformed_events(
        events in prop::collection::vec((any::<f64>(), 0..6u8, any::<u8>(), any::<u8>(), any::<u8>()), 0..100),
    ) {
        let mut listener = Listener::new();
        let mut latest = f64::NEG_INFINITY;
        for (time, kind, channel, pitch, velocity) in events {
            match kind {
                0 | 1 => listener.note_on(time, channel % 20, pitch, velocity),
                2 => listener.note_off(time, channel % 20, pitch),
                3 => listener.pedal(time, channel % 20, velocity > 63),
                4 => listener.advance(time % 1e3),
                _ => listener.hand_over(time),
            }
            while let Some(note) = listener.pop_late() {
                prop_assert!(note.pitch < 128 && (0.0..=LONGEST_S + 0.030).contains(&note.duration));
            }
            while let Some(note) = listener.pop() {
                prop_assert!(note.onset >= latest && note.pitch < 128);
                prop_assert!(note.velocity >= 1 && note.velocity < 128);
                prop_assert!((0.0..=LONGEST_S + 0.030).contains(&note.duration));
                latest = note.onset;
            }
        }
    }
}

/// Advances to `now` and counts the notes that come out.
fn count(listener: &mut Listener, now: f64) -> usize {
    listener.advance(now);
    std::iter::from_fn(|| listener.pop()).count()
}

#[test]
fn a_note_comes_out_as_soon_as_it_is_final() {
    let mut listener = Listener::new();
    listener.note_on(1.0, 0, 60, 64);
    listener.note_off(1.010, 0, 60);
    assert_eq!(count(&mut listener, 1.030), 0, "a lower key could still join");
    listener.note_on(1.030, 0, 55, 64);
    listener.note_off(1.031, 0, 55);
    assert_eq!(count(&mut listener, 1.031), 2);
}

#[test]
fn a_melody_waits_for_the_bass_but_not_for_ever() {
    let mut listener = Listener::new();
    listener.note_on(0.0, 0, 36, 64);
    for beat in 1..=20 {
        listener.note_on(f64::from(beat), 0, 72, 64);
        listener.note_off(f64::from(beat) + 0.5, 0, 72);
        let expected = match f64::from(beat) {
            early if early < LONGEST_S => 0,
            // The bass, and the melody so far.
            due if due == LONGEST_S => 11,
            _ => 1,
        };
        assert_eq!(count(&mut listener, f64::from(beat) + 0.9), expected, "at {beat}");
    }
    assert_eq!(listener.silent_since(), None, "the bass is still held");
    listener.note_off(21.0, 0, 36);
    assert_eq!(listener.silent_since(), Some(21.0));
    assert_eq!(count(&mut listener, 30.0), 0);
}

#[test]
fn what_is_still_held_at_the_hand_over_is_not_heard_twice() {
    let mut listener = Listener::new();
    listener.note_on(0.0, 0, 60, 64);
    listener.hand_over(0.020);
    assert_eq!(listener.pop().map(|note| note.duration), Some(0.020));
    // Within the window of a chord that was handed over: a new chord.
    listener.note_on(0.025, 0, 64, 64);
    listener.note_off(0.5, 0, 60);
    listener.note_off(0.6, 0, 64);
    listener.advance(1.0);
    let note = listener.pop().expect("the second note");
    assert_eq!((note.onset, note.pitch), (0.025, 64));
    assert!(listener.pop().is_none());
}

#[test]
fn what_is_still_held_at_the_hand_over_says_how_long_it_was() {
    let mut listener = Listener::new();
    listener.set_pedal_lengthens(true);
    listener.note_on(0.0, 0, 50, 64);
    listener.pedal(0.0, 1, true);
    listener.note_on(0.010, 1, 60, 64);
    listener.note_off(0.5, 1, 60);
    listener.note_on(1.0, 0, 70, 64);
    listener.note_off(1.5, 0, 70);
    listener.note_on(1.75, 0, 71, 64);
    listener.hand_over(2.0);
    let held = |listener: &mut Listener| listener.pop_held().map(|note| (note.pitch, note.duration));
    assert_eq!(held(&mut listener), Some((50, 2.0)));
    assert_eq!(held(&mut listener), Some((60, 2.0)), "the pedal holds it");
    assert_eq!(held(&mut listener), None, "this one had ended");
    assert_eq!(listener.pop().map(|note| (note.pitch, note.duration)), Some((70, 0.5)));
    assert_eq!(held(&mut listener), Some((71, 0.25)));

    let late =
        |listener: &mut Listener| listener.pop_late().map(|note| (note.pitch, note.onset, note.spread, note.duration));
    assert_eq!(late(&mut listener), None);
    // A second hand-over does not hand the same notes over again.
    listener.hand_over(2.5);
    assert_eq!(listener.waiting(), 0);
    listener.pedal(3.0, 1, false);
    assert_eq!(late(&mut listener), Some((60, 0.0, 0.010, 3.0)));
    listener.note_on(3.5, 0, 71, 64);
    assert_eq!(late(&mut listener), Some((71, 1.75, 0.0, 1.75)), "struck again");
    listener.note_off(4.0, 0, 71);
    assert_eq!(late(&mut listener), None);
    listener.notes_off(12.0, None, None);
    assert_eq!(late(&mut listener), Some((50, 0.0, 0.0, LONGEST_S)));
    assert_eq!((listener.keys_down(), count(&mut listener, 13.0)), (0, 1));
}

#[test]
fn overflow_drops_whole_notes_and_counts_them() {
    let mut listener = Listener::new();
    // Under Miri, only slightly more than there is room for.
    let struck = if cfg!(miri) { CAPACITY + 20 } else { 10 * CAPACITY };
    for n in 0..struck {
        let time = n as f64 * 0.05;
        listener.note_on(time, 0, 60 + (n % 12) as u8, 64);
        listener.note_off(time + 0.04, 0, 60 + (n % 12) as u8);
        assert!(listener.waiting() <= CAPACITY);
    }
    listener.hand_over(struck as f64);
    let mut heard = 0;
    while let Some(note) = listener.pop() {
        assert!((note.onset - f64::from(heard) * 0.05).abs() < 1e-9);
        assert!((note.duration - 0.04).abs() < 1e-9);
        heard += 1;
    }
    assert_eq!(heard as usize, CAPACITY);
    assert_eq!(listener.dropped() as usize, struck - CAPACITY);
    assert_eq!(listener.keys_down(), 0);
}

#[test]
fn reset_forgets_keys_pedal_and_time() {
    let mut listener = Listener::new();
    listener.note_on(5.0, 0, 60, 64);
    listener.pedal(5.0, 0, true);
    listener.reset();
    assert_eq!((listener.keys_down(), listener.silent_since()), (0, None));
    listener.note_off(0.5, 0, 60);
    listener.note_on(1.0, 0, 62, 64);
    listener.note_off(2.0, 0, 62);
    listener.advance(3.0);
    let note = listener.pop().expect("the note after the reset");
    assert_eq!((note.onset, note.pitch, note.duration), (1.0, 62, 1.0));
}
