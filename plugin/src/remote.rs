//! CLAP's remote-control pages: what a controller's eight knobs move. What matters most comes first,
//! then group by group.

use nice_plug::prelude::*;

use crate::params::AntiphonParams;

/// Puts the pages together.
pub fn pages(params: &AntiphonParams, context: &mut impl RemoteControlsContext) {
    let (turn, time, notes, model) = (&params.turn, &params.time, &params.notes, &params.model);
    context.add_section("Antiphon", |section| {
        section.add_page("Main", |page| {
            page.add_param(&turn.mode);
            page.add_param(&turn.silence_ms);
            page.add_param(&turn.ends);
            page.add_param(&notes.key);
            page.add_param(&model.temperature);
            page.add_param(&time.density);
            page.add_param(&time.strength);
            page.add_param(&model.seed);
        });
        section.add_page("Calls", |page| {
            page.add_param(&turn.go);
            page.add_param(&turn.again);
            page.add_param(&turn.another);
            page.add_param(&turn.undo);
            page.add_param(&turn.freeze);
            page.add_param(&turn.forget_phrase);
            page.add_param(&turn.forget);
            page.add_param(&turn.panic);
        });
        section.add_page("Turn", |page| {
            page.add_param(&turn.silence_beats);
            page.add_param(&turn.silence_unit);
            page.add_param(&turn.pedal_holds);
            page.add_param(&turn.length_s);
            page.add_param(&turn.length_notes);
            page.add_param(&turn.length_bars);
            page.add_param(&turn.rings_out);
            page.add_param(&turn.remembers_own);
            page.add_param(&turn.your_bars);
            page.add_param(&turn.my_bars);
            page.add_param(&turn.trigger_by);
            page.add_param(&turn.trigger_key);
            page.add_param(&turn.trigger_controller);
            page.add_param(&turn.trigger_toggles);
        });
        section.add_page("Time", |page| {
            page.add_param(&time.strength);
            page.add_param(&time.grid);
            page.add_param(&time.swing);
            page.add_param(&time.pulse);
            page.add_param(&time.speed);
            page.add_param(&time.density);
            page.add_param(&time.late_ms);
            page.add_spacer();
        });
        section.add_page("Notes", |page| {
            page.add_param(&notes.key);
            page.add_param(&notes.scale);
            page.add_param(&notes.follows_chord);
            page.add_param(&notes.lowest);
            page.add_param(&notes.highest);
            page.add_param(&notes.polyphony);
            page.add_param(&notes.longest_s);
            page.add_param(&notes.repeats);
            page.add_param(&notes.dynamics);
            page.add_param(&notes.velocity);
            page.add_param(&notes.pedal_lengthens);
            page.add_param(&notes.pedal_out);
            page.add_param(&notes.channel);
            page.add_param(&notes.passes);
        });
        section.add_page("Model", |page| {
            page.add_param(&model.seed);
            page.add_param(&model.temperature);
            page.add_param(&model.temperature_pitch);
            page.add_param(&model.temperature_rhythm);
            page.add_param(&model.temperature_length);
            page.add_param(&model.temperature_dynamics);
            page.add_param(&model.top_p);
            page.add_param(&model.learn);
        });
    });
}
