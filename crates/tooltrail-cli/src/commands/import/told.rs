//! What `tooltrail import` says about each file, and about all of them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::import::{Begins, Outcome, Report, name_of};
use crate::output;
use crate::transcripts::{self, Format};

/// Maximum rejected lines that are printed one by one for people.
const REJECTED_TOLD_MAX: usize = 10;

/// A file, and what was done with it.
pub(super) enum Done {
    Lines(PathBuf, Report),
    Session(PathBuf, Format, transcripts::Report),
    Unreadable(PathBuf, String),
}

impl Done {
    /// Returns how many calls were stored.
    pub(super) fn stored(&self) -> u64 {
        match self {
            Self::Lines(_, report) => match report.outcome {
                Outcome::Stored { accepted, .. } => accepted,
                Outcome::Nothing | Outcome::Refused => 0,
            },
            Self::Session(.., report) => report.stored,
            Self::Unreadable(..) => 0,
        }
    }
}

/// Prints the result of a file on stderr.
pub(super) fn print_done(done: &Done, json: bool) {
    match done {
        Done::Lines(path, report) => print_report(path, report, json),
        Done::Session(path, format, report) => print_session(path, *format, report, json),
        Done::Unreadable(path, why) => output::talk_error(&format!("could not read {}: {why}", shown(path))),
    }
}

/// Prints the result of a session file on stderr. A file with nothing new is told only if something is wrong with it.
fn print_session(path: &Path, format: Format, report: &transcripts::Report, json: bool) {
    let name = shown(path);
    for (line, why) in report.rejected.named.iter().filter(|_| !json).take(REJECTED_TOLD_MAX) {
        output::talk(&format!("{name} line {line}: {why}"));
    }
    if report.rejected.count > REJECTED_TOLD_MAX as u64 {
        output::talk(&format!("{name}: {} lines rejected in all", report.rejected.count));
    }
    if let Some(why) = &report.unread {
        output::talk_error(&format!("could not read {name} to its end: {why}"));
    }
    if report.stored + report.open + report.late == 0 {
        return;
    }
    let mut words = vec![format!("{} stored", output::unit(report.stored, "call", "calls"))];
    let mut add = |count: u64, what: &str| words.extend((count > 0).then(|| format!("{count} {what}")));
    add(report.before, "in the trail already");
    add(report.open, "without a result yet");
    add(report.late, "too old to be kept");
    add(report.excluded, "of a project that is left out");
    output::talk(&format!("{name} ({}): {}", format.client(), words.join(", ")));
}

/// Returns a file's name on one line, so that a name with a line break cannot pretend to be a message.
pub(super) fn shown(path: &Path) -> String {
    output::escaped(&name_of(path)).into_owned()
}

fn has_calls(report: &transcripts::Report) -> bool {
    report.stored + report.before + report.open + report.late + report.excluded > 0
}

/// Prints what was stored of all session files together, if there are several or there was nothing new in them.
pub(super) fn print_sum(done: &[Done], of_agents: bool) {
    let sessions = done.iter().filter_map(|done| match done {
        Done::Session(.., report) => Some(report),
        Done::Lines(..) | Done::Unreadable(..) => None,
    });
    let sessions = sessions.collect::<Vec<_>>();
    let without = sessions.iter().filter(|report| !has_calls(report)).count();
    let sum = |of: fn(&transcripts::Report) -> u64| sessions.iter().map(|report| of(report)).sum::<u64>();
    let (stored, before) = (sum(|report| report.stored), sum(|report| report.before));
    if sessions.len() > 1 || without > 0 || stored == 0 && before > 0 {
        let files = output::unit(sessions.len() as u64, "session file", "session files");
        let without = match without {
            0 => String::new(),
            _ => format!(", {} without calls", output::unit(without as u64, "file", "files")),
        };
        let mut words = format!("{files}: {} stored", output::unit(stored, "call", "calls"));
        for (count, what) in [
            (before, "in the trail already"),
            (sum(|report| report.open), "without a result yet"),
            (sum(|report| report.late), "too old to be kept"),
            (sum(|report| report.excluded), "of projects that are left out"),
        ] {
            words += &if count > 0 { format!(", {count} {what}") } else { String::new() };
        }
        output::talk(&format!("{words}{without}"));
    }
    if of_agents && stored > 0 {
        output::talk("to look at them: tooltrail sessions, tooltrail stats --days 30, tooltrail recent");
    }
}

/// Prints the result of a file on stderr. With `--json`, leaves out single lines, warnings and hints.
fn print_report(path: &Path, report: &Report, json: bool) {
    let name = shown(path);
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
pub(super) fn answer(done: &[Done]) -> Value {
    let rejected = done.iter().filter_map(|done| {
        let (path, named) = match done {
            Done::Lines(path, report) => (path, &report.rejected.named),
            Done::Session(path, _, report) => (path, &report.rejected.named),
            Done::Unreadable(..) => return None,
        };
        let name = name_of(path);
        Some(named.iter().map(move |(line, error)| json!({ "file": name, "line": line, "error": error })))
    });
    let accepted = done.iter().map(|done| match done {
        Done::Lines(_, report) => accepted(report),
        Done::Session(.., report) => report.stored,
        Done::Unreadable(..) => 0,
    });
    let files = done.iter().map(|done| match done {
        Done::Lines(path, report) => lines_answer(path, report),
        Done::Session(path, format, report) => json!({
            "file": name_of(path),
            "format": format.client(),
            "accepted": report.stored,
            "rejected": report.rejected.count,
            "before": report.before,
            "open": report.open,
            "late": report.late,
            "excluded": report.excluded,
            "other_lines": report.other_lines,
            "unread": report.unread,
        }),
        Done::Unreadable(path, why) => json!({ "file": name_of(path), "accepted": 0, "rejected": 0, "unread": why }),
    });
    json!({
        "accepted": accepted.sum::<u64>(),
        "rejected": rejected.flatten().collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
    })
}

fn accepted(report: &Report) -> u64 {
    match report.outcome {
        Outcome::Stored { accepted, .. } => accepted,
        Outcome::Nothing | Outcome::Refused => 0,
    }
}

/// Returns the answer about a file of lines.
fn lines_answer(path: &Path, report: &Report) -> Value {
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
}
