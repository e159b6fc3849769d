//! Random scenarios: what a player, automation lanes and a transport do, and when. Everything derives from a seed; all
//! automatable parameters of the plugin are used.
//!
//! Times are in *ticks* of 1/300 s. A tick is a whole number of samples at 44.1, 48 and 96 kHz, so the player's events
//! are at exactly the same times at each of these rates.

use anyhow::Result;
use rand::Rng;
use rand_pcg::Pcg32;
use test_host::{Change, Event, Parameter, Plugin, Timed, Timeline};

use super::tempo::TempoMap;

/// Ticks per second.
pub const TICKS: u64 = 300;
/// A little more than the longest block, in ticks.
const LONGEST: u64 = 30;
/// Default of the silence in beats.
const DEFAULT_BEATS: f64 = 2.0;
/// CLAP ids of parameters that silence a scenario; they are changed only rarely.
const SILENCING_PARAMS: [&str; 3] = ["bypass", "forget", "panic"];

/// Converts ticks to samples.
pub fn samples(ticks: u64, rate: f64) -> u64 {
    // Exact for every sample rate that is a multiple of 300.
    ticks * (rate as u64) / TICKS
}

/// Converts seconds to ticks, rounded to the nearest.
pub fn ticks(seconds: f64) -> u64 {
    (seconds * TICKS as f64).round() as u64
}

/// A parameter that a scenario can change.
#[derive(Clone, Debug)]
pub struct Knob {
    /// The parameter as the plugin describes it.
    pub parameter: Parameter,
    /// For a time: the values to choose from, each with its duration in ticks or in beats. Empty if any value in the
    /// range may be chosen.
    values: Vec<(f64, f64)>,
    /// For a choice: the names of its values.
    names: Vec<String>,
    /// Whether it is one of [`SILENCING_PARAMS`].
    quietens: bool,
}

impl Knob {
    /// Whether the parameter chooses between a few named values.
    fn is_choice(&self) -> bool {
        !self.names.is_empty()
    }

    fn called(&self, name: &str) -> Option<f64> {
        let index = self.names.iter().position(|known| known == name)?;
        Some(self.parameter.min + index as f64)
    }

    fn random(&self, rng: &mut Pcg32) -> f64 {
        let Parameter { min, max, stepped, .. } = self.parameter;
        if !self.values.is_empty() {
            return self.values[rng.random_range(0..self.values.len())].0;
        }
        let value = min + (max - min) * rng.random::<f64>();
        if stepped { (min + ((max - min + 1.0) * rng.random::<f64>()).floor()).min(max) } else { value }
    }
}

/// Every parameter that can be automated.
pub fn knobs(plugin: &mut Plugin) -> Result<Vec<Knob>> {
    let parameters = plugin.parameters()?;
    let silencing = SILENCING_PARAMS.map(test_host::param_id);
    parameters
        .into_iter()
        .filter(|parameter| parameter.writable && parameter.automatable)
        .map(|parameter| {
            let values = times(plugin, &parameter)?;
            let names = names(plugin, &parameter)?;
            let quietens = silencing.contains(&parameter.id);
            Ok(Knob { parameter, values, names, quietens })
        })
        .collect()
}

/// The names of a parameter's values, if it chooses between a few; otherwise empty.
fn names(plugin: &mut Plugin, parameter: &Parameter) -> Result<Vec<String>> {
    let &Parameter { id, min, max, stepped, .. } = parameter;
    if !stepped || !(2.0..=12.0).contains(&(max - min)) {
        return Ok(Vec::new());
    }
    (0..=(max - min) as u32).map(|index| plugin.text_of(id, min + f64::from(index))).collect()
}

/// For a parameter in milliseconds: values that are whole ticks, so that the times they set fall on a sample at every
/// rate. For one in beats: evenly spaced values. For others: none.
fn times(plugin: &mut Plugin, parameter: &Parameter) -> Result<Vec<(f64, f64)>> {
    let mut values = Vec::new();
    let text = plugin.text_of(parameter.id, parameter.default)?;
    let Some(unit) = [" ms", " beats"].into_iter().find(|unit| text.ends_with(unit)) else {
        return Ok(values);
    };
    for share in 0..=40 {
        let value = parameter.min + (parameter.max - parameter.min) * f64::from(share) / 40.0;
        let text = plugin.text_of(parameter.id, value)?;
        let mut shown: f64 = text.trim_end_matches(unit).parse()?;
        let mut amount = shown;
        if unit == " ms" {
            shown = (shown / 10.0).round() * 10.0;
            amount = ticks(shown / 1e3) as f64;
        }
        let value = plugin.value_read(parameter.id, &format!("{shown}{unit}"))?;
        if (parameter.min..=parameter.max).contains(&value) {
            values.push((value, amount));
        }
    }
    Ok(values)
}

/// A random scenario; see the [module](self).
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its number among the scenarios of a seed.
    pub number: u64,
    /// Events of the player and of automation: (tick, event), ascending.
    pub events: Vec<(u64, Event)>,
    /// The transport at the start; `None` for a host without one.
    pub timeline: Option<Timeline>,
    /// Changes of the transport: (tick, change), ascending.
    pub changes: Vec<(u64, Change)>,
    /// Whether the host splits its blocks at tempo changes and at the loop's end.
    pub cuts: bool,
    /// The last tick.
    pub end: u64,
}

impl Scenario {
    /// A different scenario for every number and seed.
    pub fn new(seed: u64, number: u64, knobs: &[Knob]) -> Self {
        let rng = &mut model::note_rng(seed, number);
        let mut events = Vec::new();
        set_up(&mut events, knobs, rng);
        let turns = rng.random_range(1..=3);
        let mut now = rng.random_range(0..60);
        for _ in 0..turns {
            now = phrase(&mut events, now, rng);
            now += rng.random_range(150..900);
        }
        let end = now + rng.random_range(600..900);
        if rng.random_bool(0.2) {
            trigger(&mut events, knobs, end, rng);
        }
        automate(&mut events, number, knobs, end, rng);
        // The sort is stable, so at the same tick the settings come first.
        events.sort_by_key(|event| event.0);

        let timeline = rng.random_bool(0.85).then(|| timeline(rng));
        let mut scenario = Self { number, events, timeline, changes: Vec::new(), cuts: rng.random_bool(0.5), end };
        if let Some(timeline) = &scenario.timeline {
            let moments = moments(&scenario.events, knobs);
            let tried = (0..100).map(|_| changes(timeline, &moments, end, rng));
            let with = |changes: &Vec<_>| Self { changes: changes.clone(), ..scenario.clone() };
            let known = |changes: &Vec<_>| is_known(&with(changes), &moments, knobs);
            scenario.changes = tried.into_iter().find(known).unwrap_or_default();
        }
        scenario
    }

    /// A phrase after some `settings`, followed only by the model's answer, with a transport that rolls at `tempo`.
    /// Also returns the tick of the last key's release.
    pub fn plain(seed: u64, number: u64, settings: &[Event], tempo: f64, end: u64) -> (Self, u64) {
        let rng = &mut model::note_rng(seed ^ 0x0091_a190, number);
        let mut events: Vec<_> = settings.iter().map(|&setting| (0, setting)).collect();
        let release = phrase(&mut events, 30, rng);
        // Without pedals, whose release would come after that of the last key.
        events.retain(|event| !matches!(event.1, Event::Midi([status, ..]) if status & 0xf0 == 0xb0));
        events.sort_by_key(|event| event.0);
        let timeline = Some(Timeline::rolling(tempo));
        (Self { number, events, timeline, changes: Vec::new(), cuts: true, end }, release)
    }

    /// The events for the plugin, at this sample rate.
    pub fn timed(&self, rate: f64) -> Vec<Timed> {
        self.events.iter().map(|&(at, event)| Timed { at: samples(at, rate), event }).collect()
    }

    /// Whether this parameter is changed after the start.
    pub fn automates(&self, parameter: &Parameter) -> bool {
        self.events.iter().any(|&(at, event)| at > 1 && matches!(event, Event::Param { id, .. } if id == parameter.id))
    }

    /// Whether one of these parameters is changed.
    pub fn moves(&self, ids: &[&str]) -> bool {
        let moved = |event: &Event| matches!(event, Event::Param { id, .. } if ids.iter().any(|name| test_host::param_id(name) == *id));
        self.events.iter().any(|(_, event)| moved(event))
    }

    /// Whether *Panic* is triggered at this sample. It also ends the player's notes, before the player releases them.
    pub fn panics(&self, sample: u64, rate: f64) -> bool {
        let panic = test_host::param_id("panic");
        let here = |at: u64| samples(at, rate) == sample;
        self.events.iter().any(|&(at, event)| here(at) && matches!(event, Event::Param { id, .. } if id == panic))
    }

    /// Prints the scenario, for debugging a failure.
    pub fn print(&self, knobs: &[Knob]) {
        println!("{:?}, cuts: {}", self.timeline, self.cuts);
        for (at, change) in &self.changes {
            println!("{:9.4} s {change:?}", *at as f64 / TICKS as f64);
        }
        for (at, event) in &self.events {
            let knob = |id| knobs.iter().find(|knob| knob.parameter.id == id);
            let at = *at as f64 / TICKS as f64;
            match *event {
                Event::Param { id, value } => {
                    println!("{at:9.4} s {} {value}", knob(id).map_or("?", |knob| &knob.parameter.name))
                }
                event => println!("{at:9.4} s {event:?}"),
            }
        }
    }

    /// The tempo map; times in seconds.
    pub fn tempo_map(&self) -> TempoMap {
        let changes = self.changes.iter().map(|&(at, change)| (at as f64 / TICKS as f64, change));
        TempoMap::new(self.timeline.as_ref(), changes, self.cuts)
    }

    /// Times in seconds at which the model may have to regenerate notes, or a turn may begin or end.
    pub fn causes(&self) -> Vec<f64> {
        let events = self.events.iter().map(|event| event.0);
        let changes = self.changes.iter().filter(|change| !change.1.is_of_tempo()).map(|change| change.0);
        events.chain(changes).map(|at| at as f64 / TICKS as f64).collect()
    }

    /// The changes of the transport, at this sample rate.
    pub fn changes(&self, rate: f64) -> Vec<(u64, Change)> {
        self.changes.iter().map(|&(at, change)| (samples(at, rate), change)).collect()
    }
}

fn set(knob: &Knob, value: f64) -> Event {
    Event::Param { id: knob.parameter.id, value }
}

/// Initial settings: a short silence, a random seed, and random values for some other parameters.
fn set_up(events: &mut Vec<(u64, Event)>, knobs: &[Knob], rng: &mut Pcg32) {
    let (silence, seed) = (test_host::param_id("silence"), test_host::param_id("seed"));
    for knob in knobs {
        let value = if knob.parameter.id == silence {
            // The parameter is skewed: its lower half covers 50 to about 700 ms.
            let short = (knob.values.len() / 2).max(1);
            knob.values[rng.random_range(0..short)].0
        } else if knob.parameter.id == seed || (!knob.quietens && rng.random_bool(chance(knob, 0.3, 0.12))) {
            knob.random(rng)
        } else {
            continue;
        };
        events.push((0, set(knob, value)));
    }
}

fn chance(knob: &Knob, choice: f64, other: f64) -> f64 {
    if knob.is_choice() { choice } else { other }
}

/// Adds automation: in each scenario a different first parameter, in rotation, and some random ones.
fn automate(events: &mut Vec<(u64, Event)>, number: u64, knobs: &[Knob], end: u64, rng: &mut Pcg32) {
    for lane in 0..rng.random_range(1..5) {
        let any = rng.random_range(0..knobs.len());
        let knob = &knobs[if lane == 0 { number as usize % knobs.len() } else { any }];
        let moves = if knob.quietens { 1 } else { rng.random_range(1..=4) };
        for _ in 0..moves {
            events.push((rng.random_range(0..end), set(knob, knob.random(rng))));
        }
    }
}

/// The possible triggers besides the button: name, and MIDI status and number of the event that operates it. Key and
/// controller numbers are the defaults.
const TRIGGERS: [(&str, u8, u8); 5] = [
    ("key", 0x90, 24),
    ("controller", 0xb0, 80),
    ("sustain pedal", 0xb0, 64),
    ("sostenuto pedal", 0xb0, 66),
    ("soft pedal", 0xb0, 67),
];

/// Adds a trigger: the model plays while it is held, or from one press to the next.
fn trigger(events: &mut Vec<(u64, Event)>, knobs: &[Knob], end: u64, rng: &mut Pcg32) {
    let (name, status, number) = TRIGGERS[rng.random_range(0..TRIGGERS.len())];
    for (id, name) in [("mode", "trigger"), ("trigby", name)] {
        let knob = knobs.iter().find(|knob| knob.parameter.id == test_host::param_id(id));
        let chosen = knob.and_then(|knob| Some(set(knob, knob.called(name)?)));
        // After the random settings, and before the player's events.
        events.extend(chosen.map(|chosen| (1, chosen)));
    }
    let mut now = 2;
    loop {
        now += rng.random_range(2..400);
        if now >= end {
            break;
        }
        events.push((now, Event::Midi([status, number, 100])));
        now += rng.random_range(2..600);
        events.push((now, Event::Midi([status, number, 0])));
    }
}

/// Adds a phrase of single notes and chords on one channel, starting at tick `from`; returns the tick of the last key's
/// release.
fn phrase(events: &mut Vec<(u64, Event)>, from: u64, rng: &mut Pcg32) -> u64 {
    let channel = if rng.random_bool(0.7) { 0 } else { rng.random_range(0..16) };
    // As raw MIDI, as from a keyboard, or as CLAP notes.
    let midi = rng.random_bool(0.3);
    let mut up = [0; 128];
    let (mut onset, mut end) = (from, from);
    for _ in 0..rng.random_range(2..14) {
        let key = rng.random_range(36..90);
        let velocity = rng.random_range(20..=127);
        let release = onset + rng.random_range(12..220);
        if onset >= up[usize::from(key)] {
            let (on, off) = if midi {
                (Event::Midi([0x90 | channel, key, velocity]), Event::Midi([0x80 | channel, key, 0]))
            } else {
                (Event::note_on(channel, key, velocity), Event::note_off(channel, key))
            };
            events.extend([(onset, on), (release, off)]);
            // At least a tick between release and next strike of a key: their order at the same sample is not defined.
            up[usize::from(key)] = release + 1;
            end = end.max(release);
        }
        let chord = rng.random_bool(0.3);
        onset += if chord { rng.random_range(0..8) } else { rng.random_range(15..110) };
    }
    for pedal in [64, 66, 67] {
        if rng.random_bool(0.12) {
            let down = rng.random_range(from..end);
            let up = rng.random_range(down..end + 200);
            let cc = |value| Event::Midi([0xb0 | channel, pedal, value]);
            events.extend([(down, cc(127)), (up, cc(0))]);
        }
    }
    end
}

fn timeline(rng: &mut Pcg32) -> Timeline {
    let tempo = rng.random_range(50.0..220.0f64);
    let mut timeline = if rng.random_bool(0.85) { Timeline::rolling(tempo) } else { Timeline::standing(tempo) };
    timeline.beats = if rng.random_bool(0.5) { 0.0 } else { rng.random_range(-4.0..400.0) };
    if rng.random_bool(0.4) {
        let mut line = 0.0;
        for _ in 0..3 {
            let signature = (rng.random_range(2..10), [4, 8][rng.random_range(0..2)]);
            timeline.signature_changes.push((line, signature));
            let bars = f64::from(rng.random_range(1..3));
            line += bars * f64::from(signature.0) * 4.0 / f64::from(signature.1);
        }
    }
    if rng.random_bool(0.25) {
        timeline.loop_range = Some(loop_range(timeline.beats, rng));
    }
    timeline
}

fn loop_range(beats: f64, rng: &mut Pcg32) -> (f64, f64) {
    let start = (beats + rng.random_range(0.0..2.0)).floor();
    (start, start + [0.5, 1.0, 2.0, 4.0, 7.0][rng.random_range(0..5)])
}

/// Random changes of the transport: tempo steps and ramps, jumps, loops, stops and starts, recording and pre-rolls.
fn changes(timeline: &Timeline, moments: &[u64], end: u64, rng: &mut Pcg32) -> Vec<(u64, Change)> {
    let mut changes = Vec::new();
    for _ in 0..rng.random_range(0..4) {
        let at = far_from(moments, end, 0, rng);
        if rng.random_bool(0.5) {
            changes.push((at, Change::Tempo(rng.random_range(50.0..220.0))));
        } else {
            // Gentle enough for the tempo to stay in a musical range.
            changes.push((at, Change::Ramp(rng.random_range(-6.0..20.0))));
            changes.push((far_from(moments, at + 600, at + 100, rng), Change::Ramp(0.0)));
        }
    }
    if rng.random_bool(0.3) {
        let at = rng.random_range(0..end);
        let (change, back) =
            if timeline.playing { (Change::Stop, Change::Start) } else { (Change::Start, Change::Stop) };
        changes.push((at, change));
        if rng.random_bool(0.7) {
            changes.push((at + rng.random_range(1..900), back));
        }
    }
    if rng.random_bool(0.25) {
        changes.push((rng.random_range(0..end), Change::Jump(rng.random_range(0.0..64.0f64).floor())));
    }
    for kind in [Change::Record, Change::PreRoll] {
        if rng.random_bool(0.1) {
            changes.push((rng.random_range(0..end), kind(true)));
            changes.push((rng.random_range(0..end), kind(false)));
        }
    }
    if rng.random_bool(0.15) {
        let range = rng.random_bool(0.7).then(|| loop_range(timeline.beats, rng));
        changes.push((rng.random_range(0..end), Change::Loop(range)));
    }
    changes.sort_by_key(|change| change.0);
    changes
}

/// Ticks whose position in the bar matters: all events of the player and of automation, and each possible hand-over
/// after them, for every silence that is set.
fn moments(events: &[(u64, Event)], knobs: &[Knob]) -> Vec<u64> {
    let silences: Vec<u64> = set_to(events, knobs, "silence").iter().map(|ticks| *ticks as u64).collect();
    let after = |at: u64| silences.iter().map(move |silence| at + silence);
    events.iter().flat_map(|event| std::iter::once(event.0).chain(after(event.0))).collect()
}

/// Values that a time parameter is set to during the scenario, in ticks or in beats.
fn set_to(events: &[(u64, Event)], knobs: &[Knob], name: &str) -> Vec<f64> {
    let id = test_host::param_id(name);
    let values = knobs.iter().find(|knob| knob.parameter.id == id).map_or(&[][..], |knob| &knob.values);
    let amount = |event: &Event| match *event {
        Event::Param { id: moved, value } if moved == id => values.iter().find(|known| known.0 == value),
        _ => None,
    };
    events.iter().filter_map(|event| amount(&event.1)).map(|known| known.1).collect()
}

/// Whether the host reports everything that matters, so that renders with different blocks must agree. Excluded are
/// jumps, and hand-overs after a silence in beats or on a bar line, in the rest of a block in which the tempo has
/// changed; and any of `moments` in the first block after a jump or a start within a ramp, because only the block after
/// that shows that the ramp continues.
fn is_known(scenario: &Scenario, moments: &[u64], knobs: &[Knob]) -> bool {
    let Scenario { events, changes, .. } = scenario;
    let bends = || changes.iter().filter(|change| change.1.is_of_tempo()).map(|change| change.0);
    let hidden = |moment: u64, blocks: u64| bends().any(|bend| (bend..bend + blocks * LONGEST).contains(&moment));
    if changes.iter().filter(|change| !change.1.is_of_tempo()).any(|change| hidden(change.0, 2)) {
        return false;
    }
    let ramps = |at: u64| {
        let before = changes.iter().rfind(|change| change.0 <= at && change.1.is_of_tempo());
        before.is_some_and(|change| matches!(change.1, Change::Ramp(ramp) if ramp != 0.0))
    };
    let begins = changes.iter().filter(|change| matches!(change.1, Change::Jump(_) | Change::Start) && ramps(change.0));
    if begins.map(|change| change.0).any(|at| moments.iter().any(|moment| (at..at + LONGEST).contains(moment))) {
        return false;
    }
    let is_set = |id: &str, name: &str| {
        let knob = knobs.iter().find(|knob| knob.parameter.id == test_host::param_id(id));
        let choice = knob.and_then(|knob| Some(set(knob, knob.called(name)?)));
        choice.is_some_and(|choice| events.iter().any(|event| event.1 == choice))
    };
    let counts_bars = is_set("mode", "trade") || is_set("turn", "bars");
    if counts_bars && lines(scenario).into_iter().any(|line| hidden(line, 1)) {
        return false;
    }
    let unit = test_host::param_id("silunit");
    let in_beats = |event: &Event| matches!(event, Event::Param { id, value } if *id == unit && *value > 0.0);
    if !events.iter().any(|event| in_beats(&event.1)) {
        return true;
    }
    let map = scenario.tempo_map();
    let mut silences = set_to(events, knobs, "silbeats");
    silences.push(DEFAULT_BEATS);
    let hand_over = |at: u64, beats: f64| ticks(map.seconds(map.beats(at as f64 / TICKS as f64) + beats));
    !events.iter().any(|&(at, _)| silences.iter().any(|&beats| hidden(hand_over(at, beats), 1)))
}

/// The ticks in which the host reaches a bar line.
fn lines(scenario: &Scenario) -> Vec<u64> {
    let mut timeline = scenario.timeline.clone().unwrap_or_else(|| Timeline::standing(120.0));
    let mut changes = scenario.changes.iter().peekable();
    let mut bar = timeline.bar();
    let mut lines = Vec::new();
    for tick in 0..scenario.end {
        while let Some((_, change)) = changes.next_if(|change| change.0 <= tick) {
            timeline.change(*change);
        }
        timeline.advance(1, TICKS as f64);
        if std::mem::replace(&mut bar, timeline.bar()) != bar {
            lines.push(tick);
        }
    }
    lines
}

/// A random tick from `start` on, if possible before `end`, that is not less than the longest block ahead of any of
/// `moments`. When the tempo changes inside a block, the plugin does not know the exact position and tempo in the rest
/// of it, and a take keeps those of its hand-over.
fn far_from(moments: &[u64], end: u64, start: u64, rng: &mut Pcg32) -> u64 {
    for _ in 0..100 {
        let at = rng.random_range(start.max(1)..end);
        if !moments.iter().any(|moment| (at..at + LONGEST).contains(moment)) {
            return at;
        }
    }
    end
}
