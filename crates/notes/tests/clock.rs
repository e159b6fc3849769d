//! The clock against a model of a host with an exact timeline.

mod common;

use notes::clock::{DEFAULT_TEMPO, TOLERANCE_S};
use notes::{Clock, Span, Transport};
use proptest::prelude::*;

/// A host with its transport running; positions in beats at whole samples.
struct Host {
    rate: f64,
    tempo: f64,
    position: f64,
    /// (start, end)
    looping: Option<(f64, f64)>,
    /// Samples sent so far.
    samples: u64,
}

impl Host {
    fn transport(&self) -> Transport {
        Transport {
            playing: true,
            tempo: Some(self.tempo),
            pos_beats: Some(self.position),
            loop_beats: self.looping,
            ..Transport::default()
        }
    }

    /// One block at one tempo. This host does not split blocks at the loop's end.
    fn block(&mut self, clock: &mut Clock, frames: u32) -> Span {
        let span = clock.advance(&self.transport(), frames, self.rate);
        self.position += f64::from(frames) / self.rate * self.tempo / 60.0;
        if let Some((start, end)) = self.looping {
            while self.position >= end {
                self.position -= end - start;
            }
        }
        self.samples += u64::from(frames);
        span
    }
}

fn rates() -> impl Strategy<Value = f64> {
    prop_oneof![prop::sample::select(vec![8e3, 44_100.0, 48e3, 96e3, 192e3, 768e3]), 8e3..768e3]
}

fn frames() -> impl Strategy<Value = u32> {
    prop_oneof![prop::sample::select(vec![1u32, 17, 64, 480, 1024, 4096, 16_384]), 1..2048u32]
}

/// Any f64, but often a plausible one.
fn beats() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        2 => Just(None),
        6 => (-64.0..64.0f64).prop_map(Some),
        1 => any::<f64>().prop_map(Some),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 1e300])
            .prop_map(Some),
    ]
}

fn any_transport() -> impl Strategy<Value = Transport> {
    let tempo = prop_oneof![Just(None), (20.0..999.0f64).prop_map(Some), any::<f64>().prop_map(Some)];
    let looping = prop::option::of((beats(), beats()));
    let signature = prop::option::of((any::<i32>(), any::<i32>()));
    (any::<bool>(), tempo, beats(), looping, signature, beats()).prop_map(
        |(playing, tempo, pos_beats, looping, time_signature, bar_start_beats)| Transport {
            playing,
            tempo,
            pos_beats,
            loop_beats: looping.and_then(|(start, end)| Some((start?, end?))),
            time_signature,
            bar_start_beats,
        },
    )
}

proptest! {
    #![proptest_config(common::cases(256))]

    /// Whatever the host reports: spans join, time never runs backwards, offsets stay in the block.
    #[test]
    fn any_host_leaves_the_axes_whole(
        blocks in prop::collection::vec(
            (any_transport(), prop_oneof![1 => Just(0u32), 6 => frames()],
             prop_oneof![6 => rates(), 1 => any::<f64>()], any::<f64>()),
            1..40,
        ),
    ) {
        let mut clock = Clock::new();
        let mut before: Option<Span> = None;
        for (transport, frames, rate, anything) in blocks {
            let span = clock.advance(&transport, frames, rate);
            prop_assert!(span.start.is_finite() && span.end.is_finite());
            prop_assert!(span.start <= span.end && span.start_s <= span.end_s);
            prop_assert!(frames == 0 || span.start_s < span.end_s);
            prop_assert!(frames > 0 || span.start == span.end && span.start_s == span.end_s);
            if let Some(before) = before {
                prop_assert_eq!((span.start, span.start_s), (before.end, before.end_s));
            }
            for moment in [anything, span.start, span.end, f64::NAN, f64::INFINITY] {
                prop_assert!(span.offset(moment) < frames.max(1));
                prop_assert!(span.offset_of_seconds(moment) < frames.max(1));
            }
            let mut beats = span.start;
            for offset in [0, frames / 2, frames.saturating_sub(1)] {
                prop_assert!((beats..=span.end).contains(&span.beats_at(offset)));
                beats = span.beats_at(offset);
                if frames > 0 {
                    prop_assert_eq!(span.offset_of_seconds(span.seconds_at(offset)), offset);
                }
            }
            if let Some(bars) = span.bars {
                prop_assert!(transport.playing);
                let line = bars.next(span.start);
                prop_assert!(line >= span.start - 0.01 && line <= span.start + 1e4);
            }
            if frames > 0 {
                before = Some(span);
            }
        }
    }

}

proptest! {
    // Fewer cases, since each runs through up to ten minutes of blocks.
    #![proptest_config(common::cases(48))]

    /// Ten minutes with a new tempo every few blocks and loops that end inside blocks: each time on
    /// the host's timeline maps to the sample nearest to it.
    #[test]
    fn ten_minutes_without_drift(
        rate in prop::sample::select(vec![8e3, 44_100.0, 48e3]),
        origin in -16.0..1e4f64,
        sections in prop::collection::vec((20.0..999.0f64, frames(), 1..200u32), 8),
        loop_beats in prop::option::of(3.0..32.0f64),
    ) {
        let mut clock = Clock::new();
        // A stopped transport first, so that the axes do not start at 0.
        clock.advance(&Transport::default(), 777, rate);
        let looping = loop_beats.map(|length| (origin, origin + length));
        let mut host = Host { rate, tempo: 120.0, position: origin, looping, samples: 0 };
        // The model's own axis: beats since the start, independent of host positions.
        let (mut beats, mut begun) = (0.0f64, None);
        while (host.samples as f64) < common::LONG_S * rate {
            for &(tempo, frames, blocks) in &sections {
                host.tempo = tempo;
                for _ in 0..blocks {
                    let span = host.block(&mut clock, frames);
                    prop_assert!(!span.events.jumped);
                    prop_assert_eq!(span.events.started, begun.is_none());
                    let origin = *begun.get_or_insert(span.beats_at(0));
                    let per_sample = tempo / 60.0 / rate;
                    for part in [0.0, 0.25, 0.618, 1.0] {
                        let sample = (f64::from(frames - 1) * part).round();
                        let moment = origin + beats + sample * per_sample;
                        prop_assert_eq!(f64::from(span.offset(moment)), sample);
                        prop_assert!(span.contains(moment), "{} in {:?}", moment, span);
                    }
                    beats += f64::from(frames) * per_sample;
                }
            }
        }
    }

    /// A tempo that swings within blocks: the clock's error is no larger than if each block's tempo were
    /// constant, and at every block's start it is zero again.
    #[test]
    fn swinging_tempi_never_add_up(
        rate in prop::sample::select(vec![44_100.0, 48e3]),
        swing in 0.1..12.0f64,
        frames in prop::sample::select(vec![1u32, 64, 480, 4096, 16_384]),
    ) {
        // Beats as the integral of a tempo that swings between 60 and 180, slowly enough that a
        // block's two ends show what lies between them.
        let slope = swing.min(0.5 * rate / f64::from(frames));
        let beats = |t: f64| 2.0 * t + (slope * t).sin() / slope;
        let tempo = |t: f64| 60.0 * (2.0 + (slope * t).cos());
        let mut clock = Clock::new();
        let mut origin = None;
        for block in 0..(60.0 * rate / f64::from(frames)).min(4_000.0) as u32 {
            let now = f64::from(block) * f64::from(frames) / rate;
            let transport = Transport {
                playing: true,
                tempo: Some(tempo(now)),
                pos_beats: Some(beats(now)),
                ..Transport::default()
            };
            let span = clock.advance(&transport, frames, rate);
            prop_assert!(!span.events.jumped && !span.events.looped);
            let origin = *origin.get_or_insert(span.beats_at(0) - beats(now));
            prop_assert_eq!(span.offset(origin + beats(now)), 0);
            let block = f64::from(frames) / rate;
            let most = slope * 60.0 * block * block / 120.0;
            let off = span.beats_at(frames / 2) - origin - beats(now + f64::from(frames / 2) / rate);
            prop_assert!(off.abs() <= most + 1e-9, "{} beats off, {} at most", off, most);
        }
    }

    /// Within a ramp every sample has its exact time, wherever in its block the ramp began, even if a wrapper
    /// splits blocks and reports wrong positions for their remainders. Steps are not taken for ramps.
    #[test]
    fn ramps_are_followed(
        rate in prop::sample::select(vec![44_100.0, 48e3]),
        slope in prop_oneof![-20.0..-0.5f64, 0.5..30.0f64],
        frames in prop::sample::select(vec![64u32, 480, 1024, 4096]),
        start in 0.5..0.7f64,
        length in 1.0..2.0f64,
        step in prop_oneof![Just(40.0), -1.0..1.0f64],
        cuts: bool,
    ) {
        let block = f64::from(frames) / rate;
        let in_ramp = |t: f64| (t - start).clamp(0.0, length);
        let tempo = |t: f64| 120.0 + slope * in_ramp(t) + if t < 3.5 { 0.0 } else { step };
        let beats = |t: f64| {
            let ramp = in_ramp(t);
            2.0 * t + slope * ramp * (ramp / 2.0 + (t - start - ramp).max(0.0)) / 60.0 + step * (t - 3.5).max(0.0) / 60.0
        };
        let bends = [start, start + length, 3.5];
        // A bend this soon before a block changes the position at its start by less than 1e-8 beats, which the clock takes
        // for rounding.
        let hidden = (120.0 * 1e-8 / slope.abs()).sqrt();
        let mut clock = Clock::new();
        let mut origin = None;
        for number in 0..(4.0 / block) as u32 {
            let now = f64::from(number) * block;
            let parts = if cuts && number % 3 > 0 { [frames / 3, frames - frames / 3] } else { [frames, 0] };
            let mut before = 0;
            for part in parts.into_iter().filter(|part| *part > 0) {
                let transport = Transport {
                    playing: true,
                    tempo: Some(tempo(now)),
                    pos_beats: Some(beats(now) + f64::from(before) / rate * tempo(now) / 60.0),
                    ..Transport::default()
                };
                let span = clock.advance(&transport, part, rate);
                prop_assert!(!span.events.jumped && !span.events.looped);
                let origin = *origin.get_or_insert(span.beats_at(0) - beats(now));
                let bends_in = |from: f64| bends.iter().any(|bend| (from - hidden..from + block).contains(bend));
                // Within one block, a small step cannot be told from a ramp.
                let misread = |block_start: f64| step != 40.0 && (block_start - block..block_start).contains(&3.5);
                // After a bend or a misread step, the axis may have gone too far and stands still.
                let first = if bends_in(now - block) || misread(now - block) { part / 4 } else { 0 };
                if !bends_in(now) && !misread(now) {
                    for offset in [first, part / 2, part - 1] {
                        let at = now + f64::from(before + offset) / rate;
                        let off = span.beats_at(offset) - origin - beats(at);
                        prop_assert!(off.abs() < 1e-6, "{} beats off at {}", off, at);
                        prop_assert_eq!(span.offset(origin + beats(at)), offset);
                        prop_assert!((span.beats_per_second_at(offset) * 60.0 - tempo(at)).abs() < 0.05);
                    }
                }
                before += part;
            }
        }
    }

    /// While the transport is stopped, seconds stay exact, whether or not a tempo is reported or changes.
    #[test]
    fn seconds_hold_while_the_transport_stands(
        rate in rates(),
        tempo in prop::option::of(20.0..999.0f64),
        frames in prop::collection::vec(frames(), 1..8),
    ) {
        let mut clock = Clock::new();
        let mut transport = Transport { tempo, ..Transport::default() };
        let mut samples = 0u64;
        let blocks = frames.iter().cycle().take_while(|_| true);
        for (n, &frames) in blocks.take(30_000).enumerate() {
            transport.pos_beats = Some(n as f64 * 0.37 % 5.0);
            let span = clock.advance(&transport, frames, rate);
            transport.tempo = Some(33.0 + (n % 500) as f64);
            let beats_per_sample = tempo.unwrap_or(DEFAULT_TEMPO) / 60.0 / rate;
            for offset in [0, frames - 1] {
                let sample = samples + u64::from(offset);
                prop_assert_eq!(span.offset(sample as f64 * beats_per_sample), offset);
                prop_assert_eq!(span.offset_of_seconds(sample as f64 / rate), offset);
            }
            prop_assert!((span.seconds_at(0) - samples as f64 / rate).abs() < 1e-12);
            prop_assert!(!span.events.is_cut() && span.bars.is_none());
            samples += u64::from(frames);
            if samples as f64 > common::LONG_S * rate {
                break;
            }
        }
    }

}

proptest! {
    #![proptest_config(common::cases(256))]

    /// A jump is reported if and only if it is more than what is absorbed, and either way the axis
    /// continues; small shifts back and forth do not accumulate.
    #[test]
    fn jumps_are_told_and_jitter_is_absorbed(
        jitter in prop::collection::vec(-0.9..0.9f64, 1..40),
        jump in prop_oneof![-50.0..-0.1f64, 0.1..50.0f64],
        frames in 64..2048u32,
    ) {
        let mut clock = Clock::new();
        let mut host = Host { rate: 48e3, tempo: 120.0, position: 8.0, looping: None, samples: 0 };
        let start = host.block(&mut clock, frames).beats_at(0);
        for part in jitter {
            // Half of the tolerance to either side, so that two neighboring positions differ by less than all of it.
            let shift = part * 0.5 * TOLERANCE_S * 2.0;
            let truth = start + host.position - 8.0;
            host.position += shift;
            let span = host.block(&mut clock, frames);
            host.position -= shift;
            prop_assert!(!span.events.jumped);
            let allowed = TOLERANCE_S * 2.0 + 2.0 * f64::from(frames) / 24e3;
            prop_assert!((span.start - truth).abs() <= allowed);
        }
        let settled = host.block(&mut clock, 16_384);
        prop_assert_eq!(settled.offset(start + host.position - 8.0), 16_383);
        host.position += jump;
        let span = host.block(&mut clock, frames);
        prop_assert!(span.events.jumped && span.events.is_cut());
        prop_assert_eq!(span.start, settled.end);
        prop_assert!((span.beats_at(0) - span.start).abs() < 1e-4);
    }

    /// Bar lines against those computed from the host's position.
    #[test]
    fn bar_lines_are_the_hosts(
        numerator in 1..13i32,
        denominator in prop::sample::select(vec![2, 4, 8, 16]),
        bar in 0..40u32,
        within in 0.0..0.99f64,
        looping in prop::option::of((0..5u32, 1..4u32)),
        ahead in 0.0..40.0f64,
    ) {
        let length = f64::from(numerator) * 4.0 / f64::from(denominator);
        let bar_start = f64::from(bar) * length;
        let position = bar_start + within * length;
        // Loops from bar line to bar line, around the position.
        let looping = looping.map(|(before, bars)| {
            let first = bar.saturating_sub(before.min(bars - 1));
            (f64::from(first) * length, f64::from(first + bars) * length)
        });
        let transport = Transport {
            playing: true,
            tempo: Some(100.0),
            pos_beats: Some(position),
            loop_beats: looping,
            time_signature: Some((numerator, denominator)),
            bar_start_beats: Some(bar_start),
        };
        let mut clock = Clock::new();
        clock.advance(&Transport::default(), 777, 44_100.0);
        let span = clock.advance(&transport, 64, 48e3);
        let bars = span.bars.expect("the position is known");
        prop_assert_eq!(bars.length, length);
        let here = span.beats_at(0);
        let next = bars.next(here + ahead);
        // With whole bars in the loop, the lines are evenly spaced on the unrolled axis.
        let expected = ((position + ahead - bar_start) / length).ceil() * length;
        prop_assert!((next - here - (expected - (position - bar_start))).abs() < 1e-6);
        // A line is its own next line, even if the host's arithmetic is not exact.
        prop_assert!((bars.next(next) - next).abs() < 1e-6);
        prop_assert!((bars.next(next + 1e-8) - next).abs() < 1e-6);
    }
}

#[test]
fn the_nearest_sample_decides_to_which_block_a_moment_belongs() {
    let mut clock = Clock::new();
    let transport = Transport { tempo: Some(60.0), ..Transport::default() };
    let first = clock.advance(&transport, 100, 1000.0);
    let second = clock.advance(&transport, 100, 1000.0);
    assert!(first.contains(0.0) && first.contains(0.0994) && !first.contains(0.0996));
    assert!(second.contains(0.0996) && second.contains(0.1));
    assert_eq!((first.offset(0.0994), second.offset(0.0996)), (99, 0));
    assert_eq!((second.offset(0.0), second.offset(9.0)), (0, 99));
    assert_eq!(second.offset_of_seconds(0.1503), 50);
    assert_eq!((second.seconds_of(0.25), second.beats_of(0.25)), (0.25, 0.25));
}

#[test]
fn a_loop_shorter_than_a_block_and_one_that_the_host_does_not_tell() {
    let mut clock = Clock::new();
    let mut host = Host { rate: 48e3, tempo: 120.0, position: 4.0, looping: Some((4.0, 4.3)), samples: 0 };
    // 0.6827 beats per block.
    for block in 0..100 {
        let span = host.block(&mut clock, 16_384);
        assert_eq!(span.events.looped, block > 0);
        assert!(!span.events.jumped);
        assert!((span.beats_at(0) - f64::from(block) * 16_384.0 / 24e3).abs() < 1e-9);
    }
    let untold = Transport { loop_beats: None, ..host.transport() };
    let span = clock.advance(&untold, 64, 48e3);
    assert!(span.events.jumped && !span.events.looped);
}

/// The loop's end is known to the sample before the host reaches it; past the loop there is none.
#[test]
fn a_seam_is_foretold() {
    let mut clock = Clock::new();
    // 1000 samples per beat.
    let mut host = Host { rate: 2e3, tempo: 120.0, position: 0.0, looping: Some((0.0, 1.25)), samples: 0 };
    let seams: Vec<_> = (0..10).map(|_| host.block(&mut clock, 400)).collect();
    let found: Vec<_> = seams.iter().map(|span| span.loop_seam.map(|seam| span.offset(seam))).collect();
    assert_eq!(found[..4], [None, None, None, Some(50)]);
    assert_eq!(found.iter().flatten().count(), 3, "{found:?}");
    host.position = 5.0;
    assert_eq!(host.block(&mut clock, 400).loop_seam, None);
}

#[test]
fn only_the_way_from_a_loops_end_to_its_start_is_a_loop() {
    let cases = [
        (7.99, 4.0, true),
        (7.995, 4.005, true),
        // Not: from elsewhere, to elsewhere, past the loop, to before the loop.
        (7.0, 3.01, false),
        (7.99, 5.0, false),
        (20.0, 16.01, false),
        (7.99, 0.0, false),
    ];
    for (from, to, looped) in cases {
        let mut clock = Clock::new();
        let at = |position| Transport {
            playing: true,
            pos_beats: Some(position),
            loop_beats: Some((4.0, 8.0)),
            ..Transport::default()
        };
        // 0.01 beats per block.
        let before = clock.advance(&at(from), 240, 48e3);
        let after = clock.advance(&at(to), 240, 48e3);
        assert_eq!((after.events.looped, after.events.jumped), (looped, !looped));
        assert_eq!(after.start, before.end);
    }
}

#[test]
fn a_tempo_change_does_not_hide_a_jump_that_would_hold_up_time() {
    let mut clock = Clock::new();
    let at = |tempo, position| Transport {
        playing: true,
        tempo: Some(tempo),
        pos_beats: Some(position),
        ..Transport::default()
    };
    clock.advance(&at(900.0, 0.0), 16_384, 48e3);
    // 5.1 beats were predicted. At 20 bpm the axis would stand still for 6 s.
    let span = clock.advance(&at(20.0, 3.1), 16_384, 48e3);
    assert!(span.events.jumped && span.events.tempo_changed);
}

/// For the remainder of a block that it split, a wrapper reports the bar line as if the signature had never changed.
#[test]
fn bar_lines_are_the_hosts_where_a_wrapper_cuts_its_block() {
    let mut clock = Clock::new();
    // 3/4, and from beat 3 on 4/4: lines at 3, 7, 11.
    let mut samples = 0u32;
    let mut block = |signature, line, frames| {
        let position = 2.0 + f64::from(samples) / 24e3;
        let transport = Transport {
            playing: true,
            tempo: Some(120.0),
            pos_beats: Some(position),
            time_signature: Some((signature, 4)),
            bar_start_beats: Some(line),
            ..Transport::default()
        };
        samples += frames;
        let span = clock.advance(&transport, frames, 48e3);
        let unrolled = span.beats_at(0) - position;
        (span.bars.expect("the position is known").next(unrolled + 4.0) - unrolled).round()
    };
    assert_eq!(block(3, 0.0, 24_000), 6.0);
    assert_eq!(block(4, 3.0, 1_000), 7.0, "another signature is told by a block that is whole");
    for frames in [300, 17, 1, 300] {
        assert_eq!(block(4, 0.0, frames), 7.0, "the rest of it");
    }
    assert_eq!(block(4, 3.0, 16_000), 7.0);
    assert_eq!(block(4, 0.0, 16_000), 7.0);
    assert_eq!(block(4, 2.0, 16_000), 6.0, "no wrapper would come upon it");
    assert_eq!(block(4, 0.0, 16_000), 6.0);
    assert_eq!(block(4, 0.0, 16_000), 4.0, "longer than any block");
}

#[test]
fn bar_lines_in_a_loop_that_is_cut_anywhere() {
    let mut clock = Clock::new();
    let transport = Transport {
        playing: true,
        tempo: Some(120.0),
        pos_beats: Some(5.0),
        loop_beats: Some((1.0, 6.0)),
        ..Transport::default()
    };
    let span = clock.advance(&transport, 64, 48e3);
    let here = span.beats_at(0);
    let bars = span.bars.expect("the position is known");
    // One beat to the loop's end, three from its start to the line at 4; then once around the loop.
    for (ahead, line) in [(0.0, 4.0), (4.0, 4.0), (4.1, 9.0), (9.5, 14.0), (100.0, 104.0)] {
        assert!((bars.next(here + ahead) - here - line).abs() < 1e-9, "{ahead}");
    }
    // Past its end, the loop is not in force.
    let past = Transport { pos_beats: Some(7.0), ..transport };
    let mut clock = Clock::new();
    let bars = clock.advance(&past, 64, 48e3).bars.expect("the position is known");
    assert!((bars.next(1.5) - 5.0).abs() < 1e-9);
    // A loop without a bar line in it: those of the timeline, as if there were no loop.
    let looping = Transport { loop_beats: Some((5.0, 7.0)), ..transport };
    let bars = Clock::new().advance(&looping, 64, 48e3).bars.expect("the position is known");
    assert!((bars.next(0.0) - 3.0).abs() < 1e-9);
}

/// For the remainder of a block that it split past a loop's end, a wrapper reports the position as if there were no
/// loop.
#[test]
fn a_loop_holds_where_a_wrapper_cuts_its_block() {
    let mut clock = Clock::new();
    let mut at = |position, frames| {
        let transport = Transport {
            playing: true,
            tempo: Some(120.0),
            pos_beats: Some(position),
            loop_beats: Some((1.0, 6.0)),
            ..Transport::default()
        };
        clock.advance(&transport, frames, 48e3)
    };
    // A beat is 24,000 samples. After the loop's end, the next line is the one at 4, after the loop's start.
    let next = |span: &Span| span.bars.expect("the position is known").next(span.beats_at(0));
    let whole = at(5.9, 4_800);
    let here = whole.beats_at(0);
    let line = here + 0.1 + 3.0;
    assert!(whole.loop_seam.is_some() && (next(&whole) - line).abs() < 1e-9);
    for position in [6.1, 6.15] {
        let rest = at(position, 1_200);
        assert!((next(&rest) - line).abs() < 1e-9, "the rest of it, at {position}");
        assert_eq!((rest.loop_seam, rest.events.looped), (None, false));
    }
    let back = at(1.2, 4_800);
    assert!(back.events.looped && (next(&back) - line).abs() < 1e-9);
    // A host that stays past the loop's end for longer than any block has left it.
    at(5.5, 24_000);
    at(6.5, 12_000);
    let past = at(7.0, 12_000);
    assert!((next(&past) - past.beats_at(0) - 1.0).abs() < 1e-9, "the line at 8");
}

#[test]
fn starts_stops_and_tempo_changes_are_told_once() {
    let mut clock = Clock::new();
    let mut told = |playing, tempo| {
        let transport = Transport { playing, tempo: Some(tempo), ..Transport::default() };
        let it = clock.advance(&transport, 64, 48e3).events;
        (it.started, it.stopped, it.tempo_changed)
    };
    assert_eq!(told(false, 90.0), (false, false, false));
    assert_eq!(told(false, 100.0), (false, false, false));
    assert_eq!(told(true, 100.0), (true, false, true));
    assert_eq!(told(true, 100.0), (false, false, false));
    assert_eq!(told(true, 101.0), (false, false, true));
    assert_eq!(told(false, 102.0), (false, true, true));
    assert_eq!(told(false, 103.0), (false, false, false));
}

#[test]
fn a_position_that_stands_still_is_no_position() {
    let mut clock = Clock::new();
    let mut transport = Transport { playing: true, tempo: Some(120.0), pos_beats: Some(3.0), ..Transport::default() };
    // A host that reports each position for two blocks.
    for pair in 0..50 {
        transport.pos_beats = Some(3.0 + f64::from(pair) * 0.5);
        for half in 0..2 {
            let span = clock.advance(&transport, 6_000, 48e3);
            assert!(!span.events.jumped);
            assert!((span.beats_at(0) - f64::from(2 * pair + half) * 0.25).abs() < 1e-9);
        }
    }
    // A host whose position is stuck: held notes still end.
    for _ in 0..100 {
        let span = clock.advance(&transport, 6_000, 48e3);
        assert!((span.end - span.start - 0.25).abs() < 1e-9);
    }
}

#[test]
fn a_flush_changes_nothing() {
    let mut clock = Clock::new();
    let running = Transport { playing: true, pos_beats: Some(1.0), ..Transport::default() };
    let before = clock.advance(&running, 64, 48e3);
    let flush = clock.advance(&Transport::default(), 0, 0.0);
    assert!(!flush.events.stopped);
    assert_eq!((flush.start, flush.end, flush.offset(1.0)), (before.end, before.end, 0));
    let transport = Transport { pos_beats: Some(1.0 + 64.0 / 24e3), ..running };
    assert_eq!(clock.advance(&transport, 64, 48e3).events, Default::default());
}
