//! The generation parameters have their effect: no limit is ever broken, the grid is exact, and the rest follows
//! the settings. With random parameters, the tests' network and no thread.

mod planning;

use std::collections::HashMap;

use model::constraints::{classes_of, of_classes, range};
use model::{BatchDecoder, Decoder, Markov};
use notes::chords::WINDOW_S;
use notes::{Note, Successor};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::generator::analysis::PhraseAnalysis;
use crate::generator::phrasing::{Cue, Phrasing, Sampled, Trail, as_fed, phrase_beats};
use crate::link::messages::TimelinePosition;
use crate::settings::Dynamics;

/// Bars of four beats at 120 bpm, with a bar line 0.3 s before the hand-over.
const POSITION: TimelinePosition = TimelinePosition { beats_per_second: 2.0, beat: 0.6, bar: 4.0, running: true };

/// A phrase, and takes that follow it. Times are in seconds since the hand-over.
struct Session {
    decoder: Decoder,
    analysis: PhraseAnalysis,
    memory: Markov,
    phrase: Vec<Note>,
}

impl Session {
    /// A phrase with these steps, in seconds, and pitches, whose last onset is `silence` seconds before the hand-over.
    fn new(phrase: &[(f64, u8)], velocity: u8, silence: f64) -> Self {
        let length: f64 = phrase.iter().map(|note| note.0).sum();
        let mut onset = -length - silence;
        let mut session = Self {
            decoder: Decoder::new(network()),
            analysis: PhraseAnalysis::default(),
            memory: Markov::default(),
            phrase: vec![],
        };
        for &(step, pitch) in phrase {
            let previous = session.phrase.last().map(|note| note.onset);
            onset += step;
            let note = Note { onset, spread: 0.0, duration: 0.4, pitch, velocity };
            let next = Successor::after(previous, &note);
            session.decoder.feed(&next);
            session.analysis.push(onset, &next, previous.is_none());
            session.memory.learn(&next, previous.is_none());
            session.phrase.push(note);
        }
        session
    }

    fn phrasing(&self, generation: &GenerationParams) -> Phrasing {
        let pulse = phrase_beats(&generation.rhythm, &self.analysis, 0.0);
        Phrasing::new(&network().card().controls, generation, &POSITION, &self.analysis, pulse)
    }

    fn trail(&self) -> Trail {
        let mut previous = None;
        let successors: Vec<Successor> =
            self.phrase.iter().map(|note| Successor::after(previous.replace(note.onset), note)).collect();
        Trail::after(&successors)
    }

    fn play(&mut self, generation: &GenerationParams, count: u32) -> Vec<Note> {
        let phrasing = self.phrasing(generation);
        let (mut trail, mut previous) = (self.trail(), self.phrase.last().map(|note| note.onset));
        (0..count)
            .map(|index| {
                let cue = Cue { seed: generation.seed, index, previous, floor: 0.0, pause: 0.0 };
                let sampled = phrasing.sample(&mut self.decoder, &trail, &self.memory, &cue);
                let Sampled { note, .. } = sampled;
                let next = as_fed(previous, &sampled.unlimited(), phrasing.speed());
                self.decoder.feed(&next);
                trail.push(&note, &next, true);
                previous = Some(note.onset);
                note
            })
            .collect()
    }
}

impl Session {
    /// The phrase in the form that [`Session::new`] takes.
    fn phrase_as_steps(&self) -> Vec<(f64, u8)> {
        let mut previous = None;
        let step = |note: &Note| (previous.replace(note.onset).map_or(0.25, |onset| note.onset - onset), note.pitch);
        self.phrase.iter().map(step).collect()
    }

    /// Takes with these seeds, generated as a batch.
    fn play_all(&self, generation: &GenerationParams, seeds: &[u64], count: u32) -> Vec<Vec<Note>> {
        let phrasing = self.phrasing(generation);
        let mut batch = BatchDecoder::new(&self.decoder, seeds.len());
        let mut trails = vec![self.trail(); seeds.len()];
        let previous = self.phrase.last().map(|note| note.onset);
        let first = |&seed| Cue { seed, index: 0, previous, floor: 0.0, pause: 0.0 };
        let mut cues: Vec<Cue> = seeds.iter().map(first).collect();
        let mut takes = vec![vec![]; seeds.len()];
        for _ in 0..count {
            let notes = phrasing.sample_all(&mut batch, &trails, &self.memory, &cues);
            let mut all = vec![];
            for (take, sampled) in notes.into_iter().enumerate() {
                let Sampled { note, .. } = sampled;
                let next = as_fed(cues[take].previous, &sampled.unlimited(), phrasing.speed());
                trails[take].push(&note, &next, true);
                cues[take] = Cue { index: cues[take].index + 1, previous: Some(note.onset), ..cues[take] };
                takes[take].push(note);
                all.push(next);
            }
            batch.feed(&all);
        }
        takes
    }
}

const KEYS: [Key; 14] = {
    use Key::*;
    [Free, Phrase, C, Db, D, Eb, E, F, Gb, G, Ab, A, Bb, B]
};
const SCALES: [Scale; 12] = {
    use Scale::*;
    [
        Major,
        Minor,
        HarmonicMinor,
        MelodicMinor,
        Dorian,
        Phrygian,
        Lydian,
        Mixolydian,
        Pentatonic,
        MinorPentatonic,
        Blues,
        WholeTone,
    ]
};
const GRIDS: [Grid; 10] = {
    use Grid::*;
    [
        Quarter,
        QuarterDotted,
        QuarterTriplet,
        Eighth,
        EighthDotted,
        EighthTriplet,
        Sixteenth,
        SixteenthDotted,
        SixteenthTriplet,
        ThirtySecond,
    ]
};

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(all)
}

fn limits() -> impl Strategy<Value = Limits> {
    let chord = prop_oneof![2 => Just(0u128), 1 => prop::collection::vec(30..90u32, 1..4).prop_map(|keys| {
        keys.into_iter().fold(0, |set, key| set | 1 << key)
    })];
    let ends =
        prop_oneof![1 => Just((0u8, 127u8)), 1 => (0..128u8, 0..128u8), 1 => (40..80u8).prop_map(|low| (low, low + 9))];
    (
        (one_of(&KEYS), one_of(&SCALES), ends, chord),
        prop::option::of(1..6u8),
        prop::option::of(0.05..1.0f32),
        prop::option::of(1..4u8),
    )
        .prop_map(|((key, scale, (lowest, highest), chord), polyphony, longest_s, repeats)| Limits {
            key,
            scale,
            lowest,
            highest,
            chord,
            polyphony,
            longest_s,
            repeats,
        })
}

fn random_generation() -> impl Strategy<Value = GenerationParams> {
    let strength = prop_oneof![Just(0.0f32), Just(1.0), 0.0..1.0f32];
    let rhythm = (
        strength,
        one_of(&GRIDS),
        0.5..0.75f32,
        one_of(&[BeatSource::Host, BeatSource::Phrase]),
        one_of(&[Speed::Half, Speed::Normal, Speed::Double]),
        0.25..4.0f32,
    )
        .prop_map(|(strength, grid, swing, pulse, speed, density)| Rhythm {
            strength,
            grid,
            swing,
            beat_source: pulse,
            speed,
            density,
        });
    let dynamics = prop_oneof![Just(Dynamics::Model), Just(Dynamics::Follow), (1..128u8).prop_map(Dynamics::Fixed)];
    let learn = prop_oneof![Just(0.0f32), Just(1.0), 0.0..1.0f32];
    ((any::<u64>(), 0.1..2.0f32, 0.3..1.0f32), rhythm, limits(), dynamics, learn).prop_map(
        |((seed, temperature, top_p), rhythm, limits, dynamics, learn)| GenerationParams {
            top_p,
            rhythm,
            limits,
            dynamics,
            learn,
            ..generation(temperature, seed)
        },
    )
}

/// The pitches within the limits on range, chord and scale; the scale, then the chord are dropped if none is left.
fn wanted(limits: &Limits, analysis: &PhraseAnalysis) -> u128 {
    let range = range(limits.lowest, limits.highest);
    let chord = if limits.chord == 0 { u128::MAX } else { of_classes(classes_of(limits.chord)) };
    let scale = match limits.key {
        Key::Free => u128::MAX,
        Key::Phrase => analysis.scale().unwrap_or(u128::MAX),
        fixed => of_classes(limits.scale.upon(fixed.tonic().unwrap())),
    };
    [range & chord & scale, range & chord, range].into_iter().find(|set| *set != 0).unwrap()
}

/// Checks that a take keeps its limits; the error says which one it breaks.
fn check(take: &[Note], generation: &GenerationParams, analysis: &PhraseAnalysis) -> Result<(), TestCaseError> {
    let GenerationParams { limits, rhythm, .. } = generation;
    let wanted = wanted(limits, analysis);
    let mut sounding: HashMap<u8, f64> = HashMap::new();
    // How often each pitch was struck in a row, up to this onset and up to the previous one.
    let (mut row, mut before) = ([0u8; 128], [0u8; 128]);
    let mut last: Option<Note> = None;
    for note in take {
        prop_assert!(wanted >> note.pitch & 1 == 1, "{note:?} is not wanted");
        prop_assert!(note.duration >= note.spread + 0.009 && (1..128).contains(&note.velocity));
        if let Some(longest) = limits.longest_s {
            prop_assert!(note.duration <= f64::from(longest) + 1e-6, "{note:?} is too long");
        }
        if let Dynamics::Fixed(velocity) = generation.dynamics {
            prop_assert_eq!(note.velocity, velocity);
        }
        prop_assert!(note.onset >= 0.0);
        let joins = last.is_some_and(|last| last.onset == note.onset);
        match last {
            Some(last) if joins => prop_assert!(note.pitch > last.pitch, "{note:?} after {last:?} of its chord"),
            Some(last) => {
                // At double speed, separate onsets may be as close as half of a chord's window.
                let free = rhythm.strength == 0.0 || rhythm.strength < 1.0 && rhythm.speed == Speed::Double;
                let apart = if free { 0.0 } else { WINDOW_S * 0.999 };
                prop_assert!(note.onset - last.onset > apart, "{note:?} follows {last:?} too soon");
                // A chord's first note may have a spread, too.
                prop_assert!((0.0..WINDOW_S).contains(&note.spread));
            }
            None => {}
        }
        if !joins {
            before = std::mem::replace(&mut row, [0; 128]);
        }
        row[usize::from(note.pitch)] = before[usize::from(note.pitch)] + 1;
        if let Some(most) = limits.repeats
            && row[usize::from(note.pitch)] > most
        {
            let fresh = (0..128).find(|&pitch| wanted >> pitch & 1 == 1 && before[pitch] < most);
            prop_assert_eq!(fresh, None, "{:?} once more, though another was free", note);
        }
        sounding.retain(|_, end| *end > note.onset);
        sounding.insert(note.pitch, note.end());
        if let Some(voices) = limits.polyphony {
            prop_assert!(sounding.len() <= voices.into(), "{} voices at {note:?}", sounding.len());
        }
        last = Some(*note);
    }
    Ok(())
}

/// Distance of an onset from the nearest line of the host's grid, in beats.
fn off_the_grid(onset: f64, rhythm: &Rhythm) -> f64 {
    let (gap, swing) = (rhythm.grid.beats(), f64::from(rhythm.swing));
    let beat = POSITION.beat + onset * POSITION.beats_per_second;
    let pair = (beat / (2.0 * gap)).floor();
    let lines = [pair, pair + swing, pair + 1.0];
    lines.into_iter().map(|line| (line * 2.0 * gap - beat).abs()).fold(f64::INFINITY, f64::min)
}

const TUNE: [(f64, u8); 10] = [
    (0.0, 60),
    (0.25, 64),
    (0.25, 67),
    (0.0, 72),
    (0.5, 71),
    (0.25, 69),
    (0.25, 67),
    (0.5, 65),
    (0.25, 62),
    (0.25, 59),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, rng_seed: prop::test_runner::RngSeed::Fixed(11), ..ProptestConfig::default() })]

    #[test]
    fn no_limit_is_ever_broken(generation in random_generation()) {
        let mut session = Session::new(&TUNE, 70, 0.5);
        let take = session.play(&generation, 40);
        check(&take, &generation, &session.analysis)?;
        if generation.rhythm.strength == 1.0 {
            prop_assert!(take.iter().all(|note| note.spread == 0.0));
            if generation.rhythm.beat_source == BeatSource::Host {
                let off = take.iter().map(|note| off_the_grid(note.onset, &generation.rhythm)).fold(0.0, f64::max);
                prop_assert!(off < 1e-9, "{off} beats off the grid");
            }
        }
    }
}

/// The higher the strength, the closer onsets are to the grid.
#[test]
fn strength_draws_onsets_to_the_grid() {
    let mut before = f64::INFINITY;
    for strength in [0.0, 0.3, 0.6, 0.9, 1.0] {
        let rhythm = Rhythm { strength, grid: Grid::Eighth, ..GENERATION.rhythm };
        let take = Session::new(&TUNE, 70, 0.5).play(&GenerationParams { rhythm, ..GENERATION }, 200);
        let off = take.iter().map(|note| off_the_grid(note.onset, &rhythm)).sum::<f64>() / 200.0;
        assert!(off < before, "{off} beats off at {strength}");
        assert!(off < 0.14 * f64::from(1.0 - strength) + 0.01, "{off} beats off at {strength}");
        before = off;
    }
}

/// Notes per second of a take of `count` notes.
fn notes_per_second(generation: &GenerationParams, count: u32) -> f64 {
    let take = Session::new(&TUNE, 70, 0.5).play(generation, count);
    f64::from(count - 1) / (take[take.len() - 1].onset - take[0].onset)
}

/// The longest note cuts notes short and changes nothing else: the network does not learn of it. It would take its own short
/// notes for fast music and play faster and faster.
#[test]
fn a_limit_on_length_only_cuts_notes_short() {
    let limited = |longest_s| GenerationParams { limits: Limits { longest_s, ..GENERATION.limits }, ..GENERATION };
    let free = Session::new(&TUNE, 70, 0.5).play(&limited(None), 60);
    for longest in [0.05f32, 0.2] {
        let cut = Session::new(&TUNE, 70, 0.5).play(&limited(Some(longest)), 60);
        let expected: Vec<Note> =
            free.iter().map(|note| Note { duration: note.duration.min(longest.into()), ..*note }).collect();
        assert_eq!(cut, expected);
    }
    assert!(free.iter().filter(|note| note.duration > 0.2).count() > 5);
}

/// At double speed the same notes come twice as fast; the network's input is the same, until a note reaches the
/// shortest duration.
#[test]
fn speed_is_a_factor_on_time_alone() {
    let play = |speed| {
        let rhythm = Rhythm { speed, ..GENERATION.rhythm };
        Session::new(&TUNE, 70, 0.0).play(&GenerationParams { rhythm, ..GENERATION }, 60)
    };
    let [half, normal, double] = [Speed::Half, Speed::Normal, Speed::Double].map(play);
    for (others, factor, least) in [(half, 2.0, 60), (double, 0.5, 2)] {
        let mut compared = 0;
        for (note, other) in normal.iter().zip(&others) {
            assert_eq!((note.pitch, note.velocity), (other.pitch, other.velocity));
            assert!((note.onset * factor - other.onset).abs() < 1e-6, "{note:?} and {other:?}");
            let (duration, shortest) = (note.duration * factor, note.spread + 0.01);
            assert!((duration.max(shortest) - other.duration).abs() < 1e-6, "{note:?} and {other:?}");
            compared += 1;
            if duration < shortest {
                break;
            }
        }
        assert!(compared >= least, "only {compared} notes");
    }
}

#[test]
fn more_density_is_more_notes() {
    let of = |density| {
        notes_per_second(&GenerationParams { rhythm: Rhythm { density, ..GENERATION.rhythm }, ..GENERATION }, 900)
    };
    let rates = [0.25, 0.5, 1.0, 2.0, 4.0].map(of);
    let ratios: Vec<f64> = rates.windows(2).map(|pair| pair[1] / pair[0]).collect();
    // The tests' network has no steps beyond 0.5 s, so a low density cannot make its onsets much rarer.
    assert!(ratios[0] > 1.2 && ratios[1..].iter().all(|ratio| (1.2..3.0).contains(ratio)), "{rates:?}");
}

/// With only the learned Markov model, the tune continues where it stopped, with its own steps.
#[test]
fn full_learn_repeats_the_phrase() {
    let tune: Vec<(f64, u8)> =
        TUNE.iter().enumerate().map(|(i, &(step, pitch))| (if i == 0 { 0.25 } else { step }, pitch)).collect();
    let phrase: Vec<(f64, u8)> = tune.iter().cycle().take(24).copied().collect();
    let mut session = Session::new(&phrase, 70, 0.2);
    let take = session.play(&GenerationParams { learn: 1.0, ..GENERATION }, 40);
    for (index, (note, expected)) in take.iter().zip(tune.iter().cycle().skip(24)).enumerate() {
        assert_eq!(note.pitch, expected.1, "note {index}");
        if index > 0 {
            let step = note.onset - take[index - 1].onset;
            assert!((step - expected.0).abs() < 0.011 + 0.044 * expected.0, "{step} s before note {index}");
        }
    }
    // With limits, only as far as they allow.
    let limits = Limits { lowest: 60, highest: 66, ..GENERATION.limits };
    let take = Session::new(&phrase, 70, 0.2).play(&GenerationParams { learn: 1.0, limits, ..GENERATION }, 40);
    assert!(take.iter().all(|note| [60, 62, 64, 65].contains(&note.pitch)));
}

/// Antiphon is louder after a loud phrase than after a soft one.
#[test]
fn it_follows_the_players_level() {
    let of = |velocity, dynamics| {
        let take = Session::new(&TUNE, velocity, 0.5).play(&GenerationParams { dynamics, ..GENERATION }, 150);
        take[20..].iter().map(|note| f64::from(note.velocity)).sum::<f64>() / 130.0
    };
    let [soft, loud] = [25, 105].map(|velocity| of(velocity, Dynamics::Follow));
    let [own_soft, own_loud] = [25, 105].map(|velocity| of(velocity, Dynamics::Model));
    assert!(loud - soft > (own_loud - own_soft) + 25.0, "{soft} to {loud}, by itself {own_soft} to {own_loud}");
}
