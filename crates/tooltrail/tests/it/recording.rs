//! The recorder on a real disk: every accepted entry is stored once, regardless of obstacles, and losses are counted.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use tooltrail::{
    Call, Error, Event, LossReason, Options, Outcome, Reason, Recorder, Timestamp, folder_of, outside_folder,
};

/// Returns every line of every day file below a home, by folder.
fn stored(home: &Path) -> HashMap<String, Vec<Value>> {
    let mut found = HashMap::new();
    for user in std::fs::read_dir(home).unwrap().map(Result::unwrap) {
        let Ok(days) = std::fs::read_dir(user.path().join("tool_audit")) else { continue };
        let lines = days.map(Result::unwrap).filter(|day| day.path().is_file()).flat_map(|day| {
            let text = std::fs::read_to_string(day.path()).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'));
            // A line of spaces replaces damaged bytes.
            let lines = text.lines().filter(|line| !line.trim_matches(' ').is_empty());
            lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
        });
        found.insert(user.file_name().into_string().unwrap(), lines.collect());
    }
    found
}

fn call(user: &str, tool: &str) -> Call {
    Call::new(user, tool, r#"{"n":1}"#).ok("done")
}

fn day_file(home: &Path, user: &str, ts: Timestamp) -> PathBuf {
    home.join(folder_of(user)).join("tool_audit").join(format!("{}.jsonl", ts.date()))
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_764_000_000_000 + ms)
}

/// Returns the total number of lost entries in the gap entries of a home.
fn lost(home: &Path) -> u64 {
    let lines = stored(home).remove("_system").unwrap_or_default();
    let gaps = lines.iter().filter(|line| line["tool"] == "tooltrail.gap");
    gaps.map(|gap| gap["args"]["lost"].as_u64().unwrap()).sum()
}

#[test]
fn each_door_stores_a_call_once() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    recorder.record(&call("alice", "record"));
    recorder.record_durable(vec![call("alice", "durable"), call("bob", "durable")]).unwrap().wait().unwrap();
    recorder.begin(Call::new("alice", "finish", "")).finish(Outcome::ok("x")).unwrap().wait().unwrap();
    recorder.begin(Call::new("alice", "buffered", "")).finish_buffered(Outcome::error("x"));
    drop(recorder.begin(Call::new("alice", "dropped", "")));
    recorder.event(Event::Start { version: "1".into() });
    recorder.flush().unwrap();
    let lines = stored(home.path());
    let tools = lines["alice"].iter().map(|line| line["tool"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(tools, ["record", "durable", "finish", "buffered", "dropped"]);
    assert_eq!(lines["alice"][4]["reason"], Reason::Cancelled.as_str());
    assert!(lines["alice"][4]["duration_ms"].is_number());
    assert_eq!(lines["bob"].len(), 1);
    assert_eq!(lines["_system"][0]["via"], "tooltrail");
    recorder.close().unwrap();
    recorder.close().unwrap();
    assert!(matches!(recorder.record_durable(vec![call("alice", "late")]), Err(Error::Closed)));
    assert_eq!(stored(home.path())["alice"].len(), 5);
}

#[test]
fn nobody_outside_can_write_our_own_events() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    let mut forged = call("_system", "tooltrail.gap");
    forged.via = tooltrail::Via::Tooltrail;
    recorder.record(&forged);
    recorder.close().unwrap();
    let lines = stored(home.path());
    let line = &lines["outside%2E_system"][0];
    assert_eq!((&line["via"], &line["tool"]), (&"library".into(), &"outside.tooltrail.gap".into()));
    assert_eq!((&line["extra"]["tool"], &line["claimed_user"]), (&"tooltrail.gap".into(), &"_system".into()));
    assert!(!lines.contains_key("_system"));
}

#[test]
fn a_torn_tail_is_kept_and_replaced_with_spaces() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    let mut first = call("alice", "first");
    first.ts = Some(at(0));
    recorder.record_durable(vec![first.clone()]).unwrap().wait().unwrap();
    let file = day_file(home.path(), "alice", at(0));
    for tail in [&b"{\"ts\":\"2025"[..], &[0; 5000], &[0xFF, b'x']] {
        let whole = std::fs::read(&file).unwrap();
        std::fs::File::options().append(true).open(&file).unwrap().write_all(tail).unwrap();
        recorder.record_durable(vec![first.clone()]).unwrap().wait().unwrap();
        recorder.flush().unwrap();
        let now = std::fs::read(&file).unwrap();
        assert!(now.starts_with(&whole) && now.ends_with(b"\n"));
        let blank = [vec![b' '; tail.len()], b"\n{".to_vec()].concat();
        assert!(now[whole.len()..].starts_with(&blank), "{:?}", String::from_utf8_lossy(&now[whole.len()..]));
        let begins = format!("{}.{}.", at(0).date(), whole.len());
        let fragments = std::fs::read_dir(home.path().join(".tooltrail/fragments")).unwrap();
        let mut fragments = fragments.map(|entry| entry.unwrap());
        let fragment = fragments.find(|entry| entry.file_name().to_str().unwrap().starts_with(&begins)).unwrap();
        assert_eq!(std::fs::read(fragment.path()).unwrap(), tail);
    }
    recorder.close().unwrap();
    let incidents = &stored(home.path())["_system"];
    assert_eq!(incidents.iter().filter(|line| line["tool"] == "tooltrail.incident").count(), 3);
}

/// A foreign writer needs several writes per line, beside a recorder: every line of the recorder stays complete.
#[test]
fn a_foreign_writer_that_writes_in_pieces_splices_no_line() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    let mut first = call("alice", "first");
    first.ts = Some(at(0));
    recorder.record_durable(vec![first.clone()]).unwrap().wait().unwrap();
    let file = day_file(home.path(), "alice", at(0));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let foreign = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let mut file = std::fs::File::options().append(true).open(file).unwrap();
            let mut lines = 0_u32;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for part in
                    ["{\"ts\":\"2025-11-24T10:00:00Z\",", "\"user\":\"f\",\"tool\":\"f\",", "\"status\":\"ok\"}\n"]
                {
                    file.write_all(part.as_bytes()).unwrap();
                    std::thread::yield_now();
                }
                lines += 1;
            }
            lines
        }
    });
    let sent = 300;
    for n in 0..sent {
        let mut call = call("alice", &format!("n{n}"));
        call.ts = Some(at(0));
        recorder.record_durable(vec![call]).unwrap().wait().unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(foreign.join().unwrap() > 0);
    recorder.close().unwrap();
    let text = std::fs::read_to_string(day_file(home.path(), "alice", at(0))).unwrap();
    let tools = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut tools = tools.filter_map(|line| line["tool"].as_str().map(str::to_owned)).collect::<Vec<_>>();
    tools.retain(|tool| tool.starts_with('n'));
    tools.sort();
    let mut expected = (0..sent).map(|n| format!("n{n}")).collect::<Vec<_>>();
    expected.sort();
    assert_eq!(tools, expected, "each acknowledged line stands there once, by itself");
}

/// Another process is stopped while it holds the append lock: entries in the synced journal are still acknowledged.
#[test]
fn a_stopped_holder_of_the_append_lock_delays_no_acknowledgement() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    recorder.record_durable(vec![call("alice", "first")]).unwrap().wait().unwrap();
    let lock = std::fs::File::open(home.path().join(".tooltrail/append.lock")).unwrap();
    lock.lock().unwrap();
    let begun = std::time::Instant::now();
    for n in 0..100 {
        recorder.record_durable(vec![call("alice", &format!("n{n}"))]).unwrap().wait().unwrap();
    }
    let took = begun.elapsed();
    assert!(took < std::time::Duration::from_secs(4), "{took:?}");
    recorder.record(&call("bob", "buffered"));
    lock.unlock().unwrap();
    recorder.close().unwrap();
    let stored = stored(home.path());
    assert_eq!((stored["alice"].len(), stored["bob"].len()), (101, 1));
}

/// A foreign writer that writes a line very slowly into one user's file does not delay any acknowledgement.
#[test]
fn a_slow_foreign_writer_delays_no_acknowledgement() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    let mut first = call("alice", "first");
    first.ts = Some(at(0));
    recorder.record_durable(vec![first.clone()]).unwrap().wait().unwrap();
    let mut foreign = std::fs::File::options().append(true).open(day_file(home.path(), "alice", at(0))).unwrap();
    let begun = std::time::Instant::now();
    for n in 0..60 {
        foreign.write_all(b"x").unwrap();
        let mut call = call(if n % 2 == 0 { "alice" } else { "bob" }, &format!("n{n}"));
        call.ts = Some(at(0));
        let each = std::time::Instant::now();
        recorder.record_durable(vec![call]).unwrap().wait().unwrap();
        assert!(each.elapsed() < std::time::Duration::from_millis(500), "{:?} for {n}", each.elapsed());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    recorder.close().unwrap();
    let stored = std::fs::read_to_string(day_file(home.path(), "alice", at(0))).unwrap();
    let whole = stored.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count();
    assert_eq!(whole, 31, "{stored}");
}

#[test]
fn what_a_full_queue_sheds_is_counted_exactly() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::open(home.path()).unwrap());
    recorder.record(&call("alice", "warm"));
    recorder.flush().unwrap();
    // While the test holds the append lock, the writer thread is blocked and the queue fills.
    let lock = std::fs::File::open(home.path().join(".tooltrail/append.lock")).unwrap();
    lock.lock().unwrap();
    let sent = 100_000;
    let threads = (0..4).map(|_| {
        let recorder = Arc::clone(&recorder);
        std::thread::spawn(move || (0..sent / 4).for_each(|_| recorder.record(&call("alice", "burst"))))
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    drop(lock);
    // A flush answers for no request, so that it names none of a request's calls.
    let flushed = recorder.flush();
    assert!(matches!(&flushed, Err(Error::Unwritten { which, .. }) if which.is_empty()), "{flushed:?}");
    recorder.close().unwrap();
    let kept = stored(home.path())["alice"].len() as u64 - 1;
    assert!(kept < sent, "the queue must have overflowed for this test to mean anything");
    assert_eq!(kept + lost(home.path()), sent);
    let counters = recorder.counters();
    assert_eq!(counters.lost_entries.values().sum::<u64>(), sent - kept);
    assert_eq!(counters.lost_entries[&LossReason::QueueFull], sent - kept);
    recorder.record(&call("alice", "too late"));
    assert_eq!(recorder.counters().lost_entries[&LossReason::Closed], 1);
}

#[test]
fn one_file_that_cannot_be_written_does_not_stop_the_others() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    let outside = home.path().join("elsewhere");
    std::fs::write(&outside, "").unwrap();
    let mut bad = Vec::new();
    for (n, user) in ["folder", "link", "fifo", "hard"].into_iter().enumerate() {
        let file = day_file(home.path(), user, at(0));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        match n {
            0 => std::fs::create_dir(&file).unwrap(),
            1 => std::os::unix::fs::symlink(&outside, &file).unwrap(),
            2 => assert!(Command::new("mkfifo").arg(&file).status().unwrap().success()),
            _ => std::fs::hard_link(&outside, &file).unwrap(),
        }
        let mut call = call(user, "refused");
        call.ts = Some(at(0));
        let began = std::time::Instant::now();
        let refused = recorder.record_durable(vec![call.clone()]).unwrap().wait();
        assert!(matches!(refused, Err(Error::Unwritten { entries: 1, .. })), "{user}: {refused:?}");
        assert!(began.elapsed() < Duration::from_secs(2), "{user} is refused at once");
        bad.push(call);
    }
    bad.iter().for_each(|call| recorder.record(call));
    recorder.record_durable(vec![call("good", "kept")]).unwrap().wait().unwrap();
    assert!(matches!(recorder.flush(), Err(Error::Unwritten { entries: 4, .. })));
    // If the acknowledgement is dropped, its error is not seen, so the loss is recorded in a gap entry like any other
    // loss.
    drop(recorder.record_durable(vec![bad[0].clone()]).unwrap());
    let unheard = recorder.flush();
    assert!(matches!(unheard, Err(Error::Unwritten { entries: 1, .. })), "{unheard:?}");
    recorder.close().unwrap();
    assert_eq!(std::fs::read(&outside).unwrap(), b"", "nothing is written through a link");
    assert_eq!(lost(home.path()), 5);
    assert_eq!(stored(home.path())["good"].len(), 1);
    let counters = recorder.counters();
    assert_eq!((counters.refused_entries, counters.lost_entries[&LossReason::Unwritten]), (4, lost(home.path())));
}

#[test]
fn what_the_recorder_does_is_counted() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    assert_eq!(recorder.counters().batch_entries.count(), 0);
    for size in [1, 5, 300] {
        recorder.record_durable(vec![call("alice", "t"); size]).unwrap().wait().unwrap();
    }
    recorder.flush().unwrap();
    let counters = recorder.counters();
    let bytes = std::fs::metadata(day_file(home.path(), "alice", first_ts(home.path()))).unwrap().len();
    assert_eq!((counters.written_entries, counters.written_bytes), (306, bytes));
    assert_eq!((counters.queued_entries, counters.queued_bytes, counters.writing_entries), (0, 0, 0));
    assert_eq!((counters.refused_entries, counters.failed_syncs, counters.in_trouble), (0, 0, false));
    assert!(counters.lost_entries.values().all(|lost| *lost == 0), "{counters:?}");
    // Each request is one batch with one sync of the journal; the flush syncs the file.
    assert_eq!((counters.batch_entries.count(), counters.batch_entries.sum), (3, 306));
    assert_eq!((counters.batch_micros.count(), counters.sync_micros.count()), (3, 4));
    let upto = |bound: u64| counters.batch_entries.buckets.iter().find(|bucket| bucket.0 == bound).unwrap().1;
    assert_eq!((upto(1), upto(4), upto(16), upto(1_024)), (1, 0, 1, 1));
    // A caller that waits does not block the counters.
    let lock = std::fs::File::open(home.path().join(".tooltrail/append.lock")).unwrap();
    lock.lock().unwrap();
    let under_way = recorder.record_durable(vec![call("alice", "t"); 7]).unwrap();
    let begun = std::time::Instant::now();
    while recorder.counters().writing_entries != 7 {
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", recorder.counters());
    }
    drop(lock);
    under_way.wait().unwrap();
    recorder.close().unwrap();
    assert_eq!(recorder.counters().written_entries, 313);
}

/// Returns the time of alice's first entry in a home.
fn first_ts(home: &Path) -> Timestamp {
    Timestamp::parse(stored(home)["alice"][0]["ts"].as_str().unwrap(), &tooltrail::Zone::system()).unwrap()
}

#[test]
fn a_full_disk_loses_nothing_acknowledged_and_heals() {
    let home = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(home.path()).output();
    if !mounted.is_ok_and(|mount| mount.status.success()) {
        eprintln!("skipped: full disk (mounting a small file system needs root)");
        return;
    }
    struct Unmount(PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            let _best_effort = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
    let _unmount = Unmount(home.path().to_owned());
    let recorder = Recorder::open(home.path()).unwrap();
    let big = Call::new("alice", "big", format!("{{\"text\":\"{}\"}}", "x y ".repeat(120))).ok("x".repeat(250));
    let (mut kept, mut refused) = (0, 0);
    while refused < 20 {
        let batch = vec![big.clone(); 30];
        match recorder.record_durable(batch).unwrap().wait() {
            Ok(()) => kept += 30,
            Err(Error::Unwritten { entries, .. }) => {
                assert_eq!(entries, 30, "a batch for one file is written whole or not at all");
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(recorder.health().is_err(), "a full disk shows");
    (0..30).for_each(|_| recorder.record(&big));
    let Err(Error::Unwritten { entries: shed, .. }) = recorder.flush() else { panic!("30 calls found no room") };
    kept += 30 - usize::try_from(shed).unwrap();
    let lines = std::fs::read_to_string(
        std::fs::read_dir(home.path().join("alice/tool_audit")).unwrap().next().unwrap().unwrap().path(),
    );
    assert_eq!(lines.unwrap().lines().filter(|line| !line.trim().is_empty()).count(), kept);
    let resized = Command::new("mount").args(["-o", "remount,size=8m"]).arg(home.path()).status().unwrap();
    assert!(resized.success());
    recorder.record_durable(vec![big]).unwrap().wait().unwrap();
    recorder.close().unwrap();
    assert_eq!(stored(home.path())["alice"].len(), kept + 1);
    assert_eq!(lost(home.path()), shed, "buffered calls that found no room are counted");
}

#[test]
fn keys_below_the_home_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut options = Options::new(home.path());
    options.keys = Some(home.path().join("keys"));
    let refused = options.open();
    assert!(matches!(refused, Err(Error::KeysBelowHome { .. })));
}

#[test]
fn a_newer_format_is_refused_and_a_seed_s_home_is_adopted() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("alice/tool_audit")).unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    recorder.close().unwrap();
    let format = home.path().join(".tooltrail/format");
    assert_eq!(std::fs::read_to_string(&format).unwrap().trim(), "1");
    std::fs::write(&format, "2\n").unwrap();
    assert!(matches!(Recorder::open(home.path()), Err(Error::Format { .. })));
}

#[test]
fn files_and_folders_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    for (group, file_mode, folder_mode) in [(false, 0o600, 0o700), (true, 0o640, 0o750)] {
        let place = tempfile::tempdir().unwrap();
        let mut options = Options::new(place.path().join("home"));
        options.group = group;
        let recorder = options.open().unwrap();
        let mut dated = call("alice", "t");
        dated.ts = Some(at(0));
        recorder.record(&dated);
        recorder.close().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let file = day_file(&place.path().join("home"), "alice", at(0));
        assert_eq!(mode(&file), file_mode);
        assert_eq!(mode(file.parent().unwrap()), folder_mode);
        assert_eq!(mode(&place.path().join("home")), folder_mode);
    }
}

/// Names that are known to break file systems, shells and parsers.
const HOSTILE: [&str; 32] = [
    "",
    ".",
    "..",
    "../bob",
    "a/b",
    "/etc/passwd",
    "a\0b",
    "a\nb",
    "a\r\nb",
    "CON",
    "a.",
    " a",
    "a ",
    "Alice",
    "alice",
    "ALICE",
    "%41lice",
    "%2e%2e",
    "\u{202e}evil",
    "ａｌｉｃｅ",
    "e\u{301}",
    "é",
    ".tooltrail",
    "tool_audit",
    "_system",
    "%5Fsystem",
    "unknown",
    "-rf",
    "~",
    "$HOME",
    "a\\b",
    "😀",
];

fn check_names(names: &HashSet<String>) {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    let recorder = Recorder::open(&home).unwrap();
    for name in names {
        recorder.record(&Call::new(name.as_str(), name.as_str(), name.as_str()).ok(name.as_str()));
    }
    recorder.close().unwrap();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing outside the home");
    let mut lines = stored(&home);
    lines.remove("_system");
    lines.remove(".tooltrail");
    assert_eq!(lines.values().map(Vec::len).sum::<usize>(), names.len(), "one line each");
    let ids = names.iter().map(|name| if name.is_empty() { "unknown" } else { name }).collect::<HashSet<_>>();
    assert_eq!(lines.len(), ids.len(), "no two users share a folder");
    for id in ids {
        assert!(lines.contains_key(&outside_folder(id)), "{id:?}");
    }
}

#[test]
fn hostile_names_stay_inside_and_apart() {
    let long = [
        "a".repeat(200),
        "a".repeat(201),
        "é".repeat(40),
        format!("{}b", "é".repeat(40)),
        "x".repeat(10_000),
        "%".repeat(300),
    ];
    check_names(&HOSTILE.iter().map(|name| (*name).to_owned()).chain(long).collect());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_names_stay_inside_and_apart(names in prop::collection::hash_set(any::<String>(), 1..40)) {
        check_names(&names);
    }
}

/// A day file that ends in gigabytes of zeros, as after a wrong `truncate`, costs neither memory nor time.
#[test]
fn a_huge_tail_is_neither_read_whole_nor_lost_in() {
    let home = tempfile::tempdir().unwrap();
    let mut one = call("alice", "first");
    one.ts = Some(at(0));
    let resident_kib = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let recorder = Recorder::open(home.path()).unwrap();
    recorder.record_durable(vec![one.clone()]).unwrap().wait().unwrap();
    recorder.close().unwrap();
    let file = std::fs::File::options().append(true).open(day_file(home.path(), "alice", at(0))).unwrap();
    file.set_len(5 << 30).unwrap();
    let before = resident_kib();
    let recorder = Recorder::open(home.path()).unwrap();
    for n in 0..50 {
        let begun = std::time::Instant::now();
        one.tool = format!("n{n}");
        recorder.record_durable(vec![one.clone(), call("bob", "else")]).unwrap().wait().unwrap();
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?} for {n}", begun.elapsed());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    recorder.close().unwrap();
    let grown = resident_kib().saturating_sub(before) >> 10;
    assert!(grown < 100, "{grown} MiB more");
    let mut end = vec![0; 64 * 1024];
    let mut file = std::fs::File::open(day_file(home.path(), "alice", at(0))).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(5 << 30)).unwrap();
    let read = std::io::Read::read(&mut file, &mut end).unwrap();
    let text = String::from_utf8(end[..read].to_vec()).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("{") && line.ends_with('}')).count(), 50, "{text}");
}
