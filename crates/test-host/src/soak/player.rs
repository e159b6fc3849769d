//! Random input from a player and a host: notes, chords, controllers, wildcards, invalid events, parameters, transport.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_pcg::Pcg32;
use test_host::{Event, NoteEventKind, OmittedFields, Parameter, Timed, Timeline};

/// Ids of parameters that can make the plugin swallow or end the player's notes.
const SWALLOWING_PARAMS: [&str; 3] = ["pass", "trigby", "panic"];

/// Random characteristics of a session: some resemble music, others are event storms.
#[derive(Clone, Debug)]
pub struct SessionProfile {
    /// Probability of notes in a block while playing.
    notes: f64,
    /// Probability of an invalid event in a block.
    nonsense: f64,
    /// Probability of parameter changes in a block.
    parameters: f64,
    /// Probability of a transport change in a block.
    transport: f64,
    /// Probability of a transport event within a block, and of each further one.
    transport_events: f64,
    /// Longest periods of playing and of silence, in seconds.
    spells_s: [f64; 2],
    /// Whether parameters are changed that can swallow the player's notes.
    pub swallows: bool,
    /// Whether notes have ids. If so, there are no invalid events, which would confuse the note ids.
    ids: bool,
}

impl SessionProfile {
    /// Draws a random profile.
    pub fn draw(rng: &mut Pcg32) -> Self {
        let any = |rng: &mut Pcg32, most: f64| most * rng.random::<f64>().powi(3);
        let ids = rng.random_bool(0.3);
        Self {
            notes: rng.random_range(0.1..0.9),
            nonsense: if ids { 0.0 } else { any(rng, 0.2) },
            parameters: any(rng, 0.4),
            transport: any(rng, 0.1),
            transport_events: any(rng, 0.8),
            spells_s: [rng.random_range(0.05..2.0), rng.random_range(0.05..5.0)],
            swallows: rng.random_bool(0.3),
            ids,
        }
    }
}

/// Generates random input; see the [module](self).
pub struct Player {
    profile: SessionProfile,
    parameters: Vec<Parameter>,
    /// Keys that are down, by (channel, key), and the ids of their notes.
    down: BTreeMap<(u8, u8), Option<i32>>,
    /// The last note id used.
    id: i32,
    /// Sample rate, in hertz.
    rate: f64,
    /// When playing changes to silence or back, in samples since activation.
    next_switch: u64,
    playing: bool,
    /// The transport as the plugin sees it; `None` for a host without one.
    pub timeline: Option<Timeline>,
    /// The last transport event of this block: its offset in samples, and the transport at that point.
    last_update: Option<(u32, Timeline)>,
}

impl Player {
    /// A player with this profile, for a plugin with these parameters.
    pub fn new(profile: SessionProfile, rate: f64, parameters: &[Parameter], rng: &mut Pcg32) -> Self {
        let timeline = rng.random_bool(0.9).then(|| Timeline {
            playing: rng.random_bool(0.7),
            beats: rng.random_range(0.0..64.0),
            ..Timeline::standing(rng.random_range(20.0..999.0))
        });
        let swallows =
            |parameter: &Parameter| SWALLOWING_PARAMS.iter().any(|id| test_host::param_id(id) == parameter.id);
        // A software GPU driver is too slow for offline rendering, which waits only a few seconds.
        let device = test_host::param_id("device");
        let parameters = parameters.iter().filter(|parameter| parameter.id != device);
        let turned = parameters.filter(|parameter| parameter.writable && (profile.swallows || !swallows(parameter)));
        let parameters = turned.cloned().collect();
        Self {
            profile,
            parameters,
            down: BTreeMap::new(),
            id: 0,
            rate,
            next_switch: 0,
            playing: false,
            timeline,
            last_update: None,
        }
    }

    /// Resets the parameters that can swallow events to their defaults, at the block's first sample.
    pub fn reset_swallowing_params(all: &[Parameter], now: u64) -> Vec<Timed> {
        let swallowing =
            all.iter().filter(|parameter| SWALLOWING_PARAMS.iter().any(|id| test_host::param_id(id) == parameter.id));
        let event = |parameter: &Parameter| Event::Param { id: parameter.id, value: parameter.default };
        swallowing.map(|parameter| Timed { at: now, event: event(parameter) }).collect()
    }

    /// Initial parameter values for a session: often low, so that times and durations are short and much happens soon.
    pub fn set_up(&self, rng: &mut Pcg32, now: u64) -> Vec<Timed> {
        let turned = self.parameters.iter().filter(|parameter| !parameter.bypass && rng.random_bool(0.5));
        let turned: Vec<_> = turned.collect();
        let value = |parameter: &Parameter, rng: &mut Pcg32| {
            parameter.min + rng.random::<f64>().powi(3) * (parameter.max - parameter.min)
        };
        let event =
            |parameter: &Parameter, rng: &mut Pcg32| Event::Param { id: parameter.id, value: value(parameter, rng) };
        turned.into_iter().map(|parameter| Timed { at: now, event: event(parameter, rng) }).collect()
    }

    /// The events of the block of `frames` samples that starts at `now`; may also change the transport.
    pub fn block(&mut self, rng: &mut Pcg32, now: u64, frames: u32) -> Vec<Timed> {
        let mut events = Vec::new();
        let at = |rng: &mut Pcg32| now + u64::from(rng.random_range(0..frames.max(1)));
        if now >= self.next_switch {
            self.playing = !self.playing;
            let longest = self.profile.spells_s[usize::from(!self.playing)];
            self.next_switch = now + (rng.random_range(0.0..longest) * self.rate) as u64;
        }
        if self.playing && rng.random_bool(self.profile.notes) {
            let channel = if rng.random_bool(0.8) { 0 } else { rng.random_range(0..16) };
            let together = rng.random_bool(0.3).then(|| at(rng));
            for _ in 0..rng.random_range(1..5) {
                let (key, velocity) = (rng.random_range(40..80), rng.random_range(1..128));
                let event = match rng.random_bool(0.8) {
                    true if self.profile.ids => {
                        self.id += 1;
                        named(self.id, Some((channel, key)), NoteEventKind::On(f64::from(velocity) / 127.0))
                    }
                    true => Event::note_on(channel, key, velocity),
                    false => Event::Midi([0x90 | channel, key, velocity]),
                };
                events.push(Timed { at: together.unwrap_or_else(|| at(rng)), event });
            }
        }
        for (&(channel, key), &id) in &self.down {
            if !self.playing || rng.random_bool(0.4) {
                let event = match (rng.random_range(0..10), id) {
                    (4..=6, Some(id)) => named(id, None, NoteEventKind::Off(0.5)),
                    (7, Some(id)) => named(id, None, NoteEventKind::Choke),
                    (8, Some(id)) => named(id, Some((channel, key)), NoteEventKind::Off(0.5)),
                    (0, _) => Event::Midi([0x90 | channel, key, 0]),
                    (1, _) => Event::Midi([0x80 | channel, key, 64]),
                    (2, _) => Event::Choke { channel: channel.into(), key: key.into() },
                    _ => Event::note_off(channel, key),
                };
                events.push(Timed { at: at(rng), event });
            }
        }
        if rng.random_bool(0.05) {
            events.push(Timed { at: at(rng), event: controller(rng) });
        }
        while rng.random_bool(self.profile.nonsense) {
            events.push(Timed { at: at(rng), event: nonsense(rng) });
        }
        while rng.random_bool(self.profile.parameters) {
            events.extend(self.change_parameter(rng).map(|event| Timed { at: at(rng), event }));
        }
        if rng.random_bool(self.profile.transport) {
            self.move_transport(rng);
        }
        // At the same sample, transport events come first.
        events.splice(0..0, self.transport_events(rng, now, frames));
        events.sort_by_key(|timed| timed.at);
        self.track_keys(&events);
        events
    }

    /// Transport events within the block; most repeat the state that the plugin already expects.
    fn transport_events(&mut self, rng: &mut Pcg32, now: u64, frames: u32) -> Vec<Timed> {
        let mut updates = Vec::new();
        let begin = self.timeline.clone();
        let mut at = 0;
        while rng.random_bool(self.profile.transport_events) {
            let next = rng.random_range(at..frames.max(at + 1));
            if rng.random_bool(0.02) {
                self.move_transport(rng);
            }
            let Some(timeline) = &mut self.timeline else {
                break;
            };
            timeline.advance(next - at, self.rate);
            at = next;
            updates.push(Timed { at: now + u64::from(at), event: timeline.transport_event(self.rate) });
        }
        self.last_update =
            std::mem::replace(&mut self.timeline, begin).filter(|_| !updates.is_empty()).map(|there| (at, there));
        updates
    }

    /// Advances the transport to the end of the block.
    pub fn advance(&mut self, frames: u32) {
        let mut from = 0;
        if let Some((at, updates)) = self.last_update.take() {
            (from, self.timeline) = (at, Some(updates));
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.advance(frames - from, self.rate);
        }
    }

    /// Releases every key, at the block's first sample.
    pub fn let_go(&mut self, now: u64) -> Vec<Timed> {
        let offs = std::mem::take(&mut self.down).into_keys();
        offs.map(|(channel, key)| Timed { at: now, event: Event::note_off(channel, key) }).collect()
    }

    fn track_keys(&mut self, events: &[Timed]) {
        for timed in events {
            match (timed.event, timed.event.note()) {
                (Event::Named { id, .. }, Some((true, place))) => drop(self.down.insert(place, Some(id))),
                // Another note may be on its key by now.
                (Event::Named { id, kind: NoteEventKind::Off(_) | NoteEventKind::Choke, .. }, _) => {
                    self.down.retain(|_, down| *down != Some(id));
                }
                (_, Some((true, place))) => drop(self.down.insert(place, None)),
                (_, Some((false, place))) => drop(self.down.remove(&place)),
                (_, None) => {}
            }
        }
    }

    /// Changes a parameter, often to its default, so that a storm does not silence everything for good.
    fn change_parameter(&self, rng: &mut Pcg32) -> Option<Event> {
        let parameter = self.parameters.choose(rng)?;
        let value = if parameter.bypass {
            f64::from(u8::from(rng.random_bool(0.2)))
        } else {
            match rng.random_range(0..10) {
                0..=3 => parameter.default,
                4 => parameter.min,
                5 => parameter.max,
                6 if rng.random_bool(0.1) => strange(rng),
                _ => parameter.min + rng.random::<f64>() * (parameter.max - parameter.min),
            }
        };
        Some(Event::Param { id: parameter.id, value })
    }

    fn move_transport(&mut self, rng: &mut Pcg32) {
        let Some(timeline) = &mut self.timeline else {
            return;
        };
        match rng.random_range(0..10) {
            0..=3 => timeline.playing = !timeline.playing,
            4 => timeline.beats = rng.random_range(-8.0..256.0),
            5 => timeline.tempo = rng.random_range(20.0..999.0),
            6 => {
                let start = rng.random_range(-2.0..64.0);
                let looping = rng.random_bool(0.7);
                timeline.loop_range = looping.then(|| (start, start + rng.random_range(-0.5..16.0)));
            }
            7 => {
                let bits: u8 = rng.random();
                let bit = |number: u8| bits & (1 << number) != 0;
                timeline.omitted = OmittedFields { tempo: bit(0), beats: bit(1), seconds: bit(2), signature: bit(3) };
            }
            8 => {
                timeline.signature = (rng.random_range(0..32), rng.random_range(0..32));
                timeline.tempo_ramp = rng.random_range(-60.0..60.0);
            }
            _ => match rng.random_range(0..3) {
                0 => timeline.tempo = strange(rng),
                1 => timeline.beats = strange(rng),
                _ => *timeline = Timeline { playing: timeline.playing, ..Timeline::standing(120.0) },
            },
        }
        // Ramps and strange values would stay forever; usually, the tempo is reset to a sane value.
        if !(timeline.tempo > 1.0 && timeline.tempo < 2_000.0) && rng.random_bool(0.5) {
            timeline.tempo = 120.0;
            timeline.tempo_ramp = 0.0;
        }
    }
}

/// An event for a note with an id; without `place`, it names the note by its id alone.
fn named(id: i32, place: Option<(u8, u8)>, kind: NoteEventKind) -> Event {
    let (channel, key) = place.map_or((-1, -1), |(channel, key)| (channel.into(), key.into()));
    Event::Named { id, channel, key, kind }
}

fn controller(rng: &mut Pcg32) -> Event {
    let channel: u8 = rng.random_range(0..16);
    let value = rng.random_range(0..128);
    Event::Midi(match rng.random_range(0..8) {
        0..=3 => [0xb0, 64, value],
        4 => [0xb0 | channel, rng.random_range(0..128), value],
        5 => [0xb0 | channel, *[120, 121, 123].choose(rng).unwrap_or(&123), 0],
        6 => [0xe0 | channel, value, value],
        _ => [*[0xa0, 0xc0, 0xd0].choose(rng).unwrap_or(&0xa0) | channel, value, value],
    })
}

/// An event that a host should not send.
fn nonsense(rng: &mut Pcg32) -> Event {
    let number =
        |rng: &mut Pcg32| *[-1, -7, 3, 15, 16, 60, 127, 128, 255, i16::MAX, i16::MIN].choose(rng).unwrap_or(&-1);
    let (channel, key) = (number(rng), number(rng));
    match rng.random_range(0..6) {
        0 => Event::NoteOn { channel, key, velocity: strange(rng) },
        1 => Event::NoteOff { channel, key, velocity: strange(rng) },
        2 => Event::Choke { channel, key },
        3 => Event::End { channel, key },
        4 => Event::Midi(rng.random()),
        _ => Event::Param { id: rng.random(), value: strange(rng) },
    }
}

fn strange(rng: &mut Pcg32) -> f64 {
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -1.0, 1e300, -1e18, 1e-310, 2.5];
    *values.choose(rng).unwrap_or(&f64::NAN)
}
