//! What hostile clients send, byte for byte, and how the service answers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::service::{PATIENCE, Service, answer};

const LINE: &str = r#"{"user":"alice","tool":"t","status":"ok"}"#;

/// If no byte comes for this time, the test assumes that no more bytes come.
const SILENCE: Duration = Duration::from_millis(150);

/// Sends bytes and returns the status of every answer on the connection. Waits for `answers` answers, then for
/// [`SILENCE`].
fn statuses(service: &Service, bytes: &[u8], answers: usize, end: bool) -> Vec<u16> {
    let mut stream = service.connect();
    let _ = stream.write_all(bytes);
    if end {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut all = Vec::new();
    let mut piece = [0; 16 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        all.extend_from_slice(&piece[..read]);
        if answers_in(&all).len() >= answers {
            stream.set_read_timeout(Some(SILENCE)).unwrap();
        }
    }
    answers_in(&all)
}

/// Returns the statuses of all complete answers.
fn answers_in(bytes: &[u8]) -> Vec<u16> {
    let mut rest = std::str::from_utf8(bytes).unwrap();
    let mut found = Vec::new();
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let Some(behind) = after.get(length.unwrap_or(0)..) else { break };
        found.push(head.split(' ').nth(1).unwrap().parse().unwrap_or_else(|_| panic!("no status: {head}")));
        rest = behind;
    }
    found
}

/// Requests whose end two servers might see at different places (request smuggling). Each gets one answer or is
/// refused, and bytes after an ambiguous end are not taken for a request.
#[test]
fn a_request_ends_at_one_place() {
    let service = Service::start();
    let token = service.token(&["agent", "--role", "ingest"]);
    let post = format!("POST /api/audit/entries HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n");
    let nobody = "POST /api/audit/entries HTTP/1.1\r\nHost: localhost\r\n";
    let next = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let chunked = format!("{:x}\r\n{LINE}\r\n0\r\n\r\n", LINE.len());
    let length = LINE.len();
    let before = |service: &Service| service.place.stored().iter().filter(|entry| entry["tool"] == "t").count();
    let check = |name: &str, bytes: String, expected: &[u16], written: usize| {
        let had = before(&service);
        let cut_off = name.ends_with("cut off");
        assert_eq!(statuses(&service, bytes.as_bytes(), expected.len(), cut_off), expected, "{name}");
        assert_eq!(before(&service) - had, written, "{name}");
    };
    check("plain, and a second one", format!("{post}Content-Length: {length}\r\n\r\n{LINE}{next}"), &[200, 200], 1);
    check("chunks, and nothing after", format!("{post}Transfer-Encoding: chunked\r\n\r\n{chunked}{next}"), &[200], 1);
    check("coding in capitals", format!("{post}Transfer-Encoding: CHUNKED\r\n\r\n{chunked}"), &[200], 1);
    // The chunks decide the length, as the standard says, and the connection is closed after them.
    let both = [("Content-Length: 6\r\n", ""), ("", "Content-Length: 6\r\n")];
    for (before, after) in both {
        let head = format!("{post}{before}Transfer-Encoding: chunked\r\n{after}\r\n");
        check("a length and chunks", format!("{head}{chunked}{next}"), &[200], 1);
        let head = format!("{nobody}{before}Transfer-Encoding: chunked\r\n{after}\r\n");
        check("a length and chunks of nobody", format!("{head}0\r\n\r\n{next}"), &[401], 0);
    }
    for coding in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding\r\n: chunked",
        "Transfer-Encoding: chunked\r\n folded",
        "X: y\r\n\tfolded",
        "X: y\rTransfer-Encoding: chunked",
        "X: a\0b",
        "X Y: z",
        "X",
        ": x",
    ] {
        check(coding, format!("{post}{coding}\r\n\r\n{chunked}{next}"), &[400], 0);
    }
    for bad in ["+5", "-5", "5, 5", "5,6", "5 5", "0x5", "5.0", "", "\u{665}", "99999999999999999999999", "5;q"] {
        check(bad, format!("{post}Content-Length: {bad}\r\n\r\n{LINE}{next}"), &[400], 0);
    }
    let twice = |first: usize, second: usize| format!("{post}Content-Length: {first}\r\nContent-Length: {second}\r\n");
    check("two lengths", format!("{}\r\n{LINE}{next}", twice(length, length + 1)), &[400], 0);
    check("one length twice", format!("{}\r\n{LINE}", twice(length, length)), &[200], 1);
    for bad in ["-5", "+5", "0x5", " 5", "5 5", "fffffffffffffffff", "g", ""] {
        let body = format!("{bad}\r\n{LINE}\r\n0\r\n\r\n{next}");
        check(bad, format!("{post}Transfer-Encoding: chunked\r\n\r\n{body}"), &[400], 0);
    }
    check("a chunk cut off", format!("{post}Transfer-Encoding: chunked\r\n\r\n99\r\n{LINE}"), &[400], 0);
    check("a body cut off", format!("{post}Content-Length: 99\r\n\r\n{LINE}"), &[400], 0);
    let old = post.replace("HTTP/1.1", "HTTP/1.0");
    check("chunks in 1.0", format!("{old}Transfer-Encoding: chunked\r\n\r\n{chunked}{next}"), &[400], 0);
    // Lines that end without CR are accepted (RFC 9112, section 2.2), by all our parsers in the same way.
    let bare = format!("{post}Content-Length: {length}\r\n\r\n").replace("\r\n", "\n");
    check("bare line feeds", format!("{bare}{LINE}{next}"), &[200, 200], 1);
    check(
        "bare line feeds in chunks",
        format!("{post}Transfer-Encoding: chunked\r\n\r\n{}", chunked.replace("\r\n", "\n")),
        &[400],
        0,
    );
    check("a second behind a refused one", format!("{nobody}Content-Length: {length}\r\n\r\n{LINE}{next}"), &[401], 0);
    check("a body that is a request", format!("{nobody}Content-Length: {}\r\n\r\n{next}", next.len()), &[401], 0);
    check("another protocol", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{next}"), &[], 0);
    check("an older one", "GET /healthz\r\n\r\n".to_owned(), &[400], 0);
    check("an unknown version", "GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n".to_owned(), &[400], 0);
    check("noise", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".to_owned(), &[400], 0);
    check("two hosts", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_owned(), &[400], 0);
    check("two tokens", format!("{post}Authorization: Bearer x\r\nContent-Length: {length}\r\n\r\n{LINE}"), &[401], 0);
    check("a tunnel", "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n".to_owned(), &[404], 0);
    check("an echo", "TRACE /healthz HTTP/1.1\r\nHost: localhost\r\nX: y\r\n\r\n".to_owned(), &[405], 0);
    check("everything", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), &[404], 0);
    assert_eq!(service.send("GET", "/healthz", &[], "").status, 200);
}

/// Tricks to reach another file, in paths, parameters and bodies. A user name is used only as an encoded folder name.
#[test]
fn no_path_leads_out_of_the_home() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let secret = service.place.file("outside.jsonl", format!("{LINE}\n"));
    std::fs::create_dir_all(service.place.path("tool_audit")).unwrap();
    std::fs::write(
        service.place.path("tool_audit/2026-11-23.jsonl"),
        format!("{}\n", LINE.replace("\"t\"", "\"out\"")),
    )
    .unwrap();
    let tricks = [
        ("..", 200),
        ("%2e%2e", 200),
        ("..%2f", 200),
        ("..%2f..%2fetc%2fpasswd", 200),
        ("..%5c%5c..", 200),
        ("%252e%252e%252f", 200),
        ("alice%2f..%2f..", 200),
        ("%2e", 200),
        (".tooltrail", 200),
        ("%0a", 200),
        ("%0d%0aX-Injected:%20y", 200),
        ("a%00b", 400),
        ("%00", 400),
        ("%c0%ae%c0%ae", 400),
        ("%e0%80%ae", 400),
        ("%ff", 400),
        ("%ed%a0%80", 400),
        ("%", 400),
        ("%2", 400),
        ("%u002e", 400),
    ];
    for (trick, expected) in tricks {
        for target in [
            format!("/api/audit/recent?user={trick}&days=3650"),
            format!("/api/audit/stats?user={trick}&days=3650"),
            format!("/api/audit/recent?q=user%3D%22{trick}%22&days=3650"),
        ] {
            let answer = service.get(&admin, &target);
            assert_eq!(answer.status, expected, "{target}: {}", answer.body);
            assert!(answer.header("x-injected").is_none() && !answer.body.contains("\"out\""), "{target}: {answer:?}");
        }
        for parameter in ["days", "limit", "cursor", "x"] {
            let target = format!("/api/audit/recent?{parameter}={trick}");
            assert_eq!(service.get(&admin, &target).status, 400, "{target}");
        }
        assert_eq!(service.get(&admin, &format!("/api/audit/users?cursor={trick}")).status, 400, "{trick}");
        for target in [
            format!("/{trick}"),
            format!("/api/audit/{trick}"),
            format!("/api/audit/{trick}/audit/recent"),
            format!("/{trick}/etc/passwd"),
            format!("/api/audit/recent/{trick}"),
            format!("//{trick}"),
        ] {
            let status = service.get(&admin, &target).status;
            assert_eq!(status, if expected == 200 { 404 } else { 400 }, "{target}");
        }
    }
    for (n, user) in ["..", "../..", "/etc", ".tooltrail", "a/../../b", "a\\b", "C:", "~", "\u{202e}x", "", "a\u{0}b"]
        .iter()
        .enumerate()
    {
        let line = serde_json::json!({ "user": user, "tool": "trick", "status": "ok", "args": { "n": n } }).to_string();
        let status = service.post(&admin, &line).status;
        assert!(status == 200 || status == 400, "{user:?}: {status}");
    }
    // No new file is beside the home, in tooltrail's own folder, or below a folder name that is not a plain encoding.
    let mut found = std::fs::read_dir(service.place.home())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    found.sort();
    let plain = |name: &String| {
        name == ".tooltrail" || name.bytes().all(|byte| b"%_-".contains(&byte) || byte.is_ascii_alphanumeric())
    };
    assert!(found.iter().all(plain), "{found:?}");
    assert!(!service.place.home().join(".tooltrail/tool_audit").exists());
    assert_eq!(std::fs::read_to_string(secret).unwrap(), format!("{LINE}\n"));
    assert!(!service.place.path("etc").exists() && !service.place.path("b").exists());
}

#[test]
fn an_address_without_a_token_is_sent_away_and_nobody_else() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let from = |address: [u8; 4], token: &str| {
        let socket =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &std::net::SocketAddr::from((address, 0))).unwrap();
        rustix::net::connect(&socket, &service.address.parse::<std::net::SocketAddr>().unwrap()).unwrap();
        let mut stream = TcpStream::from(socket);
        let request = format!(
            "GET /api/audit/users HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        answer(&mut stream)
    };
    let stranger = [127, 0, 0, 7];
    let begun = Instant::now();
    let failures = (0..200).map(|_| from(stranger, "guess").status).collect::<Vec<_>>();
    let answered = failures.iter().filter(|status| **status == 401).count();
    // The allowance of one minute, and one more for each second that has passed.
    let most = 60 + begun.elapsed().as_secs() as usize + 1;
    assert!((60..=most).contains(&answered), "{answered} of at most {most}");
    assert!(failures.iter().all(|status| [401, 429].contains(status)), "{failures:?}");
    let sent_away = from(stranger, "guess");
    assert_eq!((sent_away.status, sent_away.header("retry-after")), (429, Some("1")), "{sent_away:?}");
    assert_eq!(sent_away.json()["status"], 429);
    // Other addresses have their own allowance, and a valid token needs none, from any address.
    assert_eq!(from([127, 0, 0, 8], "guess").status, 401);
    assert_eq!(from([127, 0, 0, 8], &admin).status, 200);
    assert_eq!(from(stranger, &admin).status, 200);
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(from(stranger, "guess").status, 401);
}

#[test]
fn a_thousand_idle_connections_lock_nobody_out() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let mut idle = Vec::new();
    for n in 0..1_000 {
        let mut stream = service.connect();
        // All kinds of idle connections: silent, with half a head, and idle after an answer.
        let bytes: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET /healthz HTTP/1.1\r\nHo",
            _ => b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        };
        // The write fails on a connection that the service has already closed.
        let _ = stream.write_all(bytes);
        idle.push(stream);
        if n % 100 == 99 {
            let begun = Instant::now();
            assert_eq!(service.send("GET", "/healthz", &[], "").status, 200);
            assert_eq!(service.get(&admin, "/api/audit/recent").status, 200);
            assert_eq!(service.post(&admin, LINE).status, 200);
            assert!(begun.elapsed() < Duration::from_secs(8), "after {n}: {:?}", begun.elapsed());
        }
    }
    drop(idle);
}

#[test]
fn who_is_at_work_keeps_the_connection_when_idle_ones_must_go() {
    let service = Service::start();
    let admin = service.token(&["root", "--role", "admin"]);
    let mut at_work = service.connect();
    let head = format!(
        "POST /api/audit/entries HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {admin}\r\nContent-Length: {}\r\n\r\n",
        LINE.len()
    );
    at_work.write_all(format!("{head}{}", &LINE[..7]).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(1_200));
    let idle = (0..700).map(|_| service.connect()).collect::<Vec<_>>();
    assert_eq!(service.send("GET", "/healthz", &[], "").status, 200);
    at_work.write_all(&LINE.as_bytes()[7..]).unwrap();
    at_work.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(answer(&mut at_work).status, 200);
    drop(idle);
}
