//! Sequences of events and the entries that they make: each file below `tests/data/hooks/` is one sequence.
//!
//! A line `{"event":NAME,"client":CLIENT,"stdin":{…}}` is an event; `client` and `event` may be left out. A line
//! `{"file":NAME,"text":TEXT}` writes a session file, whose path an event has as `{"…":"$DIR/NAME"}`. A line
//! `{"wait_ms":N}` lets time pass. The last line, `{"entries":[…]}`, lists the entries, with the members that matter.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use tooltrail::{Clock, DurabilityPolicy, Options, SystemClock, Timestamp};

use crate::hook::client::Client;
use crate::hook::clients::{read, sender};
use crate::hook::event::Event;
use crate::hook::record::Records;

/// A clock that a sequence moves.
#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> std::time::Duration {
        SystemClock::default().monotonic()
    }
}

/// 2026-11-23T08:00:00Z.
const START_MS: i64 = 1_795_420_800_000;

/// Runs one sequence, and returns its entries in the order in which they were recorded.
fn entries(client: Client, lines: &[Value], folder: &Path) -> Vec<Value> {
    let clock = Arc::new(SetClock(AtomicI64::new(START_MS)));
    let home = folder.join("home");
    for line in lines {
        if let Some(name) = line["file"].as_str() {
            std::fs::write(folder.join(name), line["text"].as_str().unwrap()).unwrap();
        }
        clock.0.fetch_add(line["wait_ms"].as_i64().unwrap_or(0), Ordering::Relaxed);
        if line.get("stdin").is_none() {
            continue;
        }
        let stdin = match &line["stdin"] {
            Value::String(text) => text.clone(),
            event => event.to_string(),
        };
        let stdin = stdin.replace("$DIR", folder.to_str().unwrap());
        let Some(event) = Event::parse(&stdin) else { continue };
        let client = sender(line["client"].as_str().and_then(Client::parse).unwrap_or(client), &event);
        let told = read(client, line["event"].as_str(), &event);
        let mut options = Options::new(&home);
        options.clock = clock.clone();
        let recorder = options.open_sessions().unwrap();
        let durability = DurabilityPolicy::default();
        let records = Records {
            client,
            recorder: &recorder,
            durability: &durability,
            clock: &*clock,
            user: "alice",
            client_name: client.name(),
            has_room: true,
            lost: std::cell::Cell::new(0),
        };
        records.told(&told).unwrap();
        recorder.settle().unwrap();
    }
    let days = std::fs::read_dir(home.join("alice/tool_audit")).into_iter().flatten().flatten();
    let mut paths = days.map(|day| day.path()).collect::<Vec<_>>();
    paths.sort();
    let text = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect::<String>();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Compares the entries of a sequence with those that it lists: each listed member must be there, and `null` means that
/// it must be missing.
fn check(name: &str, client: Client, text: &str) {
    let lines = text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = lines.collect::<Vec<_>>();
    let (last, events) = lines.split_last().unwrap();
    let expected = last["entries"].as_array().unwrap_or_else(|| panic!("{name}: the last line has no entries"));
    let folder = tempfile::tempdir().unwrap();
    let found = entries(client, events, folder.path());
    assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found["via"], "hook", "{name}");
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(&found[member], value, "{name}: {member} of {found:#?}");
        }
    }
}

#[test]
fn each_sequence_of_events_makes_its_entries() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hooks");
    let (mut checked, mut failed) = (0, Vec::new());
    for client in Client::ALL {
        let files = std::fs::read_dir(root.join(client.name())).into_iter().flatten().flatten();
        for path in files.map(|file| file.path()) {
            let text = std::fs::read_to_string(&path).unwrap();
            // All failures are shown, because one cause often has several.
            let name = path.display().to_string();
            if std::panic::catch_unwind(|| check(&name, client, &text)).is_err() {
                failed.push(name);
            }
            checked += 1;
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(checked >= 100, "only {checked} sequences were found");
}

#[test]
fn an_event_with_huge_members_makes_one_entry() {
    let big = "x".repeat(10 << 20);
    let event = json!({ "hook_event_name": "PostToolUse", "session_id": "s", "tool_name": "Bash", "tool_use_id": "toolu_1",
        "tool_input": { "command": &big }, "tool_response": { "stdout": &big, "stderr": "" }, "cwd": &big });
    let folder = tempfile::tempdir().unwrap();
    let found = entries(Client::ClaudeCode, &[json!({ "stdin": event })], folder.path());
    assert_eq!((found.len(), &found[0]["result_chars"]), (1, &json!(10 << 20)));
    assert!(found[0]["args"]["clipped"].as_str().unwrap().starts_with("{\"command\":\"xxx"), "{found:?}");
}

#[test]
fn members_of_any_type_are_no_reason_to_fail() {
    let names = [
        "session_id",
        "tool_name",
        "tool_input",
        "tool_use_id",
        "tool_response",
        "tool_calls",
        "duration_ms",
        "error",
        "hook_event_name",
        "agent_id",
        "toolName",
        "toolArgs",
        "toolResult",
        "transcript_path",
        "cwd",
        "mcp_context",
    ];
    let values = [json!(null), json!(7), json!("x"), json!([1]), json!({ "a": 1 }), json!(true)];
    let folder = tempfile::tempdir().unwrap();
    for client in Client::ALL {
        for name in names {
            for value in &values {
                let mut event = json!({ "hook_event_name": "PostToolUse", "session_id": "s", "tool_name": "Bash" });
                event[name] = value.clone();
                let text = event.to_string();
                let event = Event::parse(&text).unwrap();
                read(sender(client, &event), Some("PreToolUse"), &event);
            }
        }
    }
    let not_events = [json!("[]"), json!("nonsense"), json!(""), json!({}), json!({ "hook_event_name": "Later" })];
    let lines = not_events.map(|stdin| json!({ "stdin": stdin }));
    assert_eq!(entries(Client::ClaudeCode, &lines, folder.path()), Vec::<Value>::new());
}
