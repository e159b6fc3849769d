//! Colors and text sizes. The two players' colors are Okabe and Ito's blue and orange, which people with any kind of
//! color vision can distinguish; they differ in lightness, too.

use egui::{Color32, Context, CornerRadius, FontId, Margin, Stroke, TextStyle, Visuals, vec2};

use crate::ui_state::Theme;

/// Small text, in points; no text is smaller than 11.
pub const SMALL: f32 = 11.5;
/// Text of controls, in points.
pub const BODY: f32 = 13.0;
/// The header's title, in points.
pub const LARGE: f32 = 16.0;

/// The colors of one theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    /// The player's notes and accents.
    pub player: Color32,
    /// The model's notes and accents.
    pub antiphon: Color32,
    /// Problems.
    pub trouble: Color32,
    /// Text.
    pub ink: Color32,
    /// Less important text.
    pub quiet: Color32,
    /// The window's background.
    pub ground: Color32,
    /// The piano roll's background.
    pub paper: Color32,
    /// The piano roll's rows of black keys.
    pub dark_row: Color32,
    /// Lines of octaves and seconds, and outlines.
    pub line: Color32,
    /// Bar lines.
    pub bar: Color32,
    /// The line of the present.
    pub now: Color32,
    /// Buttons and controls.
    pub grip: Color32,
    /// Buttons and controls under the mouse.
    pub held: Color32,
    /// White keys.
    pub white_key: Color32,
    /// Black keys.
    pub black_key: Color32,
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

const DARK: Palette = Palette {
    player: rgb(0x56b4e9),
    antiphon: rgb(0xf0a830),
    trouble: rgb(0xff9a76),
    ink: rgb(0xe9eaee),
    quiet: rgb(0x9ba0ab),
    ground: rgb(0x1d1f25),
    paper: rgb(0x15171b),
    dark_row: rgb(0x121317),
    line: rgb(0x22252b),
    bar: rgb(0x3a3e48),
    now: rgb(0xc9ccd4),
    grip: rgb(0x2b2e36),
    held: rgb(0x383c46),
    white_key: rgb(0xc8cbd1),
    black_key: rgb(0x26282e),
};

const LIGHT: Palette = Palette {
    // Darker than Okabe and Ito's, since they are also used for text and behind text.
    player: rgb(0x005a92),
    antiphon: rgb(0xa85400),
    trouble: rgb(0xb03000),
    ink: rgb(0x22252b),
    quiet: rgb(0x626874),
    ground: rgb(0xf1f1ee),
    paper: rgb(0xfdfdfb),
    dark_row: rgb(0xf4f4f1),
    line: rgb(0xe9e9e5),
    bar: rgb(0xc6c7c6),
    now: rgb(0x4a4e57),
    grip: rgb(0xe3e3df),
    held: rgb(0xd5d6d2),
    white_key: rgb(0xffffff),
    black_key: rgb(0x4c5059),
};

impl Palette {
    /// The colors of this theme.
    pub fn of(theme: Theme) -> Self {
        match theme {
            Theme::Dark => DARK,
            Theme::Light => LIGHT,
        }
    }

    /// The text color with the better contrast on this color.
    pub fn ink_on(&self, color: Color32) -> Color32 {
        if contrast(self.ink, color) > contrast(self.paper, color) { self.ink } else { self.paper }
    }
}

/// The contrast ratio of two colors, 1–21, as WCAG 2 defines it.
fn contrast(a: Color32, b: Color32) -> f32 {
    let luminance = |color: Color32| {
        let linear = |channel: u8| {
            let c = f32::from(channel) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(color.r()) + 0.7152 * linear(color.g()) + 0.0722 * linear(color.b())
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Blends `a` with a share of `b`, 0–1.
pub fn mix(a: Color32, b: Color32, share: f32) -> Color32 {
    a.lerp_to_gamma(b, share.clamp(0.0, 1.0))
}

/// Applies the theme to the window.
pub fn apply(context: &Context, theme: Theme) {
    let palette = Palette::of(theme);
    let mut visuals = match theme {
        Theme::Dark => Visuals::dark(),
        Theme::Light => Visuals::light(),
    };
    visuals.panel_fill = palette.ground;
    visuals.window_fill = palette.ground;
    visuals.extreme_bg_color = palette.paper;
    visuals.override_text_color = Some(palette.ink);
    visuals.weak_text_color = Some(palette.quiet);
    visuals.window_stroke = Stroke::new(1.0, palette.bar);
    visuals.selection.bg_fill = mix(palette.ground, palette.player, 0.45);
    visuals.selection.stroke = Stroke::new(1.0, palette.ink);
    let rest = [
        &mut visuals.widgets.inactive,
        &mut visuals.widgets.hovered,
        &mut visuals.widgets.active,
        &mut visuals.widgets.open,
    ];
    for (index, widget) in rest.into_iter().enumerate() {
        let fill = if index == 0 { palette.grip } else { palette.held };
        widget.weak_bg_fill = fill;
        widget.bg_fill = fill;
        widget.bg_stroke = Stroke::NONE;
        widget.fg_stroke = Stroke::new(1.0, palette.ink);
        widget.corner_radius = CornerRadius::same(5);
        widget.expansion = 0.0;
    }
    visuals.widgets.noninteractive.bg_stroke = Stroke::new(1.0, palette.line);
    context.all_styles_mut(|style| {
        style.visuals = visuals.clone();
        style.spacing.item_spacing = vec2(8.0, 6.0);
        style.spacing.button_padding = vec2(10.0, 5.0);
        style.spacing.interact_size.y = 26.0;
        style.spacing.menu_margin = Margin::same(8);
        style.spacing.tooltip_width = 320.0;
        style.interaction.tooltip_delay = 0.6;
        style.interaction.selectable_labels = false;
        for text in [TextStyle::Body, TextStyle::Button, TextStyle::Monospace] {
            style.text_styles.insert(text, FontId::proportional(BODY));
        }
        style.text_styles.insert(TextStyle::Small, FontId::proportional(SMALL));
        style.text_styles.insert(TextStyle::Heading, FontId::proportional(LARGE));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_notes_stand_out() {
        for palette in [DARK, LIGHT] {
            let read = |text, behind| {
                assert!(contrast(text, behind) >= 4.5, "{text:?} on {behind:?}: {}", contrast(text, behind));
            };
            for text in [palette.ink, palette.quiet, palette.trouble, palette.antiphon] {
                for behind in [palette.ground, palette.paper, palette.dark_row] {
                    read(text, behind);
                }
            }
            for whose in [palette.player, palette.antiphon] {
                read(palette.paper, whose); // the button for the turn
                read(palette.ink_on(whose), whose); // a key that sounds
                assert!(contrast(whose, palette.paper) >= 4.5, "a note: {whose:?}");
            }
            read(palette.ink_on(palette.white_key), palette.white_key);
            assert!(contrast(palette.player, palette.antiphon) >= 1.1, "in lightness, too");
        }
    }
}
