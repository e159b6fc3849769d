//! The way to CUDA, as far as it can be gone without a graphics processor: everything but NVIDIA's driver and what it
//! makes of the compiled kernel. A driver of our own runs the kernel's source.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::sync::Arc;

use model::device::{self, DeviceError};
use model::{Controls, Kind, Mind, Network, Precision, Weights, note_rng};

/// Steps that go well before the device fails.
const STEPS: u64 = 20;

/// Runs the other tests of this file with such a driver, since it is looked for when a program starts.
#[test]
fn everything_but_the_driver() {
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/driver");
    std::fs::create_dir_all(folder).unwrap();
    let status = Command::new("cc")
        .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-shared", "-fPIC", "-o"])
        .args([&format!("{folder}/libcuda.so.1"), concat!(env!("CARGO_MANIFEST_DIR"), "/tests/driver.c")])
        .status();
    assert!(status.unwrap().success());
    let run = |test: &str, folder: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", test])
            .env("LD_LIBRARY_PATH", folder)
            .env("LAUNCHES", (3 * STEPS).to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run("plays_and_fails", folder);
    run("says_that_there_is_none", "");
}

fn network() -> Arc<Network> {
    Arc::new(Network::new(&Weights::random(Kind::Antiphon, 11), Precision::Int4))
}

#[test]
#[ignore = "needs the driver of `everything_but_the_driver`"]
fn plays_and_fails() {
    let network = network();
    let [mut cpu, mut mind] = [(); 2].map(|()| Mind::new(network.clone()));
    let first = device::open(&network).unwrap();
    assert_eq!(first.name(), "no GPU at all");
    // The weights outlive the first one.
    mind.run_on(Some(first.twin().unwrap()));
    drop(first);
    for index in 0..STEPS + 8 {
        let note = cpu.sample(&Controls::default(), 0.0, &mut note_rng(5, index));
        cpu.feed(&note);
        mind.feed(&note);
        assert!(mind.state() == cpu.state(), "note {index}");
        assert_eq!(mind.device().is_some(), index < STEPS);
    }
    let failure = mind.take_failure().unwrap().to_string();
    assert!(failure.contains("unspecified launch failure"), "{failure}");
}

#[test]
#[ignore = "needs `everything_but_the_driver`"]
fn says_that_there_is_none() {
    match device::open(&network()) {
        Err(error) => assert_eq!(error, DeviceError::Missing),
        Ok(device) => println!("there is one: {}", device.name()),
    }
}
