//! Decides which entries are sightings of the same call.
//!
//! The rules are in `docs/format.md`. Two entries are one call only if they come from different captures, name the same
//! tool and start within ten minutes of each other. A short id, which is used again in each turn, joins entries only
//! within one session.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::call::{Reason, Status, Via};
use crate::clock::Date;
use crate::query::Line;

/// The largest difference between the start times of two sightings of one call, in milliseconds.
const APART_MS_MAX: i64 = 10 * 60 * 1_000;

/// The characters of an id after which two calls do not share it by chance.
const RANDOM_CHARS_MIN: usize = 16;

/// The different characters among them; a counter has fewer.
const DISTINCT_CHARS_MIN: usize = 8;

/// The most sightings with a call id that wait for others of the same call, about 150 bytes each. Further ones count as
/// separate calls.
const WAITING_MAX: usize = 300_000;

/// The most sightings of one id that are compared, so that an id that is used again in each turn does not cost more
/// each time.
const SAME_ID_MAX: usize = 64;

/// The parts of one entry that are counted.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) via: Option<Via>,
    pub(super) user: Box<str>,
    pub(super) tool: Box<str>,
    pub(super) status: Status,
    pub(super) day: Date,
    pub(super) duration_ms: Option<f64>,
    pub(super) result_chars: Option<f64>,
    pub(super) session: Option<Box<str>>,
    /// Read only if the answer is about clients.
    pub(super) client: Option<Box<str>>,
    pub(super) ended_ms: i64,
    call_id: Option<Box<str>>,
    is_interrupted: bool,
}

impl Sighting {
    /// Reads the counted parts of a line; the entry counts for this date.
    pub(super) fn of(line: &Line<'_>, day: Date) -> Self {
        let text = |name| line.string(name).unwrap_or_default().into();
        let known = |name| line.string(name).filter(|text| !text.is_empty()).map(Into::into);
        let number = |name| line.number(name).filter(|number| *number >= 0.0);
        Self {
            via: line.string("via").and_then(|via| Via::parse(&via)),
            user: text("user"),
            tool: text("tool"),
            status: line.status,
            day,
            duration_ms: number("duration_ms"),
            result_chars: number("result_chars"),
            call_id: known("call_id"),
            session: known("session"),
            client: None,
            ended_ms: line.ts.as_millis(),
            is_interrupted: line.string("reason").as_deref() == Some(Reason::Interrupted.as_str()),
        }
    }

    /// Returns the rank of the sighting's capture in the order of trust; 0 is the most trusted. An unknown capture
    /// comes last.
    fn rank(&self) -> usize {
        Via::ALL.iter().position(|via| Some(*via) == self.via).unwrap_or(Via::ALL.len())
    }

    /// Returns when the call began, in milliseconds since 1970.
    pub(super) fn began_ms(&self) -> i64 {
        self.ended_ms.saturating_sub(self.duration_ms.unwrap_or(0.0) as i64)
    }
}

/// A call with the sightings found so far.
#[derive(Debug)]
struct SightedCall {
    best: Sighting,
    /// The captures that saw it, one bit each.
    captures: u32,
}

impl SightedCall {
    fn new(sighting: Sighting) -> Self {
        Self { captures: 1 << sighting.rank(), best: sighting }
    }

    /// Adds a sighting of the same call; returns it if it belongs to another call.
    fn join(&mut self, other: Sighting, is_random: bool) -> Option<Sighting> {
        let is_repeat = self.captures & (1 << other.rank()) > 0;
        // Within one capture, a later end replaces an interruption.
        let (first, last) =
            if self.best.ended_ms <= other.ended_ms { (&self.best, &other) } else { (&other, &self.best) };
        let is_resumed = is_repeat && self.best.via == other.via && first.is_interrupted && !last.is_interrupted;
        let are_imports = is_random && self.best.via == Some(Via::Import) && other.via == Some(Via::Import);
        let differ_in_denial = (self.best.status == Status::Denied) != (other.status == Status::Denied);
        let is_same = (!is_repeat || is_resumed || are_imports)
            && are_one_tool(&self.best, &other)
            && (is_resumed || (self.best.began_ms() - other.began_ms()).abs() <= APART_MS_MAX)
            && (is_random || are_one_session(&self.best, &other))
            && !differ_in_denial;
        if !is_same {
            return Some(other);
        }
        self.captures |= 1 << other.rank();
        let is_better = if is_resumed { self.best.is_interrupted } else { other.rank() < self.best.rank() };
        if is_better {
            self.best = other;
        }
        None
    }
}

/// Whether two sightings name the same tool. A hook names a server's tool `mcp__server__tool`.
fn are_one_tool(a: &Sighting, b: &Sighting) -> bool {
    let hooked = |hook: &Sighting, proxy: &Sighting| {
        let of_server = hook.tool.strip_suffix(&*proxy.tool).is_some_and(|server| server.ends_with("__"));
        (hook.via, proxy.via) == (Some(Via::Hook), Some(Via::Proxy)) && of_server
    };
    a.tool == b.tool || hooked(a, b) || hooked(b, a)
}

fn are_one_session(a: &Sighting, b: &Sighting) -> bool {
    a.session.is_none() || b.session.is_none() || a.session == b.session
}

/// Whether a call id has enough random characters that two calls do not share it by chance: 16 letters and digits in a
/// row, of which 8 differ. Entries with such an id are one call, also if they come from different captures.
///
/// ```
/// assert!(tooltrail::is_random_call_id("toolu_01A09q90qw90lq917835lq9"));
/// assert!(!tooltrail::is_random_call_id("functions.read_file:12"));
/// ```
pub fn is_random_call_id(call_id: &str) -> bool {
    let letters = call_id.bytes().filter(|byte| *byte != b'-').collect::<Vec<_>>();
    letters.split(|byte| !byte.is_ascii_alphanumeric()).any(|run| {
        let mut distinct = run.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let digits = run.iter().filter(|byte| byte.is_ascii_digit()).count();
        let mixed = run.iter().any(u8::is_ascii_lowercase) && run.iter().any(u8::is_ascii_uppercase);
        run.len() >= RANDOM_CHARS_MIN && distinct.len() >= DISTINCT_CHARS_MIN && (digits > 0 || mixed)
    })
}

/// Sightings that wait to be combined into calls.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    /// The calls by a hash of user and call id, with random keys of the process.
    waiting: HashMap<u128, Vec<SightedCall>>,
    count: usize,
    hashers: (RandomState, RandomState),
}

impl Sightings {
    /// Adds a sighting; returns it if it counts as a call of its own now.
    pub(super) fn add(&mut self, sighting: Sighting) -> Option<Sighting> {
        let Some(call_id) = &sighting.call_id else { return Some(sighting) };
        let is_random = is_random_call_id(call_id);
        let name = (&sighting.user, call_id);
        let key = u128::from(self.hashers.0.hash_one(name)) << 64 | u128::from(self.hashers.1.hash_one(name));
        let calls = self.waiting.entry(key).or_default();
        let mut rest = sighting;
        for call in calls.iter_mut() {
            match call.join(rest, is_random) {
                None => return None,
                Some(other) => rest = other,
            }
        }
        if self.count >= WAITING_MAX || calls.len() >= SAME_ID_MAX {
            return Some(rest);
        }
        calls.push(SightedCall::new(rest));
        self.count += 1;
        None
    }

    /// Removes and returns the calls of this date or later. The sightings still to come are older and do not belong to
    /// them.
    pub(super) fn take_from(&mut self, day: Date) -> Vec<Sighting> {
        let mut done = Vec::new();
        self.waiting.retain(|_, calls| {
            let (ready, rest) = std::mem::take(calls).into_iter().partition(|call: &SightedCall| call.best.day >= day);
            *calls = rest;
            done.extend(Vec::into_iter(ready).map(|call: SightedCall| call.best));
            !calls.is_empty()
        });
        self.count -= done.len();
        done
    }

    /// Removes and returns all calls.
    pub(super) fn take_all(&mut self) -> Vec<Sighting> {
        self.count = 0;
        std::mem::take(&mut self.waiting).into_values().flatten().map(|call| call.best).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Zone;

    /// Checks the number of calls of these sightings, each `(via, tool, call_id, session, minute, status)`, starting
    /// from each of them in turn.
    fn check(sightings: &[(&str, &str, &str, &str, u32, &str)], calls: usize, statuses: &[Status]) {
        for turn in 0..sightings.len() {
            let (mut all, mut found) = (Sightings::default(), Vec::new());
            let mut order = sightings.to_vec();
            order.rotate_left(turn);
            for (via, tool, call_id, session, minute, status) in order {
                let (status, reason) = status.split_once('/').unwrap_or((status, ""));
                let line = format!(
                    r#"{{"ts":"2026-11-23T08:{minute:02}:00.000Z","user":"u","tool":"{tool}","status":"{status}","reason":"{reason}","session":"{session}","call_id":"{call_id}","via":"{via}"}}"#
                );
                let line = Line::parse(&line, &Zone::UTC).unwrap();
                found.extend(all.add(Sighting::of(&line, line.ts.date())));
            }
            found.extend(all.take_all());
            let mut ended = found.iter().map(|call| call.status).collect::<Vec<_>>();
            ended.sort();
            assert_eq!((found.len(), &*ended), (calls, statuses), "{sightings:?} from {turn}");
        }
    }

    #[test]
    fn two_captures_of_one_call_are_one() {
        use Status::{Denied, Error, Ok};
        const ID: &str = "toolu_01A09q90qw90lq917835lq9";
        check(&[("hook", "t", ID, "s", 0, "ok"), ("proxy", "t", ID, "s", 0, "ok")], 1, &[Ok]);
        check(&[("hook", "mcp__x__t", ID, "s", 0, "ok"), ("proxy", "t", ID, "z", 1, "ok")], 1, &[Ok]);
        check(&[("hook", "mcp__x__t", ID, "s", 0, "error"), ("proxy", "t", ID, "s", 1, "ok")], 1, &[Ok]);
        // Another tool, another time or the same capture means another call.
        check(&[("hook", "harmless.ping", ID, "s", 0, "ok"), ("http", "pay.transfer", ID, "s", 0, "ok")], 2, &[Ok, Ok]);
        check(&[("hook", "t", ID, "s", 0, "ok"), ("proxy", "t", ID, "s", 11, "ok")], 2, &[Ok, Ok]);
        check(&[("http", "t", ID, "s", 0, "ok"), ("http", "t", ID, "s", 0, "ok")], 2, &[Ok, Ok]);
        check(&[("import", "t", ID, "s", 0, "ok"), ("import", "t", ID, "z", 0, "ok")], 1, &[Ok]);
        // Short ids are used again in each turn.
        check(&[("hook", "t", "call_0", "s", 0, "ok"), ("proxy", "t", "call_0", "s", 0, "ok")], 1, &[Ok]);
        check(&[("hook", "t", "call_0", "s", 0, "ok"), ("proxy", "t", "call_0", "", 0, "ok")], 1, &[Ok]);
        check(&[("hook", "t", "call_0", "s", 0, "ok"), ("proxy", "t", "call_0", "z", 0, "ok")], 2, &[Ok, Ok]);
        check(&[("import", "t", "call_0", "s", 0, "ok"), ("import", "t", "call_0", "s", 1, "ok")], 2, &[Ok, Ok]);
        // A denied entry is never joined with one that was not denied.
        check(&[("hook", "t", ID, "s", 0, "denied"), ("proxy", "t", ID, "s", 0, "ok")], 2, &[Ok, Denied]);
        // An interruption is replaced by a later end, but not by an earlier one.
        check(&[("hook", "t", ID, "s", 0, "error/interrupted"), ("hook", "t", ID, "s", 30, "ok")], 1, &[Ok]);
        check(&[("hook", "t", ID, "s", 0, "ok"), ("hook", "t", ID, "s", 30, "error/interrupted")], 2, &[Ok, Error]);
    }

    #[test]
    fn random_ids_are_known() {
        for yes in ["toolu_01A09q90qw90lq917835lq9", "call_Abcdefghijklmnopqr", "550e8400-e29b-41d4-a716-446655440000"]
        {
            assert!(is_random_call_id(yes), "{yes}");
        }
        for no in ["call_0", "search", "call_0000000000000001", "read_file_from_the_disk", "functions.read_file:12", ""]
        {
            assert!(!is_random_call_id(no), "{no}");
        }
    }
}
