//! The sheet that the piano roll is drawn on and the keyboard stands beside: where a moment and a key lie.

use egui::Rect;

use super::theme::Palette;

/// What is shown of the time to come, as a share of the time that has gone by.
pub const FUTURE: f64 = 0.25;

/// Where a moment and a key lie on the screen.
pub struct Viewport {
    /// All of it.
    pub rect: Rect,
    /// The lowest key.
    pub lowest: u8,
    /// The highest.
    pub highest: u8,
    /// Height of a key.
    pub row: f32,
    /// The present, in seconds of the picture.
    pub now: f64,
    /// Seconds of the past that are shown.
    pub past_s: f64,
    /// Its colours.
    pub palette: Palette,
}

impl Viewport {
    /// Where a moment lies.
    pub fn x(&self, time: f64) -> f32 {
        let place = (time - self.now + self.past_s) / (self.past_s * (1.0 + FUTURE));
        self.rect.left() + self.rect.width() * place as f32
    }

    /// The upper edge of a key's row.
    pub fn y(&self, key: u8) -> f32 {
        self.rect.bottom() - self.row * (f32::from(key) - f32::from(self.lowest) + 1.0)
    }

    /// The keys that are shown.
    pub fn keys(&self) -> std::ops::RangeInclusive<u8> {
        self.lowest..=self.highest
    }
}
