//! The on-screen keyboard: shows the sounding notes and can be played with the mouse.

use egui::{Align2, Color32, FontId, Pos2, Rect, Response, Sense, Stroke, Ui, pos2, vec2};
use engine::link::keyboard::{KeyboardEvent, KeyboardSender};
use engine::link::roll::{Roll, Whose};

use super::theme::{Palette, SMALL, mix};
use super::viewport::Viewport;

/// Width of the keyboard, in points.
pub const KEYS_WIDTH: f32 = 46.0;
/// Length of the black keys, as a share of that width.
const BLACK: f32 = 0.6;

/// The key that is held with the mouse.
pub struct MouseKeys {
    keyboard_sender: KeyboardSender,
    held: Option<u8>,
}

impl MouseKeys {
    /// No key is held yet.
    pub fn new(keyboard_sender: KeyboardSender) -> Self {
        Self { keyboard_sender, held: None }
    }

    /// Releases the held key and presses `key` (MIDI key, velocity) unless it is the same one.
    fn hold(&mut self, key: Option<(u8, u8)>) {
        if self.held == key.map(|key| key.0) {
            return;
        }
        if let Some(key) = self.held.take() {
            self.keyboard_sender.send(KeyboardEvent { key, velocity: 0 });
        }
        if let Some((key, velocity)) = key
            && self.keyboard_sender.send(KeyboardEvent { key, velocity })
        {
            self.held = Some(key);
        }
    }
}

/// Whether a key is black.
pub fn is_black(key: u8) -> bool {
    matches!(key % 12, 1 | 3 | 6 | 8 | 10)
}

/// Draws the keyboard and plays what the mouse presses.
pub fn show(
    ui: &mut Ui,
    palette: Palette,
    viewport: &Viewport,
    area: Rect,
    roll: &Roll,
    mouse_keys: &mut MouseKeys,
) -> Response {
    let response = ui.allocate_rect(area, Sense::drag());
    let pointed = response.interact_pointer_pos().filter(|_| response.is_pointer_button_down_on());
    mouse_keys.hold(pointed.filter(|place| area.contains(*place)).and_then(|place| {
        let key = key_at(viewport, area, place)?;
        // As on a real keyboard: louder toward the near end of the key.
        let force = (place.x - area.left()) / area.width();
        Some((key, (40.0 + 80.0 * force) as u8))
    }));

    let painter = ui.painter_at(area);
    painter.rect_filled(area, 0.0, palette.white_key);
    let lights = lights(roll, palette);
    let seam = mix(palette.white_key, palette.black_key, 0.35);
    for key in viewport.keys().filter(|key| !is_black(*key)) {
        let place = white(viewport, area, key);
        if let Some(light) = lights[usize::from(key)] {
            painter.rect_filled(place, 1.0, light);
        }
        painter.hline(area.x_range(), place.bottom(), Stroke::new(1.0, seam));
    }
    for key in viewport.keys().filter(|key| is_black(*key)) {
        let size = vec2(area.width() * BLACK, viewport.row);
        let place = Rect::from_min_size(pos2(area.left(), viewport.y(key)), size);
        painter.rect_filled(place, 1.0, lights[usize::from(key)].unwrap_or(palette.black_key));
    }
    for key in viewport.keys().filter(|key| key % 12 == 0) {
        let name = format!("C{}", i32::from(key) / 12 - 1);
        let y = white(viewport, area, key).center().y.clamp(area.top() + 8.0, area.bottom() - 8.0);
        let ink = palette.ink_on(lights[usize::from(key)].unwrap_or(palette.white_key));
        painter.text(pos2(area.right() - 3.0, y), Align2::RIGHT_CENTER, name, FontId::proportional(SMALL), ink);
    }
    response
}

/// A white key's area, which reaches halfway below the neighboring black keys.
fn white(viewport: &Viewport, area: Rect, key: u8) -> Rect {
    let (top, half) = (viewport.y(key), viewport.row / 2.0);
    let above = if is_black(key + 1) { top - half } else { top };
    let below = if key > 0 && is_black(key - 1) { top + 3.0 * half } else { top + viewport.row };
    Rect::from_x_y_ranges(area.x_range(), above..=below)
}

/// The MIDI key at this position.
fn key_at(viewport: &Viewport, area: Rect, place: Pos2) -> Option<u8> {
    let on_black = place.x < area.left() + area.width() * BLACK;
    let is_row = |key: u8| (viewport.y(key)..viewport.y(key) + viewport.row).contains(&place.y);
    let black = viewport.keys().find(|&key| on_black && is_black(key) && is_row(key));
    black.or_else(|| {
        viewport.keys().find(|&key| !is_black(key) && white(viewport, area, key).y_range().contains(place.y))
    })
}

/// The color of each sounding key, by MIDI key.
fn lights(roll: &Roll, palette: Palette) -> [Option<Color32>; 128] {
    let mut lights = [None; 128];
    for note in roll.notes().filter(|note| note.end == f64::INFINITY) {
        if let Some(light) = lights.get_mut(usize::from(note.key)) {
            *light = Some(match note.whose {
                Whose::Player => palette.player,
                Whose::Antiphon => palette.antiphon,
            });
        }
    }
    lights
}
