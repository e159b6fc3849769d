//! Antiphon as a program of its own: MIDI in, MIDI out, through JACK or the system's ports, with a
//! piano of its own.

fn main() -> std::process::ExitCode {
    antiphon::standalone::run()
}
