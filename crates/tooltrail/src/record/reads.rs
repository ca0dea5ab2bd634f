//! Reads of the trail are recorded too. The first read is recorded at once, equal reads after it are counted into one
//! entry per minute, so that frequent reads do not fill the trail.

use std::collections::HashMap;
use std::time::Duration;

use crate::record::event::Event;

/// The time for which equal reads are counted into one entry.
const WINDOW: Duration = Duration::from_secs(60);

/// The most different reads that are counted at the same time. Each further read is recorded by itself.
const READS_MAX: usize = 1_024;

/// The reads of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    windows: HashMap<(String, String, String), Window>,
}

#[derive(Debug)]
struct Window {
    began: Duration,
    repeats: u64,
    event: Event,
}

impl Reads {
    /// Returns the event if it must be recorded now; otherwise counts it.
    pub(crate) fn first(&mut self, event: Event, now: Duration) -> Option<Event> {
        let Event::Read { token, what, query, .. } = &event else { return Some(event) };
        let key = (token.clone(), what.clone(), query.clone());
        if let Some(window) = self.windows.get_mut(&key) {
            window.repeats += 1;
            return None;
        }
        if self.windows.len() < READS_MAX {
            self.windows.insert(key, Window { began: now, repeats: 0, event: event.clone() });
        }
        Some(event)
    }

    /// Returns the repeated reads whose minute has ended, each with its count; with `all`, all repeated reads.
    pub(crate) fn ended(&mut self, now: Duration, all: bool) -> Vec<(Event, u64)> {
        let mut ended = Vec::new();
        self.windows.retain(|_, window| {
            let over = all || now.saturating_sub(window.began) >= WINDOW;
            if over && window.repeats > 0 {
                ended.push((window.event.clone(), window.repeats));
            }
            !over
        });
        ended
    }

    /// Returns the time until the next minute ends; `None` if no read is being counted.
    pub(crate) fn next(&self, now: Duration) -> Option<Duration> {
        self.windows.values().map(|window| (window.began + WINDOW).saturating_sub(now)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Event {
        Event::Read { user: None, token: "ops".into(), what: "recent".into(), query: query.into() }
    }

    #[test]
    fn repeats_within_a_minute_become_one_entry_with_a_count() {
        let mut reads = Reads::default();
        let at = Duration::from_secs;
        assert_eq!(reads.first(read("a"), at(0)), Some(read("a")));
        assert_eq!(reads.first(read("a"), at(10)), None);
        assert_eq!(reads.first(read("a"), at(20)), None);
        assert_eq!(reads.first(read("b"), at(30)), Some(read("b")));
        assert_eq!(reads.ended(at(59), false), []);
        assert_eq!(reads.next(at(59)), Some(at(1)));
        assert_eq!(reads.ended(at(60), false), [(read("a"), 2)]);
        assert_eq!(reads.first(read("a"), at(61)), Some(read("a")));
        assert_eq!(reads.ended(at(62), true), []);
        assert_eq!(reads.next(at(62)), None);
    }
}
