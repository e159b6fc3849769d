//! How small integers lie in a panel, whichever version multiplies them.

use crate::{panels::ROWS, quantise::Book};

/// Columns of one multiply-add.
pub(super) const QUAD: usize = 4;
/// Rows of one line.
pub(super) const LINE_ROWS: usize = 16;

/// 16 rows, four columns of each: bytes; or two times four columns: nibbles.
pub(super) type Line = crate::panels::Line<i8, 64>;

/// How weights lie in a panel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    /// Per chunk four lines: the first quad of rows 0–15, of rows 16–31, then the second quad of both.
    Bytes,
    /// Per chunk two lines: rows 0–15, rows 16–31. Low nibbles are the first quad, high nibbles the second.
    Nibbles(Book),
}

impl Form {
    /// Lines per chunk.
    pub fn lines(&self) -> usize {
        match self {
            Self::Bytes => 4,
            Self::Nibbles(_) => 2,
        }
    }
}

/// Sums of a panel's rows.
pub(super) type Sums = [i32; ROWS];
