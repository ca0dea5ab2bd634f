//! `tooltrail log`: begins the signed log anew.

use std::process::ExitCode;

use tooltrail::seal::LogOwner;

use crate::account::account;
use crate::commands::key::print;
use crate::failure::{Exit, Failure};
use crate::output::talk;
use crate::settings::Settings;

/// Begin the signed log anew, after the home was restored from an older copy
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Begin a new log under the next origin (`…/2`), which quotes the last checkpoint of the log before
    ///
    /// A home that was restored or copied does not continue what was signed before, so nothing is sealed in it. With this
    /// it is sealed again. The new log has a verifier key of its own, and verifiers that remember the old one say
    /// `forked` until they are run with --accept. The old log stays beside the new one.
    Restart {
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

/// Runs the command.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let Command::Restart { why } = args.command;
    let (home, by) = (settings.open_home()?, account());
    let key = LogOwner::open(&settings.options(&home)?, &home)?.restart(&by, &why)?;
    print(&key, settings)?;
    talk(&format!("the log is {} now; the day files are sealed again by the next process that records", key.name()));
    Ok(Exit::Yes.into())
}
