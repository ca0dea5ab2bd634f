//! `tooltrail import`: stores calls that other programs recorded.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use tooltrail::Date;

use crate::failure::{Exit, Failure};
use crate::import::{Begins, Job, Outcome, Report, name_of, remove_old};
use crate::output;
use crate::settings::Settings;
use crate::settings::account::account;
use crate::settings::durability::DurabilityArgs;
use crate::settings::file::AgentsFile;
use crate::transcripts::{self, Format, Found, Run, files_below, find, look, recognise};

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
///
/// Session files of Claude Code, Codex, Gemini CLI, Copilot CLI and pi are recognised, and so are folders of them. Each of
/// their calls is stored once, also if several files hold it, and not at all if a hook has recorded it with its outcome.
///
/// --agents looks for session files in ~/.claude/projects (or below $CLAUDE_CONFIG_DIR), ~/.codex/sessions and
/// archived_sessions ($CODEX_HOME), ~/.gemini/tmp ($GEMINI_CLI_HOME), ~/.copilot/session-state ($COPILOT_HOME) and
/// ~/.pi/agent/sessions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail import --agents                       what the coding agents on this machine did
  tooltrail import calls.jsonl.zst --user alice   lines without a user are alice's
  jq -c '.calls[]' log.json | tooltrail import -  from another program
  tooltrail import calls.jsonl --again            the same content once more

Exit codes: 0 all lines were taken in, 1 a line was rejected, a file refused or a session file not read to its end,
2 could not.")]
pub(crate) struct Args {
    /// Files of JSON lines, plain, gzip or zstd, or folders of session files; - is stdin, for lines only
    #[arg(value_name = "FILE", required_unless_present = "agents")]
    files: Vec<PathBuf>,

    /// Find the session files of the coding agents on this machine, say what they hold, and ask before taking it in
    #[arg(long, conflicts_with = "files")]
    agents: bool,

    /// Take in what --agents finds without asking
    #[arg(long, requires = "agents")]
    yes: bool,

    /// What the files are, where it is not recognised
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = FormatArg::Auto)]
    format: FormatArg,

    /// The user of lines that name none [default: imported; for session files the name of the account]
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,

    /// Import content again that was imported before; calls of session files stay once
    #[arg(long)]
    again: bool,

    #[command(flatten)]
    durability: DurabilityArgs,
}

/// What the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FormatArg {
    /// Recognise session files; anything else is lines
    Auto,
    /// A call in each line
    Lines,
    ClaudeCode,
    Codex,
    Gemini,
    Copilot,
    Pi,
}

impl FormatArg {
    /// Returns the format of a file; `None` for lines.
    fn of(self, path: &Path) -> io::Result<Option<Format>> {
        match self {
            Self::Lines => Ok(None),
            Self::ClaudeCode => Ok(Some(Format::ClaudeCode)),
            Self::Codex => Ok(Some(Format::Codex)),
            Self::Gemini => Ok(Some(Format::Gemini)),
            Self::Copilot => Ok(Some(Format::Copilot)),
            Self::Pi => Ok(Some(Format::Pi)),
            // Only a file can be read twice.
            Self::Auto if !path.is_file() => Ok(None),
            Self::Auto => recognise(path),
        }
    }
}

/// A file to be imported.
struct Input {
    path: PathBuf,
    kind: Kind,
}

/// What a file holds.
enum Kind {
    Lines,
    Session(Format),
    /// It could not be read, and neither could a folder below a folder that was named.
    Unreadable(String),
}

/// A file, and what was done with it.
enum Done {
    Lines(PathBuf, Report),
    Session(PathBuf, Format, transcripts::Report),
    Unreadable(PathBuf, String),
}

/// The user of lines that name none.
const LINES_USER: &str = "imported";

/// Imports the files one after another.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let inputs = if args.agents { agents_files(&args, &settings.file()?.agents)? } else { files(&args)? };
    let json = settings.flags.json;
    if inputs.is_empty() {
        if json {
            output::print_json(&answer(&[]))?;
        }
        return Ok(Exit::Yes.into());
    }
    let zone = settings.zone()?;
    let home = settings.create_home()?;
    let recorder = settings.recorder(&home)?;
    let durability = &args.durability.over(settings.file()?.durability.as_ref());
    let lines_user = args.user.as_deref().unwrap_or(LINES_USER);
    let sessions_user = args.user.clone().unwrap_or_else(account);
    let job = Job { home: &home, recorder: &recorder, durability, zone: &zone, user: lines_user, again: args.again };
    let mut done = Vec::new();
    let agents = &settings.file()?.agents;
    let imported = import(inputs, &job, (&sessions_user, agents), json, &mut done);
    let closed = recorder.close();
    // State files that cannot be removed now are removed after the next import.
    let _ = remove_old(home.disk().as_ref(), crate::clock::now());
    imported?;
    closed?;
    if json {
        output::print_json(&answer(&done))?;
    } else {
        print_sum(&done, args.agents);
    }
    let no = done.iter().any(|done| match done {
        Done::Lines(_, report) => report.rejected.count > 0 || report.outcome == Outcome::Refused,
        Done::Session(.., report) => report.rejected.count > 0 || report.unread.is_some(),
        Done::Unreadable(..) => true,
    });
    Ok(if no { Exit::No } else { Exit::Yes }.into())
}

/// Imports the files and adds what was done with each. Files of lines come first.
fn import(
    inputs: Vec<Input>,
    job: &Job<'_>,
    (sessions_user, agents): (&str, &AgentsFile),
    json: bool,
    all: &mut Vec<Done>,
) -> Result<(), Failure> {
    let mut sessions = Vec::new();
    for Input { path, kind } in inputs {
        let done = match kind {
            Kind::Session(format) => {
                sessions.push((path, format));
                continue;
            }
            Kind::Lines => job.import(&path).map(|report| Done::Lines(path, report))?,
            Kind::Unreadable(why) => Done::Unreadable(path, why),
        };
        print_done(&done, json);
        all.push(done);
    }
    if sessions.is_empty() {
        return Ok(());
    }
    let mut run = Run::new(job.home, job.recorder, sessions_user, agents)?;
    for (path, format) in &sessions {
        run.import(path, *format)?;
    }
    for ((path, format), report) in sessions.into_iter().zip(run.finish()?) {
        let done = Done::Session(path, format, report);
        print_done(&done, json);
        all.push(done);
    }
    Ok(())
}

/// Returns the files that were named, and of folders the session files in them.
fn files(args: &Args) -> Result<Vec<Input>, Failure> {
    let mut inputs = Vec::new();
    for path in &args.files {
        if !path.is_dir() {
            let kind = args.format.of(path).map_err(|error| Failure::io("read", name_of(path), &error))?;
            inputs.push(Input { path: path.clone(), kind: kind.map_or(Kind::Lines, Kind::Session) });
            continue;
        }
        let before = inputs.len();
        let below = files_below(path).map_err(|error| Failure::io("read", path.display(), &error))?;
        for path in below.files {
            match args.format.of(&path) {
                Ok(Some(format)) => inputs.push(Input { path, kind: Kind::Session(format) }),
                Ok(None) => {}
                Err(error) => inputs.push(Input { path, kind: Kind::Unreadable(error.to_string()) }),
            }
        }
        inputs.extend(unreadable(below.unreadable));
        if inputs.len() == before {
            return Err(Failure::could_not(
                format!("{} is a folder without session files of a coding agent", path.display()),
                format!("name the files in it, as in `tooltrail import {}/*.jsonl`", path.display()),
            ));
        }
    }
    Ok(inputs)
}

fn unreadable(folders: Vec<(PathBuf, String)>) -> impl Iterator<Item = Input> {
    folders.into_iter().map(|(path, why)| Input { path, kind: Kind::Unreadable(why) })
}

/// Returns the session files of the agents on this machine, after the person has agreed.
fn agents_files(args: &Args, agents: &AgentsFile) -> Result<Vec<Input>, Failure> {
    let found = find(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from));
    if found.is_empty() {
        output::talk(
            "no session files of a coding agent were found; `tooltrail import --help` says where they are looked for",
        );
        return Ok(Vec::new());
    }
    for Found { format, folder, below } in &found {
        let (mut calls, mut days) = (0, None::<(Date, Date)>);
        for file in &below.files {
            // A file that cannot be read is told when it is taken in.
            let (more, span) = look(file, *format, agents).unwrap_or_default();
            calls += more;
            days = [days, span].into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        }
        let days = days.map_or_else(String::new, |(first, last)| format!(", {first} to {last}"));
        output::talk(&format!(
            "{}: {}, {}{days}, in {}",
            format.client(),
            output::unit(below.files.len() as u64, "session file", "session files"),
            output::unit(calls, "call", "calls"),
            shown(folder),
        ));
    }
    if !args.yes && !agreed()? {
        output::talk("nothing was taken in");
        return Ok(Vec::new());
    }
    let mut inputs = Vec::new();
    for Found { format, below, .. } in found {
        inputs.extend(below.files.into_iter().map(|path| Input { path, kind: Kind::Session(format) }));
        inputs.extend(unreadable(below.unreadable));
    }
    Ok(inputs)
}

/// Asks whether to go on.
fn agreed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::could_not("nobody is there to ask", "give --yes to take them in without asking"));
    }
    output::talk("Take them in? Secrets are hidden, and the files stay as they are. [y/N]");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| Failure::io("read", "stdin", &error))?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Prints the result of a file on stderr.
fn print_done(done: &Done, json: bool) {
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
fn shown(path: &Path) -> String {
    output::escaped(&name_of(path)).into_owned()
}

fn has_calls(report: &transcripts::Report) -> bool {
    report.stored + report.before + report.open + report.late + report.excluded > 0
}

/// Prints what was stored of all session files together, if there are several or there was nothing new in them.
fn print_sum(done: &[Done], of_agents: bool) {
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
fn answer(done: &[Done]) -> Value {
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
