//! Fallback fonts for characters that the window's own fonts lack, such as those of Chinese, Arabic or Hindi file
//! names: the system's fonts, which are searched when the first such character is to be shown.

use std::sync::{Arc, LazyLock};

use egui::Context;
use egui::epaint::text::{FallbackRequest, FontProvider};
use egui_system_font_provider::SystemFontProvider;

/// Shared by all windows of the process: listing the system's fonts takes some tenths of a second.
static SYSTEM: LazyLock<SystemFontProvider> = LazyLock::new(SystemFontProvider::new);

/// Registers the fallback fonts in a new window.
pub fn lend(context: &Context) {
    context.add_font_provider(Arc::new(|request: &FallbackRequest<'_>| SYSTEM.font_for(request)));
}
