//! One event as a client sent it.

use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// The members of a JSON object. A member of an unexpected type counts as missing, because clients change their events
/// from month to month, and each that we understand in part is better than none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Event<'a> {
    members: HashMap<String, &'a RawValue>,
}

impl<'a> Event<'a> {
    /// Reads an object; `None` if the text is none. Nesting has no limit, because values are kept as text.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let members = serde_json::from_str::<HashMap<String, &RawValue>>(text).ok()?;
        Some(Self { members })
    }

    /// Returns the JSON text of a member; `None` for null.
    pub(crate) fn json(&self, name: &str) -> Option<&'a str> {
        Some(self.members.get(name)?.get()).filter(|json| *json != "null")
    }

    /// Returns the JSON text of the first of these members that there is.
    pub(crate) fn first_json(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.json(name))
    }

    /// Returns a member that is a text and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        text(self.json(name)?)
    }

    /// Returns the first of these members that is a text.
    pub(crate) fn first_text(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    /// Returns a member that is an object.
    pub(crate) fn object(&self, name: &str) -> Option<Self> {
        Self::parse(self.json(name)?)
    }

    /// Returns the objects in a member that is a list.
    pub(crate) fn objects(&self, name: &str) -> Vec<Self> {
        let list = self.json(name).and_then(|json| serde_json::from_str::<Vec<&RawValue>>(json).ok());
        list.into_iter().flatten().filter_map(|item| Self::parse(item.get())).collect()
    }

    /// Returns a member as a value; null if it is missing, or nested too deeply to be looked at.
    pub(crate) fn value(&self, name: &str) -> Value {
        self.json(name).and_then(|json| serde_json::from_str(json).ok()).unwrap_or(Value::Null)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.json(name) == Some("true")
    }
}

/// Returns the text of a JSON string; `None` for anything else, and for an empty text. Half of a surrogate pair, which
/// no text can hold, is replaced.
pub(crate) fn text(json: &str) -> Option<String> {
    if !json.starts_with('"') {
        return None;
    }
    let text = serde_json::from_str::<String>(json).ok();
    let text = text.or_else(|| {
        let bytes = serde_json::from_str::<serde_bytes_text::Lossy>(json).ok()?;
        Some(bytes.0)
    });
    text.filter(|text| !text.is_empty())
}

/// Reads JSON strings that hold half of a surrogate pair.
mod serde_bytes_text {
    use serde::de;

    pub(super) struct Lossy(pub(super) String);

    impl<'de> de::Deserialize<'de> for Lossy {
        fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Bytes;
            impl de::Visitor<'_> for Bytes {
                type Value = Lossy;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a string")
                }

                fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Lossy, E> {
                    Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
                }
            }
            deserializer.deserialize_bytes(Bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_an_unexpected_type_count_as_missing() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let event =
            format!(r#"{{"a":"x","b":7,"c":null,"d":{{"e":[{{"f":1}},2]}},"g":true,"half":"a\ud800b","deep":{deep}}}"#);
        let event = Event::parse(&event).unwrap();
        assert_eq!((event.text("a"), event.text("b"), event.text("none")), (Some("x".to_owned()), None, None));
        assert_eq!((event.json("b"), event.json("c"), event.json("deep")), (Some("7"), None, Some(&*deep)));
        assert_eq!(event.object("d").unwrap().objects("e").len(), 1);
        assert!(event.is_true("g") && !event.is_true("a") && event.object("a").is_none());
        assert_eq!(event.text("half").unwrap(), "a\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(event.value("deep"), Value::Null);
        assert!(Event::parse("[]").is_none() && Event::parse("").is_none());
    }
}
