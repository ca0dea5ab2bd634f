//! `mcp-server`: the trail as an MCP server, with which an agent reads its user's own calls.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt as _;
use rmcp::transport::stdio;
use tooltrail::{Identity, Trail};
use tooltrail_toolbox::Context;

use crate::account::account;
use crate::failure::{Exit, Failure};
use crate::mcp_server::{AuditServer, toolbox};
use crate::remote::ServiceArgs;
use crate::settings::Settings;

/// The longest time of a question to a service: twice the time that a tool may take there.
const TIME: Duration = Duration::from_secs(120);

/// The threads for blocking work: as many questions as the tools answer at the same time, and file reads.
const BLOCKING_THREADS_MAX: usize = 24;

/// Offer the trail to an agent as an MCP server over stdin and stdout: its user's own calls, read-only
///
/// The tools are audit_recent, audit_stats, audit_sessions, audit_get (one entry with its proof) and file_read. They see
/// one user's trail only. What was recorded is given as quoted data. Each use is recorded too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  claude mcp add trail -- tooltrail mcp-server
  tooltrail mcp-server --service unix:/run/tooltrail/socket --token-file ~/.tooltrail-token

A service offers the same at /mcp, for a token of role user.")]
pub(crate) struct Args {
    /// Whose calls [default: the name of the account]
    #[arg(long, value_name = "USER", env = "TOOLTRAIL_USER", hide_env_values = true, conflicts_with_all = ["service", "to"])]
    user: Option<String>,

    #[command(flatten)]
    service: ServiceArgs,

    /// The same as --service
    #[arg(long, value_name = "ADDRESS")]
    to: Option<String>,
}

/// Serves until stdin ends.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let remote = args.service.client(args.to.as_deref(), TIME)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
        .map_err(|error| Failure::io("start", "the server", &error))?;
    let done = match remote {
        Some(client) => runtime.block_on(serve(AuditServer::of_service(client))),
        None => {
            let home = settings.open_home()?;
            let keys = settings.keys_path(&home)?;
            let mut options = settings.options(&home)?;
            // Agents start many of these, and most of them wait.
            options.seals_when_idle = false;
            let recorder = Arc::new(options.open()?);
            let trail = Arc::new(Trail::new(home, crate::clock::clock(), settings.zone()?));
            let mut context = Context::new(args.user.filter(|user| !user.is_empty()).unwrap_or_else(account));
            context.identity = Some(Identity::Claimed);
            let toolbox = Arc::new(toolbox(Arc::clone(&recorder), trail, Some(&keys))?);
            let done = runtime.block_on(serve(AuditServer::new(toolbox, context)));
            recorder.close()?;
            done
        }
    };
    // A read of stdin that is under way cannot be ended.
    runtime.shutdown_background();
    done.map(|()| Exit::Yes.into())
}

async fn serve(server: AuditServer) -> Result<(), Failure> {
    let failed = |error: String| Failure::could_not(error, "this is a server for MCP clients: start it from one");
    let running = server.serve(stdio()).await;
    match running {
        Ok(running) => running.waiting().await.map(drop).map_err(|error| failed(error.to_string())),
        // A client that goes away before it has said anything is no failure.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(failed(error.to_string())),
    }
}
