//! The picture for the editor: what was heard and played, lately and now. Written on the audio
//! thread, read by the editor through a triple buffer; fixed size, no pointers.

use notes::{Event, Planned};
use triple_buffer::{Input, Output, triple_buffer};

use crate::editor::Window;

/// Notes in the picture: half a minute of dense music.
const NOTES: usize = 512;
/// Look-ahead notes in the picture.
const GHOSTS: usize = 64;
/// Hand-overs in the picture.
const MARKS: usize = 16;
/// Pictures per second.
const RATE: f64 = 60.0;

/// Who plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// The player.
    #[default]
    Yours,
    /// The model.
    Mine,
}

/// A note in the picture. Times are seconds of the stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drawn {
    /// When it began.
    pub start: f64,
    /// When it ended; infinite while it sounds.
    pub end: f64,
    /// MIDI channel.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// MIDI velocity.
    pub velocity: u8,
    /// Who plays it.
    pub whose: Whose,
}

/// The picture.
#[derive(Clone, Copy, Debug)]
pub struct Roll {
    /// The latest notes, in a ring; those never written have velocity 0.
    notes: [Drawn; NOTES],
    /// Where the next goes.
    next: usize,
    /// Notes to come, in order; those never written have velocity 0.
    ghosts: [Drawn; GHOSTS],
    /// The latest hand-overs, in a ring, in seconds of the stream; NaN: none.
    marks: [f64; MARKS],
    next_mark: usize,
    /// The moment of the picture, in seconds of the stream.
    pub now: f64,
    /// Whose turn it is.
    pub turn: Whose,
}

impl Default for Roll {
    fn default() -> Self {
        Self {
            notes: [Drawn::default(); NOTES],
            next: 0,
            ghosts: [Drawn::default(); GHOSTS],
            marks: [f64::NAN; MARKS],
            next_mark: 0,
            now: 0.0,
            turn: Whose::Yours,
        }
    }
}

impl Roll {
    /// The notes that have sounded or sound, in no order.
    pub fn notes(&self) -> impl Iterator<Item = &Drawn> {
        self.notes.iter().filter(|note| note.velocity > 0)
    }

    /// The notes to come.
    pub fn ghosts(&self) -> impl Iterator<Item = &Drawn> {
        self.ghosts.iter().take_while(|note| note.velocity > 0)
    }

    /// When the turn was handed over.
    pub fn marks(&self) -> impl Iterator<Item = f64> {
        self.marks.iter().copied().filter(|mark| mark.is_finite())
    }
}

/// The audio thread's end.
pub struct RollWriter {
    roll: Roll,
    out: Input<Roll>,
    /// Atomics that tell whether somebody looks, and that there is something to see.
    window: Window,
    /// When the latest picture was shown, in seconds of the stream.
    shown: f64,
}

/// Both ends of a new picture for this window.
pub fn roll(window: Window) -> (RollWriter, Output<Roll>) {
    let roll = Roll::default();
    let (out, seen) = triple_buffer(&roll);
    (RollWriter { roll, out, window, shown: 0.0 }, seen)
}

impl RollWriter {
    /// A note begins.
    pub fn on(&mut self, whose: Whose, channel: u8, key: u8, velocity: u8, start: f64) {
        self.off(whose, Some(channel), Some(key), start);
        let note = Drawn { start, end: f64::INFINITY, channel, key, velocity: velocity.max(1), whose };
        if let Some(place) = self.roll.notes.get_mut(self.roll.next) {
            *place = note;
        }
        self.roll.next = (self.roll.next + 1) % NOTES;
    }

    /// Notes end; `None`: whatever their channel, or key.
    pub fn off(&mut self, whose: Whose, channel: Option<u8>, key: Option<u8>, end: f64) {
        for note in &mut self.roll.notes {
            if note.whose == whose
                && note.end == f64::INFINITY
                && channel.is_none_or(|channel| channel == note.channel)
                && key.is_none_or(|key| key == note.key)
            {
                note.end = end;
            }
        }
    }

    /// A generated event went out.
    pub fn sounded(&mut self, event: Event, time: f64) {
        match event {
            Event::On { channel, pitch, velocity, .. } => self.on(Whose::Mine, channel, pitch, velocity, time),
            Event::Off { channel, pitch, .. } => self.off(Whose::Mine, Some(channel), Some(pitch), time),
        }
    }

    /// The turn was handed over.
    pub fn hand_over(&mut self, time: f64) {
        if let Some(mark) = self.roll.marks.get_mut(self.roll.next_mark) {
            *mark = time;
        }
        self.roll.next_mark = (self.roll.next_mark + 1) % MARKS;
    }

    /// Whether the editor is open: only then pictures are shown.
    pub fn is_watched(&self) -> bool {
        self.window.state.is_open()
    }

    /// Begins an empty picture at second 0.
    pub fn clear(&mut self) {
        self.roll = Roll::default();
        self.shown = f64::NEG_INFINITY;
    }

    /// Shows the picture of this moment, if the last one is old enough. `ahead`: what is to come, if
    /// it is the model's turn; `seconds`: from beats to seconds of the stream.
    pub fn publish<'a>(
        &mut self,
        now: f64,
        ahead: Option<impl Iterator<Item = &'a Planned>>,
        seconds: impl Fn(f64) -> f64,
    ) {
        if now - self.shown < 1.0 / RATE {
            return;
        }
        self.shown = now;
        self.roll.now = now;
        self.roll.turn = if ahead.is_some() { Whose::Mine } else { Whose::Yours };
        let mut ahead = ahead.into_iter().flatten();
        for ghost in &mut self.roll.ghosts {
            *ghost = ahead.next().map_or(Drawn::default(), |note| Drawn {
                start: seconds(note.onset),
                end: seconds(note.end),
                channel: note.channel,
                key: note.pitch,
                velocity: note.velocity.max(1),
                whose: Whose::Mine,
            });
        }
        *self.out.input_buffer_mut() = self.roll;
        self.out.publish();
        self.window.notifier.request_repaint();
    }
}
