//! The piano roll: time from left to right, the present near the right edge, what is to come beyond it.

use egui::{Align2, FontId, Painter, Rect, Sense, Stroke, Ui, pos2, vec2};

use super::theme;
use crate::roll::{Drawn, Roll, Whose};

/// Seconds shown of the past.
const PAST_S: f64 = 12.0;
/// Seconds shown of what is to come.
const FUTURE_S: f64 = 3.0;
/// Keys shown at least: four octaves around the middle, more where notes lie outside.
const KEYS: std::ops::RangeInclusive<u8> = 36..=84;

/// Where a moment and a key lie on the screen.
struct Paper {
    rect: Rect,
    now: f64,
    lowest: u8,
    row: f32,
}

/// Draws the picture into all the room there is.
pub fn show(ui: &mut Ui, roll: &Roll) {
    let (response, painter) = ui.allocate_painter(ui.available_size(), Sense::hover());
    let shown = |note: &&Drawn| note.end > roll.now - PAST_S;
    let keys = || roll.notes().filter(shown).chain(roll.ghosts()).map(|note| note.key);
    let lowest = keys().min().unwrap_or(127).min(*KEYS.start());
    let highest = keys().max().unwrap_or(0).max(*KEYS.end());
    let rows = f32::from(highest - lowest) + 1.0;
    let paper = Paper { rect: response.rect, now: roll.now, lowest, row: response.rect.height() / rows };

    paper.rule(&painter, highest);
    for ghost in roll.ghosts() {
        paper.note(&painter, ghost, true);
    }
    for note in roll.notes().filter(shown) {
        paper.note(&painter, note, false);
    }
    for mark in roll.marks().filter(|mark| *mark > roll.now - PAST_S && *mark <= roll.now) {
        paper.mark(&painter, mark);
    }
    let x = paper.x(roll.now);
    painter.vline(x, paper.rect.y_range(), Stroke::new(1.5, theme::MARK));
}

impl Paper {
    fn x(&self, time: f64) -> f32 {
        let place = (time - self.now + PAST_S) / (PAST_S + FUTURE_S);
        self.rect.left() + self.rect.width() * place.clamp(0.0, 1.0) as f32
    }

    /// The upper edge of a key's row.
    fn y(&self, key: u8) -> f32 {
        self.rect.bottom() - self.row * (f32::from(key) - f32::from(self.lowest) + 1.0)
    }

    fn rule(&self, painter: &Painter, highest: u8) {
        painter.rect_filled(self.rect, 4.0, theme::PAPER);
        for key in self.lowest..=highest {
            let top = self.y(key);
            if [1, 3, 6, 8, 10].contains(&(key % 12)) {
                let row = Rect::from_min_size(pos2(self.rect.left(), top), vec2(self.rect.width(), self.row));
                painter.rect_filled(row, 0.0, theme::BLACK_ROW);
            }
        }
        let mut second = (self.now - PAST_S).ceil();
        while second < self.now + FUTURE_S {
            painter.vline(self.x(second), self.rect.y_range(), Stroke::new(1.0, theme::LINE));
            second += 1.0;
        }
        for key in (self.lowest..=highest).filter(|key| key % 12 == 0) {
            let bottom = self.y(key) + self.row;
            painter.hline(self.rect.x_range(), bottom, Stroke::new(1.0, theme::LINE));
            let name = format!("C{}", i32::from(key) / 12 - 1);
            let place = pos2(self.rect.left() + 4.0, bottom - 1.0);
            painter.text(place, Align2::LEFT_BOTTOM, name, FontId::proportional(11.0), theme::QUIET);
        }
    }

    fn note(&self, painter: &Painter, note: &Drawn, ghost: bool) {
        let end = if note.end.is_finite() { note.end } else { self.now };
        let (left, right) = (self.x(note.start), self.x(end));
        if right <= self.rect.left() || left >= self.rect.right() {
            return;
        }
        let row = Rect::from_min_max(
            pos2(left, self.y(note.key) + 0.5),
            pos2(right.max(left + 2.0), self.y(note.key) + self.row.max(2.5) - 0.5),
        );
        let colour = match note.whose {
            Whose::Yours => theme::YOURS,
            Whose::Mine => theme::MINE,
        };
        if ghost {
            painter.rect_filled(row, 2.0, colour.gamma_multiply(0.25));
        } else {
            let brightness = 0.45 + 0.55 * f32::from(note.velocity) / 127.0;
            painter.rect_filled(row, 2.0, colour.gamma_multiply(brightness));
        }
    }

    fn mark(&self, painter: &Painter, time: f64) {
        let x = self.x(time);
        let dashes = egui::Shape::dashed_line(
            &[pos2(x, self.rect.top()), pos2(x, self.rect.bottom())],
            Stroke::new(1.5, theme::MINE),
            5.0,
            4.0,
        );
        painter.extend(dashes);
        let place = pos2(x + 4.0, self.rect.top() + 3.0);
        painter.text(place, Align2::LEFT_TOP, "hand-over", FontId::proportional(11.0), theme::MINE);
    }
}
