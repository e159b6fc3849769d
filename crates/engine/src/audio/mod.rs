//! The audio side: hears the player, knows whose turn it is, plays what the generator has sent.
//! Lives on the audio thread, and allocates, locks and waits for nothing: tests can drive it with any host.
//!
//! A block goes like this: [`AudioSide::open`]; then for every event of the player
//! [`AudioSide::play_until`] its offset and [`AudioSide::receive_event`]; [`AudioSide::play_until`] the block's
//! end; [`AudioSide::close`]. Here is that flow, and what the settings change; the modules beside it:
//!
//! | module | what it is |
//! | --- | --- |
//! | [`turn`] | whose turn it is: a pure function |
//! | `hand_over` | what that function asks for is done, and the generator told |
//! | `input` | the player's notes, keys that are down, silence |
//! | `trigger` | keys and pedals that call |
//! | `output` | notes that arrive, wait, sound and end; the only owner of note-offs |
//! | `owed` | what the host has yet to take |
//! | `midi_thru` | the player's events that have gone through, and still hold |
//! | `sustain` | the sustain pedal that goes with generated notes |
//! | `time` | samples, beats and seconds of the block under way |
//! | `bars`, `metre` | bar lines, trading them, and the bars that the grid keeps to |
//! | `connection` | the end of the link, and what is known of the generator |
//!
//! What happens when the transport starts, stops, jumps, loops or ramps is told in `docs/time.md`.

mod bars;
mod connection;
mod events;
mod hand_over;
mod input;
mod metre;
mod midi_thru;
mod output;
mod owed;
mod sustain;
// Waits, though offline only.
#[allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
mod offline_wait;
mod take;
mod time;
mod trigger;
pub mod turn;
mod view;

use std::sync::Arc;

use notes::Transport;

use self::connection::Connection;
pub use self::events::{Heard, Out, Through};
use self::hand_over::{Change, Turn, Turns};
use self::input::Input;
use self::output::Output;
use self::time::{HostTime, Moment};
use self::trigger::RESET_ALL;
pub use self::trigger::{HELD, SUSTAIN};
use self::turn::{Event, Leaving};
use crate::link::messages::{Message, Revision};
use crate::link::queues::{AudioEnd, Liveliness};
use crate::link::roll::{RollWriter, Whose};
use crate::link::status::Status;
use crate::link::touches::{KeyboardReceiver, Touch};
use crate::settings::{Buttons, Mode, Settings};

/// After a phrase the model may be called any moment for so long, in seconds; later, a millisecond does not count.
const EXPECTANT_S: f64 = 10.0;
/// How often the turn may change hands, and bar lines go by, between two events: a bound, no rule.
const CHANGES: usize = 64;

/// See the [module](self). `E`: an event as the host knows it.
pub struct AudioSide<E = ()> {
    time: HostTime,
    connection: Connection,
    input: Input,
    turns: Turns,
    output: Output<E>,
    roll: RollWriter,
    settings: Option<Settings>,
    /// The switches as they were last read while a state was being loaded: pressed, or loaded.
    pending: Option<Buttons>,
    /// A reset was asked for: forget, and end what sounds, as soon as there is a block.
    reset: bool,
}

impl<E: Copy> AudioSide<E> {
    /// The audio end of a link. Allocates all it will ever need.
    pub(crate) fn new(near: AudioEnd, status: Arc<Status>, roll: RollWriter, touched: KeyboardReceiver) -> Self {
        Self {
            time: HostTime::default(),
            connection: Connection::new(near, status),
            input: Input::new(touched),
            turns: Turns::default(),
            output: Output::new(),
            roll,
            settings: None,
            pending: None,
            reset: false,
        }
    }

    /// The end of the link, for tests of the generator.
    #[cfg(test)]
    pub(crate) fn into_near(self) -> AudioEnd {
        self.connection.near
    }

    /// Prepares for blocks at this rate. Offline, `play_until` waits for the generator.
    pub fn activate(&mut self, sample_rate: f64, offline: bool) {
        self.time.sample_rate = sample_rate.max(1.0);
        self.connection.patience.set_offline(offline);
        self.connection.near.offline(offline);
        self.reset = true;
    }

    /// Forgets everything and ends what sounds, at the first sample of the next block.
    pub fn reset(&mut self) {
        self.reset = true;
    }

    /// Begins a block: where it lies, what the host's transport and the settings have done.
    pub fn open(&mut self, transport: &Transport, frames: u32, settings: Settings, out: &mut impl Through<E>) {
        self.connection.await_room();
        if std::mem::take(&mut self.reset) {
            self.time.reset(transport);
            self.output.latest_off = 0.0;
            (self.settings, self.pending) = (None, None);
            self.end_sounding(0, out);
            self.input.trigger_held = false;
            self.forget(out);
        }
        self.time.open(transport, frames);
        self.turns.ended = None;
        self.retry(out);
        self.connection.open(self.output.schedule.revision());

        let happened = self.time.span.happened;
        let start = self.time.moment(0);
        if happened.started {
            self.forget(out);
        } else if happened.stopped {
            self.give_back(start, Leaving::Cut, out);
            self.input.fresh = false;
        } else if happened.jumped || (happened.looped && !self.output.seamed) {
            self.end_sounding(0, out);
        }
        self.output.seamed &= !(happened.cut() || happened.looped);
        if self.connection.has_lapsed() {
            self.give_back(start, Leaving::Cut, out);
        }
        let mut metre = start.beats;
        if frames > 0 {
            self.time.lines.open(&self.time.span);
            metre = self.time.metre.open(&self.time.span);
        }
        if happened.cut()
            && let Some((settings, pending)) = self.settings.as_mut().zip(self.pending.take())
        {
            // A press from before a stop calls nobody after it.
            settings.buttons = pending;
        }
        let (before, settings) = self.replace(settings);
        if happened.started && settings.mode == Mode::Alone {
            self.happens(self.time.moment(0), Event::Alone, &settings, out);
        }
        self.obey(self.time.moment(0), &before, &settings, out);
        self.follow_bars(metre, &settings);
        self.output.owed.catch_up(out);
    }

    /// The settings change within the block; `play_until` has come to this offset. What ends or forgets all
    /// there is must not change there: it happens between two blocks.
    pub fn set(&mut self, offset: u32, settings: Settings, out: &mut impl Out) {
        let (before, settings) = self.replace(settings);
        self.obey(self.time.moment(offset), &before, &settings, out);
    }

    /// Takes new settings over; returns those before, and them. What a loaded state has set the switches to is no
    /// press of theirs; while one is being loaded, nobody can tell.
    fn replace(&mut self, mut settings: Settings) -> (Settings, Settings) {
        let mut before = self.settings.unwrap_or(settings);
        if settings.state.is_none() {
            self.pending = Some(settings.buttons);
            (settings.state, settings.buttons) = (before.state, before.buttons);
        } else {
            self.pending = None;
            if settings.state != before.state {
                before.buttons = settings.buttons;
            }
        }
        self.settings = Some(settings);
        (before, settings)
    }

    /// What the settings have changed to takes effect at this moment.
    fn obey(&mut self, start: Moment, before: &Settings, now: &Settings, out: &mut impl Out) {
        let (buttons, struck) = (&before.buttons, &now.buttons);
        self.input.listener.set_pedal_lengthens(now.pedal_lengthens);
        if struck.panic != buttons.panic {
            self.panic(out);
        }
        if struck.forget != buttons.forget {
            self.forget(out);
        }
        // The stream may just have begun anew.
        let start = self.time.moment(start.offset);
        if now.bypass && !before.bypass {
            self.happens(start, Event::End, now, out);
            self.input.reset();
            self.input.trigger_held = false;
        }
        let asked = self.connection.is_asked();
        if now.bypass {
            return;
        }
        if struck.forget_phrase != buttons.forget_phrase {
            self.happens(start, Event::End, now, out);
            self.input.listener.hand_over(start.at);
            while self.input.listener.pop().is_some() {}
            self.input.fresh = false;
            self.connection.near.steer(Message::ForgetPhrase { at: start.at });
        }
        if struck.undo != buttons.undo {
            self.happens(start, Event::End, now, out);
            self.connection.near.steer(Message::Undo);
        }
        if before.pedal_out && !now.pedal_out {
            self.output.lift_foot(self.time.within(start.offset), out);
        }
        if now.trigger != before.trigger {
            self.input.trigger_held = false;
        }
        if now.mode != before.mode {
            self.input.trigger_held = false;
            self.turns.trade = None;
            if now.mode == Mode::Alone {
                self.happens(start, Event::Alone, now, out);
            }
        }
        let replays = struck.again != buttons.again || asked;
        let pressed = [
            (struck.another != buttons.another).then_some(Event::NewTake),
            replays.then_some(Event::Replay { chosen: asked }),
            (struck.go != buttons.go).then_some(Event::Go { on: struck.go }),
        ];
        for event in pressed.into_iter().flatten() {
            self.happens(start, event, now, out);
        }
        if now.freeze != before.freeze {
            let bars = self.time.metre.bars_at(start.beats).is_some();
            self.happens(start, Event::Freeze { on: now.freeze, bars }, now, out);
        }
        self.change(start, now, now.length != before.length);
    }

    /// Plays what is due before this offset of the block; changes the turn, if such a moment falls there.
    pub fn play_until(&mut self, offset: u32, out: &mut impl Out) {
        let Some(settings) = self.settings else {
            return;
        };
        self.connection.await_room();
        let end = self.time.boundary(offset);
        for _ in 0..CHANGES {
            self.await_notes(end);
            let Some((moment, change)) = self.next_change(offset, &settings) else {
                break;
            };
            // What lies before a line and yet on its sample comes after it, if it comes at all.
            let before = match change {
                Change::Turn(Event::Line | Event::Cut) => moment.from.min(self.time.boundary(moment.offset)),
                Change::Turn(_) | Change::Metre => moment.from,
            };
            self.sound(moment.offset, before, out);
            self.make(moment, change, &settings, out);
        }
        self.sound(offset, end, out);
    }

    /// Takes in an event of the player's at this offset, to which `play_until` has come, and passes it on if it is to go
    /// on: Antiphon gives way before. `heard`: what it means, if anything.
    pub fn receive_event(&mut self, offset: u32, event: E, heard: Option<Heard>, out: &mut impl Through<E>) {
        if heard.is_none_or(|heard| self.hear(offset, heard, out)) {
            self.pass(offset, event, heard.as_ref(), out);
        }
    }

    /// Takes in what the player does at this offset. Says whether the event is to be passed on.
    pub fn hear(&mut self, offset: u32, heard: Heard, out: &mut impl Out) -> bool {
        let passed = &mut self.output.passed;
        let Some(settings) = self.settings else {
            return passed.goes(&heard, true);
        };
        if settings.bypass {
            return !passed.was_swallowed(&heard) & passed.goes(&heard, true);
        }
        let moment = self.time.moment(offset);
        if settings.mode == Mode::Trigger
            && let Some(down) = trigger::touched(&settings.trigger, &heard)
            && passed.may_swallow(&heard)
        {
            passed.swallow(&heard);
            self.happens(moment, Event::Trigger { down }, &settings, out);
            return false;
        }
        let swallowed = passed.was_swallowed(&heard);
        let goes = passed.goes(&heard, settings.passes) && !swallowed;
        let time = (moment.at, moment.beats);
        match heard {
            Heard::On { channel, key, velocity } => {
                let joins = self.happens(moment, Event::Key, &settings, out);
                if goes {
                    self.end_key(offset, channel, key, out);
                }
                self.input.on(time, channel, key, velocity);
                self.let_go();
                self.roll.on(Whose::Yours, channel, key, velocity, moment.at);
                if joins {
                    self.join(moment, key, velocity);
                }
                self.change(moment, &settings, false);
            }
            Heard::Off { channel, key } if !swallowed => {
                self.input.off(time, channel, key);
                self.let_go();
                self.roll.off(Whose::Yours, channel, key, moment.at);
                self.leave(moment, key);
                self.change(moment, &settings, false);
            }
            Heard::Controller { channel, controller: SUSTAIN, value } => {
                self.input.pedal(time, channel, value >= HELD);
                self.let_go();
            }
            Heard::Controller { channel, controller: RESET_ALL, .. } => {
                self.input.pedal(time, channel, false);
                self.let_go();
            }
            Heard::Off { .. } | Heard::Controller { .. } => {}
            Heard::Covered { .. } | Heard::Expression { .. } | Heard::Bend { .. } | Heard::Pressure { .. } => {}
        }
        goes
    }

    /// Ends a block: what was finished in it goes to the model.
    pub fn close(&mut self) {
        let end = self.time.seconds(self.time.span.frames);
        self.input.listener.advance(end);
        self.tell();
        self.time.close();
        match &self.turns.turn {
            Turn::Mine(take) => self.connection.near.progress(take.since(self.time.span.end)),
            Turn::Yours { pending: Some(pending) } => {
                self.connection.near.progress(self.time.seconds(0) - pending.at);
                self.connection.near.skip_before(Revision(self.output.schedule.revision()));
            }
            Turn::Yours { pending: None } => {
                self.connection.near.skip_before(Revision(self.output.schedule.revision()))
            }
        }
        self.connection.near.lively(self.liveliness());
        self.show(end);
    }

    /// The next touch of the keyboard on the screen: to be heard like any other, at the block's first sample.
    pub fn next_touch(&mut self) -> Option<Touch> {
        self.input.touched.pop()
    }

    fn is_playing(&self) -> bool {
        matches!(self.turns.turn, Turn::Mine(_))
    }

    /// How soon something may be asked of the generator.
    fn liveliness(&self) -> Liveliness {
        match &self.turns.turn {
            Turn::Yours { pending: Some(_) } => Liveliness::Imminent,
            Turn::Mine(take) if take.arrived <= take.since(self.time.span.end) => Liveliness::Imminent,
            Turn::Mine(_) => Liveliness::Lively,
            Turn::Yours { pending: None } if self.is_expected() => Liveliness::Expectant,
            Turn::Yours { pending: None } => {
                let lively = self.input.fresh || self.input.listener.keys_down() > 0 || !self.output.is_silent();
                if lively { Liveliness::Lively } else { Liveliness::Rest }
            }
        }
    }

    /// Whether the player has just played something, which may call for an answer at once.
    fn is_expected(&self) -> bool {
        let now = self.time.seconds(self.time.span.frames);
        self.input.fresh && self.input.silent_since(false).is_none_or(|(since, _)| now - since < EXPECTANT_S)
    }

    /// Ends every note, the player's too, and gives the turn back.
    fn panic(&mut self, out: &mut impl Out) {
        let start = self.time.moment(0);
        self.give_back(start, Leaving::Cut, out);
        self.end_sounding(0, out);
        self.input.off((start.at, start.beats), None, None);
        self.input.fresh = false;
        self.output.end_passed(out);
    }

    /// The phrase is over; another begins with this block.
    fn forget(&mut self, out: &mut impl Out) {
        self.end_sounding(0, out);
        self.turns.turn = Turn::Yours { pending: None };
        let revision = Revision(self.output.schedule.raise_revision());
        self.connection.near.steer(Message::Forget { revision });
        self.input.reset();
        self.roll.clear();
        self.turns.trade = None;
        self.time.samples = 0;
        self.turns.takes = 0;
        self.turns.has_take = false;
    }

    /// Tells the generator which of the notes that were held at a hand-over have ended.
    fn let_go(&mut self) {
        while let Some(note) = self.input.listener.pop_late() {
            self.connection.await_room();
            // Only a correction: without it the note is as long as the network has said.
            self.connection.near.offer(Message::LetGo(note));
        }
    }

    /// Hands finished notes to the generator. Those that joined in are there already.
    fn tell(&mut self) {
        let joined = self.is_playing();
        self.let_go();
        loop {
            let listener = &mut self.input.listener;
            let held = listener.pop_held().map(Message::Held);
            let Some(report) = held.or_else(|| listener.pop().map(Message::Heard)) else {
                break;
            };
            if joined {
                continue;
            }
            self.connection.tell(report);
        }
        let lost = self.input.lost();
        self.connection.status.overflows.add(lost);
    }
}
