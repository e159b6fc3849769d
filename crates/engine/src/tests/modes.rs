//! Every way in which the turn changes hands, and what happens to takes.

use super::turns::phrase;
use super::*;

/// A host's timeline: a tempo ramp and changing time signatures.
pub(super) struct Timeline {
    /// Beats per minute at sample 0 and at sample `end`; constant after that.
    tempo: (f64, f64),
    end: f64,
    /// Each time signature with the beat at which it begins; the first one at 0.
    signatures: &'static [(f64, (i32, i32))],
}

/// 4/4 at one tempo.
const STEADY: Timeline = Timeline { tempo: (120.0, 120.0), end: 1.0, signatures: &[(0.0, (4, 4))] };

impl Timeline {
    fn beats(&self, sample: f64) -> f64 {
        let (from, to) = (self.tempo.0 / 60.0, self.tempo.1 / 60.0);
        let (time, end) = (sample / RATE, self.end / RATE);
        let ramp = time.min(end);
        from * ramp + (to - from) * ramp * ramp / (2.0 * end) + to * (time - ramp)
    }

    fn at(&self, sample: u64) -> Transport {
        let beats = self.beats(sample as f64);
        let &(start, signature) = self.signatures.iter().rfind(|(start, _)| *start <= beats + 1e-9).unwrap();
        let bar = f64::from(signature.0) * 4.0 / f64::from(signature.1);
        let share = (sample as f64 / self.end).min(1.0);
        Transport {
            playing: true,
            tempo: Some(self.tempo.0 + share * (self.tempo.1 - self.tempo.0)),
            pos_beats: Some(beats),
            loop_beats: None,
            time_signature: Some(signature),
            bar_start_beats: Some(start + ((beats - start) / bar + 1e-9).floor() * bar),
        }
    }

    /// All bar lines up to a beat.
    fn lines(&self, until: f64) -> Vec<f64> {
        let mut lines = vec![0.0];
        while lines[lines.len() - 1] < until {
            let line = lines[lines.len() - 1];
            let &(_, (beats, unit)) = self.signatures.iter().rfind(|(start, _)| *start <= line + 1e-9).unwrap();
            lines.push(line + f64::from(beats) * 4.0 / f64::from(unit));
        }
        lines
    }
}

/// A player at the keyboard, who plays and changes settings as a test says, sample by sample.
pub(super) struct Session {
    pub(super) offline: Offline,
    pub(super) host: Host,
    timeline: Option<Timeline>,
    pub(super) settings: Settings,
    pub(super) now: u64,
    size: u64,
    /// The player's events that were passed on.
    passed: Vec<PlayerEvent>,
}

impl Session {
    pub(super) fn new(settings: Settings, timeline: Option<Timeline>) -> Self {
        let (offline, host) = (Offline::new(), Host::default());
        Self { offline, host, timeline, settings, now: 0, size: 160, passed: vec![] }
    }

    /// Plays up to a sample, with these events on the way.
    pub(super) fn until(&mut self, end: u64, events: &[(u64, PlayerEvent)]) {
        while self.now < end {
            let frames = self.size.min(end - self.now) as u32;
            let transport = self.timeline.as_ref().map_or(Transport::default(), |timeline| timeline.at(self.now));
            let Self { offline, host, settings, .. } = self;
            host.open(self.now, frames);
            offline.audio.open(&transport, frames, *settings, host);
            for &(at, heard) in
                events.iter().filter(|event| (self.now..self.now + u64::from(frames)).contains(&event.0))
            {
                let offset = (at - self.now) as u32;
                offline.audio.play_until(offset, host);
                if offline.audio.handle_input(offset, heard, host) {
                    self.passed.push(heard);
                }
                host.latest = offset;
            }
            offline.audio.play_until(frames, host);
            offline.audio.close();
            self.now += u64::from(frames);
        }
        assert_eq!(self.offline.status.counts.timeouts.get(), 0);
    }

    /// Plays a short phrase from now on, until its last key is up.
    pub(super) fn play_phrase(&mut self) {
        let (played, end) = phrase(self.now, &[(60, 0, 1200), (64, 1600, 1200), (67, 1600, 1200), (65, 1600, 1200)]);
        self.until(end + 1, &played);
    }

    /// Lets this many samples pass.
    pub(super) fn wait(&mut self, samples: u64) {
        self.until(self.now + samples, &[]);
    }

    /// The generated notes from a sample on: sample, key, velocity.
    pub(super) fn notes(&self, from: u64) -> Vec<(u64, u8, u8)> {
        self.host.ons().filter(|sent| sent.0 >= from).map(|sent| (sent.0, sent.3, sent.4)).collect()
    }
}

pub(super) const ON: PlayerEvent = PlayerEvent::On { channel: 3, key: 62, velocity: 90 };
pub(super) const OFF: PlayerEvent = PlayerEvent::Off { channel: Some(3), key: Some(62) };

/// Bars of 4/4, 7/8 and 3/4 while the tempo rises, with blocks at any position: Antiphon begins on or after its bar
/// line, all its notes have ended by the player's, and in between it does play.
#[test]
fn trading_keeps_to_the_bar_lines() {
    let signatures = &[(0.0, (4, 4)), (8.0, (7, 8)), (18.5, (3, 4)), (27.5, (4, 4))];
    for (size, seed) in [(64, 2), (171, 5), (1024, 8)] {
        let timeline = Timeline { tempo: (90.0, 150.0), end: 20.0 * RATE, signatures };
        let lines = timeline.lines(40.0);
        let settings = settings(|s| {
            (s.turn.mode, s.turn.your_bars, s.turn.antiphon_bars) = (Mode::Trade, 2, 1);
            s.generation.seed = seed;
        });
        let mut session = Session::new(settings, Some(timeline));
        session.size = size;
        let (played, _) = phrase(800, &[(60, 0, 1500), (64, 2000, 1500), (67, 2000, 30_000)]);
        session.until((16.0 * RATE) as u64, &played);
        let timeline = session.timeline.as_ref().unwrap();
        let beats: Vec<(f64, bool)> =
            session.host.sent.iter().map(|sent| (timeline.beats(sent.0 as f64), sent.1)).collect();
        let sample = 1.5 / RATE * 2.5;
        let mut played = 0;
        for bar in (2..lines.len() - 1).step_by(3) {
            let (line, over) = (lines[bar], lines[bar + 1]);
            if over > beats.last().unwrap().0 {
                break;
            }
            played += beats.iter().filter(|(at, on)| *on && (line - sample..over - sample).contains(at)).count();
            let next = lines.get(bar + 3).copied().unwrap_or(f64::INFINITY);
            let stray = beats.iter().find(|(at, _)| *at > over + sample && *at < next - sample);
            assert_eq!(stray, None, "between the lines {over} and {next}, blocks of {size}");
        }
        assert!(played > 6, "{played} notes in the model's bars");
        assert!(beats.iter().all(|(at, _)| *at > lines[2] - sample), "not before its first bar");
    }
}

/// On the grid of a loop of one beat, every note begins where the loop ends: it sounds from there on, whether rounding puts
/// it just before or just after. The tempo is such that no beat falls on a sample.
#[test]
fn a_note_on_the_end_of_a_loop_is_not_cut_there() {
    let mut whole = 0;
    for (tempo, size) in [(86.000_567, 40), (93.17, 171), (101.3, 64), (118.91, 1024)] {
        let settings = settings(|s| (s.generation.rhythm.strength, s.generation.rhythm.grid) = (1.0, Grid::Quarter));
        let (mut offline, mut host) = (Offline::new(), Host::default());
        let (played, _) = phrase(800, &[(60, 0, 1500), (64, 2000, 1500), (67, 2000, 1500)]);
        let mut now = 0;
        while now < 120_000 {
            let position = now as f64 / RATE * tempo / 60.0;
            let transport = Transport {
                playing: true,
                tempo: Some(tempo),
                pos_beats: Some(position.rem_euclid(1.0)),
                loop_beats: Some((0.0, 1.0)),
                time_signature: Some((4, 4)),
                bar_start_beats: Some(0.0),
            };
            let events = played.iter().filter(|event| (now..now + size).contains(&event.0));
            let events: Vec<_> = events.map(|&(at, event)| ((at - now) as u32, event)).collect();
            block(&mut offline.audio, &transport, (now, size as u32), settings, &events, &mut host);
            now += size;
        }
        assert_eq!(offline.status.counts.timeouts.get(), 0);
        for (place, on) in host.sent.iter().enumerate().filter(|(_, sent)| sent.1) {
            let off = host.sent[place..].iter().find(|off| !off.1 && (off.2, off.3) == (on.2, on.3));
            // The shortest note lasts 10 ms.
            assert!(off.is_none_or(|off| off.0 >= on.0 + 79), "{on:?} ends at {off:?}, {tempo} BPM, blocks of {size}");
            whole += 1;
        }
    }
    assert!(whole > 40, "only {whole} notes");
}

/// Trading without a transport: silence hands over, and the length of bars follows from the tempo.
#[test]
fn trading_without_a_transport_is_by_silence() {
    let mut session = Session::new(settings(|s| (s.turn.mode, s.turn.antiphon_bars) = (Mode::Trade, 1)), None);
    session.play_phrase();
    let begin = session.now + 1600;
    session.wait(50_000);
    // A bar of 4/4 at 120 bpm lasts two seconds.
    let notes = session.notes(0);
    assert!(!notes.is_empty() && notes.iter().all(|note| (begin - 2..begin + 16_002).contains(&note.0)), "{notes:?}");
    assert_eq!(session.host.sounding(), vec![]);
    assert!(session.host.sent.iter().all(|sent| sent.0 <= begin + 16_002));
}

/// A key used as the trigger is neither passed on nor counts as a note; Antiphon plays while it is held.
#[test]
fn a_trigger_is_held_or_toggles() {
    let key = |down| match down {
        true => PlayerEvent::On { channel: 3, key: 24, velocity: 100 },
        false => PlayerEvent::Off { channel: Some(3), key: Some(24) },
    };
    let pedal = |down| PlayerEvent::Controller { channel: 3, controller: 66, value: if down { 127 } else { 0 } };
    let cases: [(TriggerBy, &dyn Fn(bool) -> PlayerEvent); 2] =
        [(TriggerBy::Key, &key), (TriggerBy::Sostenuto, &pedal)];
    for (by, event) in cases {
        for toggles in [false, true] {
            let trigger = Trigger { by, toggles, ..SETTINGS.turn.trigger };
            let mut session =
                Session::new(settings(|s| (s.turn.mode, s.turn.trigger) = (Mode::Trigger, trigger)), None);
            session.play_phrase();
            let passed = session.passed.len();
            session.wait(16_000);
            assert_eq!(session.notes(0), vec![], "silence does not hand over");
            let down = session.now;
            session.until(down + 24_000, &[(down + 10, event(true))]);
            assert!(session.notes(down).iter().all(|note| note.0 >= down + 10));
            assert!(session.notes(0).len() > 2, "it plays while it is held");
            let up = session.now;
            session.until(up + 16_000, &[(up + 10, event(false))]);
            assert_eq!(!session.notes(up + 11).is_empty(), toggles);
            let again = session.now;
            session.until(again + 16_000, &[(again + 10, event(true)), (again + 500, event(false))]);
            session.wait(100);
            assert!(session.notes(again + 501).is_empty());
            assert_eq!(session.host.sounding(), vec![]);
            assert_eq!(session.passed.len(), passed, "it is nothing else");
            assert_eq!(session.offline.status.counts.heard.get(), 4);
        }
    }
}

/// A host or keyboard may send one event for everything instead of the trigger's own release.
#[test]
fn what_releases_everything_releases_the_trigger() {
    let key = PlayerEvent::On { channel: 3, key: 24, velocity: 100 };
    let pedal = PlayerEvent::Controller { channel: 3, controller: 64, value: 127 };
    let all_off = PlayerEvent::Off { channel: Some(3), key: None };
    let reset = PlayerEvent::Controller { channel: 3, controller: 121, value: 0 };
    for (by, press, release) in [(TriggerBy::Key, key, all_off), (TriggerBy::Sustain, pedal, reset)] {
        let trigger = Trigger { by, toggles: false, ..SETTINGS.turn.trigger };
        let mut session = Session::new(settings(|s| (s.turn.mode, s.turn.trigger) = (Mode::Trigger, trigger)), None);
        session.play_phrase();
        for _ in 0..2 {
            let down = session.now;
            session.until(down + 48_000, &[(down + 10, press)]);
            assert!(!session.notes(down).is_empty(), "{by:?}: it plays while it is held");
            let up = session.now;
            session.until(up + 16_000, &[(up + 10, release)]);
            assert!(session.notes(up + 11).is_empty(), "{by:?}");
            assert_eq!(session.host.sounding(), vec![]);
        }
    }
}

/// A key or pedal that was down before it became the trigger comes up as what it was.
#[test]
fn what_was_down_before_it_became_the_trigger_is_released() {
    for (by, down, up) in [
        (
            TriggerBy::Key,
            PlayerEvent::On { channel: 0, key: 24, velocity: 100 },
            PlayerEvent::Off { channel: Some(0), key: Some(24) },
        ),
        (
            TriggerBy::Sustain,
            PlayerEvent::Controller { channel: 0, controller: 64, value: 127 },
            PlayerEvent::Controller { channel: 0, controller: 64, value: 0 },
        ),
    ] {
        let auto = settings(|s| {
            (s.midi.thru, s.turn.sustain_holds, s.turn.trigger.by) = (false, true, by);
        });
        let mut session = Session::new(auto, None);
        let now = session.now;
        session.until(now + 1_000, &[(now + 10, down)]);
        session.settings.turn.mode = Mode::Trigger;
        session.until(now + 2_000, &[(now + 1_500, up)]);
        session.settings.turn.mode = Mode::Auto;
        session.play_phrase();
        session.wait(48_000);
        assert!(!session.notes(0).is_empty(), "{by:?}: it hears the silence");
    }
}

/// The player's notes do not stop Antiphon: they change what it plays, from the next note on.
#[test]
fn in_a_duet_it_plays_on_and_listens() {
    let play = |joins: bool| {
        let mut session = Session::new(settings(|s| s.turn.mode = Mode::Duet), None);
        session.play_phrase();
        session.wait(24_000);
        let join = session.now;
        let events = [(join + 100, ON), (join + 2500, OFF)];
        session.until(join + 24_000, if joins { &events } else { &[] });
        (session, join)
    };
    let ((alone, join), (with, _)) = (play(false), play(true));
    let before =
        |session: &Session| session.notes(0).into_iter().filter(|note| note.0 < join + 100).collect::<Vec<_>>();
    assert_eq!(before(&alone), before(&with));
    let (left, answer) = (alone.notes(join + 100), with.notes(join + 100));
    assert!(answer.len() > 3);
    assert_ne!(left.first(), answer.first(), "the first note after it is another");
    assert_eq!(with.offline.status.counts.turns.get(), 1, "one turn all along");
}

/// In mode alone, Antiphon begins with the transport, without a phrase; the player stops it.
#[test]
fn alone_it_begins_with_the_transport() {
    let mut session = Session::new(settings(|s| s.turn.mode = Mode::Alone), None);
    session.wait(8_000);
    assert_eq!(session.notes(0), vec![], "not by itself");
    session.timeline = Some(STEADY);
    session.wait(32_000);
    assert!(session.notes(0).len() > 3);
    let enter = session.now;
    session.until(enter + 1_000, &[(enter + 10, ON), (enter + 900, OFF)]);
    assert!(session.notes(enter + 10).is_empty(), "it gives way");
    session.wait(24_000);
    assert!(!session.notes(enter).is_empty(), "and begins again");
}

/// A replay is the same note for note; a new take is not.
#[test]
fn replay_and_new_take() {
    let settings = settings(|s| s.turn.length = Length::Notes(12));
    let mut session = Session::new(settings, None);
    session.play_phrase();
    let begin = session.now - 1 + 1600;
    session.wait(80_000);
    let first = session.notes(0);
    assert_eq!(first.len(), 12);
    let from = |notes: &[(u64, u8, u8)], begin: u64| -> Vec<(u64, u8, u8)> {
        notes.iter().map(|note| (note.0 - begin, note.1, note.2)).collect()
    };
    session.settings.buttons.replay = true;
    let stroke = session.now;
    session.wait(80_000);
    let again = session.notes(stroke);
    let (first, again) = (from(&first, begin), from(&again, stroke));
    assert_eq!(first.len(), again.len());
    for (one, other) in first.iter().zip(&again) {
        assert!(one.0.abs_diff(other.0) <= 1 && one.1 == other.1 && one.2 == other.2, "{one:?} and {other:?}");
    }
    session.settings.buttons.new_take = true;
    let stroke = session.now;
    session.wait(80_000);
    let another = from(&session.notes(stroke), stroke);
    assert_eq!(another.len(), 12);
    assert_ne!(another, first);
    assert_eq!(session.host.sounding(), vec![]);
}

/// A frozen take repeats up to the bar line, whatever the player does; thawed, it continues.
#[test]
fn a_frozen_take_goes_round_in_whole_bars() {
    let mut session = Session::new(SETTINGS, Some(STEADY));
    session.play_phrase();
    let begin = session.now - 1 + 1600;
    session.until(begin + 20_000, &[]);
    session.settings.freeze = true;
    // A bar is 2 s, so a round of two bars is 32000 samples.
    let events = [(begin + 70_000, ON), (begin + 70_400, OFF)];
    session.until(begin + 32_000 * 4, &events);
    let round = |number: u64| -> Vec<(u64, u8, u8)> {
        let start = begin + 32_000 * number;
        let notes = session.notes(start).into_iter().filter(|note| note.0 < start + 32_000);
        // Generated notes on the key that the player holds do not sound.
        notes.map(|note| (note.0 - start, note.1, note.2)).filter(|note| note.1 != 62).collect()
    };
    let first = round(0);
    assert!(first.len() > 3);
    for number in 1..4 {
        let other = round(number);
        assert_eq!(first.len(), other.len(), "round {number}");
        for (one, other) in first.iter().zip(&other) {
            assert!(one.0.abs_diff(other.0) <= 1 && one.1 == other.1 && one.2 == other.2, "{one:?} and {other:?}");
        }
    }
    session.settings.freeze = false;
    let thawed = session.now;
    session.wait(32_000);
    assert!(session.notes(thawed).len() > 2, "it continues from there");
}

/// A turn limited in bars ends on the host's bar line.
#[test]
fn a_turn_of_bars_ends_on_the_line() {
    let mut session = Session::new(settings(|s| s.turn.length = Length::Bars(2)), Some(STEADY));
    session.play_phrase();
    assert!(session.now < 16_000, "in the first bar");
    session.wait(80_000);
    let last = session.host.sent.last().unwrap();
    assert!(session.notes(0).len() > 2);
    assert!(!last.1 && last.0 <= 32_000, "the second line after the hand-over is at 4 s: {last:?}");
    assert_eq!(session.host.sounding(), vec![]);
}

/// The same where there is no transport, also after a freeze that went on for longer.
#[test]
fn a_turn_of_bars_ends_after_a_freeze() {
    let mut session = Session::new(settings(|s| s.turn.length = Length::Bars(2)), None);
    session.play_phrase();
    session.wait(16_000);
    session.settings.freeze = true;
    session.wait(64_000);
    assert!(!session.notes(session.now - 16_000).is_empty(), "a frozen take plays on");
    session.settings.freeze = false;
    session.wait(8_000);
    let over = session.now;
    session.wait(32_000);
    assert!(session.notes(over).is_empty(), "two bars are long over");
    assert_eq!(session.host.sounding(), vec![]);
}

/// When the player enters, sounding notes end at once or ring out, as set; panic ends everything, including the
/// player's keys and pedals.
#[test]
fn ring_out_and_panic() {
    for rings_out in [false, true] {
        let mut rang = false;
        let mut session = Session::new(settings(|s| s.turn.rings_out = rings_out), None);
        for round in 0..12u64 {
            session.play_phrase();
            session.wait(6_000 + round * 700);
            let sounding = session.host.sounding().len();
            let enter = session.now;
            session.until(enter + 400, &[(enter + 10, ON), (enter + 300, OFF)]);
            assert!(session.notes(enter + 10).is_empty());
            let left = session.host.sounding().len();
            assert!(rings_out || left == 0);
            rang |= sounding > 0 && left > 0;
        }
        assert_eq!(rang, rings_out);
    }
    let pedal = PlayerEvent::Controller { channel: 3, controller: 64, value: 127 };
    let mut session = Session::new(SETTINGS, None);
    session.play_phrase();
    session.wait(8_000);
    let now = session.now;
    session.until(now + 100, &[(now + 5, pedal), (now + 10, ON)]);
    session.settings.buttons.panic = true;
    session.wait(10);
    assert_eq!(session.host.moved, vec![(now + 100, 3, 64, 0)]);
    assert!(session.host.sent.contains(&(now + 100, false, 3, 62, 0)), "the player's key");
}

/// The generated sustain pedal: down during the turn, changed with the bass, up at the end.
#[test]
fn the_pedal_comes_up_at_the_end_of_the_turn() {
    let mut session = Session::new(settings(|s| s.midi.sustain_out = true), None);
    session.play_phrase();
    session.wait(60_000);
    let enter = session.now;
    session.until(enter + 100, &[(enter + 10, ON)]);
    let moved = &session.host.moved;
    assert!(moved.len() > 2);
    let values: Vec<u8> = moved.iter().map(|moved| moved.3).collect();
    assert!(
        values.iter().enumerate().all(|(place, value)| *value == if place % 2 == 0 { 127 } else { 0 }),
        "{values:?}"
    );
    assert_eq!(values.last(), Some(&0));
    assert!(moved.iter().all(|moved| moved.0 <= enter + 10 && moved.1 == 3 && moved.2 == 64));
}

/// Notes that are not passed on are still received, and notes that were passed on before are ended.
#[test]
fn what_is_not_passed_is_heard() {
    let mut session = Session::new(SETTINGS, None);
    session.until(1_000, &[(100, PlayerEvent::On { channel: 3, key: 50, velocity: 80 })]);
    session.settings.midi.thru = false;
    session.until(1_100, &[(1_050, PlayerEvent::Off { channel: Some(3), key: Some(50) })]);
    assert_eq!(session.passed.len(), 2, "its end passes too");
    session.play_phrase();
    assert_eq!(session.passed.len(), 2);
    session.settings.midi.channel = Some(9);
    session.wait(32_000);
    assert!(session.host.ons().count() > 2);
    assert!(session.host.sent.iter().all(|sent| sent.2 == 9), "on the channel that is set");
    assert_eq!(session.offline.status.counts.heard.get(), 5);
}
