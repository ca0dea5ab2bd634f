//! `tooltrail key`: shows and changes the key that signs the log.

use std::process::ExitCode;

use serde_json::json;
use tooltrail::seal::{LogOwner, VerifierKey};

use crate::account::account;
use crate::failure::{Exit, Failure};
use crate::output::{Data, print_json, talk};
use crate::settings::Settings;

/// Show or change the key that signs the log
///
/// Whoever has the verifier key can check the trail with `tooltrail verify --key`; nobody can sign with it. The signing
/// key is made at first use and lies with the home's keys, never below the home.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the verifier key: give it to whoever shall check the trail
    Show,
    /// Sign with a new key from now on; the old key signs that it is the next one
    Rotate {
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Sign with a new key, because the old one is lost
    ///
    /// Nothing links the new key to the old one: each verifier must be given it with --key, and has to trust whoever
    /// gives it. The log itself goes on, and verifiers still demand that it continues what they remember.
    Lost {
        /// Why, for the log
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

/// Runs the command.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let (home, by) = (settings.create_home()?, account());
    let owner = LogOwner::open(&settings.options(&home)?, &home)?;
    match args.command {
        Command::Show => print(&owner.key()?, settings)?,
        Command::Rotate { why } => {
            print(&owner.rotate_key(&by, &why.unwrap_or_default())?, settings)?;
            talk("verifiers that know the old key accept this one by themselves");
        }
        Command::Lost { why } => {
            print(&owner.replace_lost_key(&by, &why)?, settings)?;
            talk("give this key to each verifier: tooltrail verify --key KEY");
        }
    }
    Ok(Exit::Yes.into())
}

/// Prints a verifier key.
pub(super) fn print(key: &VerifierKey, settings: &Settings) -> Result<(), Failure> {
    if settings.flags.json {
        return print_json(&json!({ "key": key.to_string(), "origin": key.name() }));
    }
    let mut data = Data::exact();
    data.line(&key.to_string())?;
    data.finish()
}
