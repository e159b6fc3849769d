//! Counting bars: the host's lines as they go by, and whose bars they are when two trade.
//!
//! No plugin knows of a signature change before it comes; so lines are counted when they are passed,
//! each at its own beat, and the one before which something has to happen is the next one, which is
//! certain.

use notes::{Bars, Span};

/// Of a bar, how much has to be past before the next line can count: no jitter of the host's
/// position makes two lines of one.
const GUARD: f64 = 0.25;
/// Beats by which a moment may differ from a line and still be on it.
const ON_LINE: f64 = 1e-3;

/// Finds the host's bar lines, each once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    /// Unrolled beats up to which lines are counted; `None`: the transport stands.
    counted: Option<f64>,
    /// The latest bar's length, in beats.
    length: Option<f64>,
    /// The bars of the block before.
    bars: Option<Bars>,
    /// The line on which a loop ended just now, if there is none where it begins.
    ended: Option<f64>,
}

impl Lines {
    /// A block begins. A transport that has just begun to run is counted from here: a line on which
    /// it begins opens its bar, and ends none.
    pub fn open(&mut self, span: &Span) {
        let Some(bars) = span.bars else {
            *self = Self { length: self.length, ..Self::default() };
            return;
        };
        self.length = Some(bars.length);
        // The loop's end lies between two blocks: it is of those bars that were.
        let turn = bars.loop_start().filter(|_| span.happened.looped);
        let before = self.bars.replace(bars).zip(self.counted);
        let line = before.map(|(before, counted)| before.next(counted));
        self.ended = turn.zip(line).filter(|(turn, line)| (turn - line).abs() <= ON_LINE).map(|ends| ends.0);
        if self.counted.is_none() || span.happened.started || span.happened.jumped {
            self.counted = Some(span.start + ON_LINE.min(GUARD * bars.length));
        }
    }

    /// The next line that has not been counted, in unrolled beats.
    pub fn next(&self, bars: Option<Bars>) -> Option<f64> {
        let counted = self.counted?;
        self.ended.filter(|ended| *ended >= counted).or_else(|| Some(bars?.next(counted)))
    }

    /// This line is counted.
    pub fn count(&mut self, line: f64, bars: Option<Bars>) {
        let guard = bars.map_or(0.0, |bars| GUARD * bars.length);
        self.counted = self.counted.map(|counted| counted.max(line + guard));
    }

    /// Counting begins at this moment: what was before does not count, nor a line on which it lies.
    /// `true`: it lies on one.
    pub fn begin_at(&mut self, beats: f64, bars: Bars) -> bool {
        let on_line = (bars.next(beats - ON_LINE) - beats).abs() <= ON_LINE;
        let from = if on_line { beats + GUARD * bars.length } else { beats };
        self.counted = self.counted.map(|counted| counted.max(from));
        on_line
    }

    /// What has not been counted by this moment is not going to be.
    pub fn skip_to(&mut self, beats: f64) {
        self.counted = self.counted.map(|counted| counted.max(beats));
    }

    /// The length of a bar, in beats, as the host last said.
    pub fn length(&self) -> f64 {
        self.length.unwrap_or(4.0)
    }
}

/// So many bars the player, so many the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Whose bars these are.
    pub mine: bool,
    /// Bar lines until they change hands: at least 1.
    pub left: u32,
}

impl Trade {
    /// Begins, in the middle of a bar or `on_line`. A bar that has begun already is not counted.
    pub fn begin(mine: bool, bars: u32, on_line: bool) -> Self {
        Self { mine, left: bars.max(1) + u32::from(!on_line) }
    }

    /// A line goes by. `true`: the bars change hands there. The numbers are those set now: who has had
    /// as many already gives up the turn at this line.
    pub fn pass(&mut self, your_bars: u32, my_bars: u32) -> bool {
        let bars = if self.mine { my_bars } else { your_bars };
        self.left = (self.left - 1).min(bars.max(1));
        if self.left > 0 {
            return false;
        }
        self.mine = !self.mine;
        self.left = if self.mine { my_bars } else { your_bars }.max(1);
        true
    }
}
