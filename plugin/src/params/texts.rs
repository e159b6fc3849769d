//! Text representations of numbers and switches: read in any case, with or without their unit. Hosts forward whatever
//! the user types, so nothing in here may panic; numbers that are not finite are refused.

use std::sync::Arc;

use nice_plug::params::internals::ParamPtr;

/// Names of the pitch classes: the shown one first, then enharmonic ones.
const PITCHES: [&[&str]; 12] = [
    &["c", "b#"],
    &["c#", "db"],
    &["d"],
    &["d#", "eb"],
    &["e", "fb"],
    &["f", "e#"],
    &["f#", "gb"],
    &["g"],
    &["g#", "ab"],
    &["a"],
    &["a#", "bb"],
    &["b", "cb"],
];

/// Parses a text; `None` if it means nothing.
pub type Reader<T> = Arc<dyn Fn(&str) -> Option<T> + Send + Sync>;

/// The decimals needed to tell adjacent multiples of a step apart: 2 for 0.25.
pub fn decimals(step: f32) -> usize {
    let is_whole = |scaled: f64| (scaled - scaled.round()).abs() < 1e-3;
    // In double precision and with a tolerance, since 0.01 is not exact in single precision.
    (0..6).find(|&digits| is_whole(f64::from(step) * 10_f64.powi(digits))).unwrap_or(6) as usize
}

/// Reads a number, with or without its unit.
pub fn number(unit: &'static str) -> Reader<f32> {
    Arc::new(move |text| finite(without(text, unit)))
}

/// Reads a percentage, as a share of 1.
pub fn percent() -> Reader<f32> {
    Arc::new(|text| Some(finite(without(text, "%"))? / 100.0))
}

/// Reads a whole number, or a word that stands for `value`.
pub fn whole_or(word: &'static str, value: i32) -> Reader<i32> {
    Arc::new(move |text| match text.trim() {
        text if same(text, word) => Some(value),
        number => number.parse().ok(),
    })
}

/// Reads a MIDI key by its name: `C3` is 48.
pub fn key() -> Reader<i32> {
    Arc::new(|text| {
        let text = text.trim().to_lowercase();
        let (name, octave) = text.split_at(text.find(|c: char| c == '-' || c == ' ' || c.is_ascii_digit())?);
        let pitch = PITCHES.iter().position(|names| names.contains(&name))? as i32;
        let octave: i32 = octave.trim().parse().ok()?;
        // B# belongs to the octave above, Cb to the one below.
        let carry = match name {
            "b#" => 12,
            "cb" => -12,
            _ => 0,
        };
        octave.checked_add(1)?.checked_mul(12)?.checked_add(pitch + carry)
    })
}

/// Reads a switch, which is shown as on or off.
pub fn switch() -> Reader<bool> {
    Arc::new(|text| match text.trim().to_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    })
}

/// The value, 0–1, that a parameter reads from a text; choices as in [`framework_fixes::texts`].
///
/// # Safety
/// `parameter` points to a live parameter.
pub unsafe fn read(parameter: ParamPtr, text: &str) -> Option<f32> {
    let text = text.trim();
    // SAFETY: promised by the caller.
    let (as_it_is, steps) = unsafe { (parameter.string_to_normalized_value(text), parameter.step_count()) };
    let (ParamPtr::EnumParam(_), None, Some(steps)) = (parameter, as_it_is, steps) else {
        return as_it_is;
    };
    let value = |step: u32| step as f32 / steps.max(1) as f32;
    // SAFETY: as above.
    let shown = |step| Some(unsafe { parameter.normalized_value_to_string(value(step), false) });
    framework_fixes::texts::choice(text, steps as u32, shown).map(value)
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// The text without the unit at its end, if there is one.
fn without<'a>(text: &'a str, unit: &str) -> &'a str {
    let (text, unit) = (text.trim(), unit.trim());
    let end = text.len().checked_sub(unit.len()).filter(|end| text.is_char_boundary(*end));
    match end.map(|end| text.split_at(end)) {
        Some((number, end)) if end.eq_ignore_ascii_case(unit) => number.trim(),
        _ => text,
    }
}

fn finite(text: &str) -> Option<f32> {
    text.parse().ok().filter(|number: &f32| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_the_decimals_that_tell_them_apart() {
        let steps = [(1.0, 0), (10.0, 0), (0.5, 1), (0.1, 1), (0.25, 2), (0.01, 2), (0.125, 3)];
        for (step, digits) in steps {
            assert_eq!(decimals(step), digits, "{step}");
        }
    }

    #[test]
    fn texts_are_read_as_people_type_them() {
        for text in ["800 ms", "800ms", " 800 MS ", "800", "8e2"] {
            assert_eq!(number(" ms")(text), Some(800.0), "{text}");
        }
        assert_eq!(percent()("50%"), Some(0.5));
        for text in ["C3", "c3", "c 3", " C3 ", "b#2"] {
            assert_eq!(key()(text), Some(48), "{text}");
        }
        for (text, on) in [("ON", true), (" off ", false), ("True", true), ("no", false), ("1", true)] {
            assert_eq!(switch()(text), Some(on), "{text}");
        }
        assert_eq!((key()("Eb-1"), key()("d#-1"), key()("g9")), (Some(3), Some(3), Some(127)));
        assert_eq!((whole_or("no limit", 9)("No Limit"), whole_or("no limit", 9)("3")), (Some(9), Some(3)));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in ["", "é4", "h", "c", "c#", "3", "-", "c99999999999", "c2147483647", "нота 4", "NaN", "inf"] {
            assert_eq!(key()(text), None, "{text}");
        }
        for text in ["", "maybe", "2", "o"] {
            assert_eq!(switch()(text), None, "{text}");
        }
        for text in ["", "ms", "NaN", "inf", "-inf ms", "1e99", "８００", "мс"] {
            assert_eq!(number(" ms")(text), None, "{text}");
            assert_eq!(percent()(text), None, "{text}");
        }
    }
}
