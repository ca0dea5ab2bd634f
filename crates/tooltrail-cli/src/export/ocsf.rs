//! OCSF 1.8.0: each call as an event of the class API Activity (6003) with the profiles `ai_operation`,
//! `security_control` and `trace`. The schema is <https://schema.ocsf.io/1.8.0/classes/api_activity>.

use serde_json::{Map, Value, json};
use tooltrail::{Timestamp, Zone};

use super::fields::Fields;

/// The fields that have a place in the schema. All others go to `unmapped`, so that nothing is lost.
const MAPPED: [&str; 18] = [
    "ts",
    "user",
    "tool",
    "args",
    "status",
    "result_snippet",
    "id",
    "duration_ms",
    "reason",
    "session",
    "call_id",
    "agent",
    "model",
    "client",
    "server",
    "rule",
    "trace_id",
    "span_id",
];

/// Returns the events of stored lines, one line each. A line that is no entry is left out.
pub(super) fn events(lines: &[String], zone: &Zone) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines {
        if let Some(event) = event(&Fields::read(line), zone) {
            out.extend(event.to_string().into_bytes());
            out.push(b'\n');
        }
    }
    out
}

fn event(entry: &Fields<'_>, zone: &Zone) -> Option<Value> {
    let text = |name: &str| entry.text(name).filter(|text| !text.is_empty());
    let json = |name: &str| entry.raw(name).and_then(|raw| serde_json::from_str::<Value>(raw).ok());
    let (ts, tool, status) = (entry.text("ts")?, entry.text("tool")?, entry.text("status")?);
    let time = Timestamp::parse(&ts, zone).ok()?.as_millis();
    let (is_ok, is_denied) = (status == "ok", status == "denied");
    let mut event = json!({
        "category_uid": 6, "category_name": "Application Activity",
        "class_uid": 6003, "class_name": "API Activity",
        "activity_id": 99, "activity_name": "Invoke",
        "type_uid": 600_399, "type_name": "API Activity: Other",
        "time": time,
        "severity_id": severity(is_ok, is_denied).0, "severity": severity(is_ok, is_denied).1,
        "status_id": if is_ok { 1 } else { 2 }, "status": if is_ok { "Success" } else { "Failure" },
        "action_id": if is_denied { 2 } else { 1 }, "action": if is_denied { "Denied" } else { "Allowed" },
        "disposition_id": if is_denied { 2 } else { 1 }, "disposition": if is_denied { "Blocked" } else { "Allowed" },
        "actor": { "user": { "name": entry.text("user")?, "uid": entry.text("user")? } },
        "src_endpoint": { "svc_name": text("client").or_else(|| text("agent")).unwrap_or("unknown".into()) },
        "resources": [{ "name": tool, "type": "tool" }],
        "metadata": {
            "version": "1.8.0",
            "product": { "name": "tooltrail", "vendor_name": "tooltrail", "version": env!("CARGO_PKG_VERSION") },
            "profiles": ["ai_operation", "security_control", "trace"],
            "original_time": ts,
        },
    });
    let took = entry.number("duration_ms").filter(|took| *took >= 0.0).map(|took| took.round() as i64);
    let began = time.saturating_sub(took.unwrap_or(0));
    if let Some(took) = took {
        event["duration"] = json!(took);
        event["start_time"] = json!(began);
        event["end_time"] = json!(time);
    }
    let mut put = |path: [&str; 2], value: Option<Value>| {
        if let Some(value) = value {
            match path {
                [name, ""] => event[name] = value,
                [name, inner] => event[name][inner] = value,
            }
        }
    };
    let word = |name: &str| text(name).map(|text| Value::from(text.into_owned()));
    put(["metadata", "uid"], word("id"));
    put(["status_detail", ""], word("reason"));
    put(["message", ""], word("result_snippet"));
    put(["policy", ""], text("rule").map(|rule| json!({ "name": rule, "is_applied": true })));
    put(
        ["trace", ""],
        text("trace_id").map(|trace| match text("span_id") {
            Some(span) => json!({ "uid": trace, "span": { "uid": span, "start_time": began, "end_time": time } }),
            None => json!({ "uid": trace }),
        }),
    );
    put(["ai_model", ""], text("model").map(|model| json!({ "name": model, "ai_provider": provider(&model) })));
    put(
        ["message_context", ""],
        text("session").map(|session| {
            let name = text("agent").or_else(|| text("client")).unwrap_or("unknown".into());
            json!({ "uid": session, "ai_role_id": 3, "ai_role": "Tool", "application": { "name": name } })
        }),
    );
    event["api"] = api(entry, &tool, is_ok);
    let rest = entry.iter().filter(|(name, _)| !MAPPED.contains(name));
    let mut unmapped = rest.filter_map(|(name, _)| Some((name.to_owned(), json(name)?))).collect::<Map<_, _>>();
    // The parser of the schema wants a span to be within its trace.
    if text("trace_id").is_none() {
        unmapped.extend(word("span_id").map(|span| ("span_id".to_owned(), span)));
    }
    if !unmapped.is_empty() {
        event["unmapped"] = unmapped.into();
    }
    Some(event)
}

/// Returns the call itself: what was asked, and what came back.
fn api(entry: &Fields<'_>, tool: &str, is_ok: bool) -> Value {
    let text = |name: &str| entry.text(name).filter(|text| !text.is_empty());
    let args = entry.raw("args").and_then(|raw| serde_json::from_str::<Value>(raw).ok()).unwrap_or_default();
    let mut api = json!({ "operation": "tools/call" });
    if let Some(server) = text("server") {
        api["service"] = json!({ "name": server });
    }
    // A request needs an id; without one of the client, it is that of the entry.
    let id = text("call_id").or_else(|| text("id")).unwrap_or_else(|| tool.to_owned().into());
    api["request"] = json!({ "uid": id, "data": args });
    let mut response = Map::new();
    if !is_ok {
        response.insert("error".to_owned(), text("reason").unwrap_or_else(|| "error".into()).into());
        response.extend(text("result_snippet").map(|said| ("error_message".to_owned(), said.into())));
    } else if let Some(said) = text("result_snippet") {
        response.insert("data".to_owned(), json!({ "snippet": said }));
    }
    if !response.is_empty() {
        api["response"] = response.into();
    }
    api
}

/// Returns the severity: a refusal is worth a look, a failure less.
const fn severity(is_ok: bool, is_denied: bool) -> (u8, &'static str) {
    match (is_ok, is_denied) {
        (true, _) => (1, "Informational"),
        (false, true) => (3, "Medium"),
        (false, false) => (2, "Low"),
    }
}

/// Returns who provides a model, as far as its name tells.
fn provider(model: &str) -> &'static str {
    let model = model.to_ascii_lowercase();
    let known = [
        ("claude", "Anthropic"),
        ("gpt", "OpenAI"),
        ("o1", "OpenAI"),
        ("o3", "OpenAI"),
        ("o4", "OpenAI"),
        ("codex", "OpenAI"),
        ("gemini", "Google"),
        ("mistral", "Mistral AI"),
        ("llama", "Meta"),
        ("qwen", "Alibaba"),
        ("deepseek", "DeepSeek"),
        ("grok", "xAI"),
    ];
    known.iter().find(|(name, _)| model.contains(name)).map_or("unknown", |(_, provider)| provider)
}
