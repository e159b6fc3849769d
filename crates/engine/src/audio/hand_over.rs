//! Carries out what [`turn`](super::turn) decides, and informs the generator.
//!
//! A foreseeable hand-over is announced to the generator in advance
//! ([`crate::link::messages::Message::Begin`]), so that the first notes arrive in time. If the player plays on,
//! it is canceled and leaves no trace.

use super::bars::Trade;
use super::time::{Moment, micro};
use super::turn::{Command, EndReason, Event, Playing, State, by_silence, continues, decide};
use super::{AudioSide, Out};
use crate::audio::take::TakePlayback;
use crate::link::messages::{Begin, End, Message, Revision, Source, TimelinePosition};
use crate::link::roll::Whose;
use crate::settings::{GenerationParams, Length, Mode, Settings, Silence};

/// How long before a hand-over the generator is informed, in seconds: time for about a hundred notes on a
/// slow machine.
const ANNOUNCE_S: f64 = 0.25;
/// Largest difference between two places in the bar that count as the same, in beats; also the largest relative
/// difference between their tempi.
const SAME_PLACE: f64 = 1e-4;
/// How far a pending hand-over may move, in seconds, before it is announced again: in a tempo ramp it moves
/// with every block.
const SAME_MOMENT: f64 = 1e-3;
/// The same tolerance at the hand-over itself, in beats and in seconds: it covers the rounding of positions, but
/// nothing that would accumulate over a take.
const SAME_BEAT: f64 = 2e-6;
const SAME_TEMPO: f64 = 1e-8;

/// Whose turn it is, and the state that outlasts a turn.
pub struct TurnState {
    /// Whose turn it is.
    pub turn: Turn,
    /// The trading of bars, in mode trade while the transport runs.
    pub trade: Option<Trade>,
    /// When Antiphon's turn last ended within this block; `None`: it did not.
    pub ended: Option<Moment>,
    /// Number of Antiphon's turns since the phrase began.
    pub takes: u32,
    /// Whether one of them has sounded, so that there is something to replay.
    pub has_take: bool,
}

impl Default for TurnState {
    fn default() -> Self {
        Self { turn: Turn::Player { pending: None }, trade: None, ended: None, takes: 0, has_take: false }
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// The player's turn.
    Player {
        /// The next hand-over, if the generator has been informed of it.
        pending: Option<PendingHandOver>,
    },
    /// Antiphon's turn.
    Antiphon(TakePlayback),
}

/// A hand-over that the generator is preparing for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PendingHandOver {
    /// When it is due, in stream seconds.
    pub at: f64,
    source: Source,
    called: bool,
    position: TimelinePosition,
    generation: GenerationParams,
    length: Length,
}

impl PendingHandOver {
    /// Whether this is still the same hand-over, within tolerance.
    fn matches(&self, other: &Self) -> bool {
        let (here, there) = (self.position, other.position);
        let moment = (self.at - other.at).abs() <= SAME_MOMENT;
        let same = moment && self.source == other.source && self.called == other.called;
        let tempo = (here.beats_per_second - there.beats_per_second).abs() <= SAME_PLACE * here.beats_per_second;
        same && self.generation == other.generation && self.length == other.length && tempo && here.matches(&there)
    }

    /// Whether notes generated for this hand-over are exact to the sample for `other`. In a tempo ramp they may not
    /// be: the predicted place was slightly off.
    fn is_exact_for(&self, other: &Self) -> bool {
        let (here, there) = (self.position, other.position);
        let tempo = (here.beats_per_second - there.beats_per_second).abs() <= SAME_TEMPO * here.beats_per_second;
        let exact = tempo && here.is_within(&there, SAME_BEAT);
        let moment = (self.at - other.at).abs() <= SAME_BEAT;
        self.matches(other) && moment && exact
    }
}

impl TimelinePosition {
    /// Whether both are the same place in the bar, up to the rounding of host positions.
    pub fn matches(&self, other: &Self) -> bool {
        self.is_within(other, SAME_PLACE)
    }

    fn is_within(&self, other: &Self, beats: f64) -> bool {
        // Just before and just after a bar line count as the same place.
        let apart = ((self.beat - other.beat) / self.bar + 0.5).rem_euclid(1.0) - 0.5;
        self.running == other.running && apart.abs() * self.bar <= beats && (self.bar - other.bar).abs() <= beats
    }
}

/// A change that happens as time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// The turn may change.
    Turn(Event),
    /// The grid follows different bars from here on.
    GridBars,
}

impl<E: Copy> AudioSide<E> {
    /// The next change before this offset, if there is one. Informs the generator of an imminent hand-over, or
    /// cancels it.
    pub(super) fn next_change(&mut self, until: u32, settings: &Settings) -> Option<(Moment, Change)> {
        if settings.bypass {
            return None;
        }
        let end = self.time.boundary(until);
        let counts = self.turns.trade.is_some() || self.is_playing();
        let line = self.time.bar_lines.next(self.time.span.bars).filter(|_| counts);
        let passes = line.filter(|line| *line < end).map(|line| (self.time.moment_at(line), Change::Turn(Event::Line)));
        match &self.turns.turn {
            Turn::Antiphon(take) => {
                let cut = take
                    .end
                    .filter(|line| *line < end)
                    .map(|line| (self.time.moment_at(line), Change::Turn(Event::Cut)));
                let over = self.natural_end(take).filter(|over| *over < end).map(|over| {
                    // The note-off at exactly `over` still belongs to the take.
                    let moment = Moment { from: over.next_up(), ..self.time.moment_at(over) };
                    (moment, Change::Turn(Event::Over))
                });
                let grid_bars =
                    self.grid_bars_change(take, end).map(|beats| (self.time.moment_at(beats), Change::GridBars));
                let changes = [over, cut, passes, grid_bars].into_iter().flatten();
                changes.min_by(|one, other| one.0.beats.total_cmp(&other.0.beats))
            }
            Turn::Player { .. } => {
                let trade = self.turns.trade.filter(|trade| !trade.antiphons_turn && trade.left == 1).and(line);
                if let Some(line) = trade.filter(|_| self.connection.can_play()) {
                    self.prepare(self.time.moment_at(line), Source::Continue, true, settings);
                    return passes;
                }
                let silence = self.silence_over(settings);
                match silence {
                    Some(moment) if moment.from < end => Some((moment, Change::Turn(Event::Silence))),
                    Some(_) => passes,
                    None => {
                        self.cancel();
                        passes
                    }
                }
            }
        }
    }

    /// Carries out a change.
    pub(super) fn apply_change(&mut self, moment: Moment, change: Change, settings: &Settings, out: &mut impl Out) {
        match change {
            Change::Turn(event) => {
                if event == Event::Line {
                    self.time.bar_lines.count(moment.beats, self.time.span.bars);
                }
                self.handle_event(moment, event, settings, out);
            }
            Change::GridBars => self.apply_grid_bars(moment),
        }
    }

    /// Handles an event that may change the turn. Returns whether the key joins the take.
    pub(super) fn handle_event(
        &mut self,
        moment: Moment,
        event: Event,
        settings: &Settings,
        out: &mut impl Out,
    ) -> bool {
        let (state, commands) = decide(self.state(), settings, event);
        self.turns.trade = state.trade;
        self.input.trigger_held = state.trigger_held;
        if let (Turn::Antiphon(take), Some(playing)) = (&mut self.turns.turn, state.playing) {
            take.bars = playing.bars;
        }
        let mut joins = false;
        for command in commands.into_iter().flatten() {
            match command {
                Command::GiveBack(reason) => self.give_back(moment, reason, out),
                Command::HandOver { source, called } => self.hand_over(moment, source, called, settings),
                Command::Join => joins = true,
                Command::Freeze => self.freeze(moment),
                Command::Thaw => self.thaw(moment),
            }
        }
        joins
    }

    /// The current state of the turn.
    fn state(&self) -> State {
        State {
            playing: match &self.turns.turn {
                Turn::Antiphon(take) => Some(Playing { frozen: take.frozen, bars: take.bars }),
                Turn::Player { .. } => None,
            },
            can_play: self.connection.can_play(),
            has_take: self.turns.has_take,
            trade: self.turns.trade,
            trigger_held: self.input.trigger_held,
        }
    }

    /// The earliest moment at which anything can still happen. A take may have ended between two samples: what
    /// follows then happens exactly there, at every sample rate.
    fn now(&self) -> Moment {
        let here = self.time.moment(self.time.played);
        self.turns.ended.filter(|ended| ended.offset == self.time.played).unwrap_or(here)
    }

    /// When the silence will have lasted long enough, but not before now; `None`: there is no silence that counts.
    /// Prepares the hand-over.
    fn silence_over(&mut self, settings: &Settings) -> Option<Moment> {
        let counts = by_silence(settings.turn.mode, self.time.span.bars.is_some())
            && self.input.has_unanswered
            && self.connection.can_play();
        let (since, since_beats) = self.input.silent_since(settings.turn.sustain_holds).filter(|_| counts)?;
        let moment = match settings.turn.silence {
            Silence::Seconds(silence) => {
                let silence = (silence * self.time.sample_rate).round().max(1.0);
                let at = (since * self.time.sample_rate).round() as u64 + silence as u64;
                match at.checked_sub(self.time.samples).map(u32::try_from) {
                    None => self.now(),
                    Some(Ok(offset)) if offset < self.time.played => self.now(),
                    Some(Ok(offset)) if offset < self.time.span.frames => self.time.moment(offset),
                    Some(_) => {
                        let (frames, at) = (self.time.span.frames, at as f64 / self.time.sample_rate);
                        let rate = self.time.span.beats_per_second_at(frames);
                        let ahead = at - self.time.seconds(frames) + 0.5 / self.time.sample_rate;
                        let beats = self.time.span.end + ahead * rate;
                        Moment { offset: frames, beats, from: beats, at }
                    }
                }
            }
            Silence::Beats(beats) => {
                let over = since_beats + beats;
                if over < self.time.boundary(self.time.played) { self.now() } else { self.time.moment_at(over) }
            }
        };
        self.prepare(moment, continues(settings.turn.mode), false, settings);
        Some(moment)
    }

    /// Informs the generator of an imminent hand-over, once it has received everything that was played.
    fn prepare(&mut self, moment: Moment, source: Source, called: bool, settings: &Settings) {
        let planned = self.planned(moment, source, called, settings);
        let Turn::Player { pending } = self.turns.turn else {
            return;
        };
        let up_to_date = self.input.listener.waiting() == 0;
        if up_to_date && pending.is_some_and(|pending| pending.matches(&planned)) {
            return;
        }
        self.cancel();
        if up_to_date && planned.at - self.time.seconds(self.time.span.frames) <= ANNOUNCE_S {
            self.begin(planned);
            self.turns.turn = Turn::Player { pending: Some(planned) };
        }
    }

    fn planned(&self, moment: Moment, source: Source, called: bool, settings: &Settings) -> PendingHandOver {
        let rate = self.time.span.beats_per_second_at(moment.offset);
        let position = self.position(moment.beats, moment.beats, rate);
        PendingHandOver {
            at: moment.at,
            source,
            called,
            position,
            generation: self.generation(settings),
            length: settings.turn.length,
        }
    }

    fn begin(&mut self, planned: PendingHandOver) {
        let revision = Revision(self.output.schedule.raise_revision());
        self.connection.audio_end.skip_before(revision);
        self.connection.audio_end.set_progress((self.time.seconds(0) - planned.at).min(0.0));
        let PendingHandOver { at, source, called, position, generation, length } = planned;
        self.connection.audio_end.send_command(Message::Begin(Begin {
            revision,
            at,
            number: self.turns.takes,
            source,
            called,
            position,
            generation,
            length,
        }));
    }

    /// Cancels the pending hand-over, if there is one.
    fn cancel(&mut self) {
        if let Turn::Player { pending: pending @ Some(_) } = &mut self.turns.turn {
            *pending = None;
            let revision = Revision(self.output.schedule.raise_revision());
            self.connection.audio_end.send_command(Message::End(revision, End::CANCELED));
        }
    }

    /// Antiphon takes the turn.
    fn hand_over(&mut self, moment: Moment, source: Source, called: bool, settings: &Settings) {
        let planned = self.planned(moment, source, called, settings);
        match self.turns.turn {
            Turn::Player { pending: Some(pending) } if pending.is_exact_for(&planned) => {}
            Turn::Player { .. } | Turn::Antiphon(_) => {
                self.cancel();
                self.input.listener.hand_over(moment.at);
                self.send_finished_notes();
                self.begin(planned);
            }
        }
        if let Some(bars) = self.time.span.bars {
            self.time.bar_lines.begin_at(moment.beats, bars);
        }
        let mut take =
            TakePlayback::new(moment.beats, planned.position, source, settings, planned.generation, self.input.channel);
        take.end = self.end_of(&take, settings);
        self.turns.turn = Turn::Antiphon(take);
        self.turns.takes += 1;
        self.input.has_unanswered = false;
        self.connection.status.counts.turns.add(1);
        self.connection.status.hand_over_s.set(moment.at);
        self.roll.hand_over(moment.at);
    }

    /// When a take ends, in beats, if that is known from its beginning: only a number of bars without a transport is.
    pub(super) fn end_of(&self, take: &TakePlayback, settings: &Settings) -> Option<f64> {
        let bars = match (settings.turn.length, settings.turn.mode) {
            _ if self.time.span.bars.is_some() || take.frozen => return None,
            (_, Mode::Trade) => settings.turn.antiphon_bars,
            (Length::Bars(bars), _) => bars,
            (Length::Open | Length::Seconds(_) | Length::Notes(_), _) => return None,
        };
        Some(take.begin() + f64::from(bars.max(1)) * self.time.bar_lines.length())
    }

    /// Gives the turn to the player: notes not yet played are void; those played are remembered, if that setting
    /// is on.
    pub(super) fn give_back(&mut self, moment: Moment, reason: EndReason, out: &mut impl Out) {
        self.cancel();
        if reason == EndReason::Cut {
            // Also the notes still ringing from an earlier turn.
            self.end_sounding(moment.offset, out);
        }
        // In real time, what has not been received by now is void.
        if reason != EndReason::Over && self.connection.offline_wait.is_offline() {
            self.await_notes_until(moment);
        }
        let Turn::Antiphon(take) = self.turns.turn else {
            return;
        };
        let (rings_out, remembered) =
            self.settings.map_or((false, true), |settings| (settings.turn.rings_out, settings.turn.remembers_own));
        let cut = match reason {
            EndReason::Entry => !rings_out,
            EndReason::Cut => true,
            EndReason::Over => false,
        };
        if cut {
            self.end_sounding(moment.offset, out);
        }
        self.output.lift_sustain(self.time.within(moment.offset), out);
        // The notes still waiting have joined the take; the generator knows them.
        self.input.listener.hand_over(moment.at);
        self.send_finished_notes();
        self.turns.turn = Turn::Player { pending: None };
        // Notes that joined the take need no answer.
        self.input.has_unanswered = false;
        self.turns.ended = Some(moment);
        let revision = Revision(self.output.schedule.raise_revision());
        let since = since(&take, moment);
        let limit = if reason == EndReason::Over { take.limit() } else { since.min(take.limit()) };
        let beats_per_second = take.position.beats_per_second;
        let end = End { limit, notes: take.notes(), since, at: moment.at, beats_per_second, cut, remembered };
        self.connection.audio_end.send_command(Message::End(revision, end));
        self.turns.has_take |= take.sounded;
    }

    /// The generation parameters as set, with the chord that is held and the length of the turn in bars.
    fn generation(&self, settings: &Settings) -> GenerationParams {
        let mut generation = settings.generation;
        if settings.follows_chord {
            generation.limits.chord = self.input.chord();
        }
        generation.bars = match (settings.turn.mode, settings.turn.length) {
            (Mode::Trade, _) => Some(settings.turn.antiphon_bars),
            (_, Length::Bars(bars)) => Some(bars),
            (_, Length::Open | Length::Seconds(_) | Length::Notes(_)) => None,
        };
        generation
    }

    /// Applies changed settings to the current take, if any. `length`: whether the turn length has changed.
    pub(super) fn update_take(&mut self, moment: Moment, settings: &Settings, length: bool) {
        let generation = self.generation(settings);
        let Turn::Antiphon(take) = &mut self.turns.turn else {
            return;
        };
        take.late_s = settings.midi.late_s;
        let channel = settings.midi.channel.unwrap_or(take.channel);
        if channel != take.channel {
            take.channel = channel;
            self.output.schedule.set_channel(channel);
        }
        if generation != take.generation || length {
            self.regenerate_from(moment, |take| {
                take.generation = generation;
                take.length = settings.turn.length;
            });
            if let Turn::Antiphon(mut take) = self.turns.turn {
                let end = match settings.turn.length {
                    // It already has that many bars: it ends at once.
                    Length::Bars(bars) if take.bars >= bars && !take.frozen => Some(moment.beats),
                    _ => self.end_of(&take, settings),
                };
                take.end = end;
                self.turns.turn = Turn::Antiphon(take);
            }
        }
    }

    /// Offline, waits for the notes of the current take that lie before a moment. Returns it in seconds since the
    /// hand-over; `None`: there is no take.
    pub(super) fn await_notes_until(&mut self, moment: Moment) -> Option<f64> {
        let Turn::Antiphon(take) = &self.turns.turn else {
            return None;
        };
        let since = since(take, moment);
        // Before the first note, there is nothing to wait for.
        if since > 0.0 {
            self.await_notes_before(since);
        } else {
            self.receive();
        }
        Some(since)
    }

    /// Applies `change` to the current take and has the notes from here on generated again.
    pub(super) fn regenerate_from(&mut self, moment: Moment, change: impl FnOnce(&mut TakePlayback)) {
        let Some(since) = self.await_notes_until(moment) else {
            return;
        };
        let Turn::Antiphon(take) = &mut self.turns.turn else {
            return;
        };
        change(take);
        let revision = Revision(self.output.schedule.raise_revision_from(take.beats(since)));
        take.invalidate_from(since);
        let (position, generation, length) = (take.position, take.generation, take.length);
        self.connection.audio_end.send_command(Message::Change { revision, since, position, generation, length });
    }

    /// A key goes down during Antiphon's turn and joins the take: in a duet, or over a frozen take.
    pub(super) fn join(&mut self, moment: Moment, pitch: u8, velocity: u8) {
        let Some(since) = self.await_notes_until(moment) else {
            return;
        };
        let Turn::Antiphon(take) = &mut self.turns.turn else {
            return;
        };
        let from = take.joined(since);
        let revision = Revision(self.output.schedule.raise_revision_from(take.beats(from)));
        take.invalidate_from(from);
        self.connection.status.counts.heard.add(1);
        self.connection.audio_end.send_command(Message::Join { revision, since, from, pitch, velocity });
    }

    /// Keys come up during Antiphon's turn. `None`: all of them.
    pub(super) fn leave(&mut self, moment: Moment, key: Option<u8>) {
        if let Turn::Antiphon(take) = &self.turns.turn {
            self.connection.audio_end.send_command(Message::Leave { since: since(take, moment), pitch: key });
        }
    }

    /// Ends all of Antiphon's sounding notes at this offset.
    pub(super) fn end_sounding(&mut self, offset: u32, out: &mut impl Out) {
        self.end_all(offset, out);
        self.roll.off(Whose::Antiphon, None, None, self.time.seconds(offset));
    }
}

/// Seconds from a take's hand-over to a moment, in whole microseconds (see [`time`](super::time)). Uses the moment
/// itself, not the start of its sample, which depends on the sample rate.
pub(super) fn since(take: &TakePlayback, moment: Moment) -> f64 {
    micro(take.since(moment.beats))
}
