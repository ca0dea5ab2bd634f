//! Tests that the frozen lines of version 1 stay the same, and that every call becomes one valid line.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;

use crate::call::{Call, Outcome, Payload, Reason, Status, Via};
use crate::clip::Clipped;
use crate::clock::{Timestamp, Zone};
use crate::entry::encode::{encode, write};
use crate::entry::{receive, receive_finished};
use crate::limits::LINE_BYTES_MAX;
use crate::redact::{BoundedCall, Redactor};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/v1/lines.jsonl");
const SECRETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/secrets.jsonl.zst");
const SECOND_ENCODER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/v1/encoder.py");
const SEVEN: [&str; 7] = ["ts", "user", "tool", "args", "status", "result_chars", "result_snippet"];

/// The redactor that the recorder uses, and a slower one that reads every byte.
static ENGINES: LazyLock<[Redactor; 2]> = LazyLock::new(|| [Redactor::new(None), Redactor::thorough(None)]);

/// Returns the line as the writer makes it, and checks that the complete path without shortcuts gives the same line.
fn line(call: &Call, bits: [u8; 10], salt: [u8; 16]) -> String {
    let [redactor, thorough] = &*ENGINES;
    let windowed = BoundedCall::outside(call, Timestamp::from_millis(1_764_000_000_000), redactor);
    let line = short_and_long(redactor, thorough, &windowed, bits, salt);
    let mut finished = receive_finished(line.trim_end(), &Zone::UTC).unwrap();
    if finished.is_finished() {
        finished.identity = call.identity;
        let mut again = String::new();
        let windowed = BoundedCall::outside(&finished, Timestamp::from_millis(0), redactor);
        write(&mut again, redactor, &windowed, [0; 10], finished.salt.unwrap());
        assert_eq!(again, line, "a finished line stays as it is");
    }
    line
}

/// Returns the line that `redactor` and the writer make, and checks that it equals the line that `thorough` makes step
/// by step.
fn short_and_long(
    redactor: &Redactor,
    thorough: &Redactor,
    call: &BoundedCall,
    bits: [u8; 10],
    salt: [u8; 16],
) -> String {
    // The buffer already contains another line, as in the writer.
    let (mut short, mut long) = ("before\n".to_owned(), String::new());
    let place = write(&mut short, redactor, call, bits, salt);
    assert_eq!(place, encode(&mut long, Clipped::of(thorough.redact(call.clone())), bits, salt));
    assert_eq!(short.strip_prefix("before\n"), Some(&*long));
    long
}

fn unhex<const N: usize>(digits: &str) -> [u8; N] {
    std::array::from_fn(|n| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).unwrap())
}

#[test]
fn every_vector_is_written_byte_for_byte() {
    let vectors = std::fs::read_to_string(VECTORS).unwrap();
    assert!(vectors.lines().count() >= 40);
    for row in vectors.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let text = |name: &str| row[name].as_str().unwrap();
        let mut call = receive(text("received"), &Zone::UTC).unwrap();
        call.via = Via::parse(text("via")).unwrap();
        let written = line(&call, unhex(text("bits")), unhex(text("salt")));
        assert_eq!(written, text("line"), "{}", text("name"));
    }
}

#[test]
fn a_second_encoder_writes_the_same_bytes() {
    let vectors = std::fs::read_to_string(VECTORS).unwrap();
    let mut python = Command::new("python3");
    let mut child = python.arg(SECOND_ENCODER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let rows = vectors.clone();
    let feed = std::thread::spawn(move || input.write_all(rows.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), vectors);
}

#[test]
fn an_engine_that_is_off_changes_nothing_but_what_redaction_would() {
    let [redactor, _] = &*ENGINES;
    let off = Redactor::off();
    let written = |engine: &Redactor, args: &str| {
        let call = Call::new("alice", "t", args).ok("password=hunter2x");
        let call = BoundedCall::outside(&call, Timestamp::from_millis(0), engine);
        short_and_long(engine, engine, &call, [0; 10], [0; 16])
    };
    for args in [r#"{"list":["--token","ab12cd34ef56"],"name":"password"}"#, r#"{"token":"ab12cd34ef56"}"#, "[1]"] {
        let text = written(&off, args);
        assert!(text.contains("hunter2x") && text.contains(args) && !text.contains("redacted"), "{text}");
        assert!(!written(redactor, args).contains("hunter2x"));
    }
}

/// Writes calls that contain secrets; `line` compares both ways to write them.
#[test]
fn calls_with_secrets_are_written_alike_in_both_ways() {
    let file = std::fs::File::open(SECRETS).unwrap();
    let rows = String::from_utf8(zstd::stream::decode_all(file).unwrap()).unwrap();
    assert!(rows.lines().count() >= 500);
    for row in rows.split_terminator('\n') {
        let row: Value = serde_json::from_str(row).unwrap();
        let result = row["result"].as_str().unwrap_or("");
        let args = [row["args"].to_string(), serde_json::to_string_pretty(&row["args"]).unwrap()];
        for args in args.into_iter().chain([format!(r#"{{"list":["run",{},["a"]],"n":1}}"#, Value::from(result))]) {
            line(&Call::new("alice", row["tool"].as_str().unwrap(), args).ok(result), [0; 10], [0; 16]);
        }
    }
}

/// Returns text with all characters that have ever broken a line.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\u{0}-\u{a0}\u{2028}-\u{202e}\u{2066}-\u{2069}\"\\\\{}]{0,40}",
        "[a-z]{0,600}",
        "(\\[redacted:[a-z]{1,8}\\]|x){0,80}",
    ]
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any_text().prop_map(|text| Value::from(text).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>().prop_filter("JSON has no NaN", |number| number.is_finite()).prop_map(|number| number.to_string()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("\"\\ud800\"".to_owned()),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(|all| format!("[{}]", all.join(" , "))),
            prop::collection::vec((any_text(), inner), 0..8).prop_map(|all| {
                let members = all.iter().map(|(key, value)| format!("{}: {value}", Value::from(key.as_str())));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

fn any_call() -> impl Strategy<Value = Call> {
    let args = prop_oneof![any_json(), any_text()];
    let payload = prop_oneof![any_text().prop_map(Payload::Text), any_json().prop_map(Payload::Json)];
    let outcome = (
        prop::sample::select(Status::ALL),
        prop::option::of(prop::sample::select(Reason::ALL)),
        prop::option::of(payload),
        prop::option::of(any_text()),
    );
    let outcome = outcome.prop_map(|(status, reason, result, error)| {
        let mut outcome = Outcome::default();
        (outcome.status, outcome.reason, outcome.result, outcome.error) = (status, reason, result, error);
        outcome
    });
    let fields = prop::collection::vec(prop::option::of(any_text()), 10);
    let extra = prop::collection::vec((any_text(), any_json()), 0..6);
    (any_text(), any_text(), args, prop::option::of(outcome), fields, extra, any::<i64>()).prop_map(
        |(user, tool, args, outcome, fields, extra, ms)| {
            let mut call = Call::new(user, tool, args);
            let mut fields = fields.into_iter();
            let mut next = || fields.next().flatten();
            (call.session, call.call_id, call.parent, call.agent) = (next(), next(), next(), next());
            (call.model, call.client, call.server) = (next(), next(), next());
            (call.trace_id, call.span_id, call.rule) = (next(), next(), next());
            (call.outcome, call.extra, call.ts) = (outcome, extra, Some(Timestamp::from_millis(ms)));
            call
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_call_is_one_line(call in any_call(), bits in any::<[u8; 10]>(), salt in any::<[u8; 16]>()) {
        let line = line(&call, bits, salt);
        prop_assert!(line.len() <= LINE_BYTES_MAX, "{} bytes", line.len());
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        let control = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        prop_assert!(!line.trim_end_matches('\n').chars().any(control));
        let value: serde_json::Map<String, Value> = serde_json::from_str(&line).map_err(|e| TestCaseError::fail(e.to_string()))?;
        for name in SEVEN {
            prop_assert!(value.contains_key(name), "{name} is missing");
        }
        prop_assert!(value["args"].is_object() && value["result_chars"].is_u64());
        let order = SEVEN.iter().map(|name| line.find(&format!("\"{name}\":"))).collect::<Vec<_>>();
        prop_assert!(order.is_sorted());
        // Our own line is received again with the same id.
        let again = receive(&line, &Zone::UTC).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(again.id.map(|id| id.to_string()), value["id"].as_str().map(str::to_owned));
    }
}

#[test]
fn no_number_makes_a_line_too_long() {
    for digits in [1, 200, 201, 70_000] {
        let number = "1".repeat(digits);
        let call = receive(&format!(r#"{{"tool":"t","duration_ms":{number}}}"#), &Zone::UTC).unwrap();
        let line = line(&call, [0; 10], [0; 16]);
        assert!(line.len() <= LINE_BYTES_MAX, "{} bytes", line.len());
        // A number that is not a valid duration is kept in `extra`, as far as it fits.
        assert_eq!(line.contains(&format!(r#","duration_ms":{number},"#)), digits <= 200, "{digits} digits");
        assert_eq!(line.contains(r#""extra":{"#), digits > 200, "{digits} digits");
    }
}
