//! Keeps the MIDI ports connected: they come and go while somebody plays. One thread of its own looks what there is, some
//! times a second; where the system tells by itself (JACK), what is urgent does not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::host::Asks;
use super::ports::{Ports, bare};
use crate::ports::{Direction, MidiPorts};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(300);
/// How long what sounds at the old port may take to end.
const CALM: Duration = Duration::from_millis(300);

/// A way into the system. All of it is used on the keeper's thread.
pub trait System {
    /// The ports that there are now; the system is opened again if it has gone away.
    fn look(&mut self) -> Ports;

    /// Connects one port and no other, or none.
    fn connect(&mut self, direction: Direction, port: Option<&str>) -> Result<(), String>;

    /// Whether a port that was connected has gone and come back between the last two looks, and so is connected no more.
    fn has_parted(&self, direction: Direction, port: &str) -> bool;

    /// What is wrong with the system itself: a sentence.
    fn trouble(&self) -> Option<String>;
}

/// One direction, as it is connected.
#[derive(Debug, Default, PartialEq)]
struct Joined {
    port: Option<String>,
    /// Where nothing is chosen, the keyboard that was connected first is: it is taken back when it comes back.
    home: Option<String>,
    /// What was connected has gone away since something was.
    lost: bool,
}

impl Joined {
    /// What has gone away, and what is to be connected; `None`: all stays as it is.
    fn look(&mut self, chosen: Option<&str>, there: &[String]) -> Option<Option<String>> {
        if self.port.as_ref().is_some_and(|port| !there.contains(port)) {
            self.part();
        }
        let home = self.home.as_deref().filter(|_| chosen.is_none());
        let home = home.and_then(|home| there.iter().find(|name| bare(name) == bare(home)).map(String::as_str));
        let wanted = home.or_else(|| Ports::chosen(chosen, there)).map(str::to_owned);
        (wanted != self.port).then_some(wanted)
    }

    /// It has gone away.
    fn part(&mut self) {
        (self.port, self.lost) = (None, true);
    }

    /// It is connected.
    fn join(&mut self, port: Option<String>) {
        if self.home.is_none() {
            self.home.clone_from(&port);
        }
        (self.port, self.lost) = (port, false);
    }
}

/// Keeps ports connected until it is to `stop`. What is new and missing is told in the terminal, too.
pub fn keep(mut system: Box<dyn System>, ports: &MidiPorts, asks: &Asks, stop: &AtomicBool) {
    let mut joined = [Joined::default(), Joined::default()];
    while !stop.load(Ordering::Relaxed) {
        let there = system.look();
        let lists = [&there.midi_in, &there.midi_out];
        let mut notices: Vec<String> = system.trouble().into_iter().collect();
        for (direction, (joined, list)) in [Direction::In, Direction::Out].into_iter().zip(joined.iter_mut().zip(lists))
        {
            let chosen = ports.side(direction).chosen;
            let was = joined.port.clone();
            if was.as_ref().is_some_and(|port| system.has_parted(direction, port)) {
                joined.part();
            }
            let wanted = joined.look(chosen.as_deref(), list);
            if joined.port != was && direction == Direction::In {
                asks.release.store(true, Ordering::Relaxed);
            }
            let Some(wanted) = wanted else { continue };
            match direction {
                Direction::In => asks.release.store(true, Ordering::Relaxed),
                // Nobody ends there what sounds, once it is no longer connected.
                Direction::Out if joined.port.is_some() => calm(asks),
                Direction::Out => {}
            }
            let was_lost = joined.lost;
            match system.connect(direction, wanted.as_deref()) {
                Ok(()) => {
                    joined.join(wanted);
                    if direction == Direction::Out && was_lost {
                        asks.calm.store(true, Ordering::Relaxed);
                    }
                }
                Err(trouble) => {
                    joined.port = None;
                    notices.push(trouble);
                }
            }
        }
        let chosen = [Direction::In, Direction::Out].map(|direction| ports.side(direction).chosen);
        notices.extend(there.missing([chosen[0].as_deref(), chosen[1].as_deref()]));
        let connected = [&joined[0], &joined[1]].map(|joined| joined.port.clone());
        for new in ports.tell([there.midi_in, there.midi_out], connected, notices) {
            eprintln!("{new}");
        }
        thread::park_timeout(LOOK);
    }
}

/// Has all that sounds at the output end, before it is another.
fn calm(asks: &Asks) {
    asks.calm.store(true, Ordering::Relaxed);
    let began = Instant::now();
    while asks.calm.load(Ordering::Relaxed) && began.elapsed() < CALM {
        thread::sleep(Duration::from_millis(2));
    }
    // What was asked for in the latest block leaves with it.
    thread::sleep(Duration::from_millis(10));
}

/// The running thread; dropping it ends it.
pub struct Keeper {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Keeper {
    /// Starts it. `open` is called on the thread itself: not every system lets its streams go from one to another.
    pub fn start(
        open: impl FnOnce() -> Box<dyn System> + Send + 'static,
        ports: MidiPorts,
        asks: Arc<Asks>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shared) = (stop.clone(), ports.clone());
        let thread = thread::Builder::new()
            .name("antiphon ports".to_owned())
            .spawn(move || keep(open(), &shared, &asks, &stopped))?;
        ports.set_keeper(thread.thread().clone());
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // There is nobody left to tell of a panic.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// What happens on a stage, look by look: what is chosen, what there is, and what is connected then.
    #[test]
    fn ports_are_connected_again_when_they_are_back() {
        let some = |name: &str| Some(name.to_owned());
        let [piano, organ] = ["Piano 20:0", "Organ 24:0"];
        let cases: [(Option<&str>, &[(&[&str], Option<&str>)]); 4] = [
            (
                Some(organ),
                &[
                    (&[piano], None),
                    (&[piano, organ], Some(organ)),
                    (&[piano], None),
                    (&[], None),
                    (&["Organ 28:0"], Some("Organ 28:0")),
                ],
            ),
            // The first keyboard there is stays the first, whatever is plugged in beside it.
            (None, &[(&[], None), (&[organ], Some(organ)), (&[piano, organ], Some(organ))]),
            (None, &[(&[organ], Some(organ)), (&[piano], Some(piano)), (&[piano, "Organ 9:0"], Some("Organ 9:0"))]),
            (Some(""), &[(&[piano], None)]),
        ];
        for (chosen, looks) in cases {
            let mut joined = Joined::default();
            for (there, connected) in looks {
                let was = joined.port.clone();
                if let Some(wanted) = joined.look(chosen, &names(there)) {
                    assert_ne!(wanted, was.filter(|_| !joined.lost), "nothing is connected twice");
                    joined.join(wanted);
                }
                assert_eq!(joined.port.as_deref(), *connected, "{chosen:?}, {there:?}");
            }
        }
        let mut joined = Joined::default();
        joined.join(some(organ));
        assert_eq!(
            joined.look(Some(organ), &names(&[organ])),
            None,
            "whoever has taken it apart elsewhere is let do so"
        );
        joined.look(Some(organ), &[]);
        assert!(joined.lost);
    }

    /// A system that does as it is told, and writes it down.
    struct Told {
        looks: Vec<Vec<&'static str>>,
        parts: bool,
        log: Arc<std::sync::Mutex<Vec<String>>>,
        stop: Arc<AtomicBool>,
    }

    impl System for Told {
        fn look(&mut self) -> Ports {
            let there = names(&self.looks.remove(0));
            self.stop.store(self.looks.is_empty(), Ordering::Relaxed);
            Ports { midi_in: there.clone(), midi_out: there, audio_out: names(&["Speakers"]), ..Ports::default() }
        }

        fn connect(&mut self, direction: Direction, port: Option<&str>) -> Result<(), String> {
            self.log.lock().unwrap().push(format!("{direction:?} {}", port.unwrap_or("none")));
            Ok(())
        }

        fn has_parted(&self, _: Direction, _: &str) -> bool {
            self.parts
        }

        fn trouble(&self) -> Option<String> {
            None
        }
    }

    #[test]
    fn what_has_gone_is_told_and_its_keys_are_let_go_of() {
        let (asks, log, stop) = (Asks::default(), Arc::default(), Arc::new(AtomicBool::new(false)));
        let ports = MidiPorts::default();
        ports.choose(Direction::In, Some("Piano".to_owned()));
        ports.choose(Direction::Out, Some("Piano".to_owned()));
        let play = |looks: &[&[&'static str]], parts: bool| {
            let looks = looks.iter().map(|look| look.to_vec()).collect();
            let system = Told { looks, parts, log: Arc::clone(&log), stop: stop.clone() };
            keep(Box::new(system), &ports, &asks, &stop);
            let asked = [&asks.release, &asks.calm].map(|asked| asked.swap(false, Ordering::Relaxed));
            stop.store(false, Ordering::Relaxed);
            asked
        };
        assert_eq!(play(&[&["Piano"], &[]], false), [true, false]);
        assert!(ports.notices().iter().any(|notice| notice.contains("`Piano`")), "{:?}", ports.notices());
        assert_eq!(ports.side(Direction::In).connected, None);
        assert_eq!(play(&[&["Piano"], &[], &["Piano"]], false), [true, true], "what sounded when it went is ended");
        assert_eq!(ports.notices(), names(&[]));
        assert_eq!(ports.side(Direction::Out).connected.as_deref(), Some("Piano"));
        let connected = log.lock().unwrap().iter().filter(|line| line.ends_with("Piano")).count();
        assert_eq!(connected, 6);
        assert_eq!(
            play(&[&["Piano"], &["Piano"]], true),
            [true, true],
            "away for less than the time between two looks"
        );
        let connected = log.lock().unwrap().iter().filter(|line| line.ends_with("Piano")).count();
        assert_eq!(connected, 10);
    }
}
