//! Tests the VST3 as a host opens it: the module, its factory, and an instance that receives a phrase and continues it.
//! The other tests use the CLAP. Needs the bundle, like `bundle.rs`.

#![allow(clippy::unnecessary_cast, reason = "on Windows the interface's enumerations have another type")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::env::consts::{ARCH, OS};
use std::ffi::{CStr, c_void};
use std::mem::zeroed;
use std::path::PathBuf;
use std::ptr::{null, null_mut};

use libloading::Library;
use probe::heap;
use vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, BusDirections_, Event, Event_::EventTypes_, Event__type0, IAudioProcessor,
    IAudioProcessorTrait, IComponent, IComponentTrait, IEditController, IEditControllerTrait, IEventList,
    IEventListTrait, MediaTypes_, NoteOffEvent, NoteOnEvent, ParameterInfo, ParameterInfo_, ProcessContext,
    ProcessContext_::StatesAndFlags_, ProcessData, ProcessModes_, ProcessSetup, SymbolicSampleSizes_,
};
use vst3::Steinberg::{
    IPluginBaseTrait, IPluginFactory, IPluginFactoryTrait, PClassInfo, PFactoryInfo, int32, kInvalidArgument,
    kResultFalse, kResultOk, tresult,
};
use vst3::{Class, ComPtr, ComWrapper, Interface};

const RATE: f64 = 48_000.0;
const BLOCK: usize = 512;
/// Four keys, one after another, followed by silence in which the plugin plays.
const PHRASE: [i16; 4] = [60, 64, 67, 72];
/// Number of blocks from one key to the next, and from a key's note-on to its note-off.
const STEP: usize = 24;
const DOWN: usize = 20;
/// The block in which the transport stops, after six seconds, and the total number of blocks.
const STOP: usize = 562;
const BLOCKS: usize = STOP + 20;

/// Path of the library in the bundle.
fn library() -> PathBuf {
    let (folder, name) = match OS {
        "windows" => (format!("{ARCH}-win"), "Antiphon.vst3"),
        "macos" => ("MacOS".to_owned(), "Antiphon"),
        _ => (format!("{ARCH}-linux"), "Antiphon.so"),
    };
    test_host::find_bundle().unwrap().with_extension("vst3").join("Contents").join(folder).join(name)
}

/// Calls the function of the module that has these names on Windows, macOS and Linux, respectively.
fn call(library: &Library, names: [&CStr; 3]) {
    let name = match OS {
        "windows" => names[0],
        "macos" => names[1],
        _ => names[2],
    };
    // SAFETY: they return a boolean. Some receive the library, which Antiphon's do not use; the others take no argument
    // and ignore the one passed.
    let done = unsafe {
        let function = library.get::<unsafe extern "C" fn(*mut c_void) -> bool>(name.to_bytes_with_nul()).unwrap();
        function(null_mut())
    };
    assert!(done, "{name:?}");
}

/// An event list with a fixed capacity.
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
        // SAFETY: the plugin provides space for it.
        unsafe { event.write(found) };
        kResultOk
    }

    unsafe fn addEvent(&self, event: *mut Event) -> tresult {
        let mut events = self.0.borrow_mut();
        if events.len() == events.capacity() {
            return kResultFalse;
        }
        // SAFETY: the event belongs to the plugin.
        events.push(unsafe { event.read() });
        kResultOk
    }
}

/// A note-on or note-off event.
fn event(sample: usize, pitch: i16, down: bool) -> Event {
    let (kind, note) = if down {
        let on = NoteOnEvent { channel: 0, pitch, tuning: 0.0, velocity: 0.6, length: 0, noteId: -1 };
        (EventTypes_::kNoteOnEvent, Event__type0 { noteOn: on })
    } else {
        let off = NoteOffEvent { channel: 0, pitch, velocity: 0.0, noteId: -1, tuning: 0.0 };
        (EventTypes_::kNoteOffEvent, Event__type0 { noteOff: off })
    };
    let (offset, kind) = (sample as int32, kind as u16);
    Event { busIndex: 0, sampleOffset: offset, ppqPosition: 0.0, flags: 0, r#type: kind, __field0: note }
}

/// Whether the event is a note-on, and its (channel, pitch).
fn what(event: &Event) -> (bool, (i16, i16)) {
    // SAFETY: the type says which of the two it is, and both are plain numbers.
    unsafe {
        match u32::from(event.r#type) {
            kind if kind == EventTypes_::kNoteOnEvent as u32 => {
                (true, (event.__field0.noteOn.channel, event.__field0.noteOn.pitch))
            }
            kind if kind == EventTypes_::kNoteOffEvent as u32 => {
                (false, (event.__field0.noteOff.channel, event.__field0.noteOff.pitch))
            }
            kind => panic!("an event of kind {kind}"),
        }
    }
}

/// The event of the phrase in this block.
fn input(block: usize) -> Option<Event> {
    let pitch = *PHRASE.get(block / STEP)?;
    match block % STEP {
        0 => Some(event(100, pitch, true)),
        DOWN => Some(event(200, pitch, false)),
        _ => None,
    }
}

/// The text in a field of fixed length.
fn text(field: &[std::ffi::c_char]) -> String {
    field.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte as u8)).collect()
}

#[test]
fn an_instance_hears_a_phrase_and_goes_on() {
    // SAFETY: loading a library runs its code; this one was built in this workspace.
    let library = unsafe { Library::new(library()) }.unwrap();
    call(&library, [c"InitDll", c"bundleEntry", c"ModuleEntry"]);
    // SAFETY: the function has this signature in every VST3.
    let factory = unsafe {
        let get = library.get::<unsafe extern "system" fn() -> *mut IPluginFactory>(b"GetPluginFactory\0").unwrap();
        ComPtr::from_raw(get()).unwrap()
    };
    // SAFETY: the pointers are valid during the calls, and the plugin's objects as long as there are references to
    // them.
    unsafe {
        let component = create(&factory);
        let controller = component.cast::<IEditController>().expect("the component is the controller");
        assert!(controller.getParameterCount() > 30);
        let mut first: ParameterInfo = zeroed();
        assert_eq!(controller.getParameterInfo(0, &mut first), kResultOk);
        assert_ne!(first.title[0], 0, "a parameter without a name");
        read_texts(&controller);
        let played = play(&component, Habit::None);
        assert_eq!(component.terminate(), kResultOk);
        drop((controller, component));
        for habit in [Habit::Pauses, Habit::NoAudio, Habit::NoSamples] {
            let component = create(&factory);
            let other = play(&component, habit);
            assert_eq!(component.terminate(), kResultOk);
            // Events in calls without samples are a little early, and a different phrase has a different answer.
            assert!(habit == Habit::NoSamples || other == played, "{habit:?}: {other:?}, not {played:?}");
        }
    }
    drop(factory);
    call(&library, [c"ExitDll", c"bundleExit", c"ModuleExit"]);
}

/// Every text that a parameter shows can be parsed again, in any case and with spaces around it; nonsense cannot.
unsafe fn read_texts(controller: &ComPtr<IEditController>) {
    // SAFETY: see the caller.
    unsafe {
        let read = |id: u32, text: &str| {
            let (mut text, mut value) = (text.encode_utf16().chain([0]).collect::<Vec<u16>>(), f64::NAN);
            let result = controller.getParamValueByString(id, text.as_mut_ptr(), &mut value);
            (result == kResultOk).then_some(value)
        };
        let mut choices = 0;
        for index in 0..controller.getParameterCount() {
            let mut info: ParameterInfo = zeroed();
            assert_eq!(controller.getParameterInfo(index, &mut info), kResultOk);
            // The framework's own parameters for MIDI controllers have no texts.
            if info.flags & ParameterInfo_::ParameterFlags_::kIsHidden as i32 != 0 {
                continue;
            }
            for step in 0..=info.stepCount.clamp(1, 8) {
                let value = f64::from(step) / f64::from(info.stepCount.max(1));
                let mut shown = [0; 128];
                assert_eq!(controller.getParamStringByValue(info.id, value, &mut shown), kResultOk);
                let shown = String::from_utf16(&shown).unwrap();
                let shown = shown.trim_end_matches('\0');
                let is = read(info.id, shown).unwrap_or_else(|| panic!("`{shown}` is not read"));
                assert!(info.stepCount == 0 || (is - value).abs() < 1e-3, "`{shown}` is read as {is}, not {value}");
                choices += usize::from(shown.chars().all(char::is_alphabetic));
                for typed in [shown.to_uppercase(), shown.to_lowercase(), format!("  {shown} ")] {
                    let again = read(info.id, &typed).unwrap_or_else(|| panic!("`{typed}` is not read"));
                    assert!((again - is).abs() < 1e-6, "`{typed}` is read as {again}, not {is}");
                }
            }
            assert_eq!(read(info.id, "nonsense"), None, "{}", String::from_utf16_lossy(&info.title));
        }
        assert!(choices > 30, "{choices}");
    }
}

/// Creates an instance of the factory's only class, and checks that it creates none of any other.
unsafe fn create(factory: &ComPtr<IPluginFactory>) -> ComPtr<IComponent> {
    // SAFETY: see the caller.
    unsafe {
        let mut maker: PFactoryInfo = zeroed();
        assert_eq!(factory.getFactoryInfo(&mut maker), kResultOk);
        assert!(!text(&maker.vendor).is_empty());
        assert_eq!(factory.countClasses(), 1);
        let mut class: PClassInfo = zeroed();
        assert_ne!(factory.getClassInfo(1, &mut class), kResultOk);
        assert_eq!(factory.getClassInfo(0, &mut class), kResultOk);
        let (category, name) = (text(&class.category), text(&class.name));
        assert_eq!((category.as_str(), name.as_str()), ("Audio Module Class", "Antiphon"));

        let mut made = null_mut();
        let mut other = class.cid;
        other[15] ^= 1;
        let interface = IComponent::IID;
        assert_ne!(factory.createInstance(other.as_ptr(), interface.as_ptr().cast(), &mut made), kResultOk);
        assert!(made.is_null());
        assert_ne!(factory.createInstance(null(), interface.as_ptr().cast(), &mut made), kResultOk);
        assert_eq!(factory.createInstance(class.cid.as_ptr(), interface.as_ptr().cast(), &mut made), kResultOk);
        let component = ComPtr::from_raw(made.cast::<IComponent>()).unwrap();
        assert_eq!(component.initialize(null_mut()), kResultOk);
        component
    }
}

/// Unusual behavior of a host.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Habit {
    /// None.
    None,
    /// Stops processing after every block.
    Pauses,
    /// Sends blocks without audio buffers.
    NoAudio,
    /// Sends events in calls without samples, with or without buffers.
    NoSamples,
}

/// An event that the plugin sent: block, sample offset, and [`what`] it was.
type Sent = (usize, int32, (bool, (i16, i16)));

/// Renders a phrase and what comes after it, and checks that the phrase is passed through, the plugin answers, every
/// note ends, and `process` never uses the heap, not even in its first call. Returns all events that were sent.
unsafe fn play(component: &ComPtr<IComponent>, habit: Habit) -> Vec<Sent> {
    // SAFETY: see the caller.
    unsafe {
        let processor = component.cast::<IAudioProcessor>().unwrap();
        let mut setup = ProcessSetup {
            processMode: ProcessModes_::kOffline as int32,
            symbolicSampleSize: SymbolicSampleSizes_::kSample32 as int32,
            maxSamplesPerBlock: BLOCK as int32,
            sampleRate: RATE,
        };
        assert_eq!(processor.setupProcessing(&mut setup), kResultOk);
        for media in [MediaTypes_::kAudio, MediaTypes_::kEvent] {
            for direction in [BusDirections_::kInput, BusDirections_::kOutput] {
                assert_eq!(component.getBusCount(media as int32, direction as int32), 1);
                assert_eq!(component.activateBus(media as int32, direction as int32, 0, 1), kResultOk);
            }
        }
        assert_eq!(component.setActive(1), kResultOk);
        assert_eq!(processor.setProcessing(1), kResultOk);

        let heard = ComWrapper::new(Events(RefCell::new(Vec::with_capacity(16))));
        let sent = ComWrapper::new(Events(RefCell::new(Vec::with_capacity(1_024))));
        let [inputs, outputs] = [&heard, &sent].map(|list| list.to_com_ptr::<IEventList>().unwrap());
        let mut samples = [[[0.0_f32; BLOCK]; 2]; 2];
        let mut channels = samples.each_mut().map(|bus| bus.each_mut().map(|channel| channel.as_mut_ptr()));
        let mut buses = channels.each_mut().map(|bus| AudioBusBuffers {
            numChannels: 2,
            silenceFlags: 0,
            __field0: AudioBusBuffers__type0 { channelBuffers32: bus.as_mut_ptr() },
        });
        let [audio_in, audio_out] = buses.each_mut().map(|bus| &raw mut *bus);
        let mut context: ProcessContext = zeroed();
        (context.sampleRate, context.tempo) = (RATE, 120.0);

        // Sounding keys, and numbers of note-ons: the plugin's own, and all.
        let mut sounding = BTreeSet::new();
        let (mut own, mut all) = (0, 0);
        let mut everything = Vec::new();
        for block in 0..BLOCKS {
            context.state = (StatesAndFlags_::kTempoValid | StatesAndFlags_::kProjectTimeMusicValid) as u32;
            if block < STOP {
                context.state |= StatesAndFlags_::kPlaying as u32;
            }
            context.projectTimeSamples = (block.min(STOP) * BLOCK) as i64;
            context.projectTimeMusic = context.projectTimeSamples as f64 / RATE * context.tempo / 60.0;
            let event = input(block);
            // The calls for this block: number of samples, whether with audio buffers, and an event.
            let early = event.filter(|_| habit == Habit::NoSamples).map(|event| Event { sampleOffset: 0, ..event });
            let calls = [
                early.map(|event| (0, block % STEP == 0, Some(event))),
                Some((BLOCK, habit != Habit::NoAudio, event.filter(|_| early.is_none()))),
            ];
            for (frames, with_audio, mut due) in calls.into_iter().flatten() {
                heard.0.borrow_mut().clear();
                heard.0.borrow_mut().extend(due);
                let buses = int32::from(with_audio);
                let mut data = ProcessData {
                    processMode: setup.processMode,
                    symbolicSampleSize: setup.symbolicSampleSize,
                    numSamples: frames as int32,
                    numInputs: buses,
                    numOutputs: buses,
                    inputs: if with_audio { audio_in } else { null_mut() },
                    outputs: if with_audio { audio_out } else { null_mut() },
                    inputParameterChanges: null_mut(),
                    outputParameterChanges: null_mut(),
                    inputEvents: inputs.as_ptr(),
                    outputEvents: outputs.as_ptr(),
                    processContext: &mut context,
                };
                let (result, calls) = heap::watched(|| processor.process(&mut data));
                assert_eq!((result, calls), (kResultOk, 0), "block {block}: its result, and calls to the heap");
                let mut before = 0;
                for event in sent.0.borrow_mut().drain(..) {
                    let (sample, what) = (event.sampleOffset, what(&event));
                    assert!((before..frames.max(1) as int32).contains(&sample), "block {block}: {what:?} at {sample}");
                    before = sample;
                    everything.push((block, sample, what));
                    let passed = due.take_if(|due| (due.sampleOffset, self::what(due)) == (sample, what)).is_some();
                    let (down, key) = what;
                    let right = if down { sounding.insert(key) } else { sounding.remove(&key) };
                    assert!(right, "block {block}: {what:?}");
                    all += usize::from(down);
                    own += usize::from(down && !passed);
                }
                assert!(due.is_none(), "{habit:?}, block {block}: the player's event does not pass");
            }
            assert!(block < STOP || sounding.is_empty(), "block {block}: {sounding:?} sound on");
            if habit == Habit::Pauses {
                assert_eq!(processor.setProcessing(0), kResultOk);
                assert_eq!(processor.setProcessing(1), kResultOk);
            }
        }
        assert_eq!(all - own, PHRASE.len(), "{habit:?}");
        assert!(own > 5, "{habit:?}: it plays {own} notes");
        assert_eq!(processor.setProcessing(0), kResultOk);
        assert_eq!(component.setActive(0), kResultOk);
        everything
    }
}
