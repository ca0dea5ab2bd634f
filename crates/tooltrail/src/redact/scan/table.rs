//! Columns under a secret's name, in tables drawn with bars and in lines of separated values.

use crate::redact::rules::benign::{is_benign, is_password, is_random};
use crate::redact::rules::names::Name;
use crate::redact::scan::boundaries::{floor, right};
use crate::redact::scan::hit::Hit;

/// Lines of a table that are looked at.
const ROWS_MAX: usize = 64;
/// Bytes of a heading on either side of the name, and of a row.
const HEADING_MAX: usize = 400;
const ROW_MAX: usize = 4_096;

/// Pushes the cells below the heading at `start`; answers the last.
pub(in crate::redact) fn column(text: &str, start: usize, end: usize, name: Name, hits: &mut Vec<Hit>) -> Option<Hit> {
    let Name::Strong(rule) = name else { return None };
    let near = floor(text, start.saturating_sub(HEADING_MAX));
    let line_start = text[near..start].rfind('\n').map(|at| near + at + 1).or((near == 0).then_some(0))?;
    let line_end = right(&text[..floor(text, end + HEADING_MAX)], end, |b| b != b'\n');
    if line_end >= text.len() || text.as_bytes()[line_end] != b'\n' {
        return None;
    }
    let line = text[line_start..line_end].trim_end_matches('\r');
    let row_at = |at: usize| &text[at.min(text.len())..right(&text[..floor(text, at + ROW_MAX)], at, |b| b != b'\n')];
    let under = row_at(line_end + 1);
    let ruled = is_rule(under);
    let next = if ruled { row_at(line_end + 1 + under.len() + 1) } else { under };
    let split = ['|', '\t', ',', ';']
        .into_iter()
        .find(|c| line.contains(*c) && line.matches(*c).count() == next.trim_end_matches('\r').matches(*c).count())?;
    let cells: Vec<&str> = line.split(split).map(|cell| cell.trim().trim_matches('"')).collect();
    let headings = cells.iter().all(|cell| cell.len() <= 40 && !cell.contains([':', '=', '"', '(', '.']));
    // A table that is drawn has bars on both sides, or a line below its heading; other bars may stand in any text.
    let drawn = split == '|' && (line.starts_with('|') || ruled);
    let spaces = !drawn && cells.iter().any(|cell| cell.contains(' '));
    let index = text[line_start..start].matches(split).count();
    if !headings || spaces || cells.len() < 2 {
        return None;
    }
    let (mut at, mut last) = (line_end + 1, None);
    for _ in 0..ROWS_MAX {
        let stop = right(&text[..floor(text, at + ROW_MAX)], at, |b| b != b'\n');
        let Some(row) = text.get(at..stop) else { break };
        if is_rule(row) {
            at = stop + 1;
            continue;
        }
        if row.matches(split).count() + 1 != cells.len() {
            break;
        }
        let before: usize = row.split(split).take(index).map(|cell| cell.len() + 1).sum();
        let cell = row.split(split).nth(index).unwrap_or("");
        let inner = cell.trim_matches([' ', '`', '"', '\'', '\r']);
        if !inner.contains(' ') && (is_random(inner) || is_password(inner)) && !is_benign(inner) {
            let from = at + before + cell.find(inner).unwrap_or(0);
            last.replace(Hit::new(from, from + inner.len(), rule)).into_iter().for_each(|hit| hits.push(hit));
        }
        at = stop + 1;
    }
    last
}

/// Whether a line only draws a table: `---+---`, `|:--|--:|`.
fn is_rule(line: &str) -> bool {
    let line = line.trim_matches([' ', '\r']);
    line.len() >= 3 && line.contains("--") && line.bytes().all(|b| b"-+|:= ".contains(&b))
}
