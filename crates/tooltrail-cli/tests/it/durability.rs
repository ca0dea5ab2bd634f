//! The three levels of durability, over HTTP and in imports: when entries are acknowledged, when questions see them,
//! and which of them survive a kill.

use std::time::{Duration, Instant};

use crate::service::Service;
use crate::support::{TestHome, lines, minutes_ago};

/// A configuration by which some tools are buffered and some strict.
const BY_TOOL: &str = r#"
[durability]
default = "grouped"
[[durability.tools]]
tool = "quick.*"
durability = "buffered"
[[durability.tools]]
tool = "pay.*"
durability = "strict"
"#;

/// Lines of an import that is killed: more than are in flight at once.
const LINES: u64 = 10_000;

/// Starts a service with a configuration file and more flags.
fn start(config: &str, flags: &[&str]) -> (Service, String) {
    let place = TestHome::new();
    let file = place.file("tooltrail.toml", config);
    let service = Service::start_as(place, &[&["--config", &file], flags].concat());
    service.wait_ready();
    let token = service.token(&["root", "--role", "admin"]);
    (service, token)
}

fn body<'a>(tools: impl IntoIterator<Item = &'a str>) -> String {
    let line = |tool| format!("{{\"user\":\"alice\",\"tool\":\"{tool}\",\"status\":\"ok\"}}\n");
    tools.into_iter().map(line).collect()
}

/// Takes the lock that the writer thread needs before it appends.
fn hold(place: &TestHome) -> std::fs::File {
    let path = place.home().join(".tooltrail/append.lock");
    // What was only queued is appended a moment after its answer.
    let began = std::time::Instant::now();
    while !path.exists() && began.elapsed() < std::time::Duration::from_secs(30) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let lock = std::fs::File::open(path).unwrap();
    lock.lock().unwrap();
    lock
}

#[test]
fn what_was_acknowledged_is_seen_by_the_next_question() {
    let (service, token) = start(BY_TOOL, &[]);
    let mut sent = 0;
    for n in 0..60 {
        let tools = [["quick.a"; 3], ["quick.a", "slow", "quick.b"], ["pay.a", "quick.a", "quick.b"]][n % 3];
        let answer = service.post(&token, &body(tools));
        assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (200, Some(3)), "{answer:?}");
        sent += 3;
        let found = match n % 2 {
            0 => service.get(&token, "/api/audit/recent?user=alice&limit=1000").entries().len(),
            _ => service.get(&token, "/api/audit/stats?user=alice").json()["total"].as_u64().unwrap() as usize,
        };
        assert_eq!(found, sent, "after {n}");
    }
}

/// Kills a service whose writer thread could write only the journal, and returns the tools whose entries survive.
fn survivors(config: &str, flags: &[&str]) -> Vec<String> {
    let (mut service, token) = start(config, flags);
    // This entry makes the folders and the lock file.
    assert_eq!(service.post(&token, &body(["first"])).status, 200);
    let lock = hold(&service.place);
    let answer = service.post(&token, &body(["pay.a", "quick.a", "slow"]));
    assert_eq!(answer.status, 200, "{answer:?}");
    service.kill();
    drop(lock);
    // The next writer replays the journal.
    let file = service.place.file("lines", lines([0], "bob", minutes_ago(0)));
    assert_eq!(service.place.run(&["import", &file]).code, Some(0));
    let stored = service.place.stored();
    let http = stored.iter().filter(|entry| entry["via"] == "http" && entry["tool"] != "first");
    let mut tools = http.map(|entry| entry["tool"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    tools.sort();
    tools
}

#[test]
fn a_kill_takes_what_is_buffered_and_nothing_else() {
    let check = |config: &str, flags: &[&str], expected: &[&str]| {
        assert_eq!(survivors(config, flags), expected, "{config} {flags:?}");
    };
    check("", &[], &["pay.a", "quick.a", "slow"]);
    check(BY_TOOL, &[], &["pay.a", "slow"]);
    check("durability = \"buffered\"", &[], &[]);
    // The flag applies to every tool.
    check(BY_TOOL, &["--durability", "strict"], &["pay.a", "quick.a", "slow"]);
    check(BY_TOOL, &["--durability", "buffered"], &[]);
}

#[test]
fn under_pressure_nothing_is_acknowledged_that_is_not_counted() {
    let (mut service, token) = start(BY_TOOL, &[]);
    assert_eq!(service.post(&token, &body(["first"])).status, 200);
    let lock = hold(&service.place);
    let large = body(["quick.a"; 10_000]);
    let (mut accepted, mut refused) = (0, 0);
    let begun = Instant::now();
    // Sends until the queue is full, or for 15 s if the writer thread is as fast as the sender.
    while refused < 3 && begun.elapsed() < Duration::from_secs(15) {
        let answer = service.post(&token, &large);
        match answer.status {
            200 => accepted += 10_000,
            503 => {
                assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
                refused += 1;
            }
            _ => panic!("{answer:?}"),
        }
    }
    drop(lock);
    service.until("writing again", || service.post(&token, &body(["slow"])).status == 200);
    service.terminate();
    service.wait();
    let stored = service.place.stored();
    let quick = stored.iter().filter(|entry| entry["tool"] == "quick.a").count() as u64;
    let gaps = stored.iter().filter(|entry| entry["tool"] == "tooltrail.gap");
    let lost = gaps.map(|gap| gap["args"]["lost"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(quick + lost, accepted, "each that was acknowledged is stored, or counted as lost");
}

#[test]
fn an_import_stores_everything_in_each_durability_mode() {
    for mode in ["buffered", "grouped", "strict"] {
        let place = TestHome::new();
        let file = place.file("lines", lines(0..3_000, "alice", minutes_ago(1)));
        let ran = place.run(&["import", &file, "--durability", mode]);
        assert_eq!(ran.code, Some(0), "{mode}: {}", ran.err);
        assert_eq!(place.numbers(), (0..3_000).collect::<Vec<_>>(), "{mode}");
    }
    let place = TestHome::new();
    let ran = place.run(&["import", "-", "--durability", "most"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("buffered, grouped, strict"), "{}", ran.err);
}

#[test]
fn a_buffered_import_that_is_killed_goes_on() {
    let mut inside = 0;
    // Kills within the first batches, when more are in flight than other durability allows, and after the first flush.
    for (round, from) in [0, 3_500, 6_500, 9_000].into_iter().enumerate() {
        let place = TestHome::new();
        let file = place.file("lines", lines(0..LINES, "alice", minutes_ago(1)));
        let mut child = place.command(&["import", &file, "--durability", "buffered"]).spawn().unwrap();
        let newlines = |file| std::fs::read(file).unwrap().iter().filter(|byte| **byte == b'\n').count() as u64;
        let stored = || place.day_files().into_iter().map(newlines).sum::<u64>();
        let begun = Instant::now();
        while stored() <= from && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing is ever stored");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        inside += u32::from((1..LINES).contains(&stored()));
        // Continues in another mode too: the batches that were in flight must be looked up all the same.
        let mode = ["buffered", "grouped"][round % 2];
        let ran = place.run(&["import", &file, "--durability", mode]);
        assert!(ran.code == Some(0) || ran.err.contains("imported already"), "round {round}: {}", ran.err);
        let numbers = place.numbers();
        assert!(numbers.iter().copied().eq(0..LINES), "round {round}: {} entries", numbers.len());
    }
    assert!(inside > 0, "no kill fell inside an import");
}
