//! The geometry of the piano roll and the keyboard beside it: positions of times and keys on the screen.

use egui::Rect;

use super::theme::Palette;

/// How much of the future is shown, as a share of the past that is shown.
pub const FUTURE: f64 = 0.25;

/// Maps times and keys to positions on the screen, in points.
pub struct Viewport {
    /// The area of the piano roll.
    pub rect: Rect,
    /// The lowest MIDI key shown.
    pub lowest: u8,
    /// The highest MIDI key shown.
    pub highest: u8,
    /// Height of a key's row.
    pub row: f32,
    /// The present, in the piano roll's seconds.
    pub now: f64,
    /// Seconds of the past that are shown.
    pub past_s: f64,
    /// The colors.
    pub palette: Palette,
}

impl Viewport {
    /// The x position of a time.
    pub fn x(&self, time: f64) -> f32 {
        let place = (time - self.now + self.past_s) / (self.past_s * (1.0 + FUTURE));
        self.rect.left() + self.rect.width() * place as f32
    }

    /// The y position of a key's upper edge.
    pub fn y(&self, key: u8) -> f32 {
        self.rect.bottom() - self.row * (f32::from(key) - f32::from(self.lowest) + 1.0)
    }

    /// The keys shown.
    pub fn keys(&self) -> std::ops::RangeInclusive<u8> {
        self.lowest..=self.highest
    }
}
