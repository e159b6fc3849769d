//! Bindings to the system's keyboard library (`libxkbcommon`), as far as baseview 0.4.2 uses it. Replaces the crate of
//! the same name: the workspace's `[patch]` puts it in place, and the plugin pins that version of baseview.
//!
//! For each window baseview creates a keymap, some 60 KiB, and a state from it, but releases only the state. A state
//! holds its own reference to its keymap, so here the keymap is released as soon as the state exists. Also, on a screen
//! without a keyboard, where baseview would panic, a window opens without one.
//!
//! Names and meanings are the C library's: <https://xkbcommon.org/doc/current/>.
#![cfg(target_os = "linux")]
#![expect(missing_docs, non_camel_case_types, reason = "the C library's names")]

use std::ffi::{c_char, c_int, c_void};
use std::sync::OnceLock;

use libloading::Library;

pub type xkb_context = c_void;
pub type xkb_keymap = c_void;
pub type xkb_state = c_void;
pub type xkb_keycode_t = u32;

#[repr(C)]
#[derive(Clone, Copy)]
pub enum xkb_context_flags {
    XKB_CONTEXT_NO_FLAGS = 0,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub enum xkb_keymap_compile_flags {
    XKB_KEYMAP_COMPILE_NO_FLAGS = 0,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub enum xkb_key_direction {
    XKB_KEY_UP = 0,
    XKB_KEY_DOWN = 1,
}

/// `xkb_state_key_get_utf8`.
type KeyText = unsafe extern "C" fn(*mut xkb_state, xkb_keycode_t, *mut c_char, usize) -> c_int;
/// `xkb_state_update_key`.
type UpdateKey = unsafe extern "C" fn(*mut xkb_state, xkb_keycode_t, xkb_key_direction) -> c_int;
/// `xkb_keymap_unref`, `xkb_state_unref`.
type LetGo = unsafe extern "C" fn(*mut c_void);

/// The functions that baseview calls.
pub struct XkbCommon {
    pub xkb_context_new: unsafe extern "C" fn(xkb_context_flags) -> *mut xkb_context,
    pub xkb_context_unref: LetGo,
    pub xkb_state_key_get_utf8: unsafe fn(*mut xkb_state, xkb_keycode_t, *mut c_char, usize) -> c_int,
    pub xkb_state_update_key: unsafe fn(*mut xkb_state, xkb_keycode_t, xkb_key_direction) -> c_int,
    pub xkb_state_unref: unsafe fn(*mut xkb_state),
    key_text: KeyText,
    update_key: UpdateKey,
    keymap_unref: LetGo,
    state_unref: LetGo,
    /// The library that the functions belong to.
    _library: Library,
}

impl XkbCommon {
    fn load() -> Result<Self, libloading::Error> {
        // SAFETY: the library has no initializers that matter, and its functions have these types.
        unsafe {
            let library = Library::new("libxkbcommon.so.0")?;
            Ok(Self {
                xkb_context_new: *library.get(b"xkb_context_new\0")?,
                xkb_context_unref: *library.get(b"xkb_context_unref\0")?,
                xkb_state_key_get_utf8: key_text,
                xkb_state_update_key: update_key,
                xkb_state_unref: state_unref,
                key_text: *library.get(b"xkb_state_key_get_utf8\0")?,
                update_key: *library.get(b"xkb_state_update_key\0")?,
                keymap_unref: *library.get(b"xkb_keymap_unref\0")?,
                state_unref: *library.get(b"xkb_state_unref\0")?,
                _library: library,
            })
        }
    }
}

/// The functions, if the system has the library.
pub fn xkbcommon_option() -> Option<&'static XkbCommon> {
    static LIBRARY: OnceLock<Option<XkbCommon>> = OnceLock::new();
    LIBRARY.get_or_init(|| XkbCommon::load().ok()).as_ref()
}

/// The library; must only be called after it has been loaded.
fn common() -> &'static XkbCommon {
    xkbcommon_option().expect("it has been loaded before")
}

/// The text of a key: `xkb_state_key_get_utf8`. Without a keyboard, -1.
///
/// # Safety
/// `state` is null or from the library; `text` has room for `bytes` bytes.
unsafe fn key_text(state: *mut xkb_state, key: xkb_keycode_t, text: *mut c_char, bytes: usize) -> c_int {
    if state.is_null() {
        return -1;
    }
    // SAFETY: promised by the caller.
    unsafe { (common().key_text)(state, key, text, bytes) }
}

/// Updates a state with a key press or release, and returns which parts of it have changed.
///
/// # Safety
/// `state` is null or from the library.
unsafe fn update_key(state: *mut xkb_state, key: xkb_keycode_t, direction: xkb_key_direction) -> c_int {
    if state.is_null() {
        return 0;
    }
    // SAFETY: promised by the caller.
    unsafe { (common().update_key)(state, key, direction) }
}

/// # Safety
/// `state` is null, or from the library and not used again.
unsafe fn state_unref(state: *mut xkb_state) {
    if !state.is_null() {
        // SAFETY: promised by the caller.
        unsafe { (common().state_unref)(state) }
    }
}

/// The part for X servers: `libxkbcommon-x11`.
pub mod x11 {
    use super::*;

    pub type xcb_connection_t = c_void;

    /// `xkb_x11_keymap_new_from_device`.
    type NewKeymap =
        unsafe extern "C" fn(*mut xkb_context, *mut xcb_connection_t, i32, xkb_keymap_compile_flags) -> *mut xkb_keymap;
    /// `xkb_x11_state_new_from_device`.
    type NewState = unsafe extern "C" fn(*mut xkb_keymap, *mut xcb_connection_t, i32) -> *mut xkb_state;

    /// The functions that baseview calls.
    pub struct XkbCommonX11 {
        pub xkb_x11_get_core_keyboard_device_id: unsafe fn(*mut xcb_connection_t) -> i32,
        pub xkb_x11_keymap_new_from_device: NewKeymap,
        pub xkb_x11_state_new_from_device: unsafe fn(*mut xkb_keymap, *mut xcb_connection_t, i32) -> *mut xkb_state,
        keyboard: unsafe extern "C" fn(*mut xcb_connection_t) -> i32,
        state: NewState,
        _library: Library,
    }

    impl XkbCommonX11 {
        fn load() -> Result<Self, libloading::Error> {
            // SAFETY: the library has no initializers that matter, and its functions have these types.
            unsafe {
                let library = Library::new("libxkbcommon-x11.so.0")?;
                Ok(Self {
                    xkb_x11_get_core_keyboard_device_id: keyboard,
                    xkb_x11_keymap_new_from_device: *library.get(b"xkb_x11_keymap_new_from_device\0")?,
                    xkb_x11_state_new_from_device: new_state,
                    keyboard: *library.get(b"xkb_x11_get_core_keyboard_device_id\0")?,
                    state: *library.get(b"xkb_x11_state_new_from_device\0")?,
                    _library: library,
                })
            }
        }
    }

    /// The functions, if the system has the library.
    pub fn xkbcommon_x11_option() -> Option<&'static XkbCommonX11> {
        static LIBRARY: OnceLock<Option<XkbCommonX11>> = OnceLock::new();
        LIBRARY.get_or_init(|| XkbCommonX11::load().ok()).as_ref()
    }

    fn x11() -> &'static XkbCommonX11 {
        xkbcommon_x11_option().expect("it has been loaded before")
    }

    /// The id of the core keyboard. If there is none, 0, for which there is no keymap: baseview insists on an id.
    ///
    /// # Safety
    /// A valid connection to an X server.
    unsafe fn keyboard(connection: *mut xcb_connection_t) -> i32 {
        // SAFETY: promised by the caller.
        unsafe { (x11().keyboard)(connection) }.max(0)
    }

    /// A state, which takes over the keymap; null if that is null.
    ///
    /// # Safety
    /// `keymap` is null, or from the library and not used again by the caller; `connection` is a valid connection to an
    /// X server.
    unsafe fn new_state(keymap: *mut xkb_keymap, connection: *mut xcb_connection_t, keyboard: i32) -> *mut xkb_state {
        if keymap.is_null() {
            return keymap;
        }
        // SAFETY: promised by the caller.
        unsafe {
            let state = (x11().state)(keymap, connection, keyboard);
            (common().keymap_unref)(keymap);
            state
        }
    }
}
