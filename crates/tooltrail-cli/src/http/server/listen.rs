//! The listener: accepts connections up to a limit, closes slow ones, and shuts down cleanly.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::server::connection_limit::{ConnectionLimit, ConnectionPermit, Received};
use crate::service::meters::Meters;
use crate::service::peer::Peer;

/// Longest wait for the head of a request, also between two requests of one connection, so that connections with
/// incomplete heads cannot pile up.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Largest head of a request: several times the longest URI, a token and the usual headers of a browser.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// Most headers in a request.
const HEADERS_MAX: usize = 64;

/// Longest lifetime of a connection; after that, it ends when the current answer is sent. This also limits clients that
/// read an answer slowly.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);

/// Longest wait for current answers when a connection reaches its lifetime or the service stops. Together with the last
/// flush of the recorder, this stays below the five seconds after which a supervisor may kill the process.
const DRAIN_WAIT: Duration = Duration::from_secs(3);

/// Pause after a failed accept. If the process has no file descriptors left, an immediate retry would fail too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Handle that stops the listener; dropping it also stops the listener.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<()>);

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    stopped: watch::Receiver<()>,
}

impl Listener {
    /// Listens on an address; port 0 means any free port.
    pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(Self, Stop)> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let (stop, stopped) = watch::channel(());
        Ok((Self { socket, address, stopped }, Stop(stop)))
    }

    /// Returns the address with the actual port.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until it is stopped, then waits for the current answers for a limited time.
    pub(crate) async fn run(mut self, router: Router, meters: Arc<Meters>) {
        let connection_limit = ConnectionLimit::new(meters);
        let mut connections = JoinSet::new();
        // The one connection that is accepted but waits for a slot; others wait in the backlog of the socket.
        let mut waiting: Option<(TcpStream, SocketAddr)> = None;
        loop {
            tokio::select! {
                _ = self.stopped.changed() => break,
                Some(_) = connections.join_next() => {}
                permit = connection_limit.take(), if waiting.is_some() => {
                    if let Some((stream, client)) = waiting.take() {
                        let (router, peer) = (router.clone(), Peer::new(client, stream.local_addr().ok()));
                        connections.spawn(connection(stream, peer, router, self.stopped.clone(), permit));
                    }
                }
                accepted = self.socket.accept(), if waiting.is_none() => match accepted {
                    Ok((stream, address)) => waiting = Some((stream, address)),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken in");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop((self.socket, waiting));
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_WAIT, drained).await.is_err() {
            tracing::warn!(connections = connections.len(), "cut off: they did not end in time");
        }
        connections.shutdown().await;
    }
}

impl Stop {
    /// Stops the listener.
    pub(crate) fn now(self) {
        drop(self.0);
    }
}

/// Serves one connection until it ends.
async fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    mut stopped: watch::Receiver<()>,
    permit: Arc<ConnectionPermit>,
) {
    // Sends small answers at once, without waiting for the acknowledgement of the previous packet.
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_header_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let under_way = permit.begin();
        let request = request.map(|body| Received::new(body, &permit));
        let answered = TowerToHyperService::new(router.clone()).call(request);
        async move { answered.await.map(|response| under_way.until_sent(response)) }
    });
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        () = permit.must_leave() => Some(Ok(())),
        () = permit.wait_until_stalled() => Some(Ok(())),
        _ = stopped.changed() => None,
        () = tokio::time::sleep(CONNECTION_LIFE) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            served.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN_WAIT, served).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        // The client disconnected or was too slow; this is not a fault of the service.
        tracing::debug!(%error, "a connection ended early");
    }
}
