//! `mcp`: stands in front of an MCP server and records its calls.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use tooltrail::{Random as _, SystemRandom, hex};

use crate::account::account;
use crate::failure::Failure;
use crate::hook::state_folder;
use crate::mcp::calls::About;
use crate::mcp::gate::Rules;
use crate::mcp::stdio::{NOT_STARTED, Start, run as run_server};
use crate::mcp::trail::{Outlet, StatusFolder};
use crate::output::talk_error;
use crate::service::ask_witness::ask_in_background;
use crate::settings::Settings;
use crate::settings::durability::DurabilityArgs;
use crate::settings::folders::{resolved, user_folder};
use crate::spool::{Delivery, Spool, SpoolWatch};

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

    /// Deliver the entries to this service instead of recording them in the home: unix:PATH or http://127.0.0.1:PORT
    #[arg(long, value_name = "ADDRESS", requires = "token_file")]
    to: Option<String>,

    /// The file with a token for it, of role ingest and kind spool
    #[arg(long, value_name = "FILE", requires = "to")]
    token_file: Option<PathBuf>,

    /// The folder for state, in which entries wait for the service [default: $XDG_STATE_HOME/tooltrail or
    /// ~/.local/state/tooltrail]
    #[arg(long, value_name = "DIR", requires = "to")]
    state: Option<PathBuf>,

    /// The command that starts the server, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let Args { user, server, session, durability, to, token_file, state, command } = args;
    let delivery = delivery(to, token_file, state)?;
    // A home that is not known is told like one that cannot be opened: the server runs all the same.
    let spool = delivery.as_ref().map(|delivery| delivery.spool.home());
    let settings = &spool.as_ref().map_or_else(|| settings.clone(), |home| settings.with_home(home));
    let home = settings.home_path().map(|home| resolved(&home)).unwrap_or_default();
    let text = |value: Option<String>| value.filter(|value| !value.is_empty());
    let outlet = delivery.clone();
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
        let is_spool = outlet.is_some();
        let open = move || {
            let opened = || {
                let home = settings.create_home()?;
                if is_spool {
                    return Ok(settings.spool_options(&home)?.open()?);
                }
                let mut options = settings.options(&home)?;
                // Hundreds of proxies may be idle at once.
                options.seals_when_idle = false;
                let witnesses = settings.file()?.witness.settings();
                let recorder = options.open()?;
                ask_in_background(recorder.home(), witnesses);
                Ok(recorder)
            };
            opened().map_err(|failure: Failure| failure.to_string())
        };
        let outlet = outlet.map(|delivery| Box::new(ToService(SpoolWatch::start(delivery))) as Box<dyn Outlet>);
        let (clock, status) = (crate::clock::clock(), status());
        Start { about, policy: durability, rules, clock, open: Box::new(open), status, outlet }
    };
    let name = command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ended = run_server(&command, home, start).or_else(|error| {
        talk_error(&format!("could not start {name}: {error}"));
        Ok(ExitCode::from(NOT_STARTED))
    });
    if let Some(delivery) = delivery {
        delivery.start_deliverer_if_none();
    }
    ended
}

/// The service to which the entries of a proxy are delivered.
struct ToService(SpoolWatch);

impl Outlet for ToService {
    fn recorded(&self) {
        self.0.recorded();
    }

    fn is_full(&self) -> bool {
        self.0.is_full()
    }
}

/// Returns where the entries go that do not stay in the home.
fn delivery(
    to: Option<String>,
    token_file: Option<PathBuf>,
    state: Option<PathBuf>,
) -> Result<Option<Delivery>, Failure> {
    let (Some(to), Some(token_file)) = (to, token_file) else { return Ok(None) };
    let state = state.or_else(state_folder);
    let state = state.ok_or_else(|| Failure::could_not("no folder for state is known", "name it with --state"))?;
    Ok(Some(Delivery { spool: Spool::new(&state, &to), to, token_file, state }))
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
