//! Finds secrets in table columns whose heading is the name of a secret: drawn tables and separated values.

use crate::redact::rules::benign::{is_benign, is_password, is_random};
use crate::redact::rules::names::Name;
use crate::redact::scan::boundaries::{floor, right};
use crate::redact::scan::hit::Hit;

/// Lines of a table that are searched.
const ROWS_MAX: usize = 64;
/// Bytes of the heading line before and after the name, and bytes of a row.
const HEADING_MAX: usize = 400;
const ROW_MAX: usize = 4_096;

/// Pushes the secret cells below the heading at `start`, except the last one, which it returns.
pub(in crate::redact) fn column(text: &str, start: usize, end: usize, name: Name, hits: &mut Vec<Hit>) -> Option<Hit> {
    let Name::Strong(rule) = name else { return None };
    let near = floor(text, start.saturating_sub(HEADING_MAX));
    let line_start = text[near..start].rfind('\n').map(|at| near + at + 1).or((near == 0).then_some(0))?;
    let line_end = right(&text[..floor(text, end + HEADING_MAX)], end, |b| b != b'\n');
    if line_end >= text.len() || text.as_bytes()[line_end] != b'\n' {
        return None;
    }
    let line = text[line_start..line_end].trim_end_matches('\r');
    // Behind a row that was cut, an offset may lie within a character: there is no further row then.
    let row_at = |at: usize| {
        let row = text.get(at..right(&text[..floor(text, at + ROW_MAX)], at, |b| b != b'\n'));
        row.unwrap_or_default()
    };
    let under = row_at(line_end + 1);
    let ruled = is_rule(under);
    let next = if ruled { row_at(line_end + 1 + under.len() + 1) } else { under };
    let split = ['|', '\t', ',', ';']
        .into_iter()
        .find(|c| line.contains(*c) && line.matches(*c).count() == next.trim_end_matches('\r').matches(*c).count())?;
    let cells: Vec<&str> = line.split(split).map(|cell| cell.trim().trim_matches('"')).collect();
    let headings = cells.iter().all(|cell| cell.len() <= 40 && !cell.contains([':', '=', '"', '(', '.']));
    // A drawn table has a bar at the start of its line, or a rule below its heading. Other bars may occur in any text.
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

/// Returns whether a line is a rule of a drawn table: `---+---`, `|:--|--:|`.
fn is_rule(line: &str) -> bool {
    let line = line.trim_matches([' ', '\r']);
    line.len() >= 3 && line.contains("--") && line.bytes().all(|b| b"-+|:= ".contains(&b))
}
