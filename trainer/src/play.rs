//! Letting a network play: takes from scratch and continuations. For `generate`, `continue` and the
//! measures that listen.

use crate::error::{bad_input, read_input};
use model::{Controls, Decoder, Network, Search, note_rng};
use notes::{Note, Successor};
use std::path::Path;
use std::sync::Arc;

/// No take has more notes than this per second of its length, far more than hands can play: an end for
/// networks that only know chords.
const MOST_NOTES_PER_SECOND: f64 = 100.0;

/// Reads and checks a weights file.
pub fn load_network(path: &Path) -> anyhow::Result<Arc<Network>> {
    let network = Network::from_bytes(&read_input(path)?).map_err(|error| bad_input(path, error))?;
    Ok(Arc::new(network))
}

/// When a take ends: at whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// No onset later than this many seconds after the take's beginning.
    pub seconds: f64,
    /// No more notes than this.
    pub notes: usize,
}

/// How notes are drawn, on the command line.
#[derive(Clone, Debug, clap::Args)]
pub struct Sampling {
    /// How adventurous: scales the temperatures that come with the weights; 1 leaves them alone.
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    temperature: f64,
    /// Choose among the likeliest that together have this share, 0 to 1 [default: comes with the weights].
    #[arg(long, value_parser = not_negative)]
    top_p: Option<f64>,
    /// Leave out what is less likely than this part of the likeliest, 0 to 1 [default: comes with the weights].
    #[arg(long, value_parser = not_negative)]
    min_p: Option<f64>,
    /// How firmly chords stay as frequent as in the phrase; 0: not at all [default: comes with the weights].
    #[arg(long, value_parser = not_negative)]
    texture: Option<f64>,
    /// How firmly intervals stay as even as in the phrase; 0: not at all [default: comes with the weights].
    #[arg(long, value_parser = not_negative)]
    evenness: Option<f64>,
    /// How firmly short and long notes stay as frequent as in the phrase; 0: not at all [default: comes with the weights].
    #[arg(long, value_parser = not_negative)]
    durations: Option<f64>,
    /// How firmly onsets stay as dense as in the phrase; 0: not at all [default: comes with the weights].
    #[arg(long, value_parser = not_negative)]
    density: Option<f64>,
    /// How firmly chords stay as spread as in the phrase; 0: not at all [default: comes with the weights].
    #[arg(long, value_parser = not_negative)]
    spread: Option<f64>,
    /// Nats that a pitch gains if it goes on with the last moves as before, where no interval of the phrase is even; the more
    /// are, the less [default: comes with the weights].
    #[arg(long, value_parser = not_negative)]
    repeats: Option<f64>,
    /// How firmly velocities stay as varied as in the phrase; 0: not at all [default: comes with the weights].
    #[arg(long, value_parser = not_negative)]
    dynamics: Option<f64>,
    /// Further factors on the temperatures of step, pitch, duration and velocity.
    #[arg(long, num_args = 4, value_names = ["STEP", "PITCH", "DURATION", "VELOCITY"], value_parser = not_negative)]
    temperatures: Option<Vec<f64>>,
}

/// How a network plays on.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// How notes are drawn.
    pub controls: Controls,
    /// How takes are chosen among.
    pub search: Search,
}

/// How takes are chosen among, on the command line.
#[derive(Clone, Debug, clap::Args)]
pub struct Searching {
    /// Takes side by side, of which a critic chooses one plan by plan; 1: no search. It needs weights with a critic [default:
    /// 16 to play on, 1 to measure].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    search: Option<u16>,
    /// How much the critic's word counts; 1: as it says.
    #[arg(long, default_value_t = Search::OFF.strength, value_name = "BETA", value_parser = not_negative)]
    search_strength: f64,
    /// Notes that are planned at a time, at most.
    #[arg(long, default_value_t = Search::OFF.plan as u16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    search_plan: u16,
    /// Notes between two comparisons.
    #[arg(long, default_value_t = Search::OFF.every as u16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    search_every: u16,
}

impl Searching {
    /// The search that is asked for; `usual`: takes if nothing is.
    pub fn search(&self, usual: usize) -> Search {
        Search {
            takes: self.search.map_or(usual, usize::from),
            strength: self.search_strength,
            plan: self.search_plan.into(),
            every: self.search_every.into(),
        }
    }
}

impl Sampling {
    /// The network's own controls, changed as asked.
    pub fn controls(&self, network: &Network) -> Controls {
        self.change(network.card().controls)
    }

    /// These controls, changed as asked.
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
            (&mut controls.repeats, self.repeats),
        ];
        for (value, asked) in asked {
            *value = asked.map_or(*value, |asked| asked as f32);
        }
        controls
    }
}

/// Reads a number that is 0 or more.
pub fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("must be a number, 0 or more".into()),
    }
}

/// Listens to a phrase (canonical notes) from nothing.
pub fn listen(decoder: &mut Decoder, phrase: &[Note]) {
    decoder.reset();
    let previous = [None].into_iter().chain(phrase.iter().map(|note| Some(note.onset)));
    let notes: Vec<Successor> = previous.zip(phrase).map(|(previous, note)| Successor::after(previous, note)).collect();
    decoder.feed_all(&notes);
}

/// No take of so many seconds has more notes.
pub fn most_notes(seconds: f64) -> usize {
    (seconds.max(1.0) * MOST_NOTES_PER_SECOND) as usize
}

/// Plays on from whatever the decoder has heard. `from`: the last onset heard, in seconds, or 0.
/// `silence`: seconds since then in which nothing was played already.
pub fn take(
    decoder: &mut Decoder,
    controls: &Controls,
    seed: u64,
    from: f64,
    silence: f64,
    length: Length,
) -> Vec<Note> {
    let most = most_notes(length.seconds);
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

/// Plays from nothing: state zero, begin-of-sequence, and on.
pub fn from_scratch(decoder: &mut Decoder, controls: &Controls, seed: u64, length: Length) -> Vec<Note> {
    decoder.reset();
    decoder.hand_over();
    take(decoder, controls, seed, 0.0, 0.0, length)
}
