//! What a saved state says beside the parameters: its version and, if asked to, how things stand. And whether one is being
//! loaded just now: a value that is read meanwhile may be half the old ones'.

use std::collections::BTreeMap;
use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};
use std::sync::{Arc, Mutex, PoisonError};

use engine::link::status::{Gauge, Health, Status};
use nice_plug::plugin::ParamValue;
use nice_plug::prelude::{ParamPtr, Params, PluginState};

use crate::params::choices;
use crate::stored;

/// Version of the state that projects store. Raised when a release could misread a later one's; whatever
/// older ones say is read for ever.
const STATE: u32 = 1;
/// Where it stands in the state; the first release's states have none and are version 1.
const STATE_FIELD: &str = "format";
/// Where [`note_unknown`] leaves what it finds.
const UNKNOWN_FIELD: &str = "unknown";
/// Set to anything: projects also store the [`Status`]; for test hosts.
const VARIABLE: &str = "ANTIPHON_STATUS";

/// A state is being loaded just now, somewhere in the process: who loads does not say into which instance.
static LOADING: AtomicBool = AtomicBool::new(false);

/// A state is about to be loaded, before any of its values.
pub fn begin_loading() {
    begin(&LOADING);
}

/// What an older form says otherwise: *Likeliest of* became a search.
pub fn migrate(state: &mut PluginState) {
    let likeliest = match state.params.remove("choice") {
        Some(ParamValue::I32(takes)) => takes.try_into().unwrap_or(0),
        _ => 0,
    };
    let search = || ParamValue::String(stored::search_in_place_of(likeliest).to_owned());
    state.params.entry("search".to_owned()).or_insert_with(search);
}

// Values that are loaded one by one and read one by one, by another thread: what was read holds together if `latest` says
// the same number before and after. The flag is looked at first: seen down, and the number read after it unchanged, no
// load has been under way in between. The fences keep the values, which are read and written without any order, in theirs.

/// Values are about to be loaded.
fn begin(loading: &AtomicBool) {
    loading.store(true, Relaxed);
    fence(Release);
}

/// All of them are loaded.
fn end(loading: &AtomicBool, loads: &AtomicU32) {
    loads.fetch_add(1, Release);
    loading.store(false, Release);
}

/// How many loads there were; `None`: one is under way.
fn latest(loading: &AtomicBool, loads: &AtomicU32) -> Option<u32> {
    fence(Acquire);
    (!loading.load(Acquire)).then(|| loads.load(Acquire))
}

/// Finds the choices in a state that no parameter has; the framework leaves those parameters as they are.
pub fn note_unknown(state: &mut PluginState) {
    let unknown = state.params.iter().filter_map(|(id, value)| match value {
        ParamValue::String(choice) if !choices::ids(id)?.contains(&choice.as_str()) => {
            Some(stored::complaint(id, &format!("\"{choice}\"")))
        }
        _ => None,
    });
    let unknown = unknown.collect::<Vec<_>>().join(", ");
    state.fields.insert(UNKNOWN_FIELD.to_owned(), unknown);
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct State {
    status: Arc<Status>,
    /// The latest state loaded is of a later version than this release knows.
    newer: AtomicBool,
    /// How many states have been loaded.
    loads: AtomicU32,
    /// What of the latest one no parameter understands.
    unknown: Mutex<String>,
}

impl State {
    /// Of an instance whose `status` it may tell.
    pub fn new(status: Arc<Status>) -> Self {
        Self { status, ..Self::default() }
    }

    /// How many states have been loaded; `None`: one is being loaded just now, here or elsewhere.
    pub fn latest(&self) -> Option<u32> {
        latest(&LOADING, &self.loads)
    }

    /// Whether the project was saved by a later release, with things in it that this one leaves out.
    pub fn is_newer(&self) -> bool {
        self.newer.load(Relaxed)
    }

    /// What of the project no parameter understands; empty: nothing. Never on the audio thread.
    pub fn unknown(&self) -> String {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything, for test hosts.
    fn to_json(&self) -> String {
        let gauge = |gauge: &Gauge| Some(gauge.get()).filter(|value| value.is_finite());
        serde_json::json!({
            "health": match self.status.health() {
                Health::Starting => "starting",
                Health::Ready => "ready",
                Health::NoWeights => "no weights",
                Health::Broken => "broken",
            },
            "stand_in": self.status.is_stand_in(),
            "newer_state": self.is_newer(),
            "silence_s": self.status.silence().as_secs_f64(),
            "on_gpu": self.status.is_on_gpu(),
            "gpu_failures": self.status.gpu_failures.get(),
            "restarts": self.status.restarts.get(),
            "heard": self.status.heard.get(),
            "played": self.status.played.get(),
            "turns": self.status.turns.get(),
            "late": self.status.late.get(),
            "dropped": self.status.dropped.get(),
            "given_up": self.status.given_up.get(),
            "overflows": self.status.overflows.get(),
            "invalid": self.status.invalid.get(),
            "timeouts": self.status.timeouts.get(),
            "hand_over_s": gauge(&self.status.hand_over_s),
            "note_us": gauge(&self.status.note_us),
            "longest_note_us": gauge(&self.status.longest_note_us),
            "rollback_us": Some(self.status.rollbacks.longest()).filter(|us| us.is_finite()),
            "rollback_median_us": Some(self.status.rollbacks.median()).filter(|us| us.is_finite()),
            "look_ahead_s": gauge(&self.status.look_ahead_s),
        })
        .to_string()
    }
}

// SAFETY: there are no parameters in here, hence no pointers that could outlive it.
unsafe impl Params for State {
    fn param_map(&self) -> Vec<(String, ParamPtr, String)> {
        Vec::new()
    }

    fn serialize_fields(&self) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::from([(STATE_FIELD.to_owned(), STATE.to_string())]);
        if std::env::var_os(VARIABLE).is_some() {
            fields.insert("status".to_owned(), self.to_json());
        }
        fields
    }

    fn deserialize_fields(&self, fields: &BTreeMap<String, String>) {
        let newer = fields.get(STATE_FIELD).is_some_and(|version| version.parse().is_ok_and(|v: u32| v > STATE));
        self.newer.store(newer, Relaxed);
        *self.unknown.lock().unwrap_or_else(PoisonError::into_inner) =
            fields.get(UNKNOWN_FIELD).cloned().unwrap_or_default();
        // The last thing that loading a state does.
        end(&LOADING, &self.loads);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::{Duration, Instant};

    use super::*;

    /// In a cache line of its own, as the flag is from the number: what makes two threads meet.
    #[repr(align(128))]
    #[derive(Default)]
    struct Apart<T>(T);

    /// Values that are always loaded together, and a reader that must never take them for whole when they are not. The
    /// number looked at before the flag, it did, some hundred times in this half second.
    #[test]
    fn what_is_read_while_it_is_loaded_counts_for_nothing() {
        let (loading, loads, over) = (Apart(AtomicBool::new(false)), Apart(AtomicU32::new(0)), AtomicBool::new(false));
        let values: [Apart<AtomicU64>; 8] = Default::default();
        let (mut whole, mut torn, mut refused) = (0_u64, 0_u64, 0_u64);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0;
                while !over.load(Relaxed) {
                    number += 1;
                    begin(&loading.0);
                    values.iter().for_each(|value| value.0.store(number, Relaxed));
                    end(&loading.0, &loads.0);
                    (0..number % 21).for_each(|_| std::hint::spin_loop());
                }
            });
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(500) {
                for _ in 0..50 {
                    let before = latest(&loading.0, &loads.0);
                    let first = values[0].0.load(Relaxed);
                    let same = values.iter().all(|value| value.0.load(Relaxed) == first);
                    let after = latest(&loading.0, &loads.0);
                    match before.is_some() && before == after {
                        false => refused += 1,
                        true if same => whole += 1,
                        true => torn += 1,
                    }
                }
            }
            over.store(true, Relaxed);
        });
        assert_eq!(torn, 0, "of {whole} that were taken, and {refused} that were not");
        assert!(whole > 0, "none was taken, and {refused} were not");
    }
}
