//! Samples, seconds and beats. Lives on the audio thread.
//!
//! Hosts jump, loop and stop; a note due two beats from now must not be affected. So the clock keeps
//! two axes that never run backwards: *stream seconds*, the samples processed so far divided by the
//! sample rate, and *unrolled beats*, which follow the host's transport but never turn back.
//!
//! * While the transport runs, the host's position is read in every block, so the error is at most that
//!   of one block's tempo and does not accumulate. A deviation from the position predicted by the last
//!   block is absorbed, up to [`TOLERANCE_S`] plus what a tempo ramp explains; a note that falls
//!   into a gap sounds at sample 0. A loop continues seamlessly. Any other jump is reported
//!   ([`TransportEvents::jumped`]), and the axis continues from where it was.
//! * A tempo ramp in the previous block is assumed to continue: the distance covered, compared with the
//!   two tempi, distinguishes a ramp from a step and shows where the ramp began. So positions are exact to
//!   the sample within a ramp; where it begins or ends, the error is limited to that of one block.
//! * Without a position, or with one that does not move, beats advance at the tempo.
//! * While the transport is stopped, beats advance at the tempo at which it stopped, whatever tempo the
//!   host reports meanwhile, so that seconds stay exact.
//! * A time belongs to the block that has its *nearest sample*. So [`Span::start`] lies half a sample
//!   before the block's first sample, spans join without gap or overlap, and a time exactly on a
//!   sample never slips to a neighboring sample through rounding.
//! * Bar lines are the host's own, except in a block that was split: see [`crate::bars`].
//! * NaN, infinite and absurd values count as missing. A missing tempo defaults to
//!   [`DEFAULT_TEMPO`], a missing time signature to 4/4.

use crate::bars::{BarLineFilter, Bars, LONGEST_BLOCK, SAME_BEAT};
use crate::span::Line;
pub use crate::span::{Span, TransportEvents};

/// Beats per minute until the host first reports a tempo.
pub const DEFAULT_TEMPO: f64 = 120.0;

/// A deviation of the host's position up to this, in seconds, is absorbed; more is a jump, unless a tempo
/// ramp within the previous block explains it.
pub const TOLERANCE_S: f64 = 0.020;

/// The steepest tempo change taken for a ramp, in beats per minute per second: seen from the next block, a
/// step in the middle of a block looks just like a ramp.
const STEEPEST: f64 = 40.0;
/// Tolerance for comparing positions, in beats; the rounding of host positions is far below this.
const ROUNDING: f64 = 1e-8;

/// The largest deviation that a ramp can explain, in seconds at the new tempo; the axis may stand still for
/// this long.
const RAMP_S: f64 = 0.5;

const DEFAULT_SAMPLE_RATE: f64 = 48_000.0;
/// Tempi are clamped to this range, in beats per minute.
const TEMPI: std::ops::RangeInclusive<f64> = 1.0..=10_000.0;
/// Sample rates outside this range, in hertz, count as missing: the previous one stays in use.
const SAMPLE_RATES: std::ops::RangeInclusive<f64> = 100.0..=10_000_000.0;
/// Positions beyond this, in beats, count as missing: a double no longer resolves a sample there.
const FARTHEST: f64 = 1e8;

/// The host's transport at the first sample of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Transport {
    /// Whether the transport is running.
    pub playing: bool,
    /// Beats (quarter notes) per minute.
    pub tempo: Option<f64>,
    /// Position in beats.
    pub pos_beats: Option<f64>,
    /// Start and end of the active loop, in beats; `None`: no loop.
    pub loop_beats: Option<(f64, f64)>,
    /// Numerator and denominator, such as (6, 8).
    pub time_signature: Option<(i32, i32)>,
    /// Where the current bar begins, in beats.
    pub bar_start_beats: Option<f64>,
}

/// Counts samples and follows the host's transport; see the [module documentation](self).
#[derive(Clone, Debug)]
pub struct Clock {
    sample_rate: f64,
    tempo: f64,
    /// Whether a block has been counted.
    begun: bool,
    playing: bool,
    beats: Axis,
    seconds: Axis,
    /// Unrolled beats minus the host's, while a position is known.
    unrolled: Option<f64>,
    /// The host's latest position, in beats.
    position: Option<f64>,
    /// Length of the latest block, in samples.
    latest: u32,
    anchor: Option<Anchor>,
    bar: BarLineFilter,
    looping: Looping,
}

/// The last block whose position or tempo was not what a constant tempo predicted; since then, the host has
/// played on at one tempo.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// The host's position, in beats.
    position: f64,
    /// Beats per minute.
    tempo: f64,
    /// Samples since the anchor.
    samples: u64,
    /// The longest block since the anchor, in samples.
    longest: u32,
    /// Length of the host's block before the anchor, in samples, as far as it is known.
    before: u64,
    /// Whether a tempo ramp continues from here.
    ramps: bool,
}

/// One axis, counted in whole samples from `line.start`, so that equal steps accumulate no error.
#[derive(Clone, Copy, Debug)]
struct Axis {
    line: Line,
    samples: u64,
    /// The end of the range of times already assigned to blocks.
    assigned: f64,
}

impl Axis {
    fn new(per_sample: f64) -> Self {
        Self { line: Line { start: 0.0, per_sample, bend: 0.0 }, samples: 0, assigned: 0.0 }
    }

    /// The time of the next sample.
    fn now(&self) -> f64 {
        self.line.at(self.samples as f64)
    }

    /// Continues from here in a straight line, at this rate.
    fn set_rate(&mut self, per_sample: f64) {
        if per_sample != self.line.per_sample || self.line.bend != 0.0 {
            self.set_now(self.now());
            (self.line.per_sample, self.line.bend) = (per_sample, 0.0);
        }
    }

    fn set_now(&mut self, now: f64) {
        self.line.start = now;
        self.samples = 0;
    }

    /// Advances by one block; returns its line and the start and end of the times that belong to it.
    fn advance(&mut self, frames: u32) -> (Line, f64, f64) {
        let per_sample = self.line.slope(self.samples as f64);
        let line = Line { start: self.now(), per_sample, bend: self.line.bend };
        let start = self.assigned;
        self.samples += u64::from(frames);
        if frames > 0 {
            self.assigned = start.max(self.now() - 0.5 * self.line.slope(self.samples as f64));
        }
        (line, start, self.assigned)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock at beat 0 and second 0.
    pub fn new() -> Self {
        Self {
            sample_rate: DEFAULT_SAMPLE_RATE,
            tempo: DEFAULT_TEMPO,
            begun: false,
            playing: false,
            beats: Axis::new(DEFAULT_TEMPO / 60.0 / DEFAULT_SAMPLE_RATE),
            seconds: Axis::new(1.0 / DEFAULT_SAMPLE_RATE),
            unrolled: None,
            position: None,
            latest: 0,
            anchor: None,
            bar: BarLineFilter::default(),
            looping: Looping::default(),
        }
    }

    /// Restarts at beat 0 and second 0.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Advances by one block. A call with 0 frames is a parameter flush and changes nothing.
    pub fn advance(&mut self, transport: &Transport, frames: u32, sample_rate: f64) -> Span {
        let (events, bars) = if frames > 0 {
            let events = self.apply_transport(transport, frames, sample_rate);
            self.latest = frames;
            (events, self.bars(transport, frames, events))
        } else {
            (TransportEvents::default(), None)
        };
        let (beats, start, end) = self.beats.advance(frames);
        let loop_seam = bars.and_then(|bars| bars.loop_end());
        let loop_seam = loop_seam.filter(|loop_seam| (start..end).contains(loop_seam));
        let (seconds, start_s, end_s) = self.seconds.advance(frames);
        if let Some(anchor) = &mut self.anchor {
            anchor.samples += u64::from(frames);
            anchor.longest = anchor.longest.max(frames);
        }
        let tempo = if beats.bend == 0.0 { self.tempo } else { beats.per_sample * 60.0 * self.sample_rate };
        Span { start, end, start_s, end_s, frames, tempo, events, loop_seam, bars, beats, seconds }
    }

    /// Applies the transport that the host reports at the start of a block.
    fn apply_transport(&mut self, transport: &Transport, frames: u32, sample_rate: f64) -> TransportEvents {
        let mut events = TransportEvents {
            started: transport.playing && !self.playing,
            stopped: !transport.playing && self.playing,
            ..TransportEvents::default()
        };
        self.playing = transport.playing;
        if self.playing && !events.started && self.is_within_a_ramp(transport, frames, sample_rate) {
            self.position = transport.pos_beats;
            return events;
        }
        let tempo_before = self.tempo;
        if (self.playing || events.stopped || !self.begun)
            && let Some(tempo) = transport.tempo.filter(|tempo| tempo.is_finite() && *tempo > 0.0)
        {
            self.tempo = tempo.clamp(*TEMPI.start(), *TEMPI.end());
            events.tempo_changed = self.begun && self.tempo != tempo_before;
        }
        if SAMPLE_RATES.contains(&sample_rate) {
            self.sample_rate = sample_rate;
        }
        self.beats.set_rate(self.tempo / 60.0 / self.sample_rate);
        self.seconds.set_rate(1.0 / self.sample_rate);
        self.begun = true;
        if self.playing {
            self.follow(transport, tempo_before, frames, &mut events);
        } else {
            self.unrolled = None;
            self.position = None;
            self.anchor = None;
        }
        events
    }

    /// Reads the position of a running transport.
    fn follow(&mut self, transport: &Transport, tempo_before: f64, frames: u32, events: &mut TransportEvents) {
        let Some(position) = transport.pos_beats.filter(|beats| beats.abs() <= FARTHEST) else {
            return;
        };
        let stuck = self.position.replace(position) == Some(position);
        let anchor = Anchor { position, tempo: self.tempo, samples: 0, longest: 0, before: 0, ramps: false };
        let Some(unrolled) = self.unrolled else {
            self.unrolled = Some(self.beats.now() - position);
            self.anchor = Some(anchor);
            return;
        };
        if stuck {
            return;
        }
        let predicted = self.beats.now() - unrolled;
        let tolerance = self.tolerance(tempo_before);
        let unrolled = if let Some(back) = loop_wrap(transport, predicted, position, tolerance) {
            events.looped = true;
            unrolled + back
        } else if (position - predicted).abs() <= tolerance {
            unrolled
        } else {
            events.jumped = true;
            self.beats.now() - position
        };
        let turned = unrolled - self.unrolled.replace(unrolled).unwrap_or(unrolled);
        self.beats.set_now(position + unrolled);
        let Some(latest) = self.anchor.filter(|_| !events.jumped) else {
            self.anchor = Some(anchor);
            return;
        };
        // Within a ramp every block is an anchor, however it was split.
        let before = if latest.ramps { latest.samples.max(latest.before) } else { latest.longest.into() };
        let latest = Anchor { position: latest.position - turned, ..latest };
        if self.continues_steadily(&latest, transport) {
            // What was taken for a ramp has ended.
            self.anchor = Some(Anchor { ramps: false, ..latest });
            return;
        }
        let slope = self.slope(&latest, position, before);
        let ramps = slope != 0.0 && (slope * f64::from(frames) / self.sample_rate).abs() <= 0.5 * self.tempo;
        self.anchor = Some(Anchor { before, ramps, ..anchor });
        if ramps {
            self.beats.line.bend = slope / 120.0 / (self.sample_rate * self.sample_rate);
        }
    }

    /// Whether the host has played on at the anchor's tempo since the anchor, and still reports that tempo.
    fn continues_steadily(&self, anchor: &Anchor, transport: &Transport) -> bool {
        let Some(position) = transport.pos_beats else {
            return false;
        };
        let predicted = anchor.position + anchor.samples as f64 / self.sample_rate * anchor.tempo / 60.0;
        transport.tempo == Some(anchor.tempo) && (position - predicted).abs() < ROUNDING
    }

    /// Whether this is the remainder of a block that began in a ramp and was split, as wrappers do at a
    /// parameter change: they repeat the block's tempo, and their position ignores the ramp.
    fn is_within_a_ramp(&self, transport: &Transport, frames: u32, sample_rate: f64) -> bool {
        self.beats.line.bend != 0.0
            && sample_rate == self.sample_rate
            && self.anchor.is_some_and(|anchor| {
                let within = anchor.samples > 0 && anchor.samples + u64::from(frames) <= anchor.before;
                within && self.continues_steadily(&anchor, transport)
            })
    }

    /// The slope of the tempo ramp by which the host got from the anchor to `position`, in beats per minute per
    /// second; 0 if there was none or it began more than `within` samples ago.
    fn slope(&self, anchor: &Anchor, position: f64, within: u64) -> f64 {
        let seconds = anchor.samples as f64 / self.sample_rate;
        let change = self.tempo - anchor.tempo;
        // How many more beats the host would have covered had the tempo changed right at the anchor.
        let most = change * seconds / 60.0;
        if most == 0.0 {
            return 0.0;
        }
        // A ramp over the whole distance adds half of that, one that began on the way less, a step at the end
        // nothing; a ramp that has already ended adds more than half.
        let come = position - anchor.position - anchor.tempo * seconds / 60.0;
        // In short blocks the rounded position cannot tell them apart; then such a small step may count as a ramp.
        let all_the_way = (come - 0.5 * most).abs() <= ROUNDING;
        let share = if all_the_way { 0.5 } else { come / most };
        if !(0.0..=0.5).contains(&share) {
            return 0.0;
        }
        let ramp = 2.0 * share * seconds;
        let slope = change / ramp;
        let begun = ramp * self.sample_rate <= within as f64 + 1.0;
        if begun && slope.abs() <= STEEPEST { slope } else { 0.0 }
    }

    /// How many beats the position may differ from the predicted one without being a jump.
    fn tolerance(&self, tempo_before: f64) -> f64 {
        // In a ramp, the previous block's error was at most the change of tempo over its length.
        let ramp = f64::from(self.latest) / self.sample_rate * (self.tempo - tempo_before).abs();
        (TOLERANCE_S * self.tempo.max(tempo_before) + ramp.min(RAMP_S * self.tempo)) / 60.0
    }

    fn bars(&mut self, transport: &Transport, frames: u32, events: TransportEvents) -> Option<Bars> {
        let Some(unrolled) = self.unrolled else {
            (self.bar, self.looping) = (BarLineFilter::default(), Looping::default());
            return None;
        };
        let signature = transport
            .time_signature
            .filter(|(beats, unit)| (1..=1024).contains(beats) && (1..=1024).contains(unit))
            .unwrap_or((4, 4));
        let line = transport.bar_start_beats.filter(|beats| beats.abs() <= FARTHEST).unwrap_or(0.0);
        if events.is_cut() || events.looped {
            (self.bar, self.looping) = (BarLineFilter::default(), Looping::default());
        }
        let line = self.bar.update(line, signature, frames);
        let looping = self.looping.update(loop_range(transport), self.beats.now() - unrolled, frames);
        Some(Bars::new(line, signature, unrolled, looping))
    }
}

/// The loop that the host is in.
///
/// A position past the loop's end means that the loop is not in force. But a wrapper that splits a block
/// ignores the loop in the remainder's position: a position that was inside and runs past the end without
/// a jump still counts as looping, unless it stays there for longer than any block.
#[derive(Clone, Copy, Debug, Default)]
struct Looping {
    /// Start and end, in the host's beats.
    range: Option<(f64, f64)>,
    /// Samples for which the host has been past the loop's end.
    past: u32,
}

impl Looping {
    /// Takes the loop that the host reports at position `here` for a block of `frames` samples; `range` and `here`
    /// are in the host's beats. Returns the loop if it is in force.
    fn update(&mut self, range: Option<(f64, f64)>, here: f64, frames: u32) -> Option<(f64, f64)> {
        let within = range.is_some_and(|range| here <= range.1);
        self.past = if within { 0 } else { self.past.saturating_add(frames) };
        if !within && (range != self.range || self.past > LONGEST_BLOCK) {
            *self = Self::default();
            return None;
        }
        self.range = range;
        range
    }
}

/// The loop, if there is a valid one.
fn loop_range(transport: &Transport) -> Option<(f64, f64)> {
    transport
        .loop_beats
        .filter(|(start, end)| start.abs() <= FARTHEST && end.abs() <= FARTHEST && end - start > SAME_BEAT)
}

/// How many beats the host has gone back in its loop, if that explains its position: the loop's length, or a
/// multiple if a block is longer than the loop.
fn loop_wrap(transport: &Transport, predicted: f64, position: f64, tolerance: f64) -> Option<f64> {
    let (start, end) = loop_range(transport)?;
    let length = end - start;
    let back = ((predicted - position) / length).round() * length;
    let inside = position >= start - SAME_BEAT && position <= end + SAME_BEAT;
    let explained = (position + back - predicted).abs() <= tolerance;
    (back > 0.0 && inside && explained).then_some(back)
}
