//! Every way in which a call can end: its entry and its answer.

use serde_json::{Value, json};
use tooltrail_toolbox::{Effect, Gate, REFUSAL, Rule};

use crate::support::{TestToolbox, alice};

/// One call and its expected results.
struct Case {
    tool: &'static str,
    args: &'static str,
    /// The text of the answer or of the error.
    answer: Result<&'static str, &'static str>,
    /// `status`, `reason` and `rule` of the entry; null means that the field is absent.
    entry: [Value; 3],
    chars: u64,
    snippet: &'static str,
}

fn gate() -> Gate {
    let mut no_args = Rule::deny("no-args");
    no_args.tools = vec!["args".to_owned()];
    no_args.users = vec!["mallory".to_owned()];
    let mut echo = Rule::allow("echo-is-fine");
    echo.tools = vec!["ec*".to_owned()];
    Gate { rules: vec![echo, no_args], default: Effect::Allow }
}

async fn check(user: &str, case: Case) {
    let fixture = TestToolbox::new();
    let toolbox = fixture.toolbox(gate());
    let mut ctx = alice();
    user.clone_into(&mut ctx.user);

    let answer = toolbox.call(&ctx, case.tool, case.args).await;
    let answer = answer.map(|output| output.to_text()).map_err(|error| error.to_string());
    match (&answer, case.answer) {
        (Ok(got), Ok(want)) => assert_eq!(got, want),
        (Err(got), Err(want)) => assert!(got.contains(want), "{}: {want:?} is not in {got:?}", case.tool),
        _ => panic!("{} answered {answer:?}", case.tool),
    }

    let entries = fixture.entries();
    assert_eq!(entries.len(), 1, "{}: {entries:?}", case.tool);
    let entry = &entries[0];
    let told = [&entry["status"], &entry["reason"], &entry["rule"]];
    assert_eq!(told, case.entry.each_ref(), "{entry}");
    assert!(entry["duration_ms"].as_f64().unwrap() >= 0.0, "{entry}");
    let snippet = entry["result_snippet"].as_str().unwrap();
    if case.answer.is_err() && case.chars == 0 && !case.snippet.is_empty() {
        assert!(snippet.contains(case.snippet), "{:?} is not in {snippet:?}", case.snippet);
    } else {
        assert_eq!((entry["result_chars"].as_u64().unwrap(), snippet), (case.chars, case.snippet), "{entry}");
    }
    for (field, want) in [
        ("user", user),
        ("tool", case.tool),
        ("via", "toolbox"),
        ("session", "s-1"),
        ("call_id", "toolu_1"),
        ("agent", "helper"),
        ("model", "m-1"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
        ("span_id", "b7ad6b7169203331"),
    ] {
        assert_eq!(entry[field], want, "{field} of {entry}");
    }

    // After each case, the next call works.
    let next = toolbox.call(&ctx, "echo", r#"{"text":"still here"}"#).await.unwrap();
    assert_eq!(next.to_text(), "still here");
}

fn ended(status: &str, reason: &str) -> [Value; 3] {
    [json!(status), json!(reason), Value::Null]
}

fn ok(tool: &'static str, args: &'static str, result: &'static str) -> Case {
    let entry = [json!("ok"), Value::Null, Value::Null];
    Case { tool, args, answer: Ok(result), entry, chars: result.chars().count() as u64, snippet: result }
}

/// Returns a case whose snippet is the complete error text.
fn failed(tool: &'static str, reason: &str, text: &'static str, told: &'static str) -> Case {
    let entry = ended("error", reason);
    Case { tool, args: "{}", answer: Err(told), entry, chars: text.chars().count() as u64, snippet: text }
}

/// Returns a case in which both the snippet and the answer contain `piece`.
fn invalid(tool: &'static str, args: &'static str, piece: &'static str) -> Case {
    Case { tool, args, answer: Err(piece), entry: ended("error", "invalid_args"), chars: 0, snippet: piece }
}

fn denied(tool: &'static str, reason: &str, rule: Value) -> Case {
    let entry = [json!("denied"), json!(reason), rule];
    Case { tool, args: "{}", answer: Err(REFUSAL), entry, chars: 0, snippet: "" }
}

#[tokio::test]
async fn a_result_is_ok() {
    let allowed = [json!("ok"), Value::Null, json!("echo-is-fine")];
    check("alice", Case { entry: allowed, ..ok("echo", r#"{"text":"grüße"}"#, "grüße") }).await;
    check("alice", ok("args", r#"{"a":[1,null]}"#, r#"{"a":[1,null]}"#)).await;
    check("alice", ok("args", r#""a string""#, "a string")).await;
    check("alice", ok("args", "", "{}")).await;
}

#[tokio::test]
async fn a_failure_is_an_error() {
    check("alice", failed("fail", "tool_error", "no such file", "no such file")).await;
    let digit = "invalid digit found in string";
    check("alice", failed("source", "tool_error", digit, digit)).await;
    check("alice", failed("panic", "panicked", "out of cheese", "broke down")).await;
    check("alice", failed("panic.start", "panicked", "not even a future", "broke down")).await;
    let late = "the tool did not answer within 5ms";
    check("alice", failed("slow", "timeout", late, late)).await;
    check("alice", failed("panic.drop", "timeout", late, late)).await;
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_an_error() {
    let case = |args, piece| {
        let entry = [json!("error"), json!("invalid_args"), json!("echo-is-fine")];
        Case { entry, ..invalid("echo", args, piece) }
    };
    check("alice", case(r#"{"text":7}"#, "'/text'")).await;
    check("alice", case("{}", "'text'")).await;
    check("alice", case("[]", "object")).await;
    check("alice", case("", "'text'")).await;
    check("alice", invalid("args", r#"{"text":"#, "not JSON")).await;
    check("alice", invalid("args", "{} {}", "not JSON")).await;
    check("alice", invalid("args", "rm -rf", "not JSON")).await;
}

#[tokio::test]
async fn a_refusal_is_denied_and_tells_nothing() {
    check("alice", denied("no.such", "unknown_tool", Value::Null)).await;
    check("alice", denied("admin.tool", "unknown_tool", Value::Null)).await;
    check("mallory", denied("args", "policy", json!("no-args"))).await;
}

#[tokio::test]
async fn a_tool_may_refuse_by_itself() {
    check("alice", Case { answer: Err("not for you"), ..denied("refuse", "policy", Value::Null) }).await;
}

#[tokio::test]
async fn of_an_unquoted_result_the_length_alone_is_kept() {
    let text = "{\"ü\":1}";
    check("alice", Case { snippet: "", ..ok("unquoted", "{}", text) }).await;
}

#[tokio::test]
async fn the_trail_keeps_arguments_as_sent() {
    let fixture = TestToolbox::new();
    let toolbox = fixture.toolbox(Gate::default());
    let answer = toolbox.call(&alice(), "args", r#"{"b":1.50,"a":1e2,"b":2}"#).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&answer.to_text()).unwrap(), json!({"a": 100.0, "b": 2}));
    toolbox.call(&alice(), "args", r#"{"z":1.50,"a":1e2}"#).await.unwrap();
    fixture.recorder.flush().unwrap();

    let folder = fixture.folder.path().join("home/alice/tool_audit");
    let days = std::fs::read_dir(folder).unwrap();
    let text: String = days.map(|day| std::fs::read_to_string(day.unwrap().path()).unwrap()).collect();
    assert!(text.contains(r#""args":{"z":1.50,"a":1e2}"#), "{text}");
    assert!(text.contains(r#""args":{"raw":"{\"b\":1.50,\"a\":1e2,\"b\":2}"}"#), "{text}");
}

#[tokio::test]
async fn a_model_is_offered_what_it_may_call() {
    let fixture = TestToolbox::new();
    let toolbox = fixture.toolbox(gate());
    let offered = |user: &str, role: Option<&str>| {
        let mut ctx = alice();
        user.clone_into(&mut ctx.user);
        ctx.role = role.map(str::to_owned);
        let names: Vec<_> = toolbox.tools_for(&ctx).map(|tool| tool.name().to_owned()).collect();
        names
    };
    let everybody =
        ["args", "echo", "fail", "panic", "panic.drop", "panic.start", "refuse", "slow", "source", "unquoted"];
    assert_eq!(offered("alice", Some("member")), everybody);
    assert_eq!(offered("alice", None), everybody);
    assert!(offered("alice", Some("admin")).contains(&"admin.tool".to_owned()));
    assert!(!offered("mallory", None).contains(&"args".to_owned()));
}
