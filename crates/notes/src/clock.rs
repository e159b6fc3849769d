//! Samples, seconds and beats. Lives on the audio thread.
//!
//! Hosts jump, loop and stop; a note that is due two beats from now must not care. So the clock
//! keeps two axes that only ever go on: *stream seconds*, which are samples heard so far over the
//! sample rate, and *unrolled beats*, which follow the host's transport but never turn back.
//!
//! * While the transport runs, the host's position is taken afresh in every block: the error is that
//!   of one block's tempo, and nothing adds up. What the position differs from what the last block
//!   foretold, up to [`TOLERANCE_S`] and what a tempo ramp explains, is absorbed; a note that falls
//!   into a gap sounds at sample 0. A loop goes on without a seam. Any other jump is told
//!   ([`Happened::jumped`]), and the axis goes on from where it was.
//! * A ramp that the block before was in is taken to go on: how far the position came, beside the two
//!   tempi, tells a ramp from a step, and from where on it was one. So moments are exact to the sample
//!   within a ramp; where it begins or ends, they are as wrong as one block can make them.
//! * Without a position, or with one that does not move, beats go on at the tempo.
//! * While the transport stands, beats go on at the tempo at which it stopped, whatever the host says of
//!   tempo meanwhile, so that seconds hold exactly.
//! * A moment belongs to the block that has its *nearest sample*. So [`Span::start`] lies half a
//!   sample before the block's first sample, spans join without gap or overlap, and a moment that is
//!   exactly on a sample can never slip to its neighbour by rounding.
//! * Bar lines are the host's own, but for those of a block that was cut: see [`crate::bars`].
//! * NaN, infinite, missing, absurd: such values count as missing. Without any tempo it is
//!   [`DEFAULT_TEMPO`], without a signature 4/4.

use crate::bars::{BarLine, Bars, LONGEST_BLOCK, SAME_BEAT};

/// Beats per minute when the host has never told a tempo.
pub const DEFAULT_TEMPO: f64 = 120.0;

/// A position this much off, in seconds, is absorbed; more is a jump, unless a tempo ramp within the
/// block before explains it.
pub const TOLERANCE_S: f64 = 0.020;

/// Steeper than this, in beats per minute and second, nothing is taken for a ramp: from the next block
/// on, a step in the middle of one looks the same.
const STEEPEST: f64 = 40.0;
/// What positions of hosts are rounded to, in beats, is far below this.
const ROUNDING: f64 = 1e-8;

/// The most that a ramp can explain, in seconds at the new tempo: for that long the axis may wait.
const RAMP_S: f64 = 0.5;

const DEFAULT_SAMPLE_RATE: f64 = 48_000.0;
/// Tempi are clamped to this range, in beats per minute.
const TEMPI: std::ops::RangeInclusive<f64> = 1.0..=10_000.0;
/// Sample rates outside this range, in hertz, count as missing: the latest one stays.
const SAMPLE_RATES: std::ops::RangeInclusive<f64> = 100.0..=10_000_000.0;
/// Positions farther out, in beats, count as missing: there a double no longer resolves a sample.
const FARTHEST: f64 = 1e8;

/// What the host says about its transport at the first sample of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Transport {
    /// Whether it runs.
    pub playing: bool,
    /// Beats (quarter notes) per minute.
    pub tempo: Option<f64>,
    /// Position in beats.
    pub pos_beats: Option<f64>,
    /// Start and end of the active loop, in beats; `None`: it does not loop.
    pub loop_beats: Option<(f64, f64)>,
    /// Such as (6, 8).
    pub time_signature: Option<(i32, i32)>,
    /// Where the current bar begins, in beats.
    pub bar_start_beats: Option<f64>,
}

/// What happened at the first sample of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// The transport began to run.
    pub started: bool,
    /// It stopped.
    pub stopped: bool,
    /// It moved elsewhere while running.
    pub jumped: bool,
    /// It went back to the loop's start (perhaps within the block before).
    pub looped: bool,
    /// The tempo differs from that of the block before.
    pub tempo_changed: bool,
}

impl Happened {
    /// Whether music that was going on in the host has been cut: a start, a stop, a jump. A loop or
    /// a tempo change is no cut.
    pub fn cut(&self) -> bool {
        self.started || self.stopped || self.jumped
    }
}

/// One block on the clock's axes. A plain value: copy it around.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Unrolled beats of the first moment that belongs to the block; the end of the block before, or
    /// 0 for the first one.
    pub start: f64,
    /// Unrolled beats of the first moment that belongs to the next block.
    pub end: f64,
    /// As `start`, in stream seconds.
    pub start_s: f64,
    /// As `end`, in stream seconds.
    pub end_s: f64,
    /// Samples in the block.
    pub frames: u32,
    /// Beats per minute at the block's first sample.
    pub tempo: f64,
    /// What happened at its first sample.
    pub happened: Happened,
    /// The moment of this block, in unrolled beats, at which the host goes back to its loop's start, as
    /// far as it has said so. If its blocks end there, the next one says [`Happened::looped`] instead.
    pub seam: Option<f64>,
    /// The bar lines as known in this block; `None` while the transport stands or has no position.
    pub bars: Option<Bars>,
    beats: Line,
    seconds: Line,
}

impl Span {
    /// The sample of the block that is nearest to a moment in beats: below `frames`, whatever the
    /// moment.
    pub fn offset(&self, beats: f64) -> u32 {
        self.nearest(&self.beats, beats)
    }

    /// The sample of the block that is nearest to a moment in stream seconds.
    pub fn offset_of_seconds(&self, seconds: f64) -> u32 {
        self.nearest(&self.seconds, seconds)
    }

    /// The moment, in beats, of a sample of the block.
    pub fn beats_at(&self, offset: u32) -> f64 {
        // Where a correction moves the host's line back, the axis waits.
        self.beats.at(offset.into()).max(self.start).min(self.end)
    }

    /// The moment, in stream seconds, of a sample of the block.
    pub fn seconds_at(&self, offset: u32) -> f64 {
        self.seconds.at(offset.into())
    }

    /// Stream seconds in beats, by this block's tempo; also for moments outside the block.
    pub fn beats_of(&self, seconds: f64) -> f64 {
        self.beats.start + (seconds - self.seconds.start) * self.beats_per_second()
    }

    /// Beats in stream seconds, by this block's tempo; also for moments outside the block.
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

    /// Whether a moment in beats belongs to this block.
    pub fn contains(&self, beats: f64) -> bool {
        (self.start..self.end).contains(&beats)
    }

    fn nearest(&self, line: &Line, moment: f64) -> u32 {
        let sample = line.sample(moment).round();
        // A saturating cast: what is no number becomes 0.
        (sample as u32).min(self.frames.saturating_sub(1))
    }
}

/// Samples to moments within one block.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    /// The moment of the block's first sample.
    start: f64,
    per_sample: f64,
    /// What it bends by, per sample squared: in a ramp, half of what `per_sample` changes by.
    bend: f64,
}

impl Line {
    fn at(&self, sample: f64) -> f64 {
        self.start + sample * (self.per_sample + sample * self.bend)
    }

    /// Moments per sample.
    fn slope(&self, sample: f64) -> f64 {
        self.per_sample + 2.0 * sample * self.bend
    }

    /// The sample, not rounded, at a moment.
    fn sample(&self, moment: f64) -> f64 {
        let ahead = moment - self.start;
        if self.bend == 0.0 {
            return ahead / self.per_sample;
        }
        // In the form that loses no digits when the bend is small. Beyond a turning point: none.
        let root = (self.per_sample * self.per_sample + 4.0 * self.bend * ahead).max(0.0).sqrt();
        2.0 * ahead / (self.per_sample + root)
    }
}

/// Counts samples, follows the host; see the [module](self).
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
    bar: BarLine,
    looping: Looping,
}

/// Where the host has last said something new: since then it has only gone on at one tempo.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// The host's, in beats.
    position: f64,
    /// Beats per minute.
    tempo: f64,
    /// Samples since.
    samples: u64,
    /// The longest block since, in samples.
    longest: u32,
    /// Samples of the host's block before, as far as it is known.
    before: u64,
    /// Whether a ramp goes on from it.
    ramps: bool,
}

/// One axis: counted from an anchor in whole samples, so that equal steps never add up an error.
#[derive(Clone, Copy, Debug)]
struct Axis {
    line: Line,
    samples: u64,
    /// Up to where moments have been given out.
    given: f64,
}

impl Axis {
    fn new(per_sample: f64) -> Self {
        Self { line: Line { start: 0.0, per_sample, bend: 0.0 }, samples: 0, given: 0.0 }
    }

    /// The moment of the next sample.
    fn now(&self) -> f64 {
        self.line.at(self.samples as f64)
    }

    /// Goes on straight from here, at this rate.
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

    /// Goes on by a block: its line, and the range of moments that belong to it.
    fn advance(&mut self, frames: u32) -> (Line, f64, f64) {
        let per_sample = self.line.slope(self.samples as f64);
        let line = Line { start: self.now(), per_sample, bend: self.line.bend };
        let start = self.given;
        self.samples += u64::from(frames);
        if frames > 0 {
            self.given = start.max(self.now() - 0.5 * self.line.slope(self.samples as f64));
        }
        (line, start, self.given)
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
            bar: BarLine::default(),
            looping: Looping::default(),
        }
    }

    /// Starts again at beat 0 and second 0.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Goes on by one block. A call with no frames is a flush of parameters: it changes nothing.
    pub fn advance(&mut self, transport: &Transport, frames: u32, sample_rate: f64) -> Span {
        let (happened, bars) = if frames > 0 {
            let happened = self.hear(transport, frames, sample_rate);
            self.latest = frames;
            (happened, self.bars(transport, frames, happened))
        } else {
            (Happened::default(), None)
        };
        let (beats, start, end) = self.beats.advance(frames);
        let seam = bars.and_then(|bars| bars.loop_end());
        let seam = seam.filter(|seam| (start..end).contains(seam));
        let (seconds, start_s, end_s) = self.seconds.advance(frames);
        if let Some(anchor) = &mut self.anchor {
            anchor.samples += u64::from(frames);
            anchor.longest = anchor.longest.max(frames);
        }
        let tempo = if beats.bend == 0.0 { self.tempo } else { beats.per_sample * 60.0 * self.sample_rate };
        Span { start, end, start_s, end_s, frames, tempo, happened, seam, bars, beats, seconds }
    }

    /// Takes in what the host says at the start of a block.
    fn hear(&mut self, transport: &Transport, frames: u32, sample_rate: f64) -> Happened {
        let mut happened = Happened {
            started: transport.playing && !self.playing,
            stopped: !transport.playing && self.playing,
            ..Happened::default()
        };
        self.playing = transport.playing;
        if self.playing && !happened.started && self.is_within_a_ramp(transport, frames, sample_rate) {
            self.position = transport.pos_beats;
            return happened;
        }
        let tempo_before = self.tempo;
        if (self.playing || happened.stopped || !self.begun)
            && let Some(tempo) = transport.tempo.filter(|tempo| tempo.is_finite() && *tempo > 0.0)
        {
            self.tempo = tempo.clamp(*TEMPI.start(), *TEMPI.end());
            happened.tempo_changed = self.begun && self.tempo != tempo_before;
        }
        if SAMPLE_RATES.contains(&sample_rate) {
            self.sample_rate = sample_rate;
        }
        self.beats.set_rate(self.tempo / 60.0 / self.sample_rate);
        self.seconds.set_rate(1.0 / self.sample_rate);
        self.begun = true;
        if self.playing {
            self.follow(transport, tempo_before, frames, &mut happened);
        } else {
            self.unrolled = None;
            self.position = None;
            self.anchor = None;
        }
        happened
    }

    /// Takes the position afresh from a running transport.
    fn follow(&mut self, transport: &Transport, tempo_before: f64, frames: u32, happened: &mut Happened) {
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
        let foretold = self.beats.now() - unrolled;
        let tolerance = self.tolerance(tempo_before);
        let unrolled = if let Some(back) = loop_turns(transport, foretold, position, tolerance) {
            happened.looped = true;
            unrolled + back
        } else if (position - foretold).abs() <= tolerance {
            unrolled
        } else {
            happened.jumped = true;
            self.beats.now() - position
        };
        let turned = unrolled - self.unrolled.replace(unrolled).unwrap_or(unrolled);
        self.beats.set_now(position + unrolled);
        let Some(latest) = self.anchor.filter(|_| !happened.jumped) else {
            self.anchor = Some(anchor);
            return;
        };
        // Within a ramp every block is an anchor, however it was cut.
        let before = if latest.ramps { latest.samples.max(latest.before) } else { latest.longest.into() };
        let latest = Anchor { position: latest.position - turned, ..latest };
        if self.goes_on(&latest, transport) {
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

    /// Whether the host is where one tempo since the anchor has led it, and says that tempo.
    fn goes_on(&self, anchor: &Anchor, transport: &Transport) -> bool {
        let Some(position) = transport.pos_beats else {
            return false;
        };
        let foretold = anchor.position + anchor.samples as f64 / self.sample_rate * anchor.tempo / 60.0;
        transport.tempo == Some(anchor.tempo) && (position - foretold).abs() < ROUNDING
    }

    /// Whether this is the rest of a block that began in a ramp and was cut, as wrappers do at a change of
    /// a parameter: they say the block's tempo again, and a position that knows of no ramp.
    fn is_within_a_ramp(&self, transport: &Transport, frames: u32, sample_rate: f64) -> bool {
        self.beats.line.bend != 0.0
            && sample_rate == self.sample_rate
            && self.anchor.is_some_and(|anchor| {
                let within = anchor.samples > 0 && anchor.samples + u64::from(frames) <= anchor.before;
                within && self.goes_on(&anchor, transport)
            })
    }

    /// The ramp in which the host has come here from the anchor, in beats per minute and second, if it has
    /// begun `within` so many samples; 0: none.
    fn slope(&self, anchor: &Anchor, position: f64, within: u64) -> f64 {
        let seconds = anchor.samples as f64 / self.sample_rate;
        let change = self.tempo - anchor.tempo;
        // Had the tempo changed at once, it would have come so much farther.
        let most = change * seconds / 60.0;
        if most == 0.0 {
            return 0.0;
        }
        // A ramp all the way takes it a half of that, one that began on the way less; a step at the end,
        // nothing; a ramp that has ended, more.
        let come = position - anchor.position - anchor.tempo * seconds / 60.0;
        // In short blocks the position is too coarse to tell; then so small a step may count as a ramp.
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

    /// By how many beats the position may differ from the one foretold and still be no jump.
    fn tolerance(&self, tempo_before: f64) -> f64 {
        // Where the tempo ramps, the block before was at most as wrong as the tempo has changed.
        let ramp = f64::from(self.latest) / self.sample_rate * (self.tempo - tempo_before).abs();
        (TOLERANCE_S * self.tempo.max(tempo_before) + ramp.min(RAMP_S * self.tempo)) / 60.0
    }

    fn bars(&mut self, transport: &Transport, frames: u32, happened: Happened) -> Option<Bars> {
        let Some(unrolled) = self.unrolled else {
            (self.bar, self.looping) = (BarLine::default(), Looping::default());
            return None;
        };
        let signature = transport
            .time_signature
            .filter(|(beats, unit)| (1..=1024).contains(beats) && (1..=1024).contains(unit))
            .unwrap_or((4, 4));
        let line = transport.bar_start_beats.filter(|beats| beats.abs() <= FARTHEST).unwrap_or(0.0);
        if happened.cut() || happened.looped {
            (self.bar, self.looping) = (BarLine::default(), Looping::default());
        }
        let line = self.bar.hear(line, signature, frames);
        let looping = self.looping.hear(loop_range(transport), self.beats.now() - unrolled, frames);
        Some(Bars::new(line, signature, unrolled, looping))
    }
}

/// The loop in which the host is.
///
/// Who is past its end goes straight on. But a wrapper that cuts a block tells of the rest of it positions
/// that know of no loop: who was inside and is past its end without a jump is going round, unless he stays
/// there for longer than any block.
#[derive(Clone, Copy, Debug, Default)]
struct Looping {
    /// In the host's beats.
    range: Option<(f64, f64)>,
    /// Samples for which the host has been past its end.
    past: u32,
}

impl Looping {
    /// The host says that this loop is active, `here`, in a block of so many samples; all in its beats.
    /// Returns it, if it holds.
    fn hear(&mut self, range: Option<(f64, f64)>, here: f64, frames: u32) -> Option<(f64, f64)> {
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

/// The loop, if there is one that makes sense.
fn loop_range(transport: &Transport) -> Option<(f64, f64)> {
    transport
        .loop_beats
        .filter(|(start, end)| start.abs() <= FARTHEST && end.abs() <= FARTHEST && end - start > SAME_BEAT)
}

/// By how many beats the loop has led back, if that is why the transport is where it is: the loop's
/// length, or a multiple when a block is longer than the loop.
fn loop_turns(transport: &Transport, foretold: f64, position: f64, tolerance: f64) -> Option<f64> {
    let (start, end) = loop_range(transport)?;
    let length = end - start;
    let back = ((foretold - position) / length).round() * length;
    let inside = position >= start - SAME_BEAT && position <= end + SAME_BEAT;
    let explained = (position + back - foretold).abs() <= tolerance;
    (back > 0.0 && inside && explained).then_some(back)
}
