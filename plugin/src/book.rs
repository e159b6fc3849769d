//! Generates the documentation pages whose text comes from the plugin itself: the controls with their tooltips, and the
//! presets. `ANTIPHON_UPDATE=1 cargo test -p antiphon book` writes them; without the variable the test checks that they
//! are up to date.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use crate::editor::handles::{Handle, Handles, Kind};
use crate::params::{ACTIONS, AntiphonParams, GROUPS};
use crate::presets;

const CONTROLS: &str = "\
# Controls

Every control, as its tooltip describes it (this page is generated from the same text). Hosts show the same names for automation
and hardware controllers. A change is heard in the next note.
";

const PRESETS: &str = "\
# Presets

*Presets* in Antiphon's window lists ways to play together, by situation. A preset sets how the music goes; seed, search,
device, channel and MIDI thru stay as they are. *Save* next to the list stores the current settings as your own preset, a file
that you can copy to another machine.

Host presets store everything, including the chosen model.
";

#[test]
fn pages_are_up_to_date() {
    let params = Arc::new(AntiphonParams::new(Default::default()));
    let handles = Handles::new(&params);
    let mut controls = CONTROLS.to_owned();
    for group in ["", GROUPS[0], GROUPS[1], GROUPS[2], GROUPS[3]] {
        let title = if group.is_empty() { "All" } else { group };
        let _ = write!(
            controls,
            "\n## {title}\n\n| control | values | default | what it does |\n| --- | --- | --- | --- |\n"
        );
        for handle in handles.iter().filter(|handle| handle.group == group) {
            let (values, default) = match ACTIONS.contains(&&*handle.id) {
                true => ("a press".to_owned(), String::new()),
                false => (values(handle), handle.text(handle.default())),
            };
            let _ =
                writeln!(controls, "| {} | {values} | {default} | {} |", handle.name(), handle.hint.replace('\n', " "));
        }
    }
    keep("controls.md", &controls);

    let mut list = PRESETS.to_owned();
    let shown = |(id, stored): (&String, &crate::stored::Stored)| -> Option<String> {
        let handle: &Handle = handles.iter().find(|handle| &handle.id == id)?;
        Some(format!("*{}* {}", handle.name(), handle.text(handle.of_stored(stored)?)))
    };
    for preset in presets::built_in() {
        let _ = write!(list, "\n## {}\n\n{}\n\n", preset.name, preset.about);
        let set: Vec<String> = preset.set.iter().filter_map(shown).collect();
        let _ = writeln!(list, "{}.", set.join(", "));
    }
    keep("presets.md", &list);
}

/// The values of a control: its choices, or its range.
fn values(handle: &Handle) -> String {
    match handle.kind() {
        Kind::Switch => "off, on".to_owned(),
        Kind::Choice(count) => {
            let value = |index: usize| index as f32 / (count - 1) as f32;
            (0..count).map(|index| handle.text(value(index))).collect::<Vec<_>>().join(", ")
        }
        Kind::Number => format!("{} … {}", handle.text(0.0), handle.text(1.0)),
    }
}

/// Compares a page with its file in `docs`, or writes the file.
fn keep(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("ANTIPHON_UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(found == text, "docs/{name} is not up to date: ANTIPHON_UPDATE=1 cargo test -p antiphon book");
}
