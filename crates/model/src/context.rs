//! What can be told of the notes heard so far without any learning: which pitch classes and
//! pitches were frequent, which keys are down and for how long. A sense of key, given instead of
//! learned: with it the network learns pitch about three times faster.

use notes::Successor;

use crate::{
    encoding::PITCHES,
    repetition::{RepetitionMemory, Symbol},
    rhythm::Rhythm,
    running::{LOOPS, Loops, RunningStatistics},
    told::Moment,
    turn::Turn,
};

/// Decay per note of the pitch-class profile that follows a modulation.
const FAST: f32 = 0.94;
/// Decay per note of the pitch-class profile that holds the key.
const SLOW: f32 = 0.985;
/// Decay per note of the pitch-class profile that remembers the home key for minutes.
const HOME: f32 = 0.9995;
/// Decay per note of the profile of pitches.
const PITCH: f32 = 0.97;
/// Decay per note of the profile of the last few pitches.
const RECENT: f32 = 0.85;
/// A note that ends less than this after an onset (seconds) does not sound on through it.
const OVERLAP_S: f32 = 0.010;

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
    pub fast: [f32; 12],
    pub slow: [f32; 12],
    /// Sums to [`Lately::home_weight`], so that it is a key from the first notes on.
    pub home: [f32; 12],
    pub home_weight: f32,
    pub pitches: [f32; PITCHES],
    pub recent: [f32; PITCHES],
    /// Seconds each pitch sounds on after the last onset; 0: silent.
    pub remaining: [f32; PITCHES],
    /// The last note's pitch.
    pub last: Option<u8>,
    /// The pitch before the last one.
    pub before: Option<u8>,
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
            fast: [0.0; 12],
            slow: [0.0; 12],
            home: [0.0; 12],
            home_weight: 0.0,
            pitches: [0.0; PITCHES],
            recent: [0.0; PITCHES],
            remaining: [0.0; PITCHES],
            last: None,
            before: None,
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

    /// Seconds that `pitch` sounds on at the onset `step` seconds after the last one; 0: it does not.
    pub(crate) fn sounds_on(&self, pitch: usize, step: f32) -> f32 {
        let left = self.lately.remaining[pitch] - step;
        if left > OVERLAP_S { left } else { 0.0 }
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
        match self.lately.last {
            Some(last) if step == 0.0 => last + 1,
            _ => 0,
        }
    }
}

impl Lately {
    /// Takes in the next note, but for [`Lately::loops`].
    fn feed(&mut self, note: &Successor) {
        let step = note.step as f32;
        let pitch = usize::from(note.pitch.min(127));
        self.place = match self.last {
            Some(_) if note.step == 0.0 => self.place.saturating_add(1),
            _ => 0,
        };
        for remaining in &mut self.remaining {
            *remaining = (*remaining - step).max(0.0);
        }
        self.remaining[pitch] = self.remaining[pitch].max(note.duration as f32);
        decay(&mut self.fast, FAST, pitch % 12);
        decay(&mut self.slow, SLOW, pitch % 12);
        decay(&mut self.home, HOME, pitch % 12);
        self.home_weight = HOME * self.home_weight + 1.0 - HOME;
        decay(&mut self.pitches, PITCH, pitch);
        decay(&mut self.recent, RECENT, pitch);
        self.velocity = match self.last {
            None => f32::from(note.velocity),
            Some(_) => 0.9 * self.velocity + 0.1 * f32::from(note.velocity),
        };
        let again = |count: u8, as_before: Option<u8>| match as_before {
            Some(before) if usize::from(before) == pitch => count.saturating_add(1),
            _ => 0,
        };
        self.run = again(self.run, self.last);
        self.alternation = again(self.alternation, self.before);
        self.running.feed(note);
        self.turn.feed(note, &self.rhythm, self.last.is_none());
        self.rhythm.feed(note, self.last.is_none());
        self.moment = self.moment.after(note.step);
        self.before = self.last;
        self.last = Some(pitch as u8);
    }
}

/// Lets a profile fade by `factor` and counts one more in `class`, so that it sums to 1 in the long run.
fn decay(profile: &mut [f32], factor: f32, class: usize) {
    for value in profile.iter_mut() {
        *value *= factor;
    }
    profile[class] += 1.0 - factor;
}
