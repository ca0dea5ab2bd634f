//! `tooltrail hook` as an agent runs it: silent, always with exit code 0, and each call once.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Ran, TestHome, crowd};

const HOUR_MS: i64 = 60 * 60 * 1_000;

fn event(name: &str, session: &str, id: &str) -> Value {
    json!({
        "hook_event_name": name, "session_id": session, "cwd": "/w", "tool_name": "Bash", "tool_use_id": id,
        "tool_input": { "command": "ls" }, "tool_response": { "stdout": "a.txt", "stderr": "" },
    })
}

/// The arguments of an installed hook.
fn args(home: &TestHome) -> Vec<String> {
    let path = |name: &str| home.path(name).to_str().unwrap().to_owned();
    let args = ["hook", "claude-code", "--user", "alice", "--home", &path("home"), "--keys", &path("keys")];
    let rest = ["--config", &path("tooltrail.toml"), "--state", &path("state")];
    args.into_iter().chain(rest).map(str::to_owned).collect()
}

fn start(home: &TestHome, event: &Value) -> Child {
    let args = args(home);
    let mut command = home.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    // A project's settings can set these.
    command.env("TOOLTRAIL_HOME", "/nonexistent/home").env("TOOLTRAIL_USER", "mallory");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    child.stdin.take().unwrap().write_all(event.to_string().as_bytes()).unwrap();
    child
}

fn run(home: &TestHome, event: &Value) -> Ran {
    Ran::of(start(home, event).wait_with_output().unwrap())
}

/// Runs a hook that must be silent.
fn quiet(home: &TestHome, event: &Value) {
    let ran = run(home, event);
    assert_eq!((ran.code, &*ran.out, &*ran.err), (Some(0), "", ""), "{event}");
}

fn ids(home: &TestHome) -> Vec<String> {
    let entries = home.stored();
    let calls = entries.iter().filter(|entry| entry["via"] == "hook");
    calls.map(|entry| entry["call_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_call_is_recorded_with_what_its_events_tell() {
    let home = TestHome::new();
    quiet(&home, &event("PreToolUse", "s", "toolu_1"));
    quiet(&home, &event("PostToolUse", "s", "toolu_1"));
    quiet(&home, &event("PostToolUse", "s", "toolu_1"));
    let stored = home.stored();
    let entry = &stored[0];
    let found = [&entry["user"], &entry["tool"], &entry["status"], &entry["via"], &entry["session"]];
    assert_eq!(found, ["alice", "Bash", "ok", "hook", "s"]);
    assert!(entry["duration_ms"].is_number() && entry["args"]["command"] == "ls" && stored.len() == 1, "{stored:?}");
    // Help is given like for every other command, and an unknown client is no reason to fail.
    assert!(home.run(&["hook", "--help"]).out.contains("Usage: tooltrail hook"));
    assert_eq!(home.run_with(&["hook", "vim"], b"{}").code, Some(0));
    assert_eq!(home.run_with(&["--json", "hook", "codex"], b"{}").code, Some(0));
}

#[test]
fn a_session_file_that_is_none_does_not_hold_up_the_agent() {
    let home = TestHome::new();
    let fifo = home.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let began = std::time::Instant::now();
    for (n, path) in ["fifo", "none", "", "/dev/zero", "/proc/kmsg"].into_iter().enumerate() {
        for client in ["claude-code", "codex", "gemini", "copilot"] {
            let mut told = event("PostToolUse", "s", &format!("toolu_{n}{client}"));
            told["transcript_path"] = json!(home.path(path));
            for name in ["PostToolUse", "Stop", "AfterAgent", "agentStop"] {
                told["hook_event_name"] = json!(name);
                let mut args = args(&home);
                client.clone_into(&mut args[1]);
                let ran =
                    home.run_with(&args.iter().map(String::as_str).collect::<Vec<_>>(), told.to_string().as_bytes());
                assert_eq!((ran.code, &*ran.out, &*ran.err), (Some(0), "", ""));
            }
        }
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(home.stored().len() >= 10);
}

#[test]
fn a_thousand_hooks_at_once_record_a_thousand_calls() {
    let _crowd = crowd();
    for sessions in [1, 50] {
        let home = TestHome::new();
        quiet(&home, &event("PreToolUse", "s-0", "toolu_first"));
        let mut expected = BTreeSet::new();
        // A machine has room for some hundred processes at a time.
        for start_of in (0..1_000).step_by(125) {
            let children = (start_of..start_of + 125).map(|n: u32| {
                let id = format!("toolu_{n:020}");
                let child = start(&home, &event("PostToolUse", &format!("s-{}", n % sessions), &id));
                expected.insert(id);
                child
            });
            let children = children.collect::<Vec<_>>();
            for child in children {
                let ran = Ran::of(child.wait_with_output().unwrap());
                assert_eq!((ran.code, &*ran.out, &*ran.err), (Some(0), "", ""));
            }
        }
        let ids = ids(&home);
        assert_eq!((ids.len(), ids.into_iter().collect::<BTreeSet<_>>()), (1_000, expected), "{sessions} sessions");
    }
}

#[test]
fn a_killed_hook_loses_no_call_and_doubles_none() {
    let _crowd = crowd();
    let home = TestHome::new();
    let clock = home.file("clock", "0");
    let kills = 60;
    for n in 0..kills {
        let id = format!("toolu_{n:020}");
        quiet(&home, &event("PreToolUse", "s", &id));
        let mut child = start(&home, &event("PostToolUse", "s", &id));
        // From before the first to after the last step.
        std::thread::sleep(Duration::from_micros(150 * n));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // What a killed hook left is recorded by a later one: a claim after a minute, an open call after a day.
    for hours in [1, 26, 27] {
        std::fs::write(&clock, (hours * HOUR_MS).to_string()).unwrap();
        let args = args(&home);
        let mut command = home.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
        command.env("TOOLTRAIL_TEST_CLOCK", &clock).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let later = event("PostToolUse", "later", &format!("toolu_later{hours}"));
        child.stdin.take().unwrap().write_all(later.to_string().as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
    let mut found = ids(&home);
    let all = found.len();
    found.sort();
    found.dedup();
    assert_eq!((all, found.len()), (kills as usize + 3, kills as usize + 3));
    let open = std::fs::read_dir(home.home().join(".tooltrail/open")).unwrap();
    assert_eq!(open.count(), 0);
}

#[test]
fn what_cannot_be_recorded_is_told_later() {
    let home = TestHome::new();
    std::fs::write(home.path("home"), "no folder").unwrap();
    quiet(&home, &event("PostToolUse", "s", "toolu_1"));
    quiet(&home, &json!("nonsense"));
    let doctor = home.run(&["agent", "doctor"]);
    assert_eq!(doctor.code, Some(0), "losses are looked for in the user's folder: {}", doctor.out);
    let lost = std::fs::read_to_string(home.path("state/hooks.lost")).unwrap();
    assert_eq!(lost.lines().count(), 2, "{lost}");
    std::fs::remove_file(home.path("home")).unwrap();
    quiet(&home, &event("PostToolUse", "s", "toolu_2"));
    let stored = home.stored();
    let gap = stored.iter().find(|entry| entry["tool"] == "tooltrail.gap").unwrap();
    assert_eq!((&gap["args"]["lost"], &gap["args"]["why"]["unopened"]), (&json!(2), &json!(2)));
    assert!(!home.path("state/hooks.lost").exists());
}

#[test]
fn a_rule_refuses_a_call_and_a_broken_file_refuses_none() {
    let home = TestHome::new();
    home.file("tooltrail.toml", "[[gate.rules]]\nname = \"no-shell\"\neffect = \"deny\"\ntools = [\"Bash\"]\n");
    let ran = run(&home, &event("PreToolUse", "s", "toolu_1"));
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    assert_eq!(told["hookSpecificOutput"]["permissionDecision"], "deny");
    let reason = told["hookSpecificOutput"]["permissionDecisionReason"].as_str().unwrap();
    assert!(reason.contains("no-shell"), "{reason}");
    // Claude Code tells of the refused call once more.
    let batch = json!({ "hook_event_name": "PostToolBatch", "session_id": "s", "tool_calls": [
        { "tool_name": "Bash", "tool_input": { "command": "ls" }, "tool_use_id": "toolu_1", "tool_response": "PreToolUse:Bash hook error: x" },
    ] });
    quiet(&home, &batch);
    let stored = home.stored();
    let entry = &stored[0];
    assert_eq!((stored.len(), &entry["status"], &entry["rule"]), (1, &json!("denied"), &json!("no-shell")));
    home.file("tooltrail.toml", "gate = 7\n");
    quiet(&home, &event("PreToolUse", "s", "toolu_2"));
    quiet(&home, &event("PostToolUse", "s", "toolu_2"));
    assert_eq!(home.stored().len(), 2);
    // Its rules for secrets could not be read, so nothing may be stored.
    home.file("tooltrail.toml", "[redact]\nenv = 7\n");
    quiet(&home, &event("PostToolUse", "s", "toolu_3"));
    assert_eq!(home.stored().len(), 2);
    home.file("tooltrail.toml", "[agents]\nexclude = [\"/w/**\"]\n");
    quiet(&home, &event("PostToolUse", "s", "toolu_4"));
    assert_eq!(home.stored().iter().filter(|entry| entry["via"] == "hook").count(), 2);
    // What is left out of the trail is held to the rules all the same.
    let rule = "[[gate.rules]]\nname = \"no-shell\"\neffect = \"deny\"\ntools = [\"Bash\"]\n";
    home.file("tooltrail.toml", format!("[agents]\nexclude = [\"/w/**\"]\n{rule}"));
    assert!(run(&home, &event("PreToolUse", "s", "toolu_5")).out.contains("deny"));
    assert_eq!(home.stored().iter().filter(|entry| entry["via"] == "hook").count(), 2);
}

#[test]
fn no_folder_for_state_is_that_of_the_project() {
    let home = TestHome::new();
    let project = home.path("project");
    std::fs::create_dir(&project).unwrap();
    // A file of the project is no switch, and nothing is written beside it.
    std::fs::write(project.join("agents.off"), "").unwrap();
    let (root, keys) = (home.home(), home.path("keys"));
    let args = ["hook", "claude-code", "--home", root.to_str().unwrap(), "--keys", keys.to_str().unwrap()];
    let mut command = home.command(&[&args[..], &["--state", "."]].concat());
    command.env_remove("HOME").current_dir(&project).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(event("PostToolUse", "s", "toolu_1").to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let mut lost = home.command(&args);
    lost.env_remove("HOME").current_dir(&project).stdin(Stdio::null());
    assert!(lost.status().unwrap().success());
    assert_eq!(home.stored().len(), 1);
    assert_eq!(std::fs::read_dir(&project).unwrap().count(), 1);
}

#[test]
fn the_command_that_is_installed_succeeds_without_its_program() {
    let home = TestHome::new();
    let copy = home.path("bin dir/tooltrail");
    std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
    crate::support::copy_program(env!("CARGO_BIN_EXE_tooltrail"), &copy);
    std::fs::create_dir_all(home.path(".gemini")).unwrap();
    let mut install = home.command(&["agent", "install", "gemini"]);
    let program = std::mem::replace(&mut install, std::process::Command::new(&copy));
    install.args(["agent", "install", "gemini"]).env_clear();
    install.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(install.output().unwrap().status.success());
    let settings: Value =
        serde_json::from_str(&std::fs::read_to_string(home.path(".gemini/settings.json")).unwrap()).unwrap();
    let command = settings["hooks"]["BeforeTool"][0]["hooks"][0]["command"].as_str().unwrap().to_owned();
    let call = json!({ "hook_event_name": "AfterTool", "session_id": "s", "tool_name": "x", "tool_input": {}, "tool_response": { "llmContent": "y" } });
    let shell = |event: &Value| {
        let mut child = std::process::Command::new("sh");
        let mut child = child
            .args(["-c", &command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program may be gone, and with it the reader.
        let _ = child.stdin.take().unwrap().write_all(event.to_string().as_bytes());
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code, &*ran.out, &*ran.err), (Some(0), "", ""), "{command}");
    };
    shell(&call);
    assert_eq!(home.stored().len(), 1);
    std::fs::remove_file(&copy).unwrap();
    shell(&call);
    let doctor = home.run(&["agent", "doctor", "gemini"]);
    assert!(doctor.code == Some(1) && doctor.out.contains("moved or removed"), "{}", doctor.out);
    assert_eq!(home.run(&["agent", "doctor", "gemini", "--fix"]).code, Some(0));
}
