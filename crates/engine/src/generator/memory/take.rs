//! The current take, with the network's state before its latest notes, so that it can go back to any of them at once. In a
//! duet it contains the player's notes too.

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
use super::script::{Script, replayed};
use super::{PhraseHistory, Spare};
use crate::generator::analysis::PhraseAnalysis;
use crate::generator::grid::Beats;
use crate::generator::phrasing::{Cue, Phrasing, Trail, phrase_beats};
use crate::link::messages::{Begin, ON_END_S, Place, REACTION_S, Revision, Source, loop_beats};
use crate::settings::{BeatSource, GenerationParams, Length};

/// Notes that it can go back to: those of the look-ahead, and as many that may still sound.
const STATES: usize = 128;
/// How many of the latest sounding notes are corrected to the duration that they had in the end: the player's, and after a
/// cut the network's own. Few enough to be in `steps` however far ahead the thread has generated, since what is
/// remembered must not depend on that.
const CORRECTED: usize = 32;
/// After a hand-over by trigger or button, a longer pause before it counts as this, in seconds: after a long silence the
/// network would draw a late entry.
const CALLED_S: f64 = 0.5;

/// The network gets what is left of the turn as an input only within these limits, in its own seconds and in notes: it
/// was trained on nothing farther.
const CLOSES_S: f64 = 30.0;
const CLOSES_NOTES: u32 = 150;

/// How to play a take.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Its place on the host's timeline.
    pub place: Place,
    /// The parameters that shape it.
    pub generation: GenerationParams,
    /// What ends it.
    pub length: Length,
}

/// A note of the take.
#[derive(Debug)]
struct Step {
    author: Author,
    /// Onset in seconds since the hand-over.
    note: Note,
    /// As it was fed to the network, at `speed`.
    heard: Successor,
    /// The other inputs at the note's onset.
    moment: Moment,
    speed: f64,
    /// The network's state before it; only every other note has one, to save memory.
    before: Option<Snapshot>,
    trail: Trail,
}

/// Who plays a note.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Author {
    /// The network. `next`: the place after it in the script, if there is one.
    Network { next: u64 },
    /// The player, in a duet. `lasted`: seconds until the key was released, if it has been.
    Player { lasted: Option<f64> },
}

impl Step {
    fn is_mine(&self) -> bool {
        matches!(self.author, Author::Network { .. })
    }
}

/// Where the next note comes from.
#[derive(Debug)]
enum NoteSource {
    /// It is sampled from the network.
    Network,
    /// It is sampled until the loop, of this length in seconds, is full; then the loop repeats.
    UntilLoop(f64),
    /// It is known: a replay or a loop.
    Script(Script),
}

/// What the take needs to know of the player's phrase.
#[derive(Debug)]
struct Phrase {
    /// Analysis of its notes, including those that joined in a duet.
    analysis: PhraseAnalysis,
    /// Its beats, if it has any; `None`: not computed yet.
    pulse: Option<Option<Beats>>,
    /// Running mean of its notes' durations, in seconds.
    usual_s: f64,
    /// The notes that the player held when the take began.
    held: Option<Held>,
}

/// The notes of a take, and what came before them.
#[derive(Debug)]
struct Played {
    /// The latest notes, at most [`STATES`].
    steps: VecDeque<Step>,
    /// The notes before those.
    past: Past,
    /// Onset of the last note before the take; `None`: there was none.
    previous: Option<f64>,
    /// The network's state before the take, to return to if nothing of it is heard.
    origin: Snapshot,
}

/// A take; see the [module](self). Times are in seconds since the hand-over unless stated otherwise.
#[derive(Debug)]
pub struct Take {
    /// The command that began it; its revision is that of the latest notes.
    begin: Begin,
    manner: Manner,
    phrase: Phrase,
    played: Played,
    phrasing: Phrasing,
    /// What the next note needs to know of the notes so far.
    trail: Trail,
    /// The notes that the search has chosen and that are not played yet.
    plan: Plan,
    note_source: NoteSource,
    /// The place in the script.
    next: u64,
    /// There are no more notes, and [`Take::next`] has said so.
    done: bool,
    /// The next note must not begin before this.
    floor: f64,
    /// Spare snapshots of the history, on loan for the length of the take.
    spare: Spare,
}

impl Take {
    /// Begins a take.
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
        let analysis = memory.analysis.clone();
        let pulse = phrase_beats(&generation.rhythm, &analysis, at);
        let known = || memory.record.as_deref().map_or(Vec::new(), |record| replayed(record, &place));
        let lasted = memory.record.as_deref().map_or(0.0, |record| record.lasted_s * record.beats_per_second);
        let note_source = match source {
            Source::GoOn | Source::Alone | Source::Another => NoteSource::Network,
            Source::Again => NoteSource::Script(Script::once(known())),
            Source::Frozen { bars } => {
                let length = loop_beats(lasted, bars.then_some(place.bar)) / place.beats_per_second;
                NoteSource::Script(Script::round(known(), 0.0, length))
            }
        };
        let mut take = Self {
            begin,
            manner: Manner { place, generation, length },
            phrasing: Phrasing::new(&decoder.network().card().controls, &generation, &place, &analysis, pulse),
            phrase: Phrase {
                analysis,
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
            note_source,
            next: 0,
            done: false,
            floor: 0.0,
            spare: std::mem::take(&mut memory.spare),
        };
        take.plan.set_takes(generation.search.into());
        take.orient(decoder);
        take
    }

    /// The network's next note, which is fed back to it; `None`: there are no more. Returns its revision and index too.
    /// At most one note beyond the take's length is drawn, since notes that are fed but not heard must be undone later.
    pub fn next(&mut self, memory: &PhraseHistory, decoder: &mut Decoder) -> (Revision, u32, Option<Note>) {
        let index = self.index();
        if let (NoteSource::Network, Length::Notes(notes)) = (&self.note_source, self.manner.length)
            && index >= notes
        {
            self.done = true;
            return (self.begin.revision, index, None);
        }
        if let NoteSource::Network | NoteSource::UntilLoop(_) = self.note_source {
            let note = self.draw(memory, decoder, index);
            match self.note_source {
                NoteSource::UntilLoop(round) if note.struck().max(note.onset) >= round - ON_END_S => {
                    self.note_source = NoteSource::Script(self.loop_until(round));
                    self.next = 0;
                    // Places in an earlier script are no longer valid.
                    for step in self.played.steps.iter_mut().filter(|step| step.is_mine()) {
                        step.author = Author::Network { next: 0 };
                    }
                }
                _ => {
                    let length = self.manner.length;
                    self.done = matches!((&self.note_source, length), (NoteSource::Network, Length::Seconds(end)) if note.onset >= end);
                    self.hear(decoder, note, Author::Network { next: 0 }, self.phrasing.speed());
                    return (self.begin.revision, index, Some(note));
                }
            }
        }
        let note = self.read();
        if let Some(note) = note {
            self.hear(decoder, note, Author::Network { next: self.next }, self.phrasing.speed());
        }
        self.done = note.is_none();
        (self.begin.revision, index, note)
    }

    /// The seed of its random stream: takes of one phrase must not repeat each other's choices.
    fn seed(&self) -> u64 {
        self.manner.generation.seed ^ u64::from(self.begin.number) << 32
    }

    /// How many notes are planned and not played yet.
    pub fn planned(&self) -> usize {
        self.plan.len()
    }

    /// The network's other inputs at an onset, after `notes` notes of its own; the rest is as `already`.
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
        let left = match (&self.note_source, seconds, self.manner.length) {
            (NoteSource::Script(_) | NoteSource::UntilLoop(_), ..) => None,
            (NoteSource::Network, Some(seconds), _) => {
                Some(Left::Seconds(seconds.max(0.0))).filter(|_| seconds <= CLOSES_S)
            }
            (NoteSource::Network, None, Length::Notes(all)) => {
                Some(Left::Notes(all.saturating_sub(notes))).filter(|_| all <= notes + CLOSES_NOTES)
            }
            (NoteSource::Network, None, _) => None,
        };
        Moment { meter, left, ..already }
    }

    /// Updates the inputs for the note that comes next: the tempo, the bars or the end of the turn may have changed since
    /// the last note was fed.
    fn orient(&self, decoder: &mut Decoder) {
        // Before the first note, the one before it counts as the hand-over's.
        let onset = self.latest_onset().unwrap_or(0.0);
        decoder.set_moment(self.moment(onset, self.index(), decoder.moment()));
    }

    /// Takes the next note from the plan; draws one if the plan is empty.
    fn draw(&mut self, memory: &PhraseHistory, decoder: &mut Decoder, index: u32) -> Note {
        if let Some(note) = self.plan.next() {
            return note;
        }
        let cue = self.cue(index);
        let own = self.played.past.latest(MOST_NOTES).chain(self.played.steps.iter().map(|step| step.note));
        let left = if let (NoteSource::Network, Length::Notes(all)) = (&self.note_source, self.manner.length) {
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

    /// The next note of the script, except notes that were kept when the take went back, which may be out of order.
    fn read(&mut self) -> Option<Note> {
        let NoteSource::Script(script) = &self.note_source else {
            return None;
        };
        loop {
            let note = script.note(self.next)?;
            self.next += 1;
            let stayed = |step: &Step| step.author == Author::Network { next: self.next };
            if !self.played.steps.iter().rev().any(stayed) {
                return Some(note);
            }
        }
    }

    /// Applies a new manner from `since` on: goes back to the last note struck before it.
    pub fn change(&mut self, decoder: &mut Decoder, revision: Revision, since: f64, manner: Manner) {
        self.plan.set_takes(manner.generation.search.into());
        self.manner = manner;
        self.resume(decoder, revision, since);
        self.rephrase(decoder);
        self.orient(decoder);
    }

    /// Applies the present parameters to the notes to come.
    fn rephrase(&mut self, decoder: &Decoder) {
        let generation = &self.manner.generation;
        if self.phrase.pulse.is_none() {
            self.phrase.pulse = phrase_beats(&generation.rhythm, &self.phrase.analysis, self.begin.at).map(Some);
        }
        let pulse = self.phrase.pulse.flatten().filter(|_| generation.rhythm.pulse == BeatSource::Phrase);
        self.phrasing = Phrasing::new(
            &decoder.network().card().controls,
            generation,
            &self.manner.place,
            &self.phrase.analysis,
            pulse,
        );
    }

    /// In a duet, the player strikes a key at `since`; notes before `from` stay as they are.
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
        let author = Author::Player { lasted: None };
        let speed = self.phrasing.speed();
        // Notes struck together form a chord, no matter who plays them: one onset, ascending pitches.
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
            return; // both struck the same key: one note
        }
        let above: Vec<_> =
            self.played.steps.iter().skip(place).map(|step| (step.note, step.author, step.speed)).collect();
        self.go_back(decoder, place);
        self.hear(decoder, note, author, speed);
        for (note, author, speed) in above {
            self.hear(decoder, note, author, speed);
        }
    }

    /// In a duet, the player releases a key (`None`: all) at `since`. The network is fed the corrected durations when it
    /// next goes back.
    pub fn leave(&mut self, memory: &mut PhraseHistory, since: f64, pitch: Option<u8>) {
        let open = |step: &&mut Step| step.author == Author::Player { lasted: None };
        let which = |step: &&mut Step| pitch.is_none_or(|pitch| step.note.pitch == pitch);
        for step in self.played.steps.iter_mut().filter(open).filter(which) {
            let lasted = (since - step.note.onset).max(step.note.spread);
            step.author = Author::Player { lasted: Some(lasted) };
            memory.lasted(lasted);
            self.phrase.usual_s = memory.usual_s;
        }
    }

    /// A note that the player may have held when the take began has ended; `note` is in stream seconds. The network is fed
    /// the corrected duration when it next goes back.
    pub fn let_go(&mut self, note: &Note) {
        if let Some(held) = &mut self.phrase.held {
            held.ended(note);
        }
    }

    /// Loops what is played until `since`, which is the end of a loop of `round` seconds.
    pub fn freeze(&mut self, decoder: &mut Decoder, revision: Revision, since: f64, round: f64) {
        self.note_source = NoteSource::UntilLoop(round);
        if self.played.steps.iter().any(|step| step.note.struck() >= since) {
            // Everything before `since` is complete: a new plan might add notes to a chord that has sounded.
            self.resume(decoder, revision, since);
        } else {
            // Until then it plays as planned.
            (self.begin.revision, self.done) = (revision, false);
        }
        self.orient(decoder);
    }

    /// Ends the loop at `since`: the network continues from there.
    pub fn thaw(&mut self, decoder: &mut Decoder, revision: Revision, since: f64) {
        self.note_source = NoteSource::Network;
        self.resume(decoder, revision, since);
        self.orient(decoder);
    }

    /// Goes back to the last note struck before `since`, to continue from there.
    fn resume(&mut self, decoder: &mut Decoder, revision: Revision, since: f64) {
        self.begin.revision = revision;
        self.plan.void();
        self.keep(decoder, since, false, |_, note| note.struck() < since);
        if let NoteSource::Script(script) = &self.note_source
            && let Some((begin, round)) = script.rounds()
            && since < begin
        {
            // The loop is not full yet.
            self.note_source = NoteSource::UntilLoop(round);
        }
        self.floor = self.floor.max(since);
        self.done = false;
    }

    /// The loop that begins at `round`: everything before it, or as many of the latest bars as are still known.
    fn loop_until(&self, round: f64) -> Script {
        let from = self.played.past.heard_from(self.bar()).filter(|from| *from < round);
        Script::round(self.own_notes(from), round, round - from.unwrap_or(0.0))
    }

    /// The length of a bar, in seconds.
    fn bar(&self) -> f64 {
        self.manner.place.bar / self.manner.place.beats_per_second
    }

    /// The onset of the latest note; minus infinity if there is none.
    pub fn last_onset(&self) -> f64 {
        self.played.steps.back().map_or(f64::NEG_INFINITY, |step| step.note.onset)
    }

    /// How many notes begin at `progress` or later.
    pub fn ahead_of(&self, progress: f64) -> usize {
        self.played.steps.iter().rev().take_while(|step| step.note.onset >= progress).count()
    }

    /// Whether [`Take::next`] has said that there are no more notes.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The index of the network's next note.
    fn index(&self) -> u32 {
        self.played.past.own() + self.played.steps.iter().filter(|step| step.is_mine()).count() as u32
    }

    /// The network's notes so far, from this moment on; `None`: all.
    fn own_notes(&self, from: Option<f64>) -> Vec<Note> {
        let present = self.played.steps.iter().filter(|step| step.is_mine()).map(|step| step.note);
        self.played.past.played(true).chain(present).filter_map(|note| relative_to(from, note)).collect()
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

/// The note relative to `from` (`None`: the hand-over), if it begins there or later.
fn relative_to(from: Option<f64>, note: Note) -> Option<Note> {
    let from = from.unwrap_or(f64::NEG_INFINITY);
    (note.onset >= from).then(|| Note { onset: note.onset - from.max(0.0), ..note })
}
