//! Which rows of a buffer belong to which run. A run has rows only where it differs from its base.

use std::ops::Range;

/// The rows of one buffer: for each run that has any, a range of positions, one row after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// By run: positions, and the row of the first of them.
    spans: Vec<Option<(Range<usize>, usize)>>,
    /// Runs in the order of their rows.
    order: Vec<usize>,
    rows: usize,
}

impl Layout {
    pub(super) fn new(runs: usize) -> Self {
        Self { spans: vec![None; runs], order: Vec::new(), rows: 0 }
    }

    /// Adds rows for positions of a run behind those that are there; an empty range adds nothing.
    pub(super) fn push(&mut self, run: usize, positions: Range<usize>) {
        if !positions.is_empty() {
            let rows = positions.len();
            self.spans[run] = Some((positions, self.rows));
            self.order.push(run);
            self.rows += rows;
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Runs that have rows, in the order of their rows.
    pub(super) fn runs(&self) -> &[usize] {
        &self.order
    }

    /// Positions of a run that have rows of their own.
    pub(super) fn positions(&self, run: usize) -> Range<usize> {
        self.spans[run].as_ref().map_or(0..0, |(positions, _)| positions.clone())
    }

    /// The run's own row of a position.
    pub(super) fn own_row(&self, run: usize, pos: usize) -> Option<usize> {
        let (positions, first) = self.spans[run].as_ref()?;
        positions.contains(&pos).then(|| first + pos - positions.start)
    }

    /// Every row as `(run, pos)`, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.order.iter().flat_map(|run| self.positions(*run).map(move |pos| (*run, pos)))
    }
}
