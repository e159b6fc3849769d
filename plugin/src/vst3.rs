//! The door by which VST3 hosts come in: one class, and the module's entry points.
//!
//! nice-plug has such a door ready, `nice_export_vst3!`, but behind it (0.4.2) an instance learns of an offline render one
//! set-up too late: `setupProcessing` stores the mode of the one before with what activation is told, and the new mode only
//! then. A bounce would not wait for the model, and after it the live audio thread would. Here each instance is set
//! up twice with the same, so that the second time stores the mode of the first. Its windows are mended in [`view`].

pub mod view;

use std::ffi::c_void;
use std::sync::OnceLock;

use nice_plug::wrapper::setup_logger;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    IAudioProcessor, IAudioProcessorVtbl, IEditController, IEditControllerVtbl, ProcessSetup,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    FIDString, FUnknown, IPlugView, IPluginFactory, IPluginFactory2, IPluginFactory2Trait, IPluginFactory3,
    IPluginFactory3Trait, IPluginFactoryTrait, PClassInfo, PClassInfo2, PClassInfoW, PFactoryInfo, TUID, int32,
    kInvalidArgument, kResultOk, tresult,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComWrapper};
use nice_plug::wrapper::vst3::{PluginInfo, Wrapper};

use crate::{Antiphon, Vst3};

/// Makes instances.
struct Factory(PluginInfo);

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
        unsafe { out.write(info(&self.0)) };
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
        if unsafe { class.cast::<[u8; 16]>().read_unaligned() } != *self.0.cid {
            return kInvalidArgument;
        }
        let instance = ComWrapper::new(Wrapper::<Antiphon<Vst3>>::new());
        mend(&instance);
        let Some(unknown) = instance.as_com_ref::<FUnknown>().map(|unknown| unknown.as_ptr()) else {
            return kInvalidArgument;
        };
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
type CreateView = unsafe extern "system" fn(*mut IEditController, FIDString) -> *mut IPlugView;

/// The functions of an audio processor's, with the set-up mended, and that of the framework.
static PROCESSOR: OnceLock<(IAudioProcessorVtbl, SetUp)> = OnceLock::new();
/// The same of a controller's, with windows mended.
static CONTROLLER: OnceLock<(IEditControllerVtbl, CreateView)> = OnceLock::new();

/// Gives an instance, which nobody else knows yet, the mended functions.
fn mend(instance: &ComWrapper<Wrapper<Antiphon<Vst3>>>) {
    let processor = instance.as_com_ref::<IAudioProcessor>().map(|processor| processor.as_ptr());
    let controller = instance.as_com_ref::<IEditController>().map(|controller| controller.as_ptr());
    let (Some(processor), Some(controller)) = (processor, controller) else {
        return;
    };
    // SAFETY: each begins with a pointer to its functions, which are the same for all instances and for ever, and lies in
    // the instance's own memory.
    unsafe {
        let (mended, _) = PROCESSOR.get_or_init(|| {
            let theirs = (*processor).vtbl.read();
            (IAudioProcessorVtbl { setupProcessing: set_up, ..theirs }, theirs.setupProcessing)
        });
        (*processor).vtbl = mended;
        let (mended, _) = CONTROLLER.get_or_init(|| {
            let theirs = (*controller).vtbl.read();
            (IEditControllerVtbl { createView: create_view, ..theirs }, theirs.createView)
        });
        (*controller).vtbl = mended;
    }
}

/// See the [module](self).
unsafe extern "system" fn set_up(processor: *mut IAudioProcessor, setup: *mut ProcessSetup) -> tresult {
    let Some((_, theirs)) = PROCESSOR.get() else {
        return kInvalidArgument;
    };
    // SAFETY: called as the host has called.
    unsafe {
        theirs(processor, setup);
        theirs(processor, setup)
    }
}

/// See [`view`].
unsafe extern "system" fn create_view(controller: *mut IEditController, name: FIDString) -> *mut IPlugView {
    let Some((_, theirs)) = CONTROLLER.get() else {
        return std::ptr::null_mut();
    };
    // SAFETY: called as the host has called; the view is the caller's.
    unsafe { view::wrap(theirs(controller, name)) }
}

/// Where hosts begin.
#[unsafe(no_mangle)]
pub extern "system" fn GetPluginFactory() -> *mut c_void {
    let factory = ComWrapper::new(Factory(PluginInfo::for_plugin::<Antiphon<Vst3>>()));
    factory.to_com_ptr::<IPluginFactory>().map_or(std::ptr::null_mut(), |factory| factory.into_raw().cast())
}

/// The library is loaded: Linux.
#[cfg(all(unix, not(target_os = "macos")))]
#[unsafe(no_mangle)]
pub extern "C" fn ModuleEntry(_: *mut c_void) -> bool {
    setup_logger::<Antiphon<Vst3>>();
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
pub extern "C" fn bundleEntry(_: *mut c_void) -> bool {
    setup_logger::<Antiphon<Vst3>>();
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
    setup_logger::<Antiphon<Vst3>>();
    true
}

/// It is no longer needed: Windows.
#[cfg(windows)]
#[unsafe(no_mangle)]
pub extern "system" fn ExitDll() -> bool {
    true
}

#[cfg(test)]
#[allow(clippy::unnecessary_cast, reason = "on Windows the interface's enumerations have another type")]
pub mod tests {
    use nice_plug::prelude::{ProcessMode, Vst3Plugin};
    use nice_plug::wrapper::vst3::vst3::ComPtr;
    use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
        IAudioProcessorTrait, IComponent, IComponent_iid, IComponentTrait, ProcessModes_, SymbolicSampleSizes_,
    };

    use super::*;
    use crate::tests::activations;

    /// An instance, as hosts come by it.
    pub fn component() -> ComPtr<IComponent> {
        instance(<Antiphon<Vst3>>::PLATFORM_VST3_CLASS_ID).unwrap()
    }

    fn instance(class: [u8; 16]) -> Option<ComPtr<IComponent>> {
        // SAFETY: pointers that the calls before have given, as long as they live.
        unsafe {
            let factory = ComPtr::from_raw(GetPluginFactory().cast::<IPluginFactory>()).unwrap();
            let mut instance = std::ptr::null_mut();
            let interface = IComponent_iid;
            let made = factory.createInstance(class.as_ptr().cast(), interface.as_ptr(), &mut instance);
            assert_eq!(made == kResultOk, !instance.is_null());
            ComPtr::from_raw(instance.cast::<IComponent>())
        }
    }

    #[test]
    fn there_is_one_class() {
        let mut other = <Antiphon<Vst3>>::PLATFORM_VST3_CLASS_ID;
        other[0] ^= 1;
        assert!(instance(other).is_none());
    }

    /// As a host does that exports, and then plays on.
    #[test]
    fn an_instance_learns_of_an_offline_render_at_once() {
        // SAFETY: pointers that the calls before have given, as long as they live.
        unsafe {
            let component = component();
            let processor = component.cast::<IAudioProcessor>().unwrap();
            let cases = [
                (ProcessModes_::kRealtime, ProcessMode::Realtime),
                (ProcessModes_::kOffline, ProcessMode::Offline),
                (ProcessModes_::kRealtime, ProcessMode::Realtime),
            ];
            for (mode, expected) in cases {
                let mut setup = ProcessSetup {
                    processMode: mode as i32,
                    symbolicSampleSize: SymbolicSampleSizes_::kSample32 as i32,
                    maxSamplesPerBlock: 512,
                    sampleRate: 12_345.0,
                };
                assert_eq!(processor.setupProcessing(&mut setup), kResultOk);
                assert_eq!(component.setActive(1), kResultOk);
                assert_eq!(activations(12_345.0), Some(expected));
                assert_eq!(component.setActive(0), kResultOk);
            }
        }
    }
}
