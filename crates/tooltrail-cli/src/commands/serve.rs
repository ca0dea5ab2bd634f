//! `tooltrail serve`: the HTTP service.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tooltrail::{Event, Home, SystemClock, Trail, Zone};

use crate::common::Common;
use crate::failure::{Exit, Failure};
use crate::http::{Hosts, Listener, Opened, Service, router};
use crate::live::Hub;
use crate::output::{Data, stderr_is_terminal, talk, talk_hint};
use crate::tokens::{TokenStore, Tokens};

/// Pause between two looks at the tokens: a new or revoked one counts within a second.
const TOKENS_PAUSE: Duration = Duration::from_millis(400);

/// Pause between two tries to open the home.
const OPEN_PAUSE: Duration = Duration::from_secs(1);

/// Longest wait for threads that still read when the service ends: what they read nobody wants any more.
const THREADS_WAIT: Duration = Duration::from_millis(200);

/// Threads that may block: the readers, the senders' parsers, and a few of our own.
const BLOCKING_THREADS_MAX: usize = 32;

/// Answer questions and take entries over HTTP
///
/// The address goes to stdout once the port is open. SIGTERM and Ctrl-C end the service in order.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to listen; port 0 picks one. Beyond the machine itself only where there are tokens
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7420")]
    pub(crate) listen: SocketAddr,
}

/// Serves until a signal ends it.
pub(crate) fn run(args: Args, common: &Common) -> Result<ExitCode, Failure> {
    start_log();
    serve_at(args.listen, common, announce)
}

/// Serves at an address until a signal ends it; `opened` hears the address and whether there are no tokens.
pub(crate) fn serve_at(
    listen: SocketAddr,
    common: &Common,
    opened: impl FnOnce(&str, bool) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let home = common.create_home()?;
    let store = TokenStore::new(common.keys_path(&home)?);
    let tokens = store.load()?;
    if tokens.is_empty() && !listen.ip().is_loopback() {
        return Err(Failure::could_not(
            format!("{} can be reached from outside, and there are no tokens", listen),
            "make one with `tooltrail token add NAME --role admin` first, or listen on 127.0.0.1",
        ));
    }
    let zone = common.zone()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(|error| Failure::io("start", "the service", &error))?;
    let served = runtime.block_on(serve(listen, common, home, store, tokens, zone, opened));
    runtime.shutdown_timeout(THREADS_WAIT);
    served.map(|()| Exit::Yes.into())
}

/// Opens the port, then the home behind it, and ends both when a signal comes.
async fn serve(
    address: SocketAddr,
    common: &Common,
    home: Home,
    store: TokenStore,
    tokens: Tokens,
    zone: Zone,
    opened: impl FnOnce(&str, bool) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io("wait for", "signals", &error);
    let (mut term, mut interrupt) =
        (signal(SignalKind::terminate()).map_err(failed)?, signal(SignalKind::interrupt()).map_err(failed)?);
    let (listener, stop) = Listener::bind(address).await.map_err(|error| {
        Failure::could_not(format!("could not listen on {address}: {error}"), "choose another with --listen ADDR:PORT")
    })?;
    let no_tokens = tokens.is_empty();
    let service = Arc::new(Service::new(tokens, zone));
    open_behind(Arc::clone(&service), common.clone(), home);
    let renewal = tokio::spawn(renew(Arc::clone(&service), store));
    let hosts = if address.ip().is_loopback() { Hosts::Loopback } else { Hosts::Any };
    let url = format!("http://{}", listener.address());
    let answering = tokio::spawn(listener.run(router(Arc::clone(&service), hosts)));
    opened(&url, no_tokens)?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    service.end_streams();
    stop.now();
    // It bounds its own end.
    let _ = answering.await;
    renewal.abort();
    close(&service).await
}

/// Says where the service is: the address alone on stdout, the rest to the person.
fn announce(url: &str, no_tokens: bool) -> Result<(), Failure> {
    let mut data = Data::exact();
    data.line(url)?;
    match data.finish() {
        // Whoever started us may have read enough; the service is not for them alone.
        Ok(()) | Err(Failure::ClosedPipe) => {}
        Err(failure) => return Err(failure),
    }
    talk(&format!("listening on {url}"));
    if no_tokens {
        talk_hint("every question needs a token; make one with `tooltrail token add NAME --role admin`");
    }
    Ok(())
}

/// Opens recorder and trail on a thread of its own, however long recovery takes; a failure is tried again.
fn open_behind(service: Arc<Service>, common: Common, home: Home) {
    std::thread::spawn(move || {
        loop {
            let trail = Trail::new(home.clone(), Arc::new(SystemClock::default()), service.zone().clone());
            let opened = common.recorder(&home).and_then(|recorder| Ok((recorder, Hub::start(&trail)?)));
            match opened {
                Ok((recorder, hub)) => {
                    recorder.event(Event::Start { version: env!("CARGO_PKG_VERSION").to_owned() });
                    let (recorder, trail, hub) = (Arc::new(recorder), Arc::new(trail), Arc::new(hub));
                    service.open(Opened { recorder, trail, hub });
                    tracing::info!("ready");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "the home could not be opened; trying again");
                    std::thread::sleep(OPEN_PAUSE);
                }
            }
        }
    });
}

/// Looks at the tokens again and again; where they cannot be read, nobody has one.
async fn renew(service: Arc<Service>, store: TokenStore) {
    loop {
        tokio::time::sleep(TOKENS_PAUSE).await;
        let store = store.clone();
        let tokens = match tokio::task::spawn_blocking(move || store.load()).await {
            Ok(Ok(tokens)) => tokens,
            Ok(Err(error)) => {
                tracing::error!(%error, "the tokens could not be read");
                Tokens::default()
            }
            Err(_) => return,
        };
        if tokens != *service.tokens() {
            tracing::info!("the tokens changed");
            service.renew_tokens(tokens);
        }
    }
}

/// Writes what was accepted; without a recorder there is nothing.
async fn close(service: &Service) -> Result<(), Failure> {
    let Ok(opened) = service.opened() else { return Ok(()) };
    let recorder = Arc::clone(&opened.recorder);
    let closed = tokio::task::spawn_blocking(move || {
        recorder.event(Event::Stop);
        recorder.close()
    });
    match closed.await {
        Ok(closed) => Ok(closed?),
        Err(error) => Err(Failure::could_not(error.to_string(), "look at the last entries")),
    }
}

/// Writes the service's own log to stderr; it never holds anything of a call's arguments or results.
fn start_log() {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(stderr_is_terminal());
    // A second start in one process keeps the first log.
    let _ = log.with_max_level(tracing::Level::INFO).try_init();
}
