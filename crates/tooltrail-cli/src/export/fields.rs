//! The fields of a stored line, each with its unchanged JSON text.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// The members of a stored line.
pub(super) struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Reads a line; a line that is no object has no fields.
    pub(super) fn read(line: &'a str) -> Self {
        Self(serde_json::from_str::<Members<'a>>(line).map(|members| members.0).unwrap_or_default())
    }

    /// Returns the unchanged JSON text of a field.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    /// Returns a field as text: the decoded string, or the JSON text of anything else.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let raw = self.raw(name)?;
        Some(match serde_json::from_str::<String>(raw) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(raw),
        })
    }

    /// Returns a number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.raw(name)?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Returns the names and the JSON texts of all fields.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.get()))
    }
}

/// The members of an object in their order. If a name occurs twice, the first one counts, as everywhere.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
