//! The current take, with the network's state before its latest notes, so that it can go back to any of them at once. In a
//! duet it contains the player's notes too.

mod ending;
mod freeze;
mod steps;

use std::collections::VecDeque;

use model::critic::MAX_NOTES;
use model::{Conditioning, Decoder, Meter, Remaining, Snapshot};
use notes::chords::WINDOW_S;
use notes::{Note, Successor};

use self::freeze::{Freeze, LOOP};
use super::held::HeldNotes;
use super::past::Past;
use super::plan::{Plan, PlanStart};
use super::script::{Script, replayed};
use super::{PhraseHistory, SnapshotPool};
use crate::generator::analysis::PhraseAnalysis;
use crate::generator::grid::Beats;
use crate::generator::phrasing::{Cue, Phrasing, Sampled, Trail, phrase_beats};
use crate::generator::pulse::Pulse;
use crate::link::messages::{Begin, Generated, REACTION_S, Revision, Source, TimelinePosition, loop_beats};
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
pub struct TakeSettings {
    /// Its place on the host's timeline.
    pub position: TimelinePosition,
    /// The parameters that shape it.
    pub generation: GenerationParams,
    /// What ends it.
    pub length: Length,
}

/// A note of the take.
#[derive(Debug)]
struct Step {
    author: Author,
    /// As it sounds. Onset in seconds since the hand-over.
    note: Note,
    /// How long it would sound without the limits, in seconds.
    unlimited_s: f64,
    /// As it was fed to the network, at `speed`.
    fed: Successor,
    /// The other inputs at the note's onset.
    moment: Conditioning,
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
    /// The note with its length without the limits.
    fn sampled(&self) -> Sampled {
        Sampled { note: self.note, unlimited_s: self.unlimited_s }
    }

    fn is_by_antiphon(&self) -> bool {
        matches!(self.author, Author::Network { .. })
    }
}

/// Where the next note comes from.
#[derive(Debug)]
enum NoteSource {
    /// It is sampled from the network.
    Network,
    /// It is known: a replay or a loop.
    Script(Script),
}

/// What the take needs to know of the player's phrase.
#[derive(Debug)]
struct PhraseContext {
    /// Analysis of its notes, including those that joined in a duet.
    analysis: PhraseAnalysis,
    /// Its beats, if it has any; `None`: not computed yet.
    pulse: Option<Option<Beats>>,
    /// Whether it was played to the host's beat.
    is_on_beat: bool,
    /// Running mean of its notes' durations, in seconds.
    mean_duration_s: f64,
    /// The notes that the player held when the take began.
    held: Option<HeldNotes>,
}

/// The notes of a take, and what came before them.
#[derive(Debug)]
struct TakeNotes {
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
    settings: TakeSettings,
    phrase: PhraseContext,
    notes: TakeNotes,
    phrasing: Phrasing,
    /// What the next note needs to know of the notes so far.
    trail: Trail,
    /// The notes that the search has chosen and that are not played yet.
    plan: Plan,
    note_source: NoteSource,
    /// The loop that it is frozen in.
    freeze: Option<Freeze>,
    /// The place in the script, or in the loop's from [`LOOP`] on.
    next: u64,
    /// There are no more notes, and [`Take::next`] has said so.
    done: bool,
    /// The next note must not begin before this.
    floor: f64,
    /// Spare snapshots of the history, on loan for the length of the take.
    snapshot_pool: SnapshotPool,
}

impl Take {
    /// Begins a take.
    pub fn begin(memory: &mut PhraseHistory, decoder: &mut Decoder, begin: Begin) -> Self {
        let Begin { at, source, position, generation, length, .. } = begin;
        if source == Source::NewTake && memory.ends_with_take() {
            memory.undo(decoder);
            memory.mark_rejected();
        } else if source != Source::Replay {
            memory.rejected.clear();
        }
        if source == Source::Replay
            && let Some(chosen) = memory.chosen.take()
        {
            memory.record = Some(chosen);
        }
        let origin = memory.snapshot_pool.snapshot(decoder);
        if source == Source::FromNothing {
            decoder.reset();
        }
        decoder.hand_over();
        let trail = match source {
            Source::FromNothing => Trail::default(),
            _ => Trail::after(&memory.recent()),
        };
        let analysis = memory.analysis.clone();
        let pulse = phrase_beats(&generation.rhythm, &analysis, at);
        let TimelinePosition { beats_per_second, beat, .. } = position;
        let host_beats = Pulse { period: 1.0 / beats_per_second, beat: at - beat / beats_per_second };
        let known = || memory.record.as_deref().map_or(Vec::new(), |record| replayed(record, &position));
        let lasted = memory.record.as_deref().map_or(0.0, |record| record.lasted_s * record.beats_per_second);
        let note_source = match source {
            Source::Continue | Source::FromNothing | Source::NewTake => NoteSource::Network,
            Source::Replay => NoteSource::Script(Script::once(known())),
            Source::Frozen { bars } => {
                let length = loop_beats(lasted, bars.then_some(position.bar)) / position.beats_per_second;
                NoteSource::Script(Script::round(known(), 0.0, length))
            }
        };
        let mut take = Self {
            begin,
            settings: TakeSettings { position, generation, length },
            phrasing: Phrasing::new(&decoder.network().card().controls, &generation, &position, &analysis, pulse),
            phrase: PhraseContext {
                pulse: pulse.map(Some),
                is_on_beat: source == Source::FromNothing || analysis.keeps_to(&host_beats),
                mean_duration_s: memory.mean_duration_s,
                held: memory.held.take().filter(|_| source != Source::FromNothing),
                analysis,
            },
            notes: TakeNotes {
                steps: VecDeque::with_capacity(STATES),
                past: Past::default(),
                previous: memory.latest.filter(|_| source != Source::FromNothing).map(|latest| latest - at),
                origin,
            },
            trail,
            plan: match source {
                Source::FromNothing => Plan::new(Vec::new(), Vec::new()),
                _ => Plan::new(memory.latest_phrase(), memory.rejected.clone()),
            },
            note_source,
            freeze: None,
            next: 0,
            done: false,
            floor: 0.0,
            snapshot_pool: std::mem::take(&mut memory.snapshot_pool),
        };
        take.plan.set_takes(generation.search.into());
        take.update_inputs(decoder);
        take
    }

    /// Sends the network's next note, or that there are no more, and feeds it back. It is sent first: at a hand-over that
    /// nobody could foresee, the note must not wait for the network's step after it. Returns what `send` returns.
    /// At most one note beyond the take's length is drawn, since notes that are fed but not heard must be undone later.
    pub fn next<T>(&mut self, memory: &PhraseHistory, decoder: &mut Decoder, send: impl FnOnce(Generated) -> T) -> T {
        let (revision, index) = (self.begin.revision, self.index());
        let length = self.settings.length;
        // A replay and a loop have no other end than their own.
        let ends = matches!(self.note_source, NoteSource::Network) && self.freeze.is_none();
        if ends && matches!(length, Length::Notes(notes) if index >= notes) {
            self.done = true;
            return send(Generated { revision, index, note: None });
        }
        let next = if self.is_sampled() {
            Some(self.sample(memory, decoder, index))
        } else {
            self.next_scripted().map(Sampled::whole)
        };
        let next = if self.fills_loop(next.map(|next| next.note)) {
            self.close_loop(next.is_some()).map(Sampled::whole)
        } else {
            next
        };
        let note = next.map(|next| next.note);
        let sent = send(Generated { revision, index, note });
        if let Some(sampled) = next {
            let next = if self.is_sampled() { 0 } else { self.next };
            self.feed(decoder, sampled, Author::Network { next }, self.phrasing.speed());
        }
        let over = |note: Note| ends && matches!(length, Length::Seconds(end) if note.onset >= end);
        self.done = note.is_none_or(over);
        sent
    }

    /// Whether the next note is sampled, not known.
    fn is_sampled(&self) -> bool {
        matches!(self.note_source, NoteSource::Network) && !self.is_looping()
    }

    /// The seed of its random stream: takes of one phrase must not repeat each other's choices.
    fn seed(&self) -> u64 {
        self.settings.generation.seed ^ u64::from(self.begin.number) << 32
    }

    /// How many notes are planned and not played yet.
    pub fn planned(&self) -> usize {
        self.plan.len()
    }

    /// The network's other inputs at an onset, after `notes` notes of its own; the rest is as `already`.
    fn conditioning(&self, onset: f64, notes: u32, already: Conditioning) -> Conditioning {
        let TimelinePosition { beats_per_second, beat, bar, running } = self.settings.position;
        let speed = self.phrasing.speed();
        // A beat that neither the phrase nor the grid keeps to would only mislead it.
        let rhythm = &self.settings.generation.rhythm;
        let on_grid = rhythm.strength > 0.0 && rhythm.beat_source == BeatSource::Host;
        let meter = (running && (self.phrase.is_on_beat || on_grid)).then(|| Meter {
            beat_s: speed / beats_per_second,
            position: (beat + onset * beats_per_second).rem_euclid(bar),
            bar,
        });
        let bars_s = self.settings.generation.bars.map(|bars| (f64::from(bars.max(1)) * bar - beat) / beats_per_second);
        let length_s = if let Length::Seconds(seconds) = self.settings.length { Some(seconds) } else { None };
        let seconds = bars_s.into_iter().chain(length_s).reduce(f64::min).map(|end| (end - onset) * speed);
        let left = match (self.is_sampled(), seconds, self.settings.length) {
            (false, ..) => None,
            // Until the loop is full, the input is what it would be without a loop: how many of these notes were drawn
            // before the freeze depends on how far ahead the generator was.
            (_, Some(seconds), _) => Some(Remaining::Seconds(seconds.max(0.0))).filter(|_| seconds <= CLOSES_S),
            (_, None, Length::Notes(all)) => {
                Some(Remaining::Notes(all.saturating_sub(notes))).filter(|_| all <= notes + CLOSES_NOTES)
            }
            (_, None, _) => None,
        };
        Conditioning { meter, remaining: left, ..already }
    }

    /// Updates the inputs for the note that comes next: the tempo, the bars or the end of the turn may have changed since
    /// the last note was fed.
    fn update_inputs(&self, decoder: &mut Decoder) {
        // Before the first note, the one before it counts as the hand-over's.
        let onset = self.latest_onset().unwrap_or(0.0);
        decoder.set_conditioning(self.conditioning(onset, self.index(), decoder.conditioning()));
    }

    /// Takes the next note from the plan; draws one if the plan is empty.
    fn sample(&mut self, memory: &PhraseHistory, decoder: &mut Decoder, index: u32) -> Sampled {
        if let Some(note) = self.plan.next() {
            return note;
        }
        let cue = self.cue(index);
        if self.begin.called && index == 0 {
            // A trigger or a button cannot be foreseen, so the first note must not wait for a plan.
            return self.phrasing.sample(decoder, &self.trail, &memory.learned, &cue);
        }
        let so_far = self.notes.past.latest(MAX_NOTES).chain(self.notes.steps.iter().map(Step::sampled));
        let so_far = so_far.map(|sampled| sampled.unlimited()).collect();
        // Past the last note of the turn, the network plays only until a loop is full.
        let left = match self.settings.length {
            Length::Notes(all) if index < all => all - index,
            _ => u32::MAX,
        };
        let (phrasing, trail, learned) = (&self.phrasing, &self.trail, &memory.learned);
        self.plan.extend(decoder, PlanStart { phrasing, trail, learned, cue, so_far, left: left as usize });
        self.plan.next().unwrap_or_else(|| self.phrasing.sample(decoder, &self.trail, &memory.learned, &cue))
    }

    /// When the next note may come.
    fn cue(&self, index: u32) -> Cue {
        let previous = self.latest_onset();
        let silence = previous.map_or(0.0, |previous| self.floor - previous);
        let called = self.begin.called && self.notes.steps.is_empty();
        let pause = if called { (silence - CALLED_S).max(0.0) } else { 0.0 };
        Cue { seed: self.seed(), index, previous, floor: self.floor, pause }
    }

    /// The next note of the script, except notes that were kept when the take went back, which may be out of order.
    fn next_scripted(&mut self) -> Option<Note> {
        loop {
            let note = match (self.next.checked_sub(LOOP), &self.note_source) {
                (Some(place), _) => self.freeze.as_ref()?.script()?.note(place)?,
                (None, NoteSource::Script(script)) => script.note(self.next)?,
                (None, NoteSource::Network) => return None,
            };
            self.next += 1;
            let stayed = |step: &Step| step.author == Author::Network { next: self.next };
            if !self.notes.steps.iter().rev().any(stayed) {
                return Some(note);
            }
        }
    }

    /// Applies a new manner from `since` on: goes back to the last note struck before it.
    pub fn change(&mut self, decoder: &mut Decoder, revision: Revision, since: f64, settings: TakeSettings) {
        self.plan.set_takes(settings.generation.search.into());
        self.settings = settings;
        self.resume(decoder, revision, since);
        self.update_phrasing(decoder);
        self.update_inputs(decoder);
    }

    /// Applies the present parameters to the notes to come.
    fn update_phrasing(&mut self, decoder: &Decoder) {
        let generation = &self.settings.generation;
        if self.phrase.pulse.is_none() {
            self.phrase.pulse = phrase_beats(&generation.rhythm, &self.phrase.analysis, self.begin.at).map(Some);
        }
        let pulse = self.phrase.pulse.flatten().filter(|_| generation.rhythm.beat_source == BeatSource::Phrase);
        self.phrasing = Phrasing::new(
            &decoder.network().card().controls,
            generation,
            &self.settings.position,
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
        let note = Note { onset: since, spread: 0.0, duration: self.phrase.mean_duration_s, pitch, velocity };
        let author = Author::Player { lasted: None };
        let speed = self.phrasing.speed();
        // Notes struck together form a chord, no matter who plays them: one onset, ascending pitches.
        let after = self.notes.steps.iter().rposition(|step| step.note.onset <= since).map_or(0, |place| place + 1);
        let chord = after.checked_sub(1).map(|last| self.notes.steps[last].note.onset);
        let (place, note) = match chord.filter(|onset| since - onset <= WINDOW_S) {
            Some(onset) => {
                let before = self.notes.steps.range(..after);
                let place = before.rev().position(|step| step.note.onset < onset || step.note.pitch <= pitch);
                let spread = since - onset;
                let note = Note { onset, spread, duration: spread + note.duration, ..note };
                (place.map_or(0, |place| after - place), note)
            }
            None => (after, note),
        };
        let onset = note.onset;
        if place > 0
            && self.notes.steps[place - 1].note.pitch == pitch
            && self.notes.steps[place - 1].note.onset == onset
        {
            return; // both struck the same key: one note
        }
        let above: Vec<_> =
            self.notes.steps.iter().skip(place).map(|step| (step.sampled(), step.author, step.speed)).collect();
        self.roll_back(decoder, place);
        self.feed(decoder, Sampled::whole(note), author, speed);
        for (sampled, author, speed) in above {
            self.feed(decoder, sampled, author, speed);
        }
    }

    /// In a duet, the player releases a key (`None`: all) at `since`. The network is fed the corrected durations when it
    /// next goes back.
    pub fn leave(&mut self, memory: &mut PhraseHistory, since: f64, pitch: Option<u8>) {
        let open = |step: &&mut Step| step.author == Author::Player { lasted: None };
        let which = |step: &&mut Step| pitch.is_none_or(|pitch| step.note.pitch == pitch);
        for step in self.notes.steps.iter_mut().filter(open).filter(which) {
            let lasted = (since - step.note.onset).max(step.note.spread);
            step.author = Author::Player { lasted: Some(lasted) };
            memory.track_duration(lasted);
            self.phrase.mean_duration_s = memory.mean_duration_s;
        }
    }

    /// A note that the player may have held when the take began has ended; `note` is in stream seconds. The network is fed
    /// the corrected duration when it next goes back.
    pub fn end_held(&mut self, note: &Note) {
        if let Some(held) = &mut self.phrase.held {
            held.ended(note);
        }
    }

    /// Goes back to the last note struck before `since`, to continue from there.
    fn resume(&mut self, decoder: &mut Decoder, revision: Revision, since: f64) {
        self.begin.revision = revision;
        self.plan.clear();
        self.reopen_loop(since);
        self.keep(decoder, since, false, |_, note| note.struck() < since);
        self.floor = self.floor.max(since);
        self.done = false;
    }

    /// The length of a bar, in seconds.
    fn bar(&self) -> f64 {
        self.settings.position.bar / self.settings.position.beats_per_second
    }

    /// The onset of the latest note; minus infinity if there is none.
    pub fn last_onset(&self) -> f64 {
        self.notes.steps.back().map_or(f64::NEG_INFINITY, |step| step.note.onset)
    }

    /// How many notes begin at `progress` or later.
    pub fn ahead_of(&self, progress: f64) -> usize {
        self.notes.steps.iter().rev().take_while(|step| step.note.onset >= progress).count()
    }

    /// Whether [`Take::next`] has said that there are no more notes.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The index of the network's next note.
    fn index(&self) -> u32 {
        self.notes.past.own() + self.notes.steps.iter().filter(|step| step.is_by_antiphon()).count() as u32
    }

    /// The network's notes so far, from this moment on; `None`: all.
    fn own_notes(&self, from: Option<f64>) -> Vec<Note> {
        let present = self.notes.steps.iter().filter(|step| step.is_by_antiphon()).map(|step| step.note);
        self.notes.past.played(true).chain(present).filter_map(|note| relative_to(from, note)).collect()
    }

    /// The onset of the note that the next one follows.
    fn latest_onset(&self) -> Option<f64> {
        self.notes.steps.back().map(|step| step.note.onset).or(self.notes.past.latest_onset()).or(self.notes.previous)
    }
}

/// The note relative to `from` (`None`: the hand-over), if it begins there or later.
fn relative_to(from: Option<f64>, note: Note) -> Option<Note> {
    let from = from.unwrap_or(f64::NEG_INFINITY);
    (note.onset >= from).then(|| Note { onset: note.onset - from.max(0.0), ..note })
}
