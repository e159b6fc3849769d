//! The bars that generation follows: the host's, with changes at times that do not depend on its block size.
//!
//! A plugin learns of a new time signature only in the block after its bar line, and where that block begins
//! depends on the block size. So the grid follows a new signature [`NOTICE`] beats after the line. A loop's
//! return is known in advance, and a jump happens between two blocks; both are followed at once.

use notes::{Bars, Span};

use super::AudioSide;
use super::bars::Trade;
use super::hand_over::Turn;
use super::time::{Moment, micro};
use crate::audio::take::TakePlayback;
use crate::link::messages::TimelinePosition;
use crate::settings::{Mode, Settings};

/// Delay from a bar line with a new time signature until the grid follows it, in beats: longer than a block at
/// any usual tempo, and short enough that no line of a grid that divides the beat moves.
const NOTICE: f64 = 0.5;
/// Bar lines that differ by at most this many beats are the same.
const SAME_LINE: f64 = 1e-4;

/// The bars in force, and those that follow. Times are in unrolled beats; see the [module documentation](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct GridBars {
    bars: Option<Bars>,
    /// The bars that follow, and from when on.
    coming: Option<(f64, Bars)>,
    /// The time up to which the current take has followed changes.
    followed: f64,
}

impl GridBars {
    /// Begins a block. Returns the time from which on its bars may differ from those before.
    pub fn open(&mut self, span: &Span) -> f64 {
        let start = span.beats_at(0);
        let Some(bars) = span.bars else {
            *self = Self::default();
            return start;
        };
        if self.coming.is_some_and(|(due, _)| due <= start) {
            self.bars = self.coming.take().map(|coming| coming.1);
        }
        let continuous = !span.events.is_cut() && !span.events.looped;
        match self.bars.map(|known| known.at(start)) {
            Some(known) if continuous && !same(&known, &bars, start) => {
                let told = self.coming.filter(|(_, coming)| same(coming, &bars, start));
                let due = told.map_or(start - bars.beat(start + SAME_LINE) + NOTICE, |coming| coming.0);
                self.coming = Some((due, bars));
                start
            }
            _ => {
                (self.bars, self.coming) = (Some(bars), None);
                // The loop went back within the previous block, or right here.
                bars.loop_start().filter(|_| span.events.looped).unwrap_or(start)
            }
        }
    }

    /// The bars at a time in this block or later; `None`: the transport is not running.
    pub fn bars_at(&self, beats: f64) -> Option<Bars> {
        let coming = self.coming.filter(|(due, _)| *due <= beats).map(|coming| coming.1);
        coming.or(self.bars).map(|bars| bars.at(beats))
    }

    /// The known times at which the bars may change.
    fn changes(&self) -> impl Iterator<Item = f64> {
        let turn = self.bars.and_then(|bars| bars.loop_end());
        [turn, self.coming.map(|coming| coming.0)].into_iter().flatten().filter(|beats| *beats > self.followed)
    }
}

/// A time just after `beats`, so that a loop's end lies before it.
fn after(beats: f64) -> f64 {
    beats + SAME_LINE / 2.0
}

/// Whether the two have the same bar lines around a time.
fn same(one: &Bars, other: &Bars, beats: f64) -> bool {
    let apart = (one.beat(beats) - other.beat(beats)) / one.length;
    (one.length - other.length).abs() <= SAME_LINE && (apart - apart.round()).abs() * one.length <= SAME_LINE
}

impl<E: Copy> AudioSide<E> {
    /// Follows the host's bars at a block's start: trading begins and ends with the transport, and a take whose
    /// place in the bar has changed is generated again `from` this time on.
    pub(super) fn follow_bars(&mut self, from: f64, settings: &Settings) {
        if self.time.span.frames == 0 {
            return;
        }
        let start = self.time.moment(0);
        match self.time.span.bars.filter(|_| settings.turn.mode == Mode::Trade) {
            Some(bars) if self.turns.trade.is_none() => {
                let on_line = self.time.bar_lines.begin_at(start.beats, bars);
                let antiphons_turn = self.is_playing();
                let count = if antiphons_turn { settings.turn.antiphon_bars } else { settings.turn.your_bars };
                self.turns.trade = Some(Trade::begin(antiphons_turn, count, on_line));
            }
            Some(_) => {}
            None => self.turns.trade = None,
        }
        self.follow_grid_bars(Moment { beats: from, ..start }, from);
    }

    /// The time before `end` at which the take's place in the bar changes, if it does.
    pub(super) fn grid_bars_change(&self, take: &TakePlayback, end: f64) -> Option<f64> {
        let changes = self.time.grid_bars.changes().filter(|beats| *beats < end);
        let moves = |beats: &f64| !self.position_at(after(*beats), take).matches(&take.position);
        changes.filter(moves).reduce(f64::min)
    }

    /// Places the take in the bars that are in force from this moment on.
    pub(super) fn apply_grid_bars(&mut self, moment: Moment) {
        self.follow_grid_bars(moment, after(moment.beats));
    }

    fn follow_grid_bars(&mut self, moment: Moment, at: f64) {
        self.time.grid_bars.followed = moment.beats;
        let Turn::Antiphon(take) = &self.turns.turn else {
            return;
        };
        let now = self.position_at(at, take);
        if !now.matches(&take.position) {
            self.regenerate_from(moment, |take| take.position = now);
        }
    }

    fn position_at(&self, beats: f64, take: &TakePlayback) -> TimelinePosition {
        self.position(take.begin(), beats, take.position.beats_per_second)
    }

    /// The place on the host's timeline of a take that begins at `begin`, by the bars in force at `at`; both in
    /// unrolled beats.
    pub(super) fn position(&self, begin: f64, at: f64, beats_per_second: f64) -> TimelinePosition {
        match self.time.grid_bars.bars_at(at) {
            Some(bars) => {
                let (bar, beat) = (micro(bars.length), micro(bars.beat(begin)));
                TimelinePosition { beats_per_second, beat: if beat < bar { beat } else { 0.0 }, bar, running: true }
            }
            None => TimelinePosition { beats_per_second, beat: 0.0, bar: self.time.bar_lines.length(), running: false },
        }
    }
}
