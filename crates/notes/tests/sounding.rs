//! The ledger against a host that does its own bookkeeping and may refuse any note-on.

mod common;

use std::collections::BTreeMap;

use notes::{Event, Planned, Schedule, SoundingNotes};
use proptest::prelude::*;

/// The host's end of the queue.
#[derive(Default)]
struct Host {
    /// A cyclic pattern of which note-ons it takes; empty: it takes all.
    takes: Vec<bool>,
    asked: usize,
    /// The keys that are sounding, each with the time of its note-on.
    on: BTreeMap<(u8, u8), f64>,
    taken: Vec<Event>,
    mistakes: Vec<Event>,
}

impl Host {
    fn send(&mut self, event: Event) -> bool {
        if matches!(event, Event::On { .. }) {
            let takes = self.takes.get(self.asked % self.takes.len().max(1));
            self.asked += 1;
            if takes == Some(&false) {
                return false;
            }
        }
        let right = match event {
            Event::On { at, channel, pitch, velocity } => {
                let fresh = self.on.insert((channel, pitch), at).is_none();
                fresh && (1..=127).contains(&velocity)
            }
            Event::Off { channel, pitch, .. } => self.on.remove(&(channel, pitch)).is_some(),
        };
        if !right {
            self.mistakes.push(event);
        }
        self.taken.push(event);
        true
    }
}

/// (onset, length, channel, pitch), with few keys, so that notes collide.
fn notes() -> impl Strategy<Value = Vec<(u32, u32, u8, u8)>> {
    prop::collection::vec((0..40u32, 0..12u32, 0..2u8, 60..63u8), 0..40)
}

fn planned((onset, length, channel, pitch): (u32, u32, u8, u8)) -> Planned {
    Planned {
        onset: f64::from(onset) * 0.25,
        end: f64::from(onset + length) * 0.25,
        channel,
        pitch,
        velocity: 64,
        ..Planned::default()
    }
}

proptest! {
    #![proptest_config(common::cases(500))]

    /// With a host that takes everything, the events equal those of a simple simulation, in order of
    /// time, however the time is cut into blocks.
    #[test]
    fn plays_every_note_to_its_end_or_its_next_strike(
        notes in notes(),
        mut cuts in prop::collection::vec(0.0..14.0f64, 0..12),
    ) {
        let mut schedule = Schedule::<64>::new();
        let mut sorted: Vec<Planned> = notes.into_iter().map(planned).collect();
        for note in &sorted {
            schedule.push(*note).expect("room for all");
        }
        sorted.sort_by(|a, b| a.onset.total_cmp(&b.onset));
        // (note-on, note-off) per note, worked out one note at a time.
        let mut expected = Vec::new();
        for (place, note) in sorted.iter().enumerate() {
            let again = sorted[place + 1..]
                .iter()
                .find(|later| (later.channel, later.pitch) == (note.channel, note.pitch));
            let end = again.map_or(note.end, |later| later.onset.min(note.end));
            expected.push((note.channel, note.pitch, note.onset, end));
        }
        let (mut ledger, mut host) = (SoundingNotes::new(), Host::default());
        cuts.sort_by(f64::total_cmp);
        let mut struck = 0;
        for cut in cuts.into_iter().chain([20.0]) {
            struck += ledger.play(&mut schedule, cut, |event| host.send(event)).struck;
            prop_assert!(host.taken.iter().all(|event| event.at() < cut));
            prop_assert!(ledger.last_end().is_none_or(|end| end >= cut));
            prop_assert_eq!(ledger.len(), host.on.len());
        }
        prop_assert!(host.taken.is_sorted_by(|a, b| a.at() <= b.at()), "{:?}", host.taken);
        prop_assert!(host.mistakes.is_empty(), "{:?}", host.mistakes);
        // At equal times the note-offs come first, except for a note that ends as soon as it begins and for
        // a key that is struck again.
        for (place, event) in host.taken.iter().enumerate() {
            if let Event::Off { at, channel, pitch } = *event {
                let mut before = host.taken[..place].iter().filter(|other| other.at() == at);
                let is_on = |it: &Event| matches!(it, Event::On { .. });
                let own = |it: &Event| {
                    matches!(*it, Event::On { channel: c, pitch: p, .. } if (c, p) == (channel, pitch))
                };
                let struck_again = host.taken.get(place + 1).is_some_and(own);
                let in_order = struck_again || before.clone().any(own) || !before.any(is_on);
                prop_assert!(in_order, "{:?}", host.taken);
            }
        }
        prop_assert_eq!(struck as usize, expected.len());
        let mut open = BTreeMap::new();
        let mut found = Vec::new();
        for event in &host.taken {
            match *event {
                Event::On { at, channel, pitch, .. } => {
                    open.insert((channel, pitch), (found.len(), at));
                    found.push((channel, pitch, at, f64::NAN));
                }
                Event::Off { at, channel, pitch } => {
                    let (place, _) = open.remove(&(channel, pitch)).expect("it sounds");
                    found[place].3 = at;
                }
            }
        }
        prop_assert!(ledger.is_empty() && open.is_empty());
        prop_assert_eq!(found, expected);
    }

    /// A host that refuses notes never gets a note twice or a note-off too many, and no note hangs.
    #[test]
    fn what_a_host_refuses_never_sounds_and_nothing_hangs(
        notes in notes(),
        takes in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let mut schedule = Schedule::<64>::new();
        for note in &notes {
            schedule.push(planned(*note)).expect("room for all");
        }
        let (mut ledger, mut host) = (SoundingNotes::new(), Host { takes, ..Host::default() });
        let mut done = 0;
        for block in 0..12 {
            let played = ledger.play(&mut schedule, f64::from(block + 1), |event| host.send(event));
            done += played.struck + played.refused;
            // The ledger and the host agree.
            prop_assert_eq!(ledger.len(), host.on.len());
        }
        prop_assert_eq!(done as usize, notes.len());
        ledger.end_all(12.0, |event| assert!(host.send(event)));
        prop_assert!(ledger.is_empty() && host.on.is_empty());
        prop_assert!(host.mistakes.is_empty(), "{:?}", host.mistakes);
    }
}

/// Every channel and pitch, and some invalid ones; under Miri only those at the ends of the ranges.
fn keys() -> (Vec<u8>, Vec<u8>) {
    if cfg!(miri) {
        (vec![0, 9, 15, 16, 19], vec![0, 1, 60, 61, 126, 127, 128, 255])
    } else {
        ((0..20).collect(), (0..=255).collect())
    }
}

#[test]
fn every_key_of_every_channel_sounds_and_ends() {
    let (channels, pitches) = keys();
    let all = channels.iter().filter(|it| **it < 16).count() * pitches.iter().filter(|it| **it < 128).count();
    let (mut ledger, mut host) = (SoundingNotes::new(), Host::default());
    for round in 0..3 {
        for &channel in &channels {
            for &pitch in &pitches {
                let note = Planned {
                    onset: f64::from(round),
                    end: if round == 0 { f64::NAN } else { 9.0 },
                    channel,
                    pitch,
                    velocity: pitch,
                    ..Planned::default()
                };
                let taken = ledger.strike(&note, |event| host.send(event));
                assert_eq!(taken, channel < 16 && pitch < 128);
            }
        }
        assert_eq!((ledger.len(), host.on.len()), (all, all));
        // A NaN end becomes the onset.
        assert_eq!(ledger.last_end(), Some(if round == 0 { 0.0 } else { 9.0 }));
    }
    ledger.end_all(5.0, |event| assert!(host.send(event)));
    assert!(ledger.is_empty() && host.on.is_empty() && host.mistakes.is_empty());
}
