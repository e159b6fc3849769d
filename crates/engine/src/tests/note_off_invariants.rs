//! Whatever happens, every note that began ends, events are in order, and no stale note is played.

use notes::Transport;
use proptest::prelude::*;

use super::*;

/// One block: its settings, its events and the conditions.
#[derive(Clone, Debug)]
struct Moment {
    frames: u32,
    events: Vec<(u32, PlayerEvent)>,
    settings: Option<Settings>,
    transport: Transport,
    /// The most notes generated after the block; with 0 the generator is frozen.
    speed: usize,
    /// How many in ten events the host refuses.
    refused: u8,
    reset: bool,
    activate: Option<bool>,
}

fn player_event() -> impl Strategy<Value = PlayerEvent> {
    let key = 55..65u8;
    prop_oneof![
        4 => (0..2u8, key.clone(), 1..128u8).prop_map(|(channel, key, velocity)| PlayerEvent::On { channel, key, velocity }),
        6 => (0..2u8, key).prop_map(|(channel, key)| PlayerEvent::Off { channel: Some(channel), key: Some(key) }),
        1 => Just(PlayerEvent::Off { channel: None, key: None }),
        1 => (0..2u8, any::<bool>()).prop_map(|(channel, down)| PlayerEvent::Controller { channel, controller: 64, value: u8::from(down) * 127 }),
    ]
}

fn transports() -> impl Strategy<Value = Transport> {
    let odd = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-3.0), Just(0.0), Just(1e300)];
    let position = prop_oneof![4 => 0.0..200.0f64, 1 => odd.clone()];
    let tempo = prop_oneof![4 => 20.0..999.0f64, 1 => odd];
    (any::<bool>(), prop::option::of(tempo), prop::option::of(position), prop::option::of(Just((4.0, 8.0)))).prop_map(
        |(playing, tempo, pos_beats, loop_beats)| Transport {
            playing,
            tempo,
            pos_beats,
            loop_beats,
            ..Transport::default()
        },
    )
}

/// Any settings without panic, which also ends the player's notes; the bookkeeping here does not cover those.
fn storms() -> impl Strategy<Value = Settings> {
    let buttons = |buttons| Buttons { panic: false, ..buttons };
    (turns(0.0..0.3f64), prop::bool::weighted(0.1)).prop_map(move |(settings, bypass)| Settings {
        bypass,
        buttons: buttons(settings.buttons),
        ..settings
    })
}

fn moments() -> impl Strategy<Value = Moment> {
    let frames = prop_oneof![Just(0u32), Just(1), Just(17), Just(64), Just(480), Just(2027), Just(16_384)];
    let events = prop::collection::vec((0..16_384u32, player_event()), 0..4);
    let rare = |chance| prop::bool::weighted(chance);
    (
        (frames, prop_oneof![2 => Just(vec![]), 1 => events]),
        prop::option::weighted(0.15, storms()),
        prop_oneof![4 => Just(Transport::default()), 1 => transports()],
        prop_oneof![1 => Just(0usize), 4 => 1..40usize],
        prop_oneof![3 => Just(0u8), 1 => 1..10u8],
        (rare(0.02), prop::option::weighted(0.02, Just(false))),
    )
        .prop_map(|((frames, mut events), settings, transport, speed, refused, (reset, activate))| {
            events.iter_mut().for_each(|event| event.0 = event.0.min(frames.saturating_sub(1)));
            events.sort_by_key(|event| event.0);
            Moment { frames, events, settings, transport, speed, refused, reset, activate }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn every_note_ends(storm in prop::collection::vec(moments(), 1..120), luck in any::<u64>()) {
        let mut paced = Paced::new();
        let mut host = Host::default();
        let mut settings = SETTINGS;
        let mut base = 0;
        for moment in &storm {
            settings = moment.settings.unwrap_or(settings);
            let (refused, mut luck) = (u64::from(moment.refused), luck ^ base);
            host.refuse = (refused > 0).then(|| {
                let refuse = move || {
                    luck = luck.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (luck >> 33) % 10 < refused
                };
                Box::new(refuse) as Box<dyn FnMut() -> bool>
            });
            if moment.reset {
                paced.audio.reset();
            }
            if let Some(offline) = moment.activate {
                paced.audio.activate(RATE, offline);
            }
            let here = (base, moment.frames);
            let sent = host.sent.len();
            block(&mut paced.audio, &moment.transport, here, settings, &moment.events, &mut host);
            // After the player's last note-on of the block, Antiphon is silent until the set silence has passed.
            let entered = moment.events.iter().rev().find(|event| matches!(event.1, PlayerEvent::On { .. }));
            let silence_s = if let Silence::Seconds(silence_s) = settings.turn.silence { silence_s } else { 0.0 };
            // Unless Antiphon may play on, or something other than silence may start a turn in between.
            let gives_way = settings.turn.mode == Mode::Auto && !settings.freeze && !settings.bypass;
            if let Some(entered) = entered.filter(|_| gives_way && silence_s > 0.01) {
                let quiet = base + u64::from(entered.0) + (silence_s * RATE) as u64;
                let stale = host.sent[sent..].iter().find(|s| s.1 && s.0 > base + u64::from(entered.0) && s.0 < quiet);
                prop_assert_eq!(stale, None, "the player entered at {}", entered.0);
            }
            paced.generate(moment.speed);
            base += u64::from(moment.frames);
        }
        // With bypass and a host that takes everything, no note sounds one block later.
        host.refuse = None;
        let last = Settings { bypass: true, ..settings };
        block(&mut paced.audio, &Transport::default(), (base, 64), last, &[], &mut host);
        block(&mut paced.audio, &Transport::default(), (base + 64, 64), last, &[], &mut host);
        prop_assert_eq!(host.sounding(), vec![]);
        prop_assert_eq!(paced.status.counts.overflows.get(), 0);
    }
}

/// Within one block, Antiphon's notes end where the player enters, and none begin after that.
#[test]
fn gives_way_within_the_block() {
    let mut paced = Paced::new();
    let mut host = Host::default();
    let on = PlayerEvent::On { channel: 0, key: 60, velocity: 90 };
    let off = PlayerEvent::Off { channel: Some(0), key: Some(60) };
    let mut base = 0;
    let mut entries = 0;
    for round in 0..40u64 {
        let mut step = |paced: &mut Paced, host: &mut Host, events: &[(u32, PlayerEvent)]| {
            block(&mut paced.audio, &Transport::default(), (base, 256), SETTINGS, events, host);
            paced.generate(8);
            base += 256;
        };
        step(&mut paced, &mut host, &[(10, on), (200, off)]);
        for _ in 0..30 + round * 3 {
            step(&mut paced, &mut host, &[]);
        }
        entries += host.sounding().len();
        let before = host.sent.len();
        step(&mut paced, &mut host, &[(100, on), (180, off)]);
        let entered = base - 256 + 100;
        assert!(host.sent[before..].iter().all(|sent| sent.0 <= entered && (!sent.1 || sent.0 < entered)));
        assert_eq!(host.sounding(), vec![]);
    }
    assert!(entries > 10, "the model was interrupted {entries} times");
    assert!(host.ons().count() > 40);
}

/// A host that reports positions but no tempo: the beat axis is corrected in every block and stands still. Notes
/// still end at the player's entry, in order.
#[test]
fn a_waiting_axis_keeps_the_order() {
    let mut paced = Paced::new();
    let mut host = Host::default();
    let on = PlayerEvent::On { channel: 0, key: 60, velocity: 90 };
    let off = PlayerEvent::Off { channel: Some(0), key: Some(60) };
    let mut interrupted = 0;
    let mut base = 0;
    for number in 0..600u64 {
        // The clock assumes 120 bpm; these positions are at 73 bpm.
        let beats = base as f64 / RATE * 73.0 / 60.0;
        let transport = Transport { playing: true, pos_beats: Some(beats), ..Transport::default() };
        let events: &[(u32, PlayerEvent)] = if number % 30 == 0 { &[(30, on), (200, off)] } else { &[] };
        interrupted += if events.is_empty() { 0 } else { host.sounding().len() };
        block(&mut paced.audio, &transport, (base, 256), SETTINGS, events, &mut host);
        paced.generate(8);
        base += 256;
    }
    assert!(interrupted > 5, "only {interrupted} notes were interrupted");
}
