//! One stored line as a query uses it: its time, read cheaply, and its fields.

use std::borrow::Cow;

use crate::call::Status;
use crate::clock::{Timestamp, Zone};
use crate::entry::head;
use crate::json;

/// An entry: a JSON object with a readable `ts`, a `user`, a `tool` and one of the three statuses.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    /// The time of the entry.
    pub(crate) ts: Timestamp,
    /// How the call ended.
    pub(crate) status: Status,
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Line<'a> {
    /// Reads a line, `None` if it is not an entry. A `ts` without a zone is read in `zone`.
    pub(crate) fn parse(text: &'a str, zone: &Zone) -> Option<Self> {
        let members = json::members(text).ok()?;
        let line = Self { ts: Timestamp::from_millis(0), status: Status::Ok, members };
        let written = line.string("ts")?;
        let ts = head(text.as_bytes()).or_else(|| Timestamp::parse(&written, zone).ok())?;
        let status = Status::parse(&line.string("status")?)?;
        line.string("user")?;
        line.string("tool")?;
        Some(Self { ts, status, ..line })
    }

    /// Returns a string field, decoded. If the name occurs more than once, the first one counts.
    pub(crate) fn string(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.value(name)?;
        // Half of a surrogate pair in another writer's line is shown as U+FFFD, so that the entry is not lost.
        let inner = value.strip_prefix('"')?.strip_suffix('"')?;
        Some(json::unescape(inner))
    }

    /// Returns a number field.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.value(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Whether its `ts` says in which zone it is. Otherwise the entry has another time for each zone.
    pub(crate) fn has_zone(&self) -> bool {
        let written = self.string("ts").unwrap_or_default();
        written.ends_with(['Z', 'z']) || written.get(11..).is_some_and(|time| time.contains(['+', '-']))
    }

    /// Returns all members: the name and the unchanged text of the value.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(name, value)| (&**name, *value))
    }

    /// Returns the unchanged text of a value.
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// Returns the time of a line, `None` if it has no readable time.
///
/// Our own lines start with it, so only other lines are parsed.
pub(crate) fn instant(line: &[u8], zone: &Zone) -> Option<Timestamp> {
    head(line).or_else(|| Line::parse(std::str::from_utf8(line).ok()?, zone).map(|line| line.ts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ts: &str) {
        let line = format!(r#"{{"ts":"{ts}","user":"a","tool":"t","status":"ok"}}"#);
        let parsed = Timestamp::parse(ts, &Zone::UTC).ok();
        assert_eq!(instant(line.as_bytes(), &Zone::UTC), parsed, "{ts}");
        if let Some(head) = head(line.as_bytes()) {
            assert_eq!(Some(head), parsed, "{ts}");
        }
    }

    #[test]
    fn the_cheap_reader_agrees_with_the_parser() {
        for ts in [
            "2026-11-23T08:15:00.123Z",
            "1970-01-01T00:00:00.000Z",
            "9999-12-30T21:59:59.999Z",
            "2028-02-29T00:00:00.001Z",
            "2026-02-29T00:00:00.001Z",
            "2026-11-23T24:00:00.000Z",
            "2026-11-23T08:15:60.000Z",
            "2026-11-23 08:15:00.123Z",
            "2026-11-23T08:15:00.12Z",
            "2026-11-23T08:15:00",
            "2026-11-23T08:15:00.123+02:00",
            "2026-1x-23T08:15:00.123Z",
            "yesterday",
        ] {
            check(ts);
        }
        assert!(head(br#"{"ts":"2026-11-23T08:15:00.123Z","#).is_some());
    }

    #[test]
    fn what_is_no_entry_is_none() {
        let no = |text: &str| assert!(Line::parse(text, &Zone::UTC).is_none(), "{text}");
        no("[]");
        no("{}");
        no(r#"{"ts":"2026-11-23T08:15:00Z","user":"a","tool":"t"}"#);
        no(r#"{"ts":"2026-11-23T08:15:00Z","user":"a","tool":"t","status":"fine"}"#);
        no(r#"{"ts":"2026-11-23T08:15:00Z","user":1,"tool":"t","status":"ok"}"#);
        no(r#"{"ts":1,"user":"a","tool":"t","status":"ok"}"#);
        let glued = r#"{"ts":"2026-11-23T08:15:00Z","user":"a","tool":"t","status":"ok"}"#;
        assert!(Line::parse(glued, &Zone::UTC).is_some());
        no(&format!("{glued}{glued}"));
    }
}
