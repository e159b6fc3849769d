//! Creates and destroys many instances, and checks what they leave behind.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use probe::{heap, usage};
use test_host::{Audio, Event, Plugin, Timed};

use super::report::Report;

/// Number of instances open at once.
const INSTANCES: usize = 32;
/// Number of threads that take turns processing blocks.
const THREADS: u64 = 8;
/// Round after which memory is compared: by then, everything that is allocated once per process has been.
const WARM_UP: u64 = 20;
/// Time limit for the generator thread to reach the wanted state.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Number of notes queued for the generator thread when an instance is dropped: the capacity of its queue.
const WAITING: u64 = 2_048;

/// Repeatedly opens 32 instances, plays to each and closes them.
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

/// Bytes allocated on the heap, and resident memory in bytes.
fn held() -> Option<(usize, u64)> {
    heap::trim();
    heap::live().zip(usage::memory())
}

/// Plays a phrase and the start of the answer. Returns the number of heap calls by the plugin.
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

/// Repeatedly activates and deactivates one instance.
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

/// Drops instances while their generator threads are busy, and records the longest time that this took.
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

/// What an generator thread is doing when its instance is dropped.
#[derive(Clone, Copy)]
enum Busy {
    /// Loading weights.
    Loading,
    /// Receiving notes, with a full queue waiting.
    Listening,
    /// Generating notes.
    Playing,
    /// Warming up other weights with everything in its memory.
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

    /// An instance whose generator thread is in this state.
    fn plugin(self, bundle: &Path, report: &mut Report) -> Result<Plugin> {
        let mut plugin = Plugin::load(bundle)?;
        plugin.set("silence", "100")?;
        plugin.activate(48_000.0, 512)?;
        match self {
            Self::Loading => plugin.idle(Duration::from_millis(5)),
            Self::Listening => {
                plugin.wait_until(TIMEOUT, |status| status.health == "ready")?;
                report.asked_heap(plugin.run(flood)?);
            }
            Self::Playing => {
                plugin.wait_until(TIMEOUT, |status| status.health == "ready")?;
                report.asked_heap(plugin.run(play)?);
                plugin.wait_until(TIMEOUT, |status| status.note_us.is_some())?;
            }
            Self::Recalling => {
                report.asked_heap(plugin.run(flood)?);
                plugin.wait_until(TIMEOUT, |status| status.health == "ready")?;
                plugin.choose_weights(Path::new("seed"))?;
                plugin.wait_until(TIMEOUT, |status| status.health == "ready")?;
            }
        }
        Ok(plugin)
    }
}

/// Sends as many notes as the queue can hold, at once. Returns the number of heap calls by the plugin.
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
        ensure!(number == blocks, "only {number} of {blocks} blocks were processed");
        Ok(audio.heap_calls())
    })?;
    report.blocks += blocks;
    report.asked_heap(allocs);
    report.take_in(&mut plugin)
}

/// Number of threads of this process; `None` if the system does not report it.
fn threads_now() -> Option<u64> {
    // A thread that has been joined may still be listed for a moment.
    let mut least = usage::threads()?;
    for _ in 0..50 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        least = least.min(usage::threads()?);
    }
    Some(least)
}
