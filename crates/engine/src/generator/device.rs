//! Where the network runs: on the CPU or on a GPU, whichever is chosen or, on auto, is faster.
//! The notes are the same, so the device may change at any time, even during a take.
//!
//! Used by the generator only. No GPU is probed and no driver loaded before an instance starts that may use one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use model::device::{DeviceError, Found, Survey, Trunk, open};
use model::{Decoder, Network};

use crate::link::status::Status;
use crate::settings::DeviceChoice;

/// Batch size with which devices are measured: as many takes as *Search* generates by default.
const TAKES: usize = 16;

/// Where the network runs, as the editor shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// `CPU`, or the GPU's name.
    pub name: String,
    /// Why it runs there.
    pub reason: String,
    /// Whether it does not, or no longer, run on the chosen device.
    pub amiss: bool,
}

/// Chooses the device for an instance.
pub struct Devices {
    wished: Box<dyn Fn() -> DeviceChoice + Send>,
    /// The choice that was last applied.
    heeded: DeviceChoice,
    /// Why the GPU is not used any more, until another choice is made.
    given_up: Option<String>,
    survey: Option<Arc<Survey>>,
    place: Place,
}

impl Devices {
    /// `wished` returns the current choice; it is called often.
    pub fn new(wished: impl Fn() -> DeviceChoice + Send + 'static) -> Self {
        Self {
            wished: Box::new(wished),
            heeded: DeviceChoice::Auto,
            given_up: None,
            survey: None,
            place: Place::default(),
        }
    }

    /// Where the decoder runs.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Puts a decoder on its device.
    pub fn seat(&mut self, decoder: &mut Decoder, status: &Status) {
        let wish = (self.wished)();
        if wish != self.heeded {
            (self.heeded, self.given_up) = (wish, None);
        }
        let (place, trunk) = match (wish, &self.given_up) {
            (DeviceChoice::Cpu, _) => (Place::cpu("As chosen".to_owned(), false), None),
            (_, Some(why)) => (Place::cpu(why.clone(), true), None),
            (wish, None) => {
                let survey = survey(decoder.network());
                let seat = choose(&survey, wish == DeviceChoice::Gpu);
                self.survey = Some(survey);
                seat
            }
        };
        decoder.run_on(trunk);
        status.set_on_gpu(decoder.device().is_some());
        self.place = place;
    }

    /// Applies a new choice, and moves off a device that has failed. Returns whether the device was chosen again.
    pub fn look_after(&mut self, decoder: &mut Decoder, status: &Status) -> bool {
        if (self.wished)() != self.heeded {
            self.seat(decoder, status);
            return true;
        }
        let Some(failure) = decoder.take_failure() else {
            return false;
        };
        status.counts.gpu_failures.add(1);
        self.give_up(&failure);
        self.seat(decoder, status);
        true
    }

    /// The generator failed: if it was on a GPU, the next decoder runs on the CPU.
    pub fn distrust(&mut self, status: &Status) {
        if status.is_on_gpu() {
            self.give_up(&DeviceError::Failed("its driver broke".to_owned()));
        }
    }

    fn give_up(&mut self, failure: &DeviceError) {
        self.given_up = Some(format!("{}: the CPU has taken over", sentence(failure)));
        self.survey = None;
    }
}

impl Place {
    fn cpu(reason: String, amiss: bool) -> Self {
        Self { name: "CPU".to_owned(), reason, amiss }
    }
}

/// The place for a decoder. `forced`: a GPU was chosen, whether it is faster or not.
fn choose(survey: &Survey, forced: bool) -> (Place, Option<Box<dyn Trunk>>) {
    let found = match &survey.other {
        Ok(found) => found,
        Err(error) => return (Place::cpu(format!("{}: the CPU plays", sentence(error)), forced), None),
    };
    let times = times(survey.cpu_us, found);
    if !forced && survey.faster().is_none() {
        return (Place::cpu(times, false), None);
    }
    match found.place(1) {
        Ok(trunk) => (Place { name: found.name.clone(), reason: times, amiss: false }, Some(trunk)),
        Err(error) => (Place::cpu(format!("{}: the CPU plays", sentence(&error)), true), None),
    }
}

fn times(cpu_us: f64, found: &Found) -> String {
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
type Surveys = Vec<(Weak<Network>, Weak<Survey>)>;

static SURVEYS: Mutex<Surveys> = Mutex::new(Vec::new());

/// The survey of devices for this network, made once per process.
fn survey(network: &Arc<Network>) -> Arc<Survey> {
    // The lock is held during the survey: two at once would disturb each other's measurements.
    let mut surveys = SURVEYS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = surveys.iter().find(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(network)));
    if let Some(survey) = known.and_then(|(_, survey)| survey.upgrade()) {
        return survey;
    }
    // Drivers are third-party code and may panic.
    let found_out = catch_unwind(AssertUnwindSafe(|| Survey::new(network, TAKES, open(network))));
    let broke = |_| Survey::new(network, TAKES, Err(DeviceError::Failed("its driver broke".to_owned())));
    enter(&mut surveys, network, found_out.unwrap_or_else(broke))
}

fn enter(surveys: &mut Surveys, network: &Arc<Network>, survey: Survey) -> Arc<Survey> {
    surveys.retain(|(network, survey)| network.strong_count() > 0 && survey.strong_count() > 0);
    let survey = Arc::new(survey);
    surveys.push((Arc::downgrade(network), Arc::downgrade(&survey)));
    survey
}

/// Uses this survey for a network, as long as the returned `Arc` lives.
#[cfg(test)]
pub fn pretend(network: &Arc<Network>, survey: Survey) -> Arc<Survey> {
    enter(&mut SURVEYS.lock().unwrap(), network, survey)
}

#[cfg(test)]
mod tests {
    use model::device::Processor;

    use super::*;
    use crate::tests::network;

    #[test]
    fn the_faster_one_is_taken_unless_one_is_wished_for() {
        let network = network();
        let mut survey = Survey::new(&network, 1, Ok(Box::new(Processor::new(network.clone()).unwrap())));
        for (cpu_us, us, forced, there) in
            [(90.0, 100.0, false, false), (110.0, 100.0, false, true), (90.0, 100.0, true, true)]
        {
            survey.cpu_us = cpu_us;
            survey.other.as_mut().unwrap().us = us;
            let (place, trunk) = choose(&survey, forced);
            assert_eq!((trunk.is_some(), place.amiss), (there, false));
            assert!(place.reason.contains("0.10 ms"), "{}", place.reason);
        }
        for (error, forced) in [(DeviceError::Missing, true), (DeviceError::Differs, false)] {
            let (place, trunk) = choose(&Survey::new(&network, 1, Err(error)), forced);
            assert!(trunk.is_none() && place.name == "CPU" && place.amiss == forced);
            assert!(place.reason.ends_with("the CPU plays"), "{}", place.reason);
        }
    }
}
