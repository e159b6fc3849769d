//! Repairs malformed bytes of a track: of several possible readings, picks the one after which the next events make the
//! most sense.
//!
//! An event with its own status byte identifies itself; in running status, nearly any byte could be an event. So the
//! sense that bytes make is measured by how many of the next events have a status byte.

use crate::events::{
    END_OF_TRACK, Event, Events, Faults, Message, channel_event, clean, data_bytes, delta, fixed_length, payload,
};

/// Number of following events by which a position is judged.
const LOOK_AHEAD: usize = 4;
/// Where nothing makes sense, messages longer than this many bytes are not trusted.
const LONGEST_TRUSTED: usize = 8;
/// A wrong length hides at most this many bytes; the search for where the track continues ends there.
const LONGEST_SEARCH: usize = 128;
/// Only a track's first damaged places, up to this many, get such a search.
const MAX_SEARCHES: usize = 1000;

/// One possible reading of malformed bytes.
struct Reading<'a> {
    message: Message<'a>,
    /// The fault that it counts as, and how many of them.
    fault: fn(&mut Faults) -> &mut usize,
    count: usize,
}

impl<'a> Events<'a> {
    /// Picks the reading of the malformed bytes at `at` after which the track makes the most sense.
    pub(crate) fn repair(&mut self, at: usize) -> Option<Message<'a>> {
        let readings = self.readings(at);
        let sense = |reading: &Reading| self.sense(reading.message.1, reading.message.2, LOOK_AHEAD);
        // The first of several equals.
        let best = readings
            .iter()
            .rev()
            .filter_map(|reading| Some((sense(reading)?, reading)))
            .max_by_key(|(sense, _)| *sense);
        let found = self.behind_wrong_length(at, best.map(|(sense, _)| sense));
        let reading = match (&found, best) {
            (Some(found), _) => found,
            (None, Some((_, reading))) => reading,
            (None, None) => readings.first().filter(|reading| reading.message.1 - at <= LONGEST_TRUSTED)?,
        };
        if reading.count > 0 {
            let before = self.faults.system_messages;
            *(reading.fault)(&mut self.faults) += reading.count;
            self.faults.first.get_or_insert(self.at);
            self.damaged += usize::from(self.faults.system_messages == before);
        }
        Some(reading.message)
    }

    /// For a message without a status, or with a length that does not fit: skips up to the first position that makes
    /// more sense than `best`.
    fn behind_wrong_length(&self, at: usize, best: Option<usize>) -> Option<Reading<'a>> {
        let in_doubt = match self.bytes[at] {
            0x00..0x80 => self.running.is_none(),
            status => matches!(status, 0xf0 | 0xf7 | 0xff) && clean(self.bytes, at, None).is_none(),
        };
        if !in_doubt || best >= Some(LOOK_AHEAD - 1) || self.damaged >= MAX_SEARCHES {
            return None;
        }
        let mut ends = at + 4..self.bytes.len().min(at + LONGEST_SEARCH);
        let end = ends.find(|&end| self.sense(end, self.running, LOOK_AHEAD) > best)?;
        Some(self.passing_over(at, end))
    }

    /// The reading that skips these bytes.
    fn passing_over(&self, at: usize, end: usize) -> Reading<'a> {
        Reading {
            message: (Event::Other, end, self.running),
            fault: |faults| &mut faults.unknown_bytes,
            count: end - at,
        }
    }

    /// The possible readings of the bytes at `at`, most likely first.
    fn readings(&self, at: usize) -> Vec<Reading<'a>> {
        let mut readings = Vec::new();
        let mut reading = |message: Option<Message<'a>>, fault: fn(&mut Faults) -> &mut usize, count: usize| {
            readings.extend(message.map(|message| Reading { message, fault, count }));
        };
        let running = self.running;
        let status = self.bytes.get(at).copied().filter(|&first| first >= 0x80);
        let data = at + usize::from(status.is_some());
        match status.or(running) {
            Some(status @ 0x80..=0xef) => {
                reading(self.bad_values(status, data), |faults| &mut faults.bad_values, 1);
                let (message, strays) = self.without_real_time(status, data);
                reading(message, |faults| &mut faults.system_messages, strays);
                // Or the message breaks off, and the next one has no delta time.
                let next = (data..data + 2).find(|&at| self.bytes.get(at).is_some_and(|&byte| byte >= 0x80));
                reading(next.and_then(|at| clean(self.bytes, at, None)), |faults| &mut faults.bad_values, 1);
            }
            Some(0xf0 | 0xf7) => {
                let as_said = payload(self.bytes, data).map(|(_, to)| (Event::Other, to, running));
                reading(as_said, |faults| &mut faults.system_messages, 0);
                // As sent over a cable, without a length.
                let length = self.bytes[data..].iter().position(|&byte| byte >= 0x80);
                let end = length.map(|length| data + length).filter(|&end| self.bytes[end] == 0xf7);
                reading(end.map(|end| (Event::Other, end + 1, running)), |faults| &mut faults.system_messages, 1);
            }
            Some(0xff) if self.bytes.get(data).is_some_and(|&kind| kind < 0x80) => {
                let kind = self.bytes[data];
                let meta = |(from, to)| Some((Event::Meta(kind, self.bytes.get(from..to)?), to, running));
                let known = usize::from(fixed_length(kind).is_some());
                // A malformed End of Track must at least be at the end of the track's bytes.
                let in_place = |&(_, end, _): &Message| kind != END_OF_TRACK || self.is_end(end);
                let as_said = payload(self.bytes, data + 1).and_then(meta).filter(in_place);
                reading(as_said, |faults| &mut faults.bad_lengths, known);
                let by_type = fixed_length(kind).map(|length| (data + 2, data + 2 + length));
                reading(by_type.and_then(meta).filter(in_place), |faults| &mut faults.bad_lengths, 1);
                if kind == END_OF_TRACK {
                    reading(meta((data + 1, data + 1)).filter(in_place), |faults| &mut faults.bad_lengths, 1);
                }
            }
            Some(_) => {
                let alone = system_message(self.bytes, at, running);
                reading(alone, |faults| &mut faults.system_messages, 1);
                // It may come between a delta time and its event.
                let between = alone.and_then(|(_, at, _)| clean(self.bytes, at, None));
                reading(between, |faults| &mut faults.system_messages, 1);
            }
            None => {}
        }
        // The status is damaged or, in running status, the first byte.
        let short = running.map_or(3, data_bytes);
        let ends = [short, 3, 2, 1].map(|length| at + length).into_iter().filter(|&end| end <= self.bytes.len());
        readings.extend(ends.map(|end| self.passing_over(at, end)));
        readings
    }

    /// A message that a damaged delta time from `start` to `at` swallowed, with its position: only if that reading
    /// makes perfect sense and the delta time hardly any.
    pub(crate) fn swallowed(&self, start: usize, at: usize) -> Option<(usize, Message<'a>)> {
        // What follows such a delta time is data.
        if !self.suspicious || self.bytes[at] >= 0x80 || self.sense(start, self.running, LOOK_AHEAD) > Some(1) {
            return None;
        }
        (start + 1..at).find_map(|at| {
            let message = clean(self.bytes, at, None)?;
            (self.sense(message.1, message.2, LOOK_AHEAD) == Some(LOOK_AHEAD)).then_some((at, message))
        })
    }

    /// Reads a channel message with data bytes above 127.
    fn bad_values(&self, status: u8, data: usize) -> Option<Message<'a>> {
        let end = data + data_bytes(status);
        let event = match (status & 0xf0, self.bytes.get(data..end)?) {
            (0x80 | 0x90, &[key, velocity]) if key < 0x80 => channel_event(status, &[key, velocity.min(127)]),
            _ => Event::Other,
        };
        Some((event, end, Some(status)))
    }

    /// Reads a channel message with real-time messages among its data bytes; also returns how many there are.
    fn without_real_time(&self, status: u8, data: usize) -> (Option<Message<'a>>, usize) {
        let is_real_time = |&(_, &byte): &(usize, &u8)| (0xf8..0xff).contains(&byte);
        let bytes = self.bytes.iter().enumerate().skip(data).take(LONGEST_TRUSTED);
        let mut values = bytes.filter(|byte| !is_real_time(byte));
        let mut value = || values.next().filter(|(_, byte)| **byte < 0x80).map(|(at, &byte)| (at, byte));
        let message = value().and_then(|(at, first)| {
            let (at, second) = if data_bytes(status) == 2 { value()? } else { (at, 0) };
            Some((channel_event(status, &[first, second]), at + 1, Some(status)))
        });
        let strays = message.map_or(0, |(_, end, _)| end - data - data_bytes(status));
        (message, strays)
    }

    /// How much sense the bytes from here on make: how many of the next `events` events have their own status byte.
    /// `None`: they are not events.
    fn sense(&self, at: usize, running: Option<u8>, events: usize) -> Option<usize> {
        if events == 0 || self.is_end(at) {
            return Some(events);
        }
        let (_, start) = delta(self.bytes, at)?;
        let message = clean(self.bytes, start, running).or_else(|| system_message(self.bytes, start, running));
        match message? {
            (Event::Meta(END_OF_TRACK, _), ..) => Some(events),
            (_, end, running) => {
                let says = usize::from(self.bytes[start] >= 0x80);
                Some(says + self.sense(end, running, events - 1)?)
            }
        }
    }

    /// The first position from `at` on that has a status byte and makes sense from there on, or where the track's bytes
    /// end.
    pub(crate) fn next_sensible(&self, at: usize) -> usize {
        let is_sensible = |at: usize| {
            let message = clean(self.bytes, at, None).filter(|_| self.bytes[at] >= 0x80);
            message.is_some_and(|(_, at, running)| self.sense(at, running, LOOK_AHEAD).is_some())
        };
        (at..self.bytes.len()).find(|&at| self.is_end(at) || is_sensible(at)).unwrap_or(self.bytes.len())
    }
}

/// Reads a real-time or system-common message at `at`, which files should not contain.
fn system_message(bytes: &[u8], at: usize, running: Option<u8>) -> Option<Message<'static>> {
    let count = match bytes.get(at)? {
        0xf1 | 0xf3 => 1,
        0xf2 => 2,
        0xf4..=0xf6 | 0xf8..=0xff => 0,
        _ => return None,
    };
    let is_whole = bytes.get(at + 1..at + 1 + count).is_some_and(|data| data.iter().all(|&byte| byte < 0x80));
    Some((Event::Other, if is_whole { at + 1 + count } else { at + 1 }, running))
}
