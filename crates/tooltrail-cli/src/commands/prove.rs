//! `tooltrail prove`: makes the proof that an entry is in the trail.

use std::process::ExitCode;

use serde_json::{Value, json};
use tooltrail::EntryId;
use tooltrail::seal::{Sealed, prove};

use crate::failure::{Exit, Failure};
use crate::output::{Data, print_json};
use crate::settings::Settings;

/// Make the proof that an entry is in the trail, for somebody who has only the verifier key
///
/// Prints a C2SP tlog-proof that holds the entry itself. It is checked without the home: `tooltrail verify --proof FILE
/// --key VKEY`. It tells the user's folder and the day of the entry, and nothing of other entries. Exit 1 if there is no
/// such entry, or if it is not sealed yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail prove 019ac3f2-7c1e-7b52-9d0e-3f5a1c2b4d6e > entry.tlog-proof
  tooltrail verify --proof entry.tlog-proof --key log.key")]
pub(crate) struct Args {
    /// The entry's id: 36 characters
    id: String,
}

/// Makes and prints the proof.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let id = EntryId::parse(&args.id).ok_or_else(|| {
        Failure::could_not(
            format!("{:?} is no whole id of an entry", args.id),
            "tooltrail show END prints the whole id",
        )
    })?;
    match prove(&settings.open_home()?, id)? {
        Some(Sealed::Yes(proof)) => {
            if settings.flags.json {
                let entry = serde_json::from_str::<Value>(proof.line()).unwrap_or_default();
                print_json(&json!({ "entry": entry, "proof": proof.encode() }))?;
            } else {
                let mut data = Data::exact();
                data.bytes(proof.encode().as_bytes())?;
                data.finish()?;
            }
            Ok(Exit::Yes.into())
        }
        Some(Sealed::No(why)) => Err(Failure::no(why, "entries are sealed some seconds after they were recorded")),
        Some(_) | None => Err(Failure::no(
            format!("no entry has the id {}", args.id),
            "its day may have been pruned, or it lies in another home (--home)",
        )),
    }
}
