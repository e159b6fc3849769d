//! The trunk on whatever GPU the system offers; without one, on Mesa's lavapipe, a Vulkan driver that runs on the CPU.
//! If neither is available, these tests print a note and check nothing, unless `ANTIPHON_GPU_TESTS` is set, as
//! `cargo xtask test` does once it has found a driver.

use std::io::Write;
use std::process::Command;
use std::sync::Arc;

use model::device::{DeviceBenchmark, DeviceError, TrunkDevice, open};
use model::{BatchDecoder, Controls, Decoder, Kind, Network, Precision, Weights, note_rng};
use notes::Successor;

fn network(kind: Kind, precision: Precision) -> Arc<Network> {
    Arc::new(Network::new(&Weights::random(kind, 11), precision))
}

/// Opens the GPU and prints the adapter's name, bypassing the test's captured output.
fn gpu(network: &Network) -> Option<Box<dyn TrunkDevice>> {
    let (trunk, said) = match open(network) {
        Ok(trunk) => {
            let said = format!("GPU tests run on {}", trunk.name());
            (Some(trunk), said)
        }
        Err(DeviceError::Missing) if std::env::var_os("ANTIPHON_GPU_TESTS").is_none() => {
            (None, "GPU tests are skipped: no adapter was found (Debian: mesa-vulkan-drivers)".to_owned())
        }
        Err(error) => panic!("{error}"),
    };
    // Not `eprintln`, which would be captured: the test run must name its adapter.
    #[allow(clippy::explicit_write)]
    writeln!(std::io::stderr(), "{said}").unwrap();
    trunk
}

fn next(decoder: &mut Decoder, index: u64) -> Successor {
    decoder.sample(&Controls::default(), 0.0, &mut note_rng(5, index))
}

/// Whole takes with a rollback, as when a knob is turned; two sessions in alternation.
#[test]
fn a_take_is_the_cpus_to_the_bit() {
    for (kind, precision) in [(Kind::Antiphon, Precision::Int4), (Kind::Seed, Precision::Int8)] {
        let network = network(kind, precision);
        let Some(trunk) = gpu(&network) else { return };
        let [mut cpu, mut one, mut two] = [(); 3].map(|()| Decoder::new(network.clone()));
        one.run_on(Some(trunk.open_session(1).unwrap()));
        two.run_on(Some(trunk.open_session(1).unwrap()));
        // The weights outlive the session that uploaded them.
        drop(trunk);
        let mut snapshot = None;
        for index in 0..64 {
            if index == 16 {
                snapshot = Some(cpu.snapshot());
            }
            if index == 32 {
                for decoder in [&mut cpu, &mut one, &mut two] {
                    decoder.restore(snapshot.as_ref().unwrap());
                }
            }
            let note = next(&mut cpu, index);
            assert_eq!([next(&mut one, index), next(&mut two, index)], [note; 2]);
            for decoder in [&mut cpu, &mut one, &mut two] {
                decoder.feed(&note);
            }
            assert!(
                *one.state() == *cpu.state() && *two.state() == *cpu.state(),
                "{kind:?} {precision:?}, note {index}"
            );
        }
        assert_eq!([one.take_failure(), two.take_failure()], [None, None]);
        assert!(one.device().is_some() && two.device().is_some());
    }
}

/// Each take of a batch equals what the CPU plays, whether the batch fills the kernel's tiles or not.
#[test]
fn takes_side_by_side_are_the_cpus_to_the_bit() {
    let network = network(Kind::Antiphon, Precision::Int4);
    let Some(trunk) = gpu(&network) else { return };
    let mut decoder = Decoder::new(network);
    for index in 0..5 {
        let note = next(&mut decoder, index);
        decoder.feed(&note);
    }
    for takes in [1, 3, 8, 13, 64] {
        let [mut cpu, mut gpu] = [(); 2].map(|()| BatchDecoder::new(&decoder, takes));
        gpu.run_on(Some(trunk.open_session(takes).unwrap()));
        for index in 0..12 {
            let play = |batch: &mut BatchDecoder| {
                let mut rngs: Vec<_> = (0..takes as u64).map(|take| note_rng(take, index)).collect();
                batch.play(&Controls::default(), 0.0, &mut rngs).to_vec()
            };
            assert_eq!(play(&mut cpu), play(&mut gpu), "{takes} takes, note {index}");
            assert!((0..takes).all(|take| cpu.state(take) == gpu.state(take)), "{takes} takes, note {index}");
        }
        assert_eq!(gpu.take_failure(), None, "{takes} takes");
        assert!(gpu.device().is_some());
    }
    let survey = DeviceBenchmark::new(decoder.network(), 8, Ok(trunk));
    assert!(survey.other.unwrap().us > 0.0);
}

/// Runs in a separate process, since drivers are located through environment variables.
#[test]
fn a_driver_that_is_missing_is_said_to_be() {
    if std::env::var_os("ANTIPHON_NO_DRIVER").is_some() {
        assert_eq!(open(&network(Kind::Antiphon, Precision::Int4)).map(drop), Err(DeviceError::Missing));
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_driver_that_is_missing_is_said_to_be"])
        .env("ANTIPHON_NO_DRIVER", "1")
        .envs(["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].map(|name| (name, "/nowhere.json")))
        .output()
        .unwrap();
    // Drivers other than Vulkan's cannot be hidden.
    let hidden = cfg!(target_os = "linux");
    assert!(!hidden || output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
