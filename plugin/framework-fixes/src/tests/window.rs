//! What a host may do to a window.

use nice_plug::editor::EditorHandle;
use nice_plug::editor::dpi::{LogicalSize, NativeSize};

use super::probe::{Handle, Opened};
use super::seen;
use crate::window::{GuardedHandle, GuardedWindow};

#[test]
fn a_size_or_scale_that_is_none_is_refused() {
    seen(|seen| seen.windows += 1);
    let (handle, window) = (GuardedHandle::new(Handle), GuardedWindow::new(Opened));
    for (width, height) in [(0, 0), (0, 100), (100, 0), (u32::MAX, 100), (100, 40_000)] {
        assert!(handle.set_size(NativeSize { width, height }, &window).is_err(), "{width} x {height}");
    }
    assert!(handle.set_size(NativeSize { width: 1, height: 32_767 }, &window).is_ok());
    assert!(handle.set_fallback_scale_factor(f64::NAN, &window).is_err());
    assert!(handle.set_fallback_scale_factor(2.0, &window).is_ok());
}

#[test]
fn upstream_panics_at_a_scale_that_is_none() {
    for scale in [0.0, -1.0, f64::NAN] {
        let size = std::panic::catch_unwind(|| LogicalSize::new(1.0, 1.0).to_physical::<u32>(scale));
        assert!(size.is_err(), "fixed upstream: scales no longer need to be refused here");
    }
}
