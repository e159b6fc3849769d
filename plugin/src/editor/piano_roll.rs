//! The piano roll: time runs from left to right, the present is near the right edge, the model's plan beyond it. At its
//! left is the keyboard, and between them the pitch forecast.

use egui::{
    Align2, Color32, CornerRadius, CursorIcon, FontId, Painter, Rect, Sense, Shape, Stroke, StrokeKind, Ui, pos2, vec2,
};
use engine::link::forecast::PitchForecast;
use engine::link::roll::{DrawnNote, Roll, Whose};

use super::keyboard::{self, KEYS_WIDTH, MouseKeys};
use super::theme::{BODY, LARGE, Palette, SMALL, mix};
use super::viewport::{FUTURE, Viewport};
use crate::ui_state::PASTS;

/// Keys that are always shown: four octaves. The range grows with the notes.
const KEYS: std::ops::RangeInclusive<u8> = 36..=84;
/// Width of the pitch forecast, in points.
const FORECAST_WIDTH: f32 = 44.0;
/// Least distance of two bar lines, in points: others are left out.
const CLOSE: f32 = 14.0;

/// Draws the piano roll, the pitch forecast and the keyboard into all the available room.
pub fn show(
    ui: &mut Ui,
    palette: Palette,
    roll: &Roll,
    forecast: &PitchForecast,
    past_s: &mut f32,
    mouse_keys: &mut MouseKeys,
) {
    let all = ui.available_rect_before_wrap();
    let left = all.left() + KEYS_WIDTH + FORECAST_WIDTH;
    let rect = Rect::from_min_max(pos2(left, all.top()), all.max);
    let past = f64::from(*past_s);
    let shown = |note: &&DrawnNote| note.end > roll.now - past && note.start < roll.now + past * FUTURE;
    let keys = || roll.notes().chain(roll.ghosts()).filter(shown).map(|note| note.key);
    let lowest = keys().min().unwrap_or(127).min(*KEYS.start());
    let highest = keys().max().unwrap_or(0).max(*KEYS.end());
    let row = rect.height() / (f32::from(highest - lowest) + 1.0);
    let viewport = Viewport { rect, lowest, highest, row, now: roll.now, past_s: past, palette };

    let response = ui.allocate_rect(rect, Sense::hover());
    if response.hovered() {
        let zoom = ui.input(|input| input.smooth_scroll_delta.y + 400.0 * (input.zoom_delta() - 1.0));
        *past_s = (*past_s * (-zoom / 400.0).exp()).clamp(*PASTS.start(), *PASTS.end());
    }
    let painter = ui.painter_at(rect);
    viewport.grid(&painter, roll);
    for ghost in roll.ghosts() {
        viewport.ghost(&painter, ghost);
    }
    for note in roll.notes().filter(shown) {
        viewport.note(&painter, note, note.start < roll.forgotten);
    }
    for mark in roll.hand_overs().filter(|mark| *mark > roll.now - past && *mark <= roll.now) {
        viewport.mark(&painter, mark);
    }
    let x = viewport.x(roll.now);
    painter.vline(x, rect.y_range(), Stroke::new(1.5, palette.now));
    if roll.notes().next().is_none() {
        viewport.invite(&painter);
    }
    viewport.legend(&painter);

    let forecast_area = Rect::from_min_max(pos2(all.left() + KEYS_WIDTH, all.top()), pos2(left, all.bottom()));
    viewport.pitch_forecast(&ui.painter_at(forecast_area), forecast_area, forecast);
    let hint = "Pitch forecast: the longer the bar, the likelier this pitch comes next";
    ui.allocate_rect(forecast_area, Sense::hover()).on_hover_text(hint);
    let keys = Rect::from_min_max(all.min, pos2(all.left() + KEYS_WIDTH, all.bottom()));
    keyboard::show(ui, palette, &viewport, keys, roll, mouse_keys).on_hover_cursor(CursorIcon::PointingHand);
    ui.painter().rect_stroke(all, 4.0, Stroke::new(1.0, palette.line), StrokeKind::Inside);
}

impl Viewport {
    fn grid(&self, painter: &Painter, roll: &Roll) {
        let palette = self.palette;
        painter.rect_filled(self.rect, 0.0, palette.paper);
        for key in self.keys() {
            let top = self.y(key);
            if keyboard::is_black(key) {
                let row = Rect::from_min_size(pos2(self.rect.left(), top), vec2(self.rect.width(), self.row));
                painter.rect_filled(row, 0.0, palette.dark_row);
            }
            if key % 12 == 0 {
                painter.hline(self.rect.x_range(), top + self.row, Stroke::new(1.0, palette.line));
            }
        }
        let end = self.now + self.past_s * FUTURE;
        let coming = roll.next_bar.into_iter().flat_map(|(next, length)| {
            (0..64).map(move |bar| next + length * f64::from(bar)).take_while(move |bar| *bar < end)
        });
        let bars: Vec<f64> = roll.bars().filter(|bar| *bar > self.now - self.past_s).chain(coming).collect();
        if bars.is_empty() {
            // Without bars from the host, a line every second.
            let mut second = (self.now - self.past_s).ceil();
            while second < end {
                painter.vline(self.x(second), self.rect.y_range(), Stroke::new(1.0, palette.line));
                second += if self.past_s > 30.0 { 5.0 } else { 1.0 };
            }
        }
        let mut last = f32::NEG_INFINITY;
        for x in bars.into_iter().map(|bar| self.x(bar)) {
            if (x - last).abs() >= CLOSE {
                painter.vline(x, self.rect.y_range(), Stroke::new(1.0, palette.bar));
                last = x;
            }
        }
        if roll.forgotten > self.now - self.past_s && roll.forgotten > 0.0 {
            let x = self.x(roll.forgotten);
            painter.vline(x, self.rect.y_range(), Stroke::new(1.0, palette.bar));
            self.label(painter, x, "forgotten", palette.quiet, Align2::RIGHT_TOP);
        }
    }

    /// A note's rectangle, at least two points wide.
    fn place(&self, note: &DrawnNote) -> Rect {
        let end = if note.end.is_finite() { note.end } else { self.now };
        let (left, top) = (self.x(note.start), self.y(note.key));
        let right = self.x(end).max(left + 2.0);
        let gap = (self.row * 0.08).clamp(0.25, 1.0);
        Rect::from_min_max(pos2(left, top + gap), pos2(right, top + self.row.max(3.0) - gap))
    }

    /// A note's color: that of its player, blended toward the background the softer the note is.
    fn color(&self, note: &DrawnNote, forgotten: bool) -> Color32 {
        let full = match note.whose {
            Whose::Player => self.palette.player,
            Whose::Antiphon => self.palette.antiphon,
        };
        let strength = 0.35 + 0.65 * f32::from(note.velocity) / 110.0;
        mix(self.palette.paper, full, strength * if forgotten { 0.35 } else { 1.0 })
    }

    fn note(&self, painter: &Painter, note: &DrawnNote, forgotten: bool) {
        let place = self.place(note);
        let round = CornerRadius::same((self.row * 0.25).clamp(1.0, 3.0) as u8);
        let color = self.color(note, forgotten);
        let sounds = note.end == f64::INFINITY;
        if sounds && place.height() >= 5.0 && place.width() >= 5.0 {
            painter.rect_filled(place, round, color);
            painter.rect_stroke(place, round, Stroke::new(1.0, self.palette.ink), StrokeKind::Inside);
        } else {
            // Too small for an outline: lighten all of it instead.
            let share = if sounds { 0.4 } else { 0.0 };
            painter.rect_filled(place, round, mix(color, self.palette.ink, share));
        }
    }

    fn ghost(&self, painter: &Painter, note: &DrawnNote) {
        let place = self.place(note);
        let round = CornerRadius::same((self.row * 0.25).clamp(1.0, 3.0) as u8);
        let color = self.color(note, false);
        painter.rect_filled(place, round, mix(self.palette.paper, color, 0.22));
        painter.rect_stroke(place, round, Stroke::new(1.0, mix(self.palette.paper, color, 0.7)), StrokeKind::Inside);
    }

    fn mark(&self, painter: &Painter, time: f64) {
        let x = self.x(time);
        let ends = [pos2(x, self.rect.top()), pos2(x, self.rect.bottom())];
        painter.extend(Shape::dashed_line(&ends, Stroke::new(1.5, self.palette.antiphon), 5.0, 4.0));
        self.label(painter, x, "hand-over", self.palette.antiphon, Align2::LEFT_TOP);
    }

    /// The legend of the two players' colors.
    fn legend(&self, painter: &Painter) {
        let mut place = self.rect.left_bottom() + vec2(8.0, -7.0);
        for (name, color) in [("you", self.palette.player), ("Antiphon", self.palette.antiphon)] {
            let dot = Rect::from_center_size(place + vec2(5.0, -7.0), vec2(10.0, 5.0));
            painter.rect_filled(dot, 2.0, color);
            let font = FontId::proportional(SMALL);
            let text = place + vec2(14.0, 0.0);
            let text = painter.text(text, Align2::LEFT_BOTTOM, name, font, self.palette.quiet);
            place.x = text.right() + 14.0;
        }
    }

    /// The instructions that are shown before the first note.
    fn invite(&self, painter: &Painter) {
        let center = pos2(self.rect.left() + self.rect.width() * 0.4, self.rect.center().y);
        let lines = [
            (-20.0, LARGE + 2.0, "Play a phrase, then stop: Antiphon continues.", self.palette.ink),
            (8.0, BODY, "Play a key, and Antiphon listens again.", self.palette.quiet),
            (28.0, BODY, "No keyboard? Play the keys on the left with the mouse.", self.palette.quiet),
        ];
        for (down, size, text, color) in lines {
            painter.text(center + vec2(0.0, down), Align2::CENTER_CENTER, text, FontId::proportional(size), color);
        }
    }

    fn label(&self, painter: &Painter, x: f32, text: &str, color: Color32, align: Align2) {
        let side = if align == Align2::LEFT_TOP { 5.0 } else { -5.0 };
        painter.text(pos2(x + side, self.rect.top() + 4.0), align, text, FontId::proportional(SMALL), color);
    }

    /// The pitch forecast: one bar per key; the likeliest one takes the full width.
    fn pitch_forecast(&self, painter: &Painter, area: Rect, forecast: &PitchForecast) {
        painter.rect_filled(area, 0.0, mix(self.palette.paper, self.palette.ground, 0.5));
        let most = forecast.pitches.iter().copied().fold(0.0, f32::max);
        if most <= 0.0 {
            return;
        }
        for key in self.keys() {
            let share = forecast.pitches[usize::from(key)] / most;
            // A square root makes less likely pitches visible, too: a quarter of the probability is half the length.
            let width = (area.width() - 4.0) * share.sqrt();
            if width >= 1.0 {
                let bar = Rect::from_min_size(pos2(area.left() + 1.0, self.y(key)), vec2(width, self.row.max(1.5)));
                let color = mix(self.palette.paper, self.palette.antiphon, 0.25 + 0.6 * share);
                painter.rect_filled(bar.shrink2(vec2(0.0, 0.2)), 1.0, color);
            }
        }
    }
}
