//! Limits of how much one token may use at the same time, so that one client cannot block the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::tokens::{Role, Token};

/// Most token names that are remembered: as many as there can be tokens.
const NAMES_MAX: usize = 1_000;

/// Units of one kind of work: some shared by all tokens, some reserved for admins, and a maximum for each token.
#[derive(Debug)]
pub(crate) struct Quota {
    shared: Arc<Semaphore>,
    admins: Arc<Semaphore>,
    share: usize,
    tokens: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Units that were taken. Dropping the permit returns them.
#[derive(Debug)]
pub(crate) struct Permit {
    _of_all: OwnedSemaphorePermit,
    _of_token: OwnedSemaphorePermit,
}

impl Quota {
    /// Returns a quota of `all` units, of which `for_admins` are reserved for admins. One token may hold at most
    /// `share` units.
    pub(crate) fn new(all: usize, for_admins: usize, share: usize) -> Self {
        Self {
            shared: Arc::new(Semaphore::new(all - for_admins)),
            admins: Arc::new(Semaphore::new(for_admins)),
            share,
            tokens: Mutex::default(),
        }
    }

    /// Takes units for a token without waiting; returns `None` if they are not free.
    pub(crate) fn try_take(&self, token: &Token, units: u32) -> Option<Permit> {
        let of_token = self.of(token).try_acquire_many_owned(units).ok()?;
        let of_all = Arc::clone(&self.shared).try_acquire_many_owned(units).or_else(|full| match token.role {
            Role::Admin => Arc::clone(&self.admins).try_acquire_many_owned(units),
            _ => Err(full),
        });
        Some(Permit { _of_all: of_all.ok()?, _of_token: of_token })
    }

    /// Takes one unit for a token and waits at most `wait` for it: first until the token is below its own maximum, then
    /// until a unit of the quota is free. Returns `None` after that time.
    pub(crate) async fn take(&self, token: &Token, wait: Duration) -> Option<Permit> {
        let take = async {
            let of_token = self.of(token).acquire_owned().await.ok()?;
            let shared = Arc::clone(&self.shared).acquire_owned();
            let of_all = match token.role {
                Role::Admin => tokio::select! {
                    permit = shared => permit,
                    permit = Arc::clone(&self.admins).acquire_owned() => permit,
                },
                _ => shared.await,
            };
            Some(Permit { _of_all: of_all.ok()?, _of_token: of_token })
        };
        tokio::time::timeout(wait, take).await.ok().flatten()
    }

    fn of(&self, token: &Token) -> Arc<Semaphore> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= NAMES_MAX {
            tokens.retain(|_, units| Arc::strong_count(units) > 1);
        }
        Arc::clone(tokens.entry(token.name.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.share))))
    }
}

/// Rate limit for each token (a token bucket): `burst` times at once, then `per_s` times a second.
#[derive(Debug)]
pub(crate) struct Rate {
    burst: f64,
    per_s: f64,
    left: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Rate {
    /// Returns a rate limit whose buckets are all full.
    pub(crate) fn new(burst: u32, per_s: u32) -> Self {
        Self { burst: f64::from(burst), per_s: f64::from(per_s), left: Mutex::default() }
    }

    /// Whether the token may act once more now. If so, the action is counted.
    pub(crate) fn allows(&self, token: &Token, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() >= NAMES_MAX {
            left.retain(|_, (left, seen)| *left + seconds(now, *seen) * self.per_s < self.burst);
        }
        let entry = left.entry(token.name.clone()).or_insert((self.burst, now));
        *entry = ((entry.0 + seconds(now, entry.1) * self.per_s).min(self.burst), now);
        let allowed = entry.0 >= 1.0;
        entry.0 -= if allowed { 1.0 } else { 0.0 };
        allowed
    }
}

fn seconds(now: Instant, before: Instant) -> f64 {
    now.saturating_duration_since(before).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::TokenStore;

    fn tokens() -> Vec<Token> {
        let folder = tempfile::tempdir().unwrap();
        let store = TokenStore::new(folder.path().join("keys"));
        store.add("noisy", Role::Ingest, None).unwrap();
        store.add("honest", Role::Ingest, None).unwrap();
        store.add("root", Role::Admin, None).unwrap();
        store.load().unwrap().iter().cloned().collect()
    }

    #[tokio::test]
    async fn one_token_leaves_room_for_the_others_and_all_of_them_for_an_admin() {
        let (quota, tokens) = (Quota::new(4, 1, 2), tokens());
        let noisy = (0..2).map(|_| quota.try_take(&tokens[0], 1).unwrap()).collect::<Vec<_>>();
        assert!(quota.try_take(&tokens[0], 1).is_none(), "no more than its share");
        assert!(quota.take(&tokens[0], Duration::from_millis(20)).await.is_none());
        let honest = quota.take(&tokens[1], Duration::ZERO).await.unwrap();
        assert!(quota.try_take(&tokens[1], 1).is_none(), "what is left is kept for admins");
        let admin = quota.take(&tokens[2], Duration::from_secs(5)).await.unwrap();
        assert!(quota.try_take(&tokens[2], 1).is_none());
        drop((honest, noisy));
        assert!(quota.try_take(&tokens[0], 2).is_some());
        drop(admin);
    }

    #[test]
    fn a_rate_fills_up_with_time() {
        let (rate, tokens, now) = (Rate::new(3, 2), tokens(), Instant::now());
        let count = |token: &Token, at: Instant| (0..10).filter(|_| rate.allows(token, at)).count();
        assert_eq!((count(&tokens[0], now), count(&tokens[1], now)), (3, 3));
        assert_eq!(count(&tokens[0], now + Duration::from_secs(1)), 2);
        assert_eq!(count(&tokens[0], now + Duration::from_secs(60)), 3);
    }
}
