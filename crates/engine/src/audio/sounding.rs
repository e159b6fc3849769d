//! Notes of the model on their way to the host: they arrive, wait for their moment, sound and end.

use std::ops::Range;

use notes::{Event, Span};

use super::foot::CATCH_S;
use super::trigger::SUSTAIN;
use super::turn::Turn;
use super::{AudioSide, Out};
use crate::audio::take::{Arrival, Take};

/// Of a block, how many stretches there are at most between which the foot may move: a bound, no rule.
const STRETCHES: f64 = 64.0;

impl AudioSide {
    /// Takes in what has come; offline, waits until all has that is due before `end`, in beats.
    pub(super) fn await_notes(&mut self, end: f64) {
        self.receive();
        let Turn::Mine(take) = self.turn else {
            return;
        };
        if !self.patience.is_offline() {
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

    /// Takes in what the inference thread has thought of.
    pub(super) fn receive(&mut self) {
        let now = self.boundary(self.played);
        let Turn::Mine(take) = &mut self.turn else {
            return;
        };
        while let Some(answer) = self.near.answer() {
            let newest = answer.epoch.0 == self.schedule.epoch();
            let Some(note) = answer.note else {
                if newest {
                    take.arrived = f64::INFINITY;
                }
                continue;
            };
            if !self.schedule.is_valid(answer.epoch.0, take.beats(note.struck())) {
                continue;
            }
            if newest {
                take.arrived = note.onset;
                self.patience.renew();
            }
            let taken = match take.place_note(answer.epoch, answer.index, &note, now) {
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
                    if answer.index >= take.notes() || note.onset >= take.limit() {
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

    /// Sounds what is due before `end`, in beats: up to this offset of the block. Where the host loops,
    /// what sounds ends.
    pub(super) fn sound(&mut self, until: u32, end: f64, out: &mut impl Out) {
        if let Some(seam) = self.span.seam.map(|seam| self.span.offset(seam))
            && (self.played..until).contains(&seam)
        {
            self.sound_on(seam, self.boundary(seam), out);
            self.end_sounding(seam, out);
            self.seamed = true;
        }
        self.sound_on(until, end, out);
    }

    fn sound_on(&mut self, until: u32, end: f64, out: &mut impl Out) {
        let (span, from) = (self.span, self.played);
        let uses_foot = self.foot.due().is_some() || self.uses_foot();
        // What a note puts off for the foot comes after the stretch in which the note is.
        let stretch = if uses_foot { self.catch().max((end - span.start) / STRETCHES) } else { f64::INFINITY };
        let mut now = self.boundary(from);
        loop {
            let due = self.foot.due().filter(|(at, _)| *at < end);
            let stop = due.map_or(end, |(at, _)| at.max(now)).min(now + stretch);
            self.play(from..until, stop, out);
            now = stop;
            match due {
                // Unless another bass has come before it.
                Some((at, channel)) if at <= now && self.foot.due() == due => {
                    let offset = nearest(&span, from..until, at);
                    let free = !self.passed.has_pedal(channel);
                    self.foot.press(free, |channel, number, value| out.controller(offset, channel, number, value));
                }
                None if now >= end => break,
                _ => {}
            }
        }
        self.played = until.max(from);
    }

    /// When the take will have ended by itself, in beats: with its last note, or its last second. `None`:
    /// not all of it is known yet.
    pub(super) fn over(&self, take: &Take) -> Option<f64> {
        if take.arrived < take.limit() {
            return None;
        }
        let limit = Some(take.beats(take.limit())).filter(|limit| limit.is_finite());
        let ended = Some(self.latest_off).filter(|_| take.sounded);
        let ends = self.schedule.iter().map(|note| note.end).chain(self.held.last_end());
        Some(ends.chain(limit).chain(ended).fold(take.begin(), f64::max))
    }

    /// From a bass to the pedal, in beats: in the take's own seconds, as its notes are, whatever the tempo has
    /// become.
    fn catch(&self) -> f64 {
        match &self.turn {
            Turn::Mine(take) => CATCH_S * take.place.beats_per_second,
            Turn::Yours { .. } => CATCH_S * self.span.beats_per_second(),
        }
    }

    fn play(&mut self, samples: Range<u32>, end: f64, out: &mut impl Out) {
        let catch = self.catch();
        let uses_foot = self.uses_foot();
        let Self { span, held, schedule, passed, foot, roll, turn, latest_off, .. } = self;
        let (before, rate) = (self.samples, self.sample_rate);
        let played = held.play(schedule, end, |event| {
            let offset = nearest(span, samples.clone(), event.at());
            let taken = match event {
                // A key that the player holds is the player's.
                Event::On { channel, pitch, .. } if passed.has_key(channel, pitch) => false,
                Event::On { at, channel, pitch, velocity } => {
                    if uses_foot {
                        let send = |channel, number, value| out.controller(offset, channel, number, value);
                        foot.before(channel, pitch, at + catch, send);
                    }
                    out.on(offset, channel, pitch, velocity)
                }
                Event::Off { channel, pitch, .. } => out.off(offset, channel, pitch),
            };
            match (event, &mut *turn) {
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
        self.status.played.add(played.struck.into());
        self.status.given_up.add(played.refused.into());
    }

    /// Ends all that the model plays at this offset.
    pub(super) fn end_all(&mut self, at: u32, out: &mut impl Out) {
        let at = at.min(self.span.frames.saturating_sub(1));
        let Self { span, held, foot, .. } = self;
        held.end_all(span.beats_at(at), |event| {
            if let Event::Off { pitch, .. } = event {
                foot.after(pitch);
            }
            send_off(at, event, out)
        });
        self.lift_foot(at, out);
    }

    /// Ends what the model plays on this key: the player strikes it.
    pub(super) fn end_key(&mut self, at: u32, channel: u8, key: u8, out: &mut impl Out) {
        let Self { span, held, foot, .. } = self;
        held.end_key(channel, key, span.beats_at(at), |event| {
            foot.after(key);
            send_off(at, event, out)
        });
    }

    /// Whether the model's turn sends the sustain pedal along.
    fn uses_foot(&self) -> bool {
        self.settings.is_some_and(|settings| settings.pedal_out)
    }

    /// The model's pedal comes up, and stays up.
    pub(super) fn lift_foot(&mut self, at: u32, out: &mut impl Out) {
        let at = at.min(self.span.frames.saturating_sub(1));
        let passed = &self.passed;
        self.foot.lift(|channel, number, value| {
            // Where the player's own foot is down by now, it is his.
            (number == SUSTAIN && passed.has_pedal(channel)) || out.controller(at, channel, number, value)
        });
    }

    /// Sends the endings that the host has refused.
    pub(super) fn retry_endings(&mut self, out: &mut impl Out) {
        self.held.retry(|event| send_off(0, event, out));
        if !matches!(self.turn, Turn::Mine(_)) || !self.uses_foot() {
            self.lift_foot(0, out);
        }
    }
}

/// The sample nearest to a moment in beats, though not outside of `samples` and the one after: where the axis of beats
/// waits for the host, a moment may be nearest to a sample that is long gone or yet to come.
fn nearest(span: &Span, samples: Range<u32>, beats: f64) -> u32 {
    let last = samples.end.min(span.frames.saturating_sub(1)).max(samples.start);
    span.offset(beats).clamp(samples.start, last)
}

/// Sends a note-off at this sample.
fn send_off(offset: u32, event: Event, out: &mut impl Out) -> bool {
    match event {
        Event::Off { channel, pitch, .. } => out.off(offset, channel, pitch),
        Event::On { .. } => true,
    }
}
