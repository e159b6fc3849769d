//! Filters MIDI that comes back from a synthesizer, through its MIDI thru or a loop in the cables. Otherwise the app
//! would take its own notes for the player's, give way to itself, and send them around endlessly.

use super::keys::KeyTracker;
use super::message::Message;

/// How long after it was sent a message may come back, in seconds, in addition to the blocks' own delay.
pub const WITHIN_S: f64 = 0.030;
/// The most sent messages that are remembered; older ones are forgotten.
const SENT: usize = 256;

/// The messages sent recently.
#[derive(Debug)]
pub struct EchoFilter {
    /// A ring buffer of sent messages and their times in samples.
    sent: [Option<(u64, Message)>; SENT],
    next: usize,
}

impl Default for EchoFilter {
    fn default() -> Self {
        Self { sent: [None; SENT], next: 0 }
    }
}

impl EchoFilter {
    /// Records a message sent at a time in samples.
    pub fn record(&mut self, at: u64, message: Message) {
        if let Some(place) = self.sent.get_mut(self.next) {
            *place = Some((at, message));
        }
        self.next = (self.next + 1) % SENT;
    }

    /// Whether a message that comes in at sample `at` is the echo of one sent at most `within` samples before. Each
    /// sent message matches once. A note-off for a key that is down never counts as an echo.
    pub fn is_echo(&mut self, at: u64, message: &Message, within: u64, keys: &KeyTracker) -> bool {
        if message.status() >= 0xf0 {
            return false;
        }
        if let Some((false, key)) = message.note()
            && keys.is_down(message.channel(), key)
        {
            return false;
        }
        let oldest = at.saturating_sub(within);
        let same = |sent: &&mut Option<(u64, Message)>| {
            sent.is_some_and(|(when, sent)| (oldest..=at).contains(&when) && is_same(&sent, message))
        };
        self.sent.iter_mut().find(same).is_some_and(|sent| sent.take().is_some())
    }
}

/// Whether two messages are the same; the two forms of a note-off are equal.
fn is_same(one: &Message, other: &Message) -> bool {
    match (one.note(), other.note()) {
        (Some((false, key)), Some((false, again))) => key == again && one.channel() == other.channel(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: u64 = 1_440;

    fn message(bytes: &[u8]) -> Message {
        Message::read(bytes).unwrap()
    }

    #[test]
    fn what_comes_back_is_not_played_and_what_is_played_is() {
        let (mut echo, mut keys) = (EchoFilter::default(), KeyTracker::default());
        let (on, off) = (message(&[0x90, 60, 80]), message(&[0x80, 60, 0]));
        echo.record(1_000, on);
        echo.record(5_000, off);
        assert!(!echo.is_echo(900, &on, WITHIN, &keys), "it has not been sent yet");
        assert!(!echo.is_echo(1_100, &message(&[0x90, 60, 81]), WITHIN, &keys), "struck otherwise");
        assert!(!echo.is_echo(1_100, &message(&[0x91, 60, 80]), WITHIN, &keys), "on another channel");
        assert!(echo.is_echo(1_100, &on, WITHIN, &keys));
        assert!(!echo.is_echo(1_200, &on, WITHIN, &keys), "it comes back once");
        assert!(echo.is_echo(6_440, &message(&[0x90, 60, 0]), WITHIN, &keys), "a note-off in its other form");
        echo.record(10_000, on);
        assert!(!echo.is_echo(11_441, &on, WITHIN, &keys), "too late for an echo");

        // The player's own note was passed through as well; its end must not be taken for the echo of an earlier one.
        echo.record(20_000, off);
        keys.track(&on);
        assert!(!echo.is_echo(20_100, &off, WITHIN, &keys));
        keys.track(&off);
        assert!(echo.is_echo(20_100, &off, WITHIN, &keys));

        let tick = message(&[0xf8]);
        echo.record(30_000, tick);
        assert!(!echo.is_echo(30_000, &tick, WITHIN, &keys), "a clock is not an echo");
    }

    #[test]
    fn a_flood_is_forgotten_from_its_beginning() {
        let (mut echo, keys) = (EchoFilter::default(), KeyTracker::default());
        let notes: Vec<Message> =
            (0..300_u64).map(|n| Message::new(0x90, (n / 100) as u8, (n % 100) as u8, 1)).collect();
        notes.iter().for_each(|note| echo.record(0, *note));
        let back = notes.iter().filter(|note| echo.is_echo(0, note, WITHIN, &keys)).count();
        assert_eq!(back, SENT);
    }
}
