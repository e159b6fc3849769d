//! The window: what is heard and played, whose turn it is, the controls. Lives on the host's window
//! thread; sees parameters, atomics and triple buffers, never the audio side itself.

mod controls;
mod piano_roll;
mod theme;

use std::sync::Arc;
use std::time::Duration;

use egui::{Align, Layout, RichText, Sense, Ui, vec2};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::{LogicalSize, Size};
use nice_plug::editor::{ResizeHint, SizeConstraints};
use nice_plug_egui::{
    EguiEditor, EguiEditorState, EguiNiceSettings, Frame, NiceEguiApp, RepaintNotifier, create_egui_editor,
};
use triple_buffer::Output;

use crate::inference::Bulletin;
use crate::params::AntiphonParams;
use crate::roll::{Roll, Whose};
use crate::status::{Health, Status};
use crate::takes::Takes;

/// The window's size at first, in logical pixels.
const SIZE: LogicalSize<f32> = LogicalSize::new(820.0, 520.0);
/// The smallest in which everything can be read.
const SMALLEST: LogicalSize<f32> = LogicalSize::new(560.0, 380.0);
/// How often the state line is looked at when nothing moves.
const REST: Duration = Duration::from_millis(200);

/// All that the editor sees of the plugin.
pub struct Views {
    /// What can be set.
    pub params: Arc<AntiphonParams>,
    /// How things stand.
    pub status: Arc<Status>,
    /// What is heard and played.
    pub roll: Output<Roll>,
    /// The weights in use, and what is wrong with them.
    pub bulletin: Output<Bulletin>,
    /// The takes so far, and what can be asked for with them.
    #[allow(dead_code)] // the list comes with the history
    pub takes: Takes,
    /// Where all that is shown.
    pub window: Window,
}

/// What can be known of the window from any thread: flags and sizes, all of them atomics.
#[derive(Clone)]
pub struct Window {
    /// Its size, and whether it is open.
    pub state: Arc<EguiEditorState>,
    /// Told of every new picture.
    pub notifier: RepaintNotifier,
}

impl Default for Window {
    fn default() -> Self {
        Self { state: EguiEditorState::from_size(Size::Logical(SIZE.cast()), 1.0), notifier: RepaintNotifier::new() }
    }
}

/// The contents of the window; outlives it, as it is opened and closed.
pub struct App {
    views: Views,
    context: Option<GuiContext>,
    controls: controls::Controls,
}

/// The editor as the framework wants it.
pub fn create(views: Views) -> Option<EguiEditor<App>> {
    let settings = EguiNiceSettings::new().with_tile("Antiphon").with_resize_hint(ResizeHint {
        can_resize: true,
        can_resize_horizontally: true,
        can_resize_vertically: true,
        size_constraints: SizeConstraints::Logical { min_size: Some(SMALLEST.cast()), max_size: None },
        ..ResizeHint::NON_RESIZABLE
    });
    let Window { state, notifier } = views.window.clone();
    create_egui_editor(state, notifier, settings, App { views, context: None, controls: Default::default() })
}

impl NiceEguiApp for App {
    fn build(
        &mut self,
        egui: egui::Context,
        context: GuiContext,
        _: &mut Frame,
    ) -> Result<(), nice_plug_egui::baseview::HandlerError> {
        theme::apply(&egui);
        self.context = Some(context);
        Ok(())
    }

    fn ui(&mut self, ui: &mut Ui, _: &mut Frame) {
        let Some(context) = self.context.clone() else {
            return;
        };
        self.views.roll.update();
        self.views.bulletin.update();
        let Self { views, controls, .. } = self;
        let (roll, bulletin) = (views.roll.output_buffer(), views.bulletin.output_buffer());

        egui::Panel::top("state").show(ui, |ui| state_line(ui, views, roll, bulletin));
        egui::Panel::bottom("controls").show(ui, |ui| {
            controls.show(ui, &views.params, &views.status, roll, bulletin, &context);
        });
        egui::CentralPanel::default().show(ui, |ui| piano_roll::show(ui, roll));
        ui.ctx().request_repaint_after(REST);
    }
}

/// Whose turn it is, and what is wrong, in one line.
fn state_line(ui: &mut Ui, views: &Views, roll: &Roll, bulletin: &Bulletin) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("Antiphon").strong().size(18.0));
        ui.add_space(12.0);
        let (colour, text) = state(views, roll);
        let (lamp, painter) = ui.allocate_painter(vec2(12.0, 12.0), Sense::hover());
        painter.circle_filled(lamp.rect.center(), 5.0, colour);
        ui.label(text);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let weights = ui.label(RichText::new(&bulletin.weights).weak());
            if !bulletin.licence.is_empty() {
                weights.on_hover_text(format!("Licence of the weights: {}", bulletin.licence));
            }
        });
    });
    if let Some(trouble) = &bulletin.trouble {
        ui.label(RichText::new(format!("{trouble} Notes pass through.")).color(theme::TROUBLE));
    }
}

fn state(views: &Views, roll: &Roll) -> (egui::Color32, &'static str) {
    if views.params.bypass.value() {
        return (theme::QUIET, "Bypassed: notes pass through");
    }
    match views.status.health() {
        Health::NoWeights | Health::Broken => (theme::TROUBLE, "No model: notes pass through"),
        Health::Starting => (theme::QUIET, "Waking up"),
        Health::Ready if roll.turn == Whose::Mine => (theme::MINE, "My turn: play to take it back"),
        Health::Ready if roll.notes().next().is_none() => (theme::QUIET, "Play a phrase; when you stop, it goes on"),
        Health::Ready => (theme::YOURS, "Your turn: listening"),
    }
}
