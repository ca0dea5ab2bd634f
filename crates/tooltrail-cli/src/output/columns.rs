//! Rows for people that are printed one by one as they arrive, so the widths of the columns are fixed beforehand.

use crate::output::table::{Cell, Column, Table, terminal_width};

/// Columns with fixed widths that fit the terminal.
#[derive(Debug)]
pub(crate) struct Columns {
    table: Table,
    widths: Vec<usize>,
}

impl Columns {
    /// Returns columns with these names and widths, as far as they fit. The last column gets the rest of the width.
    pub(crate) fn new(columns: &[Column], widths: &[usize]) -> Self {
        Self::within(columns, widths, terminal_width())
    }

    fn within(columns: &[Column], widths: &[usize], width_max: usize) -> Self {
        let table = Table::new(columns);
        let mut widths = widths.to_vec();
        table.fit(&mut widths, width_max);
        let rest = width_max.saturating_sub(Table::width_of(&widths));
        if let Some(last) = widths.iter_mut().rfind(|width| **width > 0) {
            *last += rest;
        }
        Self { table, widths }
    }

    /// Returns one row as text, with its newline.
    pub(crate) fn row(&self, cells: &[Cell]) -> String {
        let mut text = String::new();
        self.table.push_row(&mut text, &self.widths, cells);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr as _;

    #[test]
    fn rows_fit_whatever_comes() {
        for width in [60, 80, 200] {
            let columns = [Column::fixed("a"), Column::text("b"), Column::number("c"), Column::text("d")];
            let row_of = Columns::within(&columns, &[10, 20, 6, 40], width);
            for cells in [["x", "y", "1", "z"], ["2026-11-23", &"漢".repeat(50), "999999", &"\u{1b}[2J".repeat(99)]] {
                let row = row_of.row(&cells.map(Cell::new));
                assert!(row.trim_end().width() <= width, "{width}: {row}");
                assert!(row.ends_with('\n') && !row.contains('\x1b'), "{row:?}");
            }
        }
    }
}
