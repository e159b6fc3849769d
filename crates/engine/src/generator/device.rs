//! Where the network runs: on the CPU or on a GPU, whichever is chosen or, on auto, is faster.
//! The notes are the same, so the device may change at any time, even during a take.
//!
//! Used by the generator only. No GPU is probed and no driver loaded before an instance starts that may use one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use model::device::{BenchmarkedDevice, DeviceBenchmark, DeviceError, TrunkDevice, open};
use model::{Decoder, Network};

use crate::link::status::Status;
use crate::settings::DeviceChoice;

/// Batch size with which devices are measured: as many takes as *Search* generates by default.
const TAKES: usize = 16;

/// Where the network runs, as the editor shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceInfo {
    /// `CPU`, or the GPU's name.
    pub name: String,
    /// Why it runs there.
    pub reason: String,
    /// Whether it does not, or no longer, run on the chosen device.
    pub is_fallback: bool,
}

/// Chooses the device for an instance.
pub struct DeviceSelector {
    choice: Box<dyn Fn() -> DeviceChoice + Send>,
    /// The choice that was last applied.
    applied: DeviceChoice,
    /// Why the GPU is not used any more, until another choice is made.
    gpu_failure: Option<String>,
    survey: Option<Arc<DeviceBenchmark>>,
    info: DeviceInfo,
}

impl DeviceSelector {
    /// `choice` returns the current choice; it is called often.
    pub fn new(choice: impl Fn() -> DeviceChoice + Send + 'static) -> Self {
        Self {
            choice: Box::new(choice),
            applied: DeviceChoice::Auto,
            gpu_failure: None,
            survey: None,
            info: DeviceInfo::default(),
        }
    }

    /// Where the decoder runs.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Puts a decoder on its device.
    pub fn choose_device(&mut self, decoder: &mut Decoder, status: &Status) {
        let wanted = (self.choice)();
        if wanted != self.applied {
            (self.applied, self.gpu_failure) = (wanted, None);
        }
        let (info, trunk) = match (wanted, &self.gpu_failure) {
            (DeviceChoice::Cpu, _) => (DeviceInfo::cpu("As chosen".to_owned(), false), None),
            (_, Some(why)) => (DeviceInfo::cpu(why.clone(), true), None),
            (wanted, None) => {
                let survey = survey(decoder.network());
                let chosen = choose(&survey, wanted == DeviceChoice::Gpu);
                self.survey = Some(survey);
                chosen
            }
        };
        decoder.run_on(trunk);
        status.set_on_gpu(decoder.device().is_some());
        self.info = info;
    }

    /// Applies a new choice, and moves off a device that has failed. Returns whether the device was chosen again.
    pub fn update(&mut self, decoder: &mut Decoder, status: &Status) -> bool {
        if (self.choice)() != self.applied {
            self.choose_device(decoder, status);
            return true;
        }
        let Some(failure) = decoder.take_failure() else {
            return false;
        };
        status.counts.gpu_failures.add(1);
        self.abandon_gpu(&failure);
        self.choose_device(decoder, status);
        true
    }

    /// The generator failed: if it was on a GPU, the next decoder runs on the CPU.
    pub fn report_failure(&mut self, status: &Status) {
        if status.is_on_gpu() {
            self.abandon_gpu(&DeviceError::Failed("its driver crashed".to_owned()));
        }
    }

    fn abandon_gpu(&mut self, failure: &DeviceError) {
        self.gpu_failure = Some(format!("{}; the CPU took over", sentence(failure)));
        self.survey = None;
    }
}

impl DeviceInfo {
    fn cpu(reason: String, is_fallback: bool) -> Self {
        Self { name: "CPU".to_owned(), reason, is_fallback }
    }
}

/// The place for a decoder. `forced`: a GPU was chosen, whether it is faster or not.
fn choose(survey: &DeviceBenchmark, forced: bool) -> (DeviceInfo, Option<Box<dyn TrunkDevice>>) {
    let found = match &survey.other {
        Ok(found) => found,
        Err(error) => return (DeviceInfo::cpu(format!("{}; using the CPU", sentence(error)), forced), None),
    };
    let times = times(survey.cpu_us, found);
    if !forced && survey.faster().is_none() {
        return (DeviceInfo::cpu(times, false), None);
    }
    match found.open_session(1) {
        Ok(trunk) => (DeviceInfo { name: found.name.clone(), reason: times, is_fallback: false }, Some(trunk)),
        Err(error) => (DeviceInfo::cpu(format!("{}; using the CPU", sentence(&error)), true), None),
    }
}

fn times(cpu_us: f64, found: &BenchmarkedDevice) -> String {
    let (cpu, other) = (cpu_us / 1e3, found.us / 1e3);
    format!(
        "The longest of 32 steps of {TAKES} takes took {cpu:.2} ms on the CPU, {other:.2} ms on {}; the notes are the same",
        found.name
    )
}

fn sentence(error: &DeviceError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The survey of each network, as long as it is in use.
type Surveys = Vec<(Weak<Network>, Weak<DeviceBenchmark>)>;

static SURVEYS: Mutex<Surveys> = Mutex::new(Vec::new());

/// The survey of devices for this network, made once per process.
fn survey(network: &Arc<Network>) -> Arc<DeviceBenchmark> {
    // The lock is held during the survey: two at once would disturb each other's measurements.
    let mut surveys = SURVEYS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = surveys.iter().find(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(network)));
    if let Some(survey) = known.and_then(|(_, survey)| survey.upgrade()) {
        return survey;
    }
    // Drivers are third-party code and may panic.
    let found_out = catch_unwind(AssertUnwindSafe(|| DeviceBenchmark::new(network, TAKES, open(network))));
    let broke = |_| DeviceBenchmark::new(network, TAKES, Err(DeviceError::Failed("its driver crashed".to_owned())));
    add_survey(&mut surveys, network, found_out.unwrap_or_else(broke))
}

fn add_survey(surveys: &mut Surveys, network: &Arc<Network>, survey: DeviceBenchmark) -> Arc<DeviceBenchmark> {
    surveys.retain(|(network, survey)| network.strong_count() > 0 && survey.strong_count() > 0);
    let survey = Arc::new(survey);
    surveys.push((Arc::downgrade(network), Arc::downgrade(&survey)));
    survey
}

/// Uses this survey for a network, as long as the returned `Arc` lives.
#[cfg(test)]
pub fn use_survey(network: &Arc<Network>, survey: DeviceBenchmark) -> Arc<DeviceBenchmark> {
    add_survey(&mut SURVEYS.lock().unwrap(), network, survey)
}

#[cfg(test)]
mod tests {
    use model::device::CpuDevice;

    use super::*;
    use crate::tests::network;

    #[test]
    fn the_faster_one_is_taken_unless_one_is_wished_for() {
        let network = network();
        let mut survey = DeviceBenchmark::new(&network, 1, Ok(Box::new(CpuDevice::new(network.clone()).unwrap())));
        for (cpu_us, us, forced, there) in
            [(90.0, 100.0, false, false), (110.0, 100.0, false, true), (90.0, 100.0, true, true)]
        {
            survey.cpu_us = cpu_us;
            survey.other.as_mut().unwrap().us = us;
            let (info, trunk) = choose(&survey, forced);
            assert_eq!((trunk.is_some(), info.is_fallback), (there, false));
            assert!(info.reason.contains("0.10 ms"), "{}", info.reason);
        }
        for (error, forced) in [(DeviceError::Missing, true), (DeviceError::Differs, false)] {
            let (info, trunk) = choose(&DeviceBenchmark::new(&network, 1, Err(error)), forced);
            assert!(trunk.is_none() && info.name == "CPU" && info.is_fallback == forced);
            assert!(info.reason.ends_with("using the CPU"), "{}", info.reason);
        }
    }
}
