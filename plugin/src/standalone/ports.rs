//! Lists MIDI ports and audio devices, picks the ones to use, and reports what is missing.

use super::choice::{Choice, SystemChoice};
use super::{jack, native, sound};

/// ALSA's loopback port, which is not a keyboard.
const THROUGH: &str = "Midi Through";

/// The available ports and devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ports {
    /// Whether these are JACK's ports.
    pub jack: bool,
    /// No system is used, so nothing was listed.
    pub none: bool,
    /// JACK was requested but is not running.
    pub no_jack: bool,
    /// Sample rate.
    pub rate: u32,
    /// Names of MIDI inputs.
    pub midi_in: Vec<String>,
    /// Names of MIDI outputs.
    pub midi_out: Vec<String>,
    /// Names of audio devices; empty with JACK, which connects its own.
    pub audio_out: Vec<String>,
    /// The system's default audio device.
    pub default_out: Option<String>,
}

impl Ports {
    /// Lists the ports and devices of this system.
    pub fn find(system: SystemChoice) -> Self {
        match system {
            SystemChoice::None => Self { none: true, ..Self::default() },
            SystemChoice::Jack => jack::find().unwrap_or(Self { jack: true, no_jack: true, ..Self::default() }),
            SystemChoice::Native => native_ports(),
            SystemChoice::Auto => jack::find().unwrap_or_else(native_ports),
        }
    }

    /// The port for a choice: the one with that name, possibly under another ALSA number; without a choice, the first
    /// one.
    pub fn chosen<'a>(choice: Option<&str>, available: &'a [String]) -> Option<&'a str> {
        match choice {
            None => available.iter().map(String::as_str).find(|name| !name.contains(THROUGH)),
            Some(name) => {
                let same = |available: &&String| *available == name;
                let alike = |available: &&String| bare(available) == bare(name);
                available.iter().find(same).or_else(|| available.iter().find(alike)).map(String::as_str)
            }
        }
    }

    /// A sentence for each chosen MIDI port (input, output) that is missing, with what to do about it.
    pub fn missing(&self, chosen: [Option<&str>; 2]) -> Vec<String> {
        if self.none || self.no_jack {
            return Vec::new();
        }
        let sides = [(chosen[0], &self.midi_in, "MIDI input"), (chosen[1], &self.midi_out, "MIDI output")];
        let missing = sides.into_iter().filter(|(chosen, available, _)| Self::chosen(*chosen, available).is_none());
        let say = |(chosen, _, what): (Option<&str>, _, &str)| match (chosen, what) {
            (Some(""), _) => None,
            (Some(name), _) => Some(format!("The {what} `{name}` is missing. Antiphon reconnects it when it is back.")),
            (None, "MIDI input") => {
                Some("No MIDI keyboard found. Connect one, or play the keys below with the mouse.".to_owned())
            }
            (None, _) => None,
        };
        missing.filter_map(say).collect()
    }

    /// The list that `--ports` prints, with the chosen ports marked, and what is used if none is chosen.
    pub fn list(&self, choice: &Choice) -> String {
        let mut text = match (self.jack, self.no_jack) {
            (true, true) => "JACK is not running.\n".to_owned(),
            (true, false) => format!("JACK at {} Hz\n", self.rate),
            (false, _) => format!("The system's own MIDI and audio at {} Hz\n", self.rate),
        };
        for (what, option, chosen, available) in [
            ("MIDI inputs", "--midi-in", &choice.midi_in, &self.midi_in),
            ("MIDI outputs", "--midi-out", &choice.midi_out, &self.midi_out),
            ("Audio outputs", "--audio-out", &choice.audio_out, &self.audio_out),
        ] {
            text += &format!("{what} ({option} N):\n");
            let taken = Self::chosen(chosen.as_deref(), available);
            for (number, name) in available.iter().enumerate() {
                let mark = if chosen.is_some() && taken == Some(name) { '*' } else { ' ' };
                text += &format!(" {mark} {}  {name}\n", number + 1);
            }
            let is_audio = option == "--audio-out";
            let taken = if is_audio { self.default_out.as_deref() } else { taken };
            let note = match chosen.as_deref() {
                _ if is_audio && self.jack => "managed by JACK".to_owned(),
                _ if available.is_empty() => "none".to_owned(),
                Some("") => "none chosen".to_owned(),
                Some(name) if Self::chosen(Some(name), available).is_none() => {
                    format!("`{name}` was chosen, but is missing")
                }
                Some(_) => continue,
                None if is_audio => {
                    format!("none chosen; using the system's default, {}", taken.unwrap_or("which is unknown"))
                }
                None => format!("none chosen; using the first keyboard, {}", taken.unwrap_or("once one is connected")),
            };
            text += &format!("   {note}\n");
        }
        text
    }
}

/// A port's name without ALSA's client and port number at its end, which depends on the order in which devices were
/// plugged in.
pub fn bare(name: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match name.rsplit_once(' ') {
        Some((bare, end)) if end.split_once(':').is_some_and(|(a, b)| is_number(a) && is_number(b)) => bare,
        _ => name,
    }
}

/// Whether the argument asks for no port.
pub fn is_none(asked: &str) -> bool {
    asked.eq_ignore_ascii_case("none")
}

/// The port for a command-line argument: its number from 1, or a part of its name; `none` is an empty name. An error is
/// a sentence.
pub fn pick(asked: &str, available: &[String]) -> Result<Option<String>, String> {
    if is_none(asked) {
        return Ok(Some(String::new()));
    }
    if let Ok(number) = asked.parse::<usize>() {
        let port = number.checked_sub(1).and_then(|place| available.get(place));
        return port.cloned().map(Some).ok_or_else(|| format!("number {number} is not in the list; --ports shows it"));
    }
    let asked = asked.to_lowercase();
    let mut found = available.iter().filter(|name| name.to_lowercase().contains(&asked));
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(Some(name.clone())),
        (Some(name), Some(other)) => {
            // One port's whole name may be part of another's.
            let exact = available.iter().find(|available| available.to_lowercase() == asked);
            exact
                .cloned()
                .map(Some)
                .ok_or_else(|| format!("`{asked}` matches both `{name}` and `{other}`; give more of the name"))
        }
        (None, _) => Err(format!("nothing is called `{asked}`; --ports shows the list")),
    }
}

fn native_ports() -> Ports {
    let [midi_in, midi_out] = native::find();
    let (audio_out, default_out, rate) = sound::find();
    Ports { rate: rate.unwrap_or(native::RATE), midi_in, midi_out, audio_out, default_out, ..Ports::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn ports_are_picked_by_number_or_name() {
        let available = names(&["Midi Through Port-0", "Piano", "Piano MIDI 2"]);
        assert_eq!(pick("2", &available), Ok(Some("Piano".to_owned())));
        assert_eq!(pick("midi 2", &available), Ok(Some("Piano MIDI 2".to_owned())));
        assert_eq!(pick("piano", &available), Ok(Some("Piano".to_owned())), "a whole name goes before a part");
        assert_eq!(pick("none", &available), Ok(Some(String::new())));
        for wrong in ["0", "4", "organ", "p"] {
            assert!(pick(wrong, &available).is_err(), "{wrong}");
        }
    }

    /// A chosen port is recognized under another ALSA number, and nothing else is marked as chosen.
    #[test]
    fn a_port_is_known_without_alsas_numbers() {
        let ports = Ports {
            midi_in: names(&["Midi Through:Midi Through Port-0 14:0", "Piano:Piano MIDI 1 24:0", "Organ 28:0"]),
            audio_out: names(&["Headphones", "Speakers"]),
            default_out: Some("Speakers".to_owned()),
            ..Ports::default()
        };
        let choice = Choice { midi_in: Some("Organ 20:0".to_owned()), ..Choice::default() };
        assert_eq!(Ports::chosen(choice.midi_in.as_deref(), &ports.midi_in), Some("Organ 28:0"));
        assert_eq!(ports.missing([choice.midi_in.as_deref(), Some("")]), names(&[]));
        let list = ports.list(&choice);
        assert!(list.contains("* 3  Organ") && list.matches('*').count() == 1, "{list}");
        assert!(list.contains("the system's default, Speakers"), "{list}");
        let list = ports.list(&Choice::default());
        assert!(!list.contains('*') && list.contains("the first keyboard, Piano:Piano MIDI 1 24:0"), "{list}");
        assert_eq!(bare("Synth 2"), "Synth 2");
        assert_ne!(bare("system:midi_capture_1"), bare("system:midi_capture_2"));
    }

    #[test]
    fn the_first_keyboard_is_heard_and_what_is_missing_is_said() {
        let ports = Ports { midi_in: names(&["Midi Through Port-0", "Piano"]), ..Ports::default() };
        assert_eq!(Ports::chosen(None, &ports.midi_in), Some("Piano"));
        assert_eq!(ports.missing([None, Some("")]), names(&[]));
        let missing = ports.missing([Some("Organ"), Some("Synth")]);
        assert!(missing[0].contains("input `Organ`") && missing[1].contains("output `Synth`"), "{missing:?}");
        let nothing = Ports::default();
        assert_eq!(nothing.missing([None, Some("")]).len(), 1, "a keyboard");
        let none = Ports { none: true, ..Ports::default() };
        assert_eq!(none.missing([None, Some("Synth")]), names(&[]));
    }
}
