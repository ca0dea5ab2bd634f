//! `agent install` and `agent uninstall`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use tooltrail::Redactor;

use crate::agents::{Change, Installer, Kind, Outcome, Places, Plan};
use crate::commands::agent::service::HookService;
use crate::commands::agent::{installer, parse_client, state};
use crate::failure::{Exit, Failure};
use crate::hook::Client;
use crate::output::{self, Data};
use crate::settings::Settings;
use crate::settings::folders::resolved;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Which {
    /// The agents: claude-code, codex, gemini, copilot, cursor
    #[arg(value_name = "AGENT", value_parser = parse_client)]
    clients: Vec<Client>,

    /// All agents that have been used on this machine
    #[arg(long)]
    all: bool,

    /// Only in this project: the settings that only you have there; for claude-code alone [default: the current folder]
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".")]
    project: Option<PathBuf>,

    /// Show the change of each file, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Install {
    #[command(flatten)]
    which: Which,

    /// Put `tooltrail mcp` in front of the agent's MCP servers too
    #[arg(long)]
    mcp: bool,

    /// Whose agents they are [default: the name of the account]
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Deliver to this service of another user instead of recording in the home: unix:PATH or http://127.0.0.1:PORT. Its
    /// token is read from stdin
    #[arg(long, value_name = "ADDRESS")]
    service: Option<String>,

    /// Where the token is stored, readable for this user only [default: service.token in the folder for state]
    #[arg(long, value_name = "FILE", requires = "service")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Uninstall {
    #[command(flatten)]
    which: Which,
}

impl Which {
    /// `--project claude-code` names an agent and no folder, unless there is such a folder.
    fn with_agent_after_project(mut self) -> Self {
        let named = self.project.as_ref().filter(|project| !project.exists());
        if let Some(client) = named.and_then(|project| Client::parse(project.to_str()?)) {
            self.clients.push(client);
            self.project = Some(PathBuf::from("."));
        }
        self
    }
}

/// Puts hooks into the settings of agents.
pub(super) fn install(mut args: Install, settings: &Settings) -> Result<ExitCode, Failure> {
    args.which = args.which.with_agent_after_project();
    let state = state()?;
    let service = args.service.map(|to| HookService::named(to, args.token_file, &state)).transpose()?;
    let installer = installer(settings, args.user, args.which.project.as_deref(), args.mcp, service.clone())?;
    clients(&args.which, &installer.places)?;
    match service.filter(|_| !args.which.dry_run) {
        Some(service) => service.store(&state)?,
        None if args.which.dry_run => {}
        None => {
            // The home exists before the first hook runs, and a home that cannot be written is told now.
            settings.create_home()?;
            HookService::forget(&state);
        }
    }
    change(&args.which, settings, &installer, true)
}

/// Takes the hooks out.
pub(super) fn uninstall(args: Uninstall, settings: &Settings) -> Result<ExitCode, Failure> {
    let which = args.which.with_agent_after_project();
    let installer = installer(settings, None, which.project.as_deref(), false, None)?;
    change(&which, settings, &installer, false)
}

/// Returns the agents that are meant.
fn clients(which: &Which, places: &Places) -> Result<Vec<Client>, Failure> {
    let mut clients = which.clients.clone();
    if which.all {
        let has_settings = |client: Client| which.project.is_none() || client == Client::ClaudeCode;
        clients.extend(Client::ALL.into_iter().filter(|client| places.is_found(*client) && has_settings(*client)));
    }
    clients.sort();
    clients.dedup();
    if clients.is_empty() {
        let found = Client::ALL.into_iter().filter(|client| places.is_found(*client)).map(Client::name);
        let found = found.collect::<Vec<_>>();
        if which.all {
            let used = if which.project.is_none() { "no coding agent" } else { "no agent with settings for a project" };
            return Err(Failure::could_not(
                format!("{used} was used on this machine yet"),
                "name one, as in `tooltrail agent install claude-code`: its hooks are there when you start it",
            ));
        }
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
    if installs && installer.args.keys.is_none() && installer.args.to.is_none() && !which.dry_run {
        installer.args.keys = Some(resolved(&settings.keys_path(&settings.open_home()?)?));
    }
    let clients = clients(which, &installer.places)?;
    let plan = |client: &Client| if installs { installer.install(*client) } else { installer.uninstall(*client) };
    let plans = clients.iter().map(plan).collect::<Vec<_>>();
    let is_changed = plans.iter().flat_map(|plan| &plan.changes).any(|change| !change.is_none());
    if is_changed && !which.dry_run {
        output::talk(
            "this takes 2 s: an agent that runs may write its own settings over the change, which would be told",
        );
    }
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
        if which.dry_run {
            data.line("nothing is changed; this is what would be:")?;
        }
        // The lines around a change may hold secrets of others, and this output may end in a log.
        let redactor = which.dry_run.then(|| settings.redactor().unwrap_or_else(|_| Redactor::new(None)));
        for plan in &plans {
            tell(plan, &outcomes, &installer, redactor.as_ref(), installs, &mut data)?;
        }
        data.finish()?;
    }
    Ok(if is_bad { Exit::No.into() } else { Exit::Yes.into() })
}

fn answer(plan: &Plan, outcomes: &[Outcome]) -> Value {
    let failed = |path: &Path| outcomes.iter().find(|outcome| outcome.path == path).and_then(|o| o.failed.clone());
    let files = plan
        .changes
        .iter()
        .map(|change| json!({ "file": change.path, "changes": !change.is_none(), "failed": failed(&change.path) }));
    let refused = plan.refused.iter().map(|(path, why)| json!({ "file": path, "why": why }));
    let servers = plan.servers.iter().map(
        |server| json!({ "name": server.name, "project": server.project, "plugin": server.plugin, "wrapped": server.kind == Kind::Command }),
    );
    json!({
        "agent": plan.client.name(),
        "files": files.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "servers": servers.collect::<Vec<_>>(),
    })
}

/// Prints what became of the settings of one agent; with a redactor, what would become of them.
fn tell(
    plan: &Plan,
    outcomes: &[Outcome],
    installer: &Installer,
    redactor: Option<&Redactor>,
    installs: bool,
    data: &mut Data,
) -> Result<(), Failure> {
    let (client, places) = (plan.client, &installer.places);
    let dry_run = redactor.is_some();
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
            if !plan.refused.iter().any(|(path, _)| *path == change.path) {
                data.line(&format!("{}: {shown} stays as it is", client.title()))?;
            }
            continue;
        }
        changed += 1;
        let verb = match (&change.before, &change.after) {
            (None, _) => ["would create", "created"],
            (_, None) => ["would remove", "removed"],
            _ => ["would change", "changed"],
        };
        data.line(&format!("{}: {} {shown}", client.title(), verb[usize::from(!dry_run)]))?;
        if let Some(redactor) = redactor {
            for (sign, line) in change.diff() {
                data.line(&format!("  {sign} {}", output::escaped(&redactor.text(&line))))?;
            }
        }
    }
    for (path, why) in &plan.refused {
        output::talk_error(&format!("{}: {} is left alone: {why}", client.title(), places.shown(path)));
        if installs {
            tell_snippet(plan, path, installer);
        }
    }
    tell_servers(plan, data)?;
    if installs && changed > 0 && !dry_run {
        let hooks = places.hooks(client, installer.project.as_deref());
        let is_hooks = |change: &&Change| hooks.as_ref().is_some_and(|hooks| same_file(hooks, &change.path));
        let has_new_hooks = plan.changes.iter().filter(is_hooks).any(|change| !change.is_none());
        if has_new_hooks {
            data.line(&format!("  {}", after_install(client)))?;
        }
        if !has_new_hooks || plan.servers.iter().any(|server| server.kind == Kind::Command) {
            data.line("  a session that runs goes on with the MCP servers that it has: start a new one")?;
        }
        data.line(&format!("  then, as its first call ends: tooltrail tail -f 'client={}*'", client.name()))?;
    }
    Ok(())
}

/// Prints what becomes of the MCP servers of one agent.
fn tell_servers(plan: &Plan, data: &mut Data) -> Result<(), Failure> {
    for server in &plan.servers {
        let of = match (&server.project, &server.plugin) {
            (Some(project), _) => format!(" (of {project})"),
            (_, Some(plugin)) => format!(" (of the plugin {plugin})"),
            _ => String::new(),
        };
        let of = output::escaped(&of);
        let name = output::escaped(&server.name);
        let becomes = match server.kind {
            Kind::Command => "behind tooltrail mcp",
            Kind::Remote => "left alone, it is reached over the network",
            Kind::Behind => "left alone, you have put tooltrail mcp in front of it",
            Kind::OddArgs => "left alone, its args are not an array of strings",
            Kind::OfPlugin => "left alone, because an update replaces the plugin",
            Kind::Unknown => "left alone, it has no command",
        };
        data.line(&format!("  MCP server {name}{of}: {becomes}"))?;
    }
    Ok(())
}

/// Prints what somebody can paste into a file with hooks that was left alone.
fn tell_snippet(plan: &Plan, path: &Path, installer: &Installer) {
    let hooks = installer.places.hooks(plan.client, installer.project.as_deref());
    if hooks.is_some_and(|hooks| same_file(&hooks, path)) {
        let snippet = serde_json::to_string_pretty(&installer.snippet(plan.client)).unwrap_or_default();
        output::talk_hint(&format!(
            "mend the file and run the same command again, or paste this into it yourself:\n{snippet}"
        ));
    }
}

/// Whether a path of settings is that of a changed file, which has no links in it.
fn same_file(path: &Path, changed: &Path) -> bool {
    path == changed || path.canonicalize().is_ok_and(|path| path == changed)
}

/// Returns what a person must do until the hooks of an agent run.
const fn after_install(client: Client) -> &'static str {
    match client {
        Client::ClaudeCode => "running sessions load the hooks; in a folder that you have not trusted no hook runs",
        Client::Codex => "restart Codex, type /hooks and trust them: until then it ignores them without a message",
        Client::Gemini => "restart Gemini CLI; in a folder that you have not trusted no hook runs",
        Client::Copilot => "restart Copilot CLI",
        Client::Cursor => "Cursor reads the file when it is saved; its output channel Hooks shows the hooks",
    }
}
