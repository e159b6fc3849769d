//! The window as a VST3 host sees it: a wrapper around the framework's view that fixes what nice-plug 0.4.2 leaves out
//! (`wrapper/vst3/view.rs`):
//!
//! * On Linux, whenever a view gets its frame, the framework registers a handler with a pair of sockets in the host's
//!   run loop (line 705). It never unregisters it, since the handler holds a reference to itself. Here the handler is
//!   unregistered when the view loses its frame or is dropped. Also, the framework panics if the run loop refuses the
//!   handler (line 384), which aborts the host.
//! * Letter keys that a host offers are not forwarded: see [`crate::letter`].
//! * A content scale that the host sets before the window opens, as hosts do, is forgotten (line 796). A scale of zero
//!   is accepted (line 792).
//! * A dropped view leaves its window open, and a view does not hold a reference to its instance, as a view based on
//!   the SDK does. An instance that is dropped before its window takes away what the window's thread asks for
//!   (`wrapper/vst3/context.rs`, lines 389 to 497); the thread panics and the host is aborted. Here a view holds its
//!   instance and closes its window when it is dropped.
//!
//! Remove this when `upstream_leaves_a_handler_behind`, `upstream_forgets_the_scale` and
//! `upstream_outlives_its_instance` fail.

use std::ffi::c_void;
use std::mem;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nice_plug::wrapper::vst3::vst3::Steinberg::IPlugViewContentScaleSupport_::ScaleFactor;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::IEditController;
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    FIDString, IPlugFrame, IPlugFrameTrait, IPlugView, IPlugViewContentScaleSupport, IPlugViewContentScaleSupportTrait,
    IPlugViewTrait, TBool, ViewRect, char16, int16, kResultFalse, kResultOk, tresult,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComPtr, ComRef, ComWrapper};

#[cfg(target_os = "linux")]
use self::run_loop::LoopFrame;
use crate::letter;
use crate::window::is_scale;

/// VST3's key code for Help, which stands in for letters, and the first key code that stands for a character.
const HELP: int16 = 23;
const FIRST_ASCII: int16 = 128;

/// The framework's view, and what the host has set on it.
struct View {
    framework: ComPtr<IPlugView>,
    /// Its instance, which must outlive it.
    _instance: Option<ComPtr<IEditController>>,
    /// Whether the window is open.
    attached: AtomicBool,
    /// This view, as the host knows it.
    itself: AtomicPtr<IPlugView>,
    frame_slot: Mutex<FrameSlot>,
    scale: Mutex<Option<ScaleFactor>>,
}

/// What the framework's view has as its frame.
enum FrameSlot {
    None,
    Frame(ComWrapper<Frame>),
    #[cfg(target_os = "linux")]
    Loop(ComWrapper<LoopFrame>),
}

/// Stands in for the host's frame: passes the framework's calls on, with our view instead of the framework's.
struct Frame {
    host: ComPtr<IPlugFrame>,
    /// Our view, as the host knows it; it outlives this frame.
    view: *mut IPlugView,
}

/// Wraps the framework's view for the host.
///
/// # Safety
/// `framework` is null or a reference that the caller gives away; `instance` is null or the instance that created the
/// view.
pub unsafe fn wrap(framework: *mut IPlugView, instance: *mut IEditController) -> *mut IPlugView {
    // SAFETY: promised by the caller.
    let (framework, instance) = unsafe { (ComPtr::from_raw(framework), ComRef::from_raw(instance)) };
    let Some(framework) = framework else {
        return null_mut();
    };
    let view = ComWrapper::new(View {
        framework,
        _instance: instance.map(|instance| instance.to_com_ptr()),
        attached: AtomicBool::new(false),
        itself: AtomicPtr::default(),
        frame_slot: Mutex::new(FrameSlot::None),
        scale: Mutex::new(None),
    });
    let itself = view.to_com_ptr::<IPlugView>().map_or(null_mut(), ComPtr::into_raw);
    view.itself.store(itself, Ordering::Relaxed);
    itself
}

/// Locks a mutex. Only the window's thread uses these, so it never waits.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Class for View {
    type Interfaces = (IPlugView, IPlugViewContentScaleSupport);
}

impl View {
    /// Sets the framework's view on another frame, and unregisters what it registered through the previous one.
    fn set_frame(&self, frame_slot: FrameSlot) -> tresult {
        let frame = match &frame_slot {
            FrameSlot::None => None,
            FrameSlot::Frame(frame) => frame.as_com_ref::<IPlugFrame>(),
            #[cfg(target_os = "linux")]
            FrameSlot::Loop(frame) => frame.as_com_ref::<IPlugFrame>(),
        };
        // SAFETY: null or a frame that lives as long as it is in use.
        let result = unsafe { self.framework.setFrame(frame.map_or(null_mut(), |frame| frame.as_ptr())) };
        let before = mem::replace(&mut *lock(&self.frame_slot), frame_slot);
        #[cfg(target_os = "linux")]
        if let FrameSlot::Loop(frame) = &before {
            frame.clear();
        }
        drop(before);
        result
    }

    /// Passes a content scale on to the framework's view.
    fn set_scale(&self, scale: ScaleFactor) -> tresult {
        let zoomed = self.framework.cast::<IPlugViewContentScaleSupport>();
        // SAFETY: a call from the host, passed on.
        zoomed.map_or(kResultFalse, |zoomed| unsafe { zoomed.setContentScaleFactor(scale) })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if *self.attached.get_mut() {
            // SAFETY: called as a host would, to close the window.
            unsafe { self.framework.removed() };
        }
        self.set_frame(FrameSlot::None);
    }
}

/// Passes a key on; letters go the way that [`crate::letter`] describes.
fn with_letter(key: char16, code: int16, call: impl FnOnce(int16) -> tresult) -> tresult {
    #[allow(clippy::unnecessary_cast, reason = "the interface's character type differs between systems")]
    let letter = char::from_u32(key as u32).filter(|letter| !letter.is_control() && *letter != ' ');
    match letter.filter(|_| code == 0 || code >= FIRST_ASCII) {
        Some(letter) => letter::beside(letter, || call(HELP)),
        None => call(code),
    }
}

impl IPlugViewTrait for View {
    unsafe fn isPlatformTypeSupported(&self, kind: FIDString) -> tresult {
        // SAFETY: the host's arguments, unchanged.
        unsafe { self.framework.isPlatformTypeSupported(kind) }
    }

    unsafe fn attached(&self, parent: *mut c_void, kind: FIDString) -> tresult {
        // SAFETY: the host's arguments, unchanged.
        let result = unsafe { self.framework.attached(parent, kind) };
        if result == kResultOk {
            self.attached.store(true, Ordering::Relaxed);
            let scale = *lock(&self.scale);
            if let Some(scale) = scale {
                self.set_scale(scale);
            }
        }
        result
    }

    unsafe fn removed(&self) -> tresult {
        self.attached.store(false, Ordering::Relaxed);
        // SAFETY: the host's arguments, unchanged.
        unsafe { self.framework.removed() }
    }

    unsafe fn onWheel(&self, distance: f32) -> tresult {
        // SAFETY: the host's arguments, unchanged.
        unsafe { self.framework.onWheel(distance) }
    }

    unsafe fn onKeyDown(&self, key: char16, code: int16, modifiers: int16) -> tresult {
        // SAFETY: the host's arguments, apart from the code, which may be Help for a letter.
        with_letter(key, code, |code| unsafe { self.framework.onKeyDown(key, code, modifiers) })
    }

    unsafe fn onKeyUp(&self, key: char16, code: int16, modifiers: int16) -> tresult {
        // SAFETY: as above.
        with_letter(key, code, |code| unsafe { self.framework.onKeyUp(key, code, modifiers) })
    }

    unsafe fn getSize(&self, size: *mut ViewRect) -> tresult {
        // SAFETY: the host's arguments, unchanged.
        unsafe { self.framework.getSize(size) }
    }

    unsafe fn onSize(&self, size: *mut ViewRect) -> tresult {
        // SAFETY: the host's arguments, unchanged.
        unsafe { self.framework.onSize(size) }
    }

    unsafe fn onFocus(&self, state: TBool) -> tresult {
        // SAFETY: the host's arguments, unchanged.
        unsafe { self.framework.onFocus(state) }
    }

    unsafe fn setFrame(&self, frame: *mut IPlugFrame) -> tresult {
        // SAFETY: null or a frame from the host.
        let Some(frame) = (unsafe { ComRef::from_raw(frame) }) else {
            return self.set_frame(FrameSlot::None);
        };
        let host = frame.to_com_ptr();
        #[cfg(target_os = "linux")]
        let run_loop = frame.cast();
        let frame = Frame { host, view: self.itself.load(Ordering::Relaxed) };
        #[cfg(target_os = "linux")]
        if let Some(run_loop) = run_loop {
            return self.set_frame(FrameSlot::Loop(ComWrapper::new(LoopFrame::new(frame, run_loop))));
        }
        self.set_frame(FrameSlot::Frame(ComWrapper::new(frame)))
    }

    unsafe fn canResize(&self) -> tresult {
        // SAFETY: the host's arguments, unchanged.
        unsafe { self.framework.canResize() }
    }

    unsafe fn checkSizeConstraint(&self, rect: *mut ViewRect) -> tresult {
        // SAFETY: the host's arguments, unchanged.
        unsafe { self.framework.checkSizeConstraint(rect) }
    }
}

impl IPlugViewContentScaleSupportTrait for View {
    unsafe fn setContentScaleFactor(&self, scale: ScaleFactor) -> tresult {
        if !is_scale(scale.into()) {
            return kResultFalse;
        }
        *lock(&self.scale) = Some(scale);
        // Before the window opens this has no effect; `attached` sets it again.
        self.set_scale(scale);
        kResultOk
    }
}

impl Class for Frame {
    type Interfaces = (IPlugFrame,);
}

impl IPlugFrameTrait for Frame {
    unsafe fn resizeView(&self, _: *mut IPlugView, size: *mut ViewRect) -> tresult {
        // SAFETY: the view that the host knows, and the framework's size.
        unsafe { self.host.resizeView(self.view, size) }
    }
}

/// Frames that also offer the host's run loop.
#[cfg(target_os = "linux")]
mod run_loop {
    use nice_plug::wrapper::vst3::vst3::Steinberg::FUnknown;
    use nice_plug::wrapper::vst3::vst3::Steinberg::Linux::{
        FileDescriptor, IEventHandler, IRunLoop, IRunLoopTrait, ITimerHandler, TimerInterval,
    };

    use super::*;

    /// The host's frame, its run loop, and the handler that the framework has registered there.
    pub struct LoopFrame {
        frame: Frame,
        host: ComPtr<IRunLoop>,
        /// The handler, and whether the host accepted it.
        left: Mutex<Option<(ComPtr<IEventHandler>, bool)>>,
    }

    impl LoopFrame {
        pub fn new(frame: Frame, host: ComPtr<IRunLoop>) -> Self {
            Self { frame, host, left: Mutex::new(None) }
        }

        /// Unregisters the handler. Call it when the framework's view no longer uses this frame.
        pub fn clear(&self) {
            let Some((left, taken)) = lock(&self.left).take() else {
                return;
            };
            let left = left.into_raw();
            // SAFETY: `left` is one reference. If exactly one is left after releasing it, that is the handler's
            // reference to itself, which nothing else would release; releasing it closes the handler's sockets.
            unsafe {
                if taken {
                    self.host.unregisterEventHandler(left);
                }
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
            // SAFETY: the caller's arguments, unchanged.
            unsafe { self.frame.resizeView(view, size) }
        }
    }

    impl IRunLoopTrait for LoopFrame {
        unsafe fn registerEventHandler(&self, handler: *mut IEventHandler, file: FileDescriptor) -> tresult {
            // SAFETY: the caller's arguments, unchanged.
            let taken = unsafe { self.host.registerEventHandler(handler, file) } == kResultOk;
            // SAFETY: the framework's handler, or null.
            let handler = unsafe { ComRef::from_raw(handler) };
            *lock(&self.left) = handler.map(|handler| (handler.to_com_ptr(), taken));
            // On anything else the framework panics (line 384).
            kResultOk
        }

        unsafe fn unregisterEventHandler(&self, _: *mut IEventHandler) -> tresult {
            // Called when the handler is dropped, after `clear` has already unregistered it.
            kResultOk
        }

        unsafe fn registerTimer(&self, handler: *mut ITimerHandler, milliseconds: TimerInterval) -> tresult {
            // SAFETY: the caller's arguments, unchanged.
            unsafe { self.host.registerTimer(handler, milliseconds) }
        }

        unsafe fn unregisterTimer(&self, handler: *mut ITimerHandler) -> tresult {
            // SAFETY: the caller's arguments, unchanged.
            unsafe { self.host.unregisterTimer(handler) }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::ptr::null;

    use nice_plug::wrapper::vst3::vst3::Steinberg::Linux::{
        FileDescriptor, IEventHandler, IEventHandlerTrait, IRunLoop, IRunLoopTrait, ITimerHandler, TimerInterval,
    };
    use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{IComponent, IEditController, IEditControllerTrait};
    use nice_plug::wrapper::vst3::vst3::Steinberg::kNotImplemented;

    use super::*;
    use crate::tests::seen;
    use crate::tests::vst3::{component, upstream};

    /// A host's window: the view that asked to be resized, and the handlers in its run loop.
    #[derive(Default)]
    struct Window {
        refuses: bool,
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
            if self.refuses {
                return kResultFalse;
            }
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

    /// What a file descriptor of this process refers to; every socket has a unique name.
    fn file(number: FileDescriptor) -> Option<PathBuf> {
        fs::read_link(format!("/proc/self/fd/{number}")).ok()
    }

    #[test]
    fn a_view_that_goes_leaves_nothing_in_the_hosts_run_loop() {
        // SAFETY: pointers that earlier calls returned and that are still valid.
        unsafe {
            let component = component();
            let controller = component.cast::<IEditController>().unwrap();
            let window = ComWrapper::new(Window::default());
            let frame = window.as_com_ref::<IPlugFrame>().unwrap().as_ptr();
            for takes_leave in [true, false] {
                let view = ComPtr::from_raw(controller.createView(null())).unwrap();
                let mut sockets = Vec::new();
                // A host may also replace the frame.
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
        // SAFETY: pointers that earlier calls returned and that are still valid.
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

    /// A view of this instance, as a host gets it.
    fn view(component: &ComPtr<IComponent>) -> ComPtr<IPlugView> {
        let controller = component.cast::<IEditController>().unwrap();
        // SAFETY: the caller owns the view.
        unsafe { ComPtr::from_raw(controller.createView(null())).unwrap() }
    }

    /// Opens a window.
    fn attach(view: &ComPtr<IPlugView>) {
        // SAFETY: the tests' windows do not use their parent.
        assert_eq!(unsafe { view.attached(std::ptr::dangling_mut(), c"X11EmbedWindowID".as_ptr()) }, kResultOk);
    }

    #[test]
    fn a_scale_holds_for_the_window_that_opens_next() {
        let view = view(&component());
        let zoomed = view.cast::<IPlugViewContentScaleSupport>().unwrap();
        for (scale, result) in [
            (0.0, kResultFalse),
            (-1.0, kResultFalse),
            (f32::NAN, kResultFalse),
            (f32::INFINITY, kResultFalse),
            (2.0, kResultOk),
        ] {
            // SAFETY: called as a host would.
            assert_eq!(unsafe { zoomed.setContentScaleFactor(scale) }, result, "{scale}");
        }
        attach(&view);
        assert_eq!(seen(|seen| seen.scales.clone()), [2.0]);
    }

    #[test]
    fn a_view_closes_its_window_and_goes_before_its_instance() {
        for panics in [false, true] {
            seen(|seen| seen.panics = panics);
            let instance = component();
            let view = view(&instance);
            attach(&view);
            drop(instance);
            assert_eq!(seen(|seen| seen.windows), 1, "the instance lives while its view does");
            drop(view);
            assert_eq!(seen(|seen| seen.windows), 0);
        }
    }

    #[test]
    fn a_run_loop_may_refuse() {
        // SAFETY: pointers that earlier calls returned and that are still valid.
        unsafe {
            let window = ComWrapper::new(Window { refuses: true, ..Window::default() });
            let view = view(&component());
            assert_eq!(view.setFrame(window.as_com_ref::<IPlugFrame>().unwrap().as_ptr()), kResultOk);
            drop(view);
        }
    }

    #[test]
    fn upstream_leaves_a_handler_behind() {
        // SAFETY: pointers that earlier calls returned and that are still valid.
        unsafe {
            let window = ComWrapper::new(Window::default());
            let instance = upstream();
            let view = view(&instance);
            view.setFrame(window.as_com_ref::<IPlugFrame>().unwrap().as_ptr());
            view.setFrame(null_mut());
            drop(view);
            assert!(!lock(&window.handlers).is_empty(), "fixed upstream: `run_loop` can be removed");
        }
    }

    #[test]
    fn upstream_forgets_the_scale() {
        let instance = upstream();
        let view = view(&instance);
        // SAFETY: called as a host would.
        unsafe { view.cast::<IPlugViewContentScaleSupport>().unwrap().setContentScaleFactor(2.0) };
        attach(&view);
        assert!(seen(|seen| seen.scales.is_empty()), "fixed upstream: `View::scale` can be removed");
        // SAFETY: called as a host would.
        unsafe { view.removed() };
    }

    #[test]
    fn upstream_outlives_its_instance() {
        let instance = upstream();
        let view = view(&instance);
        attach(&view);
        drop(instance);
        assert_eq!(seen(|seen| seen.windows), 0, "fixed upstream: `View` no longer needs to hold its instance");
        drop(view);
    }
}
