//! The picture for the editor: what was heard and played, lately and now. Written on the audio
//! thread, read by the editor through a triple buffer; fixed size, no pointers.
//!
//! Its times are seconds that only go on: where the stream's seconds begin anew (a phrase is
//! forgotten), the picture's do not, so that what was played before can still be seen, and saved.
//! While nothing moves there are no new pictures.

use notes::{Event, Planned, Span};
use triple_buffer::{Input, Output, triple_buffer};

use crate::bridge::viewer::Viewer;

/// Notes in the picture: over a minute of dense music.
const NOTES: usize = 2048;
/// Look-ahead notes in the picture.
const GHOSTS: usize = 64;
/// Hand-overs in the picture.
const MARKS: usize = 16;
/// Bar lines in the picture.
const BARS: usize = 64;
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

/// A note in the picture. Times are the picture's seconds.
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
    /// The latest hand-overs, in a ring; NaN: none.
    marks: [f64; MARKS],
    next_mark: usize,
    /// The latest bar lines, in a ring; NaN: none.
    bars: [f64; BARS],
    next_bar: usize,
    /// The bar lines to come: the next one, and how far they are apart. While the transport runs.
    pub coming: Option<(f64, f64)>,
    /// The host's tempo, in beats per second.
    pub beats_per_second: f64,
    /// The moment of the picture.
    pub now: f64,
    /// What was before is forgotten.
    pub forgotten: f64,
    /// Whose turn it is.
    pub turn: Whose,
    /// Since when.
    pub since: f64,
    /// When the turn will change hands by itself, if that is known.
    pub until: Option<f64>,
    /// The model's turn goes round and round.
    pub frozen: bool,
    /// The notes that the model's turn has, if so many end it.
    pub turn_notes: Option<u32>,
}

impl Default for Roll {
    fn default() -> Self {
        Self {
            notes: [Drawn::default(); NOTES],
            next: 0,
            ghosts: [Drawn::default(); GHOSTS],
            marks: [f64::NAN; MARKS],
            next_mark: 0,
            bars: [f64::NAN; BARS],
            next_bar: 0,
            coming: None,
            beats_per_second: 2.0,
            now: 0.0,
            forgotten: 0.0,
            turn: Whose::Yours,
            since: 0.0,
            until: None,
            frozen: false,
            turn_notes: None,
        }
    }
}

impl Roll {
    /// The notes that the model's turn still has, if so many end it.
    pub fn notes_left(&self) -> Option<u32> {
        // To the sample: a note at the hand-over itself may seem to be a little before it.
        let begun = self.marks().fold(f64::NEG_INFINITY, f64::max) - 1e-3;
        let played = self.notes().filter(|note| note.whose == Whose::Mine && note.start >= begun).count();
        Some(self.turn_notes?.saturating_sub(played as u32))
    }

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

    /// The bar lines that have gone by.
    pub fn bars(&self) -> impl Iterator<Item = f64> {
        self.bars.iter().copied().filter(|bar| bar.is_finite())
    }
}

/// The audio thread's end. Times are seconds of the stream.
pub struct RollWriter {
    roll: Roll,
    /// Which places of its notes hold one that sounds, a bit each: a note-off must not look at all.
    sounding: [u64; NOTES / 64],
    out: Input<Roll>,
    /// Atomics that tell whether somebody looks, and that there is something to see.
    viewer: Viewer,
    /// The picture's seconds at second 0 of the stream.
    origin: f64,
    /// How far the stream has come.
    now: f64,
    /// When the latest picture was shown, in the picture's seconds.
    shown: f64,
    /// Nothing has moved since then.
    still: bool,
    /// Which opening of the window that was for.
    opening: u32,
}

/// Both ends of a new picture for this window.
pub fn roll(viewer: Viewer) -> (RollWriter, Output<Roll>) {
    let roll = Roll::default();
    let (out, seen) = triple_buffer(&roll);
    let sounding = [0; NOTES / 64];
    let writer =
        RollWriter { roll, sounding, out, viewer, origin: 0.0, now: 0.0, shown: 0.0, still: false, opening: 0 };
    (writer, seen)
}

impl RollWriter {
    /// The picture of this moment, whether somebody looks or not.
    #[cfg(test)]
    pub fn roll(&self) -> Roll {
        Roll { now: self.origin + self.now, ..self.roll }
    }

    /// A note begins.
    pub fn on(&mut self, whose: Whose, channel: u8, key: u8, velocity: u8, start: f64) {
        self.off(whose, Some(channel), Some(key), start);
        let start = self.origin + start;
        let note = Drawn { start, end: f64::INFINITY, channel, key, velocity: velocity.max(1), whose };
        if let Some(place) = self.roll.notes.get_mut(self.roll.next) {
            *place = note;
        }
        if let Some(bits) = self.sounding.get_mut(self.roll.next / 64) {
            *bits |= 1 << (self.roll.next % 64);
        }
        self.roll.next = (self.roll.next + 1) % NOTES;
    }

    /// Notes end; `None`: whatever their channel, or key.
    pub fn off(&mut self, whose: Whose, channel: Option<u8>, key: Option<u8>, end: f64) {
        self.now = self.now.max(end);
        let end = self.origin + end;
        for (bits, notes) in self.sounding.iter_mut().zip(self.roll.notes.chunks_exact_mut(64)) {
            let mut left = *bits;
            while left != 0 {
                let bit = left & left.wrapping_neg();
                left ^= bit;
                if let Some(note) = notes.get_mut(bit.trailing_zeros() as usize)
                    && note.whose == whose
                    && channel.is_none_or(|channel| channel == note.channel)
                    && key.is_none_or(|key| key == note.key)
                {
                    note.end = end.max(note.start);
                    *bits ^= bit;
                }
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
            *mark = self.origin + time;
        }
        self.roll.next_mark = (self.roll.next_mark + 1) % MARKS;
    }

    /// How the model's turn goes on: round and round, or for so many notes.
    pub fn goes_on(&mut self, frozen: bool, notes: Option<u32>) {
        self.roll.frozen = frozen;
        self.roll.turn_notes = notes;
    }

    /// A phrase is forgotten: second 0 of the stream is now.
    pub fn clear(&mut self) {
        for whose in [Whose::Yours, Whose::Mine] {
            self.off(whose, None, None, self.now);
        }
        self.origin += self.now;
        self.now = 0.0;
        self.roll.forgotten = self.origin;
        self.still = false;
    }

    /// Notes the bar lines of a block that ends at `end`, and looks ahead.
    pub fn rule(&mut self, span: &Span, end: f64) {
        self.now = self.now.max(end);
        let time = |beats: f64| self.origin + end + (beats - span.end) / span.beats_per_second();
        self.roll.beats_per_second = span.beats_per_second();
        self.roll.coming = span.bars.map(|bars| {
            let mut bar = bars.next(span.start);
            // A block has one bar line at most, unless it is longer than any host's.
            if bar < span.end {
                if let Some(place) = self.roll.bars.get_mut(self.roll.next_bar) {
                    *place = time(bar);
                }
                self.roll.next_bar = (self.roll.next_bar + 1) % BARS;
                bar = bars.next(span.end);
            }
            (time(bar), bars.length / span.beats_per_second())
        });
    }

    /// Shows the picture of this moment, if somebody looks, something moves, and the last one is old
    /// enough. `moves`: something is going on, besides what this knows itself; `until`: when the turn
    /// will change hands; `ahead`: what is to come, if it is the model's turn; `seconds`: from beats to
    /// seconds of the stream.
    pub fn publish<'a>(
        &mut self,
        moves: bool,
        until: Option<f64>,
        ahead: Option<impl Iterator<Item = &'a Planned>>,
        seconds: impl Fn(f64) -> f64,
    ) {
        let Some(opening) = self.viewer.opening() else {
            return;
        };
        let now = self.origin + self.now;
        let fresh = std::mem::replace(&mut self.opening, opening) != opening;
        let moves = moves || self.roll.coming.is_some();
        if !fresh && (now - self.shown < 1.0 / RATE || !moves && self.still) {
            return;
        }
        self.shown = now;
        // One more picture after the last movement: that of its end.
        self.still = !moves;
        self.roll.now = now;
        let turn = if ahead.is_some() { Whose::Mine } else { Whose::Yours };
        if std::mem::replace(&mut self.roll.turn, turn) != turn {
            self.roll.since = now;
        }
        self.roll.until = until.map(|until| self.origin + until);
        let mut ahead = ahead.into_iter().flatten();
        for ghost in &mut self.roll.ghosts {
            *ghost = ahead.next().map_or(Drawn::default(), |note| Drawn {
                start: self.origin + seconds(note.onset),
                end: self.origin + seconds(note.end),
                channel: note.channel,
                key: note.pitch,
                velocity: note.velocity.max(1),
                whose: Whose::Mine,
            });
        }
        *self.out.input_buffer_mut() = self.roll;
        self.out.publish();
        self.viewer.repaint();
    }
}
