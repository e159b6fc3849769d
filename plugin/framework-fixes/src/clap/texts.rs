//! Text-to-value conversion for CLAP; see [`crate::texts`].

use std::ffi::{CStr, c_char};
use std::mem::zeroed;

use clap_sys::ext::params::{CLAP_PARAM_IS_STEPPED, clap_param_info, clap_plugin_params};
use clap_sys::id::clap_id;
use clap_sys::plugin::clap_plugin;

use crate::texts;

/// Bytes for a value's text.
const ROOM: usize = 256;

/// Converts a text from the host into a value: `clap_plugin_params.text_to_value`.
///
/// # Safety
/// `framework` holds the framework's functions, `plugin` is one of its instances, the rest is from the host.
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

/// The last step of a stepped parameter, whose first step is 0.
///
/// # Safety
/// As for [`read`].
unsafe fn last_step(framework: &clap_plugin_params, plugin: *const clap_plugin, id: clap_id) -> Option<u32> {
    let (count, get) = (framework.count?, framework.get_info?);
    // SAFETY: promised by the caller; `clap_param_info` consists of numbers, text and a pointer, so all zeros are
    // valid.
    unsafe {
        let mut info: clap_param_info = zeroed();
        let is_it = |index: &u32| get(plugin, *index, &mut info) && info.id == id;
        (0..count(plugin)).find(is_it)?;
        (info.flags & CLAP_PARAM_IS_STEPPED != 0).then_some(info.max_value as u32)
    }
}

/// The text that a step is shown as.
///
/// # Safety
/// As for [`read`].
unsafe fn shown(framework: &clap_plugin_params, plugin: *const clap_plugin, id: clap_id, step: u32) -> Option<String> {
    let mut text = [0_u8; ROOM];
    // SAFETY: promised by the caller.
    let told = unsafe { framework.value_to_text?(plugin, id, step.into(), text.as_mut_ptr().cast(), ROOM as u32) };
    let text = CStr::from_bytes_until_nul(&text).ok().filter(|_| told)?;
    Some(text.to_string_lossy().into_owned())
}
