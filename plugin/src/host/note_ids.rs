//! Resolves the note ids of hosts. Several notes may sound on one key: a synthesizer keeps them apart, but a piano's
//! key is down until the latest of them ends.

use std::collections::VecDeque;

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::io::HostEvent;

/// The most notes tracked at a time; beyond that the oldest are forgotten.
const NOTES: usize = 1_024;

/// What a note-off ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteOffTarget {
    /// All notes on its key, or on many keys.
    Keys,
    /// Only a note that a later one on the same key covers.
    Covered,
    /// An unknown note.
    Nothing,
}

/// A sounding note that has an id.
#[derive(Clone, Copy, Debug)]
struct Note {
    id: i32,
    channel: u8,
    key: u8,
    /// A later note has been struck on its key.
    covered: bool,
}

impl Note {
    /// Whether a channel and a key, either of which may be a wildcard, match this note.
    fn is_at(&self, channel: Channel, key: Key) -> bool {
        channel.number().is_none_or(|channel| channel == self.channel) && key.number().is_none_or(|key| key == self.key)
    }
}

/// The sounding notes that have ids.
#[derive(Debug)]
pub struct NoteIds {
    /// In order, the latest last. A host may reuse an id before its note has ended: the id then means the latest note.
    notes: VecDeque<Note>,
}

impl Default for NoteIds {
    fn default() -> Self {
        Self { notes: VecDeque::with_capacity(NOTES) }
    }
}

impl NoteIds {
    /// Processes an event. If it names a note by its id alone, fills in channel and key. Returns what a note-off ends;
    /// [`NoteOffTarget::Nothing`] for a note expression means that its note is unknown.
    pub fn follow(&mut self, event: &mut HostEvent) -> NoteOffTarget {
        match event {
            NoteEvent::NoteOn { voice_id, channel, key, .. } => {
                self.begin(voice_id.id(), *channel, *key);
                NoteOffTarget::Keys
            }
            NoteEvent::NoteOff { voice_id, channel, key, .. } => match voice_id.id() {
                Some(id) => self.end(id, channel, key),
                None => {
                    let (channel, key) = (*channel, *key);
                    self.notes.retain(|note| !note.is_at(channel, key));
                    NoteOffTarget::Keys
                }
            },
            NoteEvent::PolyPressure { voice_id, channel, key, .. }
            | NoteEvent::PolyVolume { voice_id, channel, key, .. }
            | NoteEvent::PolyPan { voice_id, channel, key, .. }
            | NoteEvent::PolyTuning { voice_id, channel, key, .. }
            | NoteEvent::PolyVibrato { voice_id, channel, key, .. }
            | NoteEvent::PolyExpression { voice_id, channel, key, .. }
            | NoteEvent::PolyBrightness { voice_id, channel, key, .. } => match *voice_id {
                VoiceID::ID(id) if channel.number().is_none() || key.number().is_none() => {
                    let Some(note) = self.find(id, *channel, *key).and_then(|at| self.notes.get(at)) else {
                        return NoteOffTarget::Nothing;
                    };
                    (*channel, *key) = (Channel::Number(note.channel), Key::Number(note.key));
                    NoteOffTarget::Keys
                }
                _ => NoteOffTarget::Keys,
            },
            _ => NoteOffTarget::Keys,
        }
    }

    /// Called for every note-on, with or without an id.
    fn begin(&mut self, id: Option<i32>, channel: Channel, key: Key) {
        self.notes.iter_mut().filter(|note| note.is_at(channel, key)).for_each(|note| note.covered = true);
        let (Some(id), Channel::Number(channel), Key::Number(key)) = (id, channel, key) else {
            return;
        };
        if self.notes.len() == NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back(Note { id, channel, key, covered: false });
    }

    /// Ends the note with this id.
    fn end(&mut self, id: i32, channel: &mut Channel, key: &mut Key) -> NoteOffTarget {
        if let Some(note) = self.find(id, *channel, *key).and_then(|at| self.notes.remove(at)) {
            (*channel, *key) = (Channel::Number(note.channel), Key::Number(note.key));
            return if note.covered { NoteOffTarget::Covered } else { NoteOffTarget::Keys };
        }
        if channel.number().is_none() || key.number().is_none() {
            return NoteOffTarget::Nothing;
        }
        // An unknown id, but a valid key: trust the key.
        self.notes.retain(|note| !note.is_at(*channel, *key));
        NoteOffTarget::Keys
    }

    /// Index of the latest note with this id on this channel and key.
    fn find(&self, id: i32, channel: Channel, key: Key) -> Option<usize> {
        self.notes.iter().rposition(|note| note.id == id && note.is_at(channel, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(id: i32, key: u8) -> HostEvent {
        let (channel, key) = (Channel::Number(3), Key::Number(key));
        NoteEvent::NoteOn { timing: 0, voice_id: VoiceID::ID(id), channel, key, velocity: 0.5 }
    }

    fn off(id: Option<i32>, channel: Option<u8>, key: Option<u8>) -> HostEvent {
        NoteEvent::NoteOff {
            timing: 0,
            voice_id: id.map_or(VoiceID::Wildcard, VoiceID::ID),
            channel: channel.map_or(Channel::Wildcard, Channel::Number),
            key: key.map_or(Key::Wildcard, Key::Number),
            velocity: 0.0,
        }
    }

    /// What a note-off ends, and its channel and key as filled in.
    fn end(ids: &mut NoteIds, mut event: HostEvent) -> (NoteOffTarget, Option<u8>, Option<u8>) {
        let ends = ids.follow(&mut event);
        match event {
            NoteEvent::NoteOff { channel, key, .. } => (ends, channel.number(), key.number()),
            _ => (ends, None, None),
        }
    }

    #[test]
    fn an_id_alone_names_one_note() {
        let mut ids = NoteIds::default();
        for (id, key) in [(7, 60), (8, 64), (9, 60)] {
            ids.follow(&mut on(id, key));
        }
        assert_eq!(end(&mut ids, off(Some(5), None, None)), (NoteOffTarget::Nothing, None, None));
        assert_eq!(
            end(&mut ids, off(Some(8), Some(2), None)),
            (NoteOffTarget::Nothing, Some(2), None),
            "not on that channel"
        );
        assert_eq!(end(&mut ids, off(Some(8), None, None)), (NoteOffTarget::Keys, Some(3), Some(64)));
        assert_eq!(
            end(&mut ids, off(Some(7), None, None)),
            (NoteOffTarget::Covered, Some(3), Some(60)),
            "9 has the key"
        );
        assert_eq!(end(&mut ids, off(Some(9), None, Some(60))), (NoteOffTarget::Keys, Some(3), Some(60)));
        assert_eq!(end(&mut ids, off(Some(9), None, None)), (NoteOffTarget::Nothing, None, None), "it has ended");
        ids.follow(&mut on(11, 60));
        assert_eq!(
            end(&mut ids, off(Some(4), Some(3), Some(60))),
            (NoteOffTarget::Keys, Some(3), Some(60)),
            "a host mixes up ids"
        );
        ids.follow(&mut on(12, 62));
        assert_eq!(end(&mut ids, off(None, None, None)), (NoteOffTarget::Keys, None, None));
        assert_eq!(end(&mut ids, off(Some(12), None, None)), (NoteOffTarget::Nothing, None, None), "all have ended");
    }

    #[test]
    fn a_note_keeps_its_id_whatever_is_struck_on_its_key() {
        let mut ids = NoteIds::default();
        for id in 0..8 {
            ids.follow(&mut on(id, 60));
        }
        // A plain MIDI note, without an id.
        let (channel, key) = (Channel::Number(3), Key::Number(60));
        ids.follow(&mut NoteEvent::NoteOn { timing: 0, voice_id: VoiceID::Wildcard, channel, key, velocity: 0.5 });
        for id in 0..8 {
            assert_eq!(end(&mut ids, off(Some(id), None, None)), (NoteOffTarget::Covered, Some(3), Some(60)), "{id}");
        }
    }

    #[test]
    fn an_id_that_is_used_again_names_the_latest_note() {
        let mut ids = NoteIds::default();
        ids.follow(&mut on(1, 40));
        for (id, key) in [(1, 72), (2, 50)] {
            ids.follow(&mut on(id, key));
        }
        assert_eq!(end(&mut ids, off(Some(1), None, None)), (NoteOffTarget::Keys, Some(3), Some(72)));
        for id in 10..10 + NOTES as i32 {
            ids.follow(&mut on(id, 90));
        }
        assert_eq!(end(&mut ids, off(Some(2), None, None)), (NoteOffTarget::Nothing, None, None), "forgotten");
        assert_eq!(end(&mut ids, off(Some(10), None, None)), (NoteOffTarget::Covered, Some(3), Some(90)));
        let latest = 9 + NOTES as i32;
        assert_eq!(end(&mut ids, off(Some(latest), None, None)), (NoteOffTarget::Keys, Some(3), Some(90)));
    }
}
