//! The commands. Each has one file with its help, its arguments and its function.

mod agent;
mod completions;
mod config;
mod deliver;
mod demo;
mod erase;
mod export;
mod find_secret;
mod gate;
mod hook;
mod import;
mod key;
mod log;
mod mcp;
mod mcp_server;
mod pages;
mod prove;
mod prune;
mod recent;
mod reconcile;
mod redact;
mod serve;
mod sessions;
mod show;
mod stats;
mod tail;
mod token;
mod verify;
mod witness;

use std::env;
use std::ffi::OsStr;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

pub(crate) use hook::args as hook_args;

use crate::failure::Failure;
use crate::settings::Settings;
use crate::settings::flags::GlobalFlags;

/// The audit trail of AI agents' tool calls.
///
/// Every call an agent makes is one line of JSON in a plain file per user per day. tooltrail records them, imports
/// them and answers questions about them.
#[derive(Debug, clap::Parser)]
#[command(name = "tooltrail", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) flags: GlobalFlags,
    #[command(subcommand)]
    command: Command,
}

/// Examples and exit codes, shown at the end of the help.
const EXAMPLES: &str = "Examples:
  tooltrail demo                                 see it with calls of real tools
  tooltrail recent status=error --days 30        what failed this month
  tooltrail tail -f status=error                 see what fails, as it happens
  tooltrail import calls.jsonl.zst --user alice  take in calls recorded elsewhere
  tooltrail mcp -- COMMAND                       record the calls of an MCP server

Exit codes: 0 yes (an empty answer too), 1 no (a line was rejected), 2 could not.
stdout carries data, stderr everything else; --json makes the data JSON.";

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Recent(recent::Args),
    Show(show::Args),
    Tail(tail::Args),
    Stats(stats::Args),
    Export(export::Args),
    Sessions(sessions::Args),
    Reconcile(reconcile::Args),
    Serve(serve::Args),
    Import(import::Args),
    Mcp(mcp::Args),
    McpServer(mcp_server::Args),
    Agent(agent::Args),
    Hook(hook::Args),
    Deliver(deliver::Args),
    Verify(verify::Args),
    Prove(prove::Args),
    Key(key::Args),
    Log(log::Args),
    Witness(witness::Args),
    Erase(erase::Args),
    Prune(prune::Args),
    Redact(redact::Args),
    FindSecret(find_secret::Args),
    Token(token::Args),
    Gate(gate::Args),
    Config(config::Args),
    Demo(demo::Args),
    Completions(completions::Args),
}

impl Cli {
    /// Reads the command line and the environment.
    ///
    /// # Errors
    ///
    /// Returns what must be printed instead of running a command: an error in the arguments, or the help.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        Self::from_arg_matches(&Self::matches()?).map_err(|refused| refused.format(&mut Self::command()))
    }

    /// Returns the parsed arguments in the form that says whether a value comes from the command line or the
    /// environment.
    pub(crate) fn matches() -> Result<ArgMatches, clap::Error> {
        without_empty_variables(Self::command()).try_get_matches()
    }

    /// Whether the command starts a program of somebody else, which must find this process's limits unchanged.
    pub(crate) fn starts_a_server(&self) -> bool {
        matches!(self.command, Command::Mcp(_))
    }

    /// Runs the command.
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let settings = &Settings::new(self.flags);
        match self.command {
            Command::Recent(args) => recent::run(args, settings),
            Command::Show(args) => show::run(&args, settings),
            Command::Tail(args) => tail::run(args, settings),
            Command::Stats(args) => stats::run(args, settings),
            Command::Export(args) => export::run(args, settings),
            Command::Sessions(args) => sessions::run(&args, settings),
            Command::Reconcile(args) => reconcile::run(&args, settings),
            Command::Serve(args) => serve::run(args, settings),
            Command::Import(args) => import::run(args, settings),
            Command::Mcp(args) => mcp::run(args, settings),
            Command::McpServer(args) => mcp_server::run(args, settings),
            Command::Agent(args) => agent::run(args, settings),
            Command::Hook(args) => hook::run(args, settings),
            Command::Deliver(args) => deliver::run(args, settings),
            Command::Verify(args) => verify::run(&args, settings),
            Command::Prove(args) => prove::run(&args, settings),
            Command::Key(args) => key::run(args, settings),
            Command::Witness(args) => witness::run(&args, settings),
            Command::Log(args) => log::run(args, settings),
            Command::Erase(args) => erase::run(&args, settings),
            Command::Prune(args) => prune::run(args, settings),
            Command::Redact(args) => redact::run(&args, settings),
            Command::FindSecret(args) => find_secret::run(&args, settings),
            Command::Token(args) => token::run(args, settings),
            Command::Gate(args) => gate::run(args, settings),
            Command::Config(args) => config::run(args, settings),
            Command::Demo(args) => demo::run(args, settings),
            Command::Completions(args) => completions::run(args, settings),
        }
    }
}

/// Whether the command is `help query`, which is about no command.
pub(crate) fn asks_about_queries() -> bool {
    let mut args = env::args_os().skip(1);
    args.next().is_some_and(|word| word == "help") && args.next().is_some_and(|word| word == "query")
}

/// Ignores empty environment variables: they count as unset, for values of every type.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |variable: &OsStr| env::var_os(variable).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}

/// Returns what the parser of the command line does not know about an error.
pub(crate) fn hint_for(refused: &clap::Error) -> Option<&'static str> {
    let is_server = env::args_os().nth(1).is_some_and(|command| command == "mcp");
    let is_unknown = refused.kind() == clap::error::ErrorKind::UnknownArgument;
    (is_server && is_unknown).then_some("the server's command comes after `--`: tooltrail mcp -- COMMAND [ARG…]")
}
