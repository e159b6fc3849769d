//! Fault injection: makes the generator fail on purpose, so that test hosts can see what the plugin does
//! then. Nothing is injected without the environment variable [`VARIABLE`], nor in builds without the feature
//! `fault-injection`, such as those that are released.

use std::thread;
use std::time::Duration;

/// Names the fault and the number of generated notes before it happens, as in `freeze=2.5@10` (once, for
/// 2.5 seconds), `slow=100@0` (every note takes 100 times as long), `panic@3` (after every three notes) or
/// `end@3` (likewise, without a panic).
const VARIABLE: &str = "ANTIPHON_FAULT";

/// The fault to inject, if any.
#[derive(Debug, Default)]
pub struct Fault {
    accident: Option<Accident>,
    /// Notes generated before it happens.
    after: u64,
    /// Notes generated since the last fault.
    notes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Accident {
    Freeze(Duration),
    Slow(f64),
    Panic,
    End,
}

impl Fault {
    /// Reads the fault from the environment.
    pub fn from_env() -> Self {
        if !cfg!(feature = "fault-injection") {
            return Self::default();
        }
        std::env::var(VARIABLE).ok().and_then(|text| Self::read(&text)).unwrap_or_default()
    }

    fn read(text: &str) -> Option<Self> {
        let (what, after) = text.split_once('@')?;
        let (name, figure) = what.split_once('=').unwrap_or((what, "0"));
        let figure: f64 = figure.parse().ok()?;
        let accident = match name {
            "freeze" => Accident::Freeze(Duration::try_from_secs_f64(figure).ok()?),
            "slow" => Accident::Slow(figure),
            "panic" => Accident::Panic,
            "end" => Accident::End,
            _ => return None,
        };
        Some(Self { accident: Some(accident), after: after.parse().ok()?, notes: 0 })
    }

    /// Call it after each generated note, with the time that it took. `true`: the thread is to end without a panic.
    pub fn strikes(&mut self, took: Duration) -> bool {
        let Some(accident) = self.accident else {
            return false;
        };
        self.notes += 1;
        if self.notes <= self.after {
            return false;
        }
        match accident {
            Accident::Freeze(time) => {
                self.accident = None;
                thread::sleep(time);
            }
            Accident::Slow(times) => thread::sleep(took.mul_f64((times - 1.0).clamp(0.0, 1e4))),
            Accident::Panic => {
                self.notes = 0;
                panic!("{VARIABLE} asks for it");
            }
            Accident::End => {
                self.notes = 0;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_can_be_asked_for() {
        let read = |text: &str| Fault::read(text).map(|fault| (fault.accident.unwrap(), fault.after));
        assert_eq!(read("freeze=2.5@10"), Some((Accident::Freeze(Duration::from_millis(2500)), 10)));
        assert_eq!(read("slow=100@0"), Some((Accident::Slow(100.0), 0)));
        assert_eq!(read("panic@3"), Some((Accident::Panic, 3)));
        assert_eq!(read("end@3"), Some((Accident::End, 3)));
        for nonsense in ["", "panic", "freeze=-1@3", "freeze=NaN@3", "flood@1", "panic@-1"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
