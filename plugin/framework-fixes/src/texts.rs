//! Reads names of choices case-insensitively and ignores surrounding spaces, as with numbers.
//!
//! A host forwards whatever the user types. nice-plug-core 0.4.2 reads a choice's name only exactly as it is shown
//! (`params/enums.rs`, line 273, `EnumParamInner::string_to_normalized_value`), and unlike numbers and switches, a
//! choice cannot have a parser of its own. So a text that the framework refuses is compared with the text that it shows
//! for each step.
//!
//! Remove this when `upstream_reads_choices_in_their_own_case` fails.

/// Parameters with more steps than this are numbers, not choices.
pub const MOST: u32 = 127;

/// The first step in `0..=last` whose shown text equals `text`, ignoring case and surrounding spaces.
pub fn choice(text: &str, last: u32, mut shown: impl FnMut(u32) -> Option<String>) -> Option<u32> {
    if last > MOST {
        return None;
    }
    let typed = text.trim().to_lowercase();
    (0..=last).find(|step| shown(*step).is_some_and(|name| name.trim().to_lowercase() == typed))
}
