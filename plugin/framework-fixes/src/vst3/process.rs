//! Calls that bring events and no audio.
//!
//! A VST3 host may call `process` with no samples at all, to hand over what has changed, or with samples and without
//! buffers, as Ableton Live does. nice-plug 0.4.2 takes both for a flush of parameters (`wrapper/vst3/wrapper.rs`, lines
//! 1091 to 1096, and 1505 for buffers of too few channels): notes and controllers in them are dropped, and no time goes by.
//! And outputs without inputs keep what the host has left in them (`wrapper/util/buffer_management.rs`, line 225).
//!
//! So here audio is passed on before the framework is asked, wherever it is not the stereo that the framework expects, and
//! the framework gets buffers whose contents nobody looks at. A call without samples reaches it as one of a single sample,
//! which [`frames`] counts as none.
//!
//! Gone when `upstream_drops_events_without_audio` fails.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]

use std::cell::UnsafeCell;
use std::slice;

use nice_plug::prelude::Buffer;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, IAudioProcessor, ProcessData,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::tresult;

/// The framework's `IAudioProcessor::process`.
pub type Process = unsafe extern "system" fn(*mut IAudioProcessor, *mut ProcessData) -> tresult;

/// Channels of the plug-in's only layout.
const CHANNELS: usize = 2;
/// No host's block is longer, in samples. Of one without buffers that is, the rest of its time is lost.
const LONGEST: usize = 65_536;

/// Buffers whose contents are neither read nor written. So they take no memory, and all instances may share them.
struct Nowhere<const N: usize>(UnsafeCell<[[f32; N]; CHANNELS]>);

// SAFETY: nobody reads or writes it.
unsafe impl<const N: usize> Sync for Nowhere<N> {}

impl<const N: usize> Nowhere<N> {
    const fn new() -> Self {
        Self(UnsafeCell::new([[0.0; N]; CHANNELS]))
    }

    fn channels(&self) -> [*mut f32; CHANNELS] {
        let first = self.0.get().cast::<f32>();
        [first, first.wrapping_add(N)]
    }
}

/// For blocks without buffers of their own.
static SOME_TIME: Nowhere<LONGEST> = Nowhere::new();
/// For calls without samples.
static NO_TIME: Nowhere<1> = Nowhere::new();

/// Samples of the block that a plug-in's `process` is called for: what the buffer has, or 0 for a call without samples.
pub fn frames(audio: &Buffer) -> u32 {
    let [no_time, _] = NO_TIME.channels();
    let first = audio.as_slice_immutable().first();
    if first.is_some_and(|channel| channel.as_ptr() == no_time) { 0 } else { audio.samples() as u32 }
}

/// Processes a block of the host's.
///
/// # Safety
/// The framework's function, an instance of the framework's, and a block as a host hands it over.
pub unsafe fn process(framework: Process, processor: *mut IAudioProcessor, block: &mut ProcessData) -> tresult {
    let frames = usize::try_from(block.numSamples).unwrap_or(0);
    // SAFETY: promised by the caller.
    let whole = frames > 0 && unsafe { is_stereo(block) };
    if whole {
        // SAFETY: promised by the caller.
        return unsafe { framework(processor, block) };
    }
    // SAFETY: promised by the caller.
    unsafe { pass(block, frames) };
    let mut channels = if frames > 0 { SOME_TIME.channels() } else { NO_TIME.channels() };
    let mut outputs = AudioBusBuffers {
        numChannels: CHANNELS as i32,
        silenceFlags: 0,
        __field0: AudioBusBuffers__type0 { channelBuffers32: channels.as_mut_ptr() },
    };
    let mut events = ProcessData {
        numSamples: frames.clamp(1, LONGEST) as i32,
        numInputs: 0,
        inputs: std::ptr::null_mut(),
        numOutputs: 1,
        outputs: &mut outputs,
        ..*block
    };
    // SAFETY: promised by the caller; the buffers are as long as the block, and the framework only writes to outputs what
    // inputs or the plug-in bring, which bring nothing.
    unsafe { framework(processor, &mut events) }
}

/// Whether a block has what the framework expects: a bus of inputs, one of outputs, and both are stereo.
///
/// # Safety
/// A block as a host hands it over.
unsafe fn is_stereo(block: &ProcessData) -> bool {
    // SAFETY: promised by the caller.
    let [inputs, outputs] = unsafe { [buses(block.inputs, block.numInputs), buses(block.outputs, block.numOutputs)] };
    [inputs, outputs].into_iter().all(|buses| {
        // SAFETY: promised by the caller.
        let channels = unsafe { buses.first().map_or(&[][..], |bus| self::channels(bus)) };
        channels.len() == CHANNELS && channels.iter().all(|channel| !channel.is_null())
    })
}

/// Passes audio from inputs to outputs, as far as there are any: a channel without an input is silent.
///
/// # Safety
/// A block as a host hands it over, with so many samples.
unsafe fn pass(block: &ProcessData, frames: usize) {
    // SAFETY: promised by the caller; in place, an output is its own input.
    unsafe {
        let inputs = buses(block.inputs, block.numInputs);
        for (index, bus) in buses(block.outputs, block.numOutputs).iter().enumerate() {
            let inputs = inputs.get(index).map_or(&[][..], |bus| channels(bus));
            for (index, output) in channels(bus).iter().enumerate().filter(|(_, output)| !output.is_null()) {
                match inputs.get(index).filter(|input| !input.is_null()) {
                    Some(input) => input.copy_to(*output, frames),
                    None => output.write_bytes(0, frames),
                }
            }
        }
    }
}

/// # Safety
/// A host's buses.
unsafe fn buses<'a>(buses: *const AudioBusBuffers, count: i32) -> &'a [AudioBusBuffers] {
    let count = usize::try_from(count).unwrap_or(0);
    if buses.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { slice::from_raw_parts(buses, count) }
}

/// # Safety
/// A host's bus.
unsafe fn channels(bus: &AudioBusBuffers) -> &[*mut f32] {
    let count = usize::try_from(bus.numChannels).unwrap_or(0);
    // SAFETY: both kinds of samples lie behind pointers.
    let channels = unsafe { bus.__field0.channelBuffers32 };
    if channels.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { slice::from_raw_parts(channels, count) }
}
