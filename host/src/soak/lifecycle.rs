//! Instances that come and go: what they leave behind.

use std::path::Path;
use std::sync::Mutex;

use anyhow::{Result, ensure};
use host::{Audio, Event, Plugin, Timed, usage};

use super::report::Report;

/// Instances that are open at once.
const INSTANCES: usize = 32;
/// Threads that take turns in processing blocks.
const THREADS: u64 = 8;
/// Rounds after which memory is compared: allocators need a while to have all they want.
const WARM_UP: usize = 20;
/// Rounds of which the least counts: what an instance has just given back is not yet the system's.
const COMPARED: usize = 5;

/// Opens 32 instances, plays to each, closes them, again and again.
pub fn rounds(bundle: &Path, rounds: u64, report: &mut Report) -> Result<()> {
    let mut memory = Vec::new();
    let threads = threads_now();
    for _ in 0..rounds {
        let mut open = (0..INSTANCES).map(|_| Plugin::load(bundle)).collect::<Result<Vec<_>>>()?;
        for plugin in &mut open {
            plugin.activate(48_000.0, 512)?;
            plugin.run(play)?;
        }
        report.instances += INSTANCES as u64;
        drop(open);
        memory.extend(usage::memory());
    }
    if let (Some(before), Some(after)) = (threads, threads_now()) {
        report.threads_left += after.saturating_sub(before);
    }
    let least = |rounds: &[u64]| rounds.iter().min().copied();
    let warm = memory.get(WARM_UP..WARM_UP + COMPARED).and_then(least);
    let last =
        memory.get(WARM_UP + 2 * COMPARED..).and_then(|rest| least(&rest[rest.len().saturating_sub(COMPARED)..]));
    if let (Some(before), Some(after)) = (warm, last) {
        report.memory_growth_percent = Some((after as f64 / before as f64 - 1.0) * 100.0);
    }
    Ok(())
}

/// A phrase, and the beginning of an answer.
fn play(audio: &mut Audio) -> Result<()> {
    for block in 0..60_u64 {
        let now = audio.now();
        let key = 60 + (block % 12) as u8;
        let events = [
            Timed { at: now, event: Event::note_on(0, key, 80) },
            Timed { at: now + 400, event: Event::note_off(0, key) },
        ];
        audio.block(512, if block < 20 { &events } else { &[] }, None)?;
    }
    Ok(())
}

/// Activates and deactivates one instance again and again.
pub fn activations(bundle: &Path, times: u64, report: &mut Report) -> Result<()> {
    let mut plugin = Plugin::load(bundle)?;
    report.instances += 1;
    for time in 0..times {
        plugin.set_offline(time % 3 == 0)?;
        plugin.activate([44_100.0, 48_000.0, 96_000.0][(time % 3) as usize], 512)?;
        if time % 10 == 0 {
            plugin.run(play)?;
        }
        plugin.deactivate();
        report.activations += 1;
    }
    report.take_in(&mut plugin)
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
    if let Some(all) = &mut report.allocs {
        *all += allocs;
    }
    report.take_in(&mut plugin)
}

/// Threads of this process. `None`: this system does not say.
fn threads_now() -> Option<u64> {
    // One that has been joined may still be on its way out of the kernel.
    let count = || Some(std::fs::read_dir("/proc/self/task").ok()?.count() as u64);
    let mut least = count()?;
    for _ in 0..50 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        least = least.min(count()?);
    }
    Some(least)
}
