//! One block on the [clock](crate::clock)'s axes, and what the transport did at its start.

use crate::bars::Bars;

/// Transport changes at the first sample of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransportEvents {
    /// The transport started.
    pub started: bool,
    /// The transport stopped.
    pub stopped: bool,
    /// The position jumped while the transport was running, and not because of the loop.
    pub jumped: bool,
    /// The position went back to the loop's start (perhaps within the previous block).
    pub looped: bool,
    /// The tempo differs from that of the previous block.
    pub tempo_changed: bool,
}

impl TransportEvents {
    /// Whether playback was interrupted: a start, a stop or a jump. A loop or a tempo change is no
    /// interruption.
    pub fn is_cut(&self) -> bool {
        self.started || self.stopped || self.jumped
    }
}

/// One block on the clock's axes. A plain value: copy it around.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The first time that belongs to the block, in unrolled beats: the end of the previous block, or
    /// 0 for the first one.
    pub start: f64,
    /// The first time that belongs to the next block, in unrolled beats.
    pub end: f64,
    /// As `start`, in stream seconds.
    pub start_s: f64,
    /// As `end`, in stream seconds.
    pub end_s: f64,
    /// Samples in the block.
    pub frames: u32,
    /// Beats per minute at the block's first sample.
    pub tempo: f64,
    /// Transport changes at the block's first sample.
    pub events: TransportEvents,
    /// When the host goes back to its loop's start within this block, in unrolled beats, as far as the reported
    /// loop shows. If a block ends exactly there, the next one has [`TransportEvents::looped`] instead.
    pub loop_seam: Option<f64>,
    /// The bar lines as known in this block; `None` while the transport is stopped or has no position.
    pub bars: Option<Bars>,
    pub(crate) beats: Line,
    pub(crate) seconds: Line,
}

impl Span {
    /// The sample of the block nearest to a time in unrolled beats, clamped to the block (0 if the block is empty).
    pub fn offset(&self, beats: f64) -> u32 {
        self.nearest(&self.beats, beats)
    }

    /// The sample of the block nearest to a time in stream seconds, clamped likewise.
    pub fn offset_of_seconds(&self, seconds: f64) -> u32 {
        self.nearest(&self.seconds, seconds)
    }

    /// The time of a sample of the block, in unrolled beats.
    pub fn beats_at(&self, offset: u32) -> f64 {
        // Where a correction moves the line back, the axis stands still.
        self.beats.at(offset.into()).max(self.start).min(self.end)
    }

    /// The time of a sample of the block, in stream seconds.
    pub fn seconds_at(&self, offset: u32) -> f64 {
        self.seconds.at(offset.into())
    }

    /// Converts stream seconds to unrolled beats at this block's tempo; also for times outside the block.
    pub fn beats_of(&self, seconds: f64) -> f64 {
        self.beats.start + (seconds - self.seconds.start) * self.beats_per_second()
    }

    /// Converts unrolled beats to stream seconds at this block's tempo; also for times outside the block.
    pub fn seconds_of(&self, beats: f64) -> f64 {
        self.seconds.start + (beats - self.beats.start) / self.beats_per_second()
    }

    /// The tempo at the block's first sample, in beats per second.
    pub fn beats_per_second(&self) -> f64 {
        self.tempo / 60.0
    }

    /// The tempo at a sample of the block, in beats per second.
    pub fn beats_per_second_at(&self, offset: u32) -> f64 {
        self.tempo / 60.0 * self.beats.slope(offset.into()) / self.beats.per_sample
    }

    /// Whether a time in unrolled beats belongs to this block.
    pub fn contains(&self, beats: f64) -> bool {
        (self.start..self.end).contains(&beats)
    }

    fn nearest(&self, line: &Line, moment: f64) -> u32 {
        let sample = line.sample(moment).round();
        // A saturating cast: NaN becomes 0.
        (sample as u32).min(self.frames.saturating_sub(1))
    }
}

/// Maps samples to time within one block; quadratic in a tempo ramp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// The time of the block's first sample.
    pub start: f64,
    pub per_sample: f64,
    /// The quadratic coefficient, per sample squared: in a ramp, half the change of the slope per sample.
    pub bend: f64,
}

impl Line {
    pub fn at(&self, sample: f64) -> f64 {
        self.start + sample * (self.per_sample + sample * self.bend)
    }

    /// Time per sample at `sample`.
    pub fn slope(&self, sample: f64) -> f64 {
        self.per_sample + 2.0 * sample * self.bend
    }

    /// The sample at a time, not rounded.
    pub fn sample(&self, moment: f64) -> f64 {
        let ahead = moment - self.start;
        if self.bend == 0.0 {
            return ahead / self.per_sample;
        }
        // The form of the quadratic formula that loses no digits when `bend` is small; a negative discriminant
        // (a time that the line never reaches) is clamped to 0.
        let root = (self.per_sample * self.per_sample + 4.0 * self.bend * ahead).max(0.0).sqrt();
        2.0 * ahead / (self.per_sample + root)
    }
}
