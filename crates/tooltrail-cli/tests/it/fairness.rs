//! A client, with one token or without, tries to block the others. Meanwhile the health check, an admin and an honest
//! sender get answers in time, and the memory stays bounded.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::service::Service;

/// How long each attack is watched.
const WATCHED: Duration = Duration::from_secs(3);

/// Maximum growth of the resident memory during an attack, in KiB.
const MEMORY_KIB_MAX: u64 = 128 * 1024;

struct Attacked {
    service: Service,
    admin: String,
    honest: String,
    evil: String,
}

impl Attacked {
    fn new() -> Self {
        let service = Service::start();
        let admin = service.token(&["root", "--role", "admin"]);
        let honest = service.token(&["honest", "--role", "ingest"]);
        let evil = service.token(&["evil", "--role", "admin"]);
        Self { service, admin, honest, evil }
    }

    /// Sends requests during an attack, and checks that each is answered within its bound and that the memory stays
    /// bounded.
    fn watch(&self, attack: &str, goes_on: &AtomicBool) {
        let before = self.resident_kib();
        let line = json!({ "tool": "t", "user": "honest", "status": "ok" }).to_string();
        let (begun, mut most) = (Instant::now(), 0);
        while begun.elapsed() < WATCHED && goes_on.load(Ordering::Relaxed) {
            let timed = |what: &str, bound: Duration, status: u16| {
                let at = Instant::now();
                let answer = match what {
                    "health" => self.service.send("GET", "/healthz", &[], ""),
                    "admin" => self.service.get(&self.admin, "/api/audit/recent?user=honest&limit=5"),
                    _ => self.service.post(&self.honest, &line),
                };
                assert_eq!(answer.status, status, "{attack}: {what}: {}", answer.body);
                assert!(at.elapsed() <= bound, "{attack}: {what} took {:?}", at.elapsed());
            };
            timed("health", Duration::from_secs(1), 200);
            timed("admin", Duration::from_secs(3), 200);
            timed("honest sender", Duration::from_secs(3), 200);
            most = most.max(self.resident_kib());
            std::thread::sleep(Duration::from_millis(50));
        }
        let grown = most.saturating_sub(before);
        eprintln!("{attack}: {} MiB more", grown >> 10);
        assert!(grown <= MEMORY_KIB_MAX, "{attack}: {} MiB more", grown >> 10);
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.service.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn head(&self, method: &str, target: &str, rest: &str) -> String {
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{rest}\r\n", self.evil)
    }

    /// Opens connections that send these bytes and then nothing more.
    fn open(&self, count: usize, sent: &str) -> Vec<TcpStream> {
        let one = |_| {
            let mut stream = TcpStream::connect(&self.service.address).ok()?;
            stream.write_all(sent.as_bytes()).ok()?;
            Some(stream)
        };
        (0..count).filter_map(one).collect()
    }
}

#[test]
fn half_sent_forms_and_dripping_bodies_shut_nobody_out() {
    let attacked = Attacked::new();
    let goes_on = AtomicBool::new(true);
    let form = "POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 900\r\n\r\nform=";
    let forms = attacked.open(700, form);
    attacked.watch("half-sent forms", &goes_on);
    drop(forms);
    let body = attacked.head("POST", "/api/audit/entries", "Content-Length: 100000\r\n");
    let bodies = attacked.open(600, &body);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while goes_on.load(Ordering::Relaxed) {
                for mut body in &bodies {
                    let _closed = body.write_all(b" ");
                }
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        attacked.watch("dripping bodies", &goes_on);
        goes_on.store(false, Ordering::Relaxed);
    });
}

#[test]
fn streams_and_answers_that_nobody_reads_shut_nobody_out() {
    let attacked = Attacked::new();
    let goes_on = AtomicBool::new(true);
    // Wide enough that every stream has more to send than the buffers of a connection hold.
    let wide = "x y ".repeat(120);
    let line = |n: usize| {
        json!({ "tool": "t", "user": "a", "args": { "n": n, "a": wide, "b": wide }, "status": "ok" }).to_string()
    };
    let body = (0..4_000).map(|n| line(n) + "\n").collect::<String>();
    let streams = attacked.open(300, &attacked.head("GET", "/api/audit/stream", ""));
    let unread = attacked.open(100, &attacked.head("GET", "/api/audit/recent?limit=1000", ""));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            let mut taken = 0;
            while taken < 6 && begun.elapsed() < Duration::from_secs(60) {
                // A client with so much unread data may get 503 and retry.
                let answer = attacked.service.post(&attacked.evil, &body);
                assert!([200, 503].contains(&answer.status), "{}", answer.body);
                taken += usize::from(answer.status == 200);
            }
            assert_eq!(taken, 6);
        });
        attacked.watch("streams that nobody reads", &goes_on);
    });
    // An admin can still open a stream.
    let mut own =
        attacked.open(1, &attacked.head("GET", "/api/audit/stream", "").replace(&attacked.evil, &attacked.admin));
    let mut head = [0; 15];
    own[0].set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    own[0].read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    drop((streams, unread));
}

#[test]
fn costly_requests_of_one_token_shut_nobody_out() {
    let attacked = Attacked::new();
    let goes_on = AtomicBool::new(true);
    let line = |n: usize| {
        json!({ "tool": "t", "user": format!("u{}", n % 40), "args": { "n": n }, "status": "ok" }).to_string()
    };
    let body = (0..10_000).map(|n| line(n) + "\n").collect::<String>();
    for _ in 0..3 {
        assert_eq!(attacked.service.post(&attacked.evil, &body).status, 200);
    }
    // Words that no line contains, so every line is searched for all of them.
    let query = (0..60).map(|n| format!("e{n}%20")).collect::<String>();
    let equal = format!("{{\"tool\":\"t\",\"extra\":{{{}}}}}", vec!["\"k\":1"; 5_000].join(","));
    let unknown = (0..3_000).map(|n| format!(",\"k{n}\":1")).collect::<String>();
    let unknown = format!("{{\"tool\":\"t\",\"status\":\"ok\"{unknown}}}");
    let deep = "[".repeat(16 << 20);
    let list = format!("{{\"tool\":\"t\",\"args\":[{}1]}}", "1,".repeat(7 << 20));
    let elements = format!("[{}1]", "1,".repeat(7 << 20));
    let people =
        (0..10_000).map(|n| format!("{{\"tool\":\"t\",\"user\":\"new{n}\",\"status\":\"ok\"}}\n")).collect::<String>();
    for (attack, target, body) in [
        ("questions", format!("/api/audit/stats?q={query}"), None),
        ("equal names", String::new(), Some(equal)),
        ("unknown keys", String::new(), Some(unknown)),
        ("deep brackets", String::new(), Some(deep)),
        ("a long list", String::new(), Some(list)),
        ("many elements", String::new(), Some(elements)),
        ("new users", String::new(), Some(people)),
    ] {
        goes_on.store(true, Ordering::Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    while goes_on.load(Ordering::Relaxed) {
                        let head = match &body {
                            None => attacked.head("GET", &target, "Connection: close\r\n"),
                            Some(body) => {
                                let rest = format!("Connection: close\r\nContent-Length: {}\r\n", body.len());
                                attacked.head("POST", "/api/audit/entries", &rest)
                            }
                        };
                        let Ok(mut stream) = TcpStream::connect(&attacked.service.address) else { continue };
                        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                        let _refused = stream.write_all(head.as_bytes());
                        let _refused = stream.write_all(body.as_deref().unwrap_or_default().as_bytes());
                        let mut answer = Vec::new();
                        let _given_up = stream.read_to_end(&mut answer);
                    }
                });
            }
            // If a check fails, the attacking threads must stop.
            struct Stop<'a>(&'a AtomicBool);
            impl Drop for Stop<'_> {
                fn drop(&mut self) {
                    self.0.store(false, Ordering::Relaxed);
                }
            }
            let _stop = Stop(&goes_on);
            attacked.watch(attack, &goes_on);
        });
    }
}

#[test]
fn answers_to_senders_that_nobody_reads_have_a_bound() {
    let attacked = Attacked::new();
    // An answer of 6 MB, more than the system takes for a connection.
    let refused = json!({ "user": "u", "tool": "t", "status": "😀".repeat(280), "args": {} });
    let body = format!("{refused}\n").repeat(5_000);
    let sent = attacked.head("POST", "/api/audit/entries", &format!("Content-Length: {}\r\n", body.len())) + &body;
    let mut unread = Vec::new();
    let statuses = (0..4).map(|_| {
        let mut stream = TcpStream::connect(&attacked.service.address).unwrap();
        // The smallest receive buffer leaves the answer with the service.
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 4_096).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        unread.push(stream);
        String::from_utf8_lossy(&status).into_owned()
    });
    let statuses = statuses.collect::<Vec<_>>();
    // One token may have 18 MiB of answers on their way.
    assert!(statuses[0].ends_with("400") && statuses[3].ends_with("503"), "{statuses:?}");
}
