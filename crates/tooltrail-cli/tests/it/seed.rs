//! Works together with a seed's audit module: each reads the files of the other, and both write to one file.

use std::process::{Command, Stdio};

use serde_json::Value;
use tooltrail::Timestamp;

use crate::support::{Ran, TestHome, lines, minutes_ago, now};

/// The fields that the seed's module knows, in its order.
const SEVEN: [&str; 7] = ["ts", "user", "tool", "args", "status", "result_chars", "result_snippet"];

/// Returns a command that runs the seed's module in a zone, given in POSIX form.
fn seed(place: &TestHome, zone: &str, args: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/seed_audit.py"))
        .arg(place.home())
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TZ", zone)
        .stdin(Stdio::null());
    command
}

/// Runs the seed's module.
fn run_seed(place: &TestHome, zone: &str, args: &[&str]) -> String {
    let ran = Ran::of(seed(place, zone, args).output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}");
    ran.out
}

/// Returns the seven fields of each entry, and checks that they come first.
fn seven(entries: impl Iterator<Item = Value>) -> Vec<Vec<Value>> {
    let fields = |entry: Value| {
        let object = entry.as_object().unwrap();
        assert!(object.keys().zip(SEVEN).all(|(key, expected)| key == expected), "{entry}");
        SEVEN.iter().map(|field| object[*field].clone()).collect()
    };
    entries.map(fields).collect()
}

#[test]
fn the_seed_reads_our_files() {
    let place = TestHome::new();
    let text = (0..90_u64)
        .map(|number| {
            let call = serde_json::json!({
                // No two entries have the same time, because the seed's module orders those differently.
                "ts": Timestamp::from_millis(minutes_ago(47 * number as i64).as_millis() + number as i64).to_string(),
                "user": (["alice", "bob", "carol"][number as usize % 3]),
                "tool": "fs.read",
                "args": {"n": number, "nested": [{"text": "x\u{2028}y\u{85}z\u{1c}\u{b}\r\n"}], "long": "é".repeat(600)},
                "status": (["ok", "error", "denied"][number as usize % 7 % 3]),
                "result": format!("設定 🔐\u{2029}\u{1e}\u{c}{}", "r".repeat(number as usize * 9)),
            });
            format!("{call}\n")
        })
        .collect::<String>();
    assert_eq!(place.run_with(&["import", "-"], text.as_bytes()).code, Some(0));
    let check = |seed_args: &[&str], args: &[&str], entries: usize| {
        let theirs = serde_json::from_str::<Vec<Value>>(&run_seed(&place, "UTC", seed_args)).unwrap();
        let ours = place.run(&[&["recent", "--json"], args].concat()).out;
        let ours = ours.lines().map(|line| serde_json::from_str(line).unwrap());
        let theirs = seven(theirs.into_iter());
        assert_eq!(theirs, seven(ours), "{seed_args:?}");
        assert_eq!(theirs.len(), entries, "{seed_args:?}");
    };
    check(&["recent", "alice", "7", "200"], &["--user", "alice"], 30);
    check(&["recent", "bob", "7", "5"], &["--user", "bob", "--limit", "5"], 5);
    check(&["recent", "nobody", "7", "5"], &["--user", "nobody", "--limit", "5"], 0);
    check(&["recent-all", "7", "500"], &["--limit", "500"], 90);
    check(&["recent-all", "7", "17"], &["--limit", "17"], 17);
}

#[test]
fn we_read_what_the_seed_writes() {
    let place = TestHome::new();
    run_seed(&place, "JST-9", &["write", "alice", "300"]);
    run_seed(&place, "JST-9", &["write", "bob", "30"]);
    let written = place.stored_lines();
    let recent_in = |zone: &str, args: &[&str]| {
        let ran = place.run(&[&["recent", "--json", "--limit", "1000", "--zone", zone], args].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(!ran.err.contains("skipped"), "{}", ran.err);
        ran.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let recent = |args: &[&str]| recent_in("Asia/Tokyo", args);
    // The lines are printed unchanged, newest first, with the seed's spaces, escapes and local times.
    let alices = written.iter().filter(|line| line.contains("\"user\": \"alice\"")).rev().cloned().collect::<Vec<_>>();
    assert_eq!((alices.len(), written.len()), (300, 330));
    assert_eq!(recent(&["--user", "alice"]), alices);
    assert_eq!(recent(&[]).len(), 330);
    assert_eq!(recent(&["status=denied", "tool=shell", "user=bob"]).len(), 10);
    assert_eq!(recent(&["ümlaut", "設定", "user=bob"]).len(), 9, "escaped or not, a text is found");
    // The zone is nine hours ahead of UTC. In another zone the same local times are other instants.
    assert_eq!(recent(&["last=1h"]).len(), 330);
    assert_eq!(recent_in("Pacific/Auckland", &["last=1h"]).len(), 0);
    let stats = place.run(&["stats", "--json", "--zone", "Asia/Tokyo"]).out;
    let stats = serde_json::from_str::<Value>(&stats).unwrap();
    assert_eq!(stats["by_status"], serde_json::json!({"ok": 110, "error": 110, "denied": 110}));
    assert_eq!(stats["by_user"], serde_json::json!({"alice": 300, "bob": 30}));
    assert_eq!(place.stored_lines(), written, "never rewritten");
    assert!(!place.home().join(".tooltrail").exists(), "a reader adopts nothing");
    // Another home can import the lines; there the times are stored in UTC.
    let elsewhere = TestHome::new();
    let text = written.join("\n");
    let ran = elsewhere.run_with(&["import", "-", "--zone", "Asia/Tokyo"], text.as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let hour_ago = minutes_ago(60).to_string();
    let stored = elsewhere.stored();
    assert_eq!(stored.len(), 330);
    assert!(
        stored.iter().all(|entry| (hour_ago.as_str()..=&now().to_string()).contains(&entry["ts"].as_str().unwrap()))
    );
}

#[test]
fn both_write_one_file() {
    let place = TestHome::new();
    let stop = place.path("stop");
    let mut command = seed(&place, "UTC", &["write-until", stop.to_str().unwrap(), "alice"]);
    let their = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while place.day_files().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    for run in 0..4_u64 {
        let file = place.file(&format!("lines.{run}"), lines(run * 3_000..(run + 1) * 3_000, "alice", now()));
        let ran = place.run(&["import", &file]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    // The last lines of the seed come after all lines of tooltrail.
    std::thread::sleep(std::time::Duration::from_millis(50));
    std::fs::write(&stop, "").unwrap();
    let their = Ran::of(their.wait_with_output().unwrap());
    assert_eq!((their.code, their.err.as_str()), (Some(0), ""));
    let count = their.out.trim().parse::<u64>().unwrap();
    let (mut ours, mut theirs, mut turns, mut last_is_ours) = (Vec::new(), Vec::new(), 0, None);
    for line in place.stored_lines() {
        let entry = serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let number = entry["args"]["n"].as_u64().unwrap();
        let is_ours = entry.get("via").is_some();
        turns += u64::from(last_is_ours.replace(is_ours).is_some_and(|last| last != is_ours));
        if is_ours { ours.push(number) } else { theirs.push(number) }
    }
    println!("{count} lines of the seed and {} of ours, in {turns} turns", ours.len());
    ours.sort_unstable();
    assert!(ours.into_iter().eq(0..12_000), "each of ours once");
    assert!(theirs.into_iter().eq(0..count), "each of theirs once and in order");
    assert!(turns > 8, "they did not write at once: {turns}");
    let seen = place.run(&["stats", "--json", "--user", "alice"]).out;
    let seen = serde_json::from_str::<Value>(&seen).unwrap();
    // On a busy machine a debug build may reach the time limit; then the answer says that it is not complete.
    let (total, complete) = (seen["total"].as_u64().unwrap(), seen["complete"] == true);
    assert!(if complete { total == 12_000 + count } else { total < 12_000 + count }, "{total} of {count}, {complete}");
}
