//! Decides which entries are sightings of the same call.
//!
//! The rules are in `docs/format.md`. Two entries are one call only if they come from different captures, name the same
//! tool and start within ten minutes of each other. A short id, which is used again in each turn, joins entries only
//! within one session.

use std::collections::HashMap;

use crate::call::{Reason, Status, Via};
use crate::clock::Date;
use crate::query::Line;

/// The largest difference between the start times of two sightings of one call, in milliseconds.
const APART_MS_MAX: u64 = 10 * 60 * 1_000;

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
pub(crate) struct Sighting {
    pub(crate) via: Option<Via>,
    pub(crate) user: Box<str>,
    pub(crate) tool: Box<str>,
    pub(crate) status: Status,
    pub(crate) day: Date,
    pub(crate) duration_ms: Option<f64>,
    pub(crate) result_chars: Option<f64>,
    pub(crate) session: Option<Box<str>>,
    /// Read only if the answer is about clients.
    pub(crate) client: Option<Box<str>>,
    pub(crate) ended_ms: i64,
    pub(crate) call_id: Option<Box<str>>,
    pub(crate) is_interrupted: bool,
}

impl Sighting {
    /// Reads the counted parts of a line; the entry counts for this date.
    pub(crate) fn of(line: &Line<'_>, day: Date) -> Self {
        let text = |name| line.string(name).unwrap_or_default().into();
        let known = |name| line.string(name).filter(|text| !text.is_empty()).map(Into::into);
        let number = |name| measured(line, name);
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

    /// Returns the number by which sightings of one call are found; `None` without a call id. Sightings of other calls
    /// seldom have the same number.
    pub(crate) fn call_key(&self) -> Option<u64> {
        self.call_id.as_ref().map(|call_id| key_of(&[self.user.as_bytes(), b"\0", call_id.as_bytes()]))
    }

    /// Returns when the call began, in milliseconds since 1970.
    pub(crate) fn began_ms(&self) -> i64 {
        self.ended_ms.saturating_sub(self.duration_ms.unwrap_or(0.0) as i64)
    }
}

/// A sighting, where its line is, and whether the question asks for it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) sighting: Sighting,
    /// The offset of its line in its day file.
    pub(crate) offset: u64,
    pub(crate) is_asked: bool,
}

/// A call with the sightings found so far.
#[derive(Debug)]
pub(crate) struct SightedCall {
    /// The sighting that counts.
    pub(crate) best: Seen,
    /// All other sightings, which do not count.
    pub(crate) others: Vec<Seen>,
    /// The captures that saw it, one bit each.
    captures: u32,
}

impl SightedCall {
    fn new(seen: Seen) -> Self {
        Self { captures: 1 << seen.sighting.rank(), best: seen, others: Vec::new() }
    }

    /// Adds a sighting of the same call; returns it if it belongs to another call.
    fn join(&mut self, seen: Seen, is_random: bool) -> Option<Seen> {
        let (best, other) = (&self.best.sighting, &seen.sighting);
        let is_repeat = self.captures & (1 << other.rank()) > 0;
        // Within one capture, a later end replaces an interruption.
        let (first, last) = if best.ended_ms <= other.ended_ms { (best, other) } else { (other, best) };
        let is_resumed = is_repeat && best.via == other.via && first.is_interrupted && !last.is_interrupted;
        let are_imports = is_random && best.via == Some(Via::Import) && other.via == Some(Via::Import);
        let differ_in_denial = (best.status == Status::Denied) != (other.status == Status::Denied);
        let is_same = (!is_repeat || is_resumed || are_imports)
            && (&best.user, &best.call_id) == (&other.user, &other.call_id)
            && are_one_tool(best, other)
            && (is_resumed || best.began_ms().abs_diff(other.began_ms()) <= APART_MS_MAX)
            && (is_random || are_one_session(best, other))
            && !differ_in_denial;
        if !is_same {
            return Some(seen);
        }
        let is_better = if is_resumed { best.is_interrupted } else { other.rank() < best.rank() };
        self.captures |= 1 << other.rank();
        let other = if is_better { std::mem::replace(&mut self.best, seen) } else { seen };
        self.others.push(other);
        None
    }

    /// Returns all sightings.
    pub(crate) fn into_all(self) -> impl Iterator<Item = Seen> {
        std::iter::once(self.best).chain(self.others)
    }
}

/// Returns a number ≥ 0 of an entry.
pub(crate) fn measured(line: &Line<'_>, name: &str) -> Option<f64> {
    line.number(name).filter(|number| *number >= 0.0)
}

/// Returns the same number as [`Sighting::call_key`] for an entry.
pub(crate) fn call_key_of(line: &Line<'_>) -> Option<u64> {
    let call_id = line.string("call_id").filter(|call_id| !call_id.is_empty())?;
    let user = line.string("user").unwrap_or_default();
    Some(key_of(&[user.as_bytes(), b"\0", call_id.as_bytes()]))
}

/// Returns a number for a name, the same in each process and version (FNV-1a, 64 bits).
pub(crate) fn key_of(parts: &[&[u8]]) -> u64 {
    let byte = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    parts.iter().flat_map(|part| part.iter()).fold(0xCBF2_9CE4_8422_2325, byte)
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

/// Sightings that are being combined into calls.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    /// The calls by their key.
    calls: HashMap<u64, Vec<SightedCall>>,
    count: usize,
}

impl Sightings {
    /// Adds a sighting. Returns it if it counts as a call of its own now, because it has no call id or because too many
    /// sightings wait.
    pub(crate) fn add(&mut self, seen: Seen) -> Option<Seen> {
        let Some(key) = seen.sighting.call_key() else { return Some(seen) };
        let calls = self.calls.entry(key).or_default();
        // Most calls have one sighting, so that this is seldom asked.
        let is_random = !calls.is_empty() && seen.sighting.call_id.as_deref().is_some_and(is_random_call_id);
        let mut rest = seen;
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

    /// Returns all calls.
    pub(crate) fn into_calls(self) -> impl Iterator<Item = SightedCall> {
        self.calls.into_values().flatten()
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
                let sighting = Sighting::of(&line, line.ts.date());
                found.extend(all.add(Seen { sighting, offset: 0, is_asked: true }));
            }
            found.extend(all.into_calls().map(|call| call.best));
            let mut ended = found.iter().map(|call| call.sighting.status).collect::<Vec<_>>();
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
