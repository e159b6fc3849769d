//! Antiphon in a browser: engine, piano and network in one WebAssembly module, which runs in the page's audio worklet.
//! [`Page`] is all of it in plain Rust; `exports` makes it available to JavaScript.

mod exports;
pub mod settings;

use std::sync::Arc;

use engine::audio::{AudioSide, Out, PlayerEvent};
use engine::generator::driven::Driven;
use engine::generator::networks::FixedNetwork;
use engine::link::roll::{DrawnNote, Whose};
use engine::link::status::Status;
use engine::link::viewer::Viewer;
use engine::settings::{DeviceChoice, Settings};
use engine::{Config, UiSide};
use midi::{Tempo, Track};
use model::{Network, compact};
use notes::{Note, Transport};
use piano::{Action, Piano};

/// The MIDI channel of both the player and Antiphon.
const CHANNEL: u8 = 0;
/// Notes generated per block: a block of 128 samples leaves time for one.
const NOTES_AT_ONCE: usize = 1;

/// A note event that was played, for the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sounded {
    /// In samples since the page began.
    pub at: u64,
    /// The player or Antiphon.
    pub whose: Whose,
    /// MIDI key.
    pub key: u8,
    /// 0 when the key comes up.
    pub velocity: u8,
}

/// The engine, its network and the piano, driven block by block.
pub struct Page {
    audio: AudioSide,
    generator: Driven,
    ui: UiSide,
    viewer: Viewer,
    piano: Piano,
    /// The settings; may be changed between blocks.
    pub settings: Settings,
    /// The player's input since the last block.
    waiting: Vec<PlayerEvent>,
    rate: f64,
    /// Samples played so far.
    position: u64,
    log: Vec<Sounded>,
}

/// Sends the engine's events to the piano and to the log.
struct Sink<'a> {
    piano: &'a mut Piano,
    log: &'a mut Vec<Sounded>,
    position: u64,
}

impl Sink<'_> {
    fn note(&mut self, offset: u32, whose: Whose, channel: u8, key: u8, velocity: u8) {
        let action = match velocity {
            0 => Action::Release { channel: Some(channel), key: Some(key) },
            velocity => Action::Strike { channel, key, velocity: f32::from(velocity) / 127.0 },
        };
        self.piano.at(offset, action);
        self.log.push(Sounded { at: self.position + u64::from(offset), whose, key, velocity });
    }
}

impl Out for Sink<'_> {
    fn on(&mut self, offset: u32, channel: u8, key: u8, velocity: u8) -> bool {
        self.note(offset, Whose::Antiphon, channel, key, velocity.max(1));
        true
    }

    fn off(&mut self, offset: u32, channel: u8, key: u8) -> bool {
        self.note(offset, Whose::Antiphon, channel, key, 0);
        true
    }

    fn controller(&mut self, offset: u32, _: u8, controller: u8, value: u8) -> bool {
        if controller == engine::audio::SUSTAIN {
            self.piano.at(offset, Action::Pedal(value >= engine::audio::HELD));
        }
        true
    }
}

impl Page {
    /// A page with these weights, in compact form, at this sample rate.
    ///
    /// # Errors
    /// A message if the weights are damaged.
    pub fn new(weights: &[u8], rate: f64) -> Result<Self, String> {
        let weights = compact::from_bytes(weights).map_err(|error| error.to_string())?;
        let network = Network::new(&weights, model::Precision::of(&weights));
        let viewer = Viewer::default();
        viewer.set_open(true);
        let (mut audio, generator, ui) = engine::new(Config {
            status: Arc::new(Status::default()),
            networks: Arc::new(FixedNetwork(Arc::new(network))),
            device: Box::new(|| DeviceChoice::Cpu),
            viewer: viewer.clone(),
        });
        audio.activate(rate, false);
        let mut generator = Driven::new(generator);
        generator.run(0);
        let mut piano = Piano::default();
        piano.set_rate(rate as f32);
        Ok(Self {
            audio,
            generator,
            ui,
            viewer,
            piano,
            settings: settings::default(),
            waiting: Vec::new(),
            rate,
            position: 0,
            log: Vec::new(),
        })
    }

    /// The player presses a key, or releases it if `velocity` is 0; takes effect at the next block's first sample.
    pub fn key(&mut self, key: u8, velocity: u8) {
        let (key, velocity) = (key.min(127), velocity.min(127));
        self.waiting.push(match velocity {
            0 => PlayerEvent::Off { channel: Some(CHANNEL), key: Some(key) },
            velocity => PlayerEvent::On { channel: CHANNEL, key, velocity },
        });
    }

    /// The player moves the sustain pedal: 0–127, down from 64.
    pub fn pedal(&mut self, value: u8) {
        let controller = engine::audio::SUSTAIN;
        self.waiting.push(PlayerEvent::Controller { channel: CHANNEL, controller, value: value.min(127) });
    }

    /// Renders the next block of audio, left and right, and then lets the generator work.
    pub fn process(&mut self, left: &mut [f32], right: &mut [f32]) {
        let frames = left.len().min(right.len());
        let Self { audio, piano, log, position, .. } = self;
        let mut sink = Sink { piano, log, position: *position };
        audio.open(&Transport::default(), frames as u32, self.settings, &mut sink);
        for input in self.waiting.drain(..) {
            audio.play_until(0, &mut sink);
            if !audio.handle_input(0, input, &mut sink) {
                continue;
            }
            match input {
                PlayerEvent::On { channel, key, velocity } => sink.note(0, Whose::Player, channel, key, velocity),
                PlayerEvent::Off { channel: Some(channel), key: Some(key) } => {
                    sink.note(0, Whose::Player, channel, key, 0)
                }
                PlayerEvent::Controller { channel, controller, value } => {
                    sink.controller(0, channel, controller, value);
                }
                _ => {}
            }
        }
        audio.play_until(frames as u32, &mut sink);
        audio.close();
        self.position += frames as u64;
        self.piano.play(frames, |sample, [l, r]| (left[sample], right[sample]) = (l, r));
        self.generator.run(NOTES_AT_ONCE);
    }

    /// Writes the piano roll to `out` as numbers, for `page/roll.js`. The first seven: now; whose turn it is (1:
    /// Antiphon); since when; until when, or -1; the numbers of notes, ghost notes and hand-overs. Then each note
    /// (start, end or -1, key, velocity, 1 for Antiphon), each ghost note likewise, and the time of each hand-over.
    /// Times are in seconds. Leaves out notes and hand-overs from more than `seconds` ago.
    pub fn picture(&mut self, seconds: f64, out: &mut Vec<f64>) {
        self.ui.roll.update();
        let roll = self.ui.roll.roll();
        let oldest = roll.now - seconds;
        out.clear();
        let turn = |whose: Whose| f64::from(u8::from(whose == Whose::Antiphon));
        out.extend([roll.now, turn(roll.turn), roll.since, roll.until.unwrap_or(-1.0), 0.0, 0.0, 0.0]);
        let note = |note: &DrawnNote| {
            let end = if note.end.is_finite() { note.end } else { -1.0 };
            [note.start, end, note.key.into(), note.velocity.into(), turn(note.whose)]
        };
        for drawn in roll.notes().filter(|note| note.end >= oldest) {
            out.extend(note(drawn));
            out[4] += 1.0;
        }
        for ghost in roll.ghosts() {
            out.extend(note(ghost));
            out[5] += 1.0;
        }
        for mark in roll.hand_overs().filter(|mark| *mark >= oldest) {
            out.push(mark);
            out[6] += 1.0;
        }
    }

    /// Everything played so far as a MIDI file, with the player and Antiphon on separate tracks; `None` if nothing was
    /// played.
    pub fn save(&mut self) -> Option<Vec<u8>> {
        let notes = |whose: Whose| -> Vec<Note> {
            let mut notes = Vec::new();
            let log = self.log.iter().enumerate().filter(|(_, event)| event.whose == whose && event.velocity > 0);
            for (index, on) in log {
                let ends = |event: &&Sounded| event.key == on.key && (event.velocity == 0 || event.whose == whose);
                let off = self.log[index + 1..].iter().find(ends).map_or(self.position, |event| event.at);
                let seconds = |samples: u64| samples as f64 / self.rate;
                notes.push(Note {
                    onset: seconds(on.at),
                    pitch: on.key,
                    duration: seconds(off - on.at),
                    velocity: on.velocity,
                    spread: 0.0,
                });
            }
            notes
        };
        let (players, antiphons) = (notes(Whose::Player), notes(Whose::Antiphon));
        if players.is_empty() && antiphons.is_empty() {
            return None;
        }
        let tracks = [
            Track { name: "You", channel: 0, notes: &players },
            Track { name: "Antiphon", channel: 1, notes: &antiphons },
        ];
        Some(midi::write(&tracks, Tempo::default()))
    }

    /// All note events so far.
    pub fn log(&self) -> &[Sounded] {
        &self.log
    }

    /// Sets whether the picture is shown; while it is not, the engine does not update it.
    pub fn set_seen(&self, seen: bool) {
        self.viewer.set_open(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Weights;

    /// Plays a phrase and then runs for `seconds`, in blocks of `block` samples; returns the page.
    fn play(block: usize, seconds: f64) -> Page {
        let weights = Weights::from_bytes(include_bytes!("../../weights/antiphon.safetensors")).unwrap();
        let mut page = Page::new(&compact::to_bytes(&weights), 48_000.0).unwrap();
        let (mut left, mut right) = (vec![0.0; block], vec![0.0; block]);
        let mut pass = |page: &mut Page, seconds: f64| {
            for _ in 0..(seconds * 48_000.0) as usize / block {
                page.process(&mut left, &mut right);
                assert!(left.iter().chain(&right).all(|sample| sample.abs() <= 1.0));
            }
        };
        for key in [60, 64, 67, 72, 71, 67, 65, 62] {
            page.key(key, 80);
            pass(&mut page, 0.2);
            page.key(key, 0);
            pass(&mut page, 0.05);
        }
        pass(&mut page, seconds);
        page
    }

    #[test]
    fn plays_on_shows_it_and_saves_it() {
        let mut page = play(128, 4.0);
        let on = |page: &Page, whose| page.log().iter().filter(|e| e.whose == whose && e.velocity > 0).count();
        let (players, antiphons) = (on(&page, Whose::Player), on(&page, Whose::Antiphon));
        assert!(players == 8 && antiphons > 4, "{players} and {antiphons} notes");

        let mut picture = Vec::new();
        page.picture(60.0, &mut picture);
        let [_, turn, _, _, notes, ghosts, marks] = picture[..7] else { panic!("{picture:?}") };
        assert_eq!((turn, notes as usize, marks), (1.0, players + antiphons, 1.0));
        assert!(ghosts > 0.0);
        assert_eq!(picture.len(), 7 + 5 * (notes + ghosts) as usize + marks as usize);

        let score = midi::read(&page.save().unwrap()).unwrap();
        assert_eq!(score.notes.len(), players + antiphons);
    }

    #[test]
    fn damaged_weights_are_refused_with_a_sentence() {
        assert!(Page::new(b"not weights", 48_000.0).err().unwrap().contains("weights"));
    }
}
