//! Finds the lists of tools in a line, for whoever compares them and for whoever takes hidden tools out.
//!
//! Clients read JSON in different ways: of a member that comes twice, some take the first and some the last, and some take
//! `Tools` for `tools`. What is compared must be what any of them could read, so nothing is left out here.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// The tools in a line.
#[derive(Debug, Default)]
pub(crate) struct ToolLists<'a> {
    /// Each list, as JSON texts in the line.
    pub(crate) lists: Vec<Vec<&'a RawValue>>,
    /// Whether a further page follows.
    pub(crate) has_more: bool,
}

/// Whether a line may hold a list of tools.
pub(crate) fn may_list(line: &[u8]) -> bool {
    ["tools", "\\u", "Tools", "TOOLS"].iter().any(|text| memchr::memmem::find(line, text.as_bytes()).is_some())
}

impl<'a> ToolLists<'a> {
    /// Reads a message or a batch of messages; `None` if it is not JSON.
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        let messages = match text.trim_start().starts_with('[') {
            true => serde_json::from_str::<Vec<&RawValue>>(text).ok()?,
            false => vec![serde_json::from_str::<&RawValue>(text).ok()?],
        };
        let mut found = Self::default();
        for result in messages.into_iter().flat_map(|message| named(message, "result")) {
            let lists = named(result, "tools");
            let before = found.lists.len();
            found.lists.extend(lists.into_iter().filter_map(|list| serde_json::from_str(list.get()).ok()));
            if found.lists.len() > before {
                found.has_more |= named(result, "nextCursor").into_iter().any(|next| next.get() != "null");
            }
        }
        Some(found)
    }
}

/// Returns the name of a tool; `None` if clients may read another one than we.
pub(crate) fn tool_name(tool: &RawValue) -> Option<String> {
    let Members(members) = serde_json::from_str(tool.get()).ok()?;
    let mut names = members.into_iter().filter(|(key, _)| key.eq_ignore_ascii_case(b"name"));
    let (key, name) = names.next()?;
    let is_clear = key == b"name" && names.next().is_none();
    is_clear.then(|| serde_json::from_str(name.get()).ok()).flatten()
}

/// Returns a JSON text with the members of each object in the order of their names, because servers may write them in
/// another order each time. A text that we cannot read, but some client may, stays as it is.
pub(crate) fn in_order(json: &RawValue) -> String {
    let ordered = serde_json::from_str::<Ordered>(json.get()).ok();
    ordered.and_then(|value| serde_json::to_string(&value).ok()).unwrap_or_else(|| json.get().to_owned())
}

/// Returns a JSON text in lines, to be shown. Members that come twice stay.
pub(crate) fn in_lines(json: &str) -> String {
    let ordered = serde_json::from_str::<Ordered>(json).ok();
    ordered.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| json.to_owned())
}

/// Returns the members of an object with this name, in lower or upper case; none if the value is no object.
fn named<'a>(value: &'a RawValue, name: &str) -> Vec<&'a RawValue> {
    let members = serde_json::from_str::<Members<'a>>(value.get()).map_or(Vec::new(), |members| members.0);
    members.into_iter().filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value).collect()
}

/// The members of an object, also those that come twice.
struct Members<'a>(Vec<(Vec<u8>, &'a RawValue)>);

/// The name of a member. It may be no text: clients read half of a surrogate pair in different ways.
struct Key(Vec<u8>);

/// A JSON value whose objects have their members in the order of their names, also those that come twice.
enum Ordered {
    Object(Vec<(String, Self)>),
    Array(Vec<Self>),
    Scalar(Value),
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Key, E> {
                Ok(Key(bytes.to_vec()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                Ok(Key(text.as_bytes().to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Ordered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Ordered, E> {
                Ok(Ordered::Scalar(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Ordered, E> {
                Ok(Ordered::Scalar(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Ordered, E> {
                Ok(Ordered::Scalar(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Ordered, E> {
                Ok(Ordered::Scalar(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Ordered, E> {
                Ok(Ordered::Scalar(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Ordered, E> {
                Ok(Ordered::Scalar(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ordered, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Ordered::Array(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut members = Vec::<(String, Ordered)>::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                // Those of one name stay in their order: the last one may win.
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                Ok(Ordered::Object(members))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::Array(values) => values.serialize(serializer),
            Self::Scalar(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_that_a_client_could_read_is_found() {
        let check = |line: &str, lists: &[&[&str]], has_more: bool| {
            let found = ToolLists::of(line).unwrap();
            let names = |list: &Vec<&RawValue>| {
                list.iter().map(|tool| tool_name(tool).unwrap_or_else(|| "?".to_owned())).collect::<Vec<_>>()
            };
            assert_eq!(found.lists.iter().map(names).collect::<Vec<_>>(), lists, "{line}");
            assert_eq!(found.has_more, has_more, "{line}");
        };
        check(r#"{"id":1,"result":{"tools":[{"name":"a"}]}}"#, &[&["a"]], false);
        check(r#" {"result":{"tools":[{"name":"a"}],"nextCursor":"p"}}"#, &[&["a"]], true);
        check(r#"{"result":{"tools":[],"nextCursor":null,"nextCursor":null}}"#, &[&[]], false);
        check(r#"{"result":{},"result":{"tools":[{"name":"a"}],"tools":[{"name":"b"}]}}"#, &[&["a"], &["b"]], false);
        check(r#"{"Result":{"\u0074ools":[{"name":"a"}],"\ud800":1}}"#, &[&["a"]], false);
        check(r#"[{"result":{"tools":[{"name":"a"}]}},{"result":5},{"method":"x"}]"#, &[&["a"]], false);
        check(
            r#"{"result":{"tools":[{"name":"a","name":"a"},{"Name":"a"},{"name":"\ud800"},5]}}"#,
            &[&["?"; 4]],
            false,
        );
        check(r#"{"result":{"tools":[{"name":"a","x":1e999,"y":"\ud800"}]}}"#, &[&["a"]], false);
        check(
            &format!(r#"{{"result":{{"tools":[{{"name":"a","x":{}{}}}]}}}}"#, "[".repeat(9_999), "]".repeat(9_999)),
            &[&["a"]],
            false,
        );
        for no in [
            r#"{"id":1,"result":{"content":[{"tools":[]}]}}"#,
            "\"tools\"",
            "{\"tools\":[]}",
            r#"{"result":{"tools":5}}"#,
        ] {
            check(no, &[], false);
        }
        assert!(ToolLists::of("not json \"tools\"").is_none() && ToolLists::of("{\"x\":NaN}").is_none());
    }

    #[test]
    fn only_the_order_of_different_members_is_no_difference() {
        let check = |json: &str, expected: &str| {
            assert_eq!(in_order(&RawValue::from_string(json.to_owned()).unwrap()), expected);
        };
        check(
            r#"{"b": [2, {"d":null,"c":1.5}], "a": "x\n", "-": true}"#,
            r#"{"-":true,"a":"x\n","b":[2,{"c":1.5,"d":null}]}"#,
        );
        check(r#"{"b":2,"a":1,"b":1}"#, r#"{"a":1,"b":2,"b":1}"#);
        check(r#"{"b":1e999, "a":1}"#, r#"{"b":1e999, "a":1}"#);
        check(r#"{"b":"\ud800", "a":1}"#, r#"{"b":"\ud800", "a":1}"#);
        let deep = format!("{}{}", "[".repeat(9_999), "]".repeat(9_999));
        check(&deep, &deep);
        assert_eq!(in_lines(r#"{"b":1,"b":2}"#), "{\n  \"b\": 1,\n  \"b\": 2\n}");
    }
}
