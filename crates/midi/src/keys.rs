//! Pairs one track's note-ons and note-offs to notes in ticks.

/// General MIDI's drum channel (shown to users as 10): its keys are drums, not pitches, unless the track says
/// otherwise.
pub(crate) const DRUMS: u8 = 9;

/// A note with times in ticks.
#[derive(Clone, Copy)]
pub(crate) struct TickedNote {
    pub on: u64,
    pub off: u64,
    pub channel: u8,
    pub pitch: u8,
    pub velocity: u8,
    pub end: End,
}

/// What ended a note.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its note-off.
    Off,
    /// The next strike of its key, because its note-off is missing.
    Restrike,
    /// All notes off, or all sound off.
    AllOff,
    /// The end of its track.
    Track,
}

/// Counts of what is odd about a track's keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyFaults {
    pub restruck: usize,
    pub orphan_offs: usize,
}

/// An event of a key: the index of a note that begins, or the tick of a note-off.
#[derive(Clone, Copy)]
enum Stroke {
    On(usize),
    Off(u64),
}

/// One key of one channel, since it was last up.
#[derive(Clone, Default)]
struct Key {
    strokes: Vec<Stroke>,
    /// Index after the stroke of the note that was ended last.
    ended: usize,
    /// Number of notes that sound.
    down: usize,
}

/// The keys of one track.
///
/// Note-offs are paired first in, first out, because two voices may overlap on one key. Where a key is struck again and
/// note-offs are missing, this would pair every later note-off with the wrong note; in that case each strike ends the
/// note before it, as with a live player.
pub(crate) struct Keys {
    /// Indexed by channel, then pitch.
    keys: Vec<Key>,
    /// Faults of all channels but the drum channel, and of the drum channel.
    faults: [KeyFaults; 2],
}

impl Keys {
    pub fn new() -> Self {
        Self { keys: vec![Key::default(); 16 * 128], faults: Default::default() }
    }

    pub fn on(&mut self, notes: &mut Vec<TickedNote>, tick: u64, channel: u8, pitch: u8, velocity: u8) {
        let key = &mut self.keys[usize::from(channel) * 128 + usize::from(pitch)];
        self.faults[usize::from(channel == DRUMS)].restruck += usize::from(key.down > 0);
        key.strokes.push(Stroke::On(notes.len()));
        key.down += 1;
        notes.push(TickedNote { on: tick, off: tick, channel, pitch, velocity, end: End::Off });
    }

    pub fn off(&mut self, notes: &mut [TickedNote], tick: u64, channel: u8, pitch: u8) {
        let key = &mut self.keys[usize::from(channel) * 128 + usize::from(pitch)];
        let first = key.strokes[key.ended..].iter().enumerate().find_map(|(place, stroke)| match *stroke {
            Stroke::On(index) => Some((place, index)),
            Stroke::Off(_) => None,
        });
        let Some((place, index)) = first else {
            self.faults[usize::from(channel == DRUMS)].orphan_offs += 1;
            return;
        };
        notes[index].off = tick;
        key.ended += place + 1;
        key.down -= 1;
        if key.down == 0 {
            key.strokes.clear();
            key.ended = 0;
        } else {
            key.strokes.push(Stroke::Off(tick));
        }
    }

    /// All notes off or all sound off: ends the notes that sound on a channel.
    pub fn all_off(&mut self, notes: &mut [TickedNote], tick: u64, channel: u8) {
        let faults = &mut self.faults[usize::from(channel == DRUMS)];
        for key in &mut self.keys[usize::from(channel) * 128..][..128] {
            key.end(notes, (tick, End::AllOff), faults);
        }
    }

    /// Ends the track, and the notes that sound with it. Returns its faults, including the drum channel's if
    /// `with_drums`.
    pub fn end(&mut self, notes: &mut [TickedNote], tick: u64, with_drums: bool) -> KeyFaults {
        for (number, key) in self.keys.iter_mut().enumerate() {
            key.end(notes, (tick, End::Track), &mut self.faults[usize::from(number / 128 == usize::from(DRUMS))]);
        }
        let [faults, drums] = std::mem::take(&mut self.faults);
        if with_drums { faults.with(drums) } else { faults }
    }
}

impl Key {
    /// Ends the notes that sound. Their note-offs are missing, so this pairs the strokes again, by the strikes of the
    /// key.
    fn end(&mut self, notes: &mut [TickedNote], (tick, end): (u64, End), faults: &mut KeyFaults) {
        if self.down == 0 {
            return;
        }
        let mut sounding: Option<usize> = None;
        // The note that the latest strike ended. A note-off at the same tick may come after the strike.
        let mut before: Option<usize> = None;
        for stroke in self.strokes.drain(..) {
            match stroke {
                Stroke::On(index) => {
                    before = sounding.replace(index);
                    if let Some(before) = before {
                        (notes[before].off, notes[before].end) = (notes[index].on, End::Restrike);
                    }
                }
                Stroke::Off(at) => match before.take().filter(|&note| notes[note].off == at && notes[note].on < at) {
                    Some(before) => notes[before].end = End::Off,
                    None => match sounding.take() {
                        Some(note) => (notes[note].off, notes[note].end) = (at, End::Off),
                        None => faults.orphan_offs += 1,
                    },
                },
            }
        }
        (self.ended, self.down) = (0, 0);
        if let Some(note) = sounding {
            (notes[note].off, notes[note].end) = (tick, end);
        }
    }
}

impl KeyFaults {
    fn with(self, other: Self) -> Self {
        Self { restruck: self.restruck + other.restruck, orphan_offs: self.orphan_offs + other.orphan_offs }
    }
}
