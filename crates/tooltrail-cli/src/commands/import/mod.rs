//! `tooltrail import`: stores calls that other programs recorded.

mod told;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tooltrail::{Date, RollupKeeper, SystemClock};

use crate::account::account;
use crate::commands::import::told::{Done, answer, print_done, print_sum, shown};
use crate::failure::{Exit, Failure};
use crate::import::{Job, Outcome, name_of, remove_old};
use crate::output;
use crate::settings::Settings;
use crate::settings::durability::DurabilityArgs;
use crate::settings::file::AgentsFile;
use crate::transcripts::{Format, Found, Run, files_below, find, look, recognise};

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
2 the import could not run.")]
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

/// After an import of so many calls, they are counted for statistics; fewer are left to the service.
const COUNTED_FROM: u64 = 10_000;

/// How long that may take: some million calls.
const COUNTING_MAX: Duration = Duration::from_secs(10);

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
    if done.iter().map(Done::stored).sum::<u64>() >= COUNTED_FROM {
        // Without rollups, answers take longer and are the same.
        let _ = RollupKeeper::new(home, Arc::new(SystemClock::default())).finish(COUNTING_MAX);
    }
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
