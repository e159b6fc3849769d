//! The functions that `page/worklet.js` calls. One page per module; arguments and results are numbers and addresses in
//! the module's memory.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};

use engine::link::roll::Whose;

use crate::{Page, settings};

/// The most samples per block.
const FRAMES: usize = 4_096;

#[derive(Default)]
struct Module {
    page: Option<Page>,
    /// Written by JavaScript: the weights.
    input: Vec<u8>,
    /// Read by JavaScript: error messages, files.
    output: Vec<u8>,
    sound: [Vec<f32>; 2],
    picture: Vec<f64>,
}

thread_local! {
    static MODULE: RefCell<Module> = RefCell::default();
    /// The panic message, after a panic.
    static REASON: Cell<String> = Cell::default();
}

/// Calls a function with the page; returns the default if the page is not open.
fn page<T: Default>(act: impl FnOnce(&mut Page) -> T) -> T {
    MODULE.with_borrow_mut(|module| module.page.as_mut().map(act).unwrap_or_default())
}

/// Makes room for this many bytes of weights and returns its address.
// SAFETY: no other function of this name is linked; the same goes for those below.
#[unsafe(no_mangle)]
pub extern "C" fn room(bytes: usize) -> *mut u8 {
    MODULE.with_borrow_mut(|module| {
        module.input.resize(bytes, 0);
        module.input.as_mut_ptr()
    })
}

/// Opens the page with the weights in [`room`]. Returns 0 on success, otherwise the length in bytes of an error message
/// in [`output`].
#[unsafe(no_mangle)]
pub extern "C" fn open(rate: f64) -> usize {
    MODULE.with_borrow_mut(|module| {
        module.sound = [vec![0.0; FRAMES], vec![0.0; FRAMES]];
        std::panic::set_hook(Box::new(|panic| REASON.set(panic.to_string())));
        match Page::new(&std::mem::take(&mut module.input), rate) {
            Ok(page) => {
                module.page = Some(page);
                0
            }
            Err(sentence) => {
                module.output = sentence.into_bytes();
                module.output.len()
            }
        }
    })
}

/// The length in bytes of the panic message at [`reason_text`]. After a panic, only these two functions may be called.
#[unsafe(no_mangle)]
pub extern "C" fn reason() -> usize {
    let reason = REASON.take();
    let length = reason.len();
    REASON.set(reason);
    length
}

/// The address of the panic message.
#[unsafe(no_mangle)]
pub extern "C" fn reason_text() -> *const u8 {
    let reason = REASON.take();
    let text = reason.as_ptr();
    REASON.set(reason);
    text
}

/// The address of the output.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    MODULE.with_borrow(|module| module.output.as_ptr())
}

/// See [`Page::key`].
#[unsafe(no_mangle)]
pub extern "C" fn key(key: u8, velocity: u8) {
    page(|page| page.key(key, velocity));
}

/// See [`Page::pedal`].
#[unsafe(no_mangle)]
pub extern "C" fn pedal(value: u8) {
    page(|page| page.pedal(value));
}

/// Renders a block of `frames` samples; its audio is at [`sound`].
#[unsafe(no_mangle)]
pub extern "C" fn process(frames: usize) {
    MODULE.with_borrow_mut(|module| {
        let [left, right] = &mut module.sound;
        if let Some(page) = &mut module.page {
            let frames = frames.min(FRAMES);
            page.process(&mut left[..frames], &mut right[..frames]);
        }
    });
}

/// The address of a channel's audio: 0 left, 1 right.
#[unsafe(no_mangle)]
pub extern "C" fn sound(channel: usize) -> *const f32 {
    MODULE.with_borrow(|module| module.sound[channel.min(1)].as_ptr())
}

/// Makes the picture of the last `seconds` and returns how many numbers it has, see [`Page::picture`].
#[unsafe(no_mangle)]
pub extern "C" fn draw(seconds: f64) -> usize {
    MODULE.with_borrow_mut(|module| {
        if let Some(page) = &mut module.page {
            page.picture(seconds, &mut module.picture);
        }
        module.picture.len()
    })
}

/// The address of the picture.
#[unsafe(no_mangle)]
pub extern "C" fn picture() -> *const f64 {
    MODULE.with_borrow(|module| module.picture.as_ptr())
}

/// Writes everything that was played to [`output`] as a MIDI file and returns its length in bytes; 0 if nothing was
/// played.
#[unsafe(no_mangle)]
pub extern "C" fn save() -> usize {
    MODULE.with_borrow_mut(|module| {
        module.output = module.page.as_mut().and_then(Page::save).unwrap_or_default();
        module.output.len()
    })
}

/// Writes all note events to [`output`] and returns the length in bytes. Twelve bytes each: the sample (8,
/// little-endian), 1 for Antiphon or 0 for the player, key, velocity, 0.
#[unsafe(no_mangle)]
pub extern "C" fn log() -> usize {
    MODULE.with_borrow_mut(|module| {
        module.output.clear();
        for event in module.page.iter().flat_map(|page| page.log()) {
            module.output.extend(event.at.to_le_bytes());
            module.output.extend([u8::from(event.whose == Whose::Antiphon), event.key, event.velocity, 0]);
        }
        module.output.len()
    })
}

/// Sets the mode by its number: see [`settings::mode`].
#[unsafe(no_mangle)]
pub extern "C" fn set_mode(number: u32) {
    page(|page| page.settings.turn.mode = settings::mode(number));
}

/// Sets the temperature, 0.1–2.
#[unsafe(no_mangle)]
pub extern "C" fn set_temperature(temperature: f32) {
    page(|page| page.settings.generation.temperature = settings::temperature_scales(temperature));
}

/// Sets the seed, 0–9,999.
#[unsafe(no_mangle)]
pub extern "C" fn set_seed(seed: u32) {
    page(|page| page.settings.generation.seed = u64::from(seed.min(9_999)));
}

/// *Continue* or *Stop*.
#[unsafe(no_mangle)]
pub extern "C" fn go() {
    page(|page| page.settings.buttons.go ^= true);
}

/// Plays a new take on the same phrase.
#[unsafe(no_mangle)]
pub extern "C" fn new_take() {
    page(|page| page.settings.buttons.new_take ^= true);
}

/// Clears Antiphon's memory; the log stays.
#[unsafe(no_mangle)]
pub extern "C" fn forget() {
    page(|page| page.settings.buttons.forget ^= true);
}
