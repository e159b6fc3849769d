//! Plays a scenario to the built plugin.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use test_host::{Audio, Blocks, Pace, Performer, PlayedNote, Plugin, SortedOutput, Status};

use super::scenario::{Scenario, samples};

/// The longest block that the plugin is activated for, in samples.
pub const LONGEST_BLOCK: u32 = 4096;
/// The key that stands for the sustain pedal; not a valid MIDI key.
pub const PEDAL: u8 = 200;
/// Time limit for the plugin to get ready.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How to render a scenario.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Samples per second.
    pub rate: f64,
    /// Block sizes, in samples.
    pub blocks: Blocks,
    /// Offline, or in real time.
    pub pace: Pace,
}

impl Setup {
    /// An offline render.
    pub fn offline(rate: f64, blocks: Blocks) -> Self {
        Self { rate, blocks, pace: Pace::Offline }
    }

    /// The longest block, in seconds.
    pub fn longest_s(&self) -> f64 {
        let longest = match &self.blocks {
            Blocks::Of(frames) => *frames,
            Blocks::Cycle(sizes) => sizes.iter().copied().max().unwrap_or(0),
        };
        f64::from(longest) / self.rate
    }

    /// A description for messages.
    pub fn name(&self) -> String {
        let blocks = match &self.blocks {
            Blocks::Of(frames) => format!("blocks of {frames}"),
            Blocks::Cycle(_) => "blocks of random length".to_owned(),
        };
        let pace = if self.pace == Pace::Offline { "" } else { ", in real time" };
        format!("{blocks} at {} Hz{pace}", self.rate)
    }
}

/// The result of a render.
pub struct Rendered {
    /// The plugin's own notes; those still sounding at the end are given the end as their note-off.
    pub notes: Vec<PlayedNote>,
    /// The times during which the plugin held its own sustain pedal, as notes with the key [`PEDAL`].
    pub pedal: Vec<PlayedNote>,
    /// Violations: lost notes, stray notes, events out of order.
    pub faults: Vec<String>,
    /// The plugin's own figures.
    pub status: Status,
    /// The most that this host was late, in real time.
    pub lateness: Duration,
}

impl Rendered {
    /// Everything that the plugin played: its notes and its pedal.
    pub fn music(&self) -> Vec<PlayedNote> {
        self.notes.iter().chain(&self.pedal).copied().collect()
    }
}

/// An instance that is ready to play.
pub fn plugin(bundle: &Path, setup: &Setup) -> Result<Plugin> {
    let mut plugin = Plugin::load(bundle)?;
    prepare(&mut plugin, setup)?;
    Ok(plugin)
}

/// Activates an instance; in real time, also waits until its model is loaded.
pub fn prepare(plugin: &mut Plugin, setup: &Setup) -> Result<()> {
    let offline = setup.pace == Pace::Offline;
    plugin.set_offline(offline)?;
    plugin.activate(setup.rate, LONGEST_BLOCK)?;
    if !offline {
        plugin.wait_until(TIMEOUT, |status| status.health == "ready")?;
    }
    Ok(())
}

/// Renders a scenario in a new instance.
pub fn render(bundle: &Path, scenario: &Scenario, setup: &Setup) -> Result<Rendered> {
    let events = scenario.timed(setup.rate);
    let changes = scenario.changes(setup.rate);
    let end = samples(scenario.end, setup.rate);
    let mut plugin = plugin(bundle, setup)?;
    let play = |audio: &mut Audio| {
        let mut performer = Performer::new(&events, setup.blocks.clone(), setup.pace, scenario.timeline.clone())
            .with_changes(&changes, scenario.cuts);
        performer.play_until(audio, end, |_| ())?;
        Ok((audio.take_outputs(), audio.violations().to_vec(), performer.lateness()))
    };
    let (outputs, mut faults, lateness) = plugin.run(play)?;
    let account = SortedOutput::of(&events, &outputs);
    let notes = account.with_hanging_until(end);
    let pedal = account.pedal_until(64, PEDAL, end);
    // A key used as a trigger is not passed through, and *MIDI thru* may be off.
    let lost = if scenario.moves(&["pass", "trigby"]) { Vec::new() } else { account.lost.clone() };
    let stray = account.stray.iter().filter(|stray| !scenario.panics(stray.at, setup.rate)).copied().collect();
    faults.extend(SortedOutput { hanging: Vec::new(), lost, stray, ..account }.faults());
    let status = plugin.status()?;
    if status.timeouts > 0 {
        faults.push(format!("{} waits for the model timed out", status.timeouts));
    }
    Ok(Rendered { notes, pedal, faults, status, lateness })
}
