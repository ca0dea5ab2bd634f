//! A stored line as the page sees it: its members as they stand, and the key under which it can be opened.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tooltrail::{EntryId, Status, Timestamp, Via, Zone};

/// Bytes of a line's hash in its key: among the lines of one millisecond no two meet.
const HASH_BYTES: usize = 8;

/// Hex digits of the milliseconds with which an entry's id begins.
const ID_TIME_DIGITS: usize = 12;

/// The members of a JSON object in their order, each value as it is written.
#[derive(Debug)]
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((Cow::Owned(name), value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// A stored line.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// As it is stored.
    pub(crate) line: &'a str,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Entry<'a> {
    /// Reads a line; one that a general reader cannot take apart has no members.
    pub(crate) fn read(line: &'a str) -> Self {
        let members = serde_json::from_str::<Members<'a>>(line).map(|members| members.0).unwrap_or_default();
        Self { line, members }
    }

    /// Returns each member.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(name, value)| (&**name, value.get()))
    }

    /// Returns a value as it is written.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.members().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Returns a value as text: a string's own, else as it is written.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.raw(name).map(plain)
    }

    /// Returns a value that is a number.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.raw(name)?.parse().ok()
    }

    /// Returns how the call ended.
    pub(crate) fn status(&self) -> Status {
        self.text("status").as_deref().and_then(Status::parse).unwrap_or_default()
    }

    /// Whether it is an event of our own.
    pub(crate) fn is_own(&self) -> bool {
        self.text("via").as_deref() == Some(Via::Tooltrail.as_str())
    }

    /// Returns the text by which it is opened.
    pub(crate) fn key(&self, zone: &Zone) -> String {
        key_of(self.line, zone)
    }
}

/// Returns a JSON value as text: a string's own, else as it is written.
pub(crate) fn plain(raw: &str) -> String {
    serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned())
}

/// Returns the text by which a line is opened: its id, else its instant and a hash of it.
pub(crate) fn key_of(line: &str, zone: &Zone) -> String {
    let entry = Entry::read(line);
    if let Some(id) = entry.text("id").as_deref().and_then(EntryId::parse) {
        return id.to_string();
    }
    let ts = entry.text("ts").and_then(|ts| Timestamp::parse(&ts, zone).ok());
    let hash = Sha256::digest(line.as_bytes());
    let hex = tooltrail::hex(&hash[..HASH_BYTES]);
    format!("{}-{hex}", ts.map_or(0, Timestamp::as_millis))
}

/// Which line an address opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The one with this id.
    Id(EntryId, Timestamp),
    /// One of this instant.
    At(Timestamp),
}

impl Key {
    /// Reads a key, `None` if it is none of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(id) = EntryId::parse(text) {
            let digits = text.chars().filter(char::is_ascii_hexdigit).take(ID_TIME_DIGITS).collect::<String>();
            let millis = i64::from_str_radix(&digits, 16).ok()?;
            return Some(Self::Id(id, Timestamp::from_millis(millis)));
        }
        let (millis, hash) = text.split_once('-')?;
        let digits = hash.len() == 2 * HASH_BYTES && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let millis = millis.bytes().all(|byte| byte.is_ascii_digit()).then(|| millis.parse::<i64>().ok())??;
        digits.then(|| Self::At(Timestamp::from_millis(millis)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Key, key_of};
    use tooltrail::{Timestamp, Zone};

    #[test]
    fn every_line_has_a_key_that_comes_back() {
        let ours = r#"{"ts":"2026-11-23T08:15:00.123Z","id":"019aafab-0b3b-7000-8000-000000000000"}"#;
        let key = key_of(ours, &Zone::UTC);
        assert_eq!(key, "019aafab-0b3b-7000-8000-000000000000");
        let Some(Key::Id(_, ts)) = Key::parse(&key) else { panic!("{key}") };
        assert_eq!(ts.as_millis(), 0x019a_afab_0b3b);

        let seeds = r#"{"ts": "2026-11-23T08:15:00", "user": "a"}"#;
        let key = key_of(seeds, &Zone::UTC);
        let ts = Timestamp::parse("2026-11-23T08:15:00Z", &Zone::UTC).unwrap();
        assert_eq!(Key::parse(&key), Some(Key::At(ts)));
        assert_ne!(key, key_of(&seeds.replace("\"a\"", "\"b\""), &Zone::UTC));
        for no in ["", "x", "-", "1-", "1-zz", "-1-0123456789abcdef", "1-0123456789abcdeg", "019aafab-0b3b"] {
            assert_eq!(Key::parse(no), None, "{no}");
        }
    }

    #[test]
    fn values_are_as_written() {
        let entry = Entry::read(r#"{"n":1.50e3,"s":"a\"b","x":{"k":[1]},"half":"\ud800"}"#);
        let check = |name: &str, expected: &str| assert_eq!(entry.text(name).as_deref(), Some(expected), "{name}");
        check("n", "1.50e3");
        check("s", "a\"b");
        check("x", r#"{"k":[1]}"#);
        check("half", r#""\ud800""#);
        assert_eq!(entry.text("none"), None);
        assert_eq!(Entry::read("nonsense").members().count(), 0);
    }
}
