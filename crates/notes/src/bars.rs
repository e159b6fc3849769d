//! The host's bar lines. Lives on the audio thread.

/// Positions that differ by at most this many beats count as the same bar line.
pub(crate) const SAME_BEAT: f64 = 1e-6;
/// The longest block a host may send, in samples.
pub(crate) const LONGEST_BLOCK: u32 = 16_384;

/// The host's bar lines, on the unrolled axis. A plugin cannot know of time signature changes ahead, so
/// ask again in every block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bars {
    /// Beats (quarter notes) per bar.
    pub length: f64,
    /// Position of one bar line, in the host's beats.
    line: f64,
    /// Unrolled beats minus the host's.
    unrolled: f64,
    /// Start and end of the loop, in the host's beats.
    looping: Option<(f64, f64)>,
}

impl Bars {
    /// Bars of the time signature (beats, unit), with a bar line at `line`. `line` and `looping` are in the
    /// host's beats; `unrolled` is unrolled beats minus the host's.
    pub(crate) fn new(line: f64, signature: (i32, i32), unrolled: f64, looping: Option<(f64, f64)>) -> Self {
        Self { length: length(signature), line, unrolled, looping }
    }

    /// The first bar line at or after `beats`, both in unrolled beats. After the loop's end, the loop's bar
    /// lines repeat.
    pub fn next(&self, beats: f64) -> f64 {
        if let Some((start, end)) = self.looping {
            // The linear timeline's bar lines hold up to the loop's end, then those of the loop.
            let Self { unrolled, .. } = self.at(beats);
            let next = self.next_in_host(beats - unrolled);
            if next <= end + SAME_BEAT {
                return unrolled + next;
            }
            let first = self.next_in_host(start);
            if first <= end + SAME_BEAT {
                return unrolled + (end - start) + first;
            }
        }
        self.unrolled + self.next_in_host(beats - self.unrolled)
    }

    /// The bars in force at `beats`, in unrolled beats: after the loop's end, those of the loop's repetition.
    pub fn at(&self, beats: f64) -> Self {
        let Some((start, end)) = self.looping.filter(|range| beats - self.unrolled > range.1 + SAME_BEAT) else {
            return *self;
        };
        let turns = ((beats - self.unrolled - start) / (end - start)).floor();
        Self { unrolled: self.unrolled + turns * (end - start), ..*self }
    }

    /// Beats since the last bar line at `beats` (unrolled), as if these bars extended forever in both
    /// directions: from 0 up to, but not including, the bar's length.
    pub fn beat(&self, beats: f64) -> f64 {
        (beats - self.unrolled - self.line).rem_euclid(self.length)
    }

    /// Where the host will next jump back to the loop's start, in unrolled beats.
    pub fn loop_end(&self) -> Option<f64> {
        Some(self.unrolled + self.looping?.1)
    }

    /// The start of the loop's current repetition, in unrolled beats.
    pub fn loop_start(&self) -> Option<f64> {
        Some(self.unrolled + self.looping?.0)
    }

    fn next_in_host(&self, beats: f64) -> f64 {
        let bars = ((beats - self.line) / self.length - SAME_BEAT).ceil();
        self.line + bars * self.length
    }
}

/// Decides which reported bar line to trust.
///
/// A plugin wrapper that splits a block at a parameter change computes the transport of the remainder
/// itself: it puts the bar line where it would be if this time signature had held since beat 0. After a
/// change of signature, that differs from the host's line. So as long as the host plays on, lines that fit
/// a count from beat 0 do not replace the known one, unless they persist for longer than any block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BarLineFilter {
    known: Option<KnownLine>,
}

#[derive(Clone, Copy, Debug)]
struct KnownLine {
    line: f64,
    signature: (i32, i32),
    /// Samples for which a different line has been reported.
    doubted: u32,
}

impl BarLineFilter {
    /// Takes the bar line that the host, or its wrapper, reports for a block of `frames` samples, in the host's
    /// beats. Returns the line to use.
    pub(crate) fn update(&mut self, line: f64, signature: (i32, i32), frames: u32) -> f64 {
        let length = length(signature);
        let same = |other: f64| {
            let bars = (line - other) / length;
            ((bars - bars.round()) * length).abs() <= SAME_BEAT
        };
        if let Some(known) = self.known.as_mut().filter(|known| known.signature == signature)
            && !same(known.line)
            && same(0.0)
        {
            known.doubted = known.doubted.saturating_add(frames);
            if known.doubted <= LONGEST_BLOCK {
                return known.line;
            }
        }
        self.known = Some(KnownLine { line, signature, doubted: 0 });
        line
    }
}

/// Beats (quarter notes) in a bar.
fn length((beats, unit): (i32, i32)) -> f64 {
    f64::from(beats) * 4.0 / f64::from(unit)
}
