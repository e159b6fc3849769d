//! A CLAP host: what reaches the plugin through our entry point, and what through the framework alone.

use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::{size_of, zeroed};
use std::ptr::{null, null_mut};
use std::sync::Arc;

use clap_sys::events::{
    CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_NOTE_ON, CLAP_EVENT_PARAM_VALUE, CLAP_EVENT_TRANSPORT,
    CLAP_TRANSPORT_HAS_BEATS_TIMELINE, CLAP_TRANSPORT_HAS_TEMPO, CLAP_TRANSPORT_HAS_TIME_SIGNATURE,
    CLAP_TRANSPORT_IS_PLAYING, clap_event_header, clap_event_note, clap_event_param_value, clap_event_transport,
    clap_input_events, clap_output_events,
};
use clap_sys::ext::gui::{CLAP_EXT_GUI, CLAP_WINDOW_API_X11, clap_host_gui, clap_plugin_gui};
use clap_sys::ext::params::{CLAP_EXT_PARAMS, clap_plugin_params};
use clap_sys::fixedpoint::CLAP_BEATTIME_FACTOR;
use clap_sys::host::clap_host;
use clap_sys::plugin::clap_plugin;
use clap_sys::process::{CLAP_PROCESS_CONTINUE, clap_process};
use nice_plug::wrapper::clap::{CLAP_PLUGIN_FACTORY_ID, CLAP_VERSION, Wrapper, clap_plugin_factory};

use super::probe::{Block, TEXTS};
use super::{CLAP, Probe, seen};

const RATE: f64 = 48_000.0;
/// Quarter notes per minute: one lasts 24,000 samples.
const TEMPO: f64 = 120.0;
const BLOCK: u32 = 2_048;

unsafe extern "C" fn extension(_: *const clap_host, id: *const c_char) -> *const c_void {
    const GUI: &clap_host_gui = &clap_host_gui {
        resize_hints_changed: None,
        request_resize: None,
        request_show: None,
        request_hide: None,
        closed: None,
    };
    // SAFETY: a C string from the framework.
    if unsafe { CStr::from_ptr(id) } == CLAP_EXT_GUI { (&raw const *GUI).cast() } else { null() }
}

unsafe extern "C" fn ignore(_: *const clap_host) {}

static HOST: clap_host = clap_host {
    clap_version: CLAP_VERSION,
    host_data: null_mut(),
    name: c"Host".as_ptr(),
    vendor: c"Host".as_ptr(),
    url: c"".as_ptr(),
    version: c"1".as_ptr(),
    get_extension: Some(extension),
    request_restart: Some(ignore),
    request_process: Some(ignore),
    request_callback: Some(ignore),
};

/// An instance that is processing, until it is dropped.
struct Instance(*const clap_plugin);

impl Instance {
    /// An instance as a host creates it, with the fixes.
    fn fixed() -> Self {
        let entry = crate::clap::entry::<Probe<CLAP>>();
        // SAFETY: the entry point is called as a host calls it.
        unsafe {
            let factory = entry.get_factory.unwrap()(CLAP_PLUGIN_FACTORY_ID.as_ptr()).cast::<clap_plugin_factory>();
            let create = (*factory).create_plugin.unwrap();
            assert!(create(factory, &HOST, c"other".as_ptr()).is_null());
            Self::start(create(factory, &HOST, c"probe".as_ptr()))
        }
    }

    /// An instance of the framework's own, without the fixes.
    fn upstream() -> Self {
        // SAFETY: `destroy` releases the reference.
        Self::start(unsafe { (*Arc::into_raw(Wrapper::<Probe<CLAP>>::new(&HOST))).clap_plugin.as_ptr() })
    }

    fn start(plugin: *const clap_plugin) -> Self {
        // SAFETY: a valid instance, called by CLAP's rules.
        unsafe {
            assert!((*plugin).init.unwrap()(plugin));
            assert!((*plugin).activate.unwrap()(plugin, RATE, 1, BLOCK));
            assert!((*plugin).start_processing.unwrap()(plugin));
        }
        Self(plugin)
    }

    /// The blocks that the plugin gets for a block with these events, and the times of the notes that it sends on.
    fn process(&self, frames: u32, beats: f64, events: &[Event]) -> (Vec<Block>, Vec<u32>) {
        let transport = transport(0, beats);
        let mut out: Vec<u32> = Vec::new();
        let in_events =
            clap_input_events { ctx: (&raw const events).cast_mut().cast(), size: Some(size), get: Some(get) };
        let out_events = clap_output_events { ctx: (&raw mut out).cast(), try_push: Some(push) };
        seen(|seen| seen.blocks.clear());
        // SAFETY: a valid block by CLAP's rules.
        unsafe {
            let block = clap_process {
                steady_time: -1,
                frames_count: frames,
                transport: &transport,
                audio_inputs: null(),
                audio_outputs: null_mut(),
                audio_inputs_count: 0,
                audio_outputs_count: 0,
                in_events: &in_events,
                out_events: &out_events,
            };
            assert_eq!((*self.0).process.unwrap()(self.0, &block), CLAP_PROCESS_CONTINUE);
        }
        (seen(|seen| seen.blocks.clone()), out)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: a valid instance, called by CLAP's rules.
        unsafe { (*self.0).destroy.unwrap()(self.0) }
    }
}

#[derive(Clone, Copy)]
enum Event {
    Note(clap_event_note),
    Knob(clap_event_param_value),
    Transport(clap_event_transport),
}

impl Event {
    fn header(&self) -> *const clap_event_header {
        match self {
            Self::Note(event) => &event.header,
            Self::Knob(event) => &event.header,
            Self::Transport(event) => &event.header,
        }
    }
}

unsafe extern "C" fn size(list: *const clap_input_events) -> u32 {
    // SAFETY: one of our lists.
    unsafe { (*list).ctx.cast::<&[Event]>().read().len() as u32 }
}

unsafe extern "C" fn get(list: *const clap_input_events, index: u32) -> *const clap_event_header {
    // SAFETY: one of our lists.
    unsafe { (*list).ctx.cast::<&[Event]>().read()[index as usize].header() }
}

unsafe extern "C" fn push(list: *const clap_output_events, event: *const clap_event_header) -> bool {
    // SAFETY: one of our lists.
    nice_plug::util::permit_alloc(|| unsafe { (&mut *(*list).ctx.cast::<Vec<u32>>()).push((*event).time) });
    true
}

fn header<T>(kind: u16, time: u32) -> clap_event_header {
    let size = size_of::<T>() as u32;
    clap_event_header { size, time, space_id: CLAP_CORE_EVENT_SPACE_ID, type_: kind, flags: 0 }
}

fn note(time: u32, key: i16) -> Event {
    let header = header::<clap_event_note>(CLAP_EVENT_NOTE_ON, time);
    Event::Note(clap_event_note { header, note_id: -1, port_index: 0, channel: 0, key, velocity: 0.5 })
}

fn knob(time: u32, value: f64) -> Event {
    // SAFETY: all fields are numbers or pointers, so all zeros are valid.
    let event: clap_event_param_value = unsafe { zeroed() };
    let header = header::<clap_event_param_value>(CLAP_EVENT_PARAM_VALUE, time);
    Event::Knob(clap_event_param_value { header, param_id: number("knob"), note_id: -1, value, ..event })
}

/// The framework's numeric id of a parameter.
fn number(id: &str) -> u32 {
    id.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) & !(1 << 31)
}

/// A running transport in 4/4, with a bar line at beat 1.
fn transport(time: u32, beats: f64) -> clap_event_transport {
    let fixed = |beats: f64| (beats * CLAP_BEATTIME_FACTOR as f64).round() as i64;
    clap_event_transport {
        header: header::<clap_event_transport>(CLAP_EVENT_TRANSPORT, time),
        flags: CLAP_TRANSPORT_HAS_TEMPO
            | CLAP_TRANSPORT_HAS_BEATS_TIMELINE
            | CLAP_TRANSPORT_HAS_TIME_SIGNATURE
            | CLAP_TRANSPORT_IS_PLAYING,
        song_pos_beats: fixed(beats),
        song_pos_seconds: 0,
        tempo: TEMPO,
        tempo_inc: 0.0,
        loop_start_beats: 0,
        loop_end_beats: 0,
        loop_start_seconds: 0,
        loop_end_seconds: 0,
        bar_start: fixed(1.0 + 4.0 * ((beats - 1.0) / 4.0).floor()),
        bar_number: 0,
        tsig_num: 4,
        tsig_denom: 4,
    }
}

fn told(time: u32, beats: f64) -> Event {
    Event::Transport(transport(time, beats))
}

/// One beat and 1,024 samples.
const HALF_WAY: f64 = 1.0 + 1_024.0 / 24_000.0;

#[test]
fn a_transport_holds_at_its_own_sample() {
    let instance = Instance::fixed();
    let events = [
        note(3, 60),
        note(1_024, 61),
        told(1_024, HALF_WAY),
        knob(1_536, 7.0),
        note(1_600, 62),
        // A jump, and another one at the same sample: the latter counts.
        told(2_000, 5.0),
        told(2_000, 9.0),
        note(2_047, 63),
    ];
    let (blocks, out) = instance.process(BLOCK, 1.0, &events);
    let expected = [
        (1_024, 1.0, vec![(3, 60)], 0),
        (512, HALF_WAY, vec![(0, 61)], 0),
        (464, HALF_WAY + 512.0 / 24_000.0, vec![(64, 62)], 7),
        (48, 9.0, vec![(47, 63)], 7),
    ];
    assert_eq!(blocks.len(), expected.len(), "{blocks:?}");
    for (block, (frames, beats, notes, knob)) in blocks.iter().zip(expected) {
        assert_eq!((block.frames, &block.notes, block.knob, block.playing), (frames, &notes, knob, true));
        assert!((block.beats.unwrap() - beats).abs() < 1e-6, "{block:?} is at {beats}");
    }
    assert_eq!(blocks.iter().map(|block| block.bar).collect::<Vec<_>>()[..2], [Some(1.0); 2], "as the host counts");
    assert_eq!(out, [3, 1_024, 1_600, 2_047]);
}

#[test]
fn every_event_lies_in_its_block() {
    let instance = Instance::fixed();
    let behind = [note(512, 60), knob(512, 3.0), knob(900, 5.0), note(u32::MAX, 61)];
    let (blocks, out) = instance.process(512, 0.0, &behind);
    assert_eq!(blocks.iter().map(|block| block.frames).sum::<u32>(), 512);
    assert_eq!(blocks.last().unwrap().knob, 5);
    assert_eq!(out, [511, 511]);
    let (blocks, _) = instance.process(512, 0.0, &[told(600, 1.0)]);
    assert_eq!(
        blocks.iter().map(|block| (block.frames, block.beats)).collect::<Vec<_>>(),
        [(511, Some(0.0)), (1, Some(1.0))]
    );
    let (blocks, out) = instance.process(0, 0.0, &[note(0, 62), told(0, 2.0), knob(9, 6.0), note(9, 63)]);
    assert_eq!(blocks.iter().map(|block| (block.frames, block.knob)).collect::<Vec<_>>(), [(0, 6)]);
    assert_eq!(blocks[0].notes, [(0, 62), (0, 63)]);
    assert_eq!(out, [0, 0]);
}

#[test]
fn upstream_counts_an_offset_twice() {
    let (blocks, _) = Instance::upstream().process(BLOCK, 1.0, &[told(1_024, HALF_WAY)]);
    let twice = 1.0 + 2_048.0 / 24_000.0;
    assert!((blocks[1].beats.unwrap() - twice).abs() < 1e-6, "fixed upstream: `clap::blocks` can be removed");
}

/// The value that a parameter reads from a text.
fn read(instance: &Instance, id: &str, text: &str) -> Option<f64> {
    let (text, mut value) = (CString::new(text).unwrap(), -1.0);
    // SAFETY: a valid instance, called by CLAP's rules.
    let read = unsafe {
        let params = (*instance.0).get_extension.unwrap()(instance.0, CLAP_EXT_PARAMS.as_ptr());
        (*params.cast::<clap_plugin_params>()).text_to_value.unwrap()(instance.0, number(id), text.as_ptr(), &mut value)
    };
    read.then_some(value)
}

#[test]
fn names_of_choices_are_read_in_any_case() {
    let instance = Instance::fixed();
    for (text, step) in TEXTS {
        assert_eq!(read(&instance, "color", text), step.map(f64::from), "{text:?}");
    }
    let seven = read(&instance, "knob", " 7 ").unwrap();
    assert!((seven - 7.0).abs() < 1e-5, "{seven}");
    assert_eq!(read(&instance, "knob", "green"), None);
    assert_eq!(read(&instance, "none", "green"), None);
}

#[test]
fn upstream_reads_choices_in_their_own_case() {
    let instance = Instance::upstream();
    assert_eq!(read(&instance, "color", "Green"), Some(1.0));
    assert_eq!(read(&instance, "color", "green"), None, "fixed upstream: `texts` can be removed");
}

#[test]
fn upstream_starting_processing_resets() {
    let instance = Instance::fixed();
    let before = seen(|seen| seen.resets);
    // SAFETY: a valid instance, called by CLAP's rules.
    unsafe {
        (*instance.0).stop_processing.unwrap()(instance.0);
        assert!((*instance.0).start_processing.unwrap()(instance.0));
    }
    assert_eq!(seen(|seen| seen.resets), before + 1, "fixed upstream: `restart` can be removed");
}

#[test]
fn an_instance_closes_its_window_before_it_goes() {
    for panics in [false, true] {
        seen(|seen| seen.panics = panics);
        let instance = Instance::fixed();
        // SAFETY: a valid instance, called by CLAP's rules.
        unsafe {
            let gui = (*instance.0).get_extension.unwrap()(instance.0, CLAP_EXT_GUI.as_ptr()).cast::<clap_plugin_gui>();
            if cfg!(target_os = "linux") {
                assert!((*gui).create.unwrap()(instance.0, CLAP_WINDOW_API_X11.as_ptr(), false));
                for scale in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300, 1e300] {
                    assert!(!(*gui).set_scale.unwrap()(instance.0, scale), "{scale}");
                }
                assert!((*gui).set_scale.unwrap()(instance.0, 1.5));
                assert_eq!(seen(|seen| (seen.windows, std::mem::take(&mut seen.scales))), (1, vec![1.5]));
            }
        }
        drop(instance);
        assert_eq!(seen(|seen| seen.windows), 0);
    }
}
