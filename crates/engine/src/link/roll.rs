//! The picture of the piano roll: notes heard and played, written on the audio thread, read by the editor.
//!
//! Each note that begins or ends goes through a ring buffer once; everything else is a [`RollFrame`], which the editor takes
//! from a triple buffer sixty times a second. Changes that do not fit into the ring, or happen while no window is open,
//! are sent later: the audio thread keeps the notes too, and marks those that the editor does not know yet.
//!
//! Times are *the picture's seconds*, which never turn back: when a phrase is forgotten, stream seconds start again at 0
//! and the picture's do not, so that earlier notes can still be seen and saved. While nothing moves, no frames are sent.

use std::ops::{Deref, DerefMut};

use notes::{Event, Planned, Span};
use rtrb::{Consumer, Producer, RingBuffer};
use triple_buffer::{Input, Output, triple_buffer};

use crate::link::viewer::Viewer;

/// Notes in the picture: over a minute of dense music.
const NOTES: usize = 2048;
/// Capacity of the ring: more notes than begin and end between two pictures.
const CHANGES: usize = 256;
/// Planned notes in the picture.
const GHOSTS: usize = 64;
/// Hand-overs in the picture.
const HAND_OVERS: usize = 16;
/// Bar lines in the picture.
const BARS: usize = 64;
/// Pictures per second.
const RATE: f64 = 60.0;

/// Whose turn it is, or whose note.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// The player.
    #[default]
    Player,
    /// Antiphon.
    Antiphon,
}

/// A note in the picture. Times are the picture's seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct DrawnNote {
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

/// The latest `N` moments, in the picture's seconds.
#[derive(Clone, Copy, Debug)]
struct Latest<const N: usize> {
    /// A ring; NaN: none.
    moments: [f64; N],
    /// Where the next one goes.
    next: usize,
}

impl<const N: usize> Default for Latest<N> {
    fn default() -> Self {
        Self { moments: [f64::NAN; N], next: 0 }
    }
}

impl<const N: usize> Latest<N> {
    fn push(&mut self, moment: f64) {
        if let Some(slot) = self.moments.get_mut(self.next) {
            *slot = moment;
        }
        self.next = (self.next + 1) % N;
    }

    /// In no particular order.
    fn iter(&self) -> impl Iterator<Item = f64> {
        self.moments.iter().copied().filter(|moment| moment.is_finite())
    }
}

/// Everything in the picture except the notes that have begun.
#[derive(Clone, Copy, Debug)]
pub struct RollFrame {
    /// Planned notes, in order; unused places have velocity 0.
    ghosts: [DrawnNote; GHOSTS],
    hand_overs: Latest<HAND_OVERS>,
    bars: Latest<BARS>,
    /// The next bar line, and the distance between bar lines; `None` while the transport stands.
    pub next_bar: Option<(f64, f64)>,
    /// The host's tempo, in beats per second.
    pub beats_per_second: f64,
    /// The moment that the picture shows.
    pub now: f64,
    /// Notes before this moment are forgotten.
    pub forgotten: f64,
    /// Whose turn it is.
    pub turn: Whose,
    /// When that turn began.
    pub since: f64,
    /// When the turn will end without the player's doing, if that is known.
    pub until: Option<f64>,
    /// Antiphon's take loops.
    pub frozen: bool,
    /// The length of Antiphon's turn in notes, if notes end it.
    pub turn_notes: Option<u32>,
}

impl Default for RollFrame {
    fn default() -> Self {
        Self {
            ghosts: [DrawnNote::default(); GHOSTS],
            hand_overs: Latest::default(),
            bars: Latest::default(),
            next_bar: None,
            beats_per_second: 2.0,
            now: 0.0,
            forgotten: 0.0,
            turn: Whose::Player,
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
    notes: Box<[DrawnNote]>,
    frame: RollFrame,
}

impl Default for Roll {
    #[allow(clippy::disallowed_macros)] // made on the main thread
    fn default() -> Self {
        Self { notes: vec![DrawnNote::default(); NOTES].into_boxed_slice(), frame: RollFrame::default() }
    }
}

impl Deref for Roll {
    type Target = RollFrame;

    fn deref(&self) -> &RollFrame {
        &self.frame
    }
}

impl DerefMut for Roll {
    fn deref_mut(&mut self) -> &mut RollFrame {
        &mut self.frame
    }
}

impl Roll {
    /// How many notes are left in Antiphon's turn, if notes end it.
    pub fn notes_left(&self) -> Option<u32> {
        // A note at the hand-over itself may be a rounding error before it.
        let begun = self.hand_overs().fold(f64::NEG_INFINITY, f64::max) - 1e-3;
        let played = self.notes().filter(|note| note.whose == Whose::Antiphon && note.start >= begun).count();
        Some(self.turn_notes?.saturating_sub(played as u32))
    }

    /// The notes that have begun, in no particular order.
    pub fn notes(&self) -> impl Iterator<Item = &DrawnNote> {
        self.notes.iter().filter(|note| note.velocity > 0)
    }

    /// The planned notes, in order.
    pub fn ghosts(&self) -> impl Iterator<Item = &DrawnNote> {
        self.ghosts.iter().take_while(|note| note.velocity > 0)
    }

    /// The latest hand-overs.
    pub fn hand_overs(&self) -> impl Iterator<Item = f64> {
        self.hand_overs.iter()
    }

    /// The latest bar lines before now.
    pub fn bars(&self) -> impl Iterator<Item = f64> {
        self.bars.iter()
    }
}

/// The audio thread's end. Its methods take stream seconds.
pub struct RollWriter {
    roll: Roll,
    /// Where the next note goes.
    next: usize,
    /// Places of notes that sound: kept so that nobody has to search all notes.
    sounding: SlotSet,
    /// Places of notes that the editor does not know yet, or not as they are now.
    unsent: SlotSet,
    changes: Producer<(usize, DrawnNote)>,
    frames: Input<RollFrame>,
    /// Atomics that say whether a window is open, and that there is something new to draw.
    viewer: Viewer,
    /// The picture's seconds at second 0 of the stream.
    origin: f64,
    /// Present time, in stream seconds.
    now: f64,
    latest: LatestPicture,
}

/// The picture that the editor got last.
#[derive(Default)]
struct LatestPicture {
    /// When, in the picture's seconds.
    shown: f64,
    /// Nothing has moved since then.
    still: bool,
    /// The opening of the window that it was for.
    opening: u32,
}

/// The editor's end.
pub struct RollReader {
    roll: Roll,
    changes: Consumer<(usize, DrawnNote)>,
    frames: Output<RollFrame>,
}

/// Makes both ends of a picture for this viewer.
#[allow(clippy::disallowed_methods)] // made on the main thread
pub fn roll(viewer: Viewer) -> (RollWriter, RollReader) {
    let (frames, frames_out) = triple_buffer(&RollFrame::default());
    let (changes, changes_out) = RingBuffer::new(CHANGES);
    let writer = RollWriter {
        roll: Roll::default(),
        next: 0,
        sounding: SlotSet::default(),
        unsent: SlotSet::default(),
        changes,
        frames,
        viewer,
        origin: 0.0,
        now: 0.0,
        latest: LatestPicture::default(),
    };
    (writer, RollReader { roll: Roll::default(), changes: changes_out, frames: frames_out })
}

/// A set of places in the ring of notes, one bit each.
#[derive(Clone, Copy)]
struct SlotSet([u64; NOTES / 64]);

impl Default for SlotSet {
    fn default() -> Self {
        Self([0; NOTES / 64])
    }
}

impl SlotSet {
    fn insert(&mut self, slot: usize) {
        if let Some(bits) = self.0.get_mut(slot / 64) {
            *bits |= 1 << (slot % 64);
        }
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    /// Keeps the places for which `keeps` returns true.
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
    /// Applies the latest changes and the latest frame.
    pub fn update(&mut self) {
        while let Ok((slot, note)) = self.changes.pop() {
            if let Some(drawn) = self.roll.notes.get_mut(slot) {
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
    /// The present picture, whether a window is open or not. Not for the audio thread: it copies everything.
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
        let note = DrawnNote { start, end: f64::INFINITY, channel, key, velocity: velocity.max(1), whose };
        if let Some(slot) = self.roll.notes.get_mut(self.next) {
            *slot = note;
        }
        self.sounding.insert(self.next);
        self.unsent.insert(self.next);
        self.next = (self.next + 1) % NOTES;
    }

    /// Notes end; `None`: on any channel, or any key.
    pub fn off(&mut self, whose: Whose, channel: Option<u8>, key: Option<u8>, end: f64) {
        self.now = self.now.max(end);
        let end = self.origin + end;
        let Self { roll, sounding, unsent, .. } = self;
        sounding.retain(|slot| {
            let Some(note) = roll.notes.get_mut(slot) else {
                return false;
            };
            let ends = note.whose == whose
                && channel.is_none_or(|channel| channel == note.channel)
                && key.is_none_or(|key| key == note.key);
            if ends {
                note.end = end.max(note.start);
                unsent.insert(slot);
            }
            !ends
        });
    }

    /// A generated event went out.
    pub fn add_event(&mut self, event: Event, time: f64) {
        match event {
            Event::On { channel, pitch, velocity, .. } => self.on(Whose::Antiphon, channel, pitch, velocity, time),
            Event::Off { channel, pitch, .. } => self.off(Whose::Antiphon, Some(channel), Some(pitch), time),
        }
    }

    /// Antiphon's turn begins.
    pub fn hand_over(&mut self, time: f64) {
        self.roll.hand_overs.push(self.origin + time);
    }

    /// Sets whether Antiphon's take loops, and how many notes end it.
    pub fn set_take_info(&mut self, frozen: bool, notes: Option<u32>) {
        self.roll.frozen = frozen;
        self.roll.turn_notes = notes;
    }

    /// A phrase is forgotten: stream seconds start again at 0.
    pub fn clear(&mut self) {
        for whose in [Whose::Player, Whose::Antiphon] {
            self.off(whose, None, None, self.now);
        }
        self.origin += self.now;
        self.now = 0.0;
        self.roll.forgotten = self.origin;
        self.latest.still = false;
    }

    /// Records the bar lines of a block that ends at `end`, in stream seconds.
    pub fn add_bar_lines(&mut self, span: &Span, end: f64) {
        self.now = self.now.max(end);
        let (origin, frame) = (self.origin, &mut self.roll.frame);
        let time = |beats: f64| origin + end + (beats - span.end) / span.beats_per_second();
        frame.beats_per_second = span.beats_per_second();
        frame.next_bar = span.bars.map(|bars| {
            let mut bar = bars.next(span.start);
            // A block has one bar line at most, unless it is longer than any host's.
            if bar < span.end {
                frame.bars.push(time(bar));
                bar = bars.next(span.end);
            }
            (time(bar), bars.length / span.beats_per_second())
        });
    }

    /// Sends a picture if a window is open, something moves, and the last picture is at least 1/60 s old. `moves`:
    /// something moves that is not in the picture itself; `until`: when the turn will end, in stream seconds; `ahead`:
    /// the planned notes, if it is Antiphon's turn; `seconds`: converts beats to stream seconds.
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
        let fresh = std::mem::replace(&mut self.latest.opening, opening) != opening;
        let moves = moves || self.roll.next_bar.is_some() || !self.unsent.is_empty();
        if !fresh && (now - self.latest.shown < 1.0 / RATE || !moves && self.latest.still) {
            return;
        }
        self.latest.shown = now;
        // One more picture after the last movement shows how it ended.
        self.latest.still = !moves;
        self.roll.now = now;
        let turn = if ahead.is_some() { Whose::Antiphon } else { Whose::Player };
        if std::mem::replace(&mut self.roll.turn, turn) != turn {
            self.roll.since = now;
        }
        self.roll.until = until.map(|until| self.origin + until);
        let mut ahead = ahead.into_iter().flatten();
        for ghost in &mut self.roll.ghosts {
            *ghost = ahead.next().map_or(DrawnNote::default(), |note| DrawnNote {
                start: self.origin + seconds(note.onset),
                end: self.origin + seconds(note.end),
                channel: note.channel,
                key: note.pitch,
                velocity: note.velocity.max(1),
                whose: Whose::Antiphon,
            });
        }
        let Self { roll, changes, unsent, .. } = self;
        // As many as fit; the rest with the next picture.
        let mut room = true;
        unsent.retain(|slot| {
            room = room && roll.notes.get(slot).is_none_or(|note| changes.push((slot, *note)).is_ok());
            !room
        });
        *self.frames.input_buffer_mut() = self.roll.frame;
        self.frames.publish();
        self.viewer.repaint();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes begin and end while the window is open, closed, and slow to draw; in the end it shows them all, and each
    /// picture sends a bounded number of them.
    #[test]
    fn the_editor_receives_all_notes() {
        let viewer = Viewer::default();
        let (mut writer, mut reader) = roll(viewer.clone());
        let nothing_ahead = || None::<std::iter::Empty<&Planned>>;
        let picture = |writer: &mut RollWriter, time: f64| {
            writer.off(Whose::Antiphon, Some(15), None, time);
            writer.publish(true, None, nothing_ahead(), |beats| beats);
        };
        for step in 0..6_000_u32 {
            let (time, key) = (f64::from(step) * 0.02, (step * 7 % 90) as u8);
            viewer.set_open(step % 1_000 < 400);
            writer.on(if step % 3 == 0 { Whose::Antiphon } else { Whose::Player }, 0, key, 80, time);
            if step % 5 == 0 {
                writer.off(Whose::Player, None, None, time + 0.01);
            }
            picture(&mut writer, time + 0.02);
            if step % 5 < 3 {
                reader.update();
            }
        }
        viewer.set_open(true);
        let same = |writer: &RollWriter, reader: &RollReader| {
            let slot = |note: &DrawnNote| (note.start, note.end, note.key, note.whose == Whose::Antiphon);
            writer.roll.notes.iter().map(slot).eq(reader.roll().notes.iter().map(slot))
        };
        let mut pictures = 0;
        while !same(&writer, &reader) {
            picture(&mut writer, 120.02 + 0.02 * f64::from(pictures));
            reader.update();
            pictures += 1;
            assert!(pictures <= (NOTES / CHANGES) as u32 + 1, "it never comes to show them");
        }
        assert!(pictures > 1, "so many at once");
        assert!(size_of::<RollFrame>() < 4096, "{} bytes a picture", size_of::<RollFrame>());
    }
}
