//! What happens when the generator, its weights or its GPU fail.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use model::device::{Batch, CpuDevice, DeviceBenchmark, DeviceError, TrunkDevice};
use notes::Note;

use super::session::{begin, note};
use super::*;
use crate::generator::device::use_survey;
use crate::link::messages::{Generated, Message, Revision};
use crate::link::queues::AudioEnd;
use crate::link::status::Health;

/// Waits for the other thread, for at most a minute, so that the test ends.
fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "the generator does not answer");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn generated(audio_end: &mut AudioEnd, revision: Revision, count: usize) -> Vec<Note> {
    let mut generated = Vec::new();
    until(|| {
        generated.extend(
            std::iter::from_fn(|| audio_end.receive_note()).filter(|note: &Generated| note.revision == revision),
        );
        generated.len() >= count
    });
    generated.iter().take(count).filter_map(|note| note.note).collect()
}

#[test]
fn it_starts_again_three_times_and_remembers_the_phrase() {
    let (audio, generator, ui) = engine();
    let (mut audio_end, mut model_info, status) = (audio.into_audio_end(), ui.model_info, generator.status.clone());
    let thread = GeneratorThread::start(generator).unwrap();
    for (at, pitch) in [(0.0, 60), (0.4, 64), (0.8, 67)] {
        assert!(audio_end.send_note(Message::Finished(note(at, pitch))));
    }
    // Progress far ahead, so that the look-ahead is no limit, however slow the music.
    audio_end.set_progress(1e6);
    let mut heard = Vec::new();
    for round in 0..=3u64 {
        audio_end.send_command(begin(Revision(round), 2.0));
        heard.push(generated(&mut audio_end, Revision(round), 5));
        assert_eq!(status.health(), Health::Ready);
        audio_end.send_command(Message::Break);
        until(|| status.counts.restarts.get() == round + 1);
    }
    assert!(heard.iter().all(|take| *take == heard[0]), "the same phrase, the same continuation");
    until(|| status.health() == Health::Broken);
    model_info.update();
    assert!(model_info.output_buffer().trouble.is_some());
    drop(thread);
}

/// The CPU in place of a GPU. Instances given to decoders fail after `after` steps.
#[derive(Debug)]
struct Failing {
    on: Box<dyn TrunkDevice>,
    after: usize,
    surveyed: AtomicBool,
}

impl TrunkDevice for Failing {
    fn name(&self) -> &str {
        "failing"
    }

    fn step(&mut self, batch: &mut Batch) -> Result<(), DeviceError> {
        self.after = self.after.checked_sub(1).ok_or_else(|| DeviceError::Failed("as a test has asked".to_owned()))?;
        self.on.step(batch)
    }

    fn open_session(&self, takes: usize) -> Result<Box<dyn TrunkDevice>, DeviceError> {
        // The survey's own instance never fails; those after it do.
        let after = if self.surveyed.swap(true, Ordering::Relaxed) { 9 } else { usize::MAX };
        Ok(Box::new(Self { on: self.on.open_session(takes)?, after, surveyed: AtomicBool::new(true) }))
    }
}

#[test]
fn a_gpu_that_fails_in_mid_take_is_not_heard() {
    let on = Box::new(CpuDevice::new(network()).unwrap());
    let failing = Failing { on, after: usize::MAX, surveyed: AtomicBool::new(false) };
    let _known = use_survey(&network(), DeviceBenchmark::new(&network(), 1, Ok(Box::new(failing))));
    let mut takes_so_far = Vec::new();
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let chosen = Arc::new(Mutex::new(choice));
        let asked = chosen.clone();
        let (audio, generator, ui) = engine_with(Arc::new(FixedNetwork(network())), move || *asked.lock().unwrap());
        let (mut audio_end, mut model_info, status) = (audio.into_audio_end(), ui.model_info, generator.status.clone());
        let _thread = GeneratorThread::start(generator).unwrap();
        for (at, pitch) in [(0.0, 60), (0.4, 64), (0.8, 67)] {
            assert!(audio_end.send_note(Message::Finished(note(at, pitch))));
        }
        audio_end.set_progress(1e6);
        audio_end.send_command(begin(Revision(1), 2.0));
        takes_so_far.push(generated(&mut audio_end, Revision(1), 20));
        assert_eq!((status.counts.restarts.get(), status.lost_takes(), status.is_on_gpu()), (0, 0, false));
        let gpu = choice == DeviceChoice::Gpu;
        until(|| status.counts.gpu_failures.get() == u64::from(gpu));
        until(|| model_info.update() | true && model_info.output_buffer().device.is_fallback == gpu);
        let device = &model_info.output_buffer().device;
        assert_eq!((device.name.as_str(), device.reason.contains("as a test has asked")), ("CPU", gpu));
        // The GPU is tried again when it is chosen again.
        *chosen.lock().unwrap() = DeviceChoice::Cpu;
        until(|| model_info.update() | true && !model_info.output_buffer().device.is_fallback);
        // It may fail again before `is_on_gpu` is checked.
        *chosen.lock().unwrap() = DeviceChoice::Gpu;
        until(|| status.is_on_gpu() || status.counts.gpu_failures.get() > u64::from(gpu));
    }
    assert_eq!(takes_so_far[0], takes_so_far[1]);
}

/// A choice whose first two versions cannot be loaded.
#[derive(Default)]
struct Bad(AtomicU32);

impl NetworkSource for Bad {
    fn version(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn load(&self, _: &dyn Fn() -> bool) -> Result<LoadedNetwork, String> {
        match self.version() {
            0 => Err("There is no such file. Choose another.".to_owned()),
            1 => panic!("as a test has asked"),
            _ => Ok(LoadedNetwork { network: network(), found: Some("elsewhere".to_owned()), trouble: None }),
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
    let (mut audio_end, mut model_info, status) = (audio.into_audio_end(), ui.model_info, generator.status.clone());
    let _thread = GeneratorThread::start(generator).unwrap();
    for (version, why) in [(0, "There is no such file. Choose another."), (1, "This model cannot be read")] {
        choice.0.store(version, Ordering::Relaxed);
        until(|| {
            model_info.update();
            model_info.output_buffer().missing.as_ref().is_some_and(|missing| missing.starts_with(why))
        });
        let said = model_info.output_buffer().clone();
        assert!(said.missing.unwrap().ends_with("Until then the built-in model plays."));
        until(|| status.health() == Health::Ready);
        assert_eq!((said.weights, status.is_stand_in()), (network().card().name.clone(), true));
    }
    assert!(audio_end.send_note(Message::Finished(note(0.0, 60))));
    audio_end.set_progress(1e6);
    audio_end.send_command(begin(Revision(1), 2.0));
    assert_eq!(generated(&mut audio_end, Revision(1), 5).len(), 5);

    choice.0.store(2, Ordering::Relaxed);
    until(|| !status.is_stand_in() && status.health() == Health::Ready);
    model_info.update();
    let said = model_info.output_buffer();
    assert_eq!((said.missing.as_ref(), said.found.as_deref()), (None, Some("elsewhere")));
}

/// An offline render with a dead generator waits once, for five seconds; then it goes on and counts a timeout.
/// No note hangs.
#[test]
fn a_dead_thread_delays_a_render_once() {
    // The generator exists, but nothing drives it.
    let (mut audio, generator, _) = engine();
    let status = generator.status.clone();
    audio.activate(RATE, true);
    status.set_health(Health::Ready);
    let mut host = Host::default();
    let on = PlayerEvent::On { channel: 0, key: 60, velocity: 90 };
    let off = PlayerEvent::Off { channel: Some(0), key: Some(60) };
    for number in 0..2_000u64 {
        let events: &[(u32, PlayerEvent)] = if number % 50 == 0 { &[(10, on), (200, off)] } else { &[] };
        block(&mut audio, &Transport::default(), (number * 256, 256), SETTINGS, events, &mut host);
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
    let on = PlayerEvent::On { channel: 0, key: 60, velocity: 90 };
    let off = PlayerEvent::Off { channel: Some(0), key: Some(60) };
    let mut base = 0;
    let mut play = |paced: &mut Paced, host: &mut Host, events: &[(u32, PlayerEvent)], notes: usize| {
        block(&mut paced.audio, &Transport::default(), (base, 80), SETTINGS, events, host);
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
