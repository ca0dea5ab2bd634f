//! The stream of arriving entries over HTTP.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::service::{PATIENCE, Service};

/// An open stream.
pub(crate) struct Stream {
    reader: BufReader<TcpStream>,
}

/// One event.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct SseEvent {
    pub(crate) id: String,
    kind: String,
    pub(crate) data: String,
}

impl Stream {
    pub(crate) fn open(service: &Service, token: &str, target: &str, last: Option<&str>) -> Self {
        let mut stream = service.connect();
        let last = last.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut stream = Self { reader: BufReader::new(stream) };
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("cache-control: no-store\r\n"), "{head}");
        let retry = stream.line().unwrap();
        assert!(retry.starts_with("retry: "), "{retry}");
        stream
    }

    /// Reads a line of the stream, without regard to chunks. Returns `None` at the end.
    fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end();
            // The size of a chunk is on a line of its own.
            if !line.is_empty() && !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Some(line.to_owned());
            }
            if line == "0" {
                return None;
            }
        }
    }

    pub(crate) fn next(&mut self) -> Option<SseEvent> {
        let mut event = SseEvent::default();
        while let Some(line) = self.line() {
            match line.split_once(": ") {
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("event", kind)) => event.kind = kind.to_owned(),
                Some(("data", data)) => {
                    event.data = data.to_owned();
                    return Some(event);
                }
                _ => {}
            }
        }
        None
    }

    /// Reads entries until there are `many` of the tool `t`.
    fn calls(&mut self, many: usize) -> Vec<SseEvent> {
        let mut found = Vec::new();
        while found.len() < many {
            let event = self.next().expect("the stream goes on");
            assert_eq!(event.kind, "entry", "{event:?}");
            if event.json()["tool"] == "t" {
                found.push(event);
            }
        }
        found
    }
}

impl SseEvent {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}

fn calls(user: &str, numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |mut text, n| {
        writeln!(text, r#"{{"user":"{user}","tool":"t","args":{{"n":{n}}},"status":"ok"}}"#).unwrap();
        text
    })
}

fn numbers(events: &[SseEvent]) -> Vec<usize> {
    events.iter().map(|event| event.json()["args"]["n"].as_u64().unwrap() as usize).collect()
}

const ALL: &str = "/api/audit/stream";

#[test]
fn entries_arrive_as_they_are_stored_and_a_client_can_come_back() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let mut stream = Stream::open(&service, &admin, ALL, None);
    assert_eq!(service.post(&admin, &calls("alice", 0..20)).status, 200);
    let events = stream.calls(20);
    assert_eq!(numbers(&events), (0..20).collect::<Vec<_>>());
    let stored = service.place.stored();
    assert!(events.iter().all(|event| stored.contains(&event.json())));
    let mut back = Stream::open(&service, &admin, ALL, Some(&events[4].id));
    assert_eq!(numbers(&back.calls(15)), (5..20).collect::<Vec<_>>());
    // Entries that another process writes arrive too.
    let ran = service.place.run_with(&["import", "-"], calls("bob", 20..25).as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for stream in [&mut stream, &mut back] {
        assert_eq!(numbers(&stream.calls(5)), (20..25).collect::<Vec<_>>());
    }
    for unknown in ["0000000000000000-7", "nonsense"] {
        let mut stream = Stream::open(&service, &admin, ALL, Some(unknown));
        let gap = stream.next().unwrap();
        assert_eq!((&*gap.kind, gap.json()["lost"].clone()), ("gap", Value::Null), "{gap:?}");
        assert_eq!(numbers(&stream.calls(25)), (0..25).collect::<Vec<_>>());
    }
}

#[test]
fn a_cut_day_file_is_a_gap() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let alice = service.token(&["alice", "--role", "user", "--user", "alice"]);
    assert_eq!(service.post(&admin, &calls("bob", 0..3)).status, 200);
    let mut stream = Stream::open(&service, &admin, "/api/audit/stream?user=bob", None);
    let mut others = Stream::open(&service, &alice, ALL, None);
    assert_eq!(service.post(&admin, &calls("bob", 3..5)).status, 200);
    // Entries that were stored just before the stream was opened may still arrive.
    while numbers(&stream.calls(1)) != [4] {}
    let folder = service.place.home().join("bob").join("tool_audit");
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    std::fs::File::options().write(true).open(file).unwrap().set_len(0).unwrap();
    let gap = stream.next().unwrap();
    assert_eq!((&*gap.kind, &gap.json()["why"]), ("gap", &Value::from("cut")), "{gap:?}");
    assert_eq!(service.post(&admin, &calls("alice", 7..8)).status, 200);
    assert_eq!(numbers(&others.calls(1)), [7], "bob's file is not alice's business");
}

#[test]
fn each_role_sees_its_own_and_bad_requests_are_refused() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let ingest = service.token(&["agent", "--role", "ingest"]);
    let alice = service.token(&["alice", "--role", "user", "--user", "alice"]);
    let mut own = Stream::open(&service, &alice, ALL, None);
    let mut asked = Stream::open(&service, &admin, "/api/audit/stream?user=bob&q=tool%3Dt+args", None);
    let body = [calls("bob", 0..3), calls("alice", 3..6), calls("bob", 6..9)].concat();
    assert_eq!(service.post(&admin, &body).status, 200);
    assert_eq!(service.post(&admin, &calls("alice", 9..10).replace("\"n\"", "\"args\"")).status, 200);
    assert_eq!(service.post(&admin, &calls("bob", 9..10).replace("\"n\":9", "\"n\":9,\"x\":\"args\"")).status, 200);
    assert_eq!(numbers(&own.calls(3)), [3, 4, 5]);
    assert_eq!(numbers(&asked.calls(1)), [9], "a query holds here as everywhere");
    let check = |token: &str, query: &str, expected: u16| {
        assert_eq!(service.get(token, &format!("{ALL}{query}")).status, expected, "{query}");
    };
    check("none", "", 401);
    check(&ingest, "", 403);
    check(&alice, "?user=bob", 403);
    check(&alice, "?q=user%3Dbob", 403);
    check(&admin, "?limit=3", 400);
    check(&admin, "?user=a&user=b", 400);
    check(&admin, "?q=%22", 400);
    check(&admin, "?q=%00", 400);
}

#[test]
fn a_stream_ends_with_its_token_and_with_the_service() {
    let mut service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let other = service.token(&["other", "--role", "admin"]);
    let mut revoked = Stream::open(&service, &other, ALL, None);
    let mut open = Stream::open(&service, &admin, ALL, None);
    assert_eq!(service.place.run(&["token", "revoke", "other"]).code, Some(0));
    let begun = Instant::now();
    while revoked.next().is_some() {}
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    service.terminate();
    let begun = Instant::now();
    while open.next().is_some() {}
    assert_eq!(service.wait(), Some(0), "{}", service.log());
    // If the service did not end the stream, it would wait three seconds for the connection.
    assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
}

#[test]
fn a_client_that_reads_nothing_holds_up_nobody() {
    const CALLS: usize = 100_000;
    const BATCH: usize = 10_000;
    let (calm, watched) = (Service::start(), Service::start());
    let [calm_token, token] = [&calm, &watched].map(|service| service.token(&["root", "--role", "admin"]));
    let mut unread = Stream::open(&watched, &token, ALL, None);
    let mut reading = Stream::open(&watched, &token, "/api/audit/stream?q=last", None);
    let mut spent = [Duration::ZERO; 2];
    // Sends to both services in turns, so that other work of the machine affects both.
    for batch in 0..CALLS / BATCH {
        let body = calls("alice", batch * BATCH..(batch + 1) * BATCH);
        for ((service, token), spent) in [(&calm, &calm_token), (&watched, &token)].into_iter().zip(&mut spent) {
            let begun = Instant::now();
            assert_eq!(service.post(token, &body).status, 200);
            *spent += begun.elapsed();
        }
    }
    let [calm, beside] = spent;
    eprintln!("{CALLS} calls: {calm:?} with nobody watching, {beside:?} beside a client that reads nothing");
    assert!(beside < calm * 3, "{spent:?}");
    let line = r#"{"user":"bob","tool":"t","args":{"x":"last"},"status":"ok"}"#;
    assert_eq!(watched.post(&token, line).status, 200);
    loop {
        let event = reading.next().expect("others still get theirs");
        // The entry about the stream's own question contains the word too.
        if event.kind == "entry" && event.json()["user"] != "_system" {
            assert_eq!(event.json()["user"], "bob");
            break;
        }
    }
    // Longer than a client may read nothing. After that the service ends the stream and says why.
    std::thread::sleep(Duration::from_secs(12));
    unread.reader.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    unread.reader.read_to_end(&mut rest).unwrap_or_default();
    let rest = String::from_utf8(rest).unwrap();
    let end = &rest[rest.len().saturating_sub(300)..];
    assert!(end.contains("event: gap\ndata: {\"lost\":null,\"why\":\"slow\"}"), "{end}");
    assert!(rest.matches("event: entry").count() < CALLS, "it was sent everything");
}
