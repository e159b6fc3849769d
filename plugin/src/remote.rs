//! CLAP's remote-control pages: the parameters for a controller's eight knobs. The main ones come first, then those
//! that are pressed, then the others by group.

use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::*;

use crate::params::{ACTIONS, AntiphonParams, FRONT, GROUPS};

/// Declares the pages.
pub fn pages(params: &AntiphonParams, context: &mut impl RemoteControlsContext) {
    let map = params.param_map();
    context.add_section("Antiphon", |section| {
        for (name, ids) in [("Main", FRONT), ("Buttons", ACTIONS)] {
            section.add_page(name, |page| {
                let of_page = ids.iter().filter_map(|id| map.iter().find(|(of, ..)| of == id));
                of_page.for_each(|(_, parameter, _)| add(page, *parameter));
            });
        }
        for name in GROUPS {
            section.add_page(name, |page| {
                let of_group = map.iter().filter(|(id, _, group)| group == name && !ACTIONS.contains(&id.as_str()));
                // Where the model runs is nothing to turn a knob for.
                of_group.filter(|(id, ..)| id != "device").for_each(|(_, parameter, _)| add(page, *parameter));
            });
        }
    });
}

fn add(page: &mut impl RemoteControlsPage, parameter: ParamPtr) {
    // SAFETY: the parameters outlive this call.
    unsafe {
        match parameter {
            ParamPtr::FloatParam(parameter) => page.add_param(&*parameter),
            ParamPtr::IntParam(parameter) => page.add_param(&*parameter),
            ParamPtr::BoolParam(parameter) => page.add_param(&*parameter),
            ParamPtr::EnumParam(parameter) => page.add_param(&*parameter),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A host that records the pages: the title and the parameters of each.
    #[derive(Default)]
    struct Pages(Vec<(String, Vec<ParamPtr>)>);

    impl RemoteControlsContext for Pages {
        type Section = Self;

        fn add_section(&mut self, _: impl Into<String>, fill: impl FnOnce(&mut Self)) {
            fill(self);
        }
    }

    impl RemoteControlsSection for Pages {
        type Page = Self;

        fn add_page(&mut self, name: impl Into<String>, fill: impl FnOnce(&mut Self)) {
            self.0.push((name.into(), Vec::new()));
            fill(self);
        }
    }

    impl RemoteControlsPage for Pages {
        fn add_param(&mut self, param: &impl Param) {
            self.0.last_mut().unwrap().1.push(param.as_ptr());
        }

        fn add_spacer(&mut self) {}
    }

    #[test]
    fn what_matters_most_is_on_the_first_page_and_everything_on_some() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let mut written = Pages::default();
        pages(&params, &mut written);
        let map = params.param_map();
        let id = |pointer: &ParamPtr| map.iter().find(|(_, of, _)| of == pointer).map(|(id, ..)| id.as_str());
        let first: Vec<&str> = written.0[0].1.iter().filter_map(id).collect();
        assert_eq!(first, FRONT);
        let left_out = map.iter().filter(|(_, of, _)| !written.0.iter().any(|(_, page)| page.contains(of)));
        let left_out: Vec<&str> = left_out.map(|(id, ..)| id.as_str()).collect();
        assert_eq!(left_out, ["bypass", "device"]);
    }
}
