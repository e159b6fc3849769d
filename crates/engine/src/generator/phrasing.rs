//! How a take is phrased: the player's wishes, what they refer to in the phrase, and the host's beats,
//! turned into limits and wishes for every single draw.
//!
//! There are two times. Notes are in seconds of the take, as they sound. The network hears its own time,
//! in which music goes at its normal speed: a step of half a second that is played at double speed lasts
//! a quarter. What the grid does to an onset, the network does hear.

use model::limits::{classes_of, of_classes, range};
use model::{
    BatchDecoder, Context, Controls, Decoder, Hands, Learned, Loudness, Markov, Pitches, Recent, Timing, What, When,
    note_rng,
};
use notes::{Note, Successor};

use crate::generator::analysis::{PhraseAnalysis, track};
use crate::generator::grid::{Beats, Grid};
use crate::link::messages::Place;
use crate::settings::{BeatSource, Dynamics, GenerationParams, Key, Limits, Rhythm, Speed};

/// The shortest note, in seconds after it is struck.
const SHORTEST_S: f64 = 0.010;
/// A voice is free so long after its note has ended, in seconds: in no host do the two overlap.
const GAP_S: f64 = 0.000_5;
/// Where only one voice is left, a note takes it for this part of the step that is usual there, so that
/// the next note finds it free.
const LEAVES: f64 = 0.9;
/// Of a density, the part that is asked of every step; the network, hearing it, does the rest.
const AT_ONCE: f64 = 0.6;
/// How much of what is still missing of a density, or is too much, is asked of the next step.
const MADE_UP: f64 = 0.25;
/// The pace of a take that has no phrase: steps of 0.2 s.
const PACE_ALONE: f64 = -1.6;

/// What of a take matters for its next note. Plain data of fixed size, saved and rolled back with the
/// network's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trail {
    /// The model's own notes that sound.
    hands: Hands,
    /// The latest notes, the player's too.
    recent: Recent,
    /// Mean logarithm of the model's own steps, in the network's seconds.
    pace: Option<f64>,
}

impl Trail {
    /// A take that goes on after these notes.
    pub fn after<'a>(notes: impl IntoIterator<Item = &'a Successor>) -> Self {
        let mut trail = Self::default();
        notes.into_iter().for_each(|note| trail.recent.push(note));
        trail
    }

    /// One more note: as it sounds, and as the network hears it. `mine`: the model plays it.
    pub fn hear(&mut self, note: &Note, heard: &Successor, mine: bool) {
        self.recent.push(heard);
        if mine {
            self.hands.strike(note.onset, note.pitch, note.end());
            self.pace = track(self.pace, heard.step);
        }
    }
}

/// Which note is the next, and when it may come. Times are seconds of the take.
#[derive(Clone, Copy, Debug)]
pub struct Cue {
    /// The take's seed.
    pub seed: u64,
    /// The how-manieth note of it.
    pub index: u32,
    /// The onset before it.
    pub previous: Option<f64>,
    /// No sooner than this.
    pub floor: f64,
    /// So much of the time since the onset before does not count.
    pub pause: f64,
}

/// Where the next note finds the take. Times are seconds of the take.
struct Entry {
    /// The onset before it.
    latest: f64,
    /// From when on its step counts.
    from: f64,
    /// No sooner than this: there is a voice for it then.
    floor: f64,
    /// The pitches with which it may join the chord before it.
    in_chord: u128,
    /// Whether it may.
    may_join: bool,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Phrasing {
    controls: Controls,
    pitches: Pitches,
    limits: Limits,
    grid: Grid,
    /// The network's seconds in a second.
    speed: f64,
    /// Logarithm of the factor on the number of onsets.
    density: f64,
    /// Mean logarithm of the steps of the phrase.
    pace: f64,
    loudness: Loudness,
    learn: f32,
}

impl Phrasing {
    /// How a take is phrased from now on. `controls`: the network's own; `ear`: what the player has
    /// played; `pulse`: its pulse, if that is to be followed and there is one.
    pub fn new(
        controls: &Controls,
        generation: &GenerationParams,
        place: &Place,
        ear: &PhraseAnalysis,
        pulse: Option<Beats>,
    ) -> Self {
        let GenerationParams { temperature, top_p, rhythm, limits, dynamics, learn, .. } = generation;
        let mut controls = *controls;
        controls.temperature.step *= temperature.rhythm;
        controls.temperature.pitch *= temperature.pitch;
        controls.temperature.duration *= temperature.length;
        controls.temperature.velocity *= temperature.dynamics;
        controls.top_p *= top_p;
        let host = Beats { per_second: place.beats_per_second, at_zero: place.beat };
        Self {
            controls,
            pitches: pitches(limits, ear),
            limits: *limits,
            grid: Grid::new(rhythm, pulse.unwrap_or(host)),
            speed: match rhythm.speed {
                Speed::Half => 0.5,
                Speed::Normal => 1.0,
                Speed::Double => 2.0,
            },
            density: libm::log(rhythm.density.into()),
            pace: ear.pace().unwrap_or(PACE_ALONE),
            loudness: match dynamics {
                Dynamics::Model => Loudness::Free,
                Dynamics::Follow => ear.loudness().map_or(Loudness::Free, Loudness::Around),
                Dynamics::Fixed(velocity) => Loudness::Fixed(*velocity),
            },
            learn: *learn,
        }
    }

    /// Seconds of the network in a second of the take.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// How many times as fast as the phrase the take is to be: its speed and its density.
    pub fn pace_factor(&self) -> f64 {
        self.speed * libm::exp(self.density)
    }

    /// Draws the next note.
    pub fn draw(&self, decoder: &mut Decoder, trail: &Trail, memory: &Markov, cue: &Cue) -> Note {
        let rng = &mut note_rng(cue.seed, cue.index.into());
        let entry = self.entry(decoder.state().context(), trail, cue);
        let timing = decoder.sample_step(&self.controls, &self.when(&entry, trail, memory), rng);
        let (onset, step, what) = self.what(&entry, &timing, trail, memory, cue);
        self.note(onset, &decoder.sample_note(&self.controls, step, &what, rng))
    }

    /// Draws the next note of each of some takes side by side: the very notes that [`Phrasing::draw`] would draw.
    pub fn draw_all(&self, batch: &mut BatchDecoder, trails: &[Trail], memory: &Markov, cues: &[Cue]) -> Vec<Note> {
        let takes = || cues.iter().zip(trails);
        let mut rngs: Vec<_> = cues.iter().map(|cue| note_rng(cue.seed, cue.index.into())).collect();
        let entries: Vec<Entry> =
            takes().enumerate().map(|(n, (cue, trail))| self.entry(batch.context(n), trail, cue)).collect();
        let when = trails.iter().zip(&entries).map(|(trail, entry)| self.when(entry, trail, memory));
        let timings = batch.sample_steps(&self.controls, &when.collect::<Vec<_>>(), &mut rngs);
        let what = takes().zip(&entries).zip(timings);
        let what = what.map(|(((cue, trail), entry), timing)| {
            let (onset, step, what) = self.what(entry, timing, trail, memory, cue);
            (onset, (step, what))
        });
        let (onsets, what): (Vec<f64>, Vec<_>) = what.unzip();
        let notes = batch.sample_notes(&self.controls, &what, &mut rngs);
        onsets.iter().zip(notes).map(|(&onset, note)| self.note(onset, note)).collect()
    }

    /// Where the next note finds the take.
    fn entry(&self, context: &Context, trail: &Trail, cue: &Cue) -> Entry {
        let hands = &trail.hands;
        // Without a note before it, the first one may come at once.
        let latest = cue.previous.unwrap_or(cue.floor);
        let free = self.voices().map_or(f64::NEG_INFINITY, |voices| hands.free_at(voices));
        let above = u128::MAX.checked_shl(context.floor(0.0).into()).unwrap_or(0);
        let in_chord = self.pitches.wanted() & hands.fresh(self.limits.repeats, true) & above;
        Entry {
            latest,
            from: latest + cue.pause,
            floor: if free > latest { cue.floor.max(free + GAP_S) } else { cue.floor },
            in_chord,
            may_join: cue.previous.is_none() || in_chord != 0 && free <= latest,
        }
    }

    /// When the next note may come, and what is wished of it.
    fn when<'a>(&self, entry: &Entry, trail: &'a Trail, memory: &'a Markov) -> When<'a> {
        When {
            earliest: ((entry.floor - entry.from) * self.speed).max(0.0),
            in_chord: entry.may_join,
            density: self.factor(trail) as f32,
            learned: self.learned(trail, memory),
        }
    }

    /// Where it lands, its step as the network hears it, and what it may be.
    fn what<'a>(
        &self,
        entry: &Entry,
        timing: &Timing,
        trail: &'a Trail,
        memory: &'a Markov,
        cue: &Cue,
    ) -> (f64, f64, What<'a>) {
        let Self { pitches, limits, speed, .. } = self;
        let &Entry { latest, from, floor, in_chord, .. } = entry;
        let hands = &trail.hands;
        let joins = timing.step == 0.0 && cue.previous.is_some() && cue.pause == 0.0;
        let onset = if joins { latest } else { self.grid.place(from + timing.step / speed, cue.previous, floor) };

        let longest = limits.longest_s.map_or(f64::INFINITY, |longest| f64::from(longest) * speed);
        let is_last_voice = self.voices().is_some_and(|voices| hands.held(onset) + 1 >= voices);
        let what = What {
            pitches: if joins { in_chord } else { pitches.fresh(hands.fresh(limits.repeats, false)) },
            longest: if is_last_voice { longest.min(LEAVES * timing.usual) } else { longest },
            loudness: self.loudness,
            // The entry is never late.
            spread: if cue.index == 0 || cue.pause > 0.0 { 0.0 } else { self.grid.looseness() },
            learned: self.learned(trail, memory),
        };
        (onset, (onset - latest) * speed, what)
    }

    /// A note that was drawn, as it sounds.
    fn note(&self, onset: f64, note: &Successor) -> Note {
        let duration = (note.duration / self.speed).max(note.spread + SHORTEST_S);
        Note { onset, spread: note.spread, duration, pitch: note.pitch, velocity: note.velocity }
    }

    fn voices(&self) -> Option<usize> {
        self.limits.polyphony.map(usize::from)
    }

    fn learned<'a>(&self, trail: &'a Trail, memory: &'a Markov) -> Option<Learned<'a>> {
        (self.learn > 0.0).then_some(Learned { memory, recent: &trail.recent, share: self.learn })
    }

    /// The factor on the number of onsets that is asked of the next step. The network hears what it has
    /// played and goes on from there, denser and denser; so what is asked is less, and the less the nearer
    /// the take is to the phrase's pace times the density. Never the other way, nor more than the density.
    fn factor(&self, trail: &Trail) -> f64 {
        let missing = trail.pace.unwrap_or(self.pace) - self.pace + self.density;
        let asked = AT_ONCE * self.density + MADE_UP * missing;
        libm::exp(asked.clamp(self.density.min(0.0), self.density.max(0.0)))
    }
}

/// A note as the network hears it, `speed` of its seconds in one of ours. What a player brings may begin a
/// little before the onset before it: then it is its neighbour.
pub fn heard(previous: Option<f64>, note: &Note, speed: f64) -> Successor {
    let next = Successor::after(previous, note);
    Successor { step: next.step.max(0.0) * speed, duration: next.duration * speed, ..next }
}

/// The beats of the player's phrase, if wishes call for them and it has any. The hand-over is `at` on the
/// axis on which it was heard.
pub fn phrase_beats(rhythm: &Rhythm, ear: &PhraseAnalysis, at: f64) -> Option<Beats> {
    if rhythm.pulse == BeatSource::Host || rhythm.strength == 0.0 {
        return None;
    }
    ear.pulse().map(|pulse| Beats { per_second: 1.0 / pulse.period, at_zero: (at - pulse.beat) / pulse.period })
}

/// Which pitches are wanted.
fn pitches(limits: &Limits, ear: &PhraseAnalysis) -> Pitches {
    let scale = match (limits.key, limits.key.tonic()) {
        (Key::Phrase, _) => ear.scale(),
        (_, tonic) => tonic.map(|tonic| of_classes(limits.scale.upon(tonic))),
    };
    let chord = Some(limits.chord).filter(|chord| *chord != 0).map(|chord| of_classes(classes_of(chord)));
    Pitches {
        range: range(limits.lowest, limits.highest),
        chord: chord.unwrap_or(u128::MAX),
        scale: scale.unwrap_or(u128::MAX),
    }
}
