//! Simple drawing of rectangles and text on an RGB picture. Drawn at twice the size and scaled down at the end, which
//! smooths the edges.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use anyhow::{Context, Result};

/// Red, green, blue.
pub type Color = [u8; 3];

/// Samples per pixel in each direction.
const OVER: f32 = 2.0;

/// Horizontal position of a text relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// It starts at the point.
    Left,
    /// It is centered on the point.
    Center,
    /// It ends at the point.
    Right,
}

/// A picture being drawn; coordinates are in pixels from the top left.
pub struct Canvas {
    /// Size in samples, [`OVER`] times that of the picture.
    width: usize,
    height: usize,
    samples: Vec<Color>,
    font: FontRef<'static>,
}

impl Canvas {
    /// A picture of `width` x `height` pixels, filled with one color.
    pub fn new(width: u32, height: u32, color: Color) -> Result<Self> {
        let (width, height) = (width as usize * OVER as usize, height as usize * OVER as usize);
        Ok(Self {
            width,
            height,
            samples: vec![color; width * height],
            font: FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)
                .context("the built-in font cannot be read")?,
        })
    }

    /// Draws a filled rectangle with corners rounded by `radius`; `alpha` is 0 to 1.
    pub fn rect(&mut self, [x, y, w, h]: [f32; 4], radius: f32, color: Color, alpha: f32) {
        let [x, y, w, h, radius] = [x, y, w, h, radius].map(|v| v * OVER);
        let radius = radius.min(w / 2.0).min(h / 2.0);
        for row in span(y, h, self.height) {
            for column in span(x, w, self.width) {
                let (px, py) = (column as f32 + 0.5, row as f32 + 0.5);
                // Distance from the inner rectangle between the centers of the corners.
                let dx = (x + radius - px).max(px - (x + w - radius)).max(0.0);
                let dy = (y + radius - py).max(py - (y + h - radius)).max(0.0);
                if dx * dx + dy * dy <= radius * radius + 0.01 {
                    self.blend(column, row, color, alpha);
                }
            }
        }
    }

    /// Draws a line of text with its baseline at `y`; `size` is the font size in pixels.
    pub fn text(&mut self, text: &str, [x, y]: [f32; 2], size: f32, align: Align, color: Color) {
        let font = self.font.clone();
        let scaled = font.as_scaled(PxScale::from(size * OVER));
        let width: f32 = text.chars().map(|c| scaled.h_advance(scaled.glyph_id(c))).sum();
        let mut caret = x * OVER
            - match align {
                Align::Left => 0.0,
                Align::Center => width / 2.0,
                Align::Right => width,
            };
        for c in text.chars() {
            let mut glyph = scaled.scaled_glyph(c);
            glyph.position = point(caret, y * OVER);
            caret += scaled.h_advance(glyph.id);
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|gx, gy, coverage| {
                let (px, py) = (corner.x + gx as f32, corner.y + gy as f32);
                if px >= 0.0 && py >= 0.0 {
                    self.blend(px as usize, py as usize, color, coverage.min(1.0));
                }
            });
        }
    }

    fn blend(&mut self, column: usize, row: usize, color: Color, alpha: f32) {
        if column < self.width && row < self.height {
            let sample = &mut self.samples[row * self.width + column];
            for (old, new) in sample.iter_mut().zip(color) {
                *old = (f32::from(*old) + (f32::from(new) - f32::from(*old)) * alpha).round() as u8;
            }
        }
    }

    /// Writes the picture as a PNG.
    pub fn save(&self, path: &Path) -> Result<()> {
        let over = OVER as usize;
        let (width, height) = (self.width / over, self.height / over);
        let mut pixels = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                for channel in 0..3 {
                    let sum: usize = (0..over * over)
                        .map(|i| (y * over + i / over) * self.width + x * over + i % over)
                        .map(|index| usize::from(self.samples[index][channel]))
                        .sum();
                    pixels.push((sum / (over * over)) as u8);
                }
            }
        }
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut encoder = png::Encoder::new(BufWriter::new(file), width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels)?;
        Ok(writer.finish()?)
    }
}

/// The sample rows or columns whose centers lie in `start..start + length`.
fn span(start: f32, length: f32, end: usize) -> std::ops::Range<usize> {
    let at = |v: f32| (v.round().max(0.0) as usize).min(end);
    at(start)..at(start + length)
}
