//! `kill -9` of the real service at random moments: each acknowledged entry is stored once, and no two lines are
//! joined.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::support::TestHome;

/// Number of rounds. `TOOLTRAIL_KILLS` sets another number.
const ROUNDS: u64 = 50;

/// Concurrent senders. Each sends entries of its own user and of a user that all share.
const SENDERS: u64 = 4;

/// Entries of one request.
const BATCH: u64 = 40;

fn serve(place: &TestHome) -> (Child, String) {
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    (child, url.trim().trim_start_matches("http://").to_owned())
}

/// Sends one request and returns its status, or `None` if the service died before it answered.
fn post(address: &str, token: &str, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST /api/audit/entries HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

/// Returns the next number of a seeded sequence (SplitMix64), so that the seed repeats a failure.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*seed ^ *seed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

/// What a sender saw: the ids that were acknowledged, and the ids of requests without an answer.
struct Observed {
    acknowledged: Vec<String>,
    unanswered: Vec<String>,
}

fn send(address: &str, token: &str, round: u64, sender: u64, seen: &mpsc::Sender<Observed>) {
    for request in 0.. {
        let ids = (0..BATCH).map(|n| format!("{round}-{sender}-{request}-{n}")).collect::<Vec<_>>();
        let line = |(n, id): (usize, &String)| {
            let user = if n % 2 == 0 { "shared".to_owned() } else { format!("user{sender}") };
            let text = "pad ".repeat(n * 37 % 600);
            format!(
                "{{\"user\":\"{user}\",\"tool\":\"t\",\"args\":{{\"text\":\"{text}\"}},\"status\":\"ok\",\"call_id\":\"{id}\"}}\n"
            )
        };
        let body = ids.iter().enumerate().map(line).collect::<String>();
        let dead = match post(address, token, &body) {
            Some(200) => seen.send(Observed { acknowledged: ids, unanswered: Vec::new() }).is_err(),
            // The home is not open yet, so no entry was accepted.
            Some(503) => {
                std::thread::sleep(Duration::from_millis(2));
                false
            }
            Some(other) => panic!("status {other}"),
            None => {
                let _gone = seen.send(Observed { acknowledged: Vec::new(), unanswered: ids });
                true
            }
        };
        if dead {
            return;
        }
    }
}

/// Returns how often each id is stored, and how many files end in an incomplete line. Every complete line must be an
/// entry, or spaces in place of an incomplete line that an earlier kill left.
fn stored(place: &TestHome) -> (HashMap<String, u32>, usize) {
    let (mut found, mut torn) = (HashMap::new(), 0);
    for user in std::fs::read_dir(place.home()).unwrap().flatten() {
        for day in std::fs::read_dir(user.path().join("tool_audit")).into_iter().flatten().flatten() {
            let bytes = std::fs::read(day.path()).unwrap();
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            torn += usize::from(whole < bytes.len());
            for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| line.iter().any(|byte| *byte != b' '))
            {
                let entry: serde_json::Value = serde_json::from_slice(line).unwrap_or_else(|error| {
                    panic!("{}: {error}: {}", day.path().display(), String::from_utf8_lossy(line))
                });
                if let Some(id) = entry["call_id"].as_str() {
                    *found.entry(id.to_owned()).or_default() += 1;
                }
            }
        }
    }
    (found, torn)
}

#[test]
fn what_was_acknowledged_survives_a_kill_once() {
    let rounds = std::env::var("TOOLTRAIL_KILLS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let place = TestHome::new();
    let token = place.run(&["token", "add", "sender", "--role", "ingest"]).out.trim().to_owned();
    let mut seed = 7;
    let mut acknowledged = HashSet::new();
    let mut ends = Vec::new();
    for round in 0..rounds {
        let (mut child, address) = serve(&place);
        let (seen, heard) = mpsc::channel();
        let senders = (0..SENDERS).map(|sender| {
            let (address, token, seen) = (address.clone(), token.clone(), seen.clone());
            std::thread::spawn(move || send(&address, &token, round, sender, &seen))
        });
        let senders = senders.collect::<Vec<_>>();
        drop(seen);
        std::thread::sleep(Duration::from_micros(20_000 + next(&mut seed) % 240_000));
        child.kill().unwrap();
        child.wait().unwrap();
        senders.into_iter().for_each(|sender| sender.join().unwrap());

        let (found, torn) = stored(&place);
        let mut unanswered = Vec::new();
        for seen in heard {
            acknowledged.extend(seen.acknowledged);
            unanswered.extend(seen.unanswered);
        }
        ends.push((torn > 0, unanswered));
        for id in &acknowledged {
            assert_eq!(found.get(id), Some(&1), "round {round}: {id} was acknowledged");
        }
        assert!(found.values().all(|count| *count == 1), "round {round}: nothing is stored twice");
    }
    // This start replays the journal of the last round.
    let (mut child, _address) = serve(&place);
    std::thread::sleep(Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();
    let (found, _) = stored(&place);
    assert!(acknowledged.iter().all(|id| found.get(id) == Some(&1)) && found.values().all(|count| *count == 1));
    // A kill fell inside a batch if the files have a torn line or entries of a request that got no answer.
    let half = |(torn, unanswered): &&(bool, Vec<String>)| *torn || unanswered.iter().any(|id| found.contains_key(id));
    let inside = ends.iter().filter(half).count();
    let idle = ends.len() - inside;
    eprintln!("{rounds} kills: {inside} inside a batch, {idle} between; {} entries acknowledged", acknowledged.len());
    assert!(inside > 0, "no kill fell inside a batch: the test shows nothing");
    assert!(!acknowledged.is_empty());
}
