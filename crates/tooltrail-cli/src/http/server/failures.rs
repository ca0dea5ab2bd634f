//! Rate limit for requests without a valid token, per client address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::service::peer::Origin;

/// Refused requests that an address may send in one burst, for example from a script with an old token or a person who
/// mistypes. One of 2^256 tokens cannot be guessed anyway; this limit protects the log and the processor from noise.
const BURST: f64 = 60.0;

/// Further refused requests per second.
const REFILL_PER_S: f64 = 1.0;

/// Most addresses that are remembered, about 300 KB. Beyond this number, all new addresses share one bucket.
const ADDRESSES_MAX: usize = 4_096;

/// The refused requests of each address. Requests with a valid token are never limited.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<Origin, Bucket>>);

/// The remaining allowance of an address (a token bucket).
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    seen: Instant,
}

impl Failures {
    /// Counts a refused request. Beyond the limit, returns how long the client should wait.
    pub(crate) fn count(&self, client: Origin, now: Instant) -> Option<Duration> {
        // A poisoned lock is harmless: every step leaves the table consistent.
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = client.network();
        if table.len() >= ADDRESSES_MAX && !table.contains_key(&client) {
            table.retain(|_, bucket| bucket.filled(now) < BURST);
            if table.len() >= ADDRESSES_MAX {
                client = Origin::Address(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
            }
        }
        let bucket = table.entry(client).or_insert(Bucket { left: BURST, seen: now });
        *bucket = Bucket { left: bucket.filled(now), seen: now };
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64((1.0 - bucket.left) / REFILL_PER_S))
    }
}

impl Bucket {
    fn filled(self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.seen).as_secs_f64();
        (self.left + passed * REFILL_PER_S).min(BURST)
    }
}

impl Origin {
    /// Returns the network that one owner usually has: a single IPv4 address, or the first 64 bits of an IPv6 address.
    fn network(self) -> Self {
        let Self::Address(address) = self else { return self };
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
            address => address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES_MAX, BURST, Failures, Origin};
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

    #[test]
    fn an_address_has_its_own_allowance_and_gets_it_back() {
        let (failures, begun) = (Failures::default(), Instant::now());
        let mut now = begun;
        let mut check = |address: &str, after_ms: u64, expected_ms: Option<u64>| {
            now += Duration::from_millis(after_ms);
            let wait = failures.count(Origin::Address(address.parse().unwrap()), now);
            assert_eq!(wait.map(|wait| wait.as_secs_f64().round() as u64 * 1_000), expected_ms, "{address} {now:?}");
        };
        for _ in 0..BURST as usize {
            check("192.0.2.1", 0, None);
        }
        check("192.0.2.1", 0, Some(1_000));
        check("::ffff:192.0.2.1", 0, Some(1_000));
        check("192.0.2.2", 0, None);
        check("192.0.2.1", 1_000, None);
        check("192.0.2.1", 0, Some(1_000));
        check("192.0.2.1", 3_600_000, None);
        for host in 0..BURST as usize {
            check(&format!("2001:db8::{host:x}"), 0, None);
        }
        check("2001:db8::ffff:1", 0, Some(1_000));
        check("2001:db8:0:1::1", 0, None);
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_stayed_away() {
        let (failures, now) = (Failures::default(), Instant::now());
        let address = |n: u32| Origin::Address(IpAddr::V4(Ipv4Addr::from_bits(n)));
        for n in 0..3 * ADDRESSES_MAX as u32 {
            failures.count(address(n), now);
        }
        assert!(failures.0.lock().unwrap().len() <= ADDRESSES_MAX + 1);
        // The shared bucket is empty, but an address with its own bucket is not affected.
        assert!(failures.count(address(u32::MAX), now).is_some());
        assert!(failures.count(address(0), now).is_none());
        let later = now + Duration::from_secs(3_600);
        assert!(failures.count(address(u32::MAX), later).is_none());
        assert_eq!(failures.0.lock().unwrap().len(), 1);
    }
}
