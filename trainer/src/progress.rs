//! Progress bars, on stderr and only if it is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` items; hidden if stderr is not a terminal.
pub fn bar(total: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:>12} [{bar:30}] {pos}/{len}  {per_sec}, {eta} left")
        .expect("the template is constant")
        .progress_chars("=> ");
    ProgressBar::new(total).with_style(style).with_message(what)
}
