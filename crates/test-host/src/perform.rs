//! Plays a list of timed events to the plugin, block by block, as a host's engine would.
//!
//! Used on the audio thread, inside the closure of [`crate::Plugin::run`].

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::audio::Audio;
use crate::event::Timed;
use crate::transport::{Change, Timeline};

/// The block sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// All of one size, in samples.
    Of(u32),
    /// Sizes in samples, repeated in turn.
    Cycle(Vec<u32>),
}

impl Blocks {
    fn size(&self, number: u64) -> u32 {
        match self {
            Self::Of(frames) => *frames,
            Self::Cycle(sizes) => sizes[(number % sizes.len() as u64) as usize],
        }
    }
}

/// How fast blocks follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each block when it is due, as with a sound card.
    RealTime,
    /// Like `RealTime`, but this many times as fast.
    Hurried(u32),
    /// As fast as possible, without waiting.
    Offline,
}

/// A host's engine: block sizes, pace, transport, and the position in the player's events.
#[derive(Debug)]
pub struct Performer<'a> {
    events: &'a [Timed],
    sent: usize,
    blocks: Blocks,
    pace: Pace,
    /// The transport as the plugin sees it; may be changed between calls of [`Self::play_until`]. `None` for a host
    /// without one.
    pub timeline: Option<Timeline>,
    /// Transport changes to come: (samples since activation, change), ascending.
    changes: &'a [(u64, Change)],
    changed: usize,
    /// Whether blocks are split at tempo changes and at the loop's end.
    cuts: bool,
    /// Whether changes are sent as transport events within blocks, so that no block is split.
    sends_updates: bool,
    /// Time and sample position of the first block at the current pace.
    origin: Option<(Instant, u64)>,
    /// The most that a block has started late, which shows how busy the machine is.
    lateness: Duration,
}

impl<'a> Performer<'a> {
    /// `events` must be sorted by time, and none may be before the first block.
    pub fn new(events: &'a [Timed], blocks: Blocks, pace: Pace, timeline: Option<Timeline>) -> Self {
        Self {
            events,
            sent: 0,
            blocks,
            pace,
            timeline,
            changes: &[],
            changed: 0,
            cuts: false,
            sends_updates: false,
            origin: None,
            lateness: Duration::ZERO,
        }
    }

    /// Applies `changes` to the transport on the way: (samples since activation, change), ascending. Blocks are always
    /// split at a user's actions; at tempo changes and at the loop's end only if `cuts`. Otherwise the plugin sees the
    /// result at the start of the next block.
    pub fn with_changes(self, changes: &'a [(u64, Change)], cuts: bool) -> Self {
        Self { changes, cuts, ..self }
    }

    /// Sends every transport change as an event at its own sample, and splits no block for it.
    pub fn with_transport_events(self) -> Self {
        Self { sends_updates: true, ..self }
    }

    /// Processes blocks until `end` samples after activation; the last block is shortened to end there. Calls
    /// `progress` with the position after each block.
    pub fn play_until(&mut self, audio: &mut Audio, end: u64, mut progress: impl FnMut(u64)) -> Result<()> {
        while audio.now() < end {
            let now = audio.now();
            self.change_until(now);
            let frames = u64::from(self.blocks.size(audio.block_number())).min(end - now);
            let frames = frames.min(self.cut(now, audio.sample_rate()));
            let stop = now + frames;
            let pending = &self.events[self.sent..];
            let due = pending.partition_point(|timed| timed.at < stop);
            self.wait(audio);
            self.sent += due;
            let timeline = self.timeline.clone();
            let mut events = self.move_on(now, stop, audio.sample_rate());
            events.extend(&pending[..due]);
            events.sort_by_key(|timed| timed.at);
            audio.block(frames as u32, &events, timeline.as_ref())?;
            progress(audio.now());
        }
        Ok(())
    }

    /// Maximum length in samples of a block that starts at `now`.
    fn cut(&self, now: u64, sample_rate: f64) -> u64 {
        let Some(timeline) = self.timeline.as_ref().filter(|_| !self.sends_updates) else {
            return u64::MAX;
        };
        let pending = &self.changes[self.changed..];
        let change = pending.iter().find(|(_, change)| self.cuts || !change.is_of_tempo());
        let turn = timeline.samples_to_loop_end(sample_rate).filter(|_| self.cuts);
        change.map_or(u64::MAX, |(at, _)| at - now).min(turn.unwrap_or(u64::MAX))
    }

    /// Applies the transport changes that are due up to this sample.
    fn change_until(&mut self, sample: u64) {
        let Some(timeline) = &mut self.timeline else {
            return;
        };
        while let Some((_, change)) = self.changes.get(self.changed).filter(|(at, _)| *at <= sample) {
            timeline.change(*change);
            self.changed += 1;
        }
    }

    /// Advances the transport from `begin` to `to`, with the changes in between; returns the transport events to send.
    fn move_on(&mut self, begin: u64, to: u64, sample_rate: f64) -> Vec<Timed> {
        let mut updates = Vec::new();
        let mut from = begin;
        while from < to {
            let before = self.changed;
            self.change_until(from);
            let sends = self.sends_updates && self.changed > before && from > begin;
            if let Some(timeline) = self.timeline.as_ref().filter(|_| sends) {
                updates.push(Timed { at: from, event: timeline.transport_event(sample_rate) });
            }
            let next = self.changes.get(self.changed).map_or(to, |(at, _)| to.min(*at).max(from + 1));
            if let Some(timeline) = &mut self.timeline {
                timeline.advance((next - from) as u32, sample_rate);
            }
            from = next;
        }
        updates
    }

    fn wait(&mut self, audio: &Audio) {
        let hurry = match self.pace {
            Pace::Offline => return,
            Pace::RealTime => 1,
            Pace::Hurried(times) => times.max(1),
        };
        let (start, at) = *self.origin.get_or_insert_with(|| (Instant::now(), audio.now()));
        let due = Duration::from_secs_f64((audio.now() - at) as f64 / audio.sample_rate()) / hurry;
        std::thread::sleep((start + due).saturating_duration_since(Instant::now()));
        self.lateness = self.lateness.max((start + due).elapsed());
    }

    /// Sets the pace from the next block on.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.origin = None;
    }

    /// The most that a block has started later than a sound card would have requested it.
    pub fn lateness(&self) -> Duration {
        self.lateness
    }
}
