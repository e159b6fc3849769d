//! The menus: presets, model, view, and the standalone app's piano and MIDI ports.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use egui::{Button, Popup, RichText, ScrollArea, TextEdit, Ui, vec2};
use engine::link::model_info::ModelInfo;
use nice_plug::params::persist::PersistentField;

use super::control::UiContext;
use super::files::Files;
use super::handles::{Handle, Handles};
use super::theme::SMALL;
use crate::ports::{Direction, MidiPorts};
use crate::presets::{self, Preset, UserPreset};
use crate::stored::{self, Stored};
use crate::ui_state::{Theme, UiState, ZOOMS};
use crate::weights::{SEED_NAME, WeightsChoice};

/// The menus' state between frames.
pub struct Menus {
    weights: WeightsChoice,
    piano: Option<Arc<AtomicBool>>,
    ports: Option<MidiPorts>,
    built_in: Vec<Preset>,
    /// The user's presets, as of the latest scan of the folder; `None`: not scanned yet.
    user_presets: Option<Vec<UserPreset>>,
    /// The name being typed for a new preset.
    typed: String,
}

impl Menus {
    /// Menus for these weights and, in the standalone app, this switch of the piano and these ports.
    pub fn new(weights: WeightsChoice, piano: Option<Arc<AtomicBool>>, ports: Option<MidiPorts>) -> Self {
        Self { weights, piano, ports, built_in: presets::built_in(), user_presets: None, typed: String::new() }
    }

    /// Draws the menus' buttons, from right to left.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        ui_context: &UiContext,
        handles: &Handles,
        model_info: &ModelInfo,
        files: &mut Files,
        ui_state: &mut UiState,
    ) {
        let view = ui.button("View").on_hover_text("Size and colors");
        Popup::menu(&view).show(|ui| view_menu(ui, ui_state));
        if let Some(piano) = &self.piano {
            let on = piano.load(Ordering::Relaxed);
            let button = Button::new("Piano").selected(on);
            if ui.add(button).on_hover_text("The built-in piano. Off: Antiphon only sends MIDI.").clicked() {
                piano.store(!on, Ordering::Relaxed);
            }
        }
        if let Some(ports) = &self.ports {
            let midi = ui.button("MIDI").on_hover_text("MIDI input and output");
            Popup::menu(&midi).show(|ui| midi_menu(ui, ui_context, ports));
        }
        let weights = ui.button("Model").on_hover_text("Which model plays");
        Popup::menu(&weights).show(|ui| weights_menu(ui, ui_context, &self.weights, model_info, files));
        // Computed from the parameters, whatever has set them: a name that stays after a knob has been turned would be
        // wrong.
        let user_presets = self.user_presets.iter().flatten().map(|user| &user.preset);
        let name =
            user_presets.chain(&self.built_in).find(|preset| is_set(preset, handles)).map(|preset| preset.name.clone());
        let button = Button::new(name.as_deref().unwrap_or("Presets")).min_size(vec2(92.0, 0.0)).truncate();
        let presets = ui.add_sized(vec2(126.0, 26.0), button).on_hover_text("Presets, by situation");
        if presets.clicked() {
            self.user_presets = None;
        }
        Popup::menu(&presets).show(|ui| self.presets_menu(ui, ui_context, handles, files, name.as_deref()));
    }

    fn presets_menu(
        &mut self,
        ui: &mut Ui,
        ui_context: &UiContext,
        handles: &Handles,
        files: &mut Files,
        name: Option<&str>,
    ) {
        let folder = presets::folder();
        let user_presets = self.user_presets.get_or_insert_with(|| {
            let (presets, complaints) = folder.as_deref().map(presets::load).unwrap_or_default();
            if let Some(first) = complaints.first() {
                files.show_message(first, true);
            }
            presets
        });
        ui.set_width(230.0);
        let mut chosen = None;
        let mut deleted = None;
        ScrollArea::vertical().max_height(ui.ctx().content_rect().height() * 0.6).show(ui, |ui| {
            for preset in &self.built_in {
                if ui.selectable_label(name == Some(&preset.name), &preset.name).on_hover_text(&preset.about).clicked()
                {
                    chosen = Some(preset.clone());
                }
            }
            if !user_presets.is_empty() {
                ui.separator();
                ui.label(RichText::new("Yours").size(SMALL).color(ui_context.palette.quiet));
            }
            for UserPreset { path, preset } in user_presets.iter() {
                ui.horizontal(|ui| {
                    if ui.selectable_label(name == Some(&preset.name), &preset.name).clicked() {
                        chosen = Some(preset.clone());
                    }
                    if ui.small_button("Delete").clicked() {
                        deleted = Some(path.clone());
                    }
                });
            }
        });
        ui.separator();
        let mut save = false;
        ui.horizontal(|ui| {
            let edit = ui.add(TextEdit::singleline(&mut self.typed).hint_text("New preset").desired_width(140.0));
            save = edit.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            let there = folder.as_deref().and_then(|folder| presets::path(folder, &self.typed).ok());
            let text = if there.is_some_and(|path| path.exists()) { "Replace" } else { "Save" };
            save |= ui.button(text).clicked();
        });
        if let Some(preset) = chosen {
            apply(&preset, handles, ui_context);
            if let Some(trouble) = not_understood(&preset, handles) {
                files.show_message(&trouble, true);
            }
            ui.close();
        }
        let Some(folder) = folder.filter(|_| save || deleted.is_some()) else {
            return;
        };
        let done = match deleted {
            Some(path) => presets::delete(&path),
            None => {
                self.save(&folder, handles).map(|path| files.show_message(&format!("Saved {}.", path.display()), false))
            }
        };
        if let Err(trouble) = done {
            files.show_message(&trouble, true);
        }
        self.user_presets = None;
    }

    /// Saves the current settings as a preset under the typed name.
    fn save(&mut self, folder: &Path, handles: &Handles) -> Result<PathBuf, String> {
        let set = concerned(handles)
            .filter(|handle| handle.value() != handle.default())
            .map(|handle| (handle.id.clone(), handle.stored(handle.value())))
            .collect();
        let preset = Preset { name: self.typed.trim().to_owned(), about: String::new(), set };
        let path = presets::save(folder, &preset)?;
        self.typed.clear();
        Ok(path)
    }
}

/// The parameters that presets set.
fn concerned(handles: &Handles) -> impl Iterator<Item = &Handle> {
    handles.iter().filter(|handle| presets::concerns(&handle.id))
}

/// The value that a preset sets, 0–1: the stored one, or else the default.
fn wanted(preset: &Preset, handle: &Handle) -> f32 {
    preset.set.get(&handle.id).and_then(|stored| handle.of_stored(stored)).unwrap_or_else(|| handle.default())
}

/// Whether all parameters have the values that this preset sets.
fn is_set(preset: &Preset, handles: &Handles) -> bool {
    concerned(handles).all(|handle| {
        let (value, wanted) = (handle.value(), wanted(preset, handle));
        // Hosts round values.
        value == wanted || handle.stored(value) == handle.stored(wanted)
    })
}

/// A message about values in the preset that no parameter understands, which a later version may have written.
fn not_understood(preset: &Preset, handles: &Handles) -> Option<String> {
    let unknown =
        |(id, stored): &(&String, &Stored)| handles.get(id).and_then(|handle| handle.of_stored(stored)).is_none();
    let unknown: Vec<String> = preset
        .set
        .iter()
        .filter(unknown)
        .map(|(id, stored)| stored::complaint(id, &serde_json::json!(stored).to_string()))
        .collect();
    (!unknown.is_empty()).then(|| format!("Ignored in the preset {}: {}.", preset.name, unknown.join(", ")))
}

/// Sets all parameters that presets set, to the preset's values or else their defaults.
fn apply(preset: &Preset, handles: &Handles, ui_context: &UiContext) {
    for handle in concerned(handles) {
        let value = wanted(preset, handle);
        if value != handle.value() {
            handle.set_with_gesture(ui_context.host, value);
        }
    }
}

fn weights_menu(
    ui: &mut Ui,
    ui_context: &UiContext,
    choice: &WeightsChoice,
    model_info: &ModelInfo,
    files: &mut Files,
) {
    ui.set_width(260.0);
    if !model_info.weights.is_empty() {
        ui.label(format!("Playing: {}", model_info.weights));
        ui.label(RichText::new(&model_info.license).size(SMALL).color(ui_context.palette.quiet));
        ui.separator();
    }
    let path = choice.map(String::clone);
    for (text, name) in [("Built-in", ""), ("Seed, the network that Antiphon grew out of", SEED_NAME)] {
        if ui.selectable_label(path == name, text).clicked() {
            choice.choose(name.to_owned());
            ui.close();
        }
    }
    if !path.is_empty() && path != SEED_NAME {
        ui.add(egui::Label::new(RichText::new(&path).size(SMALL)).wrap());
        if let Some(found) = &model_info.found {
            ui.add(egui::Label::new(RichText::new(format!("Found at {found}")).size(SMALL)).wrap());
        }
    }
    if ui.button("Load a file…").on_hover_text("A .safetensors file from the trainer").clicked() {
        files.choose_weights();
        ui.close();
    }
}

/// The menu of MIDI ports, which is updated while it is open.
fn midi_menu(ui: &mut Ui, ui_context: &UiContext, ports: &MidiPorts) {
    ui.set_width(280.0);
    ScrollArea::vertical().max_height(ui.ctx().content_rect().height() * 0.6).show(ui, |ui| {
        for (direction, title) in [(Direction::In, "MIDI input"), (Direction::Out, "MIDI output")] {
            let side = ports.side(direction);
            ui.label(RichText::new(title).size(SMALL).color(ui_context.palette.quiet));
            let mut choices = vec![(Some(String::new()), "None".to_owned())];
            if direction == Direction::In {
                choices.push((None, "First keyboard".to_owned()));
            }
            // A chosen port stays in the list while it is missing.
            let gone = side.chosen.iter().filter(|name| !name.is_empty() && !side.available.contains(name));
            let gone = gone.filter(|_| side.connected.is_none()).cloned().collect::<Vec<_>>();
            choices.extend(side.available.iter().chain(&gone).map(|name| (Some(name.clone()), name.clone())));
            for (choice, name) in choices {
                let is_connected = side.connected.is_some() && side.connected == choice;
                let is_chosen = side.chosen == choice || is_connected && side.chosen.is_some();
                let text = if is_connected { format!("{name}  (connected)") } else { name };
                if ui.selectable_label(is_chosen, text).clicked() {
                    ports.choose(direction, choice);
                }
            }
            ui.separator();
        }
    });
}

fn view_menu(ui: &mut Ui, ui_state: &mut UiState) {
    ui.horizontal(|ui| {
        ui.selectable_value(&mut ui_state.theme, Theme::Dark, "Dark");
        ui.selectable_value(&mut ui_state.theme, Theme::Light, "Light");
    });
    ui.separator();
    for zoom in ZOOMS {
        if ui.selectable_label(ui_state.zoom == zoom, format!("{zoom} %")).clicked() {
            ui_state.zoom = zoom;
            ui.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::AntiphonParams;

    /// A preset's name is shown only while all its values are set; parameters for routing do not matter.
    #[test]
    fn a_preset_is_set_until_something_is_turned() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let handles = Handles::new(&params);
        for preset in presets::built_in() {
            for handle in concerned(&handles) {
                handle.set_directly(wanted(&preset, handle));
            }
            assert!(is_set(&preset, &handles), "{}", preset.name);
            for routing in ["channel", "pass", "seed"] {
                handles[routing].set_directly(1.0 - handles[routing].value().round());
                assert!(is_set(&preset, &handles), "{routing}");
            }
            handles["temp"].set_directly(1.0);
            assert!(!is_set(&preset, &handles), "{}", preset.name);
        }
    }

    #[test]
    fn what_a_preset_says_that_nothing_understands_is_told() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let handles = Handles::new(&params);
        let mut preset = presets::built_in().remove(0);
        assert_eq!(not_understood(&preset, &handles), None);
        preset.set.insert("mode".to_owned(), Stored::Choice("dance".to_owned()));
        preset.set.insert("wobble".to_owned(), Stored::Number(1.0));
        let told = not_understood(&preset, &handles).unwrap();
        assert!(told.contains("`mode` cannot be \"dance\"") && told.contains("`wobble`"), "{told}");
    }
}
