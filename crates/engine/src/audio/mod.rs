//! The audio side: receives the player's events, decides whose turn it is, plays the notes that the generator
//! has sent. Lives on the audio thread and, in real time, never allocates, locks or waits.
//!
//! For each block, call [`AudioSide::open`]; then for every player event, [`AudioSide::play_until`] its offset
//! and [`AudioSide::receive_event`]; then [`AudioSide::play_until`] the block's end and [`AudioSide::close`].
//! This file has that flow and applies the settings; the modules beside it:
//!
//! | module | what it is |
//! | --- | --- |
//! | [`turn`] | whose turn it is: a pure function |
//! | `hand_over` | carries out what that function decides, and informs the generator |
//! | `freeze` | starts and ends the loop of a frozen take |
//! | `input` | the player's notes, keys that are down, silence |
//! | `trigger` | keys, controllers and pedals used as the trigger |
//! | `output` | notes that arrive, wait, sound and end; the only owner of note-offs |
//! | `backlog` | events that the host has yet to take |
//! | `midi_thru` | which of the player's notes and controllers were passed on and are still active |
//! | `sustain` | sustain output: the pedal that goes with generated notes |
//! | `take` | the current take: its length, and how its seconds map to beats |
//! | `time` | samples, beats and seconds of the current block |
//! | `bars`, `grid_bars` | bar lines, trading bars, and the bars that the grid follows |
//! | `connection` | the audio end of the link, and the generator's health |
//! | `offline_wait` | waiting for the generator in an offline render |
//! | `view` | what is published for the editor |
//!
//! `docs/time.md` describes what happens when the transport starts, stops, jumps, loops or ramps.

mod backlog;
mod bars;
mod connection;
mod events;
mod freeze;
mod grid_bars;
mod hand_over;
mod input;
mod midi_thru;
mod output;
mod sustain;
// Waits, but only offline.
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
pub use self::events::{Out, PlayerEvent, ThruOutput};
use self::hand_over::{Change, Turn, TurnState};
use self::input::Input;
use self::output::Output;
use self::time::{HostTime, Moment};
use self::trigger::RESET_ALL;
pub use self::trigger::{HELD, SUSTAIN};
use self::turn::{EndReason, Event};
use crate::link::keyboard::{KeyboardEvent, KeyboardReceiver};
use crate::link::messages::{Message, Revision};
use crate::link::queues::{AudioEnd, Liveliness};
use crate::link::roll::{RollWriter, Whose};
use crate::link::status::Status;
use crate::settings::{Buttons, Mode, Settings};

/// For this long after the player's last note, in seconds, a hand-over may follow at any moment; later, a
/// millisecond of latency does not matter.
const EXPECTANT_S: f64 = 10.0;
/// The most turn changes and bar lines handled between two events; only a safety limit.
const CHANGES: usize = 64;

/// The audio thread's end of the engine; see the [module documentation](self). `E`: the host's event type.
pub struct AudioSide<E = ()> {
    time: HostTime,
    connection: Connection,
    input: Input,
    turns: TurnState,
    output: Output<E>,
    roll: RollWriter,
    settings: Option<Settings>,
    /// The buttons as last read while a state was being loaded: either pressed or loaded.
    pending: Option<Buttons>,
    /// A reset was requested: the next block forgets everything and ends all notes.
    reset: bool,
}

impl<E: Copy> AudioSide<E> {
    /// An audio side on its end of a link. Allocates everything it will ever need.
    pub(crate) fn new(
        audio_end: AudioEnd,
        status: Arc<Status>,
        roll: RollWriter,
        keyboard_receiver: KeyboardReceiver,
    ) -> Self {
        Self {
            time: HostTime::default(),
            connection: Connection::new(audio_end, status),
            input: Input::new(keyboard_receiver),
            turns: TurnState::default(),
            output: Output::new(),
            roll,
            settings: None,
            pending: None,
            reset: false,
        }
    }

    /// The audio end of the link, for tests of the generator.
    #[cfg(test)]
    pub(crate) fn into_audio_end(self) -> AudioEnd {
        self.connection.audio_end
    }

    /// Prepares for blocks at this sample rate and resets. Offline, [`Self::play_until`] waits for the generator.
    pub fn activate(&mut self, sample_rate: f64, offline: bool) {
        self.time.sample_rate = sample_rate.max(1.0);
        self.connection.offline_wait.set_offline(offline);
        self.connection.audio_end.set_offline(offline);
        self.reset = true;
    }

    /// Forgets everything and ends all notes, at the first sample of the next block.
    pub fn reset(&mut self) {
        self.reset = true;
    }

    /// Begins a block: reads the transport and applies the settings.
    pub fn open(&mut self, transport: &Transport, frames: u32, settings: Settings, out: &mut impl ThruOutput<E>) {
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

        let events = self.time.span.events;
        let start = self.time.moment(0);
        if events.started {
            self.forget(out);
        } else if events.stopped {
            self.give_back(start, EndReason::Cut, out);
            self.input.has_unanswered = false;
        } else if events.jumped || (events.looped && !self.output.ended_at_loop) {
            self.end_sounding(0, out);
        }
        self.output.ended_at_loop &= !(events.is_cut() || events.looped);
        if self.connection.has_lost_take() {
            self.give_back(start, EndReason::Cut, out);
        }
        let mut bars_from = start.beats;
        if frames > 0 {
            self.time.bar_lines.open(&self.time.span);
            bars_from = self.time.grid_bars.open(&self.time.span);
        }
        if events.is_cut()
            && let Some((settings, pending)) = self.settings.as_mut().zip(self.pending.take())
        {
            // A button pressed before a transport cut has no effect after it.
            settings.buttons = pending;
        }
        let (before, settings) = self.replace_settings(settings);
        if events.started && settings.turn.mode == Mode::Alone {
            self.handle_event(self.time.moment(0), Event::Alone, &settings, out);
        }
        self.apply_settings(self.time.moment(0), &before, &settings, out);
        self.follow_bars(bars_from, &settings);
        self.output.backlog.catch_up(out);
    }

    /// Changes the settings within the block, at `offset`, up to which [`Self::play_until`] must have been called.
    /// Changes that end or forget everything are not allowed here, only between two blocks.
    pub fn set(&mut self, offset: u32, settings: Settings, out: &mut impl Out) {
        let (before, settings) = self.replace_settings(settings);
        self.apply_settings(self.time.moment(offset), &before, &settings, out);
    }

    /// Stores new settings; returns the previous ones and the new ones. Buttons changed by loading a state do not
    /// count as pressed. While a state is being loaded, buttons stay as they were: a press cannot be told from a load.
    fn replace_settings(&mut self, mut settings: Settings) -> (Settings, Settings) {
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

    /// Makes the changes from `before` to `now` take effect at this moment.
    fn apply_settings(&mut self, start: Moment, before: &Settings, now: &Settings, out: &mut impl Out) {
        let (buttons, pressed) = (&before.buttons, &now.buttons);
        self.input.listener.set_pedal_lengthens(now.midi.sustain_in);
        if pressed.panic != buttons.panic {
            self.panic(out);
        }
        if pressed.forget != buttons.forget {
            self.forget(out);
        }
        // `forget` may have restarted the stream.
        let start = self.time.moment(start.offset);
        if now.bypass && !before.bypass {
            self.handle_event(start, Event::End, now, out);
            self.input.reset();
            self.input.trigger_held = false;
        }
        let replay_requested = self.connection.replay_requested();
        if now.bypass {
            return;
        }
        if pressed.forget_phrase != buttons.forget_phrase {
            self.handle_event(start, Event::End, now, out);
            self.input.listener.hand_over(start.at);
            while self.input.listener.pop().is_some() {}
            self.input.has_unanswered = false;
            self.connection.audio_end.send_command(Message::ForgetPhrase { at: start.at });
        }
        if pressed.undo != buttons.undo {
            self.handle_event(start, Event::End, now, out);
            self.connection.audio_end.send_command(Message::Undo);
        }
        if before.midi.sustain_out && !now.midi.sustain_out {
            self.output.lift_sustain(self.time.within(start.offset), out);
        }
        if now.turn.trigger != before.turn.trigger {
            self.input.trigger_held = false;
        }
        if now.turn.mode != before.turn.mode {
            self.input.trigger_held = false;
            self.turns.trade = None;
            if now.turn.mode == Mode::Alone {
                self.handle_event(start, Event::Alone, now, out);
            }
        }
        let replays = pressed.replay != buttons.replay || replay_requested;
        let pressed = [
            (pressed.new_take != buttons.new_take).then_some(Event::NewTake),
            replays.then_some(Event::Replay { chosen: replay_requested }),
            (pressed.go != buttons.go).then_some(Event::Go { on: pressed.go }),
        ];
        for event in pressed.into_iter().flatten() {
            self.handle_event(start, event, now, out);
        }
        if now.freeze != before.freeze {
            let bars = self.time.grid_bars.bars_at(start.beats).is_some();
            self.handle_event(start, Event::Freeze { on: now.freeze, bars }, now, out);
        }
        self.update_take(start, now, now.turn.length != before.turn.length);
    }

    /// Plays what is due before this offset of the block, including the turn changes that fall there.
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
            // A note before a bar line or a loop's end but on its sample is played after the change there, if at all.
            let before = match change {
                Change::Turn(Event::Line | Event::Cut) | Change::GridBars => {
                    moment.from.min(self.time.boundary(moment.offset))
                }
                Change::Turn(_) => moment.from,
            };
            self.play_due(moment.offset, before, out);
            self.apply_change(moment, change, &settings, out);
        }
        self.play_due(offset, end, out);
    }

    /// Handles a player event at `offset`, up to which [`Self::play_until`] must have been called, and passes it on
    /// if it is to go through. Any note-offs it causes come first. `input`: what it means to the engine, if anything.
    pub fn receive_event(&mut self, offset: u32, event: E, input: Option<PlayerEvent>, out: &mut impl ThruOutput<E>) {
        if input.is_none_or(|input| self.handle_input(offset, input, out)) {
            self.pass(offset, event, input.as_ref(), out);
        }
    }

    /// Whether an event ends a key, pedal or controller that was passed on or heard: whatever else it is used for, it
    /// must be received as well.
    pub fn must_receive(&self, input: &PlayerEvent) -> bool {
        !self.output.thru.may_swallow(input) || self.input.is_ended_by(input)
    }

    /// Handles player input at this offset. Returns whether the event is to be passed on.
    pub fn handle_input(&mut self, offset: u32, input: PlayerEvent, out: &mut impl Out) -> bool {
        let thru = &mut self.output.thru;
        let Some(settings) = self.settings else {
            return thru.let_through(&input, true);
        };
        if settings.bypass {
            return !thru.was_swallowed(&input) & thru.let_through(&input, true);
        }
        let moment = self.time.moment(offset);
        if settings.turn.mode == Mode::Trigger {
            let trigger = &settings.turn.trigger;
            if let Some(down) = trigger::moves_trigger(trigger, &input)
                && !self.must_receive(&input)
            {
                self.output.thru.swallow(&input);
                self.handle_event(moment, Event::Trigger { down }, &settings, out);
                return false;
            }
            if trigger::releases_trigger(trigger, &input) {
                self.handle_event(moment, Event::Trigger { down: false }, &settings, out);
            }
        }
        let thru = &mut self.output.thru;
        let swallowed = thru.was_swallowed(&input);
        let passes = thru.let_through(&input, settings.midi.thru) && !swallowed;
        let time = (moment.at, moment.beats);
        match input {
            PlayerEvent::On { channel, key, velocity } => {
                let joins = self.handle_event(moment, Event::Key, &settings, out);
                if passes {
                    self.end_key(offset, channel, key, out);
                }
                self.input.on(time, channel, key, velocity);
                self.send_held_ends();
                self.roll.on(Whose::Player, channel, key, velocity, moment.at);
                if joins {
                    self.join(moment, key, velocity);
                }
                self.update_take(moment, &settings, false);
            }
            PlayerEvent::Off { channel, key } if !swallowed => {
                self.input.off(time, channel, key);
                self.send_held_ends();
                self.roll.off(Whose::Player, channel, key, moment.at);
                self.leave(moment, key);
                self.update_take(moment, &settings, false);
            }
            PlayerEvent::Controller { channel, controller: SUSTAIN, value } => {
                self.input.pedal(time, channel, value >= HELD);
                self.send_held_ends();
            }
            PlayerEvent::Controller { channel, controller: RESET_ALL, .. } => {
                self.input.pedal(time, channel, false);
                self.send_held_ends();
            }
            PlayerEvent::Off { .. } | PlayerEvent::Controller { .. } => {}
            PlayerEvent::Covered { .. }
            | PlayerEvent::Expression { .. }
            | PlayerEvent::Bend { .. }
            | PlayerEvent::Pressure { .. } => {}
        }
        passes
    }

    /// Ends a block: notes finished in it go to the generator.
    pub fn close(&mut self) {
        let end = self.time.seconds(self.time.span.frames);
        self.input.listener.advance(end);
        self.send_finished_notes();
        self.time.close();
        match &self.turns.turn {
            Turn::Antiphon(take) => self.connection.audio_end.set_progress(take.since(self.time.span.end)),
            Turn::Player { pending: Some(pending) } => {
                self.connection.audio_end.set_progress(self.time.seconds(0) - pending.at);
                self.connection.audio_end.skip_before(Revision(self.output.schedule.revision()));
            }
            Turn::Player { pending: None } => {
                self.connection.audio_end.skip_before(Revision(self.output.schedule.revision()))
            }
        }
        self.connection.audio_end.set_liveliness(self.liveliness());
        self.show(end);
    }

    /// The next event of the on-screen keyboard, to be handled like any other, at the block's first sample.
    pub fn next_keyboard_event(&mut self) -> Option<KeyboardEvent> {
        self.input.keyboard.pop()
    }

    fn is_playing(&self) -> bool {
        matches!(self.turns.turn, Turn::Antiphon(_))
    }

    /// How soon the generator may be needed.
    fn liveliness(&self) -> Liveliness {
        match &self.turns.turn {
            Turn::Player { pending: Some(_) } => Liveliness::Imminent,
            Turn::Antiphon(take) if take.arrived <= take.since(self.time.span.end) => Liveliness::Imminent,
            Turn::Antiphon(_) => Liveliness::Lively,
            Turn::Player { pending: None } if self.is_expected() => Liveliness::Expectant,
            Turn::Player { pending: None } => {
                let lively =
                    self.input.has_unanswered || self.input.listener.keys_down() > 0 || !self.output.is_silent();
                if lively { Liveliness::Lively } else { Liveliness::Rest }
            }
        }
    }

    /// Whether the player has just played something, so that a hand-over may follow at any moment.
    fn is_expected(&self) -> bool {
        let now = self.time.seconds(self.time.span.frames);
        self.input.has_unanswered && self.input.silent_since(false).is_none_or(|(since, _)| now - since < EXPECTANT_S)
    }

    /// Ends every note, including the player's, and gives the turn back.
    fn panic(&mut self, out: &mut impl Out) {
        let start = self.time.moment(0);
        self.give_back(start, EndReason::Cut, out);
        self.end_sounding(0, out);
        self.input.off((start.at, start.beats), None, None);
        self.input.has_unanswered = false;
        self.output.end_thru(out);
    }

    /// Forgets everything played; a new phrase begins with this block.
    fn forget(&mut self, out: &mut impl Out) {
        self.end_sounding(0, out);
        self.turns.turn = Turn::Player { pending: None };
        let revision = Revision(self.output.schedule.raise_revision());
        self.connection.audio_end.send_command(Message::Forget { revision });
        self.input.reset();
        self.roll.clear();
        self.turns.trade = None;
        self.time.samples = 0;
        self.turns.takes = 0;
        self.turns.has_take = false;
    }

    /// Sends the generator the final durations of notes that were held at a hand-over and have ended since.
    fn send_held_ends(&mut self) {
        while let Some(note) = self.input.listener.pop_late() {
            self.connection.await_room();
            // Only a correction: if it is lost, the note keeps the duration that the network sampled.
            self.connection.audio_end.send_note(Message::HeldEnded(note));
        }
    }

    /// Sends finished notes to the generator. Notes that joined a take have been sent already.
    fn send_finished_notes(&mut self) {
        let joined = self.is_playing();
        self.send_held_ends();
        loop {
            let listener = &mut self.input.listener;
            let held = listener.pop_held().map(Message::Held);
            let Some(message) = held.or_else(|| listener.pop().map(Message::Finished)) else {
                break;
            };
            if joined {
                continue;
            }
            self.connection.send_note(message);
        }
        let lost = self.input.newly_dropped();
        self.connection.status.counts.overflows.add(lost);
    }
}
