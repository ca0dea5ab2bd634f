//! Tables for people, whose columns fit the terminal for text in any script.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::output::escape::escaped;

/// Columns of a terminal whose width is unknown.
const WIDTH_DEFAULT: usize = 100;

/// Minimum width to which a column is shrunk, even if the terminal is narrower than the table.
const COLUMN_WIDTH_MIN: usize = 6;

/// Blanks between two columns.
const GAP: &str = "  ";

/// The layout of one column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    head: &'static str,
    right: bool,
    /// Width that the text keeps as long as another column can be left out; `None` if the text is never cut.
    least: Option<usize>,
    /// If the table is too wide, columns of the highest rank are left out first. Columns of rank 0 are never left out.
    rank: u8,
    /// Whether the text is cut in the middle, because both ends of a name say more than its middle.
    middle: bool,
}

impl Column {
    /// Returns a column of left-aligned text, which is cut at its end if the terminal is narrow.
    pub(crate) const fn text(head: &'static str) -> Self {
        Self { head, right: false, least: Some(COLUMN_WIDTH_MIN), rank: 0, middle: false }
    }

    /// Returns a column of left-aligned names, which are cut in the middle if the terminal is narrow.
    pub(crate) const fn name(head: &'static str) -> Self {
        Self { middle: true, ..Self::text(head) }
    }

    /// Returns a column of left-aligned text that is never cut.
    pub(crate) const fn fixed(head: &'static str) -> Self {
        Self { head, right: false, least: None, rank: 0, middle: false }
    }

    /// Returns a column of right-aligned numbers that are never cut.
    pub(crate) const fn number(head: &'static str) -> Self {
        Self { right: true, ..Self::fixed(head) }
    }

    /// Sets the width that the text keeps as long as another column can be left out.
    pub(crate) const fn least(self, least: usize) -> Self {
        Self { least: Some(least), ..self }
    }

    /// Allows to leave the column out if the table is too wide. Columns of a higher rank are left out first.
    pub(crate) const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

/// One value, escaped for a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: &'static str,
}

impl Cell {
    /// Returns a cell without style.
    pub(crate) fn new(text: &str) -> Self {
        Self { text: escaped(text).into_owned(), style: "" }
    }

    /// Returns a cell for a status: green for ok, red for error, yellow for all others.
    pub(crate) fn status(word: &str) -> Self {
        let style = match tooltrail::Status::parse(word) {
            Some(tooltrail::Status::Ok) => "\x1b[32m",
            Some(tooltrail::Status::Error) => "\x1b[31m",
            _ => "\x1b[33m",
        };
        Self { style, ..Self::new(word) }
    }

    /// Returns a dimmed cell, for a value of less interest.
    pub(crate) fn dim(text: &str) -> Self {
        Self { style: "\x1b[2m", ..Self::new(text) }
    }
}

/// A table to which rows are added.
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

    /// Adds a row with one cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell per column");
        self.rows.push(cells);
    }

    /// Returns the table as text, cut to the width of the terminal, or uncut if stdout is not a terminal.
    pub(crate) fn render(&self) -> String {
        self.render_within(super::stdout_is_terminal().then(terminal_width))
    }

    /// Returns the table as text. No line is wider than `width_max`, if the columns that are never cut allow it.
    /// Columns without any text are left out.
    fn render_within(&self, width_max: Option<usize>) -> String {
        let mut widths = vec![0; self.columns.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        for (width, column) in widths.iter_mut().zip(&self.columns).filter(|(width, _)| **width > 0) {
            *width = (*width).max(column.head.width());
        }
        if let Some(max) = width_max {
            self.fit(&mut widths, max);
        }
        let mut out = String::new();
        let heads = self.columns.iter().map(|column| Cell { text: column.head.to_owned(), style: "\x1b[1m" });
        self.push_row(&mut out, &widths, &heads.collect::<Vec<_>>());
        for row in &self.rows {
            self.push_row(&mut out, &widths, row);
        }
        out
    }

    /// Makes the table fit: leaves columns out by setting their width to 0, and shrinks the widest of the others.
    pub(super) fn fit(&self, widths: &mut [usize], max: usize) {
        let least = |width: usize, column: &Column| column.least.map_or(width, |least| width.min(least));
        loop {
            let narrowest = widths.iter().zip(&self.columns).map(|(width, column)| least(*width, column));
            let dropped = (0..widths.len()).filter(|at| widths[*at] > 0 && self.columns[*at].rank > 0);
            match dropped.max_by_key(|at| self.columns[*at].rank) {
                Some(dropped) if Self::width_of(&narrowest.collect::<Vec<_>>()) > max => widths[dropped] = 0,
                _ => break,
            }
        }
        let mut over = Self::width_of(widths).saturating_sub(max);
        // First shrink each column to its `least` width, then further.
        for last in [false, true] {
            while over > 0 {
                let shrinkable = widths.iter_mut().zip(&self.columns).filter(|(width, column)| {
                    column.least.is_some_and(|least| **width > if last { COLUMN_WIDTH_MIN } else { least })
                });
                let Some((width, _)) = shrinkable.max_by_key(|(width, _)| **width) else { break };
                *width -= 1;
                over -= 1;
            }
        }
    }

    /// Returns the width of a line with these columns, including the gaps.
    pub(super) fn width_of(widths: &[usize]) -> usize {
        let shown = widths.iter().filter(|width| **width > 0).count();
        widths.iter().sum::<usize>() + GAP.len() * shown.saturating_sub(1)
    }

    /// Appends one line to `out`.
    pub(super) fn push_row(&self, out: &mut String, widths: &[usize], cells: &[Cell]) {
        let last = widths.iter().rposition(|width| *width > 0).unwrap_or(0);
        let shown = cells.iter().zip(&self.columns).zip(widths).enumerate().filter(|(_, (_, width))| **width > 0);
        for (at, ((cell, column), width)) in shown {
            let text = if column.middle { cut_middle(&cell.text, *width) } else { cut(&cell.text, *width) };
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

/// Returns the width of the terminal in columns.
pub(super) fn terminal_width() -> usize {
    let told = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    told.filter(|width| *width > 0).unwrap_or(WIDTH_DEFAULT)
}

/// Returns the text cut to `width_max` columns, with an ellipsis at its end if something was cut.
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

/// Returns the text cut to `width_max` columns, with an ellipsis in its middle if something was cut.
fn cut_middle(text: &str, width_max: usize) -> String {
    if text.width() <= width_max || width_max < 3 {
        return cut(text, width_max);
    }
    let ends = width_max - 1;
    let head = cut(text, ends.div_ceil(2) + 1);
    let (mut tail, mut width) = (text.len(), 0);
    for (at, c) in text.char_indices().rev() {
        width += c.width().unwrap_or(0);
        if width > ends / 2 {
            break;
        }
        tail = at;
    }
    head + &text[tail..]
}

#[cfg(test)]
mod tests {
    use super::{Cell, Column, Table, cut, cut_middle};
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
    fn names_are_cut_in_the_middle() {
        let check = |text: &str, width: usize, expected: &str| assert_eq!(cut_middle(text, width), expected);
        check("short", 5, "short");
        check("mcp__playwright__browser_click", 20, "mcp__playw…ser_click");
        check("abcdef", 4, "ab…f");
        check("漢字漢字", 7, "漢…字");
        check("abcdef", 2, "a…");
    }

    #[test]
    fn columns_without_text_or_room_are_left_out() {
        let columns = [
            Column::fixed("time"),
            Column::name("tool").least(8),
            Column::number("took").rank(1),
            Column::text("result").least(10).rank(2),
            Column::text("empty"),
        ];
        let mut table = Table::new(&columns);
        table.row(["12:00", "mcp__fs__read_file", "12 ms", "the text of a note", ""].map(Cell::new).to_vec());
        let shown = |width| table.render_within(Some(width)).replace("\x1b[1m", "").replace("\x1b[0m", "");
        let head =
            |width| shown(width).lines().next().unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(head(200), ["time", "tool", "took", "result"]);
        assert_eq!(head(34), ["time", "tool", "took", "result"]);
        assert_eq!(head(33), ["time", "tool", "took"]);
        assert_eq!(head(20), ["time", "tool"]);
        assert!(shown(20).contains("12:00  mcp__f…d_file"), "{}", shown(20));
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
