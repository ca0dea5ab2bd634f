//! `tooltrail import`: stores calls that other programs recorded.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::import::{Begins, Job, Outcome, Report, name_of, remove_old};
use crate::output;
use crate::settings::Settings;
use crate::settings::durability::DurabilityArgs;

/// Maximum rejected lines that are printed one by one for people.
const REJECTED_TOLD_MAX: usize = 10;

/// Take in calls recorded elsewhere
///
/// Each line of a FILE is one call as a JSON object. Only tool is needed; ts, user, session, args, status (ok, error or
/// denied), result and duration_ms are understood, and null is absent. Entries of tooltrail (as recent --json prints
/// them) and of other writers of such day files (result_chars and result_snippet for a result) are taken as well.
///
/// A ts without a zone is in that of --zone; without a ts, a call counts as of now. Lines may come in any order. An
/// import that was cut short goes on when the same command is run again, and stores nothing twice; of a file that has
/// grown since it was imported only what is new is stored.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail import calls.jsonl.zst --user alice   lines without a user are alice's
  jq -c '.calls[]' log.json | tooltrail import -  from another program
  tooltrail import calls.jsonl --again            the same content once more

Exit codes: 0 all lines were taken in, 1 a line was rejected or a file refused, 2 could not.")]
pub(crate) struct Args {
    /// Files of JSON lines, plain, gzip or zstd; - is stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// The user of lines that name none
    #[arg(long, short, value_name = "USER", default_value = "imported")]
    user: String,

    /// Import content again that was imported before
    #[arg(long)]
    again: bool,

    #[command(flatten)]
    durability: DurabilityArgs,
}

/// Imports the files one after another.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let zone = settings.zone()?;
    let home = settings.create_home()?;
    let recorder = settings.recorder(&home)?;
    let durability = &args.durability.over(settings.file()?.durability.as_ref());
    let job = Job { home: &home, recorder: &recorder, durability, zone: &zone, user: &args.user, again: args.again };
    let mut reports = Vec::new();
    let mut failed = None;
    for path in &args.files {
        match job.import(path) {
            Ok(report) => {
                print_report(path, &report, settings.flags.json);
                reports.push((path, report));
            }
            Err(failure) => {
                failed = Some(failure);
                break;
            }
        }
    }
    let closed = recorder.close();
    // State files that cannot be removed now are removed after the next import.
    let _ = remove_old(home.disk().as_ref(), crate::clock::now());
    if let Some(failure) = failed {
        return Err(failure);
    }
    closed?;
    if settings.flags.json {
        output::print_json(&answer(&reports))?;
    }
    let no = reports.iter().any(|(_, report)| report.rejected.count > 0 || report.outcome == Outcome::Refused);
    Ok(if no { Exit::No } else { Exit::Yes }.into())
}

/// Prints the result of a file on stderr. With `--json`, leaves out single lines, warnings and hints.
fn print_report(path: &Path, report: &Report, json: bool) {
    let name = name_of(path);
    let hint = match report.begins {
        Begins::List => Some(format!("it is a list, not an object a line: `jq -c '.[]' {name} | tooltrail import -`")),
        Begins::Object => Some(format!("its objects go over several lines: `jq -c . {name} | tooltrail import -`")),
        Begins::Other => None,
    };
    // If an object spans several lines, each line has a different error, so one error and the hint are enough.
    let told = if json {
        0
    } else if hint.is_some() {
        1
    } else {
        REJECTED_TOLD_MAX
    };
    for (line, error) in report.rejected.named.iter().take(told) {
        output::talk(&format!("{name} line {line}: {error}"));
    }
    if report.rejected.count > told as u64 {
        output::talk(&format!("{name}: {} lines rejected in all", report.rejected.count));
    }
    for (line, warning) in report.warnings.iter().filter(|_| !json) {
        output::talk(&format!("{name} line {line}: {warning}"));
    }
    if let (Some(hint), false) = (&hint, json) {
        output::talk_hint(hint);
    } else if report.rejected.count > 0 && !json {
        output::talk_hint(
            "put only the corrected lines into a new file and import that: this file, changed, would be stored a second time",
        );
    }
    match report.outcome {
        Outcome::Refused => {
            output::talk_error(&format!("{name} was imported already"));
            output::talk_hint("give --again to store it once more");
        }
        Outcome::Nothing => output::talk(&format!("{name}: no calls")),
        Outcome::Stored { accepted, before: 0, earlier: 0, .. } => {
            output::talk(&format!("{name}: {} stored", output::unit(accepted, "entry", "entries")));
        }
        Outcome::Stored { accepted, before: 0, earlier, .. } => output::talk(&format!(
            "{name}: {} stored; its first {} stood there since an earlier import (--again stores them once more)",
            output::unit(accepted, "entry", "entries"),
            output::unit(earlier, "line", "lines"),
        )),
        Outcome::Stored { accepted, before, .. } => {
            output::talk(&format!(
                "{name}: {} stored, {before} stood there since it was cut short",
                output::unit(accepted, "entry", "entries")
            ));
        }
    }
}

/// Returns the JSON answer for programs.
fn answer(reports: &[(&PathBuf, Report)]) -> Value {
    let accepted = |report: &Report| match report.outcome {
        Outcome::Stored { accepted, .. } => accepted,
        Outcome::Nothing | Outcome::Refused => 0,
    };
    let rejected = reports.iter().flat_map(|(path, report)| {
        let name = name_of(path);
        report.rejected.named.iter().map(move |(line, error)| json!({ "file": name, "line": line, "error": error }))
    });
    let files = reports.iter().map(|(path, report)| {
        let mut file = json!({
            "file": name_of(path),
            "sha256": report.sha256,
            "accepted": accepted(report),
            "rejected": report.rejected.count,
            "refused": report.outcome == Outcome::Refused,
        });
        if !report.warnings.is_empty() {
            let warning = |(line, warning): &(u64, String)| json!({ "line": line, "warning": warning });
            file["warnings"] = report.warnings.iter().map(warning).collect();
        }
        if let Outcome::Stored { run, before, earlier, .. } = report.outcome {
            file["run"] = run.into();
            file["before"] = before.into();
            file["earlier_lines"] = earlier.into();
        }
        file
    });
    json!({
        "accepted": reports.iter().map(|(_, report)| accepted(report)).sum::<u64>(),
        "rejected": rejected.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
    })
}
