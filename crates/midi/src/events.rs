//! Parses a track's bytes to events, whatever their condition.
//!
//! Bytes that follow the standard are read as the standard says. Everything else is counted and repaired if possible
//! ([`crate::repair`]); otherwise bytes are skipped up to the next event that makes sense.

use crate::chunks::is_track;
use std::cmp::Reverse;

/// After this many damaged places, the rest is not considered a track.
const MAX_DAMAGED: usize = 10_000;

/// An event, as far as a reader of notes needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// Velocity 1–127.
    NoteOn {
        channel: u8,
        key: u8,
        velocity: u8,
    },
    NoteOff {
        channel: u8,
        key: u8,
    },
    Controller {
        channel: u8,
        number: u8,
        value: u8,
    },
    Program {
        channel: u8,
        program: u8,
    },
    /// Type and data.
    Meta(u8, &'a [u8]),
    /// Anything else.
    Other,
}

/// Counts of faults in the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Events with a data byte above 127.
    pub bad_values: usize,
    /// Meta events whose length does not match their type.
    pub bad_lengths: usize,
    /// Bytes that belong to no event.
    pub unknown_bytes: usize,
    /// Real-time and system-common messages.
    pub system_messages: usize,
    /// Position of the first event with any of these.
    pub first: Option<usize>,
}

/// The events of one track, each with its delta time in ticks.
#[derive(Clone, Copy)]
pub(crate) struct Events<'a> {
    /// The file, up to where the track may extend.
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
    pub(crate) running: Option<u8>,
    pub(crate) faults: Faults,
    /// Places that were repaired or skipped, except real-time and system-common messages.
    pub(crate) damaged: usize,
    ended: bool,
    /// Whether implausible delta times may be treated as damaged.
    pub(crate) suspicious: bool,
}

/// A message, the position after it, and the running status from there on.
pub(crate) type Message<'a> = (Event<'a>, usize, Option<u8>);

impl<'a> Events<'a> {
    /// The events from `start` on, up to the next track header at most. `bytes` is the file up to where the track may
    /// extend; `said` is the end according to the track's length field.
    pub fn new(bytes: &'a [u8], start: usize, said: usize) -> Self {
        let faults = Faults::default();
        let trusting = Self { bytes, at: start, running: None, faults, damaged: 0, ended: false, suspicious: false };
        let suspicious = Self { suspicious: true, ..trusting };
        let outcome = |mut events: Self| {
            events.by_ref().for_each(drop);
            (events.ended && events.at == said, Reverse(events.damaged))
        };
        let trust = outcome(trusting);
        // Tracks without damage are not doubted.
        let in_doubt = trust.1.0 > 0 && outcome(suspicious) > trust;
        if in_doubt { suspicious } else { trusting }
    }

    /// The position after the last event.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether an End of Track was read.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The faults so far.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// Whether the track's bytes end here: at the end of the file, or at a track header.
    pub(crate) fn is_end(&self, at: usize) -> bool {
        at == self.bytes.len() || is_track(self.bytes, at)
    }

    /// Advances past the message at `at`. A track header inside a short message ends the track.
    fn accept(&mut self, at: usize, (event, end, running): Message<'a>) -> Option<Event<'a>> {
        let is_short = self.bytes[at] < 0xf0;
        if is_short && let Some(header) = (self.at..end).find(|&place| is_track(self.bytes, place)) {
            self.unknown(at, header.max(at));
            self.at = header;
            return None;
        }
        (self.at, self.running) = (end, running);
        self.ended = matches!(event, Event::Meta(END_OF_TRACK, _));
        Some(event)
    }

    /// Counts bytes that are skipped.
    fn unknown(&mut self, from: usize, to: usize) {
        self.faults.first.get_or_insert(self.at);
        self.faults.unknown_bytes += to - from;
        self.damaged += 1;
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = (u32, Event<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        if self.ended || self.is_end(start) || self.damaged > MAX_DAMAGED {
            return None;
        }
        let Some((delta, mut at)) = delta(self.bytes, start) else {
            self.at = self.bytes.len();
            return None;
        };
        // A delta time with nothing after it.
        if self.is_end(at) {
            self.at = at;
            return None;
        }
        if let Some((at, message)) = self.swallowed(start, at) {
            self.unknown(start, at);
            return self.accept(at, message).map(|event| (0, event));
        }
        loop {
            let proper = clean(self.bytes, at, self.running).filter(|&(event, end, _)| match event {
                Event::Meta(kind, data) => match fixed_length(kind) {
                    Some(length) => length == data.len(),
                    None => is_known(kind),
                },
                Event::Other => self.bytes[at] != 0xf0 || self.bytes[end - 1] == 0xf7,
                _ => true,
            });
            if let Some(message) = proper {
                return self.accept(at, message).map(|event| (delta, event));
            }
            if let Some(message) = self.repair(at) {
                return self.accept(at, message).map(|event| (delta, event));
            }
            let next = self.next_sensible(at + 1);
            self.unknown(at, next);
            at = next;
            if self.is_end(at) {
                self.at = at;
                return None;
            }
        }
    }
}

/// The meta event that ends a track.
pub(crate) const END_OF_TRACK: u8 = 0x2f;

/// Data length of meta events that have a fixed length.
pub(crate) fn fixed_length(kind: u8) -> Option<usize> {
    match kind {
        0x20 | 0x21 => Some(1), // channel, port
        END_OF_TRACK => Some(0),
        0x51 => Some(3), // tempo
        0x54 => Some(5), // SMPTE offset
        0x58 => Some(4), // time signature
        0x59 => Some(2), // key signature
        _ => None,
    }
}

/// Whether the standard defines this type of meta event, with variable length.
fn is_known(kind: u8) -> bool {
    matches!(kind, 0x00..=0x0f | 0x7f)
}

pub(crate) fn data_bytes(status: u8) -> usize {
    if matches!(status & 0xf0, 0xc0 | 0xd0) { 1 } else { 2 }
}

/// A variable-length number of up to four bytes, and the position after it. Longer ones are cut off after four bytes.
pub(crate) fn delta(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let mut number = 0;
    for place in at..at + 4 {
        let &byte = bytes.get(place)?;
        number = number << 7 | u32::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((number, place + 1));
        }
    }
    Some((number, at + 4))
}

/// The range of the data whose length field is at `at`.
pub(crate) fn payload(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let (length, from) = delta(bytes, at)?;
    let to = from.checked_add(usize::try_from(length).ok()?)?;
    (to <= bytes.len()).then_some((from, to))
}

/// The message at `at` if it follows the standard, with one exception: the standard ends running status at meta events
/// and sysex, but some writers continue it.
pub(crate) fn clean(bytes: &[u8], at: usize, running: Option<u8>) -> Option<Message<'_>> {
    let &first = bytes.get(at)?;
    let (status, data) = if first >= 0x80 { (first, at + 1) } else { (running?, at) };
    match status {
        0x80..=0xef => {
            let end = data + data_bytes(status);
            let values = bytes.get(data..end)?;
            values.iter().all(|&value| value < 0x80).then(|| (channel_event(status, values), end, Some(status)))
        }
        0xf0 | 0xf7 => payload(bytes, data).map(|(_, to)| (Event::Other, to, running)),
        0xff => {
            let &kind = bytes.get(data).filter(|&&kind| kind < 0x80)?;
            let (from, to) = payload(bytes, data + 1)?;
            Some((Event::Meta(kind, &bytes[from..to]), to, running))
        }
        _ => None,
    }
}

/// A channel event from its status byte and its data bytes; extra data bytes are ignored.
pub(crate) fn channel_event(status: u8, data: &[u8]) -> Event<'static> {
    let channel = status & 0x0f;
    match (status & 0xf0, data) {
        (0x90, &[key, velocity, ..]) if velocity > 0 => Event::NoteOn { channel, key, velocity },
        (0x80 | 0x90, &[key, ..]) => Event::NoteOff { channel, key },
        (0xb0, &[number, value, ..]) => Event::Controller { channel, number, value },
        (0xc0, &[program, ..]) => Event::Program { channel, program },
        _ => Event::Other,
    }
}
