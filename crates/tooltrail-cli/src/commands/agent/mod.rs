//! `agent`: hooks in the settings of coding agents.

mod doctor;
mod install;
mod service;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::account::account;
use crate::agents::{Installer, Places, Undo};
use crate::commands::agent::service::HookService;
use crate::failure::{Exit, Failure};
use crate::hook::{Client, HookArgs, PauseFile, state_folder};
use crate::output::{self, Data};
use crate::settings::Settings;
use crate::settings::file::default_path;
use crate::settings::folders::resolved;

/// Put coding agents on the trail: install, uninstall and examine their hooks
///
/// A hook is a command that the agent runs for each call of a tool. Only our own lines in its settings are changed, and
/// uninstalling gives the files back as they were.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail agent install --all --dry-run   what would be changed
  tooltrail agent install claude-code --mcp hooks, and its MCP servers too
  tooltrail agent doctor                    whether it works, and what to do if not
  tooltrail agent off                       turn the hooks off at once; on turns them on

Agents: claude-code, codex, gemini, copilot, cursor.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put hooks into the settings of agents
    Install(install::Install),
    /// Take the hooks out, and give the settings back as they were
    Uninstall(install::Uninstall),
    /// Say for each agent whether its hooks work, and what to do next; exit 1 if something is wrong
    Doctor(doctor::DoctorArgs),
    /// Turn the hooks of all agents off at once: they record nothing, and no rule refuses a call
    ///
    /// MCP servers behind `tooltrail mcp` are not affected: they are still recorded, and their rules still apply.
    Off,
    /// Turn the hooks on again
    On,
}

pub(super) fn parse_client(name: &str) -> Result<Client, String> {
    Client::parse(name).ok_or_else(|| {
        let known = Client::ALL.map(Client::name).join(", ");
        let lower = name.to_lowercase();
        let meant = Client::ALL
            .into_iter()
            .find(|client| lower.starts_with(client.name().split('-').next().unwrap_or_default()));
        match meant {
            Some(meant) => format!("no agent that is known: did you mean {}?", meant.name()),
            None => format!("no agent that is known; known are {known}"),
        }
    })
}

pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Install(args) => install::install(args, settings),
        Command::Uninstall(args) => install::uninstall(args, settings),
        Command::Doctor(args) => doctor::doctor(&args, settings),
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
    service: Option<HookService>,
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
    let is_here = service.is_none();
    let (to, token_file) = service.map(|service| (service.to, service.token_file)).unzip();
    let args = HookArgs {
        user: Some(user.unwrap_or_else(account)),
        home: Some(home).filter(|_| is_here),
        keys: keys.map(|keys| resolved(&keys)).filter(|_| is_here),
        config: settings.config_path().map(PathBuf::from).or_else(default_path).map(|path| resolved(&path)),
        state: Some(state.clone()),
        to,
        token_file,
        ..HookArgs::default()
    };
    let project = project.map(resolved);
    if let Some(project) = project.as_ref().filter(|project| !project.is_dir()) {
        return Err(Failure::could_not(
            format!("{} is no folder", project.display()),
            "name the folder of a project that exists",
        ));
    }
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

fn switch(off: bool, settings: &Settings) -> Result<ExitCode, Failure> {
    let switch = PauseFile::new(&state()?);
    switch.set(off).map_err(|error| Failure::io("write", switch.path().display(), &error))?;
    if settings.flags.json {
        let mut data = Data::exact();
        data.line(&json!({ "recording": !off }).to_string())?;
        data.finish()?;
    } else if off {
        output::talk("hooks record nothing and refuse nothing from now on; `tooltrail agent on` turns them on again");
        output::talk("what runs behind `tooltrail mcp` is still recorded");
    } else {
        output::talk("hooks record again");
    }
    Ok(Exit::Yes.into())
}
