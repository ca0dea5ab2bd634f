//! `tooltrail sessions`: lists the newest sessions.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::ControlFlow;
use std::process::ExitCode;

use serde_json::{Value, json};
use tooltrail::{Status, StoredEntry, Timestamp, Zone};

use crate::commands::pages::each_entry;
use crate::failure::{Exit, Failure};
use crate::output::{self, Cell, Column, Table};
use crate::question::QuestionArgs;
use crate::settings::Settings;

/// The most sessions that are counted. Further ones, which are older, are left out, and the answer says so.
const SESSIONS_MAX: usize = 100_000;

/// List the newest sessions: whose, in which program, when, and how many calls failed or were denied
///
/// A session is a conversation or run, as the agent names it. A call that several captures saw is counted once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail sessions                         of the last week
  tooltrail sessions 'client=claude-code*'   of one agent
  tooltrail sessions status=error --days 30  those in which a call failed
  tooltrail recent 'session=*1d5c2e7b'       the calls of one, as the table shows its name")]
pub(crate) struct Args {
    #[command(flatten)]
    asked: QuestionArgs,

    /// Maximum number of sessions
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// What is known about a session.
struct Session {
    user: String,
    name: String,
    client: Option<String>,
    begin: Timestamp,
    end: Timestamp,
    calls: u64,
    errors: u64,
    denied: u64,
}

/// Counts the sessions and prints them.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let zone = settings.zone()?;
    let question = args.asked.question(&zone, true)?;
    let (mut sessions, mut places) = (Vec::<Session>::new(), HashMap::<(String, String), usize>::new());
    let (hasher, mut seen) = (RandomState::new(), HashSet::new());
    let mut left_out = 0_u64;
    let read = each_entry(&settings.trail()?, question, |entry, _| {
        let Some(name) = &entry.session else { return ControlFlow::Continue(()) };
        let is_denied = entry.status == Status::Denied;
        let is_first = entry.call_id.as_ref().is_none_or(|id| {
            // The same capture gives two calls one id only if they are two calls.
            let again = (&entry.user, name, id, is_denied);
            let mine = (again, entry.via);
            seen.insert(hasher.hash_one(again)) | !seen.insert(hasher.hash_one(mine))
        });
        let key = (entry.user.clone(), name.clone());
        let place = match places.get(&key) {
            Some(place) => *place,
            None if sessions.len() >= SESSIONS_MAX => {
                left_out += 1;
                return ControlFlow::Continue(());
            }
            None => {
                places.insert(key, sessions.len());
                sessions.push(Session::new(entry, name));
                sessions.len() - 1
            }
        };
        sessions[place].add(entry, is_first);
        ControlFlow::Continue(())
    })?;
    let complete = read.complete && left_out == 0;
    // The entries came newest first, and so did the sessions.
    let all = sessions.len();
    sessions.truncate(args.limit);
    if settings.flags.json {
        output::print_json(&json!({
            "sessions": sessions.iter().map(Session::json).collect::<Vec<_>>(),
            "total": all,
            "skipped": output::skipped_json(&read.skipped),
            "complete": complete,
        }))?;
    } else if !sessions.is_empty() {
        output::print_paged(&table(&sessions, &zone))?;
        if all > sessions.len() {
            output::talk(&format!("{} of {all} sessions; --limit shows more", sessions.len()));
        }
    } else {
        output::talk("no calls with a session in these days");
    }
    output::tell_skipped(&read.skipped, &read.unreadable_names);
    if !complete {
        output::talk("this answer is partial: it reached its bound of bytes, time or sessions");
    }
    Ok(Exit::Yes.into())
}

impl Session {
    fn new(entry: &StoredEntry, name: &str) -> Self {
        let (begin, end) = (entry.ts, entry.ts);
        let (user, client) = (entry.user.clone(), entry.client.clone());
        Self { user, name: name.to_owned(), client, begin, end, calls: 0, errors: 0, denied: 0 }
    }

    fn add(&mut self, entry: &StoredEntry, is_first: bool) {
        let took = entry.duration_ms.as_ref().and_then(|took| took.as_str().parse::<f64>().ok()).unwrap_or(0.0);
        let began = Timestamp::from_millis(entry.ts.as_millis().saturating_sub(took as i64));
        self.begin = self.begin.min(began);
        self.end = self.end.max(entry.ts);
        // A sub-agent's calls may name the program without its version.
        let knows_more = |client: &String| {
            self.client.as_ref().is_none_or(|known| client.len() > known.len() && client.starts_with(known))
        };
        if let Some(client) = entry.client.clone().filter(knows_more) {
            self.client = Some(client);
        }
        if is_first {
            self.calls += 1;
            self.errors += u64::from(entry.status == Status::Error);
            self.denied += u64::from(entry.status == Status::Denied);
        }
    }

    fn json(&self) -> Value {
        json!({
            "session": self.name,
            "user": self.user,
            "client": self.client,
            "begin": self.begin.to_string(),
            "end": self.end.to_string(),
            "calls": self.calls,
            "errors": self.errors,
            "denied": self.denied,
        })
    }
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

fn table(sessions: &[Session], zone: &Zone) -> String {
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
        let name = if is_terminal { end_of(&session.name) } else { session.name.clone() };
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
