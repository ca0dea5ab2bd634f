//! When many calls wait, a batch is held back until the next batch is being built. It must be stored before the next
//! one, and none of its entries may be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tooltrail::{Call, Home, Options, Steps};

/// The number of calls, each of 15 kB, so that more than three batches wait at the same time.
const CALLS: usize = 4_000;
const USERS: usize = 7;

fn call(n: usize) -> Call {
    let args = format!(r#"{{"n":{n},"text":"{}"}}"#, "some words ".repeat(1_400));
    Call::new(format!("user{}", n % USERS), "t", args).ok("x")
}

/// Returns a recorder in whose queue all calls wait, and its home.
fn crowded() -> (tempfile::TempDir, Steps) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::create(folder.path(), false).unwrap();
    let steps = Steps::open(home, Options::new(folder.path())).unwrap();
    (0..CALLS).for_each(|n| steps.recorder().record(&call(n)));
    (folder, steps)
}

/// Returns the numbers of each user's calls in the order of the user's file.
fn stored(home: &std::path::Path) -> BTreeMap<String, Vec<usize>> {
    let mut stored = BTreeMap::<_, Vec<_>>::new();
    for user in (0..USERS).map(|user| format!("user{user}")) {
        for day in std::fs::read_dir(home.join(&user).join("tool_audit")).unwrap() {
            let text = std::fs::read_to_string(day.unwrap().path()).unwrap();
            let numbers = text.lines().map(|line| {
                let line = serde_json::from_str::<Value>(line).unwrap();
                usize::try_from(line["args"]["n"].as_u64().unwrap()).unwrap()
            });
            stored.entry(user.clone()).or_default().extend(numbers);
        }
    }
    stored
}

#[test]
fn a_held_batch_is_stored_before_the_next() {
    let (folder, mut steps) = crowded();
    let counters = steps.recorder().counters();
    assert_eq!((counters.queued_entries, counters.lost_entries.values().sum::<u64>()), (CALLS as u64, 0));

    let (mut taken, mut held) = (0, 0);
    while taken < CALLS as u64 {
        steps.step();
        let now = steps.recorder().counters();
        let all = now.queued_entries + now.writing_entries + now.written_entries;
        assert_eq!(all, CALLS as u64, "all are somewhere: {now:?}");
        assert!(now.written_entries >= taken, "what the last batch held is stored: {now:?}");
        taken = CALLS as u64 - now.queued_entries;
        held += u64::from(now.writing_entries > 0);
    }
    assert!(held >= 2, "{held} batches were held");
    // A waiting caller gets no answer before the held batch is durable.
    let flushed = steps.close();
    steps.step();
    flushed.wait_for(Duration::ZERO).unwrap();
    let numbers = stored(folder.path());
    for (user, numbers) in (0..USERS).zip(numbers.values()) {
        assert!(numbers.iter().copied().eq((user..CALLS).step_by(USERS)), "user{user}: {} calls", numbers.len());
    }
}

#[test]
fn who_waits_behind_a_crowd_is_answered_after_it_is_stored() {
    let (folder, mut steps) = crowded();
    steps.step();
    assert!(steps.recorder().counters().writing_entries > 0, "the first batch is held");
    let flushed = steps.flush();
    while steps.recorder().counters().queued_entries > 0 {
        steps.step();
    }
    flushed.wait_for(Duration::ZERO).unwrap();
    assert_eq!(steps.recorder().counters().written_entries, CALLS as u64);
    assert_eq!(stored(folder.path()).values().map(Vec::len).sum::<usize>(), CALLS);
}
