//! `hook`: records an event that a coding agent tells its hook.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::failure::{Exit, Failure};
use crate::hook::{Client, HookArgs};
use crate::settings::Settings;

/// Record one event that a coding agent tells its hook
///
/// Reads the event from standard input. `tooltrail agent install` writes this command into the settings of the agent,
/// with absolute paths. It always exits with 0 and prints nothing, except the refusal of a call by a rule. It ignores the
/// environment variables TOOLTRAIL_* (those named below too), because the settings of a project can set them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  tooltrail hook claude-code --home /home/me/.local/share/tooltrail 2>/dev/null || :")]
pub(crate) struct Args {
    /// The agent: claude-code, codex, gemini, copilot or cursor
    #[arg(value_name = "AGENT")]
    client: String,

    /// The event's name, for an agent that does not tell it with the event (copilot)
    #[arg(long, value_name = "NAME")]
    event: Option<String>,

    /// Whose agent it is [default: the name of the account]
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// The folder of what could not be recorded and of the switch of `tooltrail agent off` [default:
    /// $XDG_STATE_HOME/tooltrail or ~/.local/state/tooltrail]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Deliver the entries to this service instead of recording them in the home: unix:PATH or http://127.0.0.1:PORT
    #[arg(long, value_name = "ADDRESS", requires = "token_file")]
    to: Option<String>,

    /// The file with a token for it, of role ingest and kind spool
    #[arg(long, value_name = "FILE", requires = "to")]
    token_file: Option<PathBuf>,
}

/// Returns the arguments if this process is a hook that an agent runs. Somebody who asks for help is answered like for
/// every other command.
pub(crate) fn args() -> Option<HookArgs> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != "hook" {
        return None;
    }
    let args = args.collect::<Vec<OsString>>();
    let asks_for_help = args.iter().any(|arg| arg == "--help" || arg == "-h");
    (!asks_for_help && !args.is_empty()).then(|| HookArgs::parse(args))
}

/// Runs the hook if it was not found before, because another flag comes first.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let Args { client, event, user, state, to, token_file } = args;
    let flags = &settings.flags;
    crate::hook::run(HookArgs {
        client: Client::parse(&client),
        event,
        user,
        home: flags.home.clone(),
        keys: flags.keys.clone(),
        config: flags.config.clone(),
        state,
        to,
        token_file,
    });
    Ok(Exit::Yes.into())
}
