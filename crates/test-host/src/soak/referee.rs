//! Judges, block by block, what the plugin sends against what it was given.
//!
//! What passed is told from the plugin's own notes by subtraction: of the events that came out, those
//! that went in at the same sample are the player's.

use std::collections::BTreeMap;

use anyhow::Result;
use test_host::{Event, Output, Plugin, Timed, What};

use super::report::Report;

/// A block, as far as it matters to the judge.
pub struct Block<'a> {
    /// Samples; in a flush 0.
    pub frames: u32,
    /// What went in.
    pub input: &'a [Timed],
    /// What came out.
    pub output: &'a [Output],
    /// Whether the transport ran.
    pub playing: bool,
    /// Whether the plugin was reset before it.
    pub reset: bool,
    /// Whether a state was loaded since the block before, or may have been.
    pub loaded: bool,
}

/// Values of the parameter `mode`: trade, alone.
const BEGIN_WITH_HOST: [f64; 2] = [2.0, 4.0];

/// See the [module](self).
#[derive(Default)]
pub struct Referee {
    /// CLAP number of the bypass switch.
    pub bypass: Option<u32>,
    /// Where the player's notes sound that have ids.
    named: BTreeMap<i32, (i16, i16)>,
    /// Own notes that sound, by channel and key, and the block that began each.
    own: BTreeMap<(u8, u8), u64>,
    /// Blocks so far; a flush is none.
    number: u64,
    playing: bool,
    /// The latest block at whose first sample all that sounded had to end.
    cut: Option<u64>,
    /// Whether the plugin is bypassed, as far as is known; and since when.
    bypassed: Option<(bool, u64)>,
    /// Since this happened, nothing has that could lead to notes of its own; and the first block of which it is so.
    quiet: Option<(&'static str, u64)>,
    /// A transport that runs leads to notes of its own: it trades, or plays alone, as far as is known.
    begins_with_host: bool,
    /// The plugin may swallow or end the player's notes, for it was told to, or may have been.
    lenient: bool,
}

impl Referee {
    /// A judge of a new instance.
    pub fn of(plugin: &mut Plugin) -> Result<Self> {
        let bypass = plugin.parameters()?.iter().find(|parameter| parameter.bypass).map(|parameter| parameter.id);
        Ok(Self { bypass, ..Self::default() })
    }

    /// The plugin was activated: what sounded has to end, nothing of before is remembered.
    pub fn activated(&mut self) {
        self.cut = Some(self.number);
        self.playing = false;
        self.quiet = Some(("activation", self.number));
    }

    /// Whether the plugin may be told to swallow or to end notes of the player's.
    pub fn lenient(&mut self, lenient: bool) {
        self.lenient = lenient;
    }

    /// A state was loaded: what is set is not known any more.
    pub fn loaded(&mut self) {
        self.bypassed = None;
        self.quiet = None;
        self.begins_with_host = true;
        self.lenient = true;
    }

    /// Judges a block; what is wrong goes into the report.
    pub fn judge(&mut self, block: &Block, session: &str, report: &mut Report) {
        let number = self.number;
        let fault = |report: &mut Report, what: &str, event: &dyn std::fmt::Debug| {
            report.describe(|| format!("{session}, block {number} of {} samples: {what}: {event:?}", block.frames));
        };
        report.events_in += block.input.len() as u64;
        report.events_out += block.output.len() as u64;
        self.follow(block);

        let mut own: Vec<&Output> = block.output.iter().filter(|output| output.event.note().is_some()).collect();
        for timed in block.input {
            let event = self.placed(timed.event);
            if event.note().is_none() {
                continue;
            }
            match own.iter().position(|output| output.at == timed.at && is_passed(&event, &output.event)) {
                Some(place) => drop(own.remove(place)),
                None if self.lenient => {}
                None => {
                    report.lost += 1;
                    fault(report, "did not pass", timed);
                }
            }
        }
        for output in own {
            let Some((begins, place)) = output.event.note() else {
                continue;
            };
            if !begins {
                if self.own.remove(&place).is_none() && !self.lenient {
                    report.stray += 1;
                    fault(report, "ended without a beginning", output);
                }
                continue;
            }
            if self.own.insert(place, number).is_some() {
                report.stray += 1;
                fault(report, "struck twice", output);
            }
            let bypassed = self.bypassed.is_some_and(|(on, since)| on && since < number);
            let quiet = self.quiet.filter(|(_, from)| number >= *from).map(|(what, _)| what);
            if let Some(over) = quiet.or(bypassed.then_some("bypass")) {
                report.stale += 1;
                fault(report, &format!("begun after {over}"), output);
            }
        }
        if let Some(cut) = self.cut.filter(|cut| number > *cut && block.frames > 0) {
            self.cut = None;
            self.own.retain(|place, begun| {
                let hangs = *begun < cut;
                if hangs {
                    report.hanging += 1;
                    fault(report, "still sounds a block after all had to end", place);
                }
                !hangs
            });
        }
        self.number += u64::from(block.frames > 0);
    }

    /// An event that names a note by its id alone, with its channel and key.
    fn placed(&mut self, event: Event) -> Event {
        match event {
            Event::Named { id, channel, key, what: What::On(_) } => {
                self.named.insert(id, (channel, key));
                event
            }
            Event::Named { id, channel: -1, key: -1, what } => match self.named.remove(&id) {
                Some((channel, key)) => Event::Named { id, channel, key, what },
                None => event,
            },
            _ => event,
        }
    }

    /// All has come to its end: nothing may sound.
    pub fn finish(&mut self, session: &str, report: &mut Report) {
        for place in std::mem::take(&mut self.own).into_keys() {
            report.hanging += 1;
            report.describe(|| format!("{session}: {place:?} sounds at the end"));
        }
    }

    /// What the block's input does to what may be heard in it.
    fn follow(&mut self, block: &Block) {
        let stopped = block.frames > 0 && self.playing && !block.playing;
        let started = block.frames > 0 && !self.playing && block.playing;
        if block.frames > 0 {
            self.playing = block.playing;
        }
        for (happened, what) in [(stopped, "a stop"), (started, "a start"), (block.reset, "a reset")] {
            if happened {
                self.quiet = Some((what, self.number)).filter(|_| !(block.playing && self.begins_with_host));
            }
        }
        if (stopped || block.reset) && self.cut.is_none() {
            self.cut = Some(self.number);
        }
        for (place, timed) in block.input.iter().enumerate() {
            // Of what is told of one sample, the last holds: a transport that stops for no time at all has not stopped.
            let told_again = |later: &&Timed| later.at == timed.at && matches!(later.event, Event::Transport(_));
            match timed.event {
                Event::Transport(_) if block.input[place + 1..].iter().any(|later| told_again(&later)) => {}
                Event::Param { id, value } if Some(id) == self.bypass => {
                    let on = value > 0.5;
                    self.quiet = None;
                    if on && self.cut.is_none() {
                        self.cut = Some(self.number);
                    }
                    if self.bypassed.is_none_or(|(was, _)| was != on) {
                        self.bypassed = (value == 0.0 || value == 1.0).then_some((on, self.number));
                    }
                }
                // Any parameter may start something, and so may any note.
                Event::Param { id, value } => {
                    self.quiet = None;
                    if id == test_host::param_id("mode") {
                        // A value beyond the last is the last.
                        self.begins_with_host = BEGIN_WITH_HOST.contains(&value.round().min(BEGIN_WITH_HOST[1]));
                    }
                }
                // Without samples there is no moment at which it could be so.
                Event::Transport(told) if block.frames > 0 => self.follow_transport(told.is_playing()),
                event if event.note().is_some_and(|(begins, _)| begins) => self.quiet = None,
                // A key that is none is one to the framework; a controller or pedal may be the trigger.
                Event::Midi([0x90..=0x9f, ..] | [0xb0..=0xbf, _, 64..=255]) => self.quiet = None,
                _ => {}
            }
        }
        if block.loaded {
            self.loaded();
        }
    }
}

impl Referee {
    /// What a transport does that is told of inside the block: what is over then may have begun before, in this block.
    fn follow_transport(&mut self, plays: bool) {
        let played = std::mem::replace(&mut self.playing, plays);
        let what = match (played, plays) {
            (true, false) => "a stop",
            (false, true) => "a start",
            _ => return,
        };
        self.quiet = Some((what, self.number + 1)).filter(|_| !(plays && self.begins_with_host));
        if played && self.cut.is_none() {
            self.cut = Some(self.number);
        }
    }
}

/// Whether `output` is `input`, passed on. A velocity that is none may have been mended.
fn is_passed(input: &Event, output: &Event) -> bool {
    match *input {
        Event::NoteOn { velocity, .. } if !(0.0..=1.0).contains(&velocity) => input.note() == output.note(),
        Event::Midi([_, _, 128..=255]) => input.note() == output.note(),
        _ => input.is_same_note(output),
    }
}
