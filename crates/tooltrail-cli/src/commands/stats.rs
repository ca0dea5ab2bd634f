//! `tooltrail stats`: prints counts and quantiles.

use std::process::ExitCode;

use tooltrail::{Quantiles, Stats};

use crate::failure::{Exit, Failure};
use crate::output::{self, Cell, Column, Table};
use crate::question::QuestionArgs;
use crate::settings::Settings;

/// Maximum rows of a table for people; `--json` has all rows.
const ROWS_MAX: usize = 20;

/// Width of the longest bar, in columns of the terminal.
const BAR_COLUMNS: u64 = 30;

/// Count calls by status, tool, user and day
///
/// Our own events (tooltrail.*) are left out unless the query names them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail stats                                     the last week, everybody
  tooltrail stats --user alice --days 30              a month of alice's
  tooltrail stats 'tool=fs.*' --json | jq .by_status  for programs")]
pub(crate) struct Args {
    #[command(flatten)]
    asked: QuestionArgs,

    /// Count by the days of --zone instead of those of UTC
    #[arg(long)]
    local_days: bool,
}

/// Runs the question and prints the answer.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let mut question = args.asked.question(&settings.zone()?, true)?;
    question.local_days = args.local_days;
    question.check()?;
    let stats = settings.trail()?.stats(&question)?;
    if settings.flags.json {
        output::print_json(&output::stats_json(&stats))?;
    } else {
        output::print_paged(&report(&stats))?;
    }
    output::tell_skipped(&stats.skipped, &stats.unreadable_names);
    if !stats.complete && stats.skipped.unreadable == 0 {
        output::talk("this answer is partial: it reached its bound of bytes or time");
    }
    if stats.total == 0
        && let Some(newest) = stats.newest
        && newest.to_string() < stats.from
    {
        output::talk(&format!("the newest entries are of {newest}"));
    }
    Ok(Exit::Yes.into())
}

/// Returns the whole report for people.
fn report(stats: &Stats) -> String {
    let head = format!("{}, {} to {}\n", output::unit(stats.total, "call", "calls"), stats.from, stats.to);
    if stats.total == 0 {
        return head;
    }
    [head, by_status(stats), by_tool(stats), counts("user", &stats.by_user, stats.total), by_day(stats)].join("\n")
}

/// Returns the table of calls by status.
fn by_status(stats: &Stats) -> String {
    let mut table = Table::new(&[Column::fixed("status"), Column::number("calls"), Column::number("share")]);
    for status in tooltrail::Status::ALL {
        let calls = stats.by_status.get(status.as_str()).copied().unwrap_or(0);
        let cells = [calls.to_string(), share(calls, stats.total)];
        let mut row = vec![Cell::status(status.as_str())];
        row.extend(cells.iter().map(|cell| Cell::new(cell)));
        table.row(row);
    }
    table.render()
}

/// Returns the table of tools, the most called first.
fn by_tool(stats: &Stats) -> String {
    let mut table = Table::new(&[
        Column::name("tool").least(32),
        Column::number("calls"),
        Column::number("error"),
        Column::number("denied"),
        Column::number("took p50").rank(1),
        Column::number("p90").rank(4),
        Column::number("p99").rank(3),
        Column::number("max").rank(2),
        Column::number("chars p50").rank(5),
        Column::number("p99").rank(6),
    ]);
    let mut tools = stats.by_tool.iter().collect::<Vec<_>>();
    tools.sort_by_key(|(_, tool)| std::cmp::Reverse(tool.calls));
    let took = |quantiles: &Option<Quantiles>, of: fn(&Quantiles) -> f64| {
        quantiles.as_ref().map(|quantiles| output::duration(of(quantiles))).unwrap_or_default()
    };
    let chars = |quantiles: &Option<Quantiles>, of: fn(&Quantiles) -> f64| {
        quantiles.as_ref().map(|quantiles| number(of(quantiles))).unwrap_or_default()
    };
    for (name, tool) in tools.iter().take(ROWS_MAX) {
        let cells = [
            (*name).clone(),
            tool.calls.to_string(),
            nonzero(tool.error),
            nonzero(tool.denied),
            took(&tool.duration_ms, |q| q.p50),
            took(&tool.duration_ms, |q| q.p90),
            took(&tool.duration_ms, |q| q.p99),
            took(&tool.duration_ms, |q| q.max),
            chars(&tool.result_chars, |q| q.p50),
            chars(&tool.result_chars, |q| q.p99),
        ];
        table.row(cells.iter().map(|cell| Cell::new(cell)).collect());
    }
    table.render() + &more(tools.len())
}

/// Returns a table of names with their counts, the largest first.
fn counts(head: &'static str, counts: &std::collections::BTreeMap<String, u64>, total: u64) -> String {
    let mut table = Table::new(&[Column::name(head), Column::number("calls"), Column::number("share")]);
    let mut sorted = counts.iter().collect::<Vec<_>>();
    sorted.sort_by_key(|(_, calls)| std::cmp::Reverse(**calls));
    for (name, calls) in sorted.iter().take(ROWS_MAX) {
        table.row(vec![Cell::new(name), Cell::new(&calls.to_string()), Cell::new(&share(**calls, total))]);
    }
    table.render() + &more(sorted.len())
}

/// Returns the table of the newest days in order, each with a bar.
fn by_day(stats: &Stats) -> String {
    let mut table = Table::new(&[Column::fixed("day"), Column::number("calls"), Column::text("")]);
    let most = stats.by_day.values().copied().max().unwrap_or(0).max(1);
    let passed_over = stats.by_day.len().saturating_sub(ROWS_MAX);
    for (day, calls) in stats.by_day.iter().skip(passed_over) {
        let bar = "▇".repeat(usize::try_from((calls * BAR_COLUMNS).div_ceil(most)).unwrap_or(0));
        table.row(vec![Cell::new(day), Cell::new(&calls.to_string()), Cell::dim(&bar)]);
    }
    table.render() + &more(stats.by_day.len())
}

/// Returns a line that says how many rows are not shown, or an empty text.
fn more(rows: usize) -> String {
    if rows > ROWS_MAX { format!("and {} more (--json shows all)\n", rows - ROWS_MAX) } else { String::new() }
}

/// Returns a count, or an empty text for 0, so that errors stand out.
fn nonzero(count: u64) -> String {
    if count == 0 { String::new() } else { count.to_string() }
}

/// Returns a part of a whole in per cent.
fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / whole.max(1) as f64)
}

/// Returns a number with one decimal place if it is below 10 and not whole, else without.
fn number(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
