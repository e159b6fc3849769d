//! A short version of `cargo xtask soak`. Needs the bundle, like `bundle.rs`.

use std::process::Command;

#[test]
fn a_short_soak_finds_nothing() {
    let out = tempfile::tempdir().unwrap();
    let report = out.path().join("soak.json");
    let mut soak = Command::new(env!("CARGO_BIN_EXE_test-host"));
    soak.args(["soak", "--blocks", "15000", "--seed", "7", "--rounds", "3", "--out"]).arg(&report);
    let result = soak.output().unwrap();
    let said = String::from_utf8_lossy(&result.stdout);
    assert!(result.status.success(), "{}: {said}{}", result.status, String::from_utf8_lossy(&result.stderr));
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert_eq!(report["finished"], true);
    for busy in [
        "blocks",
        "events_in",
        "events_out",
        "heard",
        "played",
        "turns",
        "states",
        "resets",
        "pauses",
        "flushes",
        "transport_events",
        "events_with_ids",
    ] {
        assert!(report[busy].as_u64().unwrap() > 20, "hardly any {busy}: {report}");
    }
    #[cfg(target_os = "linux")]
    assert_eq!((&report["network_denied"], &report["allocs"]), (&true.into(), &0.into()));
}
