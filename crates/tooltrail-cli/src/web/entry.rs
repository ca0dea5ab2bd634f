//! A stored line as the page uses it: its JSON members as written, and the key with which an address opens it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tooltrail::{EntryId, Status, Timestamp, Via, Zone};

/// Bytes of the line hash in a key: enough that two lines of the same millisecond never have the same key.
const HASH_BYTES: usize = 8;

/// Hex digits at the beginning of an entry id that are its time in milliseconds.
const ID_TIME_DIGITS: usize = 12;

/// The members of a JSON object in their order, each value as raw JSON text.
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
    /// The line as it is stored.
    pub(crate) line: &'a str,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Entry<'a> {
    /// Parses a line. If it is not a JSON object, the entry has no members.
    pub(crate) fn read(line: &'a str) -> Self {
        let members = serde_json::from_str::<Members<'a>>(line).map(|members| members.0).unwrap_or_default();
        Self { line, members }
    }

    /// Returns the name and the raw value of each member.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.members.iter().map(|(name, value)| (&**name, value.get()))
    }

    /// Returns a value as raw JSON text.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.members().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Returns a value as text: the decoded string, or for any other value its raw JSON text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.raw(name).map(plain)
    }

    /// Returns a value as a number, if it is one.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.raw(name)?.parse().ok()
    }

    /// Returns how the call ended.
    pub(crate) fn status(&self) -> Status {
        self.text("status").as_deref().and_then(Status::parse).unwrap_or_default()
    }

    /// Whether the entry is an event of tooltrail itself.
    pub(crate) fn is_own(&self) -> bool {
        self.text("via").as_deref() == Some(Via::Tooltrail.as_str())
    }

    /// Returns the key with which an address opens this entry.
    pub(crate) fn key(&self, zone: &Zone) -> String {
        key_of(self.line, zone)
    }
}

/// Returns a JSON value as text: the decoded string, or for any other value its raw JSON text.
pub(crate) fn plain(raw: &str) -> String {
    serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned())
}

/// Returns the key with which an address opens a line: its id, else its time in milliseconds and a hash of the line.
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

/// The parsed key of the line that an address opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The line with this id; its time is taken from the id.
    Id(EntryId, Timestamp),
    /// A line with this time.
    At(Timestamp),
}

impl Key {
    /// Parses a key; returns `None` if the text is not one.
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
