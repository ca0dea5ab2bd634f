//! The scanner against `serde_json`, for messages in any order, with any spelling and in any pieces.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::message::Message;
use super::{Id, LineEnd, Scanner};

/// What is compared of a message.
fn summary(message: &Message) -> Value {
    let answer = message.outcome.as_ref();
    let (text, chars) = answer.map(|answer| answer.text.text()).unwrap_or_default();
    let arguments = message.params.arguments.as_ref().map(|arguments| arguments.text());
    json!({
        "id": message.id.as_ref().map(Id::json),
        "method": message.method,
        "name": message.params.name,
        "arguments": arguments.as_ref().map(|(text, _)| text),
        "cut": arguments.and_then(|(_, chars)| chars),
        "meta": message.params.meta.whole(),
        "state": message.params.request_state.map(|hash| hash[0]),
        "text": text,
        "chars": chars,
        "is_error": answer.map(|answer| answer.is_error),
        "type": answer.and_then(|answer| answer.result_type.clone()),
        "error": answer.and_then(|answer| answer.error.clone()),
    })
}

/// Reads bytes in pieces of these lengths, again and again.
fn read(bytes: &[u8], pieces: &[usize]) -> (Vec<Value>, Vec<LineEnd>) {
    let (mut scanner, mut messages, mut lines) = (Scanner::new(), Vec::new(), Vec::new());
    let mut rest = bytes;
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (mut part, later) = rest.split_at((*piece).clamp(1, rest.len()));
        rest = later;
        while !part.is_empty() {
            let (taken, end) = scanner.feed(part, &mut messages);
            part = &part[taken..];
            lines.extend(end);
        }
    }
    lines.push(scanner.finish(&mut messages));
    (messages.iter().map(summary).collect(), lines)
}

/// The only message of a line.
fn one(line: &str) -> Message {
    let mut messages = Vec::new();
    let (_, end) = Scanner::new().feed(format!("{line}\n").as_bytes(), &mut messages);
    assert!(end.is_some_and(|end| end.is_valid), "{line}");
    assert_eq!(messages.len(), 1, "{line}");
    messages.remove(0)
}

#[test]
fn what_a_message_says_is_found_wherever_it_stands() {
    let check = |line: &str, member: &str, expected: Value| {
        assert_eq!(summary(&one(line))[member], expected, "{line}");
    };
    check(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[1, 2]}}}"#,
        "arguments",
        json!(r#"{"x":[1, 2]}"#),
    );
    check(
        r#"{"params":{"arguments":5 ,"name":"\u00e4\ud83d\ude00"},"method":"tools\/call","id":"\"q"}"#,
        "name",
        json!("ä😀"),
    );
    check(r#"{"params":{"arguments":5 ,"name":"x"},"id":1}"#, "arguments", json!("5"));
    check(r#"{"id":"\"q"}"#, "id", json!(r#""\"q""#));
    check(r#"{"id": 12 }"#, "id", json!("12"));
    check(r#"{"id":null}"#, "id", json!(null));
    check(r#"{"\u0069d":7}"#, "id", json!("7"));
    check(r#"{"other":{"id":3,"method":"x"},"id":4}"#, "id", json!("4"));
    check(r#"{"params":{"name":"a\ud800b"}}"#, "name", json!("a\u{FFFD}b"));
    check(r#"{"params":{"name":["no text"]}}"#, "name", json!(null));
    check(r#"{"params":{"_meta":{"a":[{}]}}}"#, "meta", json!(r#"{"a":[{}]}"#));
    check(r#"{"result":{"content":[{"type":"text","text":"a"},{"text":"b","type":"text"}]}}"#, "text", json!("a\nb"));
    check(
        r#"{"result":{"content":[{"type":"image","data":"AAAA","mimeType":"image/png"}]}}"#,
        "text",
        json!("[image/png, 3 B]"),
    );
    check(
        r#"{"result":{"content":[{"type":"resource","resource":{"uri":"u","mimeType":"text/plain","text":"abc"}}]}}"#,
        "text",
        json!("[text/plain, 3 B]"),
    );
    check(r#"{"result":{"content":[{"type":"resource_link","uri":"u"}]}}"#, "text", json!("[resource_link]"));
    check(r#"{"result":{"structuredContent":{ "a" : [1, "b c"] },"content":[]}}"#, "text", json!(r#"{"a":[1,"b c"]}"#));
    check(r#"{"result":{"structuredContent":{"a":1},"content":[{"type":"text","text":"t"}]}}"#, "text", json!("t"));
    check(r#"{"result":{"isError": true ,"content":[]}}"#, "is_error", json!(true));
    check(r#"{"result":{"isError":"true","content":[]}}"#, "is_error", json!(false));
    check(r#"{"error":{"data":{"message":"inner"},"message":"m","code":-32602}}"#, "error", json!([-32602, "m"]));
    check(r#"{"result":{"resultType":"input_required","requestState":"s"}}"#, "type", json!("input_required"));
}

#[test]
fn a_line_is_valid_if_it_is_json() {
    let check = |line: &str, expected: bool| {
        let (_, lines) = read(line.as_bytes(), &[7]);
        assert_eq!(lines[0].is_valid, expected, "{line}");
    };
    for valid in [
        "{}",
        "[]",
        " {} ",
        "{\"a\":1}\r",
        "[{},{}]",
        "5",
        "-0.5e+3",
        "null",
        "\"\"",
        "NaN",
        "[Infinity,-Infinity]",
        "{\"a\":{\"b\":[[],{}]}}",
        "[1 , 2]",
        "\"\\u00e4\\n\\/\"",
    ] {
        check(valid, true);
    }
    for invalid in [
        "",
        " ",
        "{",
        "}",
        "[}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "tru",
        "nul",
        "{}{}",
        "{} x",
        "\"",
        "\"a",
        "\"\\x\"",
        "\"\\u00g0\"",
        "\"\t\"",
        "'a'",
        "\u{FEFF}{}",
        "{\"a\":1 \"b\":2}",
        "[1 2]",
        "{\"a\" 1}",
        "{,}",
        "--1",
    ] {
        check(invalid, false);
    }
    let deep = format!("{}{}", "[".repeat(9_999), "]".repeat(9_999));
    check(&deep, true);
    check(&format!("[[{deep}]]"), false);
}

#[test]
fn a_member_that_decides_may_come_once_and_in_small_letters() {
    let check = |line: &str, expected: bool| {
        let message = one(line);
        assert_eq!(message.ambiguous_method || message.ambiguous_tool, expected, "{line}");
    };
    check(r#"{"id":1,"method":"a","params":{"name":"b","arguments":{"name":"c","Name":"d"}}}"#, false);
    check(r#"{"id":1,"id":1,"params":{"arguments":1,"Arguments":2}}"#, false);
    check(r#"{"params":{"name":"a","name":"b"}}"#, true);
    check(r#"{"method":"a","m\u0065thod":"a"}"#, true);
    check(r#"{"Method":"a"}"#, true);
    check(r#"{"params":{"NAME":"a"}}"#, true);
    check(r#"{"params":{"other":1,"other":2}}"#, false);
}

#[test]
fn long_values_pass_in_constant_memory() {
    let text = "ä".repeat(40_000);
    let line = format!(r#"{{"result":{{"content":[{{"type":"text","text":"{text}"}}]}},"id":1}}"#);
    let message = one(&line);
    let (kept, chars) = message.outcome.unwrap().text.text();
    assert_eq!((kept.len(), chars), (32 * 1024, Some(40_000)));
    let arguments = "x".repeat(3 * 1024 * 1024);
    let line = format!(r#"{{"params":{{"arguments":{{"x":"{arguments}"}},"name":"n"}},"id":1}}"#);
    let message = one(&line);
    let (kept, chars) = message.params.arguments.unwrap().text();
    assert_eq!((kept.len(), chars, message.params.name.as_deref()), (32 * 1024, Some(3 * 1024 * 1024 + 8), Some("n")));
}

/// A JSON text with random spelling: escapes, spaces and the order of members.
fn spelled(value: &Value, dice: &mut impl FnMut(u32) -> u32) -> String {
    let space = |dice: &mut dyn FnMut(u32) -> u32| ["", "", " ", "\t", "\r", "  "][dice(6) as usize];
    match value {
        Value::String(text) => {
            let mut out = String::from("\"");
            for character in text.chars() {
                if dice(4) == 0 || character == '"' || character == '\\' || character < ' ' {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        out += &format!("\\u{unit:04x}");
                    }
                } else {
                    out.push(character);
                }
            }
            out + "\""
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| format!("{}{}{}", space(dice), spelled(item, dice), space(dice)));
            format!("[{}]", items.collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => {
            let mut members = members.iter().collect::<Vec<_>>();
            for n in (1..members.len()).rev() {
                members.swap(n, dice(n as u32 + 1) as usize);
            }
            let members = members.into_iter().map(|(name, value)| {
                let name = spelled(&Value::from(name.as_str()), dice);
                format!("{}{name}{}:{}{}", space(dice), space(dice), space(dice), spelled(value, dice))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop_oneof![Just("id"), Just("method"), Just("name"), Just("text"), Just("result"), Just("x")];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..4)
                .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn messages_are_read_like_serde_json_reads_them(
        name in ".{0,20}",
        id in prop_oneof![any::<i64>().prop_map(Value::from), ".{0,10}".prop_map(Value::from)],
        arguments in any_json(),
        other in any_json(),
        texts in prop::collection::vec(".{0,20}", 0..4),
        pieces in prop::collection::vec(1_usize..40, 1..6),
        seed in any::<u64>(),
    ) {
        let mut state = seed;
        let mut dice = move |below: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as u32) % below
        };
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "other": other,
            "params": { "name": name, "arguments": arguments, "_meta": { "a": other } } });
        let blocks = texts.iter().map(|text| json!({ "type": "text", "text": text, "annotations": other })).collect::<Vec<_>>();
        let answer = json!({ "jsonrpc": "2.0", "id": id, "result": { "content": blocks, "isError": true, "other": other } });
        let text = format!("{}\n{}", spelled(&request, &mut dice), spelled(&answer, &mut dice));

        let (messages, lines) = read(text.as_bytes(), &pieces);
        prop_assert_eq!(&messages, &read(text.as_bytes(), &[usize::MAX]).0);
        prop_assert!(lines.iter().all(|line| line.is_valid && !line.is_batch));
        prop_assert_eq!(messages.len(), 2);
        let id = Id::parse(&id.to_string()).map(|id| id.json());
        prop_assert_eq!(&messages[0]["id"], &json!(id));
        prop_assert_eq!(&messages[1]["id"], &json!(id));
        prop_assert_eq!(&messages[0]["name"], &json!(name));
        let read_back = serde_json::from_str::<Value>(messages[0]["arguments"].as_str().unwrap()).unwrap();
        prop_assert_eq!(read_back, arguments);
        prop_assert_eq!(&messages[1]["text"], &json!(texts.join("\n")));
        prop_assert_eq!(&messages[1]["is_error"], &json!(true));
    }

    #[test]
    fn any_bytes_are_read_alike_in_any_pieces(
        parts in prop::collection::vec(prop_oneof![
            Just(b"{\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"".to_vec()),
            Just(b"\"}}\n".to_vec()), Just(b"[".to_vec()), Just(b"]".to_vec()), Just(b"}\r\n".to_vec()), Just(b",".to_vec()),
            Just(b"\\ud83d".to_vec()), Just(b"\\ude00".to_vec()), Just(b"\xc3".to_vec()), Just(b"\"".to_vec()),
            Just(b"{\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"".to_vec()),
            prop::collection::vec(any::<u8>(), 0..6),
        ], 0..12),
        pieces in prop::collection::vec(1_usize..9, 1..5),
    ) {
        let bytes = parts.concat();
        let (messages, lines) = read(&bytes, &pieces);
        prop_assert_eq!(lines.len(), bytes.iter().filter(|byte| **byte == b'\n').count() + 1);
        prop_assert_eq!((messages, lines.clone()), read(&bytes, &[usize::MAX]));
        // What serde_json reads is valid for the scanner too.
        for (line, end) in bytes.split(|byte| *byte == b'\n').zip(lines) {
            if serde_json::from_slice::<Value>(line).is_ok() {
                prop_assert!(end.is_valid, "{}", String::from_utf8_lossy(line));
            }
        }
    }
}
