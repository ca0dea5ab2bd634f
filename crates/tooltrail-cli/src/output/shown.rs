//! What people see of an entry: in a table, or with tabs.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tooltrail::Via;

use crate::output::escape::{escaped, escaped_json};
use crate::output::table::{Cell, Column};

/// An entry as people see it.
#[derive(Deserialize)]
pub(crate) struct Shown<'a> {
    #[serde(default)]
    ts: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    tool: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    result_snippet: String,
    #[serde(borrow, default)]
    duration_ms: Option<&'a RawValue>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(default)]
    via: String,
    #[serde(default)]
    id: String,
}

impl<'a> Shown<'a> {
    /// The columns of its cells.
    pub(crate) const COLUMNS: [Column; 6] = [
        Column::fixed("time"),
        Column::text("user"),
        Column::text("tool"),
        Column::fixed("status"),
        Column::number("took"),
        Column::text("result"),
    ];

    /// The columns of its cells with an id.
    pub(crate) const WITH_ID: [Column; 5] = [
        Column::fixed("time"),
        Column::text("user"),
        Column::text("tool"),
        Column::fixed("status"),
        Column::fixed("id"),
    ];

    /// Reads a stored line; one that another writer filled otherwise is shown as it stands.
    pub(crate) fn read(line: &'a str) -> Self {
        serde_json::from_str(line).unwrap_or_else(|_| Self {
            ts: String::new(),
            user: String::new(),
            tool: String::new(),
            status: String::new(),
            reason: None,
            result_snippet: line.to_owned(),
            duration_ms: None,
            args: None,
            via: String::new(),
            id: String::new(),
        })
    }

    /// Returns a cell per column, for people.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::dim(&self.ts.replacen('T', " ", 1)),
            Cell::new(&self.user),
            Cell::new(&self.tool),
            Cell::status(&self.status),
            Cell::dim(&took(self.duration_ms())),
            Cell::new(&self.outcome()),
        ]
    }

    /// Returns a cell per column of those with an id.
    pub(crate) fn cells_with_id(&self) -> Vec<Cell> {
        let time = Cell::dim(&self.ts.replacen('T', " ", 1));
        vec![time, Cell::new(&self.user), Cell::new(&self.tool), Cell::status(&self.status), Cell::new(&self.id)]
    }

    /// Returns the values with tabs between them, for `cut` and `awk`.
    pub(crate) fn tabs(&self) -> String {
        let outcome = self.outcome();
        let values = [&self.ts, &self.user, &self.tool, &self.status, self.duration_ms().unwrap_or(""), &outcome];
        values.map(escaped).join("\t")
    }

    /// Returns the digits of the duration.
    fn duration_ms(&self) -> Option<&str> {
        self.duration_ms.map(RawValue::get).filter(|text| *text != "null")
    }

    /// Returns the result, or the reason where there is none; of our own events what they tell.
    fn outcome(&self) -> String {
        if let Some(args) = self.args.filter(|_| self.via == Via::Tooltrail.as_str()) {
            return args.get().to_owned();
        }
        match &self.reason {
            Some(reason) if self.result_snippet.is_empty() => format!("({reason})"),
            _ => self.result_snippet.clone(),
        }
    }
}

/// Returns a stored line as it stands; harmless, and of the same meaning, where a terminal shows it.
pub(crate) fn stored(line: &str, terminal: bool) -> Cow<'_, str> {
    // Lines of other writers may hold raw what ours escape; a pipe gets every byte as it stands.
    if terminal { escaped_json(line) } else { line.into() }
}

/// Returns a duration as people say it.
fn took(duration_ms: Option<&str>) -> String {
    let Some(ms) = duration_ms.and_then(|text| text.parse::<f64>().ok()) else { return String::new() };
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 600_000.0 => format!("{:.1} s", ms / 1_000.0),
        ms => format!("{:.0} min", ms / 60_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Shown, took};

    #[test]
    fn durations_read_well() {
        let check = |digits: Option<&str>, expected: &str| assert_eq!(took(digits), expected);
        check(None, "");
        check(Some("0"), "0.0 ms");
        check(Some("9.344"), "9.3 ms");
        check(Some("412.7"), "413 ms");
        check(Some("1.5e3"), "1.5 s");
        check(Some("900000"), "15 min");
        check(Some("\"x\""), "");
    }

    #[test]
    fn any_line_is_shown() {
        let check = |line: &str, tool: &str, outcome: &str| {
            let shown = Shown::read(line);
            assert_eq!((shown.tool.as_str(), shown.outcome().as_str()), (tool, outcome), "{line}");
        };
        check(r#"{"tool":"a","result_snippet":"r","args":{"tool":"b"}}"#, "a", "r");
        check(r#"{"tool":"a","result_snippet":"","reason":"policy"}"#, "a", "(policy)");
        check(r#"{"tool":"tooltrail.stop","args":{"n":1},"via":"tooltrail"}"#, "tooltrail.stop", r#"{"n":1}"#);
        check(r#"{"tool":7}"#, "", r#"{"tool":7}"#);
        check(r#"{"tool":"\ud800"}"#, "", r#"{"tool":"\ud800"}"#);
        let deep = format!(r#"{{"tool":"a","args":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        check(&deep, "a", "");
    }
}
