//! Decides which keys of the computer's keyboard the window uses. The host gets all others: Space starts its transport
//! and the arrow keys move its cursor, whichever window has the keyboard focus. Keys that the window uses must not
//! reach the host, or it would act on them as well.
//!
//! On macOS and Windows the framework asks which keys to capture ([`Focus::capture`]); but egui-baseview (0.9.0,
//! `window.rs`, `on_event`) gives every key to the host while nothing in the window has the focus, so an invisible
//! widget takes the focus then. On X11 baseview (0.4.2, `platform/x11/event_loop.rs`) ignores the answer: there, unused
//! keys are forwarded to the host's window ([`x11`]). VST3 hosts offer each key before they use it themselves
//! ([`HostKeys`]).

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use egui::{EventFilter, Id, Sense, Ui, vec2};
use nice_plug_egui::KeyCapture;

/// The window's shortcuts, by the names of the web's `KeyboardEvent.key`.
const SHORTCUTS: [&str; 9] = ["g", "n", "a", "f", "t", "1", "2", "3", "4"];
/// Zoom in, out and reset, with Ctrl or Command.
const ZOOM: [&str; 4] = ["+", "-", "=", "0"];
/// Keys that move the focus, operate a focused control, or work in a menu.
const CONTROL: [&str; 8] = ["Tab", "Enter", " ", "Escape", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"];
/// The id of the invisible widget that has the focus when nothing else does.
const NO_FOCUS_ID: &str = "nobody";

/// What has the keyboard focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Focus {
    /// Nothing: shortcuts work.
    #[default]
    Nothing,
    /// Nothing, and Escape closes an open group of controls.
    Open,
    /// A control or a menu.
    Control,
    /// A text field.
    Text,
}

/// The modifier keys that are down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modifiers {
    /// Shift.
    pub shift: bool,
    /// Ctrl; Command on a Mac.
    pub command: bool,
    /// Alt or any other.
    pub others: bool,
}

impl Focus {
    /// Whether the window uses a key, named as without Shift.
    pub fn uses(self, key: &str, modifiers: Modifiers) -> bool {
        if self == Self::Text {
            return true;
        }
        if modifiers.others {
            return false;
        }
        if modifiers.command {
            return ZOOM.contains(&key);
        }
        match self {
            Self::Control => CONTROL.contains(&key),
            _ if key == "Tab" => true,
            Self::Open if key == "Escape" => true,
            _ => !modifiers.shift && SHORTCUTS.contains(&key),
        }
    }

    /// The keys that the window uses, for the framework, which asks without modifiers.
    pub fn capture(self, modifiers: Modifiers) -> KeyCapture {
        if self == Self::Text {
            return KeyCapture::CaptureAll;
        }
        let all = SHORTCUTS.into_iter().chain(ZOOM).chain(CONTROL);
        KeyCapture::CaptureKeys(
            all.filter(|key| self.uses(key, modifiers)).filter_map(|key| key.parse().ok()).collect(),
        )
    }

    fn of(number: u8) -> Self {
        [Self::Nothing, Self::Open, Self::Control, Self::Text]
            .into_iter()
            .find(|f| *f as u8 == number)
            .unwrap_or_default()
    }
}

/// The current focus. If nothing has it, the invisible widget gets it. `open`: a group of controls is open.
pub fn focus(ui: &Ui, open: bool) -> Focus {
    let nobody = Id::unique(NO_FOCUS_ID);
    // Must exist in every frame: egui takes the focus from widgets that are gone.
    ui.interact(
        egui::Rect::from_min_size(ui.max_rect().min, vec2(0.0, 0.0)),
        nobody,
        Sense::focusable_noninteractive(),
    );
    let focused = ui.memory(|memory| memory.focused());
    if focused.is_none() {
        ui.memory_mut(|memory| memory.request_focus(nobody));
    }
    if focused.is_none_or(|focused| focused == nobody) {
        let filter = EventFilter { tab: false, horizontal_arrows: true, vertical_arrows: true, escape: true };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(nobody, filter));
    }
    current_focus(ui, open)
}

/// The current focus, without changing it.
pub fn current_focus(ui: &Ui, open: bool) -> Focus {
    match ui.memory(|memory| memory.focused()) {
        _ if ui.ctx().text_edit_focused() => Focus::Text,
        _ if egui::Popup::is_any_open(ui.ctx()) => Focus::Control,
        Some(focused) if focused != Id::unique(NO_FOCUS_ID) => Focus::Control,
        _ if open => Focus::Open,
        _ => Focus::Nothing,
    }
}

/// The modifiers that are down now.
pub fn modifiers(ui: &Ui) -> Modifiers {
    ui.input(|input| {
        let down = input.modifiers;
        Modifiers { shift: down.shift, command: down.command, others: down.alt || down.ctrl && !down.command }
    })
}

/// Keys that a host offers before it uses them itself: the ones that the window uses are queued for its next frame.
#[derive(Debug, Default)]
pub struct HostKeys {
    focus: AtomicU8,
    pressed: Mutex<Vec<egui::Event>>,
}

impl HostKeys {
    /// Sets the current focus.
    pub fn set_focus(&self, focus: Focus) {
        self.focus.store(focus as u8, Ordering::Relaxed);
    }

    /// Offers a key press or release, by the key's name. `true`: the window uses it, and the host must not.
    pub fn offer(&self, key: &str, pressed: bool, modifiers: Modifiers) -> bool {
        let focus = Focus::of(self.focus.load(Ordering::Relaxed));
        if !focus.uses(&key.to_lowercase(), modifiers) && !focus.uses(key, modifiers) {
            return false;
        }
        let Some(known) = egui::Key::from_name(name(key)) else {
            return false;
        };
        let mut waiting = self.pressed.lock().unwrap_or_else(PoisonError::into_inner);
        let held = egui::Modifiers { shift: modifiers.shift, command: modifiers.command, ..Default::default() };
        waiting.push(egui::Event::Key { key: known, physical_key: None, pressed, repeat: false, modifiers: held });
        if focus == Focus::Text && pressed && !modifiers.command && key.chars().count() == 1 {
            waiting.push(egui::Event::Text(key.to_owned()));
        }
        true
    }

    /// Takes the queued key events.
    pub fn take(&self) -> Vec<egui::Event> {
        std::mem::take(&mut *self.pressed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// egui's name of a key.
fn name(key: &str) -> &str {
    match key {
        " " => "Space",
        key => key,
    }
}

/// Forwards keys that the window does not use to the host's window.
#[cfg(target_os = "linux")]
pub mod x11 {
    use std::error::Error;

    use x11rb::connection::Connection;
    use x11rb::protocol::Event;
    use x11rb::protocol::xproto::{
        ChangeWindowAttributesAux, ConnectionExt, EventMask, GetKeyboardMappingReply, KeyButMask, KeyPressEvent, Window,
    };
    use x11rb::rust_connection::RustConnection;

    use super::{Focus, Modifiers};

    /// A separate X11 connection that receives the window's key events in parallel with the framework's.
    pub struct KeyForwarder {
        connection: RustConnection,
        window: Window,
        map: GetKeyboardMappingReply,
        first: u8,
        /// Keys that are down and were forwarded, by key code.
        passed: [bool; 256],
        /// The focus at the end of the previous frame: a key that ends a focus (Enter, Escape) is still used by it.
        before: Focus,
    }

    impl KeyForwarder {
        /// Listens to this window's key events.
        pub fn open(window: Window) -> Result<Self, Box<dyn Error>> {
            let (connection, _) = x11rb::connect(None)?;
            let mask = EventMask::KEY_PRESS | EventMask::KEY_RELEASE;
            connection.change_window_attributes(window, &ChangeWindowAttributesAux::new().event_mask(mask))?.check()?;
            let setup = connection.setup();
            let (first, count) = (setup.min_keycode, setup.max_keycode - setup.min_keycode + 1);
            let map = connection.get_keyboard_mapping(first, count)?.reply()?;
            Ok(Self { connection, window, map, first, passed: [false; 256], before: Focus::default() })
        }

        /// Forwards the unused key events since the last frame. `focus`: the current focus.
        pub fn forward(&mut self, focus: Focus) -> Result<(), Box<dyn Error>> {
            let before = std::mem::replace(&mut self.before, focus);
            while let Some(event) = self.connection.poll_for_event()? {
                let (key, presses) = match event {
                    Event::KeyPress(key) => (key, true),
                    Event::KeyRelease(key) => (key, false),
                    _ => continue,
                };
                // Forwarded events must not be forwarded again.
                if key.event != self.window || key.response_type & 0x80 != 0 {
                    continue;
                }
                let passed = &mut self.passed[usize::from(key.detail)];
                let passes = if presses {
                    let (name, modifiers) = (name(&self.map, self.first, &key), modifiers(&key));
                    ![before, focus]
                        .into_iter()
                        .any(|focus| name.as_ref().is_some_and(|name| focus.uses(name, modifiers)))
                } else {
                    *passed
                };
                *passed = presses && passes;
                if passes {
                    let parent = self.connection.query_tree(self.window)?.reply()?.parent;
                    let event = KeyPressEvent { event: parent, child: self.window, ..key };
                    let mask = if presses { EventMask::KEY_PRESS } else { EventMask::KEY_RELEASE };
                    self.connection.send_event(true, parent, mask, event)?;
                }
            }
            Ok(self.connection.flush()?)
        }
    }

    /// The name of a key without Shift; "Unidentified" for keys that only text fields use.
    fn name(map: &GetKeyboardMappingReply, first: u8, key: &KeyPressEvent) -> Option<String> {
        let per = usize::from(map.keysyms_per_keycode);
        let symbol = *map.keysyms.get(usize::from(key.detail.checked_sub(first)?) * per)?;
        let named = match symbol {
            0x20..=0x7e => return char::from_u32(symbol).map(String::from),
            0xff09 => "Tab",
            0xff0d => "Enter",
            0xff1b => "Escape",
            0xff51 => "ArrowLeft",
            0xff52 => "ArrowUp",
            0xff53 => "ArrowRight",
            0xff54 => "ArrowDown",
            // A text field uses every key.
            _ => "Unidentified",
        };
        Some(named.to_owned())
    }

    fn modifiers(key: &KeyPressEvent) -> Modifiers {
        let down = |mask: KeyButMask| key.state.contains(mask);
        Modifiers {
            shift: down(KeyButMask::SHIFT),
            command: down(KeyButMask::CONTROL),
            others: down(KeyButMask::MOD1) || down(KeyButMask::MOD4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Modifiers = Modifiers { shift: false, command: false, others: false };

    #[test]
    fn the_host_gets_what_the_window_does_not_use() {
        let uses = |focus: Focus, key, modifiers| focus.uses(key, modifiers);
        for key in [" ", "ArrowLeft", "ArrowUp", "Enter", "s", "Delete", "F5", "Escape"] {
            assert!(!uses(Focus::Nothing, key, PLAIN), "{key}");
            assert!(uses(Focus::Text, key, PLAIN), "{key} is typed");
        }
        for key in SHORTCUTS {
            assert!(uses(Focus::Nothing, key, PLAIN) && !uses(Focus::Control, key, PLAIN), "{key}");
            for modifiers in [Modifiers { command: true, ..PLAIN }, Modifiers { others: true, ..PLAIN }] {
                assert!(!uses(Focus::Nothing, key, modifiers), "{key} with {modifiers:?}");
            }
        }
        assert!(uses(Focus::Open, "Escape", PLAIN) && uses(Focus::Control, " ", PLAIN));
        assert!(uses(Focus::Nothing, "+", Modifiers { command: true, ..PLAIN }));
        let KeyCapture::CaptureKeys(keys) = Focus::Nothing.capture(PLAIN) else { panic!("not all of them") };
        assert_eq!(keys.len(), SHORTCUTS.len() + 1, "each has a name that the framework knows: {keys:?}");
    }

    #[test]
    fn a_host_that_asks_is_told_and_what_is_taken_is_pressed() {
        let keys = HostKeys::default();
        assert!(
            !keys.offer(" ", true, PLAIN) && !keys.offer("ArrowDown", true, PLAIN) && !keys.offer("é", true, PLAIN)
        );
        assert_eq!(keys.take(), []);
        assert!(keys.offer("g", true, PLAIN) && keys.offer("g", false, PLAIN));
        let pressed = |event: &egui::Event| matches!(event, egui::Event::Key { key: egui::Key::G, pressed: true, .. });
        assert_eq!(keys.take().iter().filter(|event| pressed(event)).count(), 1);
        keys.set_focus(Focus::Text);
        assert!(keys.offer(" ", true, PLAIN) && keys.offer("G", true, Modifiers { shift: true, ..PLAIN }));
        let typed = keys.take();
        assert!(
            typed.contains(&egui::Event::Text(" ".to_owned())) && typed.contains(&egui::Event::Text("G".to_owned()))
        );
    }
}
