//! Conversion of ticks to seconds through the tempo map.

/// Microseconds per quarter note if a file does not specify a tempo: 120 beats per minute.
pub(crate) const DEFAULT_TEMPO_US: u32 = 500_000;

/// The length of a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Division {
    /// Ticks per quarter note; the tempo map determines their length.
    Metrical(u16),
    /// Ticks per second (SMPTE); the tempo has no effect.
    Timecode(f64),
}

impl Division {
    /// From the header's division field; `None` if it is zero or of an unknown kind.
    pub fn from_header(field: u16) -> Option<Self> {
        let [frames, ticks] = field.to_be_bytes();
        if frames < 0x80 {
            return (field > 0).then_some(Self::Metrical(field));
        }
        let frames_per_second = match frames.wrapping_neg() {
            24 => 24.0,
            25 => 25.0,
            29 => 30.0 / 1.001, // drop frame
            30 => 30.0,
            _ => return None,
        };
        (ticks > 0).then_some(Self::Timecode(frames_per_second * f64::from(ticks)))
    }
}

/// The file's tempo map, from the tempo events of all tracks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TempoMap {
    division: Division,
    segments: Vec<Segment>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Segment {
    /// First tick at this tempo.
    tick: u64,
    /// Sum of ticks x microseconds per quarter before `tick`: an integer, so that nothing drifts over thousands of
    /// tempo events.
    elapsed: u128,
    /// Microseconds per quarter note from `tick` on.
    tempo_us: u32,
}

impl TempoMap {
    /// `events` are (tick, microseconds per quarter note, not 0) in file order; the last of several at one tick wins.
    pub fn new(division: Division, mut events: Vec<(u64, u32)>) -> Self {
        events.sort_by_key(|&(tick, _)| tick); // stable: file order is kept within a tick
        let mut segments = vec![Segment { tick: 0, elapsed: 0, tempo_us: DEFAULT_TEMPO_US }];
        for (tick, tempo_us) in events {
            let last = segments.last_mut().expect("never empty");
            if last.tick == tick {
                last.tempo_us = tempo_us;
            } else {
                let elapsed = last.elapsed + u128::from(tick - last.tick) * u128::from(last.tempo_us);
                segments.push(Segment { tick, elapsed, tempo_us });
            }
        }
        Self { division, segments }
    }

    /// Seconds from the beginning of the file.
    pub fn seconds(&self, tick: u64) -> f64 {
        match self.division {
            Division::Timecode(ticks_per_second) => tick as f64 / ticks_per_second,
            Division::Metrical(ppq) => {
                let after = self.segments.partition_point(|segment| segment.tick <= tick);
                let segment = &self.segments[after - 1];
                let elapsed = segment.elapsed + u128::from(tick - segment.tick) * u128::from(segment.tempo_us);
                elapsed as f64 / (f64::from(ppq) * 1e6)
            }
        }
    }

    /// Quarter notes from the beginning of the file; `None` with SMPTE time.
    pub fn tick_beat(&self, tick: u64) -> Option<f64> {
        match self.division {
            Division::Timecode(_) => None,
            Division::Metrical(ppq) => Some(tick as f64 / f64::from(ppq)),
        }
    }

    /// The beat at a time in seconds; NaN with SMPTE time.
    pub fn beat(&self, seconds: f64) -> f64 {
        let Division::Metrical(ppq) = self.division else { return f64::NAN };
        let elapsed = seconds * (f64::from(ppq) * 1e6);
        let after = self.segments.partition_point(|segment| segment.elapsed as f64 <= elapsed).max(1);
        let segment = &self.segments[after - 1];
        let ticks = (elapsed - segment.elapsed as f64) / f64::from(segment.tempo_us);
        (segment.tick as f64 + ticks) / f64::from(ppq)
    }
}
