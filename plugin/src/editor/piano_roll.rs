//! The piano roll: time runs from left to right, the present is near the right edge, the model's plan beyond it. At its
//! left is the keyboard, and between them the pitch forecast.

use egui::{
    Align2, Color32, CornerRadius, CursorIcon, FontId, Painter, Rect, Sense, Shape, Stroke, StrokeKind, Ui, pos2, vec2,
};
use engine::link::forecast::PitchForecast;
use engine::link::roll::{Drawn, Roll, Whose};

use super::keyboard::{self, KEYS_WIDTH, Touching};
use super::theme::{BODY, LARGE, Palette, SMALL, mix};
use super::viewport::{FUTURE, Viewport};
use crate::ui_state::PASTS;

/// Keys that are always shown: four octaves. The range grows with the notes.
const KEYS: std::ops::RangeInclusive<u8> = 36..=84;
/// Width of the pitch forecast, in points.
const MIND_WIDTH: f32 = 44.0;
/// Least distance of two bar lines, in points: others are left out.
const CLOSE: f32 = 14.0;

/// Draws the piano roll, the pitch forecast and the keyboard into all the available room.
pub fn show(
    ui: &mut Ui,
    palette: Palette,
    roll: &Roll,
    outlook: &PitchForecast,
    past_s: &mut f32,
    touching: &mut Touching,
) {
    let all = ui.available_rect_before_wrap();
    let left = all.left() + KEYS_WIDTH + MIND_WIDTH;
    let rect = Rect::from_min_max(pos2(left, all.top()), all.max);
    let past = f64::from(*past_s);
    let shown = |note: &&Drawn| note.end > roll.now - past && note.start < roll.now + past * FUTURE;
    let keys = || roll.notes().chain(roll.ghosts()).filter(shown).map(|note| note.key);
    let lowest = keys().min().unwrap_or(127).min(*KEYS.start());
    let highest = keys().max().unwrap_or(0).max(*KEYS.end());
    let row = rect.height() / (f32::from(highest - lowest) + 1.0);
    let paper = Viewport { rect, lowest, highest, row, now: roll.now, past_s: past, palette };

    let response = ui.allocate_rect(rect, Sense::hover());
    if response.hovered() {
        let zoom = ui.input(|input| input.smooth_scroll_delta.y + 400.0 * (input.zoom_delta() - 1.0));
        *past_s = (*past_s * (-zoom / 400.0).exp()).clamp(*PASTS.start(), *PASTS.end());
    }
    let painter = ui.painter_at(rect);
    paper.rule(&painter, roll);
    for ghost in roll.ghosts() {
        paper.ghost(&painter, ghost);
    }
    for note in roll.notes().filter(shown) {
        paper.note(&painter, note, note.start < roll.forgotten);
    }
    for mark in roll.marks().filter(|mark| *mark > roll.now - past && *mark <= roll.now) {
        paper.mark(&painter, mark);
    }
    let x = paper.x(roll.now);
    painter.vline(x, rect.y_range(), Stroke::new(1.5, palette.now));
    if roll.notes().next().is_none() {
        paper.invite(&painter);
    }
    paper.legend(&painter);

    let decoder = Rect::from_min_max(pos2(all.left() + KEYS_WIDTH, all.top()), pos2(left, all.bottom()));
    paper.decoder(&ui.painter_at(decoder), decoder, outlook);
    let hint = "The model's mind: the longer the bar, the likelier this pitch is to come next";
    ui.allocate_rect(decoder, Sense::hover()).on_hover_text(hint);
    let keys = Rect::from_min_max(all.min, pos2(all.left() + KEYS_WIDTH, all.bottom()));
    keyboard::show(ui, palette, &paper, keys, roll, touching).on_hover_cursor(CursorIcon::PointingHand);
    ui.painter().rect_stroke(all, 4.0, Stroke::new(1.0, palette.line), StrokeKind::Inside);
}

impl Viewport {
    fn rule(&self, painter: &Painter, roll: &Roll) {
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
        let coming = roll.coming.into_iter().flat_map(|(next, length)| {
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
    fn place(&self, note: &Drawn) -> Rect {
        let end = if note.end.is_finite() { note.end } else { self.now };
        let (left, top) = (self.x(note.start), self.y(note.key));
        let right = self.x(end).max(left + 2.0);
        let gap = (self.row * 0.08).clamp(0.25, 1.0);
        Rect::from_min_max(pos2(left, top + gap), pos2(right, top + self.row.max(3.0) - gap))
    }

    /// A note's color: that of its player, blended toward the background the softer the note is.
    fn colour(&self, note: &Drawn, forgotten: bool) -> Color32 {
        let full = match note.whose {
            Whose::Player => self.palette.yours,
            Whose::Antiphon => self.palette.mine,
        };
        let strength = 0.35 + 0.65 * f32::from(note.velocity) / 110.0;
        mix(self.palette.paper, full, strength * if forgotten { 0.35 } else { 1.0 })
    }

    fn note(&self, painter: &Painter, note: &Drawn, forgotten: bool) {
        let place = self.place(note);
        let round = CornerRadius::same((self.row * 0.25).clamp(1.0, 3.0) as u8);
        let colour = self.colour(note, forgotten);
        let sounds = note.end == f64::INFINITY;
        if sounds && place.height() >= 5.0 && place.width() >= 5.0 {
            painter.rect_filled(place, round, colour);
            painter.rect_stroke(place, round, Stroke::new(1.0, self.palette.ink), StrokeKind::Inside);
        } else {
            // Too small for an outline: lighten all of it instead.
            let share = if sounds { 0.4 } else { 0.0 };
            painter.rect_filled(place, round, mix(colour, self.palette.ink, share));
        }
    }

    fn ghost(&self, painter: &Painter, note: &Drawn) {
        let place = self.place(note);
        let round = CornerRadius::same((self.row * 0.25).clamp(1.0, 3.0) as u8);
        let colour = self.colour(note, false);
        painter.rect_filled(place, round, mix(self.palette.paper, colour, 0.22));
        painter.rect_stroke(place, round, Stroke::new(1.0, mix(self.palette.paper, colour, 0.7)), StrokeKind::Inside);
    }

    fn mark(&self, painter: &Painter, time: f64) {
        let x = self.x(time);
        let ends = [pos2(x, self.rect.top()), pos2(x, self.rect.bottom())];
        painter.extend(Shape::dashed_line(&ends, Stroke::new(1.5, self.palette.mine), 5.0, 4.0));
        self.label(painter, x, "hand-over", self.palette.mine, Align2::LEFT_TOP);
    }

    /// The legend of the two players' colors.
    fn legend(&self, painter: &Painter) {
        let mut place = self.rect.left_bottom() + vec2(8.0, -7.0);
        for (name, colour) in [("you", self.palette.yours), ("Antiphon", self.palette.mine)] {
            let dot = Rect::from_center_size(place + vec2(5.0, -7.0), vec2(10.0, 5.0));
            painter.rect_filled(dot, 2.0, colour);
            let font = FontId::proportional(SMALL);
            let text = place + vec2(14.0, 0.0);
            let text = painter.text(text, Align2::LEFT_BOTTOM, name, font, self.palette.quiet);
            place.x = text.right() + 14.0;
        }
    }

    /// The instructions that are shown before the first note.
    fn invite(&self, painter: &Painter) {
        let centre = pos2(self.rect.left() + self.rect.width() * 0.4, self.rect.center().y);
        let lines = [
            (-20.0, LARGE + 2.0, "Play a phrase, then stop: Antiphon continues.", self.palette.ink),
            (8.0, BODY, "Play a key, and it listens again.", self.palette.quiet),
            (28.0, BODY, "No keyboard? Play the keys on the left with the mouse.", self.palette.quiet),
        ];
        for (down, size, text, colour) in lines {
            painter.text(centre + vec2(0.0, down), Align2::CENTER_CENTER, text, FontId::proportional(size), colour);
        }
    }

    fn label(&self, painter: &Painter, x: f32, text: &str, colour: Color32, align: Align2) {
        let side = if align == Align2::LEFT_TOP { 5.0 } else { -5.0 };
        painter.text(pos2(x + side, self.rect.top() + 4.0), align, text, FontId::proportional(SMALL), colour);
    }

    /// The pitch forecast: one bar per key; the likeliest one takes the full width.
    fn decoder(&self, painter: &Painter, room: Rect, outlook: &PitchForecast) {
        painter.rect_filled(room, 0.0, mix(self.palette.paper, self.palette.ground, 0.5));
        let most = outlook.pitches.iter().copied().fold(0.0, f32::max);
        if most <= 0.0 {
            return;
        }
        for key in self.keys() {
            let share = outlook.pitches[usize::from(key)] / most;
            // A square root makes less likely pitches visible, too: a quarter of the probability is half the length.
            let width = (room.width() - 4.0) * share.sqrt();
            if width >= 1.0 {
                let bar = Rect::from_min_size(pos2(room.left() + 1.0, self.y(key)), vec2(width, self.row.max(1.5)));
                let colour = mix(self.palette.paper, self.palette.mine, 0.25 + 0.6 * share);
                painter.rect_filled(bar.shrink2(vec2(0.0, 0.2)), 1.0, colour);
            }
        }
    }
}
