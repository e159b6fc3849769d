//! Which note a host means when it names it by an id. Several may sound on one key: a synthesizer keeps them apart,
//! a piano's key is down as long as the latest of them is.

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::NoteEvent;

use super::stage::HostEvent;

const CHANNELS: usize = 16;
const KEYS: usize = 128;
/// Notes of one key that are told apart.
const DEEP: usize = 4;

/// What a note-off ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// What sounds on its key, or on many.
    Keys,
    /// A note on whose key another one has been struck since.
    Covered,
    /// A note that is not known.
    Nothing,
}

/// See the [module](self).
#[derive(Debug)]
pub struct NoteIds {
    /// By channel, then key: the ids of the notes that sound there, the latest first.
    keys: Box<[[Option<i32>; DEEP]]>,
}

impl Default for NoteIds {
    #[allow(clippy::disallowed_macros)] // made on the main thread
    fn default() -> Self {
        Self { keys: vec![[None; DEEP]; CHANNELS * KEYS].into_boxed_slice() }
    }
}

impl NoteIds {
    /// Takes an event in. Where it names a note by its id alone, its channel and key are filled in; a note-off says
    /// what it ends, and an expression of a note that is not known that it means nothing.
    pub fn follow(&mut self, event: &mut HostEvent) -> Ends {
        match event {
            NoteEvent::NoteOn { voice_id, channel: Channel::Number(channel), key: Key::Number(key), .. } => {
                if let Some(notes) = self.keys.get_mut(place(*channel, *key)) {
                    match voice_id.id() {
                        Some(id) => {
                            notes.rotate_right(1);
                            notes[0] = Some(id);
                        }
                        // What sounds here now has no id.
                        None => *notes = [None; DEEP],
                    }
                }
                Ends::Keys
            }
            NoteEvent::NoteOff { voice_id, channel, key, .. } => match voice_id.id() {
                Some(id) => self.end(id, channel, key),
                None => {
                    let (channel, key) = (*channel, *key);
                    let which = |(index, _): &(usize, _)| names(channel, key, *index);
                    self.keys.iter_mut().enumerate().filter(which).for_each(|(_, notes)| *notes = [None; DEEP]);
                    Ends::Keys
                }
            },
            NoteEvent::PolyPressure { voice_id, channel, key, .. }
            | NoteEvent::PolyVolume { voice_id, channel, key, .. }
            | NoteEvent::PolyPan { voice_id, channel, key, .. }
            | NoteEvent::PolyTuning { voice_id, channel, key, .. }
            | NoteEvent::PolyVibrato { voice_id, channel, key, .. }
            | NoteEvent::PolyExpression { voice_id, channel, key, .. }
            | NoteEvent::PolyBrightness { voice_id, channel, key, .. } => match *voice_id {
                VoiceID::ID(id) if !self.fill_in(id, channel, key) => Ends::Nothing,
                _ => Ends::Keys,
            },
            _ => Ends::Keys,
        }
    }

    /// The note with this id ends.
    fn end(&mut self, id: i32, channel: &mut Channel, key: &mut Key) -> Ends {
        if !self.fill_in(id, channel, key) {
            return Ends::Nothing;
        }
        let (Channel::Number(channel), Key::Number(key)) = (*channel, *key) else {
            return Ends::Keys;
        };
        let Some(notes) = self.keys.get_mut(place(channel, key)) else {
            return Ends::Keys;
        };
        let Some(at) = notes.iter().position(|note| *note == Some(id)) else {
            // A host that is not sure of its ids is sure of its keys.
            *notes = [None; DEEP];
            return Ends::Keys;
        };
        if let Some(from) = notes.get_mut(at..) {
            from.rotate_left(1);
        }
        notes[DEEP - 1] = None;
        if at == 0 { Ends::Keys } else { Ends::Covered }
    }

    /// Fills in where the note with this id sounds, if the event leaves that open. `false`: nowhere.
    fn fill_in(&self, id: i32, channel: &mut Channel, key: &mut Key) -> bool {
        if channel.number().is_some() && key.number().is_some() {
            return true;
        }
        let named = self.keys.iter().enumerate().filter(|(index, _)| names(*channel, *key, *index));
        let mut named = named.filter(|(_, notes)| notes.contains(&Some(id)));
        let Some((index, _)) = named.next() else {
            return false;
        };
        (*channel, *key) = (Channel::Number((index / KEYS) as u8), Key::Number((index % KEYS) as u8));
        true
    }
}

fn place(channel: u8, key: u8) -> usize {
    usize::from(channel) * KEYS + usize::from(key)
}

/// Whether a channel and a key, of which either may be all, name this place.
fn names(channel: Channel, key: Key, index: usize) -> bool {
    channel.number().is_none_or(|channel| usize::from(channel) == index / KEYS)
        && key.number().is_none_or(|key| usize::from(key) == index % KEYS)
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

    /// What a note-off ends, and on which channel and key.
    fn end(ids: &mut NoteIds, mut event: HostEvent) -> (Ends, Option<u8>, Option<u8>) {
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
        assert_eq!(end(&mut ids, off(Some(5), None, None)), (Ends::Nothing, None, None));
        assert_eq!(end(&mut ids, off(Some(8), Some(2), None)), (Ends::Nothing, Some(2), None), "not on that channel");
        assert_eq!(end(&mut ids, off(Some(8), None, None)), (Ends::Keys, Some(3), Some(64)));
        assert_eq!(end(&mut ids, off(Some(7), None, None)), (Ends::Covered, Some(3), Some(60)), "9 has the key");
        assert_eq!(end(&mut ids, off(Some(9), None, Some(60))), (Ends::Keys, Some(3), Some(60)));
        assert_eq!(end(&mut ids, off(Some(9), None, None)), (Ends::Nothing, None, None), "it has ended");
        ids.follow(&mut on(11, 60));
        assert_eq!(
            end(&mut ids, off(Some(4), Some(3), Some(60))),
            (Ends::Keys, Some(3), Some(60)),
            "a host mixes up ids"
        );
        ids.follow(&mut on(12, 62));
        assert_eq!(end(&mut ids, off(None, None, None)), (Ends::Keys, None, None));
        assert_eq!(end(&mut ids, off(Some(12), None, None)), (Ends::Nothing, None, None), "all have ended");
    }
}
