//! What a decoder plays satisfies the constraints it was given, whatever its weights.

use std::cell::Cell;
use std::sync::Arc;

use model::encoding::TIMES;
use model::shapes::HEAD;
use model::{
    BatchDecoder, Card, Controls, Decoder, FirstDraw, Kind, Loudness, Network, NoteConstraints, Precision,
    StepConstraints, Temperature, Weights, WeightsError, note_rng,
};
use notes::{Note, Successor};
use proptest::prelude::*;
use safetensors::SafeTensors;

fn decoder(kind: Kind, seed: u64) -> Decoder {
    decoder_in(kind, seed, Precision::Int8)
}

fn decoder_in(kind: Kind, seed: u64, precision: Precision) -> Decoder {
    Decoder::new(Arc::new(Network::new(&Weights::random(kind, seed), precision)))
}

/// Plays without a phrase: each note is sampled and fed.
fn play(decoder: &mut Decoder, controls: &Controls, seed: u64, count: u64) -> Vec<Successor> {
    play_within(decoder, controls, &NoteConstraints::default(), 1.0, seed, count)
}

/// Like [`play`], with constraints and requests.
fn play_within(
    decoder: &mut Decoder,
    controls: &Controls,
    what: &NoteConstraints,
    density: f32,
    seed: u64,
    count: u64,
) -> Vec<Successor> {
    (0..count)
        .map(|index| {
            let rng = &mut note_rng(seed, index);
            let above = what.pitches.checked_shr(decoder.state().context().floor(0.0).into());
            let when = StepConstraints {
                in_chord: above.is_some_and(|left| left != 0),
                density,
                ..StepConstraints::after(0.0)
            };
            let timing = decoder.sample_step(controls, &when, rng);
            let note = decoder.sample_note(controls, timing.step, what, rng);
            decoder.feed(&note);
            note
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_take_is_canonical_and_inside_the_mask(
        seed: u64, mask in 1u128.., temperature in 0.0..2.0f32, top_p in 0.3..1.0f32,
        density in 0.25..4.0f32,
    ) {
        let t = temperature;
        let controls = Controls {
            temperature: Temperature { step: t, pitch: t, duration: t, velocity: t },
            top_p,
            texture: 4.0,
            evenness: 2.0,
            durations: 12.0,
            density: 1.0,
            spread: 1.0,
            dynamics: 1.0,
            repeats: 1.0,
            ..Controls::default()
        };
        let what = NoteConstraints { pitches: mask, ..NoteConstraints::default() };
        let take = play_within(&mut decoder(Kind::Antiphon, 3), &controls, &what, density, seed, 48);
        let mut onset = 0.0;
        let notes: Vec<Note> = take.iter().map(|note| {
            let note = note.note(onset);
            onset = note.onset;
            note
        }).collect();
        for (next, before) in take.iter().zip([None].into_iter().chain(take.iter().map(Some))) {
            prop_assert!(mask >> next.pitch & 1 == 1, "pitch {} is masked", next.pitch);
            prop_assert!((1..128).contains(&next.velocity));
            prop_assert!(next.duration > next.spread && next.spread < notes::chords::WINDOW_S);
            prop_assert!(next.duration <= model::encoding::LONGEST_S, "{} is too long", next.duration);
            match before {
                Some(before) if next.step == 0.0 => prop_assert!(next.pitch > before.pitch),
                Some(_) => prop_assert!(next.step > notes::chords::WINDOW_S),
                None => prop_assert!(next.spread == 0.0),
            }
        }
        // Canonicalization has nothing left to do, except for onsets, which it cannot know, and for a key that was late
        // in its chord and is struck again at the same moment in the next one.
        let mut struck: Vec<Note> = notes.iter().map(|n| Note {
            onset: n.struck(), spread: 0.0, duration: n.end() - n.struck(), ..*n
        }).collect();
        notes::chords::canonicalize(&mut struck);
        let again = |pair: &[Note]| pair[1].struck() - pair[0].struck() <= notes::chords::WINDOW_S + 1e-9;
        let mut by_key = notes.clone();
        by_key.sort_by(|a, b| a.pitch.cmp(&b.pitch).then(a.struck().total_cmp(&b.struck())));
        let most = by_key.windows(2).filter(|pair| pair[0].pitch == pair[1].pitch && again(pair)).count();
        prop_assert!(struck.len() <= notes.len() && struck.len() + most >= notes.len());
    }

    #[test]
    fn the_entry_never_falls_into_the_silence(seed: u64, silence in 0.001..25.0f64) {
        for kind in [Kind::Seed, Kind::Antiphon] {
            let mut decoder = decoder(kind, 4);
            play(&mut decoder, &Controls::default(), seed, 3);
            decoder.hand_over();
            let entry = decoder.sample(&Controls::default(), silence, &mut note_rng(seed, 9));
            prop_assert!(entry.step >= silence.min(19.0), "{kind:?}: {} after {silence}", entry.step);
        }
    }
}

/// Snapshots restore the state from any branch, however many notes later, and the same notes follow.
#[test]
fn a_restored_state_goes_on_as_before() {
    for kind in [Kind::Seed, Kind::Antiphon] {
        let mut decoder = decoder(kind, 5);
        for (before, after) in [(0, 1), (5, 63), (30, 70)] {
            play(&mut decoder, &Controls::default(), 1, before);
            let (snapshot, state) = (decoder.snapshot(), decoder.state().clone());
            let first = play(&mut decoder, &Controls::default(), 2, after);
            let (later, ahead) = (decoder.snapshot(), decoder.state().clone());
            decoder.restore(&snapshot);
            assert!(*decoder.state() == state, "{kind:?}, {after} notes back");
            assert_eq!(play(&mut decoder, &Controls::default(), 2, after), first);
            // From another branch, and back from there.
            decoder.restore(&snapshot);
            play(&mut decoder, &Controls::default(), 3, 3);
            decoder.restore(&later);
            assert!(*decoder.state() == ahead, "{kind:?}, from another branch");
        }
    }
}

/// Distance of two sorted samples, and the distance that chance alone would exceed once in ten thousand
/// (Kolmogorov-Smirnov).
fn apart(one: &[f64], other: &[f64]) -> (f64, f64) {
    let below = |all: &[f64], at: f64| all.partition_point(|value| *value <= at) as f64 / all.len() as f64;
    let apart = one.iter().map(|at| (below(one, *at) - below(other, *at)).abs()).fold(0.0, f64::max);
    (apart, 2.23 * (1.0 / one.len() as f64 + 1.0 / other.len() as f64).sqrt())
}

/// The first step after a silence is distributed as the steps that are at least as long as the silence, and so is a step
/// that is drawn again after that time.
#[test]
fn the_entry_is_drawn_from_what_the_silence_has_left() {
    let mut decoder = decoder(Kind::Antiphon, 4);
    play(&mut decoder, &Controls::default(), 1, 5);
    let neutral = Controls::default();
    let mut steps = |earliest: f64, at_first: Option<f64>, seed: u64| {
        let can_stay = |step: f64| step >= earliest;
        let first_draw = at_first.map(|earliest| FirstDraw { earliest, can_stay: &can_stay });
        let when = StepConstraints { first_draw, ..StepConstraints::after(earliest) };
        let mut steps: Vec<f64> =
            (0..1500).map(|draw| decoder.sample_step(&neutral, &when, &mut note_rng(seed, draw)).step).collect();
        steps.sort_by(f64::total_cmp);
        steps
    };
    let all = steps(0.0, None, 7);
    for silence in [all[all.len() / 4].max(0.05), all[all.len() / 2], all[all.len() * 3 / 4]] {
        let left: Vec<f64> = all.iter().copied().filter(|step| *step >= silence).collect();
        for (at_first, seed) in [(None, 8), (Some(0.0), 9)] {
            let entries = steps(silence, at_first, seed);
            assert!(entries[0] >= silence);
            let (apart, luck) = apart(&left, &entries);
            assert!(apart < luck, "after {silence} s they are {apart} apart, and {luck} would be luck");
        }
    }
}

/// The duration of a note that still sounds is distributed as the durations that are at least as long as it has
/// sounded.
#[test]
fn the_end_of_a_held_note_is_drawn_from_what_it_has_left() {
    let mut decoder = decoder(Kind::Antiphon, 5);
    play(&mut decoder, &Controls::default(), 1, 12);
    let mut lasts = |so_far: f64, seed: u64| -> Vec<f64> {
        let held = Successor { step: 0.2, spread: 0.0, duration: so_far, pitch: 60, velocity: 70 };
        let mut all: Vec<f64> = (0..1500).map(|draw| decoder.sample_rest(&held, &mut note_rng(seed, draw))).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let all = lasts(0.0, 7);
    for so_far in [all[all.len() / 4], all[all.len() / 2], all[all.len() * 3 / 4]] {
        let left: Vec<f64> = all.iter().copied().filter(|duration| *duration >= so_far).collect();
        let held = lasts(so_far, 8);
        assert!(held[0] >= so_far);
        let (apart, luck) = apart(&left, &held);
        assert!(apart < luck, "after {so_far} s they are {apart} apart, and {luck} would be luck");
    }
    assert!(lasts(25.0, 9).iter().all(|duration| *duration >= 20.0), "whatever it is asked");
}

/// A higher density gives more onsets, by about the requested factor, and no thinner chords, as long as the network
/// itself does not answer long steps with longer ones: with random weights, steps that depend on the last ones run
/// away.
#[test]
fn density_is_a_factor_on_the_onsets() {
    let random = Weights::random(Kind::Antiphon, 3);
    let mut tensors = random.tensors().clone();
    for (name, columns) in [("step.out.weight", HEAD), ("step.out.bias", 1)] {
        tensors.get_mut(name).expect("a tensor of the step head").data[TIMES * columns..].fill(0.0);
    }
    let weights = Weights::new(random.card.clone(), tensors).expect("the same shapes");
    let network = Arc::new(Network::new(&weights, Precision::Int8));
    let of = |density| {
        let mut decoder = Decoder::new(network.clone());
        let take = play_within(&mut decoder, &Controls::default(), &NoteConstraints::default(), density, 5, 400);
        let onsets: Vec<f64> = take.iter().map(|note| note.step).filter(|step| *step > 0.0).collect();
        (onsets.iter().map(|step| step.ln()).sum::<f64>() / onsets.len() as f64, onsets.len())
    };
    let (middle, onsets) = of(1.0);
    let mut before = f64::INFINITY;
    for density in [0.25, 0.7, 1.5, 4.0] {
        let (mean, count) = of(density);
        let factor = (middle - mean).exp();
        assert!(mean < before, "density {density} is no denser than the one below");
        assert!((factor / f64::from(density)).ln().abs() < 0.15, "{factor} for {density}");
        assert!(count.abs_diff(onsets) < onsets / 8, "{count} onsets of 400 notes, and {onsets}");
        before = mean;
    }
}

/// Velocities move to the requested level; a fixed velocity is fixed.
#[test]
fn loudness_is_as_asked_for() {
    for kind in [Kind::Seed, Kind::Antiphon] {
        let mut before = 0.0;
        for level in [24.0, 64.0, 104.0] {
            let what = NoteConstraints { loudness: Loudness::Around(level), ..NoteConstraints::default() };
            let take = play_within(&mut decoder(kind, 3), &Controls::default(), &what, 1.0, 5, 300);
            let mean = take[20..].iter().map(|note| f32::from(note.velocity)).sum::<f32>() / 280.0;
            // An untrained network does not react to its own loudness, so it keeps pulling to the middle.
            assert!((mean - level).abs() < 6.0 + 0.5 * (level - 64.0).abs(), "{kind:?}: {mean} for {level}");
            assert!(mean > before + 15.0);
            before = mean;
        }
        let what = NoteConstraints { loudness: Loudness::Fixed(77), ..NoteConstraints::default() };
        let take = play_within(&mut decoder(kind, 3), &Controls::default(), &what, 1.0, 5, 20);
        assert!(take.iter().all(|note| note.velocity == 77));
    }
}

/// Narrow weights predict nearly as well as 32-bit ones: the shipped weights, on takes of their own, sampled as shipped.
#[test]
fn narrow_weights_cost_next_to_nothing() {
    const TAKES: u64 = 15;
    const NOTES: u64 = 200;
    let weights = Weights::from_bytes(include_bytes!("../../../weights/antiphon.safetensors")).unwrap();
    let networks = Precision::ALL.map(|precision| Arc::new(Network::new(&weights, precision)));
    let mut sums = [0.0; Precision::ALL.len()];
    let controls = networks[0].card().controls;
    // Takes as long as in a turn: in one long take, a few places that differ weigh more than the precision.
    for take in 1..=TAKES {
        let mut minds = networks.clone().map(Decoder::new);
        for index in 0..NOTES {
            let note = minds[0].sample(&controls, 0.0, &mut note_rng(take, index));
            for (decoder, sum) in minds.iter_mut().zip(&mut sums) {
                *sum += decoder.costs(&note).iter().sum::<f64>() / (TAKES * NOTES) as f64;
                decoder.feed(&note);
            }
        }
    }
    for (precision, bound) in Precision::ALL.into_iter().zip([0.0, 1e-6, 2e-3, 3e-2]) {
        let more = sums[precision as usize] - sums[0];
        assert!(more.abs() <= bound, "{} costs {more} nats a note", precision.name());
    }
}

/// Eight notes entered step by step, exact and equally loud, are answered that way, by the shipped weights as shipped.
#[test]
fn a_short_exact_phrase_gets_an_exact_answer() {
    let weights = Weights::from_bytes(include_bytes!("../../../weights/antiphon.safetensors")).unwrap();
    let mut decoder = Decoder::new(Arc::new(Network::new(&weights, Precision::Int4)));
    let controls = decoder.network().card().controls;
    for (index, pitch) in [60, 62, 64, 67, 65, 64, 62, 59].into_iter().enumerate() {
        let step = if index == 0 { 0.0 } else { 0.25 };
        decoder.feed(&Successor { step, spread: 0.0, duration: 0.25, pitch, velocity: 100 });
    }
    decoder.hand_over();
    let phrase = decoder.snapshot();
    let (mut exact, mut equal, mut onsets) = (0, 0, 0);
    for seed in 0..6 {
        decoder.restore(&phrase);
        for index in 0..30 {
            let note = decoder.sample(&controls, 0.0, &mut note_rng(seed, index));
            decoder.feed(&note);
            // In triplets or finer, or any multiple.
            let off = (note.step * 24.0 - (note.step * 24.0).round()).abs() / 24.0;
            onsets += i32::from(note.step > 0.0);
            exact += i32::from(note.step > 0.0 && off < 1e-3);
            equal += i32::from(note.velocity == 100);
        }
    }
    // While it took some fifty notes to know a player's habits, 27 of 158 and 21 of 180.
    assert!(exact * 5 > onsets * 4, "{exact} of {onsets} intervals are exact");
    assert!(equal * 5 > 6 * 30 * 3, "{equal} of 180 velocities are the phrase's");
}

/// Side by side, each take equals what it would have been alone.
#[test]
fn takes_side_by_side_are_the_takes_one_by_one() {
    for (kind, precision) in [(Kind::Seed, Precision::F16), (Kind::Antiphon, Precision::Int4)] {
        let mut decoder = decoder_in(kind, 6, precision);
        play(&mut decoder, &Controls::default(), 1, 20);
        let before = decoder.snapshot();
        for takes in [1, 3, 8] {
            let mut batch = BatchDecoder::new(&decoder, takes);
            let mut together = vec![Vec::new(); takes];
            for index in 0..24 {
                let mut rngs: Vec<_> = (0..takes as u64).map(|take| note_rng(take, index)).collect();
                let silence = if index == 0 { 0.3 } else { 0.0 };
                let notes = batch.play(&Controls::default(), silence, &mut rngs);
                together.iter_mut().zip(notes).for_each(|(take, note)| take.push(*note));
            }
            for (seed, take) in together.iter().enumerate() {
                decoder.restore(&before);
                for (index, note) in take.iter().enumerate() {
                    let silence = if index == 0 { 0.3 } else { 0.0 };
                    let rng = &mut note_rng(seed as u64, index as u64);
                    assert_eq!(
                        decoder.sample(&Controls::default(), silence, rng),
                        *note,
                        "{kind:?}, {seed} of {takes}"
                    );
                    decoder.feed(note);
                }
            }
            decoder.restore(&before);
        }
    }
}

/// Feeding a phrase as a whole leaves the same state as note by note: a bounce equals the live take.
#[test]
fn a_phrase_at_once_is_the_phrase_note_by_note() {
    for (kind, precision) in [Kind::Seed, Kind::Antiphon].into_iter().flat_map(|k| Precision::ALL.map(|p| (k, p))) {
        let network = Arc::new(Network::new(&Weights::random(kind, 9), precision));
        let phrase = play(&mut Decoder::new(network.clone()), &Controls::default(), 2, 75);
        let [mut slow, mut quick] = [(); 2].map(|()| Decoder::new(network.clone()));
        phrase.iter().for_each(|note| slow.feed(note));
        quick.feed_all(&phrase[..1]);
        quick.feed_all(&phrase[1..]);
        assert!(quick.state() == slow.state(), "{kind:?} {precision:?}");
    }
}

#[test]
fn weights_survive_their_file() {
    for kind in [Kind::Seed, Kind::Antiphon] {
        let weights = Weights::random(kind, 7);
        assert_eq!(Weights::from_bytes(&weights.to_bytes_f32()).unwrap().tensors(), weights.tensors());
        let halved = Weights::from_bytes(&weights.to_bytes()).unwrap();
        assert_eq!(Weights::from_bytes(&halved.to_bytes()).unwrap().tensors(), halved.tensors());
        assert_eq!(halved.card, weights.card);
    }
}

/// Weights from a vocabulary with fewer features and outputs get zeros for the new ones.
#[test]
fn weights_of_an_older_vocabulary_are_filled_up_with_zeros() {
    use safetensors::{Dtype, tensor::TensorView};
    let weights = Weights::random(Kind::Antiphon, 9);
    let narrower = |name: &str, shape: &[usize]| match name {
        "input.weight" | "step.features.weight" => vec![shape[0], shape[1] - 7],
        "pitch.out.weight" => vec![shape[0] - 3, shape[1]],
        "pitch.out.bias" => vec![shape[0] - 3],
        _ => shape.to_vec(),
    };
    let columns = |shape: &[usize]| shape.get(1).copied().unwrap_or(1);
    let file = |vocabulary: u32| {
        let old: Vec<(&String, Vec<usize>, Vec<u8>)> = weights
            .tensors()
            .iter()
            .map(|(name, tensor)| {
                let shape = narrower(name, &tensor.shape);
                let rows = tensor.data.chunks(columns(&tensor.shape)).take(shape[0]);
                let kept = rows.flat_map(|row| &row[..columns(&shape)]).flat_map(|v| v.to_le_bytes()).collect();
                (name, shape, kept)
            })
            .collect();
        let views =
            old.iter().map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
        let card = Card { vocabulary, ..weights.card.clone() };
        let card = serde_json::to_string(&card).unwrap();
        safetensors::serialize(views, Some([("antiphon".to_owned(), card)].into())).unwrap()
    };
    let read = Weights::from_bytes(&file(1)).unwrap();
    assert_eq!(read.card, weights.card);
    for (name, tensor) in read.tensors() {
        let whole = weights.get(name);
        assert_eq!(tensor.shape, whole.shape);
        let old = narrower(name, &whole.shape);
        let width = columns(&whole.shape);
        for (i, (value, before)) in tensor.data.iter().zip(&whole.data).enumerate() {
            let known = i / width < old[0] && i % width < columns(&old);
            assert_eq!(*value, if known { *before } else { 0.0 }, "{name} {i}");
        }
    }
    let refused = Weights::from_bytes(&file(weights.card.vocabulary));
    assert!(matches!(refused, Err(WeightsError::Shape { .. })), "its own vocabulary has to be whole");
}

/// A thread that loads weights can be stopped, and is asked often enough to stop soon.
#[test]
fn loading_is_given_up_at_any_moment() {
    for kind in [Kind::Seed, Kind::Antiphon] {
        let bytes = Weights::random(kind, 10).to_bytes();
        let load_until = |moment| {
            let asked = Cell::new(0);
            let result = Network::from_bytes_cancelable(&bytes, || {
                asked.set(asked.get() + 1);
                asked.get() <= moment
            });
            (result, asked.get())
        };
        let (whole, moments) = load_until(usize::MAX);
        assert!(whole.is_ok() && moments > Weights::random(kind, 10).tensors().len(), "{moments} questions");
        for moment in [0, 1, moments / 2, moments - 1] {
            let (result, asked) = load_until(moment);
            assert!(matches!(result, Err(WeightsError::Canceled)) && asked == moment + 1, "{moment} of {moments}");
        }
    }
}

#[test]
fn what_is_no_weights_file_is_refused_with_a_reason() {
    use WeightsError::*;
    let weights = Weights::random(Kind::Seed, 8);
    let bytes = weights.to_bytes();
    for cut in [0, 4, 100, 5_000, bytes.len() - 1] {
        assert!(matches!(Weights::from_bytes(&bytes[..cut]), Err(Unreadable(_))), "cut at {cut}");
    }
    let read = |change: &dyn Fn(&mut Card)| {
        let mut other = weights.clone();
        change(&mut other.card);
        Weights::from_bytes(&other.to_bytes())
    };
    assert!(matches!(read(&|card| card.format += 1), Err(Version { what: "format", .. })));
    assert!(matches!(read(&|card| card.vocabulary += 1), Err(Version { what: "vocabulary", .. })));
    assert!(matches!(read(&|card| card.kind = Kind::Antiphon), Err(Missing { .. })));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let foreign = safetensors::serialize(file.tensors(), None).unwrap();
    assert!(matches!(Weights::from_bytes(&foreign), Err(NoCard)));

    let mut tensors = weights.tensors().clone();
    tensors.get_mut("step.bias").unwrap().data[0] = f32::NAN;
    let spoilt = Weights::new(weights.card.clone(), tensors.clone()).unwrap();
    assert!(matches!(Weights::from_bytes(&spoilt.to_bytes()), Err(NotFinite(name)) if name == "step.bias"));
    tensors.get_mut("step.bias").unwrap().shape = vec![1, 1];
    assert!(matches!(Weights::new(weights.card.clone(), tensors), Err(Shape { .. })));
}
