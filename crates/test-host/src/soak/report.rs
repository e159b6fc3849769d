//! What the soak has counted.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use probe::heap;
use serde::Serialize;
use test_host::Plugin;

/// Descriptions that are kept; the counts go on.
const DESCRIBED: usize = 20;

/// What came of an accident.
#[derive(Debug, Serialize)]
pub struct Accident {
    /// Which one.
    pub what: &'static str,
    /// Processor time of a block on the audio thread, in microseconds: the median.
    pub block_us: f64,
    /// The same, of one in a hundred blocks.
    pub slow_block_us: f64,
    /// Notes that the plugin played.
    pub played: usize,
    /// The most of them that began in one block.
    pub densest: usize,
    /// Notes that came too late and were shifted or dropped.
    pub late: u64,
    /// Fresh starts.
    pub restarts: u64,
    /// The longest time in which the inference thread showed no sign of life, in seconds.
    pub silence_s: f64,
    /// Notes that hang, stray or are lost.
    pub faults: usize,
}

/// The counts. Those of the second group must all be 0.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Whether the run came to its end.
    pub finished: bool,
    /// Blocks processed.
    pub blocks: u64,
    /// Events given to the plugin.
    pub events_in: u64,
    /// Events that it sent.
    pub events_out: u64,

    /// Own notes that sounded on a block after something that ends all notes, or at the end.
    pub hanging: u64,
    /// Events before the one before them, or outside of their block.
    pub out_of_order: u64,
    /// Own notes begun while the plugin was bypassed, or had nothing that could have led to them.
    pub stale: u64,
    /// Own note-offs of notes that did not sound, and note-ons of keys that did.
    pub stray: u64,
    /// The player's note events that did not pass.
    pub lost: u64,
    /// Panics that the plugin caught or logged. One on the audio thread ends the run.
    pub panics: u64,
    /// Calls to the heap from `process`, frees included. `None`: this system cannot count them.
    pub allocs: Option<u64>,
    /// Offline renders that waited in vain.
    pub timeouts: u64,
    /// Takes after which no other one came.
    pub silences: u64,
    /// Threads left when every instance was gone.
    pub threads_left: u64,
    /// Memory on the heap that 32 instances, opened and closed again and again, have cost for good, in percent;
    /// above 1 it is a fault. `None`: not measured.
    pub memory_growth_percent: Option<f64>,

    /// The same of the memory that the system has lent to this process: what the allocator keeps goes up and down.
    pub resident_growth_percent: Option<f64>,
    /// The longest time that dropping an instance took, in milliseconds, by what its inference thread was at.
    pub longest_drop_ms: BTreeMap<&'static str, f64>,
    /// The processor time in it: what it is where no other program runs. Above 100 it is a fault.
    pub longest_drop_cpu_ms: BTreeMap<&'static str, f64>,
    /// Accidents of the inference thread, and what came of them.
    pub accidents: Vec<Accident>,

    /// Long takes that were taken back, or not remembered.
    pub takes: u64,
    /// The longest time from one of them to the next note, in seconds.
    pub longest_pause_s: f64,
    /// Activations, each a session of its own rate and temper.
    pub sessions: u64,
    /// Instances opened, those of the lifecycle included.
    pub instances: u64,
    /// Activations that did nothing else.
    pub activations: u64,
    /// States saved and loaded while blocks were processed.
    pub states: u64,
    /// Resets.
    pub resets: u64,
    /// Pauses of processing.
    pub pauses: u64,
    /// Calls without samples that brought events.
    pub flushes: u64,
    /// Transports told of inside blocks.
    pub told: u64,
    /// Events of notes with ids.
    pub named: u64,
    /// Hand-overs.
    pub turns: u64,
    /// The player's notes that the model was told.
    pub heard: u64,
    /// Notes that the plugin played.
    pub played: u64,
    /// Messages and events for which a queue of the plugin's had no room: blocks come
    /// faster here than in real time.
    pub overflows: u64,
    /// Notes that came too late and were shifted, for the same reason.
    pub late: u64,
    /// Notes that came so late that they were dropped.
    pub dropped: u64,
    /// Whether opening a socket would have ended the process.
    pub network_denied: bool,
    /// How long it took.
    pub seconds: f64,
    /// What the faults were, the first of them.
    pub described: Vec<String>,
}

impl Report {
    /// How many things happened that must not.
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

    /// Takes in how often `process` has called the heap, where that can be counted.
    pub fn asked_heap(&mut self, calls: u64) {
        if heap::CAN_WATCH {
            *self.allocs.get_or_insert(0) += calls;
        }
    }

    /// Describes a fault, as long as there is room.
    pub fn describe(&mut self, what: impl FnOnce() -> String) {
        if self.described.len() < DESCRIBED {
            self.described.push(what());
        }
    }

    /// Takes in the figures of an instance that is about to go.
    pub fn take_in(&mut self, plugin: &mut Plugin) -> Result<()> {
        let status = plugin.status()?;
        let complaints = plugin.complaints();
        let panics = complaints.iter().filter(|line| line.contains("panicked")).count() as u64;
        self.panics += panics.max(status.restarts);
        self.overflows += status.overflows;
        self.timeouts += status.timeouts;
        self.turns += status.turns;
        self.heard += status.heard;
        self.played += status.played;
        self.late += status.late;
        self.dropped += status.dropped;
        for line in complaints {
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
