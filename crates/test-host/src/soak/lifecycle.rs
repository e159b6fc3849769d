//! Instances that come and go: what they leave behind.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use probe::{heap, usage};
use test_host::{Audio, Event, Plugin, Timed};

use super::report::Report;

/// Instances that are open at once.
const INSTANCES: usize = 32;
/// Threads that take turns in processing blocks.
const THREADS: u64 = 8;
/// Rounds after which memory is compared: what is made once for a process is made by then.
const WARM_UP: u64 = 20;
/// The inference thread must be where it is wanted by then.
const PATIENCE: Duration = Duration::from_secs(60);
/// Notes that wait for the inference thread when an instance is dropped: as many as its queue holds.
const WAITING: u64 = 2_048;

/// Opens 32 instances, plays to each, closes them, again and again.
pub fn rounds(bundle: &Path, rounds: u64, report: &mut Report) -> Result<()> {
    let threads = threads_now();
    let mut warm = None;
    for round in 0..rounds {
        let mut open = (0..INSTANCES).map(|_| Plugin::load(bundle)).collect::<Result<Vec<_>>>()?;
        for plugin in &mut open {
            plugin.activate(48_000.0, 512)?;
            report.asked_heap(plugin.run(play)?);
        }
        report.instances += INSTANCES as u64;
        drop(open);
        if round == WARM_UP {
            warm = held();
        }
    }
    if let (Some(before), Some(after)) = (threads, threads_now()) {
        report.threads_left += after.saturating_sub(before);
    }
    if let (Some(before), Some(after)) = (warm, held()) {
        let growth = |before: f64, after: f64| Some((after / before - 1.0) * 100.0);
        report.memory_growth_percent = growth(before.0 as f64, after.0 as f64);
        report.resident_growth_percent = growth(before.1 as f64, after.1 as f64);
    }
    Ok(())
}

/// Bytes on the heap, and bytes that the system has lent.
fn held() -> Option<(usize, u64)> {
    heap::trim();
    heap::live().zip(usage::memory())
}

/// A phrase, and the beginning of an answer. Returns how often the plugin called the heap.
fn play(audio: &mut Audio) -> Result<u64> {
    for block in 0..60_u64 {
        let now = audio.now();
        let key = 60 + (block % 12) as u8;
        let events = [
            Timed { at: now, event: Event::note_on(0, key, 80) },
            Timed { at: now + 400, event: Event::note_off(0, key) },
        ];
        audio.block(512, if block < 20 { &events } else { &[] }, None)?;
    }
    Ok(audio.heap_calls())
}

/// Activates and deactivates one instance again and again.
pub fn activations(bundle: &Path, times: u64, report: &mut Report) -> Result<()> {
    let mut plugin = Plugin::load(bundle)?;
    report.instances += 1;
    for time in 0..times {
        plugin.set_offline(time % 3 == 0)?;
        plugin.activate([44_100.0, 48_000.0, 96_000.0][(time % 3) as usize], 512)?;
        if time % 10 == 0 {
            report.asked_heap(plugin.run(play)?);
        }
        plugin.deactivate();
        report.activations += 1;
    }
    report.take_in(&mut plugin)
}

/// Drops instances while their inference threads are busy, and notes the longest time that this took.
pub fn drops(bundle: &Path, times: u64, report: &mut Report) -> Result<()> {
    for _ in 0..times {
        for busy in [Busy::Loading, Busy::Listening, Busy::Playing, Busy::Recalling] {
            let plugin = busy.plugin(bundle, report)?;
            report.instances += 1;
            let (began, worked) = (Instant::now(), usage::process_cpu());
            drop(plugin);
            let (took, worked) = (began.elapsed(), usage::process_cpu() - worked);
            for (longest, took) in [(&mut report.longest_drop_ms, took), (&mut report.longest_drop_cpu_ms, worked)] {
                let longest = longest.entry(busy.name()).or_default();
                *longest = longest.max(took.as_secs_f64() * 1e3);
            }
        }
    }
    Ok(())
}

/// What an inference thread is at.
#[derive(Clone, Copy)]
enum Busy {
    /// It loads weights.
    Loading,
    /// A full queue of notes waits for it.
    Listening,
    /// It plays.
    Playing,
    /// It warms other weights up with all it remembers.
    Recalling,
}

impl Busy {
    fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Listening => "listening",
            Self::Playing => "playing",
            Self::Recalling => "recalling",
        }
    }

    /// An instance whose thread is.
    fn plugin(self, bundle: &Path, report: &mut Report) -> Result<Plugin> {
        let mut plugin = Plugin::load(bundle)?;
        plugin.set("silence", "100")?;
        plugin.activate(48_000.0, 512)?;
        match self {
            Self::Loading => plugin.idle(Duration::from_millis(5)),
            Self::Listening => {
                plugin.wait_until(PATIENCE, |status| status.health == "ready")?;
                report.asked_heap(plugin.run(flood)?);
            }
            Self::Playing => {
                plugin.wait_until(PATIENCE, |status| status.health == "ready")?;
                report.asked_heap(plugin.run(play)?);
                plugin.wait_until(PATIENCE, |status| status.note_us.is_some())?;
            }
            Self::Recalling => {
                report.asked_heap(plugin.run(flood)?);
                plugin.wait_until(PATIENCE, |status| status.health == "ready")?;
                plugin.choose_weights(Path::new("seed"))?;
                plugin.wait_until(PATIENCE, |status| status.health == "ready")?;
            }
        }
        Ok(plugin)
    }
}

/// As many notes as can wait, all at once. Returns how often the plugin called the heap.
fn flood(audio: &mut Audio) -> Result<u64> {
    for note in 0..WAITING {
        let (now, key) = (audio.now(), 40 + (note % 40) as u8);
        let events = [
            Timed { at: now, event: Event::note_on(0, key, 70) },
            Timed { at: now + 500, event: Event::note_off(0, key) },
        ];
        audio.block(512, &events, None)?;
    }
    Ok(audio.heap_calls())
}

/// Processes the blocks of one instance on eight threads in turn.
pub fn threads(bundle: &Path, blocks: u64, report: &mut Report) -> Result<()> {
    let mut plugin = Plugin::load(bundle)?;
    report.instances += 1;
    plugin.activate(48_000.0, 512)?;
    let allocs = plugin.run(|audio| {
        let turn = Mutex::new((0_u64, audio));
        std::thread::scope(|scope| {
            let process = |thread: u64| -> Result<()> {
                loop {
                    let mut mine = turn.lock().expect("no thread panics");
                    let (number, audio) = &mut *mine;
                    if *number == blocks {
                        return Ok(());
                    }
                    if *number % THREADS == thread {
                        audio.move_here();
                        let key = 40 + (*number % 40) as u8;
                        let event =
                            if *number % 2 == 0 { Event::note_on(0, key, 70) } else { Event::note_off(0, key - 1) };
                        let events = [Timed { at: audio.now(), event }];
                        audio.block(64, if *number / 64 % 2 == 0 { &events } else { &[] }, None)?;
                        *number += 1;
                    }
                    drop(mine);
                    std::thread::yield_now();
                }
            };
            let running: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || process(thread))).collect();
            for thread in running {
                let result = thread.join();
                ensure!(result.is_ok(), "a thread panicked");
            }
            Ok(())
        })?;
        let (number, audio) = turn.into_inner().expect("no thread panics");
        ensure!(number == blocks, "only {number} of {blocks} blocks");
        Ok(audio.heap_calls())
    })?;
    report.blocks += blocks;
    report.asked_heap(allocs);
    report.take_in(&mut plugin)
}

/// Threads of this process. `None`: this system does not say.
fn threads_now() -> Option<u64> {
    // One that has been joined may still be on its way out of the kernel.
    let mut least = usage::threads()?;
    for _ in 0..50 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        least = least.min(usage::threads()?);
    }
    Some(least)
}
