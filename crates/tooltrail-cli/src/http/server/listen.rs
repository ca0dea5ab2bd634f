//! Connections: taken in up to a bound, cut off when they dawdle, and ended in order.

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

/// Longest time for a request's head, also between two requests of one connection: half-sent heads must not pile up.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Largest head: the longest address, a token and a browser's usual headers, several times over.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// Most headers of a request.
const HEADERS_MAX: usize = 64;

/// Longest life of a connection; then it ends after the answer under way. It bounds who reads an answer slowly.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);

/// Longest time for answers under way when a connection's life or the service ends; with the recorder's last flush
/// it stays below the five seconds after which a supervisor may kill us.
const DRAIN_WAIT: Duration = Duration::from_secs(3);

/// Pause after a connection could not be taken in: out of files, the next try would fail at once too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Tells the listener to stop; dropping it does too.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<()>);

/// An open port.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    stopped: watch::Receiver<()>,
}

impl Listener {
    /// Opens a port; port 0 picks one.
    pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(Self, Stop)> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let (stop, stopped) = watch::channel(());
        Ok((Self { socket, address, stopped }, Stop(stop)))
    }

    /// Returns the address with the port that was picked.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is told to stop, then ends what is under way.
    pub(crate) async fn run(mut self, router: Router, meters: Arc<Meters>) {
        let connection_limit = ConnectionLimit::new(meters);
        let mut connections = JoinSet::new();
        // Accepted, and waiting for a place; others wait in the system's queue.
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
    /// Tells the listener to stop.
    pub(crate) fn now(self) {
        drop(self.0);
    }
}

/// Answers one connection.
async fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    mut stopped: watch::Receiver<()>,
    permit: Arc<ConnectionPermit>,
) {
    // Small answers go out at once instead of waiting for the acknowledgement of the packet before.
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
        // A client that went away or dawdled: nobody's fault here.
        tracing::debug!(%error, "a connection ended early");
    }
}
