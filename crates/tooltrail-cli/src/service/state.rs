//! What the handlers share: the tokens, the recorder and the trail once they are open, and the bounds of work.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tooltrail::{Cancel, DurabilityPolicy, Error, Recorder, Trail, UNKNOWN_USER, Zone, outside_folder};

use crate::service::Refusal;
use crate::service::live::Hub;
use crate::service::meters::Meters;
use crate::service::quota::{Permit, Quota, Rate};
use crate::service::sessions::Sessions;
use crate::tokens::{Token, TokenStore, Tokens, is_token};

/// Questions read at once, those kept for admins, and those of one token: each holds a thread and a disk's attention, and
/// two cores gain nothing from more.
const READS: (usize, usize, usize) = (8, 2, 3);

/// Longest wait for one of these places; a person's patience.
const READ_WAIT: Duration = Duration::from_secs(2);

/// Bodies that are taken apart at once, likewise: each keeps a core busy.
const PARSES: (usize, usize, usize) = (4, 1, 2);

/// Longest wait for one of these places: a large body takes a second or two.
const PARSE_WAIT: Duration = Duration::from_secs(5);

/// KiB of bodies on their way in, likewise: three of the largest bodies, and one and a little of one token.
const BODIES_KIB: (usize, usize, usize) = (56 << 10, 17 << 10, 17 << 10);

/// Streams at once, likewise: a quarter of the connections, so that questions always find one.
const STREAMS: (usize, usize, usize) = (128, 32, 16);

/// KiB of answers on their way out, likewise: a page is at most [`PAGE_BYTES_MAX`], and readers may be slow.
const ANSWERS_KIB: (usize, usize, usize) = (48 << 10, 9 << 10, 18 << 10);

/// Bytes of the lines of one page. A question for more gets the rest on further pages.
pub(crate) const PAGE_BYTES_MAX: usize = 8 << 20;

/// Users that one token may name for the first time at once, and each second: each gets folders of its own, which costs
/// several syncs.
const NEW_USERS: (u32, u32) = (500, 20);

/// Users whose folders are known to be there.
const KNOWN_USERS_MAX: usize = 50_000;

/// Pause between two looks at the file of tokens for the sake of one that is not known.
const FRESH_PAUSE: Duration = Duration::from_millis(50);

/// Longest look at whether the home can be written: who asks for readiness wants to know now.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Service {
    opened: OnceLock<Opened>,
    hub: OnceLock<Arc<Hub>>,
    store: TokenStore,
    /// `None` while they cannot be read.
    tokens: RwLock<Option<Arc<Tokens>>>,
    /// When the file was last looked at for the sake of a token that was not known.
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
    known_users: Mutex<HashSet<String>>,
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
}

/// Gives work up when whoever asked for it is gone.
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
    /// Returns a service that knows its tokens and is not open yet.
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
            known_users: Mutex::default(),
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
    pub(crate) fn opened(&self) -> Result<&Opened, Refusal> {
        self.opened.get().ok_or(Refusal::Busy("the service is still recovering the home"))
    }

    /// Begins to follow the home for live streams.
    pub(crate) fn follow(&self, hub: Hub) {
        let _ = self.hub.set(Arc::new(hub));
    }

    /// Returns what follows the home; until it does, a problem.
    pub(crate) fn hub(&self) -> Result<&Arc<Hub>, Refusal> {
        self.hub.get().ok_or(Refusal::Busy("the service does not follow the home yet"))
    }

    /// Returns the tokens as they are now; while they cannot be read, nobody has one.
    pub(crate) fn tokens(&self) -> Arc<Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// Returns the token that somebody presents; while they cannot be read, nobody is told that it is none.
    ///
    /// A token that is not known may have been made a moment ago: the file is looked at once more.
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

    /// Whether the last look of its kind is long enough ago: strangers with made-up tokens must not keep the disk busy.
    fn may_look_again(&self) -> bool {
        let now = Instant::now();
        let mut last = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| now.saturating_duration_since(last) >= FRESH_PAUSE);
        if may {
            *last = Some(now);
        }
        may
    }

    /// Puts newer tokens in place, `None` where they cannot be read; returns whether anything changed.
    pub(crate) fn renew_tokens(&self, tokens: Option<Tokens>) -> bool {
        let mut now = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        let changed = now.as_deref() != tokens.as_ref();
        if changed {
            *now = tokens.map(Arc::new);
        }
        changed
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
    pub(crate) const fn durability(&self) -> &DurabilityPolicy {
        &self.durability
    }

    /// Reads from the trail on a thread that may block; at most so many at once, of one token and in all. The work ends
    /// soon after whoever asked is gone.
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
            // Whoever was told that an entry is taken finds it; a disk that hangs is no reason not to answer.
            let _in_time = recorder.wait_for_buffered();
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

    /// Takes a place to take a body apart.
    pub(crate) async fn parse_permit(&self, token: &Token) -> Result<Permit, Refusal> {
        self.parses.take(token, PARSE_WAIT).await.ok_or(Refusal::Busy("too many senders at once"))
    }

    /// Takes room for so many bytes more of a body.
    pub(crate) fn body_permit(&self, token: &Token, bytes: usize) -> Result<Permit, Refusal> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        self.bodies.try_take(token, kib).ok_or(Refusal::Busy("too much is being sent at once"))
    }

    /// Takes room for an answer of so many bytes.
    pub(crate) fn answer_permit(&self, token: &Token, bytes: usize) -> Result<Permit, Refusal> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        self.answers.try_take(token, kib).ok_or(Refusal::Busy("too many answers are on their way"))
    }

    /// Takes a place for one stream.
    pub(crate) fn stream_permit(&self, token: &Token) -> Result<Permit, Refusal> {
        self.streams.try_take(token, 1).ok_or(Refusal::Busy("too many streams at once"))
    }

    /// Whether a token may send entries of a user: one of whom nobody has heard yet counts against its rate.
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

    /// Ends every stream: it would keep its connection under way for ever.
    pub(crate) fn end_streams(&self) {
        if let Some(hub) = self.hub.get() {
            hub.stop();
        }
    }

    /// Whether questions and entries are taken right now.
    pub(crate) async fn ready(&self) -> Result<(), Refusal> {
        let recorder = Arc::clone(&self.opened()?.recorder);
        let Ok(place) = Arc::clone(&self.probes).try_acquire_owned() else {
            return Err(Refusal::Busy("another look at the home is under way"));
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
                Err(Refusal::Busy("the home can't be written"))
            }
            Ok(Err(_)) | Err(_) => Err(Refusal::Busy("the home does not answer")),
        }
    }
}
