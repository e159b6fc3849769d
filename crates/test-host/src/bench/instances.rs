//! Many instances in one process, all processed on one audio thread: at first all are idle, then a quarter of them
//! play.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use probe::usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use test_host::{Audio, Blocks, Pace, Performer, Plugin, Status, Timed, Timeline};

use super::process::{BLOCK, RATE, figure, samples};

/// Numbers of instances measured.
const COUNTS: [usize; 4] = [1, 8, 32, 64];
const TEMPO: f64 = 120.0;
/// Time for the models to load, in seconds.
const SETTLE_S: f64 = 2.0;
/// Measured time with all instances idle, and with some playing, in seconds.
const REST_S: f64 = 5.0;
const PLAY_S: f64 = 15.0;

/// Measurements of a number of instances. CPU times are fractions of one core.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Number of instances that played.
    playing: usize,
    /// Number of notes that they played.
    notes: u64,
    /// Number of notes shifted or dropped because they were late.
    late_notes: u64,
    /// Resident memory in MB beyond what the host used before it loaded the first instance.
    rss_mb: Option<f64>,
    /// CPU time of the whole process while some instances play.
    cpu: f64,
    /// CPU time of the plugin's own threads while all are idle.
    idle_cpu: Option<f64>,
    /// CPU time of the audio thread while all are idle, including the host's share.
    idle_audio_cpu: f64,
}

/// Measures each number of instances in a separate process.
pub fn run() -> Result<Value> {
    let mut all = BTreeMap::new();
    for count in COUNTS {
        eprintln!("instances: {count}");
        let figures: Figures = super::alone(&["instances", &count.to_string()])?;
        all.insert(count.to_string(), figures);
    }
    Ok(serde_json::to_value(all)?)
}

/// Measures `count` instances in this process.
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
    // Staggered, so that they do not all play at the same moment.
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

/// Processes the instances' blocks in turn, as a host's engine on one thread does, up to `seconds`.
fn play_until(performers: &mut [Performer], audios: &mut [Audio], seconds: f64) -> Result<()> {
    while audios.iter().any(|audio| audio.now() < samples(seconds)) {
        for (performer, audio) in performers.iter_mut().zip(&mut *audios) {
            performer.play_until(audio, audio.now() + u64::from(BLOCK), |_| ())?;
        }
    }
    Ok(())
}

/// Wall-clock time spent, and CPU time of this thread, of the plugin's threads and of the whole process.
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
