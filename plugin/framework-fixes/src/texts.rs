//! Names of choices, read in any case and with blanks around them, as the texts of numbers are.
//!
//! A host hands on whatever a person types. nice-plug-core 0.4.2 reads the name of a choice only as it is written itself
//! (`params/enums.rs`, line 273, `EnumParamInner::string_to_normalized_value`), and unlike numbers and switches a choice
//! has no reader of the plug-in's own. So here what the framework refuses is compared with what it shows for each step.
//!
//! Gone when `upstream_reads_choices_in_their_own_case` fails.

/// A parameter with more steps than this counts something: its texts are numbers.
pub const MOST: u32 = 127;

/// Of steps from 0 to `last` the first that is shown as this text, but for case and the blanks around it.
pub fn choice(text: &str, last: u32, mut shown: impl FnMut(u32) -> Option<String>) -> Option<u32> {
    if last > MOST {
        return None;
    }
    let typed = text.trim().to_lowercase();
    (0..=last).find(|step| shown(*step).is_some_and(|name| name.trim().to_lowercase() == typed))
}
