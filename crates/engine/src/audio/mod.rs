//! The audio side: hears the player, knows whose turn it is, plays what the model has thought of.
//! Lives on the audio thread, and allocates, locks and waits for nothing: tests can drive it with any host.
//!
//! A block goes like this: [`AudioSide::open`]; then for every event of the player
//! [`AudioSide::play_until`] its offset and [`AudioSide::hear`] it; [`AudioSide::play_until`] the block's
//! end; [`AudioSide::close`]. Here is that flow, and what the settings change; the rooms beside it:
//!
//! | room | what it is |
//! | --- | --- |
//! | [`turn`] | whose turn it is: when it changes hands, and how |
//! | `sounding` | notes that arrive, wait and sound |
//! | [`ears`] | the player's notes, and silence |
//! | [`trigger`] | keys and pedals that call |
//! | [`bars`] | bar lines, and trading them |
//! | [`metre`] | the bars that the grid keeps to |
//! | [`passed`] | the player's events on their way through |
//! | [`foot`] | the model's sustain pedal |
//!
//! What happens when the transport starts, stops, jumps, loops or ramps is told in `docs/time.md`.
//!
//! Times: a sample of the stream is exact and the same for every block size, so what the model is told
//! of the player is counted in samples; what lies on the host's bar lines is counted in beats. Both
//! are rounded to millionths where the model hears of them, since the host's position is not quite the
//! same number in every block size.

mod bars;
mod ears;
mod foot;
mod metre;
mod passed;
// Waits, though offline only.
#[allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
mod patience;
mod sounding;
mod take;
mod trigger;
mod turn;
mod view;

use std::sync::Arc;

use notes::{Clock, Held, Schedule, Span, Transport};

use self::bars::{Lines, Trade};
use self::ears::Ears;
use self::foot::Foot;
use self::metre::Metre;
pub use self::passed::Bits;
use self::passed::Passed;
use self::patience::Patience;
pub use self::trigger::{HELD, SOFT, SOSTENUTO, SUSTAIN};
use self::trigger::{RESET_ALL, Switch};
use self::turn::{Change, Entry, Leaving, Moment, Turn};
use crate::link::messages::{Epoch, Report, Source};
use crate::link::queues::{Liveliness, Near};
use crate::link::roll::{RollWriter, Whose};
use crate::link::status::{Health, Status};
use crate::link::touches::{Touch, Touched};
use crate::settings::{Mode, Settings, Strokes};

/// Notes of look-ahead that fit in.
const LOOK_AHEAD: usize = 512;
/// After a phrase the model may be called any moment for so long, in seconds; later, a millisecond does not count.
const EXPECTANT_S: f64 = 10.0;
/// How often the turn may change hands, and bar lines go by, between two events: a bound, no rule.
const CHANGES: usize = 64;

/// What the player does, as far as it concerns the model. `None`: all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Heard {
    /// A key goes down.
    On {
        /// MIDI channel, 0–15.
        channel: u8,
        /// MIDI key, 0–127.
        key: u8,
        /// MIDI velocity, 1–127.
        velocity: u8,
    },
    /// Keys come up.
    Off {
        /// MIDI channel.
        channel: Option<u8>,
        /// MIDI key.
        key: Option<u8>,
    },
    /// A controller or pedal moves.
    Controller {
        /// MIDI channel, 0–15.
        channel: u8,
        /// Its number, 0–127.
        controller: u8,
        /// 0–127; a pedal is down from 64 on.
        value: u8,
    },
    /// A note ends on whose key another one has been struck since: no key comes up.
    Covered {
        /// MIDI channel.
        channel: Option<u8>,
        /// MIDI key.
        key: Option<u8>,
    },
    /// Notes change while they sound.
    Expression {
        /// MIDI channel.
        channel: Option<u8>,
        /// MIDI key.
        key: Option<u8>,
    },
    /// The pitch wheel moves.
    Bend {
        /// MIDI channel, 0–15.
        channel: u8,
        /// It is back in the middle.
        rests: bool,
    },
    /// The pressure on a channel's keys changes.
    Pressure {
        /// MIDI channel, 0–15.
        channel: u8,
        /// There is none.
        rests: bool,
    },
}

impl Heard {
    /// The end of a note whose key another one has by now.
    pub fn covered(self) -> Self {
        match self {
            Self::Off { channel, key } => Self::Covered { channel, key },
            other => other,
        }
    }
}

/// Where generated events go. Each says whether it was taken.
pub trait Out {
    /// A note begins.
    fn on(&mut self, offset: u32, channel: u8, key: u8, velocity: u8) -> bool;
    /// A note ends.
    fn off(&mut self, offset: u32, channel: u8, key: u8) -> bool;
    /// A controller moves.
    fn controller(&mut self, offset: u32, channel: u8, controller: u8, value: u8) -> bool;
}

/// See the [module](self).
pub struct AudioSide {
    near: Near,
    /// The keyboard on the screen.
    touched: Touched,
    status: Arc<Status>,
    patience: Patience,
    roll: RollWriter,
    sample_rate: f64,
    clock: Clock,
    ears: Ears,
    passed: Passed,
    switch: Switch,
    lines: Lines,
    metre: Metre,
    /// Trading is going on.
    trade: Option<Trade>,
    schedule: Schedule<LOOK_AHEAD>,
    held: Held,
    foot: Foot,
    settings: Option<Settings>,
    /// The switches as they were last read while a state was being loaded: pressed, or loaded.
    unjudged: Option<Strokes>,
    turn: Turn,
    /// The block under way.
    span: Span,
    /// Samples of the stream before it, counted since the phrase began.
    samples: u64,
    /// Offset up to which it has been played.
    played: u32,
    /// When the model's latest note ended, in beats.
    latest_off: f64,
    /// When a turn of the model's has ended in this block, the last time.
    ended: Option<Moment>,
    /// The model's turns since the phrase began.
    takes: u32,
    /// One of them has sounded: there is something to hear again.
    has_take: bool,
    /// What [`notes::Listener::dropped`] was last.
    unheard: u64,
    /// What [`Status::lapses`] was last.
    lapses: u32,
    /// What [`Near::asked`] was last.
    asked: u32,
    /// Both threads agree on whose turn it is; see [`Near::mend`].
    agreed: bool,
    /// The host's loop has ended within a block, and what sounded with it.
    seamed: bool,
    /// A reset was asked for: forget, and end what sounds, as soon as there is a block.
    reset: bool,
    /// The player's notes are being ended; the host may not have taken all of it yet.
    panicking: bool,
}

impl AudioSide {
    /// The audio end of a link. Allocates all it will ever need.
    pub(crate) fn new(near: Near, status: Arc<Status>, roll: RollWriter, touched: Touched) -> Self {
        let mut clock = Clock::new();
        let span = clock.advance(&Transport::default(), 0, 0.0);
        Self {
            asked: near.asked(),
            near,
            touched,
            lapses: status.lapses(),
            status,
            patience: Patience::default(),
            roll,
            sample_rate: 48_000.0,
            clock,
            ears: Ears::new(),
            passed: Passed::default(),
            switch: Switch::default(),
            lines: Lines::default(),
            metre: Metre::default(),
            trade: None,
            schedule: Schedule::new(),
            held: Held::new(),
            foot: Foot::default(),
            settings: None,
            unjudged: None,
            turn: Turn::Yours { foretold: None },
            span,
            samples: 0,
            played: 0,
            latest_off: 0.0,
            ended: None,
            takes: 0,
            has_take: false,
            unheard: 0,
            agreed: true,
            seamed: false,
            reset: false,
            panicking: false,
        }
    }

    /// The end of the link, for tests of the generator.
    #[cfg(test)]
    pub(crate) fn into_near(self) -> Near {
        self.near
    }

    /// Prepares for blocks at this rate. Offline, `play_until` waits for the inference thread.
    pub fn activate(&mut self, sample_rate: f64, offline: bool) {
        self.sample_rate = sample_rate.max(1.0);
        self.patience.set_offline(offline);
        self.near.offline(offline);
        self.reset = true;
    }

    /// Forgets everything and ends what sounds, at the first sample of the next block.
    pub fn reset(&mut self) {
        self.reset = true;
    }

    /// Begins a block: where it lies, what the host's transport and the settings have done.
    pub fn open(&mut self, transport: &Transport, frames: u32, settings: Settings, out: &mut impl Out) {
        self.await_room();
        if std::mem::take(&mut self.reset) {
            self.clock.reset();
            self.span = self.clock.advance(transport, 0, self.sample_rate);
            self.lines = Lines::default();
            self.metre = Metre::default();
            self.latest_off = 0.0;
            (self.settings, self.unjudged) = (None, None);
            self.end_sounding(0, out);
            self.switch.reset();
            self.forget(out);
        }
        self.span = self.clock.advance(transport, frames, self.sample_rate);
        (self.played, self.ended) = (0, None);
        self.retry(out);
        self.agreed = self.near.mend(Epoch(self.schedule.epoch()));

        let happened = self.span.happened;
        let start = self.moment(0);
        if happened.started {
            self.forget(out);
        } else if happened.stopped {
            self.give_back(start, Leaving::Cut, out);
            self.ears.fresh = false;
        } else if happened.jumped || (happened.looped && !self.seamed) {
            self.end_sounding(0, out);
        }
        self.seamed &= !(happened.cut() || happened.looped);
        let lapses = self.status.lapses();
        if std::mem::replace(&mut self.lapses, lapses) != lapses {
            self.give_back(start, Leaving::Cut, out);
        }
        let mut metre = start.beats;
        if frames > 0 {
            self.lines.open(&self.span);
            metre = self.metre.open(&self.span);
        }
        if happened.cut()
            && let Some((settings, unjudged)) = self.settings.as_mut().zip(self.unjudged.take())
        {
            // A press from before a stop calls nobody after it.
            settings.strokes = unjudged;
        }
        let (before, settings) = self.replace(settings);
        if happened.started && settings.mode == Mode::Alone {
            self.call(self.moment(0), Source::Alone, &settings, out);
        }
        self.obey(self.moment(0), &before, &settings, out);
        self.follow_bars(metre, &settings);
    }

    /// The settings change within the block; `play_until` has come to this offset. What ends or forgets all
    /// there is must not change there: it happens between two blocks.
    pub fn set(&mut self, offset: u32, settings: Settings, out: &mut impl Out) {
        let (before, settings) = self.replace(settings);
        self.obey(self.moment(offset), &before, &settings, out);
    }

    /// Takes new settings over; returns those before, and them. What a loaded state has set the switches to is no
    /// press of theirs; while one is being loaded, nobody can tell.
    fn replace(&mut self, mut settings: Settings) -> (Settings, Settings) {
        let mut before = self.settings.unwrap_or(settings);
        if settings.state.is_none() {
            self.unjudged = Some(settings.strokes);
            (settings.state, settings.strokes) = (before.state, before.strokes);
        } else {
            self.unjudged = None;
            if settings.state != before.state {
                before.strokes = settings.strokes;
            }
        }
        self.settings = Some(settings);
        (before, settings)
    }

    /// What the settings have changed to takes effect at this moment.
    fn obey(&mut self, start: Moment, before: &Settings, now: &Settings, out: &mut impl Out) {
        let (strokes, struck) = (&before.strokes, &now.strokes);
        self.ears.listener.set_pedal_lengthens(now.pedal_lengthens);
        if struck.panic != strokes.panic {
            self.panic(out);
        }
        if struck.forget != strokes.forget {
            self.forget(out);
        }
        // The stream may just have begun anew.
        let start = self.moment(start.offset);
        if now.bypass && !before.bypass {
            self.give_back(start, Leaving::Cut, out);
            self.ears.reset();
            self.switch.reset();
        }
        let asked = self.near.asked();
        let asked = std::mem::replace(&mut self.asked, asked) != asked;
        if now.bypass {
            return;
        }
        if struck.forget_phrase != strokes.forget_phrase {
            self.give_back(start, Leaving::Cut, out);
            self.ears.listener.hand_over(start.at);
            while self.ears.listener.pop().is_some() {}
            self.ears.fresh = false;
            self.near.steer(Report::ForgetPhrase { at: start.at });
        }
        if struck.undo != strokes.undo {
            self.give_back(start, Leaving::Cut, out);
            self.near.steer(Report::Undo);
        }
        if before.pedal_out && !now.pedal_out {
            self.lift_foot(start.offset, out);
        }
        if now.trigger != before.trigger {
            self.switch.reset();
        }
        if now.mode != before.mode {
            self.switch.reset();
            self.trade = None;
            if now.mode == Mode::Alone {
                self.call(start, Source::Alone, now, out);
            }
        }
        if struck.another != strokes.another {
            self.call(start, Source::Another, now, out);
        }
        if (struck.again != strokes.again && (self.has_take || self.is_playing())) || asked {
            self.call(start, Source::Again, now, out);
        }
        if struck.go != strokes.go {
            // A trigger that is held: who lets go of it after the player's entry calls nobody.
            let wants = if now.holds() { struck.go } else { !self.is_playing() };
            match self.turn {
                Turn::Mine(_) if !wants => self.give_back(start, Leaving::Entry, out),
                Turn::Yours { .. } if wants => self.call(start, turn::goes_on(now.mode), now, out),
                Turn::Mine(_) | Turn::Yours { .. } => {}
            }
        }
        if now.freeze != before.freeze {
            self.freeze(start, now, out);
        }
        self.change(start, now, now.length != before.length);
    }

    /// Plays what is due before this offset of the block; changes the turn, if such a moment falls there.
    pub fn play_until(&mut self, offset: u32, out: &mut impl Out) {
        let Some(settings) = self.settings else {
            return;
        };
        self.await_room();
        let end = self.boundary(offset);
        for _ in 0..CHANGES {
            self.await_notes(end);
            let Some((moment, change)) = self.next_change(offset, &settings) else {
                break;
            };
            // What lies before a line and yet on its sample comes after it, if it comes at all.
            let before = match change {
                Change::Line | Change::Cut => moment.from.min(self.boundary(moment.offset)),
                Change::HandOver { .. } | Change::Over | Change::Metre => moment.from,
            };
            self.sound(moment.offset, before, out);
            self.make(moment, change, &settings, out);
        }
        self.sound(offset, end, out);
    }

    /// Takes in what the player does at this offset; `play_until` has come there. Says whether the event
    /// is to be passed on. The model gives way before it passes.
    pub fn hear(&mut self, offset: u32, heard: Heard, out: &mut impl Out) -> bool {
        let Some(settings) = self.settings else {
            return self.passed.goes(&heard, true);
        };
        if settings.bypass {
            return !self.passed.was_swallowed(&heard) & self.passed.goes(&heard, true);
        }
        let moment = self.moment(offset);
        if settings.mode == Mode::Trigger
            && let Some(down) = trigger::touched(&settings.trigger, &heard)
            && self.passed.may_swallow(&heard)
        {
            self.passed.swallow(&heard);
            self.touch(moment, down, &settings, out);
            return false;
        }
        let swallowed = self.passed.was_swallowed(&heard);
        let goes = self.passed.goes(&heard, settings.passes) && !swallowed;
        let time = (moment.at, moment.beats);
        match heard {
            Heard::On { channel, key, velocity } => {
                let entry = turn::entry(settings.mode, self.is_playing(), self.is_frozen());
                if entry == Entry::GivesWay {
                    self.give_back(moment, Leaving::Entry, out);
                }
                if goes {
                    self.end_key(offset, channel, key, out);
                }
                self.ears.on(time, channel, key, velocity);
                self.let_go();
                self.roll.on(Whose::Yours, channel, key, velocity, moment.at);
                if entry == Entry::Joins {
                    self.join(moment, key, velocity);
                }
                self.change(moment, &settings, false);
            }
            Heard::Off { channel, key } if !swallowed => {
                self.ears.off(time, channel, key);
                self.let_go();
                self.roll.off(Whose::Yours, channel, key, moment.at);
                self.leave(moment, key);
                self.change(moment, &settings, false);
            }
            Heard::Controller { channel, controller: SUSTAIN, value } => {
                self.ears.pedal(time, channel, value >= HELD);
                self.let_go();
            }
            Heard::Controller { channel, controller: RESET_ALL, .. } => {
                self.ears.pedal(time, channel, false);
                self.let_go();
            }
            Heard::Off { .. } | Heard::Controller { .. } => {}
            Heard::Covered { .. } | Heard::Expression { .. } | Heard::Bend { .. } | Heard::Pressure { .. } => {}
        }
        goes
    }

    /// Ends a block: what was finished in it goes to the model.
    pub fn close(&mut self) {
        let end = self.seconds(self.span.frames);
        self.ears.listener.advance(end);
        self.tell();
        self.lines.skip_to(self.span.end);
        self.samples += u64::from(self.span.frames);
        match &self.turn {
            Turn::Mine(take) => self.near.progress(take.since(self.span.end)),
            Turn::Yours { foretold: Some(foretold) } => {
                self.near.progress(self.samples as f64 / self.sample_rate - foretold.at);
                self.near.skip_before(Epoch(self.schedule.epoch()));
            }
            Turn::Yours { foretold: None } => self.near.skip_before(Epoch(self.schedule.epoch())),
        }
        self.near.lively(self.liveliness());
        self.show(end);
    }

    /// Whether the host has refused ends of notes that it still has to get.
    pub fn owes(&self) -> bool {
        self.held.owed() > 0
    }

    /// The next touch of the keyboard on the screen: to be heard like any other, at the block's first sample.
    pub fn next_touch(&mut self) -> Option<Touch> {
        self.touched.pop()
    }

    /// Whether there is somebody to take the turn.
    fn can_play(&self) -> bool {
        self.agreed && matches!(self.status.health(), Health::Starting | Health::Ready)
    }

    fn is_playing(&self) -> bool {
        matches!(self.turn, Turn::Mine(_))
    }

    fn is_frozen(&self) -> bool {
        matches!(&self.turn, Turn::Mine(take) if take.frozen)
    }

    /// How soon something may be asked of the inference thread.
    fn liveliness(&self) -> Liveliness {
        match &self.turn {
            Turn::Yours { foretold: Some(_) } => Liveliness::Imminent,
            Turn::Mine(take) if take.arrived <= take.since(self.span.end) => Liveliness::Imminent,
            Turn::Mine(_) => Liveliness::Lively,
            Turn::Yours { foretold: None } if self.is_expected() => Liveliness::Expectant,
            Turn::Yours { foretold: None } => {
                let lively = self.ears.fresh || self.ears.listener.keys_down() > 0 || !self.held.is_empty();
                if lively { Liveliness::Lively } else { Liveliness::Rest }
            }
        }
    }

    /// Whether the player has just played something, which may call for an answer at once.
    fn is_expected(&self) -> bool {
        let now = self.seconds(self.span.frames);
        self.ears.fresh && self.ears.silent_since(false).is_none_or(|(since, _)| now - since < EXPECTANT_S)
    }

    /// A sample of this block, in seconds of the stream.
    fn seconds(&self, offset: u32) -> f64 {
        (self.samples + u64::from(offset)) as f64 / self.sample_rate
    }

    /// In beats, the first moment that belongs to this sample and not to the one before.
    fn boundary(&self, offset: u32) -> f64 {
        if offset == 0 {
            self.span.start
        } else if offset >= self.span.frames {
            self.span.end
        } else {
            let half = 0.5 * self.span.beats_per_second_at(offset) / self.sample_rate;
            (self.span.beats_at(offset) - half).clamp(self.span.start, self.span.end)
        }
    }

    /// The moment of a sample of this block.
    fn moment(&self, offset: u32) -> Moment {
        let beats = self.span.beats_at(offset);
        Moment { offset, beats, from: self.boundary(offset), at: self.seconds(offset) }
    }

    /// A moment on the host's time axis, past or in this block. What is past sounds no earlier than now.
    fn moment_at(&self, beats: f64) -> Moment {
        let offset = if beats >= self.span.end { self.span.frames } else { self.span.offset(beats) };
        Moment { offset: offset.max(self.played), beats, from: beats, at: self.stream(beats) }
    }

    /// Beats in seconds of the stream, by this block's tempo.
    fn stream(&self, beats: f64) -> f64 {
        let near = self.span.offset(beats);
        micro(self.seconds(near) + (beats - self.span.beats_at(near)) / self.span.beats_per_second_at(near))
    }

    /// Ends every note, the player's too, and gives the turn back.
    fn panic(&mut self, out: &mut impl Out) {
        let start = self.moment(0);
        self.give_back(start, Leaving::Cut, out);
        self.end_sounding(0, out);
        self.ears.off((start.at, start.beats), None, None);
        self.ears.fresh = false;
        self.panicking = true;
        self.retry(out);
    }

    /// What the host has refused so far is sent first of all.
    fn retry(&mut self, out: &mut impl Out) {
        self.retry_endings(out);
        while self.panicking {
            self.panicking = if let Some((channel, key)) = self.passed.pop_key() {
                let taken = out.off(0, channel, key);
                if !taken {
                    self.passed.owe_key(channel, key);
                    return;
                }
                true
            } else if let Some((channel, pedal)) = self.passed.pop_pedal() {
                let taken = out.controller(0, channel, pedal, 0);
                if !taken {
                    self.passed.owe_pedal(channel, pedal);
                    return;
                }
                true
            } else {
                false
            };
        }
    }

    /// The phrase is over; another begins with this block.
    fn forget(&mut self, out: &mut impl Out) {
        self.end_sounding(0, out);
        self.turn = Turn::Yours { foretold: None };
        let epoch = Epoch(self.schedule.raise_epoch());
        self.near.steer(Report::Forget { epoch });
        self.ears.reset();
        self.roll.clear();
        self.trade = None;
        self.samples = 0;
        self.takes = 0;
        self.has_take = false;
    }

    /// Offline, waits until the inference thread can be told more: of the reserve, an event takes little.
    fn await_room(&mut self) {
        let near = &self.near;
        self.patience.wait_until(&self.status, || near.has_room());
    }

    /// Tells the inference thread which of the notes that were held at a hand-over have ended.
    fn let_go(&mut self) {
        while let Some(note) = self.ears.listener.pop_late() {
            self.await_room();
            // Only a correction: without it the note is as long as the network has said.
            self.near.offer(Report::LetGo(note));
        }
    }

    /// Hands finished notes to the inference thread. Those that joined in are there already.
    fn tell(&mut self) {
        let joined = self.is_playing();
        self.let_go();
        loop {
            let listener = &mut self.ears.listener;
            let held = listener.pop_held().map(Report::Held);
            let Some(report) = held.or_else(|| listener.pop().map(Report::Heard)) else {
                break;
            };
            if joined {
                continue;
            }
            self.await_room();
            if self.near.offer(report) {
                self.status.heard.add(1);
            } else {
                self.status.overflows.add(1);
            }
        }
        let unheard = self.ears.listener.dropped();
        self.status.overflows.add(unheard - std::mem::replace(&mut self.unheard, unheard));
    }
}

/// Whole millionths.
fn micro(time: f64) -> f64 {
    (time * 1e6).round() / 1e6
}
