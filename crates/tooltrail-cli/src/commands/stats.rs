//! `tooltrail stats`: prints counts and quantiles.

use std::process::ExitCode;

use serde_json::{Value, json};
use tooltrail::{
    BucketSize, FirstKind, GroupBy, Page, Quantiles, Query, Question, Series, SeriesBucket, SessionSummary, Sessions,
    Skipped, Stats, Timestamp, Trail, Zone,
};

use crate::failure::{Exit, Failure};
use crate::output::{self, Cell, Column, Table};
use crate::question::QuestionArgs;
use crate::remote::{self, Params, Remote, ServiceArgs};
use crate::settings::Settings;

/// Maximum rows of a table for people; `--json` has all rows.
const ROWS_MAX: usize = 20;

/// Maximum sessions that are compared.
const SESSIONS_MAX: usize = 1_000;

/// Maximum first uses of each kind that are listed.
const FIRSTS_MAX: usize = 1_000;

/// The characters of the end of an id, as `show` takes it.
const ID_END: usize = 8;

/// Width of the longest bar, in columns of the terminal.
const BAR_COLUMNS: u64 = 30;

/// The same in a table with more columns, so that it fits 80 columns.
const NARROW_BAR: u64 = 16;

/// Count calls by status, tool, user and day
///
/// Our own events (tooltrail.*) are left out unless the query names them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail stats                                     the last week, everybody
  tooltrail stats --user alice --days 30              a month of alice's
  tooltrail stats --by hour --last 2d                 when, with errors and durations
  tooltrail stats 'tool=fs.*' --json | jq .by_status  for programs")]
pub(crate) struct Args {
    #[command(flatten)]
    asked: QuestionArgs,

    #[command(flatten)]
    service: ServiceArgs,

    /// Only one table, with bars: calls over time, or by name
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,

    /// Count by the days of --zone instead of those of UTC
    #[arg(long)]
    local_days: bool,

    /// List what was new: the tools, servers and clients that a user's agents used for the first time
    #[arg(long, conflicts_with_all = ["by", "local_days"])]
    new: bool,
}

/// Runs the question and prints the answer.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let zone = settings.zone()?;
    let mut question = args.asked.question(&zone, true)?;
    question.local_days = args.local_days;
    question.check()?;
    let asked = match args.service.remote(args.asked.service())? {
        None => Asked::Home(settings.trail()?, question),
        Some(remote) => {
            let params = args.asked.params(&zone, true)?;
            Asked::Service(remote, if args.local_days { params.with("by_day", "local") } else { params })
        }
    };
    if args.new {
        return whats_new(&asked, &zone, settings);
    }
    match args.by {
        Some(By::Hour) => {
            let (series, json) = asked.series(BucketSize::Hour)?;
            return over_time(&series, &json, BucketSize::Hour, settings);
        }
        Some(By::Day) if !args.local_days => {
            match asked.series(BucketSize::Day) {
                Ok((series, json)) => return over_time(&series, &json, BucketSize::Day, settings),
                // The question itself is checked: its range has too many days for a series, so they are counted without
                // durations.
                Err(Failure::Told { exit: Exit::CouldNot, .. }) => {}
                Err(failure) => return Err(failure),
            }
        }
        Some(By::Session) => return by_session(&asked, settings),
        Some(By::Day | By::Tool | By::User) | None => {}
    }
    let (stats, json) = asked.stats()?;
    if settings.flags.json {
        output::print_json(&json)?;
    } else {
        output::print_paged(&report(&stats, args.by))?;
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

/// A question, and who answers it. Each answer comes with its JSON.
enum Asked {
    Home(Trail, Question),
    Service(Remote, Params),
}

impl Asked {
    fn stats(&self) -> Result<(Stats, Value), Failure> {
        Ok(match self {
            Self::Home(trail, question) => {
                let stats = trail.stats(question)?;
                let json = output::stats_json(&stats);
                (stats, json)
            }
            Self::Service(remote, params) => {
                let json = remote.json("/api/audit/stats", params)?;
                (remote::stats(&json), json)
            }
        })
    }

    fn series(&self, bucket: BucketSize) -> Result<(Series, Value), Failure> {
        Ok(match self {
            Self::Home(trail, question) => {
                let series = trail.series(question, bucket, GroupBy::None)?;
                let json = output::series_json(&series);
                (series, json)
            }
            Self::Service(remote, params) => {
                let bucket = if bucket == BucketSize::Day { "day" } else { "hour" };
                let params = params.clone().with("bucket", bucket).with("by", "none");
                let json = remote.json("/api/audit/series", &params)?;
                (remote::series(&json), json)
            }
        })
    }

    /// Returns the entries that are the first use of a tool, server or client.
    fn firsts(&self, kind: FirstKind) -> Result<Page, Failure> {
        let term = format!("first={}", kind.as_str());
        match self {
            Self::Home(trail, question) => {
                let mut question = question.clone();
                (question.query, question.limit) = (question.query.and(Query::parse(&term)?), FIRSTS_MAX);
                Ok(trail.recent(&question)?)
            }
            Self::Service(remote, params) => {
                let query = match params.pairs().find(|(name, _)| *name == "q") {
                    Some((_, query)) => format!("({query}) {term}"),
                    None => term,
                };
                remote.recent(&params.clone().with("q", &query).with("limit", &FIRSTS_MAX.to_string()))
            }
        }
    }

    fn sessions(&self) -> Result<Sessions, Failure> {
        Ok(match self {
            Self::Home(trail, question) => {
                let mut question = question.clone();
                question.limit = SESSIONS_MAX;
                trail.sessions(&question)?
            }
            Self::Service(remote, params) => {
                let params = params.clone().with("limit", &SESSIONS_MAX.to_string());
                remote::sessions(&remote.json("/api/audit/sessions", &params)?)
            }
        })
    }
}

/// What one table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Hour,
    Day,
    Tool,
    User,
    Session,
}

/// Prints what was used for the first time, the newest first.
fn whats_new(asked: &Asked, zone: &Zone, settings: &Settings) -> Result<ExitCode, Failure> {
    let (mut found, mut complete) = (Vec::new(), true);
    for kind in FirstKind::ALL {
        let page = asked.firsts(kind)?;
        complete &= page.complete && page.next.is_none();
        let lines = page.lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        found.extend(lines.map(|entry| (kind, entry)));
    }
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    found.sort_by_key(|(_, entry)| std::cmp::Reverse(text(entry, "ts")));
    if settings.flags.json {
        let new = found.iter().map(|(kind, entry)| {
            let name = kind.as_str();
            json!({ "what": name, "name": entry[name], "user": entry["user"], "ts": entry["ts"], "id": entry["id"] })
        });
        output::print_json(&json!({ "new": new.collect::<Vec<_>>(), "complete": complete }))?;
    } else if found.is_empty() {
        output::talk("nothing was used for the first time");
    } else {
        let columns = [
            Column::fixed("first used"),
            Column::fixed("what"),
            Column::name("name"),
            Column::name("user"),
            Column::fixed("id"),
        ];
        let mut table = Table::new(&columns);
        for (kind, entry) in &found {
            let ts = Timestamp::parse(&text(entry, "ts"), zone).unwrap_or(Timestamp::from_millis(0));
            let (day, at) = zone.wall_clock(ts);
            let id = text(entry, "id");
            table.row(vec![
                Cell::new(&format!("{day} {at}")),
                Cell::new(kind.as_str()),
                Cell::new(&text(entry, kind.as_str())),
                Cell::new(&text(entry, "user")),
                Cell::dim(id.get(id.len().saturating_sub(ID_END)..).unwrap_or_default()),
            ]);
        }
        output::print_paged(&table.render())?;
    }
    if !complete {
        output::talk("this answer is partial: name a shorter range or one user");
    }
    Ok(Exit::Yes.into())
}

/// Prints calls over time.
fn over_time(series: &Series, json: &Value, bucket: BucketSize, settings: &Settings) -> Result<ExitCode, Failure> {
    if settings.flags.json {
        output::print_json(json)?;
    } else {
        output::print_paged(&buckets(series, bucket, &settings.zone()?))?;
    }
    tell_partial(&series.skipped, &series.unreadable_names, series.complete);
    Ok(Exit::Yes.into())
}

/// Prints the newest sessions, those with the most calls first.
fn by_session(asked: &Asked, settings: &Settings) -> Result<ExitCode, Failure> {
    let mut answer = asked.sessions()?;
    answer.sessions.sort_by_key(|session| std::cmp::Reverse(session.calls));
    if settings.flags.json {
        output::print_json(&output::sessions_json(&answer))?;
    } else {
        output::print_paged(&session_table(&answer.sessions))?;
    }
    tell_partial(&answer.skipped, &answer.unreadable_names, answer.complete);
    Ok(Exit::Yes.into())
}

/// Returns the table of the sessions with the most calls.
fn session_table(sessions: &[SessionSummary]) -> String {
    let mut table = Table::new(&[
        Column::name("user"),
        Column::name("session"),
        Column::number("calls"),
        Column::number("error"),
        Column::number("denied"),
        Column::text(""),
    ]);
    let most = sessions.first().map_or(0, |session| session.calls);
    for session in sessions.iter().take(ROWS_MAX) {
        table.row(vec![
            Cell::new(&session.user),
            Cell::new(&session.session),
            Cell::new(&session.calls.to_string()),
            Cell::new(&nonzero(session.errors)),
            Cell::new(&nonzero(session.denied)),
            Cell::dim(&bar(session.calls, most, NARROW_BAR)),
        ]);
    }
    table.render() + &more(sessions.len())
}

fn tell_partial(skipped: &Skipped, unreadable_names: &[String], complete: bool) {
    output::tell_skipped(skipped, unreadable_names);
    if !complete && skipped.unreadable == 0 {
        output::talk("this answer is partial: it reached its bound of bytes or time");
    }
}

/// Returns the table of calls over time, from the first bucket that has any.
fn buckets(series: &Series, bucket: BucketSize, zone: &Zone) -> String {
    let first = series.buckets.iter().position(|bucket| bucket.all.calls > 0);
    let Some(first) = first else { return "0 calls\n".to_owned() };
    let head = if bucket == BucketSize::Day { "day" } else { "begin" };
    let mut table = Table::new(&[
        Column::fixed(head),
        Column::number("calls"),
        Column::number("error"),
        Column::number("denied"),
        Column::number("took p50").rank(2),
        Column::number("p95").rank(1),
        Column::text(""),
    ]);
    let most = series.buckets.iter().map(|bucket| bucket.all.calls).max().unwrap_or(0);
    for SeriesBucket { start, all, .. } in &series.buckets[first..] {
        let (day, at) = zone.wall_clock(*start);
        let begin = match bucket {
            // Days are those of UTC.
            BucketSize::Day => start.to_string().chars().take(10).collect(),
            BucketSize::Hour | BucketSize::Minute => format!("{day} {}", at.get(..5).unwrap_or(&at)),
        };
        let took = |took: Option<f64>| took.map(output::duration).unwrap_or_default();
        let cells =
            [all.calls.to_string(), nonzero(all.errors), nonzero(all.denied), took(all.p50_ms), took(all.p95_ms)];
        let mut row = vec![Cell::new(&begin)];
        row.extend(cells.iter().map(|cell| Cell::new(cell)));
        row.push(Cell::dim(&bar(all.calls, most, NARROW_BAR)));
        table.row(row);
    }
    table.render()
}

/// Returns the whole report for people, or the table of one part.
fn report(stats: &Stats, by: Option<By>) -> String {
    let head = format!("{}, {} to {}\n", output::unit(stats.total, "call", "calls"), stats.from, stats.to);
    if stats.total == 0 {
        return head;
    }
    match by {
        Some(By::Tool) => {
            let calls = stats.by_tool.iter().map(|(name, tool)| (name.clone(), tool.calls)).collect();
            return counts("tool", &calls, stats.total);
        }
        Some(By::User) => return counts("user", &stats.by_user, stats.total),
        Some(By::Day) => return by_day(stats),
        Some(By::Hour | By::Session) | None => {}
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
    let columns = [Column::name(head), Column::number("calls"), Column::number("share"), Column::text("")];
    let mut table = Table::new(&columns);
    let mut sorted = counts.iter().collect::<Vec<_>>();
    sorted.sort_by_key(|(_, calls)| std::cmp::Reverse(**calls));
    let most = sorted.first().map_or(0, |(_, calls)| **calls);
    for (name, calls) in sorted.iter().take(ROWS_MAX) {
        let (calls, share) = (**calls, share(**calls, total));
        table.row(vec![
            Cell::new(name),
            Cell::new(&calls.to_string()),
            Cell::new(&share),
            Cell::dim(&bar(calls, most, BAR_COLUMNS)),
        ]);
    }
    table.render() + &more(sorted.len())
}

/// Returns the table of the newest days in order, each with a bar.
fn by_day(stats: &Stats) -> String {
    let mut table = Table::new(&[Column::fixed("day"), Column::number("calls"), Column::text("")]);
    let most = stats.by_day.values().copied().max().unwrap_or(0);
    let passed_over = stats.by_day.len().saturating_sub(ROWS_MAX);
    for (day, calls) in stats.by_day.iter().skip(passed_over) {
        table.row(vec![Cell::new(day), Cell::new(&calls.to_string()), Cell::dim(&bar(*calls, most, BAR_COLUMNS))]);
    }
    table.render() + &more(stats.by_day.len())
}

/// Returns the bar of a count beside the largest one.
fn bar(calls: u64, most: u64, columns: u64) -> String {
    "▇".repeat(usize::try_from((calls * columns).div_ceil(most.max(1))).unwrap_or(0))
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
