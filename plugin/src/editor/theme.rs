//! Colours and sizes. The two players' colours differ in lightness as well as in hue, so that they
//! can be told apart without colour vision.

use egui::{Color32, Context, FontId, TextStyle, Visuals};

/// The player.
pub const YOURS: Color32 = Color32::from_rgb(0x5a, 0xa9, 0xe6);
/// The model.
pub const MINE: Color32 = Color32::from_rgb(0xff, 0xc2, 0x4b);
/// What needs attention.
pub const TROUBLE: Color32 = Color32::from_rgb(0xff, 0x8a, 0x7a);
/// What does not.
pub const QUIET: Color32 = Color32::from_rgb(0x9a, 0xa0, 0xaa);
/// Behind the notes.
pub const PAPER: Color32 = Color32::from_rgb(0x16, 0x18, 0x1d);
/// Rows of black keys.
pub const BLACK_ROW: Color32 = Color32::from_rgb(0x12, 0x13, 0x17);
/// Lines of octaves and seconds.
pub const LINE: Color32 = Color32::from_rgb(0x2a, 0x2d, 0x35);
/// The hand-over and the present.
pub const MARK: Color32 = Color32::from_rgb(0xe8, 0xea, 0xee);

/// Dresses a new window.
pub fn apply(context: &Context) {
    context.set_visuals(Visuals::dark());
    context.all_styles_mut(|style| {
        for (text, size) in [(TextStyle::Body, 14.0), (TextStyle::Button, 14.0), (TextStyle::Small, 12.0)] {
            style.text_styles.insert(text, FontId::proportional(size));
        }
    });
}
