//! JACK, or PipeWire in its place: a client with two audio outputs, a MIDI input and a MIDI output. The server may stop
//! and come back, and change its block size, at any time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jack::{
    AsyncClient, AudioOut, Client, ClientOptions, ClientStatus, Control, MidiIn, MidiOut, NotificationHandler, Port,
    PortFlags, PortId, ProcessHandler, ProcessScope, RawMidi, TransportState,
};

use super::host::{CHANNELS, Host, Incoming, Requests, Song};
use super::keeper::MidiSystem;
use super::message::Message;
use super::ports::Ports;
use crate::ports::Direction;

/// Names of the client and of its ports.
const NAME: &str = "antiphon";
const MIDI_IN: &str = "midi_input";
const MIDI_OUT: &str = "midi_output";
const AUDIO_OUT: [&str; CHANNELS] = ["output_1", "output_2"];
/// JACK's type string for MIDI ports.
const MIDI: &str = "8 bit raw midi";
/// The most incoming messages per block.
const INCOMING: usize = 4_096;

/// The JACK client, which reconnects when the server comes back.
pub struct Jack {
    host: Arc<Mutex<Host>>,
    client: Option<Running>,
}

struct Running {
    client: AsyncClient<Notices, Process>,
    notes: Arc<Notes>,
    /// A port has disappeared since the last poll.
    port_gone: bool,
}

/// JACK's notifications.
#[derive(Debug, Default)]
struct Notes {
    /// The server has stopped.
    lost: AtomicBool,
    /// A port has disappeared.
    port_gone: AtomicBool,
}

/// JACK's MIDI ports, if it is running.
pub fn find() -> Option<Ports> {
    let (client, _) = Client::new("antiphon-look", ClientOptions::NO_START_SERVER).ok()?;
    Some(ports(&client))
}

/// All MIDI ports except the app's own.
fn ports(client: &Client) -> Ports {
    let midi = |flags| {
        let mut names = client.ports(None, Some(MIDI), flags);
        names.retain(|name| !name.starts_with(&format!("{}:", client.name())));
        names
    };
    let (midi_in, midi_out) = (midi(PortFlags::IS_OUTPUT), midi(PortFlags::IS_INPUT));
    Ports { jack: true, rate: client.sample_rate(), midi_in, midi_out, ..Ports::default() }
}

impl Jack {
    /// The client is opened as soon as there is a server.
    pub fn new(host: Arc<Mutex<Host>>) -> Self {
        Self { host, client: None }
    }

    fn open(&self) -> Result<Running, jack::Error> {
        let (client, _) = Client::new(NAME, ClientOptions::NO_START_SERVER)?;
        let [left, right] = AUDIO_OUT;
        let audio =
            [client.register_port(left, AudioOut::default())?, client.register_port(right, AudioOut::default())?];
        let requests = {
            let mut host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
            host.start(client.sample_rate().into());
            host.requests()
        };
        let process = Process {
            host: self.host.clone(),
            requests,
            audio,
            midi_in: client.register_port(MIDI_IN, MidiIn::default())?,
            midi_out: client.register_port(MIDI_OUT, MidiOut::default())?,
            incoming: Vec::with_capacity(INCOMING),
            connections: 0,
        };
        let notes = Arc::new(Notes::default());
        let client = client.activate_async(Notices(notes.clone()), process)?;
        // Connect to the speakers; a missing port is not an error.
        for (place, port) in AUDIO_OUT.iter().enumerate() {
            let own = format!("{}:{port}", client.as_client().name());
            let _ = client.as_client().connect_ports_by_name(&own, &format!("system:playback_{}", place + 1));
        }
        Ok(Running { client, notes, port_gone: false })
    }
}

impl MidiSystem for Jack {
    fn poll(&mut self) -> Ports {
        if self.client.as_ref().is_some_and(|running| running.notes.lost.load(Ordering::Relaxed)) {
            self.client = None;
        }
        if self.client.is_none() {
            self.client = self.open().ok();
        }
        match &mut self.client {
            Some(running) => {
                running.port_gone = running.notes.port_gone.swap(false, Ordering::Relaxed);
                ports(running.client.as_client())
            }
            None => Ports { jack: true, no_jack: true, ..Ports::default() },
        }
    }

    fn connect(&mut self, direction: Direction, port: Option<&str>) -> Result<(), String> {
        let Some(running) = &self.client else {
            return Ok(());
        };
        let client = running.client.as_client();
        let name = |own: &str| format!("{}:{own}", client.name());
        let failed = |port: &str| format!("JACK could not connect `{port}`.");
        let own = if direction == Direction::In { MIDI_IN } else { MIDI_OUT };
        if let Some(own) = client.port_by_name(&name(own)) {
            for other in own.get_connections() {
                let _ = match direction {
                    Direction::In => client.disconnect_ports_by_name(&other, &own.name().unwrap_or_default()),
                    Direction::Out => client.disconnect_ports_by_name(&own.name().unwrap_or_default(), &other),
                };
            }
        }
        let Some(port) = port else {
            return Ok(());
        };
        let connected = match direction {
            Direction::In => client.connect_ports_by_name(port, &name(own)),
            Direction::Out => client.connect_ports_by_name(&name(own), port),
        };
        match connected {
            Ok(()) | Err(jack::Error::PortAlreadyConnected(..)) => Ok(()),
            Err(_) => Err(failed(port)),
        }
    }

    // If no port has disappeared, the user has disconnected it on purpose, in another program.
    fn was_replugged(&self, direction: Direction, port: &str) -> bool {
        let Some(running) = self.client.as_ref().filter(|running| running.port_gone) else {
            return false;
        };
        let client = running.client.as_client();
        let own = if direction == Direction::In { MIDI_IN } else { MIDI_OUT };
        let own = client.port_by_name(&format!("{}:{own}", client.name()));
        own.is_some_and(|own| own.is_connected_to(port).is_ok_and(|connected| !connected))
    }

    fn trouble(&self) -> Option<String> {
        let missing = "JACK is not running. Start it, and Antiphon connects by itself.";
        self.client.is_none().then(|| missing.to_owned())
    }
}

/// Receives JACK's notifications.
struct Notices(Arc<Notes>);

impl NotificationHandler for Notices {
    unsafe fn shutdown(&mut self, _: ClientStatus, _: &str) {
        self.0.lost.store(true, Ordering::Relaxed);
    }

    fn port_registration(&mut self, _: &Client, _: PortId, is_registered: bool) {
        if !is_registered {
            self.0.port_gone.store(true, Ordering::Relaxed);
        }
    }
}

/// Runs on JACK's audio thread.
struct Process {
    host: Arc<Mutex<Host>>,
    requests: Arc<Requests>,
    audio: [Port<AudioOut>; CHANNELS],
    midi_in: Port<MidiIn>,
    midi_out: Port<MidiOut>,
    incoming: Vec<Incoming>,
    /// The number of the input's connections in the previous block.
    connections: usize,
}

impl ProcessHandler for Process {
    fn process(&mut self, client: &Client, scope: &ProcessScope) -> Control {
        let connections = self.midi_in.connected_count().unwrap_or_default();
        if connections < self.connections {
            self.requests.release_keys.store(true, Ordering::Relaxed);
        }
        self.connections = connections;
        self.incoming.clear();
        for event in self.midi_in.iter(scope) {
            if let Some(message) = Message::read(event.bytes)
                && self.incoming.len() < INCOMING
            {
                self.incoming.push((event.time, message));
            }
        }
        let [left, right] = &mut self.audio;
        let audio = [left.as_mut_slice(scope), right.as_mut_slice(scope)];
        let mut out = self.midi_out.writer(scope);
        // Another client of the app holds the lock only while the server is being replaced: this client is about to
        // close.
        let Ok(mut host) = self.host.try_lock() else {
            audio.into_iter().for_each(|channel| channel.fill(0.0));
            return Control::Continue;
        };
        let requests = &self.requests;
        host.block(audio, song(client), &self.incoming, |at, message| {
            if out.write(&RawMidi { time: at, bytes: message.bytes() }).is_err() {
                // No room: end the affected notes in the next block.
                requests.silence_output.store(true, Ordering::Relaxed);
            }
        });
        Control::Continue
    }
}

/// The position of JACK's transport.
fn song(client: &Client) -> Song {
    let Ok(transport) = client.transport().query() else {
        return Song::default();
    };
    let playing = transport.state == TransportState::Rolling;
    match transport.pos.bbt() {
        Some(bbt) => {
            let beat = 4.0 / f64::from(bbt.sig_denom);
            let bar = (bbt.bar as f64 - 1.0) * f64::from(bbt.sig_num) * beat;
            let position = bar + (bbt.beat as f64 - 1.0 + bbt.tick as f64 / bbt.ticks_per_beat) * beat;
            Song {
                playing,
                leads: true,
                position: Some(position),
                seconds: None,
                // In quarter notes; JACK counts the beats of the time signature.
                tempo: Some(bbt.bpm * beat),
                signature: Some((bbt.sig_num as i32, bbt.sig_denom as i32)),
                bar: Some(bar),
            }
        }
        None => Song { playing, leads: true, seconds: Some(seconds(&transport.pos, client)), ..Song::default() },
    }
}

fn seconds(position: &jack::TransportPosition, client: &Client) -> f64 {
    f64::from(position.frame()) / f64::from(client.sample_rate().max(1))
}
