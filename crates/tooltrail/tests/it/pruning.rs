//! Pruning of days: the removal is recorded first, the next prune completes an interrupted one, and late entries for
//! removed days are refused.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tooltrail::{
    Call, Clock, Date, Error, Limit, LossReason, Options, Outcome, Recorder, Retention, SystemClock, would_prune,
};

fn today() -> Date {
    SystemClock::default().now().date()
}

fn call(user: &str, days_ago: i64) -> Call {
    let mut call = Call::new(user, "t", "{}").ok("done");
    call.ts = Some(today().plus_days(-days_ago).start());
    call
}

/// Returns the age in days of each day file of a user, the oldest first.
fn days(home: &Path, user: &str) -> Vec<i64> {
    let Ok(found) = fs::read_dir(home.join(user).join("tool_audit")) else { return Vec::new() };
    let names = found.map(|file| file.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>();
    let ago = |name: &String| (0..400).find(|ago| *name == format!("{}.jsonl", today().plus_days(-ago)));
    let mut days = names.iter().filter_map(ago).collect::<Vec<_>>();
    days.sort_unstable_by_key(|ago| -ago);
    days
}

/// Returns the arguments of all prune entries of a home.
fn told(home: &Path) -> Vec<Value> {
    let files = fs::read_dir(home.join("_system/tool_audit")).unwrap().map(|file| file.unwrap().path());
    let lines = files.flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>());
    let values = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    values.filter(|line| line["tool"] == "tooltrail.prune").map(|line| line["args"].clone()).collect()
}

/// Returns a home with entries of alice and bob on the last `days` days.
fn filled(days: i64) -> (tempfile::TempDir, Recorder) {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    let calls = (0..days).flat_map(|ago| [call("alice", ago), call("alice", ago), call("bob", ago)]).collect();
    recorder.record_durable(calls).unwrap().wait().unwrap();
    (home, recorder)
}

#[test]
fn a_prune_says_first_what_it_removes() {
    let (home, recorder) = filled(5);
    let retention = Retention { max_age_days: Some(3), ..Retention::default() };
    let plan = would_prune(recorder.home(), &retention, &SystemClock::default()).unwrap();
    assert_eq!(days(home.path(), "alice"), [4, 3, 2, 1, 0], "a plan removes nothing");
    let gone = recorder.prune(&retention, "test").unwrap();
    assert_eq!(gone, plan);
    assert_eq!(
        gone.iter().map(|day| (day.limit, day.files, day.entries, day.left)).collect::<Vec<_>>(),
        [(Limit::Age, 2, 3, 0); 2]
    );
    assert_eq!((days(home.path(), "alice"), days(home.path(), "bob")), (vec![2, 1, 0], vec![2, 1, 0]));
    let told = told(home.path());
    let oldest = &told[0];
    assert_eq!(
        (told.len(), &oldest["limit"], &oldest["by"], &oldest["entries"], &oldest["files"]),
        (2, &"age".into(), &"test".into(), &3.into(), &2.into())
    );
    assert_eq!(
        (oldest["day"].as_str(), oldest["bytes"].as_u64()),
        (Some(&*gone[0].day.to_string()), Some(gone[0].bytes))
    );
    assert_eq!(recorder.prune(&retention, "test").unwrap(), []);
    // Recording for this day again creates a new file, and no problem is reported.
    recorder.record_durable(vec![call("alice", 4)]).unwrap().wait().unwrap();
    recorder.close().unwrap();
    assert_eq!(days(home.path(), "alice"), [4, 2, 1, 0]);
}

#[test]
fn caps_count_all_users_and_the_floor_wins() {
    let check = |max_entries, max_bytes, keep_days, expected: &[i64]| {
        let (home, recorder) = filled(5);
        let retention = Retention { max_age_days: None, max_entries, max_bytes, keep_days };
        recorder.prune(&retention, "test").unwrap();
        assert_eq!(days(home.path(), "alice"), expected, "{retention:?}");
    };
    check(None, None, 1, &[4, 3, 2, 1, 0]);
    check(Some(15), None, 1, &[4, 3, 2, 1, 0]);
    check(Some(14), None, 1, &[3, 2, 1, 0]);
    check(Some(0), None, 1, &[0]);
    check(Some(0), None, 3, &[2, 1, 0]);
    check(None, Some(0), 2, &[1, 0]);
    check(None, Some(1 << 20), 1, &[4, 3, 2, 1, 0]);
}

#[test]
fn what_is_no_day_file_of_ours_stays() {
    let (home, recorder) = filled(3);
    let (folder, outside) = (home.path().join("alice/tool_audit"), tempfile::tempdir().unwrap());
    let name = |ago: i64| format!("{}.jsonl", today().plus_days(-ago));
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    fs::write(outside.path().join("theirs"), "theirs").unwrap();
    std::os::unix::fs::symlink(outside.path().join("theirs"), folder.join(name(10))).unwrap();
    fs::hard_link(outside.path().join("theirs"), folder.join(name(11))).unwrap();
    fs::create_dir(folder.join(name(12))).unwrap();
    std::os::unix::fs::symlink(outside.path(), home.path().join("mallory")).unwrap();
    let retention = Retention { max_age_days: Some(1), ..Retention::default() };
    let gone = recorder.prune(&retention, "test").unwrap();
    assert!(gone.iter().map(|day| day.files - day.left).sum::<u64>() == 4, "{gone:?}");
    let left = fs::read_dir(&folder).unwrap().count();
    assert_eq!((left, fs::read_to_string(outside.path().join("theirs")).unwrap()), (5, "theirs".to_owned()));
}

#[test]
fn what_could_not_be_recorded_is_not_removed() {
    let (home, recorder) = filled(3);
    // The system's own folder is replaced with a file, so that no prune can be recorded.
    recorder.flush().unwrap();
    fs::write(home.path().join("_system"), "in the way").unwrap();
    let retention = Retention { max_age_days: Some(1), ..Retention::default() };
    let failed = recorder.prune(&retention, "test");
    assert!(matches!(failed, Err(Error::Unwritten { .. })), "{failed:?}");
    assert_eq!(days(home.path(), "alice"), [2, 1, 0]);
    fs::remove_file(home.path().join("_system")).unwrap();
    assert_eq!(recorder.prune(&retention, "test").unwrap().len(), 2);
    assert_eq!(days(home.path(), "alice"), [0]);
}

#[test]
fn late_entries_are_refused_with_a_count() {
    let home = tempfile::tempdir().unwrap();
    let mut options = Options::new(home.path());
    options.retention = Retention { max_age_days: Some(3), keep_days: 5, ..Retention::default() };
    let recorder = options.open().unwrap();
    for ago in 0..8 {
        recorder.record(&call("alice", ago));
    }
    let refused = recorder.record_durable(vec![call("alice", 0), call("alice", 5)]);
    assert!(matches!(refused, Err(Error::Input { .. })), "{refused:?}");
    assert!(recorder.too_late(&call("alice", 5)).is_some() && recorder.too_late(&call("alice", 4)).is_none());
    let refused = recorder.begin(call("alice", 6)).finish(Outcome::ok("done"));
    assert!(matches!(refused, Err(Error::Input { .. })), "{refused:?}");
    let lost = recorder.close();
    assert!(matches!(lost, Err(Error::Unwritten { entries: 4, .. })), "{lost:?}");
    assert_eq!(days(home.path(), "alice"), [4, 3, 2, 1, 0]);
    assert_eq!(recorder.counters().lost_entries[&LossReason::Retention], 4);
    let system = fs::read_dir(home.path().join("_system/tool_audit")).unwrap().map(|file| file.unwrap().path());
    let gaps = system.flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>());
    let why = gaps.map(|line| serde_json::from_str::<Value>(&line).unwrap()["args"]["why"]["retention"].clone());
    assert_eq!(why.filter_map(|count| count.as_u64()).sum::<u64>(), 4);
}

#[test]
fn what_is_no_plain_file_is_not_told_as_gone_again_and_again() {
    let (home, recorder) = filled(1);
    let (folder, outside) = (home.path().join("alice/tool_audit"), tempfile::tempdir().unwrap());
    let name = |ago: i64| format!("{}.jsonl", today().plus_days(-ago));
    fs::write(outside.path().join("theirs"), "theirs\n").unwrap();
    std::os::unix::fs::symlink(outside.path().join("theirs"), folder.join(name(10))).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join(name(11)),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for retention in [
        Retention { max_age_days: Some(1), ..Retention::default() },
        Retention { max_bytes: Some(0), ..Retention::default() },
        Retention { max_entries: Some(0), ..Retention::default() },
    ] {
        assert_eq!(recorder.prune(&retention, "test").unwrap(), [], "{retention:?}");
    }
    recorder.close().unwrap();
    assert!(!home.path().join("_system").exists(), "nothing was told, as nothing went");
}

#[test]
fn what_went_is_not_kept_open() {
    let (home, recorder) = filled(5);
    recorder.prune(&Retention { max_age_days: Some(2), ..Retention::default() }, "test").unwrap();
    // A removed file uses disk space until the last process that has it open closes it.
    let root = home.path().canonicalize().unwrap();
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    let held = open.filter(|path| path.starts_with(&root) && path.to_string_lossy().ends_with("(deleted)"));
    assert_eq!(held.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
    // A late line for such a day is also not mistaken for a sign that another process removed the file.
    recorder.record_durable(vec![call("alice", 4)]).unwrap().wait().unwrap();
    recorder.close().unwrap();
    let system = fs::read_dir(home.path().join("_system/tool_audit")).unwrap().map(|file| file.unwrap().path());
    let text = system.map(|path| fs::read_to_string(path).unwrap()).collect::<String>();
    assert!(!text.contains("tooltrail.incident"), "{text}");
}

#[test]
fn two_prunes_at_once_tell_each_day_once() {
    let (home, recorder) = filled(8);
    let others = (0..3).map(|_| Recorder::open(home.path()).unwrap()).collect::<Vec<_>>();
    let retention = Retention { max_age_days: Some(2), ..Retention::default() };
    let gone = std::thread::scope(|scope| {
        let prune = |recorder| scope.spawn(move || Recorder::prune(recorder, &retention, "test").unwrap());
        let running = others.iter().chain([&recorder]).map(prune).collect::<Vec<_>>();
        running.into_iter().flat_map(|prune| prune.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!((gone.len(), gone.iter().map(|day| day.left).sum::<u64>()), (6, 0), "{gone:?}");
    assert_eq!((told(home.path()).len(), days(home.path(), "alice")), (6, vec![1, 0]));
}
