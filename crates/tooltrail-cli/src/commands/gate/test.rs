//! `tooltrail gate test`: which recorded calls would some rules have denied?

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::commands::gate::past;
use crate::failure::{Exit, Failure};
use crate::hook::{Client, Gates};
use crate::output::{self, Cell, Column, Table};
use crate::question::QuestionArgs;
use crate::settings::Settings;
use crate::settings::file::ConfigFile;

/// The newest denied calls that are shown.
const NEWEST_MAX: usize = 3;

/// The most rows of each table for people; `--json` has all rows.
const ROWS_MAX: usize = 20;

/// The name under which calls are counted that no rule decided.
const DEFAULT: &str = "(default)";

/// Try rules on recorded calls: say which ones they would have denied
///
/// FILE is a configuration file; its `[gate]` and `[mcp.NAME]` are used. A [mcp.NAME] is tried on the calls of that
/// server, as the entry or the name of the tool tells it. The trail has no roles, so rules with `roles` match nothing here.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail gate test new.toml                        the last week, everybody
  tooltrail gate test new.toml 'server=github last=30d'")]
pub(super) struct Args {
    /// The file with the rules
    file: PathBuf,

    #[command(flatten)]
    asked: QuestionArgs,
}

/// What the rules would have done.
#[derive(Debug, Default)]
struct Report {
    denied: u64,
    /// Calls that were refused when they were made, and that these rules would refuse too.
    denied_before: u64,
    by_rule: BTreeMap<String, u64>,
    by_tool: BTreeMap<String, u64>,
    by_user: BTreeMap<String, u64>,
    newest: Vec<String>,
    /// The rules that matched no call: perhaps a name is misspelt.
    unused: BTreeSet<String>,
}

/// Runs the command.
pub(super) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let file = ConfigFile::load(Some(&args.file))?;
    let mut gates = Gates::new(&file);
    let of_servers = file.mcp.values().flat_map(|server| &server.rules);
    let all = file.gate.iter().flat_map(|gate| &gate.rules).chain(of_servers);
    let mut report = Report {
        unused: all.map(|rule| rule.name.clone()).filter(|name| !name.is_empty()).collect(),
        ..Report::default()
    };
    let past = past::read(&args.asked, settings, |call| {
        let entry = call.entry;
        let agent = entry.client.as_deref().and_then(|client| Client::parse(client.split('/').next()?));
        let names = gates.names(agent, entry.server.as_deref(), &entry.tool);
        if !report.unused.is_empty() {
            for rule in gates.matching(&entry.user, &names) {
                report.unused.remove(&rule);
            }
        }
        let Some(rule) = gates.refusal(&entry.user, &names) else { return };
        report.denied += 1;
        report.denied_before += u64::from(call.was_denied());
        *report.by_rule.entry(rule.unwrap_or_else(|| DEFAULT.to_owned())).or_default() += 1;
        *report.by_tool.entry(call.entry.tool.clone()).or_default() += 1;
        *report.by_user.entry(call.entry.user.clone()).or_default() += 1;
        if report.newest.len() < NEWEST_MAX {
            report.newest.push(call.line.to_owned());
        }
    })?;
    if settings.flags.json {
        output::print_json(&report.json(&past))?;
    } else {
        output::print_paged(&report.text(&past))?;
    }
    output::tell_skipped(&past.read.skipped, &past.read.unreadable_names);
    Ok(Exit::Yes.into())
}

impl Report {
    fn json(&self, past: &past::Past) -> Value {
        let newest = self.newest.iter().map(|line| serde_json::from_str::<Value>(line).unwrap_or_default());
        json!({
            "calls": past.calls,
            "denied": self.denied,
            "denied_before": self.denied_before,
            "by_rule": self.by_rule,
            "by_tool": self.by_tool,
            "by_user": self.by_user,
            "newest": newest.collect::<Vec<_>>(),
            "unused": self.unused,
            "skipped": output::skipped_json(&past.read.skipped),
            "complete": past.read.complete,
        })
    }

    fn text(&self, past: &past::Past) -> String {
        let calls = output::unit(past.calls, "call", "calls");
        let unused = self.unused.iter().map(String::as_str).collect::<Vec<_>>();
        let unused = match unused.is_empty() {
            true => String::new(),
            false => format!("rules that matched no call: {}\n", output::escaped(&unused.join(", "))),
        };
        if self.denied == 0 {
            return format!("{calls}, none would have been denied\n{unused}");
        }
        let before = match self.denied_before {
            0 => String::new(),
            before => format!(", {before} of them denied before"),
        };
        let head = format!("{calls}, {} would have been denied{before}\n", self.denied);
        let tables = [("rule", &self.by_rule), ("tool", &self.by_tool), ("user", &self.by_user)];
        let tables = tables.map(|(name, counts)| table(name, counts)).join("\n");
        format!("{head}{unused}\n{tables}\n{}", self.newest_text())
    }

    fn newest_text(&self) -> String {
        let mut table = Table::new(&[
            Column::fixed("newest"),
            Column::name("user"),
            Column::name("tool").least(20),
            Column::text("args"),
        ]);
        for line in &self.newest {
            let entry = serde_json::from_str::<Value>(line).unwrap_or_default();
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let cells = [text("ts"), text("user"), text("tool"), entry["args"].to_string()];
            table.row(cells.iter().map(|cell| Cell::new(cell)).collect());
        }
        table.render()
    }
}

/// Returns a table of names with their counts, the largest first.
fn table(name: &'static str, counts: &BTreeMap<String, u64>) -> String {
    let mut table = Table::new(&[Column::name(name).least(20), Column::number("denied")]);
    let mut sorted = counts.iter().collect::<Vec<_>>();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (name, count) in sorted.iter().take(ROWS_MAX) {
        table.row(vec![Cell::new(name), Cell::new(&count.to_string())]);
    }
    let more = sorted.len().saturating_sub(ROWS_MAX);
    let more = if more > 0 { format!("and {more} more (--json shows all)\n") } else { String::new() };
    table.render() + &more
}
