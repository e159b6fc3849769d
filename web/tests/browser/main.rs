//! Tests the page in Chromium: it loads, is played with the computer keyboard, plays on, saves, and plays the same
//! notes as the built plugin. `cargo xtask test` starts what this needs; otherwise the test is ignored.

mod driver;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use driver::Browser;
use serde_json::json;
use test_host::{Audio, Blocks, Event, Pace, Performer, Plugin, SortedOutput, Timed};

/// Samples per block of an audio worklet.
const BLOCK: u32 = 128;
/// The seed.
const SEED: &str = "7";
/// A broken chord and a turn, on the middle row of keys: the key, how long it is held and the pause after it, in
/// milliseconds.
const PHRASE: [(char, u32, u32); 12] = [
    ('a', 210, 30),
    ('d', 190, 40),
    ('g', 220, 20),
    ('k', 300, 60),
    ('j', 150, 40),
    ('h', 160, 30),
    ('g', 240, 20),
    ('f', 180, 30),
    ('d', 200, 30),
    ('s', 210, 20),
    ('d', 190, 40),
    ('a', 400, 0),
];
/// How many of Antiphon's notes are compared.
const NOTES: usize = 24;
/// The screenshot is taken after this many notes, while some of the phrase is still visible.
const PICTURED: usize = 6;
/// A note event in the page's log: the sample, whether it is Antiphon's, key, velocity.
type Sounded = (u64, bool, u8, u8);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: this test is started by `cargo xtask test`"))
}

#[test]
#[ignore = "needs a browser and a server, which `cargo xtask test` starts"]
fn plays_on_as_the_plugin_does_and_saves() {
    let (address, port) = (variable("ANTIPHON_PAGE"), variable("ANTIPHON_DRIVER").parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let pictures = PathBuf::from(variable("ANTIPHON_PICTURES"));
    let browser = Browser::open(port, folder.path()).unwrap();
    let began = Instant::now();
    browser.call("url", &json!({ "url": address })).unwrap();
    browser.wait("document.documentElement.dataset.ready").unwrap();
    println!("ready to play after {:.2} s", began.elapsed().as_secs_f64());

    browser.fill("#seed", SEED).unwrap();
    browser.click("h1").unwrap();
    browser.keys(&PHRASE).unwrap();
    browser.wait("document.getElementById('status').dataset.turn === 'antiphon'").unwrap();
    let played = || log(&browser).unwrap().iter().filter(|event| event.1 && event.3 > 0).count();
    let began = Instant::now();
    let mut pictured = false;
    while played() < NOTES {
        if !pictured && played() >= PICTURED {
            browser.picture(&pictures.join("web.png")).unwrap();
            pictured = true;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "only {} notes in a minute", played());
        std::thread::sleep(Duration::from_millis(100));
    }

    let saved = save(&browser, folder.path()).unwrap();
    let log = log(&browser).unwrap();
    let (yours, mine): (Vec<Sounded>, Vec<Sounded>) =
        log.iter().copied().filter(|event| event.3 > 0).partition(|event| !event.1);
    assert_eq!(yours.len(), PHRASE.len(), "every key was heard once");
    let score = midi::read(&saved).unwrap();
    assert!(score.notes.len() >= PHRASE.len() + NOTES && score.notes.len() <= yours.len() + mine.len());

    let rate = browser.run("return antiphon.rate").unwrap().as_f64().unwrap();
    same_as_the_plugin(&log, rate).unwrap();

    let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
    let emulation = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": phone });
    browser.call("goog/cdp/execute", &emulation).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    browser.picture(&pictures.join("web-phone.png")).unwrap();
    let overflows = "document.documentElement.scrollWidth > window.innerWidth";
    assert_eq!(browser.run(&format!("return {overflows}")).unwrap(), json!(false), "the page is wider than a phone");

    browser.keys(&[('a', 600, 0)]).unwrap();
    gives_way(&browser).unwrap();
    println!("a note takes {} ms", browser.run(&format!("return (async () => {{ {MEASURE} }})()")).unwrap());
    assert_eq!(browser.logged_errors().unwrap(), Vec::<String>::new());
}

/// Measures the median time per note in milliseconds, in a separate module on the page's main thread, since a worklet
/// has no clock.
const MEASURE: &str = "
    const load = async (name) => new Response(
        (await fetch(name)).body.pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
    const { instance } = await WebAssembly.instantiate(await load('antiphon.wasm.gz'), {});
    const wasm = instance.exports;
    const weights = await load('antiphon.weights.gz');
    const room = wasm.room(weights.byteLength);
    new Uint8Array(wasm.memory.buffer, room, weights.byteLength).set(new Uint8Array(weights));
    wasm.open(48000);
    for (const key of [60, 64, 67, 72, 71, 69, 67]) {
        wasm.key(key, 80);
        for (let block = 0; block < 80; block++) wasm.process(128);
        wasm.key(key, 0);
        wasm.process(128);
    }
    const times = [];
    for (let block = 0; block < 4000; block++) {
        const began = performance.now();
        wasm.process(128);
        times.push(performance.now() - began);
    }
    // Most blocks generate nothing; those that generate a note are the slow ones.
    const ghosts = () => { wasm.draw(100); return new Float64Array(wasm.memory.buffer, wasm.picture(), 7); };
    const notes = Math.max(1, ghosts()[4] + ghosts()[5] - 7);
    times.sort((a, b) => b - a);
    return Number(times[Math.floor(notes / 2)].toFixed(3));
";

/// Checks that while the player's latest key was down, none of Antiphon's notes began or still sounded.
fn gives_way(browser: &Browser) -> Result<()> {
    let log = log(browser)?;
    let last = |down: bool| log.iter().rfind(|event| !event.1 && (event.3 > 0) == down).map(|event| event.0);
    let (on, off) = last(true).zip(last(false)).context("the key was not heard")?;
    let mine = || log.iter().filter(|event| event.1);
    let begun = mine().filter(|event| event.3 > 0 && (on + 1..=off).contains(&event.0)).count();
    let until = |at: u64, down: bool| mine().filter(|event| event.0 <= at && (event.3 > 0) == down).count();
    let sounding = until(on, true) - until(on, false);
    ensure!(begun == 0 && sounding == 0, "{begun} notes began and {sounding} sounded on while the player played");
    Ok(())
}

fn log(browser: &Browser) -> Result<Vec<Sounded>> {
    let bytes = browser.run("return antiphon.log()")?;
    let bytes = bytes.as_array().context("the log is not a list")?.iter();
    let bytes: Vec<u8> = bytes.filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
    let event = |event: &[u8; 12]| {
        let [a, b, c, d, e, f, g, h, whose, key, velocity, _] = *event;
        (u64::from_le_bytes([a, b, c, d, e, f, g, h]), whose == 1, key, velocity)
    };
    Ok(bytes.as_chunks().0.iter().map(event).collect())
}

/// Clicks *Save MIDI* and waits for the file.
fn save(browser: &Browser, folder: &Path) -> Result<Vec<u8>> {
    browser.click("#save")?;
    let file = folder.join("antiphon.mid");
    let began = Instant::now();
    while !file.exists() {
        ensure!(began.elapsed() < Duration::from_secs(20), "there is no {}", file.display());
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(std::fs::read(&file)?)
}

/// Feeds the player's events to the built plugin, at the samples at which the page received them, and compares the
/// notes. The page generates between blocks, so a note that follows immediately may be late by that much.
fn same_as_the_plugin(log: &[Sounded], rate: f64) -> Result<()> {
    let yours = log.iter().filter(|event| !event.1);
    let events: Vec<Timed> = yours
        .map(|&(at, _, key, velocity)| Timed {
            at,
            event: if velocity > 0 { Event::note_on(0, key, velocity) } else { Event::note_off(0, key) },
        })
        .collect();
    // A little longer: the plugin's last note may be later by as much.
    let end = log.last().context("nothing was played")?.0 + u64::from(4 * BLOCK);
    let mut plugin = Plugin::load(&test_host::find_bundle()?)?;
    plugin.set("seed", SEED)?;
    plugin.set("search", "off")?;
    plugin.set_offline(true)?;
    plugin.activate(rate, BLOCK)?;
    let outputs = plugin.run(|audio: &mut Audio| {
        Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, None).play_until(audio, end, |_| ())?;
        Ok(audio.take_outputs())
    })?;
    // Includes notes that still sound at the end.
    let notes = SortedOutput::of(&events, &outputs).with_hanging_until(u64::MAX);
    let page: Vec<_> = log.iter().filter(|event| event.1 && event.3 > 0).collect();
    for (index, &&(at, _, key, velocity)) in page.iter().enumerate().take(NOTES) {
        let same = |note: &&test_host::PlayedNote| {
            (key, velocity) == (note.key, note.velocity) && at.abs_diff(note.on) <= u64::from(2 * BLOCK)
        };
        ensure!(
            notes.iter().any(|note| same(&note)),
            "note {index}: the page plays {key} at {at} with {velocity}, the plugin {notes:?}"
        );
    }
    ensure!(notes.len() >= NOTES, "the plugin played only {} notes", notes.len());
    println!("the page and the plugin play the same {NOTES} notes");
    Ok(())
}
