//! See [`crate::texts`].

use std::ffi::{CStr, c_char};
use std::mem::zeroed;

use clap_sys::ext::params::{CLAP_PARAM_IS_STEPPED, clap_param_info, clap_plugin_params};
use clap_sys::id::clap_id;
use clap_sys::plugin::clap_plugin;

use crate::texts;

/// Room for the text of a value, in bytes.
const ROOM: usize = 256;

/// Reads a text that the host hands over.
///
/// # Safety
/// The framework's functions, an instance of the framework's, and the rest as a host hands it over.
pub unsafe fn read(
    framework: &clap_plugin_params,
    plugin: *const clap_plugin,
    id: clap_id,
    text: *const c_char,
    value: *mut f64,
) -> bool {
    let Some(read) = framework.text_to_value else {
        return false;
    };
    // SAFETY: promised by the caller.
    unsafe {
        if read(plugin, id, text, value) {
            return true;
        }
        if text.is_null() || value.is_null() {
            return false;
        }
        let Ok(text) = CStr::from_ptr(text).to_str() else {
            return false;
        };
        let Some(last) = last_step(framework, plugin, id) else {
            return false;
        };
        let Some(step) = texts::choice(text, last, |step| shown(framework, plugin, id, step)) else {
            return false;
        };
        value.write(f64::from(step));
    }
    true
}

/// The last step of a parameter that has steps; the first is 0.
///
/// # Safety
/// As above.
unsafe fn last_step(framework: &clap_plugin_params, plugin: *const clap_plugin, id: clap_id) -> Option<u32> {
    let (count, get) = (framework.count?, framework.get_info?);
    // SAFETY: promised by the caller; an info is numbers, text and a pointer.
    unsafe {
        let mut info: clap_param_info = zeroed();
        let is_it = |index: &u32| get(plugin, *index, &mut info) && info.id == id;
        (0..count(plugin)).find(is_it)?;
        (info.flags & CLAP_PARAM_IS_STEPPED != 0).then_some(info.max_value as u32)
    }
}

/// What a step is shown as.
///
/// # Safety
/// As above.
unsafe fn shown(framework: &clap_plugin_params, plugin: *const clap_plugin, id: clap_id, step: u32) -> Option<String> {
    let mut text = [0_u8; ROOM];
    // SAFETY: promised by the caller.
    let told = unsafe { framework.value_to_text?(plugin, id, step.into(), text.as_mut_ptr().cast(), ROOM as u32) };
    let text = CStr::from_bytes_until_nul(&text).ok().filter(|_| told)?;
    Some(text.to_string_lossy().into_owned())
}
