//! `tooltrail completions`: prints the completion script of a shell.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::commands::Cli;
use crate::failure::{Exit, Failure};
use crate::output::Data;
use crate::settings::Settings;

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  source <(tooltrail completions bash)  for this shell; for every one, put the line into ~/.bashrc
  source <(tooltrail completions zsh)   likewise, in ~/.zshrc after compinit
  tooltrail completions fish | source   likewise, in ~/.config/fish/config.fish")]
pub(crate) struct Args {
    /// Which shell
    shell: clap_complete::Shell,
}

/// Prints the script.
pub(crate) fn run(args: Args, _settings: &Settings) -> Result<ExitCode, Failure> {
    // Generate into memory first, because the generator panics if a write fails, and a closed pipe is not an error.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tooltrail", &mut script);
    let mut data = Data::exact();
    data.bytes(&script)?;
    data.finish()?;
    Ok(Exit::Yes.into())
}
