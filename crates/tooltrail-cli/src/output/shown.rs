//! How people see an entry: as a row of a table, or as values with tabs between them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tooltrail::{Timestamp, Via, Zone};

use crate::output::escape::{escaped, escaped_json};
use crate::output::table::{Cell, Column};

/// Characters of the end of an id that a table shows: 32 random bits.
const SHORT_ID_CHARS: usize = 8;

/// The fields of an entry that people see.
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
    /// The columns of [`Self::cells`]. The tool and its arguments keep their width longest, because people look for
    /// them.
    pub(crate) const COLUMNS: [Column; 8] = [
        Column::fixed("time"),
        Column::name("tool").least(20),
        Column::text("arguments").least(18),
        Column::fixed("status"),
        Column::name("user").least(8).rank(1),
        Column::fixed("id").rank(2),
        Column::number("took").rank(3),
        Column::text("result").least(20).rank(4),
    ];

    /// The columns of [`Self::cells_with_id`].
    pub(crate) const WITH_ID: [Column; 5] = [
        Column::fixed("time"),
        Column::text("user"),
        Column::text("tool"),
        Column::fixed("status"),
        Column::fixed("id"),
    ];

    /// Parses a stored line. A line of another writer that does not have these fields is shown unchanged as the result.
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

    /// Returns one cell for each of [`Self::COLUMNS`]. The time is in this zone, with the date if `dated`.
    pub(crate) fn cells(&self, zone: &Zone, dated: bool) -> Vec<Cell> {
        let (date, clock) = self.wall_clock(zone);
        let time = if dated { format!("{date} {clock}") } else { clock };
        vec![
            Cell::dim(time.trim()),
            Cell::new(&self.tool),
            Cell::new(&self.arguments()),
            Cell::status(&self.status),
            Cell::new(&self.user),
            Cell::dim(self.short_id()),
            Cell::dim(&took(self.duration_ms())),
            Cell::new(&self.outcome()),
        ]
    }

    /// Returns the end of the id, which `tooltrail show` accepts in place of the complete id.
    fn short_id(&self) -> &str {
        let start = self.id.len().saturating_sub(SHORT_ID_CHARS);
        self.id.get(start..).unwrap_or_default()
    }

    /// Returns the date and the time of day in a zone. For a time in an unknown form, the date is empty and the time is
    /// unchanged.
    pub(crate) fn wall_clock(&self, zone: &Zone) -> (String, String) {
        match Timestamp::parse(&self.ts, &Zone::UTC) {
            Ok(ts) => zone.wall_clock(ts),
            Err(_) => (String::new(), self.ts.clone()),
        }
    }

    /// Returns the arguments as `name=value`, or only the value if there is one argument.
    fn arguments(&self) -> String {
        let Some(raw) = self.args else { return String::new() };
        let Ok(members) = serde_json::from_str::<serde_json::Map<String, Value>>(raw.get()) else {
            return raw.get().to_owned();
        };
        let plain = |value: &Value| match value {
            Value::String(text) if members.len() == 1 || !text.contains(char::is_whitespace) => text.clone(),
            value => value.to_string(),
        };
        if members.len() == 1 {
            return members.values().map(plain).collect();
        }
        members.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(" ")
    }

    /// Returns one cell for each of [`Self::WITH_ID`].
    pub(crate) fn cells_with_id(&self) -> Vec<Cell> {
        let time = Cell::dim(&self.ts.replacen('T', " ", 1));
        vec![time, Cell::new(&self.user), Cell::new(&self.tool), Cell::status(&self.status), Cell::new(&self.id)]
    }

    /// Returns the values with tabs between them, for `cut` and `awk`. The result of tooltrail's own events is their
    /// arguments.
    pub(crate) fn tabs(&self) -> String {
        let args = self.args.map_or("", RawValue::get);
        let outcome = if self.via == Via::Tooltrail.as_str() { args.to_owned() } else { self.outcome() };
        let values = [&self.ts, &self.user, &self.tool, &self.status, self.duration_ms().unwrap_or(""), &outcome, args];
        values.map(escaped).join("\t")
    }

    /// Returns the duration in milliseconds, as it is written in the entry.
    fn duration_ms(&self) -> Option<&str> {
        self.duration_ms.map(RawValue::get).filter(|text| *text != "null")
    }

    /// Returns the result, or the reason in parentheses if there is no result.
    fn outcome(&self) -> String {
        match &self.reason {
            Some(reason) if self.result_snippet.is_empty() => format!("({reason})"),
            _ => self.result_snippet.clone(),
        }
    }
}

/// Returns a stored line unchanged, or for a terminal with hostile characters escaped; the meaning of the JSON is the
/// same.
pub(crate) fn stored(line: &str, terminal: bool) -> Cow<'_, str> {
    // Lines of other writers may contain characters that tooltrail escapes. A pipe gets every byte unchanged.
    if terminal { escaped_json(line) } else { line.into() }
}

/// Returns a number of milliseconds in a readable unit, or an empty text if it is not a number.
fn took(duration_ms: Option<&str>) -> String {
    duration_ms.and_then(|text| text.parse::<f64>().ok()).map(duration).unwrap_or_default()
}

/// Returns a duration in milliseconds in a readable unit, such as `42 µs` or `15 min`.
pub(crate) fn duration(ms: f64) -> String {
    match ms {
        0.0 => "0 ms".to_owned(),
        ms if ms < 0.95 => format!("{:.0} µs", ms * 1_000.0),
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 600_000.0 => format!("{:.1} s", ms / 1_000.0),
        ms if ms < 36_000_000.0 => format!("{:.0} min", ms / 60_000.0),
        ms => format!("{:.0} h", ms / 3_600_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Shown, took};

    #[test]
    fn durations_read_well() {
        let check = |digits: Option<&str>, expected: &str| assert_eq!(took(digits), expected);
        check(None, "");
        check(Some("0"), "0 ms");
        check(Some("0.0421"), "42 µs");
        check(Some("9.344"), "9.3 ms");
        check(Some("412.7"), "413 ms");
        check(Some("1.5e3"), "1.5 s");
        check(Some("900000"), "15 min");
        check(Some("90000000"), "25 h");
        check(Some("\"x\""), "");
    }

    #[test]
    fn arguments_are_words() {
        let check = |args: &str, expected: &str| {
            let line = format!("{{\"tool\":\"a\",\"args\":{args}}}");
            assert_eq!(Shown::read(&line).arguments(), expected, "{args}");
        };
        check("{}", "");
        check(r#"{"command":"git status -s"}"#, "git status -s");
        check(r#"{"path":"a/b.txt","n":[1,2],"text":"two words"}"#, r#"path=a/b.txt n=[1,2] text="two words""#);
        check("[1]", "[1]");
    }

    #[test]
    fn any_line_is_shown() {
        let check = |line: &str, tool: &str, outcome: &str| {
            let shown = Shown::read(line);
            assert_eq!((shown.tool.as_str(), shown.outcome().as_str()), (tool, outcome), "{line}");
        };
        check(r#"{"tool":"a","result_snippet":"r","args":{"tool":"b"}}"#, "a", "r");
        check(r#"{"tool":"a","result_snippet":"","reason":"policy"}"#, "a", "(policy)");
        check(r#"{"tool":"tooltrail.stop","args":{"n":1},"via":"tooltrail"}"#, "tooltrail.stop", "");
        check(r#"{"tool":7}"#, "", r#"{"tool":7}"#);
        check(r#"{"tool":"\ud800"}"#, "", r#"{"tool":"\ud800"}"#);
        let deep = format!(r#"{{"tool":"a","args":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        check(&deep, "a", "");
    }
}
