//! How matrices lie in memory while they run: [`ROWS`] rows stand side by side in a panel, column after
//! column, so that a product reads memory from front to back and needs no sum across a vector's lanes.

/// Rows of a panel.
pub(crate) const ROWS: usize = 32;

/// What the widest vectors load at once: nothing straddles two lines of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line<T, const N: usize>(pub [T; N]);

/// A matrix with rows in panels; missing rows and columns are `T::default()`.
#[derive(Clone, Debug)]
pub(crate) struct Panels<T, const N: usize> {
    lines: Vec<Line<T, N>>,
    /// Lines of a panel.
    stride: usize,
}

impl<T: Copy + Default, const N: usize> Panels<T, N> {
    /// `lines` per panel, for so many rows.
    pub fn new(rows: usize, lines: usize) -> Self {
        let panels = rows.div_ceil(ROWS);
        Self { lines: vec![Line([T::default(); N]); panels * lines], stride: lines }
    }

    /// Each panel's lines.
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

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(&self.lines[..])
    }
}
