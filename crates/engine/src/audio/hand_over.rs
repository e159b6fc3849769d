//! Carries out what [`turn`](super::turn) decides, and informs the generator.
//!
//! A foreseeable hand-over is announced to the generator in advance
//! ([`crate::link::messages::Message::Begin`]), so that the first notes arrive in time. If the player plays on,
//! it is canceled and leaves no trace.

use super::bars::Trade;
use super::time::{Moment, micro};
use super::turn::{Command, Event, Leaving, Playing, State, by_silence, continues, decide};
use super::{AudioSide, Out};
use crate::audio::take::Take;
use crate::link::messages::{Begin, End, Message, ON_END_S, Place, Revision, Source, loop_beats};
use crate::link::roll::Whose;
use crate::settings::{GenerationParams, Length, Mode, Settings, Silence};

/// How long before a hand-over the generator is informed, in seconds: time for about a hundred notes on a
/// slow machine.
const FORETOLD_S: f64 = 0.25;
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
/// The shortest loop of a frozen take, in beats, where there are no bars.
const SHORTEST_LOOP: f64 = 0.5;

/// Whose turn it is, and the state that outlasts a turn.
pub struct Turns {
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

impl Default for Turns {
    fn default() -> Self {
        Self { turn: Turn::Yours { pending: None }, trade: None, ended: None, takes: 0, has_take: false }
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// The player's turn.
    Yours {
        /// The next hand-over, if the generator has been informed of it.
        pending: Option<PendingHandOver>,
    },
    /// Antiphon's turn.
    Mine(Take),
}

/// A hand-over that the generator is preparing for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PendingHandOver {
    /// When it is due, in stream seconds.
    pub at: f64,
    source: Source,
    called: bool,
    place: Place,
    generation: GenerationParams,
    length: Length,
}

impl PendingHandOver {
    /// Whether this is still the same hand-over, within tolerance.
    fn is(&self, other: &Self) -> bool {
        let (here, there) = (self.place, other.place);
        let moment = (self.at - other.at).abs() <= SAME_MOMENT;
        let same = moment && self.source == other.source && self.called == other.called;
        let tempo = (here.beats_per_second - there.beats_per_second).abs() <= SAME_PLACE * here.beats_per_second;
        same && self.generation == other.generation && self.length == other.length && tempo && here.is(&there)
    }

    /// Whether notes generated for this hand-over are exact to the sample for `other`. In a tempo ramp they may not
    /// be: the predicted place was slightly off.
    fn serves(&self, other: &Self) -> bool {
        let (here, there) = (self.place, other.place);
        let tempo = (here.beats_per_second - there.beats_per_second).abs() <= SAME_TEMPO * here.beats_per_second;
        let exact = tempo && here.is_within(&there, SAME_BEAT);
        let moment = (self.at - other.at).abs() <= SAME_BEAT;
        self.is(other) && moment && exact
    }
}

impl Place {
    /// Whether both are the same place in the bar, up to the rounding of host positions.
    pub fn is(&self, other: &Self) -> bool {
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
    Metre,
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
        let line = self.time.lines.next(self.time.span.bars).filter(|_| counts);
        let passes = line.filter(|line| *line < end).map(|line| (self.time.moment_at(line), Change::Turn(Event::Line)));
        match &self.turns.turn {
            Turn::Mine(take) => {
                let cut = take
                    .end
                    .filter(|line| *line < end)
                    .map(|line| (self.time.moment_at(line), Change::Turn(Event::Cut)));
                let over = self.over(take).filter(|over| *over < end).map(|over| {
                    // The note-off at exactly `over` still belongs to the take.
                    let moment = Moment { from: over.next_up(), ..self.time.moment_at(over) };
                    (moment, Change::Turn(Event::Over))
                });
                let metre = self.metre_changes(take, end).map(|beats| (self.time.moment_at(beats), Change::Metre));
                let changes = [over, cut, passes, metre].into_iter().flatten();
                changes.min_by(|one, other| one.0.beats.total_cmp(&other.0.beats))
            }
            Turn::Yours { .. } => {
                let trade = self.turns.trade.filter(|trade| !trade.mine && trade.left == 1).and(line);
                if let Some(line) = trade.filter(|_| self.connection.can_play()) {
                    self.prepare(self.time.moment_at(line), Source::GoOn, true, settings);
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
    pub(super) fn make(&mut self, moment: Moment, change: Change, settings: &Settings, out: &mut impl Out) {
        match change {
            Change::Turn(event) => {
                if event == Event::Line {
                    self.time.lines.count(moment.beats, self.time.span.bars);
                }
                self.happens(moment, event, settings, out);
            }
            Change::Metre => self.change_metre(moment),
        }
    }

    /// Handles an event that may change the turn. Returns whether the key joins the take.
    pub(super) fn happens(&mut self, moment: Moment, event: Event, settings: &Settings, out: &mut impl Out) -> bool {
        let (state, commands) = decide(self.state(), settings, event);
        self.turns.trade = state.trade;
        self.input.trigger_held = state.trigger_held;
        if let (Turn::Mine(take), Some(playing)) = (&mut self.turns.turn, state.playing) {
            take.bars = playing.bars;
        }
        let mut joins = false;
        for command in commands.into_iter().flatten() {
            match command {
                Command::GiveBack(leaving) => self.give_back(moment, leaving, out),
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
                Turn::Mine(take) => Some(Playing { frozen: take.frozen, bars: take.bars }),
                Turn::Yours { .. } => None,
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
            && self.input.fresh
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
        let coming = self.coming(moment, source, called, settings);
        let Turn::Yours { pending } = self.turns.turn else {
            return;
        };
        let told = self.input.listener.waiting() == 0;
        if told && pending.is_some_and(|pending| pending.is(&coming)) {
            return;
        }
        self.cancel();
        if told && coming.at - self.time.seconds(self.time.span.frames) <= FORETOLD_S {
            self.begin(coming);
            self.turns.turn = Turn::Yours { pending: Some(coming) };
        }
    }

    fn coming(&self, moment: Moment, source: Source, called: bool, settings: &Settings) -> PendingHandOver {
        let rate = self.time.span.beats_per_second_at(moment.offset);
        let place = self.place(moment.beats, moment.beats, rate);
        PendingHandOver {
            at: moment.at,
            source,
            called,
            place,
            generation: self.generation(settings),
            length: settings.turn.length,
        }
    }

    fn begin(&mut self, coming: PendingHandOver) {
        let revision = Revision(self.output.schedule.raise_revision());
        self.connection.audio_end.skip_before(revision);
        self.connection.audio_end.progress((self.time.seconds(0) - coming.at).min(0.0));
        let PendingHandOver { at, source, called, place, generation, length } = coming;
        self.connection.audio_end.steer(Message::Begin(Begin {
            revision,
            at,
            number: self.turns.takes,
            source,
            called,
            place,
            generation,
            length,
        }));
    }

    /// Cancels the pending hand-over, if there is one.
    fn cancel(&mut self) {
        if let Turn::Yours { pending: pending @ Some(_) } = &mut self.turns.turn {
            *pending = None;
            let revision = Revision(self.output.schedule.raise_revision());
            self.connection.audio_end.steer(Message::End(revision, End::CANCELED));
        }
    }

    /// Antiphon takes the turn.
    fn hand_over(&mut self, moment: Moment, source: Source, called: bool, settings: &Settings) {
        let coming = self.coming(moment, source, called, settings);
        match self.turns.turn {
            Turn::Yours { pending: Some(pending) } if pending.serves(&coming) => {}
            Turn::Yours { .. } | Turn::Mine(_) => {
                self.cancel();
                self.input.listener.hand_over(moment.at);
                self.tell();
                self.begin(coming);
            }
        }
        if let Some(bars) = self.time.span.bars {
            self.time.lines.begin_at(moment.beats, bars);
        }
        let mut take = Take::new(moment.beats, coming.place, source, settings, coming.generation, self.input.channel);
        take.end = self.end_of(&take, settings);
        self.turns.turn = Turn::Mine(take);
        self.turns.takes += 1;
        self.input.fresh = false;
        self.connection.status.counts.turns.add(1);
        self.connection.status.hand_over_s.set(moment.at);
        self.roll.hand_over(moment.at);
    }

    /// When a take ends, in beats, if that is known from its beginning: only a number of bars without a transport is.
    fn end_of(&self, take: &Take, settings: &Settings) -> Option<f64> {
        let bars = match (settings.turn.length, settings.turn.mode) {
            _ if self.time.span.bars.is_some() || take.frozen => return None,
            (_, Mode::Trade) => settings.turn.antiphon_bars,
            (Length::Bars(bars), _) => bars,
            (Length::Open | Length::Seconds(_) | Length::Notes(_), _) => return None,
        };
        Some(take.begin() + f64::from(bars.max(1)) * self.time.lines.length())
    }

    /// Gives the turn to the player: notes not yet played are void; those played are remembered, if that setting
    /// is on.
    pub(super) fn give_back(&mut self, moment: Moment, leaving: Leaving, out: &mut impl Out) {
        self.cancel();
        if leaving == Leaving::Cut {
            // Also the notes still ringing from an earlier turn.
            self.end_sounding(moment.offset, out);
        }
        let Turn::Mine(take) = self.turns.turn else {
            return;
        };
        let (rings_out, remembered) =
            self.settings.map_or((false, true), |settings| (settings.turn.rings_out, settings.turn.remembers_own));
        let cut = match leaving {
            Leaving::Entry => !rings_out,
            Leaving::Cut => true,
            Leaving::Over => false,
        };
        if cut {
            self.end_sounding(moment.offset, out);
        }
        self.output.lift_foot(self.time.within(moment.offset), out);
        // The notes still waiting have joined the take; the generator knows them.
        self.input.listener.hand_over(moment.at);
        self.tell();
        self.turns.turn = Turn::Yours { pending: None };
        // Notes that joined the take need no answer.
        self.input.fresh = false;
        self.turns.ended = Some(moment);
        let revision = Revision(self.output.schedule.raise_revision());
        let since = since(&take, moment);
        let limit = if leaving == Leaving::Over { take.limit() } else { since.min(take.limit()) };
        let beats_per_second = take.place.beats_per_second;
        let end = End { limit, notes: take.notes(), since, at: moment.at, beats_per_second, cut, remembered };
        self.connection.audio_end.steer(Message::End(revision, end));
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
    pub(super) fn change(&mut self, moment: Moment, settings: &Settings, length: bool) {
        let generation = self.generation(settings);
        let Turn::Mine(take) = &mut self.turns.turn else {
            return;
        };
        take.late_s = settings.midi.late_s;
        let channel = settings.midi.channel.unwrap_or(take.channel);
        if channel != take.channel {
            take.channel = channel;
            self.output.schedule.set_channel(channel);
        }
        if generation != take.generation || length {
            self.think_again(moment, |take| {
                take.generation = generation;
                take.length = settings.turn.length;
            });
            if let Turn::Mine(mut take) = self.turns.turn {
                let end = match settings.turn.length {
                    // It already has that many bars: it ends at once.
                    Length::Bars(bars) if take.bars >= bars && !take.frozen => Some(moment.beats),
                    _ => self.end_of(&take, settings),
                };
                take.end = end;
                self.turns.turn = Turn::Mine(take);
            }
        }
    }

    /// Applies `change` to the current take and has the notes from here on generated again.
    pub(super) fn think_again(&mut self, moment: Moment, change: impl FnOnce(&mut Take)) {
        self.receive();
        let Turn::Mine(take) = &mut self.turns.turn else {
            return;
        };
        change(take);
        let since = since(take, moment);
        let revision = Revision(self.output.schedule.raise_revision_from(take.beats(since)));
        take.rethink(since);
        let (place, generation, length) = (take.place, take.generation, take.length);
        self.connection.audio_end.steer(Message::Change { revision, since, place, generation, length });
    }

    /// A key goes down during Antiphon's turn and joins the take: in a duet, or over a frozen take.
    pub(super) fn join(&mut self, moment: Moment, pitch: u8, velocity: u8) {
        self.receive();
        let Turn::Mine(take) = &mut self.turns.turn else {
            return;
        };
        let since = since(take, moment);
        let from = take.joined(since);
        let revision = Revision(self.output.schedule.raise_revision_from(take.beats(from)));
        take.rethink(from);
        self.connection.status.counts.heard.add(1);
        self.connection.audio_end.steer(Message::Join { revision, since, from, pitch, velocity });
    }

    /// Keys come up during Antiphon's turn. `None`: all of them.
    pub(super) fn leave(&mut self, moment: Moment, key: Option<u8>) {
        if let Turn::Mine(take) = &self.turns.turn {
            self.connection.audio_end.steer(Message::Leave { since: since(take, moment), pitch: key });
        }
    }

    /// Freezes the current take: it loops from here on.
    fn freeze(&mut self, moment: Moment) {
        let bar = self.time.metre.bars_at(moment.beats).map(|bars| bars.length);
        let Turn::Mine(take) = &self.turns.turn else {
            return;
        };
        let lasted = (moment.beats - take.begin()).max(SHORTEST_LOOP);
        let round = loop_beats(lasted, bar) / take.place.beats_per_second;
        let since = micro(round - ON_END_S);
        self.latch(true, since, |revision| Message::Freeze { revision, since, round });
    }

    /// Thaws the current take: it stops looping.
    fn thaw(&mut self, moment: Moment) {
        let Turn::Mine(take) = &self.turns.turn else {
            return;
        };
        let since = since(take, moment);
        self.latch(false, since, |revision| Message::Thaw { revision, since });
    }

    fn latch(&mut self, frozen: bool, since: f64, report: impl FnOnce(Revision) -> Message) {
        self.receive();
        let Turn::Mine(take) = &mut self.turns.turn else {
            return;
        };
        let revision = Revision(self.output.schedule.raise_revision_from(take.beats(since)));
        take.freeze(frozen, since);
        self.connection.audio_end.steer(report(revision));
    }

    /// Ends all of Antiphon's sounding notes at this offset.
    pub(super) fn end_sounding(&mut self, offset: u32, out: &mut impl Out) {
        self.end_all(offset, out);
        self.roll.off(Whose::Antiphon, None, None, self.time.seconds(offset));
    }
}

/// Seconds from a take's hand-over to a moment, in whole microseconds (see [`time`](super::time)). Uses the moment
/// itself, not the start of its sample, which depends on the sample rate.
fn since(take: &Take, moment: Moment) -> f64 {
    micro(take.since(moment.beats))
}
