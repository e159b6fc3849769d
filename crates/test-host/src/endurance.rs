//! `test-host editor`: repeatedly opens and closes the built plugin's editor while it plays, and checks that no threads,
//! files or memory are left behind. After that, treats the editor as a badly behaved host would.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use probe::{heap, usage};
use test_host::screen::Screen;
use test_host::{Blocks, Pace, Performer, Plugin, SortedOutput, Status, Timed, Timeline};

use crate::mishandling;
use crate::phrase::Phrase;

/// Samples per second.
const RATE: f64 = 48_000.0;
/// Samples per block.
const BLOCK: u32 = 256;
/// Number of first rounds in which libraries load and caches fill; what they leave behind is not a leak.
const WARM_UP: usize = 100;
/// Allowed growth of the heap after the warm-up, in KiB: the plugin remembers what was played in the meantime.
const SLACK_KIB: u64 = 2 * 1024;
/// Time for a closed window's own thread to end.
const SETTLE: Duration = Duration::from_millis(500);
/// Time over which the idle cost is measured.
const REST: Duration = Duration::from_secs(5);

/// Open and close the built plugin's editor while it plays; fail if threads, files or memory are left behind. Needs an
/// X11 screen.
#[derive(Args)]
pub struct Options {
    /// Number of times to open the editor, more than 200.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    times: usize,
    /// Time for which the editor stays open each time, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 50)]
    open: u64,
}

/// Resources held by the process.
#[derive(Clone, Copy, Debug)]
struct Holdings {
    threads: u64,
    /// Heap memory in use, in KiB.
    heap: u64,
    /// Resident memory in KiB; includes free heap memory, of which every past thread may have left some.
    resident: u64,
    /// Open files.
    files: usize,
}

/// Runs the test and prints the results.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.times > 2 * WARM_UP, "--times must be more than {}", 2 * WARM_UP);
    Status::request();
    let screen = Screen::open()?;
    let mut plugin = Plugin::load(&test_host::find_bundle()?)?;
    plugin.activate(RATE, BLOCK)?;
    let events = events(&Phrase::load(None, RATE)?, options);
    let done = AtomicBool::new(false);

    let mut rounds = 0;
    let mut drawn = 0;
    let mut open: Option<(test_host::screen::Frame, Instant)> = None;
    let mut warm = None;
    let began = Instant::now();
    let mut performer = Performer::new(&events, Blocks::Of(BLOCK), Pace::RealTime, Some(Timeline::rolling(120.0)));
    let (outputs, violations) = plugin.run_beside(
        |audio| {
            while !done.load(Ordering::Relaxed) {
                performer.play_until(audio, audio.now() + u64::from(BLOCK), |_| ())?;
            }
            if let Some(timeline) = &mut performer.timeline {
                timeline.playing = false;
            }
            performer.play_until(audio, audio.now() + 8 * u64::from(BLOCK), |_| ())?;
            Ok((audio.take_outputs(), audio.violations().to_vec()))
        },
        |plugin| {
            let round = (|| match open {
                None if rounds == options.times => {
                    done.store(true, Ordering::Relaxed);
                    Ok(())
                }
                None => {
                    let frame = screen.frame(820, 520)?;
                    plugin.open_editor(frame.id, 1.0)?;
                    open = Some((frame, Instant::now()));
                    Ok(())
                }
                Some((frame, since)) if since.elapsed() >= Duration::from_millis(options.open) => {
                    drawn += usize::from(screen.picture(frame)?.colors() > 8);
                    plugin.close_editor()?;
                    screen.close(frame)?;
                    open = None;
                    rounds += 1;
                    if rounds == WARM_UP {
                        std::thread::sleep(SETTLE);
                        warm = Some(Holdings::now()?);
                    }
                    anyhow::Ok(())
                }
                Some(_) => Ok(()),
            })();
            if round.is_err() {
                done.store(true, Ordering::Relaxed);
            }
            round
        },
    )?;
    let seconds = began.elapsed().as_secs_f64();
    std::thread::sleep(SETTLE);
    let (warm, end) = (warm.context("no warm-up")?, Holdings::now()?);
    let [closed, rest] = cost(&mut plugin, &screen)?;

    let status = plugin.status()?;
    let played = SortedOutput::of(&events, &outputs).notes.len();
    println!("opened and closed   {rounds} times in {seconds:.0} s, {drawn} of them drawn");
    println!("notes played        {played} meanwhile, {} late", status.late + status.dropped);
    println!("threads             {} after {WARM_UP} rounds, {} at the end", warm.threads, end.threads);
    let left = (end.heap as f64 - warm.heap as f64) / (rounds - WARM_UP).max(1) as f64;
    println!("heap                {} KiB after {WARM_UP} rounds, {} KiB at the end", warm.heap, end.heap);
    println!("                    {left:.1} KiB a round; {} and {} KiB resident", warm.resident, end.resident);
    println!("open files          {} after {WARM_UP} rounds, {} at the end", warm.files, end.files);
    let open_only = (rest - closed).max(0.0) * 100.0;
    println!("at rest             {:.2} % of a core closed, {open_only:.2} % more open", closed * 100.0);
    if let Some(first) = violations.first() {
        bail!("the plugin broke the rules {} times, first: {first}", violations.len());
    }
    ensure!(played > 0, "nothing was played meanwhile");
    ensure!(drawn * 10 >= rounds, "the editor was drawn too rarely for a result");
    ensure!(end.threads <= warm.threads, "threads leak");
    ensure!(end.files <= warm.files, "open files leak");
    ensure!(end.heap <= warm.heap + SLACK_KIB, "memory leaks");
    drop(plugin);
    mishandling::scales(&screen)?;
    mishandling::drops(&screen)
}

/// The phrase, repeated with room for answers, long enough for all rounds.
fn events(phrase: &Phrase, options: &Options) -> Vec<Timed> {
    let again = phrase.end + (8.0 * RATE) as u64;
    let rounds = (options.times as u64 * (options.open + 400) / 1000 * RATE as u64 / again).max(1);
    let turns = (0..rounds).flat_map(|round| {
        phrase.events.iter().map(move |timed| Timed { at: timed.at + round * again, event: timed.event })
    });
    turns.collect()
}

/// CPU cost of the process while nothing is played, in cores: with the editor closed, and open.
fn cost(plugin: &mut Plugin, screen: &Screen) -> Result<[f64; 2]> {
    let rest = |plugin: &mut Plugin| {
        let before = usage::process_cpu();
        let mut idle = Performer::new(&[], Blocks::Of(BLOCK), Pace::RealTime, Some(Timeline::standing(120.0)));
        plugin.run(|audio| {
            let end = audio.now() + (REST.as_secs_f64() * RATE) as u64;
            idle.play_until(audio, end, |_| ())
        })?;
        anyhow::Ok((usage::process_cpu() - before).as_secs_f64() / REST.as_secs_f64())
    };
    let closed = rest(plugin)?;
    let frame = screen.frame(900, 620)?;
    plugin.open_editor(frame.id, 1.0)?;
    plugin.idle(Duration::from_secs(1));
    let open = rest(plugin)?;
    plugin.close_editor()?;
    screen.close(frame)?;
    Ok([closed, open])
}

impl Holdings {
    fn now() -> Result<Self> {
        let all = || Some((usage::threads()?, heap::live()? as u64, usage::memory()?, usage::files()?));
        let (threads, heap, resident, files) = all().context("this system does not report a process's resources")?;
        Ok(Self { threads, heap: heap / 1024, resident: resident / 1024, files })
    }
}
