//! The on-screen keyboard: shows the sounding notes and can be played with the mouse.

use egui::{Align2, Color32, FontId, Pos2, Rect, Response, Sense, Stroke, Ui, pos2, vec2};
use engine::link::roll::{Roll, Whose};
use engine::link::touches::{KeyboardSender, Touch};

use super::theme::{Palette, SMALL, mix};
use super::viewport::Viewport;

/// Width of the keyboard, in points.
pub const KEYS_WIDTH: f32 = 46.0;
/// Length of the black keys, as a share of that width.
const BLACK: f32 = 0.6;

/// The key that is held with the mouse.
pub struct Touching {
    toucher: KeyboardSender,
    held: Option<u8>,
}

impl Touching {
    /// No key is held yet.
    pub fn new(toucher: KeyboardSender) -> Self {
        Self { toucher, held: None }
    }

    /// Releases the held key and presses `key` (MIDI key, velocity) unless it is the same one.
    fn hold(&mut self, key: Option<(u8, u8)>) {
        if self.held == key.map(|key| key.0) {
            return;
        }
        if let Some(key) = self.held.take() {
            self.toucher.touch(Touch { key, velocity: 0 });
        }
        if let Some((key, velocity)) = key
            && self.toucher.touch(Touch { key, velocity })
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
    paper: &Viewport,
    room: Rect,
    roll: &Roll,
    touching: &mut Touching,
) -> Response {
    let response = ui.allocate_rect(room, Sense::drag());
    let pointed = response.interact_pointer_pos().filter(|_| response.is_pointer_button_down_on());
    touching.hold(pointed.filter(|place| room.contains(*place)).and_then(|place| {
        let key = key_at(paper, room, place)?;
        // As on a real keyboard: louder toward the near end of the key.
        let force = (place.x - room.left()) / room.width();
        Some((key, (40.0 + 80.0 * force) as u8))
    }));

    let painter = ui.painter_at(room);
    painter.rect_filled(room, 0.0, palette.white_key);
    let lights = lights(roll, palette);
    let seam = mix(palette.white_key, palette.black_key, 0.35);
    for key in paper.keys().filter(|key| !is_black(*key)) {
        let place = white(paper, room, key);
        if let Some(light) = lights[usize::from(key)] {
            painter.rect_filled(place, 1.0, light);
        }
        painter.hline(room.x_range(), place.bottom(), Stroke::new(1.0, seam));
    }
    for key in paper.keys().filter(|key| is_black(*key)) {
        let size = vec2(room.width() * BLACK, paper.row);
        let place = Rect::from_min_size(pos2(room.left(), paper.y(key)), size);
        painter.rect_filled(place, 1.0, lights[usize::from(key)].unwrap_or(palette.black_key));
    }
    for key in paper.keys().filter(|key| key % 12 == 0) {
        let name = format!("C{}", i32::from(key) / 12 - 1);
        let y = white(paper, room, key).center().y.clamp(room.top() + 8.0, room.bottom() - 8.0);
        let ink = palette.ink_on(lights[usize::from(key)].unwrap_or(palette.white_key));
        painter.text(pos2(room.right() - 3.0, y), Align2::RIGHT_CENTER, name, FontId::proportional(SMALL), ink);
    }
    response
}

/// A white key's area, which reaches halfway below the neighboring black keys.
fn white(paper: &Viewport, room: Rect, key: u8) -> Rect {
    let (top, half) = (paper.y(key), paper.row / 2.0);
    let above = if is_black(key + 1) { top - half } else { top };
    let below = if key > 0 && is_black(key - 1) { top + 3.0 * half } else { top + paper.row };
    Rect::from_x_y_ranges(room.x_range(), above..=below)
}

/// The MIDI key at this position.
fn key_at(paper: &Viewport, room: Rect, place: Pos2) -> Option<u8> {
    let on_black = place.x < room.left() + room.width() * BLACK;
    let is_row = |key: u8| (paper.y(key)..paper.y(key) + paper.row).contains(&place.y);
    let black = paper.keys().find(|&key| on_black && is_black(key) && is_row(key));
    black.or_else(|| paper.keys().find(|&key| !is_black(key) && white(paper, room, key).y_range().contains(place.y)))
}

/// The color of each sounding key, by MIDI key.
fn lights(roll: &Roll, palette: Palette) -> [Option<Color32>; 128] {
    let mut lights = [None; 128];
    for note in roll.notes().filter(|note| note.end == f64::INFINITY) {
        if let Some(light) = lights.get_mut(usize::from(note.key)) {
            *light = Some(match note.whose {
                Whose::Player => palette.yours,
                Whose::Antiphon => palette.mine,
            });
        }
    }
    lights
}
