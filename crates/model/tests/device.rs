//! Sessions whose trunk runs on a device: on the CPU as a device, and on devices that fail or differ. `gpu.rs` tests
//! real ones.

use std::sync::Arc;

use model::device::{Batch, CpuDevice, DeviceBenchmark, DeviceError, TrunkDevice};
use model::{BatchDecoder, Controls, Decoder, Kind, Network, Precision, Weights, note_rng};
use notes::Successor;

fn network(kind: Kind, precision: Precision) -> Arc<Network> {
    Arc::new(Network::new(&Weights::random(kind, 11), precision))
}

fn next(decoder: &mut Decoder, index: u64) -> Successor {
    decoder.sample(&Controls::default(), 0.0, &mut note_rng(5, index))
}

/// The CPU as a device that fails after `steps` steps or, if `wrong`, flips a bit of one state.
#[derive(Debug)]
struct Spoilt {
    on: Box<dyn TrunkDevice>,
    steps: usize,
    wrong: bool,
}

impl Spoilt {
    fn new(network: &Arc<Network>, steps: usize, wrong: bool) -> Self {
        Self { on: Box::new(CpuDevice::new(network.clone()).unwrap()), steps, wrong }
    }
}

impl TrunkDevice for Spoilt {
    fn name(&self) -> &str {
        "spoilt"
    }

    fn step(&mut self, batch: &mut Batch) -> Result<(), DeviceError> {
        self.steps = self.steps.checked_sub(1).ok_or_else(|| DeviceError::Failed("no more".to_owned()))?;
        self.on.step(batch)?;
        if self.wrong {
            batch.after_mut()[700] ^= 1 << 16;
        }
        Ok(())
    }

    fn open_session(&self, takes: usize) -> Result<Box<dyn TrunkDevice>, DeviceError> {
        Ok(Box::new(Self { on: self.on.open_session(takes)?, ..*self }))
    }
}

/// The CPU generates the note that failed, whichever it is, and those after it, alone and side by side.
#[test]
fn the_cpu_takes_over_in_mid_take() {
    for (kind, precision) in [(Kind::Antiphon, Precision::Int4), (Kind::Seed, Precision::Int8)] {
        let network = network(kind, precision);
        for dies in [0, 9] {
            let [mut cpu, mut decoder] = [(); 2].map(|()| Decoder::new(network.clone()));
            let spoilt = Spoilt::new(&network, dies, false);
            let mut batch = BatchDecoder::new(&decoder, 3);
            batch.run_on(Some(spoilt.open_session(3).unwrap()));
            decoder.run_on(Some(Box::new(spoilt)));
            for index in 0..20 {
                let failed = index as usize > dies;
                assert_eq!(
                    (decoder.device(), batch.device()),
                    ((!failed).then_some("spoilt"), (!failed).then_some("spoilt"))
                );
                let note = next(&mut cpu, index);
                assert_eq!(next(&mut decoder, index), note);
                cpu.feed(&note);
                decoder.feed(&note);
                assert!(decoder.state() == cpu.state(), "note {index}");
                batch.feed(&[note; 3]);
                assert_eq!(batch.context(2), cpu.state().context());
                if index as usize == dies {
                    let failure = Some(DeviceError::Failed("no more".to_owned()));
                    assert_eq!([decoder.take_failure(), batch.take_failure()], [failure.clone(), failure]);
                    assert_eq!([decoder.take_failure(), batch.take_failure()], [None, None], "it is said once");
                }
            }
        }
    }
}

#[test]
fn weights_that_are_no_integers_stay_on_the_cpu() {
    for precision in [Precision::F32, Precision::F16] {
        let network = network(Kind::Seed, precision);
        assert_eq!(CpuDevice::new(network.clone()).map(drop), Err(DeviceError::Weights));
        let survey = DeviceBenchmark::new(&network, 1, model::device::open(&network));
        assert!(matches!(survey.other, Err(DeviceError::Weights | DeviceError::Missing | DeviceError::NotBuilt)));
    }
}

#[test]
fn only_what_gives_the_cpus_bits_is_used() {
    let network = network(Kind::Antiphon, Precision::Int4);
    for takes in [1, 5] {
        let survey = DeviceBenchmark::new(&network, takes, Ok(Box::new(Spoilt::new(&network, usize::MAX, true))));
        assert_eq!(survey.other.map(drop), Err(DeviceError::Differs));
        let survey = DeviceBenchmark::new(&network, takes, Ok(Box::new(Spoilt::new(&network, usize::MAX, false))));
        assert!(survey.other.is_ok_and(|found| found.name == "spoilt" && found.us > 0.0) && survey.cpu_us > 0.0);
    }
    let survey = DeviceBenchmark::new(&network, 1, Err(DeviceError::Missing));
    assert!(survey.faster().is_none() && survey.other.is_err());
}
