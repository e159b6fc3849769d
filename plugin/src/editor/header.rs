//! The header: whose turn it is, what ends it and when; at the right the menus.

use std::f32::consts::{FRAC_PI_2, TAU};

use egui::{Align, Align2, Color32, FontId, Layout, Sense, Stroke, Ui, pos2, vec2};
use engine::link::roll::{Roll, Whose};
use engine::link::status::{Health, Status};
use engine::settings::{Mode, Settings, Silence};

use super::control::{UiContext, ring};
use super::handles::Handles;
use super::theme::{BODY, LARGE, Palette, SMALL};
use crate::params::AntiphonParams;

/// What the header shows.
struct State {
    color: Color32,
    /// Whose turn it is.
    title: &'static str,
    /// What ends it, and when.
    detail: String,
    /// How much of the time until the turn's end has passed, 0–1; `None` if the end is not known.
    gone: Option<f32>,
}

/// Draws the header.
pub fn show(
    ui: &mut Ui,
    ui_context: &UiContext,
    handles: &Handles,
    params: &AntiphonParams,
    status: &Status,
    roll: &Roll,
    menus: impl FnOnce(&mut Ui),
) {
    let state = state(ui_context.palette, &params.settings(), status.health(), roll);
    ui.horizontal(|ui| {
        let (place, _) = ui.allocate_exact_size(vec2(34.0, 34.0), Sense::hover());
        let center = place.center();
        ui.painter().circle_filled(center, 8.0, state.color);
        let scale = Stroke::new(2.5, ui_context.palette.grip);
        ring(ui, center, 14.0, [0.0, TAU], scale);
        if let Some(gone) = state.gone {
            let from = -FRAC_PI_2;
            ring(ui, center, 14.0, [from, from + TAU * gone], Stroke::new(2.5, state.color));
        }
        // In a narrow window the two lines of text are cut to leave room for the menus.
        let width = (ui.available_width() - 330.0).max(150.0);
        let (place, words) = ui.allocate_exact_size(vec2(width, 34.0), Sense::hover());
        let painter = ui.painter_at(place);
        let title = FontId::proportional(LARGE);
        painter.text(place.min + vec2(2.0, 0.0), Align2::LEFT_TOP, state.title, title, ui_context.palette.ink);
        let detail = pos2(place.left() + 2.0, place.bottom());
        painter.text(
            detail,
            Align2::LEFT_BOTTOM,
            &state.detail,
            FontId::proportional(SMALL + 0.5),
            ui_context.palette.quiet,
        );
        words.on_hover_text(&state.detail);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            menus(ui);
            bypass(ui, ui_context, handles);
        });
    });
}

/// *Bypass*: a button of the usual size, so that it is found in a hurry.
fn bypass(ui: &mut Ui, ui_context: &UiContext, handles: &Handles) {
    let handle = &handles["bypass"];
    let text = egui::RichText::new("Bypass").size(BODY);
    let text = if handle.is_on() { text.color(ui_context.palette.trouble) } else { text };
    let button = egui::Button::new(text).selected(handle.is_on());
    if ui.add(button).on_hover_text(handle.hint).clicked() {
        handle.toggle(ui_context.host);
    }
}

fn state(palette: Palette, settings: &Settings, health: Health, roll: &Roll) -> State {
    let plain = |color, title, detail: &str| State { color, title, detail: detail.to_owned(), gone: None };
    if settings.bypass {
        return plain(palette.quiet, "Bypassed", "Notes pass through");
    }
    match health {
        Health::Starting => return plain(palette.quiet, "Loading", "The model is being loaded"),
        Health::NoWeights | Health::Broken => return plain(palette.trouble, "No model", "Notes pass through"),
        Health::Ready => {}
    }
    let left = roll.until.map(|until| (until - roll.now).max(0.0));
    let gone = |from: f64| {
        let until = roll.until?;
        Some(((roll.now - from) / (until - from).max(1e-3)).clamp(0.0, 1.0) as f32)
    };
    let sounds = |whose| roll.notes().any(|note| note.whose == whose && note.end == f64::INFINITY);
    if roll.turn == Whose::Antiphon {
        let title = match settings.turn.mode {
            Mode::Duet => "Duet",
            Mode::Alone => "Alone",
            Mode::Auto | Mode::Trigger | Mode::Trade => "Antiphon plays",
        };
        return State {
            color: palette.antiphon,
            title,
            detail: antiphons_turn(settings, roll, left),
            gone: gone(roll.since),
        };
    }
    if let Some(left) = left {
        let from = roll.notes().filter(|note| note.end.is_finite()).map(|note| note.end).fold(roll.since, f64::max);
        let detail = format!("continues in {left:.1} s");
        return State { color: palette.player, title: "You play", detail, gone: gone(from) };
    }
    let next = your_turn(settings, roll.next_bar.is_some());
    if sounds(Whose::Player) {
        return State { color: palette.player, title: "Listening", detail: next, gone: None };
    }
    let played = roll.notes().any(|note| note.start >= roll.forgotten);
    let title = if played { "You play" } else { "Play a phrase" };
    State { color: palette.player, title, detail: next, gone: None }
}

/// What ends Antiphon's turn. `left`: seconds until it ends by itself, if known.
fn antiphons_turn(settings: &Settings, roll: &Roll, left: Option<f64>) -> String {
    if roll.frozen {
        return "Frozen: loops until Freeze is off".to_owned();
    }
    let seconds = left.map(|left| format!("{left:.1} s left"));
    let end = seconds.or_else(|| Some(format!("{} left", plural(roll.notes_left()?, "note"))));
    let (first, rest) = match settings.turn.mode {
        Mode::Auto | Mode::Alone => ("Until you play".to_owned(), "or until you play"),
        Mode::Trigger if settings.turn.holds() => {
            ("Until you let go or play".to_owned(), "or until you let go or play")
        }
        Mode::Trigger => ("Until you press the trigger or play".to_owned(), "or until you press the trigger or play"),
        Mode::Trade => (bars(settings), ""),
        Mode::Duet => ("Both play".to_owned(), "both play"),
    };
    match end {
        None => first,
        Some(end) if rest.is_empty() => format!("{first}; {end}"),
        Some(end) => format!("{end}, {rest}"),
    }
}

/// What ends the player's turn. `has_bars`: the transport is running.
fn your_turn(settings: &Settings, has_bars: bool) -> String {
    let silence = match settings.turn.silence {
        Silence::Seconds(seconds) => seconds_text(seconds),
        Silence::Beats(beats) => format!("{beats} beats"),
    };
    match settings.turn.mode {
        Mode::Auto => format!("Antiphon continues after {silence} of silence"),
        Mode::Duet => format!("Antiphon joins in after {silence} of silence"),
        Mode::Alone => format!("Antiphon plays alone after {silence} of silence"),
        Mode::Trigger => "Antiphon continues when you press the trigger".to_owned(),
        Mode::Trade if has_bars => bars(settings),
        Mode::Trade => {
            format!("Antiphon continues after {silence} of silence, for {}", plural(settings.turn.antiphon_bars, "bar"))
        }
    }
}

/// How many bars each of the two has.
fn bars(settings: &Settings) -> String {
    let (yours, mine) = (settings.turn.your_bars, settings.turn.antiphon_bars);
    if yours == mine {
        return format!("{} each", plural(yours, "bar"));
    }
    format!("{} for you, {mine} for Antiphon", plural(yours, "bar"))
}

fn seconds_text(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1_000.0) } else { format!("{seconds:.1} s") }
}

fn plural(count: u32, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::link::roll;
    use engine::link::viewer::Viewer;
    use engine::settings::TurnSettings;

    use crate::params::AntiphonParams;
    use crate::ui_state::Theme;

    #[test]
    fn the_header_says_what_ends_a_turn() {
        let detail =
            |settings: &Settings, roll: &Roll| state(Palette::of(Theme::Dark), settings, Health::Ready, roll).detail;
        let settings = AntiphonParams::new(Default::default()).settings();
        let of = |mode| {
            let turn =
                TurnSettings { mode, your_bars: 4, antiphon_bars: 2, silence: Silence::Seconds(0.8), ..settings.turn };
            Settings { turn, ..settings }
        };
        let mut roll = Roll::default();
        assert_eq!(detail(&of(Mode::Trade), &roll), "Antiphon continues after 800 ms of silence, for 2 bars");
        roll.next_bar = Some((1.0, 2.0));
        assert_eq!(detail(&of(Mode::Trade), &roll), "4 bars for you, 2 for Antiphon");

        roll.turn = Whose::Antiphon;
        assert_eq!(detail(&of(Mode::Trade), &roll), "4 bars for you, 2 for Antiphon", "called for with the button");
        assert_eq!(detail(&of(Mode::Trigger), &roll), "Until you let go or play");
        roll.until = Some(3.0);
        assert_eq!(detail(&of(Mode::Trade), &roll), "4 bars for you, 2 for Antiphon; 3.0 s left");
        assert_eq!(detail(&of(Mode::Auto), &roll), "3.0 s left, or until you play");
        roll.frozen = true;
        assert!(detail(&of(Mode::Auto), &roll).starts_with("Frozen"));

        let (mut writer, _) = roll::roll(Viewer::default());
        writer.on(Whose::Antiphon, 0, 60, 80, 0.5);
        writer.hand_over(1.0);
        writer.set_take_info(false, Some(3));
        writer.on(Whose::Antiphon, 0, 62, 80, 1.0);
        writer.on(Whose::Player, 0, 64, 80, 1.5);
        let mut counted = writer.roll();
        counted.turn = Whose::Antiphon;
        assert_eq!(detail(&of(Mode::Auto), &counted), "2 notes left, or until you play");
    }
}
