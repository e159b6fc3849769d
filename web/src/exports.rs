//! What `page/worklet.js` calls. One page per module; numbers and places in the module's memory go back and forth.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};

use engine::link::roll::Whose;

use crate::{Page, settings};

/// Samples of a block, at most.
const FRAMES: usize = 4_096;

#[derive(Default)]
struct Module {
    page: Option<Page>,
    /// What JavaScript fills: weights.
    input: Vec<u8>,
    /// What it reads: sentences, files.
    output: Vec<u8>,
    sound: [Vec<f32>; 2],
    picture: Vec<f64>,
}

thread_local! {
    static MODULE: RefCell<Module> = RefCell::default();
    /// Why the module has stopped, should it ever.
    static REASON: Cell<String> = Cell::default();
}

/// Does something with the page, if there is one.
fn page<T: Default>(act: impl FnOnce(&mut Page) -> T) -> T {
    MODULE.with_borrow_mut(|module| module.page.as_mut().map(act).unwrap_or_default())
}

/// Room for so many bytes of weights; where it begins.
// SAFETY: no other function of this name is linked; so below.
#[unsafe(no_mangle)]
pub extern "C" fn room(bytes: usize) -> *mut u8 {
    MODULE.with_borrow_mut(|module| {
        module.input.resize(bytes, 0);
        module.input.as_mut_ptr()
    })
}

/// Opens the page with the weights in [`room`]. 0: it is open; else the [`output`] has so many bytes of a sentence.
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

/// Why the module has stopped, after it has; so many bytes at [`reason_text`]. Nothing else can be called then.
#[unsafe(no_mangle)]
pub extern "C" fn reason() -> usize {
    let reason = REASON.take();
    let length = reason.len();
    REASON.set(reason);
    length
}

/// Where that sentence begins.
#[unsafe(no_mangle)]
pub extern "C" fn reason_text() -> *const u8 {
    let reason = REASON.take();
    let text = reason.as_ptr();
    REASON.set(reason);
    text
}

/// Where the output begins.
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

/// Plays a block of so many samples; [`sound`] has it.
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

/// Where a channel's sound begins: 0 left, 1 right.
#[unsafe(no_mangle)]
pub extern "C" fn sound(channel: usize) -> *const f32 {
    MODULE.with_borrow(|module| module.sound[channel.min(1)].as_ptr())
}

/// Draws the picture of the last so many seconds; so many numbers, see [`Page::picture`].
#[unsafe(no_mangle)]
pub extern "C" fn draw(seconds: f64) -> usize {
    MODULE.with_borrow_mut(|module| {
        if let Some(page) = &mut module.page {
            page.picture(seconds, &mut module.picture);
        }
        module.picture.len()
    })
}

/// Where the picture begins.
#[unsafe(no_mangle)]
pub extern "C" fn picture() -> *const f64 {
    MODULE.with_borrow(|module| module.picture.as_ptr())
}

/// Makes a MIDI file of all that was played; so many bytes in [`output`], 0: nothing was played.
#[unsafe(no_mangle)]
pub extern "C" fn save() -> usize {
    MODULE.with_borrow_mut(|module| {
        module.output = module.page.as_mut().and_then(Page::save).unwrap_or_default();
        module.output.len()
    })
}

/// All note events as bytes in [`output`], twelve each: the sample (8), whose, key, velocity, 0. How many bytes.
#[unsafe(no_mangle)]
pub extern "C" fn log() -> usize {
    MODULE.with_borrow_mut(|module| {
        module.output.clear();
        for event in module.page.iter().flat_map(|page| page.log()) {
            module.output.extend(event.at.to_le_bytes());
            module.output.extend([u8::from(event.whose == Whose::Mine), event.key, event.velocity, 0]);
        }
        module.output.len()
    })
}

/// Sets the mode by its number, see [`settings::mode`].
#[unsafe(no_mangle)]
pub extern "C" fn set_mode(number: u32) {
    page(|page| page.settings.mode = settings::mode(number));
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

/// Continues, or stops.
#[unsafe(no_mangle)]
pub extern "C" fn go() {
    page(|page| page.settings.buttons.go ^= true);
}

/// Plays another take from the same phrase.
#[unsafe(no_mangle)]
pub extern "C" fn new_take() {
    page(|page| page.settings.buttons.another ^= true);
}

/// Forgets everything that was heard; the log stays.
#[unsafe(no_mangle)]
pub extern "C" fn forget() {
    page(|page| page.settings.buttons.forget ^= true);
}
