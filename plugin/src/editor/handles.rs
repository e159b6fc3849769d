//! The editor's access to the host parameters: uniform, by id, with values from 0 to 1, set with the gestures that a
//! host needs for recording and undo.

use std::collections::HashMap;
use std::ops::Index;
use std::sync::Arc;

use nice_plug::context::gui::GuiContext;
use nice_plug::params::Params;
use nice_plug::params::internals::ParamPtr;

use crate::params::{AntiphonParams, choices, hints, texts};
use crate::stored::Stored;

/// How a parameter is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Off and on.
    Switch,
    /// One of this many.
    Choice(usize),
    /// A number.
    Number,
}

/// One parameter.
pub struct Handle {
    /// Its permanent id.
    pub id: String,
    /// The key of its group.
    pub group: String,
    /// Its tooltip.
    pub hint: &'static str,
    pointer: ParamPtr,
    /// Owns what `pointer` points to.
    _params: Arc<AntiphonParams>,
}

impl Handle {
    /// How it is edited.
    pub fn kind(&self) -> Kind {
        match (self.pointer, self.steps()) {
            (ParamPtr::BoolParam(_), _) => Kind::Switch,
            (ParamPtr::EnumParam(_), Some(steps)) => Kind::Choice(steps + 1),
            _ => Kind::Number,
        }
    }

    /// Its shown name.
    pub fn name(&self) -> &str {
        // SAFETY: the parameters live as long as this handle.
        unsafe { self.pointer.name() }
    }

    /// Its value, 0–1.
    pub fn value(&self) -> f32 {
        // SAFETY: the parameters live as long as this handle.
        unsafe { self.pointer.unmodulated_normalized_value() }
    }

    /// The default value, 0–1.
    pub fn default(&self) -> f32 {
        // SAFETY: the parameters live as long as this handle.
        unsafe { self.pointer.default_normalized_value() }
    }

    /// The number of steps between 0 and 1, if it is stepped.
    pub fn steps(&self) -> Option<usize> {
        // SAFETY: the parameters live as long as this handle.
        unsafe { self.pointer.step_count() }
    }

    /// A value as it is shown, with its unit.
    pub fn text(&self, value: f32) -> String {
        // SAFETY: the parameters live as long as this handle.
        unsafe { self.pointer.normalized_value_to_string(value, true) }
    }

    /// The value, 0–1, that a typed text means; `None` if it means none.
    pub fn read(&self, text: &str) -> Option<f32> {
        // SAFETY: the parameters live as long as this handle.
        unsafe { texts::read(self.pointer, text) }
    }

    /// A value, 0–1, as files store it.
    pub fn stored(&self, value: f32) -> Stored {
        // SAFETY: the parameters live as long as this handle.
        let plain = unsafe { self.pointer.preview_plain(value) };
        match (self.pointer, choices::ids(&self.id)) {
            (ParamPtr::BoolParam(_), _) => Stored::Switch(plain > 0.5),
            (ParamPtr::EnumParam(_), Some(ids)) => Stored::Choice(ids[plain as usize].to_owned()),
            // Rounded: 0.6 instead of 0.60000002.
            _ => Stored::Number((f64::from(plain) * 1e5).round() / 1e5),
        }
    }

    /// The value, 0–1, for a stored one; `None` if this parameter cannot have it.
    pub fn of_stored(&self, stored: &Stored) -> Option<f32> {
        let plain = match (self.pointer, stored) {
            (ParamPtr::BoolParam(_), Stored::Switch(on)) => f32::from(u8::from(*on)),
            (ParamPtr::EnumParam(_), Stored::Choice(id)) => {
                choices::ids(&self.id)?.iter().position(|known| known == id)? as f32
            }
            (ParamPtr::FloatParam(_) | ParamPtr::IntParam(_), Stored::Number(number)) => *number as f32,
            _ => return None,
        };
        // SAFETY: the parameters live as long as this handle.
        let value = unsafe { self.pointer.preview_normalized(plain) };
        // SAFETY: the parameters live as long as this handle. A number out of range would come back clamped.
        let read = unsafe { self.pointer.preview_plain(value) };
        ((read - plain).abs() <= 0.01 * plain.abs().max(1.0)).then_some(value)
    }

    /// The id of the current choice; `None` if this parameter is not a choice.
    pub fn choice(&self) -> Option<&'static str> {
        let ids = choices::ids(&self.id)?;
        // SAFETY: the parameters live as long as this handle.
        ids.get(unsafe { self.pointer.unmodulated_plain_value() } as usize).copied()
    }

    /// The next value up or down from `from`; in smaller steps if `finer`.
    pub fn step(&self, from: f32, up: bool, finer: bool) -> f32 {
        // SAFETY: the parameters live as long as this handle.
        unsafe {
            if up {
                self.pointer.next_normalized_step(from, finer)
            } else {
                self.pointer.previous_normalized_step(from, finer)
            }
        }
    }

    /// Whether a switch is on, or the value is anything but the lowest.
    pub fn is_on(&self) -> bool {
        self.value() > 0.0
    }

    /// Begins an edit gesture.
    pub fn begin(&self, context: &GuiContext) {
        // SAFETY: the parameters live as long as this handle.
        unsafe { context.raw_begin_set_parameter(self.pointer) }
    }

    /// Sets the value, 0–1, during a gesture.
    pub fn set(&self, context: &GuiContext, value: f32) {
        // SAFETY: the parameters live as long as this handle.
        unsafe { context.raw_set_parameter_normalized(self.pointer, value.clamp(0.0, 1.0)) }
    }

    /// Ends the gesture.
    pub fn end(&self, context: &GuiContext) {
        // SAFETY: the parameters live as long as this handle.
        unsafe { context.raw_end_set_parameter(self.pointer) }
    }

    /// Sets the value in one complete gesture.
    pub fn set_with_gesture(&self, context: &GuiContext, value: f32) {
        self.begin(context);
        self.set(context, value);
        self.end(context);
    }

    /// Sets the value directly, where there is no host and audio has not started.
    #[cfg(any(test, feature = "standalone"))]
    pub fn set_directly(&self, value: f32) {
        // SAFETY: the parameters live as long as this handle.
        unsafe { self.pointer._internal_set_normalized_value(value) };
    }

    /// Flips a switch, in one complete gesture.
    pub fn toggle(&self, context: &GuiContext) {
        self.set_with_gesture(context, 1.0 - self.value().round());
    }
}

/// All parameters, by id.
pub struct Handles {
    all: Vec<Handle>,
    places: HashMap<String, usize>,
}

impl Handles {
    /// Handles for these parameters.
    pub fn new(params: &Arc<AntiphonParams>) -> Self {
        let map = params.param_map().into_iter();
        let all: Vec<Handle> = map
            .map(|(id, pointer, group)| {
                let hint = hints::hint(&id).unwrap_or_default();
                Handle { id, group, hint, pointer, _params: params.clone() }
            })
            .collect();
        let places = all.iter().enumerate().map(|(place, handle)| (handle.id.clone(), place)).collect();
        Self { all, places }
    }

    /// All of them, in order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = &Handle> {
        self.all.iter()
    }

    /// A parameter by its id, if there is one.
    pub fn get(&self, id: &str) -> Option<&Handle> {
        self.places.get(id).map(|&place| &self.all[place])
    }
}

impl Index<&str> for Handles {
    type Output = Handle;

    fn index(&self, id: &str) -> &Handle {
        self.get(id).expect("the editor knows its parameters")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use nice_plug::context::PluginApi;
    use nice_plug::context::gui::GuiContextInner;
    use nice_plug::prelude::PluginState;

    use super::*;

    /// A host that records what the editor reports.
    #[derive(Default)]
    struct Listening(Mutex<Vec<(&'static str, ParamPtr, f32)>>);

    impl GuiContextInner for Listening {
        fn plugin_api(&self) -> PluginApi {
            PluginApi::Clap
        }
        unsafe fn raw_begin_set_parameter(&self, param: ParamPtr) {
            self.0.lock().unwrap().push(("begin", param, 0.0));
        }
        unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, value: f32) {
            self.0.lock().unwrap().push(("set", param, value));
        }
        unsafe fn raw_end_set_parameter(&self, param: ParamPtr) {
            self.0.lock().unwrap().push(("end", param, 0.0));
        }
        fn get_state(&self) -> PluginState {
            unreachable!("presets set parameters, never the state")
        }
        fn set_state(&self, _: PluginState) {
            unreachable!("presets set parameters, never the state")
        }
        fn request_restart(&self) {}
    }

    #[test]
    fn every_parameter_is_set_with_the_gesture_that_a_host_undoes() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let host = Arc::new(Listening::default());
        let context = GuiContext::new(host.clone());
        for handle in Handles::new(&params).iter() {
            handle.set_with_gesture(&context, 1.5);
            let pointer = handle.pointer;
            let told = std::mem::take(&mut *host.0.lock().unwrap());
            let wanted = [("begin", pointer, 0.0), ("set", pointer, 1.0), ("end", pointer, 0.0)];
            assert_eq!(told, wanted, "{}", handle.id);
        }
    }

    #[test]
    fn every_parameter_has_a_tooltip_and_reads_what_it_shows() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let handles = Handles::new(&params);
        for handle in handles.iter() {
            assert!(handle.hint.len() > 20, "{}: `{}`", handle.id, handle.hint);
            assert!(!handle.hint.contains(['[', '`']), "{}: a musician reads this: {}", handle.id, handle.hint);
            for value in [0.0, handle.default(), 1.0] {
                let text = handle.text(value);
                for text in [text.clone(), text.to_uppercase(), text.to_lowercase()] {
                    let read = handle.read(&text).unwrap_or_else(|| panic!("{}: `{text}`", handle.id));
                    assert_eq!(handle.text(read).to_lowercase(), text.to_lowercase(), "{}", handle.id);
                }
            }
        }
    }

    /// Values that differ audibly must also differ in their text.
    #[test]
    fn two_steps_of_a_parameter_never_show_the_same() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        for handle in Handles::new(&params).iter() {
            let (mut value, mut steps) = (0.0, 0);
            let last = handle.text(1.0);
            while handle.text(value) != last {
                let next = handle.step(value, true, true);
                assert!(next > value, "{} stands still at {}", handle.id, handle.text(value));
                assert_ne!(handle.text(next), handle.text(value), "{}", handle.id);
                (value, steps) = (next, steps + 1);
            }
            assert!(steps > 0 && steps <= 20_000, "{}: {steps}", handle.id);
        }
    }
}
