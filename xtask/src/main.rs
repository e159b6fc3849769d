//! The project's own commands, run as `cargo xtask COMMAND`. Plain cargo underneath; everything that
//! a person or a machine does with this repository has one name here.

mod bench;
mod book;
mod bundle;
mod cross;
mod demo;
mod digest;
mod golden;
mod host;
mod install;
mod links;
mod packages;
mod release;
mod screen;
mod soak;
mod sources;
mod standalone;
mod test;
mod tools;
mod verify;
mod web;
mod words;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

use workspace::Workspace;

const HELP: &str = "\
Usage: cargo xtask COMMAND

  demo [PHRASE.mid] [--out DIR] [--seconds N] [--seed S] [--weights FILE] [--offline]
            build the plugin, play a phrase to it and keep what it answers:
            played.mid, played.wav and played.png in DIR (target/demo)
  bundle [CARGO OPTIONS]
            build Antiphon.clap and Antiphon.vst3 under target/bundled/;
            with --features standalone also the standalone app
  bundle-universal
            the same for Intel and Apple's own processors in one (macOS)
  pictures [--out DIR] [--only PART]
            the real editor in its states, as docs/pictures/*.png (Linux, with Xvfb)
  editor [--times N]
            open and close the editor N times while it plays, and watch threads and memory
  hand      use the editor as a hand does: turn, type and reset a knob, drag a take onto another
            window and compare the file that arrives
  standalone
            play to the standalone app over JACK, with a server that has no sound card (Linux)
  install [clap] [vst3] [app]
            build, then copy into your own plug-in folders; the standalone app with an entry in the menu
  uninstall remove what `install` has copied, and nothing else
  soak [--blocks N] [--seed S]
            random blocks, notes, parameters and transports against the built plugin;
            counts what must never happen in target/soak.json
  verify [--quick] [--only NAME] [--seed S]
            what the built plugin promises about time and turns, as a table and target/verify.json
  bench [--json] [--only PART] [--python FILE]
            how fast a note, a block, many instances and loading are, beside other engines where they are
            installed (bench/README.md), as a table, target/bench.json and target/bench.png
  golden [--check]
            write the golden takes (crates/engine/golden) again, after new weights or a change that is meant to be
            heard; with --check compare them
  cross [--check]
            type-check and lint for Windows and both kinds of Mac, link the Windows bundle and play the host's
            tests to it under Wine; with --check only the first (Linux)
  web [--serve [PORT]]
            Antiphon in a browser, as files for any web server, under target/web/
  book      the book as a website under target/book/, with its links checked
  release [papers] [web] [book] [linux] [windows] [macos]
            what a tag publishes, as far as this system can make it, under target/dist/
  test      everything that CI checks: formatting, lints, documentation, the bundle, all tests

`cargo xtask demo --help` tells more about the demo.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<ExitCode> {
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", args),
    };
    match command {
        "bundle" => bundle::run(&Workspace::enter()?, rest),
        "bundle-universal" => bundle::universal(&Workspace::enter()?).map(|()| ExitCode::SUCCESS),
        "install" => install::run(&Workspace::enter()?, rest),
        "uninstall" => install::undo(rest),
        "test" => test::run(&Workspace::enter()?),
        "verify" => verify::run(&Workspace::enter()?, rest),
        "bench" => bench::run(&Workspace::enter()?, rest),
        "soak" => soak::run(&Workspace::enter()?, rest),
        "pictures" => screen::pictures(&Workspace::enter()?, rest),
        "editor" => screen::editor(&Workspace::enter()?, rest),
        "standalone" => standalone::run(&Workspace::enter()?, rest),
        "hand" => screen::hand(&Workspace::enter()?, rest),
        "web" => web::run(&Workspace::enter()?, rest),
        "release" => release::run(&Workspace::enter()?, rest),
        "book" => book::run(&Workspace::enter()?, rest),
        "cross" => cross::run(&Workspace::enter()?, rest),
        "golden" => {
            Workspace::enter()?;
            golden::run(rest)
        }
        "demo" => demo::run(&Workspace::enter()?, rest),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => {
            eprint!("error: there is no command `{other}`\n\n{HELP}");
            Ok(ExitCode::from(2))
        }
    }
}
