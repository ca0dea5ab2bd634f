//! `tooltrail gate`: tries rules on recorded calls, and writes rules that allow what was used.

mod cover;
mod past;
mod suggest;
mod test;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::settings::Settings;

/// Try rules on recorded calls, or derive rules from them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Test(test::Args),
    Suggest(suggest::Args),
}

/// Runs the command.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Test(args) => test::run(&args, settings),
        Command::Suggest(args) => suggest::run(&args, settings),
    }
}
