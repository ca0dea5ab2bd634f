//! Brings what two threads saw into the order in which it happened.
//!
//! A thread passes bytes on before it looks at them. The other side may answer at once, and the other thread may look at
//! the answer first. So each thread takes a ticket before it passes bytes on. What an answer answers has a smaller
//! ticket, and is taken in first: messages wait while the other thread has a smaller ticket and has not looked yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::mcp::calls::Moment;
use crate::mcp::read::Message;

/// The most pieces that wait for the other thread. It is stopped longer only if its reader takes nothing, and then the
/// order matters less than memory.
const WAITING_MAX: usize = 64;

/// How often [`Tickets::wait_until_back`] looks. It waits once in the life of a proxy.
const LOOK_PAUSE: Duration = Duration::from_millis(1);

/// Which side sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// The tickets of the two threads.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    next: AtomicU64,
    /// The ticket of each side's bytes that are passed on and not looked at yet; 0 if there are none.
    under_way: [AtomicU64; 2],
}

/// Messages that were looked at, with the moment when.
pub(super) type Seen = (Side, Moment, Vec<Message>);

/// Messages that wait for smaller tickets.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<u64, Seen>);

impl Tickets {
    /// Takes a ticket before bytes of a side are passed on.
    pub(super) fn take(&self, side: Side) -> u64 {
        let ticket = self.next.fetch_add(1, Ordering::SeqCst) + 1;
        self.under_way[side as usize].store(ticket, Ordering::SeqCst);
        ticket
    }

    /// Takes note that the bytes of a side's last ticket were looked at.
    pub(super) fn give_back(&self, side: Side) {
        self.under_way[side as usize].store(0, Ordering::SeqCst);
    }

    /// Waits until the bytes of a side that are under way now were looked at, but not longer than this.
    pub(super) fn wait_until_back(&self, side: Side, longest: Duration) {
        let under_way = &self.under_way[side as usize];
        let (ticket, began) = (under_way.load(Ordering::SeqCst), Instant::now());
        while ticket != 0 && under_way.load(Ordering::SeqCst) == ticket && began.elapsed() < longest {
            std::thread::sleep(LOOK_PAUSE);
        }
    }

    /// Returns the smallest ticket whose bytes were not looked at yet.
    fn smallest(&self) -> u64 {
        let under_way = self.under_way.iter().map(|ticket| ticket.load(Ordering::SeqCst));
        under_way.filter(|ticket| *ticket > 0).min().unwrap_or(u64::MAX)
    }
}

impl Waiting {
    /// Adds messages of a ticket.
    pub(super) fn add(&mut self, ticket: u64, seen: Seen) {
        self.0.insert(ticket, seen);
    }

    /// Takes the next messages whose turn it is.
    pub(super) fn next(&mut self, tickets: &Tickets) -> Option<Seen> {
        let (ticket, _) = self.0.first_key_value()?;
        let is_due = *ticket < tickets.smallest() || self.0.len() > WAITING_MAX;
        if is_due { self.0.pop_first().map(|(_, seen)| seen) } else { None }
    }

    /// Takes the next messages, whosever turn it is.
    pub(super) fn rest(&mut self) -> Option<Seen> {
        self.0.pop_first().map(|(_, seen)| seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tooltrail::Timestamp;

    #[test]
    fn bytes_that_are_under_way_are_waited_for() {
        let tickets = Tickets::default();
        tickets.wait_until_back(Side::Client, Duration::MAX);
        let first = tickets.take(Side::Client);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                std::thread::sleep(20 * LOOK_PAUSE);
                tickets.give_back(Side::Client);
            });
            tickets.wait_until_back(Side::Client, Duration::MAX);
        });
        assert_eq!(tickets.smallest(), u64::MAX, "waited for ticket {first}");
        tickets.take(Side::Client);
        let began = Instant::now();
        tickets.wait_until_back(Side::Client, 5 * LOOK_PAUSE);
        assert!(began.elapsed() >= 5 * LOOK_PAUSE, "and not without end");
        assert_ne!(tickets.smallest(), u64::MAX);
    }

    #[test]
    fn messages_wait_for_smaller_tickets() {
        let (tickets, mut waiting) = (Tickets::default(), Waiting::default());
        let seen = |side| (side, Moment { ts: Timestamp::from_millis(0), monotonic: Duration::ZERO }, Vec::new());
        let request = tickets.take(Side::Client);
        let answer = tickets.take(Side::Server);
        tickets.give_back(Side::Server);
        waiting.add(answer, seen(Side::Server));
        assert!(waiting.next(&tickets).is_none(), "the request was not looked at yet");
        tickets.give_back(Side::Client);
        waiting.add(request, seen(Side::Client));
        let order = std::iter::from_fn(|| waiting.next(&tickets)).map(|(side, ..)| side).collect::<Vec<_>>();
        assert_eq!(order, [Side::Client, Side::Server]);

        // A thread that does not come back is not waited for without end.
        tickets.take(Side::Client);
        for _ in 0..=WAITING_MAX {
            let ticket = tickets.take(Side::Server);
            tickets.give_back(Side::Server);
            waiting.add(ticket, seen(Side::Server));
        }
        assert!(waiting.next(&tickets).is_some() && waiting.next(&tickets).is_none());
        assert_eq!(std::iter::from_fn(|| waiting.rest()).count(), WAITING_MAX);
    }
}
