//! What a saved state contains besides the parameters: its version and, on request, the engine's status. Also tracks
//! whether a state is being loaded, since parameters that are read meanwhile may be a mix of old and new.

use std::collections::BTreeMap;
use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use engine::link::status::{Gauge, Health, Status};
use nice_plug::plugin::ParamValue;
use nice_plug::prelude::{Param, ParamPtr, Params, PluginState};

use crate::params::{AntiphonParams, choices};
use crate::stored;

/// Version of the state that projects store. It is raised when older releases could misread a new state; states of
/// older versions stay readable forever.
const STATE: u32 = 1;
/// The state's field for the version. The first release's states have none and count as version 1.
const STATE_FIELD: &str = "format";
/// The field in which [`check`] stores its result.
const UNKNOWN_FIELD: &str = "unknown";
/// If set, to anything, projects also store the [`Status`]; for test hosts.
const VARIABLE: &str = "ANTIPHON_STATUS";

/// A state is being loaded, by any instance in the process: the framework does not say by which.
static LOADING: AtomicBool = AtomicBool::new(false);

/// Called before any value of a state is loaded.
pub fn begin_loading() {
    begin(&LOADING);
}

/// Converts older states: *Likeliest of* became *Search*.
pub fn migrate(state: &mut PluginState) {
    let likeliest = match state.params.remove("choice") {
        Some(ParamValue::I32(takes)) => takes.try_into().unwrap_or(0),
        _ => 0,
    };
    let search = || ParamValue::String(stored::search_in_place_of(likeliest).to_owned());
    state.params.entry("search".to_owned()).or_insert_with(search);
}

// A sequence lock. One thread loads the values one by one while another may read them one by one. What was read is
// consistent if `latest` returns the same number before and after. `latest` checks the flag first: if it is down and
// the counter has not changed since, no load overlapped the read. The values themselves are loaded and read relaxed;
// the fences order them with the flag and the counter.

/// Marks the start of a load.
fn begin(loading: &AtomicBool) {
    loading.store(true, Relaxed);
    fence(Release);
}

/// Marks the end of a load.
fn end(loading: &AtomicBool, loads: &AtomicU32) {
    loads.fetch_add(1, Release);
    loading.store(false, Release);
}

/// The number of finished loads; `None` if one is in progress.
fn latest(loading: &AtomicBool, loads: &AtomicU32) -> Option<u32> {
    fence(Acquire);
    (!loading.load(Acquire)).then(|| loads.load(Acquire))
}

/// Makes a state safe to load: the framework takes numbers as they are, and would later fail to save a choice whose
/// index does not exist. Numbers are limited to their parameter's range, indices of choices become their ids, and what
/// no parameter has is listed in [`UNKNOWN_FIELD`]; those parameters stay unchanged.
pub fn check(state: &mut PluginState) {
    let mut unknown = Vec::new();
    state.params.retain(|id, value| {
        let known = match (choices::ids(id), &mut *value) {
            (Some(ids), ParamValue::String(choice)) => ids.contains(&choice.as_str()),
            (Some(ids), &mut ParamValue::I32(index)) => {
                let id = usize::try_from(index).ok().and_then(|index| ids.get(index));
                id.map(|&id| *value = ParamValue::String(id.to_owned())).is_some()
            }
            (None, ParamValue::I32(number)) => {
                if let Some((lowest, highest)) = range(id) {
                    *number = (*number).clamp(lowest as i32, highest as i32);
                }
                true
            }
            (None, ParamValue::F32(number)) => {
                if let Some((lowest, highest)) = range(id) {
                    *number = number.clamp(lowest as f32, highest as f32);
                }
                true
            }
            _ => true,
        };
        if !known {
            unknown.push(stored::complaint(id, &shown(value)));
        }
        known
    });
    state.fields.insert(UNKNOWN_FIELD.to_owned(), unknown.join(", "));
}

/// The lowest and the highest value of a parameter that is a number; `None` if it is not.
fn range(id: &str) -> Option<(f64, f64)> {
    static RANGES: OnceLock<BTreeMap<String, (f64, f64)>> = OnceLock::new();
    let ranges = RANGES.get_or_init(|| {
        let params = AntiphonParams::new(Arc::default());
        // SAFETY: `params`, which the pointers lead into, lives until all have been read.
        let ends = |pointer| unsafe {
            match pointer {
                ParamPtr::FloatParam(p) => Some([0.0, 1.0].map(|end| f64::from((*p).preview_plain(end)))),
                ParamPtr::IntParam(p) => Some([0.0, 1.0].map(|end| f64::from((*p).preview_plain(end)))),
                ParamPtr::BoolParam(_) | ParamPtr::EnumParam(_) => None,
            }
        };
        let all = params.param_map().into_iter();
        all.filter_map(|(id, pointer, _)| ends(pointer).map(|[low, high]| (id, (low, high)))).collect()
    });
    ranges.get(id).copied()
}

/// A value as a message shows it.
fn shown(value: &ParamValue) -> String {
    match value {
        ParamValue::F32(number) => number.to_string(),
        ParamValue::I32(number) => number.to_string(),
        ParamValue::Bool(on) => on.to_string(),
        ParamValue::String(text) => format!("\"{text}\""),
    }
}

/// What a saved state contains besides the parameters.
#[derive(Debug, Default)]
pub struct State {
    status: Arc<Status>,
    /// Whether the state loaded last is of a later version than this release knows.
    newer: AtomicBool,
    /// How many states this instance has loaded.
    loads: AtomicU32,
    /// What no parameter understood in the state loaded last.
    unknown: Mutex<String>,
}

impl State {
    /// For an instance with this `status`.
    pub fn new(status: Arc<Status>) -> Self {
        Self { status, ..Self::default() }
    }

    /// How many states this instance has loaded; `None` if one is being loaded, by this instance or another.
    pub fn latest(&self) -> Option<u32> {
        latest(&LOADING, &self.loads)
    }

    /// Whether the project was saved by a later release; what this release does not know is ignored.
    pub fn is_newer(&self) -> bool {
        self.newer.load(Relaxed)
    }

    /// What no parameter understood in the project; empty if there is nothing. Never call it on the audio thread.
    pub fn unknown(&self) -> String {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The status as JSON, for test hosts.
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
            "silence_s": self.status.unresponsive_for().as_secs_f64(),
            "on_gpu": self.status.is_on_gpu(),
            "gpu_failures": self.status.counts.gpu_failures.get(),
            "restarts": self.status.counts.restarts.get(),
            "heard": self.status.counts.heard.get(),
            "played": self.status.counts.played.get(),
            "turns": self.status.counts.turns.get(),
            "late": self.status.counts.late.get(),
            "dropped": self.status.counts.dropped.get(),
            "given_up": self.status.counts.given_up.get(),
            "overflows": self.status.counts.overflows.get(),
            "invalid": self.status.counts.invalid.get(),
            "timeouts": self.status.counts.timeouts.get(),
            "hand_over_s": gauge(&self.status.hand_over_s),
            "note_us": gauge(&self.status.timing.note_us),
            "longest_note_us": gauge(&self.status.timing.longest_note_us),
            "rollback_us": Some(self.status.timing.rollbacks.longest()).filter(|us| us.is_finite()),
            "rollback_median_us": Some(self.status.timing.rollbacks.median()).filter(|us| us.is_finite()),
            "look_ahead_s": gauge(&self.status.timing.look_ahead_s),
        })
        .to_string()
    }
}

// SAFETY: it contains no parameters, hence no pointers that could dangle.
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
        // Loading a state ends with this.
        end(&LOADING, &self.loads);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::{Duration, Instant};

    use super::*;

    /// In its own cache line, so that two threads race as much as possible.
    #[repr(align(128))]
    #[derive(Default)]
    struct Apart<T>(T);

    /// Values that are always loaded together, and a reader that must never accept a mix. If `latest` read the counter
    /// before the flag, this test would find some hundred mixes in its half second.
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
