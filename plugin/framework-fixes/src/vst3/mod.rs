//! The entry points for VST3 hosts, and on the way from the host to nice-plug (0.4.2) what it gets wrong:
//!
//! * An instance learns of an offline render one set-up too late: `setupProcessing` (`wrapper/vst3/wrapper.rs`, line 982)
//!   stores the mode of the set-up before with what activation is told, and the new mode only then. A bounce would not wait
//!   for the model, and after it the live audio thread would. Here each instance is set up twice with the same, so that the
//!   second time stores the mode of the first.
//! * [`process`]: events of calls without audio.
//! * `texts`: names of choices that somebody types.
//! * `view`: windows.
//!
//! nice-plug has such entry points ready, `nice_export_vst3!`, which leave no room for any of this.
//!
//! Gone when `upstream_learns_of_an_offline_render_too_late` fails.

pub mod process;
mod texts;
mod view;

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::OnceLock;

use nice_plug::prelude::Vst3Plugin;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    IAudioProcessor, IAudioProcessorVtbl, IEditController, IEditControllerVtbl, ParamID, ParamValue, ProcessData,
    ProcessSetup, TChar,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    FIDString, FUnknown, IPlugView, IPluginFactory, IPluginFactory2, IPluginFactory2Trait, IPluginFactory3,
    IPluginFactory3Trait, IPluginFactoryTrait, PClassInfo, PClassInfo2, PClassInfoW, PFactoryInfo, TUID, int32,
    kInvalidArgument, kResultOk, tresult,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComPtr, ComWrapper};
use nice_plug::wrapper::vst3::{PluginInfo, Wrapper};

pub use nice_plug::wrapper::setup_logger;
pub use process::frames;

/// Exports a plug-in as the library's only VST3.
#[macro_export]
macro_rules! export_vst3 {
    ($plugin:ty) => {
        /// Where VST3 hosts begin.
        #[unsafe(no_mangle)]
        pub extern "system" fn GetPluginFactory() -> *mut ::std::ffi::c_void {
            $crate::vst3::factory::<$plugin>()
        }

        /// The library is loaded: Linux.
        #[cfg(all(unix, not(target_os = "macos")))]
        #[unsafe(no_mangle)]
        pub extern "C" fn ModuleEntry(_: *mut ::std::ffi::c_void) -> bool {
            $crate::vst3::setup_logger::<$plugin>();
            true
        }

        /// It is no longer needed: Linux.
        #[cfg(all(unix, not(target_os = "macos")))]
        #[unsafe(no_mangle)]
        pub extern "C" fn ModuleExit() -> bool {
            true
        }

        /// The library is loaded: macOS.
        #[cfg(target_os = "macos")]
        #[unsafe(no_mangle)]
        pub extern "C" fn bundleEntry(_: *mut ::std::ffi::c_void) -> bool {
            $crate::vst3::setup_logger::<$plugin>();
            true
        }

        /// It is no longer needed: macOS.
        #[cfg(target_os = "macos")]
        #[unsafe(no_mangle)]
        pub extern "C" fn bundleExit() -> bool {
            true
        }

        /// The library is loaded: Windows.
        #[cfg(windows)]
        #[unsafe(no_mangle)]
        pub extern "system" fn InitDll() -> bool {
            $crate::vst3::setup_logger::<$plugin>();
            true
        }

        /// It is no longer needed: Windows.
        #[cfg(windows)]
        #[unsafe(no_mangle)]
        pub extern "system" fn ExitDll() -> bool {
            true
        }
    };
}

/// What `GetPluginFactory` returns: a reference that is the caller's.
pub fn factory<P: Vst3Plugin>() -> *mut c_void {
    let info = PluginInfo::for_plugin::<P>();
    let factory = ComWrapper::new(Factory { info, create: create::<P> });
    factory.to_com_ptr::<IPluginFactory>().map_or(null_mut(), |factory| factory.into_raw().cast())
}

/// A new instance, with the fixed functions; a reference that is the caller's.
fn create<P: Vst3Plugin>() -> Option<ComPtr<FUnknown>> {
    let instance = ComWrapper::new(Wrapper::<P>::new());
    fix(&instance);
    instance.to_com_ptr::<FUnknown>()
}

/// Makes instances.
struct Factory {
    info: PluginInfo,
    create: fn() -> Option<ComPtr<FUnknown>>,
}

impl Class for Factory {
    type Interfaces = (IPluginFactory, IPluginFactory2, IPluginFactory3);
}

impl Factory {
    /// Writes down what the only class is like.
    ///
    /// # Safety
    /// `out` is null, or may be written to.
    unsafe fn tell<T>(&self, index: int32, out: *mut T, info: impl FnOnce(&PluginInfo) -> T) -> tresult {
        if index != 0 || out.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: promised by the caller.
        unsafe { out.write(info(&self.info)) };
        kResultOk
    }
}

impl IPluginFactoryTrait for Factory {
    unsafe fn getFactoryInfo(&self, info: *mut PFactoryInfo) -> tresult {
        // SAFETY: the host's pointer, checked for null.
        unsafe { self.tell(0, info, PluginInfo::create_factory_info) }
    }

    unsafe fn countClasses(&self) -> int32 {
        1
    }

    unsafe fn getClassInfo(&self, index: int32, info: *mut PClassInfo) -> tresult {
        // SAFETY: the host's pointer, checked for null.
        unsafe { self.tell(index, info, PluginInfo::create_class_info) }
    }

    unsafe fn createInstance(&self, class: FIDString, interface: FIDString, out: *mut *mut c_void) -> tresult {
        if class.is_null() || interface.is_null() || out.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: an id has 16 bytes.
        if unsafe { class.cast::<[u8; 16]>().read_unaligned() } != *self.info.cid {
            return kInvalidArgument;
        }
        let Some(instance) = (self.create)() else {
            return kInvalidArgument;
        };
        let unknown = instance.as_ptr();
        // SAFETY: the instance lives, and takes the host's pointers as they are meant.
        unsafe { ((*(*unknown).vtbl).queryInterface)(unknown, interface.cast::<TUID>(), out) }
    }
}

impl IPluginFactory2Trait for Factory {
    unsafe fn getClassInfo2(&self, index: int32, info: *mut PClassInfo2) -> tresult {
        // SAFETY: the host's pointer, checked for null.
        unsafe { self.tell(index, info, PluginInfo::create_class_info_2) }
    }
}

impl IPluginFactory3Trait for Factory {
    unsafe fn getClassInfoUnicode(&self, index: int32, info: *mut PClassInfoW) -> tresult {
        // SAFETY: the host's pointer, checked for null.
        unsafe { self.tell(index, info, PluginInfo::create_class_info_unicode) }
    }

    unsafe fn setHostContext(&self, _: *mut FUnknown) -> tresult {
        kResultOk
    }
}

type SetUp = unsafe extern "system" fn(*mut IAudioProcessor, *mut ProcessSetup) -> tresult;

/// The framework's own functions of an audio processor, the same for all instances.
struct Framework {
    set_up: SetUp,
    process: process::Process,
}

/// The functions of an audio processor, fixed, and what they call.
static PROCESSOR: OnceLock<(IAudioProcessorVtbl, Framework)> = OnceLock::new();
/// The same of a controller.
static CONTROLLER: OnceLock<(IEditControllerVtbl, IEditControllerVtbl)> = OnceLock::new();

/// Gives an instance, which nobody else knows yet, the fixed functions.
fn fix<P: Vst3Plugin>(instance: &ComWrapper<Wrapper<P>>) {
    let processor = instance.as_com_ref::<IAudioProcessor>().map(|processor| processor.as_ptr());
    let controller = instance.as_com_ref::<IEditController>().map(|controller| controller.as_ptr());
    let (Some(processor), Some(controller)) = (processor, controller) else {
        return;
    };
    // SAFETY: each begins with a pointer to its functions, which are the same for all instances and for ever, and lies in
    // the instance's own memory.
    unsafe {
        let (fixed, _) = PROCESSOR.get_or_init(|| {
            let theirs = (*processor).vtbl.read();
            let framework = Framework { set_up: theirs.setupProcessing, process: theirs.process };
            (IAudioProcessorVtbl { setupProcessing: set_up, process, ..theirs }, framework)
        });
        (*processor).vtbl = fixed;
        let (fixed, _) = CONTROLLER.get_or_init(|| {
            let theirs = (*controller).vtbl.read();
            let fixed =
                IEditControllerVtbl { createView: create_view, getParamValueByString: value_by_string, ..theirs };
            (fixed, theirs)
        });
        (*controller).vtbl = fixed;
    }
}

/// See the [module](self).
unsafe extern "system" fn set_up(processor: *mut IAudioProcessor, setup: *mut ProcessSetup) -> tresult {
    let Some((_, framework)) = PROCESSOR.get() else {
        return kInvalidArgument;
    };
    // SAFETY: called as the host has called.
    unsafe {
        (framework.set_up)(processor, setup);
        (framework.set_up)(processor, setup)
    }
}

/// See [`process`](self::process).
unsafe extern "system" fn process(processor: *mut IAudioProcessor, block: *mut ProcessData) -> tresult {
    // SAFETY: null or the host's block.
    let (Some((_, framework)), Some(block)) = (PROCESSOR.get(), unsafe { block.as_mut() }) else {
        return kInvalidArgument;
    };
    // SAFETY: called as the host has called.
    unsafe { process::process(framework.process, processor, block) }
}

/// See [`texts`].
unsafe extern "system" fn value_by_string(
    controller: *mut IEditController,
    id: ParamID,
    text: *mut TChar,
    value: *mut ParamValue,
) -> tresult {
    let Some((_, framework)) = CONTROLLER.get() else {
        return kInvalidArgument;
    };
    // SAFETY: called as the host has called.
    unsafe { texts::read(framework, controller, id, text, value) }
}

/// See [`view`].
unsafe extern "system" fn create_view(controller: *mut IEditController, name: FIDString) -> *mut IPlugView {
    let Some((_, framework)) = CONTROLLER.get() else {
        return null_mut();
    };
    // SAFETY: called as the host has called; the view is the caller's.
    unsafe { view::wrap((framework.createView)(controller, name), controller) }
}
