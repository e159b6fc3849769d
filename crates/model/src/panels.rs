//! Memory layout of packed matrices: [`ROWS`] rows form a panel, stored column by column, so that a product reads
//! memory sequentially and needs no horizontal sum across a vector's lanes.

/// Rows per panel.
pub(crate) const ROWS: usize = 32;

/// A block of elements aligned to 64 bytes, so that the widest vector load never straddles two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line<T, const N: usize>(pub [T; N]);

/// A matrix stored as panels of rows; padding rows and columns are `T::default()`.
#[derive(Clone, Debug)]
pub(crate) struct Panels<T, const N: usize> {
    lines: Vec<Line<T, N>>,
    /// Lines per panel.
    stride: usize,
}

impl<T: Copy + Default, const N: usize> Panels<T, N> {
    /// A zeroed matrix of `rows` rows, with `lines` lines per panel.
    pub fn new(rows: usize, lines: usize) -> Self {
        let panels = rows.div_ceil(ROWS);
        Self { lines: vec![Line([T::default(); N]); panels * lines], stride: lines }
    }

    /// The panels, as slices of lines.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, Line<T, N>> {
        self.lines.chunks_exact(self.stride)
    }

    /// The lines of panel `panel`.
    pub fn panel_mut(&mut self, panel: usize) -> &mut [Line<T, N>] {
        &mut self.lines[panel * self.stride..][..self.stride]
    }

    /// The lines of panel `panel`.
    #[cfg(any(test, feature = "gpu"))]
    pub fn panel(&self, panel: usize) -> &[Line<T, N>] {
        &self.lines[panel * self.stride..][..self.stride]
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(&self.lines[..])
    }
}
