//! Whose turn it is.
//!
//! | mode | the model takes the turn | and gives it back |
//! | --- | --- | --- |
//! | auto | when no key has been down for the silence asked for, if something was played since its last turn | when the player strikes a key |
//! | trigger | when the trigger goes down | when it comes up, or is touched again; when the player strikes a key |
//! | trade | at the bar line after the player's bars | at the one after its own; when the player strikes a key |
//! | duet | as in auto | not for the player's notes: it hears them and plays on |
//! | alone | when the mode is chosen, when the transport starts, after the player's silence; from nothing | when the player strikes a key |
//!
//! In every mode the button *Go on* swaps the turns, *Again* and *Another* take it, and the length
//! that is set ends it. A frozen take gives way to nothing but the buttons and the transport: one
//! latches it to play over it, and it hears what is played, as in a duet.
//!
//! Without a running transport there are no bar lines: trade then takes the turn as auto does, and
//! plays its bars at the latest tempo.
//!
//! A hand-over that can be foreseen is told to the inference thread some time before
//! ([`crate::link::messages::Report::Begin`]), so that the first notes are there in time. If the player goes on,
//! that is called off, without a trace.

use super::trigger::Call;
use super::{AudioSide, Out, micro};
use crate::audio::take::Take;
use crate::link::messages::{Begin, End, Epoch, ON_END_S, Place, Report, Source, loop_beats};
use crate::link::roll::Whose;
use crate::settings::{Length, Mode, Settings, Silence, Wishes};

/// The inference thread learns of a hand-over this long before it, in seconds: time for some
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

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// The player's. The inference thread may have been told of the hand-over to come.
    Yours {
        /// That hand-over.
        foretold: Option<Foretold>,
    },
    /// The model's.
    Mine(Take),
}

/// A hand-over that the inference thread prepares for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foretold {
    /// Seconds of the stream.
    pub at: f64,
    source: Source,
    called: bool,
    place: Place,
    wishes: Wishes,
    length: Length,
}

impl Foretold {
    /// Whether it is the same one still.
    fn is(&self, other: &Self) -> bool {
        let (here, there) = (self.place, other.place);
        let moment = (self.at - other.at).abs() <= SAME_MOMENT;
        let same = moment && self.source == other.source && self.called == other.called;
        let tempo = (here.beats_per_second - there.beats_per_second).abs() <= SAME_PLACE * here.beats_per_second;
        same && self.wishes == other.wishes && self.length == other.length && tempo && here.is(&there)
    }

    /// Whether what was thought of for this one is right for the other, to the sample. Where the tempo
    /// ramps, the place was foretold a little wrong; but only the grid asks for it.
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

/// A moment at which something changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// The sample of the block.
    pub offset: u32,
    /// Itself, in unrolled beats.
    pub beats: f64,
    /// In beats, the first moment that counts as after it.
    pub from: f64,
    /// Itself, in seconds of the stream.
    pub at: f64,
}

/// What happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// The model takes the turn.
    HandOver {
        /// Where its notes come from.
        source: Source,
        /// It is called upon, rather than that there is silence.
        called: bool,
    },
    /// The take has come to its end: with its last note.
    Over,
    /// At the line set for it.
    Cut,
    /// A bar line goes by.
    Line,
    /// The bars that the grid keeps to are others from here on.
    Metre,
}

/// How the model gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// The player wants the turn: what sounds ends at once, or in its own time, as is set.
    Entry,
    /// Something ends it: what sounds is cut off.
    Cut,
    /// By itself: nothing sounds any more.
    Over,
}

/// What a key of the player's does to the model's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is not the model's turn.
    Nothing,
    /// The turn is the player's.
    GivesWay,
    /// Both play.
    Joins,
}

/// See [`Entry`].
pub fn entry(mode: Mode, playing: bool, frozen: bool) -> Entry {
    match (playing, mode) {
        (false, _) => Entry::Nothing,
        (true, _) if frozen => Entry::Joins,
        (true, Mode::Duet) => Entry::Joins,
        (true, Mode::Auto | Mode::Trigger | Mode::Trade | Mode::Alone) => Entry::GivesWay,
    }
}

/// Whether silence hands the turn over. `bars`: a transport runs.
pub fn by_silence(mode: Mode, bars: bool) -> bool {
    match mode {
        Mode::Auto | Mode::Duet | Mode::Alone => true,
        Mode::Trade => !bars,
        Mode::Trigger => false,
    }
}

/// Where the notes of a new take come from.
pub fn goes_on(mode: Mode) -> Source {
    if mode == Mode::Alone { Source::Alone } else { Source::GoOn }
}

impl AudioSide {
    /// The next change before this offset, if there is one. Tells the inference thread of a hand-over
    /// that is near, or calls it off.
    pub(super) fn next_change(&mut self, until: u32, settings: &Settings) -> Option<(Moment, Change)> {
        if settings.bypass {
            return None;
        }
        let end = self.boundary(until);
        let counts = self.trade.is_some() || self.is_playing();
        let line = self.lines.next(self.span.bars).filter(|_| counts);
        let passes = line.filter(|line| *line < end).map(|line| (self.moment_at(line), Change::Line));
        match &self.turn {
            Turn::Mine(take) => {
                let cut = take.end.filter(|line| *line < end).map(|line| (self.moment_at(line), Change::Cut));
                let over = self.over(take).filter(|over| *over < end).map(|over| {
                    // Its last note ends within it.
                    let moment = Moment { from: over.next_up(), ..self.moment_at(over) };
                    (moment, Change::Over)
                });
                let metre = self.metre_changes(take, end).map(|beats| (self.moment_at(beats), Change::Metre));
                let changes = [over, cut, passes, metre].into_iter().flatten();
                changes.min_by(|one, other| one.0.beats.total_cmp(&other.0.beats))
            }
            Turn::Yours { .. } => {
                let trade = self.trade.filter(|trade| !trade.mine && trade.left == 1).and(line);
                if let Some(line) = trade.filter(|_| self.can_play()) {
                    self.foretell(self.moment_at(line), Source::GoOn, true, settings);
                    return passes;
                }
                let silence = self.silence_over(settings);
                match silence {
                    Some(moment) if moment.from < end => {
                        let change = Change::HandOver { source: goes_on(settings.mode), called: false };
                        Some((moment, change))
                    }
                    Some(_) => passes,
                    None => {
                        self.call_off();
                        passes
                    }
                }
            }
        }
    }

    /// It happens.
    pub(super) fn make(&mut self, moment: Moment, change: Change, settings: &Settings, out: &mut impl Out) {
        match change {
            Change::HandOver { source, called } => self.hand_over(moment, source, called, settings),
            Change::Over => self.give_back(moment, Leaving::Over, out),
            Change::Cut => self.give_back(moment, Leaving::Cut, out),
            Change::Line => self.pass_line(moment, settings, out),
            Change::Metre => self.change_metre(moment),
        }
    }

    /// The earliest moment at which anything can still happen. A take that has just ended may have done so between
    /// two samples: what follows it does so there, at every sample rate.
    fn now(&self) -> Moment {
        let here = self.moment(self.played);
        self.ended.filter(|ended| ended.offset == self.played).unwrap_or(here)
    }

    /// When the silence has lasted long enough, if there is one and it counts; not before now.
    fn silence_over(&mut self, settings: &Settings) -> Option<Moment> {
        let counts = by_silence(settings.mode, self.span.bars.is_some()) && self.ears.fresh && self.can_play();
        let (since, since_beats) = self.ears.silent_since(settings.pedal_holds).filter(|_| counts)?;
        let moment = match settings.silence {
            Silence::Seconds(silence) => {
                let silence = (silence * self.sample_rate).round().max(1.0);
                let at = (since * self.sample_rate).round() as u64 + silence as u64;
                match at.checked_sub(self.samples).map(u32::try_from) {
                    None => self.now(),
                    Some(Ok(offset)) if offset < self.played => self.now(),
                    Some(Ok(offset)) if offset < self.span.frames => self.moment(offset),
                    Some(_) => {
                        let (frames, at) = (self.span.frames, at as f64 / self.sample_rate);
                        let rate = self.span.beats_per_second_at(frames);
                        let ahead = at - self.seconds(frames) + 0.5 / self.sample_rate;
                        let beats = self.span.end + ahead * rate;
                        Moment { offset: frames, beats, from: beats, at }
                    }
                }
            }
            Silence::Beats(beats) => {
                let over = since_beats + beats;
                if over < self.boundary(self.played) { self.now() } else { self.moment_at(over) }
            }
        };
        self.foretell(moment, goes_on(settings.mode), false, settings);
        Some(moment)
    }

    /// Tells the inference thread of a hand-over that is near, once all that was played is told.
    fn foretell(&mut self, moment: Moment, source: Source, called: bool, settings: &Settings) {
        let coming = self.coming(moment, source, called, settings);
        let Turn::Yours { foretold } = self.turn else {
            return;
        };
        let told = self.ears.listener.waiting() == 0;
        if told && foretold.is_some_and(|foretold| foretold.is(&coming)) {
            return;
        }
        self.call_off();
        if told && coming.at - self.seconds(self.span.frames) <= FORETOLD_S {
            self.begin(coming);
            self.turn = Turn::Yours { foretold: Some(coming) };
        }
    }

    fn coming(&self, moment: Moment, source: Source, called: bool, settings: &Settings) -> Foretold {
        let rate = self.span.beats_per_second_at(moment.offset);
        let place = self.place(moment.beats, moment.beats, rate);
        Foretold { at: moment.at, source, called, place, wishes: self.wishes(settings), length: settings.length }
    }

    fn begin(&mut self, coming: Foretold) {
        let epoch = Epoch(self.schedule.raise_epoch());
        self.near.skip_before(epoch);
        self.near.progress((self.seconds(0) - coming.at).min(0.0));
        let Foretold { at, source, called, place, wishes, length } = coming;
        self.near.steer(Report::Begin(Begin { epoch, at, number: self.takes, source, called, place, wishes, length }));
    }

    /// The hand-over that was foretold does not take place.
    fn call_off(&mut self) {
        if let Turn::Yours { foretold: foretold @ Some(_) } = &mut self.turn {
            *foretold = None;
            let epoch = Epoch(self.schedule.raise_epoch());
            self.near.steer(Report::End(epoch, End::CALLED_OFF));
        }
    }

    /// The model is to play from here on, whoever plays now.
    pub(super) fn call(&mut self, moment: Moment, source: Source, settings: &Settings, out: &mut impl Out) {
        self.give_back(moment, Leaving::Entry, out);
        if self.can_play() && !settings.bypass {
            self.hand_over(moment, source, true, settings);
        }
    }

    /// The trigger goes down, or comes up.
    pub(super) fn touch(&mut self, moment: Moment, down: bool, settings: &Settings, out: &mut impl Out) {
        match self.switch.touch(settings.trigger.toggles, down, self.is_playing()) {
            Some(Call::Play) => self.call(moment, Source::GoOn, settings, out),
            Some(Call::GiveBack) => self.give_back(moment, Leaving::Entry, out),
            None => {}
        }
    }

    /// The model takes the turn.
    fn hand_over(&mut self, moment: Moment, source: Source, called: bool, settings: &Settings) {
        let coming = self.coming(moment, source, called, settings);
        match self.turn {
            Turn::Yours { foretold: Some(foretold) } if foretold.serves(&coming) => {}
            Turn::Yours { .. } | Turn::Mine(_) => {
                self.call_off();
                self.ears.listener.hand_over(moment.at);
                self.tell();
                self.begin(coming);
            }
        }
        if let Some(bars) = self.span.bars {
            self.lines.begin_at(moment.beats, bars);
        }
        let mut take = Take::new(moment.beats, coming.place, source, settings, coming.wishes, self.ears.channel);
        take.end = self.end_of(&take, settings);
        self.turn = Turn::Mine(take);
        self.takes += 1;
        self.ears.fresh = false;
        self.status.turns.add(1);
        self.status.hand_over_s.set(moment.at);
        self.roll.hand_over(moment.at);
    }

    /// The end that a take has from its beginning: that of bars without a transport.
    fn end_of(&self, take: &Take, settings: &Settings) -> Option<f64> {
        let bars = match (settings.length, settings.mode) {
            _ if self.span.bars.is_some() || take.frozen => return None,
            (_, Mode::Trade) => settings.my_bars,
            (Length::Bars(bars), _) => bars,
            (Length::Open | Length::Seconds(_) | Length::Notes(_), _) => return None,
        };
        Some(take.begin() + f64::from(bars.max(1)) * self.lines.length())
    }

    /// The player has the turn from here on: what the model would have played is void, what it has
    /// played it remembers, if it is to.
    pub(super) fn give_back(&mut self, moment: Moment, leaving: Leaving, out: &mut impl Out) {
        self.call_off();
        if leaving == Leaving::Cut {
            // What rings out of an earlier turn, too.
            self.end_sounding(moment.offset, out);
        }
        let Turn::Mine(take) = self.turn else {
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
        self.lift_foot(moment.offset, out);
        // Whatever waits has joined in, and is known.
        self.ears.listener.hand_over(moment.at);
        self.tell();
        self.turn = Turn::Yours { foretold: None };
        // What has joined in is answered.
        self.ears.fresh = false;
        self.ended = Some(moment);
        let epoch = Epoch(self.schedule.raise_epoch());
        let since = since(&take, moment);
        let limit = if leaving == Leaving::Over { take.limit() } else { since.min(take.limit()) };
        let beats_per_second = take.place.beats_per_second;
        let end = End { limit, notes: take.notes(), since, at: moment.at, beats_per_second, cut, remembered };
        self.near.steer(Report::End(epoch, end));
        self.has_take |= take.sounded;
    }

    /// A bar line goes by.
    fn pass_line(&mut self, line: Moment, settings: &Settings, out: &mut impl Out) {
        self.lines.count(line.beats, self.span.bars);
        let mut ends = false;
        let changes = self.trade.as_mut().is_some_and(|trade| trade.pass(settings.your_bars, settings.my_bars));
        if let Turn::Mine(take) = &mut self.turn
            && !take.frozen
        {
            take.bars += 1;
            ends = matches!(settings.length, Length::Bars(bars) if take.bars >= bars);
        }
        let mine = self.trade.is_some_and(|trade| trade.mine);
        if ends || (changes && !mine && !self.is_frozen()) {
            self.give_back(line, Leaving::Cut, out);
        }
        if changes && mine && !self.is_playing() && self.can_play() {
            self.hand_over(line, Source::GoOn, true, settings);
        }
    }

    /// How the model is to play now: as is set, within the chord that is held.
    fn wishes(&self, settings: &Settings) -> Wishes {
        let mut wishes = settings.wishes;
        if settings.follows_chord {
            wishes.limits.chord = self.ears.chord();
        }
        wishes.bars = match (settings.mode, settings.length) {
            (Mode::Trade, _) => Some(settings.my_bars),
            (_, Length::Bars(bars)) => Some(bars),
            (_, Length::Open | Length::Seconds(_) | Length::Notes(_)) => None,
        };
        wishes
    }

    /// If something about the take under way is to be different from here on, it is.
    pub(super) fn change(&mut self, moment: Moment, settings: &Settings, length: bool) {
        let wishes = self.wishes(settings);
        let Turn::Mine(take) = &mut self.turn else {
            return;
        };
        take.late_s = settings.late_s;
        let channel = settings.channel.unwrap_or(take.channel);
        if channel != take.channel {
            take.channel = channel;
            self.schedule.set_channel(channel);
        }
        if wishes != take.wishes || length {
            self.think_again(moment, |take| {
                take.wishes = wishes;
                take.length = settings.length;
            });
            if let Turn::Mine(mut take) = self.turn {
                let end = match settings.length {
                    // What it has had already ends it at once.
                    Length::Bars(bars) if take.bars >= bars && !take.frozen => Some(moment.beats),
                    _ => self.end_of(&take, settings),
                };
                take.end = end;
                self.turn = Turn::Mine(take);
            }
        }
    }

    /// What the model would have played from here on it is to think of anew.
    pub(super) fn think_again(&mut self, moment: Moment, change: impl FnOnce(&mut Take)) {
        self.receive();
        let Turn::Mine(take) = &mut self.turn else {
            return;
        };
        change(take);
        let since = since(take, moment);
        let epoch = Epoch(self.schedule.raise_epoch_from(take.beats(since)));
        take.rethink(since);
        let (place, wishes, length) = (take.place, take.wishes, take.length);
        self.near.steer(Report::Change { epoch, since, place, wishes, length });
    }

    /// In a duet: a key goes down while the model plays.
    pub(super) fn join(&mut self, moment: Moment, pitch: u8, velocity: u8) {
        self.receive();
        let Turn::Mine(take) = &mut self.turn else {
            return;
        };
        let since = since(take, moment);
        let from = take.joined(since);
        let epoch = Epoch(self.schedule.raise_epoch_from(take.beats(from)));
        take.rethink(from);
        self.status.heard.add(1);
        self.near.steer(Report::Join { epoch, since, from, pitch, velocity });
    }

    /// In a duet: keys come up.
    pub(super) fn leave(&mut self, moment: Moment, key: Option<u8>) {
        if let Turn::Mine(take) = &self.turn {
            self.near.steer(Report::Leave { since: since(take, moment), pitch: key });
        }
    }

    /// The latest take goes round and round from here on, or no more.
    pub(super) fn freeze(&mut self, moment: Moment, settings: &Settings, out: &mut impl Out) {
        let bar = self.metre.bars_at(moment.beats).map(|bars| bars.length);
        match &self.turn {
            Turn::Yours { .. } if settings.freeze && self.has_take => {
                self.call(moment, Source::Frozen { bars: bar.is_some() }, settings, out);
            }
            Turn::Mine(take) if settings.freeze => {
                let lasted = (moment.beats - take.begin()).max(SHORTEST_LOOP);
                let round = loop_beats(lasted, bar) / take.place.beats_per_second;
                let since = micro(round - ON_END_S);
                self.latch(true, since, |epoch| Report::Freeze { epoch, since, round });
            }
            Turn::Mine(take) if take.frozen => {
                let since = since(take, moment);
                self.latch(false, since, |epoch| Report::Thaw { epoch, since });
            }
            Turn::Mine(_) | Turn::Yours { .. } => {}
        }
    }

    fn latch(&mut self, frozen: bool, since: f64, report: impl FnOnce(Epoch) -> Report) {
        self.receive();
        let Turn::Mine(take) = &mut self.turn else {
            return;
        };
        let epoch = Epoch(self.schedule.raise_epoch_from(take.beats(since)));
        take.freeze(frozen, since);
        self.near.steer(report(epoch));
    }

    /// Ends what the model plays at this offset.
    pub(super) fn end_sounding(&mut self, offset: u32, out: &mut impl Out) {
        self.end_all(offset, out);
        self.roll.off(Whose::Mine, None, None, self.seconds(offset));
    }
}

/// Seconds since a take's hand-over. Whole microseconds: see the [module](super). The moment itself, since
/// where its sample begins hangs on the sample rate.
fn since(take: &Take, moment: Moment) -> f64 {
    micro(take.since(moment.beats))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of all modes only the duet, and of all takes only a frozen one, plays on under the player's hands.
    #[test]
    fn the_model_gives_way_but_in_a_duet() {
        for mode in [Mode::Auto, Mode::Trigger, Mode::Trade, Mode::Duet, Mode::Alone] {
            assert_eq!(entry(mode, false, false), Entry::Nothing);
            let joins = entry(mode, true, false) == Entry::Joins;
            assert_eq!(joins, mode == Mode::Duet);
            assert_eq!(entry(mode, true, true), Entry::Joins);
        }
    }
}
