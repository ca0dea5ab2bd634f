//! Calls that are open when their process is killed or their recorder is closed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tooltrail::{Call, Clock, Options, Outcome, Recorder, SystemClock, Timestamp};

/// The environment variable with the home of the child process of [`calls_open_at_a_kill_are_interrupted`].
const HOME: &str = "TOOLTRAIL_TEST_HOME";

fn entries(home: &Path) -> Vec<(String, String)> {
    let days = std::fs::read_dir(home.join("alice/tool_audit")).into_iter().flatten().flatten();
    let text = days.map(|day| std::fs::read_to_string(day.path()).unwrap()).collect::<String>();
    let entry = |line: &str| {
        let entry = serde_json::from_str::<Value>(line).unwrap();
        let why = entry["reason"].as_str().unwrap_or("ok");
        (entry["tool"].as_str().unwrap().to_owned(), why.to_owned())
    };
    let mut found = text.lines().map(entry).collect::<Vec<_>>();
    found.sort();
    found
}

fn call(tool: &str) -> Call {
    Call::new("alice", tool, r#"{"password":"hunter2hunter2"}"#)
}

fn expected(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|(tool, why)| ((*tool).to_owned(), (*why).to_owned())).collect()
}

/// The entries of the child's calls after another process has recovered the home.
const INTERRUPTED: [(&str, &str); 3] = [("ended", "ok"), ("grouped", "interrupted"), ("strict", "interrupted")];

/// Starts a process that begins calls, and kills it.
fn begin_and_be_killed(home: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "open_calls::calls_begin_and_never_end"])
        .env(HOME, home)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.into_iter().any(|line| line == "open"), "the child began its calls");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The system's clock plus `ahead` milliseconds.
#[derive(Debug, Default)]
struct ClockAhead {
    clock: SystemClock,
    ahead: AtomicU64,
}

impl Clock for ClockAhead {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic() + Duration::from_millis(self.ahead.load(Ordering::Relaxed))
    }
}

#[test]
fn calls_open_at_a_kill_are_interrupted() {
    let home = tempfile::tempdir().unwrap();
    begin_and_be_killed(home.path());
    for _ in 0..2 {
        Recorder::open(home.path()).unwrap().close().unwrap();
        assert_eq!(entries(home.path()), expected(&INTERRUPTED));
    }
    let journal = std::fs::read(home.path().join(".tooltrail/journal/00.segment")).unwrap();
    assert!(!journal.windows(14).any(|window| window == b"hunter2hunter2"), "the journal keeps no secret");
}

#[test]
fn a_writer_that_goes_on_brings_what_another_left() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ClockAhead::default());
    let mut options = Options::new(home.path());
    options.clock = clock.clone();
    let recorder = options.open().unwrap();
    begin_and_be_killed(home.path());
    clock.ahead.store(60_000, Ordering::Relaxed);
    let begun = Instant::now();
    while entries(home.path()) != expected(&INTERRUPTED) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", entries(home.path()));
        recorder.record(&Call::new("bob", "t", "").ok("x"));
        std::thread::sleep(Duration::from_millis(10));
    }
    recorder.close().unwrap();
    assert_eq!(entries(home.path()), expected(&INTERRUPTED));
}

#[test]
#[ignore = "runs in a process of its own, which is killed"]
fn calls_begin_and_never_end() {
    let recorder = Recorder::open(std::env::var_os(HOME).unwrap()).unwrap();
    let (_strict, noted) = recorder.begin_durable(call("strict")).unwrap();
    noted.wait().unwrap();
    let _grouped = recorder.begin(call("grouped"));
    let _buffered = recorder.begin_buffered(call("buffered"));
    let ended = recorder.begin(call("ended"));
    std::thread::sleep(Duration::from_millis(100));
    ended.finish(Outcome::ok("x")).unwrap().wait().unwrap();
    eprintln!("open");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn calls_open_at_a_close_are_interrupted_and_quick_ones_leave_one_entry() {
    let home = tempfile::tempdir().unwrap();
    let recorder = Recorder::open(home.path()).unwrap();
    let open = recorder.begin(call("open"));
    recorder.begin(call("quick")).finish_buffered(Outcome::ok("x"));
    drop(recorder.begin(call("dropped")));
    recorder.close().unwrap();
    assert!(open.finish(Outcome::ok("late")).is_err());
    assert_eq!(entries(home.path()), expected(&[("dropped", "cancelled"), ("open", "interrupted"), ("quick", "ok")]));
}

/// The end of a call and the end of the recorder often come together, when a program ends.
#[test]
fn calls_that_end_just_before_the_recorder_is_closed_are_recorded_once() {
    for _ in 0..20 {
        let home = tempfile::tempdir().unwrap();
        let recorder = Recorder::open(home.path()).unwrap();
        let begun = (0..50).map(|_| recorder.begin_durable(call("strict")).unwrap()).collect::<Vec<_>>();
        let mut open = Vec::new();
        for (call, noted) in begun {
            noted.wait().unwrap();
            open.push(call);
        }
        open.into_iter().for_each(|call| call.finish_buffered(Outcome::ok("")));
        recorder.close().unwrap();
        assert_eq!(entries(home.path()), expected(&[("strict", "ok"); 50]));
    }
}
