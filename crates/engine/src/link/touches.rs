//! From the editor's keyboard to the audio thread. [`touches`] makes both ends.

use rtrb::{Consumer, Producer, RingBuffer};

/// Touches of the editor's keyboard that fit in: two for each key that a hand can reach in a block.
const TOUCHES: usize = 64;

/// A key of the editor's keyboard goes down, or up with velocity 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// MIDI key, 0–127.
    pub key: u8,
    /// MIDI velocity.
    pub velocity: u8,
}

/// The editor's end of its keyboard.
#[derive(Debug)]
pub struct KeyboardSender(Producer<Touch>);

/// The audio thread's end of the editor's keyboard.
#[derive(Debug)]
pub struct KeyboardReceiver(Consumer<Touch>);

/// Both ends of a new keyboard.
pub fn touches() -> (KeyboardSender, KeyboardReceiver) {
    let (touch, touches) = RingBuffer::new(TOUCHES);
    (KeyboardSender(touch), KeyboardReceiver(touches))
}

impl KeyboardSender {
    /// Tells of a touch. `false`: no room, which means that no audio runs; the touch is lost. The last
    /// places are for keys that go up.
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
