//! `tooltrail erase`: erases entries or a user's files, and keeps the proof of all others.

use std::process::ExitCode;

use serde_json::json;
use tooltrail::seal::{EraseWhat, LogOwner};
use tooltrail::{Date, EntryId, Query};

use crate::account::account;
use crate::failure::{Exit, Failure};
use crate::output::{print_json, talk, talk_hint};
use crate::settings::Settings;

/// Erase entries or all of a user's files, and keep the proof of everything else
///
/// The log records who erased, when and why, and which lines or files by their keyed names: never the query or the user.
/// Each line is overwritten in place by a line of the same length, so that all other lines and the whole log still verify,
/// and this one as `erased`. Journals, fragments and calls that have not ended lose their copies too, and so do recorded
/// reads whose query names what is erased. Backups and copies elsewhere are not reached; a backup that is restored here
/// later is cleaned when it is first opened for writing.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).args(["id", "user", "query"]),
    after_help = "Examples:
  tooltrail erase --id 019ac3f2-7c1e-7b52-9d0e-3f5a1c2b4d6e --why 'a password'
  tooltrail erase --user alice --why 'request of 24 November' --dry-run
  tooltrail erase --query 'session=s-1 tool=mail.*' --why 'sent by mistake'"
)]
pub(crate) struct Args {
    /// The entry with this id
    #[arg(long, value_name = "ID")]
    id: Option<String>,

    /// All files of this user, with the key by which the log knows them
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Only the user's file of this day
    #[arg(long, value_name = "DATE", requires = "user", conflicts_with_all = ["id", "query"])]
    day: Option<String>,

    /// The entries that this query matches
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,

    /// Why, for the log; do not repeat here what is to be erased
    #[arg(long, value_name = "TEXT")]
    why: String,

    /// Say how much would be erased, and erase nothing
    #[arg(long)]
    dry_run: bool,
}

/// Erases and says how much.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let what = what(args, settings)?;
    let home = settings.open_home()?;
    let options = settings.options(&home)?;
    let owner = LogOwner::open(&options, &home)?;
    let recorder = options.open()?;
    let erased = owner.erase(&recorder, &what, &account(), &args.why, args.dry_run)?;
    recorder.close()?;
    if settings.flags.json {
        print_json(&json!({
            "dry_run": args.dry_run,
            "entries": erased.entries,
            "files": erased.files,
            "calls": erased.calls,
            "without_salt": erased.without_salt,
            "left_in": erased.left_in,
        }))?;
    } else {
        let verb = if args.dry_run { "would be erased" } else { "erased" };
        talk(&format!("{} entries and {} day files {verb}", erased.entries, erased.files));
        if erased.calls > 0 {
            talk(&format!("{} calls that had begun and were not recorded yet are forgotten", erased.calls));
        }
    }
    if erased.without_salt > 0 {
        talk(&format!(
            "{} of these lines had no salt, because another program wrote them: whoever guesses such a line can check the guess against the log",
            erased.without_salt
        ));
    }
    if erased.entries + erased.files + erased.calls == 0 {
        talk("nothing matched: tooltrail recent shows entries, and an erased one has no id any more");
    }
    if !erased.left_in.is_empty() {
        talk(&format!("copies are still in journals of processes at work: {}", erased.left_in.join(", ")));
        talk_hint("stop these processes and run the same command again");
    }
    let is_done = erased.left_in.is_empty() && (args.dry_run || erased.entries + erased.files + erased.calls > 0);
    Ok(if is_done || args.dry_run { Exit::Yes.into() } else { Exit::No.into() })
}

fn what(args: &Args, settings: &Settings) -> Result<EraseWhat, Failure> {
    if let Some(id) = &args.id {
        let id = EntryId::parse(id).ok_or_else(|| {
            Failure::could_not(format!("{id:?} is no whole id of an entry"), "tooltrail show END prints the whole id")
        })?;
        return Ok(EraseWhat::Entry(id));
    }
    if let Some(user) = &args.user {
        let day = args.day.as_deref().map(|day| {
            Date::parse(day)
                .ok_or_else(|| Failure::could_not(format!("{day:?} is no day"), "a day is written 2026-11-23"))
        });
        return Ok(EraseWhat::User { user: user.clone(), day: day.transpose()? });
    }
    let text = args.query.clone().unwrap_or_default();
    let query = Query::parse_in(&text, &settings.zone()?)?;
    if query.is_empty() {
        return Err(Failure::could_not("an empty query would erase everything", "say which entries, as in recent"));
    }
    Ok(EraseWhat::Query(query, text))
}
