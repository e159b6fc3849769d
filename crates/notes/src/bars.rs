//! The host's bar lines. Lives on the audio thread.

/// Beats by which two positions may differ and still be the same bar line.
pub(crate) const SAME_BEAT: f64 = 1e-6;
/// No host's block is longer, in samples.
pub(crate) const LONGEST_BLOCK: u32 = 16_384;

/// The host's bar lines, on the unrolled axis. Signature changes ahead are not known to a plugin, so
/// ask again in every block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bars {
    /// Beats (quarter notes) per bar.
    pub length: f64,
    /// A bar line, in the host's beats.
    line: f64,
    /// Unrolled beats minus the host's.
    unrolled: f64,
    /// In the host's beats.
    looping: Option<(f64, f64)>,
}

impl Bars {
    /// The bars of a signature (beats, unit), one of whose lines lies here; `unrolled`: unrolled beats minus
    /// the host's. The loop is in the host's beats.
    pub(crate) fn new(line: f64, signature: (i32, i32), unrolled: f64, looping: Option<(f64, f64)>) -> Self {
        Self { length: length(signature), line, unrolled, looping }
    }

    /// The first bar line at or after a moment, both in unrolled beats. Past the end of a loop come
    /// the bar lines of the loop again.
    pub fn next(&self, beats: f64) -> f64 {
        if let Some((start, end)) = self.looping {
            // Bar lines of the linear timeline hold up to the loop's end, then those of the loop.
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

    /// The bars as they are at a moment, in unrolled beats: past the end of a loop, those of the loop again.
    pub fn at(&self, beats: f64) -> Self {
        let Some((start, end)) = self.looping.filter(|range| beats - self.unrolled > range.1 + SAME_BEAT) else {
            return *self;
        };
        let turns = ((beats - self.unrolled - start) / (end - start)).floor();
        Self { unrolled: self.unrolled + turns * (end - start), ..*self }
    }

    /// Beats from the bar line before a moment, in unrolled beats, as if these bars were of all times: from 0
    /// to below the length of one.
    pub fn beat(&self, beats: f64) -> f64 {
        (beats - self.unrolled - self.line).rem_euclid(self.length)
    }

    /// Where the host goes back in its loop, in unrolled beats.
    pub fn loop_end(&self) -> Option<f64> {
        Some(self.unrolled + self.looping?.1)
    }

    /// Where it has gone back to, the last time, in unrolled beats.
    pub fn loop_start(&self) -> Option<f64> {
        Some(self.unrolled + self.looping?.0)
    }

    fn next_in_host(&self, beats: f64) -> f64 {
        let bars = ((beats - self.line) / self.length - SAME_BEAT).ceil();
        self.line + bars * self.length
    }
}

/// Which of the host's bar lines is to be believed.
///
/// A wrapper of plugin formats that cuts a block where a parameter changes says of the rest of it what it
/// can work out itself: the bar line where it would be, had there been this signature from beat 0. After
/// a change of signature that is another one than the host's. So where the host only goes on, lines that
/// lie as if counted from beat 0 do not displace those that were known, unless they stay for longer than
/// any block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BarLine {
    known: Option<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    line: f64,
    signature: (i32, i32),
    /// For so many samples another one has been told.
    doubted: u32,
}

impl BarLine {
    /// The host, or its wrapper, says that a bar begins here, in a block of so many samples; all in the
    /// host's beats. Returns a line that is right.
    pub(crate) fn hear(&mut self, line: f64, signature: (i32, i32), frames: u32) -> f64 {
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
        self.known = Some(Known { line, signature, doubted: 0 });
        line
    }
}

/// Beats (quarter notes) in a bar.
fn length((beats, unit): (i32, i32)) -> f64 {
    f64::from(beats) * 4.0 / f64::from(unit)
}
