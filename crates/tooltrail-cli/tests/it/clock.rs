//! Midnight, clock jumps, and the smallest and largest times, tested with the real binary and a clock that the test
//! sets.

use serde_json::json;

use crate::service::Service;
use crate::support::{TestHome, minutes_ago};

/// A service whose clock is shifted by the milliseconds written in a file.
struct Shifted {
    service: Service,
    admin: String,
}

impl Shifted {
    fn start(shift_ms: i64) -> Self {
        let place = TestHome::new();
        let file = place.file("shift", shift_ms.to_string());
        let service = Service::start_by(place, |command| {
            command.env("TOOLTRAIL_TEST_CLOCK", file);
        });
        service.wait_ready();
        let admin = service.token(&["root", "--role", "admin"]);
        Self { service, admin }
    }

    fn set(&self, shift_ms: i64) {
        self.service.place.file("shift", shift_ms.to_string());
    }

    /// Sends an entry without a time, and returns the time that it got.
    fn send(&self, tool: &str) -> String {
        let line = json!({ "tool": tool, "user": "alice", "status": "ok" }).to_string();
        assert_eq!(self.service.post(&self.admin, &line).status, 200);
        self.stored(tool)
    }

    fn stored(&self, tool: &str) -> String {
        let stored = self.service.place.stored();
        let found = stored.iter().filter(|entry| entry["tool"] == tool).collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{tool}");
        found[0]["ts"].as_str().unwrap().to_owned()
    }

    fn tools(&self, query: &str) -> Vec<String> {
        let entries = self.service.get(&self.admin, &format!("/api/audit/recent?user=alice&{query}")).entries();
        entries.iter().map(|entry| entry["tool"].as_str().unwrap().to_owned()).collect()
    }
}

/// Returns the milliseconds from now to an instant.
fn until(instant: &str) -> i64 {
    let instant = tooltrail::Timestamp::parse(instant, &tooltrail::Zone::UTC).unwrap();
    instant.as_millis() - minutes_ago(0).as_millis()
}

#[test]
fn at_midnight_entries_go_to_the_next_days_file() {
    let shifted = Shifted::start(until("2026-12-31T23:59:58Z"));
    assert_eq!(shifted.send("before")[..10], *"2026-12-31");
    shifted.set(until("2027-01-01T00:00:01Z"));
    assert_eq!(shifted.send("after")[..10], *"2027-01-01");
    assert_eq!(shifted.tools("days=1"), ["after"]);
    assert_eq!(shifted.tools("days=2"), ["after", "before"]);
    let trail = shifted.service.place.home().join("alice/tool_audit");
    for day in ["2026-12-31.jsonl", "2027-01-01.jsonl"] {
        assert_eq!(std::fs::read_to_string(trail.join(day)).unwrap().lines().count(), 1, "{day}");
    }
}

#[test]
fn a_clock_that_jumps_loses_and_doubles_nothing() {
    let hour = 3_600_000;
    let shifted = Shifted::start(0);
    for (n, shift) in [0, -2 * hour, 26 * hour, -30 * 24 * hour, 0].into_iter().enumerate() {
        shifted.set(shift);
        shifted.send(&format!("t{n}"));
    }
    let mut tools = shifted.tools("days=60");
    // The first entry is the newest by its own time, not by its arrival.
    assert_eq!(tools.remove(0), "t2");
    tools.sort();
    assert_eq!(tools, ["t0", "t1", "t3", "t4"]);
    // A client cannot hide an entry in the future: its time is replaced.
    let future = json!({ "tool": "future", "user": "alice", "ts": minutes_ago(-60).to_string(), "status": "ok" });
    assert_eq!(shifted.service.post(&shifted.admin, &future.to_string()).status, 200);
    assert!(shifted.stored("future") < minutes_ago(-1).to_string());
}

#[test]
fn the_ends_of_time_are_recorded() {
    for (at, day) in [("1970-01-01T00:00:10Z", "1970-01-01"), ("9999-12-30T00:00:00Z", "9999-12-30")] {
        let shifted = Shifted::start(until(at));
        assert_eq!(shifted.send("t")[..10], *day);
        assert_eq!(shifted.tools("days=1"), ["t"], "{at}");
        assert_eq!(shifted.service.send("GET", "/readyz", &[], "").status, 200, "{at}");
    }
    // With a clock before 1970, entries get the beginning of 1970.
    let shifted = Shifted::start(until("1970-01-01T00:00:00Z") - 86_400_000);
    assert_eq!(shifted.send("t"), "1970-01-01T00:00:00.000Z");
}
