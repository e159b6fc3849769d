//! Output to the host: generated notes arrive, wait until due, sound and end; the player's events pass through.
//!
//! [`Output`] is the only owner of note-offs: it knows every generated note that is sounding (`sounding`), every key and
//! pedal of the player that was passed on (`thru`), and which note-offs the host has yet to take
//! ([`backlog`](super::backlog)).

use std::ops::Range;

use notes::{Event, Schedule, SoundingNotes, Span};

use super::backlog::Backlog;
use super::hand_over::Turn;
use super::midi_thru::MidiThru;
use super::sustain::{PEDAL_DELAY_S, SustainOutput};
use super::trigger::SUSTAIN;
use super::{AudioSide, Out, PlayerEvent, ThruOutput};
use crate::audio::take::{Arrival, TakePlayback};

/// The most stretches into which a block is split so that the sustain pedal can move between them; only a safety limit.
const STRETCHES: f64 = 64.0;
/// Capacity of the look-ahead, in notes.
const LOOK_AHEAD: usize = 512;

/// Everything on its way to the host; see the [module documentation](self).
pub struct Output<E> {
    /// Generated notes that have not sounded yet.
    pub schedule: Schedule<LOOK_AHEAD>,
    /// Generated notes that are sounding.
    pub sounding: SoundingNotes,
    /// The sustain pedal that goes with generated notes.
    sustain: SustainOutput,
    /// The player's keys and controllers that were passed on and are still active.
    pub thru: MidiThru,
    /// Events that the host has yet to take.
    pub backlog: Backlog<E>,
    /// When the last generated note ended, in unrolled beats.
    pub latest_off: f64,
    /// The host's loop has ended within a block, and the sounding notes were ended there.
    pub ended_at_loop: bool,
}

impl<E: Copy> Output<E> {
    /// No note is sounding. Allocates everything it will ever need.
    pub fn new() -> Self {
        Self {
            schedule: Schedule::new(),
            sounding: SoundingNotes::new(),
            sustain: SustainOutput::default(),
            thru: MidiThru::default(),
            backlog: Backlog::default(),
            latest_off: 0.0,
            ended_at_loop: false,
        }
    }

    /// Whether no generated note is sounding and nothing waits for the host.
    pub fn is_silent(&self) -> bool {
        self.sounding.is_empty() && self.backlog.is_empty()
    }

    /// Ends all of the player's notes that were passed on, and lifts the pedals.
    pub fn end_thru(&mut self, out: &mut impl Out) {
        while let Some((channel, key)) = self.thru.pop_key() {
            self.backlog.off(0, channel, key, out);
        }
        while let Some((channel, pedal)) = self.thru.pop_pedal() {
            self.backlog.lift(0, channel, pedal, out);
        }
    }

    /// Lifts the generated pedal until a new bass note.
    pub fn lift_sustain(&mut self, at: u32, out: &mut impl Out) {
        let Self { thru, backlog, sustain, .. } = self;
        sustain.lift(|channel| lift(thru, backlog, at, channel, out));
    }
}

/// Lifts a channel's sustain pedal, unless the player is holding it down.
fn lift<E: Copy>(thru: &MidiThru, backlog: &mut Backlog<E>, at: u32, channel: u8, out: &mut impl Out) {
    if !thru.has_pedal(channel) {
        backlog.lift(at, channel, SUSTAIN, out);
    }
}

impl<E: Copy> AudioSide<E> {
    /// Receives generated notes; offline, waits until all notes due before `end`, in beats, have arrived.
    pub(super) fn await_notes(&mut self, end: f64) {
        if let Turn::Antiphon(take) = &self.turns.turn {
            self.await_notes_before(take.since(end));
        }
    }

    /// As [`Self::await_notes`], with `since` in seconds since the hand-over. Called before every message that tells the
    /// generator to go back to `since`: it keeps the notes before it that it has generated so far, and which those are
    /// must not depend on chance.
    pub(super) fn await_notes_before(&mut self, since: f64) {
        self.receive();
        let Turn::Antiphon(take) = self.turns.turn else {
            return;
        };
        if !self.connection.offline_wait.is_offline() {
            return;
        }
        let need = since.min(take.limit());
        self.connection.audio_end.set_progress(need);
        let (mut offline_wait, status) = (self.connection.offline_wait, self.connection.status.clone());
        offline_wait.wait_until(&status, || {
            self.receive();
            !matches!(self.turns.turn, Turn::Antiphon(TakePlayback { arrived, .. }) if arrived < need)
        });
        self.connection.offline_wait = offline_wait;
    }

    /// Receives the notes that the generator has sent.
    pub(super) fn receive(&mut self) {
        let now = self.time.boundary(self.time.played);
        let Turn::Antiphon(take) = &mut self.turns.turn else {
            return;
        };
        while let Some(generated) = self.connection.audio_end.receive_note() {
            let newest = generated.revision.0 == self.output.schedule.revision();
            let Some(note) = generated.note else {
                if newest {
                    take.arrived = f64::INFINITY;
                }
                continue;
            };
            if !self.output.schedule.is_valid(generated.revision.0, take.beats(note.struck())) {
                continue;
            }
            if newest {
                take.arrived = note.onset;
                self.connection.offline_wait.renew();
            }
            let taken = match take.place_note(generated.revision, generated.index, &note, now) {
                Arrival::InTime(planned) => self.output.schedule.push(planned),
                Arrival::Shifted(planned) => {
                    self.connection.status.counts.late.add(1);
                    self.output.schedule.push(planned)
                }
                Arrival::TooLate => {
                    self.connection.status.counts.dropped.add(1);
                    Ok(())
                }
                Arrival::Beyond => {
                    if generated.index >= take.notes() || note.onset >= take.limit() {
                        take.arrived = f64::INFINITY;
                    }
                    Ok(())
                }
            };
            if taken.is_err() {
                self.connection.status.counts.overflows.add(1);
            }
        }
    }

    /// Plays what is due before `end`, in beats, up to offset `until` of the block. Where the host loops, sounding
    /// notes end.
    pub(super) fn play_due(&mut self, until: u32, end: f64, out: &mut impl Out) {
        if let Some(seam) = self.time.span.loop_seam.map(|seam| self.time.span.offset(seam))
            && (self.time.played..until).contains(&seam)
        {
            self.play_stretch(seam, self.time.boundary(seam), out);
            self.end_sounding(seam, out);
            self.output.ended_at_loop = true;
        }
        self.play_stretch(until, end, out);
    }

    fn play_stretch(&mut self, until: u32, end: f64, out: &mut impl Out) {
        let (span, from) = (self.time.span, self.time.played);
        let uses_sustain = self.output.sustain.due().is_some() || self.uses_sustain();
        // The pedal press that a note schedules falls after the stretch that contains the note.
        let stretch = if uses_sustain { self.pedal_delay().max((end - span.start) / STRETCHES) } else { f64::INFINITY };
        let mut now = self.time.boundary(from);
        loop {
            let due = self.output.sustain.due().filter(|(at, _)| *at < end);
            let stop = due.map_or(end, |(at, _)| at.max(now)).min(now + stretch);
            self.play(from..until, stop, out);
            now = stop;
            match due {
                // Unless a new bass note has rescheduled it meanwhile.
                Some((at, channel)) if at <= now && self.output.sustain.due() == due => {
                    let offset = nearest(&span, from..until, at);
                    let Output { thru, backlog, sustain, .. } = &mut self.output;
                    let free = !thru.has_pedal(channel);
                    sustain.press(free, |channel| {
                        backlog.try_clear_pedal(offset, channel, SUSTAIN, out)
                            && out.controller(offset, channel, SUSTAIN, 127)
                    });
                }
                None if now >= end => break,
                _ => {}
            }
        }
        self.time.played = until.max(from);
    }

    /// When the take ends by itself, in beats: with its last note, or at its limit in seconds. `None`: not all of
    /// its notes have arrived yet.
    pub(super) fn natural_end(&self, take: &TakePlayback) -> Option<f64> {
        if take.arrived < take.limit() {
            return None;
        }
        let limit = Some(take.beats(take.limit())).filter(|limit| limit.is_finite());
        let ended = Some(self.output.latest_off).filter(|_| take.sounded);
        let ends = self.output.schedule.iter().map(|note| note.end).chain(self.output.sounding.last_end());
        Some(ends.chain(limit).chain(ended).fold(take.begin(), f64::max))
    }

    /// The delay from a bass note to the pedal, in beats: converted at the take's own tempo, like its notes, even if
    /// the host's tempo has changed.
    fn pedal_delay(&self) -> f64 {
        match &self.turns.turn {
            Turn::Antiphon(take) => PEDAL_DELAY_S * take.position.beats_per_second,
            Turn::Player { .. } => PEDAL_DELAY_S * self.time.span.beats_per_second(),
        }
    }

    fn play(&mut self, samples: Range<u32>, end: f64, out: &mut impl Out) {
        let pedal_delay = self.pedal_delay();
        let uses_sustain = self.uses_sustain();
        let (before, rate) = (self.time.samples, self.time.sample_rate);
        let Self { time, output, roll, turns, .. } = self;
        let Output { sounding, schedule, thru, backlog, sustain, latest_off, .. } = output;
        let span = &time.span;
        let played = sounding.play(schedule, end, |event| {
            let offset = nearest(span, samples.clone(), event.at());
            let taken = match event {
                // A key on which the player's note is sounding stays the player's.
                Event::On { channel, pitch, .. } if thru.has_key(channel, pitch) => false,
                Event::On { at, channel, pitch, velocity } => {
                    if uses_sustain {
                        let lift = |channel| lift(thru, backlog, offset, channel, out);
                        sustain.note_on(channel, pitch, at + pedal_delay, lift);
                    }
                    backlog.try_clear_key(offset, channel, pitch, out)
                        && backlog.allows_generated()
                        && out.on(offset, channel, pitch, velocity)
                }
                Event::Off { channel, pitch, .. } => {
                    backlog.off(offset, channel, pitch, out);
                    true
                }
            };
            match (event, &mut turns.turn) {
                (Event::On { .. }, Turn::Antiphon(take)) if taken => take.sounded = true,
                (Event::On { pitch, .. }, _) if !taken => sustain.note_off(pitch),
                (Event::Off { at, pitch, .. }, _) => {
                    sustain.note_off(pitch);
                    *latest_off = latest_off.max(at);
                }
                _ => {}
            }
            if taken {
                roll.add_event(event, (before + u64::from(offset)) as f64 / rate);
            }
            taken
        });
        self.connection.status.counts.played.add(played.struck.into());
        self.connection.status.counts.given_up.add(played.refused.into());
    }

    /// Ends all of Antiphon's sounding notes at this offset, and lifts the pedal.
    pub(super) fn end_all(&mut self, at: u32, out: &mut impl Out) {
        let at = self.time.within(at);
        let Output { sounding, sustain, backlog, .. } = &mut self.output;
        sounding.end_all(self.time.span.beats_at(at), |event| {
            if let Event::Off { channel, pitch, .. } = event {
                sustain.note_off(pitch);
                backlog.off(at, channel, pitch, out);
            }
        });
        self.output.lift_sustain(at, out);
    }

    /// Ends Antiphon's note on this key, because the player strikes it.
    pub(super) fn end_key(&mut self, at: u32, channel: u8, key: u8, out: &mut impl Out) {
        let at = self.time.within(at);
        let Output { sounding, sustain, backlog, .. } = &mut self.output;
        sounding.end_key(channel, key, self.time.span.beats_at(at), |_| {
            sustain.note_off(key);
            backlog.off(at, channel, key, out);
        });
    }

    /// Whether Antiphon plays the sustain pedal.
    fn uses_sustain(&self) -> bool {
        self.settings.is_some_and(|settings| settings.midi.sustain_out)
    }

    /// Sends the note-offs and lifts that the host has refused so far.
    pub(super) fn retry(&mut self, out: &mut impl Out) {
        self.output.backlog.retry(out);
        if !matches!(self.turns.turn, Turn::Antiphon(_)) || !self.uses_sustain() {
            self.output.lift_sustain(0, out);
        }
    }

    /// Passes a player event on, or lets it wait; counts it as an overflow if there is no room.
    pub(super) fn pass(&mut self, offset: u32, event: E, input: Option<&PlayerEvent>, out: &mut impl ThruOutput<E>) {
        let kept = self.output.backlog.pass(offset, event, input, out);
        self.connection.status.counts.overflows.add(u64::from(!kept));
    }
}

/// The sample nearest to a time in beats, clamped to `samples` and the sample after it: where the beat axis stands
/// still, the nearest sample may have passed already or be yet to come.
fn nearest(span: &Span, samples: Range<u32>, beats: f64) -> u32 {
    let last = samples.end.min(span.frames.saturating_sub(1)).max(samples.start);
    span.offset(beats).clamp(samples.start, last)
}
