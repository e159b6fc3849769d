//! Text-to-value conversion for VST3; see [`crate::texts`].

use std::mem::zeroed;
use std::slice;

use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    IEditController, IEditControllerVtbl, ParamID, ParamValue, ParameterInfo, String128, TChar,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::{kResultOk, tresult};

use crate::texts;

/// Converts a text from the host into a normalized value: `IEditController::getParamValueByString`.
///
/// # Safety
/// `framework` holds the framework's functions, `controller` is one of its instances, the rest is from the host.
pub unsafe fn read(
    framework: &IEditControllerVtbl,
    controller: *mut IEditController,
    id: ParamID,
    text: *mut TChar,
    value: *mut ParamValue,
) -> tresult {
    // SAFETY: promised by the caller.
    unsafe {
        let result = (framework.getParamValueByString)(controller, id, text, value);
        if result == kResultOk || text.is_null() || value.is_null() {
            return result;
        }
        let length = (0..).take_while(|index| *text.add(*index) != 0).count();
        let text = String::from_utf16_lossy(slice::from_raw_parts(text, length));
        let Some(last) = last_step(framework, controller, id) else {
            return result;
        };
        let value_of = |step: u32| f64::from(step) / f64::from(last.max(1));
        let Some(step) = texts::choice(&text, last, |step| shown(framework, controller, id, value_of(step))) else {
            return result;
        };
        value.write(value_of(step));
    }
    kResultOk
}

/// The last step of a stepped parameter, whose first step is 0.
///
/// # Safety
/// As for [`read`].
unsafe fn last_step(framework: &IEditControllerVtbl, controller: *mut IEditController, id: ParamID) -> Option<u32> {
    // SAFETY: promised by the caller; `ParameterInfo` consists of numbers and text, so all zeros are valid.
    unsafe {
        let mut info: ParameterInfo = zeroed();
        let is_it =
            |index: &i32| (framework.getParameterInfo)(controller, *index, &mut info) == kResultOk && info.id == id;
        (0..(framework.getParameterCount)(controller)).find(is_it)?;
        u32::try_from(info.stepCount).ok().filter(|last| *last > 0)
    }
}

/// The text that a value is shown as.
///
/// # Safety
/// As for [`read`].
unsafe fn shown(
    framework: &IEditControllerVtbl,
    controller: *mut IEditController,
    id: ParamID,
    value: ParamValue,
) -> Option<String> {
    let mut text: String128 = [0; 128];
    // SAFETY: promised by the caller.
    let result = unsafe { (framework.getParamStringByValue)(controller, id, value, &mut text) };
    let end = text.iter().position(|unit| *unit == 0)?;
    (result == kResultOk).then(|| String::from_utf16_lossy(&text[..end]))
}
