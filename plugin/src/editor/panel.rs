//! The controls: the eight that matter most, and each group of the others one click away.

use egui::{Button, Key, RichText, ScrollArea, Ui, vec2};

use super::control::{self, CELL, Hand};
use super::handles::Handles;
use super::theme::SMALL;
use crate::looks::Looks;

/// The groups in the order of their tabs, and the key for each.
pub const GROUPS: [(Key, &str); 4] =
    [(Key::Num1, "Turn"), (Key::Num2, "Time"), (Key::Num3, "Notes"), (Key::Num4, "Model")];
/// What matters most.
const FRONT: [&str; 8] = ["mode", "silence", "turn", "key", "temp", "density", "strength", "seed"];
/// What has a button of its own.
const BUTTONS: [&str; 8] = ["go", "again", "another", "undo", "unheard", "forget", "panic", "freeze"];
/// The least width of a control, in points.
const NARROW: f32 = 70.0;
/// An open group takes this part of the window at most.
const MOST: f32 = 0.4;

/// Opens a group, or closes it.
pub fn toggle(looks: &mut Looks, group: &str) {
    let open = looks.group.as_deref() == Some(group);
    looks.group = (!open).then(|| group.to_owned());
}

/// All of them.
pub fn show(ui: &mut Ui, hand: &Hand, handles: &Handles, looks: &mut Looks) {
    ui.add_space(6.0);
    if let Some(group) = looks.group.clone() {
        let most = ui.ctx().content_rect().height() * MOST;
        ScrollArea::vertical().id_salt("group").max_height(most).auto_shrink([false, true]).show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = vec2(4.0, 8.0);
                let of_group = handles.iter().filter(|handle| handle.group == group);
                for handle in of_group.filter(|handle| !BUTTONS.contains(&handle.id.as_str())) {
                    let room = control::room(ui, handle);
                    control::show(ui, hand, handle, room, acts(&handle.id, handles));
                }
            });
        });
        ui.add_space(6.0);
    } else {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            let room = ui.available_width() - 4.0 * (FRONT.len() - 1) as f32;
            let width = (room / FRONT.len() as f32).max(NARROW);
            for id in FRONT {
                control::show(ui, hand, &handles[id], vec2(width, CELL.y), acts(id, handles));
            }
        });
        ui.add_space(4.0);
    }
    tabs(ui, hand, looks);
}

fn tabs(ui: &mut Ui, hand: &Hand, looks: &mut Looks) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for (number, (_, group)) in GROUPS.into_iter().enumerate() {
            let open = looks.group.as_deref() == Some(group);
            let text = RichText::new(group).size(SMALL + 0.5);
            let text = if open { text.color(hand.palette.ink) } else { text.color(hand.palette.quiet) };
            let tab = Button::new(text).min_size(vec2(72.0, 22.0)).selected(open).frame_when_inactive(true);
            let hint = format!("All controls of this group (key {})", number + 1);
            if ui.add(tab).on_hover_text(hint).clicked() {
                toggle(looks, group);
            }
        }
    });
}

/// Whether a parameter does anything as the others are set.
fn acts(id: &str, handles: &Handles) -> bool {
    let is = |id: &str, text: &str| handles.get(id).is_some_and(|handle| handle.text(handle.value()) == text);
    match id {
        // Trading waits for silence where the host has no bars.
        "silence" => !is("mode", "trigger") && is("silunit", "ms"),
        "silbeats" => !is("mode", "trigger") && is("silunit", "beats"),
        "silunit" | "pedhold" => !is("mode", "trigger"),
        "trigby" | "trigtog" => is("mode", "trigger"),
        "trigkey" => is("mode", "trigger") && is("trigby", "key"),
        "trigcc" => is("mode", "trigger") && is("trigby", "controller"),
        "yours" | "mine" => is("mode", "trade"),
        "turn" => !is("mode", "trade"),
        "secs" => is("turn", "seconds") && !is("mode", "trade"),
        "notes" => is("turn", "notes") && !is("mode", "trade"),
        "bars" => is("turn", "bars") && !is("mode", "trade"),
        "grid" | "swing" | "pulse" => handles["strength"].is_on(),
        "scale" => !is("key", "free") && !is("key", "as the phrase"),
        "velocity" => is("dynamics", "fixed"),
        _ => true,
    }
}
