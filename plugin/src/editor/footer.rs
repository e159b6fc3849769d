//! The footer: problems, figures and the latest message.

use egui::{Align, Label, Layout, RichText, Ui};
use engine::link::model_info::ModelInfo;
use engine::link::status::{Health, Status};

use super::control::UiContext;
use super::files::Files;
use super::theme::SMALL;
use crate::params::AntiphonParams;
use crate::ports::MidiPorts;
use crate::state::State;

/// How long the generator may be unresponsive before the footer says so, in seconds.
const SILENCE_S: f64 = 1.0;
/// Milliseconds per note above which generation is too slow for busy music, of about twenty notes per second.
const SLOW_MS: f64 = 25.0;

/// Draws the footer.
pub fn show(
    ui: &mut Ui,
    ui_context: &UiContext,
    status: &Status,
    model_info: &ModelInfo,
    ports: Option<&MidiPorts>,
    files: &mut Files,
    params: &AntiphonParams,
) {
    let palette = ui_context.palette;
    let small = |text: String| RichText::new(text).size(SMALL);
    for notice in ports.iter().flat_map(|ports| ports.notices()) {
        ui.add(Label::new(small(notice).color(palette.trouble)).wrap());
    }
    let silence_s = status.unresponsive_for().as_secs_f64();
    if silence_s > SILENCE_S {
        let trouble = format!("The model has not answered for {silence_s:.0} s. Your notes pass through.");
        ui.add(Label::new(small(trouble).color(palette.trouble)).wrap());
    }
    if let Some(missing) = &model_info.missing {
        ui.horizontal_wrapped(|ui| {
            ui.add(Label::new(small(missing.clone()).color(palette.trouble)).wrap());
            let hint = "Choose another model file for this project";
            if ui.button(small("Choose a file…".to_owned())).on_hover_text(hint).clicked() {
                files.choose_weights();
            }
            let hint = "Load the file again";
            if ui.button(small("Try again".to_owned())).on_hover_text(hint).clicked() {
                params.weights.try_again();
            }
            let hint = "Use the model that comes with Antiphon; the project forgets the file";
            if ui.button(small("Use the built-in model".to_owned())).on_hover_text(hint).clicked() {
                params.weights.choose(String::new());
            }
        });
    }
    if let Some(trouble) = &model_info.trouble {
        let silent = matches!(status.health(), Health::NoWeights | Health::Broken);
        let trouble = if silent { format!("{trouble} Notes pass through.") } else { trouble.clone() };
        ui.add(Label::new(small(trouble).color(palette.trouble)).wrap());
    }
    ui.horizontal(|ui| {
        let quiet = |ui: &mut Ui, text: String| ui.label(small(text).color(palette.quiet));
        let mut parts =
            vec![format!("{} heard", status.counts.heard.get()), format!("{} played", status.counts.played.get())];
        let device = &model_info.device;
        if !device.name.is_empty() {
            parts.push(device.name.clone());
        }
        if status.timing.note_us.get().is_finite() {
            parts.push(format!("{:.2} ms per note", status.timing.note_us.get() / 1_000.0));
        }
        if status.counts.late.get() + status.counts.dropped.get() == 0 {
            parts.push("none late".to_owned());
        }
        let hint =
            "Notes heard and played so far, where the model runs, its time per note, and how many notes were late";
        quiet(ui, parts.join("  ·  ")).on_hover_text([hint, &device.reason].join("\n"));
        if device.is_fallback {
            ui.label(small("not on the GPU".to_owned()).color(palette.trouble)).on_hover_text(&device.reason);
        }
        for (trouble, hint) in troubles(status, &params.state) {
            ui.label(small(trouble).color(palette.trouble)).on_hover_text(hint);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some((message, bad)) = files.message() {
                let color = if bad { palette.trouble } else { palette.ink };
                ui.add(Label::new(small(message.to_owned()).color(color)).truncate()).on_hover_text(message);
            } else if !model_info.weights.is_empty() {
                let license = if model_info.license.is_empty() { "no license stated" } else { &model_info.license };
                let text = format!("model {}, {license}", model_info.weights);
                ui.add(Label::new(small(text.clone()).color(palette.quiet)).truncate()).on_hover_text(text);
            }
        });
    });
}

/// Current problems: a short text and its tooltip each.
fn troubles(status: &Status, state: &State) -> Vec<(String, String)> {
    let counts = [
        (
            status.counts.late.get(),
            "late",
            "Notes that were ready late and were delayed. A smaller Search takes less time",
        ),
        (
            status.counts.dropped.get(),
            "dropped",
            "Notes that were ready too late and were dropped. A smaller Search takes less time",
        ),
        (status.counts.overflows.get(), "lost", "Messages, notes and events that were lost because a queue was full"),
        (status.counts.restarts.get(), "restarts", "How often the model failed and was restarted"),
    ];
    let counted = counts.into_iter().filter(|trouble| trouble.0 > 0);
    let mut troubles: Vec<_> =
        counted.map(|(count, name, hint)| (format!("{count} {name}"), hint.to_owned())).collect();
    let note_ms = status.timing.note_us.get() / 1_000.0;
    if note_ms > SLOW_MS {
        let hint = format!(
            "Each note takes {note_ms:.0} ms on this machine, too long for fast music. Choose a smaller Search"
        );
        troubles.push(("too slow".to_owned(), hint));
    }
    if state.is_newer() {
        let hint = "This project was saved by a later version of Antiphon. Settings that this version does not \
                    know are ignored, and lost when you save the project";
        troubles.push(("from a later version".to_owned(), hint.to_owned()));
    }
    let unknown = state.unknown();
    if !unknown.is_empty() {
        let hint = format!("This project uses settings that this version does not have. They were ignored: {unknown}");
        troubles.push(("unknown settings".to_owned(), hint));
    }
    troubles
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use nice_plug::prelude::Params;

    use super::*;

    #[test]
    fn a_project_of_a_later_version_is_told_of_and_so_is_what_was_lost() {
        let status = Arc::new(Status::default());
        let state = State::new(status.clone());
        let told = || {
            let troubles = troubles(&status, &state);
            troubles.into_iter().map(|(trouble, _)| trouble).collect::<Vec<_>>()
        };
        assert!(told().is_empty());
        status.counts.overflows.add(3);
        state.deserialize_fields(&BTreeMap::from([("format".to_owned(), "99".to_owned())]));
        assert_eq!(told(), ["3 lost", "from a later version"]);
        state.deserialize_fields(&state.serialize_fields());
        assert_eq!(told(), ["3 lost"]);
        state.deserialize_fields(&BTreeMap::from([("unknown".to_owned(), "`mode` cannot be \"dance\"".to_owned())]));
        assert_eq!(told(), ["3 lost", "unknown settings"]);
        status.timing.note_us.set(40_000.0);
        assert_eq!(told(), ["3 lost", "too slow", "unknown settings"]);
    }
}
