//! Many instances in one process, all on one audio thread: first all of them rest, then every fourth plays.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use probe::usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use test_host::{Audio, Blocks, Pace, Performer, Plugin, Status, Timed, Timeline};

use super::process::{BLOCK, RATE, figure, samples};

/// How many.
const COUNTS: [usize; 4] = [1, 8, 32, 64];
const TEMPO: f64 = 120.0;
/// The models load, in seconds.
const SETTLE_S: f64 = 2.0;
/// All rest for so long, and some play for so long.
const REST_S: f64 = 5.0;
const PLAY_S: f64 = 15.0;

/// What so many instances took. Processor times as parts of one core.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// How many of them played.
    playing: usize,
    /// Notes that these have played.
    notes: u64,
    /// Notes that came too late.
    late_notes: u64,
    /// Resident memory beyond what the host had before it loaded the first, in MB.
    rss_mb: Option<f64>,
    /// While some play: all of the process.
    cpu: f64,
    /// While all rest: the plugin's own threads.
    idle_cpu: Option<f64>,
    /// While all rest: the audio thread, the host's own part in it included.
    idle_audio_cpu: f64,
}

/// Measures each number in a process of its own.
pub fn run() -> Result<Value> {
    let mut all = BTreeMap::new();
    for count in COUNTS {
        eprintln!("instances: {count}");
        let figures: Figures = super::alone(&["instances", &count.to_string()])?;
        all.insert(count.to_string(), figures);
    }
    Ok(serde_json::to_value(all)?)
}

/// Measures so many, in this process.
pub fn measure(count: usize) -> Result<Figures> {
    Status::request();
    let playing = (count / 4).max(1);
    let bundle = test_host::find_bundle()?;
    let before = usage::memory();
    let mut plugins = Vec::with_capacity(count);
    for number in 0..count {
        let mut plugin = Plugin::load(&bundle)?;
        plugin.set("turn", "until you play")?;
        plugin.set("silence", "300 ms")?;
        plugin.set("seed", &number.to_string())?;
        plugin.activate(RATE, BLOCK)?;
        plugins.push(plugin);
    }
    let start = SETTLE_S + REST_S;
    // Not all in the same moment.
    let phrases: Vec<Vec<Timed>> = (0..playing).map(|n| figure(start + 0.037 * n as f64, start + 1.5)).collect();
    let performer = |number: usize| {
        let events = phrases.get(number).map_or(&[][..], |events| events);
        Performer::new(events, Blocks::Of(BLOCK), Pace::RealTime, Some(Timeline::standing(TEMPO)))
    };
    let mut performers: Vec<Performer> = (0..count).map(performer).collect();
    let (rest, play) = Plugin::run_together(&mut plugins, |audios| {
        play_until(&mut performers, audios, SETTLE_S)?;
        let rest = Spent::during(|| play_until(&mut performers, audios, start))?;
        let play = Spent::during(|| play_until(&mut performers, audios, start + PLAY_S))?;
        Ok((rest, play))
    })?;
    let memory = usage::memory().zip(before).map(|(now, before)| now.saturating_sub(before) as f64 / 1e6);
    let (mut notes, mut late) = (0, 0);
    for plugin in &mut plugins {
        let status = plugin.status()?;
        notes += status.played;
        late += status.late + status.dropped;
    }
    Ok(Figures {
        playing,
        notes,
        late_notes: late,
        rss_mb: memory,
        cpu: play.of_core(play.process),
        idle_cpu: rest.plugin.map(|cpu| rest.of_core(cpu)),
        idle_audio_cpu: rest.of_core(rest.audio),
    })
}

/// One block of each instance after another, as a host's engine on one thread would.
fn play_until(performers: &mut [Performer], audios: &mut [Audio], seconds: f64) -> Result<()> {
    while audios.iter().any(|audio| audio.now() < samples(seconds)) {
        for (performer, audio) in performers.iter_mut().zip(&mut *audios) {
            performer.play_until(audio, audio.now() + u64::from(BLOCK), |_| ())?;
        }
    }
    Ok(())
}

/// Time that went by, and processor time of this thread, of the plugin's, and of all.
struct Spent {
    time: Duration,
    audio: Duration,
    plugin: Option<Duration>,
    process: Duration,
}

impl Spent {
    fn during(run: impl FnOnce() -> Result<()>) -> Result<Self> {
        let plugin = || usage::threads_cpu("antiphon");
        let (time, audio, before, process) = (Instant::now(), usage::thread_cpu(), plugin(), usage::process_cpu());
        run()?;
        Ok(Self {
            time: time.elapsed(),
            audio: usage::thread_cpu() - audio,
            plugin: plugin().zip(before).map(|(now, before)| now.saturating_sub(before)),
            process: usage::process_cpu() - process,
        })
    }

    fn of_core(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() / self.time.as_secs_f64()
    }
}
