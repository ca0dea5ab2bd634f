//! Tables for people: columns that fit the terminal, whatever the script of their text.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::output::escape::escaped;

/// Columns of a terminal that does not tell.
const WIDTH_DEFAULT: usize = 100;

/// Below this a column is no longer worth shrinking.
const COLUMN_WIDTH_MIN: usize = 6;

/// Blanks between two columns.
const GAP: &str = "  ";

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    head: &'static str,
    right: bool,
    shrinks: bool,
}

impl Column {
    /// Text from the left, cut where the terminal is narrow.
    pub(crate) const fn text(head: &'static str) -> Self {
        Self { head, right: false, shrinks: true }
    }

    /// Text from the left, never cut.
    pub(crate) const fn fixed(head: &'static str) -> Self {
        Self { head, right: false, shrinks: false }
    }

    /// Numbers to the right, never cut.
    pub(crate) const fn number(head: &'static str) -> Self {
        Self { head, right: true, shrinks: false }
    }
}

/// One value, made harmless for a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: &'static str,
}

impl Cell {
    /// A plain value.
    pub(crate) fn new(text: &str) -> Self {
        Self { text: escaped(text).into_owned(), style: "" }
    }

    /// A status, in the colour of traffic lights.
    pub(crate) fn status(word: &str) -> Self {
        let style = match tooltrail::Status::parse(word) {
            Some(tooltrail::Status::Ok) => "\x1b[32m",
            Some(tooltrail::Status::Error) => "\x1b[31m",
            _ => "\x1b[33m",
        };
        Self { style, ..Self::new(word) }
    }

    /// A value of less interest.
    pub(crate) fn dim(text: &str) -> Self {
        Self { style: "\x1b[2m", ..Self::new(text) }
    }
}

/// A table under way.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Returns an empty table.
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with a cell per column.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell per column");
        self.rows.push(cells);
    }

    /// Returns the text, cut to the terminal's width, or whole where stdout is no terminal.
    pub(crate) fn render(&self) -> String {
        self.render_within(super::stdout_is_terminal().then(terminal_width))
    }

    /// Returns the text, no line wider than so many columns (where the columns that never shrink allow it).
    fn render_within(&self, width_max: Option<usize>) -> String {
        let mut widths = self.columns.iter().map(|column| column.head.width()).collect::<Vec<_>>();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        if let Some(max) = width_max {
            self.shrink(&mut widths, max);
        }
        let mut out = String::new();
        let heads = self.columns.iter().map(|column| Cell { text: column.head.to_owned(), style: "\x1b[1m" });
        self.push_row(&mut out, &widths, &heads.collect::<Vec<_>>());
        for row in &self.rows {
            self.push_row(&mut out, &widths, row);
        }
        out
    }

    /// Takes from the widest column that may shrink until all fit.
    pub(super) fn shrink(&self, widths: &mut [usize], max: usize) {
        let mut over = Self::width_of(widths).saturating_sub(max);
        while over > 0 {
            let widest = widths.iter_mut().zip(&self.columns).filter(|(_, column)| column.shrinks);
            let Some((width, _)) = widest.max_by_key(|(width, _)| **width) else { return };
            if *width <= COLUMN_WIDTH_MIN {
                return;
            }
            *width -= 1;
            over -= 1;
        }
    }

    /// Returns the columns of a line, gaps included.
    pub(super) fn width_of(widths: &[usize]) -> usize {
        widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
    }

    /// Adds one line.
    pub(super) fn push_row(&self, out: &mut String, widths: &[usize], cells: &[Cell]) {
        let last = cells.len().saturating_sub(1);
        for (at, ((cell, column), width)) in cells.iter().zip(&self.columns).zip(widths).enumerate() {
            let text = cut(&cell.text, *width);
            let blanks = " ".repeat(width.saturating_sub(text.width()));
            if column.right {
                out.push_str(&blanks);
            }
            if cell.style.is_empty() {
                out.push_str(&text);
            } else {
                out.push_str(cell.style);
                out.push_str(&text);
                out.push_str("\x1b[0m");
            }
            if at < last {
                if !column.right {
                    out.push_str(&blanks);
                }
                out.push_str(GAP);
            }
        }
        out.push('\n');
    }
}

/// Returns the columns of the terminal.
pub(super) fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH_DEFAULT, |(width, _)| usize::from(width.0))
}

/// Returns the text in at most so many columns, with an ellipsis where something was cut.
fn cut(text: &str, width_max: usize) -> String {
    if text.width() <= width_max {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut width = 0;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width >= width_max {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::{Cell, Column, Table, cut};
    use unicode_width::UnicodeWidthStr as _;

    #[test]
    fn text_is_cut_by_columns_not_by_characters() {
        let check = |text: &str, width: usize, expected: &str| assert_eq!(cut(text, width), expected);
        check("short", 5, "short");
        check("longer", 5, "long…");
        check("漢字漢字", 8, "漢字漢字");
        check("漢字漢字", 7, "漢字漢…");
        check("漢字漢字", 6, "漢字…");
        check("", 1, "");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_no_text_is_raw() {
        let mut table = Table::new(&[Column::fixed("time"), Column::text("tool"), Column::text("result")]);
        table.row(vec![Cell::new("12:00"), Cell::new("fs.read"), Cell::new(&"漢".repeat(300))]);
        table.row(vec![Cell::new("12:01"), Cell::new("\u{1b}[2J"), Cell::new("\u{202e}\u{9b}\nx")]);
        for width in [30, 40, 41, 80, 200] {
            let text = table.render_within(Some(width)).replace("\x1b[1m", "").replace("\x1b[0m", "");
            assert!(text.lines().all(|line| line.width() <= width), "{width}: {text}");
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        }
    }
}
