//! `tooltrail recent`: the newest entries.

use std::process::ExitCode;

use serde::Deserialize;
use serde_json::value::RawValue;
use tooltrail::{Cursor, Page};

use crate::common::Common;
use crate::failure::{Exit, Failure};
use crate::output::{self, Cell, Column, Data, Table};
use crate::question::Asked;

/// Show the newest entries, newest first
///
/// On a terminal a table; in a pipe one line per entry with tabs between time, user, tool, status, milliseconds and
/// result, nothing cut and no colour; with --json the stored lines as they stand.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail recent                                 the last week, everybody
  tooltrail recent --user alice 'tool=fs.*'        alice's file tools
  tooltrail recent 'status=error last=1h'          what failed in the last hour
  tooltrail recent --json --limit 1000 | jq .tool  the stored lines, for programs

What was skipped and scanned, and the cursor of the next page, go to stderr.")]
pub(crate) struct Args {
    #[command(flatten)]
    asked: Asked,

    /// At most so many entries, 1 to 1000
    #[arg(long, short = 'n', value_name = "N", default_value_t = 200)]
    limit: usize,

    /// Go on where the page before ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// Asks and prints.
pub(crate) fn run(args: Args, common: &Common) -> Result<ExitCode, Failure> {
    let mut question = args.asked.question()?;
    question.limit = args.limit;
    question.cursor = args.cursor.as_deref().map(Cursor::parse).transpose()?;
    question.check()?;
    let page = common.trail()?.recent(&question)?;
    if common.json {
        print_lines(&page)?;
    } else if output::stdout_is_terminal() {
        print_table(&page)?;
    } else {
        print_tabs(&page)?;
    }
    tell_rest(&page, common.json);
    Ok(Exit::Yes.into())
}

/// Prints the stored lines and nothing else.
fn print_lines(page: &Page) -> Result<(), Failure> {
    let terminal = output::stdout_is_terminal();
    let mut data = Data::exact();
    for line in &page.lines {
        // Lines of other writers may hold raw what ours escape; a pipe gets every byte as it stands.
        data.line(&if terminal { output::escaped_json(line) } else { line.as_str().into() })?;
    }
    data.finish()
}

/// Prints a table for people.
fn print_table(page: &Page) -> Result<(), Failure> {
    if page.lines.is_empty() {
        output::talk("no entries");
        return Ok(());
    }
    let mut table = Table::new(&[
        Column::fixed("time"),
        Column::text("user"),
        Column::text("tool"),
        Column::fixed("status"),
        Column::number("took"),
        Column::text("result"),
    ]);
    for line in &page.lines {
        let shown = Shown::read(line);
        table.row(vec![
            Cell::dim(&shown.ts.replacen('T', " ", 1)),
            Cell::new(&shown.user),
            Cell::new(&shown.tool),
            Cell::status(&shown.status),
            Cell::dim(&took(shown.duration_ms())),
            Cell::new(&shown.outcome()),
        ]);
    }
    let mut data = Data::styled();
    data.bytes(table.render().as_bytes())?;
    data.finish()
}

/// Prints values with tabs between them, for `cut` and `awk`.
fn print_tabs(page: &Page) -> Result<(), Failure> {
    let mut data = Data::exact();
    for line in &page.lines {
        let shown = Shown::read(line);
        let outcome = shown.outcome();
        let values = [&shown.ts, &shown.user, &shown.tool, &shown.status, shown.duration_ms().unwrap_or(""), &outcome];
        data.line(&values.map(|value| output::escaped(value)).join("\t"))?;
    }
    data.finish()
}

/// Tells what else there is to know about the answer.
fn tell_rest(page: &Page, json: bool) {
    let skipped = &page.skipped;
    let lost = skipped.torn + skipped.nul + skipped.invalid_json + skipped.too_long;
    if lost > 0 || json {
        output::talk(&format!(
            "skipped: {} torn, {} with NUL, {} not JSON, {} too long",
            skipped.torn, skipped.nul, skipped.invalid_json, skipped.too_long
        ));
    }
    if json {
        output::talk(&format!("scanned: {} files, {} bytes", page.scanned.files, page.scanned.bytes));
    }
    if !page.complete {
        output::talk("this answer is partial: it reached its bound of bytes or time");
    }
    if let Some(next) = &page.next {
        output::talk(&format!("next: --cursor {next}"));
    }
}

/// What people see of an entry.
#[derive(Deserialize)]
struct Shown<'a> {
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
}

impl<'a> Shown<'a> {
    /// Reads a stored line; one that another writer filled otherwise is shown as it stands.
    fn read(line: &'a str) -> Self {
        serde_json::from_str(line).unwrap_or_else(|_| Self {
            ts: String::new(),
            user: String::new(),
            tool: String::new(),
            status: String::new(),
            reason: None,
            result_snippet: line.to_owned(),
            duration_ms: None,
        })
    }

    /// Returns the digits of the duration.
    fn duration_ms(&self) -> Option<&str> {
        self.duration_ms.map(RawValue::get).filter(|text| *text != "null")
    }

    /// Returns the result, or the reason where there is none.
    fn outcome(&self) -> String {
        match &self.reason {
            Some(reason) if self.result_snippet.is_empty() => format!("({reason})"),
            _ => self.result_snippet.clone(),
        }
    }
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
        check(r#"{"tool":7}"#, "", r#"{"tool":7}"#);
        check(r#"{"tool":"\ud800"}"#, "", r#"{"tool":"\ud800"}"#);
        let deep = format!(r#"{{"tool":"a","args":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
        check(&deep, "a", "");
    }
}
