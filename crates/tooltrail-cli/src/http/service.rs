//! What the handlers share: the tokens, the recorder and the trail once they are open, and the bounds of work.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tooltrail::{Doors, Error, Recorder, Trail, Zone};

use crate::http::error::Problem;
use crate::http::metrics::Meters;
use crate::http::sessions::Sessions;
use crate::live::Hub;
use crate::tokens::Tokens;

/// Questions read at once: each holds a thread and a disk's attention, and two cores gain nothing from more.
const READS_MAX: usize = 8;

/// Longest wait for one of these places; a person's patience.
const READ_WAIT: Duration = Duration::from_secs(2);

/// Bodies taken in at once: times the largest body, the memory that senders can claim.
const POSTS_MAX: usize = 16;

/// Streams at once: a quarter of the connections, so that questions always find one.
const STREAMS_MAX: usize = 128;

/// Longest look at whether the home can be written: who asks for readiness wants to know now.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Service {
    opened: OnceLock<Opened>,
    tokens: RwLock<Arc<Tokens>>,
    zone: Zone,
    doors: Doors,
    sessions: Sessions,
    reads: Arc<Semaphore>,
    posts: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    probes: Arc<Semaphore>,
    meters: Arc<Meters>,
}

/// What recovery hands over.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// Writes.
    pub(crate) recorder: Arc<Recorder>,
    /// Reads.
    pub(crate) trail: Arc<Trail>,
    /// Follows.
    pub(crate) hub: Arc<Hub>,
}

impl Service {
    /// Returns a service that knows its tokens and is not open yet.
    pub(crate) fn new(tokens: Tokens, zone: Zone, doors: Doors) -> Self {
        Self {
            opened: OnceLock::new(),
            tokens: RwLock::new(Arc::new(tokens)),
            zone,
            doors,
            sessions: Sessions::default(),
            reads: Arc::new(Semaphore::new(READS_MAX)),
            posts: Arc::new(Semaphore::new(POSTS_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            // One at a time: a disk that hangs holds one thread, not one for each who asks.
            probes: Arc::new(Semaphore::new(1)),
            meters: Arc::default(),
        }
    }

    /// Begins to answer questions.
    pub(crate) fn open(&self, opened: Opened) {
        // Only the opening thread comes here, once.
        let _ = self.opened.set(opened);
    }

    /// Returns the recorder and the trail; until recovery is done, a problem.
    pub(crate) fn opened(&self) -> Result<&Opened, Problem> {
        self.opened.get().ok_or(Problem::Busy("the service is still recovering the home"))
    }

    /// Returns the tokens as they are now.
    pub(crate) fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts newer tokens in place.
    pub(crate) fn renew_tokens(&self, tokens: Tokens) {
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
    }

    /// Returns what is counted.
    pub(crate) const fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Returns who is signed in to the page.
    pub(crate) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Returns the zone of times that name none.
    pub(crate) const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Returns how durable each tool's entries must be before they are acknowledged.
    pub(crate) const fn doors(&self) -> &Doors {
        &self.doors
    }

    /// Reads from the trail on a thread that may block; at most so many at once.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Trail) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let Opened { recorder, trail, .. } = self.opened()?.clone();
        let place = tokio::time::timeout(READ_WAIT, Arc::clone(&self.reads).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(Problem::Busy("too many questions at once")) };
        let read = tokio::task::spawn_blocking(move || {
            // Whoever was told that an entry is taken finds it; a disk that hangs is no reason not to answer.
            let _in_time = recorder.settle();
            let read = work(&trail);
            drop(place);
            read
        });
        match read.await {
            Ok(read) => read.map_err(|error| Problem::reading(&error)),
            Err(error) => {
                tracing::error!(%error, "a read ended early");
                Err(Problem::Broken)
            }
        }
    }

    /// Takes a place for one body.
    pub(crate) fn post_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.posts).try_acquire_owned().map_err(|_| Problem::Busy("too many senders at once"))
    }

    /// Takes a place for one stream.
    pub(crate) fn stream_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| Problem::Busy("too many streams at once"))
    }

    /// Ends every stream: it would keep its connection under way for ever.
    pub(crate) fn end_streams(&self) {
        if let Some(opened) = self.opened.get() {
            opened.hub.stop();
        }
    }

    /// Whether questions and entries are taken right now.
    pub(crate) async fn ready(&self) -> Result<(), Problem> {
        let recorder = Arc::clone(&self.opened()?.recorder);
        let Ok(place) = Arc::clone(&self.probes).try_acquire_owned() else {
            return Err(Problem::Busy("another look at the home is under way"));
        };
        let probe = tokio::task::spawn_blocking(move || {
            let health = recorder.health();
            drop(place);
            health
        });
        match tokio::time::timeout(PROBE_WAIT, probe).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(why))) => {
                tracing::warn!(why, "the home can't be written");
                Err(Problem::Busy("the home can't be written"))
            }
            Ok(Err(_)) | Err(_) => Err(Problem::Busy("the home does not answer")),
        }
    }
}
