//! What happens when the generator fails, and what it remembers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use model::device::{Batch, DeviceError, Processor, Survey, Trunk};
use model::{Decoder, State};
use notes::Note;

use super::*;
use crate::generator::device::pretend;
use crate::generator::memory::PhraseHistory;
use crate::generator::session::NetworkSession;
use crate::link::messages::{Begin, End, Generated, Message, Place, Revision, Source};
use crate::link::queues::{AudioEnd, GeneratorEnd, link};
use crate::link::status::Health;
use crate::link::takes::{TakeLog, Takes, takes};

const PLACE: Place = Place { beats_per_second: 2.0, beat: 0.0, bar: 4.0, running: true };

/// Generation parameters that change everything.
const BUSY: GenerationParams = GenerationParams {
    rhythm: Rhythm {
        strength: 0.7,
        density: 2.0,
        speed: Speed::Double,
        pulse: BeatSource::Phrase,
        ..GENERATION.rhythm
    },
    limits: Limits {
        key: Key::Phrase,
        lowest: 40,
        polyphony: Some(3),
        longest_s: Some(0.6),
        repeats: Some(2),
        ..GENERATION.limits
    },
    dynamics: Dynamics::Follow,
    learn: 0.5,
    ..GENERATION
};

/// Antiphon takes the turn.
fn begin(revision: Revision, at: f64) -> Message {
    begin_with(revision, at, GENERATION)
}

fn begin_with(revision: Revision, at: f64, generation: GenerationParams) -> Message {
    begin_of(revision, at, generation, Length::Open)
}

fn begin_of(revision: Revision, at: f64, generation: GenerationParams, length: Length) -> Message {
    let (source, called) = (Source::GoOn, false);
    Message::Begin(Begin { revision, at, number: 0, source, called, place: PLACE, generation, length })
}

/// The player enters, which ends the take.
fn end(since: f64) -> Message {
    Message::End(Revision(2), End { limit: since, since, at: 1.5 + since, ..END })
}

/// The end of a take, without its time.
const END: End =
    End { limit: 0.0, notes: u32::MAX, since: 0.0, at: 0.0, beats_per_second: 2.0, cut: true, remembered: true };

fn note(onset: f64, pitch: u8) -> Note {
    Note { onset, spread: 0.0, duration: 0.3, pitch, velocity: 70 }
}

/// Waits for the other thread, for at most a minute, so that the test ends.
fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "the generator does not answer");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn answers(audio_end: &mut AudioEnd, revision: Revision, count: usize) -> Vec<Note> {
    let mut answers = Vec::new();
    until(|| {
        answers
            .extend(std::iter::from_fn(|| audio_end.answer()).filter(|answer: &Generated| answer.revision == revision));
        answers.len() >= count
    });
    answers.iter().take(count).filter_map(|answer| answer.note).collect()
}

#[test]
fn it_starts_again_three_times_and_remembers_the_phrase() {
    let (audio, generator, ui) = engine();
    let (mut audio_end, mut bulletin, status) = (audio.into_audio_end(), ui.bulletin, generator.status.clone());
    let thread = GeneratorThread::start(generator).unwrap();
    for (at, pitch) in [(0.0, 60), (0.4, 64), (0.8, 67)] {
        assert!(audio_end.offer(Message::Heard(note(at, pitch))));
    }
    // Progress far ahead, so that the look-ahead is no limit, however slow the music.
    audio_end.progress(1e6);
    let mut heard = Vec::new();
    for round in 0..=3u64 {
        audio_end.steer(begin(Revision(round), 2.0));
        heard.push(answers(&mut audio_end, Revision(round), 5));
        assert_eq!(status.health(), Health::Ready);
        audio_end.steer(Message::Break);
        until(|| status.counts.restarts.get() == round + 1);
    }
    assert!(heard.iter().all(|take| *take == heard[0]), "the same phrase, the same continuation");
    until(|| status.health() == Health::Broken);
    bulletin.update();
    assert!(bulletin.output_buffer().trouble.is_some());
    drop(thread);
}

/// The CPU in place of a GPU. Instances given to decoders fail after `after` steps.
#[derive(Debug)]
struct Failing {
    on: Box<dyn Trunk>,
    after: usize,
    surveyed: AtomicBool,
}

impl Trunk for Failing {
    fn name(&self) -> &str {
        "failing"
    }

    fn step(&mut self, batch: &mut Batch) -> Result<(), DeviceError> {
        self.after = self.after.checked_sub(1).ok_or_else(|| DeviceError::Failed("as a test has asked".to_owned()))?;
        self.on.step(batch)
    }

    fn twin(&self, takes: usize) -> Result<Box<dyn Trunk>, DeviceError> {
        // The survey's own instance never fails; those after it do.
        let after = if self.surveyed.swap(true, Ordering::Relaxed) { 9 } else { usize::MAX };
        Ok(Box::new(Self { on: self.on.twin(takes)?, after, surveyed: AtomicBool::new(true) }))
    }
}

#[test]
fn a_gpu_that_fails_in_mid_take_is_not_heard() {
    let on = Box::new(Processor::new(network()).unwrap());
    let failing = Failing { on, after: usize::MAX, surveyed: AtomicBool::new(false) };
    let _known = pretend(&network(), Survey::new(&network(), 1, Ok(Box::new(failing))));
    let mut takes_so_far = Vec::new();
    for wish in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let wished = Arc::new(Mutex::new(wish));
        let asked = wished.clone();
        let (audio, generator, ui) = engine_with(Arc::new(Fixed(network())), move || *asked.lock().unwrap());
        let (mut audio_end, mut bulletin, status) = (audio.into_audio_end(), ui.bulletin, generator.status.clone());
        let _thread = GeneratorThread::start(generator).unwrap();
        for (at, pitch) in [(0.0, 60), (0.4, 64), (0.8, 67)] {
            assert!(audio_end.offer(Message::Heard(note(at, pitch))));
        }
        audio_end.progress(1e6);
        audio_end.steer(begin(Revision(1), 2.0));
        takes_so_far.push(answers(&mut audio_end, Revision(1), 20));
        assert_eq!((status.counts.restarts.get(), status.lapses(), status.is_on_gpu()), (0, 0, false));
        let gpu = wish == DeviceChoice::Gpu;
        until(|| status.counts.gpu_failures.get() == u64::from(gpu));
        until(|| bulletin.update() | true && bulletin.output_buffer().place.amiss == gpu);
        let place = &bulletin.output_buffer().place;
        assert_eq!((place.name.as_str(), place.reason.contains("as a test has asked")), ("CPU", gpu));
        // The GPU is tried again when it is chosen again.
        *wished.lock().unwrap() = DeviceChoice::Cpu;
        until(|| bulletin.update() | true && !bulletin.output_buffer().place.amiss);
        // It may fail again before `is_on_gpu` is checked.
        *wished.lock().unwrap() = DeviceChoice::Gpu;
        until(|| status.is_on_gpu() || status.counts.gpu_failures.get() > u64::from(gpu));
    }
    assert_eq!(takes_so_far[0], takes_so_far[1]);
}

/// A choice whose first two versions cannot be loaded.
#[derive(Default)]
struct Bad(AtomicU32);

impl Networks for Bad {
    fn version(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn load(&self, _: &dyn Fn() -> bool) -> Result<Loaded, String> {
        match self.version() {
            0 => Err("There is no such file. Choose another.".to_owned()),
            1 => panic!("as a test has asked"),
            _ => Ok(Loaded { network: network(), found: Some("elsewhere".to_owned()), trouble: None }),
        }
    }

    fn stand_in(&self, _: &dyn Fn() -> bool) -> Result<Arc<Network>, String> {
        Ok(network())
    }
}

/// The stand-in plays at once, the window shows why, and the next valid choice is loaded.
#[test]
fn the_stand_in_plays_in_place_of_a_bad_choice() {
    network();
    let choice = Arc::new(Bad::default());
    let (audio, generator, ui) = engine_with(choice.clone(), || DeviceChoice::Cpu);
    let (mut audio_end, mut bulletin, status) = (audio.into_audio_end(), ui.bulletin, generator.status.clone());
    let _thread = GeneratorThread::start(generator).unwrap();
    for (version, why) in [(0, "There is no such file. Choose another."), (1, "This model cannot be read")] {
        choice.0.store(version, Ordering::Relaxed);
        until(|| {
            bulletin.update();
            bulletin.output_buffer().missing.as_ref().is_some_and(|missing| missing.starts_with(why))
        });
        let said = bulletin.output_buffer().clone();
        assert!(said.missing.unwrap().ends_with("Until then the built-in model plays."));
        until(|| status.health() == Health::Ready);
        assert_eq!((said.weights, status.is_stand_in()), (network().card().name.clone(), true));
    }
    assert!(audio_end.offer(Message::Heard(note(0.0, 60))));
    audio_end.progress(1e6);
    audio_end.steer(begin(Revision(1), 2.0));
    assert_eq!(answers(&mut audio_end, Revision(1), 5).len(), 5);

    choice.0.store(2, Ordering::Relaxed);
    until(|| !status.is_stand_in() && status.health() == Health::Ready);
    bulletin.update();
    let said = bulletin.output_buffer();
    assert_eq!((said.missing.as_ref(), said.found.as_deref()), (None, Some("elsewhere")));
}

/// Sends messages to a session and collects the notes it generates.
struct Talk {
    audio_end: AudioEnd,
    generator_end: GeneratorEnd,
    memory: PhraseHistory,
    thinker: NetworkSession,
    log: TakeLog,
    takes: Takes,
    status: Status,
}

impl Talk {
    fn new() -> Self {
        let (mut audio_end, mut generator_end) = link();
        let mut memory = PhraseHistory::default();
        let mut thinker = NetworkSession::new(network(), &mut memory);
        for (at, pitch) in [(0.0, 48), (0.0, 60), (0.4, 64), (0.8, 67)] {
            audio_end.offer(Message::Heard(note(at, pitch)));
        }
        let (mut log, takes) = takes();
        thinker.listen(&mut generator_end, &mut memory, &mut log, &Status::default(), &AtomicBool::new(false));
        Self { audio_end, generator_end, memory, thinker, log, takes, status: Status::default() }
    }

    fn say(&mut self, report: Message) {
        self.audio_end.steer(report);
        self.thinker.listen(
            &mut self.generator_end,
            &mut self.memory,
            &mut self.log,
            &self.status,
            &AtomicBool::new(false),
        );
    }

    fn notes(&mut self, count: usize) -> Vec<Note> {
        self.audio_end.progress(1e6);
        (0..count)
            .map(|_| {
                assert!(self.thinker.play_on(&mut self.generator_end, &self.memory, &self.status));
                self.audio_end.answer().unwrap().note.unwrap()
            })
            .collect()
    }

    fn state(&self) -> State {
        self.thinker.decoder().state().clone()
    }
}

/// However far ahead notes were generated, a rollback leads to the same notes.
#[test]
fn a_change_does_not_depend_on_the_look_ahead() {
    for (before, after) in
        [(GENERATION, GenerationParams { seed: 6, ..GENERATION }), (GENERATION, BUSY), (BUSY, GENERATION)]
    {
        let mut first = None;
        for ahead in [20, 60, 100] {
            let mut talk = Talk::new();
            talk.say(begin_with(Revision(1), 1.5, before));
            let notes = talk.notes(ahead);
            let since = notes[9].struck() + 0.001;
            talk.say(Message::Change {
                revision: Revision(2),
                since,
                place: PLACE,
                generation: after,
                length: Length::Open,
            });
            let changed = talk.notes(10);
            assert!(changed.iter().all(|note| note.struck() >= since));
            let first = first.get_or_insert_with(|| changed.clone());
            assert_eq!(*first, changed, "{ahead} notes ahead");
        }
    }
}

/// While the last notes ring out there is time to generate many more; notes that are not played are not remembered.
#[test]
fn a_turn_that_is_over_is_not_thought_on() {
    for (length, seconds) in [(Length::Notes(5), f64::INFINITY), (Length::Seconds(2.0), 2.0)] {
        let mut talk = Talk::new();
        talk.say(begin_of(Revision(1), 1.5, GENERATION, length));
        talk.audio_end.progress(1e6);
        let mut notes = Vec::new();
        while talk.thinker.play_on(&mut talk.generator_end, &talk.memory, &talk.status) {
            notes.extend(talk.audio_end.answer().unwrap().note);
            assert!(notes.len() < 300, "it goes on and on");
        }
        let beyond = notes.iter().filter(|note| note.onset >= seconds).count();
        // A chord that begins before the end may have notes struck after it.
        let played = notes.iter().filter(|note| note.struck() < seconds).count();
        assert!(beyond <= 1 && played > 1, "{} notes for {played}", notes.len());
        let notes = if let Length::Notes(notes) = length { notes } else { u32::MAX };
        let over =
            End { limit: seconds, notes, since: 20.0, at: 21.5, beats_per_second: 2.0, cut: false, remembered: true };
        talk.say(Message::End(Revision(2), over));
        assert_eq!(talk.memory.len(), 4 + played);
    }
}

/// After a change of limits, no note that they rule out is played.
#[test]
fn a_limit_holds_from_the_next_note_on() {
    let limits = Limits { lowest: 30, highest: 41, polyphony: Some(1), ..GENERATION.limits };
    let mut talk = Talk::new();
    talk.say(begin(Revision(1), 1.5));
    let before = talk.notes(40);
    let since = before[9].struck() + 0.001;
    talk.say(Message::Change {
        revision: Revision(2),
        since,
        place: PLACE,
        generation: GenerationParams { limits, ..GENERATION },
        length: Length::Open,
    });
    let after = talk.notes(20);
    assert!(after.iter().all(|note| (30..42).contains(&note.pitch)), "{after:?}");
    let voices = before[..10].iter().chain(&after);
    for note in &after {
        let sounding = voices.clone().filter(|other| other.onset <= note.onset && other.end() > note.onset);
        assert_eq!(sounding.count(), 1, "alone from its onset on: {note:?}");
    }
}

/// It learns only from the player; forgotten phrases are unlearned.
#[test]
fn what_is_forgotten_teaches_no_more() {
    let mut talk = Talk::new();
    assert_eq!(talk.memory.taught(), 4);
    talk.say(begin_with(Revision(1), 1.5, BUSY));
    let notes = talk.notes(30);
    talk.say(end(notes[19].struck() + 0.0005));
    assert_eq!(talk.memory.taught(), 4, "not from itself");
    talk.say(Message::Heard(note(90.0, 70)));
    talk.say(Message::Heard(note(90.5, 72)));
    talk.say(Message::Undo);
    assert_eq!(talk.memory.taught(), 6);
    talk.say(begin(Revision(3), 91.0));
    talk.notes(10);
    talk.say(end(0.5));
    talk.say(Message::ForgetPhrase { at: 95.0 });
    assert!(talk.memory.taught() < 6);
    talk.say(Message::Forget { revision: Revision(4) });
    assert_eq!(talk.memory.taught(), 0);
}

/// After a take, the network is in exactly the state that feeding the played notes leads to.
#[test]
fn after_a_take_it_remembers_what_was_played() {
    let mut talk = Talk::new();
    let before = talk.state();
    talk.say(begin(Revision(1), 1.5));
    talk.notes(8);
    talk.say(Message::End(Revision(2), End::CANCELED));
    assert_eq!(talk.state(), before, "a hand-over that was called off leaves no trace");

    for (ahead, generation) in [(30, GENERATION), (200, GENERATION), (30, BUSY), (200, BUSY)] {
        let mut talk = Talk::new();
        talk.say(begin_with(Revision(1), 1.5, generation));
        let notes = talk.notes(ahead);
        let since = notes[19].struck() + 0.0005;
        // The player entered here; the generator received it later and had generated further.
        if ahead == 30 {
            talk.say(end(since));
            let played: Vec<Note> = notes.iter().filter(|note| note.struck() < since).copied().collect();
            assert!(talk.memory.latest().unwrap() <= 1.5 + since);
            assert_eq!(talk.memory.len(), 4 + played.len());
            let log = talk.takes.list();
            assert_eq!(log.len(), 1);
            assert_eq!(log[0].phrase.iter().map(|note| note.onset).collect::<Vec<_>>(), [-1.5, -1.5, -1.1, -0.7]);
            assert_eq!(log[0].notes.len(), played.len());
            assert!(log[0].notes.iter().all(|note| note.end() <= since));
        } else {
            let since = notes[180].struck() + 0.0005;
            talk.say(end(since));
        }
        let mut again = Decoder::new(network());
        talk.memory.recall(&mut again);
        assert_eq!(talk.state(), *again.state(), "{ahead} notes ahead");
    }
}

/// A note held at the hand-over first has a duration sampled from the network and finally its actual one, whether
/// or not something was changed meanwhile and whether or not the key was released in time.
#[test]
fn a_held_note_counts_as_long_as_it_was() {
    let held = Note { duration: 0.4, ..note(1.1, 36) };
    for (let_go, changes, count) in [
        (Some(1.3), false, 10),
        (Some(1.3), true, 10),
        (Some(0.45), true, 10),
        (None, false, 10),
        (None, true, 10),
        (Some(1.3), true, 40),
    ] {
        let mut talk = Talk::new();
        talk.say(Message::Held(held));
        let drawn = talk.memory.durations().last().unwrap();
        assert!(drawn >= 0.4);
        talk.say(Message::Heard(note(1.2, 72)));
        talk.say(begin_with(Revision(1), 1.5, GENERATION));
        let notes = talk.notes(60);
        if let Some(duration) = let_go {
            talk.say(Message::LetGo(Note { duration, ..held }));
        }
        let since = notes[count - 1].struck() + 0.001;
        if changes {
            let generation = GenerationParams { seed: 6, ..GENERATION };
            talk.say(Message::Change { revision: Revision(2), since, place: PLACE, generation, length: Length::Open });
            talk.notes(20);
        }
        talk.say(end(since));
        let so_far = 1.5 + since - 1.1;
        let lasted = talk.memory.durations().nth(4).unwrap();
        assert_eq!(lasted, let_go.unwrap_or(drawn.max(so_far)), "it was {drawn} s by the network");
        assert_eq!(talk.takes.list()[0].phrase[4].duration, let_go.unwrap_or(so_far));
        // The network was fed this duration and all that came after it, if that was not too much.
        let mut again = Decoder::new(network());
        talk.memory.recall(&mut again);
        assert_eq!(talk.state() == *again.state(), count <= 32, "let go {let_go:?}, changes {changes}");
        talk.say(Message::Undo);
        talk.memory.recall(&mut again);
        assert_eq!(talk.state(), *again.state(), "{count} notes, which are taken back");
    }
}

/// After an undo, the next note follows the phrase after the pause before the take, whatever the take's length, its
/// speed and the host's tempo during it.
#[test]
fn a_take_that_is_taken_back_takes_its_time_along() {
    let half = GenerationParams { rhythm: Rhythm { speed: Speed::Half, ..GENERATION.rhythm }, ..GENERATION };
    for (count, generation) in [(10, GENERATION), (700, GENERATION), (300, BUSY), (300, half)] {
        for (slowed, remembered) in [(1.0, true), (2.5, true), (1.0, false)] {
            let mut talk = Talk::new();
            let before = talk.state();
            talk.say(begin_with(Revision(1), 1.5, generation));
            let since = talk.notes(count)[count - 1].struck() + 0.01;
            let at = 1.5 + slowed * since;
            let end = End { at, remembered, ..END };
            talk.say(Message::End(Revision(2), End { limit: since, since, ..end }));
            if remembered {
                talk.say(Message::Undo);
            }
            let latest = talk.memory.latest().unwrap();
            assert!((latest - (at - 0.7)).abs() < 1e-6, "{count} notes: {latest} s at {at} s");
            assert_eq!((talk.memory.len(), talk.state() == before), (4, true), "the phrase is still there");
        }
    }
}

/// The same if the player has joined in: the player's notes stay, at their time and at normal speed.
#[test]
fn what_the_player_has_played_in_a_take_that_is_taken_back_stays_at_its_time() {
    let half = GenerationParams { rhythm: Rhythm { speed: Speed::Half, ..GENERATION.rhythm }, ..GENERATION };
    for (count, generation) in [(10, GENERATION), (10, half), (400, GENERATION)] {
        let mut talk = Talk::new();
        talk.say(begin_with(Revision(1), 1.5, generation));
        let mut joined = Vec::new();
        for revision in 2..5 {
            let latest = talk.notes(count / 2)[count / 2 - 1].struck();
            let since = latest + 0.1;
            let note = Message::Join { revision: Revision(revision), since, from: since, pitch: 80, velocity: 60 };
            talk.say(note);
            talk.say(Message::Leave { since: since + 0.25, pitch: None });
            joined.push(since);
        }
        let since = talk.notes(count)[count - 1].struck() + 0.01;
        talk.say(Message::End(Revision(9), End { limit: since, since, at: 1.5 + since, ..END }));
        talk.say(Message::Undo);
        assert!((talk.memory.latest().unwrap() - (1.5 + joined[2])).abs() < 1e-6, "{count} notes");
        let mut fresh = Talk::new();
        for since in joined {
            fresh.say(Message::Heard(Note { duration: 0.25, velocity: 60, ..note(1.5 + since, 80) }));
        }
        assert_eq!(talk.memory.len(), 7);
        for (step, wanted) in talk.memory.steps().zip(fresh.memory.steps()) {
            assert!((step - wanted).abs() < 1e-6, "{step} s for {wanted} s");
        }
    }
}

/// An offline render with a dead generator waits once, for five seconds; then it goes on and counts a timeout.
/// No note hangs.
#[test]
fn a_dead_thread_delays_a_render_once() {
    // The generator exists, but nothing drives it.
    let (mut partner, generator, _) = engine();
    let status = generator.status.clone();
    partner.activate(RATE, true);
    status.set_health(Health::Ready);
    let mut host = Host::default();
    let on = Heard::On { channel: 0, key: 60, velocity: 90 };
    let off = Heard::Off { channel: Some(0), key: Some(60) };
    for number in 0..2_000u64 {
        let events: &[(u32, Heard)] = if number % 50 == 0 { &[(10, on), (200, off)] } else { &[] };
        block(&mut partner, &Transport::default(), (number * 256, 256), SETTINGS, events, &mut host);
    }
    assert!(status.counts.turns.get() > 10, "the turns come all the same");
    assert_eq!(status.counts.timeouts.get(), 1);
    assert_eq!(host.sent, []);
}

/// The generator freezes in the middle of a take and recovers: sounding notes end in time, and notes that were
/// missed are not played later.
#[test]
fn a_thaw_brings_no_flood() {
    let mut paced = Paced::new();
    let mut host = Host::default();
    let on = Heard::On { channel: 0, key: 60, velocity: 90 };
    let off = Heard::Off { channel: Some(0), key: Some(60) };
    let mut base = 0;
    let mut play = |paced: &mut Paced, host: &mut Host, events: &[(u32, Heard)], notes: usize| {
        block(&mut paced.partner, &Transport::default(), (base, 80), SETTINGS, events, host);
        paced.generate(notes);
        base += 80;
        base
    };
    play(&mut paced, &mut host, &[(10, on), (70, off)], 8);
    while host.ons().count() < 20 {
        play(&mut paced, &mut host, &[], 2);
    }
    // 60 s: longer than the look-ahead and the longest note.
    for _ in 0..6_000 {
        play(&mut paced, &mut host, &[], 0);
    }
    assert_eq!(host.sounding(), [], "the look-ahead ends by itself");
    let frozen = host.ons().count();
    let dropped = paced.status.counts.dropped.get();
    for _ in 0..400 {
        play(&mut paced, &mut host, &[], 64);
    }
    assert!(paced.status.counts.dropped.get() > dropped + 20, "what is too late is dropped, and counted");
    let after: Vec<u64> = host.ons().skip(frozen).map(|sent| sent.0).collect();
    assert!(!after.is_empty(), "it plays on");
    // A flood would be dozens of notes in one block; chords have up to ten.
    let densest = after.iter().map(|at| after.iter().filter(|other| at.abs_diff(**other) < 80).count()).max();
    assert!(densest <= Some(12), "{densest:?} notes within 10 ms");
}
