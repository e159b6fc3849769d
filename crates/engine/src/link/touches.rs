//! Notes from the on-screen keyboard to the audio thread. [`touches`] makes both ends.

use rtrb::{Consumer, Producer, RingBuffer};

/// Capacity of the queue, in touches: 32 keys can go down and up within a block.
const TOUCHES: usize = 64;

/// A key of the on-screen keyboard goes down or, with velocity 0, up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// MIDI key, 0–127.
    pub key: u8,
    /// MIDI velocity, 0–127.
    pub velocity: u8,
}

/// The editor's end of the on-screen keyboard.
#[derive(Debug)]
pub struct KeyboardSender(Producer<Touch>);

/// The audio thread's end of the on-screen keyboard.
#[derive(Debug)]
pub struct KeyboardReceiver(Consumer<Touch>);

/// Both ends of a new keyboard.
pub fn touches() -> (KeyboardSender, KeyboardReceiver) {
    let (touch, touches) = RingBuffer::new(TOUCHES);
    (KeyboardSender(touch), KeyboardReceiver(touches))
}

impl KeyboardSender {
    /// Sends a touch. `false`: there is no room, which means that no audio is running; the touch is lost. Half of the
    /// queue is reserved for keys that go up.
    pub fn touch(&mut self, touch: Touch) -> bool {
        (touch.velocity == 0 || self.0.slots() > TOUCHES / 2) && self.0.push(touch).is_ok()
    }
}

impl KeyboardReceiver {
    /// The next touch.
    pub fn pop(&mut self) -> Option<Touch> {
        self.0.pop().ok()
    }
}
