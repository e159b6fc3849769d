//! Calls with events but without audio.
//!
//! A VST3 host may call `process` without samples, to pass on parameter changes, or with samples but without buffers,
//! as Ableton Live does. nice-plug 0.4.2 treats both as a parameter flush (`wrapper/vst3/wrapper.rs`, lines 1091 to
//! 1096, and 1505 for buffers with too few channels): notes and controllers are dropped, and no time passes. Also,
//! outputs without inputs keep what the host left in them (`wrapper/util/buffer_management.rs`, line 225).
//!
//! So wherever the audio is not the stereo that the framework expects, it is copied from input to output here first,
//! and the framework gets dummy buffers. A call without samples reaches it as a call with one sample, which [`frames`]
//! counts as none.
//!
//! Remove this when `upstream_drops_events_without_audio` fails.

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

/// Channels of the plugin's only layout.
const CHANNELS: usize = 2;
/// Samples. No host's block is longer; a longer block without buffers would be cut short to this.
const LONGEST: usize = 65_536;

/// Dummy buffers that are neither read nor written: they use no memory, and all instances can share them.
struct Nowhere<const N: usize>(UnsafeCell<[[f32; N]; CHANNELS]>);

// SAFETY: it is never read or written.
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

/// For blocks with samples but without stereo buffers.
static SOME_TIME: Nowhere<LONGEST> = Nowhere::new();
/// For calls without samples.
static NO_TIME: Nowhere<1> = Nowhere::new();

/// The number of samples of a block in a plugin's `process`; 0 for a call without samples.
pub fn frames(audio: &Buffer) -> u32 {
    let [no_time, _] = NO_TIME.channels();
    let first = audio.as_slice_immutable().first();
    if first.is_some_and(|channel| channel.as_ptr() == no_time) { 0 } else { audio.samples() as u32 }
}

/// Processes one of the host's blocks.
///
/// # Safety
/// `framework` is the framework's own function, `processor` one of its instances, and `block` is valid by VST3's rules.
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
    // SAFETY: promised by the caller; the buffers are as long as the block, and the framework writes to outputs only
    // what inputs or the plugin bring, which is nothing here.
    unsafe { framework(processor, &mut events) }
}

/// Whether a block is as the framework expects it: the first input bus and the first output bus are stereo.
///
/// # Safety
/// `block` is valid by VST3's rules.
unsafe fn is_stereo(block: &ProcessData) -> bool {
    // SAFETY: promised by the caller.
    let [inputs, outputs] = unsafe { [buses(block.inputs, block.numInputs), buses(block.outputs, block.numOutputs)] };
    [inputs, outputs].into_iter().all(|buses| {
        // SAFETY: promised by the caller.
        let channels = unsafe { buses.first().map_or(&[][..], |bus| self::channels(bus)) };
        channels.len() == CHANNELS && channels.iter().all(|channel| !channel.is_null())
    })
}

/// Copies audio from inputs to outputs; output channels without an input are silenced.
///
/// # Safety
/// `block` is valid by VST3's rules and has `frames` samples.
unsafe fn pass(block: &ProcessData, frames: usize) {
    // SAFETY: promised by the caller; `copy_to` allows in-place buffers, where input and output overlap.
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
/// Null, or `count` buses from the host.
unsafe fn buses<'a>(buses: *const AudioBusBuffers, count: i32) -> &'a [AudioBusBuffers] {
    let count = usize::try_from(count).unwrap_or(0);
    if buses.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { slice::from_raw_parts(buses, count) }
}

/// # Safety
/// A bus from the host.
unsafe fn channels(bus: &AudioBusBuffers) -> &[*mut f32] {
    let count = usize::try_from(bus.numChannels).unwrap_or(0);
    // SAFETY: for both sample types the field is a pointer to channel pointers.
    let channels = unsafe { bus.__field0.channelBuffers32 };
    if channels.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { slice::from_raw_parts(channels, count) }
}
