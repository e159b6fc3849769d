//! Turns the player's settings, the analysis of the phrase and the host's beats into constraints for every
//! sampled note.
//!
//! There are two time scales. Notes are in seconds of the take, as they sound. The network's input and output
//! are in its own seconds, in which music runs at normal speed: at double speed, a step of half a second in the
//! network's time takes a quarter of a second. Onsets moved by the grid are fed to the network as moved.

use model::constraints::{classes_of, of_classes, range};
use model::{
    BatchDecoder, Context, Controls, Decoder, FirstDraw, KeyState, Loudness, Markov, MarkovMix, NoteConstraints,
    Pitches, Recent, StepConstraints, Timing, note_rng,
};
use notes::{Note, Successor};

use crate::generator::analysis::{PhraseAnalysis, track};
use crate::generator::grid::{Beats, Grid};
use crate::link::messages::TimelinePosition;
use crate::settings::{BeatSource, Dynamics, GenerationParams, Key, Limits, Rhythm, Speed};

/// The shortest note, in seconds from its strike to its end.
const SHORTEST_S: f64 = 0.010;
/// A voice is free this long after its note has ended, in seconds, so that the two do not overlap in any host.
const GAP_S: f64 = 0.000_5;
/// If only one voice is left, a note takes it for this fraction of the usual step, so that the voice is free for
/// the next note.
const LEAVES: f64 = 0.9;
/// The fraction of the density (as a logarithm) applied to every step; the network, continuing from its own denser
/// notes, adds the rest.
const AT_ONCE: f64 = 0.6;
/// The fraction of the remaining error in density (as a logarithm) that is corrected with the next step.
const MADE_UP: f64 = 0.25;
/// Mean logarithm of the steps assumed for a take without a phrase: steps of 0.2 s.
const PACE_ALONE: f64 = -1.6;

/// What the next note's constraints need to know of the notes so far. Plain data of fixed size, saved and rolled
/// back with the network's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trail {
    /// Antiphon's own sounding notes.
    hands: KeyState,
    /// The latest notes, including the player's.
    recent: Recent,
    /// Running mean of the natural logarithm of Antiphon's own steps, in the network's seconds.
    pace: Option<f64>,
}

impl Trail {
    /// For a take that continues after these notes.
    pub fn after<'a>(notes: impl IntoIterator<Item = &'a Successor>) -> Self {
        let mut trail = Self::default();
        notes.into_iter().for_each(|note| trail.recent.push(note));
        trail
    }

    /// Adds a note, as it sounds and as it is fed to the network. `by_antiphon`: whether Antiphon plays it.
    pub fn push(&mut self, note: &Note, fed: &Successor, by_antiphon: bool) {
        self.recent.push(fed);
        if by_antiphon {
            self.hands.strike(note.onset, note.pitch, note.end());
            self.pace = track(self.pace, fed.step);
        }
    }
}

/// A sampled note. The limits cut short how long it sounds, but not what it means to the network, to which short notes are
/// part of fast music: it would play faster and faster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// The note as it sounds.
    pub note: Note,
    /// How long it would sound without the limits, in seconds.
    pub unlimited_s: f64,
}

impl Sampled {
    /// A note that no limit cuts short.
    pub fn whole(note: Note) -> Self {
        Self { note, unlimited_s: note.duration }
    }

    /// The note without the limits on its length.
    pub fn unlimited(&self) -> Note {
        Note { duration: self.unlimited_s, ..self.note }
    }
}

/// Which note is next, and when it may come. Times are in seconds of the take.
#[derive(Clone, Copy, Debug)]
pub struct Cue {
    /// The take's seed.
    pub seed: u64,
    /// Its index in the take, from 0.
    pub index: u32,
    /// The previous onset.
    pub previous: Option<f64>,
    /// The earliest onset.
    pub floor: f64,
    /// How much of the time since the previous onset is not counted as part of the step.
    pub pause: f64,
}

/// Where the next note lies, and the constraints on the rest of it.
struct Placement<'a> {
    /// In seconds of the take.
    onset: f64,
    /// Its step as fed to the network.
    step: f64,
    /// How long it may sound, in seconds of the take.
    longest_s: f64,
    what: NoteConstraints<'a>,
}

/// The conditions for the next note. Times are in seconds of the take.
struct Entry {
    /// The previous onset.
    latest: f64,
    /// The time from which its step counts.
    from: f64,
    /// The earliest onset, at which a voice is free.
    floor: f64,
    /// The same if the take has never gone back: the earliest onset when this note was first drawn.
    first_floor: f64,
    /// The pitches with which it may join the previous note's chord, as a bit mask.
    in_chord: u128,
    /// Whether it may join that chord.
    may_join: bool,
}

/// How a take is phrased; see the [module documentation](self).
#[derive(Clone, Debug)]
pub struct Phrasing {
    controls: Controls,
    pitches: Pitches,
    limits: Limits,
    grid: Grid,
    /// The network's seconds per second of the take.
    speed: f64,
    /// Natural logarithm of the factor on the number of onsets.
    density: f64,
    /// Mean of the natural logarithm of the phrase's steps in seconds.
    pace: f64,
    loudness: Loudness,
    learn: f32,
}

impl Phrasing {
    /// How a take is phrased from now on. `controls`: the network's own; `analysis`: of the player's notes; `pulse`:
    /// their beats, if the grid is to follow those.
    pub fn new(
        controls: &Controls,
        generation: &GenerationParams,
        position: &TimelinePosition,
        analysis: &PhraseAnalysis,
        pulse: Option<Beats>,
    ) -> Self {
        let GenerationParams { temperature, top_p, rhythm, limits, dynamics, learn, .. } = generation;
        let mut controls = *controls;
        controls.temperature.step *= temperature.rhythm;
        controls.temperature.pitch *= temperature.pitch;
        controls.temperature.duration *= temperature.length;
        controls.temperature.velocity *= temperature.dynamics;
        controls.top_p *= top_p;
        let host = Beats { per_second: position.beats_per_second, at_zero: position.beat };
        Self {
            controls,
            pitches: pitches(limits, analysis),
            limits: *limits,
            grid: Grid::new(rhythm, pulse.unwrap_or(host)),
            speed: match rhythm.speed {
                Speed::Half => 0.5,
                Speed::Normal => 1.0,
                Speed::Double => 2.0,
            },
            density: libm::log(rhythm.density.into()),
            pace: analysis.pace().unwrap_or(PACE_ALONE),
            loudness: match dynamics {
                Dynamics::Model => Loudness::Free,
                Dynamics::Follow => analysis.loudness().map_or(Loudness::Free, Loudness::Around),
                Dynamics::Fixed(velocity) => Loudness::Fixed(*velocity),
            },
            learn: *learn,
        }
    }

    /// The network's seconds per second of the take.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// How many times as fast as the phrase the take is: its speed times its density.
    pub fn pace_factor(&self) -> f64 {
        self.speed * libm::exp(self.density)
    }

    /// Samples the next note.
    pub fn sample(&self, decoder: &mut Decoder, trail: &Trail, memory: &Markov, cue: &Cue) -> Sampled {
        let rng = &mut note_rng(cue.seed, cue.index.into());
        let entry = self.entry(decoder.state().context(), trail, cue);
        let can_stay = |step| self.can_stay(&entry, cue, step);
        let timing = decoder.sample_step(&self.controls, &self.when(&entry, trail, memory, &can_stay), rng);
        let placement = self.place(&entry, &timing, trail, memory, cue);
        let note = decoder.sample_note(&self.controls, placement.step, &placement.what, rng);
        self.sampled(placement.onset, placement.longest_s, &note)
    }

    /// Samples the next note of each take in a batch: exactly the notes that [`Phrasing::sample`] would sample.
    pub fn sample_all(
        &self,
        batch: &mut BatchDecoder,
        trails: &[Trail],
        memory: &Markov,
        cues: &[Cue],
    ) -> Vec<Sampled> {
        let takes = || cues.iter().zip(trails);
        let mut rngs: Vec<_> = cues.iter().map(|cue| note_rng(cue.seed, cue.index.into())).collect();
        let entries: Vec<Entry> =
            takes().enumerate().map(|(n, (cue, trail))| self.entry(batch.context(n), trail, cue)).collect();
        let can_stay = cues.iter().zip(&entries).map(|(cue, entry)| move |step| self.can_stay(entry, cue, step));
        let can_stay: Vec<_> = can_stay.collect();
        let when = trails.iter().zip(&entries).zip(&can_stay);
        let when = when.map(|((trail, entry), can_stay)| self.when(entry, trail, memory, can_stay));
        let timings = batch.sample_steps(&self.controls, &when.collect::<Vec<_>>(), &mut rngs);
        let placements = takes().zip(&entries).zip(timings).map(|(((cue, trail), entry), timing)| {
            let Placement { onset, step, longest_s, what } = self.place(entry, timing, trail, memory, cue);
            ((onset, longest_s), (step, what))
        });
        let (places, what): (Vec<_>, Vec<_>) = placements.unzip();
        let notes = batch.sample_notes(&self.controls, &what, &mut rngs);
        places.iter().zip(notes).map(|(&(onset, longest_s), note)| self.sampled(onset, longest_s, note)).collect()
    }

    /// The conditions for the next note.
    fn entry(&self, context: &Context, trail: &Trail, cue: &Cue) -> Entry {
        let hands = &trail.hands;
        // Without a previous note, the first one may come at once.
        let latest = cue.previous.unwrap_or(cue.floor);
        let free = self.voices().map_or(f64::NEG_INFINITY, |voices| hands.free_at(voices));
        let at_least = |floor: f64| if free > latest { floor.max(free + GAP_S) } else { floor };
        let above = u128::MAX.checked_shl(context.floor(0.0).into()).unwrap_or(0);
        let in_chord = self.pitches.wanted() & hands.fresh(self.limits.repeats, true) & above;
        Entry {
            latest,
            from: latest + cue.pause,
            floor: at_least(cue.floor),
            // The take begins at 0, with its hand-over.
            first_floor: at_least(cue.floor.min(0.0)),
            in_chord,
            may_join: cue.previous.is_none() || in_chord != 0 && free <= latest,
        }
    }

    /// The constraints on the next note's step. `can_stay`: see [`FirstDraw`].
    fn when<'a>(
        &self,
        entry: &Entry,
        trail: &'a Trail,
        memory: &'a Markov,
        can_stay: &'a dyn Fn(f64) -> bool,
    ) -> StepConstraints<'a> {
        let &Entry { from, floor, first_floor, .. } = entry;
        let step = |onset: f64| ((onset - from) * self.speed).max(0.0);
        let (earliest, at_first) = (step(floor), step(first_floor));
        StepConstraints {
            earliest,
            first_draw: (at_first < earliest).then_some(FirstDraw { earliest: at_first, can_stay }),
            in_chord: entry.may_join,
            density: self.factor(trail) as f32,
            learned: self.learned(trail, memory),
        }
    }

    /// Whether a note that was first drawn with this step, in the network's seconds, still lies ahead.
    fn can_stay(&self, entry: &Entry, cue: &Cue, step: f64) -> bool {
        self.grid.reaches(self.onset(entry, cue, step, entry.first_floor), entry.floor)
    }

    /// Whether a note with this step joins the chord of the previous note.
    fn joins(cue: &Cue, step: f64) -> bool {
        step == 0.0 && cue.previous.is_some() && cue.pause == 0.0
    }

    /// The onset of a note with this step, in the network's seconds; not before `floor`.
    fn onset(&self, entry: &Entry, cue: &Cue, step: f64, floor: f64) -> f64 {
        if Self::joins(cue, step) {
            entry.latest
        } else {
            self.grid.quantize(entry.from + step / self.speed, cue.previous, floor)
        }
    }

    /// Places the next note and constrains its other properties.
    fn place<'a>(
        &self,
        entry: &Entry,
        timing: &Timing,
        trail: &'a Trail,
        memory: &'a Markov,
        cue: &Cue,
    ) -> Placement<'a> {
        let Self { pitches, limits, speed, .. } = self;
        let &Entry { latest, floor, in_chord, .. } = entry;
        let hands = &trail.hands;
        let joins = Self::joins(cue, timing.step);
        let onset = self.onset(entry, cue, timing.step, floor);

        let longest_s = limits.longest_s.map_or(f64::INFINITY, f64::from);
        let is_last_voice = self.voices().is_some_and(|voices| hands.held(onset) + 1 >= voices);
        let what = NoteConstraints {
            pitches: if joins { in_chord } else { pitches.fresh(hands.fresh(limits.repeats, false)) },
            loudness: self.loudness,
            // The first note is never late.
            spread: if cue.index == 0 || cue.pause > 0.0 { 0.0 } else { self.grid.looseness() },
            learned: self.learned(trail, memory),
        };
        let longest_s = if is_last_voice { longest_s.min(LEAVES * timing.median / speed) } else { longest_s };
        Placement { onset, step: (onset - latest) * speed, longest_s, what }
    }

    /// A note that the network has sampled, limited to what it may sound.
    fn sampled(&self, onset: f64, longest_s: f64, note: &Successor) -> Sampled {
        let unlimited_s = (note.duration / self.speed).max(note.spread + SHORTEST_S);
        let duration = unlimited_s.min(longest_s.max(SHORTEST_S));
        let spread = note.spread.min(duration - SHORTEST_S);
        Sampled { note: Note { onset, spread, duration, pitch: note.pitch, velocity: note.velocity }, unlimited_s }
    }

    fn voices(&self) -> Option<usize> {
        self.limits.polyphony.map(usize::from)
    }

    fn learned<'a>(&self, trail: &'a Trail, memory: &'a Markov) -> Option<MarkovMix<'a>> {
        (self.learn > 0.0).then_some(MarkovMix { memory, recent: &trail.recent, share: self.learn })
    }

    /// The density factor for the next step. The network continues from its own output and so becomes denser and
    /// denser; the factor is therefore smaller than the density, and the smaller the nearer the take is to the
    /// phrase's pace times the density. It never reverses the density's direction, nor exceeds it.
    fn factor(&self, trail: &Trail) -> f64 {
        let missing = trail.pace.unwrap_or(self.pace) - self.pace + self.density;
        let asked = AT_ONCE * self.density + MADE_UP * missing;
        libm::exp(asked.clamp(self.density.min(0.0), self.density.max(0.0)))
    }
}

/// A note as it is fed to the network, with `speed` of its seconds per second. A player's note may begin slightly
/// before the previous onset; its step is then 0.
pub fn as_fed(previous: Option<f64>, note: &Note, speed: f64) -> Successor {
    let next = Successor::after(previous, note);
    Successor { step: next.step.max(0.0) * speed, duration: next.duration * speed, ..next }
}

/// The beats of the player's phrase, if the settings use them and it has any. `at`: the hand-over, on the axis of the
/// phrase's onsets.
pub fn phrase_beats(rhythm: &Rhythm, analysis: &PhraseAnalysis, at: f64) -> Option<Beats> {
    if rhythm.beat_source == BeatSource::Host || rhythm.strength == 0.0 {
        return None;
    }
    analysis.pulse().map(|pulse| Beats { per_second: 1.0 / pulse.period, at_zero: (at - pulse.beat) / pulse.period })
}

/// The pitches that the limits allow.
fn pitches(limits: &Limits, analysis: &PhraseAnalysis) -> Pitches {
    let scale = match (limits.key, limits.key.tonic()) {
        (Key::Phrase, _) => analysis.scale(),
        (_, tonic) => tonic.map(|tonic| of_classes(limits.scale.upon(tonic))),
    };
    let chord = Some(limits.chord).filter(|chord| *chord != 0).map(|chord| of_classes(classes_of(chord)));
    Pitches {
        range: range(limits.lowest, limits.highest),
        chord: chord.unwrap_or(u128::MAX),
        scale: scale.unwrap_or(u128::MAX),
    }
}
