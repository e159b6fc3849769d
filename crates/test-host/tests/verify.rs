//! A short version of `cargo xtask verify`. Needs the bundle, like `bundle.rs`.

use std::process::Command;

#[test]
fn a_short_check_of_time_and_turns_finds_nothing() {
    let out = tempfile::tempdir().unwrap();
    let report = out.path().join("verify.json");
    let result =
        Command::new(env!("CARGO_BIN_EXE_test-host")).args(["verify", "--quick", "--out"]).arg(&report).output();
    let result = result.unwrap();
    let said = String::from_utf8_lossy(&result.stdout);
    assert!(result.status.success(), "{}: {said}{}", result.status, String::from_utf8_lossy(&result.stderr));
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    assert!(rows.len() >= 8 && rows.iter().all(|row| row["cases"].as_u64().unwrap() > 0), "{rows:?}");
}
