//! Counts the host's bar lines as they pass, and whose bars they are in mode trade.
//!
//! A plugin learns of a time signature change only when it happens. So lines are counted when they pass,
//! each at its own beat, and whatever has to happen before a line depends only on the next one, which is
//! certain.

use notes::{Bars, Span};

/// The fraction of a bar that has to pass before the next line can count, so that jitter in the host's
/// position does not count a line twice.
const GUARD: f64 = 0.25;
/// A time within this many beats of a bar line counts as on it.
const ON_LINE: f64 = 1e-3;

/// Finds the host's bar lines, each once.
#[derive(Clone, Copy, Debug, Default)]
pub struct BarLineCounter {
    /// Unrolled beats up to which lines are counted; `None`: the transport is not running.
    counted: Option<f64>,
    /// The bar length last reported by the host, in beats.
    length: Option<f64>,
    /// The bars of the previous block.
    bars: Option<Bars>,
    /// The bar line on which the host's loop has just ended, in unrolled beats.
    ended: Option<f64>,
}

impl BarLineCounter {
    /// Begins a block. When the transport starts or jumps, counting starts here: a line exactly here opens the
    /// first bar and is not counted.
    pub fn open(&mut self, span: &Span) {
        let Some(bars) = span.bars else {
            *self = Self { length: self.length, ..Self::default() };
            return;
        };
        self.length = Some(bars.length);
        // The loop's end lies between two blocks, so it belongs to the bars of the previous block.
        let turn = bars.loop_start().filter(|_| span.events.looped);
        let before = self.bars.replace(bars).zip(self.counted);
        let line = before.map(|(before, counted)| before.next(counted));
        self.ended = turn.zip(line).filter(|(turn, line)| (turn - line).abs() <= ON_LINE).map(|ends| ends.0);
        if self.counted.is_none() || span.events.started || span.events.jumped {
            self.counted = Some(span.start + ON_LINE.min(GUARD * bars.length));
        }
    }

    /// The next line that has not been counted, in unrolled beats.
    pub fn next(&self, bars: Option<Bars>) -> Option<f64> {
        let counted = self.counted?;
        self.ended.filter(|ended| *ended >= counted).or_else(|| Some(bars?.next(counted)))
    }

    /// Counts this line.
    pub fn count(&mut self, line: f64, bars: Option<Bars>) {
        let guard = bars.map_or(0.0, |bars| GUARD * bars.length);
        self.counted = self.counted.map(|counted| counted.max(line + guard));
    }

    /// Starts counting at `beats`: earlier lines do not count, nor does a line exactly there. Returns whether there
    /// is one.
    pub fn begin_at(&mut self, beats: f64, bars: Bars) -> bool {
        let on_line = (bars.next(beats - ON_LINE) - beats).abs() <= ON_LINE;
        let from = if on_line { beats + GUARD * bars.length } else { beats };
        self.counted = self.counted.map(|counted| counted.max(from));
        on_line
    }

    /// Skips lines before `beats` that have not been counted.
    pub fn skip_to(&mut self, beats: f64) {
        self.counted = self.counted.map(|counted| counted.max(beats));
    }

    /// The bar length last reported by the host, in beats; 4 until it reports one.
    pub fn length(&self) -> f64 {
        self.length.unwrap_or(4.0)
    }
}

/// Mode trade: the player and Antiphon take turns of a set number of bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Whether the current bars are Antiphon's.
    pub antiphons_turn: bool,
    /// Bar lines until the turn changes hands, at least 1.
    pub left: u32,
}

impl Trade {
    /// Begins in the middle of a bar or `on_line`. A bar that has already begun is not counted.
    pub fn begin(antiphons_turn: bool, bars: u32, on_line: bool) -> Self {
        Self { antiphons_turn, left: bars.max(1) + u32::from(!on_line) }
    }

    /// A bar line passes. Returns whether the turn changes hands there. The numbers are the current settings:
    /// whoever has already had that many bars gives up the turn at this line.
    pub fn pass(&mut self, your_bars: u32, antiphon_bars: u32) -> bool {
        let bars = if self.antiphons_turn { antiphon_bars } else { your_bars };
        self.left = (self.left - 1).min(bars.max(1));
        if self.left > 0 {
            return false;
        }
        self.antiphons_turn = !self.antiphons_turn;
        self.left = if self.antiphons_turn { antiphon_bars } else { your_bars }.max(1);
        true
    }
}
