//! Lets a network play: takes from scratch and continuations. Used by `generate`, `continue` and the measures.

use crate::error::{bad_input, read_input};
use model::{Conditioning, Controls, Decoder, Meter, Network, Search, note_rng};
use notes::{Note, Successor};
use std::path::Path;
use std::sync::Arc;

/// Maximum number of notes per second of a take, far more than hands can play; a limit for networks that play nothing
/// but chords.
const MAX_NOTES_PER_SECOND: f64 = 100.0;

/// Reads and validates a weights file.
pub fn load_network(path: &Path) -> anyhow::Result<Arc<Network>> {
    let network = Network::from_bytes(&read_input(path)?).map_err(|error| bad_input(path, error))?;
    Ok(Arc::new(network))
}

/// The length of a take, which ends at whichever limit is reached first.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// Maximum time from the start of the take to an onset, in seconds.
    pub seconds: f64,
    /// Maximum number of notes.
    pub notes: usize,
}

/// Sampling options on the command line.
#[derive(Clone, Debug, clap::Args)]
pub struct Sampling {
    /// Factor on the sampling temperatures of the weights.
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    temperature: f64,
    /// Top-p: sample from the most likely classes that together have this probability, 0 to 1 [default: from the
    /// weights].
    #[arg(long, value_parser = not_negative)]
    top_p: Option<f64>,
    /// Min-p: drop classes less likely than this fraction of the most likely one, 0 to 1 [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    min_p: Option<f64>,
    /// How strongly chords are kept as frequent as in the phrase; 0 is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    texture: Option<f64>,
    /// How strongly intervals are kept as even as in the phrase; 0 is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    evenness: Option<f64>,
    /// How strongly short and long notes are kept as frequent as in the phrase; 0 is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    durations: Option<f64>,
    /// How strongly the density of onsets is kept as in the phrase; 0 is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    density: Option<f64>,
    /// How strongly chords are kept as spread as in the phrase; 0 is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    spread: Option<f64>,
    /// Nats added to a pitch that repeats an earlier continuation of the last intervals, scaled by the share of uneven
    /// intervals in the phrase; 0 is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    repeats: Option<f64>,
    /// How strongly velocities are kept as varied as in the phrase; 0 is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    dynamics: Option<f64>,
    /// How strongly the mean pitch is kept as in the phrase; 0 is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    register: Option<f64>,
    /// How strongly onsets are kept from beginning with the same pitch as the last one, unless they did in the phrase; 0
    /// is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    repeated_onsets: Option<f64>,
    /// How strongly pitches and velocities are kept within the phrase's range; 0 is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    range: Option<f64>,
    /// How strongly a chord's notes are kept as equally long as in the phrase; 0 is off [default: from the weights].
    #[arg(long, value_parser = not_negative)]
    chord_durations: Option<f64>,
    /// Additional factors on the temperatures of step, pitch, duration and velocity.
    #[arg(long, num_args = 4, value_names = ["STEP", "PITCH", "DURATION", "VELOCITY"], value_parser = not_negative)]
    temperatures: Option<Vec<f64>>,
}

/// Settings for letting a network play.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Sampling settings.
    pub controls: Controls,
    /// Search settings.
    pub search: Search,
    /// Tempo of a host's transport that starts at the hand-over, in beats per minute; the phrase was not played to it.
    /// `None`: it is stopped.
    pub transport: Option<f64>,
}

impl Style {
    /// Tells the network what the host's transport tells it at the hand-over.
    pub fn start_transport(&self, decoder: &mut Decoder) {
        let meter = self.transport.map(|tempo| Meter { beat_s: 60.0 / tempo, position: 0.0, bar: 4.0 });
        decoder.set_conditioning(Conditioning { meter, ..decoder.conditioning() });
    }
}

/// Search options on the command line.
#[derive(Clone, Debug, clap::Args)]
pub struct Searching {
    /// Number of takes generated side by side, among which the critic chooses; 1 is no search. Needs weights with a
    /// critic [default: 16 to continue, 1 to evaluate].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    search: Option<u16>,
    /// Factor on the critic's log odds: 1 as they are, 0 to ignore them.
    #[arg(long, default_value_t = Search::OFF.strength, value_name = "BETA", value_parser = not_negative)]
    search_strength: f64,
    /// Maximum number of notes in a plan, after which one take is chosen.
    #[arg(long, default_value_t = Search::OFF.plan as u16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    search_plan: u16,
    /// Number of notes between two comparisons of the takes.
    #[arg(long, default_value_t = Search::OFF.every as u16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    search_every: u16,
    /// Tell the network the beat of a host's transport at this tempo, in beats per minute, which starts in 4/4 at the
    /// hand-over, so that the phrase was not played to it [default: the transport is stopped].
    #[arg(long, value_name = "BPM", value_parser = tempo)]
    transport: Option<f64>,
}

impl Searching {
    /// How to play with these sampling settings; `usual` is the number of takes if `--search` is not given.
    pub fn style(&self, controls: Controls, usual: usize) -> Style {
        let search = Search {
            takes: self.search.map_or(usual, usize::from),
            strength: self.search_strength,
            plan: self.search_plan.into(),
            every: self.search_every.into(),
        };
        Style { controls, search, transport: self.transport }
    }
}

impl Sampling {
    /// The network's own settings, with the given options applied.
    pub fn controls(&self, network: &Network) -> Controls {
        self.change(network.card().controls)
    }

    /// These settings, with the given options applied.
    pub fn change(&self, mut controls: Controls) -> Controls {
        let temperature = &mut controls.temperature;
        let each =
            [&mut temperature.step, &mut temperature.pitch, &mut temperature.duration, &mut temperature.velocity];
        let factors = self.temperatures.iter().flatten().copied().chain([1.0; 4]);
        for (value, factor) in each.into_iter().zip(factors) {
            *value *= (self.temperature * factor) as f32;
        }
        let asked = [
            (&mut controls.top_p, self.top_p),
            (&mut controls.min_p, self.min_p),
            (&mut controls.texture, self.texture),
            (&mut controls.evenness, self.evenness),
            (&mut controls.durations, self.durations),
            (&mut controls.density, self.density),
            (&mut controls.spread, self.spread),
            (&mut controls.dynamics, self.dynamics),
            (&mut controls.register, self.register),
            (&mut controls.chord_durations, self.chord_durations),
            (&mut controls.range, self.range),
            (&mut controls.repeated_onsets, self.repeated_onsets),
            (&mut controls.repeats, self.repeats),
        ];
        for (value, asked) in asked {
            *value = asked.map_or(*value, |asked| asked as f32);
        }
        controls
    }
}

/// Parses a number that is 0 or more.
pub fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("must be a number, 0 or more".into()),
    }
}

/// Parses a tempo in beats per minute.
fn tempo(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (20.0..=400.0).contains(&value) => Ok(value),
        _ => Err("must be a tempo from 20 to 400".into()),
    }
}

/// Resets the decoder and feeds it a phrase (canonical notes).
pub fn feed_phrase(decoder: &mut Decoder, phrase: &[Note]) {
    decoder.reset();
    let previous = [None].into_iter().chain(phrase.iter().map(|note| Some(note.onset)));
    let notes: Vec<Successor> = previous.zip(phrase).map(|(previous, note)| Successor::after(previous, note)).collect();
    decoder.feed_all(&notes);
}

/// Maximum number of notes in a take of this length.
pub fn max_notes(seconds: f64) -> usize {
    (seconds.max(1.0) * MAX_NOTES_PER_SECOND) as usize
}

/// Continues from the decoder's state. `from` is the last onset fed, in seconds, or 0; `silence` is the time since then
/// in which nothing was played, in seconds.
pub fn take(
    decoder: &mut Decoder,
    controls: &Controls,
    seed: u64,
    from: f64,
    silence: f64,
    length: Length,
) -> Vec<Note> {
    let most = max_notes(length.seconds);
    let (mut previous, mut silence) = (from, silence);
    let mut notes = Vec::new();
    for index in 0..length.notes.min(most) {
        let next = decoder.sample(controls, silence, &mut note_rng(seed, index as u64));
        let note = next.note(previous);
        if note.onset > from + length.seconds {
            break;
        }
        notes.push(note);
        decoder.feed(&next);
        (previous, silence) = (note.onset, 0.0);
    }
    notes
}

/// Plays from nothing: initial state and begin-of-sequence.
pub fn from_scratch(decoder: &mut Decoder, controls: &Controls, seed: u64, length: Length) -> Vec<Note> {
    decoder.reset();
    decoder.hand_over();
    take(decoder, controls, seed, 0.0, 0.0, length)
}
