//! The framework's interface to the editor: opens a window with the stored size and zoom, and tells all threads whether
//! it is open.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use engine::link::viewer::Viewer;
#[cfg(target_os = "linux")]
use nice_plug::context::PluginApi;
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::{LogicalSize, NativeSize, Size};
use nice_plug::editor::{
    Editor, EditorHandle, HostMethods, Modifiers, ParentWindowHandle, ResizeHint, SizeConstraints, SpawnedEditor,
    VirtualKeyCode,
};
use nice_plug_egui::baseview::WindowSize;
use nice_plug_egui::{
    EguiEditor, EguiEditorHandle, EguiEditorState, EguiNiceSettings, Frame, NiceEguiApp, RepaintNotifier,
    create_egui_editor,
};
#[cfg(target_os = "linux")]
use raw_window_handle::{HasWindowHandle, RawWindowHandle};

use super::App;
#[cfg(target_os = "linux")]
use super::keys::x11::KeyForwarder;
use super::keys::{self, Focus, HostKeys};
use crate::ui_state::{SMALLEST, SharedUiState};

type Baseview = <EguiEditorHandle as EditorHandle>::Window;
type BaseviewError = <EguiEditorHandle as EditorHandle>::Error;

/// The app, as the framework gets it for each window that opens.
struct SharedApp {
    app: Arc<Mutex<App>>,
    /// Forwards unused keys to the host.
    #[cfg(target_os = "linux")]
    key_forwarder: Option<KeyForwarder>,
}

impl SharedApp {
    fn with(&self, look: impl FnOnce(&mut App)) {
        look(&mut self.app.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl NiceEguiApp for SharedApp {
    fn build(
        &mut self,
        egui: egui::Context,
        context: GuiContext,
        frame: &mut Frame,
    ) -> Result<(), nice_plug_egui::baseview::HandlerError> {
        #[cfg(target_os = "linux")]
        framework_fixes::driver::keep();
        #[cfg(target_os = "linux")]
        {
            self.key_forwarder = key_forwarder(&context, frame);
        }
        let _ = frame;
        self.with(|app| app.opened(&egui, context));
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut Frame) {
        #[cfg(feature = "standalone")]
        if crate::standalone::shutdown::is_requested() {
            ui.ctx().send_viewport_cmd(egui::ViewportCommand::Close);
        }
        let mut focus = Focus::default();
        self.with(|app| {
            app.show(ui);
            focus = app.focus(ui);
        });
        frame.set_key_capture(focus.capture(keys::modifiers(ui)));
        #[cfg(target_os = "linux")]
        if self.key_forwarder.as_mut().is_some_and(|key_forwarder| key_forwarder.forward(focus).is_err()) {
            self.key_forwarder = None;
        }
    }

    fn resized(&mut self, size: WindowSize) {
        self.with(|app| app.ui_state().lock().size = [size.logical.width as f32, size.logical.height as f32]);
    }

    fn zoom_factor_changed(&mut self, zoom: f32) {
        self.with(|app| {
            let mut ui_state = app.ui_state().lock();
            ui_state.zoom = (zoom * 100.0).round() as u16;
            *ui_state = ui_state.clone().clamped();
        });
    }
}

/// Forwards unused keys to the host, if possible; otherwise they are lost.
#[cfg(target_os = "linux")]
fn key_forwarder(context: &GuiContext, frame: &Frame) -> Option<KeyForwarder> {
    if context.plugin_api() == PluginApi::Standalone {
        return None;
    }
    match frame.baseview_window().window_handle().ok()?.as_raw() {
        RawWindowHandle::Xlib(handle) => KeyForwarder::open(handle.window as u32).ok(),
        _ => None,
    }
}

/// The plugin's editor.
pub struct AntiphonEditor {
    app: Arc<Mutex<App>>,
    ui_state: SharedUiState,
    viewer: Viewer,
    notifier: RepaintNotifier,
    /// The framework's state of the window that was opened last.
    latest: Mutex<Option<Arc<EguiEditorState>>>,
}

impl AntiphonEditor {
    /// An editor that shows this app.
    pub fn new(app: App, ui_state: SharedUiState, viewer: Viewer, notifier: RepaintNotifier) -> Self {
        Self { app: Arc::new(Mutex::new(app)), ui_state, viewer, notifier, latest: Mutex::default() }
    }

    fn egui(&self) -> (EguiEditor<SharedApp>, Arc<EguiEditorState>) {
        let ui_state = self.ui_state.lock().clone().clamped();
        let [width, height] = ui_state.size;
        let state =
            EguiEditorState::from_size(Size::Logical(LogicalSize::new(width.into(), height.into())), ui_state.factor());
        let settings = EguiNiceSettings::new().with_tile("Antiphon").with_resize_hint(self.resize_hint());
        let shown = SharedApp {
            app: self.app.clone(),
            #[cfg(target_os = "linux")]
            key_forwarder: None,
        };
        let editor = create_egui_editor(state.clone(), self.notifier.clone(), settings, shown);
        (editor.expect("it is always created"), state)
    }
}

impl Editor for AntiphonEditor {
    type Handle = OpenEditor;

    fn spawn(
        &self,
        parent: Option<ParentWindowHandle>,
        wait_for_parent: bool,
        fallback_scale_factor: Option<f64>,
        context: GuiContext,
        host: Option<HostMethods>,
    ) -> Result<SpawnedEditor<OpenEditor>, Box<dyn Error>> {
        let (editor, state) = self.egui();
        let SpawnedEditor { handle, window } =
            editor.spawn(parent, wait_for_parent, fallback_scale_factor, context, host)?;
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        self.viewer.set_open(true);
        let keys = self.app.lock().unwrap_or_else(PoisonError::into_inner).host_keys();
        Ok(SpawnedEditor { handle: OpenEditor { handle, viewer: self.viewer.clone(), keys }, window })
    }

    fn size(&self) -> NativeSize<u32> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let scale = latest.as_ref().map_or(1.0, |state| {
            f64::from(state.physical_size().width) / f64::from(state.logical_size().width).max(1.0)
        });
        let ui_state = self.ui_state.lock().clone().clamped();
        let [width, height] = ui_state.size.map(|side| f64::from(side * ui_state.factor()));
        NativeSize::from_size(Size::Logical(LogicalSize::new(width, height)), scale)
    }

    fn resize_hint(&self) -> ResizeHint {
        let [width, height] = SMALLEST;
        ResizeHint {
            can_resize: true,
            can_resize_horizontally: true,
            can_resize_vertically: true,
            size_constraints: SizeConstraints::Logical {
                min_size: Some(LogicalSize::new(width, height).cast()),
                max_size: None,
            },
            ..ResizeHint::NON_RESIZABLE
        }
    }
}

/// The name of a key that a host offers; letters come separately, see [`framework_fixes::letter`].
fn key_name(key: VirtualKeyCode) -> Option<String> {
    let named = match key {
        VirtualKeyCode::Help => return framework_fixes::letter::offered().map(String::from),
        VirtualKeyCode::Tab => "Tab",
        VirtualKeyCode::Return | VirtualKeyCode::NumpadEnter => "Enter",
        VirtualKeyCode::Space => " ",
        VirtualKeyCode::Escape => "Escape",
        VirtualKeyCode::Backspace => "Backspace",
        VirtualKeyCode::Delete => "Delete",
        VirtualKeyCode::Home => "Home",
        VirtualKeyCode::End => "End",
        VirtualKeyCode::ArrowUp => "ArrowUp",
        VirtualKeyCode::ArrowDown => "ArrowDown",
        VirtualKeyCode::ArrowLeft => "ArrowLeft",
        VirtualKeyCode::ArrowRight => "ArrowRight",
        _ => return None,
    };
    Some(named.to_owned())
}

/// The open editor; dropping it closes it. The framework never sends its own notice of that (`editor_closed`).
pub struct OpenEditor {
    handle: EguiEditorHandle,
    viewer: Viewer,
    keys: Arc<HostKeys>,
}

impl Drop for OpenEditor {
    fn drop(&mut self) {
        self.viewer.set_open(false);
    }
}

impl EditorHandle for OpenEditor {
    type Window = Baseview;
    type Error = BaseviewError;

    fn run_until_closed(window: Baseview) -> Result<(), BaseviewError> {
        let closed = EguiEditorHandle::run_until_closed(window);
        #[cfg(feature = "standalone")]
        crate::standalone::shutdown::end_notes();
        closed
    }

    fn set_parent(&self, parent: ParentWindowHandle, window: &Baseview) -> Result<(), BaseviewError> {
        self.handle.set_parent(parent, window)
    }

    fn show(&self, window: &Baseview) -> Result<(), BaseviewError> {
        self.viewer.set_open(true);
        self.handle.show(window)
    }

    fn hide(&self, window: &Baseview) -> Result<(), BaseviewError> {
        self.viewer.set_open(false);
        self.handle.hide(window)
    }

    fn set_size(&self, size: NativeSize<u32>, window: &Baseview) -> Result<(), BaseviewError> {
        self.handle.set_size(size, window)
    }

    fn host_main_thread_callback(&self, window: &Baseview) {
        self.handle.host_main_thread_callback(window);
    }

    fn adjust_size(&self, size: NativeSize<u32>, window: &Baseview) -> Option<NativeSize<u32>> {
        self.handle.adjust_size(size, window)
    }

    fn set_fallback_scale_factor(&self, scale: f64, window: &Baseview) -> Result<(), BaseviewError> {
        self.handle.set_fallback_scale_factor(scale, window)
    }

    fn on_virtual_key_from_host(&self, key: VirtualKeyCode, down: bool, modifiers: Modifiers) -> bool {
        let Some(name) = key_name(key) else {
            return false;
        };
        let held = keys::Modifiers {
            shift: modifiers.contains(Modifiers::SHIFT),
            command: modifiers.contains(Modifiers::COMMAND),
            others: modifiers.intersects(Modifiers::ALT | Modifiers::CONTROL),
        };
        let used = self.keys.offer(&name, down, held);
        if used {
            self.viewer.repaint();
        }
        used
    }

    fn state_changed(&self) {
        self.handle.state_changed();
    }

    fn param_value_changed(&self, id: &str, value: f32) {
        self.handle.param_value_changed(id, value);
    }

    fn param_modulation_changed(&self, id: &str, offset: f32) {
        self.handle.param_modulation_changed(id, offset);
    }
}
