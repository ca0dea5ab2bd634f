//! `tail` of the real binary: the newest entries, and those that arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::TestHome;

/// Longest wait for expected output, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns calls of one user in the common form.
fn calls(user: &str, numbers: std::ops::Range<usize>) -> String {
    let mut text = String::new();
    for n in numbers {
        let at = Duration::from_millis(n as u64 * 7).as_secs();
        let (minute, second) = (at / 60 % 60, at % 60);
        let ts = format!("{}T10:{minute:02}:{second:02}.{:03}Z", yesterday(), n % 1_000);
        writeln!(
            text,
            r#"{{"ts":"{ts}","user":"{user}","tool":"t{}","args":{{"n":{n}}},"status":"ok","result":"r{n}"}}"#,
            n % 4
        )
        .unwrap();
    }
    text
}

/// Returns yesterday, a date of which every time of day has passed.
fn yesterday() -> String {
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    tooltrail::Timestamp::from_millis(now_ms as i64).date().plus_days(-1).to_string()
}

/// A running `tail` whose stdout is a pipe.
struct Tail {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Tail {
    fn start(place: &TestHome, args: &[&str]) -> Self {
        let mut command = place.command(args);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.strip_suffix('\n').expect("a whole line").to_owned()
    }

    /// Sends a signal and checks that the command ends well: exit code 0, and only the expected text on stderr.
    fn end(mut self, signal: Signal, in_stderr: &str) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        drop(self.out);
        let code = wait(&mut self.child);
        let mut error = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut error).unwrap();
        assert_eq!(code, Some(0), "{error}");
        assert!(error.contains(in_stderr) && (in_stderr.is_empty() == error.is_empty()), "{error}");
    }
}

/// Waits for the end of a process. If it does not end, kills it and fails.
fn wait(child: &mut Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn import(place: &TestHome, text: &str) {
    let ran = place.run_with(&["import", "-"], text.as_bytes());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn twenty_thousand_lines_of_two_processes_are_followed() {
    const EACH: usize = 10_000;
    let place = TestHome::new();
    import(&place, &calls("before", 0..30));
    let mut tail = Tail::start(&place, &["tail", "-f", "--json"]);
    let beginning = (0..10).map(|_| tail.line()).collect::<Vec<_>>();
    assert!(beginning.iter().all(|line| line.contains(r#""user":"before""#)));
    assert!(beginning.last().unwrap().contains(r#""n":29"#) && beginning[0].contains(r#""n":20"#));
    let writers = ["one", "two"].map(|name| {
        let mut command = place.command(&["import", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let text = format!("{}{}", calls(name, 0..EACH / 2), calls("both", 0..EACH / 2));
        let feeder = std::thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
        (child, feeder)
    });
    let mut followed = BTreeMap::<String, Vec<String>>::new();
    for _ in 0..2 * EACH {
        let line = tail.line();
        let entry = serde_json::from_str::<serde_json::Value>(&line).unwrap();
        followed.entry(entry["user"].as_str().unwrap().to_owned()).or_default().push(line);
    }
    for (mut child, feeder) in writers {
        feeder.join().unwrap();
        assert_eq!(wait(&mut child), Some(0));
    }
    tail.end(Signal::INT, "");
    for (user, lines) in [("one", EACH / 2), ("two", EACH / 2), ("both", EACH)] {
        let path = place.home().join(user).join("tool_audit").join(format!("{}.jsonl", yesterday()));
        let stored = std::fs::read_to_string(path).unwrap();
        assert_eq!(stored.lines().count(), lines);
        assert!(stored.lines().eq(&followed[user]), "{user}: another order, or other lines");
    }
}

#[test]
fn the_newest_come_last() {
    let place = TestHome::new();
    import(&place, &calls("a", 0..50));
    assert_eq!(place.stored().len(), 50);
    let check = |args: &[&str], expected: std::ops::Range<usize>| {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{args:?}");
        let results = ran.out.lines().map(|line| line.split('\t').nth(5).unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(results, expected.map(|n| format!("r{n}")).collect::<Vec<_>>(), "{args:?}");
    };
    check(&["tail"], 40..50);
    check(&["tail", "-n", "3"], 47..50);
    check(&["tail", "-n", "0"], 0..0);
    check(&["tail", "--user", "nobody"], 0..0);
    check(&["tail", "-n", "1", "tool=t1"], 49..50);
    for args in [&["tail", "-n", "1001"][..], &["tail", "--days", "0"], &["tail", "tool"]] {
        let code = place.run(args).code;
        assert_eq!(code, if args[1] == "tool" { Some(0) } else { Some(2) }, "{args:?}");
    }
    assert_eq!(TestHome::new().run(&["tail", "-f"]).code, Some(2), "no home");
}

#[test]
fn only_what_answers_is_followed_and_a_cut_file_is_said() {
    let place = TestHome::new();
    import(&place, &calls("a", 0..10));
    let mut tail = Tail::start(&place, &["tail", "-f", "-n", "1", "tool=t1"]);
    assert!(tail.line().contains("\tr9\t"));
    import(&place, &calls("a", 10..20));
    assert!(tail.line().contains("\tr13\t"));
    assert!(tail.line().contains("\tr17\t"));
    let path = place.home().join("a").join("tool_audit").join(format!("{}.jsonl", yesterday()));
    std::fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
    // The line of another user shows that `tail` has seen the cut.
    std::thread::sleep(Duration::from_secs(1));
    import(&place, &calls("b", 20..22));
    assert!(tail.line().contains("\tr21\t"));
    tail.end(Signal::TERM, "the file was cut");
}

#[test]
fn a_closed_pipe_ends_it_even_with_nothing_to_say() {
    let place = TestHome::new();
    import(&place, &calls("a", 0..3));
    let Tail { mut child, mut out } = Tail::start(&place, &["tail", "-f"]);
    let mut lines = BTreeSet::new();
    for _ in 0..3 {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        lines.insert(line);
    }
    assert_eq!(lines.len(), 3);
    drop(out);
    assert_eq!(wait(&mut child), Some(0));
}
