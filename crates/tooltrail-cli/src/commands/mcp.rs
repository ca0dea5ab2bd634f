//! `mcp`: stands in front of an MCP server and records its calls.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use tooltrail::{Random as _, SystemRandom, hex};

use crate::account::account;
use crate::failure::Failure;
use crate::mcp::calls::About;
use crate::mcp::gate::Rules;
use crate::mcp::stdio::{NOT_STARTED, Start, run as run_server};
use crate::mcp::trail::StatusFolder;
use crate::output::talk_error;
use crate::service::ask_witness::ask_in_background;
use crate::settings::Settings;
use crate::settings::durability::DurabilityArgs;
use crate::settings::folders::{resolved, user_folder};

/// The environment variables in which clients tell the session. Clients without them tell it in each message, or not at
/// all.
const SESSION_VARIABLES: [&str; 2] = ["GROK_SESSION_ID", "CLAUDE_CODE_SESSION_ID"];

/// Put an MCP server on the trail: start it and record each call of its tools
///
/// Put `tooltrail mcp --` before the command of a server that speaks MCP over stdin and stdout. Its bytes pass
/// untouched in both directions, and its exit code is ours. Rules of the configuration file can refuse calls before
/// they reach the server.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail mcp -- npx -y @modelcontextprotocol/server-filesystem ~/notes
  tooltrail mcp --server github --durability strict -- github-mcp-server stdio")]
pub(crate) struct Args {
    /// Whose agent makes the calls [default: the name of the account]
    #[arg(long, value_name = "USER", env = "TOOLTRAIL_USER", hide_env_values = true)]
    user: Option<String>,

    /// The server's name in the trail and in rules; also applies [mcp.NAME] of the configuration file [default: the name
    /// that the server gives itself]
    #[arg(long, value_name = "NAME")]
    server: Option<String>,

    /// The session of the calls [default: what the client tells in its messages, else GROK_SESSION_ID or
    /// CLAUDE_CODE_SESSION_ID, else one per process]
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,

    #[command(flatten)]
    durability: DurabilityArgs,

    /// The command that starts the server, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let Args { user, server, session, durability, command } = args;
    // A home that is not known is told like one that cannot be opened: the server runs all the same.
    let home = settings.home_path().map(|home| resolved(&home)).unwrap_or_default();
    let text = |value: Option<String>| value.filter(|value| !value.is_empty());
    let start = || {
        let about = About {
            user: text(user).unwrap_or_else(account),
            server: text(server),
            session: text(session),
            session_default: session_default(),
        };
        let (settings, rules, durability) = match for_server(settings, about.server.as_deref(), &durability) {
            Ok((rules, durability)) => (settings.clone(), rules, durability),
            Err(failure) => (settings.without_file(), Rules::broken(failure.to_string()), durability.over(None)),
        };
        let open = move || {
            let opened = || {
                let mut options = settings.options(&settings.create_home()?)?;
                // Hundreds of proxies may be idle at once.
                options.seals_when_idle = false;
                let witnesses = settings.file()?.witness.settings();
                let recorder = options.open()?;
                ask_in_background(recorder.home(), witnesses);
                Ok(recorder)
            };
            opened().map_err(|failure: Failure| failure.to_string())
        };
        Start { about, policy: durability, rules, clock: crate::clock::clock(), open: Box::new(open), status: status() }
    };
    let name = command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    run_server(&command, home, start).or_else(|error| {
        talk_error(&format!("could not start {name}: {error}"));
        Ok(ExitCode::from(NOT_STARTED))
    })
}

/// Returns the rules and the durability for a server, from the flags and the configuration file.
fn for_server(
    settings: &Settings,
    server: Option<&str>,
    durability: &DurabilityArgs,
) -> Result<(Rules, tooltrail::DurabilityPolicy), Failure> {
    let file = settings.file()?;
    // The redaction rules are checked too: without them, secrets could be stored.
    file.redact.rules().map_err(|failure| settings.in_config(failure))?;
    let own = server.and_then(|server| file.mcp.get(server)).and_then(|own| own.durability.as_ref());
    Ok((Rules::new(file.gate_of(server), server.is_some()), durability.over(own.or(file.durability.as_ref()))))
}

/// Returns the session that the environment tells, else a new one.
fn session_default() -> String {
    let told = SESSION_VARIABLES.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    told.unwrap_or_else(|| {
        let mut bits = [0; 8];
        SystemRandom.fill(&mut bits);
        format!("mcp-{}", hex(&bits))
    })
}

/// Returns the folder of the status files.
fn status() -> StatusFolder {
    let folder = user_folder("XDG_STATE_HOME", ".local/state", "--keys").ok();
    StatusFolder::new(folder.map(|folder: PathBuf| folder.join("tooltrail").join("mcp")))
}
