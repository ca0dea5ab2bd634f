//! The trail as an MCP server of the service. The one over stdio, with real clients, is in `tests/mcp/`.

use serde_json::{Value, json};

use crate::service::{Answer, Service};

fn ask(service: &Service, token: &str, method: &str, params: &Value) -> Answer {
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
    let token = format!("Bearer {token}");
    let headers = [
        ("Authorization", &*token),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    service.send("POST", "/mcp", &headers, &body)
}

#[test]
fn a_token_of_a_user_reads_that_users_calls_and_nothing_else() {
    let service = Service::start();
    let alice = service.token(&["alice", "--role", "user", "--user", "alice"]);
    let admin = service.token(&["root", "--role", "admin"]);
    let ingest = service.token(&["in", "--role", "ingest"]);
    let line = |user: &str, tool: &str| {
        format!("{{\"tool\":\"{tool}\",\"user\":\"{user}\",\"status\":\"ok\",\"session\":\"s\"}}\n")
    };
    assert_eq!(service.post(&ingest, &(line("alice", "hers") + &line("bob", "other_one"))).status, 200);
    let call = |tool: &str, arguments: Value| {
        let answer = ask(&service, &alice, "tools/call", &json!({ "name": tool, "arguments": arguments }));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["result"].clone()
    };
    let recent = call("audit_recent", json!({ "query": "tool=hers" }));
    let entries = recent["structuredContent"]["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["tool"]), (1, &json!("hers")), "{recent}");
    assert_eq!(call("audit_stats", json!({}))["structuredContent"]["by_tool"]["hers"]["calls"], 1);
    assert_eq!(call("audit_sessions", json!({}))["structuredContent"]["sessions"][0]["session"], "s");
    let found = call("audit_get", json!({ "id": entries[0]["id"] }));
    assert_eq!(found["structuredContent"]["entry"]["tool"], "hers");
    let other = service.get(&admin, "/api/audit/recent?user=bob&q=tool=other_one").entries()[0]["id"].clone();
    for (tool, arguments) in [
        ("audit_get", json!({ "id": other })),
        ("audit_recent", json!({ "query": "user=bob" })),
        ("audit_recent", json!({ "user": "bob" })),
        ("file_read", json!({ "path": "../../bob/tool_audit/x.jsonl" })),
        ("none", json!({})),
    ] {
        let refused = call(tool, arguments);
        assert_eq!(refused["isError"], true, "{tool}: {refused}");
        assert!(!refused.to_string().contains("other_one"), "{tool}: {refused}");
    }
    assert_eq!(ask(&service, &alice, "tools/list", &json!({})).json()["result"]["tools"].as_array().unwrap().len(), 5);
    assert_eq!(
        [&admin, &ingest, "x"].map(|token| ask(&service, token, "tools/list", &json!({})).status),
        [403, 403, 401]
    );
    // Each use is in her trail.
    let used = service.get(&admin, "/api/audit/recent?user=alice&q=via=toolbox").entries();
    assert!(used.len() >= 8 && used.iter().all(|entry| entry["identity"] == "verified"), "{used:?}");
}
