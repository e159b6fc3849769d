//! Tracks which keys and pedals of the MIDI input are down, to release them when its cable is pulled.

use super::message::{CONTROLLER, Message, NOTE_OFF};

/// The controllers of the sustain, sostenuto and soft pedals.
const PEDALS: [u8; 3] = [64, 66, 67];
/// From this value on, a pedal counts as down.
const DOWN: u8 = 64;
/// Controllers that end all notes.
const ALL_NOTES_OFF: u8 = 123;
const ALL_SOUND_OFF: u8 = 120;

/// The keys and pedals that are down.
#[derive(Debug, Default)]
pub struct KeyTracker {
    /// By channel: bit n is key n.
    keys: [u128; 16],
    /// By channel: bit n is the nth of [`PEDALS`].
    pedals: [u8; 16],
}

impl KeyTracker {
    /// Tracks a message of the input.
    pub fn track(&mut self, message: &Message) {
        let channel = usize::from(message.channel());
        let (Some(keys), Some(pedals)) = (self.keys.get_mut(channel), self.pedals.get_mut(channel)) else {
            return;
        };
        match (message.note(), message.kind(), message.data()) {
            (Some((true, key)), ..) => *keys |= 1 << key,
            (Some((false, key)), ..) => *keys &= !(1 << key),
            (None, CONTROLLER, [ALL_NOTES_OFF | ALL_SOUND_OFF, _]) => *keys = 0,
            (None, CONTROLLER, [controller, value]) => {
                if let Some(pedal) = PEDALS.iter().position(|pedal| *pedal == controller) {
                    *pedals = if value < DOWN { *pedals & !(1 << pedal) } else { *pedals | 1 << pedal };
                }
            }
            _ => {}
        }
    }

    /// Whether this key is down.
    pub fn is_down(&self, channel: u8, key: u8) -> bool {
        self.keys.get(usize::from(channel)).is_some_and(|keys| keys & 1 << key != 0)
    }

    /// Releases the next key or pedal that is down, keys first, and returns the message for it; `None` if nothing is
    /// down.
    pub fn release_next(&mut self) -> Option<Message> {
        for (channel, keys) in self.keys.iter_mut().enumerate() {
            if *keys != 0 {
                let key = keys.trailing_zeros();
                *keys &= !(1 << key);
                return Some(Message::new(NOTE_OFF, channel as u8, key as u8, 0));
            }
        }
        for (channel, pedals) in self.pedals.iter_mut().enumerate() {
            for (bit, pedal) in PEDALS.iter().enumerate() {
                if *pedals & 1 << bit != 0 {
                    *pedals &= !(1 << bit);
                    return Some(Message::new(CONTROLLER, channel as u8, *pedal, 0));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_down_is_released_and_nothing_else() {
        let mut keys = KeyTracker::default();
        let heard: [&[u8]; 9] = [
            &[0x90, 60, 80],
            &[0x90, 127, 1],
            &[0x9f, 0, 1],
            &[0x90, 62, 80],
            &[0x90, 62, 0],
            &[0xb0, 64, 127],
            &[0xb1, 66, 127],
            &[0xb1, 66, 0],
            &[0xb0, 7, 100],
        ];
        heard.iter().for_each(|bytes| keys.track(&Message::read(bytes).unwrap()));
        assert!(keys.is_down(15, 0) && !keys.is_down(0, 62));
        let released: Vec<Vec<u8>> = std::iter::from_fn(|| keys.release_next()).map(|m| m.bytes().to_vec()).collect();
        assert_eq!(released, [[0x80, 60, 0], [0x80, 127, 0], [0x8f, 0, 0], [0xb0, 64, 0]]);
        keys.track(&Message::read(&[0x90, 60, 80]).unwrap());
        keys.track(&Message::read(&[0xb0, 123, 0]).unwrap());
        assert_eq!(keys.release_next(), None);
    }
}
