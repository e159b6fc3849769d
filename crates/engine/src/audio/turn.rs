//! Whose turn it is: a pure function of the current state, the settings and an event.
//!
//! | mode | Antiphon takes the turn | and gives it back |
//! | --- | --- | --- |
//! | auto | after the set silence (no key down), if the player has played since then | at the player's next key |
//! | trigger | when the trigger goes down | when it comes up or, toggling, goes down again; at the player's next key |
//! | trade | at the bar line after the player's bars | at the bar line after its own; at the player's next key |
//! | duet | as in auto | not when the player plays: those notes join the take, and Antiphon plays on |
//! | alone | when the mode is chosen, at the transport's start, after the player's silence | at the player's next key |
//!
//! In mode alone, a take begins from nothing instead of continuing the phrase.
//! In every mode, the *continue*, *replay* and *new take* buttons take the turn, and the turn length ends it.
//! A frozen take does not yield to keys, bar lines or the turn length: it is there to be played over, and the
//! player's notes join it, as in a duet.
//!
//! Without a running transport there are no bar lines: trade then takes the turn as auto does, and
//! plays its bars at the latest tempo.
//!
//! [`decide`] returns the commands; `hand_over` carries them out.

use super::bars::Trade;
use crate::link::messages::Source;
use crate::settings::{Length, Mode, Settings};

/// The state that the turn depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Antiphon's turn; `None`: it is the player's.
    pub playing: Option<Playing>,
    /// Whether the generator can play.
    pub can_play: bool,
    /// Whether a take has sounded, so that there is something to replay.
    pub has_take: bool,
    /// The trading of bars, in mode trade while the transport runs.
    pub trade: Option<Trade>,
    /// Whether the trigger is down.
    pub trigger_held: bool,
}

/// The state of Antiphon's turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Playing {
    /// Whether its take loops.
    pub frozen: bool,
    /// Bar lines passed during it.
    pub bars: u32,
}

/// An event that may change the turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// The player strikes a key.
    Key,
    /// The trigger moves.
    Trigger {
        /// Whether it is down now.
        down: bool,
    },
    /// The continue/stop button (or its parameter) changes.
    Go {
        /// Its new value; it matters only in mode trigger.
        on: bool,
    },
    /// The latest take is to be replayed.
    Replay {
        /// Whether the take was chosen in the window; then it exists even if no take has sounded.
        chosen: bool,
    },
    /// A new take of the same phrase is requested.
    NewTake,
    /// Freeze changes.
    Freeze {
        /// Whether it is on now.
        on: bool,
        /// Whether the transport runs, so that the loop is a whole number of bars.
        bars: bool,
    },
    /// In mode alone: the mode was chosen, or the transport has started.
    Alone,
    /// The silence has lasted long enough.
    Silence,
    /// The take is over: its last note has ended.
    Over,
    /// The take has reached the bar line that ends it.
    Cut,
    /// A bar line passes.
    Line,
    /// Bypass, forgetting the phrase or an undo ends the turn.
    End,
}

/// An action required by an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// Antiphon gives the turn back, if it has it; notes still ringing from an earlier turn may end, too.
    GiveBack(EndReason),
    /// Antiphon takes the turn.
    HandOver {
        /// Where its notes come from.
        source: Source,
        /// Whether a button, the trigger or a bar line caused it, rather than silence.
        called: bool,
    },
    /// The key joins the take.
    Join,
    /// The take loops from here on.
    Freeze,
    /// The take stops looping.
    Thaw,
}

/// How Antiphon gives the turn back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The player takes the turn: sounding notes end at once or ring out, depending on the settings.
    Entry,
    /// The turn is cut off: sounding notes end at once.
    Cut,
    /// The take ended by itself: no note is sounding any more.
    Over,
}

/// The actions to carry out, in order.
pub type Commands = [Option<Command>; 2];

/// The state after an event, and the actions that the event requires.
pub fn decide(mut state: State, settings: &Settings, event: Event) -> (State, Commands) {
    let give_back = Some(Command::GiveBack(EndReason::Entry));
    let call = |source| {
        let able = state.can_play && !settings.bypass;
        [give_back, able.then_some(Command::HandOver { source, called: true })]
    };
    let continues = continues(settings.turn.mode);
    let commands = match event {
        Event::Key => match state.playing {
            Some(playing) if playing.frozen || settings.turn.mode == Mode::Duet => [Some(Command::Join), None],
            Some(_) => [give_back, None],
            None => [None, None],
        },
        Event::Trigger { down } => {
            // A controller sends many values while it moves.
            let moved = std::mem::replace(&mut state.trigger_held, down) != down;
            match (state.playing.is_some(), down) {
                _ if !moved => [None, None],
                (true, true) if settings.turn.trigger.toggles => [give_back, None],
                (true, false) if !settings.turn.trigger.toggles => [give_back, None],
                (false, true) => call(Source::Continue),
                (true, true) | (_, false) => [None, None],
            }
        }
        Event::Go { on } => {
            // If the button works as a held trigger, releasing it after the player's entry must not start a turn.
            let wants = if settings.turn.holds() { on } else { state.playing.is_none() };
            match (state.playing.is_some(), wants) {
                (true, false) => [give_back, None],
                (false, true) => call(continues),
                (true, true) | (false, false) => [None, None],
            }
        }
        Event::Replay { chosen } if chosen || state.has_take || state.playing.is_some() => call(Source::Replay),
        Event::Replay { .. } => [None, None],
        Event::NewTake => call(Source::NewTake),
        Event::Freeze { on, bars } => match state.playing {
            None if on && state.has_take => call(Source::Frozen { bars }),
            Some(_) if on => [Some(Command::Freeze), None],
            Some(playing) if playing.frozen => [Some(Command::Thaw), None],
            Some(_) | None => [None, None],
        },
        Event::Alone => call(Source::FromNothing),
        Event::Silence => [Some(Command::HandOver { source: continues, called: false }), None],
        Event::Over => [Some(Command::GiveBack(EndReason::Over)), None],
        Event::Cut | Event::End => [Some(Command::GiveBack(EndReason::Cut)), None],
        Event::Line => return line(state, settings),
    };
    (state, commands)
}

/// A bar line passes: traded bars may change hands there, and a turn limited in bars may end.
fn line(mut state: State, settings: &Settings) -> (State, Commands) {
    let changes =
        state.trade.as_mut().is_some_and(|trade| trade.pass(settings.turn.your_bars, settings.turn.antiphon_bars));
    let mut ends = false;
    if let Some(playing) = state.playing.as_mut().filter(|playing| !playing.frozen) {
        playing.bars += 1;
        ends = matches!(settings.turn.length, Length::Bars(bars) if playing.bars >= bars);
    }
    let antiphons_turn = state.trade.is_some_and(|trade| trade.antiphons_turn);
    let frozen = state.playing.is_some_and(|playing| playing.frozen);
    let gives_back = ends || (changes && !antiphons_turn && !frozen);
    let plays_on = state.playing.is_some() && !gives_back;
    let takes = changes && antiphons_turn && !plays_on && state.can_play;
    let give_back = gives_back.then_some(Command::GiveBack(EndReason::Cut));
    (state, [give_back, takes.then_some(Command::HandOver { source: Source::Continue, called: true })])
}

/// Whether silence hands the turn over in this mode. `bars`: whether the transport runs.
pub fn by_silence(mode: Mode, bars: bool) -> bool {
    match mode {
        Mode::Auto | Mode::Duet | Mode::Alone => true,
        Mode::Trade => !bars,
        Mode::Trigger => false,
    }
}

/// Where the notes of a new take come from in this mode.
pub fn continues(mode: Mode) -> Source {
    if mode == Mode::Alone { Source::FromNothing } else { Source::Continue }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Trigger, TriggerBy, TurnSettings};

    const PLAYER: State = State { playing: None, can_play: true, has_take: true, trade: None, trigger_held: false };
    const ANTIPHON: State = State { playing: Some(Playing { frozen: false, bars: 0 }), ..PLAYER };
    const FROZEN: State = State { playing: Some(Playing { frozen: true, bars: 0 }), ..PLAYER };
    const ENTRY: Option<Command> = Some(Command::GiveBack(EndReason::Entry));
    const CUT: Option<Command> = Some(Command::GiveBack(EndReason::Cut));
    const NOTHING: Commands = [None, None];

    fn take(source: Source, called: bool) -> Option<Command> {
        Some(Command::HandOver { source, called })
    }

    fn with(set: impl FnOnce(&mut TurnSettings)) -> Settings {
        let mut settings = Settings::INITIAL;
        set(&mut settings.turn);
        settings
    }

    fn of(mode: Mode) -> Settings {
        with(|turn| turn.mode = mode)
    }

    fn commands(state: State, settings: &Settings, event: Event) -> Commands {
        decide(state, settings, event).1
    }

    #[test]
    fn a_key_takes_the_turn_but_in_a_duet_and_over_a_frozen_take() {
        for mode in [Mode::Auto, Mode::Trigger, Mode::Trade, Mode::Duet, Mode::Alone] {
            let settings = of(mode);
            assert_eq!(commands(PLAYER, &settings, Event::Key), NOTHING);
            assert_eq!(commands(FROZEN, &settings, Event::Key), [Some(Command::Join), None]);
            let joins = commands(ANTIPHON, &settings, Event::Key) == [Some(Command::Join), None];
            assert_eq!(joins, mode == Mode::Duet);
            assert!(joins || commands(ANTIPHON, &settings, Event::Key) == [ENTRY, None]);
        }
    }

    #[test]
    fn a_trigger_holds_the_turn_or_swaps_it() {
        let trigger = |toggles| Trigger { by: TriggerBy::Key, key: 24, controller: 80, toggles };
        let with_trigger = |toggles| with(|turn| (turn.mode, turn.trigger) = (Mode::Trigger, trigger(toggles)));
        let (held, toggled) = (with_trigger(false), with_trigger(true));
        let (down, up) = (Event::Trigger { down: true }, Event::Trigger { down: false });
        let is_down = |state| State { trigger_held: true, ..state };
        for settings in [&held, &toggled] {
            assert_eq!(decide(PLAYER, settings, down), (is_down(PLAYER), [ENTRY, take(Source::Continue, true)]));
            assert_eq!(commands(is_down(PLAYER), settings, down), NOTHING, "it is down already");
            assert_eq!(commands(is_down(PLAYER), settings, up), NOTHING, "the player has entered meanwhile");
        }
        assert_eq!(decide(is_down(ANTIPHON), &held, up), (ANTIPHON, [ENTRY, None]));
        assert_eq!(commands(is_down(ANTIPHON), &toggled, up), NOTHING);
        assert_eq!(commands(ANTIPHON, &toggled, down), [ENTRY, None]);
        assert_eq!(commands(ANTIPHON, &held, down), NOTHING);
        // The button swaps the turns; as a held trigger, it makes Antiphon play for as long as it is on.
        let (on, off) = (Event::Go { on: true }, Event::Go { on: false });
        for go in [on, off] {
            assert_eq!(commands(PLAYER, &of(Mode::Auto), go), [ENTRY, take(Source::Continue, true)]);
            assert_eq!(commands(ANTIPHON, &of(Mode::Auto), go), [ENTRY, None]);
            assert_eq!(commands(PLAYER, &of(Mode::Alone), go), [ENTRY, take(Source::FromNothing, true)]);
        }
        assert_eq!(commands(PLAYER, &held, off), NOTHING);
        assert_eq!(commands(ANTIPHON, &held, on), NOTHING);
    }

    #[test]
    fn takes_are_called_for() {
        let settings = of(Mode::Auto);
        let new = State { has_take: false, ..PLAYER };
        assert_eq!(commands(PLAYER, &settings, Event::Replay { chosen: false }), [ENTRY, take(Source::Replay, true)]);
        assert_eq!(commands(new, &settings, Event::Replay { chosen: false }), NOTHING);
        assert_eq!(commands(new, &settings, Event::Replay { chosen: true }), [ENTRY, take(Source::Replay, true)]);
        assert_eq!(commands(ANTIPHON, &settings, Event::NewTake), [ENTRY, take(Source::NewTake, true)]);
        let broken = State { can_play: false, ..ANTIPHON };
        assert_eq!(commands(broken, &settings, Event::NewTake), [ENTRY, None], "nobody is there");
        let freeze = |on| Event::Freeze { on, bars: true };
        assert_eq!(commands(PLAYER, &settings, freeze(true)), [ENTRY, take(Source::Frozen { bars: true }, true)]);
        assert_eq!(commands(new, &settings, freeze(true)), NOTHING);
        assert_eq!(commands(ANTIPHON, &settings, freeze(true)), [Some(Command::Freeze), None]);
        assert_eq!(commands(FROZEN, &settings, freeze(false)), [Some(Command::Thaw), None]);
        assert_eq!(commands(ANTIPHON, &settings, freeze(false)), NOTHING);
        assert_eq!(commands(ANTIPHON, &settings, Event::End), [CUT, None]);
    }

    #[test]
    fn bars_change_hands_and_a_frozen_take_stays() {
        let settings = with(|turn| (turn.mode, turn.your_bars, turn.antiphon_bars) = (Mode::Trade, 2, 1));
        let trade = |antiphons_turn, left| Some(Trade { antiphons_turn, left });
        let mut state = State { trade: trade(false, 2), ..PLAYER };
        let mut step = |playing: Option<Playing>| {
            state.playing = playing;
            let (after, commands) = decide(state, &settings, Event::Line);
            state = after;
            commands
        };
        assert_eq!(step(None), NOTHING);
        assert_eq!(step(None), [None, take(Source::Continue, true)]);
        assert_eq!(step(ANTIPHON.playing), [CUT, None]);
        assert_eq!(step(None), NOTHING);
        let frozen = State { trade: trade(true, 1), ..FROZEN };
        assert_eq!(commands(frozen, &settings, Event::Line), NOTHING);
        // A turn length in bars ends a turn in any mode.
        let bars = |bars| with(|turn| turn.length = Length::Bars(bars));
        let two = bars(2);
        let (after, first) = decide(ANTIPHON, &two, Event::Line);
        assert_eq!((first, commands(after, &two, Event::Line)), (NOTHING, [CUT, None]));
        assert_eq!(commands(FROZEN, &bars(1), Event::Line), NOTHING);
    }
}
