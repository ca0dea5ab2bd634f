//! `tooltrail recent`: prints the newest entries.

use std::path::Path;
use std::process::ExitCode;

use tooltrail::{Cursor, Page, Skipped, Zone};

use crate::failure::{Exit, Failure};
use crate::output::{self, Data, Shown, Table};
use crate::question::QuestionArgs;
use crate::remote::ServiceArgs;
use crate::settings::Settings;

/// Show the newest entries, newest first
///
/// On a terminal a table, as wide as the terminal, with times in the zone of --zone; one that is longer than the screen
/// is shown by $PAGER (less; `PAGER=cat` turns it off). In a pipe one line per entry with tabs between time in UTC, user,
/// tool, status, milliseconds, result and arguments, nothing cut and no colour; with --json the stored lines as they
/// stand. `tooltrail show ID` shows one entry whole.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail recent                                 the last week, everybody
  tooltrail recent --user alice 'tool=fs.*'        alice's file tools
  tooltrail recent 'status=error last=1h'          what failed in the last hour
  tooltrail recent --json --limit 1000 | jq .tool  for programs

The cursor of the next page, where there is one, and what was skipped, where something was, go to stderr.")]
pub(crate) struct Args {
    #[command(flatten)]
    asked: QuestionArgs,

    #[command(flatten)]
    service: ServiceArgs,

    /// Maximum number of entries, 1 to 1000
    #[arg(long, short = 'n', value_name = "N", default_value_t = 200)]
    limit: usize,

    /// Show tooltrail's own notes of who read the trail, too
    #[arg(long)]
    own: bool,

    /// Go on where the page before ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// Runs the question and prints the answer.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let zone = settings.zone()?;
    let mut question = args.asked.question(&zone, args.own)?;
    question.limit = args.limit;
    question.cursor = args.cursor.as_deref().map(Cursor::parse).transpose()?;
    question.check()?;
    let remote = args.service.remote(args.asked.service())?;
    let (page, place) = match &remote {
        None => (settings.trail()?.recent(&question)?, settings.home_path()?),
        Some(remote) => {
            let params = args.asked.params(&zone, args.own)?.with("limit", &args.limit.to_string());
            let params = params.with("cursor", args.cursor.as_deref().unwrap_or_default());
            (remote.recent(&params)?, remote.address().into())
        }
    };
    if settings.flags.json {
        print_lines(&page)?;
    } else if output::stdout_is_terminal() {
        print_table(&page, &zone)?;
    } else {
        print_tabs(&page)?;
    }
    tell_rest(&page, &place, settings.flags.json);
    Ok(Exit::Yes.into())
}

/// Prints the stored lines and nothing else.
fn print_lines(page: &Page) -> Result<(), Failure> {
    let terminal = output::stdout_is_terminal();
    let mut data = Data::exact();
    for line in &page.lines {
        data.line(&output::stored(line, terminal))?;
    }
    data.finish()
}

/// Prints a table for people.
fn print_table(page: &Page, zone: &Zone) -> Result<(), Failure> {
    if page.lines.is_empty() {
        return Ok(());
    }
    let shown = page.lines.iter().map(|line| Shown::read(line)).collect::<Vec<_>>();
    let (today, _) = zone.wall_clock(crate::clock::now());
    // Dates are shown if at least one of them is not today.
    let dated = shown.iter().any(|shown| shown.wall_clock(zone).0 != today);
    let mut table = Table::new(&Shown::COLUMNS);
    shown.iter().for_each(|shown| table.row(shown.cells(zone, dated)));
    output::print_paged(&table.render())
}

/// Prints values with tabs between them, for `cut` and `awk`.
fn print_tabs(page: &Page) -> Result<(), Failure> {
    let mut data = Data::exact();
    for line in &page.lines {
        data.line(&Shown::read(line).tabs())?;
    }
    data.finish()
}

/// Prints on stderr what else there is to know about the answer.
fn tell_rest(page: &Page, home: &Path, json: bool) {
    output::tell_skipped(&page.skipped, &page.unreadable_names);
    // A complete answer without skipped lines needs no message.
    if json && (!page.complete || page.skipped != Skipped::default()) {
        output::talk(&format!("scanned: {} files, {} bytes", page.scanned.files, page.scanned.bytes));
    }
    if let Some(nothing) = &page.nothing {
        output::talk(&output::nothing_words(nothing, home));
    }
    if !page.complete && page.next.is_some() {
        output::talk("this answer is partial: it reached its bound of bytes or time");
    }
    if let Some(next) = &page.next {
        output::talk(&format!("next: --cursor {next}"));
    }
}
