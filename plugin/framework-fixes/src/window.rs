//! Keeps the window from aborting the host, whatever scale the host suggests.
//!
//! baseview 0.4.2 passes a host's scale to the `dpi` crate, which panics if it is zero, negative or not a number
//! (`platform/x11/sizing.rs`, line 117; `dpi`'s `validate_scale_factor`). nice-plug 0.4.2 does not check it
//! (`wrapper/clap/wrapper.rs`, line 2980). On Linux the window's own thread panics, and when the window is dropped,
//! baseview rethrows the panic (`platform/x11/window_thread.rs`, `Drop`, through `run_until_closed`) in a plugin
//! function that must not unwind: the host is aborted. The same goes for any other panic on that thread, such as
//! egui-baseview 0.9.0's when a click finds that the host's window has just gone (`window.rs`, line 759).
//!
//! So invalid scales are refused here, and a panic is caught where the window is dropped.
//!
//! Remove this when `upstream_panics_at_a_scale_that_is_none` fails and baseview's `Drop` no longer calls
//! `resume_unwind`.

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

/// Plausible scales of a screen; outside of them no window has a usable size.
const SCALES: RangeInclusive<f64> = 0.1..=10.0;
/// Plausible sides of a window, in pixels: X11's limit is 32,767.
const SIDES: RangeInclusive<u32> = 1..=32_767;

/// Whether a host's scale is usable; NaN is not.
pub fn is_scale(scale: f64) -> bool {
    SCALES.contains(&scale)
}

/// An editor whose window cannot abort the host; see the [module](self).
pub struct Guarded<E>(pub E);

/// The handle of a [`Guarded`] editor.
pub struct GuardedHandle<H>(H);

/// The window of a [`Guarded`] editor; dropping it never panics.
pub struct GuardedWindow<W>(Option<W>);

/// Why a call on such a window failed.
#[derive(Debug)]
pub enum Error<E> {
    /// A scale or a size that no window can have.
    Refused,
    /// The window is already closed.
    Closed,
    /// The framework's own error.
    Framework(E),
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("a window cannot have this scale or size"),
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
        // The panic hook has already logged the panic.
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
        // SAFETY: promised by the caller.
        unsafe { self.0.assume_standalone_in_process() }
    }
}

/// Calls the framework's window, if it is open.
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
