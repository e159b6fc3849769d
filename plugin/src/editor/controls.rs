//! The controls: every one is a host parameter, but for the choice of weights.

use egui::{Button, Grid, RichText, TextEdit, Ui};
use nice_plug::context::gui::{GuiContext, ParamSetter};
use nice_plug::params::persist::PersistentField;
use nice_plug::params::{BoolParam, Param};
use nice_plug_egui::widgets::ParamSlider;

use super::theme;
use crate::inference::Bulletin;
use crate::params::{AntiphonParams, Ends};
use crate::roll::{Roll, Whose};
use crate::status::Status;
use crate::weights::{SEED_NAME, WeightsChoice};

/// What the controls remember between two frames.
#[derive(Default)]
pub struct Controls {
    /// The path being typed.
    path: Option<String>,
}

impl Controls {
    /// All controls, at the bottom of the window.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        params: &AntiphonParams,
        status: &Status,
        roll: &Roll,
        bulletin: &Bulletin,
        context: &GuiContext,
    ) {
        let setter = context.param_setter();
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            let (go, hint) = match roll.turn {
                Whose::Yours => ("Go on", "The model takes the turn now"),
                Whose::Mine => ("Stop", "The model gives the turn back now"),
            };
            if ui.add(Button::new(go)).on_hover_text(hint).clicked() {
                toggle(&setter, &params.turn.go);
            }
            if ui.button("Forget").on_hover_text("The model forgets the phrase").clicked() {
                toggle(&setter, &params.turn.forget);
            }
            if ui.button("Another").on_hover_text("The next seed: another continuation").clicked() {
                setter.begin_set_parameter(&params.model.seed);
                setter.set_parameter(&params.model.seed, (params.model.seed.value() + 1) % 10_000);
                setter.end_set_parameter(&params.model.seed);
            }
            let mut bypass = params.bypass.value();
            if ui.checkbox(&mut bypass, "Bypass").clicked() {
                toggle(&setter, &params.bypass);
            }
            ui.separator();
            figures(ui, status);
        });
        ui.add_space(2.0);
        Grid::new("sliders").num_columns(4).spacing([16.0, 6.0]).show(ui, |ui| {
            slider(ui, &setter, &params.turn.silence_ms, "No key down for this long hands the turn over");
            slider(ui, &setter, &params.model.temperature, "1: as tuned; less: likelier notes; more: stranger ones");
            ui.end_row();
            slider(ui, &setter, &params.turn.ends, "What ends the model's turn, beside you");
            slider(ui, &setter, &params.model.top_p, "Choices less likely than this share are never drawn");
            ui.end_row();
            match params.turn.ends.value() {
                Ends::Open => {
                    ui.label("");
                    ui.label("");
                }
                Ends::Seconds => slider(ui, &setter, &params.turn.length_s, "Length of the model's turn"),
                Ends::Notes => slider(ui, &setter, &params.turn.length_notes, "Length of the model's turn"),
                Ends::Bars => slider(ui, &setter, &params.turn.length_bars, "Length of the model's turn"),
            }
            slider(ui, &setter, &params.model.seed, "The same phrase and seed give the same continuation");
            ui.end_row();
        });
        self.weights(ui, &params.weights, bulletin);
        ui.add_space(4.0);
    }

    /// The choice of weights.
    fn weights(&mut self, ui: &mut Ui, choice: &WeightsChoice, bulletin: &Bulletin) {
        let heading = ui.collapsing("Weights", |ui| {
            ui.horizontal(|ui| {
                let path = self.path.get_or_insert_with(|| choice.map(String::clone));
                let typed =
                    ui.add(TextEdit::singleline(path).hint_text("path of a .safetensors file").desired_width(360.0));
                let entered = typed.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
                if ui.button("Load").clicked() || entered {
                    choice.set(path.trim().to_owned());
                }
                if ui.button("Built-in").clicked() {
                    path.clear();
                    choice.set(String::new());
                }
                if ui.button("Seed").on_hover_text("The network this project comes from").clicked() {
                    SEED_NAME.clone_into(path);
                    choice.set(SEED_NAME.to_owned());
                }
            });
        });
        if !bulletin.licence.is_empty() {
            heading.header_response.on_hover_text(format!("{}: {}", bulletin.weights, bulletin.licence));
        }
    }
}

/// Changes a switch whose every change acts.
fn toggle(setter: &ParamSetter, param: &BoolParam) {
    setter.begin_set_parameter(param);
    setter.set_parameter(param, !param.value());
    setter.end_set_parameter(param);
}

fn slider<P: Param>(ui: &mut Ui, setter: &ParamSetter, param: &P, hint: &str) {
    ui.label(param.name()).on_hover_text(hint);
    ui.add(ParamSlider::for_param(param, setter).with_width(150.0)).on_hover_text(hint);
}

/// What went on, in figures; what went wrong in colour.
fn figures(ui: &mut Ui, status: &Status) {
    let (heard, played) = (status.heard.get(), status.played.get());
    let mut text = format!("{heard} heard, {played} played");
    if status.note_us.get().is_finite() {
        text += &format!(", {:.1} ms a note", status.note_us.get() / 1_000.0);
    }
    ui.label(RichText::new(text).color(theme::QUIET));
    let troubles = [
        (status.late.get(), "late"),
        (status.dropped.get(), "dropped"),
        (status.overflows.get(), "lost"),
        (status.restarts.get(), "restarts"),
    ];
    for (count, name) in troubles.into_iter().filter(|trouble| trouble.0 > 0) {
        ui.label(RichText::new(format!("{count} {name}")).color(theme::TROUBLE));
    }
}
