//! `agent`: hooks in the settings of coding agents.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use tooltrail::{Query, Question};

use crate::agents::{Diagnosis, Doctor, Installer, Kind, Places, Plan, Seen, Undo};
use crate::failure::{Exit, Failure};
use crate::hook::{Client, HookArgs, LossFile, PauseFile, state_folder};
use crate::mcp::trail::{Loss, StatusFolder};
use crate::output::{self, Data};
use crate::question::DAYS_MAX;
use crate::settings::Settings;
use crate::settings::account::account;
use crate::settings::file::default_path;
use crate::settings::folders::resolved;

/// The last calls of an agent that the doctor looks at.
const CALLS_LOOKED_AT: usize = 20;

/// Put coding agents on the trail: install, uninstall and examine their hooks
///
/// A hook is a command that the agent runs for each call of a tool. Only our own lines in its settings are changed, and
/// uninstalling gives the files back as they were.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail agent install --all --dry-run   what would be changed
  tooltrail agent install claude-code --mcp hooks, and its MCP servers too
  tooltrail agent doctor                    whether it works, and what to do if not
  tooltrail agent off                       stop recording at once; on goes on

Agents: claude-code, codex, gemini, copilot, cursor.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put hooks into the settings of agents
    Install(Install),
    /// Take the hooks out, and give the settings back as they were
    Uninstall(Uninstall),
    /// Say for each agent whether its hooks work, and what to do next; exit 1 if something is wrong
    Doctor(DoctorArgs),
    /// Stop recording what hooks tell, at once and for all agents
    Off,
    /// Record again what hooks tell
    On,
}

#[derive(Clone, Debug, clap::Args)]
struct Which {
    /// The agents
    #[arg(value_name = "AGENT", value_parser = parse_client)]
    clients: Vec<Client>,

    /// All agents that have been used on this machine
    #[arg(long)]
    all: bool,

    /// Only in this project: the settings that only you have there (claude-code) [default: the current folder]
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".")]
    project: Option<PathBuf>,

    /// Show the change of each file, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Install {
    #[command(flatten)]
    which: Which,

    /// Put `tooltrail mcp` in front of the agent's MCP servers too
    #[arg(long)]
    mcp: bool,

    /// Whose agents they are [default: the name of the account]
    #[arg(long, value_name = "USER")]
    user: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Uninstall {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, clap::Args)]
struct DoctorArgs {
    /// The agents [default: all that have been used here, or have our hooks]
    #[arg(value_name = "AGENT", value_parser = parse_client)]
    clients: Vec<Client>,

    /// Install the hooks once more where that mends something: a program that was moved, hooks that are missing
    #[arg(long)]
    fix: bool,
}

fn parse_client(name: &str) -> Result<Client, String> {
    Client::parse(name).ok_or_else(|| {
        let known = Client::ALL.map(Client::name).join(", ");
        format!("no agent that is known; known are {known}")
    })
}

pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Install(args) => {
            let installer = installer(settings, args.user, args.which.project.as_deref(), args.mcp)?;
            // The home exists before the first hook runs, and a home that cannot be written is told now.
            if !args.which.dry_run {
                settings.create_home()?;
            }
            change(&args.which, settings, &installer, true)
        }
        Command::Uninstall(args) => {
            let installer = installer(settings, None, args.which.project.as_deref(), false)?;
            change(&args.which, settings, &installer, false)
        }
        Command::Doctor(args) => doctor(&args, settings),
        Command::Off => switch(true, settings),
        Command::On => switch(false, settings),
    }
}

/// Returns the installer. The hooks get absolute paths, because they run in other folders and with another environment.
fn installer(
    settings: &Settings,
    user: Option<String>,
    project: Option<&Path>,
    with_servers: bool,
) -> Result<Installer, Failure> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let places = Places::new(variable)
        .ok_or_else(|| Failure::could_not("no home folder is known", "set HOME, and run the same command again"))?;
    let home = resolved(&settings.home_path()?);
    let keys = match settings.open_home() {
        Ok(home) => Some(settings.keys_path(&home)?),
        // The keys of a home that does not exist yet have the home's id in their path.
        Err(_) => settings.flags.keys.clone(),
    };
    let state = state()?;
    let args = HookArgs {
        user: Some(user.unwrap_or_else(account)),
        home: Some(home),
        keys: keys.map(|keys| resolved(&keys)),
        config: settings.config_path().map(PathBuf::from).or_else(default_path).map(|path| resolved(&path)),
        state: Some(state.clone()),
        ..HookArgs::default()
    };
    let project = project.map(resolved);
    Ok(Installer { places, program: program()?, args, project, with_servers, undo: Undo::new(&state) })
}

fn state() -> Result<PathBuf, Failure> {
    let state = state_folder().map(|state| resolved(&state));
    state.ok_or_else(|| Failure::could_not("no folder for state is known", "set HOME, and run the same command again"))
}

/// Returns the path of this program: the one by which a shell finds it, because that stays when the program is updated,
/// else the file itself.
fn program() -> Result<PathBuf, Failure> {
    let file = std::env::current_exe().map_err(|error| Failure::io("find", "this program", &error))?;
    let real = file.canonicalize().unwrap_or_else(|_| file.clone());
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("tooltrail"))
        .find(|path| path.canonicalize().is_ok_and(|path| path == real));
    Ok(found.unwrap_or(file))
}

/// Returns the agents that are meant.
fn clients(which: &Which, places: &Places) -> Result<Vec<Client>, Failure> {
    let mut clients = which.clients.clone();
    if which.all {
        clients.extend(Client::ALL.into_iter().filter(|client| places.is_found(*client)));
    }
    clients.sort();
    clients.dedup();
    if clients.is_empty() {
        let found = Client::ALL.into_iter().filter(|client| places.is_found(*client)).map(Client::name);
        let found = found.collect::<Vec<_>>();
        let found = if found.is_empty() { "none was used here".to_owned() } else { found.join(", ") };
        return Err(Failure::could_not(
            "no agent is named",
            format!("name one, or give --all for those that were used here: {found}"),
        ));
    }
    Ok(clients)
}

/// Installs or uninstalls.
fn change(which: &Which, settings: &Settings, installer: &Installer, installs: bool) -> Result<ExitCode, Failure> {
    let mut installer = installer.clone();
    if installs && installer.args.keys.is_none() && !which.dry_run {
        installer.args.keys = Some(resolved(&settings.keys_path(&settings.open_home()?)?));
    }
    let clients = clients(which, &installer.places)?;
    let plan = |client: &Client| if installs { installer.install(*client) } else { installer.uninstall(*client) };
    let plans = clients.iter().map(plan).collect::<Vec<_>>();
    let outcomes = if which.dry_run { Vec::new() } else { installer.apply(&plans) };
    let failed = |plan: &Plan| {
        let paths = plan.changes.iter().map(|change| &change.path).collect::<Vec<_>>();
        outcomes.iter().filter(|outcome| outcome.failed.is_some() && paths.contains(&&outcome.path)).count()
    };
    let is_bad = plans.iter().any(|plan| !plan.refused.is_empty() || failed(plan) > 0);
    if settings.flags.json {
        let answer = plans.iter().map(|plan| answer(plan, &outcomes)).collect::<Vec<_>>();
        let mut data = Data::exact();
        data.line(&json!({ "agents": answer, "dry_run": which.dry_run }).to_string())?;
        data.finish()?;
    } else {
        let mut data = Data::exact();
        for plan in &plans {
            tell(plan, &outcomes, &installer, which.dry_run, installs, &mut data)?;
        }
        data.finish()?;
    }
    Ok(if is_bad { Exit::No.into() } else { Exit::Yes.into() })
}

fn answer(plan: &Plan, outcomes: &[crate::agents::Outcome]) -> Value {
    let failed = |path: &Path| outcomes.iter().find(|outcome| outcome.path == path).and_then(|o| o.failed.clone());
    let files = plan
        .changes
        .iter()
        .map(|change| json!({ "file": change.path, "changes": !change.is_none(), "failed": failed(&change.path) }));
    let refused = plan.refused.iter().map(|(path, why)| json!({ "file": path, "why": why }));
    let servers = plan.servers.iter().map(
        |server| json!({ "name": server.name, "project": server.project, "wrapped": server.kind == Kind::Command }),
    );
    json!({
        "agent": plan.client.name(),
        "files": files.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "servers": servers.collect::<Vec<_>>(),
    })
}

/// Prints what became of the settings of one agent.
fn tell(
    plan: &Plan,
    outcomes: &[crate::agents::Outcome],
    installer: &Installer,
    dry_run: bool,
    installs: bool,
    data: &mut Data,
) -> Result<(), Failure> {
    let (client, places) = (plan.client, &installer.places);
    let mut changed = 0;
    for change in &plan.changes {
        let shown = output::escaped(&places.shown(&change.path)).into_owned();
        let failed = outcomes.iter().find(|outcome| outcome.path == change.path).and_then(|o| o.failed.as_ref());
        if let Some(why) = failed {
            output::talk_error(&format!("{}: {shown} is unchanged: {why}", client.title()));
            if installs {
                tell_snippet(plan, &change.path, installer);
            }
            continue;
        }
        if change.is_none() {
            data.line(&format!("{}: {shown} stays as it is", client.title()))?;
            continue;
        }
        changed += 1;
        let verb = if dry_run { "would change" } else { "changed" };
        data.line(&format!("{}: {verb} {shown}", client.title()))?;
        if dry_run {
            for (sign, line) in change.diff() {
                data.line(&format!("  {sign} {}", output::escaped(&line)))?;
            }
        }
    }
    for (path, why) in &plan.refused {
        output::talk_error(&format!("{}: {} is left alone: {why}", client.title(), places.shown(path)));
        if installs {
            tell_snippet(plan, path, installer);
        }
    }
    for server in &plan.servers {
        let of = server.project.as_ref().map(|project| format!(" (of {project})")).unwrap_or_default();
        let name = output::escaped(&server.name);
        match server.kind {
            Kind::Command => data.line(&format!("  MCP server {name}{of}: behind tooltrail mcp"))?,
            Kind::Remote => {
                data.line(&format!("  MCP server {name}{of}: left alone, it is reached over the network"))?
            }
            Kind::Unknown => data.line(&format!("  MCP server {name}{of}: left alone, it has no command"))?,
        }
    }
    if installs && changed > 0 && !dry_run {
        data.line(&format!("  {}", after_install(client)))?;
        data.line(&format!("  then, as its first call ends: tooltrail tail -f client={}*", client.name()))?;
    }
    Ok(())
}

/// Prints what somebody can paste into a file with hooks that was left alone.
fn tell_snippet(plan: &Plan, path: &Path, installer: &Installer) {
    let hooks = installer.places.hooks(plan.client, installer.project.as_deref());
    if hooks.is_some_and(|hooks| hooks == path || hooks.canonicalize().is_ok_and(|hooks| hooks == path)) {
        let snippet = serde_json::to_string_pretty(&installer.snippet(plan.client)).unwrap_or_default();
        output::talk_hint(&format!("paste this into it yourself:\n{snippet}"));
    }
}

/// Returns what a person must do until the hooks of an agent run.
const fn after_install(client: Client) -> &'static str {
    match client {
        Client::ClaudeCode => {
            "sessions that run take the hooks up by themselves; in a folder that you have not trusted no hook runs"
        }
        Client::Codex => "start Codex anew, type /hooks and trust them: until then it skips them in silence",
        Client::Gemini => "start Gemini CLI anew; in a folder that you have not trusted no hook runs",
        Client::Copilot => "start Copilot CLI anew",
        Client::Cursor => "Cursor takes the hooks up when the file is saved; its output channel Hooks shows them",
    }
}

fn switch(off: bool, settings: &Settings) -> Result<ExitCode, Failure> {
    let switch = PauseFile::new(&state()?);
    switch.set(off).map_err(|error| Failure::io("write", switch.path().display(), &error))?;
    if settings.flags.json {
        let mut data = Data::exact();
        data.line(&json!({ "recording": !off }).to_string())?;
        data.finish()?;
    } else if off {
        output::talk("hooks record nothing from now on; `tooltrail agent on` goes on");
    } else {
        output::talk("hooks record again");
    }
    Ok(Exit::Yes.into())
}

fn doctor(args: &DoctorArgs, settings: &Settings) -> Result<ExitCode, Failure> {
    let installer = installer(settings, None, None, false)?;
    let state = state()?;
    let examine = |installer: &Installer| {
        let doctor = Doctor { installer, project: std::env::current_dir().unwrap_or_default() };
        let all = Client::ALL.into_iter().filter(|client| args.clients.is_empty() || args.clients.contains(client));
        let all = all.map(|client| doctor.examine(client, seen(client, settings)));
        let named = !args.clients.is_empty();
        all.filter(|found| named || found.is_found || found.is_installed).collect::<Vec<_>>()
    };
    let mut found = examine(&installer);
    if args.fix {
        let mendable = |diagnosis: &&Diagnosis| diagnosis.wrong.iter().any(|wrong| wrong.is_mended_by_install);
        let plans = found.iter().filter(mendable).map(|d| installer.install(d.client)).collect::<Vec<_>>();
        for outcome in installer.apply(&plans) {
            match outcome.failed {
                None => output::talk(&format!("mended {}", installer.places.shown(&outcome.path))),
                Some(why) => {
                    output::talk_error(&format!("{} is unchanged: {why}", installer.places.shown(&outcome.path)))
                }
            }
        }
        found = examine(&installer);
    }
    let general = general(settings, &state);
    let is_wrong = !general.is_empty() || found.iter().any(|diagnosis| !diagnosis.wrong.is_empty());
    let mut data = Data::exact();
    if settings.flags.json {
        data.line(&doctor_answer(&found, &general).to_string())?;
    } else {
        print_doctor(&found, &general, &mut data)?;
    }
    data.finish()?;
    Ok(if is_wrong { Exit::No.into() } else { Exit::Yes.into() })
}

/// Returns what the trail has of an agent's hooks.
fn seen(client: Client, settings: &Settings) -> Seen {
    let mut question = Question::new();
    let query = Query::parse(&format!("via=hook client={}*", client.name()));
    let (Ok(query), Ok(trail)) = (query, settings.trail()) else { return Seen::default() };
    (question.query, question.days, question.limit) = (query, DAYS_MAX, CALLS_LOOKED_AT);
    let Ok(page) = trail.recent(&question) else { return Seen::default() };
    let entries = page.lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect::<Vec<_>>();
    Seen {
        last: entries.first().and_then(|entry| entry["ts"].as_str().map(str::to_owned)),
        calls: entries.len() as u64,
        interrupted: entries.iter().filter(|entry| entry["reason"] == "interrupted").count() as u64,
    }
}

/// Returns what is wrong for all agents.
fn general(settings: &Settings, state: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    if PauseFile::new(state).is_off() {
        wrong.push("the hooks are off: `tooltrail agent on` turns them on".to_owned());
    }
    if let Err(failure) = settings.file() {
        wrong.push(format!(
            "hooks run without the rules of the configuration file, because it is not understood: {failure}"
        ));
    }
    let lost = LossFile::new(state).read();
    if let Some(last) = lost.last() {
        let count = output::unit(lost.len() as u64, "event", "events");
        wrong.push(format!("{count} of hooks could not be recorded; the last at {}: {}", last.at, last.why));
    }
    let home = settings.home_path().map(|home| resolved(&home)).unwrap_or_default();
    for loss in StatusFolder::new(Some(state.join("mcp"))).losses(&home) {
        let server = loss.server.map(|server| format!(" {server}")).unwrap_or_default();
        let calls = output::unit(loss.lost, "call", "calls");
        let Loss { at, pid, why, .. } = loss;
        wrong.push(format!("{calls} of the MCP server{server} could not be recorded (process {pid}, {at}): {why}"));
    }
    wrong
}

fn doctor_answer(found: &[Diagnosis], general: &[String]) -> Value {
    let agents = found.iter().map(|diagnosis| {
        json!({
            "agent": diagnosis.client.name(),
            "found": diagnosis.is_found,
            "installed": diagnosis.is_installed,
            "last_call": diagnosis.seen.last,
            "calls": diagnosis.seen.calls,
            "interrupted": diagnosis.seen.interrupted,
            "wrong": diagnosis.wrong.iter().map(|wrong| &wrong.what).collect::<Vec<_>>(),
            "notes": diagnosis.notes,
            "next": diagnosis.next,
        })
    });
    json!({ "agents": agents.collect::<Vec<_>>(), "wrong": general })
}

fn print_doctor(found: &[Diagnosis], general: &[String], data: &mut Data) -> Result<(), Failure> {
    for wrong in general {
        data.line(&format!("wrong  {}", output::escaped(wrong)))?;
    }
    if found.is_empty() {
        data.line("no coding agent was used on this machine")?;
    }
    for diagnosis in found {
        let state = match (diagnosis.is_installed, diagnosis.is_found) {
            (true, _) => "installed",
            (false, true) => "not installed",
            (false, false) => "not used here",
        };
        data.line(&format!("{}: {state}", diagnosis.client.title()))?;
        for wrong in &diagnosis.wrong {
            data.line(&format!("  wrong  {}", output::escaped(&wrong.what)))?;
        }
        if diagnosis.is_installed {
            let last = diagnosis.seen.last.as_deref().unwrap_or("none yet");
            data.line(&format!("  last call  {last}"))?;
            if diagnosis.seen.calls > 0 {
                let Seen { calls, interrupted, .. } = diagnosis.seen;
                data.line(&format!("  of the last {calls} calls, {interrupted} without an outcome"))?;
            }
            for note in &diagnosis.notes {
                data.line(&format!("  {}", output::escaped(note)))?;
            }
        }
        data.line(&format!("  next  {}", output::escaped(&diagnosis.next)))?;
    }
    Ok(())
}
