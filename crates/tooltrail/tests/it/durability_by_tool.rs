//! Calls recorded with the durability of their tool: which calls the caller waits for, and when they can be read.

use std::path::Path;
use std::time::{Duration, Instant};

use tooltrail::{Call, Durability, DurabilityPolicy, Error, LossReason, Question, Recorder, Trail};

fn durability() -> DurabilityPolicy {
    let mut durability = DurabilityPolicy::from(Durability::Grouped);
    durability.tools.push(("quick.*".to_owned(), Durability::Buffered));
    durability
}

fn calls(tools: &[&str]) -> Vec<Call> {
    tools.iter().map(|tool| Call::new(tool.replace('.', "-"), *tool, "{}").ok("x")).collect()
}

/// Returns the number of entries that a reader finds, without our own events.
fn found(home: &Path) -> usize {
    let mut question = Question::new();
    question.limit = 1_000;
    let page = Trail::open(home).unwrap().recent(&question).unwrap();
    page.lines.iter().filter(|line| !line.contains("\"via\":\"tooltrail\"")).count()
}

#[test]
fn buffered_calls_are_found_once_they_are_settled() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    assert!(recorder.wait_for_buffered(), "nothing was taken");
    for n in 1..=50 {
        let mixed = if n % 2 == 0 { calls(&["quick.a"; 20]) } else { calls(&["quick.a", "slow", "quick.b"]) };
        let waits = mixed.iter().any(|call| call.tool == "slow");
        let before = found(home.path());
        let syncs = recorder.counters().sync_micros.count();
        let taken = mixed.len();
        let ack = recorder.record_through(&durability(), mixed).unwrap();
        if waits {
            ack.wait().unwrap();
            assert!(recorder.counters().sync_micros.count() > syncs, "{n}: what is not buffered is synced");
        } else {
            ack.wait_for(Duration::ZERO).unwrap();
        }
        assert!(recorder.wait_for_buffered());
        assert_eq!(found(home.path()), before + taken, "{n}");
    }
    recorder.close().unwrap();
    assert!(recorder.wait_for_buffered());
    assert!(matches!(recorder.record_through(&durability(), calls(&["quick.a"])), Err(Error::Closed)));
}

#[test]
fn only_the_buffered_ones_are_not_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    // A file is in the place of this user's folder of day files, so that no entry of the user can ever be written.
    std::fs::create_dir_all(home.path().join("slow")).unwrap();
    std::fs::write(home.path().join("slow/tool_audit"), "").unwrap();
    std::fs::create_dir_all(home.path().join("quick-b")).unwrap();
    std::fs::write(home.path().join("quick-b/tool_audit"), "").unwrap();
    let ack = recorder.record_through(&durability(), calls(&["quick.a", "quick.b", "slow", "other"])).unwrap();
    let Err(Error::Unwritten { which, entries, .. }) = ack.wait() else { panic!("its file cannot be written") };
    assert_eq!((which, entries), (vec![2], 1), "the place among all, and no buffered one");
    assert!(recorder.wait_for_buffered(), "known to be lost is settled too");
    assert_eq!(found(home.path()), 2);
    assert_eq!(recorder.counters().lost_entries[&LossReason::Unwritten], 1, "the buffered one is counted");
}

#[test]
fn settling_waits_for_what_is_under_way_and_not_for_ever() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    recorder.record_durable(calls(&["slow"])).unwrap().wait().unwrap();
    let lock = std::fs::File::open(home.path().join(".tooltrail/append.lock")).unwrap();
    // `wait_for_buffered` does not wait for entries of other durabilities.
    lock.lock().unwrap();
    let waiting = recorder.record_durable(calls(&["slow"])).unwrap();
    let begun = Instant::now();
    assert!(recorder.wait_for_buffered());
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    lock.unlock().unwrap();
    waiting.wait().unwrap();

    lock.lock().unwrap();
    recorder.record_through(&durability(), calls(&["quick.a"])).unwrap().wait_for(Duration::ZERO).unwrap();
    let unlock = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        lock.unlock().unwrap();
        lock
    });
    assert!(recorder.wait_for_buffered());
    let lock = unlock.join().unwrap();
    assert_eq!(found(home.path()), 3);

    // The lock is held for more than two seconds, so the batch fails and `wait_for_buffered` stops waiting.
    lock.lock().unwrap();
    recorder.record_through(&durability(), calls(&["quick.a"; 3])).unwrap().wait_for(Duration::ZERO).unwrap();
    let begun = Instant::now();
    recorder.wait_for_buffered();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    lock.unlock().unwrap();
}
