//! The turn changes hands: what [`turn`](super::turn) decides is carried out, and the generator told.
//!
//! A hand-over that can be foreseen is told to the generator some time before
//! ([`crate::link::messages::Message::Begin`]), so that the first notes are there in time. If the player goes on,
//! that is called off, without a trace.

use super::bars::Trade;
use super::time::{Moment, micro};
use super::turn::{Command, Event, Leaving, Playing, State, by_silence, continues, decide};
use super::{AudioSide, Out};
use crate::audio::take::Take;
use crate::link::messages::{Begin, End, Message, ON_END_S, Place, Revision, Source, loop_beats};
use crate::link::roll::Whose;
use crate::settings::{GenerationParams, Length, Mode, Settings, Silence};

/// The generator learns of a hand-over this long before it, in seconds: time for some
/// hundred notes on a slow machine.
const FORETOLD_S: f64 = 0.25;
/// Beats by which a take's place in the bar must differ to be another one; as a share, its tempo.
const SAME_PLACE: f64 = 1e-4;
/// Seconds by which the moment of a hand-over to come may move before it is told anew: in a ramp it does
/// with every block.
const SAME_MOMENT: f64 = 1e-3;
/// The same at the hand-over itself: what positions are rounded to, and nothing that adds up over a take.
const SAME_BEAT: f64 = 2e-6;
const SAME_TEMPO: f64 = 1e-8;
/// The shortest loop of a frozen take, in beats, where there are no bars.
const SHORTEST_LOOP: f64 = 0.5;

/// Whose turn it is, and what has come of turns so far.
pub struct Turns {
    /// Whose turn it is.
    pub turn: Turn,
    /// Bars are traded.
    pub trade: Option<Trade>,
    /// When a turn of Antiphon's has ended in this block, the last time.
    pub ended: Option<Moment>,
    /// Antiphon's turns since the phrase began.
    pub takes: u32,
    /// One of them has sounded: there is something to hear again.
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
    /// The player's. The generator may have been told of the hand-over to come.
    Yours {
        /// That hand-over.
        pending: Option<PendingHandOver>,
    },
    /// The model's.
    Mine(Take),
}

/// A hand-over that the generator prepares for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PendingHandOver {
    /// Seconds of the stream.
    pub at: f64,
    source: Source,
    called: bool,
    place: Place,
    generation: GenerationParams,
    length: Length,
}

impl PendingHandOver {
    /// Whether it is the same one still.
    fn is(&self, other: &Self) -> bool {
        let (here, there) = (self.place, other.place);
        let moment = (self.at - other.at).abs() <= SAME_MOMENT;
        let same = moment && self.source == other.source && self.called == other.called;
        let tempo = (here.beats_per_second - there.beats_per_second).abs() <= SAME_PLACE * here.beats_per_second;
        same && self.generation == other.generation && self.length == other.length && tempo && here.is(&there)
    }

    /// Whether what was generated for this one is right for the other, to the sample. Where the tempo
    /// ramps, the place was pending a little wrong; but only the grid asks for it.
    fn serves(&self, other: &Self) -> bool {
        let (here, there) = (self.place, other.place);
        let tempo = (here.beats_per_second - there.beats_per_second).abs() <= SAME_TEMPO * here.beats_per_second;
        let exact = tempo && here.is_within(&there, SAME_BEAT);
        let moment = (self.at - other.at).abs() <= SAME_BEAT;
        self.is(other) && moment && exact
    }
}

impl Place {
    /// Whether it is the same place in the bar, but for what positions of hosts are rounded to.
    pub fn is(&self, other: &Self) -> bool {
        self.is_within(other, SAME_PLACE)
    }

    fn is_within(&self, other: &Self, beats: f64) -> bool {
        // A line's two sides are one place.
        let apart = ((self.beat - other.beat) / self.bar + 0.5).rem_euclid(1.0) - 0.5;
        self.running == other.running && apart.abs() * self.bar <= beats && (self.bar - other.bar).abs() <= beats
    }
}

/// What happens next, in the course of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// The turn may change.
    Turn(Event),
    /// The bars that the grid keeps to are others from here on.
    Metre,
}

impl<E: Copy> AudioSide<E> {
    /// The next change before this offset, if there is one. Tells the generator of a hand-over
    /// that is near, or calls it off.
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
                    // Its last note ends within it.
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

    /// It happens.
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

    /// Something happens that may concern the turn: what it asks for is done. Says whether the key joins in.
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

    /// How things stand.
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

    /// The earliest moment at which anything can still happen. A take that has just ended may have done so between
    /// two samples: what follows it does so there, at every sample rate.
    fn now(&self) -> Moment {
        let here = self.time.moment(self.time.played);
        self.turns.ended.filter(|ended| ended.offset == self.time.played).unwrap_or(here)
    }

    /// When the silence has lasted long enough, if there is one and it counts; not before now.
    fn silence_over(&mut self, settings: &Settings) -> Option<Moment> {
        let counts =
            by_silence(settings.mode, self.time.span.bars.is_some()) && self.input.fresh && self.connection.can_play();
        let (since, since_beats) = self.input.silent_since(settings.pedal_holds).filter(|_| counts)?;
        let moment = match settings.silence {
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
        self.prepare(moment, continues(settings.mode), false, settings);
        Some(moment)
    }

    /// Tells the generator of a hand-over that is near, once all that was played is told.
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
            length: settings.length,
        }
    }

    fn begin(&mut self, coming: PendingHandOver) {
        let revision = Revision(self.output.schedule.raise_revision());
        self.connection.near.skip_before(revision);
        self.connection.near.progress((self.time.seconds(0) - coming.at).min(0.0));
        let PendingHandOver { at, source, called, place, generation, length } = coming;
        self.connection.near.steer(Message::Begin(Begin {
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

    /// The hand-over that was pending does not take place.
    fn cancel(&mut self) {
        if let Turn::Yours { pending: pending @ Some(_) } = &mut self.turns.turn {
            *pending = None;
            let revision = Revision(self.output.schedule.raise_revision());
            self.connection.near.steer(Message::End(revision, End::CANCELED));
        }
    }

    /// The model takes the turn.
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
        self.connection.status.turns.add(1);
        self.connection.status.hand_over_s.set(moment.at);
        self.roll.hand_over(moment.at);
    }

    /// The end that a take has from its beginning: that of bars without a transport.
    fn end_of(&self, take: &Take, settings: &Settings) -> Option<f64> {
        let bars = match (settings.length, settings.mode) {
            _ if self.time.span.bars.is_some() || take.frozen => return None,
            (_, Mode::Trade) => settings.my_bars,
            (Length::Bars(bars), _) => bars,
            (Length::Open | Length::Seconds(_) | Length::Notes(_), _) => return None,
        };
        Some(take.begin() + f64::from(bars.max(1)) * self.time.lines.length())
    }

    /// The player has the turn from here on: what the model would have played is void, what it has
    /// played it remembers, if it is to.
    pub(super) fn give_back(&mut self, moment: Moment, leaving: Leaving, out: &mut impl Out) {
        self.cancel();
        if leaving == Leaving::Cut {
            // What rings out of an earlier turn, too.
            self.end_sounding(moment.offset, out);
        }
        let Turn::Mine(take) = self.turns.turn else {
            return;
        };
        let (rings_out, remembered) =
            self.settings.map_or((false, true), |settings| (settings.rings_out, settings.remembers_own));
        let cut = match leaving {
            Leaving::Entry => !rings_out,
            Leaving::Cut => true,
            Leaving::Over => false,
        };
        if cut {
            self.end_sounding(moment.offset, out);
        }
        self.output.lift_foot(self.time.within(moment.offset), out);
        // Whatever waits has joined in, and is known.
        self.input.listener.hand_over(moment.at);
        self.tell();
        self.turns.turn = Turn::Yours { pending: None };
        // What has joined in is answered.
        self.input.fresh = false;
        self.turns.ended = Some(moment);
        let revision = Revision(self.output.schedule.raise_revision());
        let since = since(&take, moment);
        let limit = if leaving == Leaving::Over { take.limit() } else { since.min(take.limit()) };
        let beats_per_second = take.place.beats_per_second;
        let end = End { limit, notes: take.notes(), since, at: moment.at, beats_per_second, cut, remembered };
        self.connection.near.steer(Message::End(revision, end));
        self.turns.has_take |= take.sounded;
    }

    /// How the model is to play now: as is set, within the chord that is held.
    fn generation(&self, settings: &Settings) -> GenerationParams {
        let mut generation = settings.generation;
        if settings.follows_chord {
            generation.limits.chord = self.input.chord();
        }
        generation.bars = match (settings.mode, settings.length) {
            (Mode::Trade, _) => Some(settings.my_bars),
            (_, Length::Bars(bars)) => Some(bars),
            (_, Length::Open | Length::Seconds(_) | Length::Notes(_)) => None,
        };
        generation
    }

    /// If something about the take under way is to be different from here on, it is.
    pub(super) fn change(&mut self, moment: Moment, settings: &Settings, length: bool) {
        let generation = self.generation(settings);
        let Turn::Mine(take) = &mut self.turns.turn else {
            return;
        };
        take.late_s = settings.late_s;
        let channel = settings.channel.unwrap_or(take.channel);
        if channel != take.channel {
            take.channel = channel;
            self.output.schedule.set_channel(channel);
        }
        if generation != take.generation || length {
            self.think_again(moment, |take| {
                take.generation = generation;
                take.length = settings.length;
            });
            if let Turn::Mine(mut take) = self.turns.turn {
                let end = match settings.length {
                    // What it has had already ends it at once.
                    Length::Bars(bars) if take.bars >= bars && !take.frozen => Some(moment.beats),
                    _ => self.end_of(&take, settings),
                };
                take.end = end;
                self.turns.turn = Turn::Mine(take);
            }
        }
    }

    /// What the model would have played from here on must be generated again.
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
        self.connection.near.steer(Message::Change { revision, since, place, generation, length });
    }

    /// In a duet: a key goes down while the model plays.
    pub(super) fn join(&mut self, moment: Moment, pitch: u8, velocity: u8) {
        self.receive();
        let Turn::Mine(take) = &mut self.turns.turn else {
            return;
        };
        let since = since(take, moment);
        let from = take.joined(since);
        let revision = Revision(self.output.schedule.raise_revision_from(take.beats(from)));
        take.rethink(from);
        self.connection.status.heard.add(1);
        self.connection.near.steer(Message::Join { revision, since, from, pitch, velocity });
    }

    /// In a duet: keys come up.
    pub(super) fn leave(&mut self, moment: Moment, key: Option<u8>) {
        if let Turn::Mine(take) = &self.turns.turn {
            self.connection.near.steer(Message::Leave { since: since(take, moment), pitch: key });
        }
    }

    /// The take under way goes round and round from here on.
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

    /// It plays freely again.
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
        self.connection.near.steer(report(revision));
    }

    /// Ends what the model plays at this offset.
    pub(super) fn end_sounding(&mut self, offset: u32, out: &mut impl Out) {
        self.end_all(offset, out);
        self.roll.off(Whose::Mine, None, None, self.time.seconds(offset));
    }
}

/// Seconds since a take's hand-over. Whole microseconds: see the [module](super). The moment itself, since
/// where its sample begins depends on the sample rate.
fn since(take: &Take, moment: Moment) -> f64 {
    micro(take.since(moment.beats))
}
