//! Compares statistics of the turn with those of the phrase before it. A network fed with its own output thins out and
//! loses its pulse little by little, without ever playing an unlikely note; the sampler makes up for the measured
//! drift.

use notes::Successor;

use crate::{activation::ln, decaying_mean::DecayingMean, rhythm::Rhythm, voices::Earlier};

/// Weight of the phrase's mean in the turn's running mean, in notes.
const PRIOR: f32 = 24.0;
/// Decay per note of the recent mean: an average over some sixty notes.
const DECAY: f32 = 0.985;
/// Shorter intervals count as this, in seconds.
const SHORTEST_S: f32 = 0.01;
/// With fewer notes (or intervals) than this, a phrase has no usable statistics.
const MIN_COUNT: f32 = 4.0;

/// How much of the range is forgotten with each note: semitones, and MIDI units of velocity.
const PITCH_FORGOTTEN: f32 = 0.03;
const VELOCITY_FORGOTTEN: f32 = 0.1;
/// How far outside the phrase's range still counts as inside: semitones, and MIDI units of velocity.
const PITCH_MARGIN: f32 = 4.0;
const VELOCITY_MARGIN: f32 = 8.0;

/// One statistic, over the recent notes and over the turn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Statistic {
    recent: DecayingMean,
    /// Mean over the phrase before the turn; `None`: there is no turn, or too few notes came before it.
    phrase_mean: Option<f32>,
    turn: DecayingMean,
}

impl Statistic {
    fn begin_turn(&mut self) {
        self.phrase_mean = (self.recent.weight >= MIN_COUNT).then(|| self.recent.mean());
        self.turn = DecayingMean::default();
    }

    fn end_turn(&mut self) {
        (self.phrase_mean, self.turn) = (None, DecayingMean::default());
    }

    fn feed(&mut self, value: f32) {
        self.recent.feed(value, DECAY);
        if self.phrase_mean.is_some() {
            self.turn.feed(value, DECAY);
        }
    }

    /// How far the turn's mean has fallen below the phrase's; negative if it has risen.
    fn shortfall(&self) -> f32 {
        self.phrase_mean
            .map_or(0.0, |phrase_mean| phrase_mean - (self.turn.sum + PRIOR * phrase_mean) / (self.turn.weight + PRIOR))
    }
}

/// Lowest and highest recent value. With each note they come a little nearer to each other, so what is long ago is
/// forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Extent {
    recent: Option<(f32, f32)>,
    /// Those of the phrase before the turn.
    phrase: Option<(f32, f32)>,
}

impl Extent {
    fn feed(&mut self, value: f32, forgotten: f32) {
        let (low, high) = self.recent.unwrap_or((value, value));
        self.recent = Some(((low + forgotten).min(value), (high - forgotten).max(value)));
    }

    /// How far a value is outside the phrase's extent, widened by a margin.
    fn outside(&self, value: f32, margin: f32) -> f32 {
        self.phrase.map_or(0.0, |(low, high)| (low - value).max(value - high) - margin).max(0.0)
    }
}

/// The statistics of the turn and of what came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct TurnDrift {
    /// Share of notes that continue a chord (all but a chord's first note).
    chords: Statistic,
    /// Share of intervals as long as one of the two before.
    even: Statistic,
    /// Share of notes in each duration class.
    durations: [Statistic; DURATIONS],
    /// Natural logarithm of intervals in seconds.
    intervals: Statistic,
    /// Spread of chord notes, in hundredths of a second.
    spreads: Statistic,
    /// Velocity change from note to note, as a magnitude in units of 16.
    changes: Statistic,
    /// Pitch, in octaves.
    pitches: Statistic,
    /// Lowest and highest pitch, softest and loudest velocity.
    pitch_extent: Extent,
    velocity_extent: Extent,
    /// Share of onsets that begin with the same pitch as the onset before.
    repeated: Statistic,
    /// Share of a chord's notes that last as long as the one below.
    chord_durations: Statistic,
    /// The pitch with which the last onset began.
    began_with: Option<u8>,
}

/// Whether two notes last equally long: within a tenth.
pub(crate) fn is_as_long(one: f64, other: f64) -> bool {
    one.max(0.01) <= 1.1 * other.max(0.01) && other.max(0.01) <= 1.1 * one.max(0.01)
}

/// Number of duration classes.
pub(crate) const DURATIONS: usize = 6;
/// Limits between duration classes, in seconds.
const DURATION_LIMITS: [f64; DURATIONS - 1] = [0.06, 0.12, 0.24, 0.48, 0.96];

/// The class of a duration.
pub(crate) fn duration_class(seconds: f64) -> usize {
    DURATION_LIMITS.iter().filter(|&&limit| seconds >= limit).count()
}

impl TurnDrift {
    fn statistics(&mut self) -> impl Iterator<Item = &mut Statistic> {
        let Self { chords, even, durations, intervals, spreads, changes, pitches, repeated, chord_durations, .. } =
            self;
        [chords, even, intervals, spreads, changes, pitches, repeated, chord_durations].into_iter().chain(durations)
    }

    /// Starts a turn.
    pub fn begin(&mut self) {
        self.statistics().for_each(Statistic::begin_turn);
        let is_measured = self.is_measured();
        for extent in [&mut self.pitch_extent, &mut self.velocity_extent] {
            extent.phrase = extent.recent.filter(|_| is_measured);
        }
    }

    /// Ends the turn.
    pub fn end(&mut self) {
        self.statistics().for_each(Statistic::end_turn);
        (self.pitch_extent.phrase, self.velocity_extent.phrase) = (None, None);
    }

    /// Adds a note, before `rhythm` is fed the same note. `last`: the note before; `None` for the first note.
    pub fn feed(&mut self, note: &Successor, rhythm: &Rhythm, last: Option<&Earlier>) {
        let class = duration_class(note.duration);
        self.durations
            .iter_mut()
            .enumerate()
            .for_each(|(n, statistic)| statistic.feed(f32::from(u8::from(n == class))));
        self.pitches.feed(f32::from(note.pitch) / 12.0);
        self.pitch_extent.feed(note.pitch.into(), PITCH_FORGOTTEN);
        self.velocity_extent.feed(note.velocity.into(), VELOCITY_FORGOTTEN);
        if note.step > 0.0 || last.is_none() {
            if let Some(pitch) = self.began_with {
                self.repeated.feed(f32::from(u8::from(note.pitch == pitch)));
            }
            self.began_with = Some(note.pitch);
        }
        let Some(last) = last else { return };
        self.changes.feed(f32::from(note.velocity.abs_diff(last.velocity)) / 16.0);
        if note.step == 0.0 || note.spread > 0.0 {
            self.spreads.feed(100.0 * note.spread as f32);
        }
        if note.step == 0.0 {
            self.chord_durations.feed(f32::from(u8::from(is_as_long(note.duration, last.duration.into()))));
        }
        self.chords.feed(f32::from(u8::from(note.step == 0.0)));
        if note.step == 0.0 {
            return;
        }
        self.intervals.feed(ln((note.step as f32).max(SHORTEST_S)));
        if let Some(even) = rhythm.is_even(note.step) {
            self.even.feed(f32::from(u8::from(even)));
        }
    }

    /// Whether this is a turn after a phrase long enough to show its player's habits.
    pub fn is_measured(&self) -> bool {
        self.intervals.phrase_mean.is_some()
    }

    /// How much rarer chord notes are in the turn than in the phrase, as a share of notes.
    pub fn chord_shortfall(&self) -> f32 {
        self.chords.shortfall()
    }

    /// How much rarer each duration class is than in the phrase, as a share of notes.
    pub fn duration_shortfalls(&self) -> [f32; DURATIONS] {
        self.durations.map(|statistic| statistic.shortfall())
    }

    /// The share of even intervals in the phrase before the turn; 0.5 if there is no turn or the phrase is too short.
    pub fn evenness(&self) -> f32 {
        self.even.phrase_mean.unwrap_or(0.5)
    }

    /// How much shorter intervals are than in the phrase, as the natural logarithm of a ratio.
    pub fn interval_shortfall(&self) -> f32 {
        self.intervals.shortfall()
    }

    /// How much smaller the spread of chord notes is than in the phrase, in hundredths of a second.
    pub fn spread_shortfall(&self) -> f32 {
        self.spreads.shortfall()
    }

    /// The mean spread of chord notes in the phrase, in hundredths of a second; `None`: too few of them.
    pub fn phrase_spread(&self) -> Option<f32> {
        self.spreads.phrase_mean
    }

    /// How much smaller velocity changes are than in the phrase, in units of 16.
    pub fn velocity_change_shortfall(&self) -> f32 {
        self.changes.shortfall()
    }

    /// How much lower pitches are than in the phrase, in octaves.
    pub fn pitch_shortfall(&self) -> f32 {
        self.pitches.shortfall()
    }

    /// How far a pitch is outside the phrase's range, in semitones; a few do not count.
    pub fn pitch_outside(&self, pitch: f32) -> f32 {
        self.pitch_extent.outside(pitch, PITCH_MARGIN)
    }

    /// How far a velocity is outside the phrase's range, in MIDI units; a few do not count.
    pub fn velocity_outside(&self, velocity: f32) -> f32 {
        self.velocity_extent.outside(velocity, VELOCITY_MARGIN)
    }

    /// The pitch with which the last onset began, and how much rarer onsets that repeat such a pitch are than in the
    /// phrase, as a share of onsets.
    pub fn repeated_onset(&self) -> Option<(u8, f32)> {
        self.began_with.map(|pitch| (pitch, self.repeated.shortfall()))
    }

    /// How much rarer notes of a chord that last as long as the one below are than in the phrase, as a share of such
    /// notes.
    pub fn chord_duration_shortfall(&self) -> f32 {
        self.chord_durations.shortfall()
    }

    /// How much rarer even intervals are than in the phrase, as a share of intervals.
    pub fn evenness_shortfall(&self) -> f32 {
        self.even.shortfall()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_missing_in_a_turn_is_known() {
        let note = |step: f64| Successor { step, spread: 0.0, duration: 0.2, pitch: 60, velocity: 64 };
        let (mut turn, mut rhythm) = (TurnDrift::default(), Rhythm::default());
        let last = Earlier { pitch: 60, velocity: 64, duration: 0.2, spread: 0.0, age: 0.0 };
        let mut hear = |turn: &mut TurnDrift, step: f64| {
            turn.feed(&note(step), &rhythm, Some(&last));
            rhythm.feed(&note(step), false, true);
        };
        // Two notes at a time, evenly.
        (0..60).for_each(|i| hear(&mut turn, if i % 2 == 0 { 0.25 } else { 0.0 }));
        assert_eq!((turn.chord_shortfall(), turn.evenness_shortfall()), (0.0, 0.0), "there is no turn yet");
        turn.begin();
        assert_eq!((turn.chord_shortfall(), turn.evenness_shortfall()), (0.0, 0.0));
        // One at a time, unevenly.
        (0..60).for_each(|i| hear(&mut turn, [0.21, 0.3, 0.4][i % 3]));
        assert!(turn.chord_shortfall() > 0.25, "{}", turn.chord_shortfall());
        assert!(turn.evenness_shortfall() > 0.4, "{}", turn.evenness_shortfall());
    }
}
