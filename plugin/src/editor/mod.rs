//! The window: the piano roll, whose turn it is, the controls. It lives on the host's window thread and sees only
//! parameters, atomics and triple buffers, never the audio side itself.
//!
//! One file per part of the window: `header` (whose turn it is), `piano_roll`, `keyboard`, `buttons`, `panel` (the
//! controls), `history` (takes), `menus`, `footer` (figures and problems). Shared by them: `handles` (parameters),
//! `control` (a knob and the like), `files` (dialogs and saving), `keys` (the computer's keyboard), `fonts` (fallback
//! fonts), `drag` (files dragged out of the window), `viewport` (positions in the piano roll), `theme`. `window` is the
//! interface to the framework.

mod buttons;
mod control;
mod drag;
mod files;
mod fonts;
mod footer;
pub(crate) mod handles;
mod header;
mod history;
mod keyboard;
pub mod keys;
mod menus;
mod panel;
mod piano_roll;
mod theme;
mod viewport;
mod window;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use egui::{Frame, Margin, Panel, Ui};
use engine::UiSide;
use engine::link::forecast::PitchForecast;
use engine::link::model_info::ModelInfo;
use engine::link::roll::{Roll, RollReader};
use engine::link::status::Status;
use engine::link::viewer::Viewer;
use nice_plug::context::gui::GuiContext;
use nice_plug_egui::RepaintNotifier;
use triple_buffer::Output;

use crate::params::{AntiphonParams, GROUPS};
use crate::ports::MidiPorts;
use crate::ui_state::{SharedUiState, Theme, UiState};

pub use handles::Handles;
pub use window::AntiphonEditor;
#[cfg(feature = "standalone")]
pub use window::OpenEditor;

use control::UiContext;
use files::Files;
use history::History;
use keyboard::MouseKeys;
use keys::{Focus, HostKeys};
use menus::Menus;
use theme::Palette;

/// How often the window is redrawn while nothing changes, so that an old message disappears. Every other change
/// requests a redraw.
const REST: Duration = Duration::from_secs(5);

/// A controller that has not moved for this long is at rest.
const AT_REST: Duration = Duration::from_millis(300);

/// Everything that the editor gets from the plugin.
pub struct EditorInputs {
    /// The parameters.
    pub params: Arc<AntiphonParams>,
    /// Counts and gauges.
    pub status: Arc<Status>,
    /// The engine's UI side.
    pub engine: UiSide,
    /// The switch of the standalone app's piano.
    pub piano: Option<Arc<AtomicBool>>,
    /// The standalone app's MIDI ports.
    pub ports: Option<MidiPorts>,
    /// Tells the other threads whether the window is open.
    pub viewer: Viewer,
    /// Requests a redraw of the window.
    pub notifier: RepaintNotifier,
}

/// The contents of the window. Outlives it: the window may be closed and opened again.
pub struct App {
    params: Arc<AntiphonParams>,
    status: Arc<Status>,
    roll: RollReader,
    forecast: Output<PitchForecast>,
    model_info: Output<ModelInfo>,
    handles: Handles,
    mouse_keys: MouseKeys,
    history: History,
    menus: Menus,
    files: Files,
    ports: Option<MidiPorts>,
    moved: MovedParams,
    /// What had the keyboard focus in the previous frame.
    focus: Focus,
    /// Keys that the host has offered.
    host_keys: Arc<HostKeys>,
    context: Option<GuiContext>,
    /// The theme that was last applied to the window.
    applied_theme: Option<Theme>,
}

/// Creates the editor.
pub fn create(inputs: EditorInputs) -> AntiphonEditor {
    let EditorInputs { params, status, engine, piano, ports, viewer, notifier } = inputs;
    let UiSide { roll, forecast, model_info, takes, keyboard_sender } = engine;
    let ui_state = params.ui_state.clone();
    let app = App {
        handles: Handles::new(&params),
        mouse_keys: MouseKeys::new(keyboard_sender),
        history: History::new(takes),
        menus: Menus::new(params.weights.clone(), piano, ports.clone()),
        files: Files::new(viewer.clone()),
        ports,
        moved: MovedParams::default(),
        focus: Focus::default(),
        host_keys: Arc::default(),
        context: None,
        applied_theme: None,
        params,
        status,
        roll,
        forecast,
        model_info,
    };
    AntiphonEditor::new(app, ui_state, viewer, notifier)
}

impl App {
    /// The editor's stored state.
    pub fn ui_state(&self) -> &SharedUiState {
        &self.params.ui_state
    }

    /// Keys that the host has offered.
    fn host_keys(&self) -> Arc<HostKeys> {
        self.host_keys.clone()
    }

    /// Called when a new window opens.
    fn opened(&mut self, egui: &egui::Context, context: GuiContext) {
        self.context = Some(context);
        self.applied_theme = None;
        egui.options_mut(|options| options.zoom_with_keyboard = true);
        fonts::lend(egui);
    }

    /// What has the keyboard focus at the end of a frame.
    fn focus(&self, ui: &Ui) -> Focus {
        keys::current_focus(ui, self.ui_state().lock().group.is_some())
    }

    /// Draws the window.
    fn show(&mut self, ui: &mut Ui) {
        let Some(context) = self.context.clone() else {
            return;
        };
        self.roll.update();
        self.forecast.update();
        self.model_info.update();
        let mut ui_state = self.ui_state().lock().clone();
        let ui_state_before = ui_state.clone();
        if ui.ctx().zoom_factor() < ui_state.factor().min(1.0) {
            // Zooming out by keyboard could make it too small to read.
            ui.ctx().set_zoom_factor(ui_state.factor());
        }
        if self.applied_theme != Some(ui_state.theme) {
            theme::apply(ui.ctx(), ui_state.theme);
            self.applied_theme = Some(ui_state.theme);
        }
        let Self {
            params,
            status,
            roll,
            forecast,
            model_info,
            handles,
            mouse_keys,
            history,
            menus,
            files,
            ports,
            moved,
            focus,
            host_keys,
            ..
        } = self;
        let (roll, forecast, model_info) = (roll.roll(), forecast.output_buffer(), model_info.output_buffer());
        let ui_context =
            UiContext { host: &context, palette: Palette::of(ui_state.theme), learned: &params.learned, wheel: true };
        let frame = Frame::new().fill(ui_context.palette.ground).inner_margin(Margin::symmetric(12, 8));

        files.poll(&params.weights);
        moved.report(ui, &ui_context, handles);
        ui.input_mut(|input| input.events.extend(host_keys.take()));
        let before = std::mem::replace(focus, keys::focus(ui, ui_state.group.is_some()));
        host_keys.set_focus(*focus);
        // A key that closes a text field or a menu must not act as a shortcut as well. By now the focus is already
        // gone, so the previous frame's focus counts, too.
        if [before, *focus].iter().all(|focus| matches!(focus, Focus::Nothing | Focus::Open)) {
            shortcuts(ui, &ui_context, handles, roll, &mut ui_state);
        }
        Panel::top("header").frame(frame).show_separator_line(false).show(ui, |ui| {
            header::show(ui, &ui_context, handles, params, status, roll, |ui| {
                menus.show(ui, &ui_context, handles, model_info, files, &mut ui_state);
            });
        });
        let low = frame.inner_margin(Margin { left: 12, right: 12, top: 2, bottom: 6 });
        Panel::bottom("footer").frame(low).show_separator_line(false).show(ui, |ui| {
            footer::show(ui, &ui_context, status, model_info, ports.as_ref(), files, params);
        });
        Panel::bottom("controls").frame(frame).show_separator_line(false).show(ui, |ui| {
            buttons::show(ui, &ui_context, handles, status, roll, params.turn.holds(), |ui| {
                buttons::notes_out(ui, roll, history, files, &mut ui_state);
            });
            panel::show(ui, &ui_context, handles, &mut ui_state);
        });
        if ui_state.takes {
            let side = frame.inner_margin(Margin { left: 0, right: 12, top: 0, bottom: 0 });
            Panel::right("takes").frame(side).show_separator_line(false).resizable(false).exact_size(264.0).show(
                ui,
                |ui| {
                    history.show(ui, &ui_context, files);
                },
            );
        }
        let middle = frame.inner_margin(Margin { left: 12, right: 12, top: 0, bottom: 0 });
        egui::CentralPanel::default().frame(middle).show(ui, |ui| {
            piano_roll::show(ui, ui_context.palette, roll, forecast, &mut ui_state.past_s, mouse_keys);
        });

        if ui_state != ui_state_before {
            if ui_state.zoom != ui_state_before.zoom {
                ui.ctx().set_zoom_factor(ui_state.factor());
            }
            // The window may have been resized meanwhile.
            let mut shared = self.params.ui_state.lock();
            *shared = UiState { size: shared.size, ..ui_state };
        }
        ui.ctx().request_repaint_after(REST);
    }
}

/// Parameters that MIDI controllers have moved, before the host knows.
#[derive(Default)]
struct MovedParams {
    ids: BTreeSet<&'static str>,
    since: Option<Instant>,
}

impl MovedParams {
    /// Reports the changes to the host once the controllers are at rest: the host sends each value back a block later,
    /// which would fight a knob that is still turning.
    fn report(&mut self, ui: &Ui, ui_context: &UiContext, handles: &Handles) {
        for id in ui_context.learned.moved() {
            self.ids.insert(id);
            self.since = Some(Instant::now());
        }
        match self.since {
            Some(since) if since.elapsed() < AT_REST => ui.ctx().request_repaint_after(AT_REST),
            Some(_) => {
                for id in std::mem::take(&mut self.ids) {
                    handles[id].set_with_gesture(ui_context.host, handles[id].value());
                }
                self.since = None;
            }
            None => {}
        }
    }
}

/// Keyboard shortcuts, for when no text is being typed and no menu is open; see [`keys`].
fn shortcuts(ui: &Ui, ui_context: &UiContext, handles: &Handles, roll: &Roll, ui_state: &mut UiState) {
    let pressed = |key| ui.input(|input| input.key_pressed(key) && input.modifiers.is_none());
    if pressed(egui::Key::T) {
        ui_state.takes = !ui_state.takes;
    }
    if pressed(egui::Key::G) {
        buttons::swap(ui_context, handles, roll);
    }
    for (key, id) in [(egui::Key::A, "again"), (egui::Key::N, "another"), (egui::Key::F, "freeze")] {
        if pressed(key) {
            handles[id].toggle(ui_context.host);
        }
    }
    for (key, group) in panel::KEYS.into_iter().zip(GROUPS) {
        if pressed(key) {
            panel::toggle(ui_state, group);
        }
    }
    if pressed(egui::Key::Escape) {
        ui_state.group = None;
    }
}
