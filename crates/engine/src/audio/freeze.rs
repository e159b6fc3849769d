//! Freeze: Antiphon's latest take loops.

use super::AudioSide;
use super::hand_over::Turn;
use super::time::{Moment, micro};
use crate::link::messages::{Message, ON_END_S, Revision, loop_beats};

/// The shortest loop of a frozen take, in beats, where there are no bars.
const SHORTEST_LOOP: f64 = 0.5;

impl<E: Copy> AudioSide<E> {
    /// Freezes the current take: it loops from here on.
    pub(super) fn freeze(&mut self, moment: Moment) {
        let bar = self.time.grid_bars.bars_at(moment.beats).map(|bars| bars.length);
        let Turn::Antiphon(take) = &self.turns.turn else {
            return;
        };
        let lasted = (moment.beats - take.begin()).max(SHORTEST_LOOP);
        let round = loop_beats(lasted, bar) / take.position.beats_per_second;
        let since = micro(round - ON_END_S);
        self.set_frozen(true, since, |revision| Message::Freeze { revision, since, round });
    }

    /// Thaws the current take: it stops looping.
    pub(super) fn thaw(&mut self, moment: Moment) {
        let Some(since) = self.await_notes_until(moment) else {
            return;
        };
        self.set_frozen(false, since, |revision| Message::Thaw { revision, since });
        if let (Turn::Antiphon(mut take), Some(settings)) = (self.turns.turn, self.settings) {
            // Where no transport counts its bars, it may be over by now.
            take.end = self.end_of(&take, &settings).map(|end| end.max(moment.beats));
            self.turns.turn = Turn::Antiphon(take);
        }
    }

    fn set_frozen(&mut self, frozen: bool, since: f64, message: impl FnOnce(Revision) -> Message) {
        self.receive();
        let Turn::Antiphon(take) = &mut self.turns.turn else {
            return;
        };
        let revision = Revision(self.output.schedule.raise_revision_from(take.beats(since)));
        take.freeze(frozen, since);
        self.connection.audio_end.send_command(message(revision));
    }
}
