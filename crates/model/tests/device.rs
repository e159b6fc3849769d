//! A network whose trunk runs elsewhere. There need be no graphics processor: its kernel, compiled as C, runs in a
//! process of its own.
#![cfg(unix)]

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use model::device::{DeviceError, Layer, Processor, Survey, Trunk};
use model::{Controls, Kind, Mind, Network, Precision, Weights, note_rng};
use notes::Successor;

/// The kernel in a process of its own.
#[derive(Debug)]
struct Kernel(Child);

impl Kernel {
    fn new(network: &Network) -> Self {
        let mut child = Command::new(program()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.as_mut().unwrap();
        for Layer { columns, words, numbers } in Layer::of(network).unwrap() {
            stdin.write_all(&(columns as i32).to_le_bytes()).unwrap();
            let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            stdin.write_all(&words).unwrap();
            stdin.write_all(&bytes(&numbers)).unwrap();
        }
        Self(child)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Trunk for Kernel {
    fn name(&self) -> &str {
        "kernel"
    }

    fn step(&mut self, input: &[f32], before: &[f32], after: &mut [f32]) -> Result<(), DeviceError> {
        let failed = |error: std::io::Error| DeviceError::Failed(error.to_string());
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(&[bytes(input), bytes(before)].concat()).map_err(failed)?;
        stdin.flush().map_err(failed)?;
        let mut out = vec![0; 4 * after.len()];
        self.0.stdout.as_mut().unwrap().read_exact(&mut out).map_err(failed)?;
        for (value, bytes) in after.iter_mut().zip(out.as_chunks().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn twin(&self) -> Result<Box<dyn Trunk>, DeviceError> {
        unreachable!("nobody asks for one")
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Compiles it with what links Rust programs anyway.
fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = format!("{}/lstm", env!("CARGO_TARGET_TMPDIR"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lstm.c");
        let status = Command::new("cc")
            .args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-o", &program, source])
            .status();
        assert!(status.unwrap().success());
        program
    })
}

fn network(kind: Kind, precision: Precision) -> Arc<Network> {
    Arc::new(Network::new(&Weights::random(kind, 11), precision))
}

fn next(mind: &mut Mind, index: u64) -> Successor {
    mind.sample(&Controls::default(), 0.0, &mut note_rng(5, index))
}

/// The same bits, so the same notes: on the CPU as one device among others, and in the kernel.
#[test]
fn every_device_plays_the_same_notes() {
    for (kind, precision) in [(Kind::Antiphon, Precision::Int4), (Kind::Seed, Precision::Int8)] {
        let network = network(kind, precision);
        let [mut cpu, mut other, mut kernel] = [(); 3].map(|()| Mind::new(network.clone()));
        other.run_on(Some(Box::new(Processor::new(network.clone()))));
        kernel.run_on(Some(Box::new(Kernel::new(&network))));
        let mut snapshot = None;
        for index in 0..64 {
            if index == 16 {
                snapshot = Some(cpu.snapshot());
            }
            // Back to an earlier note, as when a knob is turned.
            if index == 32 {
                for mind in [&mut cpu, &mut other, &mut kernel] {
                    mind.restore(snapshot.as_ref().unwrap());
                }
            }
            let note = next(&mut cpu, index);
            assert_eq!([next(&mut other, index), next(&mut kernel, index)], [note; 2]);
            for mind in [&mut cpu, &mut other, &mut kernel] {
                mind.feed(&note);
            }
            assert!(other.state() == cpu.state(), "{kind:?} {precision:?}, note {index}");
            assert!(kernel.state() == cpu.state(), "{kind:?} {precision:?}, note {index}");
        }
        assert_eq!(kernel.device(), Some("kernel"));
        assert_eq!(kernel.take_failure(), None);
    }
}

/// A device that dies in mid-take: the CPU plays the next note, which is the one that would have come.
#[test]
fn the_cpu_takes_over_in_mid_take() {
    let network = network(Kind::Antiphon, Precision::Int4);
    for dies in [0, 9] {
        let [mut cpu, mut mind] = [(); 2].map(|()| Mind::new(network.clone()));
        let kernel = Kernel::new(&network);
        let process = kernel.0.id();
        mind.run_on(Some(Box::new(kernel)));
        for index in 0..20 {
            if index == dies {
                assert_eq!(mind.device(), Some("kernel"));
                let status = Command::new("kill").args(["-KILL", &process.to_string()]).status();
                assert!(status.unwrap().success());
            }
            let note = next(&mut cpu, index);
            assert_eq!(next(&mut mind, index), note);
            cpu.feed(&note);
            mind.feed(&note);
            assert!(mind.state() == cpu.state(), "note {index}");
            if index == dies {
                assert!(matches!(mind.take_failure(), Some(DeviceError::Failed(_))));
                assert_eq!(mind.take_failure(), None, "it is said once");
            }
        }
        assert_eq!(mind.device(), None);
    }
}

#[test]
fn weights_that_are_no_integers_stay_on_the_cpu() {
    for precision in [Precision::F32, Precision::F16] {
        assert_eq!(Layer::of(&network(Kind::Seed, precision)).map(drop), Err(DeviceError::Weights));
    }
}

/// A device that is off by the last bit of one number.
#[derive(Debug)]
struct Careless(Processor);

impl Trunk for Careless {
    fn name(&self) -> &str {
        "careless"
    }

    fn step(&mut self, input: &[f32], before: &[f32], after: &mut [f32]) -> Result<(), DeviceError> {
        self.0.step(input, before, after)?;
        after[700] = f32::from_bits(after[700].to_bits() ^ 1);
        Ok(())
    }

    fn twin(&self) -> Result<Box<dyn Trunk>, DeviceError> {
        self.0.twin()
    }
}

#[test]
fn only_what_gives_the_cpus_bits_is_used() {
    let network = network(Kind::Antiphon, Precision::Int4);
    let survey = Survey::new(&network, Ok(Box::new(Careless(Processor::new(network.clone())))));
    assert_eq!(survey.other.map(drop), Err(DeviceError::Differs));
    let survey = Survey::new(&network, Ok(Box::new(Kernel::new(&network))));
    assert!(survey.other.is_ok_and(|found| found.name == "kernel" && found.us > 0.0) && survey.cpu_us > 0.0);
    let survey = Survey::new(&network, Err(DeviceError::Missing));
    assert!(survey.faster().is_none() && survey.other.is_err());
}
