//! One file per command, complete in itself: help, arguments, function.

mod completions;
mod demo;
mod import;
mod recent;
mod serve;
mod stats;
mod tail;
mod token;

use std::process::ExitCode;

use crate::common::Common;
use crate::failure::Failure;

/// The audit trail of AI agents' tool calls.
///
/// Every call an agent makes is one line of JSON in a plain file per user per day. tooltrail records them, imports
/// them and answers questions about them.
#[derive(Debug, clap::Parser)]
#[command(name = "tooltrail", version, after_help = EXAMPLES, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Where to begin.
const EXAMPLES: &str = "Examples:
  tooltrail demo                                 see it with calls of real tools
  tooltrail recent status=error --days 30        what failed this month
  tooltrail tail -f status=error                 see what fails, as it happens
  tooltrail import calls.jsonl.zst --user alice  take in calls recorded elsewhere

Exit codes: 0 yes (an empty answer too), 1 no (a line was rejected), 2 could not.
stdout carries data, stderr everything else; --json makes the data JSON.";

/// What to do.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Recent(recent::Args),
    Tail(tail::Args),
    Stats(stats::Args),
    Serve(serve::Args),
    Import(import::Args),
    Token(token::Args),
    Demo(demo::Args),
    Completions(completions::Args),
}

impl Cli {
    /// Does it.
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let common = &self.common;
        match self.command {
            Command::Recent(args) => recent::run(args, common),
            Command::Tail(args) => tail::run(args, common),
            Command::Stats(args) => stats::run(args, common),
            Command::Serve(args) => serve::run(args, common),
            Command::Import(args) => import::run(args, common),
            Command::Token(args) => token::run(args, common),
            Command::Demo(args) => demo::run(args, common),
            Command::Completions(args) => completions::run(args, common),
        }
    }
}
