//! Transport events inside a block.
//!
//! In CLAP a transport event may occur anywhere in a block and is valid at its own sample. nice-plug 0.4.2 splits the
//! block there, but takes the event's position as that of the block's first sample, so it adds the event's offset a
//! second time (`wrapper/clap/wrapper.rs`, lines 2153 to 2183). Every such event looks like a jump. The event's bar
//! line is ignored, too (line 2186).
//!
//! It also splits blocks at the time of a parameter or transport event without checking that time
//! (`handle_in_events_until`, line 1016): an event at the block's end is lost, and one beyond it makes a block of a
//! huge length.
//!
//! So the host's block is passed to the framework as one block per transport event. These blocks contain no transport
//! events, and every event lies within its block.
//!
//! Remove this when `upstream_counts_an_offset_twice` fails.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]

use std::cell::UnsafeCell;
use std::mem::{MaybeUninit, size_of};
use std::ptr::null;

use clap_sys::events::{
    CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_NOTE_CHOKE, CLAP_EVENT_NOTE_EXPRESSION, CLAP_EVENT_NOTE_OFF,
    CLAP_EVENT_NOTE_ON, CLAP_EVENT_TRANSPORT, clap_event_header, clap_event_note, clap_event_note_expression,
    clap_event_transport, clap_input_events, clap_output_events,
};
use clap_sys::plugin::clap_plugin;
use clap_sys::process::{CLAP_PROCESS_ERROR, clap_process, clap_process_status};

/// The framework's `clap_plugin.process`.
pub type Process = unsafe extern "C" fn(*const clap_plugin, *const clap_process) -> clap_process_status;

/// Bytes: enough for any event that the framework knows.
const ROOM: usize = 128;

/// Processes one of the host's blocks.
///
/// # Safety
/// `framework` is the framework's own function, `plugin` an instance of the framework's without audio ports, and
/// `block` is valid by CLAP's rules.
pub unsafe fn process(framework: Process, plugin: *const clap_plugin, block: &clap_process) -> clap_process_status {
    // SAFETY: promised by the caller.
    let count = unsafe { count(block.in_events) };
    let last = block.frames_count.saturating_sub(1);
    let (mut begin, mut first, mut transport) = (0, 0, block.transport);
    loop {
        // Find the next transport event: its sample, and the index of the first event at that sample.
        let (mut end, mut next) = (block.frames_count, count);
        let (mut here, mut latest) = (first, begin);
        for index in first..count {
            // SAFETY: promised by the caller.
            let event = unsafe { event(block.in_events, index) };
            // SAFETY: null or one of the host's events.
            let Some(header) = (unsafe { event.as_ref() }) else {
                continue;
            };
            let at = header.time.min(last);
            if at > latest {
                (here, latest) = (index, at);
            }
            if !is_transport(header) {
                continue;
            }
            if at > begin {
                // All events at its sample belong to the next part.
                (end, next) = (at, if at == latest { here } else { index });
                break;
            }
            transport = event.cast::<clap_event_transport>();
        }
        let input = Input {
            host: block.in_events,
            first,
            count: next - first,
            begin,
            last: (end - begin).saturating_sub(1),
            copy: UnsafeCell::new(Room::NONE),
        };
        let output = Output { host: block.out_events, begin };
        let in_events =
            clap_input_events { ctx: (&raw const input).cast_mut().cast(), size: Some(size), get: Some(get) };
        let out_events = clap_output_events { ctx: (&raw const output).cast_mut().cast(), try_push: Some(try_push) };
        let part = clap_process {
            steady_time: if block.steady_time < 0 { block.steady_time } else { block.steady_time + i64::from(begin) },
            frames_count: end - begin,
            transport,
            in_events: if block.in_events.is_null() { null() } else { &raw const in_events },
            out_events: if block.out_events.is_null() { null() } else { &raw const out_events },
            ..*block
        };
        // SAFETY: promised by the caller; the queues live until the call returns.
        let status = unsafe { framework(plugin, &raw const part) };
        if status == CLAP_PROCESS_ERROR || next == count {
            return status;
        }
        (begin, first) = (end, next);
    }
}

fn is_transport(header: &clap_event_header) -> bool {
    (header.space_id, header.type_) == (CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_TRANSPORT)
}

/// Whether an event has a key or a channel that does not exist. The framework would treat it as "all of them"
/// (`wrapper/clap/wrapper.rs`, `handle_in_event`).
///
/// # Safety
/// A valid event from the host.
unsafe fn is_impossible(event: *const clap_event_header) -> bool {
    let wrong = |channel: i16, key: i16| !(-1..16).contains(&channel) || !(-1..128).contains(&key);
    // SAFETY: promised by the caller; the header's size says whether the event has all the fields of its type.
    unsafe {
        let header = &*event;
        if header.space_id != CLAP_CORE_EVENT_SPACE_ID {
            return false;
        }
        let is_long = |size: usize| header.size as usize >= size;
        match header.type_ {
            CLAP_EVENT_NOTE_ON | CLAP_EVENT_NOTE_OFF | CLAP_EVENT_NOTE_CHOKE
                if is_long(size_of::<clap_event_note>()) =>
            {
                let note = &*event.cast::<clap_event_note>();
                wrong(note.channel, note.key)
            }
            CLAP_EVENT_NOTE_EXPRESSION if is_long(size_of::<clap_event_note_expression>()) => {
                let expression = &*event.cast::<clap_event_note_expression>();
                wrong(expression.channel, expression.key)
            }
            _ => false,
        }
    }
}

/// The number of events in one of the host's queues.
///
/// # Safety
/// Null or a queue from the host.
unsafe fn count(events: *const clap_input_events) -> u32 {
    // SAFETY: promised by the caller.
    unsafe { events.as_ref().and_then(|queue| queue.size).map_or(0, |size| size(events)) }
}

/// One of a queue's events, or null.
///
/// # Safety
/// Null or a queue from the host.
unsafe fn event(events: *const clap_input_events, index: u32) -> *const clap_event_header {
    // SAFETY: promised by the caller.
    unsafe { events.as_ref().and_then(|queue| queue.get).map_or(null(), |get| get(events, index)) }
}

/// Room for a copy of one event.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Room([MaybeUninit<u8>; ROOM]);

impl Room {
    const NONE: Self = Self([MaybeUninit::uninit(); ROOM]);

    /// A note-on without a key, in place of an impossible event: the plugin drops it and counts it as invalid.
    fn keyless(time: u32) -> Self {
        let mut copy = Self::NONE;
        let header = clap_event_header {
            size: size_of::<clap_event_note>() as u32,
            time,
            space_id: CLAP_CORE_EVENT_SPACE_ID,
            type_: CLAP_EVENT_NOTE_ON,
            flags: 0,
        };
        let note = clap_event_note { header, note_id: -1, port_index: 0, channel: 0, key: -1, velocity: 0.0 };
        // SAFETY: the copy has room for a note, and is aligned.
        unsafe { (&raw mut copy).cast::<clap_event_note>().write(note) };
        copy
    }

    /// A copy of an event at another time; `None` if it is longer than any event that the framework knows.
    ///
    /// # Safety
    /// The event is as long as its header says.
    unsafe fn of(event: *const clap_event_header, time: u32) -> Option<Self> {
        let mut copy = Self::NONE;
        // SAFETY: promised by the caller; the copy has room for it, and is aligned.
        unsafe {
            let size = (*event).size as usize;
            if !(size_of::<clap_event_header>()..=ROOM).contains(&size) {
                return None;
            }
            event.cast::<MaybeUninit<u8>>().copy_to_nonoverlapping(copy.0.as_mut_ptr(), size);
            (*(&raw mut copy).cast::<clap_event_header>()).time = time;
        }
        Some(copy)
    }
}

/// A part of the host's input queue, presented to the framework as the queue of a whole block.
struct Input {
    host: *const clap_input_events,
    /// Index of its first event in the host's queue.
    first: u32,
    /// Number of events.
    count: u32,
    /// The part's first sample in the host's block.
    begin: u32,
    /// The part's last sample, from `begin`.
    last: u32,
    /// The event that was requested last, if it had to be changed. The framework is done with it when it requests
    /// another.
    copy: UnsafeCell<Room>,
}

unsafe extern "C" fn size(list: *const clap_input_events) -> u32 {
    // SAFETY: one of our queues, which outlives the call that it was made for.
    unsafe { (*(*list).ctx.cast::<Input>()).count }
}

unsafe extern "C" fn get(list: *const clap_input_events, index: u32) -> *const clap_event_header {
    // SAFETY: one of our queues, which outlives the call that it was made for, and the host's events.
    unsafe {
        let input = &*(*list).ctx.cast::<Input>();
        if index >= input.count {
            return null();
        }
        let event = event(input.host, input.first + index);
        // The framework skips null. It got the transport with the block.
        let Some(header) = event.as_ref().filter(|header| !is_transport(header)) else {
            return null();
        };
        let time = header.time.saturating_sub(input.begin).min(input.last);
        let impossible = is_impossible(event);
        if time == header.time && !impossible {
            return event;
        }
        let copy = if impossible { Some(Room::keyless(time)) } else { Room::of(event, time) };
        let Some(copy) = copy else {
            return null();
        };
        input.copy.get().write(copy);
        input.copy.get().cast()
    }
}

/// The host's output queue, presented to the framework as the queue of a part.
struct Output {
    host: *const clap_output_events,
    /// The part's first sample in the host's block.
    begin: u32,
}

unsafe extern "C" fn try_push(list: *const clap_output_events, event: *const clap_event_header) -> bool {
    // SAFETY: one of our queues, which outlives the call that it was made for; the host's queue; the framework's event.
    unsafe {
        let output = &*(*list).ctx.cast::<Output>();
        let Some(push) = (*output.host).try_push else {
            return false;
        };
        let Some(copy) = Room::of(event, (*event).time + output.begin) else {
            return false;
        };
        push(output.host, (&raw const copy).cast())
    }
}
