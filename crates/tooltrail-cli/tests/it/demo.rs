//! The demo as a new user sees it: an address, a token, commands that work, and a recorded entry of each read.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::TestHome;

/// Sends a question and returns the body of the answer.
fn ask(address: &str, token: &str, question: &str) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET {question} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[test]
fn a_newcomer_sees_calls_and_the_trace_of_having_looked() {
    let place = TestHome::new();
    let mut command = place.command(&["demo", "--json", "--listen", "127.0.0.1:0"]);
    let mut demo = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(demo.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    let address = said["address"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let token = said["token"].as_str().unwrap();
    assert_eq!(said["commands"].as_array().unwrap().len(), 3);

    // The port opens before the home. Until the home is open, the service answers that the client should retry.
    let ready = || {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    };
    while !ready() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let recent = ask(&address, token, "/api/audit/recent?user=alice&limit=5");
    assert_eq!(recent["entries"].as_array().unwrap().len(), 5);
    assert!(recent["entries"].as_array().unwrap().iter().all(|entry| entry["via"] == "toolbox"));
    let stats = ask(&address, token, "/api/audit/stats");
    for status in ["ok", "error", "denied"] {
        assert!(stats["by_status"][status].as_u64().unwrap() > 0, "the sample shows {status}");
    }
    let denied = ask(&address, token, "/api/audit/recent?q=status%3Ddenied");
    let reasons = denied["entries"].as_array().unwrap().iter().map(|entry| entry["reason"].as_str().unwrap());
    let reasons = reasons.collect::<std::collections::BTreeSet<_>>();
    assert!(reasons.contains("policy") && reasons.contains("unknown_tool"), "{reasons:?}");
    // The answer does not wait for the entry of the read, which is stored a moment later.
    let seen = || {
        let reads = ask(&address, token, "/api/audit/recent?q=tool%3Dtooltrail.read");
        reads["entries"].as_array().unwrap().iter().any(|read| read["args"]["query"] == "user=alice&limit=5")
    };
    let end = Instant::now() + Duration::from_secs(10);
    while !seen() {
        assert!(Instant::now() < end, "the very read is in the trail");
        std::thread::sleep(Duration::from_millis(20));
    }

    let pid = demo.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(demo.wait().unwrap().code(), Some(0));
}
