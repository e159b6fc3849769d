//! Conditioning inputs of a lane besides the notes: source, meter, time left. Drawn again for each pass over a piece.

use super::config::ConditioningRates;
use crate::dataset::Piece;
use crate::performance::Performance;
use model::{Conditioning, Meter, PieceConditioning, Remaining, Source, shapes::Attribute};
use rand::Rng;

/// The tempo is measured over about this many beats.
const TEMPO_BEATS: f64 = 2.0;
/// Range of seconds per beat in which a beat is given.
const BEATS_S: std::ops::Range<f64> = 0.1..4.0;
/// Minimum silence between sections, in seconds.
const PAUSE_S: f64 = 1.5;
/// The time left is given from at most this many seconds or notes before the end, and at least a tenth of that.
const LEFT_S: f64 = 40.0;
const LEFT_NOTES: f64 = 200.0;

/// Range of seconds per beat of a host's transport.
const HOST_BEATS_S: std::ops::Range<f64> = 0.35..1.0;
/// The tempo at which a host starts, and how often it stays there.
const DEFAULT_BEAT_S: f64 = 0.5;
const STAYS_AT_DEFAULT: f64 = 0.25;

/// The conditioning inputs for one pass over a piece.
pub struct Plan {
    /// The fraction of the piece from which the source is given; `None` if it is not.
    source: Option<f64>,
    meter: Option<Beat>,
    /// Given instead of the meter.
    transport: Option<Transport>,
    /// Whether the time left is given in notes instead of seconds, and from which fraction of the maximum.
    left: Option<(bool, f64)>,
    /// Whether the pass starts in the last third of the piece.
    pub ending: bool,
}

/// How the beat is given.
#[derive(Clone, Copy)]
struct Beat {
    /// Given beats per true beat.
    scale: f64,
    /// Offset of the position in the bar, in bars.
    off: f64,
    bars: bool,
    /// The fraction of the piece from which it is given: live, the pulse of a phrase is known only after a while.
    from: f64,
}

/// The steady beat of a transport that runs beside the music and that nobody plays to.
#[derive(Clone, Copy)]
struct Transport {
    beat_s: f64,
    /// Beats per bar.
    bar: f64,
    /// Beats that have passed when the piece begins.
    at_start: f64,
    /// The fraction of the piece from which it is given: live, from the hand-over on.
    from: f64,
}

impl Transport {
    fn draw(rng: &mut impl Rng) -> Self {
        let beat_s = HOST_BEATS_S.start * (HOST_BEATS_S.end / HOST_BEATS_S.start).powf(rng.random::<f64>());
        let beat_s = if rng.random::<f64>() < STAYS_AT_DEFAULT { DEFAULT_BEAT_S } else { beat_s };
        let bar = [4.0, 4.0, 4.0, 3.0][rng.random_range(0..4)];
        Self { beat_s, bar, at_start: bar * rng.random::<f64>(), from: rng.random() }
    }

    /// The meter at each note.
    fn meters(&self, performance: &Performance) -> Vec<Option<Meter>> {
        let Self { beat_s, bar, at_start, from } = *self;
        let notes = &performance.notes;
        let given = |index: usize| index as f64 >= from * notes.len() as f64;
        let meter = |onset: f64| Meter { beat_s, position: within(at_start + onset / beat_s, bar), bar };
        notes.iter().enumerate().map(|(index, note)| given(index).then(|| meter(note.onset))).collect()
    }
}

impl Plan {
    /// No conditioning inputs.
    pub const NONE: Self = Self { source: None, meter: None, transport: None, left: None, ending: false };

    /// Draws a plan at random.
    pub fn draw(rates: &ConditioningRates, rng: &mut impl Rng) -> Self {
        let mut chance = |share: f64| rng.random::<f64>() < share;
        let (source, meter, wrong) = (chance(rates.source), chance(rates.meter), chance(rates.wrong_meter));
        let (bars, left, ending) = (!chance(rates.no_bar), chance(rates.left), chance(rates.ending));
        let (scale, off) =
            if wrong { ([1.0, 1.0, 0.5, 2.0][rng.random_range(0..4)], rng.random()) } else { (1.0, 0.0) };
        let (notes, from) = (rng.random(), rng.random_range(0.1..1.0));
        let mut late = |share: f64| if rng.random::<f64>() < share { rng.random::<f64>() } else { 0.0 };
        let (late, source_from) = (late(rates.late_meter), late(rates.late_source));
        let beat = Beat { scale, off, bars, from: late };
        let source = source.then_some(source_from);
        let transport = (rng.random::<f64>() < rates.unrelated_transport).then(|| Transport::draw(rng));
        Self {
            source,
            meter: meter.then_some(beat),
            transport,
            left: left.then_some((notes, from)),
            ending: left && ending,
        }
    }

    /// The conditioning inputs for a performance of the piece. `humanized`: whether the spread of its chords is
    /// realistic.
    pub fn conditioning(&self, piece: &Piece, performance: &Performance, humanized: bool) -> PieceConditioning {
        let mut learns = [true; 5];
        for (attribute, learns) in Attribute::ALL.into_iter().zip(&mut learns) {
            *learns = match attribute {
                Attribute::Velocity => !piece.flat,
                Attribute::Spread => humanized || piece.source != Some(Source::Score),
                _ => true,
            };
        }
        let count = performance.notes.len();
        let has_beats = performance.beats.len() == count;
        let meters = match (self.transport, self.meter) {
            (Some(transport), _) => Some(transport.meters(performance)),
            (None, beat) => beat.filter(|_| has_beats).map(|beat| meters(piece, performance, beat)),
        };
        let left = self.left.map(|(notes, from)| left(performance, notes, from));
        let source =
            |index: usize| piece.source.filter(|_| self.source.is_some_and(|from| index as f64 >= from * count as f64));
        let start = Conditioning { source: source(0), ..Conditioning::default() };
        let mut per_note = Vec::new();
        if meters.is_some() || left.is_some() || source(count) != start.source {
            per_note = vec![Conditioning::default(); count];
            for (index, at_onset) in per_note.iter_mut().enumerate() {
                at_onset.source = source(index);
                at_onset.meter = meters.as_ref().and_then(|meters| meters[index]);
                at_onset.remaining = left.as_ref().and_then(|left| left[index]);
            }
        }
        PieceConditioning { start, per_note, learns }
    }
}

/// The meter at each note, from the notes up to it; for the first notes, from the first beats.
fn meters(piece: &Piece, performance: &Performance, beat: Beat) -> Vec<Option<Meter>> {
    let Performance { notes, beats } = performance;
    let bars = true_bars(&piece.bars);
    let slope = |from: usize, to: usize| {
        let length = beats[to] - beats[from];
        (length > 1e-6).then(|| (notes[to].onset - notes[from].onset) / length)
    };
    let first = beats.partition_point(|&beat| beat < beats[0] + TEMPO_BEATS).min(beats.len() - 1);
    let mut tempo = slope(0, first);
    let (mut from, mut stretch) = (0, 0);
    (0..notes.len())
        .map(|index| {
            // Moves to the latest note at least [`TEMPO_BEATS`] ago.
            while from + 1 < index && beats[index] - beats[from + 1] >= TEMPO_BEATS - 0.05 {
                from += 1;
            }
            if beats[index] - beats[from] >= TEMPO_BEATS - 0.05 {
                tempo = slope(from, index).or(tempo);
            }
            while stretch + 1 < bars.len() && bars[stretch + 1].0 <= beats[index] + 1e-6 {
                stretch += 1;
            }
            let beat_s = tempo? / beat.scale;
            let (start, length) = bars.get(stretch).copied().unwrap_or((0.0, 0.0));
            let off = beat.off * if length > 0.0 { length } else { 1.0 };
            let (position, length) = ((beats[index] - start + off) * beat.scale, length * beat.scale);
            let bar = if beat.bars { length } else { 0.0 };
            let round = if bar > 0.0 { bar } else { 1.0 };
            let position = within(position, round);
            let is_given = BEATS_S.contains(&beat_s) && index as f64 >= beat.from * notes.len() as f64;
            is_given.then_some(Meter { beat_s, position, bar })
        })
        .collect()
}

/// The position within a bar (or beat) of this length. Rounding may result in the length itself, which is position 0 of
/// the next one.
fn within(position: f64, length: f64) -> f64 {
    Some(position.rem_euclid(length)).filter(|&position| position < length).unwrap_or(0.0)
}

/// In files, an upbeat has its own short bar; musically, it is the end of a bar as long as the following ones.
fn true_bars(bars: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut bars = bars.to_vec();
    if let [(start, length), (next, longer), ..] = bars[..]
        && next - start <= length + 1e-6
        && length < longer
    {
        bars[0] = (next - longer, longer);
    }
    bars
}

/// What is left at each note until the last release of its section or of the piece, given only near the end.
fn left(performance: &Performance, as_notes: bool, from: f64) -> Vec<Option<Remaining>> {
    let notes = &performance.notes;
    let mut left = vec![None; notes.len()];
    let (mut begin, mut end) = (0, 0.0f64);
    for index in 0..notes.len() {
        end = end.max(notes[index].end());
        if notes.get(index + 1).is_some_and(|next| next.onset - end < PAUSE_S) {
            continue;
        }
        for note in begin..=index {
            let (count, seconds) = (index - note, end - notes[note].onset);
            left[note] = match as_notes {
                true => (count as f64 <= from * LEFT_NOTES).then_some(Remaining::Notes(count as u32)),
                false => (seconds <= from * LEFT_S).then_some(Remaining::Seconds(seconds)),
            };
        }
        begin = index + 1;
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use notes::Note;

    const BEAT: Beat = Beat { scale: 1.0, off: 0.0, bars: true, from: 0.0 };

    /// Eighth notes with an upbeat of a quarter note, then in 3/4; 0.5 s per beat, 0.8 s from beat 8 on; a rest of 4
    /// beats at beat 12.
    fn piece() -> (Piece, Performance) {
        let mut performance = Performance::default();
        for eighth in 0..40 {
            let beat = f64::from(eighth) / 2.0 + if eighth >= 24 { 4.0 } else { 0.0 };
            let onset = if beat < 8.0 { 0.5 * beat } else { 4.0 + 0.8 * (beat - 8.0) };
            performance.notes.push(Note { onset, spread: 0.0, duration: 0.2, pitch: 60, velocity: 64 });
            performance.beats.push(beat);
        }
        (Piece { bars: vec![(0.0, 1.0), (1.0, 3.0)], ..Piece::default() }, performance)
    }

    #[test]
    fn the_meter_is_where_the_note_is_at_the_tempo_of_the_last_beats() {
        let (piece, performance) = piece();
        let meters = meters(&piece, &performance, BEAT);
        for (meter, &beat) in meters.iter().zip(&performance.beats) {
            let meter = meter.unwrap();
            assert_eq!((meter.position, meter.bar), ((beat + 2.0) % 3.0, 3.0), "{beat}");
            // The given tempo does not change before the new one has been played, and has changed completely two beats
            // later.
            let expected = if beat <= 8.0 { 0.5 } else { (0.5 + 0.15 * (beat - 8.0)).min(0.8) };
            assert!((meter.beat_s - expected).abs() < 1e-9, "{beat}: {meter:?}");
        }
        let half = super::meters(&piece, &performance, Beat { scale: 0.5, off: 0.5, ..BEAT })[0].unwrap();
        assert_eq!((half.beat_s, half.position, half.bar), (1.0, 0.25, 1.5));
        let free = super::meters(&piece, &performance, Beat { bars: false, ..BEAT })[1].unwrap();
        assert_eq!((free.position, free.bar), (0.5, 0.0));
        let late = super::meters(&piece, &performance, Beat { from: 0.25, ..BEAT });
        assert_eq!(late.iter().position(Option::is_some), Some(10));
    }

    #[test]
    fn a_transport_that_nobody_plays_to_runs_steadily_whatever_the_music_does() {
        let (piece, performance) = piece();
        let transport = Transport { beat_s: 0.5, bar: 4.0, at_start: 3.0, from: 0.5 };
        let told = Plan { transport: Some(transport), meter: Some(BEAT), ..Plan::NONE };
        let told = told.conditioning(&piece, &performance, false).per_note;
        for (index, (told, note)) in told.iter().zip(&performance.notes).enumerate() {
            let expected = Meter { beat_s: 0.5, position: (3.0 + 2.0 * note.onset) % 4.0, bar: 4.0 };
            assert_eq!(told.meter, (index >= 20).then_some(expected), "{index}");
        }
        let no_beats = Performance { beats: Vec::new(), ..performance };
        let told = Plan { transport: Some(transport), ..Plan::NONE }.conditioning(&piece, &no_beats, false).per_note;
        assert_eq!(told.iter().filter(|told| told.meter.is_some()).count(), 20);
    }

    #[test]
    fn what_is_left_ends_with_sections_and_begins_late() {
        let (_, performance) = piece();
        let by_notes = left(&performance, true, 0.05);
        let by_seconds = left(&performance, false, 0.05);
        for (index, note) in performance.notes.iter().enumerate() {
            // The rest after 24 notes ends a section.
            let (last, end) = if index < 24 { (23, 4.0 + 0.8 * 3.5 + 0.2) } else { (39, 4.0 + 0.8 * 15.5 + 0.2) };
            let count = last - index as u32;
            assert_eq!(by_notes[index], (count <= 10).then_some(Remaining::Notes(count)), "{index}");
            let seconds: f64 = end - note.onset;
            match by_seconds[index] {
                Some(Remaining::Seconds(told)) => assert!((told - seconds).abs() < 1e-9 && told <= 2.0),
                other => assert!(other.is_none() && seconds > 2.0, "{index}"),
            }
        }
    }

    #[test]
    fn a_source_does_not_teach_what_it_has_not() {
        let (piece, performance) = piece();
        let learns = |source, flat, humanized| {
            let piece = Piece { source, flat, ..piece.clone() };
            Plan::NONE.conditioning(&piece, &performance, humanized).learns
        };
        assert_eq!(learns(None, false, false), [true; 5]);
        assert_eq!(learns(Some(Source::Score), false, false), [true, true, true, true, false]);
        assert_eq!(learns(Some(Source::Score), true, true), [true, true, true, false, true]);
        assert_eq!(Plan::NONE.conditioning(&piece, &performance, false), PieceConditioning::default());
    }

    #[test]
    fn the_source_is_told_from_the_start_or_from_later_on() {
        let (piece, performance) = piece();
        let piece = Piece { source: Some(Source::Roll), ..piece };
        let told = |from| Plan { source: Some(from), ..Plan::NONE }.conditioning(&piece, &performance, false);
        assert_eq!((told(0.0).start.source, told(0.0).per_note.len()), (Some(Source::Roll), 0));
        let late = told(0.5);
        assert_eq!(late.start.source, None);
        assert_eq!(late.per_note.iter().position(|at_onset| at_onset.source.is_some()), Some(20));
    }

    #[test]
    fn all_is_told_as_often_as_the_recipe_says() {
        let rates = ConditioningRates {
            source: 0.7,
            late_source: 0.3,
            meter: 0.5,
            wrong_meter: 0.1,
            no_bar: 0.2,
            late_meter: 0.3,
            left: 0.3,
            ending: 0.4,
            unrelated_transport: 0.2,
        };
        let rng = &mut rand_pcg::Pcg32::new(1, 1);
        let plans: Vec<Plan> = (0..20_000).map(|_| Plan::draw(&rates, rng)).collect();
        let share = |which: &dyn Fn(&Plan) -> bool| plans.iter().filter(|plan| which(plan)).count() as f64 / 20_000.0;
        for (found, expected) in [
            (share(&|plan| plan.source.is_some()), 0.7),
            (share(&|plan| plan.source.is_some_and(|from| from > 0.0)), 0.21),
            (share(&|plan| plan.meter.is_some()), 0.5),
            (share(&|plan| plan.meter.is_some_and(|beat| beat.off != 0.0)), 0.05),
            (share(&|plan| plan.meter.is_some_and(|beat| !beat.bars)), 0.1),
            (share(&|plan| plan.meter.is_some_and(|beat| beat.from > 0.0)), 0.15),
            (share(&|plan| plan.left.is_some()), 0.3),
            (share(&|plan| plan.ending), 0.12),
            (share(&|plan| plan.transport.is_some()), 0.2),
        ] {
            assert!((found - expected).abs() < 0.015, "{found} {expected}");
        }
    }
}
