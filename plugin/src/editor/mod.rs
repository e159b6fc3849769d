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
use engine::link::bulletin::Bulletin;
use engine::link::forecast::PitchForecast;
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
use keyboard::Touching;
use keys::{Focus, HostKeys};
use menus::Menus;
use theme::Palette;

/// How often the window is redrawn while nothing changes, so that an old message disappears. Every other change
/// requests a redraw.
const REST: Duration = Duration::from_secs(5);

/// A controller that has not moved for this long is at rest.
const AT_REST: Duration = Duration::from_millis(300);

/// Everything that the editor gets from the plugin.
pub struct Views {
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
    outlook: Output<PitchForecast>,
    bulletin: Output<Bulletin>,
    handles: Handles,
    touching: Touching,
    history: History,
    menus: Menus,
    files: Files,
    ports: Option<MidiPorts>,
    moved: Moved,
    /// What had the keyboard focus in the previous frame.
    focus: Focus,
    /// Keys that the host has offered.
    host_keys: Arc<HostKeys>,
    context: Option<GuiContext>,
    /// The theme that was last applied to the window.
    dressed: Option<Theme>,
}

/// Creates the editor.
pub fn create(views: Views) -> AntiphonEditor {
    let Views { params, status, engine, piano, ports, viewer, notifier } = views;
    let UiSide { roll, outlook, bulletin, takes, toucher } = engine;
    let looks = params.looks.clone();
    let app = App {
        handles: Handles::new(&params),
        touching: Touching::new(toucher),
        history: History::new(takes),
        menus: Menus::new(params.weights.clone(), piano, ports.clone()),
        files: Files::new(viewer.clone()),
        ports,
        moved: Moved::default(),
        focus: Focus::default(),
        host_keys: Arc::default(),
        context: None,
        dressed: None,
        params,
        status,
        roll,
        outlook,
        bulletin,
    };
    AntiphonEditor::new(app, looks, viewer, notifier)
}

impl App {
    /// The editor's stored state.
    pub fn looks(&self) -> &SharedUiState {
        &self.params.looks
    }

    /// Keys that the host has offered.
    fn host_keys(&self) -> Arc<HostKeys> {
        self.host_keys.clone()
    }

    /// Called when a new window opens.
    fn opened(&mut self, egui: &egui::Context, context: GuiContext) {
        self.context = Some(context);
        self.dressed = None;
        egui.options_mut(|options| options.zoom_with_keyboard = true);
        fonts::lend(egui);
    }

    /// What has the keyboard focus at the end of a frame.
    fn focus(&self, ui: &Ui) -> Focus {
        keys::who(ui, self.looks().lock().group.is_some())
    }

    /// Draws the window.
    fn show(&mut self, ui: &mut Ui) {
        let Some(context) = self.context.clone() else {
            return;
        };
        self.roll.update();
        self.outlook.update();
        self.bulletin.update();
        let mut looks = self.looks().lock().clone();
        let looked = looks.clone();
        if ui.ctx().zoom_factor() < looks.factor().min(1.0) {
            // Zooming out by keyboard could make it too small to read.
            ui.ctx().set_zoom_factor(looks.factor());
        }
        if self.dressed != Some(looks.theme) {
            theme::apply(ui.ctx(), looks.theme);
            self.dressed = Some(looks.theme);
        }
        let Self {
            params,
            status,
            roll,
            outlook,
            bulletin,
            handles,
            touching,
            history,
            menus,
            files,
            ports,
            moved,
            focus,
            host_keys,
            ..
        } = self;
        let (roll, outlook, bulletin) = (roll.roll(), outlook.output_buffer(), bulletin.output_buffer());
        let hand =
            UiContext { context: &context, palette: Palette::of(looks.theme), learned: &params.learned, wheel: true };
        let frame = Frame::new().fill(hand.palette.ground).inner_margin(Margin::symmetric(12, 8));

        files.look(&params.weights);
        moved.tell(ui, &hand, handles);
        ui.input_mut(|input| input.events.extend(host_keys.take()));
        let before = std::mem::replace(focus, keys::focus(ui, looks.group.is_some()));
        host_keys.set_focus(*focus);
        // A key that closes a text field or a menu must not act as a shortcut as well. By now the focus is already
        // gone, so the previous frame's focus counts, too.
        if [before, *focus].iter().all(|focus| matches!(focus, Focus::Nothing | Focus::Open)) {
            shortcuts(ui, &hand, handles, roll, &mut looks);
        }
        Panel::top("header").frame(frame).show_separator_line(false).show(ui, |ui| {
            header::show(ui, &hand, handles, params, status, roll, |ui| {
                menus.show(ui, &hand, handles, bulletin, files, &mut looks);
            });
        });
        let low = frame.inner_margin(Margin { left: 12, right: 12, top: 2, bottom: 6 });
        Panel::bottom("footer").frame(low).show_separator_line(false).show(ui, |ui| {
            footer::show(ui, &hand, status, bulletin, ports.as_ref(), files, params);
        });
        Panel::bottom("controls").frame(frame).show_separator_line(false).show(ui, |ui| {
            buttons::show(ui, &hand, handles, status, roll, params.turn.holds(), |ui| {
                buttons::notes_out(ui, roll, history, files, &mut looks);
            });
            panel::show(ui, &hand, handles, &mut looks);
        });
        if looks.takes {
            let side = frame.inner_margin(Margin { left: 0, right: 12, top: 0, bottom: 0 });
            Panel::right("takes").frame(side).show_separator_line(false).resizable(false).exact_size(264.0).show(
                ui,
                |ui| {
                    history.show(ui, &hand, files);
                },
            );
        }
        let middle = frame.inner_margin(Margin { left: 12, right: 12, top: 0, bottom: 0 });
        egui::CentralPanel::default().frame(middle).show(ui, |ui| {
            piano_roll::show(ui, hand.palette, roll, outlook, &mut looks.past_s, touching);
        });

        if looks != looked {
            if looks.zoom != looked.zoom {
                ui.ctx().set_zoom_factor(looks.factor());
            }
            // The window may have been resized meanwhile.
            let mut shared = self.params.looks.lock();
            *shared = UiState { size: shared.size, ..looks };
        }
        ui.ctx().request_repaint_after(REST);
    }
}

/// Parameters that MIDI controllers have moved, before the host knows.
#[derive(Default)]
struct Moved {
    ids: BTreeSet<&'static str>,
    since: Option<Instant>,
}

impl Moved {
    /// Reports the changes to the host once the controllers are at rest: the host sends each value back a block later,
    /// which would fight a knob that is still turning.
    fn tell(&mut self, ui: &Ui, hand: &UiContext, handles: &Handles) {
        for id in hand.learned.moved() {
            self.ids.insert(id);
            self.since = Some(Instant::now());
        }
        match self.since {
            Some(since) if since.elapsed() < AT_REST => ui.ctx().request_repaint_after(AT_REST),
            Some(_) => {
                for id in std::mem::take(&mut self.ids) {
                    handles[id].put(hand.context, handles[id].value());
                }
                self.since = None;
            }
            None => {}
        }
    }
}

/// Keyboard shortcuts, for when no text is being typed and no menu is open; see [`keys`].
fn shortcuts(ui: &Ui, hand: &UiContext, handles: &Handles, roll: &Roll, looks: &mut UiState) {
    let pressed = |key| ui.input(|input| input.key_pressed(key) && input.modifiers.is_none());
    if pressed(egui::Key::T) {
        looks.takes = !looks.takes;
    }
    if pressed(egui::Key::G) {
        buttons::swap(hand, handles, roll);
    }
    for (key, id) in [(egui::Key::A, "again"), (egui::Key::N, "another"), (egui::Key::F, "freeze")] {
        if pressed(key) {
            handles[id].toggle(hand.context);
        }
    }
    for (key, group) in panel::KEYS.into_iter().zip(GROUPS) {
        if pressed(key) {
            panel::toggle(looks, group);
        }
    }
    if pressed(egui::Key::Escape) {
        looks.group = None;
    }
}
