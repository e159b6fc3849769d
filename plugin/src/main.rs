//! Antiphon as a standalone app: MIDI in and out, through JACK or the system's ports, with a built-in piano.

fn main() -> std::process::ExitCode {
    antiphon::standalone::run()
}
