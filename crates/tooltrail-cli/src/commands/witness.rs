//! `tooltrail witness`: cosigns the checkpoints of logs, on another machine or as another user.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tooltrail::SystemRandom;
use tooltrail::seal::{KeyKind, Witness};

use crate::commands::verify::verifier_key;
use crate::failure::Failure;
use crate::http::serve_witness;
use crate::log::{self, Format, Level};
use crate::output::{Data, print_json, talk};
use crate::settings::Settings;
use crate::settings::folders::user_folder;

/// Cosign the checkpoints of other logs, so that nobody can set them back or show two histories
///
/// Serves the C2SP protocol tlog-witness. It cosigns a checkpoint only if it continues the last one that it has cosigned
/// of this log, and keeps that durably before it answers. Run it on another machine, or at least as another user, and
/// name it in the configuration file of the service that it watches, in the table `[witness]`:
///
/// at = [{ url = "http://HOST:7421", key = "KEY" }]
///
/// It prints its verifier key; give it to `tooltrail verify --witness`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail witness --name witness.example/w1 --log-key log.key
  tooltrail witness --name w1 --log-key KEY1 --log-key KEY2 --listen 0.0.0.0:7421")]
pub(crate) struct Args {
    /// What the witness is called, as an address without http://
    #[arg(long, value_name = "NAME")]
    name: String,

    /// The verifier key of a log to cosign, or a file with it; can be repeated
    #[arg(long, value_name = "VKEY|FILE", required = true)]
    log_key: Vec<String>,

    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7421")]
    listen: SocketAddr,

    /// Where its key and what it has cosigned are kept [default: tooltrail/witness in $XDG_STATE_HOME or ~/.local/state]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Serves until a signal ends it.
pub(crate) fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    log::start(Level::default(), Format::default());
    let logs = args.log_key.iter().map(|key| verifier_key(key)).collect::<Result<Vec<_>, _>>()?;
    if logs.iter().any(|key| key.kind() != KeyKind::Log) {
        return Err(Failure::could_not("this is the key of a witness", "give the key of a log: tooltrail key show"));
    }
    let folder = match &args.state {
        Some(folder) => folder.clone(),
        None => user_folder("XDG_STATE_HOME", ".local/state", "--state")?.join("tooltrail").join("witness"),
    };
    let witness = Witness::open(&folder, &args.name, logs, &SystemRandom)?;
    let key = witness.key().to_string();
    let json = settings.flags.json;
    let served = serve_witness(witness, args.listen, |url| {
        let said = if json {
            print_json(&json!({ "address": url, "key": key }))
        } else {
            let mut data = Data::exact();
            data.line(&key).and_then(|()| data.finish())
        };
        match said {
            Ok(()) | Err(Failure::ClosedPipe) => {}
            Err(failure) => return Err(failure),
        }
        talk(&format!("listening on {url}"));
        Ok(())
    });
    served.map(ExitCode::from)
}
