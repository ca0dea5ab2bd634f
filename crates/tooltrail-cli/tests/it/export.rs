//! Exports of both kinds of interface: whole, in each format, in both orders, and resumed after a break.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::service::Service;
use crate::support::{TestHome, minutes_ago};

/// The published schema of API Activity with its profiles, as the package `ocsf-json-schema` 1.2.0 makes it from OCSF
/// 1.8.0 (Apache-2.0), without descriptions.
const SCHEMA: &str = include_str!("../data/ocsf-1.8.0-api_activity.schema.json");

/// Returns a home with calls of two users that have every field that a sender can give.
fn filled(place: &TestHome, calls: u64) {
    let mut lines = String::new();
    for n in 0..calls {
        let ts = minutes_ago(i64::try_from(n % 600).unwrap());
        let (status, reason) = [("ok", "ok"), ("error", "timeout"), ("denied", "policy")][(n % 3) as usize];
        let mut line = json!({
            "ts": ts.to_string(), "user": if n % 2 == 0 { "alice" } else { "größe" }, "tool": "=fs.read",
            "args": { "path": format!("/etc/{n}"), "deep": [1, { "a": null }] }, "status": status, "result": "-x, \"y\"\n",
            "duration_ms": n, "session": "s-1", "call_id": format!("toolu_{n:030}"), "parent": "p", "agent": "coder",
            "model": "claude-opus-4", "client": "claude-code/2.0", "server": "files",
            "trace_id": format!("{n:032x}"), "span_id": format!("{n:016x}"), "more": { "x": 1 },
        });
        if status != "ok" {
            line["reason"] = reason.into();
        }
        if n % 5 == 0 {
            // A bare call.
            line = json!({ "ts": ts.to_string(), "tool": "t", "user": "alice" });
        }
        lines += &(line.to_string() + "\n");
    }
    let ran = place.run_with(&["import", "-"], lines.as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn each_format_holds_every_entry() {
    let place = TestHome::new();
    filled(&place, 2_500);
    let stored = place.run(&["recent", "--json", "-n", "1000"]).out;
    let all = place.run(&["export"]).out;
    assert!(all.starts_with(&stored) && all.lines().count() == 2_500, "{}", all.lines().count());
    let oldest = place.run(&["export", "--oldest-first"]).out;
    assert!(oldest.lines().eq(all.lines().rev()));
    let denied = place.run(&["export", "status=denied", "--oldest-first"]).out;
    assert!(denied.lines().eq(oldest.lines().filter(|line| line.contains(r#""status":"denied""#))));
    // Every event is what the schema says.
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("ocsf.json", serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let schema = compiler.compile("ocsf.json", &mut schemas).unwrap();
    let events = place.run(&["export", "--format", "ocsf"]).out;
    assert_eq!(events.lines().count(), 2_500);
    for (event, line) in events.lines().zip(all.lines()) {
        let (event, entry) = (serde_json::from_str(event).unwrap(), serde_json::from_str::<Value>(line).unwrap());
        schemas.validate(&event, schema).unwrap_or_else(|error| panic!("{error:#}: {event}"));
        assert_eq!(event["metadata"]["uid"], entry["id"]);
        assert_eq!(
            (&event["resources"][0]["name"], &event["api"]["request"]["data"]),
            (&entry["tool"], &entry["args"])
        );
        assert_eq!(event["unmapped"]["extra"], entry["extra"]);
        assert_eq!(event["action_id"], if entry["status"] == "denied" { 2 } else { 1 });
    }
    let table = place.run(&["export", "--format", "csv"]).out;
    let mut rows = table.split("\r\n");
    assert!(rows.next().unwrap().starts_with("ts,user,tool,args,status,"));
    assert_eq!(table.matches("\r\n").count(), 2_501);
    assert!(!table.contains(",=fs.read,") && table.matches(",'=fs.read,").count() == 2_000);
}

#[test]
fn an_export_goes_on_where_it_broke_off() {
    let service = Service::start();
    filled(&service.place, 2_500);
    let admin = service.token(&["root", "--role", "admin"]);
    let alice = service.token(&["alice", "--role", "user", "--user", "alice"]);
    for order in ["newest", "oldest"] {
        let target = format!("/api/audit/export?order={order}&q=NOT%20via%3Dtooltrail");
        let answer = service.get(&admin, &target);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
        let whole = fetched(&service, &admin, &target, u64::MAX);
        assert_eq!(whole.lines().count(), 2_500, "{order}");
        // The client is gone after some bytes, and goes on after the last page of which it knows the end.
        let (mut found, mut cursor) = (Vec::<String>::new(), String::new());
        for turn in 0.. {
            // The first turn is broken off in the middle of the second page.
            let limit = if turn == 0 { 900_000 } else { u64::MAX };
            let text = fetched(&service, &admin, &format!("{target}&cursors=true{cursor}"), limit);
            let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let mut page = Vec::new();
            let mut next = None;
            for line in lines {
                match line.strip_prefix(r#"{"next":""#) {
                    Some(rest) => {
                        next = Some(rest.trim_end().trim_end_matches("\"}").to_owned());
                        found.append(&mut page);
                    }
                    None => page.push(line.trim_end().to_owned()),
                }
            }
            if turn > 0 {
                found.append(&mut page);
                break;
            }
            cursor = format!("&cursor={}", next.expect("a page"));
        }
        assert!(found.iter().map(String::as_str).eq(whole.lines()), "{order}: {} lines", found.len());
    }
    // A user gets the own entries only.
    let own = fetched(&service, &alice, "/api/audit/export", u64::MAX);
    assert!(own.lines().count() > 1_000);
    assert!(own.lines().all(|line| line.contains(r#""user":"alice""#)));
    assert_eq!(service.get(&alice, "/api/audit/export?user=gr%C3%B6%C3%9Fe").status, 403);
}

#[test]
fn an_export_that_cannot_go_on_breaks_the_connection() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let bundle = service.get(&admin, "/api/audit/export?format=bundle&order=oldest");
    assert_eq!(bundle.status, 400, "{}", bundle.body);
    // More than the buffers of a connection hold.
    filled(&service.place, 16_000);
    let mut stream = service.connect();
    let head = format!("GET /api/audit/export HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut begin = vec![0; 100_000];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(service.place.run(&["token", "revoke", "root"]).code, Some(0));
    std::thread::sleep(std::time::Duration::from_secs(2));
    let mut rest = Vec::new();
    // A connection that is reset ends the reading, too.
    let _ = stream.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "the answer looks whole");
}

#[test]
fn a_bundle_is_checked_without_the_home() {
    let place = TestHome::new();
    filled(&place, 600);
    let key = place.run(&["key", "show"]).out;
    let key = key.lines().find(|line| line.starts_with("tooltrail/")).unwrap().trim().to_owned();
    let ran = place.run(&["export", "--format", "bundle", "status=denied OR tool=t"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let bundle = ran.out;
    let entries = bundle.lines().filter(|line| line.starts_with(r#"{"leaf""#)).count();
    let expected = place.run(&["export", "status=denied OR tool=t"]).out;
    let stored = |line: &str| serde_json::from_str::<Value>(line).unwrap()["line"].as_str().map(str::to_owned);
    let mut found = bundle.lines().filter_map(stored).collect::<Vec<_>>();
    let mut expected = expected.lines().map(str::to_owned).collect::<Vec<_>>();
    found.sort();
    expected.sort();
    assert!(entries == expected.len() && found == expected);
    let elsewhere = TestHome::new();
    let check = |text: &str, key: &str| {
        let file = elsewhere.file("some.bundle", text);
        let ran = elsewhere.run(&["verify", "--proof", &file, "--key", key]);
        (ran.code, ran.out.trim().to_owned(), ran.err)
    };
    let (code, verdict, said) = check(&bundle, &key);
    assert_eq!((code, &*verdict), (Some(0), "ok"), "{said}");
    assert!(said.contains(&format!("entries in the bundle: {entries};")), "{said}");
    // Each change of any line is found.
    let lines = bundle.lines().collect::<Vec<_>>();
    for n in [0, 1, 2, lines.len() - 2] {
        for at in (0..lines[n].len()).step_by(lines[n].len() / 9) {
            let mut changed = lines.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
            let byte = &mut changed[n][at];
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            let (code, verdict, _) = check(&String::from_utf8_lossy(&changed.join(&b'\n')), &key);
            assert!(verdict == "modified" || verdict == "bad-signature" || code == Some(2), "{n} {at}: {verdict}");
        }
    }
    let without = |n: usize| {
        lines.iter().enumerate().filter(|(m, _)| *m != n).map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(check(&without(1), &key).1, "modified");
    assert_eq!(check(&without(lines.len() - 1), &key).1, "truncated");
    assert_eq!(check(&without(lines.len() - 2), &key).1, "truncated");
    let twice = bundle.replacen(lines[2], &format!("{}\n{}", lines[2], lines[2]), 1);
    assert_eq!(check(&twice, &key).1, "modified");
    let nothing = place.run(&["export", "--format", "bundle", "tool=nothing"]).out;
    assert_eq!(check(&nothing, &key).1, "missing");
    let other = TestHome::new();
    filled(&other, 1);
    let other = other.run(&["key", "show"]).out;
    let other = other.lines().find(|line| line.starts_with("tooltrail/")).unwrap().trim().to_owned();
    assert_eq!(check(&bundle, &other).1, "bad-signature");
    assert_eq!(check(&format!("{bundle}{}", lines[0]), &key).1, "modified");
}

/// Returns the first bytes of an export.
fn fetched(service: &Service, token: &str, target: &str, limit: u64) -> String {
    let mut stream = service.connect();
    let head =
        format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close");
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.take(limit).read_to_end(&mut bytes).unwrap();
    unchunked(&bytes)
}

/// Returns the text of a chunked body, as far as it came.
fn unchunked(bytes: &[u8]) -> String {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (mut rest, mut body) = (&bytes[head..], Vec::new());
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap_or(0);
        let chunk = &rest[end + 2..];
        body.extend(&chunk[..size.min(chunk.len())]);
        if size == 0 || chunk.len() < size + 2 {
            break;
        }
        rest = &chunk[size + 2..];
    }
    String::from_utf8_lossy(&body).into_owned()
}
