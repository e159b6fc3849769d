//! A VST3 host: what reaches the plugin through our entry point, and what through the framework alone.

#![allow(clippy::unnecessary_cast, reason = "on Windows the interface's enumerations have another type")]

use std::cell::RefCell;
use std::mem::zeroed;
use std::ptr::null_mut;

use nice_plug::prelude::{ProcessMode, Vst3Plugin};
use nice_plug::wrapper::vst3::Wrapper;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, Event, Event_::EventTypes_, Event__type0, IAudioProcessor,
    IAudioProcessorTrait, IComponent, IComponent_iid, IComponentTrait, IEditController, IEditControllerTrait,
    IEventList, IEventListTrait, NoteOnEvent, ProcessData, ProcessModes_, ProcessSetup, SymbolicSampleSizes_,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    IPluginFactory, IPluginFactoryTrait, int32, kInvalidArgument, kResultOk, tresult,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComPtr, ComWrapper};

use super::probe::TEXTS;
use super::{Probe, VST3, seen};

const BLOCK: usize = 256;

/// An instance as a host creates it, with the fixes.
pub fn component() -> ComPtr<IComponent> {
    instance(<Probe<VST3>>::PLATFORM_VST3_CLASS_ID).unwrap()
}

/// An instance of the framework's own, without the fixes.
pub fn upstream() -> ComPtr<IComponent> {
    ComWrapper::new(Wrapper::<Probe<VST3>>::new()).to_com_ptr().unwrap()
}

fn instance(class: [u8; 16]) -> Option<ComPtr<IComponent>> {
    // SAFETY: pointers that earlier calls returned and that are still valid.
    unsafe {
        let factory = ComPtr::from_raw(crate::vst3::factory::<Probe<VST3>>().cast::<IPluginFactory>()).unwrap();
        let mut instance = null_mut();
        let interface = IComponent_iid;
        let made = factory.createInstance(class.as_ptr().cast(), interface.as_ptr(), &mut instance);
        assert_eq!(made == kResultOk, !instance.is_null());
        ComPtr::from_raw(instance.cast::<IComponent>())
    }
}

#[test]
fn there_is_one_class() {
    let mut other = <Probe<VST3>>::PLATFORM_VST3_CLASS_ID;
    other[0] ^= 1;
    assert!(instance(other).is_none());
}

fn set_up(component: &ComPtr<IComponent>, mode: i32) {
    let mut setup = ProcessSetup {
        processMode: mode,
        symbolicSampleSize: SymbolicSampleSizes_::kSample32 as i32,
        maxSamplesPerBlock: BLOCK as i32,
        sampleRate: 48_000.0,
    };
    // SAFETY: a valid instance, called by VST3's rules.
    unsafe {
        let processor = component.cast::<IAudioProcessor>().unwrap();
        assert_eq!(processor.setupProcessing(&mut setup), kResultOk);
        assert_eq!(component.setActive(1), kResultOk);
        assert_eq!(component.setActive(0), kResultOk);
    }
}

/// Set-ups of a host that exports offline and then plays on; returns the modes that the plugin got.
fn bounce(component: &ComPtr<IComponent>) -> Vec<ProcessMode> {
    seen(|seen| seen.activations.clear());
    for mode in [ProcessModes_::kRealtime, ProcessModes_::kOffline, ProcessModes_::kRealtime] {
        set_up(component, mode as i32);
    }
    seen(|seen| seen.activations.clone())
}

#[test]
fn an_instance_learns_of_an_offline_render_at_once() {
    assert_eq!(bounce(&component()), [ProcessMode::Realtime, ProcessMode::Offline, ProcessMode::Realtime]);
}

#[test]
fn upstream_learns_of_an_offline_render_too_late() {
    let late = [ProcessMode::Realtime, ProcessMode::Realtime, ProcessMode::Offline];
    assert_eq!(bounce(&upstream()), late, "fixed upstream: `vst3::set_up` can be removed");
}

/// The host's event list.
#[derive(Default)]
struct Events(RefCell<Vec<Event>>);

impl Class for Events {
    type Interfaces = (IEventList,);
}

impl IEventListTrait for Events {
    unsafe fn getEventCount(&self) -> int32 {
        self.0.borrow().len() as int32
    }

    unsafe fn getEvent(&self, index: int32, event: *mut Event) -> tresult {
        let Some(found) = self.0.borrow().get(index as usize).copied() else { return kInvalidArgument };
        // SAFETY: the plugin has room for it.
        unsafe { event.write(found) };
        kResultOk
    }

    unsafe fn addEvent(&self, event: *mut Event) -> tresult {
        // SAFETY: a valid event from the plugin.
        nice_plug::util::permit_alloc(|| self.0.borrow_mut().push(unsafe { event.read() }));
        kResultOk
    }
}

fn note(sample: i32, pitch: i16) -> Event {
    let on = NoteOnEvent { channel: 0, pitch, tuning: 0.0, velocity: 0.6, length: 0, noteId: -1 };
    // SAFETY: all fields are numbers, so all zeros are valid.
    let event: Event = unsafe { zeroed() };
    let kind = EventTypes_::kNoteOnEvent as u16;
    Event { sampleOffset: sample, r#type: kind, __field0: Event__type0 { noteOn: on }, ..event }
}

/// An instance that is processing, until it is dropped.
struct Started(ComPtr<IAudioProcessor>, ComPtr<IComponent>);

impl Started {
    fn new(component: ComPtr<IComponent>) -> Self {
        set_up(&component, ProcessModes_::kRealtime as i32);
        let processor = component.cast::<IAudioProcessor>().unwrap();
        // SAFETY: a valid instance, called by VST3's rules.
        unsafe {
            assert_eq!(component.setActive(1), kResultOk);
            assert_eq!(processor.setProcessing(1), kResultOk);
        }
        Self(processor, component)
    }

    /// Processes a block with these buses and a note on its last sample. Returns the plugin's blocks (samples, notes),
    /// and the samples of the notes that it sends on.
    fn process(&self, frames: i32, inputs: &mut [AudioBusBuffers], outputs: &mut [AudioBusBuffers]) -> Called {
        let (heard, sent) = (ComWrapper::new(Events::default()), ComWrapper::new(Events::default()));
        heard.0.borrow_mut().push(note((frames - 1).max(0), 60));
        seen(|seen| seen.blocks.clear());
        let mut block = ProcessData {
            processMode: 0,
            symbolicSampleSize: SymbolicSampleSizes_::kSample32 as i32,
            numSamples: frames,
            numInputs: inputs.len() as i32,
            numOutputs: outputs.len() as i32,
            inputs: if inputs.is_empty() { null_mut() } else { inputs.as_mut_ptr() },
            outputs: if outputs.is_empty() { null_mut() } else { outputs.as_mut_ptr() },
            inputParameterChanges: null_mut(),
            outputParameterChanges: null_mut(),
            inputEvents: heard.to_com_ptr::<IEventList>().unwrap().as_ptr(),
            outputEvents: sent.to_com_ptr::<IEventList>().unwrap().as_ptr(),
            processContext: null_mut(),
        };
        // SAFETY: a valid block by VST3's rules.
        assert_eq!(unsafe { self.0.process(&mut block) }, kResultOk);
        let heard = seen(|seen| seen.blocks.drain(..).map(|block| (block.frames, block.notes)).collect());
        let sent = sent.0.borrow().iter().map(|event| event.sampleOffset).collect();
        (heard, sent)
    }
}

/// The blocks that the plugin got (samples and note-ons), and the samples of the events that it sent.
type Called = (Vec<(u32, Vec<(u32, u8)>)>, Vec<i32>);

impl Drop for Started {
    fn drop(&mut self) {
        // SAFETY: a valid instance, called by VST3's rules.
        unsafe {
            self.0.setProcessing(0);
            self.1.setActive(0);
        }
    }
}

fn bus(channels: &mut [*mut f32]) -> AudioBusBuffers {
    AudioBusBuffers {
        numChannels: channels.len() as i32,
        silenceFlags: 0,
        __field0: AudioBusBuffers__type0 { channelBuffers32: channels.as_mut_ptr() },
    }
}

#[test]
fn events_count_whatever_the_buffers() {
    let instance = Started::new(component());
    let (whole, none) = ((vec![(256, vec![(255, 60)])], vec![255]), (vec![(0, vec![(0, 60)])], vec![0]));
    let mut nothing = AudioBusBuffers { numChannels: 2, ..bus(&mut []) };
    nothing.__field0.channelBuffers32 = null_mut();
    assert_eq!(instance.process(0, &mut [], &mut []), none);
    assert_eq!(instance.process(256, &mut [], &mut []), whole);
    assert_eq!(instance.process(256, &mut [bus(&mut [])], &mut [bus(&mut [])]), whole);
    assert_eq!(instance.process(256, &mut [nothing], &mut [nothing]), whole);
    assert_eq!(instance.process(256, &mut [], &mut [bus(&mut [null_mut(), null_mut()])]), whole);

    // Audio passes through where there are both input and output; other outputs are silent.
    for (inputs, outputs) in [(2, 2), (0, 2), (1, 2), (2, 1), (2, 0), (1, 1), (3, 4)] {
        let mut input = vec![[0.5_f32; BLOCK]; inputs];
        let mut output = vec![[7.0_f32; BLOCK]; outputs];
        let mut ins: Vec<_> = input.iter_mut().map(|channel| channel.as_mut_ptr()).collect();
        let mut outs: Vec<_> = output.iter_mut().map(|channel| channel.as_mut_ptr()).collect();
        assert_eq!(instance.process(256, &mut [bus(&mut ins)], &mut [bus(&mut outs)]), whole);
        for (index, channel) in output.iter().enumerate() {
            let expected = if index < inputs { 0.5 } else { 0.0 };
            assert_eq!(*channel, [expected; BLOCK], "{inputs} to {outputs}");
        }
        let mut ins: Vec<_> = input.iter_mut().map(|channel| channel.as_mut_ptr()).collect();
        assert_eq!(instance.process(0, &mut [bus(&mut ins)], &mut [bus(&mut outs)]), none);
    }
}

#[test]
fn upstream_drops_events_without_audio() {
    let instance = Started::new(upstream());
    for frames in [0, 256] {
        let (heard, _) = instance.process(frames, &mut [], &mut []);
        assert!(heard.is_empty(), "fixed upstream: `vst3::process` can be removed");
    }
}

#[test]
fn upstream_starting_processing_resets() {
    let instance = Started::new(component());
    let before = seen(|seen| seen.resets);
    // SAFETY: a valid instance, called by VST3's rules.
    unsafe {
        instance.0.setProcessing(0);
        instance.0.setProcessing(1);
    }
    assert_eq!(seen(|seen| seen.resets), before + 1, "fixed upstream: `restart` can be removed");
}

/// The normalized value that a parameter reads from a text.
fn read(component: &ComPtr<IComponent>, id: &str, text: &str) -> Option<f64> {
    let number = id.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) & !(1 << 31);
    let mut text: Vec<u16> = text.encode_utf16().chain([0]).collect();
    let mut value = -1.0;
    let controller = component.cast::<IEditController>().unwrap();
    // SAFETY: a valid instance, called by VST3's rules.
    let result = unsafe { controller.getParamValueByString(number, text.as_mut_ptr(), &mut value) };
    (result == kResultOk).then_some(value)
}

#[test]
fn names_of_choices_are_read_in_any_case() {
    let component = component();
    for (text, step) in TEXTS {
        assert_eq!(read(&component, "color", text), step.map(|step| f64::from(step) / 2.0), "{text:?}");
    }
    assert_eq!((read(&component, "knob", " 7 ").is_some(), read(&component, "knob", "green")), (true, None));
    assert_eq!(read(&component, "none", "green"), None);
}

#[test]
fn upstream_reads_choices_in_their_own_case() {
    let component = upstream();
    assert_eq!(read(&component, "color", "Green"), Some(0.5));
    assert_eq!(read(&component, "color", "green"), None, "fixed upstream: `texts` can be removed");
}
