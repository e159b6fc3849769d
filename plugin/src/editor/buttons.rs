//! The row of buttons: the turn, the takes, MIDI files.

use std::time::Duration;

use egui::{Align, Button, Layout, Popup, Response, RichText, Ui, vec2};
use engine::link::roll::{Roll, Whose};
use engine::link::status::{Health, Status};

use super::control::{self, UiContext};
use super::files::Files;
use super::handles::Handles;
use super::history::History;
use super::theme::BODY;
use crate::export;
use crate::ui_state::UiState;

/// Draws the row, with `notes_out` at its right end. `holds`: the model plays while the button is held.
pub fn show(
    ui: &mut Ui,
    ui_context: &UiContext,
    handles: &Handles,
    status: &Status,
    roll: &Roll,
    holds: bool,
    notes_out: impl FnOnce(&mut Ui),
) {
    let plays = matches!(status.health(), Health::Starting | Health::Ready);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.add_enabled_ui(plays, |ui| turn(ui, ui_context, handles, roll, holds));
        ui.add_space(6.0);
        action_button(ui, ui_context, handles, "another", "New take", "N");
        action_button(ui, ui_context, handles, "again", "Replay", "A");
        action_button(ui, ui_context, handles, "undo", "Undo", "");
        let freeze = &handles["freeze"];
        let button = Button::new("Freeze").selected(freeze.is_on());
        let response = ui.add(button).on_hover_text(format!("{} (key F)", freeze.hint));
        control::learn_menu(ui_context, freeze, &response);
        if response.clicked() {
            freeze.toggle(ui_context.host);
        }
        forget(ui, ui_context, handles);
        let panic = RichText::new("Panic").color(ui_context.palette.trouble);
        if ui.button(panic).on_hover_text(handles["panic"].hint).clicked() {
            handles["panic"].toggle(ui_context.host);
            thaw(ui_context, handles);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            notes_out(ui);
        });
    });
}

/// Draws the buttons for the list of takes and for MIDI files.
pub fn notes_out(ui: &mut Ui, roll: &Roll, history: &mut History, files: &mut Files, ui_state: &mut UiState) {
    let takes = Button::new(format!("Takes {}", history.len())).selected(ui_state.takes);
    if ui.add(takes).on_hover_text("The takes so far (key T)").clicked() {
        ui_state.takes = !ui_state.takes;
    }
    save(ui, roll, history, files);
}

/// In a mode where *Continue* must be held: seconds after which the parameter is switched off if it is on although the
/// button is not held and it is the player's turn. It was left on by another mode, or from before the player came in;
/// while it is on, the next press would not count as one.
const LEFT_S: f64 = 1.0;

/// Draws the largest button: *Continue* or *Stop*.
fn turn(ui: &mut Ui, ui_context: &UiContext, handles: &Handles, roll: &Roll, holds: bool) {
    let palette = ui_context.palette;
    let (text, color, hint) = match roll.turn {
        Whose::Player => ("Continue", palette.antiphon, "Antiphon plays now (key G)"),
        Whose::Antiphon => ("Stop", palette.player, "Antiphon stops, and it is your turn (key G)"),
    };
    let ink = RichText::new(text).size(BODY + 1.0).color(palette.paper).strong();
    let button = Button::new(ink).fill(color).min_size(vec2(84.0, 28.0));
    let hint = if holds { "Antiphon plays while you hold this (key G: press to start, press to stop)" } else { hint };
    let response = ui.add(button).on_hover_text(hint);
    let go = &handles["go"];
    control::learn_menu(ui_context, go, &response);
    let down = holds && response.is_pointer_button_down_on();
    let was = ui.data_mut(|data| std::mem::replace(data.get_temp_mut_or_default(response.id), down));
    if down != was {
        go.set_with_gesture(ui_context.host, if down { 1.0 } else { 0.0 });
    } else if response.clicked() && !holds {
        swap(ui_context, handles, roll);
    }
    let left = holds && !down && go.is_on() && roll.turn == Whose::Player;
    let now = ui.input(|input| input.time);
    let since = ui.data_mut(|data| *data.get_temp_mut_or(response.id.with("left"), now));
    if !left {
        ui.data_mut(|data| data.remove_temp::<f64>(response.id.with("left")));
    } else if now - since > LEFT_S {
        go.set_with_gesture(ui_context.host, 0.0);
    } else {
        ui.ctx().request_repaint_after(Duration::from_secs_f64(LEFT_S));
    }
}

/// Swaps the turns; if that stops the model, *Freeze* is switched off as well.
pub fn swap(ui_context: &UiContext, handles: &Handles, roll: &Roll) {
    handles["go"].toggle(ui_context.host);
    if roll.turn == Whose::Antiphon {
        thaw(ui_context, handles);
    }
}

/// Switches *Freeze* off because the loop has been stopped: its next press is to freeze again.
fn thaw(ui_context: &UiContext, handles: &Handles) {
    let freeze = &handles["freeze"];
    if freeze.is_on() {
        freeze.toggle(ui_context.host);
    }
}

/// A button for a parameter that acts on every change.
fn action_button(ui: &mut Ui, ui_context: &UiContext, handles: &Handles, id: &str, text: &str, key: &str) -> Response {
    let hint = handles[id].hint;
    let hint = if key.is_empty() { hint.to_owned() } else { format!("{hint} (key {key})") };
    let response = ui.button(text).on_hover_text(hint);
    control::learn_menu(ui_context, &handles[id], &response);
    if response.clicked() {
        handles[id].toggle(ui_context.host);
    }
    response
}

fn forget(ui: &mut Ui, ui_context: &UiContext, handles: &Handles) {
    let button = ui.button("Forget").on_hover_text("Forget what was played.");
    Popup::menu(&button).show(|ui| {
        if ui.button("Your last phrase").clicked() {
            handles["unheard"].toggle(ui_context.host);
        }
        if ui.button("Everything").clicked() {
            handles["forget"].toggle(ui_context.host);
        }
    });
}

/// The menu that saves MIDI files.
fn save(ui: &mut Ui, roll: &Roll, history: &History, files: &mut Files) {
    let button = ui.button("Save MIDI").on_hover_text("What was played, as a MIDI file at the project's tempo");
    Popup::menu(&button).show(|ui| {
        let latest = history.latest();
        for (text, with_phrase) in [("The latest take…", false), ("The latest take with its phrase…", true)] {
            if ui.add_enabled(latest.is_some(), Button::new(text)).clicked()
                && let Some(record) = &latest
            {
                files.save_as(&export::name(record, with_phrase), export::take(record, with_phrase));
            }
        }
        if ui.button("The last 60 seconds…").clicked() {
            match export::recent(roll) {
                Some(bytes) => files.save_as("Antiphon last minute.mid", bytes),
                None => files.show_message("Nothing was played in the last 60 seconds.", false),
            }
        }
    });
}
