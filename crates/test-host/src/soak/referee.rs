//! Checks, block by block, what the plugin sends against its input.
//!
//! The player's notes and the plugin's own are told apart by subtraction: output events that match an input event at
//! the same sample are the player's, passed through.

use std::collections::BTreeMap;

use anyhow::Result;
use test_host::{Event, NoteEventKind, Output, Plugin, Timed};

use super::report::Report;

/// The input and output of a block.
pub struct Block<'a> {
    /// Length in samples; 0 for a flush.
    pub frames: u32,
    /// Events sent to the plugin.
    pub input: &'a [Timed],
    /// Events sent by the plugin.
    pub output: &'a [Output],
    /// Whether the transport was rolling.
    pub playing: bool,
    /// Whether the plugin was reset before this block.
    pub reset: bool,
    /// Whether a state was, or may have been, loaded since the previous block.
    pub loaded: bool,
}

/// Values of the parameter `mode` in which a rolling transport starts notes: trade, alone.
const BEGIN_WITH_HOST: [f64; 2] = [2.0, 4.0];

/// Checks the plugin's output; see the [module](self).
#[derive(Default)]
pub struct Referee {
    /// CLAP id of the bypass switch.
    pub bypass: Option<u32>,
    /// Channel and key of the player's sounding notes with ids.
    named: BTreeMap<i32, (i16, i16)>,
    /// The plugin's own sounding notes by (channel, key), and the number of the block in which each began.
    own: BTreeMap<(u8, u8), u64>,
    /// Number of blocks so far, without flushes.
    number: u64,
    playing: bool,
    /// The block in which all notes from before it have to end, if that is still to be checked.
    cut: Option<u64>,
    /// Whether the plugin is bypassed, and since which block; `None` if unknown.
    bypassed: Option<(bool, u64)>,
    /// An event since which nothing could have started the plugin's own notes, and the first block from which this
    /// holds.
    quiet: Option<(&'static str, u64)>,
    /// Whether a rolling transport can start the plugin's own notes: the mode is, or may be, trade or alone.
    begins_with_host: bool,
    /// Whether the plugin may swallow or end the player's notes, because of its parameters or a loaded state.
    lenient: bool,
}

impl Referee {
    /// A referee for a new instance.
    pub fn of(plugin: &mut Plugin) -> Result<Self> {
        let bypass = plugin.parameters()?.iter().find(|parameter| parameter.bypass).map(|parameter| parameter.id);
        Ok(Self { bypass, ..Self::default() })
    }

    /// The plugin was activated: sounding notes have to end, and nothing from before can start new ones.
    pub fn activated(&mut self) {
        self.cut = Some(self.number);
        self.playing = false;
        self.quiet = Some(("activation", self.number));
    }

    /// Sets whether the plugin may swallow or end the player's notes.
    pub fn lenient(&mut self, lenient: bool) {
        self.lenient = lenient;
    }

    /// A state was loaded: the parameters are no longer known.
    pub fn loaded(&mut self) {
        self.bypassed = None;
        self.quiet = None;
        self.begins_with_host = true;
        self.lenient = true;
    }

    /// Checks a block and adds violations to the report.
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
                    fault(report, "ended without having begun", output);
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
                    fault(report, "still sounds one block after all notes had to end", place);
                }
                !hangs
            });
        }
        self.number += u64::from(block.frames > 0);
    }

    /// Adds channel and key to an event that names a note by its id alone.
    fn placed(&mut self, event: Event) -> Event {
        match event {
            Event::Named { id, channel, key, kind: NoteEventKind::On(_) } => {
                self.named.insert(id, (channel, key));
                event
            }
            Event::Named { id, channel: -1, key: -1, kind } => match self.named.remove(&id) {
                Some((channel, key)) => Event::Named { id, channel, key, kind },
                None => event,
            },
            _ => event,
        }
    }

    /// The session has ended: adds a violation for each note that still sounds.
    pub fn finish(&mut self, session: &str, report: &mut Report) {
        for place in std::mem::take(&mut self.own).into_keys() {
            report.hanging += 1;
            report.describe(|| format!("{session}: {place:?} sounds at the end"));
        }
    }

    /// Updates, from the block's input, which notes may sound or begin in it.
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
            // Of several transport events at one sample, only the last counts: a stop of zero length is not a stop.
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
                // Any parameter change may start something, and so may any note.
                Event::Param { id, value } => {
                    self.quiet = None;
                    // A value that is no number or infinite changes nothing.
                    if id == test_host::param_id("mode") && value.is_finite() {
                        // Values beyond the last mode count as the last.
                        self.begins_with_host = BEGIN_WITH_HOST.contains(&value.round().min(BEGIN_WITH_HOST[1]));
                    }
                }
                // In a flush there is no sample at which the event could take effect.
                Event::Transport(told) if block.frames > 0 => self.follow_transport(told.is_playing()),
                event if event.note().is_some_and(|(begins, _)| begins) => self.quiet = None,
                // The framework accepts note-ons with invalid keys; a controller or pedal may be the trigger.
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
    /// Handles a transport event within the block; notes that it ends may have begun earlier in this block.
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

/// Whether `output` is `input` passed through. An invalid velocity may have been corrected.
fn is_passed(input: &Event, output: &Event) -> bool {
    match *input {
        Event::NoteOn { velocity, .. } if !(0.0..=1.0).contains(&velocity) => input.note() == output.note(),
        Event::Midi([_, _, 128..=255]) => input.note() == output.note(),
        _ => input.is_same_note(output),
    }
}
