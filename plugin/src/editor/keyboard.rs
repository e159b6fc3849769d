//! A keyboard that lights up under what sounds, and can be played with the mouse.

use egui::{Align2, Color32, FontId, Rect, Response, Sense, Stroke, Ui, pos2, vec2};

use super::piano_roll::Paper;
use super::theme::{Palette, SMALL, mix};
use crate::link::{Touch, Toucher};
use crate::roll::{Roll, Whose};

/// Room for the keys, in points.
pub const KEYS_WIDTH: f32 = 46.0;
/// How much of it the black keys take.
const BLACK: f32 = 0.6;

/// The key that the mouse holds.
pub struct Touching {
    toucher: Toucher,
    held: Option<u8>,
}

impl Touching {
    /// A mouse that holds nothing.
    pub fn new(toucher: Toucher) -> Self {
        Self { toucher, held: None }
    }

    /// Lets go of whatever is held, and takes hold of `key` at this velocity.
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

/// Draws the keys and plays them.
pub fn show(
    ui: &mut Ui,
    palette: Palette,
    paper: &Paper,
    room: Rect,
    roll: &Roll,
    touching: &mut Touching,
) -> Response {
    let response = ui.allocate_rect(room, Sense::drag());
    let pointed = response.interact_pointer_pos().filter(|_| response.is_pointer_button_down_on());
    touching.hold(pointed.filter(|place| room.contains(*place)).and_then(|place| {
        let key = paper.keys().find(|&key| (paper.y(key)..paper.y(key) + paper.row).contains(&place.y))?;
        // As on a real one: the farther out it is struck, the louder.
        let force = (place.x - room.left()) / room.width();
        Some((key, (40.0 + 80.0 * force) as u8))
    }));

    let painter = ui.painter_at(room);
    painter.rect_filled(room, 0.0, palette.white_key);
    let lights = lights(roll, palette);
    for key in paper.keys() {
        let (top, bottom) = (paper.y(key), paper.y(key) + paper.row);
        let light = lights[usize::from(key)];
        if is_black(key) {
            let place = Rect::from_min_size(pos2(room.left(), top), vec2(room.width() * BLACK, paper.row));
            painter.rect_filled(place, 1.0, light.unwrap_or(palette.black_key));
        } else if let Some(light) = light {
            painter.rect_filled(Rect::from_x_y_ranges(room.x_range(), top..=bottom), 1.0, light);
        }
        // White keys meet where no black one lies between them.
        if matches!(key % 12, 0 | 5) {
            let seam = mix(palette.white_key, palette.black_key, 0.35);
            painter.hline(room.x_range(), bottom, Stroke::new(1.0, seam));
        }
        if key % 12 == 0 {
            let name = format!("C{}", i32::from(key) / 12 - 1);
            let y = (bottom - paper.row / 2.0).clamp(room.top() + 7.0, room.bottom() - 7.0);
            let place = pos2(room.right() - 3.0, y);
            let ink = mix(palette.white_key, Color32::BLACK, 0.6);
            painter.text(place, Align2::RIGHT_CENTER, name, FontId::proportional(SMALL), ink);
        }
    }
    response
}

/// The colour of every key that sounds.
fn lights(roll: &Roll, palette: Palette) -> [Option<Color32>; 128] {
    let mut lights = [None; 128];
    for note in roll.notes().filter(|note| note.end == f64::INFINITY) {
        if let Some(light) = lights.get_mut(usize::from(note.key)) {
            *light = Some(match note.whose {
                Whose::Yours => palette.yours,
                Whose::Mine => palette.mine,
            });
        }
    }
    lights
}
