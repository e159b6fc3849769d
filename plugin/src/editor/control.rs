//! One control per parameter: a knob for a number, a menu for a choice, a switch for on and off. All of them are
//! dragged, stepped, typed and reset in the same ways.

use std::f32::consts::{PI, TAU};

use egui::{
    Align2, FontId, Id, Key, Popup, Pos2, Rect, Response, Sense, Shape, Stroke, TextEdit, Ui, Vec2, pos2, vec2,
};
use nice_plug::context::gui::GuiContext;

use super::handles::{Handle, Kind};
use super::theme::{BODY, Palette, SMALL, mix};
use crate::learn::MidiMap;

/// Size of a control's cell, in points.
pub const CELL: Vec2 = vec2(92.0, 74.0);
/// How far the mouse moves from one end of a number's range to the other, in points.
const TRAVEL: f32 = 220.0;
/// Factor on the mouse's movement while Shift is down.
const FINE: f32 = 0.1;
/// Points per notch, for systems that report the mouse wheel in points.
const NOTCH: f32 = 40.0;
/// A knob's radius in points.
const RADIUS: f32 = 15.0;
/// Where a knob's scale begins, in radians, clockwise from three o'clock.
const FROM: f32 = 0.75 * PI;
/// How far it reaches, in radians.
const SWEEP: f32 = 1.5 * PI;

/// What all controls use.
#[derive(Clone, Copy)]
pub struct UiContext<'a> {
    /// The connection to the host.
    pub host: &'a GuiContext,
    /// The colors.
    pub palette: Palette,
    /// The MIDI controllers assigned to parameters.
    pub learned: &'a MidiMap,
    /// Whether the mouse wheel turns the control under the pointer rather than scrolls.
    pub wheel: bool,
}

/// The width of a cell that shows the control's whole name, in points.
pub fn cell_width(ui: &Ui, handle: &Handle) -> f32 {
    let font = FontId::proportional(SMALL);
    let name = ui.painter().layout_no_wrap(handle.name().to_owned(), font, egui::Color32::PLACEHOLDER);
    name.size().x + 4.0
}

/// Draws a control with its name in a cell of this size. A control that has no effect at present (`acts`) is dimmed but
/// can still be set. Returns the response of the interactive part.
pub fn show(ui: &mut Ui, ui_context: &UiContext, handle: &Handle, size: Vec2, acts: bool) -> Response {
    let (cell, _) = ui.allocate_exact_size(size, Sense::hover());
    let strength = if acts { 1.0 } else { 0.45 };
    let palette = dimmed(ui_context.palette, strength);
    let ui_context = &UiContext { palette, ..*ui_context };
    let name = FontId::proportional(SMALL);
    let learning = ui_context.learned.is_learning(&handle.id);
    let (title, color) =
        if learning { ("move a controller…", palette.antiphon) } else { (handle.name(), palette.quiet) };
    let top = pos2(cell.center().x, cell.top() + 2.0);
    // A long name may extend into the gaps between cells.
    ui.painter().with_clip_rect(cell.expand2(vec2(5.0, 0.0))).text(top, Align2::CENTER_TOP, title, name, color);
    let body = Rect::from_min_max(pos2(cell.left(), cell.top() + 17.0), cell.max);
    let response = match handle.kind() {
        Kind::Switch => switch(ui, ui_context, handle, body),
        Kind::Choice(count) => choice(ui, ui_context, handle, body, count),
        Kind::Number => number(ui, ui_context, handle, body),
    };
    Popup::context_menu(&response).show(|ui| {
        if ui.button("Default value").clicked() {
            handle.set_with_gesture(ui_context.host, handle.default());
        }
        learn_entries(ui, ui_context, handle);
    });
    response.on_hover_text(handle.hint)
}

/// A button's right-click menu for MIDI learn, and a frame and tooltip while it waits for a controller.
pub fn learn_menu(ui_context: &UiContext, handle: &Handle, response: &Response) {
    if ui_context.learned.controller(&handle.id).is_some() {
        Popup::context_menu(response).show(|ui| learn_entries(ui, ui_context, handle));
    }
    if ui_context.learned.is_learning(&handle.id) {
        let painter = response.ctx.layer_painter(response.layer_id);
        let stroke = Stroke::new(2.0, ui_context.palette.antiphon);
        painter.rect_stroke(response.rect, 5.0, stroke, egui::StrokeKind::Inside);
        response.show_tooltip_text("Press a pad or pedal…");
    }
}

/// The menu's entries for MIDI learn, if the parameter supports it.
fn learn_entries(ui: &mut Ui, ui_context: &UiContext, handle: &Handle) {
    if let Some(controller) = ui_context.learned.controller(&handle.id) {
        let learning = ui_context.learned.is_learning(&handle.id);
        let hint = "Move a knob, pad or pedal to control this with it; it is then no longer passed on";
        if !learning && ui.button("MIDI learn").on_hover_text(hint).clicked() {
            ui_context.learned.learn(Some(&handle.id));
        }
        if learning && ui.button("Cancel").clicked() {
            ui_context.learned.learn(None);
        }
        if let Some(number) = controller
            && ui.button(format!("Clear CC {number}")).clicked()
        {
            ui_context.learned.forget(&handle.id);
        }
        let mut soft = ui_context.learned.is_soft();
        let hint = "On: a knob does nothing until it passes the value. Off: the value jumps to the knob. For all controllers \
                    of this project";
        if ui.checkbox(&mut soft, "Soft takeover").on_hover_text(hint).clicked() {
            ui_context.learned.set_soft(soft);
        }
    }
}

/// The palette with its text and accent colors faded toward the background.
fn dimmed(palette: Palette, strength: f32) -> Palette {
    let dim = |color| mix(palette.ground, color, strength);
    Palette { ink: dim(palette.ink), quiet: dim(palette.quiet), player: dim(palette.player), ..palette }
}

fn switch(ui: &mut Ui, ui_context: &UiContext, handle: &Handle, body: Rect) -> Response {
    let palette = ui_context.palette;
    let place = Rect::from_center_size(pos2(body.center().x, body.top() + RADIUS + 1.0), vec2(38.0, 20.0));
    let response = ui.interact(place, ui.scope_id().with(&handle.id), Sense::click());
    let on = handle.is_on();
    if response.clicked() {
        handle.toggle(ui_context.host);
    }
    let fill = if on { palette.player } else { palette.held };
    ui.painter().rect_filled(place, 10.0, fill);
    let x = if on { place.right() - 10.0 } else { place.left() + 10.0 };
    ui.painter().circle_filled(pos2(x, place.center().y), 7.0, if on { palette.ground } else { palette.quiet });
    focus_ring(ui, &response, place, palette);
    value_text(ui, body, &handle.text(handle.value()), palette);
    response
}

fn choice(ui: &mut Ui, ui_context: &UiContext, handle: &Handle, body: Rect, count: usize) -> Response {
    let palette = ui_context.palette;
    let width = body.width() - 2.0;
    let place = Rect::from_center_size(pos2(body.center().x, body.top() + RADIUS + 4.0), vec2(width, 26.0));
    let id = ui.scope_id().with(&handle.id);
    let response = ui.interact(place, id, Sense::click());
    let last = (count - 1).max(1) as f32;
    let chosen = (handle.value() * last).round() as usize;
    let fill = if response.hovered() { palette.held } else { palette.grip };
    ui.painter().rect_filled(place, 5.0, fill);
    let text = handle.text(handle.value());
    let font = FontId::proportional(if text.len() > 9 { SMALL } else { BODY });
    let inside = ui.painter().with_clip_rect(Rect::from_min_max(place.min, place.max - vec2(13.0, 0.0)));
    inside.text(pos2(place.left() + 5.0, place.center().y), Align2::LEFT_CENTER, text, font, palette.ink);
    let tip = pos2(place.right() - 7.0, place.center().y + 2.0);
    let arrow = vec![tip + vec2(-4.0, -4.0), tip + vec2(4.0, -4.0), tip];
    ui.painter().add(Shape::convex_polygon(arrow, palette.quiet, Stroke::NONE));
    focus_ring(ui, &response, place, palette);

    let next = chosen.saturating_add_signed(steps(ui, ui_context, &response) as isize).min(count - 1);
    if next != chosen {
        handle.set_with_gesture(ui_context.host, next as f32 / last);
    }
    Popup::menu(&response).show(|ui| {
        ui.set_min_width(width);
        for index in 0..count {
            let value = index as f32 / last;
            if ui.selectable_label(index == chosen, handle.text(value)).clicked() {
                handle.set_with_gesture(ui_context.host, value);
                ui.close();
            }
        }
    });
    response
}

fn number(ui: &mut Ui, ui_context: &UiContext, handle: &Handle, body: Rect) -> Response {
    let palette = ui_context.palette;
    let center = pos2(body.center().x, body.top() + RADIUS + 1.0);
    let id = ui.scope_id().with(&handle.id);
    let place = Rect::from_center_size(center, Vec2::splat(2.0 * RADIUS + 4.0));
    let response = ui.interact(place, id, Sense::click_and_drag());
    let value = turned(ui, ui_context, handle, &response, id).unwrap_or_else(|| handle.value());

    let held = response.dragged() || response.hovered();
    arc(ui, center, RADIUS, [0.0, 1.0], Stroke::new(3.0, if held { palette.held } else { palette.grip }));
    arc(ui, center, RADIUS, [0.0, value], Stroke::new(3.0, palette.player));
    let direction = Vec2::angled(FROM + SWEEP * value);
    let hub = if held { palette.held } else { palette.grip };
    ui.painter().circle_filled(center, RADIUS - 4.5, hub);
    ui.painter().line_segment(
        [center + direction * (RADIUS - 10.0), center + direction * (RADIUS - 5.5)],
        Stroke::new(2.0, palette.ink),
    );
    if let Some(at) = ui_context.learned.waiting(&handle.id) {
        // Where the assigned MIDI knob stands, while it has not passed the value yet.
        let direction = Vec2::angled(FROM + SWEEP * at);
        let [inner, outer] = [RADIUS - 2.0, RADIUS + 3.0].map(|radius| center + direction * radius);
        ui.painter().line_segment([inner, outer], Stroke::new(2.0, palette.antiphon));
    }
    focus_ring(ui, &response, place, palette);
    typed(ui, ui_context, handle, body, id, value);
    response
}

/// The value during a drag. Also applies double clicks, mouse-wheel and arrow-key steps; `None` for all of these.
fn turned(ui: &Ui, ui_context: &UiContext, handle: &Handle, response: &Response, id: Id) -> Option<f32> {
    let shift = ui.input(|input| input.modifiers.shift);
    if response.double_clicked() {
        handle.set_with_gesture(ui_context.host, handle.default());
        return None;
    }
    if response.drag_started() {
        handle.begin(ui_context.host);
        ui.data_mut(|data| data.insert_temp(id, handle.value()));
    }
    if response.dragged() {
        // The host applies a value only with its next block, so the drag keeps a position of its own.
        let at = ui.data(|data| data.get_temp(id)).unwrap_or_else(|| handle.value());
        let motion = response.drag_delta();
        let way = (motion.x - motion.y) / TRAVEL * if shift { FINE } else { 1.0 };
        let to = (at + way).clamp(0.0, 1.0);
        if to != at {
            ui.data_mut(|data| data.insert_temp(id, to));
            handle.set(ui_context.host, to);
        }
        return Some(to);
    }
    if response.drag_stopped() {
        handle.end(ui_context.host);
        ui.data_mut(|data| data.remove::<f32>(id));
    }
    let steps = steps(ui, ui_context, response);
    let to = (0..steps.abs()).fold(handle.value(), |at, _| handle.step(at, steps > 0, shift));
    if to != handle.value() {
        handle.set_with_gesture(ui_context.host, to);
    }
    None
}

/// The value below a number; after a click, a text field to type it in.
fn typed(ui: &mut Ui, ui_context: &UiContext, handle: &Handle, body: Rect, id: Id, value: f32) {
    let palette = ui_context.palette;
    let place = Rect::from_min_max(pos2(body.left() + 2.0, body.bottom() - 20.0), body.right_bottom() - vec2(2.0, 1.0));
    let typing = id.with("typed");
    let text: Option<String> = ui.data(|data| data.get_temp(typing));
    let Some(mut text) = text else {
        let response = ui.interact(place, typing.with("place"), Sense::click());
        if response.hovered() {
            ui.painter().rect_filled(place, 4.0, palette.grip);
        }
        value_text(ui, body, &handle.text(value), palette);
        if response.on_hover_text("Click to type a value").clicked() {
            ui.data_mut(|data| data.insert_temp(typing, String::new()));
            ui.memory_mut(|memory| memory.request_focus(typing.with("edit")));
        }
        return;
    };
    // The field starts empty, with the current value as a hint.
    let edit = TextEdit::singleline(&mut text).id(typing.with("edit")).align(Align2::CENTER_CENTER);
    let edit = edit.hint_text(handle.text(value));
    let response = ui.put(place, edit.font(FontId::proportional(BODY)));
    if response.lost_focus() {
        let enter = ui.input(|input| input.key_pressed(Key::Enter));
        if let Some(value) = handle.read(&text).filter(|_| enter) {
            handle.set_with_gesture(ui_context.host, value);
        }
        ui.data_mut(|data| data.remove::<String>(typing));
    } else {
        ui.data_mut(|data| data.insert_temp(typing, text));
    }
}

/// The number of steps up (negative: down) by the arrow keys or the mouse wheel.
fn steps(ui: &Ui, ui_context: &UiContext, response: &Response) -> i32 {
    steps_by_key(ui, response).map_or_else(|| wheel(ui, ui_context, response), |up| if up { 1 } else { -1 })
}

/// The whole notches that the mouse wheel has turned up over this control. Fractions add up, since a touchpad sends
/// many small movements. With Shift some systems report horizontal movement, which counts as well.
fn wheel(ui: &Ui, ui_context: &UiContext, response: &Response) -> i32 {
    let id = response.id.with("wheel");
    if !ui_context.wheel || !response.hovered() {
        ui.data_mut(|data| data.remove::<f32>(id));
        return 0;
    }
    let turned: f32 = ui.input(|input| input.raw.events.iter().filter_map(notches).sum());
    ui.data_mut(|data| {
        let turned_so_far: &mut f32 = data.get_temp_mut_or_default(id);
        *turned_so_far += turned;
        let whole = turned_so_far.trunc();
        *turned_so_far -= whole;
        whole as i32
    })
}

/// How far an event has turned the mouse wheel, in notches.
fn notches(event: &egui::Event) -> Option<f32> {
    let egui::Event::MouseWheel { unit, delta, .. } = event else {
        return None;
    };
    let turned = delta.x + delta.y;
    Some(if *unit == egui::MouseWheelUnit::Point { turned / NOTCH } else { turned })
}

/// Whether an arrow key steps the focused control, and whether up.
fn steps_by_key(ui: &Ui, response: &Response) -> Option<bool> {
    if !response.has_focus() {
        return None;
    }
    // Otherwise egui would move the focus to the next control.
    let filter = egui::EventFilter { vertical_arrows: true, ..Default::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    ui.input(|input| match (input.key_pressed(Key::ArrowUp), input.key_pressed(Key::ArrowDown)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    })
}

fn value_text(ui: &Ui, body: Rect, text: &str, palette: Palette) {
    let place = pos2(body.center().x, body.bottom() - 3.0);
    let painter = ui.painter().with_clip_rect(body);
    painter.text(place, Align2::CENTER_BOTTOM, text, FontId::proportional(BODY), palette.ink);
}

fn focus_ring(ui: &Ui, response: &Response, place: Rect, palette: Palette) {
    if response.has_focus() {
        let stroke = Stroke::new(1.5, palette.player);
        ui.painter().rect_stroke(place.expand(2.0), 6.0, stroke, egui::StrokeKind::Outside);
    }
}

/// An arc between two positions on a knob's scale, 0–1.
fn arc(ui: &Ui, center: Pos2, radius: f32, [from, to]: [f32; 2], stroke: Stroke) {
    ring(ui, center, radius, [FROM + SWEEP * from, FROM + SWEEP * to], stroke);
}

/// An arc between two angles, in radians.
pub fn ring(ui: &Ui, center: Pos2, radius: f32, [from, to]: [f32; 2], stroke: Stroke) {
    let count = (((to - from) / TAU * 48.0).ceil() as usize).max(1);
    let point = |index: usize| {
        let angle = from + (to - from) * index as f32 / count as f32;
        center + Vec2::angled(angle) * radius
    };
    ui.painter().add(Shape::line((0..=count).map(point).collect(), stroke));
}
