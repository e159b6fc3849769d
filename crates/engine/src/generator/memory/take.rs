//! The take under way, with the network's state before each of its notes, so that it can go back to
//! any of them at once. In a duet the player's notes stand among its own.

mod ending;
mod steps;

use std::collections::VecDeque;

use model::critic::MOST_NOTES;
use model::{Decoder, Left, Meter, Moment, Snapshot};
use notes::chords::WINDOW_S;
use notes::{Note, Successor};

use super::held::Held;
use super::past::Past;
use super::plan::{Plan, Start};
use super::script::Script;
use super::{PhraseHistory, Spare};
use crate::generator::analysis::PhraseAnalysis;
use crate::generator::grid::Beats;
use crate::generator::phrasing::{Cue, Phrasing, Trail, phrase_beats};
use crate::link::messages::{Begin, ON_END_S, Place, REACTION_S, Revision, Source, loop_beats};
use crate::link::takes::TakeRecord;
use crate::settings::{BeatSource, GenerationParams, Length};

/// Notes that it can go back to: the look-ahead and as many again, which may still sound.
const STATES: usize = 128;
/// Of what has sounded, the latest notes, which are given the length they came to have: the player's, and at a cut the
/// model's own. Few enough to be at hand however far ahead the thread has generated: what is remembered must not depend on that.
const CORRECTED: usize = 32;
/// Who is called upon to play counts no longer pause than this before it, in seconds: after a long
/// one, a network that waits on would be late.
const CALLED_S: f64 = 0.5;

/// The network is told of the turn's end from so many seconds of its time, or so many notes, before it: it knows no
/// farther ones.
const CLOSES_S: f64 = 30.0;
const CLOSES_NOTES: u32 = 150;

/// How a take is to be played.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Where it lies in the host's time.
    pub place: Place,
    /// As the player wishes.
    pub generation: GenerationParams,
    /// Until when.
    pub length: Length,
}

/// A note of the take.
#[derive(Debug)]
struct Step {
    voice: Voice,
    /// Onset in seconds since the hand-over.
    note: Note,
    /// As the network has heard it, at this speed.
    heard: Successor,
    /// What it was told at the note's onset.
    moment: Moment,
    speed: f64,
    /// What the network knew before it: every other note has that, which takes half the memory.
    before: Option<Snapshot>,
    trail: Trail,
}

/// Who plays a note, and what else is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Voice {
    /// The model; the place after it in the script, if it stands in one.
    Mine { next: u64 },
    /// The player, in a duet. `Some`: the key came up after so many seconds.
    Yours { lasted: Option<f64> },
}

impl Step {
    fn is_mine(&self) -> bool {
        matches!(self.voice, Voice::Mine { .. })
    }
}

/// Where the next note comes from.
#[derive(Debug)]
enum Hand {
    /// The network draws it.
    Free,
    /// The network draws until a round, of so many seconds, is full; then it all comes again.
    Closing(f64),
    /// It is known.
    Script(Script),
}

/// What the player's phrase says to the take.
#[derive(Debug)]
struct Phrase {
    /// What its notes say, those that have joined included.
    ear: PhraseAnalysis,
    /// Its beats; `None`: nobody has asked for them yet.
    pulse: Option<Option<Beats>>,
    /// How long its notes last lately, in seconds.
    usual_s: f64,
    /// What the player held when the take began.
    held: Option<Held>,
}

/// The notes of a take, and what came before them.
#[derive(Debug)]
struct Played {
    /// The latest notes, at most [`STATES`]; those before have left.
    steps: VecDeque<Step>,
    /// Those that have left `steps`.
    past: Past,
    /// Onset of the last note before the take; `None`: nothing was heard.
    previous: Option<f64>,
    /// The state before the take, if nothing of it comes to sound.
    origin: Snapshot,
}

/// See the [module](self). Times are seconds since its hand-over, if not said otherwise.
#[derive(Debug)]
pub struct Take {
    /// How it began; the revision is that of its latest notes.
    begin: Begin,
    manner: Manner,
    phrase: Phrase,
    played: Played,
    phrasing: Phrasing,
    /// What of the notes so far matters for the next one.
    trail: Trail,
    /// What comes next, as far as it is chosen already.
    plan: Plan,
    hand: Hand,
    /// The place in the script.
    next: u64,
    /// There are no more notes, and that has been said.
    done: bool,
    /// The next note must not begin before this.
    floor: f64,
    /// The memory's, borrowed for the time of the take.
    spare: Spare,
}

impl Take {
    /// Takes the turn.
    pub fn begin(memory: &mut PhraseHistory, decoder: &mut Decoder, begin: Begin) -> Self {
        let Begin { at, source, place, generation, length, .. } = begin;
        if source == Source::Another && memory.ends_with_take() {
            memory.undo(decoder);
            memory.set_apart();
        } else if source != Source::Again {
            memory.others.clear();
        }
        if source == Source::Again
            && let Some(chosen) = memory.chosen.take()
        {
            memory.record = Some(chosen);
        }
        let origin = memory.spare.snapshot(decoder);
        if source == Source::Alone {
            decoder.reset();
        }
        decoder.hand_over();
        let trail = match source {
            Source::Alone => Trail::default(),
            _ => Trail::after(&memory.recent()),
        };
        let ear = memory.ear.clone();
        let pulse = phrase_beats(&generation.rhythm, &ear, at);
        let known = || memory.record.as_deref().map_or(Vec::new(), |record| replayed(record, &place));
        let lasted = memory.record.as_deref().map_or(0.0, |record| record.lasted_s * record.beats_per_second);
        let hand = match source {
            Source::GoOn | Source::Alone | Source::Another => Hand::Free,
            Source::Again => Hand::Script(Script::once(known())),
            Source::Frozen { bars } => {
                let length = loop_beats(lasted, bars.then_some(place.bar)) / place.beats_per_second;
                Hand::Script(Script::round(known(), 0.0, length))
            }
        };
        let mut take = Self {
            begin,
            manner: Manner { place, generation, length },
            phrasing: Phrasing::new(&decoder.network().card().controls, &generation, &place, &ear, pulse),
            phrase: Phrase {
                ear,
                pulse: pulse.map(Some),
                usual_s: memory.usual_s,
                held: memory.held.take().filter(|_| source != Source::Alone),
            },
            played: Played {
                steps: VecDeque::with_capacity(STATES),
                past: Past::default(),
                previous: memory.latest.filter(|_| source != Source::Alone).map(|latest| latest - at),
                origin,
            },
            trail,
            plan: match source {
                Source::Alone => Plan::new(Vec::new(), Vec::new()),
                _ => Plan::new(memory.latest_phrase(), memory.others.clone()),
            },
            hand,
            next: 0,
            done: false,
            floor: 0.0,
            spare: std::mem::take(&mut memory.spare),
        };
        take.plan.set_takes(generation.search.into());
        take.orient(decoder);
        take
    }

    /// The next note of its own, heard by the network; `None`, once: there are no more. Never more than one
    /// that is beyond the take's length: what the network hears and no one else is to be taken back yet.
    pub fn next(&mut self, memory: &PhraseHistory, decoder: &mut Decoder) -> (Revision, u32, Option<Note>) {
        let index = self.index();
        if let (Hand::Free, Length::Notes(notes)) = (&self.hand, self.manner.length)
            && index >= notes
        {
            self.done = true;
            return (self.begin.revision, index, None);
        }
        if let Hand::Free | Hand::Closing(_) = self.hand {
            let note = self.draw(memory, decoder, index);
            match self.hand {
                Hand::Closing(round) if note.struck().max(note.onset) >= round - ON_END_S => {
                    self.hand = Hand::Script(self.loop_until(round));
                    self.next = 0;
                    // What stands in an earlier script stands in none now.
                    for step in self.played.steps.iter_mut().filter(|step| step.is_mine()) {
                        step.voice = Voice::Mine { next: 0 };
                    }
                }
                _ => {
                    let length = self.manner.length;
                    self.done = matches!((&self.hand, length), (Hand::Free, Length::Seconds(end)) if note.onset >= end);
                    self.hear(decoder, note, Voice::Mine { next: 0 }, self.phrasing.speed());
                    return (self.begin.revision, index, Some(note));
                }
            }
        }
        let note = self.read();
        if let Some(note) = note {
            self.hear(decoder, note, Voice::Mine { next: self.next }, self.phrasing.speed());
        }
        self.done = note.is_none();
        (self.begin.revision, index, note)
    }

    /// The seed of its random numbers: takes of one phrase must not repeat each other's choices.
    fn seed(&self) -> u64 {
        self.manner.generation.seed ^ u64::from(self.begin.number) << 32
    }

    /// How many notes are planned and not played yet.
    pub fn planned(&self) -> usize {
        self.plan.len()
    }

    /// What is known at an onset of the take, when so many notes of its own have begun, beside what is known `already`.
    fn moment(&self, onset: f64, notes: u32, already: Moment) -> Moment {
        let Place { beats_per_second, beat, bar, running } = self.manner.place;
        let speed = self.phrasing.speed();
        let meter = running.then(|| Meter {
            beat_s: speed / beats_per_second,
            position: (beat + onset * beats_per_second).rem_euclid(bar),
            bar,
        });
        let bars_s = self.manner.generation.bars.map(|bars| (f64::from(bars.max(1)) * bar - beat) / beats_per_second);
        let length_s = if let Length::Seconds(seconds) = self.manner.length { Some(seconds) } else { None };
        let seconds = bars_s.into_iter().chain(length_s).reduce(f64::min).map(|end| (end - onset) * speed);
        let left = match (&self.hand, seconds, self.manner.length) {
            (Hand::Script(_) | Hand::Closing(_), ..) => None,
            (Hand::Free, Some(seconds), _) => Some(Left::Seconds(seconds.max(0.0))).filter(|_| seconds <= CLOSES_S),
            (Hand::Free, None, Length::Notes(all)) => {
                Some(Left::Notes(all.saturating_sub(notes))).filter(|_| all <= notes + CLOSES_NOTES)
            }
            (Hand::Free, None, _) => None,
        };
        Moment { meter, left, ..already }
    }

    /// The network is told what is known now of the note that the next one follows: the tempo, the bars or the end of
    /// the turn may have changed since.
    fn orient(&self, decoder: &mut Decoder) {
        // Before the first note, the one before it counts as the hand-over's.
        let onset = self.latest_onset().unwrap_or(0.0);
        decoder.set_moment(self.moment(onset, self.index(), decoder.moment()));
    }

    /// Draws the next note, or takes it from the plan.
    fn draw(&mut self, memory: &PhraseHistory, decoder: &mut Decoder, index: u32) -> Note {
        if let Some(note) = self.plan.next() {
            return note;
        }
        let cue = self.cue(index);
        let own = self.played.past.latest(MOST_NOTES).chain(self.played.steps.iter().map(|step| step.note));
        let left = if let (Hand::Free, Length::Notes(all)) = (&self.hand, self.manner.length) {
            all - index
        } else {
            u32::MAX
        };
        let (phrasing, trail, learned) = (&self.phrasing, &self.trail, &memory.learned);
        self.plan.make(decoder, Start { phrasing, trail, learned, cue, so_far: own.collect(), left: left as usize });
        self.plan.next().unwrap_or_else(|| self.phrasing.draw(decoder, &self.trail, &memory.learned, &cue))
    }

    /// When the next note may come.
    fn cue(&self, index: u32) -> Cue {
        let previous = self.latest_onset();
        let silence = previous.map_or(0.0, |previous| self.floor - previous);
        let called = self.begin.called && self.played.steps.is_empty();
        let pause = if called { (silence - CALLED_S).max(0.0) } else { 0.0 };
        Cue { seed: self.seed(), index, previous, floor: self.floor, pause }
    }

    /// The next note of the script, but those that stayed when it went back: they need not be in the script's order.
    fn read(&mut self) -> Option<Note> {
        let Hand::Script(script) = &self.hand else {
            return None;
        };
        loop {
            let note = script.note(self.next)?;
            self.next += 1;
            let stayed = |step: &Step| step.voice == Voice::Mine { next: self.next };
            if !self.played.steps.iter().rev().any(stayed) {
                return Some(note);
            }
        }
    }

    /// From `since` on, plays otherwise: back to the last note struck before it.
    pub fn change(&mut self, decoder: &mut Decoder, revision: Revision, since: f64, manner: Manner) {
        self.plan.set_takes(manner.generation.search.into());
        self.manner = manner;
        self.resume(decoder, revision, since);
        self.rephrase(decoder);
        self.orient(decoder);
    }

    /// Plays on as is wished for now.
    fn rephrase(&mut self, decoder: &Decoder) {
        let generation = &self.manner.generation;
        if self.phrase.pulse.is_none() {
            self.phrase.pulse = phrase_beats(&generation.rhythm, &self.phrase.ear, self.begin.at).map(Some);
        }
        let pulse = self.phrase.pulse.flatten().filter(|_| generation.rhythm.pulse == BeatSource::Phrase);
        self.phrasing =
            Phrasing::new(&decoder.network().card().controls, generation, &self.manner.place, &self.phrase.ear, pulse);
    }

    /// A key of the player's goes down at `since`, while the model plays on; its notes before `from` stay.
    pub fn join(
        &mut self,
        decoder: &mut Decoder,
        revision: Revision,
        (since, from): (f64, f64),
        pitch: u8,
        velocity: u8,
    ) {
        self.resume(decoder, revision, from);
        self.floor = self.floor.max(since + REACTION_S);
        let note = Note { onset: since, spread: 0.0, duration: self.phrase.usual_s, pitch, velocity };
        let voice = Voice::Yours { lasted: None };
        let speed = self.phrasing.speed();
        // Notes struck together are a chord, whoever plays them: one onset, pitches ascending.
        let after = self.played.steps.iter().rposition(|step| step.note.onset <= since).map_or(0, |place| place + 1);
        let chord = after.checked_sub(1).map(|last| self.played.steps[last].note.onset);
        let (place, note) = match chord.filter(|onset| since - onset <= WINDOW_S) {
            Some(onset) => {
                let before = self.played.steps.range(..after);
                let place = before.rev().position(|step| step.note.onset < onset || step.note.pitch <= pitch);
                let spread = since - onset;
                let note = Note { onset, spread, duration: spread + note.duration, ..note };
                (place.map_or(0, |place| after - place), note)
            }
            None => (after, note),
        };
        let onset = note.onset;
        if place > 0
            && self.played.steps[place - 1].note.pitch == pitch
            && self.played.steps[place - 1].note.onset == onset
        {
            return; // both struck the same key: that is one note
        }
        let above: Vec<_> =
            self.played.steps.iter().skip(place).map(|step| (step.note, step.voice, step.speed)).collect();
        self.go_back(decoder, place);
        self.hear(decoder, note, voice, speed);
        for (note, voice, speed) in above {
            self.hear(decoder, note, voice, speed);
        }
    }

    /// Keys of the player's that have joined come up at `since`. The network learns of it when it
    /// next generates again.
    pub fn leave(&mut self, memory: &mut PhraseHistory, since: f64, pitch: Option<u8>) {
        let open = |step: &&mut Step| step.voice == Voice::Yours { lasted: None };
        let which = |step: &&mut Step| pitch.is_none_or(|pitch| step.note.pitch == pitch);
        for step in self.played.steps.iter_mut().filter(open).filter(which) {
            let lasted = (since - step.note.onset).max(step.note.spread);
            step.voice = Voice::Yours { lasted: Some(lasted) };
            memory.lasted(lasted);
            self.phrase.usual_s = memory.usual_s;
        }
    }

    /// A note that the player held when the take began may have ended: how it was played in the end, in seconds of the
    /// stream. The network learns of it when it next generates again.
    pub fn let_go(&mut self, note: &Note) {
        if let Some(held) = &mut self.phrase.held {
            held.ended(note);
        }
    }

    /// What is played until `since`, the end of a `round`, comes again from there on, as often as it can.
    pub fn freeze(&mut self, decoder: &mut Decoder, revision: Revision, since: f64, round: f64) {
        self.hand = Hand::Closing(round);
        if self.played.steps.iter().any(|step| step.note.struck() >= since) {
            // What comes before is all there: another plan might add to a chord that has sounded.
            self.resume(decoder, revision, since);
        } else {
            // Up to there it plays on as planned.
            (self.begin.revision, self.done) = (revision, false);
        }
        self.orient(decoder);
    }

    /// From `since` on, plays freely again.
    pub fn thaw(&mut self, decoder: &mut Decoder, revision: Revision, since: f64) {
        self.hand = Hand::Free;
        self.resume(decoder, revision, since);
        self.orient(decoder);
    }

    /// Back to the last note struck before `since`, to generate again from there.
    fn resume(&mut self, decoder: &mut Decoder, revision: Revision, since: f64) {
        self.begin.revision = revision;
        self.plan.void();
        self.keep(decoder, since, false, |_, note| note.struck() < since);
        if let Hand::Script(script) = &self.hand
            && let Some((begin, round)) = script.rounds()
            && since < begin
        {
            // What is to come again is not all played yet.
            self.hand = Hand::Closing(round);
        }
        self.floor = self.floor.max(since);
        self.done = false;
    }

    /// What is played until `round` comes again from there on; of a take that is too long for that, its latest bars.
    fn loop_until(&self, round: f64) -> Script {
        let from = self.played.past.heard_from(self.bar()).filter(|from| *from < round);
        Script::round(self.own_notes(from), round, round - from.unwrap_or(0.0))
    }

    /// A bar, in seconds.
    fn bar(&self) -> f64 {
        self.manner.place.bar / self.manner.place.beats_per_second
    }

    /// The onset of the latest note; before the first one, minus infinity.
    pub fn last_onset(&self) -> f64 {
        self.played.steps.back().map_or(f64::NEG_INFINITY, |step| step.note.onset)
    }

    /// How many notes begin at `progress` or later.
    pub fn ahead_of(&self, progress: f64) -> usize {
        self.played.steps.iter().rev().take_while(|step| step.note.onset >= progress).count()
    }

    /// Whether it has said that there are no more notes.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The number of the next note of its own.
    fn index(&self) -> u32 {
        self.played.past.own() + self.played.steps.iter().filter(|step| step.is_mine()).count() as u32
    }

    /// The notes of its own so far, from this moment on.
    fn own_notes(&self, from: Option<f64>) -> Vec<Note> {
        let present = self.played.steps.iter().filter(|step| step.is_mine()).map(|step| step.note);
        self.played.past.played(true).chain(present).filter_map(|note| told_from(from, note)).collect()
    }

    /// The onset of the note that the next one follows.
    fn latest_onset(&self) -> Option<f64> {
        self.played
            .steps
            .back()
            .map(|step| step.note.onset)
            .or(self.played.past.latest_onset())
            .or(self.played.previous)
    }
}

/// The note, if it begins there or later, told from this moment; `None`: from the hand-over, as it is.
fn told_from(from: Option<f64>, note: Note) -> Option<Note> {
    let from = from.unwrap_or(f64::NEG_INFINITY);
    (note.onset >= from).then(|| Note { onset: note.onset - from.max(0.0), ..note })
}

/// The notes of a take as they come again at another tempo: at the same beats.
fn replayed(record: &TakeRecord, place: &Place) -> Vec<Note> {
    let stretch = record.beats_per_second / place.beats_per_second;
    let note = |note: &Note| Note {
        onset: note.onset * stretch,
        // A chord's spread is the hand's, not the music's.
        duration: (note.duration * stretch).max(note.spread),
        ..*note
    };
    record.notes.iter().map(note).collect()
}
