//! `tooltrail sessions`: lists the newest sessions.

use std::process::ExitCode;

use tooltrail::{SessionSummary, Zone};

use crate::failure::{Exit, Failure};
use crate::output::{self, Cell, Column, Table};
use crate::question::QuestionArgs;
use crate::remote::{self, ServiceArgs};
use crate::settings::Settings;

/// List the newest sessions: whose, in which program, when, and how many calls failed or were denied
///
/// A session is a conversation or run, as the agent names it. A call that several captures saw is counted once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail sessions                         of the last week
  tooltrail sessions 'client=claude-code*'   of one agent
  tooltrail sessions status=error --days 30  those in which a call failed
  tooltrail stats --by session               those with the most calls
  tooltrail recent 'session=*1d5c2e7b'       the calls of one, as the table shows its name")]
pub(crate) struct Args {
    #[command(flatten)]
    asked: QuestionArgs,

    #[command(flatten)]
    service: ServiceArgs,

    /// Maximum number of sessions, at most 1000
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// Counts the sessions and prints them.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let zone = settings.zone()?;
    let mut question = args.asked.question(&zone, true)?;
    question.limit = args.limit;
    question.check()?;
    let (answer, json) = match args.service.remote(args.asked.service())? {
        None => {
            let answer = settings.trail()?.sessions(&question)?;
            let json = output::sessions_json(&answer);
            (answer, json)
        }
        Some(remote) => {
            let params = args.asked.params(&zone, true)?.with("limit", &args.limit.to_string());
            let json = remote.json("/api/audit/sessions", &params)?;
            (remote::sessions(&json), json)
        }
    };
    if settings.flags.json {
        output::print_json(&json)?;
    } else if !answer.sessions.is_empty() {
        output::print_paged(&table(&answer.sessions, &zone))?;
        if answer.total > answer.sessions.len() as u64 {
            output::talk(&format!("{} of {} sessions; --limit shows more", answer.sessions.len(), answer.total));
        }
    } else {
        output::talk("no calls with a session in these days");
    }
    output::tell_skipped(&answer.skipped, &answer.unreadable_names);
    if !answer.complete {
        output::talk("this answer is partial: it reached its bound of bytes, time or sessions");
    }
    Ok(Exit::Yes.into())
}

/// The characters of a session's name that are shown on a terminal: enough to tell sessions apart.
const END_CHARS: usize = 8;

/// Returns the end of a session's name as a query takes it.
fn end_of(name: &str) -> String {
    match name.char_indices().rev().nth(END_CHARS - 1) {
        Some((at, _)) if at > 1 => format!("*{}", &name[at..]),
        _ => name.to_owned(),
    }
}

pub(super) fn table(sessions: &[SessionSummary], zone: &Zone) -> String {
    let is_terminal = output::stdout_is_terminal();
    let mut table = Table::new(&[
        Column::fixed("begin"),
        Column::fixed("end"),
        Column::name("user"),
        Column::name("client"),
        Column::number("calls"),
        Column::number("errors"),
        Column::number("denied"),
        Column::text("session"),
    ]);
    for session in sessions {
        let (began_on, began_at) = zone.wall_clock(session.begin);
        let (ended_on, ended_at) = zone.wall_clock(session.end);
        let short = |day: &str| if is_terminal { day.get(5..).unwrap_or(day).to_owned() } else { day.to_owned() };
        let end = if began_on == ended_on { ended_at } else { format!("{} {ended_at}", short(&ended_on)) };
        let client = session.client.as_deref().unwrap_or("");
        // The version and the beginning of the name are in `show` and in `--json`.
        let client = if is_terminal { client.split('/').next().unwrap_or(client) } else { client };
        let name = if is_terminal { end_of(&session.session) } else { session.session.clone() };
        table.row(vec![
            Cell::new(&format!("{} {began_at}", short(&began_on))),
            Cell::new(&end),
            Cell::new(&session.user),
            Cell::new(client),
            Cell::new(&session.calls.to_string()),
            Cell::new(&session.errors.to_string()),
            Cell::new(&session.denied.to_string()),
            Cell::dim(&name),
        ]);
    }
    table.render()
}
