//! Other processes change day files while a recorder writes them: acknowledged entries are restored, and the trail
//! records an incident.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tooltrail::{Call, Error, Recorder, folder_of};

/// Returns the lines that a user's files contain now; bytes that are not a line of ours are left out.
fn lines(home: &Path, user: &str) -> Vec<Value> {
    let Ok(days) = fs::read_dir(home.join(folder_of(user)).join("tool_audit")) else { return Vec::new() };
    let files = days.map(|day| day.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let texts = files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap());
    let values = |text: String| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>();
    texts.flat_map(values).collect()
}

fn numbers(home: &Path) -> Vec<u64> {
    lines(home, "alice").iter().filter_map(|line| line["args"]["n"].as_u64()).collect()
}

/// Returns the descriptions of all incident entries of a home.
fn incidents(home: &Path) -> Vec<String> {
    let told = lines(home, "_system").into_iter().filter(|line| line["tool"] == "tooltrail.incident");
    told.map(|line| line["args"]["what"].as_str().unwrap().to_owned()).collect()
}

fn call(n: u64) -> Call {
    Call::new("alice", "t", format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(200))).ok("done")
}

fn day_file(home: &Path) -> PathBuf {
    let folder = home.join("alice/tool_audit");
    let path = fs::read_dir(folder).unwrap().map(|day| day.unwrap().path()).next();
    path.unwrap()
}

fn record(recorder: &Recorder, n: u64) -> Result<(), Error> {
    recorder.record_durable(vec![call(n)]).unwrap().wait()
}

/// Records entries before and after a change, and checks that all entries acknowledged since the last flush are there.
fn check(what: &[&str], before: u64, expected: &[u64], change: impl FnOnce(&Path)) {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    (0..before).for_each(|n| record(&recorder, n).unwrap());
    change(&day_file(home.path()));
    record(&recorder, before).unwrap();
    recorder.flush().unwrap();
    let mut found = numbers(home.path());
    found.sort_unstable();
    assert_eq!(found, expected, "{what:?}");
    assert_eq!(incidents(home.path()), what);
    assert!(recorder.health().is_ok());
    recorder.close().unwrap();
    // Nothing is left that another process would recover again.
    Recorder::open(home.path()).unwrap().close().unwrap();
    assert_eq!(numbers(home.path()).len(), expected.len(), "{what:?}");
}

#[test]
fn what_others_took_away_before_it_was_durable_comes_again() {
    check(&[], 3, &[0, 1, 2, 3], |_| {});
    check(&["day file removed"], 3, &[0, 1, 2, 3], |file| fs::remove_file(file).unwrap());
    check(&["day file removed"], 3, &[0, 1, 2, 3], |file| {
        fs::remove_dir_all(file.parent().unwrap().parent().unwrap()).unwrap();
    });
    check(&["day file removed"], 3, &[0, 1, 2, 3], |file| fs::rename(file, file.with_extension("old")).unwrap());
    check(&["day file cut"], 3, &[0, 1, 2, 3], |file| {
        fs::File::options().write(true).open(file).unwrap().set_len(0).unwrap()
    });
    check(&["day file cut", "torn tail"], 3, &[0, 1, 2, 3], |file| {
        let file = fs::File::options().write(true).open(file).unwrap();
        file.set_len(file.metadata().unwrap().len() - 100).unwrap();
    });
    check(&["day file replaced"], 3, &[0, 1, 2, 3], |file| {
        let copy = file.with_extension("copy");
        fs::copy(file, &copy).unwrap();
        fs::rename(copy, file).unwrap();
    });
}

#[test]
fn the_folders_of_all_users_may_go_at_once() {
    const USERS: u64 = 300;
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    let all = |n: u64| {
        let of = |user| Call::new(format!("u{user}"), "t", format!(r#"{{"n":{n}}}"#)).ok("done");
        recorder.record_durable((0..USERS).map(of).collect()).unwrap().wait().unwrap();
    };
    all(0);
    (0..USERS).for_each(|user| fs::remove_dir_all(home.path().join(format!("u{user}"))).unwrap());
    all(1);
    recorder.close().unwrap();
    for user in 0..USERS {
        let found = lines(home.path(), &format!("u{user}"));
        let numbers = found.iter().filter_map(|line| line["args"]["n"].as_u64()).collect::<Vec<_>>();
        assert_eq!(numbers, [0, 1], "u{user}");
    }
    assert_eq!(incidents(home.path()), vec!["day file removed"; 300]);
}

#[test]
fn junk_of_others_is_kept_and_replaced() {
    check(&["torn tail"], 2, &[0, 1, 2], |file| {
        std::io::Write::write_all(&mut fs::File::options().append(true).open(file).unwrap(), b"junk").unwrap();
    });
}

#[test]
fn a_file_with_a_second_name_is_refused_and_taken_again() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    record(&recorder, 0).unwrap();
    let (file, second) = (day_file(home.path()), home.path().join("second"));
    fs::hard_link(&file, &second).unwrap();
    for n in 1..4 {
        let refused = record(&recorder, n);
        assert!(
            matches!(&refused, Err(Error::Unwritten { entries: 1, why, .. }) if why.contains("second name")),
            "{refused:?}"
        );
    }
    recorder.record(&call(4));
    let lost = recorder.flush();
    assert!(matches!(lost, Err(Error::Unwritten { entries: 1, .. })), "{lost:?}");
    // Entries of other users are still written, and the problem is still reported.
    let other = Call::new("bob", "t", "{}").ok("done");
    recorder.record_durable(vec![other]).unwrap().wait().unwrap();
    recorder.flush().unwrap();
    assert!(recorder.health().is_err_and(|error| error.message().contains("second name")));
    assert_eq!(incidents(home.path()), ["day file refused"], "told once, not with every line");
    fs::remove_file(second).unwrap();
    let begun = Instant::now();
    while recorder.health().is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it heals without another call");
        std::thread::sleep(Duration::from_millis(20));
    }
    record(&recorder, 5).unwrap();
    assert_eq!((numbers(home.path()), recorder.health().is_ok()), (vec![0, 5], true));
    recorder.close().unwrap();
    let gaps = lines(home.path(), "_system").into_iter().filter(|line| line["tool"] == "tooltrail.gap");
    assert_eq!(gaps.map(|gap| gap["args"]["lost"].as_u64().unwrap()).sum::<u64>(), 1);
}

#[test]
fn a_file_removed_while_nobody_writes_is_noticed_before_the_journal_is_freed() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    record(&recorder, 0).unwrap();
    recorder.record(&call(1));
    while numbers(home.path()).len() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::remove_file(day_file(home.path())).unwrap();
    // The automatic flush within a second finds the file missing; the journal has only one of the two lines.
    let begun = Instant::now();
    while numbers(home.path()) != [0] {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", numbers(home.path()));
        std::thread::sleep(Duration::from_millis(20));
    }
    let lost = recorder.close();
    assert!(matches!(&lost, Err(Error::Unwritten { entries: 1, why, .. }) if why.contains("removed")), "{lost:?}");
    assert_eq!(incidents(home.path()), ["day file removed"]);
    let gaps = lines(home.path(), "_system").into_iter().filter(|line| line["tool"] == "tooltrail.gap");
    let why = gaps.map(|gap| gap["args"]["why"].clone()).collect::<Vec<_>>();
    assert_eq!(why, [serde_json::json!({"removed": 1})]);
}

#[test]
fn a_home_that_was_moved_is_noticed_and_goes_on_where_it_is() {
    let root = tempfile::tempdir().unwrap();
    let (home, moved) = (root.path().join("home"), root.path().join("moved"));
    let recorder = Recorder::open(&home).unwrap();
    record(&recorder, 0).unwrap();
    fs::rename(&home, &moved).unwrap();
    record(&recorder, 1).unwrap();
    recorder.flush().unwrap();
    assert!(recorder.health().unwrap_err().message().contains("not the folder any more"));
    // Another folder with the same name, for example one that is mounted there, is not accepted either.
    fs::create_dir(&home).unwrap();
    record(&recorder, 2).unwrap();
    recorder.flush().unwrap();
    assert!(recorder.health().unwrap_err().message().contains("not the folder any more"));
    fs::remove_dir(&home).unwrap();
    fs::rename(&moved, &home).unwrap();
    record(&recorder, 3).unwrap();
    recorder.flush().unwrap();
    assert!(recorder.health().is_ok());
    recorder.close().unwrap();
    assert_eq!((numbers(&home), incidents(&home)), (vec![0, 1, 2, 3], vec!["home moved".to_owned()]));
}
