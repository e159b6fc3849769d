//! Words on the command line that choose parts of a whole.

use anyhow::{Context, Result};

/// The parts that words name, in their order; all if there are no words. `unknown` says what is wrong with a word, told
/// those that there are.
///
/// # Errors
/// If a word names none.
pub fn chosen<P: Copy, const PARTS: usize>(
    words: &[String],
    all: [P; PARTS],
    name: fn(P) -> &'static str,
    unknown: impl Fn(&str, &str) -> String,
) -> Result<Vec<P>> {
    if words.is_empty() {
        return Ok(all.to_vec());
    }
    let part = |word: &String| {
        let part = all.into_iter().find(|part| name(*part) == word);
        part.with_context(|| unknown(word, &all.map(name).join(", ")))
    };
    words.iter().map(part).collect()
}
