//! Which token may ask which question, and how sent entries are stored and returned.

use serde_json::{Value, json};

use crate::service::Service;

/// Returns the `args` of entries of a tool, newest first.
fn args_of(entries: &[Value], tool: &str) -> Vec<Value> {
    entries.iter().filter(|entry| entry["tool"] == tool).map(|entry| entry["args"].clone()).collect()
}

#[test]
fn each_role_may_do_its_own() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let ingest = service.token(&["agent", "--role", "ingest"]);
    let alice = service.token(&["alice", "--role", "user", "--user", "alice"]);
    let line =
        |user: &str| json!({ "user": user, "tool": "fs.read", "args": {}, "status": "ok", "result": "x" }).to_string();
    assert_eq!(service.post(&ingest, &line("alice")).status, 200);
    assert_eq!(service.post(&admin, &line("bob")).status, 200);
    assert_eq!(service.post(&alice, &line("alice")).status, 403);

    let stranger = format!("{}{}", &alice[..20], &alice[..62]);
    let check = |target: &str, expected: [u16; 5]| {
        let got = [admin.as_str(), &ingest, &alice, &stranger].map(|token| service.get(token, target).status);
        let none = service.send("GET", target, &[], "").status;
        assert_eq!([got[0], got[1], got[2], got[3], none], expected, "{target}");
    };
    //                                                 admin ingest alice stranger nobody
    check("/api/audit/recent", [200, 403, 200, 401, 401]);
    check("/api/audit/recent?user=alice", [200, 403, 200, 401, 401]);
    check("/api/audit/recent?user=bob", [200, 403, 403, 401, 401]);
    check("/api/audit/recent?q=user%3Dbob", [200, 403, 403, 401, 401]);
    check("/api/audit/recent?q=user%3Dalice", [200, 403, 200, 401, 401]);
    check("/api/audit/recent?q=user%3Dalice+user%3Dbob", [200, 403, 403, 401, 401]);
    check("/api/audit/recent?q=user%3Dbob+user%3Dalice", [200, 403, 403, 401, 401]);
    check("/api/audit/stats?q=user%3Dalice+user%3Dbob", [200, 403, 403, 401, 401]);
    check("/api/audit/stats", [200, 403, 200, 401, 401]);
    check("/api/audit/stats?user=bob", [200, 403, 403, 401, 401]);
    check("/api/audit/stats?q=user%3Dbob", [200, 403, 403, 401, 401]);
    check("/api/audit/users", [200, 403, 200, 401, 401]);
    check("/healthz", [200; 5]);
    check("/readyz", [200; 5]);
    check("/openapi.json", [200; 5]);
    check("/api/audit", [404; 5]);

    for target in ["/api/audit/recent", "/api/audit/recent?q=user%3Db*", "/api/audit/recent?q=fs.read"] {
        let entries = service.get(&alice, target).entries();
        assert!(entries.iter().all(|entry| entry["user"] == "alice"), "{target}: {entries:?}");
    }
    let users = service.get(&alice, "/api/audit/users").json();
    assert_eq!(users["users"].as_array().unwrap().len(), 1, "{users}");
    assert_eq!(users["users"][0]["user"], "alice");
    let everybody = service.get(&admin, "/api/audit/users").json();
    let names =
        everybody["users"].as_array().unwrap().iter().map(|user| user["user"].as_str().unwrap()).collect::<Vec<_>>();
    assert!(names.contains(&"alice") && names.contains(&"bob"), "{names:?}");
    assert_eq!(service.get(&alice, "/api/audit/stats").json()["by_user"], json!({ "alice": 1 }));

    let refused = service.send("GET", "/api/audit/recent", &[], "");
    assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
    assert!(service.get(&stranger, "/api/audit/recent").header("www-authenticate").unwrap().contains("invalid_token"));
}

#[test]
fn a_question_is_understood_or_refused() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let check = |target: &str, expected: u16| {
        let answer = service.get(&admin, target);
        assert_eq!(answer.status, expected, "{target}: {}", answer.body);
        let kind = if expected < 400 { "application/json" } else { "application/problem+json" };
        assert_eq!(answer.header("content-type"), Some(kind), "{target}");
        if expected >= 400 {
            assert_eq!(answer.json()["status"], expected, "{target}");
        }
    };
    check("/api/audit/recent?user=&days=7&limit=200&q=&cursor=", 200);
    check("/api/audit/recent?days=3650&limit=1000", 200);
    check("/api/audit/recent?q=tool%3Dfs.*+status%3Derror+last%3D1h+%22free%20text%22", 200);
    for bad in ["days=0", "days=3651", "days=x", "limit=0", "limit=1001", "limit=+1", "offset=1", "days=1&days=1"] {
        check(&format!("/api/audit/recent?{bad}"), 400);
    }
    for bad in ["q=status%3Dmaybe", "q=%22open", "cursor=nonsense", "user=%ff", "user=a%00", "user=%4"] {
        check(&format!("/api/audit/recent?{bad}"), 400);
    }
    check("/api/audit/stats?limit=1", 400);
    check("/api/audit/users?user=x", 400);
    check("/api/audit/users?cursor=x", 400);
    check("/healthz?x=1", 400);
    check("/readyz?x", 400);
    check("/openapi.json?x=", 400);
    check("/api/audit/recent/", 404);
    check("/api/audit/%72ecent", 404);
    check("/nothing", 404);
    check("/%ff", 400);
    check("/%00", 400);
    check("/..%2f..%2fetc/passwd", 404);

    let wrong = service.get(&admin, "/api/audit/recent?q=status%3Dmaybe").json();
    assert!(wrong["detail"].as_str().unwrap().contains("status"), "{wrong}");
    assert!(wrong["hint"].as_str().unwrap().contains("denied"), "{wrong}");
    for (method, path, allow) in
        [("POST", "/api/audit/recent", "GET"), ("GET", "/api/audit/entries", "POST"), ("DELETE", "/healthz", "GET")]
    {
        let answer = service.send(method, path, &[], "");
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.header("allow").unwrap_or_default().contains(allow), "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
}

#[test]
fn what_is_sent_is_acknowledged_line_by_line() {
    let service = Service::start();
    let ingest = service.token(&["agent", "--role", "ingest"]);
    let admin = service.token(&["root", "--role", "admin"]);
    let check = |body: &str, status: u16, accepted: u64, rejected: &[u64]| {
        let answer = service.post(&ingest, body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        let answer = answer.json();
        let lines = answer["rejected"].as_array().unwrap().iter().map(|refused| refused["line"].as_u64().unwrap());
        assert_eq!(
            (answer["accepted"].as_u64(), lines.collect::<Vec<_>>()),
            (Some(accepted), rejected.to_vec()),
            "{body}"
        );
    };
    let common = r#"{"ts":null,"user":"carol","session":"s-1","tool":"common","args":{"n":1.50},"status":"ok","result":"done","duration_ms":12.25}"#;
    let seed = r#"{"ts":"2026-11-20T08:15:00","user":"carol","tool":"seed","args":{},"status":"denied","result_chars":0,"result_snippet":""}"#;
    let ours = r#"{"ts":"2026-11-21T08:15:00.123Z","user":"carol","tool":"ours","args":{},"status":"error","result_chars":900,"result_snippet":"cut","id":"019aa4f3-3c1b-7abc-8def-0123456789ab","reason":"timeout","via":"proxy","identity":"verified","salt":"AAAAAAAAAAAAAAAAAAAAAA"}"#;
    check(common, 200, 1, &[]);
    check(&format!("{seed}\n\n{ours}\n"), 200, 2, &[]);
    check(&format!(" \n[{common},\n{common}]"), 200, 2, &[]);
    check(&format!("{common}\n\n{{}}\nnot json\n{common}\r\n"), 207, 2, &[3, 4]);
    check(&format!("[{common}, 7, {{\"tool\":3}}]"), 207, 1, &[2, 3]);
    check("{}\n{\"tool\":\"x\",\"tool\":\"y\"}", 400, 0, &[1, 2]);
    for unsplit in ["", " \n", "[]", "[{]", "[{}] tail"] {
        let answer = service.post(&ingest, unsplit);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some("application/problem+json")),
            "{unsplit:?}"
        );
    }

    let entries = service.get(&admin, "/api/audit/recent?user=carol&days=3650").entries();
    assert_eq!(args_of(&entries, "common").len(), 6, "{entries:?}");
    let one = |tool: &str| entries.iter().find(|entry| entry["tool"] == tool).unwrap().clone();
    // The service sets the id and the time of arrival. The sent values are kept in `extra`.
    assert_ne!(one("ours")["id"], "019aa4f3-3c1b-7abc-8def-0123456789ab");
    assert_eq!(one("ours")["extra"]["id"], "019aa4f3-3c1b-7abc-8def-0123456789ab");
    assert!(one("ours")["extra"]["received"].is_string() && one("common")["extra"].is_null());
    assert_eq!((&one("ours")["result_chars"], &one("ours")["reason"]), (&json!(900), &json!("timeout")));
    assert_eq!((&one("ours")["via"], &one("ours")["extra"]["via"]), (&json!("http"), &json!("proxy")));
    assert_eq!((&one("seed")["ts"], &one("seed")["status"]), (&json!("2026-11-20T08:15:00.000Z"), &json!("denied")));
    assert_eq!((&one("common")["via"], &one("common")["identity"]), (&json!("http"), &json!("claimed")));
    // The answer contains the stored line unchanged, with all digits.
    let page = service.get(&admin, "/api/audit/recent?user=carol&days=3650").body;
    assert!(page.contains(r#""args":{"n":1.50}"#) && page.contains(r#""duration_ms":12.25"#), "{page}");
}

#[test]
fn a_line_that_is_no_text_spoils_no_other() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let body = b"{\"tool\":\"a\"}\n{\"tool\":\"\xff\"}\n{\"tool\":\"b\"}";
    let head = format!(
        "POST /api/audit/entries HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {admin}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        service.address,
        body.len()
    );
    let answer = service.raw(&[head.as_bytes(), body].concat());
    assert_eq!(answer.status, 207);
    let expected = json!({ "accepted": 2, "rejected": [{ "line": 2, "error": "not UTF-8 at byte 9" }] });
    assert_eq!(answer.json(), expected);
}

#[test]
fn a_tokens_user_wins_over_the_bodys() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let laptop = service.token(&["laptop", "--role", "ingest", "--user", "alice"]);
    let line = |user: Value, tool: &str| json!({ "user": user, "tool": tool, "status": "ok" }).to_string();
    let check = |token: &str, user: Value, stored: [Value; 3]| {
        assert_eq!(service.post(token, &line(user.clone(), "t")).status, 200);
        let newest = &service.get(&admin, "/api/audit/recent?limit=1&q=tool%3Dt").entries()[0];
        assert_eq!([&newest["user"], &newest["identity"], &newest["claimed_user"]], stored.each_ref(), "{user}");
    };
    check(&laptop, json!("alice"), [json!("alice"), json!("verified"), Value::Null]);
    check(&laptop, json!("bob"), [json!("alice"), json!("verified"), json!("bob")]);
    check(&laptop, Value::Null, [json!("alice"), json!("verified"), Value::Null]);
    check(&admin, json!("bob"), [json!("bob"), json!("claimed"), Value::Null]);
    let anonymous = service.post(&admin, &line(Value::Null, "t"));
    assert_eq!(anonymous.status, 200);
    let newest = &service.get(&admin, "/api/audit/recent?limit=1&q=tool%3Dt").entries()[0];
    assert_eq!(newest["user"], "unknown");
    // A sent call with the tool name of an own event is stored as an outside call.
    assert_eq!(service.post(&admin, &line(json!("bob"), "tooltrail.read")).status, 200);
    let forged = &service.get(&admin, "/api/audit/recent?limit=1&user=bob").entries()[0];
    assert_eq!((&forged["tool"], &forged["via"]), (&json!("outside.tooltrail.read"), &json!("http")));
    assert_eq!(forged["extra"]["tool"], "tooltrail.read");
    // A sent user name cannot be the service's own, and a sent time cannot be in the future.
    assert_eq!(service.post(&admin, &line(json!("_system"), "t")).status, 200);
    let system = &service.get(&admin, "/api/audit/recent?limit=1&user=outside._system").entries()[0];
    assert_eq!(system["claimed_user"], "_system");
    let future = json!({ "user": "carl", "tool": "t", "ts": "2099-01-01T00:00:00Z", "status": "ok" }).to_string();
    assert_eq!(service.post(&admin, &future).status, 200);
    let future = &service.get(&admin, "/api/audit/recent?limit=1&user=carl").entries()[0];
    assert_eq!(future["extra"]["claimed_ts"], "2099-01-01T00:00:00.000Z");
    assert!(future["ts"].as_str().unwrap() < "2099");
}

#[test]
fn reads_and_losses_are_in_the_trail() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let ingest = service.token(&["agent", "--role", "ingest"]);
    assert_eq!(service.get(&admin, "/api/audit/recent?q=tool%3Dsomething").status, 200);
    service.until("the read is recorded", || {
        let entries = service.get(&admin, "/api/audit/recent?user=_system").entries();
        args_of(&entries, "tooltrail.read")
            .iter()
            .any(|args| args["token"] == "root" && args["what"] == "recent" && args["query"] == "q=tool=something")
    });
    let line = r#"{"tool":"t","status":"ok"}"#;
    let lost = |value: &str, line: &str| {
        let bearer = format!("Bearer {ingest}");
        let headers = [("Authorization", bearer.as_str()), ("Tooltrail-Lost", value)];
        service.send("POST", "/api/audit/entries", &headers, line).status
    };
    assert_eq!(lost("many", line), 400);
    assert_eq!(lost("17", line), 200);
    // An empty body is an error without a count of lost entries, and valid with one.
    assert_eq!(lost("0", ""), 400);
    assert_eq!(lost("5", ""), 200);
    service.until("the gap is recorded", || {
        let entries = service.get(&admin, "/api/audit/recent?q=tool%3Dtooltrail.gap").entries();
        let gaps = args_of(&entries, "tooltrail.gap");
        let counts = gaps.iter().map(|gap| gap["lost"].as_u64()).collect::<Vec<_>>();
        counts == [Some(5), Some(17)] && gaps[0]["token"] == "agent"
    });
    assert_eq!(args_of(&service.get(&admin, "/api/audit/recent").entries(), "t").len(), 1);
    assert_eq!(service.get(&admin, "/api/audit/stats").json()["total"], 1);
}

#[test]
fn pages_follow_each_other() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let lines = (0..25).map(|n| json!({ "user": "dave", "tool": "t", "args": { "n": n }, "status": "ok" }).to_string());
    assert_eq!(service.post(&admin, &lines.collect::<Vec<_>>().join("\n")).status, 200);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.get(&admin, &format!("/api/audit/recent?user=dave&q=tool%3Dt&limit=10&cursor={cursor}"));
        seen.extend(page.entries().iter().map(|entry| entry["args"]["n"].as_u64().unwrap()));
        match page.json()["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..25).collect::<Vec<_>>());
}

#[test]
fn a_line_whose_file_cannot_be_written_is_rejected_alone() {
    let service = Service::start();
    let ingest = service.token(&["agent", "--role", "ingest"]);
    let elsewhere = service.place.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, service.place.home().join("mallory")).unwrap();
    let line = |user: &str| json!({ "user": user, "tool": "t", "status": "ok" }).to_string();
    let body = ["good", "mallory", "zgood"].map(line).join("\n");
    let answer = service.post(&ingest, &body);
    assert_eq!(answer.status, 207, "{}", answer.body);
    assert_eq!(answer.json()["accepted"], 2);
    assert_eq!(answer.json()["rejected"][0]["line"], 2);
    // If none of the entries was written, the status is 503 and not 207.
    assert_eq!(service.post(&ingest, &line("mallory")).status, 503);
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
}
