//! Sessions: the list of them, the neighbours of a call, and session files compared with the trail.

use serde_json::{Value, json};

use crate::support::{TestHome, minutes_ago};

/// A line of the common form.
fn line(session: &str, n: i64, status: &str) -> String {
    let ts = minutes_ago(60 - n);
    json!({ "ts": ts.to_string(), "user": "alice", "session": session, "tool": format!("t{n}"), "args": {}, "status": status, "client": "a/1", "duration_ms": 1_000 })
        .to_string()
        + "\n"
}

fn answer(home: &TestHome, args: &[&str]) -> Value {
    let ran = home.run(&[args, &["--json"]].concat());
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err))
}

#[test]
fn the_newest_sessions_are_listed_with_their_counts() {
    let home = TestHome::new();
    let text = [line("one", 0, "ok"), line("one", 1, "error"), line("two \"*\"", 2, "denied"), line("one", 3, "ok")];
    let file = home.file("calls.jsonl", text.concat());
    assert_eq!(home.run(&["import", &file]).code, Some(0));
    let found = answer(&home, &["sessions"]);
    let names = found["sessions"].as_array().unwrap().iter().map(|session| session["session"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["one", "two \"*\""]);
    let one = &found["sessions"][0];
    assert_eq!([&one["calls"], &one["errors"], &one["denied"]], [3, 1, 0]);
    assert_eq!((&one["client"], &one["user"]), (&json!("a/1"), &json!("alice")));
    assert!(one["begin"].as_str() < one["end"].as_str());
    let limited = answer(&home, &["sessions", "--limit", "1"]);
    assert_eq!((limited["sessions"].as_array().unwrap().len(), &limited["total"]), (1, &json!(2)));
    let table = home.run(&["sessions", "status=denied"]).out;
    assert!(table.contains("two \"*\"") && !table.contains("one"), "{table}");
    // The neighbours of a call are of its session alone.
    let stored = home.stored();
    let id = |tool: &str| stored.iter().find(|entry| entry["tool"] == tool).unwrap()["id"].as_str().unwrap().to_owned();
    let shown = home.run(&["show", &id("t1")]).out;
    assert!(shown.contains("before, in the same session") && shown.contains("t0") && shown.contains("t3"), "{shown}");
    assert!(!shown.contains("t2"), "{shown}");
    let around = answer(&home, &["show", &id("t1"), "--around", "1"]);
    assert_eq!(around["entry"]["tool"], "t1");
    assert_eq!((&around["before"][0]["tool"], &around["after"][0]["tool"]), (&json!("t0"), &json!("t3")));
    let alone = home.run(&["show", &id("t2")]).out;
    assert!(!alone.contains("same session"), "{alone}");
}

#[test]
fn calls_that_only_one_side_has_are_told() {
    let home = TestHome::new();
    assert_eq!(home.run(&["reconcile"]).code, Some(2));
    let call = |id: &str, n: i64| {
        let ts = minutes_ago(30 - n).to_string();
        let head = json!({ "sessionId": "s-1", "version": "2.1.0", "cwd": "/w", "uuid": "u", "parentUuid": "p", "timestamp": ts });
        let line = |kind: &str, content: Value| {
            let mut line = head.clone();
            line["type"] = json!(kind);
            line["message"] = json!({ "role": kind, "content": content });
            line.to_string() + "\n"
        };
        line("assistant", json!([{ "type": "tool_use", "id": id, "name": "Bash", "input": {} }]))
            + &line("user", json!([{ "type": "tool_result", "tool_use_id": id, "content": "x" }]))
    };
    let [both, file_only, trail_only, failed] =
        ["1aB2cD3eF4gH5iJ6kL7m", "2bC3dE4fG5hI6jK7lM8n", "3cD4eF5gH6iJ7kL8mN9o", "4dE5fG6hI7jK8lM9nO0p"]
            .map(|random| format!("toolu_{random}"));
    std::fs::create_dir_all(home.path(".claude/projects/-w")).unwrap();
    let text = [call(&both, 0), call(&file_only, 1), call(&failed, 2)].concat();
    std::fs::write(home.path(".claude/projects/-w/s-1.jsonl"), text).unwrap();
    let hook = |id: &str, name: &str| {
        let event = json!({ "hook_event_name": name, "session_id": "s-1", "tool_name": "Bash", "tool_use_id": id, "tool_input": {}, "tool_response": "x", "error": "bad" });
        let args = ["hook", "claude-code", "--home", home.home().to_str().unwrap()].map(str::to_owned);
        home.run_with(&args.iter().map(String::as_str).collect::<Vec<_>>(), event.to_string().as_bytes());
    };
    [&both, &trail_only].into_iter().for_each(|id| hook(id, "PostToolUse"));
    hook(&failed, "PostToolUseFailure");
    let found = answer(&home, &["reconcile", "claude-code"]);
    let agent = &found["agents"][0];
    let ids =
        |list: &str| agent[list].as_array().unwrap().iter().map(|call| call["call_id"].clone()).collect::<Vec<_>>();
    assert_eq!(agent["both"], 2);
    assert_eq!((ids("only_in_files"), ids("only_in_trail")), (vec![json!(file_only)], vec![json!(trail_only)]));
    assert_eq!(
        (ids("other_status"), &agent["other_status"][0]["status_in_trail"]),
        (vec![json!(failed)], &json!("error"))
    );
    let ran = home.run(&["reconcile"]);
    assert!(ran.code == Some(1) && ran.out.contains("only in session files: 1"), "{}", ran.out);
    // Taking in what only the files have leaves the call that no file has.
    assert_eq!(home.run(&["import", "--agents", "--yes"]).code, Some(0));
    let found = answer(&home, &["reconcile"]);
    assert_eq!(found["agents"][0]["only_in_files"], json!([]));
    // What a hook has seen is not stored a second time.
    let imported = home.stored().into_iter().filter(|entry| entry["via"] == "import").collect::<Vec<_>>();
    assert_eq!((imported.len(), &imported[0]["call_id"]), (1, &json!(file_only)));
}

#[test]
fn calls_without_an_id_are_the_same_in_hooks_and_files() {
    let home = TestHome::new();
    let chats = home.path(".gemini/tmp/w/chats");
    std::fs::create_dir_all(&chats).unwrap();
    // A sub-agent has a session of its own in the files, and that of the main agent in the hooks.
    for (session, kind, n) in [("g-1", "main", 1), ("g-2", "subagent", 2)] {
        let now = minutes_ago(0).to_string();
        let event = json!({ "hook_event_name": "AfterTool", "session_id": "g-1", "tool_name": "read_file",
            "tool_input": { "n": n }, "tool_response": { "llmContent": "x" } });
        home.run_with(&["hook", "gemini", "--home", home.home().to_str().unwrap()], event.to_string().as_bytes());
        let call = json!({ "id": format!("read_file__read_file_1764_{n}"), "name": "read_file", "args": { "n": n },
            "status": "success", "timestamp": now, "result": [{ "functionResponse": { "response": { "output": "x" } } }] });
        let lines = [
            json!({ "sessionId": session, "projectHash": "h", "startTime": now, "kind": kind }),
            json!({ "id": "m", "timestamp": now, "type": "gemini", "content": "", "toolCalls": [call] }),
        ];
        std::fs::write(chats.join(format!("session-{n}.jsonl")), lines.map(|line| format!("{line}\n")).concat())
            .unwrap();
    }
    let found = home.run(&["reconcile"]);
    assert!(found.code == Some(0) && found.out.contains("2 calls in both"), "{}", found.out);
    let taken = home.run(&["import", "--agents", "--yes"]);
    assert!(taken.code == Some(0) && taken.err.contains("0 calls stored, 2 in the trail already"), "{}", taken.err);
}
