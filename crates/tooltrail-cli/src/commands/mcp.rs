//! `mcp`: stands in front of an MCP server and records its calls.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tooltrail::{Random as _, SystemRandom, hex};

use crate::account::account;
use crate::agents::line_diff;
use crate::failure::{Exit, Failure};
use crate::hook::state_folder;
use crate::mcp::calls::About;
use crate::mcp::gate::Rules;
use crate::mcp::stdio::{NOT_STARTED, Start, run as run_server};
use crate::mcp::tools::{FilePins, PinnedTools, SeenTool, ServicePins, ToolStore, in_lines};
use crate::mcp::trail::{Outlet, StatusFolder};
use crate::output::{self, Data, talk_error};
use crate::service::ask_witness::ask_in_background;
use crate::settings::Settings;
use crate::settings::durability::DurabilityArgs;
use crate::settings::folders::{resolved, user_folder};
use crate::spool::{Delivery, Spool, SpoolWatch};

/// Where a service takes lists of tools, and how long it may take to answer. A call waits for that.
const TOOLS_PATH: &str = "/api/audit/tools";
const TOOLS_WAIT: Duration = Duration::from_secs(5);

/// The name of the folder with what was seen of servers' tools.
const TOOLS_FOLDER: &str = "tools";

/// The environment variables in which clients tell the session. Clients without them tell it in each message, or not at
/// all.
const SESSION_VARIABLES: [&str; 2] = ["GROK_SESSION_ID", "CLAUDE_CODE_SESSION_ID"];

/// Put an MCP server on the trail: start it and record each call of its tools
///
/// Put `tooltrail mcp --` before the command of a server that speaks MCP over stdin and stdout. Its bytes pass
/// untouched in both directions, and its exit code is ours. Rules of the configuration file can refuse calls before
/// they reach the server.
#[derive(Debug, clap::Args)]
#[command(subcommand_negates_reqs = true, subcommand_value_name = "TASK")]
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

    #[command(subcommand)]
    task: Option<Task>,
}

/// What there is to do besides standing in front of a server.
#[derive(Debug, clap::Subcommand)]
enum Task {
    Approve(Approve),
}

/// Approve the definitions of a server's tools as they were seen last, for a server with pin = true
///
/// Shows each definition that is new or has changed, and approves it. Until then, the tool is neither listed nor called.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tooltrail mcp approve github --show        what is not approved
  tooltrail mcp approve github create_issue  one tool")]
struct Approve {
    /// The server's name, as in [mcp.NAME] of the configuration file
    server: String,

    /// Only these tools [default: all]
    tools: Vec<String>,

    /// Only show what is not approved
    #[arg(long)]
    show: bool,
}

pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let Args { user, server, session, durability, to, token_file, state, command, task } = args;
    if let Some(Task::Approve(args)) = task {
        return approve(args, settings);
    }
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
        let (settings, rules, durability) =
            match for_server(settings, about.server.as_deref(), &durability, outlet.as_ref()) {
                Ok((rules, durability)) => (settings.clone(), rules, durability),
                Err(failure) => (settings.without_file(), Rules::broken(failure.to_string()), durability.over(None)),
            };
        let (is_spool, of_tools) = (outlet.is_some(), settings.clone());
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
        let tools = Box::new(move || tools_folder(&of_tools, spool.as_deref()).ok());
        let outlet = outlet.map(|delivery| Box::new(ToService(SpoolWatch::start(delivery))) as Box<dyn Outlet>);
        let (clock, status) = (crate::clock::clock(), status());
        Start { about, policy: durability, rules, clock, open: Box::new(open), status, outlet, tools }
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
    delivery: Option<&Delivery>,
) -> Result<(Rules, tooltrail::DurabilityPolicy), Failure> {
    let file = settings.file()?;
    // The redaction rules are checked too: without them, secrets could be stored.
    file.redact.rules().map_err(|failure| settings.in_config(failure))?;
    let own = server.and_then(|server| Some((server, file.mcp.get(server)?)));
    let mut rules = Rules::new(file.gate_of(server), server.is_some());
    if let Some((server, _)) = own.filter(|(_, own)| own.pin) {
        rules = rules.with_pins(match delivery {
            Some(delivery) => {
                PinnedTools::new(server, Box::new(ServicePins::new(server, ask_service(delivery.clone()))))
            }
            None => {
                let store = ToolStore::new(tools_folder(settings, None)?, server);
                PinnedTools::new(server, Box::new(FilePins::new(store)))
            }
        });
    }
    let own = own.and_then(|(_, own)| own.durability.as_ref());
    Ok((rules, durability.over(own.or(file.durability.as_ref()))))
}

/// Returns how a service is asked what is approved.
fn ask_service(delivery: Delivery) -> Box<dyn Fn(String) -> Result<String, String> + Send + Sync> {
    Box::new(move |page| {
        let answer = delivery.client(TOOLS_WAIT)?.post_json(TOOLS_PATH, page.as_bytes()).map_err(|error| error.0)?;
        if answer.status == 200 { Ok(answer.body) } else { Err(format!("the service answered {}", answer.status)) }
    })
}

/// Returns the folder with what was seen of servers' tools: with the keys, or beside the home of a spool.
fn tools_folder(settings: &Settings, spool: Option<&Path>) -> Result<PathBuf, Failure> {
    match spool {
        Some(home) => Ok(home.with_file_name(TOOLS_FOLDER)),
        None => {
            let home = settings.create_home()?;
            let keys = settings.keys_path(&home)?;
            home.make_keys_folder(&keys)?;
            Ok(keys.join(TOOLS_FOLDER))
        }
    }
}

/// Approves definitions of a server's tools, after it has shown what is new in them.
fn approve(args: Approve, settings: &Settings) -> Result<ExitCode, Failure> {
    let Approve { server, tools, show } = args;
    let store = ToolStore::new(tools_folder(settings, None)?, &server);
    let failed = |error: std::io::Error| Failure::io("read or write", "the definitions", &error);
    if !store.exists() {
        return Err(Failure::no(
            format!("no list of tools of {server} was seen"),
            "start the server behind `tooltrail mcp --server NAME` once, and let its client ask for the tools; where a \
             service has the trail, its owner names the server as USER/NAME",
        ));
    }
    let mut found = store.unapproved().map_err(failed)?;
    let unknown = tools.iter().find(|tool| !found.contains_key(*tool));
    if let Some(tool) = unknown {
        return Err(Failure::no(
            format!("{tool} of {server} is approved as it is, or was never seen"),
            "name another one",
        ));
    }
    found.retain(|name, _| tools.is_empty() || tools.contains(name));
    // What nobody has seen is approved only by its name.
    let is_unseen = |now: &Option<SeenTool>| now.as_ref().is_some_and(SeenTool::has_no_text);
    let left = found.iter().filter(|(_, (_, now))| tools.is_empty() && is_unseen(now));
    let left = left.map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let mut data = Data::exact();
    if settings.flags.json {
        let tools = found.iter().map(|(name, (before, now))| {
            let text = |tool: &Option<SeenTool>| tool.as_ref().map(|tool| tool.text.clone());
            (name.clone(), json!({ "approved": text(before), "seen": text(now) }))
        });
        let tools = tools.collect::<serde_json::Map<_, _>>();
        data.line(&json!({ "server": server, "tools": tools, "approved": !show }).to_string())?;
    } else {
        for (name, (before, now)) in &found {
            let state = match (before, now) {
                (None, _) => "new",
                (_, None) => "gone",
                _ => "changed",
            };
            data.line(&format!("{} ({state})", output::escaped(name)))?;
            if now.as_ref().is_some_and(SeenTool::has_no_text) {
                data.line(&format!("  its definition is too long to be shown: SHA-256 {}", hash_of(now.as_ref())))?;
                continue;
            }
            for (sign, line) in difference(before.as_ref(), now.as_ref()) {
                data.line(&format!("  {sign} {}", output::escaped(&line)))?;
            }
        }
    }
    data.finish()?;
    if show {
        return Ok(Exit::Yes.into());
    }
    found.retain(|name, _| !left.contains(name));
    let count = found.len();
    store.approve(&found.into_iter().map(|(name, (_, now))| (name, now)).collect()).map_err(failed)?;
    if !settings.flags.json {
        let noun = if count == 1 { "definition" } else { "definitions" };
        output::talk(&format!("approved {count} {noun} of {server} as shown here"));
        for name in left {
            output::talk(&format!(
                "{0} is not approved, because it cannot be shown; `tooltrail mcp approve {server} {0}` approves it",
                output::escaped(&name)
            ));
        }
    }
    Ok(Exit::Yes.into())
}

fn hash_of(tool: Option<&SeenTool>) -> &str {
    tool.map_or("", |tool| &tool.sha256)
}

/// Returns the lines of two definitions that differ, with some around them.
fn difference(before: Option<&SeenTool>, now: Option<&SeenTool>) -> Vec<(char, String)> {
    let pretty = |tool: Option<&SeenTool>| in_lines(tool.map_or("", |tool| &tool.text));
    let (before, now) = (pretty(before), pretty(now));
    line_diff(&before, &now)
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
