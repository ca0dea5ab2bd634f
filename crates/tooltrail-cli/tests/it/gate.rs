//! `gate test` and `gate suggest` on recorded calls.

use serde_json::{Value, json};

use crate::support::TestHome;

/// Calls of two users: through a proxy, a hook and HTTP; one was denied, and one call has two entries.
const CALLS: &str = r#"{"user":"alice","tool":"create_issue","server":"github","via":"proxy","status":"ok","call_id":"toolu_01ABCDEFGHIJKLMNOP","ts":"2026-11-20T10:00:00Z"}
{"user":"alice","tool":"mcp__github__create_issue","status":"ok","call_id":"toolu_01ABCDEFGHIJKLMNOP","ts":"2026-11-20T10:00:01Z"}
{"user":"alice","tool":"mcp__github__delete_repo","status":"ok","ts":"2026-11-20T10:00:02Z"}
{"user":"alice","tool":"Bash","args":{"command":"ls"},"status":"error","ts":"2026-11-20T10:00:03Z"}
{"user":"bob","tool":"Bash","status":"denied","ts":"2026-11-20T10:00:04Z"}
{"user":"bob","tool":"Read","status":"ok","ts":"2026-11-20T10:00:05Z"}
"#;

const QUESTION: &str = "since=2026-11-20 until=2026-11-21";

fn place() -> TestHome {
    let place = TestHome::new();
    let calls = place.file("calls.jsonl", CALLS);
    let imported = place.run(&["import", &calls]);
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    place
}

#[test]
fn rules_are_tried_on_recorded_calls() {
    let place = place();
    let check = |rules: &str, question: &str, expected: Value| {
        let file = place.file("rules.toml", rules);
        let told = place.run(&["gate", "test", &file, question, "--json"]);
        assert_eq!(told.code, Some(0), "{}", told.err);
        let answer = serde_json::from_str::<Value>(&told.out).unwrap();
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&answer[name], value, "{rules}: {name}");
        }
    };
    let rule = |head: &str, name: &str, effect: &str, tool: &str| {
        format!("[[{head}]]\nname = \"{name}\"\neffect = \"{effect}\"\ntools = [\"{tool}\"]\n")
    };
    check("", QUESTION, json!({ "calls": 5, "denied": 0, "newest": [] }));
    check(
        &rule("gate.rules", "no-shell", "deny", "Bash"),
        QUESTION,
        json!({ "denied": 2, "denied_before": 1, "by_rule": { "no-shell": 2 }, "by_tool": { "Bash": 2 },
            "by_user": { "alice": 1, "bob": 1 }, "complete": true }),
    );
    // A rule for a server names its tools as the server or as a hook calls them.
    let own = rule("mcp.github.rules", "own", "deny", "delete_*")
        + &rule("gate.rules", "hooked", "hide", "mcp__github__create_issue");
    check(&own, QUESTION, json!({ "denied": 2, "by_rule": { "own": 1, "hooked": 1 } }));
    // A rule that matches nothing is told: its name may be misspelt.
    let misspelt = rule("gate.rules", "typo", "deny", "Bsah") + &rule("mcp.nobody.rules", "far", "allow", "x");
    check(&(own + &misspelt), QUESTION, json!({ "denied": 2, "unused": ["far", "typo"] }));
    check(
        "[gate]\ndefault = \"deny\"\n",
        &format!("{QUESTION} user=bob"),
        json!({ "calls": 2, "denied": 2, "by_rule": { "(default)": 2 } }),
    );

    let file = place.file("rules.toml", rule("gate.rules", "no-shell", "deny", "Bash"));
    let told = place.run(&["gate", "test", &file, QUESTION]);
    assert!(told.out.starts_with("5 calls, 2 would have been denied, 1 of them denied before\n"), "{}", told.out);
    let unused = place.run(&["gate", "test", &place.file("typo.toml", misspelt), QUESTION]);
    assert!(unused.out.contains("rules that matched no call: far, typo"), "{}", unused.out);
    let without = place.run(&["mcp", "npx", "server"]);
    assert!(without.code == Some(2) && without.err.contains("comes after `--`"), "{}", without.err);
    let broken = place.file("broken.toml", "[gate]\n\ndefualt = \"deny\"\n");
    let told = place.run(&["gate", "test", &broken, QUESTION]);
    assert!(told.code == Some(2) && told.err.contains("broken.toml, line 3: unknown field `defualt`"), "{}", told.err);
}

#[test]
fn only_random_ids_join_entries_to_one_call() {
    let place = TestHome::new();
    let call = |session: &str, second: u32, status: &str, id: &str| {
        json!({ "user": "alice", "tool": "Bash", "status": status, "session": session, "call_id": id,
            "ts": format!("2026-11-20T10:00:0{second}Z") })
        .to_string()
    };
    let lines = [
        call("a", 0, "ok", "functions.Bash:0"),
        call("b", 1, "ok", "functions.Bash:0"),
        call("a", 2, "ok", "toolu_01ABCDEFGHIJKLMNOP"),
        call("b", 3, "ok", "toolu_01ABCDEFGHIJKLMNOP"),
        call("b", 4, "denied", "toolu_01ABCDEFGHIJKLMNOP"),
    ];
    let imported = place.run(&["import", &place.file("calls.jsonl", lines.join("\n"))]);
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    let told = place.run(&["gate", "test", &place.file("rules.toml", ""), QUESTION]);
    assert_eq!(told.out, "4 calls, none would have been denied\n");
}

#[test]
fn rules_are_derived_from_what_was_used() {
    let place = place();
    let told = place.run(&["gate", "suggest", QUESTION]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(
        told.out.starts_with("# What 4 calls used; 1 call left out: denied, or of an unknown tool.\n"),
        "{}",
        told.out
    );
    assert_eq!(told.out.matches("[[gate.rules]]").count(), 2, "{}", told.out);
    assert!(told.out.contains("# 3 calls of 3 tools by 1 user\n"), "{}", told.out);
    let rules = place.file("suggested.toml", &told.out);
    let tested = place.run(&["gate", "test", &rules, QUESTION, "--json"]);
    let answer = serde_json::from_str::<Value>(&tested.out).unwrap();
    // Only the call that was denied before is denied by these rules.
    assert_eq!((&answer["denied"], &answer["denied_before"]), (&json!(1), &json!(1)), "{}", told.out);
    let listed = serde_json::from_str::<Value>(&place.run(&["gate", "suggest", QUESTION, "--json"]).out).unwrap();
    assert_eq!(listed["rules"][1]["tools"], json!(["Read"]));
}
