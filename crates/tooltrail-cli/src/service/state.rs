//! State that the handlers share: the tokens, the recorder and the trail once they are open, and the limits of work.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tooltrail::{Cancel, DurabilityPolicy, Error, Recorder, Trail, UNKNOWN_USER, Zone, outside_folder};
use tooltrail_toolbox::Toolbox;

use crate::service::Refusal;
use crate::service::live::Hub;
use crate::service::meters::Meters;
use crate::service::quota::{Permit, Quota, Rate};
use crate::service::sessions::Sessions;
use crate::service::turns::Turns;
use crate::tokens::{Token, TokenStore, Tokens, is_token};

/// Limits of concurrent reads: in all, of these reserved for admins, and for one token. Each read occupies a thread and
/// the disk; with two cores, more reads at once gain nothing.
const READS: (usize, usize, usize) = (8, 2, 3);

/// Longest wait for a read permit, about as long as a person is willing to wait.
const READ_WAIT: Duration = Duration::from_secs(2);

/// Limits of request bodies that are parsed at the same time, in the same order as [`READS`]. Each keeps a core busy.
const PARSES: (usize, usize, usize) = (4, 1, 2);

/// Longest wait for a parse permit. Parsing a large body takes a second or two.
const PARSE_WAIT: Duration = Duration::from_secs(5);

/// Limits in KiB of request bodies that are being received, in the same order as [`READS`]: in all about three of the
/// largest bodies, and for one token slightly more than one.
const BODIES_KIB: (usize, usize, usize) = (56 << 10, 17 << 10, 17 << 10);

/// Limits of concurrent streams, in the same order as [`READS`]: a quarter of the connections, so that queries can
/// always get a connection.
const STREAMS: (usize, usize, usize) = (128, 32, 16);

/// Limits in KiB of answers that are being sent, in the same order as [`READS`]. A page has at most
/// [`PAGE_BYTES_MAX`] bytes of lines, and clients may read it slowly.
const ANSWERS_KIB: (usize, usize, usize) = (48 << 10, 9 << 10, 18 << 10);

/// Most bytes of lines on one page. A query that matches more gets the rest on further pages.
pub(crate) const PAGE_BYTES_MAX: usize = 8 << 20;

/// New users that one token may name: as one burst, and then per second. Each new user gets own folders, which costs
/// several syncs.
const NEW_USERS: (u32, u32) = (500, 20);

/// Most user folders that are remembered as existing.
const KNOWN_USERS_MAX: usize = 50_000;

/// Shortest time between two reads of the token file that are caused by unknown tokens.
const FRESH_PAUSE: Duration = Duration::from_millis(50);

/// Readers of the log at the same time. Each reads a few KiB, and may have no token.
const LOG_READS: usize = 4;

/// Longest time for the check whether the home is writable, because a readiness probe needs a quick answer.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// State that the handlers share.
#[derive(Debug)]
pub(crate) struct Service {
    opened: OnceLock<Opened>,
    hub: OnceLock<Arc<Hub>>,
    store: TokenStore,
    /// `None` while the token file cannot be read.
    tokens: RwLock<Option<Arc<Tokens>>>,
    /// When the token file was last read because of an unknown token.
    fresh: Mutex<Option<Instant>>,
    zone: Zone,
    durability: DurabilityPolicy,
    sessions: Sessions,
    reads: Quota,
    parses: Quota,
    bodies: Arc<Quota>,
    streams: Quota,
    answers: Quota,
    new_users: Rate,
    turns: Turns,
    toolbox: OnceLock<Arc<Toolbox>>,
    known_users: Mutex<HashSet<String>>,
    probes: Arc<Semaphore>,
    /// Limits the readers of the log, who may have no token.
    log_reads: Arc<Semaphore>,
    has_public_log: bool,
    /// The newest checkpoint in base64.
    checkpoint: RwLock<Option<HeaderValue>>,
    meters: Arc<Meters>,
}

/// The recorder and the trail, available once recovery is done.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// Writes entries.
    pub(crate) recorder: Arc<Recorder>,
    /// Reads entries.
    pub(crate) trail: Arc<Trail>,
}

/// Guard of a request that cancels the work when it is dropped, for example because the client disconnected.
pub(crate) struct GiveUp(Cancel);

impl GiveUp {
    pub(crate) fn new(cancel: &Cancel) -> Self {
        Self(cancel.clone())
    }
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Service {
    /// Returns a service that has its tokens but no open home yet.
    pub(crate) fn new(store: TokenStore, tokens: Tokens, zone: Zone, durability: DurabilityPolicy) -> Self {
        let quota = |(all, for_admins, share): (usize, usize, usize)| Quota::new(all, for_admins, share);
        Self {
            opened: OnceLock::new(),
            hub: OnceLock::new(),
            store,
            tokens: RwLock::new(Some(Arc::new(tokens))),
            fresh: Mutex::default(),
            zone,
            durability,
            sessions: Sessions::default(),
            reads: quota(READS),
            parses: quota(PARSES),
            bodies: Arc::new(quota(BODIES_KIB)),
            streams: quota(STREAMS),
            answers: quota(ANSWERS_KIB),
            new_users: Rate::new(NEW_USERS.0, NEW_USERS.1),
            turns: Turns::default(),
            toolbox: OnceLock::new(),
            known_users: Mutex::default(),
            // One probe at a time: if the disk hangs, only one thread waits for it, not one per request.
            probes: Arc::new(Semaphore::new(1)),
            log_reads: Arc::new(Semaphore::new(LOG_READS)),
            has_public_log: false,
            checkpoint: RwLock::default(),
            meters: Arc::default(),
        }
    }

    /// Returns the service with a log that monitors may read without a token.
    pub(crate) fn with_public_log(self, has_public_log: bool) -> Self {
        Self { has_public_log, ..self }
    }

    /// Whether monitors may read the log without a token.
    pub(crate) const fn has_public_log(&self) -> bool {
        self.has_public_log
    }

    /// Sets the newest checkpoint, in base64.
    pub(crate) fn set_checkpoint(&self, base64: &str) {
        *self.checkpoint.write().unwrap_or_else(PoisonError::into_inner) = HeaderValue::from_str(base64).ok();
    }

    /// Returns the newest checkpoint in base64.
    pub(crate) fn checkpoint(&self) -> Option<HeaderValue> {
        self.checkpoint.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a permit to read the log; waits for it at most [`READ_WAIT`].
    pub(crate) async fn log_permit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let busy = Refusal::Busy("too many readers of the log at once");
        match tokio::time::timeout(READ_WAIT, Arc::clone(&self.log_reads).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(busy),
        }
    }

    /// Sets the recorder and the trail. From then on, the service answers queries and takes entries.
    pub(crate) fn open(&self, opened: Opened) {
        // Only the thread that opens the home calls this, and only once.
        let _ = self.opened.set(opened);
    }

    /// Returns the recorder and the trail.
    ///
    /// # Errors
    /// [`Refusal::Busy`] until recovery is done.
    pub(crate) fn opened(&self) -> Result<&Opened, Refusal> {
        self.opened.get().ok_or(Refusal::Busy("the service is still recovering the home"))
    }

    /// Sets the hub that follows the home for live streams.
    pub(crate) fn follow(&self, hub: Hub) {
        let _ = self.hub.set(Arc::new(hub));
    }

    /// Returns the hub that follows the home.
    ///
    /// # Errors
    /// [`Refusal::Busy`] until the hub is set.
    pub(crate) fn hub(&self) -> Result<&Arc<Hub>, Refusal> {
        self.hub.get().ok_or(Refusal::Busy("the service does not follow the home yet"))
    }

    /// Returns the current tokens; an empty list while the token file cannot be read.
    pub(crate) fn tokens(&self) -> Arc<Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// Returns the stored token that matches the presented one.
    ///
    /// If it is unknown, reads the token file once more, because the token may have been created a moment ago.
    ///
    /// # Errors
    /// [`Refusal::UnknownToken`] if no token matches, and [`Refusal::Busy`] while the token file cannot be read.
    pub(crate) async fn token(self: &Arc<Self>, presented: &str) -> Result<Token, Refusal> {
        if let Some(token) = self.known_token(presented)? {
            return Ok(token);
        }
        if is_token(presented) && self.may_look_again() {
            let (service, store) = (Arc::clone(self), self.store.clone());
            let looked = tokio::task::spawn_blocking(move || {
                if let Ok(tokens) = store.load() {
                    service.renew_tokens(Some(tokens));
                }
            });
            looked.await.map_err(|_| Refusal::Broken)?;
        }
        self.known_token(presented)?.ok_or(Refusal::UnknownToken)
    }

    fn known_token(&self, presented: &str) -> Result<Option<Token>, Refusal> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone();
        let tokens = tokens.ok_or(Refusal::Busy("the tokens can't be read"))?;
        Ok(tokens.find(presented).cloned())
    }

    /// Whether the last extra read of the token file is at least [`FRESH_PAUSE`] ago. This limit keeps clients with
    /// made-up tokens from causing constant disk reads.
    fn may_look_again(&self) -> bool {
        let now = Instant::now();
        let mut last = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| now.saturating_duration_since(last) >= FRESH_PAUSE);
        if may {
            *last = Some(now);
        }
        may
    }

    /// Replaces the tokens (`None` if they could not be read) and returns whether anything changed.
    pub(crate) fn renew_tokens(&self, tokens: Option<Tokens>) -> bool {
        let mut now = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        let changed = now.as_deref() != tokens.as_ref();
        if changed {
            *now = tokens.map(Arc::new);
        }
        changed
    }

    /// Returns the folder of keys.
    pub(crate) fn keys(&self) -> &Path {
        self.store.folder()
    }

    /// Returns the tools of the MCP server, if a client has used it.
    pub(crate) fn toolbox(&self) -> Option<Arc<Toolbox>> {
        self.toolbox.get().cloned()
    }

    /// Sets the tools of the MCP server, unless they are set, and returns them.
    pub(crate) fn set_toolbox(&self, toolbox: Toolbox) -> Arc<Toolbox> {
        Arc::clone(self.toolbox.get_or_init(|| Arc::new(toolbox)))
    }

    /// Returns the turns of the tokens that deliver.
    pub(crate) const fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Returns the meters.
    pub(crate) const fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// Returns the sessions of users who are signed in to the page.
    pub(crate) const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Returns the time zone for times that do not name one.
    pub(crate) const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Returns how durable each tool's entries must be before they are acknowledged.
    pub(crate) const fn durability(&self) -> &DurabilityPolicy {
        &self.durability
    }

    /// Runs `work` on the trail, on a thread that may block. The number of reads at the same time is limited by
    /// [`READS`]. The work is cancelled soon after the client disconnects.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        token: &Token,
        work: impl FnOnce(&Trail) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Opened { recorder, trail } = self.opened()?.clone();
        let permit = self.reads.take(token, READ_WAIT).await;
        let permit = permit.ok_or(Refusal::Busy("too many questions at once"))?;
        let cancel = Cancel::default();
        let given_up = GiveUp::new(&cancel);
        let read = tokio::task::spawn_blocking(move || {
            // A read must find every acknowledged entry, so wait for the buffered ones. If the disk hangs, the wait
            // times out and the read continues.
            let _ = recorder.wait_for_buffered();
            let read = work(&trail.with_cancel(&cancel).lacking(recorder.waiting_folders()));
            drop(permit);
            read
        });
        let read = read.await;
        drop(given_up);
        match read {
            Ok(read) => read.map_err(Refusal::Reading),
            Err(error) => {
                tracing::error!(%error, "a read ended early");
                Err(Refusal::Broken)
            }
        }
    }

    /// Takes a permit to parse a request body; waits for it at most [`PARSE_WAIT`].
    pub(crate) async fn parse_permit(&self, token: &Token) -> Result<Permit, Refusal> {
        self.parses.take(token, PARSE_WAIT).await.ok_or(Refusal::Busy("too many senders at once"))
    }

    /// Reserves room for this many more bytes of a request body.
    pub(crate) fn body_permit(&self, token: &Token, bytes: usize) -> Result<Permit, Refusal> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        self.bodies.try_take(token, kib).ok_or(Refusal::Busy("too much is being sent at once"))
    }

    /// Reserves room for an answer of this many bytes.
    pub(crate) fn answer_permit(&self, token: &Token, bytes: usize) -> Result<Permit, Refusal> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        self.answers.try_take(token, kib).ok_or(Refusal::Busy("too many answers are on their way"))
    }

    /// Takes a permit for one stream.
    pub(crate) fn stream_permit(&self, token: &Token) -> Result<Permit, Refusal> {
        self.streams.try_take(token, 1).ok_or(Refusal::Busy("too many streams at once"))
    }

    /// Whether a token may send entries of this user. A user who has no folder yet counts against the token's rate of
    /// new users.
    pub(crate) fn may_name(&self, token: &Token, user: &str, recorder: &Recorder) -> bool {
        let folder = outside_folder(if user.is_empty() { UNKNOWN_USER } else { user });
        let known = || self.known_users.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&folder) {
            return true;
        }
        let is_there = recorder.home().disk().stat(&[&folder]).is_ok_and(|found| found.is_some());
        let may = is_there || self.new_users.allows(token, Instant::now());
        if may {
            let mut known = known();
            if known.len() >= KNOWN_USERS_MAX {
                known.clear();
            }
            known.insert(folder);
        }
        may
    }

    /// Ends all streams, because each would otherwise keep its connection open forever.
    pub(crate) fn end_streams(&self) {
        if let Some(hub) = self.hub.get() {
            hub.stop();
        }
    }

    /// Checks that the service can take queries and entries now.
    pub(crate) async fn ready(&self) -> Result<(), Refusal> {
        let recorder = Arc::clone(&self.opened()?.recorder);
        let Ok(permit) = Arc::clone(&self.probes).try_acquire_owned() else {
            return Err(Refusal::Busy("another look at the home is under way"));
        };
        let probe = tokio::task::spawn_blocking(move || {
            let health = recorder.health();
            drop(permit);
            health
        });
        match tokio::time::timeout(PROBE_WAIT, probe).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => {
                tracing::warn!(why = error.message(), "the home can't be written");
                Err(Refusal::Busy("the home can't be written"))
            }
            Ok(Err(_)) | Err(_) => Err(Refusal::Busy("the home does not answer")),
        }
    }
}
