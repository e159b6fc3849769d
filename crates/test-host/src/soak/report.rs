//! The results of a soak run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use probe::heap;
use serde::Serialize;
use test_host::Plugin;

/// Maximum number of described faults; further ones are only counted.
const DESCRIBED: usize = 20;

/// Measurements of one simulated failure.
#[derive(Debug, Serialize)]
pub struct Accident {
    /// The failure, as a value of `ANTIPHON_FAULT`.
    pub what: &'static str,
    /// Median CPU time of a block on the audio thread, in microseconds.
    pub block_us: f64,
    /// 99th percentile of the CPU time of a block, in microseconds.
    pub slow_block_us: f64,
    /// Number of notes that the plugin played.
    pub played: usize,
    /// Maximum number of notes that began in one block.
    pub densest: usize,
    /// Number of notes that were late and were shifted or dropped.
    pub late: u64,
    /// Restarts of the generator thread.
    pub restarts: u64,
    /// Longest time for which the generator thread did not respond, in seconds.
    pub silence_s: f64,
    /// Number of hanging, stray and lost notes.
    pub faults: usize,
}

/// Counts and measurements. All of the second group must be 0, except memory growth, which may be up to 1 %.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Whether the run finished.
    pub finished: bool,
    /// Number of blocks processed.
    pub blocks: u64,
    /// Number of events sent to the plugin.
    pub events_in: u64,
    /// Number of events that the plugin sent.
    pub events_out: u64,

    /// Own notes of the plugin still sounding one block after something that ends all notes, or at the end.
    pub hanging: u64,
    /// Events sent out of order or outside their block.
    pub out_of_order: u64,
    /// Own notes begun while the plugin was bypassed, or when nothing could have started them.
    pub stale: u64,
    /// Own note-offs for notes that were not sounding, and own note-ons for keys that were.
    pub stray: u64,
    /// The player's note events that were not passed through.
    pub lost: u64,
    /// Panics that the plugin caught or logged. A panic on the audio thread ends the run.
    pub panics: u64,
    /// Heap calls in `process`, frees included; `None` if this system cannot count them.
    pub allocs: Option<u64>,
    /// Offline renders that waited for notes until they timed out.
    pub timeouts: u64,
    /// Takes that were not followed by another one.
    pub silences: u64,
    /// Threads left after all instances were destroyed.
    pub threads_left: u64,
    /// Growth of heap memory over many rounds of opening and closing 32 instances, in percent; above 1 it is a fault.
    /// `None` if not measured.
    pub memory_growth_percent: Option<f64>,

    /// Growth of resident memory over the same rounds, in percent; not a fault, because the allocator's reserves
    /// fluctuate.
    pub resident_growth_percent: Option<f64>,
    /// Longest time to drop an instance, in milliseconds, by what its generator thread was doing.
    pub longest_drop_ms: BTreeMap<&'static str, f64>,
    /// Longest CPU time to drop an instance, in milliseconds, independent of other programs. Above 100 it is a fault.
    pub longest_drop_cpu_ms: BTreeMap<&'static str, f64>,
    /// Results of the simulated failures of the generator thread.
    pub accidents: Vec<Accident>,

    /// Number of long takes played that were withdrawn, replaced or interrupted.
    pub takes: u64,
    /// Longest time from the end of such a take to the next note, in seconds.
    pub longest_pause_s: f64,
    /// Sessions: activations, each with its own sample rate and profile.
    pub sessions: u64,
    /// Instances opened, including those of the lifecycle tests.
    pub instances: u64,
    /// Activations in the lifecycle test.
    pub activations: u64,
    /// States saved or loaded while blocks were processed.
    pub states: u64,
    /// Number of resets.
    pub resets: u64,
    /// Pauses: times that processing was stopped and started again.
    pub pauses: u64,
    /// Flushes (calls without samples) with events.
    pub flushes: u64,
    /// Transport events within blocks.
    pub transport_events: u64,
    /// Events for notes with ids.
    pub events_with_ids: u64,
    /// Number of hand-overs.
    pub turns: u64,
    /// Number of the player's notes that the model received.
    pub heard: u64,
    /// Number of notes that the plugin played.
    pub played: u64,
    /// Messages and events that did not fit into one of the plugin's queues: blocks come faster here than in real time.
    pub overflows: u64,
    /// Notes that were late and were shifted, for the same reason.
    pub late: u64,
    /// Notes that were so late that they were dropped.
    pub dropped: u64,
    /// Whether opening a network socket would have ended the process.
    pub network_denied: bool,
    /// Duration of the run, in seconds.
    pub seconds: f64,
    /// Descriptions of the first faults.
    pub described: Vec<String>,
}

impl Report {
    /// Total number of violations.
    pub fn faults(&self) -> u64 {
        let grown = self.memory_growth_percent.is_some_and(|percent| percent > 1.0);
        self.hanging
            + self.out_of_order
            + self.stale
            + self.stray
            + self.lost
            + self.panics
            + self.allocs.unwrap_or(0)
            + self.timeouts
            + self.silences
            + self.threads_left
            + u64::from(grown)
            + self.longest_drop_cpu_ms.values().filter(|ms| **ms > 100.0).count() as u64
    }

    /// Adds the number of heap calls in `process`, if they can be counted.
    pub fn asked_heap(&mut self, calls: u64) {
        if heap::CAN_WATCH {
            *self.allocs.get_or_insert(0) += calls;
        }
    }

    /// Describes a fault, unless [`DESCRIBED`] have been described already.
    pub fn describe(&mut self, what: impl FnOnce() -> String) {
        if self.described.len() < DESCRIBED {
            self.described.push(what());
        }
    }

    /// Adds the figures of an instance that is about to be dropped.
    pub fn take_in(&mut self, plugin: &mut Plugin) -> Result<()> {
        let status = plugin.status()?;
        let logged_errors = plugin.logged_errors();
        let panics = logged_errors.iter().filter(|line| line.contains("panicked")).count() as u64;
        self.panics += panics.max(status.restarts);
        self.overflows += status.overflows;
        self.timeouts += status.timeouts;
        self.turns += status.turns;
        self.heard += status.heard;
        self.played += status.played;
        self.late += status.late;
        self.dropped += status.dropped;
        for line in logged_errors {
            self.describe(|| line);
        }
        Ok(())
    }

    /// Writes the report as JSON.
    pub fn save(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_value(self).map_err(|_| fmt::Error)?;
        for (name, value) in json.as_object().into_iter().flatten().filter(|(_, value)| !value.is_array()) {
            writeln!(f, "{name:24} {value}")?;
        }
        self.accidents.iter().try_for_each(|accident| writeln!(f, "{accident:?}"))?;
        self.described.iter().try_for_each(|line| writeln!(f, "! {line}"))
    }
}
