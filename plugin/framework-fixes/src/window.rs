//! A window that takes no host down with it, whatever the host says of its scale.
//!
//! baseview 0.4.2 hands the scale that a host suggests to the `dpi` crate, which panics at one that is zero, negative or
//! not a number (`platform/x11/sizing.rs`, line 117; `dpi`'s `validate_scale_factor`). nice-plug 0.4.2 lets all of them
//! through (`wrapper/clap/wrapper.rs`, line 2980). On Linux it is the window's own thread that panics, and when the window
//! is dropped, baseview throws the panic again (`platform/x11/window_thread.rs`, `Drop`, by way of `run_until_closed`),
//! in a function of the plug-in's that must not unwind: the host is aborted. The same becomes of any other panic on that
//! thread, such as egui-baseview 0.9.0's when a click finds that the host's window has just gone (`window.rs`, line 759).
//!
//! So here such scales are refused, and a panic ends where the window is dropped.
//!
//! Gone when `upstream_panics_at_a_scale_that_is_none` fails and baseview's `Drop` no longer calls `resume_unwind`.

use std::error;
use std::fmt;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::NativeSize;
use nice_plug::editor::{
    Editor, EditorHandle, HostMethods, Modifiers, ParentWindowHandle, ResizeHint, SpawnedEditor, VirtualKeyCode,
};
use nice_plug::prelude::TrackInfo;

/// Scales that a screen may have; beyond them no window has a size.
const SCALES: RangeInclusive<f64> = 0.1..=10.0;
/// Sides that a window may have, in pixels: X11 counts to 32,767.
const SIDES: RangeInclusive<u32> = 1..=32_767;

/// Whether a host's scale is one. No NaN lies in a range.
pub fn is_scale(scale: f64) -> bool {
    SCALES.contains(&scale)
}

/// An editor whose window is safe; see the [module](self).
pub struct Guarded<E>(pub E);

/// The handle of such an editor.
pub struct GuardedHandle<H>(H);

/// A window that may be dropped, whatever has become of it.
pub struct GuardedWindow<W>(Option<W>);

/// Why such a window has not done what it was told.
#[derive(Debug)]
pub enum Error<E> {
    /// A scale or a size that no window has.
    Refused,
    /// The window is closed already.
    Closed,
    /// The framework's own reason.
    Framework(E),
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("no window can have this scale or size"),
            Self::Closed => f.write_str("the window is closed"),
            Self::Framework(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> error::Error for Error<E> {}

impl<H> GuardedHandle<H> {
    #[cfg(test)]
    pub(crate) fn new(handle: H) -> Self {
        Self(handle)
    }
}

impl<W> GuardedWindow<W> {
    pub(crate) fn new(window: W) -> Self {
        Self(Some(window))
    }
}

impl<W> Drop for GuardedWindow<W> {
    fn drop(&mut self) {
        let window = self.0.take();
        // What it was has been logged by the panic's hook.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(window)));
    }
}

impl<E: Editor> Editor for Guarded<E> {
    type Handle = GuardedHandle<E::Handle>;

    fn spawn(
        &self,
        parent: Option<ParentWindowHandle>,
        wait_for_parent: bool,
        fallback_scale_factor: Option<f64>,
        gui_context: GuiContext,
        host: Option<HostMethods>,
    ) -> Result<SpawnedEditor<Self::Handle>, Box<dyn error::Error>> {
        let scale = fallback_scale_factor.filter(|scale| is_scale(*scale));
        let SpawnedEditor { handle, window } = self.0.spawn(parent, wait_for_parent, scale, gui_context, host)?;
        Ok(SpawnedEditor { handle: GuardedHandle(handle), window: GuardedWindow::new(window) })
    }

    fn size(&self) -> NativeSize<u32> {
        self.0.size()
    }

    fn resize_hint(&self) -> ResizeHint {
        self.0.resize_hint()
    }

    fn track_info_updated(&self, info: TrackInfo) {
        self.0.track_info_updated(info);
    }

    unsafe fn assume_standalone_in_process(&self) {
        // SAFETY: as the caller has promised.
        unsafe { self.0.assume_standalone_in_process() }
    }
}

/// Does something to the framework's window.
fn with<W, E>(window: &GuardedWindow<W>, act: impl FnOnce(&W) -> Result<(), E>) -> Result<(), Error<E>> {
    act(window.0.as_ref().ok_or(Error::Closed)?).map_err(Error::Framework)
}

impl<H: EditorHandle> EditorHandle for GuardedHandle<H> {
    type Window = GuardedWindow<H::Window>;
    type Error = Error<H::Error>;

    fn run_until_closed(mut window: Self::Window) -> Result<(), Self::Error> {
        H::run_until_closed(window.0.take().ok_or(Error::Closed)?).map_err(Error::Framework)
    }

    fn set_parent(&self, parent: ParentWindowHandle, window: &Self::Window) -> Result<(), Self::Error> {
        with(window, |window| self.0.set_parent(parent, window))
    }

    fn show(&self, window: &Self::Window) -> Result<(), Self::Error> {
        with(window, |window| self.0.show(window))
    }

    fn hide(&self, window: &Self::Window) -> Result<(), Self::Error> {
        with(window, |window| self.0.hide(window))
    }

    fn set_size(&self, size: NativeSize<u32>, window: &Self::Window) -> Result<(), Self::Error> {
        if !(SIDES.contains(&size.width) && SIDES.contains(&size.height)) {
            return Err(Error::Refused);
        }
        with(window, |window| self.0.set_size(size, window))
    }

    fn host_main_thread_callback(&self, window: &Self::Window) {
        if let Some(window) = &window.0 {
            self.0.host_main_thread_callback(window);
        }
    }

    fn adjust_size(&self, size: NativeSize<u32>, window: &Self::Window) -> Option<NativeSize<u32>> {
        let within = |side: u32| side.clamp(*SIDES.start(), *SIDES.end());
        let size = NativeSize { width: within(size.width), height: within(size.height) };
        self.0.adjust_size(size, window.0.as_ref()?)
    }

    fn set_fallback_scale_factor(&self, scale: f64, window: &Self::Window) -> Result<(), Self::Error> {
        if !is_scale(scale) {
            return Err(Error::Refused);
        }
        with(window, |window| self.0.set_fallback_scale_factor(scale, window))
    }

    fn on_virtual_key_from_host(&self, key: VirtualKeyCode, down: bool, modifiers: Modifiers) -> bool {
        self.0.on_virtual_key_from_host(key, down, modifiers)
    }

    fn state_changed(&self) {
        self.0.state_changed();
    }

    fn param_value_changed(&self, id: &str, value: f32) {
        self.0.param_value_changed(id, value);
    }

    fn param_modulation_changed(&self, id: &str, offset: f32) {
        self.0.param_modulation_changed(id, offset);
    }
}
