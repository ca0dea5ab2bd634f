//! The listener: accepts connections up to a limit, closes slow ones, and shuts down cleanly.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::server::connection_limit::{ConnectionLimit, ConnectionPermit, Received};
use crate::http::server::unix_socket::UnixSocket;
use crate::listen_address::ListenAddress;
use crate::service::meters::Meters;
use crate::service::peer::{NOBODY, Peer};

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

/// Listening sockets.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<Socket>,
    stopped: watch::Receiver<()>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixSocket),
}

/// A connection that was accepted.
enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// Listens on these addresses; port 0 means any free port.
    ///
    /// # Errors
    /// The address on which nobody can listen, and why.
    pub(crate) async fn bind(addresses: &[ListenAddress]) -> Result<(Self, Stop), (ListenAddress, io::Error)> {
        let mut sockets = Vec::new();
        for address in addresses {
            let socket = match address {
                ListenAddress::Tcp(tcp) => match TcpListener::bind(tcp).await {
                    Ok(socket) => socket.local_addr().map(|address| Socket::Tcp(socket, address)),
                    Err(error) => Err(error),
                },
                ListenAddress::Unix(path) => UnixSocket::bind(path).map(Socket::Unix),
            };
            sockets.push(socket.map_err(|error| (address.clone(), error))?);
        }
        let (stop, stopped) = watch::channel(());
        Ok((Self { sockets, stopped }, Stop(stop)))
    }

    /// Returns the addresses, with the actual ports.
    pub(crate) fn urls(&self) -> Vec<String> {
        let url = |socket: &Socket| match socket {
            Socket::Tcp(_, address) => format!("http://{address}"),
            Socket::Unix(socket) => ListenAddress::Unix(socket.path().to_owned()).to_string(),
        };
        self.sockets.iter().map(url).collect()
    }

    /// Returns the next connection of any of the sockets.
    async fn accept(sockets: &[Socket]) -> io::Result<Accepted> {
        poll_fn(|context| {
            for socket in sockets {
                let accepted = match socket {
                    Socket::Tcp(socket, _) => {
                        socket.poll_accept(context).map_ok(|(stream, client)| Accepted::Tcp(stream, client))
                    }
                    Socket::Unix(socket) => socket.poll_accept(context).map_ok(Accepted::Unix),
                };
                if accepted.is_ready() {
                    return accepted;
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Serves connections until it is stopped, then waits for the current answers for a limited time.
    pub(crate) async fn run(mut self, router: Router, meters: Arc<Meters>) {
        let connection_limit = ConnectionLimit::new(meters);
        let mut connections = JoinSet::new();
        // The one connection that is accepted but waits for a slot; others wait in the backlog of the socket.
        let mut waiting: Option<Accepted> = None;
        loop {
            tokio::select! {
                _ = self.stopped.changed() => break,
                Some(_) = connections.join_next() => {}
                permit = connection_limit.take(), if waiting.is_some() => {
                    let (router, stopped) = (router.clone(), self.stopped.clone());
                    match waiting.take() {
                        Some(Accepted::Tcp(stream, client)) => {
                            // Sends small answers at once, without waiting for the acknowledgement of the previous
                            // packet.
                            let _ = stream.set_nodelay(true);
                            let peer = Peer::new(client, stream.local_addr().ok());
                            connections.spawn(connection(stream, peer, router, stopped, permit));
                        }
                        Some(Accepted::Unix(stream)) => {
                            let peer = Peer::of_user(stream.peer_cred().map_or(NOBODY, |client| client.uid()));
                            connections.spawn(connection(stream, peer, router, stopped, permit));
                        }
                        None => {}
                    }
                }
                accepted = Self::accept(&self.sockets), if waiting.is_none() => match accepted {
                    Ok(accepted) => waiting = Some(accepted),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken in");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop((self.sockets, waiting));
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
async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    router: Router,
    mut stopped: watch::Receiver<()>,
    permit: Arc<ConnectionPermit>,
) {
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
