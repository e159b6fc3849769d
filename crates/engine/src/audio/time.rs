//! The host's time, block by block: stream samples, beats, bar lines.
//!
//! Stream samples are exact and independent of the block size, so the player's events are timed in samples;
//! what lies on the host's bar lines is timed in beats. Values derived from beats are rounded to millionths
//! before the generator receives them, since the host's position differs slightly between block sizes.

use notes::{Clock, Span, Transport};

use super::bars::BarLineCounter;
use super::grid_bars::GridBars;

/// The current block and the clock; see the [module documentation](self).
pub struct HostTime {
    clock: Clock,
    /// Samples per second.
    pub sample_rate: f64,
    /// The current block.
    pub span: Span,
    /// Stream samples before the block, counted since the phrase began.
    pub samples: u64,
    /// Offset up to which the block has been played.
    pub played: u32,
    /// Counts the bar lines that pass.
    pub bar_lines: BarLineCounter,
    /// The bars that the grid follows.
    pub grid_bars: GridBars,
}

/// A moment at which something changes, on several time axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The sample offset in the block.
    pub offset: u32,
    /// The exact time, in unrolled beats.
    pub beats: f64,
    /// The first time that counts as after it, in unrolled beats.
    pub from: f64,
    /// The exact time, in stream seconds.
    pub at: f64,
}

impl Default for HostTime {
    fn default() -> Self {
        let mut clock = Clock::new();
        let span = clock.advance(&Transport::default(), 0, 0.0);
        Self {
            clock,
            sample_rate: 48_000.0,
            span,
            samples: 0,
            played: 0,
            bar_lines: BarLineCounter::default(),
            grid_bars: GridBars::default(),
        }
    }
}

impl HostTime {
    /// Restarts with this block.
    pub fn reset(&mut self, transport: &Transport) {
        self.clock.reset();
        self.span = self.clock.advance(transport, 0, self.sample_rate);
        self.bar_lines = BarLineCounter::default();
        self.grid_bars = GridBars::default();
    }

    /// Begins a block.
    pub fn open(&mut self, transport: &Transport, frames: u32) {
        self.span = self.clock.advance(transport, frames, self.sample_rate);
        self.played = 0;
    }

    /// Ends the block.
    pub fn close(&mut self) {
        self.bar_lines.skip_to(self.span.end);
        self.samples += u64::from(self.span.frames);
    }

    /// The time of a sample of this block, in stream seconds.
    pub fn seconds(&self, offset: u32) -> f64 {
        (self.samples + u64::from(offset)) as f64 / self.sample_rate
    }

    /// The first time that belongs to this sample and not to the one before, in unrolled beats.
    pub fn boundary(&self, offset: u32) -> f64 {
        if offset == 0 {
            self.span.start
        } else if offset >= self.span.frames {
            self.span.end
        } else {
            let half = 0.5 * self.span.beats_per_second_at(offset) / self.sample_rate;
            (self.span.beats_at(offset) - half).clamp(self.span.start, self.span.end)
        }
    }

    /// The moment of a sample of this block.
    pub fn moment(&self, offset: u32) -> Moment {
        let beats = self.span.beats_at(offset);
        Moment { offset, beats, from: self.boundary(offset), at: self.seconds(offset) }
    }

    /// The moment at a time in unrolled beats, before or in this block. Its offset is at least `played`, so that what
    /// is past happens now.
    pub fn moment_at(&self, beats: f64) -> Moment {
        let offset = if beats >= self.span.end { self.span.frames } else { self.span.offset(beats) };
        Moment { offset: offset.max(self.played), beats, from: beats, at: self.stream(beats) }
    }

    /// Converts unrolled beats to stream seconds, at this block's tempo.
    fn stream(&self, beats: f64) -> f64 {
        let near = self.span.offset(beats);
        micro(self.seconds(near) + (beats - self.span.beats_at(near)) / self.span.beats_per_second_at(near))
    }

    /// This offset, but at most that of the block's last sample.
    pub fn within(&self, offset: u32) -> u32 {
        offset.min(self.span.frames.saturating_sub(1))
    }
}

/// Rounds to millionths.
pub fn micro(time: f64) -> f64 {
    (time * 1e6).round() / 1e6
}
