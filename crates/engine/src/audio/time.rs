//! The host's time, block by block: samples of the stream, beats, bar lines.
//!
//! Times: a sample of the stream is exact and the same for every block size, so what the generator is told
//! of the player is counted in samples; what lies on the host's bar lines is counted in beats. Both
//! are rounded to millionths where the generator hears of them, since the host's position is not quite the
//! same number in every block size.

use notes::{Clock, Span, Transport};

use super::bars::Lines;
use super::metre::Metre;

/// See the [module](self).
pub struct HostTime {
    clock: Clock,
    /// Samples per second.
    pub sample_rate: f64,
    /// The block under way.
    pub span: Span,
    /// Samples of the stream before it, counted since the phrase began.
    pub samples: u64,
    /// Offset up to which it has been played.
    pub played: u32,
    /// The bar lines that go by.
    pub lines: Lines,
    /// The bars that the grid keeps to.
    pub metre: Metre,
}

/// A moment at which something changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The sample of the block.
    pub offset: u32,
    /// Itself, in unrolled beats.
    pub beats: f64,
    /// In beats, the first moment that counts as after it.
    pub from: f64,
    /// Itself, in seconds of the stream.
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
            lines: Lines::default(),
            metre: Metre::default(),
        }
    }
}

impl HostTime {
    /// Begins anew, with this block.
    pub fn reset(&mut self, transport: &Transport) {
        self.clock.reset();
        self.span = self.clock.advance(transport, 0, self.sample_rate);
        self.lines = Lines::default();
        self.metre = Metre::default();
    }

    /// A block begins.
    pub fn open(&mut self, transport: &Transport, frames: u32) {
        self.span = self.clock.advance(transport, frames, self.sample_rate);
        self.played = 0;
    }

    /// It ends.
    pub fn close(&mut self) {
        self.lines.skip_to(self.span.end);
        self.samples += u64::from(self.span.frames);
    }

    /// A sample of this block, in seconds of the stream.
    pub fn seconds(&self, offset: u32) -> f64 {
        (self.samples + u64::from(offset)) as f64 / self.sample_rate
    }

    /// In beats, the first moment that belongs to this sample and not to the one before.
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

    /// A moment on the host's time axis, past or in this block. What is past sounds no earlier than now.
    pub fn moment_at(&self, beats: f64) -> Moment {
        let offset = if beats >= self.span.end { self.span.frames } else { self.span.offset(beats) };
        Moment { offset: offset.max(self.played), beats, from: beats, at: self.stream(beats) }
    }

    /// Beats in seconds of the stream, by this block's tempo.
    fn stream(&self, beats: f64) -> f64 {
        let near = self.span.offset(beats);
        micro(self.seconds(near) + (beats - self.span.beats_at(near)) / self.span.beats_per_second_at(near))
    }

    /// The last sample of the block, or this one.
    pub fn within(&self, offset: u32) -> u32 {
        offset.min(self.span.frames.saturating_sub(1))
    }
}

/// Whole millionths.
pub fn micro(time: f64) -> f64 {
    (time * 1e6).round() / 1e6
}
