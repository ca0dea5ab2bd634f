//! A home that cannot be opened or written: nothing is delayed or dropped, and the loss is told later.

use std::time::{Duration, Instant};

use serde_json::json;

use super::support::{Client, entries, own_events, proxy, status};
use crate::support::TestHome;

/// What a call may take behind a proxy that cannot record.
const CALL_MAX: Duration = Duration::from_secs(2);

#[test]
fn calls_pass_while_the_home_cannot_be_opened_and_one_gap_tells_them() {
    let place = TestHome::new();
    // A file where the home should be: nobody can open it, not even root.
    std::fs::write(place.home(), "in the way").unwrap();
    for mode in ["buffered", "grouped"] {
        let secret = "s-ghp_abcdefghijklmnopqrstuvwxyz0123456789";
        let mut client = Client::start(proxy(&place, &["--durability", mode, "--user", "alice", "--server", secret]));
        let since = Instant::now();
        for n in 0..3 {
            assert_eq!(client.call("echo", &json!({ "text": n }))["result"]["content"][0]["text"], n.to_string());
        }
        assert!(since.elapsed() < CALL_MAX, "{:?}", since.elapsed());
        let (code, _, stderr) = client.end();
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "nothing on the server's stderr");
    }
    let told = status(&place);
    assert_eq!(told.iter().map(|status| status["lost"].as_u64().unwrap()).sum::<u64>(), 6, "{told:?}");
    assert!(told.iter().all(|status| !status["why"].as_str().unwrap().is_empty()));
    assert!(!format!("{told:?}").contains("ghp_"), "{told:?}");

    std::fs::remove_file(place.home()).unwrap();
    let mut client = Client::start(proxy(&place, &["--user", "alice"]));
    client.call("echo", &json!({}));
    client.end();
    let gaps = own_events(&place, "tooltrail.gap");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0]["args"], json!({ "lost": 6, "why": { "unopened": 6 } }));
    assert_eq!((entries(&place).len(), status(&place).len()), (1, 0));
}

#[test]
fn a_home_that_can_be_opened_later_gets_the_calls_that_waited() {
    let place = TestHome::new();
    std::fs::write(place.home(), "in the way").unwrap();
    let mut client = Client::start(proxy(&place, &[]));
    client.call("echo", &json!({}));
    std::thread::sleep(Duration::from_millis(500));
    std::fs::remove_file(place.home()).unwrap();
    // The home is tried again for a call, some seconds after the last attempt.
    std::thread::sleep(Duration::from_secs(5));
    client.call("echo", &json!({}));
    client.end();
    assert_eq!((entries(&place).len(), told(&place), status(&place).len()), (2, 0, 0));
}

#[test]
fn calls_that_are_too_many_to_wait_are_told_in_one_gap() {
    const CALLS: u64 = 1_200;
    let place = TestHome::new();
    std::fs::write(place.home(), "in the way").unwrap();
    let mut client = Client::start(proxy(&place, &[]));
    (0..CALLS).for_each(|_| drop(client.call("echo", &json!({}))));
    std::fs::remove_file(place.home()).unwrap();
    client.end();
    let gaps = own_events(&place, "tooltrail.gap");
    assert_eq!((entries(&place).len() as u64 + told(&place), gaps.len()), (CALLS, 1), "{gaps:?}");
}

#[test]
fn in_strict_no_call_is_made_that_cannot_be_recorded() {
    let place = TestHome::new();
    std::fs::write(place.home(), "in the way").unwrap();
    let mut command = proxy(&place, &["--durability", "strict"]);
    command.env("MCP_LOG", place.path("log"));
    let mut client = Client::start(command);
    let refused = client.call("echo", &json!({}));
    let text = refused["error"]["message"].as_str().unwrap();
    assert!(text.contains("could not record"), "{text}");
    client.send(r#"{"id":7,"method":"tools/list"}"#);
    assert!(client.line().contains("secret_tool"), "other requests pass");
    client.end();
    assert_eq!(std::fs::read_to_string(place.path("log")).unwrap(), "tools/list \n");
}

/// Returns how many calls all gaps together tell.
fn told(place: &TestHome) -> u64 {
    own_events(place, "tooltrail.gap").iter().map(|gap| gap["args"]["lost"].as_u64().unwrap()).sum()
}

#[test]
fn calls_of_a_day_file_that_takes_nothing_are_told_once() {
    for (mode, in_the_way) in
        [("buffered", "day"), ("grouped", "day"), ("strict", "day"), ("grouped", "user"), ("strict", "user")]
    {
        let place = TestHome::new();
        let today = crate::support::now().to_string()[..10].to_owned();
        let blocked = match in_the_way {
            "day" => place.home().join("alice/tool_audit").join(format!("{today}.jsonl")),
            _ => place.home().join("alice"),
        };
        std::fs::create_dir_all(blocked.parent().unwrap()).unwrap();
        if in_the_way == "day" {
            std::fs::create_dir(&blocked).unwrap()
        } else {
            std::fs::write(&blocked, "").unwrap()
        }
        let mut command = proxy(&place, &["--durability", mode, "--user", "alice"]);
        command.env("MCP_LOG", place.path("log"));
        let mut client = Client::start(command);
        let mut answered = 0;
        for n in 0..3 {
            answered += u64::from(client.call("echo", &json!({ "n": n }))["result"].is_object());
            std::thread::sleep(Duration::from_millis(300));
        }
        client.end();
        let ran = std::fs::read_to_string(place.path("log")).unwrap_or_default().lines().count();
        // In `strict`, the first call shows that the file takes nothing; after that, no tool runs.
        assert_eq!((answered, ran), if mode == "strict" { (0, 1) } else { (3, 3) }, "{mode} {in_the_way}");

        if in_the_way == "day" {
            std::fs::remove_dir(&blocked).unwrap()
        } else {
            std::fs::remove_file(&blocked).unwrap()
        }
        let mut client = Client::start(proxy(&place, &["--durability", mode, "--user", "alice"]));
        client.call("echo", &json!({ "n": 4 }));
        client.end();
        let stored = entries(&place).iter().filter(|entry| entry["args"]["n"] != 4).count() as u64;
        assert_eq!(told(&place) + stored, 3, "{mode} {in_the_way}: {:?}", own_events(&place, "tooltrail.gap"));
        assert!(status(&place).is_empty(), "{mode} {in_the_way}");
    }
}

#[test]
fn each_call_of_a_strict_batch_is_told() {
    let place = TestHome::new();
    let today = crate::support::now().to_string()[..10].to_owned();
    let blocked = place.home().join("alice/tool_audit").join(format!("{today}.jsonl"));
    std::fs::create_dir_all(&blocked).unwrap();
    let mut client = Client::start(proxy(&place, &["--durability", "strict", "--user", "alice"]));
    let call = |id: u64| json!({ "id": id, "method": "tools/call", "params": { "name": "echo" } });
    client.send(&json!([call(1), call(2), call(3)]).to_string());
    let answers = serde_json::from_str::<serde_json::Value>(&client.line()).unwrap();
    assert!(answers.as_array().unwrap().iter().all(|answer| answer["error"].is_object()), "{answers}");
    // Now that the file is known to take nothing, a call without an id is not made either, and told.
    client.send(r#"{"method":"tools/call","params":{"name":"echo"}}"#);
    client.end();
    std::fs::remove_dir(&blocked).unwrap();
    let mut client = Client::start(proxy(&place, &["--user", "alice"]));
    client.call("echo", &json!({ "last": true }));
    client.end();
    assert_eq!((entries(&place).len(), told(&place)), (1, 4), "{:?}", own_events(&place, "tooltrail.gap"));
}

#[test]
fn a_file_that_may_not_grow_does_not_end_the_proxy() {
    let place = TestHome::new();
    let server = super::support::server();
    let script = format!("ulimit -f 0; exec {} mcp -- python3 {server} tools", env!("CARGO_BIN_EXE_tooltrail"));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script]).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", place.path("")).env("TOOLTRAIL_HOME", place.home());
    let mut client = Client::start(command);
    for n in 0..3 {
        assert_eq!(client.call("echo", &json!({ "text": n }))["result"]["content"][0]["text"], n.to_string());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(client.end().0, Some(0));
}

#[test]
fn few_open_files_lose_no_call_silently() {
    for limit in [10, 11, 12, 14] {
        let place = TestHome::new();
        let server = super::support::server();
        let script =
            format!("ulimit -n {limit}; exec {} mcp -- python3 {server} tools", env!("CARGO_BIN_EXE_tooltrail"));
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script]).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", place.path("")).env("TOOLTRAIL_HOME", place.home());
        let mut client = Client::start(command);
        (0..20).for_each(|n| drop(client.call("echo", &json!({ "n": n }))));
        client.end();
        let mut client = Client::start(proxy(&place, &[]));
        client.call("fail", &json!({}));
        client.end();
        let stored = entries(&place).iter().filter(|entry| entry["tool"] == "echo").count() as u64;
        let waiting = status(&place).iter().map(|status| status["lost"].as_u64().unwrap()).sum::<u64>();
        assert_eq!(
            stored + told(&place) + waiting,
            20,
            "limit {limit}: {stored} stored, {} told, {waiting} noted",
            told(&place)
        );
    }
}

#[test]
fn a_durability_by_tool_holds_for_each_call() {
    let place = TestHome::new();
    let file = place.file(
        "tooltrail.toml",
        "[mcp.hub]\ndurability = { default = \"buffered\", tools = [{ tool = \"echo\", durability = \"strict\" }] }\n",
    );
    std::fs::write(place.home(), "in the way").unwrap();
    let mut client = Client::start(proxy(&place, &["--server", "hub", "--config", &file]));
    assert!(client.call("echo", &json!({}))["error"].is_object());
    assert_eq!(client.call("fail", &json!({}))["result"]["isError"], true);
    client.end();
}
