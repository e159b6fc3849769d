//! On the way to the host: generated notes arrive, wait for their moment, sound and end, and the player's events pass.
//!
//! [`Output`] is the only owner of note-offs: it knows every generated note that sounds (`held`), every key and pedal of
//! the player's that has passed (`passed`), and what of their ends the host has yet to take ([`owed`](super::owed)).

use std::ops::Range;

use notes::{Event, Held, Schedule, Span};

use super::hand_over::Turn;
use super::midi_thru::MidiThru;
use super::owed::Owed;
use super::sustain::{CATCH_S, SustainOutput};
use super::trigger::SUSTAIN;
use super::{AudioSide, Heard, Out, Through};
use crate::audio::take::{Arrival, Take};

/// Of a block, how many stretches there are at most between which the foot may move: a bound, no rule.
const STRETCHES: f64 = 64.0;
/// Notes of look-ahead that fit in.
const LOOK_AHEAD: usize = 512;

/// See the [module](self).
pub struct Output<E> {
    /// What is to come.
    pub schedule: Schedule<LOOK_AHEAD>,
    /// What sounds of it.
    pub held: Held,
    /// The pedal that goes with it.
    foot: SustainOutput,
    /// The player's events that have passed and still hold.
    pub passed: MidiThru,
    /// What the host has yet to take.
    pub owed: Owed<E>,
    /// When the latest generated note ended, in beats.
    pub latest_off: f64,
    /// The host's loop has ended within a block, and what sounded with it.
    pub seamed: bool,
}

impl<E: Copy> Output<E> {
    /// Nothing sounds. Allocates all that it will ever need.
    pub fn new() -> Self {
        Self {
            schedule: Schedule::new(),
            held: Held::new(),
            foot: SustainOutput::default(),
            passed: MidiThru::default(),
            owed: Owed::default(),
            latest_off: 0.0,
            seamed: false,
        }
    }

    /// Whether nothing sounds that was generated, and no end is owed.
    pub fn is_silent(&self) -> bool {
        self.held.is_empty() && self.owed.is_empty()
    }

    /// Ends all that the player's events have begun.
    pub fn end_passed(&mut self, out: &mut impl Out) {
        while let Some((channel, key)) = self.passed.pop_key() {
            self.owed.off(0, channel, key, out);
        }
        while let Some((channel, pedal)) = self.passed.pop_pedal() {
            self.owed.lift(0, channel, pedal, out);
        }
    }

    /// The generated pedal comes up, and stays up.
    pub fn lift_foot(&mut self, at: u32, out: &mut impl Out) {
        let Self { passed, owed, foot, .. } = self;
        foot.lift(|channel| lift(passed, owed, at, channel, out));
    }
}

/// Lifts the sustain pedal of a channel; where the player's own foot is down by now, it is the player's.
fn lift<E: Copy>(passed: &MidiThru, owed: &mut Owed<E>, at: u32, channel: u8, out: &mut impl Out) {
    if !passed.has_pedal(channel) {
        owed.lift(at, channel, SUSTAIN, out);
    }
}

impl<E: Copy> AudioSide<E> {
    /// Takes in what has come; offline, waits until all has that is due before `end`, in beats.
    pub(super) fn await_notes(&mut self, end: f64) {
        self.receive();
        let Turn::Mine(take) = self.turns.turn else {
            return;
        };
        if !self.connection.patience.is_offline() {
            return;
        }
        let need = take.since(end).min(take.limit());
        self.connection.near.progress(need);
        let (mut patience, status) = (self.connection.patience, self.connection.status.clone());
        patience.wait_until(&status, || {
            self.receive();
            !matches!(self.turns.turn, Turn::Mine(Take { arrived, .. }) if arrived < need)
        });
        self.connection.patience = patience;
    }

    /// Takes in what the generator has generated.
    pub(super) fn receive(&mut self) {
        let now = self.time.boundary(self.time.played);
        let Turn::Mine(take) = &mut self.turns.turn else {
            return;
        };
        while let Some(answer) = self.connection.near.answer() {
            let newest = answer.revision.0 == self.output.schedule.revision();
            let Some(note) = answer.note else {
                if newest {
                    take.arrived = f64::INFINITY;
                }
                continue;
            };
            if !self.output.schedule.is_valid(answer.revision.0, take.beats(note.struck())) {
                continue;
            }
            if newest {
                take.arrived = note.onset;
                self.connection.patience.renew();
            }
            let taken = match take.place_note(answer.revision, answer.index, &note, now) {
                Arrival::InTime(planned) => self.output.schedule.push(planned),
                Arrival::Shifted(planned) => {
                    self.connection.status.late.add(1);
                    self.output.schedule.push(planned)
                }
                Arrival::TooLate => {
                    self.connection.status.dropped.add(1);
                    Ok(())
                }
                Arrival::Beyond => {
                    if answer.index >= take.notes() || note.onset >= take.limit() {
                        take.arrived = f64::INFINITY;
                    }
                    Ok(())
                }
            };
            if taken.is_err() {
                self.connection.status.overflows.add(1);
            }
        }
    }

    /// Sounds what is due before `end`, in beats: up to this offset of the block. Where the host loops,
    /// what sounds ends.
    pub(super) fn sound(&mut self, until: u32, end: f64, out: &mut impl Out) {
        if let Some(seam) = self.time.span.seam.map(|seam| self.time.span.offset(seam))
            && (self.time.played..until).contains(&seam)
        {
            self.sound_on(seam, self.time.boundary(seam), out);
            self.end_sounding(seam, out);
            self.output.seamed = true;
        }
        self.sound_on(until, end, out);
    }

    fn sound_on(&mut self, until: u32, end: f64, out: &mut impl Out) {
        let (span, from) = (self.time.span, self.time.played);
        let uses_foot = self.output.foot.due().is_some() || self.uses_foot();
        // What a note puts off for the foot comes after the stretch in which the note is.
        let stretch = if uses_foot { self.catch().max((end - span.start) / STRETCHES) } else { f64::INFINITY };
        let mut now = self.time.boundary(from);
        loop {
            let due = self.output.foot.due().filter(|(at, _)| *at < end);
            let stop = due.map_or(end, |(at, _)| at.max(now)).min(now + stretch);
            self.play(from..until, stop, out);
            now = stop;
            match due {
                // Unless another bass has come before it.
                Some((at, channel)) if at <= now && self.output.foot.due() == due => {
                    let offset = nearest(&span, from..until, at);
                    let Output { passed, owed, foot, .. } = &mut self.output;
                    let free = !passed.has_pedal(channel);
                    foot.press(free, |channel| {
                        owed.clears_pedal(offset, channel, SUSTAIN, out)
                            && out.controller(offset, channel, SUSTAIN, 127)
                    });
                }
                None if now >= end => break,
                _ => {}
            }
        }
        self.time.played = until.max(from);
    }

    /// When the take will have ended by itself, in beats: with its last note, or its last second. `None`:
    /// not all of it is known yet.
    pub(super) fn over(&self, take: &Take) -> Option<f64> {
        if take.arrived < take.limit() {
            return None;
        }
        let limit = Some(take.beats(take.limit())).filter(|limit| limit.is_finite());
        let ended = Some(self.output.latest_off).filter(|_| take.sounded);
        let ends = self.output.schedule.iter().map(|note| note.end).chain(self.output.held.last_end());
        Some(ends.chain(limit).chain(ended).fold(take.begin(), f64::max))
    }

    /// From a bass to the pedal, in beats: in the take's own seconds, as its notes are, whatever the tempo has
    /// become.
    fn catch(&self) -> f64 {
        match &self.turns.turn {
            Turn::Mine(take) => CATCH_S * take.place.beats_per_second,
            Turn::Yours { .. } => CATCH_S * self.time.span.beats_per_second(),
        }
    }

    fn play(&mut self, samples: Range<u32>, end: f64, out: &mut impl Out) {
        let catch = self.catch();
        let uses_foot = self.uses_foot();
        let (before, rate) = (self.time.samples, self.time.sample_rate);
        let Self { time, output, roll, turns, .. } = self;
        let Output { held, schedule, passed, owed, foot, latest_off, .. } = output;
        let span = &time.span;
        let played = held.play(schedule, end, |event| {
            let offset = nearest(span, samples.clone(), event.at());
            let taken = match event {
                // A key that the player holds is the player's.
                Event::On { channel, pitch, .. } if passed.has_key(channel, pitch) => false,
                Event::On { at, channel, pitch, velocity } => {
                    if uses_foot {
                        let lift = |channel| lift(passed, owed, offset, channel, out);
                        foot.before(channel, pitch, at + catch, lift);
                    }
                    owed.clears_key(offset, channel, pitch, out)
                        && owed.lets_through()
                        && out.on(offset, channel, pitch, velocity)
                }
                Event::Off { channel, pitch, .. } => {
                    owed.off(offset, channel, pitch, out);
                    true
                }
            };
            match (event, &mut turns.turn) {
                (Event::On { .. }, Turn::Mine(take)) if taken => take.sounded = true,
                (Event::On { pitch, .. }, _) if !taken => foot.after(pitch),
                (Event::Off { at, pitch, .. }, _) => {
                    foot.after(pitch);
                    *latest_off = latest_off.max(at);
                }
                _ => {}
            }
            if taken {
                roll.sounded(event, (before + u64::from(offset)) as f64 / rate);
            }
            taken
        });
        self.connection.status.played.add(played.struck.into());
        self.connection.status.given_up.add(played.refused.into());
    }

    /// Ends all that Antiphon plays at this offset.
    pub(super) fn end_all(&mut self, at: u32, out: &mut impl Out) {
        let at = self.time.within(at);
        let Output { held, foot, owed, .. } = &mut self.output;
        held.end_all(self.time.span.beats_at(at), |event| {
            if let Event::Off { channel, pitch, .. } = event {
                foot.after(pitch);
                owed.off(at, channel, pitch, out);
            }
        });
        self.output.lift_foot(at, out);
    }

    /// Ends what Antiphon plays on this key: the player strikes it.
    pub(super) fn end_key(&mut self, at: u32, channel: u8, key: u8, out: &mut impl Out) {
        let at = self.time.within(at);
        let Output { held, foot, owed, .. } = &mut self.output;
        held.end_key(channel, key, self.time.span.beats_at(at), |_| {
            foot.after(key);
            owed.off(at, channel, key, out);
        });
    }

    /// Whether the model's turn sends the sustain pedal along.
    fn uses_foot(&self) -> bool {
        self.settings.is_some_and(|settings| settings.pedal_out)
    }

    /// What the host has refused so far is sent first of all.
    pub(super) fn retry(&mut self, out: &mut impl Out) {
        self.output.owed.retry(out);
        if !matches!(self.turns.turn, Turn::Mine(_)) || !self.uses_foot() {
            self.output.lift_foot(0, out);
        }
    }

    /// Passes an event of the player's on, or lets it wait.
    pub(super) fn pass(&mut self, offset: u32, event: E, heard: Option<&Heard>, out: &mut impl Through<E>) {
        let kept = self.output.owed.pass(offset, event, heard, out);
        self.connection.status.overflows.add(u64::from(!kept));
    }
}

/// The sample nearest to a moment in beats, though not outside of `samples` and the one after: where the axis of beats
/// waits for the host, a moment may be nearest to a sample that is long gone or yet to come.
fn nearest(span: &Span, samples: Range<u32>, beats: f64) -> u32 {
    let last = samples.end.min(span.frames.saturating_sub(1)).max(samples.start);
    span.offset(beats).clamp(samples.start, last)
}
