//! The audio side: hears the player, knows whose turn it is, plays what the model has thought of.
//! Lives on the audio thread; free of plugin types, so that tests can drive it with any host.
//!
//! A block goes like this: [`Partner::open`]; then for every event of the player
//! [`Partner::play_until`] its offset and [`Partner::hear`] it; [`Partner::play_until`] the block's
//! end; [`Partner::close`].
//!
//! Whose turn it is:
//! * The model takes the turn when no key has been down for the silence that is asked for, at that
//!   very sample; only if something was played since its last turn.
//! * Some time before, the inference thread is told, so that the first notes are there in time
//!   ([`Report::Begin`]). If the player goes on, that is called off.
//! * The player takes the turn back with any note-on: what the model plays ends there, before the
//!   note passes.
//! * A take's notes keep their beats when the tempo changes or the host loops. A jump or a loop ends
//!   what sounds, and the take goes on; a stop ends the take. A start forgets the phrase, so that a
//!   bounce from there equals the live take.
//!
//! Times: a sample of the stream is exact and the same for every block size, so all that the model
//! is told is counted in samples; only the sounding of notes goes through beats.

use std::ops::Range;
use std::sync::Arc;

use notes::{Clock, Event, Held, Listener, Schedule, Span, Transport};

use crate::link::{Epoch, Near, Place, Report};
use crate::patience::Patience;
use crate::roll::{RollWriter, Whose};
use crate::settings::{Settings, Silence, Wishes};
use crate::status::{Health, Status};
use crate::take::{Arrival, Take};

/// Notes of look-ahead that fit in.
const LOOK_AHEAD: usize = 512;
/// The inference thread learns of a hand-over this long before it, in seconds: time for some
/// hundred notes on a slow machine.
const FORETOLD_S: f64 = 0.25;

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
    /// The sustain pedal moves.
    Pedal {
        /// MIDI channel, 0–15.
        channel: u8,
        /// Down, or up.
        down: bool,
    },
}

/// Where generated events go. Each says whether it was taken.
pub trait Out {
    /// A note begins.
    fn on(&mut self, offset: u32, channel: u8, key: u8, velocity: u8) -> bool;
    /// A note ends.
    fn off(&mut self, offset: u32, channel: u8, key: u8) -> bool;
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// The player's. The inference thread may have been told of the hand-over to come.
    Yours { foretold: Option<Foretold> },
    /// The model's.
    Mine(Take),
}

/// A hand-over that the inference thread prepares for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Foretold {
    /// Sample of the stream.
    at: u64,
    wishes: Wishes,
}

/// See the [module](self).
pub struct Partner {
    near: Near,
    status: Arc<Status>,
    patience: Patience,
    roll: RollWriter,
    sample_rate: f64,
    clock: Clock,
    listener: Listener,
    schedule: Schedule<LOOK_AHEAD>,
    held: Held,
    settings: Option<Settings>,
    turn: Turn,
    /// The block under way.
    span: Span,
    /// Samples of the stream before it, counted since the phrase began.
    samples: u64,
    /// Offset up to which it has been played.
    played: u32,
    /// Channel of the player's latest note.
    channel: u8,
    /// The model's turns since the phrase began.
    takes: u32,
    /// The player has played since the model's last turn.
    fresh: bool,
    /// What [`Status::lapses`] was last.
    lapses: u32,
    /// Both threads agree on whose turn it is; see [`Near::mend`].
    agreed: bool,
    /// The host's loop has ended within a block, and what sounded with it.
    seamed: bool,
    /// A reset was asked for: forget, and end what sounds, as soon as there is a block.
    reset: bool,
}

impl Partner {
    /// A partner at the audio end of a link. Allocates all it will ever need.
    pub fn new(near: Near, status: Arc<Status>, roll: RollWriter) -> Self {
        let mut clock = Clock::new();
        let span = clock.advance(&Transport::default(), 0, 0.0);
        Self {
            near,
            lapses: status.lapses(),
            status,
            patience: Patience::default(),
            roll,
            sample_rate: 48_000.0,
            clock,
            listener: Listener::new(),
            schedule: Schedule::new(),
            held: Held::new(),
            settings: None,
            turn: Turn::Yours { foretold: None },
            span,
            samples: 0,
            played: 0,
            channel: 0,
            takes: 0,
            fresh: false,
            agreed: true,
            seamed: false,
            reset: false,
        }
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
        if std::mem::take(&mut self.reset) {
            self.clock.reset();
            self.span = self.clock.advance(transport, 0, self.sample_rate);
            self.settings = None;
            self.end_sounding(0, out);
            self.forget(out);
        }
        self.span = self.clock.advance(transport, frames, self.sample_rate);
        self.played = 0;
        let span = self.span;
        self.held.retry(|event| send(0, event, out));
        self.agreed = self.near.mend(Epoch(self.schedule.epoch()));

        let happened = span.happened;
        if happened.started {
            self.forget(out);
        } else if happened.stopped {
            self.give_back(0, out);
            self.fresh = false;
        } else if happened.jumped || (happened.looped && !self.seamed) {
            self.end_sounding(0, out);
        }
        self.seamed &= !(happened.cut() || happened.looped);
        let lapses = self.status.lapses();
        if std::mem::replace(&mut self.lapses, lapses) != lapses {
            self.give_back(0, out);
        }
        let before = self.settings.replace(settings).unwrap_or(settings);
        if before != settings {
            self.obey(&before, &settings, out);
        }
    }

    /// What the settings have changed to takes effect at the block's first sample.
    fn obey(&mut self, before: &Settings, now: &Settings, out: &mut impl Out) {
        if now.strokes.forget != before.strokes.forget {
            self.forget(out);
        }
        if now.bypass && !before.bypass {
            self.give_back(0, out);
            self.listener.reset();
            self.fresh = false;
        }
        if now.strokes.go != before.strokes.go && !now.bypass {
            match self.turn {
                Turn::Mine(Take { over: false, .. }) => self.give_back(0, out),
                Turn::Mine(_) | Turn::Yours { .. } => {
                    self.give_back(0, out);
                    if self.can_play() {
                        self.hand_over(0, now);
                    }
                }
            }
        }
        // A turn that has come to its length is over for good.
        let Turn::Mine(mut take @ Take { over: false, .. }) = self.turn else {
            return;
        };
        if now.length != take.length || now.wishes != take.wishes {
            self.receive();
            let since = self.since(&take, 0);
            let epoch = Epoch(self.schedule.raise_epoch_from(take.beats(since)));
            take.wishes = now.wishes;
            take.length = now.length;
            take.arrived = f64::NEG_INFINITY;
            take.over = since >= take.limit();
            self.turn = Turn::Mine(take);
            self.near.steer(Report::Change { epoch, since, place: self.place(take.beats(0.0)), wishes: take.wishes });
        }
    }

    /// Plays what is due before this offset of the block; hands over, if the moment falls there.
    pub fn play_until(&mut self, offset: u32, out: &mut impl Out) {
        let Some(settings) = self.settings else {
            return;
        };
        if let Turn::Yours { .. } = self.turn
            && let Some(at) = self.silence_over(offset, &settings)
        {
            self.sound(at, out);
            self.hand_over(at, &settings);
        }
        self.sound(offset, out);
    }

    /// Takes in what the player does at this offset; `play_until` has come there. On a note-on, the
    /// model gives way first.
    pub fn hear(&mut self, offset: u32, heard: Heard, out: &mut impl Out) {
        if self.settings.is_none_or(|settings| settings.bypass) {
            return;
        }
        let time = self.seconds(offset);
        match heard {
            Heard::On { channel, key, velocity } => {
                self.give_back(offset, out);
                self.listener.note_on(time, channel, key, velocity);
                self.roll.on(Whose::Yours, channel, key, velocity, time);
                self.channel = channel.min(15);
                self.fresh = true;
            }
            Heard::Off { channel: Some(channel), key: Some(key) } => {
                self.listener.note_off(time, channel, key);
                self.roll.off(Whose::Yours, Some(channel), Some(key), time);
            }
            Heard::Off { channel, key } => {
                self.listener.notes_off(time, channel, key);
                self.roll.off(Whose::Yours, channel, key, time);
            }
            Heard::Pedal { channel, down } => self.listener.pedal(time, channel, down),
        }
    }

    /// Ends a block: what was finished in it goes to the model.
    pub fn close(&mut self) {
        let end = self.seconds(self.span.frames);
        self.listener.advance(end);
        self.tell();
        self.samples += u64::from(self.span.frames);
        match &self.turn {
            Turn::Mine(take) => self.near.progress(take.since(self.span.end)),
            Turn::Yours { foretold: Some(foretold) } => {
                let before = foretold.at.saturating_sub(self.samples);
                self.near.progress(-(before as f64) / self.sample_rate);
                self.near.skip_before(Epoch(self.schedule.epoch()));
            }
            Turn::Yours { foretold: None } => self.near.skip_before(Epoch(self.schedule.epoch())),
        }
        self.near.lively(self.is_busy());
        if self.roll.is_watched() {
            let ahead = match &self.turn {
                Turn::Mine(take) if !take.over => Some(take),
                Turn::Mine(_) | Turn::Yours { .. } => None,
            };
            let span = self.span;
            self.roll.publish(end, ahead.map(|_| self.schedule.iter()), |beats| {
                end + (beats - span.end) / span.beats_per_second()
            });
        }
    }

    /// Whether there is somebody to take the turn.
    fn can_play(&self) -> bool {
        self.agreed && matches!(self.status.health(), Health::Starting | Health::Ready)
    }

    /// Whether something is going on that the inference thread should look at often.
    fn is_busy(&self) -> bool {
        self.fresh || self.listener.keys_down() > 0 || !self.held.is_empty() || self.is_playing()
    }

    fn is_playing(&self) -> bool {
        matches!(self.turn, Turn::Mine(Take { over: false, .. }))
    }

    /// The moment of a sample of this block, in seconds of the stream.
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

    /// The same moment in seconds since a hand-over. Whole microseconds: the host's position is not
    /// quite the same number in every block size, and what the model is told has to be.
    fn since(&self, take: &Take, offset: u32) -> f64 {
        (take.since(self.boundary(offset)) * 1e6).round() / 1e6
    }

    /// Where a take that begins at these beats lies in the host's time. Whole millionths, as above.
    fn place(&self, begin: f64) -> Place {
        let micro = |beats: f64| (beats * 1e6).round() / 1e6;
        let beats_per_second = self.span.beats_per_second();
        match self.span.bars {
            Some(bars) => {
                let beat = (begin - bars.next(begin)).rem_euclid(bars.length);
                Place { beats_per_second, beat: micro(beat) % micro(bars.length), bar: micro(bars.length) }
            }
            None => Place { beats_per_second, beat: 0.0, bar: 4.0 },
        }
    }

    /// The offset, before `until`, at which the silence has lasted long enough.
    fn silence_over(&mut self, until: u32, settings: &Settings) -> Option<u32> {
        let since = self.listener.silent_since().filter(|_| self.fresh && !settings.bypass && self.can_play())?;
        let silence = match settings.silence {
            Silence::Seconds(seconds) => seconds,
            Silence::Beats(beats) => beats / self.span.beats_per_second(),
        };
        let silence = (silence * self.sample_rate).round().max(1.0);
        let at = (since * self.sample_rate).round() as u64 + silence as u64;
        let now = self.samples + u64::from(self.played);
        self.foretell(at.max(now), settings);
        let end = self.samples + u64::from(until);
        (at < end).then(|| (at.max(now) - self.samples) as u32)
    }

    /// Tells the inference thread of a hand-over that is near, once all that was played is told.
    fn foretell(&mut self, at: u64, settings: &Settings) {
        let coming = Foretold { at, wishes: settings.wishes };
        let Turn::Yours { foretold } = self.turn else {
            return;
        };
        if foretold == Some(coming) {
            return;
        }
        self.call_off();
        let end = self.samples + u64::from(self.span.frames);
        if self.listener.waiting() == 0 && at.saturating_sub(end) as f64 <= FORETOLD_S * self.sample_rate {
            self.begin(coming);
            self.turn = Turn::Yours { foretold: Some(coming) };
        }
    }

    fn begin(&mut self, coming: Foretold) {
        let epoch = Epoch(self.schedule.raise_epoch());
        self.near.skip_before(epoch);
        let before = coming.at.saturating_sub(self.samples);
        self.near.progress(-(before as f64) / self.sample_rate);
        let place = self.place(self.span.beats_at(0) + before as f64 / self.sample_rate * self.span.beats_per_second());
        let at = coming.at as f64 / self.sample_rate;
        self.near.steer(Report::Begin { epoch, at, take: self.takes, place, wishes: coming.wishes });
    }

    /// The hand-over that was foretold does not take place.
    fn call_off(&mut self) {
        if let Turn::Yours { foretold: foretold @ Some(_) } = &mut self.turn {
            *foretold = None;
            let epoch = Epoch(self.schedule.raise_epoch());
            self.near.steer(Report::End { epoch, limit: f64::NEG_INFINITY, notes: 0, since: 0.0, at: 0.0 });
        }
    }

    /// The model takes the turn at this offset.
    fn hand_over(&mut self, offset: u32, settings: &Settings) {
        let coming = Foretold { at: self.samples + u64::from(offset), wishes: settings.wishes };
        let time = self.seconds(offset);
        let foretold = matches!(self.turn, Turn::Yours { foretold } if foretold == Some(coming));
        if !foretold {
            self.call_off();
            self.listener.hand_over(time);
            self.tell();
            self.begin(coming);
        }
        let take = Take::new(offset, &self.span, settings, self.channel);
        self.turn = Turn::Mine(take);
        self.takes += 1;
        self.fresh = false;
        self.status.turns.add(1);
        self.status.hand_over_s.set(time);
        self.roll.hand_over(time);
    }

    /// The player has the turn from this offset on: what the model plays ends, what it would have
    /// played is void, what it has played it remembers.
    fn give_back(&mut self, offset: u32, out: &mut impl Out) {
        self.call_off();
        let Turn::Mine(take) = self.turn else {
            return;
        };
        self.end_sounding(offset, out);
        self.turn = Turn::Yours { foretold: None };
        let epoch = Epoch(self.schedule.raise_epoch());
        let since = self.since(&take, offset);
        let limit = since.min(take.limit());
        self.near.steer(Report::End { epoch, limit, notes: take.notes(), since, at: self.seconds(offset) });
    }

    /// Ends what the model plays at this offset.
    fn end_sounding(&mut self, offset: u32, out: &mut impl Out) {
        let (span, time) = (self.span, self.seconds(offset));
        self.held.end_all(span.beats_at(offset), |event| send(offset, event, out));
        self.roll.off(Whose::Mine, None, None, time);
    }

    /// The phrase is over; another begins with this block.
    fn forget(&mut self, out: &mut impl Out) {
        self.end_sounding(0, out);
        self.turn = Turn::Yours { foretold: None };
        let epoch = Epoch(self.schedule.raise_epoch());
        self.near.steer(Report::Forget { epoch });
        self.listener.reset();
        self.roll.clear();
        self.samples = 0;
        self.takes = 0;
        self.fresh = false;
    }

    /// Hands finished notes to the inference thread.
    fn tell(&mut self) {
        while let Some(note) = self.listener.pop() {
            let near = &self.near;
            self.patience.wait_until(&self.status, || near.has_room());
            if self.near.tell(note) {
                self.status.heard.add(1);
            } else {
                self.status.overflows.add(1);
            }
        }
    }

    /// Takes in what the inference thread has thought of.
    fn receive(&mut self) {
        let now = self.boundary(self.played);
        let Turn::Mine(take) = &mut self.turn else {
            return;
        };
        while let Some(answer) = self.near.answer() {
            let valid = self.schedule.is_valid(answer.epoch.0, take.beats(answer.note.struck()));
            if !valid || take.over {
                continue;
            }
            if answer.epoch.0 == self.schedule.epoch() {
                take.arrived = answer.note.onset;
                self.patience.renew();
            }
            let taken = match take.place(&answer, now) {
                Arrival::InTime(planned) => self.schedule.push(planned),
                Arrival::Shifted(planned) => {
                    self.status.late.add(1);
                    self.schedule.push(planned)
                }
                Arrival::TooLate => {
                    self.status.dropped.add(1);
                    Ok(())
                }
                Arrival::Beyond => {
                    if answer.index >= take.notes() || answer.note.onset >= take.limit() {
                        take.arrived = f64::INFINITY;
                    }
                    Ok(())
                }
            };
            if taken.is_err() {
                self.status.overflows.add(1);
            }
        }
    }

    /// Sounds what is due before this offset. Where the host loops, what sounds ends.
    fn sound(&mut self, until: u32, out: &mut impl Out) {
        if let Some(seam) = self.span.seam.map(|seam| self.span.offset(seam))
            && (self.played..until).contains(&seam)
        {
            self.sound_on(seam, out);
            self.end_sounding(seam, out);
            self.seamed = true;
        }
        self.sound_on(until, out);
    }

    /// Sounds what is due before this offset.
    fn sound_on(&mut self, until: u32, out: &mut impl Out) {
        let (from, end) = (self.played, self.boundary(until));
        if let Turn::Mine(take) = self.turn {
            self.await_notes(&take, end);
        }
        let (span, listener, roll) = (self.span, &self.listener, &mut self.roll);
        let (samples, rate) = (self.samples, self.sample_rate);
        let played = self.held.play(&mut self.schedule, end, |event| {
            // A key that the player holds is the player's.
            if let Event::On { channel, pitch, .. } = event
                && listener.is_down(channel, pitch)
            {
                return false;
            }
            let offset = nearest(&span, from..until, event);
            let taken = send(offset, event, out);
            if taken {
                let time = (samples + u64::from(offset)) as f64 / rate;
                roll.sounded(event, time);
            }
            taken
        });
        self.status.played.add(played.struck.into());
        self.status.given_up.add(played.refused.into());
        self.played = until.max(from);
        if let Turn::Mine(take) = &mut self.turn {
            let ended = end >= take.beats(take.limit()) || take.arrived == f64::INFINITY;
            take.over |= ended && self.schedule.is_empty();
        }
    }

    /// Takes in what has come; offline, waits until all has that is due before `end`, in beats.
    fn await_notes(&mut self, take: &Take, end: f64) {
        self.receive();
        if !self.patience.is_offline() || take.over {
            return;
        }
        let need = take.since(end).min(take.limit());
        self.near.progress(need);
        let (mut patience, status) = (self.patience, self.status.clone());
        patience.wait_until(&status, || {
            self.receive();
            !matches!(self.turn, Turn::Mine(Take { arrived, .. }) if arrived < need)
        });
        self.patience = patience;
    }
}

/// The sample nearest to a generated event, though not outside of `samples`: where the axis of beats
/// waits for the host, a moment may be nearest to a sample that is long gone or yet to come.
fn nearest(span: &Span, samples: Range<u32>, event: Event) -> u32 {
    let last = samples.end.min(span.frames).saturating_sub(1).max(samples.start);
    span.offset(event.at()).clamp(samples.start, last)
}

/// Sends a generated event at this sample.
fn send(offset: u32, event: Event, out: &mut impl Out) -> bool {
    match event {
        Event::On { channel, pitch, velocity, .. } => out.on(offset, channel, pitch, velocity),
        Event::Off { channel, pitch, .. } => out.off(offset, channel, pitch),
    }
}
