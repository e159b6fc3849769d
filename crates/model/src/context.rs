//! Statistics of the notes fed so far that need no learning.

use notes::Successor;

use crate::{
    conditioning::Conditioning,
    profiles::Profiles,
    repetition::{RepetitionMemory, Symbol},
    rhythm::Rhythm,
    running::{LOOPS, Loops, RunningStatistics},
    sounding::Sounding,
    turn_drift::TurnDrift,
    voices::Voices,
};

/// The context after the last note fed. Plain data of fixed size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    pub(crate) recent: RecentContext,
    /// Much larger than all the rest (see [`crate::Snapshot`]), and too large for a thread's stack.
    pub(crate) repetition: Box<RepetitionMemory>,
}

/// Everything but the repetition memory: profiles, averages and the latest notes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecentContext {
    pub profiles: Profiles,
    pub sounding: Sounding,
    pub voices: Voices,
    /// Index of the last note in its chord, from 0.
    pub place: u8,
    /// Running average of velocities, in MIDI units.
    pub velocity: f32,
    /// How many times in a row the last pitch was repeated.
    pub run: u8,
    /// How many notes in a row had the pitch of the note two before them.
    pub alternation: u8,
    pub running: RunningStatistics,
    pub rhythm: Rhythm,
    pub turn_drift: TurnDrift,
    /// The conditioning inputs at the last onset.
    pub conditioning: Conditioning,
    /// Shares of loops, one per kind: see [`LOOPS`].
    pub loops: [Loops; 2],
}

impl Default for RecentContext {
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
            turn_drift: TurnDrift::default(),
            conditioning: Conditioning::default(),
            loops: Default::default(),
        }
    }
}

impl Context {
    /// Adds a note.
    pub fn feed(&mut self, note: &Successor) {
        let Self { recent, repetition } = self;
        for (loops, notes) in recent.loops.iter_mut().zip(LOOPS) {
            loops.feed(repetition.in_a_loop(notes).is_some_and(|matched| matched.pitch == note.pitch.min(127)));
        }
        recent.feed(note);
        repetition.feed(Symbol::of(note));
    }

    /// Starts a turn after what was fed so far.
    pub(crate) fn begin_turn(&mut self) {
        self.recent.turn_drift.begin();
    }

    /// The pitch that would repeat the continuation of the last intervals, if at least two of them match an earlier
    /// place.
    pub(crate) fn repeated(&self) -> Option<u8> {
        self.repetition.transposed(|_| true).filter(|matched| matched.length >= 2).map(|matched| matched.pitch)
    }

    /// Pitches that would continue a loop which has lasted longer than loops do in real music, each with its penalty in
    /// nats.
    pub(crate) fn repetition_penalty(&self) -> impl Iterator<Item = (u8, f32)> {
        self.recent.loops.iter().enumerate().filter_map(|(kind, loops)| {
            let loss = loops.repetition_penalty(kind);
            let next = if loss > 0.0 { self.repetition.in_a_loop(LOOPS[kind]) } else { None };
            next.map(|matched| (matched.pitch, loss))
        })
    }

    /// The lowest pitch that may come next after a step of `step` seconds: pitches inside a chord ascend.
    pub fn floor(&self, step: f64) -> u8 {
        match self.recent.last() {
            Some(last) if step == 0.0 => last + 1,
            _ => 0,
        }
    }
}

impl RecentContext {
    /// The last pitch.
    pub fn last(&self) -> Option<u8> {
        self.voices.pitch(1)
    }

    /// The pitch before the last.
    pub fn before(&self) -> Option<u8> {
        self.voices.pitch(2)
    }

    /// Adds a note to everything but [`RecentContext::loops`].
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
        // What the model plays says nothing about its player's habits: slips would become the rule.
        let habit = !self.turn_drift.is_measured();
        self.turn_drift.feed(note, &self.rhythm, self.voices.last());
        self.profiles.feed(pitch);
        self.sounding.feed(note, habit);
        self.voices.feed(note, habit);
        self.running.feed(note);
        self.rhythm.feed(note, last.is_none(), habit);
        self.conditioning = self.conditioning.after(note.step);
    }
}
