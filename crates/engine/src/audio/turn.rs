//! Whose turn it is: a pure function of how things stand, what happens and when.
//!
//! | mode | Antiphon takes the turn | and gives it back |
//! | --- | --- | --- |
//! | auto | when no key has been down for the silence asked for, if something was played since its last turn | when the player strikes a key |
//! | trigger | when the trigger goes down | when it comes up, or is touched again; when the player strikes a key |
//! | trade | at the bar line after the player's bars | at the one after its own; when the player strikes a key |
//! | duet | as in auto | not for the player's notes: it hears them and plays on |
//! | alone | when the mode is chosen, when the transport starts, after the player's silence; from nothing | when the player strikes a key |
//!
//! In every mode the buttons for *continue*, *replay* and *new take* take it, and the length
//! that is set ends it. A frozen take gives way to nothing but the buttons and the transport: one
//! latches it to play over it, and it hears what is played, as in a duet.
//!
//! Without a running transport there are no bar lines: trade then takes the turn as auto does, and
//! plays its bars at the latest tempo.
//!
//! [`decide`] says what is to be done; `hand_over` does it.

use super::bars::Trade;
use crate::link::messages::Source;
use crate::settings::{Length, Mode, Settings};

/// How things stand, as far as the turn depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// It is Antiphon's turn.
    pub playing: Option<Playing>,
    /// There is somebody to take the turn.
    pub can_play: bool,
    /// A take has sounded: there is something to hear again.
    pub has_take: bool,
    /// Bars are traded, in mode trade while the transport runs.
    pub trade: Option<Trade>,
    /// The trigger is down.
    pub trigger_held: bool,
}

/// Of Antiphon's turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Playing {
    /// Its take goes round and round.
    pub frozen: bool,
    /// Bar lines that have gone by in it.
    pub bars: u32,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// The player strikes a key.
    Key,
    /// The trigger moves.
    Trigger {
        /// It is down from here on.
        down: bool,
    },
    /// The button (or its parameter) for continue and stop changes.
    Go {
        /// Its new side: only mode trigger asks.
        on: bool,
    },
    /// The latest take is to be played again.
    Replay {
        /// It was chosen in the window: it is there, whatever has sounded.
        chosen: bool,
    },
    /// Another take is to follow the same phrase.
    NewTake,
    /// Freeze changes.
    Freeze {
        /// It is on from here on.
        on: bool,
        /// A transport runs: rounds are whole bars.
        bars: bool,
    },
    /// In mode alone: the mode was chosen, or the transport has started.
    Alone,
    /// The silence has lasted long enough.
    Silence,
    /// The take has come to its end: with its last note.
    Over,
    /// The take has come to the line that is set for it.
    Cut,
    /// A bar line goes by.
    Line,
    /// Something ends whatever turn it is: bypass, panic, the transport, another network, an undo.
    End,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// Antiphon gives the turn back, if it has it; what rings out of an earlier turn may end, too.
    GiveBack(Leaving),
    /// Antiphon takes the turn.
    HandOver {
        /// Where its notes come from.
        source: Source,
        /// It is called upon, rather than that there is silence.
        called: bool,
    },
    /// The key joins in.
    Join,
    /// The take goes round and round from here on.
    Freeze,
    /// It plays freely again.
    Thaw,
}

/// How Antiphon gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// The player wants the turn: what sounds ends at once, or in its own time, as is set.
    Entry,
    /// Something ends it: what sounds is cut off.
    Cut,
    /// By itself: nothing sounds any more.
    Over,
}

/// What is to be done, in order.
pub type Commands = [Option<Command>; 2];

/// The state after an event, and what it asks for.
pub fn decide(mut state: State, settings: &Settings, event: Event) -> (State, Commands) {
    let give_back = Some(Command::GiveBack(Leaving::Entry));
    let call = |source| {
        let able = state.can_play && !settings.bypass;
        [give_back, able.then_some(Command::HandOver { source, called: true })]
    };
    let continues = continues(settings.mode);
    let commands = match event {
        Event::Key => match state.playing {
            Some(playing) if playing.frozen || settings.mode == Mode::Duet => [Some(Command::Join), None],
            Some(_) => [give_back, None],
            None => [None, None],
        },
        Event::Trigger { down } => {
            // A controller sends many values on its way.
            let moved = std::mem::replace(&mut state.trigger_held, down) != down;
            match (state.playing.is_some(), down) {
                _ if !moved => [None, None],
                (true, true) if settings.trigger.toggles => [give_back, None],
                (true, false) if !settings.trigger.toggles => [give_back, None],
                (false, true) => call(Source::GoOn),
                (true, true) | (_, false) => [None, None],
            }
        }
        Event::Go { on } => {
            // A trigger that is held: who lets go of it after the player's entry calls nobody.
            let wants = if settings.holds() { on } else { state.playing.is_none() };
            match (state.playing.is_some(), wants) {
                (true, false) => [give_back, None],
                (false, true) => call(continues),
                (true, true) | (false, false) => [None, None],
            }
        }
        Event::Replay { chosen } if chosen || state.has_take || state.playing.is_some() => call(Source::Again),
        Event::Replay { .. } => [None, None],
        Event::NewTake => call(Source::Another),
        Event::Freeze { on, bars } => match state.playing {
            None if on && state.has_take => call(Source::Frozen { bars }),
            Some(_) if on => [Some(Command::Freeze), None],
            Some(playing) if playing.frozen => [Some(Command::Thaw), None],
            Some(_) | None => [None, None],
        },
        Event::Alone => call(Source::Alone),
        Event::Silence => [Some(Command::HandOver { source: continues, called: false }), None],
        Event::Over => [Some(Command::GiveBack(Leaving::Over)), None],
        Event::Cut | Event::End => [Some(Command::GiveBack(Leaving::Cut)), None],
        Event::Line => return line(state, settings),
    };
    (state, commands)
}

/// A bar line goes by: bars may change hands there, and a turn of so many bars may end.
fn line(mut state: State, settings: &Settings) -> (State, Commands) {
    let changes = state.trade.as_mut().is_some_and(|trade| trade.pass(settings.your_bars, settings.my_bars));
    let mut ends = false;
    if let Some(playing) = state.playing.as_mut().filter(|playing| !playing.frozen) {
        playing.bars += 1;
        ends = matches!(settings.length, Length::Bars(bars) if playing.bars >= bars);
    }
    let mine = state.trade.is_some_and(|trade| trade.mine);
    let frozen = state.playing.is_some_and(|playing| playing.frozen);
    let gives_back = ends || (changes && !mine && !frozen);
    let plays_on = state.playing.is_some() && !gives_back;
    let takes = changes && mine && !plays_on && state.can_play;
    let give_back = gives_back.then_some(Command::GiveBack(Leaving::Cut));
    (state, [give_back, takes.then_some(Command::HandOver { source: Source::GoOn, called: true })])
}

/// Whether silence hands the turn over. `bars`: a transport runs.
pub fn by_silence(mode: Mode, bars: bool) -> bool {
    match mode {
        Mode::Auto | Mode::Duet | Mode::Alone => true,
        Mode::Trade => !bars,
        Mode::Trigger => false,
    }
}

/// Where the notes of a new take come from.
pub fn continues(mode: Mode) -> Source {
    if mode == Mode::Alone { Source::Alone } else { Source::GoOn }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Trigger, TriggerBy};

    const PLAYER: State = State { playing: None, can_play: true, has_take: true, trade: None, trigger_held: false };
    const ANTIPHON: State = State { playing: Some(Playing { frozen: false, bars: 0 }), ..PLAYER };
    const FROZEN: State = State { playing: Some(Playing { frozen: true, bars: 0 }), ..PLAYER };
    const ENTRY: Option<Command> = Some(Command::GiveBack(Leaving::Entry));
    const CUT: Option<Command> = Some(Command::GiveBack(Leaving::Cut));
    const NOTHING: Commands = [None, None];

    fn take(source: Source, called: bool) -> Option<Command> {
        Some(Command::HandOver { source, called })
    }

    fn of(mode: Mode) -> Settings {
        Settings { mode, ..Settings::INITIAL }
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
        let held = Settings { trigger: trigger(false), ..of(Mode::Trigger) };
        let toggled = Settings { trigger: trigger(true), ..held };
        let (down, up) = (Event::Trigger { down: true }, Event::Trigger { down: false });
        let is_down = |state| State { trigger_held: true, ..state };
        for settings in [&held, &toggled] {
            assert_eq!(decide(PLAYER, settings, down), (is_down(PLAYER), [ENTRY, take(Source::GoOn, true)]));
            assert_eq!(commands(is_down(PLAYER), settings, down), NOTHING, "it is down already");
            assert_eq!(commands(is_down(PLAYER), settings, up), NOTHING, "the player has entered meanwhile");
        }
        assert_eq!(decide(is_down(ANTIPHON), &held, up), (ANTIPHON, [ENTRY, None]));
        assert_eq!(commands(is_down(ANTIPHON), &toggled, up), NOTHING);
        assert_eq!(commands(ANTIPHON, &toggled, down), [ENTRY, None]);
        assert_eq!(commands(ANTIPHON, &held, down), NOTHING);
        // The button swaps the turns, and in mode trigger plays for as long as it is on.
        let (on, off) = (Event::Go { on: true }, Event::Go { on: false });
        for go in [on, off] {
            assert_eq!(commands(PLAYER, &of(Mode::Auto), go), [ENTRY, take(Source::GoOn, true)]);
            assert_eq!(commands(ANTIPHON, &of(Mode::Auto), go), [ENTRY, None]);
            assert_eq!(commands(PLAYER, &of(Mode::Alone), go), [ENTRY, take(Source::Alone, true)]);
        }
        assert_eq!(commands(PLAYER, &held, off), NOTHING);
        assert_eq!(commands(ANTIPHON, &held, on), NOTHING);
    }

    #[test]
    fn takes_are_called_for() {
        let settings = of(Mode::Auto);
        let new = State { has_take: false, ..PLAYER };
        assert_eq!(commands(PLAYER, &settings, Event::Replay { chosen: false }), [ENTRY, take(Source::Again, true)]);
        assert_eq!(commands(new, &settings, Event::Replay { chosen: false }), NOTHING);
        assert_eq!(commands(new, &settings, Event::Replay { chosen: true }), [ENTRY, take(Source::Again, true)]);
        assert_eq!(commands(ANTIPHON, &settings, Event::NewTake), [ENTRY, take(Source::Another, true)]);
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
        let settings = Settings { your_bars: 2, my_bars: 1, ..of(Mode::Trade) };
        let trade = |mine, left| Some(Trade { mine, left });
        let mut state = State { trade: trade(false, 2), ..PLAYER };
        let mut step = |playing: Option<Playing>| {
            state.playing = playing;
            let (after, commands) = decide(state, &settings, Event::Line);
            state = after;
            commands
        };
        assert_eq!(step(None), NOTHING);
        assert_eq!(step(None), [None, take(Source::GoOn, true)]);
        assert_eq!(step(ANTIPHON.playing), [CUT, None]);
        assert_eq!(step(None), NOTHING);
        let frozen = State { trade: trade(true, 1), ..FROZEN };
        assert_eq!(commands(frozen, &settings, Event::Line), NOTHING);
        // So many bars end a turn in any mode.
        let two = Settings { length: Length::Bars(2), ..of(Mode::Auto) };
        let (after, first) = decide(ANTIPHON, &two, Event::Line);
        assert_eq!((first, commands(after, &two, Event::Line)), (NOTHING, [CUT, None]));
        assert_eq!(commands(FROZEN, &Settings { length: Length::Bars(1), ..two }, Event::Line), NOTHING);
    }
}
