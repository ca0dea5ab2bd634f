//! Session files of coding agents: each call once, with its outcome, whatever the files repeat.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::TestHome;

/// Two calls of Claude Code, one of them refused by a person, and one without a result.
fn claude_code() -> String {
    let head = json!({ "sessionId": "s-1", "version": "2.1.0", "cwd": "/w", "uuid": "u", "parentUuid": "p" });
    let line = |kind: &str, second: u32, content: Value| {
        let mut line = head.clone();
        line["type"] = json!(kind);
        line["timestamp"] = json!(format!("2026-11-20T10:00:{second:02}.500Z"));
        line["message"] = json!({ "role": kind, "model": "claude-x", "content": content });
        line.to_string() + "\n"
    };
    let call =
        |id: &str, name: &str, input: Value| json!([{ "type": "tool_use", "id": id, "name": name, "input": input }]);
    let result = |id: &str, text: &str, is_error: bool| json!([{ "type": "tool_result", "tool_use_id": id, "content": text, "is_error": is_error }]);
    [
        json!({ "type": "summary", "summary": "a session" }).to_string() + "\n",
        line("user", 0, json!("please look")),
        line(
            "assistant",
            1,
            call("toolu_01aaaaaaaaaaaaaaaaaa", "Bash", json!({ "command": "ls", "password": "hunter2hunter2" })),
        ),
        line("user", 3, result("toolu_01aaaaaaaaaaaaaaaaaa", "a.txt", false)),
        line("assistant", 4, call("toolu_01bbbbbbbbbbbbbbbbbb", "mcp__git__git_log", json!({}))),
        line(
            "user",
            5,
            result(
                "toolu_01bbbbbbbbbbbbbbbbbb",
                "The user doesn't want to proceed with this tool use. It was rejected",
                true,
            ),
        ),
        line("assistant", 6, call("toolu_01cccccccccccccccccc", "Nope", json!({}))),
        line(
            "user",
            7,
            result(
                "toolu_01cccccccccccccccccc",
                "<tool_use_error>Error: No such tool available: Nope</tool_use_error>",
                true,
            ),
        ),
        line("assistant", 8, call("toolu_01dddddddddddddddddd", "Bash", json!({ "command": "sleep 9" }))),
    ]
    .concat()
}

fn codex() -> String {
    let line = |kind: &str, second: u32, payload: Value| {
        json!({ "timestamp": format!("2026-11-20T11:00:{second:02}.000Z"), "type": kind, "payload": payload })
            .to_string()
            + "\n"
    };
    let call =
        |id: &str, args: &str| json!({ "type": "function_call", "name": "shell", "arguments": args, "call_id": id });
    let output = |id: &str, output: Value| json!({ "type": "function_call_output", "call_id": id, "output": output });
    [
        line("session_meta", 0, json!({ "id": "c-1", "cli_version": "0.9", "cwd": "/w" })),
        line("turn_context", 1, json!({ "model": "gpt-x" })),
        line("response_item", 2, call("call_aaaaaaaaaaaaaaaa", r#"{"command":["ls"]}"#)),
        line(
            "response_item",
            3,
            output("call_aaaaaaaaaaaaaaaa", json!(r#"{"output":"done","metadata":{"exit_code":0}}"#)),
        ),
        line("response_item", 4, call("call_bbbbbbbbbbbbbbbb", r#"{"command":["false"]}"#)),
        line(
            "response_item",
            5,
            output("call_bbbbbbbbbbbbbbbb", json!("Chunk\nProcess exited with code 1\nOutput:\n")),
        ),
        line("response_item", 6, json!({ "type": "reasoning" })),
    ]
    .concat()
}

fn pi() -> String {
    let line = |second: u32, message: Value| {
        json!({ "type": "message", "timestamp": format!("2026-11-20T12:00:{second:02}.000Z"), "message": message })
            .to_string()
    };
    let call = |id: &str| json!({ "role": "assistant", "model": "m", "content": [{ "type": "toolCall", "id": id, "name": "read", "arguments": { "path": id } }] });
    let result = |id: &str, is_error: bool| json!({ "role": "toolResult", "toolCallId": id, "content": [{ "type": "text", "text": "t" }], "isError": is_error });
    // Two objects in one line, as two processes left them.
    format!(
        "{}\n{}{}\n{}\n{}\n",
        json!({ "type": "session", "id": "p-1", "timestamp": "2026-11-20T12:00:00.000Z", "cwd": "/w" }),
        line(1, call("tool-1")),
        line(2, result("tool-1", false)),
        line(3, call("tool-2")),
        line(4, result("tool-2", true)),
    )
}

/// A log of changes to one document: a message is written again when it has grown, and the whole list once more.
fn gemini() -> String {
    let result = |id: &str, name: &str, response: Value| json!([{ "functionResponse": { "id": id, "name": name, "response": response } }]);
    let call = |id: &str, name: &str, second: u32, status: &str, response: Value| {
        json!({ "id": id, "name": name, "args": { "n": second }, "status": status,
            "timestamp": format!("2026-11-20T13:00:{second:02}.000Z"), "result": result(id, name, response) })
    };
    let shell = "run_shell_command";
    let calls = json!([
        call(
            "run_shell_command__run_shell_command_1764_0",
            shell,
            1,
            "success",
            json!({ "output": "Output: x\nExit Code: 1" })
        ),
        call("read_file__read_file_1764_1", "read_file", 2, "success", json!({ "output": "Exit Code: 1" })),
        call(
            "run_shell_command__run_shell_command_1764_2",
            shell,
            3,
            "error",
            json!({ "error": "Tool execution denied by policy. no rm" })
        ),
        call("nope__nope_1764_3", "nope", 4, "error", json!({ "error": "Tool \"nope\" not found. Did you mean" })),
        call(
            "write_file__write_file_1764_4",
            "write_file",
            5,
            "cancelled",
            json!({ "error": "[Operation Cancelled] Reason: User denied execution." })
        ),
    ]);
    let message = json!({ "id": "m-2", "timestamp": "2026-11-20T13:00:00.000Z", "type": "gemini", "content": "", "model": "gemini-x" });
    let mut grown = message.clone();
    grown["toolCalls"] = calls;
    let lines = [
        json!({ "sessionId": "g-1", "projectHash": "h", "startTime": "2026-11-20T13:00:00.000Z", "kind": "main" }),
        json!({ "id": "m-1", "timestamp": "2026-11-20T13:00:00.000Z", "type": "user", "content": [{ "text": "please" }] }),
        message,
        grown.clone(),
        json!({ "$set": { "lastUpdated": "2026-11-20T13:00:06.000Z" } }),
        json!({ "$set": { "messages": [grown] } }),
    ];
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn copilot() -> String {
    let line = |kind: &str, second: u32, data: Value| {
        json!({ "type": kind, "data": data, "id": format!("e-{second}"), "parentId": null, "timestamp": format!("2026-11-20T14:00:{second:02}.000Z") })
            .to_string()
            + "\n"
    };
    let start = |second: u32, id: &str, tool: &str| {
        line(
            "tool.execution_start",
            second,
            json!({ "toolCallId": id, "toolName": tool, "arguments": { "n": second }, "model": "m" }),
        )
    };
    let complete = |second: u32, id: &str, mut data: Value| {
        data["toolCallId"] = json!(id);
        line("tool.execution_complete", second, data)
    };
    let failed = |code: &str, message: &str| json!({ "success": false, "error": { "code": code, "message": message } });
    [
        line(
            "session.start",
            0,
            json!({ "sessionId": "k-1", "copilotVersion": "1.0.102", "context": { "cwd": "/w" } }),
        ),
        line("assistant.message", 1, json!({ "messageId": "x", "toolRequests": [] })),
        start(2, "call_1", "bash"),
        complete(
            3,
            "call_1",
            json!({ "success": true, "result": { "content": "out" }, "shellExecution": { "exitCode": 1 } }),
        ),
        start(4, "call_2", "view"),
        complete(5, "call_2", json!({ "success": true, "result": { "content": "text" } })),
        start(6, "call_3", "bash"),
        complete(7, "call_3", failed("denied", "Denied by preToolUse hook: no")),
        start(8, "call_4", "bash"),
        line(
            "permission.completed",
            9,
            json!({ "toolCallId": "call_4", "result": { "kind": "denied-interactively-by-user" } }),
        ),
        complete(10, "call_4", failed("denied", "The user rejected this tool call.")),
        start(11, "call_5", "nope"),
        complete(12, "call_5", failed("failure", "Tool 'nope' does not exist.")),
    ]
    .concat()
}

/// Returns the imported calls as `client tool status reason`, in the order of time.
fn calls(place: &TestHome) -> Vec<String> {
    let mut entries = place.stored();
    entries.retain(|entry| entry["via"] == "import");
    entries.sort_by_key(|entry| entry["ts"].as_str().unwrap().to_owned());
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    let all =
        entries.iter().map(|entry| ["client", "tool", "status", "reason"].map(|name| text(entry, name)).join(" "));
    all.collect()
}

const CLAUDE_CODE: [&str; 3] = [
    "claude-code/2.1.0 Bash ok -",
    "claude-code/2.1.0 mcp__git__git_log denied user_refused",
    "claude-code/2.1.0 Nope error unknown_tool",
];

#[test]
fn each_agents_calls_are_understood() {
    let check = |file: String, expected: &[&str]| {
        let place = TestHome::new();
        let path = place.file("session.jsonl", file);
        let told = place.run(&["import", &path, "--user", "ada"]);
        assert_eq!(told.code, Some(0), "{}", told.err);
        assert_eq!(calls(&place), expected, "{}", told.err);
        place
    };
    check(
        gemini(),
        &[
            "gemini run_shell_command error tool_error",
            "gemini read_file ok -",
            "gemini run_shell_command denied policy",
            "gemini nope error unknown_tool",
            "gemini write_file denied user_refused",
        ],
    );
    let place = check(
        copilot(),
        &[
            "copilot/1.0.102 bash error tool_error",
            "copilot/1.0.102 view ok -",
            "copilot/1.0.102 bash denied hook",
            "copilot/1.0.102 bash denied user_refused",
            "copilot/1.0.102 nope error unknown_tool",
        ],
    );
    assert_eq!((&place.stored()[0]["duration_ms"], &place.stored()[0]["extra"]["cwd"]), (&json!(1000), &json!("/w")));
    let place = check(claude_code(), &CLAUDE_CODE);
    let entry = place.stored().into_iter().find(|entry| entry["tool"] == "Bash").unwrap();
    for (name, value) in [
        ("user", json!("ada")),
        ("ts", json!("2026-11-20T10:00:03.500Z")),
        ("args", json!({ "command": "ls", "password": "[redacted:password]" })),
        ("result_snippet", json!("a.txt")),
        ("duration_ms", json!(2_000)),
        ("session", json!("s-1")),
        ("call_id", json!("toolu_01aaaaaaaaaaaaaaaaaa")),
        ("model", json!("claude-x")),
        ("extra", json!({ "cwd": "/w" })),
    ] {
        assert_eq!(entry[name], value, "{name}");
    }
    let server = place.stored().into_iter().find(|entry| entry["tool"] == "mcp__git__git_log").unwrap();
    assert_eq!(server["server"], "git");
    check(codex(), &["codex/0.9 shell ok -", "codex/0.9 shell error tool_error"]);
    check(pi(), &["pi read ok -", "pi read error tool_error"]);
}

#[test]
fn calls_that_come_again_are_stored_once() {
    let place = TestHome::new();
    let whole = claude_code();
    let path = place.file("a.jsonl", &whole[..whole.find("toolu_01bbbb").unwrap()]);
    // A file that ends within a line, then the whole file, then a fork that begins with the same calls.
    assert_eq!(place.run(&["import", &path]).code, Some(1));
    let path = place.file("a.jsonl", &whole);
    assert_eq!(place.run(&["import", &path]).code, Some(0));
    let fork = place.file("b.jsonl", whole.replace("s-1", "s-2") + &whole);
    let told = place.run(&["import", &fork, &path, "--json"]);
    let answer = serde_json::from_str::<Value>(&told.out).unwrap();
    assert_eq!((&answer["accepted"], &answer["files"][0]["format"]), (&json!(0), &json!("claude-code")), "{answer}");
    assert_eq!(answer["files"][1]["before"], 3, "{answer}");
    assert_eq!(calls(&place), CLAUDE_CODE);
    // Short ids of other sessions are other calls.
    for session in ["p-1", "p-2"] {
        let path = place.file("pi.jsonl", pi().replace("p-1", session));
        assert_eq!(place.run(&["import", &path]).code, Some(0));
    }
    assert_eq!(calls(&place).len(), CLAUDE_CODE.len() + 4);
}

#[test]
fn a_call_without_a_result_waits_until_its_file_has_rested() {
    let place = TestHome::new();
    let path = place.file("a.jsonl", claude_code());
    let told = place.run(&["import", &path]);
    assert!(told.err.contains("3 calls stored, 1 without a result yet"), "{}", told.err);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(25 * 60 * 60)).unwrap();
    let told = place.run(&["import", &path]);
    assert!(told.err.contains("1 call stored, 3 in the trail already"), "{}", told.err);
    assert_eq!(calls(&place)[3], "claude-code/2.1.0 Bash error interrupted");
}

#[test]
fn the_agents_on_this_machine_are_found() {
    let place = TestHome::new();
    place.file(".claude/projects/-w/s-1.jsonl", claude_code());
    place.file(".claude/projects/-w/s-1/subagents/agent.jsonl", "{\"type\":\"summary\"}\n");
    place.file(".codex/sessions/2026/11/20/rollout.jsonl", codex());
    let asked = place.run(&["import", "--agents"]);
    assert_eq!(asked.code, Some(2), "{}", asked.err);
    assert!(asked.err.contains("claude-code: 2 session files, 4 calls, 2026-11-20 to 2026-11-20"), "{}", asked.err);
    assert!(asked.err.contains("--yes") && calls(&place).is_empty(), "{}", asked.err);
    let taken = place.run(&["import", "--agents", "--yes"]);
    assert_eq!(taken.code, Some(0), "{}", taken.err);
    assert!(taken.err.contains("3 session files: 5 calls stored"), "{}", taken.err);
    assert_eq!(calls(&place).len(), 5);
    let folder = place.path(".codex");
    let again = place.run(&["import", folder.to_str().unwrap()]);
    assert!(again.code == Some(0) && again.err.contains("2 in the trail already"), "{}", again.err);
    let empty = place.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let none = place.run(&["import", empty.to_str().unwrap()]);
    assert!(none.code == Some(2) && none.err.contains("session files"), "{}", none.err);
}

#[test]
fn a_call_in_the_future_is_named_with_or_without_a_result() {
    let place = TestHome::new();
    let line = |kind: &str, data: Value| {
        json!({ "type": kind, "id": "e", "timestamp": "2999-01-01T00:00:00.000Z", "data": data }).to_string() + "\n"
    };
    let begun = line("tool.execution_start", json!({ "toolCallId": "c", "toolName": "bash", "arguments": {} }));
    let ended =
        line("tool.execution_complete", json!({ "toolCallId": "c", "success": true, "result": { "content": "x" } }));
    for text in [begun.clone(), begun + &ended] {
        let told = place.run(&["import", &place.file("events.jsonl", text)]);
        assert!(told.code == Some(1) && told.err.contains("line "), "{}", told.err);
    }
    assert!(calls(&place).is_empty());
}

#[test]
fn projects_that_are_left_out_are_not_taken_in() {
    let place = TestHome::new();
    place.file(".claude/projects/-w/s-1.jsonl", claude_code());
    // Gemini CLI tells the folder of the project in a file beside those of the sessions.
    place.file(".gemini/tmp/w/.project_root", "/private/w\n");
    place.file(".gemini/tmp/w/chats/session-1.jsonl", gemini());
    place.file(".config/tooltrail/tooltrail.toml", "[agents]\nexclude = [\"/w\", \"/private/**\"]\n");
    let taken = place.run(&["import", "--agents", "--yes"]);
    assert_eq!(taken.code, Some(0), "{}", taken.err);
    assert!(
        taken.err.contains("0 calls stored") && taken.err.contains("of projects that are left out"),
        "{}",
        taken.err
    );
    assert!(taken.err.contains("claude-code: 1 session file, 0 calls"), "{}", taken.err);
    assert_eq!(place.run(&["reconcile", "--days", "3650"]).code, Some(0));
    place.file(".config/tooltrail/tooltrail.toml", "");
    assert_eq!(place.run(&["import", "--agents", "--yes"]).code, Some(0));
    let gemini = place.stored().into_iter().filter(|entry| entry["client"] == "gemini").collect::<Vec<_>>();
    assert!(gemini.len() == 5 && gemini.iter().all(|entry| entry["extra"]["cwd"] == "/private/w"), "{gemini:?}");
}

#[test]
fn damaged_and_foreign_lines_are_told() {
    let place = TestHome::new();
    let file = format!("{}{{\"type\":\n\n{}\n", claude_code(), json!({ "type": "progress" }));
    let path = place.file("a.jsonl", file);
    let told = place.run(&["import", &path, "--json"]);
    assert_eq!(told.code, Some(1));
    let answer = serde_json::from_str::<Value>(&told.out).unwrap();
    assert_eq!((&answer["accepted"], &answer["rejected"][0]["line"]), (&json!(3), &json!(10)), "{answer}");
    assert_eq!(answer["files"][0]["other_lines"], json!({ "summary": 1, "user": 1, "progress": 1 }), "{answer}");
    // What is no session file is lines of calls, as before.
    let lines = place.file("calls.jsonl", "{\"tool\":\"t\",\"user\":\"u\"}\n");
    assert_eq!(place.run(&["import", &lines]).code, Some(0));
}

#[test]
fn a_damaged_file_is_in_no_other_files_way() {
    let place = TestHome::new();
    let folder = place.path("sessions");
    std::fs::create_dir(&folder).unwrap();
    // More than one block of zstd, so that the calls come out before the cut.
    let filler = json!({ "type": "progress", "text": "x".repeat(300_000) }).to_string() + "\n";
    let packed = zstd::encode_all((claude_code() + &filler).as_bytes(), 1).unwrap();
    std::fs::write(folder.join("a.jsonl.zst"), &packed[..packed.len() - 5]).unwrap();
    std::fs::write(folder.join("b.jsonl"), codex() + &"broken\n".repeat(1_500)).unwrap();
    let told = place.run(&["import", folder.to_str().unwrap(), "--json"]);
    assert_eq!(told.code, Some(1), "{}", told.err);
    let answer = serde_json::from_str::<Value>(&told.out).unwrap();
    assert_eq!(answer["accepted"], 5, "{answer}");
    let [cut, whole] = [&answer["files"][0], &answer["files"][1]];
    assert!(cut["unread"].is_string() && whole["unread"].is_null(), "{answer}");
    assert_eq!((&whole["rejected"], answer["rejected"].as_array().map(Vec::len)), (&json!(1_500), Some(1_000)));
    assert!(told.err.contains("could not read") && told.err.contains("a.jsonl.zst to its end"), "{}", told.err);
    // A call whose result may stand behind the cut is not interrupted, however old the file is.
    let file = std::fs::File::options().append(true).open(folder.join("a.jsonl.zst")).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(48 * 60 * 60)).unwrap();
    let again = place.run(&["import", folder.to_str().unwrap()]);
    assert!(again.err.contains("1500 lines rejected in all"), "{}", again.err);
    assert_eq!(calls(&place).len(), 5);
}

#[test]
fn no_call_is_lost_or_told_twice() {
    let line = |second: &str, kind: &str, block: Value| {
        json!({ "type": kind, "sessionId": "s", "timestamp": second, "message": { "content": [block] } }).to_string()
            + "\n"
    };
    let at = |second: u32| format!("2026-11-20T10:00:{second:02}.000Z");
    let call = |ts: &str, id: &str, path: &str| {
        line(ts, "assistant", json!({ "type": "tool_use", "id": id, "name": "Read", "input": { "path": path } }))
    };
    let result =
        |ts: &str, id: &str| line(ts, "user", json!({ "type": "tool_result", "tool_use_id": id, "content": "t" }));
    const ID: &str = "toolu_01A09q90qw90lq917835lq9";
    // Each with its files, oldest name first, the calls that are stored, and the lines that are rejected.
    let check = |files: &[String], stored: &[&str], rejected: u64| {
        let place = TestHome::new();
        let folder = place.path("sessions");
        std::fs::create_dir(&folder).unwrap();
        for (n, text) in files.iter().enumerate() {
            let path = folder.join(format!("{n}.jsonl"));
            std::fs::write(&path, text).unwrap();
            let file = std::fs::File::options().append(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(48 * 60 * 60)).unwrap();
        }
        for round in 0..2 {
            let told = place.run(&["import", folder.to_str().unwrap(), "--json"]);
            let answer = serde_json::from_str::<Value>(&told.out).unwrap();
            let count = answer["files"].as_array().unwrap().iter().map(|file| file["rejected"].as_u64().unwrap());
            assert_eq!(count.sum::<u64>(), rejected, "{answer}");
            let found = calls(&place).into_iter().map(|call| call.replace("claude-code Read ", ""));
            assert_eq!(found.collect::<Vec<_>>(), stored, "{files:?} {answer}, round {round}");
        }
    };
    // A time that cannot be read is that of the line before.
    check(&[call(&at(1), ID, "a") + &result("yesterday", ID)], &["ok -"], 0);
    check(&[call("", ID, "a") + &result("", ID)], &[], 1);
    check(&[call("2099-01-01T00:00:00Z", ID, "a") + &result("2099-01-01T00:00:01Z", ID)], &[], 1);
    // Calls without an id or a name.
    check(&[call(&at(1), "", "a") + &result(&at(2), "")], &[], 2);
    // A fork, whose lines have other times, and one that ends before the result.
    let whole = call(&at(1), ID, "a") + &result(&at(2), ID);
    check(&[whole.clone(), call(&at(11), ID, "a") + &result(&at(12), ID)], &["ok -"], 0);
    check(&[call(&at(1), ID, "a"), whole], &["ok -"], 0);
    // Two calls of one message with the same id.
    let both = call(&at(1), "call_0", "a") + &call(&at(1), "call_0", "b");
    check(&[both + &result(&at(2), "call_0") + &result(&at(2), "call_0")], &["ok -", "ok -"], 0);
    // A file that begins with a byte order mark.
    check(&[format!("\u{FEFF}{}{}", call(&at(1), ID, "a"), result(&at(2), ID))], &["ok -"], 0);
}

#[test]
fn lines_of_calls_are_no_session_file_and_kinds_hide_secrets() {
    let place = TestHome::new();
    let lines = json!({ "tool": "t", "user": "u", "type": "user", "sessionId": "s", "message": {} }).to_string();
    let told = place.run(&["import", &place.file("calls.jsonl", lines)]);
    assert!(told.code == Some(0) && place.stored().iter().any(|entry| entry["tool"] == "t"), "{}", told.err);
    let secret = json!({ "type": "password=hunter2hunter2" }).to_string() + "\n" + &claude_code();
    let told = place.run(&["import", &place.file("session.jsonl", secret), "--json"]);
    assert!(told.code == Some(0) && !told.out.contains("hunter2hunter2"), "{}", told.out);
    let forged = place.run(&["import", &place.file("a.jsonl\nerror: forged", claude_code())]);
    assert!(!forged.err.lines().any(|line| line.starts_with("error: forged")), "{}", forged.err);
}

#[test]
fn real_sessions_have_the_calls_that_were_counted_otherwise() {
    let Some(traces) = std::env::var_os("TOOLTRAIL_TRACES").filter(|traces| !traces.is_empty()) else {
        eprintln!("skipped: TOOLTRAIL_TRACES names no folder with recorded sessions");
        return;
    };
    let raw = std::path::Path::new(&traces).join("raw");
    let place = TestHome::new();
    let told = place.run(&["import", raw.to_str().unwrap(), "--json"]);
    let answer = serde_json::from_str::<Value>(&told.out).unwrap();
    // Counted by the person who collected them; calls without a result count only after a day.
    let entries = place.stored();
    let count = |status: &str| {
        entries
            .iter()
            .filter(|entry| entry["client"] == "pi" && entry["status"] == status && entry["reason"] != "interrupted")
            .count()
    };
    assert_eq!((count("ok"), count("error")), (1_379 + 1, 60), "{answer}");
}
