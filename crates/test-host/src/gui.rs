//! The editor as a host opens it: embedded in a window of the host. Main thread only.

use anyhow::{Context, Result, anyhow};
use clack_extensions::gui::{GuiApiType, GuiConfiguration, GuiSize, PluginGui, Window};

use crate::handlers::Shared;
use crate::plugin::Plugin;

/// The only windowing API that this host supports.
const API: GuiConfiguration = GuiConfiguration { api_type: GuiApiType::X11, is_floating: false };

impl Plugin {
    /// Creates the editor inside the X11 window `parent` and shows it; `scale` is the host's zoom, for example 2 on a
    /// high-resolution screen. Returns the editor's size in pixels.
    #[allow(clippy::useless_conversion, reason = "X11's window ids are C's `long`, which is shorter on Windows")]
    pub fn open_editor(&mut self, parent: u32, scale: f64) -> Result<(u32, u32)> {
        let gui: PluginGui = self.extension("gui")?;
        let handle = self.handle();
        gui.create(&handle, API).map_err(|e| anyhow!("the plugin did not create an editor: {e}"))?;
        // A plugin may refuse the host's scale and use its own.
        let _ = gui.set_scale(&handle, scale);
        let size = gui.get_size(&handle).context("the editor has no size")?;
        // SAFETY: the window is the host's own and is destroyed after the editor.
        unsafe { gui.set_parent(&handle, Window::from_x11_handle(parent.into())) }
            .map_err(|e| anyhow!("the editor refuses its parent window: {e}"))?;
        gui.show(&handle).map_err(|e| anyhow!("the editor could not be shown: {e}"))?;
        Ok((size.width, size.height))
    }

    /// Resizes the open editor, in pixels; returns the size it adjusted to.
    pub fn resize_editor(&mut self, width: u32, height: u32) -> Result<(u32, u32)> {
        let gui: PluginGui = self.extension("gui")?;
        let handle = self.handle();
        let size = gui.adjust_size(&handle, GuiSize { width, height }).context("the editor did not adjust its size")?;
        gui.set_size(&handle, size).map_err(|e| anyhow!("the editor refuses a size: {e}"))?;
        Ok((size.width, size.height))
    }

    /// Sets the host's zoom for the open editor; an error if the editor refuses it.
    pub fn scale_editor(&mut self, scale: f64) -> Result<()> {
        let gui: PluginGui = self.extension("gui")?;
        gui.set_scale(&self.handle(), scale).map_err(|e| anyhow!("the editor refuses a scale of {scale}: {e}"))
    }

    /// Resizes the open editor to exactly this size, in pixels; an error if it refuses.
    pub fn force_editor(&mut self, width: u32, height: u32) -> Result<()> {
        let gui: PluginGui = self.extension("gui")?;
        gui.set_size(&self.handle(), GuiSize { width, height }).map_err(|e| anyhow!("the editor refuses a size: {e}"))
    }

    /// The editor's size in pixels; before it is opened, the size it would have.
    pub fn editor_size(&mut self) -> Result<(u32, u32)> {
        let gui: PluginGui = self.extension("gui")?;
        let size = gui.get_size(&self.handle()).context("the editor has no size")?;
        Ok((size.width, size.height))
    }

    /// Destroys the editor.
    pub fn close_editor(&mut self) -> Result<()> {
        let gui: PluginGui = self.extension("gui")?;
        gui.destroy(&self.handle());
        Ok(())
    }

    /// The size in pixels that the editor has requested since the last call.
    pub fn take_size_request(&self) -> Option<(u32, u32)> {
        self.shared(Shared::take_size_request)
    }
}
