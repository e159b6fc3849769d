//! Rows of different lengths, stored in one buffer.

use std::ops::{Index, IndexMut, Range};

/// A fixed number of rows, each with its own length.
#[derive(Clone, Debug)]
pub(super) struct Ragged<T> {
    values: Vec<T>,
    /// Range of each row in `values`.
    rows: Vec<Range<usize>>,
}

impl<T: Clone> Ragged<T> {
    /// `rows` empty rows.
    pub fn empty(rows: usize) -> Self {
        Self { values: Vec::new(), rows: vec![0..0; rows] }
    }

    /// Rows of these lengths, filled with `value`.
    pub fn of_lengths(lengths: &[usize], value: T) -> Self {
        let mut end = 0;
        let row = |len: &usize| {
            end += len;
            end - len..end
        };
        let rows = lengths.iter().map(row).collect();
        Self { values: vec![value; end], rows }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Sets the values of a row that is still empty.
    pub fn set(&mut self, row: usize, values: &[T]) {
        let begin = self.values.len();
        self.values.extend_from_slice(values);
        self.rows[row] = begin..self.values.len();
    }
}

impl<T> Index<usize> for Ragged<T> {
    type Output = [T];

    fn index(&self, row: usize) -> &[T] {
        &self.values[self.rows[row].clone()]
    }
}

impl<T> IndexMut<usize> for Ragged<T> {
    fn index_mut(&mut self, row: usize) -> &mut [T] {
        &mut self.values[self.rows[row].clone()]
    }
}
