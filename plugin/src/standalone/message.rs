//! MIDI messages as bytes. System-exclusive and incomplete messages are not supported.

/// A message of one to three bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message([u8; 3]);

/// Status byte of a note-off on channel 1.
pub const NOTE_OFF: u8 = 0x80;
/// Status byte of a note-on on channel 1.
pub const NOTE_ON: u8 = 0x90;
/// Status byte of a controller on channel 1.
pub const CONTROLLER: u8 = 0xb0;

impl Message {
    /// A channel message with two data bytes; `kind` is one of the constants above, `channel` 0–15.
    pub fn new(kind: u8, channel: u8, first: u8, second: u8) -> Self {
        Self([kind | channel & 0x0f, first & 0x7f, second & 0x7f])
    }

    /// The message at the beginning of these bytes; `None` if it is incomplete or not supported.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let length = length(*bytes.first()?)?;
        let bytes = bytes.get(..length)?;
        let mut message = [0; 3];
        message.get_mut(..length)?.copy_from_slice(bytes);
        bytes.iter().skip(1).all(|byte| *byte < 0x80).then_some(Self(message))
    }

    /// The message's bytes.
    pub fn bytes(&self) -> &[u8] {
        let length = length(self.0[0]).unwrap_or_default();
        self.0.get(..length).unwrap_or_default()
    }

    /// Its status byte.
    pub fn status(&self) -> u8 {
        self.0[0]
    }

    /// The status byte without the channel.
    pub fn kind(&self) -> u8 {
        self.0[0] & 0xf0
    }

    /// The channel, 0–15, of a channel message.
    pub fn channel(&self) -> u8 {
        self.0[0] & 0x0f
    }

    /// Its data bytes.
    pub fn data(&self) -> [u8; 2] {
        [self.0[1], self.0[2]]
    }

    /// For a note-on or note-off: whether the key goes down, and the key.
    pub fn note(&self) -> Option<(bool, u8)> {
        let [key, velocity] = self.data();
        match (self.kind(), velocity) {
            (NOTE_ON, 1..) => Some((true, key)),
            (NOTE_ON | NOTE_OFF, _) => Some((false, key)),
            _ => None,
        }
    }
}

/// The length in bytes of a message with this status; `None` if it is not supported.
fn length(status: u8) -> Option<usize> {
    match status {
        0x80..=0xbf | 0xe0..=0xef | 0xf2 => Some(3),
        0xc0..=0xdf | 0xf1 | 0xf3 => Some(2),
        0xf6 | 0xf8..=0xff => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_length_that_their_status_says() {
        for bytes in [&[0x90, 60, 80][..], &[0xc3, 5], &[0xf8], &[0xf2, 1, 2]] {
            assert_eq!(Message::read(bytes).unwrap().bytes(), bytes);
        }
        assert_eq!(Message::read(&[0xc3, 5, 0]).unwrap().bytes(), [0xc3, 5], "what comes after it is none of it");
        for bytes in [&[][..], &[60, 80], &[0x90, 60], &[0x90, 60, 0x80], &[0xf0, 1, 0xf7], &[0xf7]] {
            assert_eq!(Message::read(bytes), None, "{bytes:x?}");
        }
        assert_eq!(Message::new(NOTE_ON, 2, 60, 0).note(), Some((false, 60)));
    }
}
