//! `tooltrail serve`: runs the HTTP service.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tooltrail::{DurabilityPolicy, Home};

use crate::failure::{Exit, Failure};
use crate::http::{Hosts, Listener, router};
use crate::key_exposure::warnings;
use crate::listen_address::ListenAddress;
use crate::log::{self, Format, Level};
use crate::output::{Data, print_json, talk, talk_hint};
use crate::service::Service;
use crate::service::checkpoints::{CheckpointCopies, watch as watch_checkpoints};
use crate::service::tasks::{close, open_behind, prune_daily, renew};
use crate::settings::Settings;
use crate::settings::durability::DurabilityArgs;
use crate::settings::file::ConfigFile;
use crate::tokens::{TokenStore, Tokens, check_ours};

/// The default port.
const PORT: u16 = 7420;

/// Longest wait for threads that still read when the service ends. It is short, because their results are not needed.
const THREADS_WAIT: Duration = Duration::from_millis(200);

/// Longest time that the service takes to end, because a supervisor may kill it after that. Entries that are not
/// written by then are reported and given up.
const END_WAIT: Duration = Duration::from_millis(4_500);

/// Maximum threads for blocking work: the readers, the parsers of sent entries, and a few of the service itself.
const BLOCKING_THREADS_MAX: usize = 32;

/// Answer questions and take entries over HTTP
///
/// The address goes to stdout once the port is open. SIGTERM and Ctrl-C end the service in order.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen: ADDR:PORT, of which port 0 is any free one, or unix:PATH for a socket of this machine; may be given
    /// again. Other than loopback only if there are tokens [default: 127.0.0.1:7420]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "TOOLTRAIL_LISTEN",
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = address
    )]
    listen: Vec<ListenAddress>,

    /// A name under which a proxy on this machine serves it; may be given again. Others are refused on loopback
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,

    /// How much the log on stderr says [default: info]
    #[arg(long, value_enum, value_name = "LEVEL", env = "TOOLTRAIL_LOG_LEVEL", hide_env_values = true)]
    log_level: Option<Level>,

    /// The format of the log on stderr [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", env = "TOOLTRAIL_LOG_FORMAT", hide_env_values = true)]
    log_format: Option<Format>,

    #[command(flatten)]
    durability: DurabilityArgs,
}

/// The options of the service, resolved: a flag wins over the environment, and the environment over the file.
#[derive(Clone, Debug)]
pub(crate) struct ServeOptions {
    /// Where to listen: at least one address.
    pub(crate) listen: Vec<ListenAddress>,
    /// The host names under which a proxy serves it.
    pub(crate) hosts: Vec<String>,
    /// How durable an entry must be before it is acknowledged.
    pub(crate) durability: DurabilityPolicy,
    /// How much the log says.
    pub(crate) log_level: Level,
    /// The format of the log.
    pub(crate) log_format: Format,
}

impl Args {
    /// Resolves the options: flags win over the file.
    pub(crate) fn resolve(&self, file: &ConfigFile) -> ServeOptions {
        let hosts = if self.host.is_empty() { file.hosts.clone().unwrap_or_default() } else { self.host.clone() };
        let in_file = || file.listen.clone().filter(|listen| !listen.is_empty());
        let default = || vec![ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))];
        let listen = (!self.listen.is_empty()).then(|| self.listen.clone()).or_else(in_file);
        ServeOptions {
            listen: listen.unwrap_or_else(default),
            hosts,
            durability: self.durability.over(file.durability.as_ref()),
            log_level: self.log_level.or(file.log.level).unwrap_or_default(),
            log_format: self.log_format.or(file.log.format).unwrap_or_default(),
        }
    }
}

/// Serves until a signal ends it.
pub(crate) fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let file = settings.file()?;
    let options = args.resolve(file);
    // Before 1970 the HTTP library cannot write the date of an answer, and would panic on every connection.
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        return Err(Failure::could_not("the system's clock stands before 1970", "set it, then start again"));
    }
    log::start(options.log_level, options.log_format);
    let keys = settings.keys_path(&settings.create_home()?)?;
    for (warning, hint) in warnings(&keys, Path::new("/proc")) {
        tracing::warn!(hint, "{warning}");
    }
    if file.gate.is_some() {
        tracing::warn!("the file has a gate, which this service does not obey: it holds where tools are run");
    }
    let (json, format) = (settings.flags.json, options.log_format);
    serve_at(options, settings, |urls, no_tokens| announce(urls, no_tokens, json, format))
}

/// Serves at these addresses until a signal ends it. Calls `opened` with the addresses and with whether there are no
/// tokens.
pub(crate) fn serve_at(
    options: ServeOptions,
    settings: &Settings,
    opened: impl FnOnce(&[String], bool) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let home = settings.create_home()?;
    let store = TokenStore::new(settings.keys_path(&home)?);
    check_ours(home.root(), "the home")?;
    store.check()?;
    let tokens = store.load()?;
    let outside = options.listen.iter().find(|address| address.is_reached_from_outside());
    if let Some(outside) = outside.filter(|_| tokens.is_empty()) {
        return Err(Failure::could_not(
            format!("{outside} can be reached from outside, and there are no tokens"),
            "make one with `tooltrail token add NAME --role admin` first, or listen on 127.0.0.1",
        ));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(|error| Failure::io("start", "the service", &error))?;
    let served = runtime.block_on(serve(options, settings, home, store, tokens, opened));
    runtime.shutdown_timeout(THREADS_WAIT);
    served.map(ExitCode::from)
}

/// Opens the port, then the home in the background, and closes both when a signal comes.
async fn serve(
    options: ServeOptions,
    settings: &Settings,
    home: Home,
    store: TokenStore,
    tokens: Tokens,
    opened: impl FnOnce(&[String], bool) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let ServeOptions { listen: addresses, hosts: names, durability, .. } = options;
    let zone = settings.zone()?;
    let failed = |error: std::io::Error| Failure::io("wait for", "signals", &error);
    let (mut term, mut interrupt) =
        (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
    let (listener, stop) = Listener::bind(&addresses).await.map_err(|(address, error)| {
        Failure::could_not(format!("could not listen on {address}: {error}"), "choose another with --listen ADDRESS")
    })?;
    let no_tokens = tokens.is_empty();
    let file = settings.file()?;
    let service = Service::new(store.clone(), tokens, zone, durability);
    let service = Arc::new(service.with_public_log(file.log.public.unwrap_or_default()));
    let copies = CheckpointCopies { file: file.log.copy_to.clone(), syslog: file.log.syslog.unwrap_or_default() };
    watch_checkpoints(&service, home.clone(), copies, file.witness.settings());
    open_behind(Arc::clone(&service), settings.clone(), home);
    let kept = settings.retention()?;
    let pruning = tokio::spawn(prune_daily(Arc::clone(&service), kept));
    let renewal = tokio::spawn(renew(Arc::clone(&service), store));
    let is_local = !addresses.iter().any(ListenAddress::is_reached_from_outside);
    let hosts = if is_local { Hosts::Loopback(names.into()) } else { Hosts::Any };
    let urls = listener.urls();
    let meters = Arc::clone(service.meters());
    let answering = tokio::spawn(listener.run(router(Arc::clone(&service), hosts), meters));
    opened(&urls, no_tokens)?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    let begun = Instant::now();
    service.end_streams();
    stop.now();
    // The listener limits the time that it takes to end.
    let _ = answering.await;
    renewal.abort();
    pruning.abort();
    close(&service, END_WAIT.saturating_sub(begun.elapsed())).await
}

/// Parses the address to listen on.
fn address(text: &str) -> Result<ListenAddress, String> {
    let is_socket = text.starts_with("unix:");
    let hint = "write an address and a port up to 65535, as in 127.0.0.1:7420 or [::1]:7420, or unix:/PATH";
    text.parse().map_err(|error| if is_socket { error } else { hint.to_owned() })
}

/// Prints where the service is: only the addresses on stdout, one a line (a JSON object with `--json`), the rest on
/// stderr.
fn announce(urls: &[String], no_tokens: bool, json: bool, format: Format) -> Result<(), Failure> {
    let said = if json {
        print_json(&json!({ "address": urls.first(), "addresses": urls }))
    } else {
        let mut data = Data::exact();
        urls.iter().try_for_each(|url| data.line(url)).and_then(|()| data.finish())
    };
    let url = urls.join(" and ");
    match said {
        // The program that started the service may have closed stdout. The service goes on, because it has other
        // clients.
        Ok(()) | Err(Failure::ClosedPipe) => {}
        Err(failure) => return Err(failure),
    }
    let hint = "every question needs a token; make one with `tooltrail token add NAME --role admin`, with the same --home and --keys";
    match format {
        Format::Text => {
            talk(&format!("listening on {url}"));
            if no_tokens {
                talk_hint(hint);
            }
        }
        Format::Json => {
            tracing::info!(url, "listening");
            if no_tokens {
                tracing::warn!(hint, "there are no tokens");
            }
        }
    }
    Ok(())
}
