//! The picture for the editor: what was heard and played, lately and now. Written on the audio
//! thread, read by the editor.
//!
//! Notes that begin and end go through a ring, each once; all else is a [`Frame`], which the editor finds in a triple
//! buffer sixty times a second. What has no room in the ring, or changes while no window is open, goes later: the
//! audio thread keeps the notes too, and which of them the editor does not know yet.
//!
//! Its times are seconds that only go on: where the stream's seconds begin anew (a phrase is
//! forgotten), the picture's do not, so that what was played before can still be seen, and saved.
//! While nothing moves there are no new pictures.

use std::ops::{Deref, DerefMut};

use notes::{Event, Planned, Span};
use rtrb::{Consumer, Producer, RingBuffer};
use triple_buffer::{Input, Output, triple_buffer};

use crate::link::viewer::Viewer;

/// Notes in the picture: over a minute of dense music.
const NOTES: usize = 2048;
/// Notes on their way to the editor at once: more than begin and end between two pictures.
const NEWS: usize = 256;
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

/// All of the picture but the notes that have begun.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
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

impl Default for Frame {
    fn default() -> Self {
        Self {
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

/// The picture.
#[derive(Clone, Debug)]
pub struct Roll {
    /// The latest notes, in a ring; those never written have velocity 0.
    notes: Box<[Drawn]>,
    frame: Frame,
}

impl Default for Roll {
    #[allow(clippy::disallowed_macros)] // made on the main thread
    fn default() -> Self {
        Self { notes: vec![Drawn::default(); NOTES].into_boxed_slice(), frame: Frame::default() }
    }
}

impl Deref for Roll {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        &self.frame
    }
}

impl DerefMut for Roll {
    fn deref_mut(&mut self) -> &mut Frame {
        &mut self.frame
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
    /// Where the next note goes.
    next: usize,
    /// Which places of the notes hold one that sounds, and which hold one that the editor has not been told of, a bit
    /// each: neither must be looked for among all.
    sounding: Places,
    untold: Places,
    news: Producer<(usize, Drawn)>,
    out: Input<Frame>,
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

/// The editor's end.
pub struct RollReader {
    roll: Roll,
    news: Consumer<(usize, Drawn)>,
    frames: Output<Frame>,
}

/// Both ends of a new picture for this window.
#[allow(clippy::disallowed_methods)] // made on the main thread
pub fn roll(viewer: Viewer) -> (RollWriter, RollReader) {
    let (out, frames) = triple_buffer(&Frame::default());
    let (news, told) = RingBuffer::new(NEWS);
    let writer = RollWriter {
        roll: Roll::default(),
        next: 0,
        sounding: Places::default(),
        untold: Places::default(),
        news,
        out,
        viewer,
        origin: 0.0,
        now: 0.0,
        shown: 0.0,
        still: false,
        opening: 0,
    };
    (writer, RollReader { roll: Roll::default(), news: told, frames })
}

/// Some of the places for notes, a bit each.
#[derive(Clone, Copy)]
struct Places([u64; NOTES / 64]);

impl Default for Places {
    fn default() -> Self {
        Self([0; NOTES / 64])
    }
}

impl Places {
    fn insert(&mut self, place: usize) {
        if let Some(bits) = self.0.get_mut(place / 64) {
            *bits |= 1 << (place % 64);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    /// Goes through them, and keeps those of which `keeps` says so.
    fn retain(&mut self, mut keeps: impl FnMut(usize) -> bool) {
        for (word, bits) in self.0.iter_mut().enumerate() {
            let mut left = *bits;
            while left != 0 {
                let bit = left & left.wrapping_neg();
                left ^= bit;
                if !keeps(word * 64 + bit.trailing_zeros() as usize) {
                    *bits ^= bit;
                }
            }
        }
    }
}

impl RollReader {
    /// Takes in what has happened.
    pub fn update(&mut self) {
        while let Ok((place, note)) = self.news.pop() {
            if let Some(drawn) = self.roll.notes.get_mut(place) {
                *drawn = note;
            }
        }
        if self.frames.update() {
            self.roll.frame = *self.frames.output_buffer();
        }
    }

    /// The picture as of the latest update.
    pub fn roll(&self) -> &Roll {
        &self.roll
    }
}

impl RollWriter {
    /// The picture of this moment, whether somebody looks or not. Not for the audio thread: it copies all of it.
    #[allow(clippy::disallowed_methods)]
    pub fn roll(&self) -> Roll {
        let mut roll = self.roll.clone();
        roll.now = self.origin + self.now;
        roll
    }

    /// A note begins.
    pub fn on(&mut self, whose: Whose, channel: u8, key: u8, velocity: u8, start: f64) {
        self.off(whose, Some(channel), Some(key), start);
        let start = self.origin + start;
        let note = Drawn { start, end: f64::INFINITY, channel, key, velocity: velocity.max(1), whose };
        if let Some(place) = self.roll.notes.get_mut(self.next) {
            *place = note;
        }
        self.sounding.insert(self.next);
        self.untold.insert(self.next);
        self.next = (self.next + 1) % NOTES;
    }

    /// Notes end; `None`: whatever their channel, or key.
    pub fn off(&mut self, whose: Whose, channel: Option<u8>, key: Option<u8>, end: f64) {
        self.now = self.now.max(end);
        let end = self.origin + end;
        let Self { roll, sounding, untold, .. } = self;
        sounding.retain(|place| {
            let Some(note) = roll.notes.get_mut(place) else {
                return false;
            };
            let ends = note.whose == whose
                && channel.is_none_or(|channel| channel == note.channel)
                && key.is_none_or(|key| key == note.key);
            if ends {
                note.end = end.max(note.start);
                untold.insert(place);
            }
            !ends
        });
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
        let frame = &mut self.roll.frame;
        if let Some(mark) = frame.marks.get_mut(frame.next_mark) {
            *mark = self.origin + time;
        }
        frame.next_mark = (frame.next_mark + 1) % MARKS;
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
        let (origin, frame) = (self.origin, &mut self.roll.frame);
        let time = |beats: f64| origin + end + (beats - span.end) / span.beats_per_second();
        frame.beats_per_second = span.beats_per_second();
        frame.coming = span.bars.map(|bars| {
            let mut bar = bars.next(span.start);
            // A block has one bar line at most, unless it is longer than any host's.
            if bar < span.end {
                if let Some(place) = frame.bars.get_mut(frame.next_bar) {
                    *place = time(bar);
                }
                frame.next_bar = (frame.next_bar + 1) % BARS;
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
        let moves = moves || self.roll.coming.is_some() || !self.untold.is_empty();
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
        let Self { roll, news, untold, .. } = self;
        // As many as there is room for: the rest with the next picture.
        let mut room = true;
        untold.retain(|place| {
            room = room && roll.notes.get(place).is_none_or(|note| news.push((place, *note)).is_ok());
            !room
        });
        *self.out.input_buffer_mut() = self.roll.frame;
        self.out.publish();
        self.viewer.repaint();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes come and go while a window is open, closed, and slow to draw; in the end it shows them all. What passes
    /// to it at once is bounded.
    #[test]
    fn the_window_comes_to_show_all_notes() {
        let viewer = Viewer::default();
        let (mut writer, mut reader) = roll(viewer.clone());
        let nothing_ahead = || None::<std::iter::Empty<&Planned>>;
        let picture = |writer: &mut RollWriter, time: f64| {
            writer.off(Whose::Mine, Some(15), None, time);
            writer.publish(true, None, nothing_ahead(), |beats| beats);
        };
        for step in 0..6_000_u32 {
            let (time, key) = (f64::from(step) * 0.02, (step * 7 % 90) as u8);
            viewer.set_open(step % 1_000 < 400);
            writer.on(if step % 3 == 0 { Whose::Mine } else { Whose::Yours }, 0, key, 80, time);
            if step % 5 == 0 {
                writer.off(Whose::Yours, None, None, time + 0.01);
            }
            picture(&mut writer, time + 0.02);
            if step % 5 < 3 {
                reader.update();
            }
        }
        viewer.set_open(true);
        let same = |writer: &RollWriter, reader: &RollReader| {
            let place = |note: &Drawn| (note.start, note.end, note.key, note.whose == Whose::Mine);
            writer.roll.notes.iter().map(place).eq(reader.roll().notes.iter().map(place))
        };
        let mut pictures = 0;
        while !same(&writer, &reader) {
            picture(&mut writer, 120.02 + 0.02 * f64::from(pictures));
            reader.update();
            pictures += 1;
            assert!(pictures <= (NOTES / NEWS) as u32 + 1, "it never comes to show them");
        }
        assert!(pictures > 1, "so many at once");
        assert!(size_of::<Frame>() < 4096, "{} bytes a picture", size_of::<Frame>());
    }
}
