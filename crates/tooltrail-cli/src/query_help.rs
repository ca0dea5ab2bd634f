//! Explains queries: how they are written, and where a mistake is in one.

use unicode_width::UnicodeWidthChar as _;

/// How to write a query, for a terminal of 80 columns.
pub(crate) const TEXT: &str = include_str!("query_help.txt");

/// The most characters of a query that are shown before and after the place, so that it fits a line of a terminal.
const AROUND: usize = 34;

/// Returns two lines: the query around the place, which is a number of characters, and a caret below it.
pub(crate) fn place(query: &str, at: usize) -> String {
    let chars = query.chars().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).collect::<Vec<_>>();
    let at = at.min(chars.len());
    let (from, to) = (at.saturating_sub(AROUND), (at + AROUND).min(chars.len()));
    let before = if from > 0 { "…" } else { "" };
    let after = if to < chars.len() { "…" } else { "" };
    let shown = chars[from..to].iter().collect::<String>();
    let width = chars[from..at].iter().map(|c| c.width().unwrap_or(0)).sum::<usize>() + before.chars().count();
    format!("  {before}{shown}{after}\n  {}^", " ".repeat(width))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn the_caret_stands_below_the_place() {
        assert_eq!(place("tool=x colour=red", 7), "  tool=x colour=red\n         ^");
        assert_eq!(place("設定 x=y", 3), "  設定 x=y\n       ^");
        assert_eq!(place("", 0), "  \n  ^");
        let long = place(&format!("{} b=c {}", "a ".repeat(60), "d ".repeat(60)), 121);
        let lines = long.lines().collect::<Vec<_>>();
        assert!(lines[0].chars().count() < 78, "{long}");
        assert_eq!(lines[0].chars().nth(lines[1].chars().count() - 1), Some('b'), "{long}");
    }
}
