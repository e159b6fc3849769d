//! Memory layout of small-integer weights in a panel, common to all versions.

use crate::{panels::ROWS, quantize::Codebook};

/// Columns per multiply-add.
pub(super) const QUAD: usize = 4;
/// Rows per line.
pub(super) const LINE_ROWS: usize = 16;

/// 64 bytes: 16 rows of four columns as bytes, or of two times four columns as nibbles.
pub(super) type Line = crate::panels::Line<i8, 64>;

/// Storage format of the weights in a panel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    /// Four lines per chunk: the first quad for rows 0–15 and for rows 16–31, then the second quad for both.
    Bytes,
    /// Two lines per chunk: rows 0–15, rows 16–31. The low nibbles are the first quad, the high nibbles the second.
    Nibbles(Codebook),
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
