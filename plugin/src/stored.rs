//! Parameter values as files store them: by key, never as shown, so that names, units and words may change.
//!
//! A switch is `true` or `false`, a number is in the parameter's own unit, a choice is its permanent id. Files of
//! version 1 stored the shown texts; they stay readable forever.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::params::texts;

/// The version that is written.
pub const FORMAT: u32 = 2;

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Stored {
    /// Off or on.
    Switch(bool),
    /// In the parameter's own unit; shares are 0–1.
    Number(f64),
    /// The id of a choice.
    Choice(String),
}

/// Values by parameter id.
pub type Values = BTreeMap<String, Stored>;

/// Reads the values of a file of this version (`None`: version 1, which did not store it). Returns the values, and a
/// message for each one that cannot be read.
pub fn read(format: Option<u32>, set: BTreeMap<String, Value>) -> (Values, Vec<String>) {
    let mut values = Values::new();
    let mut unread = Vec::new();
    if matches!(format, None | Some(1)) && !set.contains_key("choice") {
        values.extend(search("1").map(|search| ("search".to_owned(), search)));
    }
    for (id, value) in set {
        let stored = match (&value, format) {
            (Value::String(text), None | Some(1)) if id == "choice" => {
                if let Some(search) = search(text) {
                    values.insert("search".to_owned(), search);
                    continue;
                }
                None
            }
            (Value::String(text), None | Some(1)) => first(&id, text),
            (Value::Bool(on), _) => Some(Stored::Switch(*on)),
            (Value::Number(number), _) => number.as_f64().map(Stored::Number),
            (Value::String(text), _) => Some(Stored::Choice(text.clone())),
            _ => None,
        };
        match stored {
            Some(stored) => drop(values.insert(id, stored)),
            None => unread.push(complaint(&id, &value.to_string())),
        }
    }
    (values, unread)
}

/// The message for a value that a parameter does not understand.
pub fn complaint(id: &str, value: &str) -> String {
    let value: String = value.chars().take(40).collect();
    format!("`{id}` cannot be {value}")
}

/// Version 1: a choice's parameter, shown text and id, where the two differ or may be confused with other kinds of
/// values.
const CHOICES: [(&str, &str, &str); 45] = [
    ("trigby", "controller", "cc"),
    ("trigby", "sustain pedal", "sustain"),
    ("trigby", "sostenuto pedal", "sostenuto"),
    ("trigby", "soft pedal", "soft"),
    ("turn", "until you play", "open"),
    ("grid", "1/4", "1_4"),
    ("grid", "1/4 dotted", "1_4d"),
    ("grid", "1/4 triplet", "1_4t"),
    ("grid", "1/8", "1_8"),
    ("grid", "1/8 dotted", "1_8d"),
    ("grid", "1/8 triplet", "1_8t"),
    ("grid", "1/16", "1_16"),
    ("grid", "1/16 dotted", "1_16d"),
    ("grid", "1/16 triplet", "1_16t"),
    ("grid", "1/32", "1_32"),
    ("key", "as the phrase", "phrase"),
    ("key", "c#/db", "db"),
    ("key", "d#/eb", "eb"),
    ("key", "f#/gb", "gb"),
    ("key", "g#/ab", "ab"),
    ("key", "a#/bb", "bb"),
    ("key", "free", "free"),
    ("key", "c", "c"),
    ("key", "d", "d"),
    ("key", "e", "e"),
    ("key", "f", "f"),
    ("key", "g", "g"),
    ("key", "a", "a"),
    ("key", "b", "b"),
    ("scale", "natural minor", "minor"),
    ("scale", "harmonic minor", "harmonic"),
    ("scale", "melodic minor", "melodic"),
    ("scale", "minor pentatonic", "minor_pentatonic"),
    ("scale", "whole tone", "whole_tone"),
    ("dynamics", "the model's", "model"),
    ("dynamics", "as the player", "follow"),
    ("dynamics", "fixed", "fixed"),
    ("device", "auto", "auto"),
    ("device", "cpu", "cpu"),
    ("device", "gpu", "gpu"),
    ("silunit", "ms", "ms"),
    ("silunit", "beats", "beats"),
    ("turn", "seconds", "seconds"),
    ("turn", "notes", "notes"),
    ("turn", "bars", "bars"),
];
/// Version 1: choices whose shown texts are their ids, apart from those in [`CHOICES`].
const SHOWN_BY_ID: [&str; 5] = ["mode", "trigby", "pulse", "speed", "scale"];
/// Version 1: MIDI keys, stored by name.
const KEYS: [&str; 3] = ["trigkey", "low", "high"];
/// Version 1: numbers with one value that was shown as a word.
const WORDS: [(&str, &str, f64); 3] =
    [("poly", "no limit", 32.0), ("repeats", "no limit", 32.0), ("channel", "as played", 0.0)];

/// Version 1: the search that replaces *Likeliest of*; a file without it gets no search.
fn search(likeliest: &str) -> Option<Stored> {
    Some(Stored::Choice(search_in_place_of(likeliest.trim().parse().ok()?).to_owned()))
}

/// The id of the search that replaces *Likeliest of*, which chose among this many takes by likelihood.
pub fn search_in_place_of(likeliest: u32) -> &'static str {
    match likeliest {
        0 | 1 => "off",
        2..=4 => "4",
        _ => "8",
    }
}

/// Version 1: the value for a shown text.
fn first(id: &str, text: &str) -> Option<Stored> {
    let text = text.trim().to_lowercase();
    if let Some((.., choice)) = CHOICES.iter().find(|(of, shown, _)| *of == id && *shown == text) {
        return Some(Stored::Choice((*choice).to_owned()));
    }
    if SHOWN_BY_ID.contains(&id) {
        return Some(Stored::Choice(text));
    }
    if let Some((.., value)) = WORDS.iter().find(|(of, word, _)| *of == id && *word == text) {
        return Some(Stored::Number(*value));
    }
    if KEYS.contains(&id) {
        return Some(Stored::Number(texts::key()(&text)?.into()));
    }
    if let "on" | "off" = text.as_str() {
        return Some(Stored::Switch(text == "on"));
    }
    let number = text.split(' ').next()?.trim_end_matches('%');
    let number: f64 = number.parse().ok().filter(|number: &f64| number.is_finite())?;
    Some(Stored::Number(if text.ends_with('%') { number / 100.0 } else { number }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::editor::Handles;
    use crate::params::AntiphonParams;

    /// Texts of version 1 for some values of every parameter, as its files stored them.
    #[test]
    fn what_version_1_has_written_is_read() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let handles = Handles::new(&params);
        let shown: BTreeMap<String, Vec<(f32, String)>> =
            serde_json::from_str(include_str!("stored/shown-1.json")).unwrap();
        assert!(shown.len() > 50);
        for handle in handles.iter() {
            // Without bypass, which is not stored, and newer parameters.
            for (value, text) in shown.get(&handle.id).into_iter().flatten() {
                let set = BTreeMap::from([(handle.id.clone(), Value::String(text.clone()))]);
                let (values, unread) = read(None, set);
                assert_eq!(unread, Vec::<String>::new(), "{}: {text}", handle.id);
                let read = handle.of_stored(&values[&handle.id]);
                assert_eq!(read.map(|read| handle.stored(read)), Some(handle.stored(*value)), "{}: {text}", handle.id);
            }
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_no_parameter_knows_is_refused() {
        let params = Arc::new(AntiphonParams::new(Default::default()));
        let handles = Handles::new(&params);
        for handle in handles.iter() {
            for value in [0.0, 0.3, handle.default(), 1.0] {
                let stored = handle.stored(value);
                let text = serde_json::to_string(&stored).unwrap();
                let again: Stored = serde_json::from_str(&text).unwrap();
                assert_eq!(
                    handle.of_stored(&again).map(|read| handle.stored(read)),
                    Some(stored),
                    "{}: {text}",
                    handle.id
                );
            }
            for wrong in [Stored::Choice("dance".to_owned()), Stored::Number(1e9), Stored::Number(-1e9)] {
                assert_eq!(handle.of_stored(&wrong), None, "{}", handle.id);
            }
        }
        let (values, unread) = read(None, BTreeMap::from([("temp".to_owned(), Value::String("hot".to_owned()))]));
        assert_eq!((values.get("temp"), unread), (None, vec!["`temp` cannot be \"hot\"".to_owned()]));
    }
}
