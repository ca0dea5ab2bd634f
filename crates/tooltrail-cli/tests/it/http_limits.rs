//! What the service refuses or cuts off, how it starts and how it ends.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::service::{Service, answer};
use crate::support::TestHome;

const LINE: &str = r#"{"user":"alice","tool":"t","status":"ok"}"#;

#[test]
fn what_is_too_large_is_refused() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let check = |head: &str, body: &str, expected: u16| {
        let request =
            format!("{head}Host: localhost\r\nConnection: close\r\nAuthorization: Bearer {admin}\r\n\r\n{body}");
        assert_eq!(service.raw(request.as_bytes()).status, expected, "{:.80}", head);
    };
    let post = "POST /api/audit/entries HTTP/1.1\r\n";
    check(&format!("{post}Content-Length: {}\r\n", (16 << 20) + 1), "", 413);
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    check(&format!("{post}Transfer-Encoding: chunked\r\n"), &(chunk.repeat(17) + "0\r\n\r\n"), 413);
    let many = format!("{LINE}\n").repeat(10_001);
    check(&format!("{post}Content-Length: {}\r\n", many.len()), &many, 413);
    check(&format!("GET /api/audit/recent?q={} HTTP/1.1\r\n", "x".repeat(8 << 10)), "", 414);
    check(&format!("GET /healthz HTTP/1.1\r\nX: {}\r\n", "x".repeat(40 << 10)), "", 431);
    let headers = (0..70).map(|n| format!("X{n}: x\r\n")).collect::<String>();
    check(&format!("GET /healthz HTTP/1.1\r\n{headers}"), "", 431);
    let not_utf8 = service.raw(
        &[format!("{post}Host: localhost\r\nConnection: close\r\nAuthorization: Bearer {admin}\r\nContent-Length: 1\r\n\r\n").as_bytes(), b"\xff"]
            .concat(),
    );
    assert_eq!(not_utf8.status, 400);
    assert!(!service.place.stored().iter().any(|entry| entry["tool"] == "t"));
}

#[test]
fn other_hosts_and_other_sites_are_refused() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let bearer = format!("Bearer {admin}");
    let check = |method: &str, target: &str, headers: &[(&str, &str)], expected: u16| {
        let headers = [&[("Authorization", bearer.as_str())], headers].concat();
        let answer = service.send(method, target, &headers, if method == "POST" { LINE } else { "" });
        assert_eq!(answer.status, expected, "{method} {target} {headers:?}");
    };
    check("GET", "/api/audit/recent", &[("Host", "localhost:9")], 200);
    check("GET", "/api/audit/recent", &[("Host", "evil.example")], 421);
    check("GET", "/healthz", &[("Host", "evil.example:7420")], 421);
    check("GET", "http://evil.example/healthz", &[], 421);
    check("POST", "/api/audit/entries", &[("Origin", "http://evil.example")], 403);
    check("POST", "/api/audit/entries", &[("Origin", "null")], 403);
    check("POST", "/api/audit/entries", &[("Host", "localhost:9"), ("Origin", "http://localhost:9")], 200);
    check("POST", "/api/audit/entries", &[], 200);
    assert_eq!(service.raw(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").status, 400);
}

#[test]
fn a_proxy_may_serve_it_under_a_name() {
    let service = Service::start_as(TestHome::new(), &["--host", "audit.example", "--host", "b.example"]);
    service.wait_ready();
    let admin = format!("Bearer {}", service.token(&["root", "--role", "admin"]));
    let check = |host: &str, origin: &str, expected: u16| {
        let headers = [("Authorization", &*admin), ("Host", host), ("Origin", origin)];
        assert_eq!(service.send("POST", "/api/audit/entries", &headers, LINE).status, expected, "{host} {origin}");
    };
    check("audit.example", "https://audit.example", 200);
    check("Audit.Example:443", "https://audit.example:443", 200);
    check("b.example", "https://b.example", 200);
    check("localhost", "http://localhost", 200);
    check("audit.example", "https://b.example", 403);
    check("c.example", "https://c.example", 421);
    check("audit.example.evil", "https://audit.example.evil", 421);
}

#[test]
fn half_sent_and_idle_connections_are_closed() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let mut silent = service.connect();
    let mut half = service.connect();
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
    let mut idle = service.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut slow = service.connect();
    let head = format!(
        "POST /api/audit/entries HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\nContent-Length: 99\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).unwrap();
    let begun = Instant::now();
    assert_eq!(answer(&mut slow).status, 408);
    for (what, stream) in [("silent", &mut silent), ("half", &mut half), ("idle", &mut idle)] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(begun.elapsed() < Duration::from_secs(15), "{what} was open for {:?}", begun.elapsed());
    }
    assert!(begun.elapsed() > Duration::from_secs(5), "closed too soon: {:?}", begun.elapsed());
    assert_eq!(service.send("GET", "/healthz", &[], "").status, 200);
}

#[test]
fn a_signal_lets_the_request_under_way_finish() {
    let mut service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let mut under_way = service.connect();
    let head = format!(
        "POST /api/audit/entries HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {admin}\r\nContent-Length: {}\r\n\r\n",
        LINE.len()
    );
    under_way.write_all(format!("{head}{}", &LINE[..9]).as_bytes()).unwrap();
    let idle = service.connect();
    let half = service.connect();
    (&half).write_all(b"GET /heal").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    service.terminate();
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(300));
    assert!(std::net::TcpStream::connect(&service.address).is_err(), "still takes connections");
    under_way.write_all(&LINE.as_bytes()[9..]).unwrap();
    assert_eq!(answer(&mut under_way).status, 200);
    assert_eq!(service.wait(), Some(0), "{}", service.log());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let stored = service.place.stored();
    for tool in ["t", "tooltrail.start", "tooltrail.stop"] {
        assert_eq!(stored.iter().filter(|entry| entry["tool"] == tool).count(), 1, "{tool}");
    }
    drop((idle, half));
}

#[test]
fn the_port_is_open_before_the_home_is() {
    let place = TestHome::new();
    let token = place.run(&["token", "add", "root", "--role", "admin"]).out.trim().to_owned();
    // A folder has the name of a key file, so the recorder cannot open.
    let keys = std::fs::read_dir(place.path(".local/state/tooltrail")).unwrap().next().unwrap().unwrap().path();
    std::fs::create_dir(keys.join("redact-1.key")).unwrap();
    let service = Service::start_in(place);
    let begun = Instant::now();
    assert_eq!(service.send("GET", "/healthz", &[], "").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(1));
    for target in ["/api/audit/recent", "/api/audit/stats", "/api/audit/users", "/readyz"] {
        let answer = service.get(&token, target);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{target}");
    }
    assert_eq!(service.post(&token, LINE).status, 503);
    assert_eq!(service.send("GET", "/api/audit/recent", &[], "").status, 401);
    std::fs::remove_dir(keys.join("redact-1.key")).unwrap();
    service.wait_ready();
    assert_eq!(service.post(&token, LINE).status, 200);
    // The line that was refused with a request to retry was not stored.
    assert_eq!(service.place.stored().iter().filter(|entry| entry["tool"] == "t").count(), 1);
}

#[test]
fn readiness_is_red_while_the_home_cannot_be_written() {
    let service = Service::start();
    let (own, aside) = (service.place.home().join(".tooltrail"), service.place.home().join("aside"));
    std::fs::rename(&own, &aside).unwrap();
    std::fs::write(&own, "").unwrap();
    let answer = service.send("GET", "/readyz", &[], "");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.body);
    assert_eq!(service.send("GET", "/healthz", &[], "").status, 200);
    std::fs::remove_file(&own).unwrap();
    std::fs::rename(&aside, &own).unwrap();
    service.wait_ready();
}

#[test]
fn the_log_holds_nothing_of_a_call_a_question_or_a_token() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let line = r#"{"user":"alice","tool":"t","args":{"a":"quicksilver"},"status":"ok","result":"quicksilver"}"#;
    assert_eq!(service.post(&admin, line).status, 200);
    assert_eq!(service.post(&admin, r#"{"tool":"t","status":"quicksilver"}"#).status, 400);
    assert_eq!(service.get(&admin, "/api/audit/recent?q=quicksilver").status, 200);
    assert_eq!(service.get(&admin, "/quicksilver").status, 404);
    assert_eq!(service.get("quicksilver", "/api/audit/recent?user=quicksilver").status, 401);
    let log = service.log();
    assert!(log.contains("/api/audit/entries") && log.contains("status=400"), "{log}");
    assert!(!log.contains("quicksilver") && !log.contains(&admin[..30]), "{log}");
}

#[test]
fn a_log_that_cannot_be_written_stops_no_answer() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut service = Service::start_with(TestHome::new(), &[], full);
    service.wait_ready();
    let ingest = service.token(&["agent", "--role", "ingest"]);
    assert_eq!(service.post(&ingest, LINE).status, 200);
    service.terminate();
    assert_eq!(service.wait(), Some(0));
}

#[test]
fn a_log_that_nobody_reads_stops_no_answer() {
    // A pipe buffers some hundred lines.
    let (reader, writer) = std::io::pipe().unwrap();
    let log = std::fs::File::from(std::os::fd::OwnedFd::from(writer));
    let mut service = Service::start_with(TestHome::new(), &[], log);
    service.wait_ready();
    let ingest = service.token(&["agent", "--role", "ingest"]);
    for _ in 0..1_500 {
        assert_eq!(service.post(&ingest, LINE).status, 200);
    }
    // When the log is read again, it says how many lines are missing.
    let (told, is_told) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        for line in std::io::BufRead::lines(std::io::BufReader::new(reader)).map_while(Result::ok) {
            if line.contains("lines of this log were left out") {
                let _ = told.send(());
            }
        }
    });
    service.until("it is told", || service.post(&ingest, LINE).status == 200 && is_told.try_recv().is_ok());
    service.terminate();
    assert_eq!(service.wait(), Some(0));
    reading.join().unwrap();
}

#[test]
fn an_answer_is_not_kept_on_the_way() {
    let service = Service::start();
    for target in ["/healthz", "/api/audit/recent", "/nothing"] {
        let answer = service.send("GET", target, &[], "");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
    }
}
