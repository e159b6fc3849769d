//! Letters that the window's own fonts lack, such as those of Chinese, Arabic or Hindi file names: they are drawn with the
//! system's fonts, which are looked for when the first such letter is to be shown.

use std::sync::{Arc, LazyLock};

use egui::Context;
use egui::epaint::text::{FallbackRequest, FontProvider};
use egui_system_font_provider::SystemFontProvider;

/// All windows of the process share them: to list a system's fonts takes some tenths of a second.
static SYSTEM: LazyLock<SystemFontProvider> = LazyLock::new(SystemFontProvider::new);

/// Lends them to a new window.
pub fn lend(context: &Context) {
    context.add_font_provider(Arc::new(|request: &FallbackRequest<'_>| SYSTEM.font_for(request)));
}
