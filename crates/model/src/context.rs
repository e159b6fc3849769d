//! What can be told of the notes heard so far without any learning.

use notes::Successor;

use crate::{
    profiles::Profiles,
    repetition::{RepetitionMemory, Symbol},
    rhythm::Rhythm,
    running::{LOOPS, Loops, RunningStatistics},
    sounding::Sounding,
    told::Moment,
    turn::Turn,
    voices::Voices,
};

/// The context of the last note heard. Plain data of fixed size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    pub(crate) lately: Lately,
    /// Much larger than all the rest: see [`crate::Snapshot`]. Too large for a thread's stack.
    pub(crate) repetition: Box<RepetitionMemory>,
}

/// Profiles, averages and the last notes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lately {
    pub profiles: Profiles,
    pub sounding: Sounding,
    pub voices: Voices,
    /// Place of the last note in its chord, from 0.
    pub place: u8,
    /// Velocities heard lately, averaged; MIDI units.
    pub velocity: f32,
    /// How often the last pitch came in a row before.
    pub run: u8,
    /// How many notes in a row had the pitch of the note before the one before.
    pub alternation: u8,
    pub running: RunningStatistics,
    pub rhythm: Rhythm,
    pub turn: Turn,
    /// What is known at the last onset, beside the notes.
    pub moment: Moment,
    /// Of either kind, see [`LOOPS`].
    pub loops: [Loops; 2],
}

impl Default for Lately {
    fn default() -> Self {
        Self {
            profiles: Profiles::default(),
            sounding: Sounding::default(),
            voices: Voices::default(),
            place: 0,
            velocity: 64.0,
            run: 0,
            alternation: 0,
            running: RunningStatistics::default(),
            rhythm: Rhythm::default(),
            turn: Turn::default(),
            moment: Moment::default(),
            loops: Default::default(),
        }
    }
}

impl Context {
    /// Takes in the next note.
    pub fn feed(&mut self, note: &Successor) {
        let Self { lately, repetition } = self;
        for (loops, notes) in lately.loops.iter_mut().zip(LOOPS) {
            loops.feed(repetition.in_a_loop(notes).is_some_and(|matched| matched.pitch == note.pitch.min(127)));
        }
        lately.feed(note);
        repetition.feed(Symbol::of(note));
    }

    /// A turn begins, after what was heard so far.
    pub(crate) fn begin_turn(&mut self) {
        self.lately.turn.begin();
    }

    /// The pitch that followed where the last moves, two at least, were the same.
    pub(crate) fn repeated(&self) -> Option<u8> {
        self.repetition.transposed(|_| true).filter(|matched| matched.length >= 2).map(|matched| matched.pitch)
    }

    /// Where the music has gone round in a loop for longer than real music does: the pitch that would
    /// go on with it, and what it loses in nats when the next note is drawn.
    pub(crate) fn repetition_penalty(&self) -> impl Iterator<Item = (u8, f32)> {
        self.lately.loops.iter().enumerate().filter_map(|(kind, loops)| {
            let loss = loops.repetition_penalty(kind);
            let next = if loss > 0.0 { self.repetition.in_a_loop(LOOPS[kind]) } else { None };
            next.map(|matched| (matched.pitch, loss))
        })
    }

    /// The lowest pitch that may come next: inside a chord pitches ascend.
    pub fn floor(&self, step: f64) -> u8 {
        match self.lately.last() {
            Some(last) if step == 0.0 => last + 1,
            _ => 0,
        }
    }
}

impl Lately {
    /// The last note's pitch.
    pub fn last(&self) -> Option<u8> {
        self.voices.pitch(1)
    }

    /// The pitch before the last one.
    pub fn before(&self) -> Option<u8> {
        self.voices.pitch(2)
    }

    /// Takes in the next note, but for [`Lately::loops`].
    fn feed(&mut self, note: &Successor) {
        let pitch = note.pitch.min(127);
        let (last, before) = (self.last(), self.before());
        self.place = match last {
            Some(_) if note.step == 0.0 => self.place.saturating_add(1),
            _ => 0,
        };
        self.velocity = match last {
            None => f32::from(note.velocity),
            Some(_) => 0.9 * self.velocity + 0.1 * f32::from(note.velocity),
        };
        let again = |count: u8, as_before: Option<u8>| match as_before {
            Some(before) if before == pitch => count.saturating_add(1),
            _ => 0,
        };
        self.run = again(self.run, last);
        self.alternation = again(self.alternation, before);
        self.turn.feed(note, &self.rhythm, self.voices.last().map(|last| last.velocity));
        self.profiles.feed(pitch);
        self.sounding.feed(note);
        self.voices.feed(note);
        self.running.feed(note);
        self.rhythm.feed(note, last.is_none());
        self.moment = self.moment.after(note.step);
    }
}
