//! Notes from the on-screen keyboard to the audio thread. [`keyboard_link`] makes both ends.

use rtrb::{Consumer, Producer, RingBuffer};

/// Capacity of the queue, in touches: 32 keys can go down and up within a block.
const CAPACITY: usize = 64;

/// A key of the on-screen keyboard goes down or, with velocity 0, up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyboardEvent {
    /// MIDI key, 0–127.
    pub key: u8,
    /// MIDI velocity, 0–127.
    pub velocity: u8,
}

/// The editor's end of the on-screen keyboard.
#[derive(Debug)]
pub struct KeyboardSender(Producer<KeyboardEvent>);

/// The audio thread's end of the on-screen keyboard.
#[derive(Debug)]
pub struct KeyboardReceiver(Consumer<KeyboardEvent>);

/// Both ends of a new keyboard.
pub fn keyboard_link() -> (KeyboardSender, KeyboardReceiver) {
    let (sender, receiver) = RingBuffer::new(CAPACITY);
    (KeyboardSender(sender), KeyboardReceiver(receiver))
}

impl KeyboardSender {
    /// Sends a touch. `false`: there is no room, which means that no audio is running; the touch is lost. Half of the
    /// queue is reserved for keys that go up.
    pub fn send(&mut self, event: KeyboardEvent) -> bool {
        (event.velocity == 0 || self.0.slots() > CAPACITY / 2) && self.0.push(event).is_ok()
    }
}

impl KeyboardReceiver {
    /// The next touch.
    pub fn pop(&mut self) -> Option<KeyboardEvent> {
        self.0.pop().ok()
    }
}
