//! How a proxy ends: with its server's exit code or signal, and after the last byte.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::support::{Client, child_of, entries, outcomes, proxy, signal, until};
use crate::support::TestHome;

#[test]
fn a_call_is_told_with_what_is_known_about_it() {
    let place = TestHome::new();
    let mut client = Client::start(proxy(&place, &["--user", "alice"]));
    client
        .send(r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"clientInfo":{"name":"c","version":"2"}}}"#);
    client.line();
    client.call("echo", &json!({ "text": "hello", "password": "hunter2hunter2" }));
    client.call("fail", &json!({ "text": "no" }));
    client.call("unknown", &json!({}));
    assert_eq!(client.end(), (Some(0), String::new(), String::new()));
    let entries = entries(&place);
    assert_eq!(outcomes(&entries), ["echo ok -", "fail error tool_error", "unknown error unknown_tool"]);
    let echo = entries.iter().find(|entry| entry["tool"] == "echo").unwrap();
    for (name, value) in [
        ("user", json!("alice")),
        ("args", json!({ "text": "hello", "password": "[redacted:password]" })),
        ("result_snippet", json!("hello")),
        ("result_chars", json!(5)),
        ("server", json!("fixture")),
        ("client", json!("c/2")),
        ("via", json!("proxy")),
    ] {
        assert_eq!(echo[name], value, "{name}");
    }
    let session = echo["session"].as_str().unwrap();
    assert!(session.starts_with("mcp-") && entries.iter().all(|entry| entry["session"] == session));
}

#[test]
fn the_session_comes_from_the_flag_the_client_or_the_environment() {
    let told = |flags: &[&str], variables: &[(&str, &str)], meta: &str| {
        let place = TestHome::new();
        let mut command = proxy(&place, flags);
        command.envs(variables.iter().copied());
        let mut client = Client::start(command);
        client.send(&format!(r#"{{"id":1,"method":"tools/call","params":{{"name":"echo","_meta":{{{meta}}}}}}}"#));
        client.line();
        client.end();
        entries(&place)[0]["session"].as_str().unwrap().to_owned()
    };
    let claude = ("CLAUDE_CODE_SESSION_ID", "from-claude");
    assert_eq!(told(&["--session", "mine"], &[claude], r#""threadId":"t""#), "mine");
    assert_eq!(told(&[], &[claude], r#""threadId":"t""#), "t");
    assert_eq!(told(&[], &[claude], r#""ai.opencode/sessionID":"o""#), "o");
    assert_eq!(told(&[], &[claude, ("GROK_SESSION_ID", "from-grok")], ""), "from-grok");
    assert_eq!(told(&[], &[claude], ""), "from-claude");
}

#[test]
fn the_exit_code_is_the_servers() {
    let check = |tool: &str, arguments: serde_json::Value, code: Option<i32>, extra: serde_json::Value| {
        let place = TestHome::new();
        let mut client = Client::start(proxy(&place, &[]));
        client.call("echo", &json!({}));
        client.begin(tool, &arguments);
        assert_eq!(client.line(), "", "{tool}: no answer");
        assert_eq!(client.end().0, code, "{tool}");
        let entries = entries(&place);
        assert_eq!(outcomes(&entries), ["echo ok -", &format!("{tool} error interrupted")]);
        assert_eq!(entries.iter().find(|entry| entry["tool"] == tool).unwrap()["extra"], extra);
    };
    check("exit", json!({ "code": 7 }), Some(7), json!({ "exit_code": 7 }));
    check("exit", json!({ "code": 0 }), Some(0), json!({ "exit_code": 0 }));
    check("kill", json!({ "signal": 9 }), None, json!({ "signal": 9 }));
    check("kill", json!({ "signal": 6 }), None, json!({ "signal": 6 }));
}

#[test]
fn a_cancelled_call_is_recorded_although_nothing_else_happens() {
    let place = TestHome::new();
    let mut client = Client::start(proxy(&place, &[]));
    client.call("echo", &json!({}));
    let id = client.begin("hang", &json!({}));
    let why = "the person pressed escape";
    client.send(
        &json!({ "method": "notifications/cancelled", "params": { "requestId": id, "reason": why } }).to_string(),
    );
    until("the call is recorded", || entries(&place).len() == 2);
    let entries = entries(&place);
    assert_eq!(outcomes(&entries), ["echo ok -", "hang error cancelled"]);
    assert_eq!((&entries[1]["result_snippet"], &entries[1]["extra"]), (&json!(why), &json!(null)));
    client.end();
}

#[test]
fn a_duration_is_the_time_that_the_client_waited() {
    let place = TestHome::new();
    let mut client = Client::start(proxy(&place, &[]));
    let mut waited = Vec::new();
    for n in 0..20 {
        let since = Instant::now();
        client.call("echo", &json!({ "n": n, "sleep_ms": 5 }));
        waited.push(since.elapsed().as_secs_f64() * 1e3);
    }
    client.end();
    for entry in entries(&place) {
        let (took, waited) =
            (entry["duration_ms"].as_f64().unwrap(), waited[entry["args"]["n"].as_u64().unwrap() as usize]);
        assert!((5.0..=waited).contains(&took), "{took} of {waited}");
    }
}

#[test]
fn a_server_that_cannot_be_started_is_told_in_one_line() {
    let place = TestHome::new();
    let told = place.run(&["mcp", "--", "/no/such/server", "argument"]);
    assert_eq!((told.code, told.out.as_str()), (Some(127), ""));
    assert!(told.err.lines().count() == 1 && told.err.contains("/no/such/server"), "{}", told.err);
    assert!(!place.home().exists(), "the home is opened after the server has started");
}

#[test]
fn the_end_of_the_input_is_passed_on_and_the_answers_still_come() {
    let place = TestHome::new();
    let told = Client::start(proxy(&place, &[]));
    let mut client = told;
    client.begin("echo", &json!({ "text": "last" }));
    let (code, rest, _) = client.end();
    assert!(code == Some(0) && rest.contains("last"), "{rest}");
    assert_eq!(outcomes(&entries(&place)), ["echo ok -"]);
}

#[test]
fn signals_reach_the_server() {
    // Not SIGINT: whoever runs the tests in the background ignores it, and then it stays ignored.
    for (sent, code) in [(Signal::TERM, 43), (Signal::USR1, 42)] {
        let place = TestHome::new();
        let mut command = proxy(&place, &[]);
        command.env("MCP_LOG", place.path("log"));
        let mut client = Client::start(command);
        client.call("echo", &json!({}));
        client.begin("hang", &json!({}));
        until("the call has reached the server", || {
            std::fs::read_to_string(place.path("log")).is_ok_and(|log| log.contains("hang"))
        });
        signal(client.child.id(), sent);
        // The input stays open: a server that ends by itself no longer handles signals.
        assert_eq!(client.line(), "");
        assert_eq!(client.end().0, Some(code));
        assert_eq!(outcomes(&entries(&place)), ["echo ok -", "hang error interrupted"]);
    }
}

#[test]
fn a_server_whose_client_is_gone_is_ended() {
    for stubborn in [false, true] {
        let place = TestHome::new();
        let mut command = proxy(&place, &[]);
        command.env("MCP_STAY", "1");
        if stubborn {
            command.env("MCP_IGNORE_TERM", "1");
        }
        let mut client = Client::start(command);
        client.call("echo", &json!({}));
        client.begin("hang", &json!({}));
        let since = Instant::now();
        let Client { mut child, input, output, .. } = client;
        drop((input, output));
        child.wait().unwrap();
        let took = since.elapsed();
        assert_eq!(took > Duration::from_secs(4), stubborn, "{took:?}");
        assert!(took < Duration::from_secs(15), "{took:?}");
        assert_eq!(outcomes(&entries(&place)), ["echo ok -", "hang error interrupted"]);
    }
}

#[test]
fn a_server_that_closes_its_output_leaves_its_calls_interrupted() {
    let place = TestHome::new();
    let mut client = Client::start(proxy(&place, &[]));
    client.begin("close", &json!({ "seconds": 4 }));
    assert_eq!(client.line(), "", "the client sees the end of the stream at once");
    until("the call is recorded while the server lives", || !entries(&place).is_empty());
    assert!(client.child.try_wait().unwrap().is_none(), "the server lives");
    assert_eq!(client.end().0, Some(0));
    assert_eq!(outcomes(&entries(&place)), ["close error interrupted"]);
}

#[test]
fn a_process_that_the_server_left_does_not_hold_the_end_up() {
    let place = TestHome::new();
    let script = "sleep 30 & cat > /dev/null; exit 3";
    let start = || {
        let mut command = place.command(&["mcp", "--", "sh", "-c", script]);
        command.env("PATH", std::env::var_os("PATH").unwrap());
        Client::start(command)
    };
    let since = Instant::now();
    let mut client = start();
    drop(client.input.take());
    assert_eq!(client.child.wait().unwrap().code(), Some(3));
    // The server has ended by itself, and the client still talks.
    let mut client = start();
    let pid = client.child.id();
    until("the server runs", || child_of(pid).is_some());
    std::thread::sleep(Duration::from_millis(200));
    signal(child_of(pid).unwrap(), Signal::KILL);
    std::thread::sleep(Duration::from_millis(300));
    assert!(client.child.try_wait().unwrap().is_none(), "the left process may still answer");
    signal(client.child.id(), Signal::TERM);
    assert_eq!(client.child.wait().unwrap().code(), None);
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[test]
fn a_proxy_below_a_proxy_of_the_same_home_only_passes_bytes() {
    let place = TestHome::new();
    let other = TestHome::new();
    let binary = env!("CARGO_BIN_EXE_tooltrail");
    let server = super::support::server();
    let run = |home: Option<&str>| {
        let mut args = vec!["mcp", "--", binary, "mcp"];
        args.extend(home.iter().flat_map(|home| ["--home", home]));
        args.extend(["--", "python3", &server, "tools"]);
        let mut command = place.command(&args);
        command.env("PATH", std::env::var_os("PATH").unwrap());
        let mut client = Client::start(command);
        client.call("echo", &json!({}));
        client.end();
    };
    run(None);
    assert_eq!(entries(&place).len(), 1);
    // Another home is another trail.
    run(Some(other.home().to_str().unwrap()));
    assert_eq!((entries(&place).len(), entries(&other).len()), (2, 1));
}

#[test]
fn the_server_finds_the_process_as_without_a_proxy() {
    let place = TestHome::new();
    // Of the signals only the first 28: the C library uses some of the others for itself.
    let script = "ulimit -n; ls /proc/self/fd | wc -l; grep -E '^Sig(Blk|Ign)' /proc/self/status | grep -oE '.{7}$'";
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(args[0]);
        command.args(&args[1..]).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", place.path("")).env("TOOLTRAIL_HOME", place.home());
        let out = command.stdin(Stdio::null()).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let binary = env!("CARGO_BIN_EXE_tooltrail");
    let direct = run(&["sh", "-c", script]);
    let proxied = run(&[binary, "mcp", "--", "sh", "-c", script]);
    assert_eq!(direct, proxied);
    // Signals that whoever started us ignores stay ignored.
    let direct = run(&["sh", "-c", &format!("trap '' HUP INT; sh -c \"{}\"", script.replace('$', "\\$"))]);
    let ours = format!("trap '' HUP INT; {binary} mcp -- sh -c \"{}\"", script.replace('$', "\\$"));
    assert_eq!(direct, run(&["sh", "-c", &ours]));
    // HUP and INT are the lowest two bits; whoever runs the tests may ignore others.
    assert!(direct.trim_end().ends_with(['3', '7']), "{direct}");
}

#[test]
fn the_process_group_is_the_clients() {
    let place = TestHome::new();
    let mut client = Client::start(proxy(&place, &[]));
    client.call("echo", &json!({}));
    let group = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().split(' ').nth(2).unwrap().to_owned()
    };
    let server = child_of(client.child.id()).unwrap();
    assert_eq!(group(client.child.id()), group(server));
    client.end();
}
