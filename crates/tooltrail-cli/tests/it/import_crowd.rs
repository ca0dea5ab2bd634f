//! Several imports into one home at the same time.

use std::collections::BTreeSet;
use std::process::Stdio;

use crate::support::{Ran, TestHome, crowd, lines, minutes_ago};

/// Processes of the first test, and the entries of each.
const PROCESSES: u64 = 8;
const ENTRIES: u64 = 10_000;

/// Starts the imports of all files at the same time, and waits for all of them.
fn at_once(place: &TestHome, files: &[String]) -> Vec<Ran> {
    let _alone = crowd();
    let start = |file: &String| {
        let mut command = place.command(&["import", file]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children = files.iter().map(start).collect::<Vec<_>>();
    children.into_iter().map(|child| Ran::of(child.wait_with_output().unwrap())).collect()
}

#[test]
fn eight_processes_one_file() {
    let place = TestHome::new();
    // All lines have the same time, so they belong to one day file.
    let ts = minutes_ago(1);
    let files = (0..PROCESSES)
        .map(|n| place.file(&format!("lines.{n}"), lines(n * ENTRIES..(n + 1) * ENTRIES, "alice", ts)))
        .collect::<Vec<_>>();
    for ran in at_once(&place, &files) {
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    let text = std::fs::read_to_string(place.day_file("alice", ts)).unwrap();
    assert!(text.ends_with('\n'));
    let mut numbers = Vec::new();
    let mut ids = BTreeSet::new();
    let mut turns = 0;
    for line in text.lines() {
        let entry = serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let number = entry["args"]["n"].as_u64().unwrap();
        turns += u64::from(numbers.last().is_some_and(|last: &u64| last / ENTRIES != number / ENTRIES));
        numbers.push(number);
        assert!(ids.insert(entry["id"].as_str().unwrap().to_owned()), "twice: {line}");
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..PROCESSES * ENTRIES), "every entry once");
    println!("the processes took turns {turns} times");
    assert!(turns >= PROCESSES, "they did not write at once");
    assert_eq!(place.day_files().len(), 1, "nothing was torn, nothing lost");
}

#[test]
fn two_of_the_same_content_at_once_store_it_once() {
    for _ in 0..3 {
        let place = TestHome::new();
        let file = place.file("lines", lines(0..4_000, "alice", minutes_ago(1)));
        let ran = at_once(&place, &[file.clone(), file]);
        let mut codes = ran.iter().map(|ran| ran.code.unwrap()).collect::<Vec<_>>();
        codes.sort_unstable();
        // The second import started during the first one, or after it.
        assert!(codes == [0, 1] || codes == [0, 2], "{codes:?} {}{}", ran[0].err, ran[1].err);
        let told = |text: &str| ran.iter().any(|ran| ran.err.contains(text));
        assert!(told("another process is importing") || told("was imported already"));
        assert_eq!(place.numbers(), (0..4_000).collect::<Vec<_>>());
    }
}
