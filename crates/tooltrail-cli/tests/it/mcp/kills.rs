//! kill -9 in the middle of calls: what was promised is there when the home is next opened.

use rustix::process::Signal;
use serde_json::json;

use super::support::{Client, child_of, entries, outcomes, own_events, proxy, signal, until};
use crate::support::TestHome;

/// Opens the home for writing and closes it, which recovers what a dead process left.
fn recover(place: &TestHome) {
    let told = place.run_with(&["import", "-", "--user", "nobody"], b"");
    assert_eq!(told.code, Some(0), "{}", told.err);
}

#[test]
fn a_killed_server_leaves_its_calls_interrupted() {
    for mode in ["buffered", "grouped", "strict"] {
        let place = TestHome::new();
        let mut command = proxy(&place, &["--durability", mode]);
        let asked = place.path("asked");
        command.env("MCP_LOG", &asked);
        let mut client = Client::start(command);
        client.call("echo", &json!({}));
        client.begin("hang", &json!({}));
        until("the server has the call", || std::fs::read_to_string(&asked).is_ok_and(|text| text.contains("hang")));
        signal(child_of(client.child.id()).unwrap(), Signal::KILL);
        assert_eq!(client.line(), "");
        assert_eq!(client.end().0, None, "{mode}: the proxy ends by the same signal");
        assert_eq!(outcomes(&entries(&place)), ["echo ok -", "hang error interrupted"], "{mode}");
    }
}

#[test]
fn a_killed_proxy_keeps_what_it_promised() {
    for (mode, expected) in [
        ("buffered", &["echo ok -"][..]),
        ("grouped", &["echo ok -", "hang error interrupted"]),
        ("strict", &["echo ok -", "hang error interrupted"]),
    ] {
        let place = TestHome::new();
        let mut client = Client::start(proxy(&place, &["--durability", mode]));
        client.call("echo", &json!({}));
        // In `buffered` and `grouped`, an answer is passed on before its entry is in the day file.
        until("the first call is stored", || !entries(&place).is_empty());
        client.begin("hang", &json!({}));
        // The beginning of a call is noted within 100 ms.
        std::thread::sleep(std::time::Duration::from_millis(400));
        signal(client.child.id(), Signal::KILL);
        client.child.wait().unwrap();
        recover(&place);
        assert_eq!(outcomes(&entries(&place)), expected, "{mode}");
    }
}

#[test]
fn in_strict_every_answered_call_is_there_after_a_kill() {
    let mut total = 0;
    for round in 0..6 {
        let place = TestHome::new();
        let mut client = Client::start(proxy(&place, &["--durability", "strict"]));
        let pid = client.child.id();
        client.call("first", &json!({ "n": 0 }));
        let killer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(30 + 23 * round));
            signal(pid, Signal::KILL);
        });
        let mut answered = 0;
        let mut begun = 0;
        loop {
            let id = begun + 1_u64;
            let call = format!(
                "{{\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\"arguments\":{{\"n\":{id}}}}}}}\n"
            );
            use std::io::Write as _;
            if client.input.as_mut().unwrap().write_all(call.as_bytes()).is_err() {
                break;
            }
            begun = id;
            if client.line().is_empty() {
                break;
            }
            answered = id;
        }
        killer.join().unwrap();
        client.child.wait().unwrap();
        recover(&place);
        let entries = entries(&place);
        let stored = entries.iter().map(|entry| entry["args"]["n"].as_u64().unwrap()).collect::<Vec<_>>();
        let expected = (0..=answered).collect::<Vec<_>>();
        assert!(stored.starts_with(&expected) && stored.len() as u64 <= begun + 1, "{answered} {stored:?}");
        total += answered;
    }
    assert!(total > 0, "no call was answered before its kill: the test shows nothing");
}

#[test]
fn a_killed_client_ends_everything() {
    for mode in ["buffered", "grouped", "strict"] {
        let place = TestHome::new();
        let binary = env!("CARGO_BIN_EXE_tooltrail");
        let server = super::support::server();
        // The client is a shell that is killed; its pipes end with it.
        let script = format!(
            "(echo '{{\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"hang\"}}}}'; exec sleep 60) \
             | {binary} mcp --durability {mode} -- python3 {server} tools | cat"
        );
        let mut command = std::process::Command::new("sh");
        use std::os::unix::process::CommandExt as _;
        command.args(["-c", &script]).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", place.path("")).env("TOOLTRAIL_HOME", place.home()).process_group(0);
        command.env("MCP_LOG", place.path("log"));
        let mut shell = command.spawn().unwrap();
        until("the call has reached the server", || {
            std::fs::read_to_string(place.path("log")).is_ok_and(|log| log.contains("hang"))
        });
        // Only the ends of the client's pipes are killed, not the proxy.
        for name in ["sleep", "cat"] {
            let list = std::process::Command::new("pgrep").args(["-g", &shell.id().to_string(), "-x", name]).output();
            for pid in String::from_utf8(list.unwrap().stdout).unwrap().split_whitespace() {
                signal(pid.parse().unwrap(), Signal::KILL);
            }
        }
        shell.wait().unwrap();
        until("the call is recorded", || entries(&place).len() == 1);
        assert_eq!(outcomes(&entries(&place)), ["hang error interrupted"], "{mode}");
        assert!(own_events(&place, "tooltrail.incident").is_empty());
    }
}
