//! Reading with unusual names, special files, few file descriptors and values near the limits.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use tooltrail::{Bounds, Call, Cursor, Event, Page, Question, Recorder, SYSTEM_USER, Trail, Zone};

use crate::reading::{NOON, all, line, put, trail};

fn ask(user: Option<&str>, query: &str) -> Question {
    let mut question = Question::parse(query).unwrap();
    (question.user, question.days) = (user.map(str::to_owned), 3_650);
    question
}

fn texts(trail: &Trail, question: Question) -> Vec<String> {
    all(trail, question).0
}

#[test]
fn our_own_events_and_a_user_named_like_them_are_two_users() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    recorder.event(Event::Stop);
    recorder.record(&Call::new(SYSTEM_USER, "t", "{}").ok(""));
    recorder.record(&Call::new("alice", "t", "{}").ok(""));
    recorder.close().unwrap();
    let trail = trail(home.path(), Zone::UTC);
    for (user, ours) in [(SYSTEM_USER, 1), ("outside._system", 0)] {
        for question in [ask(Some(user), ""), ask(None, &format!("user={user}"))] {
            let found = texts(&trail, question);
            let own = found.iter().filter(|line| line.contains(r#""via":"tooltrail""#)).count();
            assert_eq!((found.len(), own), (1, ours), "{user}");
        }
    }
    let users = trail.users(None).unwrap();
    let users = users.iter().map(|user| (&*user.user, user.entries)).collect::<Vec<_>>();
    assert_eq!(users, [(SYSTEM_USER, 1), ("alice", 1), ("outside._system", 1)]);
}

#[test]
fn ids_that_no_folder_name_holds_are_found_as_sent_and_as_shown() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    let long = ["é".repeat(300), format!("{}1", "a".repeat(250)), format!("{}2", "a".repeat(250)), "x".repeat(199)];
    for user in &long {
        recorder.record(&Call::new(user.as_str(), "t", "{}").ok(""));
    }
    recorder.close().unwrap();
    // Two user ids that contained a secret: they have two folders but the same redacted text.
    let redacted = "eve [redacted:token]";
    for (n, keyed) in ["0123456789abcdef", "fedcba9876543210"].into_iter().enumerate() {
        let folder = format!("{}.{keyed}", tooltrail::folder_of(redacted));
        put(home.path(), &folder, "2026-11-23", &(line(NOON, redacted, n) + "\n"));
    }
    let trail = trail(home.path(), Zone::UTC);
    for user in &long {
        let found = texts(&trail, ask(Some(user), ""));
        assert_eq!(found.len(), 1, "{user}");
        assert_eq!(texts(&trail, ask(None, &format!("user={user}"))), found, "{user}");
    }
    let users: Vec<_> = trail.users(None).unwrap().into_iter().map(|user| (user.user, user.entries)).collect();
    // Two ids that differ only after the part that a line stores look the same, so a reader treats them as one user.
    assert_eq!(users.iter().map(|(_, entries)| entries).sum::<u64>(), 6, "{users:?}");
    for (user, entries) in &users {
        assert_eq!(*entries, if user == redacted { 2 } else { *entries }, "{user}");
        assert_eq!(texts(&trail, ask(Some(user), "")).len() as u64, *entries, "{user}");
        assert_eq!(texts(&trail, ask(None, &format!("user=\"{user}\""))).len() as u64, *entries, "{user}");
        assert_eq!(trail.users(Some(user)).unwrap()[0].entries, *entries, "{user}");
    }
}

/// Creates something that is not a regular file, if the system allows it.
fn make(kind: &str, path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    match kind {
        "fifo" => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        "folder" => std::fs::create_dir(path).unwrap(),
        "socket" => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        // Only root may create a device. For other users the path stays empty, and the test works too.
        "device" => drop(Command::new("mknod").arg(path).args(["c", "1", "5"]).output()),
        "file" => std::fs::write(path, line(NOON, "wrong", 0) + "\n").unwrap(),
        "link" => std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        link => std::os::unix::fs::symlink(link, path).unwrap(),
    }
}

#[test]
fn what_is_no_file_hides_nothing_and_hangs_nobody() {
    let home = tempfile::tempdir().unwrap();
    let good = line(NOON, "a", 1);
    put(home.path(), "a", "2026-11-23", &format!("{good}\n"));
    let true_trail = home.path().join("a").display().to_string();
    for (n, kind) in ["fifo", "folder", "socket", "device", "link", &true_trail].into_iter().enumerate() {
        make(kind, &home.path().join(format!("day{n}/tool_audit/2026-11-23.jsonl")));
        make(kind, &home.path().join(format!("trail{n}/tool_audit")));
        make(kind, &home.path().join(format!("user{n}")));
    }
    make("file", &home.path().join("trail9/tool_audit"));
    make("file", &home.path().join("user9"));
    make("fifo", &home.path().join(".tooltrail/late/2026-11-23"));

    let (done, hung) = mpsc::channel();
    let root = home.path().to_owned();
    std::thread::spawn(move || {
        let trail = trail(&root, Zone::UTC);
        let mut found = vec![texts(&trail, ask(None, ""))];
        for (kind, n) in ["day", "trail", "user"].iter().flat_map(|kind| (0..10).map(move |n| (kind, n))) {
            found.push(texts(&trail, ask(Some(&format!("{kind}{n}")), "")));
        }
        let entries = trail.users(None).unwrap().iter().map(|user| user.entries).sum::<u64>();
        done.send((found, entries, trail.stats(&ask(None, "")).unwrap().total)).unwrap();
    });
    let (found, entries, total) = hung.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!((&found[0], entries, total), (&vec![good], 1, 1));
    assert!(found[1..].iter().all(Vec::is_empty));
}

/// Runs one ignored test of this binary in a process with few file descriptors.
fn under_few_descriptors(name: &str) {
    let mut child = Command::new("sh");
    child.args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let output = child.args(["--ignored", "--exact", name]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn users_may_be_more_than_descriptors() {
    under_few_descriptors("unusual_files::five_thousand_users_are_read");
    under_few_descriptors("unusual_files::six_hundred_users_are_written");
}

#[test]
#[ignore = "runs in a process of its own, of few descriptors"]
fn five_thousand_users_are_read() {
    let home = tempfile::tempdir().unwrap();
    let lines: Vec<_> = (0..5_000).map(|n| line(NOON + n, &format!("u{n}"), n as usize)).collect();
    for (n, line) in lines.iter().enumerate() {
        put(home.path(), &format!("u{n}"), "2026-11-23", &format!("{line}\n"));
    }
    let trail = trail(home.path(), Zone::UTC);
    let mut question = ask(None, "");
    question.limit = 1_000;
    assert!(texts(&trail, question.clone()).iter().rev().eq(&lines));
    assert_eq!(trail.users(None).unwrap().len(), 5_000);
    assert_eq!(trail.stats(&question).unwrap().total, 5_000);
}

#[test]
#[ignore = "runs in a process of its own, of few descriptors"]
fn six_hundred_users_are_written() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    let calls = (0..600).map(|n| Call::new(format!("u{n}"), "t", "{}").ok("")).collect();
    let acknowledged = recorder.record_durable(calls).unwrap();
    recorder.close().unwrap();
    acknowledged.wait().unwrap();
    assert_eq!(Trail::open(home.path()).unwrap().users(None).unwrap().len(), 600);
}

#[test]
fn a_page_that_meets_its_bound_goes_on_where_it_stopped() {
    let home = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for user in ["a", "b", "c"] {
        // Two users have a line in each millisecond, so that the bounds fall between lines with equal or neighbouring
        // times.
        let step = if user == "c" { 250 } else { 1 };
        let lines: Vec<_> = (0..6_000).map(|n| line(NOON - 10_000_000 + n * step, user, n as usize)).collect();
        put(home.path(), user, "2026-11-23", &(lines.join("\n") + "\n"));
        expected.extend(lines.into_iter().filter(|line| line.contains(r#""n":1}"#) || line.contains(r#"99}"#)));
    }
    expected.sort();
    for bytes_max in [1, 100_000, 700_000] {
        let mut bounds = Bounds::default();
        bounds.page.bytes_max = bytes_max;
        let trail = trail(home.path(), Zone::UTC).bounded(bounds);
        let (mut found, mut partial, mut question) = (Vec::new(), 0, ask(None, "user=*"));
        loop {
            let page: Page = trail.recent(&question).unwrap();
            partial += usize::from(!page.complete);
            assert!(page.complete || page.next.is_some());
            let wanted = |line: &String| line.contains(r#""n":1}"#) || line.contains(r#"99}"#);
            found.extend(page.lines.into_iter().filter(wanted));
            let Some(next) = page.next else { break };
            let next = Cursor::parse(&next).unwrap();
            assert_ne!(question.cursor.as_ref(), Some(&next), "no progress");
            question.cursor = Some(next);
        }
        found.sort();
        assert!(partial > 0 && found == expected, "{bytes_max}: {partial} partial, {} found", found.len());
    }
    let mut bounds = Bounds::default();
    bounds.stats.bytes_max = 100_000;
    assert!(!trail(home.path(), Zone::UTC).bounded(bounds).stats(&ask(None, "")).unwrap().complete);
}

#[test]
fn a_page_of_large_lines_is_bounded_too() {
    let home = tempfile::tempdir().unwrap();
    let lines: Vec<_> = (0..300).map(|n| line(NOON + n, "a", n as usize)).collect();
    put(home.path(), "a", "2026-11-23", &(lines.join("\n") + "\n"));
    let bounds = Bounds { page_lines_bytes_max: 2_000, ..Bounds::default() };
    let trail = trail(home.path(), Zone::UTC).bounded(bounds);
    let page = trail.recent(&ask(None, "")).unwrap();
    assert!((5..20).contains(&page.lines.len()) && page.next.is_some());
    assert!(texts(&trail, ask(None, "")).iter().rev().eq(&lines));
}
