//! Which MIDI ports and audio devices there are, which of them to use, and what is missing.

use cpal::traits::{DeviceTrait, HostTrait};

use super::choice::{Choice, System};

/// Samples per second where nothing says otherwise.
const RATE: u32 = 48_000;
/// ALSA's port that plays back what it is sent: not a keyboard.
const THROUGH: &str = "Midi Through";
/// ALSA's device that nobody hears.
const NULL: &str = "Discard all samples";
/// JACK's type of a MIDI port.
const JACK_MIDI: &str = "8 bit raw midi";

/// What there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ports {
    /// Whether these are JACK's.
    jack: bool,
    /// Nothing was looked for.
    none: bool,
    /// JACK was wanted and does not run.
    no_jack: bool,
    /// Samples per second.
    rate: u32,
    /// MIDI ports to hear, by name.
    pub midi_in: Vec<String>,
    /// MIDI ports to play to.
    pub midi_out: Vec<String>,
    /// Audio devices to sound from. JACK connects its own.
    pub audio_out: Vec<String>,
    /// The one that the system takes where none is chosen.
    default_out: Option<String>,
}

impl Ports {
    /// Looks for them.
    pub fn find(system: System) -> Self {
        match system {
            System::None => Self { none: true, rate: RATE, ..Self::default() },
            System::Jack => jack_ports().unwrap_or(Self { jack: true, no_jack: true, rate: RATE, ..Self::default() }),
            System::Own => own_ports(),
            System::Auto => jack_ports().unwrap_or_else(own_ports),
        }
    }

    /// The port that a choice comes to: the chosen one if it is there; without a choice, the first.
    fn chosen<'a>(choice: Option<&str>, there: &'a [String]) -> Option<&'a str> {
        match choice {
            None => there.iter().map(String::as_str).find(|name| !name.contains(THROUGH)),
            Some(name) => {
                let same = |there: &&String| *there == name;
                let alike = |there: &&String| bare(there) == bare(name);
                there.iter().find(same).or_else(|| there.iter().find(alike)).map(String::as_str)
            }
        }
    }

    /// The framework's arguments for this choice.
    pub fn arguments(&self, choice: &Choice, tempo: f64, period: u32) -> Vec<String> {
        let mut args = vec!["antiphon".to_owned()];
        let mut put = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        put("backend", self.backend().to_owned());
        put("sample-rate", self.rate.to_string());
        put("period-size", period.to_string());
        put("tempo", tempo.to_string());
        let names = match self.jack {
            true => ["connect-jack-midi-input", "connect-jack-midi-output", ""],
            false => ["midi-input", "midi-output", "output-device"],
        };
        let choices = [(&choice.midi_in, &self.midi_in), (&choice.midi_out, &self.midi_out)];
        for (name, (chosen, there)) in names.into_iter().zip(choices) {
            if let Some(port) = Self::chosen(chosen.as_deref(), there) {
                put(name, port.to_owned());
            }
        }
        // Without a choice, the system's default device.
        let device = choice.audio_out.as_deref().filter(|_| !self.jack);
        if let Some(device) = device.and_then(|device| Self::chosen(Some(device), &self.audio_out)) {
            put(names[2], device.to_owned());
        }
        args
    }

    fn backend(&self) -> &'static str {
        match (self.none, self.jack) {
            (true, _) => "dummy",
            (false, true) => "jack",
            (false, false) if self.audio_out.is_empty() => "dummy",
            (false, false) if cfg!(target_os = "windows") => "wasapi",
            (false, false) if cfg!(target_os = "macos") => "core-audio",
            (false, false) => "alsa",
        }
    }

    /// What is missing, a sentence each, with what to do about it.
    pub fn missing(&self, choice: &Choice) -> Vec<String> {
        if self.none {
            return Vec::new();
        }
        let mut missing = Vec::new();
        if self.no_jack {
            missing.push("JACK does not run. Start it, or leave out --system jack.".to_owned());
        }
        let says_none = |choice: &Option<String>| choice.as_deref() == Some("");
        for (chosen, there, what) in [
            (&choice.midi_in, &self.midi_in, "MIDI input"),
            (&choice.midi_out, &self.midi_out, "MIDI output"),
            (&choice.audio_out, &self.audio_out, "audio output"),
        ] {
            let is_audio = what == "audio output";
            if let Some(name) = chosen.as_deref().filter(|name| !name.is_empty())
                && Self::chosen(Some(name), there).is_none()
                && !(is_audio && self.jack)
            {
                missing.push(format!("The {what} `{name}` is not there. --ports lists what is."));
            } else if !says_none(chosen) && Self::chosen(chosen.as_deref(), there).is_none() {
                match what {
                    "MIDI input" => missing.push(
                        "There is no MIDI keyboard. Connect one and start again, or play with the mouse on the keyboard in the window.".to_owned(),
                    ),
                    "audio output" if !self.jack => missing.push(
                        "There is no audio output, so nothing can be heard and no MIDI goes out: without a device there is no clock.".to_owned(),
                    ),
                    _ => {}
                }
            }
        }
        missing
    }

    /// All of them, with what was chosen marked, and what is taken where nothing was.
    pub fn list(&self, choice: &Choice) -> String {
        let mut text = match (self.jack, self.no_jack) {
            (true, true) => "JACK does not run.\n".to_owned(),
            (true, false) => format!("JACK at {} Hz\n", self.rate),
            (false, _) => format!("The system's own MIDI and audio at {} Hz\n", self.rate),
        };
        for (what, option, chosen, there) in [
            ("MIDI inputs", "--midi-in", &choice.midi_in, &self.midi_in),
            ("MIDI outputs", "--midi-out", &choice.midi_out, &self.midi_out),
            ("Audio outputs", "--audio-out", &choice.audio_out, &self.audio_out),
        ] {
            text += &format!("{what} ({option} N):\n");
            let taken = Self::chosen(chosen.as_deref(), there);
            for (number, name) in there.iter().enumerate() {
                let mark = if chosen.is_some() && taken == Some(name) { '*' } else { ' ' };
                text += &format!(" {mark} {}  {name}\n", number + 1);
            }
            let is_audio = option == "--audio-out";
            let taken = if is_audio { self.default_out.as_deref() } else { taken };
            let note = match chosen.as_deref() {
                _ if is_audio && self.jack => "JACK's own".to_owned(),
                _ if there.is_empty() => "none".to_owned(),
                Some("") => "none is chosen".to_owned(),
                Some(name) if Self::chosen(Some(name), there).is_none() => {
                    format!("`{name}` was chosen and is not there")
                }
                Some(_) => continue,
                None if is_audio => {
                    format!("none is chosen: the system's default, {}", taken.unwrap_or("whatever it is"))
                }
                None => format!("none is chosen: the first keyboard, {}", taken.unwrap_or("when there is one")),
            };
            text += &format!("   {note}\n");
        }
        text
    }
}

/// A port's name without what ALSA puts at its end, its client's and its own number: they change with the order
/// in which things are plugged in.
fn bare(name: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match name.rsplit_once(' ') {
        Some((bare, end)) if end.split_once(':').is_some_and(|(a, b)| is_number(a) && is_number(b)) => bare,
        _ => name,
    }
}

/// Whether no port is asked for.
pub fn is_none(asked: &str) -> bool {
    asked.eq_ignore_ascii_case("none")
}

/// The port that is meant by a number from 1, or by a part of its name; `none` is no port.
pub fn pick(asked: &str, there: &[String]) -> Result<Option<String>, String> {
    if is_none(asked) {
        return Ok(Some(String::new()));
    }
    if let Ok(number) = asked.parse::<usize>() {
        let port = number.checked_sub(1).and_then(|place| there.get(place));
        return port.cloned().map(Some).ok_or_else(|| format!("there is no number {number}; --ports lists them."));
    }
    let asked = asked.to_lowercase();
    let mut found = there.iter().filter(|name| name.to_lowercase().contains(&asked));
    match (found.next(), found.next()) {
        (Some(name), None) => Ok(Some(name.clone())),
        (Some(name), Some(other)) => {
            // The whole name of one may be a part of another's.
            let exact = there.iter().find(|there| there.to_lowercase() == asked);
            exact.cloned().map(Some).ok_or_else(|| format!("both `{name}` and `{other}` could be meant."))
        }
        (None, _) => Err(format!("nothing is called `{asked}`; --ports lists what there is.")),
    }
}

fn own_ports() -> Ports {
    let midi_in = midir::MidiInput::new("antiphon")
        .map_or_else(|_| Vec::new(), |midi| midi.ports().iter().filter_map(|port| midi.port_name(port).ok()).collect());
    let midi_out = midir::MidiOutput::new("antiphon")
        .map_or_else(|_| Vec::new(), |midi| midi.ports().iter().filter_map(|port| midi.port_name(port).ok()).collect());
    let host = cpal::default_host();
    let name = |device: cpal::Device| device.description().ok().map(|about| about.name().to_owned());
    let is_heard = |name: &String| !name.starts_with(NULL);
    let audio_out = host
        .output_devices()
        .map_or_else(|_| Vec::new(), |devices| devices.filter_map(name).filter(is_heard).collect());
    let default = host.default_output_device();
    let rate = default.as_ref().and_then(|device| device.default_output_config().ok());
    let rate = rate.map_or(RATE, |config| config.sample_rate());
    let default_out = default.and_then(name);
    Ports { rate, midi_in, midi_out, audio_out, default_out, ..Ports::default() }
}

/// JACK's, if it runs.
fn jack_ports() -> Option<Ports> {
    let options = jack::ClientOptions::NO_START_SERVER;
    let (client, _) = jack::Client::new("antiphon-look", options).ok()?;
    let midi = |flags| client.ports(None, Some(JACK_MIDI), flags);
    Some(Ports {
        jack: true,
        rate: client.sample_rate(),
        midi_in: midi(jack::PortFlags::IS_OUTPUT),
        midi_out: midi(jack::PortFlags::IS_INPUT),
        ..Ports::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn ports_are_picked_by_number_or_name() {
        let there = names(&["Midi Through Port-0", "Piano", "Piano MIDI 2"]);
        assert_eq!(pick("2", &there), Ok(Some("Piano".to_owned())));
        assert_eq!(pick("midi 2", &there), Ok(Some("Piano MIDI 2".to_owned())));
        assert_eq!(pick("piano", &there), Ok(Some("Piano".to_owned())), "a whole name goes before a part");
        assert_eq!(pick("none", &there), Ok(Some(String::new())));
        for wrong in ["0", "4", "organ", "p"] {
            assert!(pick(wrong, &there).is_err(), "{wrong}");
        }
    }

    /// What was chosen is known again though it was plugged in elsewhere, and nothing else is marked as chosen.
    #[test]
    fn a_port_is_known_without_alsas_numbers() {
        let ports = Ports {
            midi_in: names(&["Midi Through:Midi Through Port-0 14:0", "Piano:Piano MIDI 1 24:0", "Organ 28:0"]),
            audio_out: names(&["Headphones", "Speakers"]),
            default_out: Some("Speakers".to_owned()),
            ..Ports::default()
        };
        let choice = Choice { midi_in: Some("Organ 20:0".to_owned()), ..Choice::default() };
        assert!(ports.arguments(&choice, 96.0, 128).join(" ").contains("--midi-input Organ 28:0"));
        assert_eq!(ports.missing(&choice), names(&[]));
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
        let ports = Ports {
            rate: 44_100,
            midi_in: names(&["Midi Through Port-0", "Piano"]),
            audio_out: names(&["Headphones"]),
            ..Ports::default()
        };
        let choice = Choice::default();
        let args = ports.arguments(&choice, 96.0, 128).join(" ");
        assert!(args.contains("--sample-rate 44100") && args.contains("--midi-input Piano"), "{args}");
        assert!(!args.contains("--midi-output"), "nobody has chosen one: {args}");
        assert_eq!(ports.missing(&choice), names(&[]));

        let gone = Choice { midi_in: Some("Organ".to_owned()), ..choice.clone() };
        assert!(ports.missing(&gone)[0].contains("Organ"));
        assert!(!ports.arguments(&gone, 96.0, 128).join(" ").contains("--midi-input"));

        let nothing = Ports { rate: RATE, ..Ports::default() };
        assert_eq!(nothing.missing(&choice).len(), 2, "{:?}", nothing.missing(&choice));
        assert!(nothing.arguments(&choice, 96.0, 128).join(" ").contains("--backend dummy"));
    }
}
