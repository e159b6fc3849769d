//! Publishes what the editor shows, at the end of each block.

use super::AudioSide;
use super::hand_over::Turn;
use super::turn::by_silence;
use crate::link::queues::Liveliness;
use crate::settings::{Length, Silence};

impl<E: Copy> AudioSide<E> {
    /// Publishes the state at the block's end, at `end` in stream seconds.
    pub(super) fn show(&mut self, end: f64) {
        let (span, until) = (self.time.span, self.until(end));
        let moves = self.liveliness() != Liveliness::Rest;
        let ahead = self.is_playing().then(|| self.output.schedule.iter());
        self.roll.add_bar_lines(&span, end);
        let (frozen, notes) = match &self.turns.turn {
            Turn::Antiphon(take) => (take.frozen, Some(take.notes()).filter(|notes| *notes < u32::MAX)),
            Turn::Player { .. } => (false, None),
        };
        self.roll.set_take_info(frozen, notes);
        self.roll.publish(moves, until, ahead, |beats| end + (beats - span.end) / span.beats_per_second());
    }

    /// When the turn will change hands by itself, in stream seconds, if that is known.
    fn until(&self, end: f64) -> Option<f64> {
        let settings = self.settings.filter(|settings| !settings.bypass)?;
        let rate = self.time.span.beats_per_second();
        let seconds = |beats: f64| end + (beats - self.time.span.end) / rate;
        // Assumes that all bars have the current length.
        let lines = |count: u32| {
            let (line, length) = (self.time.bar_lines.next(self.time.span.bars)?, self.time.span.bars?.length);
            Some(seconds(line + length * f64::from(count.saturating_sub(1))))
        };
        match (&self.turns.turn, self.turns.trade) {
            (Turn::Antiphon(take), _) if take.frozen => None,
            (Turn::Antiphon(_), Some(trade)) if trade.antiphons_turn => lines(trade.left),
            (Turn::Antiphon(take), _) => match (take.end, take.length) {
                (Some(over), _) => Some(seconds(over)),
                (None, Length::Seconds(_)) => Some(seconds(take.beats(take.limit()))),
                (None, Length::Bars(bars)) => lines(bars.saturating_sub(take.bars)),
                (None, Length::Open | Length::Notes(_)) => None,
            },
            (Turn::Player { pending: Some(pending) }, _) => Some(pending.at),
            (Turn::Player { .. }, Some(trade)) if !trade.antiphons_turn && self.connection.can_play() => {
                lines(trade.left)
            }
            (Turn::Player { .. }, _) => {
                let counts = by_silence(settings.turn.mode, self.time.span.bars.is_some());
                let (since, beats) = self.input.silent_since(settings.turn.sustain_holds)?;
                (counts && self.input.has_unanswered && self.connection.can_play()).then(|| {
                    match settings.turn.silence {
                        Silence::Seconds(silence) => since + silence,
                        Silence::Beats(silence) => seconds(beats + silence),
                    }
                })
            }
        }
    }
}
