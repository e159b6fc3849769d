//! One session: an activation at a random sample rate, random blocks, and at the same time a main thread that saves and
//! loads states.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_pcg::Pcg32;
use test_host::{Audio, Event, Parameter, Plugin, Timed};

use super::player::{Player, SessionProfile};
use super::referee::{Block, Referee};
use super::report::Report;

/// Block sizes, in samples.
const FRAMES: [u32; 7] = [0, 1, 17, 64, 480, 2027, LONGEST];
/// The longest block, in samples.
const LONGEST: u32 = 16_384;
/// Sample rates, in hertz.
const RATES: [f64; 8] = [8_000.0, 22_050.0, 44_100.0, 48_000.0, 88_200.0, 96_000.0, 192_000.0, 768_000.0];
/// Maximum number of saved states kept for loading.
const STATES: usize = 4;

/// Plays one session of at most `most` blocks.
pub fn session(
    plugin: &mut Plugin,
    referee: &mut Referee,
    mut rng: Pcg32,
    most: u64,
    name: &str,
    report: &mut Report,
) -> Result<()> {
    let parameters = plugin.parameters()?;
    let rate = *RATES.choose(&mut rng).unwrap_or(&48_000.0);
    let offline = rng.random_bool(0.5);
    let blocks = rng.random_range(50..2_000).min(most);
    plugin.set_offline(offline)?;
    plugin.activate(rate, LONGEST)?;
    let name = format!("{name}, {rate} Hz, {}", if offline { "offline" } else { "real time" });

    let loads = AtomicU64::new(0);
    let mut main = Pcg32::new(rng.random(), 0);
    let busy = rng.random_bool(0.5);
    let mut states = Vec::new();
    let mut saved = 0;
    let play = |audio: &mut Audio| {
        let before = audio.heap_calls();
        let mut session = Session { rng, rate, offline, bypass: referee.bypass, loads: &loads, seen: 0, name: &name };
        session.play(audio, &parameters, blocks, referee, report)?;
        report.asked_heap(audio.heap_calls() - before);
        Ok(session.seen)
    };
    let seen = plugin.run_beside(play, |plugin| {
        if !busy || !main.random_bool(0.2) {
            return Ok(());
        }
        saved += 1;
        if main.random_bool(0.6) || states.is_empty() {
            states.push(plugin.save_state()?);
            if states.len() > STATES {
                states.remove(0);
            }
        } else if let Some(state) = states.choose(&mut main) {
            // An odd count means that a load is in progress.
            loads.fetch_add(1, Ordering::SeqCst);
            plugin.load_state(state)?;
            loads.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    })?;
    if loads.into_inner() != seen {
        referee.loaded();
    }
    report.states += saved;
    plugin.deactivate();
    Ok(())
}

/// The audio thread's part of a session.
struct Session<'a> {
    rng: Pcg32,
    rate: f64,
    offline: bool,
    bypass: Option<u32>,
    /// Number of starts and ends of state loads.
    loads: &'a AtomicU64,
    /// Value of `loads` when the latest block began.
    seen: u64,
    name: &'a str,
}

impl Session<'_> {
    fn play(
        &mut self,
        audio: &mut Audio,
        parameters: &[Parameter],
        blocks: u64,
        referee: &mut Referee,
        report: &mut Report,
    ) -> Result<()> {
        let profile = SessionProfile::draw(&mut self.rng);
        referee.lenient(profile.swallows);
        let mut player = Player::new(profile, self.rate, parameters, &mut self.rng);
        let sizes: Vec<u32> =
            (0..self.rng.random_range(1..4)).filter_map(|_| FRAMES.choose(&mut self.rng).copied()).collect();
        // Gives the generator thread some time: blocks come faster here than in any host.
        let naps = if self.offline { 0.0 } else { self.rng.random_range(0.0..0.2) };
        // Some hosts never pause, others do so around every block.
        let pauses = *[0.0, 0.02, 1.0].choose(&mut self.rng).unwrap_or(&0.0);
        referee.activated();
        let mut first = self.set_bypass(audio, 0.0);
        first.extend(Player::reset_swallowing_params(parameters, audio.now()));
        first.extend(player.set_up(&mut self.rng, audio.now()));
        self.block(audio, &mut player, 64, first, false, referee, report)?;
        for _ in 0..blocks {
            let mut frames = *sizes.choose(&mut self.rng).unwrap_or(&64);
            // Blocks with whole seconds of music leave little to happen between blocks, so they are rare.
            if f64::from(frames) / self.rate > 0.1 && self.rng.random_bool(0.9) {
                frames = 480;
            }
            if self.rng.random_bool(0.02) {
                frames = 0;
            }
            if self.rng.random_bool(pauses) {
                audio.restart()?;
                report.pauses += 1;
            }
            let reset = self.rng.random_bool(0.005);
            let events = player.block(&mut self.rng, audio.now(), frames);
            self.block(audio, &mut player, frames, events, reset, referee, report)?;
            if self.rng.random_bool(naps) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        if self.rng.random_bool(0.2) {
            // Deactivated without stopping first: the first block of the next session has to end all notes.
            return Ok(());
        }
        if let Some(timeline) = &mut player.timeline {
            timeline.playing = false;
        }
        let mut last = player.let_go(audio.now());
        last.extend(self.set_bypass(audio, 1.0));
        self.block(audio, &mut player, 64, last, false, referee, report)?;
        // A state that is still loading may turn the bypass off again.
        while self.loads.load(Ordering::SeqCst) % 2 == 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.block(audio, &mut player, 64, self.set_bypass(audio, 1.0), false, referee, report)?;
        self.block(audio, &mut player, 64, vec![], false, referee, report)?;
        referee.finish(self.name, report);
        Ok(())
    }

    /// Sets the bypass switch.
    fn set_bypass(&self, audio: &Audio, value: f64) -> Vec<Timed> {
        self.bypass.map(|id| Timed { at: audio.now(), event: Event::Param { id, value } }).into_iter().collect()
    }

    #[expect(clippy::too_many_arguments, reason = "everything that a block consists of")]
    fn block(
        &mut self,
        audio: &mut Audio,
        player: &mut Player,
        frames: u32,
        events: Vec<Timed>,
        reset: bool,
        referee: &mut Referee,
        report: &mut Report,
    ) -> Result<()> {
        if reset {
            audio.reset();
            report.resets += 1;
        }
        let start = audio.now();
        let before = self.loads.load(Ordering::SeqCst);
        let output = audio.block(frames, &events, player.timeline.as_ref())?;
        // Loads between two blocks count too, and a load during a block may take effect in the next one.
        let after = self.loads.load(Ordering::SeqCst);
        let loaded = after % 2 == 1 || after != self.seen;
        self.seen = before;
        // What an event says at the first sample replaces what the host says of the block.
        let told_at_start = events.iter().rev().filter(|timed| timed.at == start).find_map(|timed| match timed.event {
            Event::Transport(told) => Some(told.is_playing()),
            _ => None,
        });
        let rolls = || player.timeline.as_ref().is_some_and(|timeline| timeline.playing);
        let playing = told_at_start.filter(|_| frames > 0).unwrap_or_else(rolls);
        referee.judge(&Block { frames, input: &events, output, playing, reset, loaded }, self.name, report);
        drop(audio.take_outputs());
        report.blocks += 1;
        for violation in audio.take_violations() {
            report.out_of_order += 1;
            report.describe(|| format!("{}: {violation}", self.name));
        }
        player.advance(frames);
        report.flushes += u64::from(frames == 0 && !events.is_empty());
        let count = |is: fn(&Event) -> bool| events.iter().filter(|timed| is(&timed.event)).count() as u64;
        report.transport_events += count(|event| matches!(event, Event::Transport(_)));
        report.events_with_ids += count(|event| matches!(event, Event::Named { .. }));
        Ok(())
    }
}
