//! A scenario's exact tempo map, independent of block sizes: the reference for the checks.

use test_host::{Change, Timeline};

/// A section with a constant tempo or a single ramp.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Start, in seconds.
    from: f64,
    /// Start, in quarter notes.
    beats: f64,
    /// Tempo at `from`, in quarter notes per minute.
    tempo: f64,
    /// Tempo ramp, in quarter notes per minute per second.
    ramp: f64,
}

impl Stretch {
    fn tempo(&self, at: f64) -> f64 {
        self.tempo + self.ramp * (at - self.from)
    }

    fn beats(&self, at: f64) -> f64 {
        let time = at - self.from;
        self.beats + (self.tempo + self.ramp * time / 2.0) * time / 60.0
    }
}

/// Converts seconds to beats and back. Beats only increase: loops and jumps do not reset them.
#[derive(Clone, Debug)]
pub struct TempoMap {
    stretches: Vec<Stretch>,
    /// Whether the host splits its blocks at tempo changes.
    cuts: bool,
}

impl TempoMap {
    /// `changes`: (time in seconds, change). Without a timeline, the map is empty.
    pub fn new(timeline: Option<&Timeline>, changes: impl Iterator<Item = (f64, Change)>, cuts: bool) -> Self {
        let Some(timeline) = timeline else {
            return Self { stretches: Vec::new(), cuts };
        };
        let mut last = Stretch { from: 0.0, beats: 0.0, tempo: timeline.tempo, ramp: timeline.tempo_ramp };
        let mut stretches = vec![last];
        for (from, change) in changes {
            let (tempo, ramp) = match change {
                Change::Tempo(tempo) => (tempo, 0.0),
                Change::Ramp(ramp) => (last.tempo(from), ramp),
                _ => continue,
            };
            last = Stretch { from, beats: last.beats(from), tempo, ramp };
            stretches.push(last);
        }
        Self { stretches, cuts }
    }

    /// Quarter notes played after `at` seconds.
    pub fn beats(&self, at: f64) -> f64 {
        let index = self.stretches.partition_point(|stretch| stretch.from <= at).max(1);
        self.stretches[index - 1].beats(at)
    }

    /// Time in seconds at which this many quarter notes have been played.
    pub fn seconds(&self, beats: f64) -> f64 {
        let index = self.stretches.partition_point(|stretch| stretch.beats <= beats).max(1);
        let Stretch { from, beats: origin, tempo, ramp } = self.stretches[index - 1];
        // Solves ramp t²/120 + tempo t/60 = beats, in a form that is also valid for a ramp of 0.
        let beats = beats - origin;
        from + 120.0 * beats / (tempo + (tempo * tempo + 120.0 * ramp * beats).max(0.0).sqrt())
    }

    /// Maximum error, in seconds, of the plugin's knowledge of the time `at`, with blocks of `block` seconds.
    ///
    /// A host reports position and tempo only at a block's first sample. After `t` seconds of a block, a ramp of `r`
    /// beats per minute per second has shifted the position by `r t² / 120` beats; a step of `d` beats per minute
    /// inside the block, by `d t / 60`. In the next block the position is known again, but only the block after that
    /// shows whether it was a step or a ramp.
    pub fn unknown(&self, at: f64, block: f64) -> f64 {
        let (mut beats, mut slowest) = (0.0, f64::INFINITY);
        for (index, stretch) in self.stretches.iter().enumerate() {
            let until = self.stretches.get(index + 1).map_or(f64::INFINITY, |next| next.from);
            // Sections this near may share a block with `at`; a little more, because of rounding to samples.
            if until < at - block - 1e-3 || stretch.from > at + block + 1e-3 {
                continue;
            }
            let steps = !self.cuts && stretch.from >= at - 2.0 * block - 1e-3;
            slowest = stretch.tempo.min(stretch.tempo((at + block).min(until))).clamp(1.0, slowest);
            beats += stretch.ramp.abs() * block * block / 120.0;
            let before = index.checked_sub(1).and_then(|index| self.stretches.get(index));
            if let Some(before) = before.filter(|_| steps) {
                beats += (stretch.tempo - before.tempo(stretch.from)).abs() * block / 60.0;
            }
        }
        if beats > 0.0 { beats * 60.0 / slowest } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with a host that goes through the same changes in small steps.
    #[test]
    fn beats_and_seconds_are_the_hosts() {
        let changes = [
            (1.0, Change::Ramp(30.0)),
            (2.5, Change::Ramp(0.0)),
            (3.0, Change::Tempo(50.0)),
            (4.0, Change::Ramp(-5.0)),
        ];
        let mut timeline = Timeline::rolling(100.0);
        let map = TempoMap::new(Some(&timeline), changes.into_iter(), true);
        for step in 0..6000 {
            let at = f64::from(step) / 1000.0;
            assert!((map.beats(at) - timeline.beats).abs() < 1e-9, "at {at}");
            assert!((map.seconds(map.beats(at)) - at).abs() < 1e-9, "at {at}");
            for (_, change) in changes.iter().filter(|(from, _)| *from == at) {
                timeline.change(*change);
            }
            timeline.advance(48, 48_000.0);
        }
    }
}
