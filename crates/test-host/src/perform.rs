//! Plays a list of timed events to the plugin, block by block, as a host's engine would.
//!
//! Lives on the audio thread, inside the closure of [`crate::Plugin::run`].

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::audio::Audio;
use crate::event::Timed;
use crate::transport::{Change, Timeline};

/// How long the blocks are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// All of one size, in samples.
    Of(u32),
    /// Sizes in samples, taken in turn for ever.
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

/// How fast the blocks follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Each block when its time has come, as with a sound card.
    RealTime,
    /// The same, but so many times as fast.
    Hurried(u32),
    /// One after the other, as fast as it goes.
    Offline,
}

/// A host's engine: blocks, pace and transport, and where it is in the player's events.
#[derive(Debug)]
pub struct Performer<'a> {
    events: &'a [Timed],
    sent: usize,
    blocks: Blocks,
    pace: Pace,
    /// The transport as the plugin sees it; may be changed between calls of
    /// [`Self::play_until`]. `None`: a host without one.
    pub timeline: Option<Timeline>,
    /// What will happen to the transport: samples since activation, ascending.
    changes: &'a [(u64, Change)],
    changed: usize,
    /// Whether a block ends where the tempo changes, or where the loop does.
    cuts: bool,
    /// Whether no block ends where anything changes: the plugin is told of it by an event.
    tells: bool,
    /// Wall clock and sample count at the first block.
    origin: Option<(Instant, u64)>,
    /// The longest by which a block has begun too late, in real time: how busy the machine is.
    lateness: Duration,
}

impl<'a> Performer<'a> {
    /// `events` must be sorted by time and lie at or behind the first block.
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
            tells: false,
            origin: None,
            lateness: Duration::ZERO,
        }
    }

    /// Does `changes` to the transport on the way: samples since activation, ascending. What a user
    /// does always falls between two blocks; a change of tempo, or a loop's end, only if `cuts`:
    /// otherwise the plugin sees at the next block's start what has come of it.
    pub fn with_changes(self, changes: &'a [(u64, Change)], cuts: bool) -> Self {
        Self { changes, cuts, ..self }
    }

    /// Tells of every change to the transport at its own sample, and cuts no block for it.
    pub fn telling(self) -> Self {
        Self { tells: true, ..self }
    }

    /// Processes blocks until `end` samples have gone by since activation; the last block is cut
    /// short to end there. `progress` hears where it is.
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

    /// How many samples from `now` on a block may have at most.
    fn cut(&self, now: u64, sample_rate: f64) -> u64 {
        let Some(timeline) = self.timeline.as_ref().filter(|_| !self.tells) else {
            return u64::MAX;
        };
        let pending = &self.changes[self.changed..];
        let change = pending.iter().find(|(_, change)| self.cuts || !change.is_of_tempo());
        let turn = timeline.samples_to_loop_end(sample_rate).filter(|_| self.cuts);
        change.map_or(u64::MAX, |(at, _)| at - now).min(turn.unwrap_or(u64::MAX))
    }

    /// Does to the transport what happens up to this sample.
    fn change_until(&mut self, sample: u64) {
        let Some(timeline) = &mut self.timeline else {
            return;
        };
        while let Some((_, change)) = self.changes.get(self.changed).filter(|(at, _)| *at <= sample) {
            timeline.change(*change);
            self.changed += 1;
        }
    }

    /// Moves the transport from one sample to another, with what happens to it between the two; what is to be told of it.
    fn move_on(&mut self, begin: u64, to: u64, sample_rate: f64) -> Vec<Timed> {
        let mut told = Vec::new();
        let mut from = begin;
        while from < to {
            let before = self.changed;
            self.change_until(from);
            let tells = self.tells && self.changed > before && from > begin;
            if let Some(timeline) = self.timeline.as_ref().filter(|_| tells) {
                told.push(Timed { at: from, event: timeline.told(sample_rate) });
            }
            let next = self.changes.get(self.changed).map_or(to, |(at, _)| to.min(*at).max(from + 1));
            if let Some(timeline) = &mut self.timeline {
                timeline.advance((next - from) as u32, sample_rate);
            }
            from = next;
        }
        told
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

    /// From the next block on, goes this fast.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.origin = None;
    }

    /// The longest by which a block has begun later than a sound card would have asked for it.
    pub fn lateness(&self) -> Duration {
        self.lateness
    }
}
