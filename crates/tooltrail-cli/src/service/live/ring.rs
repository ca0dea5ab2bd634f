//! A ring buffer of the newest events. Each event has a number, with which a subscriber can resume.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use tooltrail::{Arrived, Followed, GapWhy};

/// Most events held: enough for some minutes of a busy home, for a browser that reconnects.
const EVENTS_MAX: usize = 10_000;

/// Most bytes of entries held: a few hundred of the longest entries that the recorder writes.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Estimated memory of an event besides its line, in bytes.
const EVENT_BYTES: usize = 128;

/// The id of an event: `<start id>-<n>`. The start id identifies this start of the service, and `n` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    start: Arc<str>,
    n: u64,
}

impl EventId {
    /// Parses an id; returns `None` if the text is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (start, n) = text.split_once('-')?;
        let plain = !start.is_empty() && start.len() <= 64 && start.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let digits = n.bytes().all(|byte| byte.is_ascii_digit());
        (plain && digits).then(|| Some(Self { start: start.into(), n: n.parse().ok()? }))?
    }
}

impl EventId {
    /// Returns the id with its number replaced by `map` of it.
    pub(crate) fn map(&self, map: impl FnOnce(u64) -> u64) -> Self {
        Self { start: Arc::clone(&self.start), n: map(self.n) }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.n)
    }
}

/// An event that a subscriber gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamEvent {
    /// An entry.
    Entry(Arc<Arrived>),
    /// A day file was cut, replaced or removed, or cannot be read; entries may be missing.
    Broken { folder: Arc<str>, why: GapWhy },
    /// Events that are no longer in the ring for this subscriber, with their number if it is known.
    Lost(Option<u64>),
}

/// The point from which a subscriber wants events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// Only new events.
    Now,
    /// The events after this one, which may be from an earlier start of the service.
    After(EventId),
    /// The client sent something that is not an event id; handled like an id of an earlier start.
    Unknown,
}

/// The position of a subscriber: the number of the last event it got, if known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingPosition(Option<u64>);

/// The ring buffer of the newest events.
#[derive(Debug)]
pub(super) struct Ring {
    start: Arc<str>,
    events: VecDeque<StreamEvent>,
    /// The number of the oldest event held; if the ring is empty, the number of the next event.
    first: u64,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
}

impl Ring {
    /// Returns an empty ring for this start of the service.
    pub(super) fn new(start: &str) -> Self {
        Self::bounded(start, EVENTS_MAX, BYTES_MAX)
    }

    fn bounded(start: &str, events_max: usize, bytes_max: usize) -> Self {
        Self { start: start.into(), events: VecDeque::new(), first: 1, bytes: 0, events_max, bytes_max }
    }

    /// Adds an event and removes the oldest ones while a bound is exceeded. The newest event always stays.
    pub(super) fn push(&mut self, followed: Followed) {
        let event = match followed {
            Followed::Entry(entry) => StreamEvent::Entry(Arc::new(entry)),
            Followed::Gap { folder, why, .. } => StreamEvent::Broken { folder: folder.into(), why },
            // A kind of event that this version does not know; a subscriber could not show it.
            _ => return,
        };
        self.bytes += bytes_of(&event);
        self.events.push_back(event);
        while self.events.len() > self.events_max || (self.bytes > self.bytes_max && self.events.len() > 1) {
            self.bytes -= self.events.pop_front().map_or(0, |event| bytes_of(&event));
            self.first += 1;
        }
    }

    /// Drops all events, because they may contain what was erased. Subscribers that have not got them are told.
    pub(super) fn drop_all(&mut self) {
        self.first += self.events.len() as u64;
        self.events.clear();
        self.bytes = 0;
    }

    /// Returns the number of the newest event; 0 if there was none yet.
    pub(super) fn newest(&self) -> u64 {
        self.first + self.events.len() as u64 - 1
    }

    /// Returns the position from which a subscriber begins.
    pub(super) fn position(&self, since: &Since) -> RingPosition {
        match since {
            Since::Now => RingPosition(Some(self.newest())),
            Since::After(id) if id.start == self.start && id.n <= self.newest() => RingPosition(Some(id.n)),
            Since::After(_) | Since::Unknown => RingPosition(None),
        }
    }

    /// Returns at most `most` events after a position and moves the position behind them.
    ///
    /// If events after the position were already removed, the first returned event is [`StreamEvent::Lost`].
    pub(super) fn after(&self, position: &mut RingPosition, most: usize) -> Vec<(EventId, StreamEvent)> {
        let id = |n| EventId { start: Arc::clone(&self.start), n };
        let mut found = Vec::new();
        let before = self.first - 1;
        let reached = match position.0 {
            Some(n) if n >= before => n,
            known => {
                found.push((id(before), StreamEvent::Lost(known.map(|n| before - n))));
                before
            }
        };
        let skip = usize::try_from(reached - before).unwrap_or(usize::MAX);
        let events = self.events.iter().skip(skip).zip(reached + 1..).take(most.saturating_sub(found.len()));
        found.extend(events.map(|(event, n)| (id(n), event.clone())));
        *position = RingPosition(Some(found.last().map_or(reached, |(id, _)| id.n)));
        found
    }
}

fn bytes_of(event: &StreamEvent) -> usize {
    EVENT_BYTES
        + match event {
            StreamEvent::Entry(entry) => entry.line.len() + entry.folder.len(),
            StreamEvent::Broken { folder, .. } => folder.len(),
            StreamEvent::Lost(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tooltrail::Date;

    /// Only the library can create entries, so these tests use gaps with numbered folders instead.
    fn gap(n: u64) -> Followed {
        Followed::Gap { folder: format!("u{n}"), day: Date::parse("2026-11-23").unwrap(), why: GapWhy::Cut }
    }

    fn ring(events: u64, events_max: usize, bytes_max: usize) -> Ring {
        let mut ring = Ring::bounded("s", events_max, bytes_max);
        (1..=events).for_each(|n| ring.push(gap(n)));
        ring
    }

    fn shown(events: &[(EventId, StreamEvent)]) -> String {
        let show = |(id, event): &(EventId, StreamEvent)| match event {
            StreamEvent::Broken { folder, .. } => format!("{id} {folder}"),
            StreamEvent::Lost(Some(lost)) => format!("{id} lost {lost}"),
            StreamEvent::Lost(None) => format!("{id} lost ?"),
            StreamEvent::Entry(entry) => format!("{id} {}", entry.line),
        };
        events.iter().map(show).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_subscriber_gets_what_came_after_its_id() {
        let ring = ring(5, 3, BYTES_MAX);
        let check = |since: &str, expected: &str| {
            let since = match since {
                "now" => Since::Now,
                id => EventId::parse(id).map_or(Since::Unknown, Since::After),
            };
            let mut position = ring.position(&since);
            assert_eq!(shown(&ring.after(&mut position, 10)), expected, "{since:?}");
            assert_eq!(shown(&ring.after(&mut position, 10)), "", "{since:?}");
        };
        check("now", "");
        check("s-5", "");
        check("s-3", "s-4 u4, s-5 u5");
        check("s-2", "s-3 u3, s-4 u4, s-5 u5");
        check("s-0", "s-2 lost 2, s-3 u3, s-4 u4, s-5 u5");
        check("s-6", "s-2 lost ?, s-3 u3, s-4 u4, s-5 u5");
        check("t-4", "s-2 lost ?, s-3 u3, s-4 u4, s-5 u5");
        check("s-+4", "s-2 lost ?, s-3 u3, s-4 u4, s-5 u5");
        check("", "s-2 lost ?, s-3 u3, s-4 u4, s-5 u5");
        check("s-99999999999999999999999", "s-2 lost ?, s-3 u3, s-4 u4, s-5 u5");
    }

    #[test]
    fn few_at_a_time_is_the_same() {
        let mut ring = ring(5, 3, BYTES_MAX);
        let mut position = ring.position(&Since::After(EventId { start: "s".into(), n: 1 }));
        assert_eq!(shown(&ring.after(&mut position, 1)), "s-2 lost 1");
        assert_eq!(shown(&ring.after(&mut position, 2)), "s-3 u3, s-4 u4");
        (6..=9).for_each(|n| ring.push(gap(n)));
        assert_eq!(shown(&ring.after(&mut position, 2)), "s-6 lost 2, s-7 u7");
        assert_eq!(shown(&ring.after(&mut position, 9)), "s-8 u8, s-9 u9");
    }

    #[test]
    fn bytes_are_bounded_too_and_the_newest_always_stands() {
        let ring = self::ring(1_000, 10_000, 10 * (EVENT_BYTES + 5));
        assert!((10..=11).contains(&ring.events.len()), "{}", ring.events.len());
        assert_eq!(ring.newest(), 1_000);
        let one = self::ring(3, 10, 1);
        assert_eq!((one.events.len(), one.newest()), (1, 3));
    }
}
