//! Limit of concurrent connections. When all slots are taken, the connections that have been idle longest are closed.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::service::meters::Meters;

/// Most concurrent connections: below the common limit of 1,024 open files, with room for day files that readers open.
const CONNECTIONS_MAX: usize = 512;

/// How long a connection must be idle before it may be closed. By then, the last bytes of an answer have been sent.
const IDLE_MIN: Duration = Duration::from_millis(300);

/// How long the service waits for the first bytes of a body, and the minimum rate after that: each received byte
/// extends the wait. A slower connection may be closed when others wait for its slot.
const BODY_PATIENCE: Duration = Duration::from_secs(1);
const BODY_BYTES_PER_S: u64 = 16 * 1024;

/// Most time that the received bytes of a body can extend the wait, counted from now.
const BODY_CREDIT_MAX: Duration = Duration::from_secs(5);

/// How long a client may read nothing of an answer before its connection may be closed when others wait for its slot,
/// and how much longer before the connection is closed in any case.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Connections that are closed in one step, because more new connections usually follow.
const CLEARED_AT_ONCE: usize = 16;

/// Pause between two searches for connections that may be closed.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// All connection slots.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    free: Arc<Semaphore>,
    taken: Mutex<Vec<Weak<ConnectionPermit>>>,
    meters: Arc<Meters>,
}

/// The slot of one connection. Dropping the permit frees the slot.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    state: Mutex<State>,
    leave: Notify,
    meters: Arc<Meters>,
    _slot: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct State {
    /// Requests in progress, each counted from its head to the last byte of the answer's body.
    busy: usize,
    idle_since: Instant,
    /// While the service waits for the client: the deadline by which the client must send or read more.
    waits_until: Option<Instant>,
}

impl State {
    /// Returns since when no request is in progress; `None` if there is one.
    fn unused_since(&self) -> Option<Instant> {
        (self.busy == 0).then_some(self.idle_since)
    }

    /// Returns since when the connection is idle: no request is in progress, or the client missed its deadline. `None`
    /// if the connection is in use.
    fn idle_since(&self, now: Instant) -> Option<Instant> {
        match self.waits_until {
            _ if self.busy == 0 => Some(self.idle_since),
            Some(until) if until < now => Some(until),
            _ => None,
        }
    }
}

impl ConnectionLimit {
    /// Returns a limit whose slots are all free.
    pub(crate) fn new(meters: Arc<Meters>) -> Self {
        Self { free: Arc::new(Semaphore::new(CONNECTIONS_MAX)), taken: Mutex::default(), meters }
    }

    /// Takes a slot. If none is free, closes idle connections; waits while all connections are in use.
    pub(crate) async fn take(&self) -> Arc<ConnectionPermit> {
        let slot = loop {
            if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
                break slot;
            }
            self.clear_some(Instant::now());
            // The closed connections free their slots a moment later, and others end by themselves.
            if let Ok(Ok(slot)) = tokio::time::timeout(LOOK_PAUSE, Arc::clone(&self.free).acquire_owned()).await {
                break slot;
            }
        };
        let state = State { busy: 0, idle_since: Instant::now(), waits_until: None };
        self.meters.connected();
        let meters = Arc::clone(&self.meters);
        let permit = Arc::new(ConnectionPermit { state: Mutex::new(state), leave: Notify::new(), meters, _slot: slot });
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|permit| permit.strong_count() > 0);
        taken.push(Arc::downgrade(&permit));
        permit
    }

    /// Closes up to [`CLEARED_AT_ONCE`] of the connections that have been idle longest, if idle for at least
    /// [`IDLE_MIN`].
    ///
    /// There are two kinds of idle connections: those without a request, and those whose client is slow. Only
    /// connections of the larger group are closed, so that a single slow sender stays while hundreds of connections are
    /// unused.
    fn clear_some(&self, now: Instant) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let permits = taken.iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        let (mut unused, mut slow) = (Vec::new(), Vec::new());
        for permit in &permits {
            match (permit.look(State::unused_since), permit.idle_since(now)) {
                (Some(since), _) => unused.push((since, permit)),
                (None, Some(since)) => slow.push((since, permit)),
                (None, None) => {}
            }
        }
        let mut idle = if unused.len() >= slow.len() { unused } else { slow };
        idle.sort_by_key(|(since, _)| *since);
        for (_, permit) in idle.iter().take(CLEARED_AT_ONCE).take_while(|(since, _)| now - *since >= IDLE_MIN) {
            self.meters.cleared();
            permit.leave.notify_one();
        }
    }
}

impl ConnectionPermit {
    /// Waits until the connection must be closed to make room.
    pub(crate) async fn must_leave(&self) {
        loop {
            self.leave.notified().await;
            // A request may have arrived in the meantime.
            if self.idle_since(Instant::now()).is_some() {
                return;
            }
        }
    }

    /// Waits until the client has read nothing of an answer, or sent nothing of a body, for too long.
    pub(crate) async fn wait_until_stalled(&self) {
        loop {
            tokio::time::sleep(ANSWER_PATIENCE / 4).await;
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.busy > 0 && state.waits_until.is_some_and(|until| until + ANSWER_WAIT < Instant::now()) {
                return;
            }
        }
    }

    /// Notes that a request began. It counts as in progress until the returned guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.change(|state| state.busy += 1);
        UnderWay(Arc::clone(self))
    }

    fn idle_since(&self, now: Instant) -> Option<Instant> {
        self.look(|state| state.idle_since(now))
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.meters.disconnected();
    }
}

/// A request body. While the service waits for its bytes, it sets the deadline of the connection.
#[derive(Debug)]
pub(crate) struct Received {
    body: Incoming,
    permit: Arc<ConnectionPermit>,
}

impl Received {
    /// Returns the body of a request on a connection.
    pub(crate) fn new(body: Incoming, permit: &Arc<ConnectionPermit>) -> Self {
        Self { body, permit: Arc::clone(permit) }
    }
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let now = Instant::now();
        self.permit.change(|state| match &polled {
            Poll::Pending => drop(state.waits_until.get_or_insert(now + BODY_PATIENCE)),
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                let gained = Duration::from_micros(bytes * 1_000_000 / BODY_BYTES_PER_S);
                let until = state.waits_until.map_or(now + BODY_PATIENCE, |until| until + gained);
                state.waits_until = Some(until.min(now + BODY_CREDIT_MAX));
            }
            // The body is complete; from now on, the service is working, not the client.
            Poll::Ready(_) => state.waits_until = None,
        });
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.permit.change(|state| state.waits_until = None);
    }
}

/// Guard of a request in progress.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<ConnectionPermit>);

impl UnderWay {
    /// Keeps the guard until the body of the response has been sent.
    pub(crate) fn until_sent(self, response: Response) -> Response {
        response.map(|body| Body::new(Answer { body, under_way: self }))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.busy -= 1;
            state.idle_since = Instant::now();
            state.waits_until = None;
        });
    }
}

/// The body of an answer. The request counts as in progress until this body is dropped.
struct Answer {
    body: Body,
    under_way: UnderWay,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        // A part is still being sent until the next part is polled.
        let until = matches!(polled, Poll::Ready(Some(Ok(_)))).then(|| Instant::now() + ANSWER_PATIENCE);
        self.under_way.0.change(|state| state.waits_until = until);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::{CONNECTIONS_MAX, ConnectionLimit, IDLE_MIN};
    use std::time::Duration;

    #[tokio::test]
    async fn the_longest_idle_makes_room_and_who_is_at_work_stays() {
        let limit = ConnectionLimit::new(std::sync::Arc::default());
        let mut taken = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            taken.push(limit.take().await);
        }
        let at_work = taken[0].begin();
        // No connection has been idle long enough.
        assert!(tokio::time::timeout(IDLE_MIN / 4, limit.take()).await.is_err());
        tokio::time::sleep(IDLE_MIN).await;
        let second = taken.remove(1);
        let leaving = tokio::spawn(async move { second.must_leave().await });
        tokio::time::timeout(Duration::from_secs(5), limit.take()).await.expect("the second made room");
        leaving.await.unwrap();
        drop(at_work);
    }
}
