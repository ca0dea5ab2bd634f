//! Places for connections: when all are taken, the one that has been idle for longest makes room.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::http::metrics::Meters;

/// Connections at once: below the common limit of 1,024 open files, with room for the day files of readers.
const SEATS_MAX: usize = 512;

/// How long a connection may be idle before it can be made to go: an answer's last bytes have left by then.
const IDLE_MIN: Duration = Duration::from_secs(1);

/// Pause between two looks for one that may go.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// All places.
#[derive(Debug)]
pub(crate) struct Seats {
    free: Arc<Semaphore>,
    taken: Mutex<Vec<Weak<Seat>>>,
    meters: Arc<Meters>,
}

/// The place of one connection; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Seat {
    state: Mutex<State>,
    leave: Notify,
    meters: Arc<Meters>,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct State {
    /// Requests under way, from the head to the last byte of the answer's body.
    busy: usize,
    idle_since: Instant,
}

impl Seats {
    /// Returns all places, free.
    pub(crate) fn new(meters: Arc<Meters>) -> Self {
        Self { free: Arc::new(Semaphore::new(SEATS_MAX)), taken: Mutex::default(), meters }
    }

    /// Takes a place; where there is none, an idle connection has to leave. Waits while all others are at work.
    pub(crate) async fn take(&self) -> Arc<Seat> {
        let place = loop {
            if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
                break place;
            }
            self.clear_one(Instant::now());
            // Whoever was told to leave is gone a moment later, and others end by themselves.
            if let Ok(Ok(place)) = tokio::time::timeout(LOOK_PAUSE, Arc::clone(&self.free).acquire_owned()).await {
                break place;
            }
        };
        let state = State { busy: 0, idle_since: Instant::now() };
        self.meters.connected();
        let meters = Arc::clone(&self.meters);
        let seat = Arc::new(Seat { state: Mutex::new(state), leave: Notify::new(), meters, _place: place });
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|seat| seat.strong_count() > 0);
        taken.push(Arc::downgrade(&seat));
        seat
    }

    /// Tells the connection that has been idle for longest to leave, if one has been idle for long enough.
    fn clear_one(&self, now: Instant) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let seats = taken.iter().filter_map(Weak::upgrade);
        let idle = seats.filter_map(|seat| Some((seat.idle_since()?, seat)));
        if let Some((since, seat)) = idle.min_by_key(|(since, _)| *since)
            && now.saturating_duration_since(since) >= IDLE_MIN
        {
            self.meters.cleared();
            seat.leave.notify_one();
        }
    }
}

impl Seat {
    /// Waits until the connection has to leave.
    pub(crate) async fn must_leave(&self) {
        loop {
            self.leave.notified().await;
            // A request may have come since.
            if self.idle_since().is_some() {
                return;
            }
        }
    }

    /// Notes that a request began; it is under way until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.change(|state| state.busy += 1);
        UnderWay(Arc::clone(self))
    }

    fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.busy == 0).then_some(state.idle_since)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.meters.disconnected();
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Seat>);

impl UnderWay {
    /// Stays until the answer's body has been handed over.
    pub(crate) fn until_sent(self, response: Response) -> Response {
        response.map(|body| Body::new(Answer { body, _under_way: self }))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.busy -= 1;
            state.idle_since = Instant::now();
        });
    }
}

/// An answer's body, during which its request is under way.
struct Answer {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
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
    use super::{IDLE_MIN, SEATS_MAX, Seats};
    use std::time::Duration;

    #[tokio::test]
    async fn the_longest_idle_makes_room_and_who_is_at_work_stays() {
        let seats = Seats::new(std::sync::Arc::default());
        let mut taken = Vec::new();
        for _ in 0..SEATS_MAX {
            taken.push(seats.take().await);
        }
        let at_work = taken[0].begin();
        // Nobody has been idle for long enough.
        assert!(tokio::time::timeout(IDLE_MIN / 4, seats.take()).await.is_err());
        tokio::time::sleep(IDLE_MIN).await;
        let second = taken.remove(1);
        let leaving = tokio::spawn(async move { second.must_leave().await });
        tokio::time::timeout(Duration::from_secs(5), seats.take()).await.expect("the second made room");
        leaving.await.unwrap();
        drop(at_work);
    }
}
