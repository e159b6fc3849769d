//! Plays a list of timed events to the plugin, block by block, as a host's engine would.
//!
//! Lives on the audio thread, inside the closure of [`crate::Plugin::run`].

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::audio::Audio;
use crate::event::Timed;
use crate::transport::Timeline;

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
    /// Wall clock and sample count at the first block.
    origin: Option<(Instant, u64)>,
}

impl<'a> Performer<'a> {
    /// `events` must be sorted by time and lie at or behind the first block.
    pub fn new(events: &'a [Timed], blocks: Blocks, pace: Pace, timeline: Option<Timeline>) -> Self {
        Self { events, sent: 0, blocks, pace, timeline, origin: None }
    }

    /// Processes blocks until `end` samples have gone by since activation; the last block is cut
    /// short to end there. `progress` hears where it is.
    pub fn play_until(&mut self, audio: &mut Audio, end: u64, mut progress: impl FnMut(u64)) -> Result<()> {
        while audio.now() < end {
            let rest = u32::try_from(end - audio.now()).unwrap_or(u32::MAX);
            let frames = self.blocks.size(audio.block_number()).min(rest);
            let stop = audio.now() + u64::from(frames);
            let pending = &self.events[self.sent..];
            let due = pending.partition_point(|timed| timed.at < stop);
            self.wait(audio);
            audio.block(frames, &pending[..due], self.timeline.as_ref())?;
            self.sent += due;
            if let Some(timeline) = &mut self.timeline {
                timeline.advance(frames, audio.sample_rate());
            }
            progress(audio.now());
        }
        Ok(())
    }

    fn wait(&mut self, audio: &Audio) {
        if self.pace == Pace::Offline {
            return;
        }
        let (start, at) = *self.origin.get_or_insert_with(|| (Instant::now(), audio.now()));
        let due = Duration::from_secs_f64((audio.now() - at) as f64 / audio.sample_rate());
        std::thread::sleep((start + due).saturating_duration_since(Instant::now()));
    }
}
