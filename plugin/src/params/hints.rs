//! The tooltips of the parameters, also used in `docs/controls.md`.

/// The tooltip of a parameter, by its id.
pub fn hint(id: &str) -> Option<&'static str> {
    Some(match id {
        "bypass" => "Your notes pass through; Antiphon neither listens nor plays.",
        // Turn.
        "mode" => {
            "When Antiphon plays. Auto: it continues when you stop. Trigger: while you hold the trigger. Trade: some bars \
             you, some bars Antiphon. Duet: as auto, but it plays on while you play. Alone: it starts from nothing."
        }
        "silence" => {
            "How long no key is down before Antiphon continues. Not used in mode trigger; in mode trade only while the \
             transport is stopped."
        }
        "silbeats" => "How long no key is down before Antiphon continues, in beats.",
        "silunit" => "Sets the silence in milliseconds or in beats.",
        "pedhold" => "While the sustain pedal is down, Antiphon waits.",
        "trigby" => "What triggers Antiphon in mode trigger, besides the button.",
        "trigkey" => "The key used as the trigger. It makes no sound.",
        "trigcc" => "The MIDI controller used as the trigger: on from 64 up.",
        "trigtog" => {
            "On: each press of the trigger starts or stops Antiphon. Off: it plays while you hold the trigger."
        }
        "yours" => "In mode trade: how many bars you play.",
        "mine" => "In mode trade: how many bars Antiphon plays.",
        "turn" => "What ends Antiphon's turn, besides you.",
        "secs" => "How many seconds Antiphon's turn lasts.",
        "notes" => "How many notes Antiphon's turn has.",
        "bars" => "How many bars Antiphon's turn lasts, to the host's bar line.",
        "ring" => "When you start to play, Antiphon's notes ring out. Off: they stop at once.",
        "own" => "Antiphon remembers its own notes and builds on them. Off: it remembers only yours.",
        "freeze" => "Loop the latest take until you turn this off.",
        "go" => "Continue now, or stop. In mode trigger Antiphon plays while this is on, unless the trigger toggles.",
        "again" => "Replay the latest take, note for note.",
        "another" => "Play a new take on the same phrase.",
        "undo" => "Undo the latest take, as if it had never been played.",
        "unheard" => "Forget your latest phrase.",
        "forget" => "Forget everything and start fresh.",
        "panic" => "Stop every note at once.",
        // Time.
        "strength" => "How strongly Antiphon's notes are pulled to the grid: 0 % is free, 100 % is exactly on it.",
        "grid" => "The grid that notes are pulled to.",
        "swing" => "Swing: 50 % is straight, 67 % is triplets.",
        "pulse" => {
            "The grid follows the host's beat or your phrase's. While the transport is stopped, the host's beat starts at \
             the hand-over."
        }
        "speed" => "Play at half, normal or double speed.",
        "density" => "Below 1 fewer notes, above 1 more, by about this factor.",
        "late" => "Notes that are ready late are delayed by up to this much; later ones are dropped.",
        // Notes.
        "key" => "Keep to this key, or to the key and scale of your phrase.",
        "scale" => "The scale to keep to, in the key that is set.",
        "chord" => "While you hold keys, Antiphon plays only the notes of that chord, in any octave.",
        "low" => "The lowest note Antiphon plays.",
        "high" => "The highest note Antiphon plays.",
        "poly" => "How many of Antiphon's notes may sound at once.",
        "longest" => "Longer notes are cut short at this length. Nothing else changes.",
        "repeats" => {
            "How often Antiphon may repeat a note in a row. If no other note is allowed, it repeats more often."
        }
        "dynamics" => "How loud Antiphon plays: the model decides, it follows your level, or one fixed velocity.",
        "velocity" => "The velocity when dynamics is fixed.",
        "pedin" => "The sustain pedal lengthens the notes that Antiphon hears.",
        "pedout" => "Antiphon uses the sustain pedal.",
        "channel" => "The MIDI channel of Antiphon's notes.",
        "pass" => "Sends your own notes to the output.",
        // Model.
        "seed" => {
            "Selects one of many answers. The same phrase and seed always give the same first answer, the same second \
             answer, and so on; each differs."
        }
        "temp" => "How adventurous Antiphon is: 1 as it was tuned, lower is safer, higher is wilder.",
        "temppitch" => "How adventurous it is with pitches, on top of the temperature.",
        "temprhythm" => "How adventurous it is with rhythm, on top of the temperature.",
        "templength" => "How adventurous it is with note lengths, on top of the temperature.",
        "tempdyn" => "How adventurous it is with dynamics, on top of the temperature.",
        "top_p" => "Samples only from the most likely notes that together reach this probability.",
        "learn" => {
            "How much Antiphon imitates what you have played since the transport last started: at 100 %, wherever it \
             can, it continues the way you did in the same place."
        }
        "search" => {
            "How many takes Antiphon plans side by side; a critic chooses which one is played. Up to 16, more sound \
             better; each needs CPU. Off: a single take."
        }
        "device" => "Where the network runs. The notes are the same.",
        _ => return None,
    })
}
