//! Renders a score like a human performance.
//!
//! Scores are quantized, and people do not play like that. So for each pass over a score a performer is drawn at
//! random: tempo that wanders and slows down at the ends of phrases, onsets a little early or late, chords slightly
//! spread with the melody first, different loudness and articulation of hands and voices, phrases that swell, accents
//! on the meter. Some performers play freely, some to a click, some almost like a machine. All deviations are small:
//! chords remain chords.

use crate::dataset::Piece;
use crate::performance::Performance;
use notes::Note;
use notes::chords::WINDOW_S;
use rand::Rng;

/// Maximum time from a chord's first to its last note, in seconds.
const CHORD_S: f64 = 0.9 * WINDOW_S;
/// Length of a beat in seconds of the score, where beats are unknown.
const BEAT_S: f64 = 0.5;
/// Widest interval that a hand can span, in semitones.
const WIDEST: u8 = 14;
/// Minimum duration of a note, in seconds.
const SHORTEST_S: f64 = 0.03;

/// Characteristics of a performer.
struct Performer {
    /// Factor on all times.
    slower: f64,
    /// Wandering of the tempo, as a logarithm.
    walk: OrnsteinUhlenbeck,
    /// How much faster the middle of a phrase is, as a logarithm.
    arc: f64,
    /// Length of a phrase, in bars.
    phrase: usize,
    /// Probability that a phrase slows down at its end, and the maximum amount, as a logarithm.
    slowing: (f64, f64),
    /// Slowing down at the end of the piece, as a logarithm.
    ending: f64,
    /// Deviation of onsets, in seconds: independent from onset to onset, and drifting.
    jitter: f64,
    drift: OrnsteinUhlenbeck,
    /// Deviation of notes in a chord, in seconds: standard deviation, lead of the melody, lead of the left hand.
    ragged: f64,
    lead: f64,
    left_lead: f64,
    /// Deviation of velocities: drifting, from note to note, by the swell of a phrase, by the meter.
    breath: OrnsteinUhlenbeck,
    uneven: f64,
    swell: f64,
    accent: f64,
    /// Mean velocity for scores without one, and factor on the score's own dynamics.
    level: f64,
    contrast: f64,
    /// Probability that a chord too wide for one hand is rolled.
    rolled: f64,
    /// Added velocity per semitone by which the melody rises above its recent mean.
    contour: f64,
    voices: [VoiceStyle; 3],
}

/// Voices: the melody, the rest of the right hand, the left hand.
#[derive(Clone, Copy, PartialEq)]
enum Voice {
    Melody,
    Right,
    Left,
}

/// Characteristics of a voice.
struct VoiceStyle {
    /// Velocity relative to the piece's.
    louder: f64,
    /// Logarithm of the factor on durations: mean, and wandering.
    length: f64,
    lengths: OrnsteinUhlenbeck,
}

/// An Ornstein-Uhlenbeck process: standard deviation, correlation length in beats, current value.
#[derive(Clone, Copy)]
struct OrnsteinUhlenbeck {
    by: f64,
    over: f64,
    at: f64,
}

impl OrnsteinUhlenbeck {
    fn new(by: f64, over: f64, rng: &mut impl Rng) -> Self {
        Self { by, over, at: by * normal(rng) }
    }

    /// Advances the process by this many beats; returns its new value.
    fn after(&mut self, beats: f64, rng: &mut impl Rng) -> f64 {
        let kept = (-beats.max(0.0) / self.over).exp();
        self.at = kept * self.at + (1.0 - kept * kept).sqrt() * self.by * normal(rng);
        self.at
    }
}

/// An approximately normal random number: mean 0, variance 1, never beyond 3.5.
fn normal(rng: &mut impl Rng) -> f64 {
    let sum: f64 = (0..4).map(|_| f64::from(rng.random::<f32>())).sum();
    (sum - 2.0) * 3f64.sqrt()
}

impl Performer {
    fn draw(widest: f64, rng: &mut impl Rng) -> Self {
        // How human the performance is altogether; occasionally almost like a machine.
        let free: f64 = if rng.random_bool(0.12) { 0.25 } else { rng.random_range(0.6..1.4) };
        let click = rng.random_bool(0.25);
        let tempo = if click { 0.15 } else { 1.0 } * free;
        let width = widest.ln();
        let mut up_to = |most: f64| rng.random_range(0.0..most);
        let (slower, walk, over) = (up_to(2.0) - 1.0, 0.015 + up_to(0.035), 3.0 + up_to(6.0));
        let (arc, slowing, often, ending) = (up_to(0.05), 0.05 + up_to(0.15), up_to(0.7), up_to(0.5));
        let (jitter, drift, ragged, lead, left) =
            (0.004 + up_to(0.008), 0.003 + up_to(0.007), 0.002 + up_to(0.006), up_to(0.018), up_to(0.014) - 0.007);
        let (breath, uneven, swell, accent) = (2.5 + up_to(5.5), 2.5 + up_to(3.5), up_to(11.0), up_to(8.0));
        let (contrast, contour) = (0.5 + up_to(0.6), up_to(0.5));
        let (melody, right, low) = (2.0 + up_to(11.0), -up_to(7.0), -up_to(9.0));
        let (level, rolled) = (48.0 + up_to(36.0), up_to(0.6));
        let mut length = |shortest: f64, longest: f64| shortest + up_to(longest - shortest);
        let lengths = [length(-0.2, 0.12), length(-0.35, 0.08), length(-0.4, 0.1)];
        let phrase = [2, 4, 4, 8][rng.random_range(0..4)];
        let mut manner = |louder, length| {
            let by = if free < 0.5 { 0.03 } else { 0.14 };
            VoiceStyle { louder: louder * free.min(1.0), length, lengths: OrnsteinUhlenbeck::new(by, 4.0, rng) }
        };
        let voices = [manner(melody, lengths[0]), manner(right, lengths[1]), manner(low, lengths[2])];
        Self {
            slower: (slower * width).exp(),
            walk: OrnsteinUhlenbeck::new(walk * tempo, over, rng),
            arc: arc * tempo,
            phrase,
            slowing: (often, slowing * tempo),
            ending: if click { 0.3 } else { 1.0 } * ending,
            jitter: jitter * free,
            drift: OrnsteinUhlenbeck::new(drift * free * if click { 1.6 } else { 1.0 }, 2.0, rng),
            ragged: ragged * free,
            lead: lead * free,
            left_lead: left * free,
            breath: OrnsteinUhlenbeck::new(breath * free, 5.0, rng),
            uneven: uneven * free,
            swell: swell * free,
            accent: accent * free,
            level,
            contrast,
            rolled,
            contour: contour * free,
            voices,
        }
    }
}

/// Renders the piece with a performer drawn from `rng`; its length is multiplied by a factor between 1/`widest` and
/// `widest`, apart from the wandering of the tempo. The result is canonical, starts at 0, and has beats if the piece
/// has them.
pub fn humanize(piece: &Piece, widest: f64, rng: &mut impl Rng) -> Performance {
    let mut performer = Performer::draw(widest, rng);
    let chords = chords(piece);
    let clock = Clock::new(piece, &chords, &mut performer, rng);
    let loudness = piece.notes.iter().map(|note| f64::from(note.velocity)).sum::<f64>() / piece.notes.len() as f64;
    // The overall loudness of a score was more often set by a program than by a person.
    let level = if piece.flat { performer.level } else { 0.5 * (loudness + performer.level) };
    let phrases = &clock.phrases;

    let mut performance = Performance { notes: Vec::with_capacity(piece.notes.len()), beats: Vec::new() };
    let mut registers = RegisterTracker::default();
    let (mut phrase, mut last) = (0, f64::NEG_INFINITY);
    for (index, chord) in chords.iter().enumerate() {
        let notes = &piece.notes[chord.first..chord.end];
        let gone = if index > 0 { chord.beat - chords[index - 1].beat } else { 0.0 };
        // Deviations are smaller in fast passages, and never large enough to change the order of onsets.
        let before = if index > 0 { clock.times[index] - clock.times[index - 1] } else { 1.0 };
        let after = clock.times.get(index + 1).map_or(1.0, |next| next - clock.times[index]);
        let room = before.min(after);
        let drift = performer.drift.after(gone, rng);
        let stray = (performer.jitter * normal(rng) + drift).clamp(-0.2 * room, 0.2 * room);
        let tight = (room / 0.2).min(1.0);

        while phrase + 1 < phrases.len() && phrases[phrase + 1] <= chord.beat + 1e-6 {
            phrase += 1;
        }
        let swelling = phrases.get(phrase + 1).map_or(0.0, |end| {
            let done = ((chord.beat - phrases[phrase]) / (end - phrases[phrase])).clamp(0.0, 1.0);
            // Rises over two thirds of the phrase, then falls.
            if done < 0.65 { done / 0.65 - 0.5 } else { (1.0 - done) / 0.35 - 0.5 }
        });
        let breath = performer.breath.after(gone, rng);
        let accent = performer.accent * clock.weight(chord.beat);
        let common = level + breath + performer.swell * swelling + accent;

        let voices = registers.update(notes, gone);
        let lengths: [f64; 3] = std::array::from_fn(|voice| {
            let manner = &mut performer.voices[voice];
            manner.length + manner.lengths.after(gone, rng)
        });
        let first = performance.notes.len();
        let (top, contour) = (notes.len() - 1, registers.rise * performer.contour);
        let low =
            notes.iter().enumerate().filter(|(place, note)| voices(*place == top, note.pitch) == Voice::Left).count();
        let wide = low > 1 && notes[low - 1].pitch - notes[0].pitch > WIDEST;
        let rolled = wide && room > 0.25 && rng.random::<f64>() < performer.rolled;
        let roll = if rolled { rng.random_range(0.03..0.05f64).min(0.4 * room / low as f64) } else { 0.0 };
        for (place, note) in notes.iter().enumerate() {
            let voice = voices(place == top, note.pitch);
            let manner = &performer.voices[voice as usize];
            let lead = match voice {
                Voice::Melody => performer.lead,
                Voice::Right => 0.0,
                Voice::Left => performer.left_lead,
            };
            let ragged = if notes.len() > 1 { performer.ragged * normal(rng) - lead } else { 0.0 };
            let apart = (ragged * tight).clamp(-CHORD_S / 2.0, CHORD_S / 2.0);
            let later = if place < low { roll * place as f64 } else { 0.0 };
            let struck = clock.times[index] + stray + apart + later;
            let marked = (f64::from(note.velocity) - loudness) * performer.contrast;
            let rise = if voice == Voice::Melody { contour } else { 0.0 };
            let velocity = common + marked + manner.louder + rise + performer.uneven * normal(rng);
            let length = (lengths[voice as usize] + 0.06 * normal(rng)).exp();
            // The change of long notes is limited: they are neither cut short by a fraction of their length nor held
            // far into the next.
            let longer = (note.duration * (length - 1.0)).clamp(-0.3, 0.08);
            let end = clock.time(index, note.onset + note.duration + longer) + stray;
            performance.notes.push(Note {
                onset: struck,
                spread: 0.0,
                duration: (end - struck).max(SHORTEST_S),
                pitch: note.pitch,
                velocity: velocity.round().clamp(1.0, 127.0) as u8,
            });
        }
        // Notes struck together stay together, and after the previous ones.
        let played = &mut performance.notes[first..];
        let earliest = played.iter().map(|note| note.onset).fold(f64::INFINITY, f64::min);
        let late = (last + 0.5 * before - earliest).max(0.0);
        for note in played.iter_mut() {
            note.onset += late;
        }
        last = earliest + late;
        if !piece.beats.is_empty() {
            let slope = clock.beat_s(index);
            performance.beats.extend(
                performance.notes[first..].iter().map(|note| chord.beat + (note.onset - clock.times[index]) / slope),
            );
        }
    }
    release_before_striking(&mut performance.notes, rng);
    performance.canonicalize();
    performance.from_zero();
    performance
}

/// Notes with the same onset in the score.
struct ScoreChord {
    first: usize,
    end: usize,
    beat: f64,
}

fn chords(piece: &Piece) -> Vec<ScoreChord> {
    let mut chords: Vec<ScoreChord> = Vec::with_capacity(piece.notes.len());
    for (index, note) in piece.notes.iter().enumerate() {
        if let Some(chord) = chords.last_mut()
            && piece.notes[chord.first].onset == note.onset
        {
            chord.end = index + 1;
            continue;
        }
        let beat = piece.beats.get(index).copied().unwrap_or(note.onset / BEAT_S);
        chords.push(ScoreChord { first: index, end: index + 1, beat });
    }
    chords
}

/// The timing of a performance.
struct Clock<'a> {
    piece: &'a Piece,
    chords: &'a [ScoreChord],
    /// Time at which each chord is due, in seconds.
    times: Vec<f64>,
    /// Beats at which phrases begin, and the end of the last one.
    phrases: Vec<f64>,
    /// Seconds played per second of the score, at the end of the piece.
    last: f64,
}

impl<'a> Clock<'a> {
    fn new(piece: &'a Piece, chords: &'a [ScoreChord], performer: &mut Performer, rng: &mut impl Rng) -> Self {
        let end = chords.last().map_or(0.0, |chord| chord.beat);
        let phrases = phrases(piece, chords, performer.phrase);
        let slowings: Vec<(f64, f64, f64)> = phrases[1..]
            .iter()
            .map(|&at| {
                let deep = performer.slowing.1 * rng.random_range(0.3..1.0);
                let deep = if rng.random_bool(performer.slowing.0) { deep } else { 0.0 };
                let width = rng.random_range(1.0..2.5);
                if at >= end { (end, performer.ending, 2.0 * width) } else { (at, deep, width) }
            })
            .collect();
        let mut times = Vec::with_capacity(chords.len());
        let (mut now, mut next, mut rate) = (0.0, 0, 1.0);
        for (index, chord) in chords.iter().enumerate() {
            times.push(now);
            let Some(following) = chords.get(index + 1) else { break };
            let beats = following.beat - chord.beat;
            let middle = chord.beat + beats / 2.0;
            while next + 1 < slowings.len() && middle > slowings[next].0 {
                next += 1;
            }
            let mut slower = performer.walk.after(beats, rng);
            if let Some(&(at, deep, width)) = slowings.get(next) {
                let near = 1.0 - ((at - middle) / width).clamp(0.0, 1.0);
                slower += deep * near * near;
                let start = phrases[next];
                let done = ((middle - start) / (at - start).max(1e-9)).clamp(0.0, 1.0);
                slower += performer.arc * (0.6 - (std::f64::consts::PI * done).sin());
            }
            rate = performer.slower * slower.exp();
            now += (piece.notes[following.first].onset - piece.notes[chord.first].onset) * rate;
        }
        Self { piece, chords, times, phrases, last: rate }
    }

    fn score_s(&self, index: usize) -> f64 {
        self.piece.notes[self.chords[index].first].onset
    }

    /// Time at which a point in the score is due; given in seconds of the score, at or after a chord.
    fn time(&self, chord: usize, score_s: f64) -> f64 {
        // A linear search, because most notes end soon.
        let mut index = chord;
        while index + 1 < self.chords.len() && self.score_s(index + 1) <= score_s {
            index += 1;
        }
        let beyond = score_s - self.score_s(index);
        self.times[index] + beyond * self.rate(index)
    }

    /// Seconds played per second of the score, after a chord.
    fn rate(&self, index: usize) -> f64 {
        match self.times.get(index + 1) {
            Some(next) => (next - self.times[index]) / (self.score_s(index + 1) - self.score_s(index)),
            None => self.last,
        }
    }

    /// Seconds played per beat, around a chord.
    fn beat_s(&self, index: usize) -> f64 {
        let last = self.chords.len() - 1;
        let (from, to) = (index.min(last.saturating_sub(1)), (index + 1).min(last));
        let beats = self.chords[to].beat - self.chords[from].beat;
        if beats > 1e-6 { (self.times[to] - self.times[from]) / beats } else { BEAT_S }
    }

    /// Metrical weight of a beat in its bar, from -0.5 to 1.
    fn weight(&self, beat: f64) -> f64 {
        if self.piece.beats.is_empty() {
            return 0.0;
        }
        let bars = &self.piece.bars;
        let place = match bars.partition_point(|bar| bar.0 <= beat + 1e-6).checked_sub(1) {
            Some(index) => (beat - bars[index].0).rem_euclid(bars[index].1),
            None => beat.rem_euclid(1.0) + 1.0,
        };
        let on = |place: f64| (place - place.round()).abs() < 0.02;
        match () {
            () if place < 0.02 => 1.0,
            () if on(place) => 0.3,
            () if on(2.0 * place) => -0.2,
            () => -0.5,
        }
    }
}

/// Beats at which phrases of `bars` bars begin, and the end of the last one, which is the end of the piece.
fn phrases(piece: &Piece, chords: &[ScoreChord], bars: usize) -> Vec<f64> {
    let (Some(first), Some(last)) = (chords.first(), chords.last()) else { return vec![0.0, 0.0] };
    let mut lines = Vec::new();
    let known: &[(f64, f64)] = if piece.bars.is_empty() { &[(first.beat, 4.0)] } else { &piece.bars };
    for (index, &(start, length)) in known.iter().enumerate() {
        let end = known.get(index + 1).map_or(last.beat, |next| next.0).min(last.beat);
        let count = ((end - start) / length - 1e-6).ceil().clamp(0.0, 1e5) as usize;
        lines.extend((0..count).map(|bar| start + bar as f64 * length));
    }
    let mut phrases: Vec<f64> =
        lines.into_iter().filter(|&line| line > first.beat + 1e-6).step_by(bars).skip(1).collect();
    phrases.insert(0, first.beat);
    phrases.push(last.beat);
    phrases
}

/// Tracks the registers of melody and bass, to assign notes to voices.
#[derive(Default)]
struct RegisterTracker {
    /// Pitch of the melody, which falls while no note is as high; pitch of the left hand, which rises.
    top: f64,
    bottom: f64,
    /// Moving average of the melody's pitch.
    middle: f64,
    /// Semitones of the melody above that.
    rise: f64,
    began: bool,
}

impl RegisterTracker {
    /// Updates the registers with a chord (ascending pitches), `gone` beats after the previous one. Returns a function
    /// that assigns a note of it to a voice, given whether it is the chord's highest, and its pitch.
    fn update(&mut self, notes: &[Note], gone: f64) -> impl Fn(bool, u8) -> Voice + use<> {
        let (low, high) = (f64::from(notes[0].pitch), f64::from(notes[notes.len() - 1].pitch));
        if !self.began {
            *self = Self { top: high, bottom: low.min(high - 12.0), middle: high, rise: 0.0, began: true };
        }
        self.top = high.max(self.top - 5.0 * gone);
        self.bottom = low.min(self.bottom + 5.0 * gone);
        let sings = high >= self.top - 5.0;
        if sings {
            let kept = (-gone / 8.0).exp();
            self.middle = kept * self.middle + (1.0 - kept) * high;
            self.rise = (high - self.middle).clamp(-12.0, 12.0);
        }
        let hands = (0.5 * (self.top + self.bottom)).clamp(50.0, 67.0);
        move |highest, pitch| match () {
            () if highest && sings => Voice::Melody,
            () if f64::from(pitch) < hands => Voice::Left,
            () => Voice::Right,
        }
    }
}

/// Shortens notes so that each key is released before it is struck again.
fn release_before_striking(notes: &mut [Note], rng: &mut impl Rng) {
    let mut last: [Option<usize>; 128] = [None; 128];
    for index in 0..notes.len() {
        let Note { onset, pitch, .. } = notes[index];
        if let Some(earlier) = last[usize::from(pitch)].replace(index) {
            let earlier = &mut notes[earlier];
            let apart = onset - earlier.onset;
            if earlier.duration > apart - 0.01 {
                let lifted = rng.random_range(0.02..0.06f64).min(0.3 * apart);
                earlier.duration = (apart - lifted).max(0.5 * apart).max(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Source;
    use rand_pcg::Pcg32;

    /// Two hands in 3/4 at 100 beats per minute: eighth notes above chords of three notes on each beat.
    fn waltz() -> Piece {
        let mut piece = Piece { source: Some(Source::Score), bars: vec![(0.0, 3.0)], ..Piece::default() };
        let mut add = |beat: f64, pitch: u8, length: f64| {
            piece.beats.push(beat);
            piece.notes.push(Note { onset: beat * 0.6, spread: 0.0, duration: length * 0.6, pitch, velocity: 70 });
        };
        for eighth in 0..960u32 {
            let beat = f64::from(eighth) / 2.0;
            if eighth % 2 == 0 {
                [45, 52, 57].into_iter().for_each(|pitch| add(beat, pitch, 1.0));
            }
            add(beat, 70 + (eighth * 7 % 12) as u8, 0.5);
        }
        piece
    }

    #[test]
    fn people_play_what_is_written_but_not_as_it_is_written() {
        let score = waltz();
        for number in 0..40 {
            let played = humanize(&score, 1.4, &mut Pcg32::new(5, number));
            assert_eq!(played, humanize(&score, 1.4, &mut Pcg32::new(5, number)));
            let (notes, beats) = (&played.notes, &played.beats);
            // The notes and their grouping into chords do not change.
            let keys = |notes: &[Note]| notes.iter().map(|note| note.pitch).collect::<Vec<_>>();
            assert_eq!(keys(notes), keys(&score.notes));
            let chords = |notes: &[Note]| notes.windows(2).map(|w| w[0].onset == w[1].onset).collect::<Vec<_>>();
            assert_eq!(chords(notes), chords(&score.notes));
            let raw = notes.iter().map(|note| note.spread).fold(0.0, f64::max);
            assert!(raw > 0.0 && raw <= WINDOW_S, "{raw}");
            // Beats increase with time, and deviate a little from the score.
            assert!(beats.windows(2).all(|w| w[0] <= w[1]));
            let off: Vec<f64> = beats.iter().zip(&score.beats).map(|(a, b)| a - b).collect();
            let mean = off.iter().sum::<f64>() / off.len() as f64;
            let deviation = (off.iter().map(|off| (off - mean).powi(2)).sum::<f64>() / off.len() as f64).sqrt();
            assert!((0.001..0.08).contains(&deviation), "{number}: {deviation}");
            // The overall tempo is within the requested range, with some room for its wandering.
            let whole = notes.last().unwrap().onset / score.notes.last().unwrap().onset;
            assert!((0.6..1.7).contains(&whole), "{whole}");
            // Each key is released before it is struck again.
            for (index, note) in notes.iter().enumerate() {
                assert!(note.duration >= note.spread && (1..128).contains(&note.velocity));
                let again = notes[index + 1..].iter().take(60).find(|next| next.pitch == note.pitch);
                assert!(again.is_none_or(|next| note.end() < next.struck()), "{number}: {note:?} {again:?}");
            }
        }
    }

    #[test]
    fn without_beats_and_with_one_note_it_plays_as_well() {
        let mut score = waltz();
        (score.beats, score.bars) = (Vec::new(), Vec::new());
        let played = humanize(&score, 1.2, &mut Pcg32::new(1, 1));
        assert_eq!((played.notes.len(), played.beats.len()), (score.notes.len(), 0));
        score.notes.truncate(1);
        assert_eq!(humanize(&score, 1.0, &mut Pcg32::new(1, 1)).notes.len(), 1);
    }
}
