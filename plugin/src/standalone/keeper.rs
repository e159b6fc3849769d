//! Keeps the MIDI ports connected while they come and go. A thread polls the available ports a few times per second;
//! where the system sends notifications (JACK), urgent ones do not wait for the poll.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::host::Requests;
use super::ports::{Ports, bare};
use crate::ports::{Direction, MidiPorts};

/// The interval between two polls.
const POLL: Duration = Duration::from_millis(300);
/// How long to wait for sounding notes at the old port to end.
const SILENCE_TIMEOUT: Duration = Duration::from_millis(300);

/// An audio and MIDI system. Only used on the keeper's thread.
pub trait MidiSystem {
    /// The available ports; reopens the system if it has gone.
    fn poll(&mut self) -> Ports;

    /// Connects this port and no other; `None` disconnects.
    fn connect(&mut self, direction: Direction, port: Option<&str>) -> Result<(), String>;

    /// Whether a connected port has disappeared and come back between the last two polls, and thus is no longer
    /// connected.
    fn was_replugged(&self, direction: Direction, port: &str) -> bool;

    /// A problem with the system itself, as a sentence.
    fn trouble(&self) -> Option<String>;
}

/// The connection of one direction.
#[derive(Debug, Default, PartialEq)]
struct Connection {
    port: Option<String>,
    /// The port that was connected first. While the user has chosen none, it is preferred whenever it is available.
    home: Option<String>,
    /// The connected port has disappeared, and none has been connected since.
    lost: bool,
}

impl Connection {
    /// Updates the state from the available ports. Returns the port to connect (`Some(None)`: none); `None` if nothing
    /// changes.
    fn update(&mut self, chosen: Option<&str>, available: &[String]) -> Option<Option<String>> {
        if self.port.as_ref().is_some_and(|port| !available.contains(port)) {
            self.set_lost();
        }
        let home = self.home.as_deref().filter(|_| chosen.is_none());
        let home = home.and_then(|home| available.iter().find(|name| bare(name) == bare(home)).map(String::as_str));
        let wanted = home.or_else(|| Ports::chosen(chosen, available)).map(str::to_owned);
        (wanted != self.port).then_some(wanted)
    }

    /// The port has disappeared.
    fn set_lost(&mut self) {
        (self.port, self.lost) = (None, true);
    }

    /// The port has been connected.
    fn set_connected(&mut self, port: Option<String>) {
        if self.home.is_none() {
            self.home.clone_from(&port);
        }
        (self.port, self.lost) = (port, false);
    }
}

/// Keeps ports connected until `stop` is set. New notices are also printed to the terminal.
pub fn keep(mut system: Box<dyn MidiSystem>, ports: &MidiPorts, requests: &Requests, stop: &AtomicBool) {
    let mut connections = [Connection::default(), Connection::default()];
    while !stop.load(Ordering::Relaxed) {
        let available = system.poll();
        let lists = [&available.midi_in, &available.midi_out];
        let mut notices: Vec<String> = system.trouble().into_iter().collect();
        for (direction, (connection, list)) in
            [Direction::In, Direction::Out].into_iter().zip(connections.iter_mut().zip(lists))
        {
            let chosen = ports.side(direction).chosen;
            let was = connection.port.clone();
            if was.as_ref().is_some_and(|port| system.was_replugged(direction, port)) {
                connection.set_lost();
            }
            let wanted = connection.update(chosen.as_deref(), list);
            if connection.port != was && direction == Direction::In {
                requests.release_keys.store(true, Ordering::Relaxed);
            }
            let Some(wanted) = wanted else { continue };
            match direction {
                Direction::In => requests.release_keys.store(true, Ordering::Relaxed),
                // Once disconnected, notes that sound there could not be ended.
                Direction::Out if connection.port.is_some() => silence_output(requests),
                Direction::Out => {}
            }
            let was_lost = connection.lost;
            match system.connect(direction, wanted.as_deref()) {
                Ok(()) => {
                    connection.set_connected(wanted);
                    if direction == Direction::Out && was_lost {
                        requests.silence_output.store(true, Ordering::Relaxed);
                    }
                }
                Err(trouble) => {
                    connection.port = None;
                    notices.push(trouble);
                }
            }
        }
        let chosen = [Direction::In, Direction::Out].map(|direction| ports.side(direction).chosen);
        notices.extend(available.missing([chosen[0].as_deref(), chosen[1].as_deref()]));
        let connected = [&connections[0], &connections[1]].map(|connection| connection.port.clone());
        for new in ports.tell([available.midi_in, available.midi_out], connected, notices) {
            eprintln!("{new}");
        }
        thread::park_timeout(POLL);
    }
}

/// Ends all notes at the output before it is switched.
fn silence_output(requests: &Requests) {
    requests.silence_output.store(true, Ordering::Relaxed);
    let began = Instant::now();
    while requests.silence_output.load(Ordering::Relaxed) && began.elapsed() < SILENCE_TIMEOUT {
        thread::sleep(Duration::from_millis(2));
    }
    // Gives the latest block's messages time to leave.
    thread::sleep(Duration::from_millis(10));
}

/// The keeper's thread; dropping it ends the thread.
pub struct Keeper {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread. `open` runs on it: some systems' streams cannot be moved between threads.
    pub fn start(
        open: impl FnOnce() -> Box<dyn MidiSystem> + Send + 'static,
        ports: MidiPorts,
        requests: Arc<Requests>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shared) = (stop.clone(), ports.clone());
        let thread = thread::Builder::new()
            .name("antiphon ports".to_owned())
            .spawn(move || keep(open(), &shared, &requests, &stopped))?;
        ports.set_keeper(thread.thread().clone());
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It is too late to report a panic of the thread.
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

    /// The available ports, and the one that is connected then.
    type Poll<'a> = (&'a [&'a str], Option<&'a str>);

    /// A session on stage: the choice, then poll by poll.
    #[test]
    fn ports_are_connected_again_when_they_are_back() {
        let some = |name: &str| Some(name.to_owned());
        let [piano, organ] = ["Piano 20:0", "Organ 24:0"];
        let cases: [(Option<&str>, &[Poll]); 4] = [
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
            // The port that was connected first stays connected, whatever is plugged in later.
            (None, &[(&[], None), (&[organ], Some(organ)), (&[piano, organ], Some(organ))]),
            (None, &[(&[organ], Some(organ)), (&[piano], Some(piano)), (&[piano, "Organ 9:0"], Some("Organ 9:0"))]),
            (Some(""), &[(&[piano], None)]),
        ];
        for (chosen, polls) in cases {
            let mut connection = Connection::default();
            for (available, connected) in polls {
                let was = connection.port.clone();
                if let Some(wanted) = connection.update(chosen, &names(available)) {
                    assert_ne!(wanted, was.filter(|_| !connection.lost), "nothing is connected twice");
                    connection.set_connected(wanted);
                }
                assert_eq!(connection.port.as_deref(), *connected, "{chosen:?}, {available:?}");
            }
        }
        let mut connection = Connection::default();
        connection.set_connected(some(organ));
        assert_eq!(
            connection.update(Some(organ), &names(&[organ])),
            None,
            "whoever has taken it apart elsewhere is let do so"
        );
        connection.update(Some(organ), &[]);
        assert!(connection.lost);
    }

    /// A system that obeys and keeps a log.
    struct Told {
        polls: Vec<Vec<&'static str>>,
        parts: bool,
        log: Arc<std::sync::Mutex<Vec<String>>>,
        stop: Arc<AtomicBool>,
    }

    impl MidiSystem for Told {
        fn poll(&mut self) -> Ports {
            let available = names(&self.polls.remove(0));
            self.stop.store(self.polls.is_empty(), Ordering::Relaxed);
            Ports {
                midi_in: available.clone(),
                midi_out: available,
                audio_out: names(&["Speakers"]),
                ..Ports::default()
            }
        }

        fn connect(&mut self, direction: Direction, port: Option<&str>) -> Result<(), String> {
            self.log.lock().unwrap().push(format!("{direction:?} {}", port.unwrap_or("none")));
            Ok(())
        }

        fn was_replugged(&self, _: Direction, _: &str) -> bool {
            self.parts
        }

        fn trouble(&self) -> Option<String> {
            None
        }
    }

    #[test]
    fn what_has_gone_is_told_and_its_keys_are_let_go_of() {
        let (requests, log, stop) = (Requests::default(), Arc::default(), Arc::new(AtomicBool::new(false)));
        let ports = MidiPorts::default();
        ports.choose(Direction::In, Some("Piano".to_owned()));
        ports.choose(Direction::Out, Some("Piano".to_owned()));
        let play = |polls: &[&[&'static str]], parts: bool| {
            let polls = polls.iter().map(|poll| poll.to_vec()).collect();
            let system = Told { polls, parts, log: Arc::clone(&log), stop: stop.clone() };
            keep(Box::new(system), &ports, &requests, &stop);
            let asked =
                [&requests.release_keys, &requests.silence_output].map(|asked| asked.swap(false, Ordering::Relaxed));
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
