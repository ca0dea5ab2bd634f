//! `tooltrail show`: prints one complete entry.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::Value;
use tooltrail::{Cursor, EntryId, Page, Query, Question, StoredEntry, Timestamp, Trail, Zone};

use crate::commands::pages::exactly;
use crate::failure::{Exit, Failure};
use crate::output::{self, Data, Shown, Table};
use crate::question::DAYS_MAX;
use crate::remote::{Params, Remote, ServiceArgs};
use crate::settings::Settings;

/// Show one entry whole, with its arguments
///
/// Each field stands on a line of its own, arguments as indented JSON, and then what came directly before and after it in
/// its session; with --json the stored line as it stands. The end of an id, as `recent` shows it, will do, unless several
/// entries have it. Exit 1 if no entry has this id.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail recent                                    the column id has the end of each entry's id
  tooltrail show 1c2b4d6e
  tooltrail show 019ac3f2-7c1e-7b52-9d0e-3f5a1c2b4d6e")]
pub(crate) struct Args {
    /// The entry's id, or at least the last six characters of it
    id: String,

    /// How many entries of its session before and after it are shown [default: 3; with --json none, and with N the answer
    /// is one object: entry, before, after]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    around: Option<u32>,

    #[command(flatten)]
    service: ShowService,
}

/// Which service is asked instead of the home.
#[derive(Debug, clap::Args)]
struct ShowService {
    #[command(flatten)]
    service: ServiceArgs,

    /// The same as --service
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
}

/// The entries before and after the one that is shown.
const AROUND: u32 = 3;

/// The entries of a session around an entry, each list in the order of time.
#[derive(Debug, Default)]
struct Around {
    before: Vec<String>,
    after: Vec<String>,
}

/// Minimum characters of the end of an id, because fewer would match too many ids.
const END_CHARS_MIN: usize = 6;
/// How far before and after an entry its session is looked at: three days.
const SESSION_MS: i64 = 3 * 24 * 60 * 60 * 1_000;
/// The entries of one page while its session is looked at.
const PAGE_ENTRIES: usize = 500;
/// Maximum entries with the same end of the id that the error names.
const LIKE_MAX: usize = 10;

/// Finds the entry and prints it.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let whole_id = EntryId::parse(&args.id).is_some();
    let end = (END_CHARS_MIN..36).contains(&args.id.len())
        && args.id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if !whole_id && !end {
        return Err(Failure::could_not(
            format!("{:?} is no id of an entry", args.id),
            "copy one from `tooltrail recent`: 36 characters, as 019ac3f2-7c1e-7b52-9d0e-3f5a1c2b4d6e, or at least its last six",
        ));
    }
    let source = match args.service.service.remote(args.service.to.as_deref())? {
        Some(remote) => Source::Service(remote),
        None => Source::Home(settings.trail()?),
    };
    let star = if whole_id { "" } else { "*" };
    let query = format!("id={star}{}", args.id.to_ascii_lowercase());
    // Two lines with the same complete id are one entry, but the end of an id may match several entries.
    let page = source.recent(&query, if whole_id { 1 } else { LIKE_MAX }, None)?;
    output::tell_skipped(&page.skipped, &page.unreadable_names);
    let Some(line) = page.lines.first() else {
        return Err(Failure::no(
            format!("no entry has the id {}", args.id),
            "its day may have been pruned, or it lies in another home (--home) or service (--service)",
        ));
    };
    let mut ids: Vec<&str> = page.lines.iter().filter_map(|line| id_of(line)).collect();
    ids.dedup();
    if ids.len() > 1 {
        let what = format!("{} entries have an id that ends so: {}", ids.len(), ids.join(", "));
        return Err(Failure::no(what, "name one of them whole"));
    }
    let terminal = output::stdout_is_terminal();
    if !settings.flags.json {
        let zone = settings.zone()?;
        let around = around(line, args.around.unwrap_or(AROUND), &source, &zone)?;
        let known = match &source {
            Source::Home(trail) => {
                let sealed = output::sealed_words(&settings.open_home()?, line, &zone);
                [("first", output::first_words(trail, line)), ("sealed", sealed)]
            }
            Source::Service(remote) => known_there(remote, line, &zone)?,
        };
        output::print_paged(&(whole(line, &known) + &around.table(&zone)))?;
        return Ok(Exit::Yes.into());
    }
    if let Some(count) = args.around {
        let around = around(line, count, &source, &settings.zone()?)?;
        let json = |line: &String| serde_json::from_str::<Value>(line).unwrap_or_default();
        output::print_json(&serde_json::json!({
            "entry": json(line),
            "before": around.before.iter().map(json).collect::<Vec<_>>(),
            "after": around.after.iter().map(json).collect::<Vec<_>>(),
        }))?;
        return Ok(Exit::Yes.into());
    }
    let mut data = Data::exact();
    data.line(&output::stored(line, terminal))?;
    data.finish()?;
    Ok(Exit::Yes.into())
}

/// Where entries are read.
enum Source {
    Home(Trail),
    Service(Remote),
}

impl Source {
    fn recent(&self, query: &str, limit: usize, cursor: Option<&str>) -> Result<Page, Failure> {
        match self {
            Self::Home(trail) => {
                let mut question = Question::new();
                (question.query, question.days, question.limit) = (Query::parse(query)?, DAYS_MAX, limit);
                question.cursor = cursor.map(Cursor::parse).transpose()?;
                Ok(trail.recent(&question)?)
            }
            Self::Service(remote) => {
                let params = Params::of_query(query, DAYS_MAX, limit);
                remote.recent(&params.with("cursor", cursor.unwrap_or_default()))
            }
        }
    }
}

/// Says of what an entry of a service is the first use, and when it was sealed.
fn known_there(remote: &Remote, line: &str, zone: &Zone) -> Result<[(&'static str, Option<String>); 2], Failure> {
    let Some(id) = id_of(line) else { return Ok([("first", None), ("sealed", None)]) };
    let answer = remote.json(&format!("/api/audit/entries/{id}"), &Params::default())?;
    let proof = &answer["proof"];
    let (at, size) = (proof["sealed_at"].as_u64(), proof["checkpoint_size"].as_u64());
    let signers = proof["signers"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let sealed = match (at, size) {
        (Some(at), Some(size)) => output::vouched_words(at, size, &signers.collect::<Vec<_>>(), zone),
        _ => answer["not_sealed"].as_str().map(|why| format!("no: {why}")),
    };
    let kinds = answer["first"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    Ok([("first", output::first_kinds_words(&kinds)), ("sealed", sealed)])
}

/// Returns the entries of the same session that come directly before and after an entry.
fn around(line: &str, count: u32, source: &Source, zone: &Zone) -> Result<Around, Failure> {
    let mut around = Around::default();
    let Ok(entry) = StoredEntry::parse(line, zone) else { return Ok(around) };
    let Some(session) = entry.session.filter(|_| count > 0) else { return Ok(around) };
    let count = count as usize;
    // A session that lasts longer is cut here, so that the question has a bound.
    let at = |ms: i64| Timestamp::from_millis(entry.ts.as_millis() + ms);
    let (since, until) = (at(-SESSION_MS), at(SESSION_MS));
    let (session, user) = (exactly(&session), exactly(&entry.user));
    let query = format!("session={session} user={user} since={since} until={until} tool!=tooltrail.read");
    let (mut is_found, mut after, mut cursor) = (false, VecDeque::new(), None);
    // The newest come first: those after it, then the entry itself, then those before it.
    loop {
        let page = source.recent(&query, PAGE_ENTRIES, cursor.as_deref())?;
        for other in page.lines {
            if other == line {
                is_found = true;
            } else if is_found && around.before.len() < count {
                around.before.push(other);
            } else if !is_found {
                after.push_back(other);
                if after.len() > count {
                    after.pop_front();
                }
            }
        }
        cursor = page.next;
        if cursor.is_none() || around.before.len() >= count {
            break;
        }
    }
    around.before.reverse();
    around.after = after.into_iter().rev().collect();
    Ok(around)
}

impl Around {
    /// Returns both lists as a table; nothing if they are empty.
    fn table(&self, zone: &Zone) -> String {
        let mut out = String::new();
        for (title, lines) in [("before", &self.before), ("after", &self.after)] {
            if lines.is_empty() {
                continue;
            }
            let _ = writeln!(out, "\n{title}, in the same session");
            let mut table = Table::new(&Shown::COLUMNS);
            lines.iter().for_each(|line| table.row(Shown::read(line).cells(zone, false)));
            out += &table.render();
        }
        out
    }
}

/// Returns the id in a stored line.
fn id_of(line: &str) -> Option<&str> {
    #[derive(serde::Deserialize)]
    struct Entry<'a> {
        #[serde(borrow)]
        id: &'a str,
    }
    serde_json::from_str::<Entry<'_>>(line).ok().map(|entry| entry.id)
}

/// Returns an entry with each field on its own line, as names and values in two columns, and then what is known of its
/// besides.
fn whole(line: &str, known: &[(&str, Option<String>)]) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else { return format!("{line}\n") };
    let width = fields.keys().map(String::len).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in &fields {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Object(_) | Value::Array(_) => serde_json::to_string_pretty(value).unwrap_or_default(),
            other => other.to_string(),
        };
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let _ = writeln!(out, "{name:width$}  {}", output::escaped(first));
        for more in lines {
            let _ = writeln!(out, "{:width$}  {}", "", output::escaped(more));
        }
    }
    for (name, text) in known.iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
        let _ = writeln!(out, "{name:width$}  {}", output::escaped(text));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_stands_on_its_line_and_nothing_is_hostile() {
        let line = r#"{"ts":"t","user":"a","tool":"fs.read","args":{"path":"a\u001b[2J.txt","n":[1]},"status":"ok","result_chars":3,"result_snippet":"one\ntwo"}"#;
        let shown = whole(line, &[("first", None), ("sealed", Some("now".to_owned()))]);
        assert!(shown.ends_with("sealed          now\n"), "{shown}");
        assert!(shown.starts_with("ts              t\nuser            a\n"), "{shown}");
        assert!(shown.contains("result_snippet  one\n                two\n"), "{shown}");
        assert!(shown.contains("\"path\"") && !shown.contains('\u{1b}'), "{shown}");
        assert_eq!(whole("no JSON", &[]), "no JSON\n");
    }
}
