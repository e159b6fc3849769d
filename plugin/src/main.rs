//! Antiphon as a program of its own: MIDI in, MIDI out, through JACK or the system's ports.

fn main() {
    if !nice_plug::prelude::nice_export_standalone::<antiphon::Antiphon<antiphon::Clap>>() {
        std::process::exit(1);
    }
}
