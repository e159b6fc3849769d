//! Events that the host could not take because its queue was full: the only place where events wait for the host.
//!
//! First come the note-offs of generated notes and of panic, and pedal lifts: sent later, they would end what the
//! player has struck on the same key meanwhile. Then come the player's own events, in order. When that queue is full
//! too, note-offs are still remembered, by key, and pedals that come up; everything else is dropped until all that
//! waits has been sent. Generated notes never overtake waiting events; they are dropped.

use std::collections::VecDeque;

use super::midi_thru::ChannelBits;
use super::trigger::{ALL_NOTES_OFF, HELD, PEDALS};
use super::{Out, PlayerEvent, ThruOutput};

/// How many of the player's events can wait.
const EVENTS: usize = 1024;

/// Events that wait for the host; see the [module documentation](self). `E`: the host's event type.
pub struct Backlog<E> {
    first: NoteOffs,
    events: VecDeque<E>,
    /// The player's note-offs and pedal lifts that found no room in `events`; sent after them.
    last: NoteOffs,
}

/// Keys to be sent a note-off and controllers to be set to 0, by channel.
#[derive(Default)]
struct NoteOffs {
    keys: ChannelBits,
    controllers: ChannelBits,
}

impl NoteOffs {
    fn is_empty(&self) -> bool {
        self.keys.any() | self.controllers.any() == 0
    }

    /// Sends as much as the host takes.
    fn retry(&mut self, out: &mut impl Out) {
        self.keys.retain(|channel, key| !out.off(0, channel, key));
        self.controllers.retain(|channel, controller| !out.controller(0, channel, controller, 0));
    }
}

impl<E: Copy> Default for Backlog<E> {
    fn default() -> Self {
        Self { first: NoteOffs::default(), events: VecDeque::with_capacity(EVENTS), last: NoteOffs::default() }
    }
}

impl<E: Copy> Backlog<E> {
    /// Whether none of the player's events wait: only then may a generated note be sent.
    pub fn allows_generated(&self) -> bool {
        self.events.is_empty() && self.last.is_empty()
    }

    /// Whether nothing waits at all.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.allows_generated()
    }

    /// Sends a note-off, now or as soon as the host takes it.
    pub fn off(&mut self, offset: u32, channel: u8, key: u8, out: &mut impl Out) {
        if !out.off(offset, channel, key) {
            self.first.keys.set(channel, key, true);
        }
    }

    /// Sets a controller to 0, now or as soon as the host takes it.
    pub fn lift(&mut self, offset: u32, channel: u8, controller: u8, out: &mut impl Out) {
        if !out.controller(offset, channel, controller, 0) {
            self.first.controllers.set(channel, controller, true);
        }
    }

    /// Whether this key may be struck: a note-off owed to it is sent first, if the host takes it.
    pub fn try_clear_key(&mut self, offset: u32, channel: u8, key: u8, out: &mut impl Out) -> bool {
        if self.first.keys.has(channel, key) && out.off(offset, channel, key) {
            self.first.keys.set(channel, key, false);
        }
        !self.first.keys.has(channel, key)
    }

    /// Whether this pedal may go down: a lift owed to it is sent first, if the host takes it.
    pub fn try_clear_pedal(&mut self, offset: u32, channel: u8, pedal: u8, out: &mut impl Out) -> bool {
        if self.first.controllers.has(channel, pedal) && out.controller(offset, channel, pedal, 0) {
            self.first.controllers.set(channel, pedal, false);
        }
        !self.first.controllers.has(channel, pedal)
    }

    /// Sends the note-offs and lifts that are owed. Call it before anything else in a block.
    pub fn retry(&mut self, out: &mut impl Out) {
        self.first.retry(out);
    }

    /// Sends the player's waiting events, once no note-offs or lifts are owed. Call it before any new event of a block.
    pub fn catch_up(&mut self, out: &mut impl ThruOutput<E>) {
        if !self.first.is_empty() {
            return;
        }
        while let Some(&event) = self.events.front() {
            if !out.pass(0, event) {
                return;
            }
            self.events.pop_front();
        }
        self.last.retry(out);
    }

    /// Passes a player event on, or lets it wait. `false`: there was no room and it is dropped.
    pub fn pass(&mut self, offset: u32, event: E, input: Option<&PlayerEvent>, out: &mut impl ThruOutput<E>) -> bool {
        if self.is_empty() && out.pass(offset, event) {
            return true;
        }
        if self.events.len() < EVENTS && self.last.is_empty() {
            self.events.push_back(event);
            return true;
        }
        let all = |channel: Option<u8>| channel.map_or(0..=15, |channel| channel..=channel);
        match input {
            Some(PlayerEvent::Off { channel, key: Some(key) } | PlayerEvent::Covered { channel, key: Some(key) }) => {
                for channel in all(*channel) {
                    self.last.keys.set(channel, *key, true);
                }
            }
            Some(PlayerEvent::Off { channel, key: None } | PlayerEvent::Covered { channel, key: None }) => {
                for channel in all(*channel) {
                    self.last.controllers.set(channel, ALL_NOTES_OFF, true);
                }
            }
            Some(PlayerEvent::Controller { channel, controller, value })
                if PEDALS.contains(controller) && *value < HELD =>
            {
                self.last.controllers.set(*channel, *controller, true);
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// A host that takes `room` more events.
    #[derive(Default)]
    struct NarrowHost {
        room: usize,
        got: Vec<String>,
    }

    impl NarrowHost {
        fn take(&mut self, event: String) -> bool {
            let takes = self.room > 0;
            if takes {
                self.room -= 1;
                self.got.push(event);
            }
            takes
        }
    }

    impl ThruOutput<u32> for NarrowHost {
        fn pass(&mut self, _: u32, event: u32) -> bool {
            self.take(format!("event {event}"))
        }
    }

    impl Out for NarrowHost {
        fn on(&mut self, _: u32, _: u8, key: u8, _: u8) -> bool {
            self.take(format!("on {key}"))
        }

        fn off(&mut self, _: u32, _: u8, key: u8) -> bool {
            self.take(format!("off {key}"))
        }

        fn controller(&mut self, _: u32, _: u8, controller: u8, value: u8) -> bool {
            self.take(format!("controller {controller} {value}"))
        }
    }

    #[test]
    fn ends_go_first_then_the_players_events_in_order_then_what_found_no_room() {
        let (mut backlog, mut host) = (Backlog::default(), NarrowHost::default());
        backlog.off(3, 0, 60, &mut host);
        backlog.lift(3, 0, 64, &mut host);
        assert!(!backlog.is_empty() && backlog.allows_generated());
        assert!((0..EVENTS as u32).all(|event| backlog.pass(0, event, None, &mut host)));
        let off = PlayerEvent::Off { channel: Some(0), key: Some(61) };
        assert!(backlog.pass(0, 9_999, Some(&off), &mut host), "an end is never lost");
        assert!(!backlog.pass(0, 9_999, None, &mut host), "anything else is dropped");
        assert!(!backlog.try_clear_key(0, 0, 60, &mut host) && backlog.try_clear_key(0, 0, 62, &mut host));

        host.room = 1;
        backlog.retry(&mut host);
        backlog.catch_up(&mut host);
        assert_eq!(host.got, ["off 60"], "nothing passes while an end is owed");
        host.room = 3;
        backlog.retry(&mut host);
        backlog.catch_up(&mut host);
        assert_eq!(host.got[1..], ["controller 64 0", "event 0", "event 1"]);
        host.room = usize::MAX;
        backlog.catch_up(&mut host);
        assert!(backlog.is_empty() && backlog.pass(0, 7, None, &mut host));
        assert_eq!(host.got[host.got.len() - 3..], ["event 1023", "off 61", "event 7"]);
        assert_eq!(host.got.len(), 4 + EVENTS - 2 + 2);
    }
}
