//! The expected effect of each parameter, group by group.

use test_host::{Event, PlayedNote};

use super::{Case, Does, END_S, IN_TURN_S, PHRASE_S, Played, SIXTEENTH_S, music, pitches, samples};

/// Whether the built-in weights include a critic.
fn has_critic() -> bool {
    let bytes = include_bytes!("../../../../weights/antiphon.safetensors");
    model::Weights::from_bytes(bytes).unwrap().card.critic.is_some()
}

/// For parameters whose effect on a single take cannot be stated more precisely.
fn differs(without: &Played, with: &Played) -> bool {
    music(&without.notes) != music(&with.notes) && with.notes.len() >= 3
}

/// For parameters that take effect in the second turn, after the player has entered again at 7 s.
fn second_differs(without: &Played, with: &Played) -> bool {
    let second = |played: &Played| music(&played.within(7.0, END_S));
    second(without) != second(with) && !second(with).is_empty()
}

const BACK: &[Does] = &[Does::Holds { key: 64, from: 7.0, to: 7.3 }];
const SHORT: &[(&str, &str)] = &[("turn", "seconds"), ("secs", "2 s")];
const ALONE: &[Does] = &[];
const C_MAJOR: [u8; 7] = [0, 2, 4, 5, 7, 9, 11];
const C_BLUES: [u8; 6] = [0, 3, 5, 6, 7, 10];

pub const TURN: &[Case] = &[
    Case {
        id: "bypass",
        given: &[],
        player: ALONE,
        at: IN_TURN_S,
        to: "Bypassed",
        acts: |without, with| !without.is_silent(IN_TURN_S, END_S) && with.is_silent(IN_TURN_S, END_S),
    },
    Case {
        id: "mode",
        given: &[],
        player: ALONE,
        at: 0.1,
        to: "trigger",
        acts: |without, with| !without.notes.is_empty() && with.notes.is_empty(),
    },
    Case {
        id: "silence",
        given: &[],
        player: ALONE,
        at: 0.1,
        to: "1500 ms",
        acts: |without, with| without.first_s() < PHRASE_S + 1.5 && with.first_s() >= PHRASE_S + 1.5,
    },
    Case {
        id: "silbeats",
        given: &[("silunit", "beats"), ("silbeats", "1 beats")],
        player: ALONE,
        at: 0.1,
        to: "4 beats",
        acts: |without, with| without.first_s() < PHRASE_S + 2.0 && with.first_s() >= PHRASE_S + 2.0,
    },
    Case {
        id: "silunit",
        given: &[("silbeats", "4 beats")],
        player: ALONE,
        at: 0.1,
        to: "beats",
        acts: |without, with| without.first_s() < PHRASE_S + 2.0 && with.first_s() >= PHRASE_S + 2.0,
    },
    Case {
        id: "pedhold",
        given: &[],
        player: &[Does::Controls { controller: 64, from: 1.0, to: 5.0 }],
        at: 0.1,
        to: "On",
        acts: |without, with| without.first_s() < 5.0 && (5.3..8.0).contains(&with.first_s()),
    },
    Case {
        id: "trigby",
        given: &[("mode", "trigger")],
        player: &[Does::Controls { controller: 64, from: 4.0, to: 8.0 }],
        at: 0.1,
        to: "sustain pedal",
        acts: |without, with| without.notes.is_empty() && (4.0..6.0).contains(&with.first_s()),
    },
    Case {
        id: "trigkey",
        given: &[("mode", "trigger"), ("trigby", "key")],
        player: &[Does::Holds { key: 30, from: 4.0, to: 8.0 }],
        at: 0.1,
        to: "F#1",
        acts: |without, with| without.notes.is_empty() && (4.0..6.0).contains(&with.first_s()),
    },
    Case {
        id: "trigcc",
        given: &[("mode", "trigger"), ("trigby", "controller")],
        player: &[Does::Controls { controller: 20, from: 4.0, to: 8.0 }],
        at: 0.1,
        to: "20",
        acts: |without, with| without.notes.is_empty() && (4.0..6.0).contains(&with.first_s()),
    },
    Case {
        id: "trigtog",
        given: &[("mode", "trigger"), ("trigby", "sustain pedal")],
        player: &[Does::Controls { controller: 64, from: 4.0, to: 6.0 }],
        at: 0.1,
        to: "On",
        acts: |without, with| without.is_silent(6.0, END_S) && !with.within(6.0, END_S).is_empty(),
    },
    Case {
        id: "yours",
        given: &[("mode", "trade"), ("yours", "1"), ("mine", "1")],
        player: ALONE,
        at: 0.1,
        to: "2",
        // The current round ends as planned; in the next one the player has a bar more.
        acts: |without, with| {
            let plays = |played: &Played, from: f64| !played.within(from, from + 2.0).is_empty();
            plays(without, 6.0) && !plays(without, 8.0) && !plays(with, 6.0) && plays(with, 8.0)
        },
    },
    Case {
        id: "mine",
        given: &[("mode", "trade"), ("yours", "1"), ("mine", "1")],
        player: ALONE,
        at: 0.1,
        to: "2",
        acts: |without, with| without.is_silent(4.0, 6.0) && !with.within(4.0, 6.0).is_empty(),
    },
    Case {
        id: "turn",
        given: &[("secs", "2 s")],
        player: ALONE,
        at: 0.1,
        to: "seconds",
        acts: |without, with| !without.within(4.3, END_S).is_empty() && with.within(4.3, END_S).is_empty(),
    },
    Case {
        id: "secs",
        given: SHORT,
        player: ALONE,
        at: 0.1,
        to: "5 s",
        acts: |without, with| without.within(4.3, 7.3).is_empty() && !with.within(4.3, 7.3).is_empty(),
    },
    Case {
        id: "notes",
        given: &[("turn", "notes")],
        player: ALONE,
        at: 0.1,
        to: "5",
        acts: |without, with| without.notes.len() > 5 && with.notes.len() == 5,
    },
    Case {
        id: "bars",
        given: &[("turn", "bars")],
        player: ALONE,
        at: 0.1,
        to: "1",
        acts: |without, with| !without.within(6.0, END_S).is_empty() && with.within(6.0, END_S).is_empty(),
    },
    Case {
        id: "ring",
        // The player enters while a note is sounding, with this seed.
        given: &[("seed", "4")],
        player: &[Does::Holds { key: 100, from: 3.7, to: 3.8 }],
        at: 0.1,
        to: "On",
        acts: |without, with| {
            let across =
                |played: &Played| played.notes.iter().any(|note| note.on < samples(3.7) && note.off > samples(3.7) + 1);
            !across(without) && across(with)
        },
    },
    Case { id: "own", given: SHORT, player: BACK, at: 0.1, to: "Off", acts: second_differs },
    Case {
        id: "freeze",
        given: &[],
        player: ALONE,
        at: IN_TURN_S,
        to: "On",
        // A frozen loop lasts whole bars, two here.
        acts: |without, with| {
            let (round, next) = (pitches(&with.within(2.3, 5.0)), pitches(&with.within(6.3, 9.0)));
            round.len() > 3 && round == next && pitches(&without.within(6.3, 9.0)) != next
        },
    },
    Case {
        id: "go",
        given: &[],
        player: ALONE,
        at: IN_TURN_S,
        to: "On",
        acts: |without, with| !without.is_silent(IN_TURN_S, END_S) && with.is_silent(IN_TURN_S, END_S),
    },
    Case {
        id: "again",
        given: SHORT,
        player: ALONE,
        at: 6.001,
        to: "On",
        acts: |without, with| {
            let (first, again) = (pitches(&with.within(2.0, 6.0)), pitches(&with.within(6.0, END_S)));
            without.is_silent(6.0, END_S) && first.len() > 3 && first == again
        },
    },
    Case {
        id: "another",
        given: SHORT,
        player: ALONE,
        at: 6.001,
        to: "On",
        acts: |without, with| {
            let (first, another) = (pitches(&with.within(2.0, 6.0)), pitches(&with.within(6.0, END_S)));
            without.is_silent(6.0, END_S) && another.len() > 3 && first != another
        },
    },
    Case { id: "undo", given: SHORT, player: BACK, at: 6.001, to: "On", acts: second_differs },
    Case { id: "unheard", given: SHORT, player: BACK, at: 6.001, to: "On", acts: second_differs },
    Case { id: "forget", given: SHORT, player: BACK, at: 6.001, to: "On", acts: second_differs },
    Case {
        id: "panic",
        given: &[],
        player: &[Does::Holds { key: 90, from: 0.2, to: 1.9 }],
        at: 1.001,
        to: "On",
        acts: |without, with| {
            let ends = |played: &Played| {
                let is = |event: &Event| matches!(event.note(), Some((false, (_, 90))));
                played.outputs.iter().any(|output| output.at.abs_diff(samples(1.001)) <= 1 && is(&output.event))
            };
            !ends(without) && ends(with)
        },
    },
];

pub const TIME: &[Case] = &[
    Case {
        id: "strength",
        given: &[],
        player: ALONE,
        at: IN_TURN_S,
        to: "100 %",
        acts: |without, with| !without.on_lines(5.2, &[0.0], SIXTEENTH_S) && with.on_lines(5.2, &[0.0], SIXTEENTH_S),
    },
    Case {
        id: "grid",
        given: &[("strength", "100 %")],
        player: ALONE,
        at: IN_TURN_S,
        to: "1/4",
        acts: |without, with| !without.on_lines(5.6, &[0.0], 0.5) && with.on_lines(5.6, &[0.0], 0.5),
    },
    Case {
        id: "swing",
        given: &[("strength", "100 %"), ("grid", "1/8")],
        player: ALONE,
        at: IN_TURN_S,
        to: "75 %",
        acts: |without, with| !without.on_lines(5.6, &[0.0, 0.375], 0.5) && with.on_lines(5.6, &[0.0, 0.375], 0.5),
    },
    Case {
        id: "pulse",
        given: &[("strength", "100 %")],
        player: ALONE,
        at: IN_TURN_S,
        to: "phrase",
        acts: |without, with| without.on_lines(5.2, &[0.0], SIXTEENTH_S) && !with.on_lines(5.2, &[0.0], SIXTEENTH_S),
    },
    Case { id: "speed", given: &[("seed", "4")], player: ALONE, at: IN_TURN_S, to: "half", acts: fewer },
    Case { id: "density", given: &[], player: ALONE, at: IN_TURN_S, to: "0.25", acts: fewer },
];

/// Fewer notes after the change.
fn fewer(without: &Played, with: &Played) -> bool {
    let after = |played: &Played| played.within(IN_TURN_S, END_S).len();
    after(with) > 0 && after(with) * 10 < after(without) * 8
}

pub const NOTES: &[Case] = &[
    Case {
        id: "key",
        given: &[("temp", "1.5")],
        player: ALONE,
        at: IN_TURN_S,
        to: "C",
        acts: |without, with| {
            let is = |note: &PlayedNote| C_MAJOR.contains(&(note.key % 12));
            !without.all(IN_TURN_S, END_S, is) && with.all(IN_TURN_S, END_S, is)
        },
    },
    Case {
        id: "scale",
        given: &[("key", "C")],
        player: ALONE,
        at: IN_TURN_S,
        to: "blues",
        acts: |without, with| {
            let is = |note: &PlayedNote| C_BLUES.contains(&(note.key % 12));
            !without.all(IN_TURN_S, END_S, is) && with.all(IN_TURN_S, END_S, is)
        },
    },
    Case {
        id: "chord",
        given: &[("mode", "duet")],
        player: &[Does::Holds { key: 25, from: 4.0, to: END_S }, Does::Holds { key: 30, from: 4.0, to: END_S }],
        at: IN_TURN_S,
        to: "On",
        acts: |without, with| {
            let is = |note: &PlayedNote| [1, 6].contains(&(note.key % 12));
            !without.all(IN_TURN_S, END_S, is) && with.all(IN_TURN_S, END_S, is)
        },
    },
    Case {
        id: "low",
        given: &[],
        player: ALONE,
        at: IN_TURN_S,
        to: "C5",
        acts: |without, with| {
            let is = |note: &PlayedNote| note.key >= 72;
            !without.all(IN_TURN_S, END_S, is) && with.all(IN_TURN_S, END_S, is)
        },
    },
    Case {
        id: "high",
        given: &[],
        player: ALONE,
        at: IN_TURN_S,
        to: "C4",
        acts: |without, with| {
            let is = |note: &PlayedNote| note.key <= 60;
            !without.all(IN_TURN_S, END_S, is) && with.all(IN_TURN_S, END_S, is)
        },
    },
    Case {
        id: "poly",
        given: &[],
        player: ALONE,
        at: IN_TURN_S,
        to: "1",
        acts: |without, with| {
            let one_by_one = |played: &Played| {
                let notes = played.within(IN_TURN_S, END_S);
                notes.len() > 1 && notes.windows(2).all(|pair| pair[0].off <= pair[1].on)
            };
            !one_by_one(without) && one_by_one(with)
        },
    },
    Case {
        id: "longest",
        given: &[],
        player: ALONE,
        at: IN_TURN_S,
        to: "0.1 s",
        acts: |without, with| {
            let is = |note: &PlayedNote| note.off - note.on <= samples(0.1) + 1;
            !without.all(IN_TURN_S, END_S, is) && with.all(IN_TURN_S, END_S, is)
        },
    },
    Case {
        id: "repeats",
        given: &[("temppitch", "2"), ("low", "C4"), ("high", "C#4"), ("poly", "1")],
        player: ALONE,
        at: IN_TURN_S,
        to: "1",
        acts: |without, with| {
            let ever = |played: &Played| {
                let pitches = pitches(&played.within(IN_TURN_S, END_S));
                pitches.len() > 1 && pitches.windows(2).any(|pair| pair[0] == pair[1])
            };
            ever(without) && !ever(with) && !with.within(IN_TURN_S, END_S).is_empty()
        },
    },
    Case {
        id: "dynamics",
        given: &[("velocity", "99")],
        player: ALONE,
        at: IN_TURN_S,
        to: "fixed",
        acts: |without, with| {
            let is = |note: &PlayedNote| note.velocity == 99;
            !without.all(IN_TURN_S, END_S, is) && with.all(IN_TURN_S, END_S, is)
        },
    },
    Case {
        id: "velocity",
        given: &[("dynamics", "fixed")],
        player: ALONE,
        at: IN_TURN_S,
        to: "33",
        acts: |without, with| {
            without.all(IN_TURN_S, END_S, |note| note.velocity == 80)
                && with.all(IN_TURN_S, END_S, |note| note.velocity == 33)
        },
    },
    Case {
        id: "pedin",
        given: &[],
        player: &[Does::Controls { controller: 64, from: 0.2, to: 2.1 }],
        at: 0.1,
        to: "On",
        acts: differs,
    },
    Case {
        id: "pedout",
        given: &[],
        player: ALONE,
        at: 0.1,
        to: "On",
        acts: |without, with| without.controllers(64) == 0 && with.controllers(64) > 1,
    },
    Case {
        id: "channel",
        given: &[],
        player: ALONE,
        at: IN_TURN_S,
        to: "5",
        acts: |without, with| {
            without.all(IN_TURN_S, END_S, |note| note.channel == 0)
                && with.all(IN_TURN_S, END_S, |note| note.channel == 4)
        },
    },
    Case {
        id: "pass",
        given: &[],
        player: &[Does::Holds { key: 61, from: 0.2, to: 0.4 }],
        at: 0.1,
        to: "Off",
        acts: |without, with| {
            let passes = |played: &Played| {
                let is = |event: &Event| matches!(event.note(), Some((true, (_, 61))));
                played.outputs.iter().any(|output| output.at == samples(0.2) && is(&output.event))
            };
            passes(without) && !passes(with) && !with.notes.is_empty()
        },
    },
];

pub const MODEL: &[Case] = &[
    Case { id: "seed", given: &[], player: ALONE, at: 0.1, to: "77", acts: differs },
    Case { id: "temp", given: &[], player: ALONE, at: IN_TURN_S, to: "0.3", acts: differs },
    Case { id: "temppitch", given: &[], player: ALONE, at: IN_TURN_S, to: "0.3", acts: differs },
    Case { id: "temprhythm", given: &[], player: ALONE, at: IN_TURN_S, to: "0.3", acts: differs },
    Case { id: "templength", given: &[], player: ALONE, at: IN_TURN_S, to: "0.3", acts: differs },
    Case { id: "tempdyn", given: &[], player: ALONE, at: IN_TURN_S, to: "0.3", acts: differs },
    Case { id: "top_p", given: &[], player: ALONE, at: IN_TURN_S, to: "0.3", acts: differs },
    Case {
        id: "search",
        given: &[],
        player: ALONE,
        at: 0.1,
        to: "off",
        // Without a critic in the weights, there is no choice among takes.
        acts: |without, with| differs(without, with) == has_critic(),
    },
    Case { id: "learn", given: &[], player: ALONE, at: IN_TURN_S, to: "100 %", acts: differs },
    Case {
        id: "device",
        given: &[],
        player: ALONE,
        at: IN_TURN_S,
        to: "auto",
        // The device must not affect the notes; but a software GPU driver can be too slow to play all of them.
        acts: |without, with| {
            let same = |a: &PlayedNote, b: &PlayedNote| (a.on, a.key, a.velocity) == (b.on, b.key, b.velocity);
            with.notes.len() > 10 && with.notes.iter().all(|note| without.notes.iter().any(|other| same(note, other)))
        },
    },
];
