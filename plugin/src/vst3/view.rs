//! What a VST3 host holds of the window: the framework's view, and between the two what the framework (nice-plug 0.4.2)
//! leaves out.
//!
//! * On Linux the framework hands the host's run loop a handler with a pair of sockets whenever a view gets its frame,
//!   and never takes it back, as the handler holds itself. Here it is taken back with the frame, or with the view.
//! * Of the keys that a host offers, letters are not handed on.
//! * How large things are to be is forgotten if the host says so before the window opens, as hosts do.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nice_plug::wrapper::vst3::vst3::Steinberg::IPlugViewContentScaleSupport_::ScaleFactor;
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    FIDString, IPlugFrame, IPlugFrameTrait, IPlugView, IPlugViewContentScaleSupport, IPlugViewContentScaleSupportTrait,
    IPlugViewTrait, TBool, ViewRect, char16, int16, kResultFalse, kResultOk, tresult,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComPtr, ComRef, ComWrapper};

#[cfg(target_os = "linux")]
use self::run_loop::LoopFrame;

/// VST3's code of the key that letters travel beside, and the first of those that stand for letters.
const HELP: int16 = 23;
const FIRST_ASCII: int16 = 128;

/// The framework's view, and what the host has said of it.
struct View {
    theirs: ComPtr<IPlugView>,
    /// This view as the host knows it.
    itself: AtomicPtr<IPlugView>,
    seat: Mutex<Seat>,
    scale: Mutex<Option<ScaleFactor>>,
}

/// What the view sits in.
enum Seat {
    None,
    Frame(ComWrapper<Frame>),
    #[cfg(target_os = "linux")]
    Loop(ComWrapper<LoopFrame>),
}

/// The host's frame, for the framework's view in the place of the host's.
struct Frame {
    host: ComPtr<IPlugFrame>,
    /// As the host knows it; it outlives this.
    view: *mut IPlugView,
}

/// What a host is given in place of the framework's view.
///
/// # Safety
/// Null, or a reference that is the caller's to give away.
pub unsafe fn wrap(theirs: *mut IPlugView) -> *mut IPlugView {
    // SAFETY: promised by the caller.
    let Some(theirs) = (unsafe { ComPtr::from_raw(theirs) }) else {
        return theirs;
    };
    let view = ComWrapper::new(View {
        theirs,
        itself: AtomicPtr::default(),
        seat: Mutex::new(Seat::None),
        scale: Mutex::new(None),
    });
    let itself = view.to_com_ptr::<IPlugView>().map_or(std::ptr::null_mut(), ComPtr::into_raw);
    view.itself.store(itself, Ordering::Relaxed);
    itself
}

/// All of this is the window's thread's; a lock is only for form's sake.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Class for View {
    type Interfaces = (IPlugView, IPlugViewContentScaleSupport);
}

impl View {
    /// Gives the framework's view another seat, and takes back what it has left at the one before.
    fn sit(&self, seat: Seat) -> tresult {
        let frame = match &seat {
            Seat::None => None,
            Seat::Frame(frame) => frame.as_com_ref::<IPlugFrame>(),
            #[cfg(target_os = "linux")]
            Seat::Loop(frame) => frame.as_com_ref::<IPlugFrame>(),
        };
        // SAFETY: null or a frame that lives as long as the seat is taken.
        let result = unsafe { self.theirs.setFrame(frame.map_or(std::ptr::null_mut(), |frame| frame.as_ptr())) };
        let before = mem::replace(&mut *lock(&self.seat), seat);
        #[cfg(target_os = "linux")]
        if let Seat::Loop(frame) = &before {
            frame.clear();
        }
        drop(before);
        result
    }

    /// Tells the framework's view how large things are to be.
    fn zoom(&self, scale: ScaleFactor) -> tresult {
        let zoomed = self.theirs.cast::<IPlugViewContentScaleSupport>();
        // SAFETY: a call of the host's, handed on.
        zoomed.map_or(kResultFalse, |zoomed| unsafe { zoomed.setContentScaleFactor(scale) })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.sit(Seat::None);
    }
}

thread_local! {
    /// The letter that the host offers.
    static LETTER: Cell<Option<char>> = const { Cell::new(None) };
}

/// The letter that the host offers beside the key Help.
pub fn letter() -> Option<char> {
    LETTER.get()
}

/// Hands a key on. The framework drops letters (`wrapper/vst3/view.rs`, `dispatch_virtual_key`): for the time of the call
/// one travels beside a key that no window uses.
fn hand_on(key: char16, code: int16, call: impl FnOnce(int16) -> tresult) -> tresult {
    #[allow(clippy::unnecessary_cast, reason = "the interface's characters are of another type on each system")]
    let offered = char::from_u32(key as u32).filter(|letter| !letter.is_control() && *letter != ' ');
    LETTER.set(offered.filter(|_| code == 0 || code >= FIRST_ASCII));
    let result = call(if LETTER.get().is_some() { HELP } else { code });
    LETTER.set(None);
    result
}

impl IPlugViewTrait for View {
    unsafe fn isPlatformTypeSupported(&self, kind: FIDString) -> tresult {
        // SAFETY: as the host has called.
        unsafe { self.theirs.isPlatformTypeSupported(kind) }
    }

    unsafe fn attached(&self, parent: *mut c_void, kind: FIDString) -> tresult {
        // SAFETY: as the host has called.
        let result = unsafe { self.theirs.attached(parent, kind) };
        let scale = *lock(&self.scale);
        if let Some(scale) = scale.filter(|_| result == kResultOk) {
            self.zoom(scale);
        }
        result
    }

    unsafe fn removed(&self) -> tresult {
        // SAFETY: as the host has called.
        unsafe { self.theirs.removed() }
    }

    unsafe fn onWheel(&self, distance: f32) -> tresult {
        // SAFETY: as the host has called.
        unsafe { self.theirs.onWheel(distance) }
    }

    unsafe fn onKeyDown(&self, key: char16, code: int16, modifiers: int16) -> tresult {
        // SAFETY: as the host has called, or with a code that stands for a letter.
        hand_on(key, code, |code| unsafe { self.theirs.onKeyDown(key, code, modifiers) })
    }

    unsafe fn onKeyUp(&self, key: char16, code: int16, modifiers: int16) -> tresult {
        // SAFETY: as above.
        hand_on(key, code, |code| unsafe { self.theirs.onKeyUp(key, code, modifiers) })
    }

    unsafe fn getSize(&self, size: *mut ViewRect) -> tresult {
        // SAFETY: as the host has called.
        unsafe { self.theirs.getSize(size) }
    }

    unsafe fn onSize(&self, size: *mut ViewRect) -> tresult {
        // SAFETY: as the host has called.
        unsafe { self.theirs.onSize(size) }
    }

    unsafe fn onFocus(&self, state: TBool) -> tresult {
        // SAFETY: as the host has called.
        unsafe { self.theirs.onFocus(state) }
    }

    unsafe fn setFrame(&self, frame: *mut IPlugFrame) -> tresult {
        // SAFETY: null or the host's frame.
        let Some(frame) = (unsafe { ComRef::from_raw(frame) }) else {
            return self.sit(Seat::None);
        };
        let host = frame.to_com_ptr();
        #[cfg(target_os = "linux")]
        let run_loop = frame.cast();
        let frame = Frame { host, view: self.itself.load(Ordering::Relaxed) };
        #[cfg(target_os = "linux")]
        if let Some(run_loop) = run_loop {
            return self.sit(Seat::Loop(ComWrapper::new(LoopFrame::new(frame, run_loop))));
        }
        self.sit(Seat::Frame(ComWrapper::new(frame)))
    }

    unsafe fn canResize(&self) -> tresult {
        // SAFETY: as the host has called.
        unsafe { self.theirs.canResize() }
    }

    unsafe fn checkSizeConstraint(&self, rect: *mut ViewRect) -> tresult {
        // SAFETY: as the host has called.
        unsafe { self.theirs.checkSizeConstraint(rect) }
    }
}

impl IPlugViewContentScaleSupportTrait for View {
    unsafe fn setContentScaleFactor(&self, scale: ScaleFactor) -> tresult {
        if !(scale.is_finite() && scale > 0.0) {
            return kResultFalse;
        }
        *lock(&self.scale) = Some(scale);
        // Without a window it is for the next one.
        self.zoom(scale);
        kResultOk
    }
}

impl Class for Frame {
    type Interfaces = (IPlugFrame,);
}

impl IPlugFrameTrait for Frame {
    unsafe fn resizeView(&self, _: *mut IPlugView, size: *mut ViewRect) -> tresult {
        // SAFETY: the host's own view, and the framework's size.
        unsafe { self.host.resizeView(self.view, size) }
    }
}

/// A frame through which a host lends its run loop.
#[cfg(target_os = "linux")]
mod run_loop {
    use nice_plug::wrapper::vst3::vst3::Steinberg::FUnknown;
    use nice_plug::wrapper::vst3::vst3::Steinberg::Linux::{
        FileDescriptor, IEventHandler, IRunLoop, IRunLoopTrait, ITimerHandler, TimerInterval,
    };

    use super::*;

    /// The host's frame, its run loop, and what the framework has left there.
    pub struct LoopFrame {
        frame: Frame,
        host: ComPtr<IRunLoop>,
        left: Mutex<Option<ComPtr<IEventHandler>>>,
    }

    impl LoopFrame {
        pub fn new(frame: Frame, host: ComPtr<IRunLoop>) -> Self {
            Self { frame, host, left: Mutex::new(None) }
        }

        /// Takes back what is left there; to be called when the framework's view no longer sits here.
        pub fn clear(&self) {
            let Some(left) = lock(&self.left).take() else {
                return;
            };
            let left = left.into_raw();
            // SAFETY: `left` is one reference. The last one that is there after it is that of the handler to itself,
            // which nobody else lets go; with it the handler closes its sockets.
            unsafe {
                self.host.unregisterEventHandler(left);
                let release = (*(*left).vtbl).base.release;
                let left = left.cast::<FUnknown>();
                if release(left) == 1 {
                    release(left);
                }
            }
        }
    }

    impl Class for LoopFrame {
        type Interfaces = (IPlugFrame, IRunLoop);
    }

    impl IPlugFrameTrait for LoopFrame {
        unsafe fn resizeView(&self, view: *mut IPlugView, size: *mut ViewRect) -> tresult {
            // SAFETY: as it was called.
            unsafe { self.frame.resizeView(view, size) }
        }
    }

    impl IRunLoopTrait for LoopFrame {
        unsafe fn registerEventHandler(&self, handler: *mut IEventHandler, file: FileDescriptor) -> tresult {
            // SAFETY: the framework's handler, or null.
            let kept = unsafe { ComRef::from_raw(handler) }.map(|handler| handler.to_com_ptr());
            *lock(&self.left) = kept;
            // SAFETY: as it was called.
            unsafe { self.host.registerEventHandler(handler, file) }
        }

        unsafe fn unregisterEventHandler(&self, _: *mut IEventHandler) -> tresult {
            // By the handler's end, when it has been taken back.
            kResultOk
        }

        unsafe fn registerTimer(&self, handler: *mut ITimerHandler, milliseconds: TimerInterval) -> tresult {
            // SAFETY: as it was called.
            unsafe { self.host.registerTimer(handler, milliseconds) }
        }

        unsafe fn unregisterTimer(&self, handler: *mut ITimerHandler) -> tresult {
            // SAFETY: as it was called.
            unsafe { self.host.unregisterTimer(handler) }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::ptr::{null, null_mut};

    use nice_plug::wrapper::vst3::vst3::Steinberg::Linux::{
        FileDescriptor, IEventHandler, IEventHandlerTrait, IRunLoop, IRunLoopTrait, ITimerHandler, TimerInterval,
    };
    use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{IEditController, IEditControllerTrait};
    use nice_plug::wrapper::vst3::vst3::Steinberg::kNotImplemented;

    use super::*;
    use crate::vst3::tests::component;

    /// A host's window: whose size was asked for, and what its run loop listens to.
    #[derive(Default)]
    struct Window {
        resized: AtomicPtr<IPlugView>,
        handlers: Mutex<Vec<(ComPtr<IEventHandler>, FileDescriptor)>>,
    }

    impl Class for Window {
        type Interfaces = (IPlugFrame, IRunLoop);
    }

    impl IPlugFrameTrait for Window {
        unsafe fn resizeView(&self, view: *mut IPlugView, _: *mut ViewRect) -> tresult {
            self.resized.store(view, Ordering::Relaxed);
            kResultOk
        }
    }

    impl IRunLoopTrait for Window {
        unsafe fn registerEventHandler(&self, handler: *mut IEventHandler, file: FileDescriptor) -> tresult {
            // SAFETY: null or a handler.
            let handler = unsafe { ComRef::from_raw(handler) }.unwrap().to_com_ptr();
            lock(&self.handlers).push((handler, file));
            kResultOk
        }

        unsafe fn unregisterEventHandler(&self, handler: *mut IEventHandler) -> tresult {
            let mut handlers = lock(&self.handlers);
            let place = handlers.iter().position(|(known, _)| known.as_ptr() == handler).unwrap();
            let gone = handlers.remove(place);
            drop(handlers);
            drop(gone);
            kResultOk
        }

        unsafe fn registerTimer(&self, _: *mut ITimerHandler, _: TimerInterval) -> tresult {
            kNotImplemented
        }

        unsafe fn unregisterTimer(&self, _: *mut ITimerHandler) -> tresult {
            kNotImplemented
        }
    }

    /// What a file of this process is: a socket has a number of its own.
    fn file(number: FileDescriptor) -> Option<PathBuf> {
        fs::read_link(format!("/proc/self/fd/{number}")).ok()
    }

    #[test]
    fn a_view_that_goes_leaves_nothing_in_the_hosts_run_loop() {
        // SAFETY: pointers that the calls before have given, as long as they live.
        unsafe {
            let component = component();
            let controller = component.cast::<IEditController>().unwrap();
            let window = ComWrapper::new(Window::default());
            let frame = window.as_com_ref::<IPlugFrame>().unwrap().as_ptr();
            for takes_leave in [true, false] {
                let view = ComPtr::from_raw(controller.createView(null())).unwrap();
                let mut sockets = Vec::new();
                // A host may give it another frame, too.
                for _ in 0..2 {
                    assert_eq!(view.setFrame(frame), kResultOk);
                    let (handler, number) = match &lock(&window.handlers)[..] {
                        [(handler, number)] => (handler.clone(), *number),
                        others => panic!("{} handlers", others.len()),
                    };
                    handler.onFDIsSet(number);
                    sockets.push((number, file(number).unwrap()));
                }
                if takes_leave {
                    assert_eq!(view.setFrame(null_mut()), kResultOk);
                    assert!(lock(&window.handlers).is_empty());
                }
                drop(view);
                assert!(lock(&window.handlers).is_empty());
                for (number, socket) in sockets {
                    assert_ne!(file(number), Some(socket), "it is still open");
                }
            }
        }
    }

    #[test]
    fn the_hosts_frame_hears_of_the_hosts_view() {
        // SAFETY: pointers that the calls before have given, as long as they live.
        unsafe {
            let component = component();
            let controller = component.cast::<IEditController>().unwrap();
            let view = ComPtr::from_raw(controller.createView(null())).unwrap();
            let zoomed = view.cast::<IPlugViewContentScaleSupport>().unwrap();
            assert_eq!(zoomed.setContentScaleFactor(2.0), kResultOk);
            assert_eq!(zoomed.setContentScaleFactor(f32::NAN), kResultFalse);
            let window = ComWrapper::new(Window::default());
            let host = window.to_com_ptr::<IPlugFrame>().unwrap();
            let frame = Frame { host: host.clone(), view: view.as_ptr() };
            let run_loop = host.cast().unwrap();
            let frame = ComWrapper::new(LoopFrame::new(frame, run_loop));
            let frame = frame.to_com_ptr::<IPlugFrame>().unwrap();
            let mut size = ViewRect { left: 0, top: 0, right: 1, bottom: 1 };
            assert_eq!(frame.resizeView(null_mut(), &mut size), kResultOk);
            assert_eq!(window.resized.load(Ordering::Relaxed), view.as_ptr());
        }
    }
}
