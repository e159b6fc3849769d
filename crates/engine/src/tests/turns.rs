//! Whose turn it is and what is played: independent of the block size, and following the settings.

use notes::Transport;
use proptest::prelude::*;

use super::*;

/// The player's events and settings, by sample.
#[derive(Clone, Debug)]
struct Scenario {
    played: Vec<(u64, PlayerEvent)>,
    set: Vec<(u64, Settings)>,
    /// Beats per minute of the running transport; `None`: it is stopped.
    tempo: Option<f64>,
    end: u64,
}

impl Scenario {
    /// Renders it offline in blocks of these sizes, split where a setting changes, as the plugin wrapper
    /// does.
    fn render(&self, sizes: &[u32]) -> Vec<Sent> {
        let mut offline = Offline::new();
        let mut host = Host::default();
        let mut sizes = sizes.iter().cycle();
        let mut settings = SETTINGS;
        let mut base = 0;
        while base < self.end {
            for (_, set) in self.set.iter().filter(|(at, _)| *at <= base) {
                settings = *set;
            }
            let next = self.set.iter().map(|(at, _)| *at).find(|at| *at > base).unwrap_or(self.end).min(self.end);
            let frames = u64::from(*sizes.next().unwrap()).min(next - base) as u32;
            let events: Vec<_> = self
                .played
                .iter()
                .filter(|(at, _)| (base..base + u64::from(frames)).contains(at))
                .map(|&(at, heard)| ((at - base) as u32, heard))
                .collect();
            let transport = Transport {
                playing: self.tempo.is_some(),
                tempo: self.tempo,
                pos_beats: self.tempo.map(|tempo| base as f64 / RATE * tempo / 60.0),
                ..Transport::default()
            };
            block(&mut offline.audio, &transport, (base, frames), settings, &events, &mut host);
            base += u64::from(frames);
        }
        assert_eq!(offline.status.counts.timeouts.get(), 0);
        let status = &offline.status;
        assert_eq!(
            [status.counts.late.get(), status.counts.dropped.get(), status.counts.overflows.get()],
            [0, 0, 0],
            "late, dropped, overflows"
        );
        host.sent
    }
}

/// The events of a phrase of single notes and chords from this sample on, and the sample after its last release.
pub fn phrase(from: u64, notes: &[(u8, u16, u16)]) -> (Vec<(u64, PlayerEvent)>, u64) {
    let mut played = Vec::new();
    let (mut onset, mut end) = (from, from);
    for &(key, step, length) in notes {
        onset += u64::from(step);
        let release = onset + u64::from(length);
        played.push((onset, PlayerEvent::On { channel: 3, key, velocity: 40 + key / 2 }));
        played.push((release, PlayerEvent::Off { channel: Some(3), key: Some(key) }));
        end = end.max(release);
    }
    played.sort_by_key(|event| event.0);
    (played, end)
}

fn phrases() -> impl Strategy<Value = Vec<(u8, u16, u16)>> {
    // Keys, steps and durations, the latter in samples: steps of 0-0.4 s, durations of 0.01-0.7 s.
    prop::collection::vec((40u8..80, prop_oneof![Just(0u16), 0..3200u16], 80..5600u16), 1..8)
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let set = prop::collection::vec((0..60_000u64, turns(0.05..0.4f64)), 0..5);
    let pedal = (0..60_000u64, 64..68u8, any::<bool>());
    let pedals = prop::collection::vec(pedal, 0..6);
    (phrases(), phrases(), 0..24_000u64, set, pedals, prop::option::of(60.0..180.0f64)).prop_map(
        |(first, second, pause, mut set, pedals, tempo)| {
            let (mut played, end) = phrase(100, &first);
            let (again, end) = phrase(end + pause, &second);
            played.extend(again);
            let moved = |(at, controller, down)| {
                (at, PlayerEvent::Controller { channel: 3, controller, value: if down { 127 } else { 0 } })
            };
            played.extend(pedals.into_iter().map(moved));
            played.sort_by_key(|event| event.0);
            set.sort_by_key(|set| set.0);
            set.dedup_by_key(|set| set.0);
            Scenario { played, set, tempo, end: end + 16_000 }
        },
    )
}

/// Asserts that both have the same events, at most one sample apart.
fn assert_same(one: &[Sent], other: &[Sent], what: &str) {
    let bare = |sent: &Sent| (sent.1, sent.2, sent.3, sent.4);
    let order = |sent: &[Sent]| {
        let mut sent = sent.to_vec();
        // Rounding of the sample may swap two events at the same time.
        sent.sort_by_key(|sent| (sent.3, sent.0, sent.1));
        sent
    };
    let (one, other) = (order(one), order(other));
    assert_eq!(one.len(), other.len(), "{what}: number of events");
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(bare(one), bare(other), "{what}: {one:?} and {other:?}");
        assert!(one.0.abs_diff(other.0) <= 1, "{what}: {one:?} and {other:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(4), ..ProptestConfig::default() })]

    #[test]
    fn every_block_size_plays_the_same(
        scenario in scenarios(),
        sizes in prop::collection::vec(1..700u32, 5),
    ) {
        let whole = scenario.render(&[4096]);
        assert_same(&whole, &scenario.render(&[64]), "blocks of 64");
        assert_same(&whole, &scenario.render(&sizes), "blocks of random sizes");
    }
}

/// After a phrase and the silence, Antiphon's turn begins, and at the right time.
#[test]
fn the_turn_comes_after_the_silence_and_not_before() {
    let (played, release) = phrase(0, &[(60, 0, 2000), (64, 2000, 2000), (67, 2000, 2000)]);
    for silence_s in [0.05, 0.5] {
        let due = release + (silence_s * RATE) as u64;
        let set = vec![(0, settings(|s| s.turn.silence = Silence::Seconds(silence_s)))];
        let scenario = Scenario { played: played.clone(), set, tempo: None, end: due + 80_000 };
        let sent = scenario.render(&[256]);
        let first = sent.iter().find(|sent| sent.1).expect("it plays");
        assert!(first.0 >= due, "{first:?} before {due}");
        assert_eq!(first.2, 3, "on the player's channel");
    }
}

/// A turn limited in notes has exactly that many; one limited in seconds begins no note after them.
#[test]
fn a_turn_is_as_long_as_asked_for() {
    let (played, release) = phrase(0, &[(60, 0, 1500), (62, 2000, 1500), (64, 2000, 1500)]);
    let render = |length| {
        let set = vec![(0, settings(|s| s.turn.length = length))];
        Scenario { played: played.clone(), set, tempo: Some(100.0), end: release + 200_000 }.render(&[512])
    };
    let open = render(Length::Open).iter().filter(|sent| sent.1).count();
    assert!(open > 25, "{open} notes in 25 s");
    let notes = render(Length::Notes(25));
    assert_eq!(notes.iter().filter(|sent| sent.1).count(), 25);
    assert_eq!(notes.iter().filter(|sent| !sent.1).count(), 25, "and all of them end");
    let begin = release + (0.2 * RATE) as u64;
    let seconds = render(Length::Seconds(10.0));
    assert!(seconds.iter().any(|sent| sent.1));
    assert!(seconds.iter().all(|sent| !sent.1 || sent.0 <= begin + 80_000));
}

/// Different seeds give different takes; the same seed gives the same one again.
#[test]
fn a_seed_is_a_continuation() {
    let (played, release) = phrase(0, &[(60, 0, 1500), (64, 1800, 1500), (67, 1800, 1500), (72, 1800, 1500)]);
    let render = |seed| {
        let set = vec![(0, settings(|s| s.generation = generation(1.0, seed)))];
        Scenario { played: played.clone(), set, tempo: None, end: release + 60_000 }.render(&[333])
    };
    let one = render(1);
    assert_eq!(one, render(1));
    assert_ne!(one, render(2));
}

/// A changed setting affects the first note after it; earlier notes stay the same.
#[test]
fn a_parameter_change_acts_at_once() {
    let (played, release) = phrase(0, &[(60, 0, 1500), (64, 1800, 1500), (67, 1800, 1500), (72, 1800, 1500)]);
    let turn = release + 16_000;
    let render = |set: Vec<(u64, Settings)>| {
        Scenario { played: played.clone(), set, tempo: None, end: turn + 64_000 }.render(&[128])
    };
    let before = |sent: &[Sent]| sent.iter().filter(|sent| sent.0 < turn).copied().collect::<Vec<_>>();
    let after = |sent: &[Sent]| sent.iter().filter(|sent| sent.1 && sent.0 >= turn).map(|s| s.3).collect::<Vec<_>>();
    let (left, turned) = (render(vec![]), render(vec![(turn, settings(|s| s.generation = generation(1.0, 99)))]));
    assert_eq!(before(&left), before(&turned));
    assert!(!after(&turned).is_empty());
    assert_ne!(after(&left), after(&turned));
}
