//! The controls: the eight main ones, and a tab for each group of the others.

use egui::{Button, Key, RichText, ScrollArea, Stroke, Ui, vec2};

use super::control::{self, CELL, UiContext};
use super::handles::{Handles, Kind};
use super::theme::SMALL;
use crate::params::{ACTIONS, FRONT, GROUPS};
use crate::ui_state::UiState;

/// The keys that open the groups' tabs.
pub const KEYS: [Key; GROUPS.len()] = [Key::Num1, Key::Num2, Key::Num3, Key::Num4];
/// Space between two controls, in points.
const GAP: f32 = 4.0;
/// The greatest width of a control, in points.
const WIDEST: f32 = 140.0;
/// The greatest height of an open group, as a share of the window's.
const MOST: f32 = 0.4;

/// Opens a group, or closes it if it is open.
pub fn toggle(ui_state: &mut UiState, group: &str) {
    let open = ui_state.group.as_deref() == Some(group);
    ui_state.group = (!open).then(|| group.to_owned());
}

/// Draws the tabs and the controls below them.
pub fn show(ui: &mut Ui, ui_context: &UiContext, handles: &Handles, ui_state: &mut UiState) {
    ui.add_space(8.0);
    tabs(ui, ui_context, ui_state);
    ui.add_space(6.0);
    if let Some(group) = ui_state.group.clone() {
        let most = ui.ctx().content_rect().height() * MOST;
        // Without a minimum height, the area would keep the height of the previous group. While a group scrolls, the
        // mouse wheel must not turn the controls that pass under the pointer.
        let scrolls = ui.scope_id().with("scrolls");
        let ui_context = &UiContext { wheel: !ui.data(|data| data.get_temp(scrolls)).unwrap_or(false), ..*ui_context };
        let scroll = ScrollArea::vertical().id_salt("group").max_height(most).min_scrolled_height(most);
        let shown = scroll.auto_shrink([false, true]).show(ui, |ui| {
            let of_group = || handles.iter().filter(|handle| handle.group == group);
            let shown = || of_group().filter(|handle| !ACTIONS.contains(&handle.id.as_str()));
            // All as wide as the longest name needs, in as many columns as fit.
            let widest = shown().map(|handle| control::cell_width(ui, handle)).fold(CELL.x, f32::max);
            let columns = ((ui.available_width() + GAP) / (widest + GAP)).floor().max(1.0);
            let width = ((ui.available_width() + GAP) / columns - GAP).min(WIDEST).floor();
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = vec2(GAP, 8.0);
                for handle in shown() {
                    control::show(ui, ui_context, handle, vec2(width, CELL.y), acts(&handle.id, handles));
                }
            });
        });
        let overflows = shown.content_size.y > shown.inner_rect.height() + 1.0;
        ui.data_mut(|data| data.insert_temp(scrolls, overflows));
    } else {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = GAP;
            // A choice shows words and needs more room than a number.
            let shares = FRONT.map(|id| if matches!(handles[id].kind(), Kind::Choice(_)) { 4.0 } else { 3.0 });
            let room = ui.available_width() - GAP * (FRONT.len() - 1) as f32;
            let share = (room / shares.iter().sum::<f32>()).min(WIDEST / 4.0);
            for (id, shares) in FRONT.into_iter().zip(shares) {
                control::show(ui, ui_context, &handles[id], vec2(share * shares, CELL.y), acts(id, handles));
            }
        });
    }
}

/// The tabs: the main controls, and each group.
fn tabs(ui: &mut Ui, ui_context: &UiContext, ui_state: &mut UiState) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = GAP;
        if tab(ui, ui_context, "Main", ui_state.group.is_none(), "The main controls (key Esc)") {
            ui_state.group = None;
        }
        for (number, group) in GROUPS.into_iter().enumerate() {
            let open = ui_state.group.as_deref() == Some(group);
            let hint = format!("All controls of this group (key {})", number + 1);
            if tab(ui, ui_context, group, open, &hint) {
                toggle(ui_state, group);
            }
        }
        // A line that connects the tabs with the controls below.
        let line = ui.available_rect_before_wrap();
        ui.painter().hline(line.x_range(), line.center().y, Stroke::new(1.0, ui_context.palette.grip));
    });
}

/// Draws a tab. `true`: it was clicked.
fn tab(ui: &mut Ui, ui_context: &UiContext, name: &str, open: bool, hint: &str) -> bool {
    let ink = if open { ui_context.palette.ink } else { ui_context.palette.quiet };
    let text = RichText::new(name).size(SMALL + 0.5).color(ink);
    let response = ui.add(Button::new(text).min_size(vec2(64.0, 24.0)).frame_when_inactive(false)).on_hover_text(hint);
    if open {
        let line = Stroke::new(2.0, ui_context.palette.player);
        ui.painter().hline(response.rect.x_range().shrink(12.0), response.rect.bottom() - 1.0, line);
    }
    response.clicked()
}

/// Whether a parameter has any effect with the current settings.
fn acts(id: &str, handles: &Handles) -> bool {
    let is = |id: &str, choice: &str| handles.get(id).and_then(|handle| handle.choice()) == Some(choice);
    match id {
        // In mode trade silence counts while the host has no bars.
        "silence" => !is("mode", "trigger") && is("silunit", "ms"),
        "silbeats" => !is("mode", "trigger") && is("silunit", "beats"),
        "silunit" | "pedhold" => !is("mode", "trigger"),
        "trigby" | "trigtog" => is("mode", "trigger"),
        "trigkey" => is("mode", "trigger") && is("trigby", "key"),
        "trigcc" => is("mode", "trigger") && is("trigby", "cc"),
        "yours" | "mine" => is("mode", "trade"),
        "turn" => !is("mode", "trade"),
        "secs" => is("turn", "seconds") && !is("mode", "trade"),
        "notes" => is("turn", "notes") && !is("mode", "trade"),
        "bars" => is("turn", "bars") && !is("mode", "trade"),
        "grid" | "swing" | "pulse" => handles["strength"].is_on(),
        "scale" => !is("key", "free") && !is("key", "phrase"),
        "velocity" => is("dynamics", "fixed"),
        _ => true,
    }
}
