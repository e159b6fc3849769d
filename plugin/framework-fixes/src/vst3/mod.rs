//! The entry points for VST3 hosts. Between the host and nice-plug (0.4.2) they work around these bugs:
//!
//! * An instance learns of an offline render one set-up too late: `setupProcessing` (`wrapper/vst3/wrapper.rs`, line
//!   982) saves the configuration for the next activation while it still has the previous set-up's mode, and only then
//!   stores the new mode. An export would not wait for the model, and after it the live audio thread would. So each
//!   instance is set up twice with the same arguments: the second call saves the mode that the first one stored.
//! * [`process`]: events of calls without audio.
//! * `texts`: names of choices, as a user types them.
//! * `view`: windows.
//!
//! nice-plug's own entry points, `nice_export_vst3!`, leave no room for any of this.
//!
//! Remove the first one when `upstream_learns_of_an_offline_render_too_late` fails.

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

/// Exports a plugin as the library's only VST3 plugin.
#[macro_export]
macro_rules! export_vst3 {
    ($plugin:ty) => {
        /// The library's VST3 entry point.
        #[unsafe(no_mangle)]
        pub extern "system" fn GetPluginFactory() -> *mut ::std::ffi::c_void {
            $crate::vst3::factory::<$plugin>()
        }

        /// Called when the library is loaded, on Linux.
        #[cfg(all(unix, not(target_os = "macos")))]
        #[unsafe(no_mangle)]
        pub extern "C" fn ModuleEntry(_: *mut ::std::ffi::c_void) -> bool {
            $crate::vst3::setup_logger::<$plugin>();
            true
        }

        /// Called before the library is unloaded, on Linux.
        #[cfg(all(unix, not(target_os = "macos")))]
        #[unsafe(no_mangle)]
        pub extern "C" fn ModuleExit() -> bool {
            true
        }

        /// Called when the library is loaded, on macOS.
        #[cfg(target_os = "macos")]
        #[unsafe(no_mangle)]
        pub extern "C" fn bundleEntry(_: *mut ::std::ffi::c_void) -> bool {
            $crate::vst3::setup_logger::<$plugin>();
            true
        }

        /// Called before the library is unloaded, on macOS.
        #[cfg(target_os = "macos")]
        #[unsafe(no_mangle)]
        pub extern "C" fn bundleExit() -> bool {
            true
        }

        /// Called when the library is loaded, on Windows.
        #[cfg(windows)]
        #[unsafe(no_mangle)]
        pub extern "system" fn InitDll() -> bool {
            $crate::vst3::setup_logger::<$plugin>();
            true
        }

        /// Called before the library is unloaded, on Windows.
        #[cfg(windows)]
        #[unsafe(no_mangle)]
        pub extern "system" fn ExitDll() -> bool {
            true
        }
    };
}

/// The factory that `GetPluginFactory` returns; the caller owns the reference.
pub fn factory<P: Vst3Plugin>() -> *mut c_void {
    let info = PluginInfo::for_plugin::<P>();
    let factory = ComWrapper::new(Factory { info, create: create::<P> });
    factory.to_com_ptr::<IPluginFactory>().map_or(null_mut(), |factory| factory.into_raw().cast())
}

/// A new instance with the fixed functions; the caller owns the reference.
fn create<P: Vst3Plugin>() -> Option<ComPtr<FUnknown>> {
    let instance = ComWrapper::new(Wrapper::<P>::new());
    fix(&instance);
    instance.to_com_ptr::<FUnknown>()
}

/// The plugin factory.
struct Factory {
    info: PluginInfo,
    create: fn() -> Option<ComPtr<FUnknown>>,
}

impl Class for Factory {
    type Interfaces = (IPluginFactory, IPluginFactory2, IPluginFactory3);
}

impl Factory {
    /// Writes the info of the only class to `out`.
    ///
    /// # Safety
    /// `out` is null or valid for writes.
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
        // SAFETY: the instance is alive, and the host's pointers are valid by VST3's rules.
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

/// The framework's own functions of an audio processor, which are the same for all instances.
struct Framework {
    set_up: SetUp,
    process: process::Process,
}

/// An audio processor's function table with the fixes, and the framework's functions that it calls.
static PROCESSOR: OnceLock<(IAudioProcessorVtbl, Framework)> = OnceLock::new();
/// An edit controller's function table: with the fixes, and the framework's own.
static CONTROLLER: OnceLock<(IEditControllerVtbl, IEditControllerVtbl)> = OnceLock::new();

/// Replaces the function tables of a new instance, which nothing else uses yet, with the fixed ones.
fn fix<P: Vst3Plugin>(instance: &ComWrapper<Wrapper<P>>) {
    let processor = instance.as_com_ref::<IAudioProcessor>().map(|processor| processor.as_ptr());
    let controller = instance.as_com_ref::<IEditController>().map(|controller| controller.as_ptr());
    let (Some(processor), Some(controller)) = (processor, controller) else {
        return;
    };
    // SAFETY: each interface begins with a pointer to its function table, which is the same for all instances and lives
    // forever; the pointer itself lies in the instance's memory.
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

/// Sets the instance up twice; see the [module](self).
unsafe extern "system" fn set_up(processor: *mut IAudioProcessor, setup: *mut ProcessSetup) -> tresult {
    let Some((_, framework)) = PROCESSOR.get() else {
        return kInvalidArgument;
    };
    // SAFETY: the host's arguments, unchanged.
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
    // SAFETY: the host's arguments, unchanged.
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
    // SAFETY: the host's arguments, unchanged.
    unsafe { texts::read(framework, controller, id, text, value) }
}

/// See [`view`].
unsafe extern "system" fn create_view(controller: *mut IEditController, name: FIDString) -> *mut IPlugView {
    let Some((_, framework)) = CONTROLLER.get() else {
        return null_mut();
    };
    // SAFETY: the host's arguments, unchanged; the caller owns the view.
    unsafe { view::wrap((framework.createView)(controller, name), controller) }
}
