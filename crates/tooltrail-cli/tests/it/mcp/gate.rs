//! Rules in front of a server.

use std::io::Write as _;

use serde_json::{Value, json};

use super::support::{Client, config, entries, outcomes, proxy};
use crate::support::TestHome;

const RULES: &str = r#"
[[gate.rules]]
name = "no-fail"
effect = "deny"
tools = ["fail", "mcp__hub__hang"]
[mcp.hub]
[[mcp.hub.rules]]
name = "quiet"
effect = "hide"
tools = ["secret_*"]
"#;

fn client(place: &TestHome, rules: &str, flags: &[&str]) -> Client {
    let path = config(place, rules);
    let mut all = vec!["--config", path.to_str().unwrap()];
    all.extend_from_slice(flags);
    let mut command = proxy(place, &all);
    command.env("MCP_LOG", place.path("log"));
    Client::start(command)
}

/// Returns what the server was asked.
fn asked(place: &TestHome) -> String {
    std::fs::read_to_string(place.path("log")).unwrap_or_default()
}

#[test]
fn a_denied_call_never_reaches_the_server() {
    let place = TestHome::new();
    let mut client = client(&place, RULES, &["--server", "hub"]);
    let denied = client.call("fail", &json!({ "text": "x", "token": "ghp_abcdefghijklmnopqrstuvwxyz0123456789" }));
    let text = denied["result"]["content"][0]["text"].as_str().unwrap();
    assert!(denied["result"]["isError"] == true && text.contains("\"no-fail\"") && text.contains("fail"), "{denied}");
    client.call("hang", &json!({}));
    client.call("secret_tool", &json!({}));
    assert_eq!(client.call("echo", &json!({ "text": "y" }))["result"]["content"][0]["text"], "y");
    client.end();
    assert_eq!(asked(&place), "tools/call echo\n");
    let entries = entries(&place);
    assert_eq!(
        outcomes(&entries),
        ["echo ok -", "fail denied policy", "hang denied policy", "secret_tool denied policy"]
    );
    let denied = entries.iter().find(|entry| entry["tool"] == "fail").unwrap();
    assert_eq!(
        (&denied["rule"], &denied["result_chars"], &denied["server"]),
        (&json!("no-fail"), &json!(0), &json!("hub"))
    );
    assert!(!denied.to_string().contains("ghp_abcdef"), "{denied}");
}

#[test]
fn a_hidden_tool_is_not_listed_and_nothing_else_changes() {
    let place = TestHome::new();
    let listed = |rules: &str| {
        let mut client = client(&place, rules, &["--server", "hub"]);
        client.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        let line = client.line();
        client.end();
        line
    };
    let (all, some) = (listed(""), listed(RULES));
    assert_eq!(some, all.replace(r#"{"name": "secret_tool"}, "#, ""));
    assert_ne!(some, all);
}

#[test]
fn a_batch_with_a_denied_call_is_refused_whole() {
    let place = TestHome::new();
    let mut client = client(&place, RULES, &["--server", "hub"]);
    let call = |id: u32, tool: &str| json!({ "id": id, "method": "tools/call", "params": { "name": tool } });
    client
        .send(&json!([call(1, "echo"), { "id": 2, "method": "ping" }, { "method": "n" }, call(3, "fail")]).to_string());
    let answers = serde_json::from_str::<Value>(&client.line()).unwrap();
    let ids = answers.as_array().unwrap().iter().map(|answer| answer["id"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(ids, [1, 2, 3], "{answers}");
    assert!(answers[0]["result"]["isError"] == true && answers[1]["error"]["code"] == -32603, "{answers}");
    client.send(&json!([call(4, "echo")]).to_string());
    assert!(client.line().starts_with('['));
    client.end();
    assert_eq!(asked(&place), "tools/call echo\n");
    assert_eq!(outcomes(&entries(&place)), ["echo denied policy", "echo ok -", "fail denied policy"]);
}

#[test]
fn a_rule_for_the_servers_own_name_holds_from_the_first_call() {
    let rules = "[gate]\ndefault = \"deny\"\n[[gate.rules]]\nname = \"used\"\neffect = \"allow\"\ntools = [\"mcp__fixture__echo\"]\n";
    for _ in 0..10 {
        let place = TestHome::new();
        let mut client = client(&place, rules, &[]);
        client.send(r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{}}"#);
        client.line();
        assert_eq!(client.call("echo", &json!({ "text": "x" }))["result"]["isError"], false);
        assert_eq!(client.call("fail", &json!({}))["result"]["isError"], true);
        client.end();
        let entries = entries(&place);
        assert_eq!(outcomes(&entries), ["echo ok -", "fail denied policy"]);
        let denied = entries.iter().find(|entry| entry["tool"] == "fail").unwrap();
        assert!(denied["extra"]["why"].as_str().unwrap().contains("no rule allows"), "{denied}");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_denies_every_call() {
    let place = TestHome::new();
    let mut client = client(&place, "[gate]\n\ndefualt = \"deny\"\n", &[]);
    let denied = client.call("echo", &json!({ "text": "x" }));
    let text = denied["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("tooltrail.toml, line 3"), "{text}");
    client.send(r#"{"id":9,"method":"tools/list"}"#);
    assert!(client.line().contains("secret_tool"));
    client.end();
    assert_eq!(asked(&place), "tools/list \n");
    assert_eq!(outcomes(&entries(&place)), ["echo denied policy"]);
}

#[test]
fn a_name_that_does_not_come_is_denied_and_one_that_comes_in_time_passes() {
    const MEGABYTES: usize = 20;
    let place = TestHome::new();
    let mut client = client(&place, RULES, &["--server", "hub"]);
    let mut send = |head: &str, tail: &str| {
        let input = client.input.as_mut().unwrap();
        input.write_all(head.as_bytes()).unwrap();
        let pad = vec![b'p'; 1024 * 1024];
        (0..MEGABYTES).for_each(|_| input.write_all(&pad).unwrap());
        input.write_all(tail.as_bytes()).unwrap();
        serde_json::from_str::<Value>(&client.line()).unwrap()
    };
    let late = send(r#"{"id":1,"method":"tools/call","params":{"arguments":{"text":""#, "\"},\"name\":\"echo\"}}\n");
    assert_eq!((&late["id"], &late["result"]["isError"]), (&json!(1), &json!(true)), "{late}");
    let early = send(r#"{"id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":""#, "\"}}}\n");
    assert_eq!(early["result"]["content"][0]["text"].as_str().map(str::len), Some(MEGABYTES * 1024 * 1024));
    let refused = send(r#"{"id":3,"method":"tools/call","params":{"name":"fail","arguments":{"text":""#, "\"}}}\n");
    assert!(refused["result"]["content"][0]["text"].as_str().unwrap().contains("no-fail"));
    // A name that comes twice, the second time after the first part was passed on.
    let twice = send(
        r#"{"id":4,"method":"tools/call","params":{"name":"echo","arguments":{"text":""#,
        "\"},\"name\":\"fail\"}}\n",
    );
    assert_eq!((&twice["id"], &twice["result"]["isError"]), (&json!(4), &json!(true)));
    client.end();
    assert_eq!(asked(&place), "tools/call echo\n");
}
